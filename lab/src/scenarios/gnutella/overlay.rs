//! Overlays of equals whose links are given: who is whose neighbour, and the nodes that flood among them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, Layout, Proof, Ranges, Sha1Digest};
use hexad_core::{Address as _, Endpoint, OpId, Operation, Progress, Query, Share, Span, Time};
use hexad_gnutella::{Config, Gnutella, Mode, Request, Settings, Strategy};

use crate::gauge::Gauge;
use crate::outcome::Outcome;
use crate::scenario::Params;
use crate::{Death, Lab, LabConfig, Latency, NodeIndex, Purpose, dice};

/// How long a message travels: the same everywhere, so that a flood reaches nodes in the order of their distance.
pub(super) const HOP: Span = Span::from_millis(50);
/// Where all nodes listen.
const PORT: u16 = 6881;
/// The largest number of hops that fits the header.
pub(super) const TTL_MAX: u8 = 250;

/// Links of every node.
pub(super) type Graph = Vec<Vec<u32>>;

/// A random graph in which every node has `degree` links.
pub(super) fn regular(nodes: u32, degree: u32, seed: u64) -> Graph {
    let mut dice = dice(seed, Purpose::Topology, 0, 0);
    let mut stubs: Vec<u32> = (0..nodes).flat_map(|node| (0..degree).map(move |_| node)).collect();
    if stubs.len() % 2 == 1 {
        stubs.pop();
    }
    dice.shuffle(&mut stubs);
    let mut graph: Graph = vec![Vec::new(); nodes as usize];
    let mut pairs: Vec<(u32, u32)> = stubs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    // A pair that is no link, or one that is there already, swaps ends with another pair until all are links.
    let mut waiting: VecDeque<usize> = (0..pairs.len()).collect();
    let mut placed: Vec<usize> = Vec::with_capacity(pairs.len());
    while let Some(number) = waiting.pop_front() {
        let (a, b) = pairs[number];
        if a != b && !graph[a as usize].contains(&b) {
            graph[a as usize].push(b);
            graph[b as usize].push(a);
            placed.push(number);
            continue;
        }
        let Some(place) = dice.index(placed.len()) else {
            waiting.push_back(number);
            continue;
        };
        let other = placed.swap_remove(place);
        let (c, d) = pairs[other];
        graph[c as usize].retain(|end| *end != d);
        graph[d as usize].retain(|end| *end != c);
        (pairs[number], pairs[other]) = ((a, d), (c, b));
        waiting.push_back(number);
        waiting.push_back(other);
    }
    graph
}

/// A graph that grew: each newcomer takes two links (one in three takes only one), to whoever has many already (Barabási and Albert 1999).
pub(super) fn grown(nodes: u32, two_of_ten: u64, seed: u64) -> Graph {
    let mut dice = dice(seed, Purpose::Topology, 0, 1);
    let mut graph: Graph = vec![Vec::new(); nodes as usize];
    let mut ends: Vec<u32> = vec![0, 1];
    graph[0].push(1);
    graph[1].push(0);
    for node in 2..nodes {
        let wanted = if dice.chance(two_of_ten, 10) { 2 } else { 1 };
        while graph[node as usize].len() < wanted {
            let other = ends[dice.index(ends.len()).unwrap_or(0)];
            if !graph[node as usize].contains(&other) {
                graph[node as usize].push(other);
            }
        }
        for other in graph[node as usize].clone() {
            graph[other as usize].push(node);
            ends.extend([node, other]);
        }
    }
    graph
}

/// A graph whose degrees follow a power law with that exponent, linked at random.
pub(super) fn power_law(nodes: u32, exponent: f64, seed: u64) -> Graph {
    let mut dice = dice(seed, Purpose::Topology, 0, 2);
    let most = (nodes / 20).max(2);
    let weights: Vec<f64> = (1..=most).map(|degree| f64::from(degree).powf(-exponent)).collect();
    let all: f64 = weights.iter().sum();
    let mut stubs = Vec::new();
    for node in 0..nodes {
        let mut left = dice.unit() * all;
        let degree = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        stubs.extend(std::iter::repeat_n(node, degree.unwrap_or(0) + 1));
    }
    dice.shuffle(&mut stubs);
    let mut graph: Graph = vec![Vec::new(); nodes as usize];
    for pair in stubs.chunks_exact(2) {
        let (a, b) = (pair[0], pair[1]);
        if a != b && !graph[a as usize].contains(&b) {
            graph[a as usize].push(b);
            graph[b as usize].push(a);
        }
    }
    graph
}

