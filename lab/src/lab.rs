//! The lab: machines, the queue of events, and what a scenario does with them.

use std::sync::Arc;

use hexad_content::Ranges;
use hexad_core::{Address, Answer, HttpRequest, LeaseId, Network, OpId, Operation, Outbox, Progress, Share, ShareId, Span, Time};
use hexad_transfer::Engine;

use crate::config::{LabConfig, Links};
use crate::desk::{FetchIds, FetchPlan, Report};
use crate::dice::mix;
use crate::event::{Addr, Event, In, Out, Reply, Req, Step};
use crate::faults::{Death, Faults, Fired, State};
use crate::machine::Machine;
use crate::queue::{Key, OUTSIDE, Queue};
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
pub(crate) type Tamper<N> = dyn Fn(u32, &Out<N>) -> bool;

/// How far [`Lab::run_while`] goes between two looks at its condition.
const LOOK: Span = Span::from_millis(20);

/// Nodes of one network in virtual time.
pub struct Lab<N: Network> {
    world: World,
    machines: Vec<Machine<N>>,
    queue: Queue<Event<N>>,
    now: Time,
    tally: Tally,
    outbox: Outbox<N::Node>,
    heard: Vec<In<N>>,
    watcher: Option<Box<Watcher<N>>>,
    tamper: Option<Box<Tamper<N>>>,
    /// Names the events that come from outside.
    outside: u64,
    /// The last number given to an operation, lease or share.
    last_id: u64,
}

impl<N: Network> Lab<N> {
    /// An empty world at time zero.
    #[must_use]
    pub fn new(config: LabConfig) -> Self {
        Self {
            world: World::new(config),
            machines: Vec::new(),
            queue: Queue::new(),
            now: Time::ZERO,
            tally: Tally::default(),
            outbox: Outbox::new(),
            heard: Vec::new(),
            watcher: None,
            tamper: None,
            outside: 0,
            last_id: 0,
        }
    }

    /// Adds a node that has joined nothing.
    pub fn add_node(&mut self, config: N::Config) -> NodeIndex {
        self.add_shared(&Arc::new(config))
    }

    /// Adds `count` nodes of one configuration; returns the first.
    pub fn add_nodes(&mut self, count: u32, config: N::Config) -> NodeIndex {
        let config = Arc::new(config);
        let first = NodeIndex(self.node_count());
        for _ in 0..count {
            self.add_shared(&config);
        }
        first
    }

    fn add_shared(&mut self, config: &Arc<N::Config>) -> NodeIndex {
        let index = self.node_count();
        self.world.space.add();
        self.machines.push(Machine::new(index, config.clone(), self.world.config.seed));
        NodeIndex(index)
    }

    /// How many nodes there are, dead ones included.
    #[must_use]
    pub fn node_count(&self) -> u32 {
        u32::try_from(self.machines.len()).unwrap_or(u32::MAX)
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
        &self.world.config
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
        let mark_bytes = self.world.config.queue_mark_bytes;
        self.machine(node).set_links(links, mark_bytes);
    }

    /// Puts a node on the local network of a site: multicast stays there, and messages there take the shortest time.
    pub fn place(&mut self, node: NodeIndex, site: u32) {
        self.world.place(node.0, site);
    }

    /// Gives a node a host name.
    pub fn name(&mut self, host: &str, node: NodeIndex) {
        self.world.name(host.to_owned(), node.0);
    }

    /// Answers every HTTP request by `hook`: who asks, what, when.
    pub fn on_http(&mut self, hook: impl Fn(u32, &HttpRequest, Time) -> Answer + Send + Sync + 'static) {
        self.world.http = Some(Arc::new(hook));
    }

    /// Puts faults in place of those before.
    pub fn set_faults(&mut self, faults: Faults) {
        self.world.set_faults(faults);
    }

    /// Makes everything to and from a node take longer by `by`.
    pub fn set_slow(&mut self, node: NodeIndex, by: Span) {
        self.world.set_slow(node.0, by);
    }

    /// Puts a node behind a network address translator: nobody can dial it, and datagrams come in only from whom it has sent one to lately.
    pub fn set_nat(&mut self, node: NodeIndex, behind: bool) {
        self.machine(node).set_nat(behind);
    }

    /// Lets only nodes of the same part reach each other; `part` is asked for every node.
    pub fn partition(&mut self, part: impl Fn(NodeIndex) -> u32) {
        let parts = (0..self.node_count()).map(|node| part(NodeIndex(node))).collect();
        self.world.set_parts(Some(parts));
    }

    /// Ends a partition.
    pub fn heal(&mut self) {
        self.world.set_parts(None);
    }

    /// Makes what a node sends of these ranges of a share wrong.
    pub fn lie(&mut self, node: NodeIndex, share: ShareId, ranges: Ranges) {
        self.machine(node).desk_mut().lie(share, ranges);
    }

