//! The world of virtual time.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use hexad_content::{Digest, FileEntry, Layout, Ranges, Sha1Digest, Sha256Digest, TreeProof, sha1_lanes};
use hexad_core::{
    Abilities, Address as _, Endpoint, Hit, Level, Map, OpId, Operation, Output, Progress, Query, ShareId, Source, Span, Time,
};
use hexad_lab::{Death, FetchIds, FetchPlan, Lab, LabConfig, Links, NodeIndex, State, Watched, content_of};

use crate::adapter::Adapter;
use crate::world::{Fetching, Folder, Outcome, Peer, Published, World};

/// How long a scenario waits for anything, in the lab's time.
const PATIENCE: Span = Span::from_secs(600);
/// So that a fetch takes a while.
const UP_BYTES_PER_S: u64 = 2 << 20;

/// A lab in which scenarios play.
pub struct LabWorld<N: Adapter> {
    inner: Shared<N>,
}

type Shared<N> = Rc<RefCell<Inner<N>>>;

struct Inner<N: Adapter> {
    lab: Lab<N>,
    joined: Vec<Endpoint>,
    /// What each peer has published.
    shares: Map<NodeIndex, Vec<(ShareId, u64)>>,
    bans: Rc<RefCell<Map<u32, u64>>>,
}

impl<N: Adapter> LabWorld<N> {
    /// An empty world; `codec` says whether every message becomes bytes on its way.
    #[must_use]
    pub fn new(seed: u64, codec: bool) -> Self {
        let links = Links { up_bytes_per_s: Some(UP_BYTES_PER_S), down_bytes_per_s: None };
        let mut lab = Lab::<N>::new(LabConfig { seed, codec, links, ..LabConfig::default() });
        let bans = Rc::new(RefCell::new(Map::new()));
        let counted = bans.clone();
        lab.watch(move |_, node, watched| {
            if let Watched::Said(Output::Note(note)) = watched
                && note.level == Level::Ban
            {
                *counted.borrow_mut().entry(node).or_insert(0) += 1;
            }
        });
        Self { inner: Rc::new(RefCell::new(Inner { lab, joined: Vec::new(), shares: Map::new(), bans })) }
    }

    /// Messages that were read as something else than what was sent (codec on).
    #[must_use]
    pub fn codec_differences(&self) -> u64 {
        let inner = self.inner.borrow();
        let tally = inner.lab.tally();
        tally.codec_differences + tally.malformed
    }
}

impl<N: Adapter> Inner<N> {
    /// Waits for something; says what in vain.
    fn wait(&mut self, what: &str, done: impl Fn(&Lab<N>) -> bool) {
        let deadline = self.lab.now() + PATIENCE;
        if !self.lab.run_while(|lab| !done(lab), deadline) {
            for node in 0..self.lab.node_count() {
                eprintln!("node {node} at {}: {:?}", self.lab.now(), self.lab.reports(NodeIndex(node)));
            }
            eprintln!("{:?}", self.lab.tally());
            panic!("waited {} s of the lab's time in vain for {what}", PATIENCE.as_secs());
        }
    }

    fn await_done(&mut self, node: NodeIndex, op: OpId, what: &str) {
        self.wait(what, |lab| lab.outcome(node, op).is_some());
        let outcome = self.lab.outcome(node, op).map(|report| report.progress.clone());
        assert!(matches!(outcome, Some(Progress::Done)), "{what}: {outcome:?}");
    }

    fn join(&mut self, node: NodeIndex) {
        let others: Vec<Endpoint> = self.joined.iter().filter(|other| other.lab_node() != Some(node.0)).cloned().collect();
        let op = self.lab.start(node, N::join(&others));
        self.await_done(node, op, "a peer to join");
        // What was learnt of the others has to settle.
        self.lab.run_for(Span::from_secs(5));
    }
}

impl<N: Adapter> World for LabWorld<N> {
    type Peer = LabPeer<N>;

    fn abilities(&self) -> Abilities {
        N::ABILITIES
    }