/// Mean number of links.
pub(super) fn mean_degree(graph: &Graph) -> f64 {
    float(graph.iter().map(Vec::len).sum::<usize>()) / float(graph.len())
}

/// What a flood does on paper: copies sent, and nodes reached, the first one not counted.
pub(super) fn on_paper(graph: &Graph, origin: u32, ttl: u8) -> (u64, u64) {
    let mut first_from = vec![u32::MAX; graph.len()];
    first_from[origin as usize] = origin;
    let (mut messages, mut reached) = (0, 0);
    let mut front = vec![origin];
    for _ in 0..ttl {
        let mut next = Vec::new();
        for &node in &front {
            let sender = first_from[node as usize];
            for &other in graph[node as usize].iter().filter(|&&other| node == origin || other != sender) {
                messages += 1;
                if first_from[other as usize] == u32::MAX {
                    first_from[other as usize] = node;
                    reached += 1;
                    next.push(other);
                }
            }
        }
        front = next;
    }
    (messages, reached)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn float(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

/// How a world is made.
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) threads: usize,
    pub(super) codec: bool,
    pub(super) stop_at_answer: bool,
}

impl Plan {
    pub(super) fn of(params: &Params) -> Self {
        Self { seed: params.seed(), threads: params.threads, codec: params.switch("codec"), stop_at_answer: false }
    }
}

/// Equals that are linked.
pub(super) struct Overlay {
    pub(super) lab: Lab<Gnutella>,
    pub(super) graph: Graph,
    /// Queries that nodes had heard before the last search.
    heard: u64,
    searches: u64,
}

/// What one search came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Searched {
    /// Query messages delivered.
    pub(super) messages: u64,
    /// Nodes that have heard it.
    pub(super) reached: u64,
    /// How long each hit took, in hops of the way there and back.
    pub(super) hits: Vec<f64>,
}

impl Overlay {
    /// A world with these links.
    pub(super) fn new(plan: &Plan, graph: Graph, gauge: &mut Gauge<'_>) -> Result<Self, String> {
        let config = LabConfig {
            seed: plan.seed,
            codec: plan.codec,
            threads: plan.threads,
            latency: Latency::constant(HOP),
            // A hub of a large world may have much to say at once; what is measured are messages, not queues.
            queue_mark_bytes: 64 << 20,
            queue_bytes_max: 256 << 20,
            ..LabConfig::default()
        };
        let mut lab = Lab::<Gnutella>::new(config);
        let never = Span::from_secs(1_000_000);
        let settings = Settings {
            mode: Mode::Flat,
            listen: Some(SocketAddr::from(([0, 0, 0, 0], PORT))),
            datagrams: false,
            flat_links: 0,
            flat_links_max: usize::MAX,
            balance: false,
            discover: false,
            deflate: false,
            ttl_max: TTL_MAX,
            stop_at_answer: plan.stop_at_answer,
            search_deadline: Span::from_secs(3600),
            handshake_deadline: Span::from_secs(600),
            join_deadline: Span::from_secs(600),
            tick: never,
            ping_every: never,
            routes_max: 24,
            routes_life: never,
            link_queries_per_s: 0,
            strangers_max: usize::MAX,
            ..Settings::default()
        };
        let nodes = u32::try_from(graph.len()).map_err(|_| "too many nodes")?;
        lab.add_nodes(nodes, Config::from(settings));
        let mut joins = Vec::new();
        for (node, links) in (0..nodes).zip(&graph) {
            // Of two neighbours the one of the lower number dials.
            let bootstrap: Vec<Endpoint> = links.iter().filter(|&&other| other > node).map(|&other| Endpoint::of_lab_node(other)).collect();
            joins.push((bootstrap.is_empty(), bootstrap));
        }
        // Whoever is dialled has to listen: everybody opens the door first.
        for (node, (_, bootstrap)) in (0..nodes).zip(joins) {
            lab.start(NodeIndex(node), Operation::Join { bootstrap: Vec::new() });
            for at in bootstrap {
                lab.start_at(Time::ZERO + Span::from_secs(1), NodeIndex(node), Operation::Own(Request::Connect(at)));
            }
        }
        gauge.run_until("link", &mut lab, Time::ZERO + Span::from_secs(3));
        let mut overlay = Self { lab, graph, heard: 0, searches: 0 };
        let linked: usize = (0..nodes).filter_map(|node| overlay.lab.node(NodeIndex(node))).map(|node| node.status().flats).sum();
        let wanted: usize = overlay.graph.iter().map(Vec::len).sum();
        if linked != wanted {
            return Err(format!("{linked} ends of links are up, and {wanted} ought to be: {:?}", overlay.lab.tally().notes()));
        }
        overlay.heard = overlay.heard_now();
        Ok(overlay)
    }

