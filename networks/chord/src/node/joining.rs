//! Becoming a member (C3, C12), and founding a ring.

use std::net::SocketAddr;

use hexad_core::{Context, Endpoint, Failure, Level, OpId, Progress, Span};

use super::busy::Joining;
use super::lookups::Purpose;
use super::queries::About;
use super::{Fill, Found, Node, Out, Ring, Rules, Stage, Timer, failed, listen, places};
use crate::id::{RingId as _, between};
use crate::place::{Contact as _, Place};
use crate::wire::{Body, Welcome};

/// A join that nobody has answered by then has failed.
const JOIN_DEADLINE: Span = Span::from_secs(60);
/// How often a newcomer that was told of a nearer successor asks that one.
const TURNS_MAX: u8 = 16;
/// Between two attempts to get hold of a bootstrap node.
const AGAIN: Span = Span::from_secs(2);

impl<A: Place> Node<A> {
    pub(super) fn start_join(&mut self, op: OpId, bootstrap: &[Endpoint], cx: &mut Context<'_>, out: &mut Out<A>) {
        let joining = self.busy.as_ref().is_some_and(|busy| busy.joining.is_some() || busy.leaving.is_some());
        if self.member.is_some() || joining {
            return failed(op, Failure::NotReady("already in a ring, or on the way into or out of one".into()), out);
        }
        let nodes: Vec<A> = places(bootstrap, self.config.0.identity.is_some());
        if nodes.is_empty() && !bootstrap.is_empty() {
            let wants = "expected addresses with a public key, as KEY@IP:PORT";
            return failed(op, Failure::Unusable(format!("{wants}, came {}", bootstrap[0])), out);
        }
        let deadline = cx.now + JOIN_DEADLINE;
        self.busy().joining = Some(Joining { op, bootstrap: nodes, at: 0, done: false, deadline });
        listen(&self.config, out);
    }

    pub(super) fn on_bound(&mut self, bound: Result<SocketAddr, String>, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.listening = bound.is_ok();
        let Some(joining) = self.busy.as_ref().and_then(|busy| busy.joining.clone()) else { return };
        match bound {
            Err(why) => {
                self.busy().joining = None;
                failed(joining.op, Failure::Host(why), out);
            }
            Ok(socket) => {
                if self.addr.is_none() {
                    self.addr = A::own(self.config.0.identity, socket);
                }
                if joining.bootstrap.is_empty() {
                    // The founder: a ring of one is a ring.
                    self.member = Some(joining.op);
                    self.busy().joining = None;
                    if let Some(addr) = self.addr.clone() {
                        self.found(addr, cx, out);
                    }
                    out.report(joining.op, Progress::Done);
                } else {
                    self.say_hello(cx, out);
                }
                self.tick_soon(cx, out);
            }
        }
    }

    /// Founds a ring of our own virtual nodes.
    pub(super) fn found(&mut self, addr: A, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.take_places(&addr, Stage::Member);
        let all: Vec<A::Contact> = self.rings.iter().map(|ring| ring.me.clone()).collect();
        let length = self.config.0.successors;
        for ring in &mut *self.rings {
            for contact in &all {
                ring.admit(contact, length);
            }
        }
        self.neighbours_changed(cx, out);
    }

    fn take_places(&mut self, addr: &A, stage: Stage) {
        let config = &self.config.0;
        self.addr = Some(addr.clone());
        let vnodes = (0..config.vnodes.max(1)).map(|number| config.first_vnode.wrapping_add(number));
        self.rings = vnodes.filter_map(|vnode| addr.contact(vnode)).map(|me| Ring::new(me, stage)).collect::<Vec<_>>().into();
    }

    fn say_hello(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let vnode = self.config.0.first_vnode;
        let Some(joining) = &mut self.busy().joining else { return };
        let Some(addr) = joining.bootstrap.get(joining.at).cloned() else { return };
        let Some(contact) = addr.contact(0) else { return };
        self.ask(vnode, &contact, About::Hello, Body::Hello(addr), cx, out);
    }

