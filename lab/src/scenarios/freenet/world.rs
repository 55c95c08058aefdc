//! Worlds in which somebody inserts or asks for something at random, step by step, and what can be seen of them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hexad_core::{Bind, OpId, Operation, Output, Payload, Progress, Set, Span, Token};
use hexad_freenet::keys::{Block, Location, NodeKey};
use hexad_freenet::{Config, Freenet, Reply, Request, Settings, doors};

use crate::fit::median;
use crate::{Lab, LabConfig, Latency, NodeIndex, Purpose, dice};

pub(super) type FreenetLab = Lab<Freenet<u32>>;

/// Bytes that a block stands for.
const BLOCK_BYTES: u64 = 32 << 10;
/// Nothing takes longer than this; walks have shorter deadlines.
const PATIENCE: Span = Span::from_secs(700);

/// The most that the shipping node gives a walk to live, which is then what a probe may take too.
pub(super) const SHIPPING_HTL: u16 = 18;

/// The node that the daemon runs, with as much room as that of the paper.
pub(super) fn shipping() -> Settings {
    Settings { on_disk: false, store_blocks: 25, cache_blocks: 25, listen: None, ..Settings::default() }
}

/// Neighbours of the shipping node that were met have to be greeted.
pub(super) const GREETING: Span = Span::from_secs(5);

/// How far it was to keys, by some probes.
pub(super) struct Ways {
    /// In hops, of the median probe.
    pub(super) median: f64,
    /// The same, on average.
    pub(super) mean: f64,
    /// The share of probes that met nothing.
    pub(super) lost: f64,
}

/// Steps from one measurement to the next: the first comes after a hundred, the others after multiples of `every`, the last at the end.
pub(super) fn stretches(steps: u64, every: u64) -> impl Iterator<Item = Range<u64>> {
    let next = move |before: &Range<u64>| {
        let done = before.end;
        (done < steps).then(|| done..(done / every * every + every).min(steps))
    };
    std::iter::successors((steps > 0).then(|| 0..steps.min(100)), next)
}

/// A network, and what has been inserted into it.
pub(super) struct Net {
    pub(super) lab: FreenetLab,
    pub(super) keys: Vec<NodeKey>,
    pub(super) seed: u64,
    pub(super) nodes: u32,
    config: Config,
    turn: u64,
}

/// The item of a number, as a token.
pub(super) fn item(seed: u64, number: u64) -> Block {
    let mut dice = dice(seed, Purpose::Workload, 1, number);
    let key = NodeKey::Chk(dice.bytes());
    Block { key, header: Bytes::new(), data: Payload::Token(Token { content: key.number(), range: 0..BLOCK_BYTES, honest: true }) }
}

fn place(seed: u64, node: u32) -> Location {
    Location(dice(seed, Purpose::Topology, node, 0).bits())
}

fn listening(listen: &mut hexad_core::Outbox<hexad_freenet::Node<u32>>) {
    listen.push(Output::Listen(doors::NETWORK, Bind::Quic(std::net::SocketAddr::from(([0, 0, 0, 0], 6881)))));
}

impl Net {
    /// Nodes in a ring, each knowing two on either side.
    pub(super) fn ring(nodes: u32, seed: u64, threads: usize, settings: Settings) -> Self {
        let mut net = Self::empty(seed, threads, settings);
        net.lab.add_nodes(nodes, net.config.clone());
        net.nodes = nodes;
        for node in 0..nodes {
            let others = [1, 2, nodes - 1, nodes - 2].map(|step| (node + step) % nodes);
            net.stand(node, &others);
        }
        net
    }

    /// Nodes at even distances on the circle, each knowing those that `known` says.
    pub(super) fn circle(nodes: u32, seed: u64, threads: usize, settings: Settings, known: impl Fn(u32) -> Vec<u32>) -> Self {
        let mut net = Self::empty(seed, threads, settings);
        net.lab.add_nodes(nodes, net.config.clone());
        net.nodes = nodes;
        let place = |node: u32| Location(u64::MAX / u64::from(nodes) * u64::from(node));
        for node in 0..nodes {
            let learned: Vec<_> = known(node).into_iter().map(|other| (place(other), other)).collect();
            net.lab.touch(NodeIndex(node), |node_of, _, out| {
                node_of.stand(node, place(node), learned);
                listening(out);
            });
        }
        net
    }

    /// Nodes at random places that know nobody.
    pub(super) fn scattered(nodes: u32, seed: u64, threads: usize, settings: Settings) -> Self {
        let mut net = Self::empty(seed, threads, settings);
        net.lab.add_nodes(nodes, net.config.clone());
        net.nodes = nodes;
        for node in 0..nodes {
            net.stand(node, &[]);
        }
        net
    }

    /// No node yet.
    pub(super) fn empty(seed: u64, threads: usize, settings: Settings) -> Self {
        let latency = Latency::constant(Span::from_millis(1));
        let lab = Lab::new(LabConfig { seed, threads, latency, ..LabConfig::default() });
        Self { lab, keys: Vec::new(), seed, nodes: 0, config: Config(Arc::new(settings)), turn: 0 }
    }

    fn stand(&mut self, node: u32, others: &[u32]) {
        let learned: Vec<_> = others.iter().map(|&other| (place(self.seed, other), other)).collect();
        let location = place(self.seed, node);
        self.lab.touch(NodeIndex(node), |node_of, _, out| {
            node_of.stand(node, location, learned);
            listening(out);
        });
    }