    fn nodes(&self) -> u32 {
        self.lab.node_count()
    }

    fn heard_now(&self) -> u64 {
        (0..self.nodes()).filter_map(|node| self.lab.node(NodeIndex(node))).map(|node| node.counts().queries).sum()
    }

    /// A node at random, the same for the same number.
    pub(super) fn somebody(&self, seed: u64, number: u64) -> u32 {
        let mut dice = dice(seed, Purpose::Workload, 0, number);
        u32::try_from(dice.below(self.nodes().into())).unwrap_or(0)
    }

    /// Searches from a node for a word, and waits until nothing of it is under way any more.
    pub(super) fn search(&mut self, origin: u32, word: &str, strategy: Strategy, ttl: u8, wanted: usize, hops: u64) -> Searched {
        let before = self.lab.tally().of("query").messages;
        let began = self.lab.now();
        self.searches += 1;
        let query = Query::Words { words: vec![word.to_owned()], wanted };
        let node = NodeIndex(origin);
        let op = self.lab.start(node, Operation::Own(Request::Search { query, strategy, ttl }));
        let hop_count = u32::try_from(hops).unwrap_or(u32::MAX);
        self.lab.run_for(HOP * hop_count.saturating_add(1));
        let hits = self.hits(node, op, began);
        if !self.lab.is_done(node, op) {
            self.lab.cancel(node, op);
            self.lab.run_for(Span::from_millis(1));
        }
        let heard = self.heard_now();
        let reached = heard - std::mem::replace(&mut self.heard, heard);
        Searched { messages: self.lab.tally().of("query").messages - before, reached, hits }
    }

    fn hits(&self, node: NodeIndex, op: OpId, began: Time) -> Vec<f64> {
        let reports = self.lab.reports(node).iter().filter(|report| report.op == op && matches!(report.progress, Progress::Hit(_)));
        reports.map(|report| report.at.since(began).as_secs_f64() / HOP.as_secs_f64()).collect()
    }

    /// Gives a file with that word in its name to some nodes. Returns to whom.
    pub(super) fn spread(&mut self, word: &str, copies: u32, seed: u64) -> Vec<u32> {
        let mut all: Vec<u32> = (0..self.nodes()).collect();
        let stream = word.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        dice(seed, Purpose::Workload, 1, stream).shuffle(&mut all);
        all.truncate(copies as usize);
        for &node in &all {
            let layout = Arc::new(Layout::single(format!("{word}.ogg"), 1 << 20).expect("a short file"));
            let hash = Sha1Digest([7; 20]);
            let digests: Digests = [Digest::TorrentV1(hash)].into_iter().collect();
            let proof = Some(Proof::V1Pieces { piece_bytes: 1 << 20, total_bytes: 1 << 20, hashes: [hash].as_slice().into() });
            let share = Share { layout, digests, proof, held: Ranges::of(0..1 << 20), torrent: Bytes::new() };
            let id = self.lab.add_share(NodeIndex(node), share, 1);
            self.lab.start(NodeIndex(node), Operation::Publish { share: id });
        }
        self.lab.run_for(Span::from_millis(1));
        all
    }

    /// Ends nodes; nobody puts other links in the place of theirs.
    pub(super) fn remove(&mut self, gone: &[u32]) {
        for &node in gone {
            self.lab.kill(NodeIndex(node), Death::Crash);
        }
        self.lab.run_for(Span::from_secs(2));
        self.heard = self.heard_now();
    }

    /// Adds the world to an outcome.
    pub(super) fn end(self, outcome: &mut Outcome) {
        outcome.absorb(&self.lab);
    }
}
