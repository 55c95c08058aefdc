//! Finding the owner of a key (C5, C10): each step at least halves the distance while the tables are right, and always shrinks it.

use hexad_core::{Context, Level, OpId, Time};

use super::few::Few;
use super::queries::About;
use super::{Found, Node, Out, Reply, Stage, Style};
use crate::id::{Key, RingId, owns};
use crate::place::{Contact as _, Place};
use crate::wire::{Body, CONTACTS_MAX, Route, Routed, Step};

/// Candidates that one answer names, and that a path remembers.
const CANDIDATES: usize = 8;
const CANDIDATES_KEPT: usize = 32;
/// Owners that one answer names: all may be gone but the last.
const HOLDERS: usize = 20;
/// Those that follow an owner, by its own account: the next ones hold the copies.
const FOLLOWING: usize = 8;
/// Owners that a path tries before it gives up.
const OWNERS_TRIED: u8 = 24;

/// What a lookup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A newcomer's place.
    Join(u8),
    /// Whether one who was lost is in another ring.
    Merge(u8),
    /// A finger.
    Finger(u8, u8),
    /// Whoever ought to have us as a finger (the join of 2001).
    Others(u8, u8),
    /// A put or get.
    Errand(u32),
    /// A user wants to know.
    Locate(OpId),
}

impl Purpose {
    /// Whether we look for ourselves: who follows us, then, is the answer.
    fn is_for_our_place(self) -> bool {
        matches!(self, Self::Join(_) | Self::Merge(_))
    }
}

/// One lookup under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lookup<A: Place> {
    purpose: Purpose,
    key: Key,
    pub(super) started: Time,
    /// The virtual node that asks.
    vnode: u8,
    paths: Few<Path<A>>,
    /// The nearest owner that a path has found.
    best: Option<Found<A>>,
    /// All that were asked on the way: nobody is asked twice, however many name it, and where there are several paths, they share nobody. Where
    /// there are several, those as well who were asked as the owner.
    asked: Vec<A::Contact>,
}

/// One way through the ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Path<A: Place> {
    /// Known nodes before the key, nearest to it last.
    candidates: Vec<A::Contact>,
    /// Those that may be the owner, most likely first.
    owners: Vec<A::Contact>,
    /// Who is asked, and whether it was named as the owner.
    asking: Option<(A::Contact, bool)>,
    /// Who was named as the owner by one who would be it otherwise.
    named: Option<A::Contact>,
    /// Those who did not answer on this path.
    silent: Vec<A::Contact>,
    hops: u16,
    timeouts: u16,
    owners_tried: u8,
    /// Those of our own successors that were tried as the last way.
    tried: Vec<A::Contact>,
    /// Whether there is no such last way.
    fell_back: bool,
    over: bool,
}

impl<A: Place> Lookup<A> {
    /// Reads it, see `hexad_core::Node::warm`.
    pub(super) fn warm(&self) -> usize {
        let path = |path: &Path<A>| path.candidates.last().map_or(0, |contact| usize::from(contact.vnode())) ^ usize::from(path.hops);
        self.paths.iter().map(path).sum::<usize>()
    }
}

impl<A: Place> Path<A> {
    fn new() -> Self {
        Self {
            candidates: Vec::new(),
            owners: Vec::new(),
            asking: None,
            named: None,
            silent: Vec::new(),
            hops: 0,
            timeouts: 0,
            owners_tried: 0,
            tried: Vec::new(),
            fell_back: false,
            over: false,
        }
    }

    /// Begins with those, the nearest first, in a list that does not have to grow.
    fn begin(&mut self, nearest: Vec<A::Contact>) {
        self.candidates.reserve_exact(CANDIDATES_KEPT + CANDIDATES);
        self.candidates.extend(nearest.into_iter().rev());
    }

    /// Takes in those who were named as nearer to a place than the one who named them, who is so far from it. Whoever is not leads nowhere;
    /// returns how many these are.
    fn remember(&mut self, named: Vec<A::Contact>, reached: A::Id, place: A::Id) -> usize {
        let from_owner = |contact: &A::Contact| contact.id().distance(place);
        let mut off = 0;
        let mut last = self.candidates.last().map(from_owner);
        let mut in_order = true;
        for contact in named.into_iter().rev() {
            let distance = from_owner(&contact);
            if distance >= reached {
                off += 1;
            } else if !self.candidates.contains(&contact) {
                in_order &= last.is_none_or(|last| distance <= last);
                last = Some(distance);
                self.candidates.push(contact);
            }
        }
        if !in_order {
            self.candidates.sort_by_key(|contact| std::cmp::Reverse(from_owner(contact)));
        }
        let excess = self.candidates.len().saturating_sub(CANDIDATES_KEPT);
        self.candidates.drain(..excess);
        off
    }
}