    /// One more node, which announces itself to some that are there.
    pub(super) fn arrive(&mut self) {
        let node = self.lab.add_node(self.config.clone()).0;
        self.nodes = node + 1;
        self.lab.touch(NodeIndex(node), |node_of, _, out| {
            node_of.is_at(node);
            listening(out);
        });
        let mut dice = dice(self.seed, Purpose::Churn, node, 0);
        let count = if node == 0 { 0 } else { 3.min(node) };
        let mut known = Set::new();
        while (known.len() as u32) < count {
            known.insert(u32::try_from(dice.below(node.into())).unwrap_or(0));
        }
        let bootstrap = known.into_iter().map(hexad_core::Address::of_lab_node).collect();
        self.perform(&[(node, Operation::Join { bootstrap })]);
    }

    /// A number of steps: at each somebody inserts something or asks for something that was inserted, at random.
    pub(super) fn live(&mut self, steps: u64, htl: u16) {
        for _ in 0..steps {
            self.turn += 1;
            let mut dice = dice(self.seed, Purpose::Workload, 2, self.turn);
            let who = u32::try_from(dice.below(self.nodes.into())).unwrap_or(0);
            let inserts = self.keys.is_empty() || dice.chance(1, 2);
            if inserts {
                self.insert(who, htl);
            } else {
                let key = self.keys[dice.index(self.keys.len()).unwrap_or(0)];
                self.perform(&[(who, Operation::Own(Request::GetBlock(key, htl)))]);
            }
        }
    }

    /// Inserts something fresh at a node; returns its key.
    pub(super) fn insert(&mut self, who: u32, htl: u16) -> NodeKey {
        let block = item(self.seed, self.keys.len() as u64);
        let key = block.key;
        self.keys.push(key);
        self.perform(&[(who, Operation::Own(Request::PutBlock(Box::new(block), htl)))]);
        key
    }

    /// Starts operations and lets time pass until all of them have ended; how they did.
    pub(super) fn perform(&mut self, operations: &[(u32, Operation<Request>)]) -> Vec<Option<Reply>> {
        let begun: Vec<(NodeIndex, OpId)> =
            operations.iter().map(|(node, operation)| (NodeIndex(*node), self.lab.start(NodeIndex(*node), operation.clone()))).collect();
        let deadline = self.lab.now() + PATIENCE;
        let mut open = 0;
        self.lab.run_while(
            |lab| {
                // Those before have ended and are not looked at again.
                while open < begun.len() && lab.outcome(begun[open].0, begun[open].1).is_some() {
                    open += 1;
                }
                open < begun.len()
            },
            deadline,
        );
        let reply = |(node, op): &(NodeIndex, OpId)| {
            self.lab.reports(*node).iter().rev().find_map(|report| match &report.progress {
                Progress::Own(reply) if report.op == *op => Some(reply.clone()),
                _ => None,
            })
        };
        begun.iter().map(reply).collect()
    }

    /// Probes: hops to keys from nodes that are alive, `htl` where a key is not met. Nobody learns by them.
    pub(super) fn probe(&mut self, count: u64, htl: u16, alive: &dyn Fn(u32) -> bool) -> Vec<f64> {
        self.turn += 1;
        let mut dice = dice(self.seed, Purpose::Workload, 3, self.turn);
        let mut operations = Vec::new();
        while (operations.len() as u64) < count {
            let who = u32::try_from(dice.below(self.nodes.into())).unwrap_or(0);
            let key = self.keys[dice.index(self.keys.len()).unwrap_or(0)];
            if alive(who) {
                operations.push((who, Operation::Own(Request::Probe(key, htl))));
            }
        }
        let hops = |reply: &Option<Reply>| match reply {
            Some(Reply::Hops(hops)) => f64::from(*hops),
            _ => f64::from(htl),
        };
        self.perform(&operations).iter().map(hops).collect()
    }

    /// How far it is to keys from anywhere, by so many probes.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn ways(&mut self, probes: u64, htl: u16) -> Ways {
        let hops = self.probe(probes, htl, &|_| true);
        let lost = hops.iter().filter(|hops| **hops >= f64::from(htl)).count() as f64 / probes as f64;
        Ways { median: median(&hops), mean: mean(&hops), lost }
    }

    /// How many live nodes hold a key.
    pub(super) fn copies(&self, key: &NodeKey) -> u32 {
        let holds = |node: &u32| self.lab.node(NodeIndex(*node)).is_some_and(|node| node.store().holds(key));
        u32::try_from((0..self.nodes).filter(holds).count()).unwrap_or(u32::MAX)
    }

    /// Whom each node knows.
    pub(super) fn neighbours(&self) -> Vec<Set<u32>> {
        let of = |node: u32| {
            let node_of = self.lab.node(NodeIndex(node));
            node_of.map_or_else(Set::new, |of| of.table().iter().map(|(_, addr)| *addr).filter(|addr| *addr != node).collect())
        };
        (0..self.nodes).map(of).collect()
    }
}

/// The mean of some figures.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn mean(figures: &[f64]) -> f64 {
    if figures.is_empty() { 0.0 } else { figures.iter().sum::<f64>() / figures.len() as f64 }
}

/// How likely two who know a third know each other, over all pairs at all nodes, links taken both ways.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn clustering(graph: &[Set<u32>]) -> f64 {
    let mut both: Vec<Set<u32>> = graph.to_vec();
    for (node, others) in graph.iter().enumerate() {
        for &other in others {
            both[other as usize].insert(u32::try_from(node).unwrap_or(0));
        }
    }
    let mut each = Vec::new();
    for others in &both {
        let others: Vec<u32> = others.iter().copied().collect();
        if others.len() < 2 {
            continue;
        }
        let pairs = others.len() * (others.len() - 1) / 2;
        let linked: usize =
            others.iter().enumerate().map(|(at, a)| others[at + 1..].iter().filter(|b| both[*a as usize].contains(b)).count()).sum();
        each.push(linked as f64 / pairs as f64);
    }
    mean(&each)
}
