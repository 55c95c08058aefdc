//! Ring maintenance as a model: a handful of nodes, the very state machine, and every order of events.
//!
//! A question and the change that its answer causes are one step, at the moment in which the question arrives (chord.md 4, assumption b); time
//! stands still, and whoever is gone is silent at once. A newcomer finds its place in one step. What can be in any order is: stabilisations,
//! the arrival of each question and notification, joins, failures.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hexad_core::{
    ConnId, Context, Dice, Endpoint, Input, Link, Node as _, OpId, Operation, Outbox, Output, Rooms, Set, Shares, Span, Time,
};

use super::queries::About;
use super::{Config, Fill, Node, Ring, Rules, Settings, Stage, Table, Timer, doors};
use crate::id::between;
use crate::place::{Contact as _, Small};
use crate::wire::Message;

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A node joins by way of a member.
    Join(u32, u32),
    /// A member begins to stabilise.
    Stabilise(u32),
    /// The so manieth message under way arrives, and is answered.
    Arrive(usize),
    /// A member is gone for ever.
    Fail(u32),
}

/// All nodes, and what is under way between them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    config: Config,
    nodes: Vec<(u32, Option<Node<Small>>)>,
    /// From whom, to whom, what.
    flying: Vec<(u32, u32, Message<Small>)>,
    outside: Vec<u32>,
    joins: u8,
    fails: u8,
}

struct Nowhere;

impl Rooms for Nowhere {
    fn room(&self, _: ConnId) -> u64 {
        0
    }
}

/// What is wrong with a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// R1: a member has no living successor.
    Alone,
    /// R2: there are too few that nobody skips.
    FewPrincipals,
    /// R3: there is not exactly one ring, in order, that everybody reaches.
    Torn,
    /// R4: a list runs backwards, or names somebody twice.
    Disorder,
    /// The ring does not become right by itself any more.
    Beyond,
}

impl World {
    /// A right ring of `members`, in a world in which `outside` may join, and so many may fail.
    #[must_use]
    pub fn new(rules: Rules, successors: usize, members: &[u32], outside: &[u32], fails: u8) -> Self {
        let settings = Settings {
            rules,
            successors,
            copies: 1,
            fill: Fill::Later,
            table: Table::SuccessorOnly,
            // Any member may stabilise at any time here: that somebody asks for it would add nothing but messages under way.
            tell_predecessor: false,
            stabilise_every: Span::from_secs(1),
            tries: 1,
            suspects_max: 0,
            round_trips_max: 0,
            ..Settings::default()
        };
        let mut world = Self {
            config: Config(Arc::new(settings)),
            nodes: Vec::new(),
            flying: Vec::new(),
            outside: outside.to_vec(),
            joins: u8::try_from(outside.len()).unwrap_or(u8::MAX),
            fails,
        };
        let count = members.len();
        for (at, &member) in members.iter().enumerate() {
            let mut ring = Ring::new(Small(member), Stage::Member);
            let reach = successors.min(count - 1);
            ring.succ = (1..=reach).map(|step| Small(members[(at + step) % count])).collect();
            ring.prdc = Some(Small(members[(at + count - 1) % count]));
            ring.nursery = false;
            let mut node = Node::new(world.config.clone());
            act(&mut node, |node, context, out| node.adopt(Small(member), vec![ring], context, out));
            world.nodes.push((member, Some(node)));
        }
        world
    }

    fn r(&self) -> usize {
        self.config.0.successors
    }

    fn node(&self, id: u32) -> Option<&Node<Small>> {
        self.nodes.iter().find(|(other, _)| *other == id)?.1.as_ref()
    }

    fn rings(&self) -> impl Iterator<Item = &Ring<Small>> {
        self.nodes.iter().filter_map(|(_, node)| node.as_ref()?.rings.first()).filter(|ring| ring.stage == Stage::Member)
    }