    /// Makes nodes misbehave: an output of a node that `effective` does not let through never happens, and the node does not know.
    pub fn tamper(&mut self, effective: impl Fn(u32, &Out<N>) -> bool + 'static) {
        self.tamper = Some(Box::new(effective));
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
        while let Some((key, event)) = self.queue.pop_until(until) {
            self.now = key.at;
            self.tally.events += 1;
            let Some(machine) = self.machines.get_mut(key.to as usize) else { continue };
            let mut step = Step {
                world: &self.world,
                now: key.at,
                queue: &mut self.queue,
                tally: &mut self.tally,
                outbox: &mut self.outbox,
                heard: &mut self.heard,
                watcher: self.watcher.as_deref_mut(),
                tamper: self.tamper.as_deref(),
            };
            machine.on_event(key.from, event, &mut step);
        }
        self.now = self.now.max(until);
    }

    /// Lets `span` go by.
    pub fn run_for(&mut self, span: Span) {
        self.run_until(self.now + span);
    }

    /// Goes on while `condition` holds, looking every now and then, until `deadline` or until nothing will ever happen. Returns whether it ended
    /// because the condition no longer held.
    pub fn run_while(&mut self, mut condition: impl FnMut(&Self) -> bool, deadline: Time) -> bool {
        while condition(self) {
            match self.queue.next_at() {
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

    /// A node's state; `None` while it is dead.
    #[must_use]
    pub fn node(&self, node: NodeIndex) -> Option<&N::Node> {
        self.machines.get(node.0 as usize)?.node()
    }

    /// All that a node has reported, of all its lives.
    #[must_use]
    pub fn reports(&self, node: NodeIndex) -> &[Report<Reply<N>>] {
        self.machines.get(node.0 as usize).and_then(Machine::desk).map_or(&[], |desk| desk.reports())
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
        self.machines.get(node.0 as usize)?.desk()?.completed_at(fetch.op)
    }

    /// The proven ranges of a share.
    #[must_use]
    pub fn held(&self, node: NodeIndex, share: ShareId) -> Option<&Ranges> {
        self.machines.get(node.0 as usize)?.desk()?.held(share)
    }

    /// The proven ranges of a content that a node has downloaded, in this life or before: what its disk keeps.
    #[must_use]
    pub fn on_disk(&self, node: NodeIndex, content: u64) -> Option<&Ranges> {
        self.machines.get(node.0 as usize)?.desk()?.on_disk(content)
    }

    /// A node's transfer engine, once it has one.
    #[must_use]
    pub fn engine(&self, node: NodeIndex) -> Option<&Engine> {
        self.machines.get(node.0 as usize)?.desk()?.engine()
    }

    /// How many downloads a node's engine has.
    #[must_use]
    pub fn downloads(&self, node: NodeIndex) -> usize {
        self.machines.get(node.0 as usize).and_then(Machine::desk).map_or(0, |desk| desk.downloads())
    }

    /// How many connections of a node are open.
    #[must_use]
    pub fn connections(&self, node: NodeIndex) -> usize {
        self.machines.get(node.0 as usize).and_then(Machine::wires).map_or(0, |wires| wires.open_count())
    }

    /// What went over a node's link.
    #[must_use]
    pub fn traffic(&self, node: NodeIndex) -> Traffic {
        self.machines.get(node.0 as usize).map(|machine| machine.mouth.traffic).unwrap_or_default()
    }

    /// Counts of the run.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How often each fault has struck.
    #[must_use]
    pub fn fired(&self) -> Fired {
        self.tally.fired
    }

    /// How many events wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// A hash over every input of every node: when, to whom, from whom, of what kind. In order for each node, and whatever the order among nodes.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.machines.iter().fold(0, |sum, machine| sum.wrapping_add(mix(machine.chain() ^ mix(u64::from(machine.mouth.index) + 1))))
    }

    /// A number that nothing else has: for operations, leases, shares.
    pub fn fresh(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn machine(&mut self, node: NodeIndex) -> &mut Machine<N> {
        &mut self.machines[node.0 as usize]
    }

    fn happen(&mut self, at: Time, node: NodeIndex, event: Event<N>) {
        self.outside += 1;
        self.queue.push(Key { at: at.max(self.now), to: node.0, from: OUTSIDE, sequence: self.outside }, event);
    }

    fn with(&mut self, node: NodeIndex, act: impl FnOnce(&mut Machine<N>, &mut Step<'_, N>)) {
        let machine = &mut self.machines[node.0 as usize];
        let mut step = Step {
            world: &self.world,
            now: self.now,
            queue: &mut self.queue,
            tally: &mut self.tally,
            outbox: &mut self.outbox,
            heard: &mut self.heard,
            watcher: self.watcher.as_deref_mut(),
            tamper: self.tamper.as_deref(),
        };
        act(machine, &mut step);
    }
}