    /// The first word to a bootstrap node was answered, or was not.
    pub(super) fn on_hello_end(&mut self, answer: Option<(A::Contact, Body<A>)>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(joining) = &mut self.busy().joining else { return };
        match answer {
            Some((who, Body::Welcome(welcome))) => self.on_welcome(&who, *welcome, cx, out),
            other => {
                // Not there, or itself not yet a member: the next one, and after the last one the first again.
                joining.at += 1;
                let round = joining.at >= joining.bootstrap.len();
                if cx.now >= joining.deadline {
                    let op = joining.op;
                    self.busy().joining = None;
                    self.be_nobody(out);
                    return failed(op, Failure::TimedOut(JOIN_DEADLINE.as_secs()), out);
                }
                if round {
                    joining.at = 0;
                    if other.is_some() {
                        return out.wake(cx.now + AGAIN, Timer::Leave);
                    }
                }
                self.say_hello(cx, out);
            }
        }
    }

    /// Tries again what a bootstrap node was not ready for.
    pub(super) fn hello_again(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.rings.is_empty() {
            self.say_hello(cx, out);
        }
    }

    fn on_welcome(&mut self, who: &A::Contact, welcome: Welcome<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.addr.is_none() {
            if !A::may_be(&welcome.you, self.config.0.identity) {
                return out.note(Level::Drop, "welcome_for_another", Some(who.addr()), "");
            }
            self.addr = Some(welcome.you.clone());
        }
        let Some(addr) = self.addr.clone() else { return };
        if self.rings.is_empty() {
            self.take_places(&addr, Stage::Joining);
        }
        let vnodes: Vec<u8> = self.rings.iter().map(|ring| ring.me.vnode()).collect();
        for vnode in vnodes {
            if welcome.nursery {
                self.enter_nursery(vnode, who, &welcome.members, cx, out);
            } else {
                self.seek_place(vnode, vec![who.clone()], cx, out);
            }
        }
    }

    /// Looks for the node that will follow us.
    pub(super) fn seek_place(&mut self, vnode: u8, seeds: Vec<A::Contact>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(ring) = self.ring(vnode) else { return };
        let key = ring.id().to_key();
        self.start_lookup(Purpose::Join(vnode), key, seeds, cx, out);
    }

    /// Greets everybody, where everybody knows everybody.
    fn enter_nursery(&mut self, vnode: u8, who: &A::Contact, members: &[A::Contact], cx: &mut Context<'_>, out: &mut Out<A>) {
        let length = self.config.0.successors;
        let first = vnode == self.config.0.first_vnode;
        let own: Vec<A::Contact> = self.rings.iter().map(|ring| ring.me.clone()).collect();
        let Some(ring) = self.ring_mut(vnode) else { return };
        ring.nursery = true;
        for contact in &own {
            ring.admit(contact, length);
        }
        if first {
            // It has heard our first word, and has let this one in.
            ring.admit(who, length);
        }
        let me = ring.me.clone();
        for member in members {
            if *member != me && !(first && member == who) && !own.contains(member) {
                self.ask(vnode, member, About::Greet { vnode }, Body::Hello(member.addr()), cx, out);
            }
        }
        self.settled_in(vnode, cx, out);
    }

    /// A member of the nursery has answered our greeting, or has not.
    pub(super) fn on_greet_end(&mut self, vnode: u8, to: &A::Contact, body: Option<Body<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let length = self.config.0.successors;
        if let Some(Body::Welcome(welcome)) = body {
            let Some(ring) = self.ring_mut(vnode) else { return };
            if welcome.nursery || ring.nursery {
                ring.admit(to, length);
                let unknown: Vec<A::Contact> =
                    welcome.members.into_iter().filter(|member| *member != ring.me && !ring.succ.contains(member)).collect();
                let nursery = ring.nursery;
                for member in unknown.into_iter().filter(|_| nursery) {
                    self.greet(vnode, &member, cx, out);
                }
                self.neighbours_changed(cx, out);
            }
        }
        self.settled_in(vnode, cx, out);
    }

    /// Greets one of whom we have heard, unless that is under way or he counts as gone.
    pub(super) fn greet(&mut self, vnode: u8, member: &A::Contact, cx: &mut Context<'_>, out: &mut Out<A>) {
        let asked = |about: &About<A>, to: &A::Contact| matches!(about, About::Greet { vnode: other } if *other == vnode) && to == member;
        let under_way = self.busy().queries.values().any(|query| asked(&query.about, &query.to));
        if !under_way && !self.is_gone(member) {
            self.ask(vnode, member, About::Greet { vnode }, Body::Hello(member.addr()), cx, out);
        }
    }