    /// All that may happen.
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        let mut actions: Vec<Action> = (0..self.flying.len()).map(Action::Arrive).collect();
        let members: Vec<u32> = self.rings().map(|ring| ring.me.0).collect();
        for ring in self.rings().filter(|ring| !ring.stabilising && !ring.succ.is_empty()) {
            actions.push(Action::Stabilise(ring.me.0));
        }
        if self.joins > 0 {
            for &newcomer in &self.outside {
                actions.extend(members.iter().map(|&via| Action::Join(newcomer, via)));
            }
        }
        if self.fails > 0 {
            actions.extend(members.into_iter().filter(|&id| self.may_fail(id)).map(Action::Fail));
        }
        actions
    }

    /// Assumptions c and e: nobody loses all of its r successors within one repair, and enough that nobody skips are left. A newcomer that was
    /// given fewer than r never had them to lose, so nothing is assumed of it.
    fn may_fail(&self, id: u32) -> bool {
        let mut without = self.clone();
        without.fail(id);
        let newcomer = |ring: &Ring<Small>| ring.prdc.is_none() && ring.succ.len() < self.r();
        let alone = without.rings().any(|ring| without.is_alone(ring) && !newcomer(ring));
        !alone && without.principals() > self.r()
    }

    fn is_alone(&self, ring: &Ring<Small>) -> bool {
        !ring.succ.iter().any(|contact| self.node(contact.0).is_some_and(Node::is_member))
    }

    fn fail(&mut self, id: u32) {
        if let Some((_, node)) = self.nodes.iter_mut().find(|(other, _)| *other == id) {
            *node = None;
        }
        self.flying.retain(|(from, ..)| *from != id);
    }

    /// Lets something happen.
    pub fn apply(&mut self, action: &Action) {
        match *action {
            Action::Join(newcomer, via) => self.join(newcomer, via),
            Action::Stabilise(id) => self.handle(id, Input::Elapsed(Timer::Tick)),
            Action::Arrive(at) => {
                let (from, to, message) = self.flying.remove(at);
                self.arrive(from, to, message);
            }
            Action::Fail(id) => {
                self.fails -= 1;
                self.fail(id);
            }
        }
        // What is said twice while nothing has changed is said once.
        self.flying.sort_by_cached_key(digest_of);
        self.flying.dedup();
    }

    /// Finds its place and takes it, in one step; its first stabilisation begins at once.
    fn join(&mut self, newcomer: u32, via: u32) {
        self.joins -= 1;
        self.outside.retain(|&other| other != newcomer);
        self.nodes.push((newcomer, Some(Node::new(self.config.clone()))));
        self.nodes.sort_by_key(|(id, _)| *id);
        let bootstrap = vec![<Endpoint as hexad_core::Address>::of_lab_node(via)];
        self.handle(newcomer, Input::Start(OpId(1), Operation::Join { bootstrap }));
        self.handle(newcomer, Input::Bound(doors::RING, Ok(super::anywhere())));
        for _ in 0..100 {
            let joining = self.node(newcomer).is_none_or(|node| !node.is_member());
            let Some(at) = self.flying.iter().position(|(from, ..)| *from == newcomer).filter(|_| joining) else { return };
            let (from, to, message) = self.flying.remove(at);
            self.arrive(from, to, message);
        }
    }

    /// A message arrives; a question is answered, and the answer arrives in the same step.
    fn arrive(&mut self, from: u32, to: u32, message: Message<Small>) {
        let query = message.query;
        if self.node(to).is_none() {
            if query != 0 {
                self.let_act(from, |node, context, out| {
                    node.on_silence(query, context, out);
                    node.settle(context, out);
                });
            }
            return;
        }
        let before = self.flying.len();
        self.handle(to, Input::Received(Link::Datagram(doors::RING, Small(from)), message));
        let said = self.flying.split_off(before);
        for (sender, receiver, message) in said {
            if sender == to && receiver == from && message.body.is_answer() {
                self.handle(from, Input::Received(Link::Datagram(doors::RING, Small(to)), message));
            } else {
                self.flying.push((sender, receiver, message));
            }
        }
    }

    fn handle(&mut self, id: u32, input: hexad_core::Inbound<Node<Small>>) {
        self.let_act(id, |node, context, out| node.handle(input, context, out));
    }

    fn let_act(&mut self, id: u32, deed: impl FnOnce(&mut Node<Small>, &mut Context<'_>, &mut super::Out<Small>)) {
        let Some(node) = self.nodes.iter_mut().find(|(other, _)| *other == id).and_then(|(_, node)| node.as_mut()) else { return };
        for (to, message) in act(node, deed) {
            self.flying.push((id, to, message));
        }
    }

    /// What is wrong, if something is.
    #[must_use]
    pub fn broken(&self) -> Option<Broken> {
        self.broken_shape().or_else(|| (!self.is_repairable()).then_some(Broken::Beyond))
    }

    /// What is wrong with the pointers as they stand.
    #[must_use]
    pub fn broken_shape(&self) -> Option<Broken> {
        for ring in self.rings() {
            if self.is_alone(ring) {
                return Some(Broken::Alone);
            }
            if ring.succ.windows(2).any(|pair| ring.distance(&pair[0]) >= ring.distance(&pair[1])) || ring.succ.contains(&ring.me) {
                return Some(Broken::Disorder);
            }
        }
        if self.principals() < self.r() + 1 {
            return Some(Broken::FewPrincipals);
        }
        (!self.is_one_ring()).then_some(Broken::Torn)
    }

    /// Members that no list skips, those included on which somebody still waits to decide.
    fn principals(&self) -> usize {
        let mut lists: Vec<Vec<Small>> = Vec::new();
        for (_, node) in &self.nodes {
            let Some(node) = node else { continue };
            let Some(ring) = node.rings.first().filter(|ring| ring.stage == Stage::Member) else { continue };
            lists.push(std::iter::once(ring.me).chain(ring.succ.iter().copied()).collect());
            for query in node.busy.iter().flat_map(|busy| busy.queries.values()) {
                if let About::Second { list, head, .. } = &query.about {
                    let list = list.iter().copied().take(self.r() - 1).take_while(|contact| *contact != ring.me);
                    lists.push([ring.me, *head].into_iter().chain(list).collect());
                }
            }
        }
        let skips = |list: &Vec<Small>, id: u64| list.windows(2).any(|pair| between(pair[0].id(), id, pair[1].id()));
        self.rings().filter(|ring| !lists.iter().any(|list| skips(list, ring.id()))).count()
    }

    /// Best successors lead everybody into one ring, once round.
    fn is_one_ring(&self) -> bool {
        let best = |ring: &Ring<Small>| ring.succ.iter().find(|contact| self.node(contact.0).is_some_and(|node| node.is_member())).copied();
        let next = |id: u32| self.node(id).and_then(|node| node.rings.first()).and_then(best).map(|contact| contact.0);
        let members: Vec<u32> = self.rings().map(|ring| ring.me.0).collect();
        let Some(&first) = members.first() else { return true };
        // Whoever walks long enough is in a ring.
        let into = |start: u32| members.iter().try_fold(start, |at, _| next(at));
        let Some(start) = into(first) else { return false };
        let mut round = vec![start];
        let mut at = start;
        while let Some(on) = next(at).filter(|&on| on != start) {
            if round.contains(&on) {
                return false;
            }
            round.push(on);
            at = on;
        }
        let falls = round.iter().zip(round.iter().cycle().skip(1)).filter(|(here, there)| there <= here).count();
        falls <= 1 && members.iter().all(|&member| into(member).is_some_and(|end| round.contains(&end)))
    }

    /// Whether rounds of repair, without joins or failures, lead to the ring as it ought to be.
    #[must_use]
    pub fn is_repairable(&self) -> bool {
        let mut world = self.clone();
        world.joins = 0;
        world.fails = 0;
        let members: Vec<u32> = world.rings().map(|ring| ring.me.0).collect();
        for _ in 0..6 * members.len() * world.r() {
            if world.is_ideal() {
                return true;
            }
            for &id in &members {
                world.handle(id, Input::Elapsed(Timer::Tick));
                let mut left = 64;
                while !world.flying.is_empty() && left > 0 {
                    let (from, to, message) = world.flying.remove(0);
                    world.arrive(from, to, message);
                    left -= 1;
                }
            }
        }
        false
    }

    fn is_ideal(&self) -> bool {
        let mut members: Vec<u32> = self.rings().map(|ring| ring.me.0).collect();
        members.sort_unstable();
        let count = members.len();
        let reach = self.r().min(count.saturating_sub(1));
        self.rings().all(|ring| {
            let at = members.iter().position(|&id| id == ring.me.0).unwrap_or(0);
            ring.prdc == Some(Small(members[(at + count - 1) % count]))
                && ring.succ.len() == reach
                && ring.succ.iter().enumerate().all(|(step, contact)| contact.0 == members[(at + 1 + step) % count])
        })
    }
}

