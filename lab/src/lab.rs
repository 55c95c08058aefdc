//! The lab: machines, the queue of events, and what a scenario does with them.

use std::cell::OnceCell;
use std::sync::Arc;

use hexad_content::Ranges;
use hexad_core::{Address, Answer, Context, HttpRequest, LeaseId, Network, OpId, Operation, Outbox, Progress, Share, ShareId, Span, Time};
use hexad_transfer::Engine;

use crate::config::{LabConfig, Links};
use crate::desk::{FetchIds, FetchPlan, Report};
use crate::dice::mix;
use crate::event::{Addr, Event, In, Out, Reply, Req, Step};
use crate::faults::{Death, Faults, Fired, State};
use crate::machine::Machine;
use crate::queue::{Key, OUTSIDE, Post};
use crate::shard::{Scene, Shard, exchange, run_apart, run_together};
use crate::tally::{Tally, Traffic};
use crate::world::World;

/// Which machine, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u32);

/// What a watcher sees of a node.
#[derive(Debug)]
pub enum Watched<'a, N: Network> {
    /// An input, before the node has it.
    Heard(&'a In<N>),
    /// What the node wants.
    Said(&'a Out<N>),
}

/// Sees every input and output of every node.
pub(crate) type Watcher<N> = dyn FnMut(Time, u32, Watched<'_, N>);

/// Says which outputs of a node take effect.
pub(crate) type Tamper<N> = dyn Fn(u32, &Out<N>) -> bool + Send + Sync;

/// Says what takes the place of an output of a node.
pub(crate) type Forge<N> = dyn Fn(u32, &Out<N>) -> Option<Out<N>> + Send + Sync;

/// More threads than this are of no use.
const THREADS_MAX: usize = 256;

/// How far [`Lab::run_while`] goes between two looks at its condition.
const LOOK: Span = Span::from_millis(20);

/// Nodes of one network in virtual time.
pub struct Lab<N: Network> {
    scene: Scene<N>,
    /// Node `i` lives in shard `i mod k`, at place `i / k`.
    shards: Vec<Shard<N>>,
    nodes: u32,
    now: Time,
    /// Of all shards, where there are several and somebody has asked.
    total: OnceCell<Tally>,
    watcher: Option<Box<Watcher<N>>>,
    /// Names the events that come from outside.
    outside: u32,
    /// The last number given to an operation, lease or share.
    last_id: u64,
}

impl<N: Network> Lab<N> {
    /// An empty world at time zero.
    #[must_use]
    pub fn new(config: LabConfig) -> Self {
        let shards = config.threads.clamp(1, THREADS_MAX);
        Self {
            scene: Scene { world: World::new(config), configs: Vec::new(), tamper: None, forge: None },
            shards: (0..shards).map(|number| Shard::new(number, shards)).collect(),
            nodes: 0,
            now: Time::ZERO,
            total: OnceCell::new(),
            watcher: None,
            outside: 0,
            last_id: 0,
        }
    }

    /// Adds a node that has joined nothing.
    pub fn add_node(&mut self, config: N::Config) -> NodeIndex {
        self.add_nodes(1, config)
    }

    /// Adds `count` nodes of one configuration; returns the first.
    pub fn add_nodes(&mut self, count: u32, config: N::Config) -> NodeIndex {
        let first = self.nodes;
        let made = u32::try_from(self.scene.configs.len()).expect("fewer than 2^32 configurations");
        self.scene.configs.push(config);
        let shards = self.shards.len();
        for shard in &mut self.shards {
            shard.reserve((count as usize).div_ceil(shards));
        }
        for index in first..first + count {
            let machine = Machine::new(index, made, &self.scene.configs[made as usize], self.scene.world.config.seed);
            self.shards[index as usize % shards].machines.push(machine);
        }
        self.nodes += count;
        NodeIndex(first)
    }

    /// How many nodes there are, dead ones included.
    #[must_use]
    pub fn node_count(&self) -> u32 {
        self.nodes
    }

    /// The address of a node, as its network writes it.
    #[must_use]
    pub fn address(&self, node: NodeIndex) -> Addr<N> {
        Addr::<N>::of_lab_node(node.0)
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// How the world was made.
    #[must_use]
    pub fn config(&self) -> &LabConfig {
        &self.scene.world.config
    }

    // What users do.

    /// Starts an operation at once. A `Fetch` should rather go through [`Self::fetch`], which plays the session's part.
    pub fn start(&mut self, node: NodeIndex, operation: Operation<Req<N>>) -> OpId {
        self.start_at(self.now, node, operation)
    }

    /// Starts an operation at a time that has not passed.
    pub fn start_at(&mut self, at: Time, node: NodeIndex, operation: Operation<Req<N>>) -> OpId {
        let op = OpId(self.fresh());
        self.happen(at, node, Event::Start { op, operation: Box::new(operation) });
        op
    }

    /// Takes an operation back.
    pub fn cancel(&mut self, node: NodeIndex, op: OpId) {
        self.happen(self.now, node, Event::Cancel { op });
    }

    /// Starts a fetch whose bytes go through the node's transfer engine: once it is described, all of it is lent to the node, and what has come
    /// is published under the fetch's share.
    pub fn fetch(&mut self, node: NodeIndex, plan: FetchPlan) -> FetchIds {
        self.fetch_at(self.now, node, plan)
    }

    /// As [`Self::fetch`], at a time that has not passed.
    pub fn fetch_at(&mut self, at: Time, node: NodeIndex, plan: FetchPlan) -> FetchIds {
        let ids =
            FetchIds { op: OpId(self.fresh()), lease: LeaseId(self.fresh()), share: ShareId(self.fresh()), publishing: OpId(self.fresh()) };
        let operation = Box::new(Operation::Fetch { source: plan.source.clone(), lease: ids.lease, share: ids.share });
        self.machine(node).desk_mut().expect(ids, plan);
        self.happen(at, node, Event::Start { op: ids.op, operation });
        ids
    }

    /// Gives a node a share. `content` is its number in tokens, see [`crate::content_of`]. Still to be published.
    pub fn add_share(&mut self, node: NodeIndex, share: Share, content: u64) -> ShareId {
        let id = ShareId(self.fresh());
        self.set_share(node, id, share, content);
        id
    }

    /// Puts a share in place of what had that number.
    pub fn set_share(&mut self, node: NodeIndex, id: ShareId, share: Share, content: u64) {
        self.machine(node).desk_mut().set_share(id, share, content);
    }

    // What the world does.

    /// Gives a node a link of its own; to be called before it has connections.
    pub fn set_links(&mut self, node: NodeIndex, links: Links) {
        let mark_bytes = self.scene.world.config.queue_mark_bytes;
        self.machine(node).set_links(links, mark_bytes);
    }

    /// Puts a node on the local network of a site: multicast stays there, and messages there take the shortest time.
    pub fn place(&mut self, node: NodeIndex, site: u32) {
        self.scene.world.place(node.0, site);
    }

    /// Gives a node a host name.
    pub fn name(&mut self, host: &str, node: NodeIndex) {
        self.scene.world.name(host.to_owned(), node.0);
    }

    /// Answers every HTTP request by `hook`: who asks, what, when.
    pub fn on_http(&mut self, hook: impl Fn(u32, &HttpRequest, Time) -> Answer + Send + Sync + 'static) {
        self.scene.world.http = Some(Arc::new(hook));
    }

    /// Puts faults in place of those before.
    pub fn set_faults(&mut self, faults: Faults) {
        self.scene.world.set_faults(faults);
    }

    /// Makes everything to and from a node take longer by `by`.
    pub fn set_slow(&mut self, node: NodeIndex, by: Span) {
        self.scene.world.set_slow(node.0, by);
    }

    /// Puts a node behind a network address translator: nobody can dial it, and datagrams come in only from whom it has sent one to lately.
    pub fn set_nat(&mut self, node: NodeIndex, behind: bool) {
        self.machine(node).set_nat(behind);
    }

    /// Lets only nodes of the same part reach each other; `part` is asked for every node.
    pub fn partition(&mut self, part: impl Fn(NodeIndex) -> u32) {
        let parts = (0..self.node_count()).map(|node| part(NodeIndex(node))).collect();
        self.scene.world.set_parts(Some(parts));
    }

    /// Ends a partition.
    pub fn heal(&mut self) {
        self.scene.world.set_parts(None);
    }

    /// Makes what a node sends of these ranges of a share wrong.
    pub fn lie(&mut self, node: NodeIndex, share: ShareId, ranges: Ranges) {
        self.machine(node).desk_mut().lie(share, ranges);
    }

    /// Makes nodes misbehave: an output of a node that `effective` does not let through never happens, and the node does not know.
    pub fn tamper(&mut self, effective: impl Fn(u32, &Out<N>) -> bool + Send + Sync + 'static) {
        self.scene.tamper = Some(Box::new(effective));
    }

    /// Makes nodes lie: what `forge` returns takes the place of an output, and the node does not know.
    pub fn forge(&mut self, forge: impl Fn(u32, &Out<N>) -> Option<Out<N>> + Send + Sync + 'static) {
        self.scene.forge = Some(Box::new(forge));
    }

    /// Lets nothing that one node says reach another; what the other says still comes.
    pub fn set_cut(&mut self, from: NodeIndex, to: NodeIndex, cut: bool) {
        self.scene.world.set_cut(from.0, to.0, cut);
    }

    /// Ends a node.
    pub fn kill(&mut self, node: NodeIndex, death: Death) {
        self.with(node, |machine, step| machine.die(death, step));
    }

    /// Brings a node back as a fresh process that has joined nothing.
    pub fn restart(&mut self, node: NodeIndex, state: State) {
        self.with(node, |machine, step| machine.restart(state, step));
    }

    // Time.

    /// Carries out all events up to and including `until`, which the time then is.
    pub fn run_until(&mut self, until: Time) {
        match (&mut self.shards[..], self.watcher.as_deref_mut()) {
            ([shard], watcher) => shard.run(until, &self.scene, watcher),
            // Who watches sees the world in order, which threads do not keep among nodes.
            (shards, Some(watcher)) => run_together(shards, until, &self.scene, watcher),
            (shards, None) => run_apart(shards, until, &self.scene),
        }
        self.now = self.now.max(until);
        self.total.take();
    }

    /// Lets `span` go by.
    pub fn run_for(&mut self, span: Span) {
        self.run_until(self.now + span);
    }

    /// Goes on while `condition` holds, looking every now and then, until `deadline` or until nothing will ever happen. Returns whether it ended
    /// because the condition no longer held.
    pub fn run_while(&mut self, mut condition: impl FnMut(&Self) -> bool, deadline: Time) -> bool {
        while condition(self) {
            match self.shards.iter().filter_map(|shard| shard.queue.next_bound()).min() {
                Some(next) if next <= deadline => self.run_until(deadline.min(next.max(self.now + LOOK))),
                _ => {
                    self.run_until(deadline);
                    return !condition(self);
                }
            }
        }
        true
    }

    // What can be seen.

    /// Shows every input and output of every node to `watcher`.
    pub fn watch(&mut self, watcher: impl FnMut(Time, u32, Watched<'_, N>) + 'static) {
        self.watcher = Some(Box::new(watcher));
    }

    /// Ends [`Self::watch`].
    pub fn unwatch(&mut self) {
        self.watcher = None;
    }

    /// A node's state; `None` while it is dead.
    #[must_use]
    pub fn node(&self, node: NodeIndex) -> Option<&N::Node> {
        self.seen(node)?.node()
    }

    /// Lets the caller be a node's host for a moment: for setting up a world that has been going for long, without living through it. What
    /// the node wants is carried out at this time; of doors that it opens, it hears before this returns. `None` while the node is dead.
    pub fn touch<R>(&mut self, node: NodeIndex, act: impl FnOnce(&mut N::Node, &mut Context<'_>, &mut Outbox<N::Node>) -> R) -> Option<R> {
        self.with(node, |machine, step| machine.touch(act, step))
    }

    /// All that a node has reported, of all its lives.
    #[must_use]
    pub fn reports(&self, node: NodeIndex) -> &[Report<Reply<N>>] {
        self.seen(node).and_then(Machine::desk).map_or(&[], |desk| desk.reports())
    }

    /// Takes what nodes have reported since this was last called, in the order of time and of nodes, where `LabConfig::keep_reports` is off.
    pub fn take_reports(&mut self) -> Vec<(NodeIndex, Report<Reply<N>>)> {
        let mut all: Vec<_> = self.shards.iter_mut().flat_map(|shard| std::mem::take(&mut shard.reports)).collect();
        all.sort_by_key(|(node, report)| (report.at, *node));
        all
    }

    /// Whether an operation was reported done.
    #[must_use]
    pub fn is_done(&self, node: NodeIndex, op: OpId) -> bool {
        self.reports(node).iter().any(|report| report.op == op && report.progress == Progress::Done)
    }

    /// How an operation ended (`Done`, `Failed`, `Ended`), and when; the last of these.
    #[must_use]
    pub fn outcome(&self, node: NodeIndex, op: OpId) -> Option<&Report<Reply<N>>> {
        let ends = |progress: &Progress<Reply<N>>| matches!(progress, Progress::Done | Progress::Failed(_) | Progress::Ended);
        self.reports(node).iter().rev().find(|report| report.op == op && ends(&report.progress))
    }

    /// When a fetch had all its bytes proven.
    #[must_use]
    pub fn completed_at(&self, node: NodeIndex, fetch: FetchIds) -> Option<Time> {
        self.seen(node)?.desk()?.completed_at(fetch.op)
    }

    /// The proven ranges of a share.
    #[must_use]
    pub fn held(&self, node: NodeIndex, share: ShareId) -> Option<&Ranges> {
        self.seen(node)?.desk()?.held(share)
    }

    /// The proven ranges of a content that a node has downloaded, in this life or before: what its disk keeps.
    #[must_use]
    pub fn on_disk(&self, node: NodeIndex, content: u64) -> Option<&Ranges> {
        self.seen(node)?.desk()?.on_disk(content)
    }

    /// A node's transfer engine, once it has one.
    #[must_use]
    pub fn engine(&self, node: NodeIndex) -> Option<&Engine> {
        self.seen(node)?.desk()?.engine()
    }

    /// How many downloads a node's engine has.
    #[must_use]
    pub fn downloads(&self, node: NodeIndex) -> usize {
        self.seen(node).and_then(Machine::desk).map_or(0, |desk| desk.downloads())
    }

    /// How many connections of a node are open.
    #[must_use]
    pub fn connections(&self, node: NodeIndex) -> usize {
        self.seen(node).and_then(Machine::wires).map_or(0, |wires| wires.open_count())
    }

    /// How long a message travels between two nodes where no fault touches it; the same both ways.
    #[must_use]
    pub fn delay(&self, a: NodeIndex, b: NodeIndex) -> Span {
        self.scene.world.space.delay(a.0, b.0)
    }

    /// What went over a node's link.
    #[must_use]
    pub fn traffic(&self, node: NodeIndex) -> Traffic {
        self.seen(node).map(|machine| machine.mouth.traffic).unwrap_or_default()
    }

    /// Counts of the run.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        match &self.shards[..] {
            [shard] => &shard.tally,
            shards => self.total.get_or_init(|| {
                let mut total = Tally::default();
                shards.iter().for_each(|shard| total.add(&shard.tally));
                total
            }),
        }
    }

    /// How often each fault has struck.
    #[must_use]
    pub fn fired(&self) -> Fired {
        self.tally().fired
    }

    /// How many events wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shards.iter().map(|shard| shard.queue.len()).sum()
    }

    /// A hash over every input of every node: when, to whom, from whom, of what kind. In order for each node, and whatever the order among nodes.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.shards
            .iter()
            .flat_map(|shard| &shard.machines)
            .fold(0_u64, |sum, machine| sum.wrapping_add(mix(machine.chain() ^ mix(u64::from(machine.mouth.index) + 1))))
    }

    /// A number that nothing else has: for operations, leases, shares.
    pub fn fresh(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn seen(&self, node: NodeIndex) -> Option<&Machine<N>> {
        let shards = self.shards.len();
        self.shards[node.0 as usize % shards].machines.get(node.0 as usize / shards)
    }

    fn machine(&mut self, node: NodeIndex) -> &mut Machine<N> {
        let shards = self.shards.len();
        &mut self.shards[node.0 as usize % shards].machines[node.0 as usize / shards]
    }

    fn happen(&mut self, at: Time, node: NodeIndex, event: Event<N>) {
        self.outside = self.outside.checked_add(1).expect("users want fewer than 2^32 things in a run");
        let key = Key { at: at.max(self.now), to: node.0, from: OUTSIDE, sequence: self.outside };
        let shards = self.shards.len();
        self.shards[node.0 as usize % shards].queue.push(Post { key, event });
    }

    fn with<R>(&mut self, node: NodeIndex, act: impl FnOnce(&mut Machine<N>, &mut Step<'_, N>) -> R) -> R {
        let shards = self.shards.len();
        let shard = &mut self.shards[node.0 as usize % shards];
        let (machines, mut step) = shard.step(self.now, &self.scene, self.watcher.as_deref_mut());
        let done = act(&mut machines[node.0 as usize / shards], &mut step);
        exchange(&mut self.shards);
        self.total.take();
        done
    }
}