impl<A: Place> Node<A> {
    /// What is known here of the way to a key.
    pub(super) fn next_step(&self, ring: &super::Ring<A>, key: &Key, claimed: bool) -> (Step, Vec<A::Contact>) {
        let settings = &self.config.0;
        let place = A::Id::of_key(key);
        let orphan = ring.prdc.as_ref().is_none_or(|prdc| self.is_gone(prdc));
        if ring.owns(place) || (claimed && orphan) {
            let mut own = vec![ring.prdc.clone().unwrap_or_else(|| ring.me.clone())];
            own.extend(ring.succ.iter().take(FOLLOWING.max(usize::from(settings.proximity))).cloned());
            own.truncate(CONTACTS_MAX);
            return (Step::Mine, own);
        }
        if claimed && let Some(prdc) = &ring.prdc {
            return (Step::Before, vec![prdc.clone()]);
        }
        let reach = if settings.list_shortcuts { usize::MAX } else { 1 };
        let holders = ring.holders(place, reach);
        if !holders.is_empty() {
            return (Step::Successor, holders.iter().take(HOLDERS).cloned().collect());
        }
        let closer = ring.preceding(place, CANDIDATES, settings.list_shortcuts, |contact| !self.is_gone(contact));
        if closer.is_empty() {
            return (Step::Successor, ring.succ.iter().take(HOLDERS).cloned().collect());
        }
        (Step::Closer, closer)
    }

    /// Adds those before a key to few of whom all may be gone: whoever is nearest to it knows who else there is.
    pub(super) fn add_nearer(&self, ring: &super::Ring<A>, key: &Key, holders: &mut Vec<A::Contact>) {
        let wanted = CANDIDATES.saturating_sub(holders.len());
        if wanted > 0 {
            holders.extend(ring.preceding(A::Id::of_key(key), wanted, self.config.0.list_shortcuts, |contact| !self.is_gone(contact)));
        }
    }

    /// Starts to look for the owner of `key`: by our own tables, or by way of `seeds` where there are any.
    pub(super) fn start_lookup(&mut self, purpose: Purpose, key: Key, seeds: Vec<A::Contact>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let config = self.config.clone();
        let vnode = match purpose {
            Purpose::Join(vnode) | Purpose::Merge(vnode) | Purpose::Finger(vnode, _) | Purpose::Others(vnode, _) => vnode,
            Purpose::Errand(_) | Purpose::Locate(_) => self.nearest_ring(&key).unwrap_or(config.0.first_vnode),
        };
        let secure = matches!(purpose, Purpose::Errand(_) | Purpose::Locate(_));
        let paths = if secure { usize::from(config.0.paths.max(1)) } else { 1 };
        let mut lookup = Lookup {
            purpose,
            key,
            started: cx.now,
            vnode,
            paths: if paths == 1 { Few::One(Path::new()) } else { vec![Path::new(); paths].into() },
            best: None,
            asked: Vec::new(),
        };
        if seeds.is_empty() {
            let Some(ring) = self.ring(vnode).filter(|ring| ring.stage == Stage::Member) else {
                return self.on_found(purpose, None, cx, out);
            };
            let (step, contacts) = self.next_step(ring, &key, false);
            match step {
                Step::Mine => {
                    let following = ring.succ.iter().take(FOLLOWING).cloned().collect();
                    let found = Found { owner: ring.me.clone(), following, hops: 0, timeouts: 0, took: cx.now.since(cx.now) };
                    return self.on_found(purpose, Some(found), cx, out);
                }
                _ if secure && config.0.style == Style::Recursive => {
                    let (origin, claimed) = (ring.me.clone(), step == Step::Successor);
                    let number = self.busy().fresh(cx.dice);
                    lookup.paths = Vec::new().into();
                    self.busy().lookups.insert(number, lookup);
                    self.look_by(cx.now + config.0.lookup_deadline);
                    let route = Route { key, origin, query: number, hops: 1, claimed };
                    return self.relay(vnode, route, contacts, cx, out);
                }
                Step::Successor if paths == 1 => {
                    let nearer = ring.preceding(A::Id::of_key(&key), CANDIDATES, config.0.list_shortcuts, |contact| !self.is_gone(contact));
                    lookup.paths[0].begin(nearer);
                    lookup.paths[0].owners = contacts;
                }
                _ if paths == 1 => lookup.paths[0].begin(contacts),
                _ => self.spread(vnode, &key, contacts, step, &mut lookup.paths),
            }
        } else {
            lookup.paths[0].candidates = seeds;
            lookup.paths[0].fell_back = true;
        }
        let number = self.busy().fresh(cx.dice);
        self.busy().lookups.insert(number, lookup);
        self.look_by(cx.now + config.0.lookup_deadline);
        for path in 0..u8::try_from(paths).unwrap_or(1) {
            self.go_on(number, path, cx, out);
        }
    }