/// Lets a node do something, and returns what it says.
fn act(
    node: &mut Node<Small>,
    doing: impl FnOnce(&mut Node<Small>, &mut Context<'_>, &mut Outbox<Node<Small>>),
) -> Vec<(u32, Message<Small>)> {
    let (shares, mut dice, mut next_conn, mut out) = (Shares::new(), Dice::counter(0, 0), 0, Outbox::new());
    let mut context =
        Context { now: Time::ZERO, epoch_unix_s: 0, dice: &mut dice, shares: &shares, next_conn: &mut next_conn, rooms: &Nowhere };
    doing(node, &mut context, &mut out);
    let said = out.drain().filter_map(|output| match output {
        Output::Send(Link::Datagram(_, to), message) => Some((to.0, message)),
        _ => None,
    });
    said.collect()
}

/// FNV-1a over 64 bits, twice with different seeds: as good as no two of a million worlds have one.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

fn digest_of(thing: &impl Hash) -> (u64, u64) {
    let one = |seed: u64| {
        let mut hasher = Fnv(seed);
        thing.hash(&mut hasher);
        hasher.finish()
    };
    (one(0xcbf2_9ce4_8422_2325), one(0x9e37_79b9_7f4a_7c15))
}

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Searched {
    /// Different worlds that were looked at.
    pub worlds: usize,
    /// Whether there were no more.
    pub complete: bool,
    /// How it breaks, and by which steps.
    pub broken: Option<(Broken, Vec<Action>)>,
}

/// Looks at worlds in the order of how few steps lead to them, until one is broken, until there are none, or until there have been so many.
#[must_use]
pub fn search(start: &World, worlds_max: usize, repairable: bool) -> Searched {
    let mut seen: Set<(u64, u64)> = Set::new();
    // Where a world came from: its number, by which action.
    let mut origins: Vec<(usize, Option<Action>)> = vec![(0, None)];
    let mut waiting = std::collections::VecDeque::from([(0, start.clone())]);
    seen.insert(digest_of(start));
    while let Some((number, world)) = waiting.pop_front() {
        let broken = if repairable { world.broken() } else { world.broken_shape() };
        if let Some(broken) = broken {
            let mut steps = Vec::new();
            let mut at = number;
            while let (before, Some(action)) = &origins[at] {
                steps.push(action.clone());
                at = *before;
            }
            steps.reverse();
            return Searched { worlds: seen.len(), complete: false, broken: Some((broken, steps)) };
        }
        for action in world.actions() {
            let mut next = world.clone();
            next.apply(&action);
            if seen.len() >= worlds_max {
                return Searched { worlds: seen.len(), complete: false, broken: None };
            }
            if seen.insert(digest_of(&next)) {
                origins.push((number, Some(action)));
                waiting.push_back((origins.len() - 1, next));
            }
        }
    }
    Searched { worlds: seen.len(), complete: true, broken: None }
}
