//! A network whose supernodes are chosen beforehand, for scenarios that are about something else than the election.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, Layout, Proof, Ranges, Sha1Digest};
use hexad_core::{Address as _, Endpoint, OpId, Operation, Progress, Query, Share, Span, Time};
use hexad_kazaa::{Kazaa, Settings, Switch};

use crate::gauge::Gauge;
use crate::{Lab, LabConfig, Links, NodeIndex, Purpose, content_of, dice};

/// A port for everybody.
const PORT: u16 = 6881;
/// Bytes of a part that is proven by itself.
const PIECE_BYTES: u64 = 64 << 10;
/// How long after the last arrival everybody has what he wants: two rounds of links, and what is published.
const SETTLE: Span = Span::from_secs(60);

/// What a town is made of.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) threads: usize,
    pub(super) codec: bool,
    pub(super) supernodes: u32,
    pub(super) leaves: u32,
    /// Files of a leaf.
    pub(super) files: u64,
    pub(super) file_bytes: u64,
    pub(super) parents: usize,
    pub(super) links: usize,
    pub(super) hops: u8,
    /// How often a leaf looks whether its supernodes are there.
    pub(super) ping: Span,
    pub(super) up: Option<u64>,
}

/// Supernodes and leaves, all joined, all files known to a supernode.
pub(super) struct Town {
    pub(super) lab: Lab<Kazaa<u32>>,
    pub(super) plan: Plan,
}

/// How many there are, as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn float(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

/// What all nodes of a scenario have in common.
pub(super) fn settings() -> Settings {
    Settings {
        listen: Some(SocketAddr::from(([0, 0, 0, 0], PORT))),
        ping_every: Span::from_secs(10),
        leaf_records_max: 1000,
        ..Settings::default()
    }
}

/// File number `file` of leaf number `leaf`: its name has a word that no other has.
pub(super) fn share(leaf: u32, file: u64, bytes: u64) -> Share {
    let layout = Layout::single(format!("{}.ogg", word(leaf, file)), bytes).expect("a file of a scenario fits a layout");
    let mut name = [0x4b; 20];
    name[..4].copy_from_slice(&leaf.to_be_bytes());
    name[4..12].copy_from_slice(&file.to_be_bytes());
    let hashes: Arc<[Sha1Digest]> = (0..bytes.div_ceil(PIECE_BYTES)).map(|_| Sha1Digest(name)).collect();
    let digest = Digest::TorrentV1(Sha1Digest(hexad_content::info::hash(&hexad_content::info::write(&layout, PIECE_BYTES, &hashes)).0));
    Share {
        layout: Arc::new(layout),
        digests: [digest].into_iter().collect::<Digests>(),
        proof: Some(Proof::V1Pieces { piece_bytes: PIECE_BYTES, total_bytes: bytes, hashes }),
        held: Ranges::of(0..bytes),
        torrent: Bytes::new(),
    }
}

/// The word of a file.
pub(super) fn word(leaf: u32, file: u64) -> String {
    format!("l{leaf}x{file}")
}