    /// Disjoint paths begin at different nodes.
    fn spread(&self, vnode: u8, key: &Key, contacts: Vec<A::Contact>, step: Step, paths: &mut [Path<A>]) {
        let count = paths.len();
        if step == Step::Successor {
            // The owner is next to us: each path begins with another of those who say so.
            for (at, path) in paths.iter_mut().enumerate() {
                path.owners = contacts.iter().skip(at.min(contacts.len().saturating_sub(1))).cloned().collect();
            }
        }
        let Some(ring) = self.ring(vnode) else { return };
        let starts = ring.preceding(A::Id::of_key(key), 3 * count, true, |contact| !self.is_gone(contact));
        for (at, start) in starts.into_iter().enumerate() {
            let path = &mut paths[at % count];
            if path.owners.is_empty() || step != Step::Successor {
                path.candidates.insert(0, start);
            }
        }
    }

    /// The virtual node of ours from which it is nearest to a key.
    fn nearest_ring(&self, key: &Key) -> Option<u8> {
        let place = A::Id::of_key(key);
        let members = self.rings.iter().filter(|ring| ring.stage == Stage::Member);
        let mut nearest = members.clone().min_by_key(|ring| ring.id().distance(place))?;
        if let Some(owner) = members.clone().find(|ring| ring.owns(place)) {
            nearest = owner;
        }
        Some(nearest.me.vnode())
    }

    /// Asks the next node of a path, or ends it.
    fn go_on(&mut self, number: u32, at: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        let settings = &self.config.0;
        let Some(busy) = &mut self.busy else { return };
        let detector = &busy.detector;
        let Some(lookup) = busy.lookups.get_mut(&number) else { return };
        let (key, vnode) = (lookup.key, lookup.vnode);
        let many = lookup.paths.len() > 1;
        let asked = std::mem::take(&mut lookup.asked);
        let Some(path) = lookup.paths.get_mut(usize::from(at)) else { return };
        let rings = &self.rings;
        let home = lookup.purpose.is_for_our_place();
        let is_me = |contact: &A::Contact| home && rings.iter().any(|ring| ring.me == *contact);
        let usable = |contact: &A::Contact| !is_me(contact) && !path.silent.contains(contact);
        path.owners.retain(|owner| usable(owner) && (path.named.as_ref() == Some(owner) || !detector.is_gone(&owner.addr())));
        path.candidates.retain(|contact| usable(contact) && !asked.contains(contact));
        let mut next = None;
        if path.hops >= settings.hops_max {
            out.note(Level::Drop, "lookup_too_long", None, "");
        } else if !path.owners.is_empty() && path.owners_tried < OWNERS_TRIED {
            path.owners_tried += 1;
            next = Some((path.owners.remove(0), true));
        } else if let Some(candidate) = path.candidates.pop() {
            next = Some((candidate, false));
        } else if !path.fell_back {
            // Whoever of our own successors is there leads on, if slowly.
            let successors = self.rings.iter().find(|ring| ring.me.vnode() == vnode).map_or(&[][..], |ring| &ring.succ);
            let untried = |contact: &&A::Contact| !path.tried.contains(contact) && !path.silent.contains(contact);
            next = successors.iter().rev().find(|contact| untried(contact) && !asked.contains(contact)).map(|found| (found.clone(), false));
            path.tried.extend(next.iter().map(|(contact, _)| contact.clone()));
        }
        lookup.asked = asked;
        let Some((to, claimed)) = next else {
            path.over = true;
            return self.end_if_over(number, cx, out);
        };
        path.asking = Some((to.clone(), claimed));
        if many || !claimed {
            lookup.asked.push(to.clone());
        }
        self.ask(vnode, &to, About::Step { lookup: number, path: at }, Body::FindNext { key, claimed }, cx, out);
    }