    fn joined<const COUNT: usize>(&mut self) -> [LabPeer<N>; COUNT] {
        std::array::from_fn(|_| {
            let inner = &mut *self.inner.borrow_mut();
            let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 6881));
            if inner.lab.node_count() == 0
                && let Some(centre) = N::centre(listen)
            {
                let node = inner.lab.add_node(centre.config);
                let op = inner.lab.start(node, centre.operation);
                inner.await_done(node, op, "the centre to be ready");
                inner.joined.push(Endpoint::of_lab_node(node.0));
            }
            let node = inner.lab.add_node(N::config(listen));
            inner.join(node);
            inner.joined.push(Endpoint::of_lab_node(node.0));
            LabPeer { inner: self.inner.clone(), node }
        })
    }
}

/// A machine of the lab.
pub struct LabPeer<N: Adapter> {
    inner: Shared<N>,
    node: NodeIndex,
}

impl<N: Adapter> Clone for LabPeer<N> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), node: self.node }
    }
}

/// Digests that stand for those of real bytes.
fn pretended(layout: &Layout, piece_bytes: u64) -> Vec<Sha1Digest> {
    let pieces = layout.total_bytes().div_ceil(piece_bytes);
    (0..pieces).map(|piece| sha1_lanes::sha1_one(format!("{} {} {piece}", layout.name(), layout.total_bytes()).as_bytes())).collect()
}

/// Trees whose leaves stand for those of real bytes.
fn pretended_trees(layout: &Layout, piece_bytes: u64) -> Vec<TreeProof> {
    let files = layout.files().iter().enumerate().filter(|(_, file)| !file.padding && file.length > 0);
    let tree = |(index, file): (usize, &FileEntry)| {
        let hash = |part: u64| {
            let short = sha1_lanes::sha1_one(format!("{} {index} {part} {}", layout.name(), file.length).as_bytes());
            Sha256Digest(std::array::from_fn(|at| short.0[at % 20]))
        };
        let hashes: Vec<_> = (0..file.length.div_ceil(piece_bytes)).map(hash).collect();
        TreeProof::of_layer(file.length, piece_bytes, hashes).expect("as many hashes as parts")
    };
    files.map(tree).collect()
}

fn share_of<N: Adapter>(folder: &Folder) -> (hexad_core::Share, u64) {
    let piece_bytes = N::piece_bytes(folder.bytes());
    let trees = |layout: &Layout| pretended_trees(layout, piece_bytes);
    let share = N::share_by_trees(&folder.layout, &trees);
    let share = share.unwrap_or_else(|| N::share(&folder.layout, pretended(&folder.layout, piece_bytes)));
    let content = share.proof.as_ref().map_or(0, content_of);
    (share, content)
}

impl<N: Adapter> Peer for LabPeer<N> {
    type Fetch = LabFetch<N>;

    fn publish(&self, folder: &Folder) -> Published {
        let inner = &mut *self.inner.borrow_mut();
        let (share, content) = share_of::<N>(folder);
        let published = Published { digest: N::digest(&share), source: N::source(&share, vec![Endpoint::of_lab_node(self.node.0)]) };
        let id = inner.lab.add_share(self.node, share, content);
        inner.shares.entry(self.node).or_default().push((id, folder.bytes()));
        let op = inner.lab.start(self.node, Operation::Publish { share: id });
        inner.await_done(self.node, op, "a publish to be in effect");
        inner.lab.run_for(Span::from_secs(5));
        published
    }

    fn search(&self, digest: Digest) -> Vec<Hit> {
        let inner = &mut *self.inner.borrow_mut();
        let op = inner.lab.start(self.node, Operation::Search { query: Query::Digest { digest, wanted: 10 } });
        inner.wait("a search to end", |lab| lab.outcome(self.node, op).is_some());
        let hit = |report: &hexad_lab::Report<_>| match &report.progress {
            Progress::Hit(hit) if report.op == op => Some((**hit).clone()),
            _ => None,
        };
        inner.lab.reports(self.node).iter().filter_map(hit).collect()
    }