    /// All of the nursery have been greeted: we are one of them.
    fn settled_in(&mut self, vnode: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        let waiting = self.busy().queries.values().any(|query| matches!(query.about, About::Greet { vnode: other } if other == vnode));
        if waiting {
            return;
        }
        if let Some(ring) = self.ring_mut(vnode).filter(|ring| ring.stage == Stage::Joining) {
            ring.stage = Stage::Member;
            self.joined(vnode, cx, out);
        }
    }

    /// The node that will follow us is found, or is not.
    pub(super) fn on_place_found(&mut self, vnode: u8, found: Option<Found<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(found) = found else { return self.start_over(cx, out) };
        let turns = 0;
        self.ask(vnode, &found.owner, About::JoinState { vnode, turns }, Body::GetState, cx, out);
    }

    /// Goes back to the bootstrap nodes.
    pub(super) fn start_over(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Some(joining) = &mut self.busy().joining {
            joining.at += 1;
            if joining.at >= joining.bootstrap.len() {
                joining.at = 0;
            }
            if cx.now >= joining.deadline {
                return self.on_hello_end(None, cx, out);
            }
            self.say_hello(cx, out);
        }
    }

    /// The successor's list has come.
    pub(super) fn on_join_state(
        &mut self,
        vnode: u8,
        turns: u8,
        to: &A::Contact,
        body: Option<Body<A>>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let Some(Body::State(prdc, list)) = body else { return self.start_over(cx, out) };
        let config = self.config.clone();
        let gone = prdc.as_ref().is_some_and(|prdc| self.is_gone(prdc));
        let Some(ring) = self.ring_mut(vnode).filter(|ring| ring.stage == Stage::Joining) else { return };
        if let Some(prdc) = &prdc
            && !gone
            && *prdc != ring.me
            && between(ring.id(), prdc.id(), to.id())
            && turns < TURNS_MAX
        {
            let prdc = prdc.clone();
            return self.ask(vnode, &prdc, About::JoinState { vnode, turns: turns + 1 }, Body::GetState, cx, out);
        }
        let rules = config.0.rules;
        let list = if matches!(rules, Rules::OneSuccessor) { Box::default() } else { list };
        ring.adopt(to.clone(), &list, config.0.successors);
        if ring.succ.is_empty() {
            return self.start_over(cx, out);
        }
        ring.stage = Stage::Member;
        if rules == Rules::UpdateOthers {
            ring.prdc = prdc;
        }
        self.joined(vnode, cx, out);
    }

    /// A virtual node has its place.
    fn joined(&mut self, vnode: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.rings.iter().all(|ring| ring.stage == Stage::Member)
            && let Some(joining) = self.busy().joining.take()
        {
            self.member = Some(joining.op);
            out.report(joining.op, Progress::Done);
        }
        if self.config.0.rules == Rules::UpdateOthers {
            self.update_others(vnode, cx, out);
        } else {
            self.stabilise(vnode, cx, out);
        }
        match self.config.0.fill {
            Fill::Copy => self.copy_table(vnode, cx, out),
            Fill::Lookups => self.look_up_all_fingers(vnode, cx, out),
            Fill::Later => {}
        }
        self.neighbours_changed(cx, out);
        self.tick_soon(cx, out);
    }

    /// Is a member at once, with these pointers: how the lab makes a ring that took no time.
    pub fn adopt(&mut self, addr: A, rings: Vec<Ring<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.addr = Some(addr);
        self.rings = rings.into();
        for ring in &mut *self.rings {
            ring.succ.shrink_to_fit();
            ring.fingers.shrink_to_fit();
        }
        self.member = Some(OpId(0));
        self.neighbours = self.fingerprint();
        listen(&self.config, out);
        self.tick_soon(cx, out);
    }

    /// Forgets that there is a ring.
    pub(super) fn be_nobody(&mut self, out: &mut Out<A>) {
        self.rings = Vec::new().into();
        self.member = None;
        self.listening = false;
        if let Some(busy) = &mut self.busy {
            busy.queries.clear();
            busy.lookups.clear();
            if let Some(seldom) = busy.seldom() {
                seldom.writes.clear();
                seldom.nearest.clear();
                seldom.store = super::store::Store::NOTHING;
            }
        }
        out.push(hexad_core::Output::Unlisten(super::doors::RING));
    }
}