    /// A node on the way has answered, or has not.
    pub(super) fn on_step_end(
        &mut self,
        number: u32,
        at: u8,
        to: &A::Contact,
        body: Option<Body<A>>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let Some(busy) = &mut self.busy else { return };
        let Some(lookup) = busy.lookups.get_mut(&number) else { return };
        let place = A::Id::of_key(&lookup.key);
        let started = lookup.started;
        let (rings, home) = (&self.rings, lookup.purpose.is_for_our_place());
        let is_me = |contact: &A::Contact| home && rings.iter().any(|ring| ring.me == *contact);
        let Some(path) = lookup.paths.get_mut(usize::from(at)) else { return };
        let Some((_, claimed)) = path.asking.take() else { return };
        let from_owner = |contact: &A::Contact| contact.id().distance(place);
        match body {
            None => {
                path.timeouts += 1;
                path.silent.push(to.clone());
            }
            Some(Body::Next(step, contacts)) => {
                path.hops += 1;
                match step {
                    Step::Mine => {
                        let mut named = contacts.into_iter();
                        let prdc = named.next();
                        let plausible = prdc.as_ref().is_some_and(|prdc| prdc == to || owns(prdc.id(), place, to.id()) || claimed);
                        if plausible {
                            let following = named.collect();
                            let (hops, timeouts) = (path.hops, path.timeouts);
                            path.over = true;
                            let found = Found { owner: to.clone(), following, hops, timeouts, took: cx.now.since(started) };
                            return self.on_claim(number, found, cx, out);
                        }
                        out.note(Level::Drop, "forged_owner", Some(to.addr()), "");
                    }
                    Step::Successor => {
                        let reached = from_owner(to);
                        let is_before = |contact: &A::Contact| contact.id() != place && from_owner(contact) < reached;
                        let (nearer, owners) = contacts.into_iter().partition(is_before);
                        path.owners = owners;
                        path.remember(nearer, reached, place);
                    }
                    Step::Before => match contacts.into_iter().next() {
                        // It names one who is gone, and what that one owned is its own; or us, who come back to where we were before it has
                        // noticed that we had left.
                        Some(before) if path.silent.contains(&before) || is_me(&before) => {
                            let (hops, timeouts) = (path.hops, path.timeouts);
                            path.over = true;
                            let found = Found { owner: to.clone(), following: Vec::new(), hops, timeouts, took: cx.now.since(started) };
                            return self.on_claim(number, found, cx, out);
                        }
                        // Even where we take it for gone: it may be back.
                        Some(before) => {
                            path.named = Some(before.clone());
                            path.owners.insert(0, before);
                        }
                        None => {}
                    },
                    Step::Closer => {
                        let off = path.remember(contacts, from_owner(to), place);
                        if off > 0 {
                            out.note(Level::Drop, "no_progress", Some(to.addr()), "");
                        }
                    }
                }
            }
            Some(_) => path.hops += 1,
        }
        self.go_on(number, at, cx, out);
    }

    /// One path has found somebody who says that the key is his.
    fn on_claim(&mut self, number: u32, found: Found<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let implausible = self.is_implausible(number, &found.owner);
        let Some(lookup) = self.busy().lookups.get_mut(&number) else { return };
        if implausible {
            // So far from its key, and so many others there must be between: somebody keeps them from us.
            out.note(Level::Drop, "implausible_owner", Some(found.owner.addr()), "");
        } else {
            let place = A::Id::of_key(&lookup.key);
            let nearer = lookup.best.as_ref().is_none_or(|best| place.distance(found.owner.id()) < place.distance(best.owner.id()));
            if nearer {
                lookup.best = Some(found);
            }
        }
        self.end_if_over(number, cx, out);
    }

    /// Whether there ought to be others between a key and who claims it, by how dense the ring is (Castro et al. 2002).
    fn is_implausible(&self, number: u32, owner: &A::Contact) -> bool {
        let max = self.config.0.owner_distance_max;
        let Some(lookup) = self.busy.as_ref().and_then(|busy| busy.lookups.get(&number)) else { return false };
        let Some(ring) = self.ring(lookup.vnode).filter(|ring| !ring.nursery && ring.succ.len() >= 8) else { return false };
        let spaces = A::Id::of_key(&lookup.key).distance(owner.id()).share() * ring.size_estimate();
        max > 0 && spaces > f64::from(max)
    }