impl Town {
    /// Builds it.
    pub(super) fn new(plan: &Plan, gauge: &mut Gauge<'_>) -> Result<Self, String> {
        let config = LabConfig { seed: plan.seed, codec: plan.codec, threads: plan.threads, ..LabConfig::default() };
        let mut lab = Lab::<Kazaa<u32>>::new(config);
        let (supernodes, leaves) = (plan.supernodes.max(1), plan.leaves);
        let leaves_max = (leaves as usize * plan.parents / supernodes as usize * 2).max(8);
        let base = Settings {
            leaves_max,
            leaves_target: leaves_max / 2,
            links_target: plan.links,
            links_max: plan.links * 3 / 2 + 1,
            parents: plan.parents,
            hops: plan.hops,
            // Nobody changes what he is.
            supernode_min: Span::from_secs(1_000_000),
            ..settings()
        };
        lab.add_nodes(supernodes, Settings { switch: Switch::Always, ping_every: Span::from_secs(5), ..base.clone() }.into());
        let first = lab.add_nodes(leaves, Settings { switch: Switch::Never, ping_every: plan.ping, ..base }.into());
        let links = Links { up_bytes_per_s: plan.up, down_bytes_per_s: None };
        let micros = |span: Span| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        for supernode in 0..supernodes {
            let at = Time::ZERO + Span::from_millis(200) * supernode;
            let bootstrap = if supernode == 0 { Vec::new() } else { names(&[0, supernode / 2]) };
            lab.start_at(at, NodeIndex(supernode), Operation::Join { bootstrap });
        }
        let open = Time::ZERO + Span::from_millis(200) * supernodes + Span::from_secs(30);
        let arrivals = Span::from_millis(2) * leaves.max(5000);
        for leaf in 0..leaves {
            let node = NodeIndex(first.0 + leaf);
            lab.set_links(node, links);
            let mut dice = dice(plan.seed, Purpose::Workload, node.0, 1);
            let at = open + Span::from_micros(dice.below(micros(arrivals)));
            let known: Vec<u32> = (0..4).map(|_| u32::try_from(dice.below(supernodes.into())).unwrap_or(0)).collect();
            lab.start_at(at, node, Operation::Join { bootstrap: names(&known) });
            for file in 0..plan.files {
                let share = share(leaf, file, plan.file_bytes);
                let content = share.proof.as_ref().map_or(0, content_of);
                let id = lab.add_share(node, share, content);
                lab.start_at(at + Span::from_secs(20), node, Operation::Publish { share: id });
            }
        }
        gauge.run_until("join", &mut lab, open + arrivals + SETTLE);
        let town = Self { lab, plan: plan.clone() };
        let homeless = (0..leaves).filter(|leaf| !town.is_at_home(*leaf)).count();
        let linked = (0..supernodes).filter(|node| town.node(NodeIndex(*node)).is_some_and(hexad_kazaa::Node::is_supernode)).count();
        if homeless > 0 || linked < supernodes as usize {
            return Err(format!("{homeless} of {leaves} leaves have no supernode, and {linked} of {supernodes} supernodes are such"));
        }
        Ok(town)
    }

    /// Whether a leaf has a supernode that is alive.
    pub(super) fn is_at_home(&self, number: u32) -> bool {
        self.node(self.leaf(number)).is_some_and(|node| is_at_home(&self.lab, node))
    }

    pub(super) fn node(&self, node: NodeIndex) -> Option<&hexad_kazaa::Node<u32>> {
        self.lab.node(node)
    }

    pub(super) fn leaf(&self, number: u32) -> NodeIndex {
        NodeIndex(self.plan.supernodes.max(1) + number)
    }

    /// Has somebody look for a file of somebody else; returns who looks, and for whose.
    pub(super) fn search_somebodys(&mut self, number: u64, alive: impl Fn(NodeIndex) -> bool) -> (NodeIndex, OpId) {
        let mut dice = dice(self.plan.seed, Purpose::Workload, 0, 1_000_000 + number);
        let leaves = u64::from(self.plan.leaves);
        let mut pick = || loop {
            let leaf = u32::try_from(dice.below(leaves)).unwrap_or(0);
            if alive(self.leaf(leaf)) {
                return leaf;
            }
        };
        let (asker, owner) = (pick(), pick());
        let owner = if owner == asker { (owner + 1) % self.plan.leaves } else { owner };
        let file = dice.below(self.plan.files.max(1));
        let node = self.leaf(asker);
        let query = Query::Words { words: vec![word(owner, file)], wanted: 10 };
        (node, self.lab.start(node, Operation::Search { query }))
    }

    /// Whether a search has found something.
    pub(super) fn has_found(&self, (node, op): (NodeIndex, OpId)) -> bool {
        self.lab.reports(node).iter().any(|report| report.op == op && matches!(report.progress, Progress::Hit(_)))
    }

    /// When a search has found something first, since `began`.
    pub(super) fn found_after(&self, (node, op): (NodeIndex, OpId), began: Time) -> Option<Span> {
        let hit = self.lab.reports(node).iter().find(|report| report.op == op && matches!(report.progress, Progress::Hit(_)));
        hit.map(|report| report.at.since(began))
    }
}

/// Whether a node is a supernode, or has one that is alive and is one: not what it takes for true, but what is.
pub(super) fn is_at_home(lab: &Lab<Kazaa<u32>>, node: &hexad_kazaa::Node<u32>) -> bool {
    let there = |parent: &u32| lab.node(NodeIndex(*parent)).is_some_and(hexad_kazaa::Node::is_supernode);
    node.is_supernode() || node.parents().any(there)
}

fn names(nodes: &[u32]) -> Vec<Endpoint> {
    nodes.iter().map(|&node| Endpoint::of_lab_node(node)).collect()
}