    fn fetch(&self, folder: &Folder, source: &Source) -> LabFetch<N> {
        let content = share_of::<N>(folder).1;
        let ids = self.inner.borrow_mut().lab.fetch(self.node, FetchPlan { source: source.clone(), content, seed: true });
        LabFetch { peer: self.clone(), ids, content, bytes: folder.bytes() }
    }

    fn dies(&self) {
        self.inner.borrow_mut().lab.kill(self.node, Death::Crash);
    }

    fn restarts(&self) {
        let inner = &mut *self.inner.borrow_mut();
        inner.lab.restart(self.node, State::Kept);
        inner.join(self.node);
    }

    fn gives_only(&self, _: u64) {}

    fn gives_all(&self) {}

    fn lies(&self) {
        let inner = &mut *self.inner.borrow_mut();
        for (share, bytes) in inner.shares.get(&self.node).cloned().unwrap_or_default() {
            inner.lab.lie(self.node, share, Ranges::of(0..bytes));
        }
    }

    fn lies_told(&self) -> u64 {
        self.inner.borrow().lab.fired().lied
    }

    fn bans(&self) {
        let inner = &mut *self.inner.borrow_mut();
        let bans = Rc::clone(&inner.bans);
        inner.wait("somebody to be banned", |_| bans.borrow().get(&self.node.0).is_some_and(|&banned| banned > 0));
    }

    fn banned(&self) -> u64 {
        let inner = self.inner.borrow();
        let bans = inner.bans.borrow();
        bans.get(&self.node.0).copied().unwrap_or(0)
    }

    fn taken_bytes(&self) -> u64 {
        self.inner.borrow().lab.traffic(self.node).received_share_bytes
    }

    fn downloads(&self) -> usize {
        self.inner.borrow().lab.downloads(self.node)
    }
}

/// A fetch in the lab.
pub struct LabFetch<N: Adapter> {
    peer: LabPeer<N>,
    ids: FetchIds,
    content: u64,
    bytes: u64,
}

impl<N: Adapter> LabFetch<N> {
    fn held(&self, lab: &Lab<N>) -> u64 {
        lab.on_disk(self.peer.node, self.content).map_or(0, Ranges::total)
    }
}

impl<N: Adapter> Fetching for LabFetch<N> {
    fn reaches(&self, bytes: u64) {
        let inner = &mut *self.peer.inner.borrow_mut();
        inner.wait("a fetch to get on", |lab| self.held(lab) >= bytes);
    }

    fn ends(&self) -> Outcome {
        let inner = &mut *self.peer.inner.borrow_mut();
        let node = self.peer.node;
        inner.wait("a fetch to end", |lab| match lab.outcome(node, self.ids.op).map(|report| &report.progress) {
            Some(Progress::Done) => lab.completed_at(node, self.ids).is_some(),
            Some(_) => true,
            None => false,
        });
        match inner.lab.outcome(node, self.ids.op).map(|report| report.progress.clone()) {
            Some(Progress::Done) => Outcome::Complete,
            Some(Progress::Failed(failure)) => Outcome::Failed(failure.to_string()),
            other => panic!("a fetch that nobody cancelled has ended with {other:?}"),
        }
    }

    fn cancel(&self) {
        let inner = &mut *self.peer.inner.borrow_mut();
        let node = self.peer.node;
        inner.lab.cancel(node, self.ids.op);
        inner.wait("a cancel to be confirmed", |lab| lab.outcome(node, self.ids.op).is_some());
        let outcome = inner.lab.outcome(node, self.ids.op).map(|report| report.progress.clone());
        assert!(matches!(outcome, Some(Progress::Ended)), "a cancelled fetch has ended with {outcome:?}");
    }

    fn verified_bytes(&self) -> u64 {
        let inner = self.peer.inner.borrow();
        self.held(&inner.lab)
    }

    fn is_whole(&self) -> bool {
        let inner = self.peer.inner.borrow();
        let held = inner.lab.held(self.peer.node, self.ids.share);
        // Padding is nobody's.
        held.is_some_and(|held| held.total() == self.bytes)
            && inner.lab.completed_at(self.peer.node, self.ids).is_some_and(|at| at > Time::ZERO)
    }
}