    fn end_if_over(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let busy = self.busy();
        if busy.lookups.get(&number).is_some_and(|lookup| lookup.paths.iter().all(|path| path.over))
            && let Some(lookup) = busy.lookups.remove(&number)
        {
            self.on_found(lookup.purpose, lookup.best, cx, out);
        }
    }

    pub(super) fn on_lookup_late(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = &mut self.busy else { return };
        let Some(lookup) = busy.lookups.remove(&number) else { return };
        busy.queries.retain(|_, query| !matches!(query.about, About::Step { lookup, .. } if lookup == number));
        out.note(Level::Debug, "lookup_late", None, "");
        self.on_found(lookup.purpose, lookup.best, cx, out);
    }

    /// A recursive lookup is here on its way.
    pub(super) fn on_route(&mut self, vnode: u8, route: Route<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let config = self.config.clone();
        let full = self.busy.as_ref().is_some_and(|busy| busy.queries.len() >= config.0.queries_max);
        if u16::from(route.hops) >= config.0.hops_max.min(250) || full {
            return out.note(Level::Drop, if full { "too_many_routes" } else { "route_too_long" }, Some(route.origin.addr()), "");
        }
        let Some(ring) = self.ring(vnode) else { return };
        let (step, contacts) = self.next_step(ring, &route.key, route.claimed);
        if step == Step::Mine {
            let mut holders = vec![ring.me.clone()];
            holders.extend(ring.succ.iter().take(FOLLOWING).cloned());
            let body = Body::Routed(Box::new(Routed { hops: route.hops, holders }));
            let message = crate::wire::Message { from: vnode, to: route.origin.vnode(), query: route.query, body };
            return self.send(&route.origin.addr(), message, cx, out);
        }
        let claimed = matches!(step, Step::Successor | Step::Before);
        let on = Route { hops: route.hops + 1, claimed, ..route };
        self.relay(vnode, on, contacts, cx, out);
    }

    /// The owner of what we have sought recursively has spoken.
    pub(super) fn on_routed(&mut self, number: u32, routed: Routed<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = &mut self.busy else { return };
        // Only a recursive lookup has no paths of its own.
        if busy.lookups.get(&number).is_none_or(|lookup| !lookup.paths.is_empty()) {
            return out.note(Level::Debug, "late_answer", None, "");
        }
        let Some(lookup) = busy.lookups.remove(&number) else { return };
        let mut holders = routed.holders.into_iter();
        let found = holders.next().map(|owner| Found {
            owner,
            following: holders.collect(),
            hops: routed.hops.into(),
            timeouts: 0,
            took: cx.now.since(lookup.started),
        });
        self.on_found(lookup.purpose, found, cx, out);
    }

    pub(super) fn start_locate(&mut self, op: OpId, key: Key, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.is_member() {
            return super::failed(op, hexad_core::Failure::NotReady("not in a ring".into()), out);
        }
        if self.busy.as_ref().is_some_and(|busy| busy.lookups.len() >= self.config.0.errands_max) {
            return super::failed(op, hexad_core::Failure::Full("lookups"), out);
        }
        self.start_lookup(Purpose::Locate(op), key, Vec::new(), cx, out);
    }

    /// A lookup is over.
    fn on_found(&mut self, purpose: Purpose, found: Option<Found<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match purpose {
            Purpose::Join(vnode) => self.on_place_found(vnode, found, cx, out),
            Purpose::Merge(vnode) => self.on_merge_found(vnode, found, cx, out),
            Purpose::Finger(vnode, bit) => self.on_finger_found(vnode, bit, found, cx, out),
            Purpose::Others(vnode, bit) => self.on_others_found(vnode, bit, found, cx, out),
            Purpose::Errand(errand) => self.on_errand_found(errand, found, cx, out),
            Purpose::Locate(op) => match found {
                Some(found) => {
                    out.report(op, hexad_core::Progress::Own(Reply::Owner(found)));
                    out.report(op, hexad_core::Progress::Done);
                }
                None => super::failed(op, hexad_core::Failure::TimedOut(self.config.0.lookup_deadline.as_secs()), out),
            },
        }
    }
}
