//! Ring maintenance (C15): stabilise, rectify, fail. The corrected protocol; what was published in 2001 is kept for the lab to break.

use hexad_core::{Context, Level, Span};

use super::lookups::Purpose;
use super::queries::About;
use super::{Found, Node, Out, Rules, Stage, Timer};
use crate::id::{RingId as _, between};
use crate::place::{Contact as _, Place};
use crate::wire::Body;

/// So long whoever comes back is not asked who follows us, after another one has said that we do.
const ONE_RING_FOR: Span = Span::from_secs(120);

impl<A: Place> Node<A> {
    /// Starts the clock of a member.
    pub(super) fn tick_soon(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.ticking && !self.config.0.stabilise_every.is_zero() {
            self.ticking = true;
            self.tick_later(cx, out);
        }
    }

    fn tick_later(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let mean = u64::try_from(self.config.0.stabilise_every.as_micros()).unwrap_or(u64::MAX);
        out.wake(cx.now + Span::from_micros(mean / 2 + cx.dice.below(mean.max(1))), Timer::Tick);
    }

    /// What comes round.
    pub(super) fn on_tick(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member.is_none() && self.rings.is_empty() && self.busy.as_ref().is_none_or(|busy| busy.joining.is_none()) {
            self.ticking = false;
            return;
        }
        self.tick_later(cx, out);
        self.end_what_is_late(cx, out);
        for at in 0..self.rings.len() {
            let (vnode, stage) = (self.rings[at].me.vnode(), self.rings[at].stage);
            if stage == Stage::Member && self.config.0.rules != Rules::UpdateOthers {
                self.stabilise(vnode, cx, out);
                self.look_at_fingers(vnode, cx, out);
            }
        }
        self.look_for_lost(cx, out);
        self.tend_store(cx, out);
    }

    /// Asks the successor for its predecessor and its list; where everybody knows everybody, asks everybody.
    pub(super) fn stabilise(&mut self, vnode: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(ring) = self.ring_mut(vnode).filter(|ring| ring.stage == Stage::Member && !ring.stabilising) else { return };
        if ring.nursery {
            for member in ring.succ.clone() {
                self.ask(vnode, &member, About::Mesh { vnode }, Body::GetState, cx, out);
            }
            return;
        }
        let Some(head) = ring.succ.first().cloned() else {
            out.note(Level::Info, "no_live_successor", None, "");
            return self.come_back(vnode, cx, out);
        };
        ring.stabilising = true;
        self.ask(vnode, &head, About::Stabilise { vnode }, Body::GetState, cx, out);
    }

    /// All successors are gone: whoever once was there, and whoever precedes us, is asked for a way back.
    fn come_back(&mut self, vnode: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        let mut seeds: Vec<A::Contact> = self.ring(vnode).and_then(|ring| ring.prdc.clone()).into_iter().collect();
        let gone: Vec<A> = self.gone().take(3).cloned().collect();
        seeds.extend(gone.iter().filter_map(|addr| addr.contact(self.config.0.first_vnode)));
        if !seeds.is_empty() {
            let Some(key) = self.ring(vnode).map(|ring| ring.id().to_key()) else { return };
            self.start_lookup(Purpose::Merge(vnode), key, seeds, cx, out);
        }
    }

    pub(super) fn on_stabilise_end(&mut self, vnode: u8, head: &A::Contact, body: Option<Body<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let config = self.config.clone();
        let Some(Body::State(prdc, list)) = body else {
            if body.is_none() || matches!(body, Some(Body::Refused(_))) {
                self.on_gone(head, cx, out);
            }
            if let Some(ring) = self.ring_mut(vnode) {
                ring.stabilising = false;
            }
            return self.stabilise(vnode, cx, out);
        };
        // Also where we take it for gone: whoever has come back says so to its successor first.
        let Some(ring) = self.ring_mut(vnode) else { return };
        match prdc {
            Some(before) if before != ring.me && between(ring.id(), before.id(), head.id()) => {
                if config.0.rules == Rules::Published {
                    // As published: adopted without a word to it, in front of the list that is there.
                    let mut rest = vec![head.clone()];
                    rest.extend(list.iter().cloned());
                    ring.adopt(before, &rest, config.0.successors);
                    return self.stabilised(vnode, cx, out);
                }
                self.ask(vnode, &before, About::Second { vnode, list, head: head.clone() }, Body::GetState, cx, out);
            }
            before => {
                let knows_us = before.as_ref() == Some(&ring.me);
                let changed = ring.adopt(head.clone(), &list, config.0.successors);
                if knows_us {
                    // Nothing is left to be told, as mostly.
                    ring.stabilising = false;
                    if changed {
                        self.neighbours_changed(cx, out);
                    }
                    return;
                }
                self.stabilised(vnode, cx, out);
            }
        }
    }

    /// Whoever may stand before our successor has answered, and so is there; or has not.
    #[expect(clippy::too_many_arguments, reason = "who stands where, the answer, and the two that every step has")]
    pub(super) fn on_second_end(
        &mut self,
        vnode: u8,
        before: &A::Contact,
        head: &A::Contact,
        list: &[A::Contact],
        body: Option<Body<A>>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let length = self.config.0.successors;
        let Some(ring) = self.ring_mut(vnode) else { return };
        match body {
            Some(Body::State(_, theirs)) => ring.adopt(before.clone(), &theirs, length),
            _ => ring.adopt(head.clone(), list, length),
        };
        self.stabilised(vnode, cx, out);
    }

    fn stabilised(&mut self, vnode: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(ring) = self.ring_mut(vnode) else { return };
        ring.stabilising = false;
        let Some(head) = ring.succ.first().cloned() else { return };
        self.tell(vnode, &head, Body::Notify, cx, out);
        self.neighbours_changed(cx, out);
    }

    /// One of the few has told who else there is.
    pub(super) fn on_mesh_end(&mut self, vnode: u8, to: &A::Contact, body: Option<Body<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(Body::State(prdc, list)) = body else {
            if body.is_none() {
                self.on_gone(to, cx, out);
            }
            return;
        };
        let Some(ring) = self.ring_mut(vnode).filter(|ring| ring.nursery) else { return };
        let knows_us = prdc.iter().chain(list.iter()).any(|contact| *contact == ring.me);
        let mut unknown: Vec<A::Contact> =
            prdc.into_iter().chain(list).filter(|contact| *contact != ring.me && !ring.succ.contains(contact)).collect();
        if !knows_us {
            unknown.push(to.clone());
        }
        unknown.dedup();
        for contact in unknown {
            self.greet(vnode, &contact, cx, out);
        }
    }

    /// Somebody takes itself for our predecessor.
    pub(super) fn on_notify(&mut self, vnode: u8, notifier: A::Contact, cx: &mut Context<'_>, out: &mut Out<A>) {
        let (rules, tells) = (self.config.0.rules, self.config.0.tell_predecessor);
        let Some(ring) = self.ring_mut(vnode) else { return };
        if notifier == ring.me {
            return;
        }
        match ring.prdc.clone() {
            Some(prdc) if prdc == notifier => {}
            Some(prdc) if !between(prdc.id(), notifier.id(), ring.id()) => {
                if rules == Rules::UpdateOthers {
                    return;
                }
                let asked =
                    self.busy().queries.values().any(|query| matches!(query.about, About::Rectify { vnode: other, .. } if other == vnode));
                if !asked {
                    self.ask(vnode, &prdc, About::Rectify { vnode, notifier }, Body::Ping, cx, out);
                }
            }
            _ => {
                // It has just written to us, so it is there.
                let before = ring.prdc.replace(notifier);
                let told = before.filter(|before| tells && rules == Rules::Corrected && !self.is_gone(before));
                if let Some(before) = told {
                    self.tell(vnode, &before, Body::Nearer, cx, out);
                }
                self.neighbours_changed(cx, out);
            }
        }
    }

    /// Our successor has a nearer predecessor than us. It is found by stabilising, as ever: nothing is believed that has not answered.
    pub(super) fn on_nearer(&mut self, vnode: u8, sender: &A::Contact, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.ring(vnode).is_some_and(|ring| ring.succ.first() == Some(sender)) {
            self.stabilise(vnode, cx, out);
        }
    }

    pub(super) fn on_rectify_end(
        &mut self,
        vnode: u8,
        prdc: &A::Contact,
        notifier: &A::Contact,
        there: bool,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        if there {
            return;
        }
        let Some(ring) = self.ring_mut(vnode) else { return };
        if ring.prdc.as_ref() == Some(prdc) {
            ring.prdc = Some(notifier.clone());
            self.neighbours_changed(cx, out);
        }
    }

    /// Somebody is gone: no pointer leads to it any more.
    pub(super) fn on_gone(&mut self, gone: &A::Contact, cx: &mut Context<'_>, out: &mut Out<A>) {
        let mut changed = false;
        for ring in &mut *self.rings {
            let before = (ring.prdc.clone(), ring.succ.first().cloned());
            if ring.succ.len() == 1 && ring.succ.first() == Some(gone) && !ring.nursery {
                out.note(Level::Info, "all_successors_gone", Some(gone.addr()), "");
            }
            ring.drop_gone(gone);
            changed |= before != (ring.prdc.clone(), ring.succ.first().cloned());
        }
        if changed {
            self.neighbours_changed(cx, out);
        }
    }

    /// Somebody says that it is leaving. It has said so itself, over a link that proves who it is; who follows is found out by asking.
    pub(super) fn on_leave(&mut self, vnode: u8, who: &A::Contact, cx: &mut Context<'_>, out: &mut Out<A>) {
        out.note(Level::Debug, "peer_left", Some(who.addr()), "");
        let settings = self.config.clone();
        self.busy().detector.silent(&who.addr(), cx.now, &settings.0);
        self.on_gone(who, cx, out);
        if let Some(ring) = self.ring_mut(vnode)
            && ring.prdc.as_ref() == Some(who)
        {
            ring.prdc = None;
        }
        self.stabilise(vnode, cx, out);
    }

    /// Looks whether one who was gone is back.
    fn look_for_lost(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let config = self.config.clone();
        let Some(busy) = &mut self.busy else { return };
        let Some(lost) = busy.detector.due(cx.now, &config.0) else { return };
        let Some(contact) = lost.contact(config.0.first_vnode) else { return };
        let Some(vnode) = self.rings.iter().find(|ring| ring.stage == Stage::Member).map(|ring| ring.me.vnode()) else { return };
        self.ask(vnode, &contact, About::Lost { vnode }, Body::Ping, cx, out);
    }

    /// One who was gone is back, or is not. If it is in a ring of its own, two rings have to become one; but where many come back and one of them has
    /// just shown that there is one ring, the others need not show it again.
    pub(super) fn on_lost_end(&mut self, vnode: u8, lost: A::Contact, body: Option<&Body<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let one_ring = self.busy.as_ref().is_some_and(|busy| cx.now < busy.one_ring_until);
        let Some(Body::Pong) = body.filter(|_| !one_ring) else { return };
        let Some(key) = self.ring(vnode).map(|ring| ring.id().to_key()) else { return };
        self.start_lookup(Purpose::Merge(vnode), key, vec![lost], cx, out);
    }

    /// Whom one who was lost takes for the owner of our place.
    pub(super) fn on_merge_found(&mut self, vnode: u8, found: Option<Found<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(found) = found else { return };
        let Some(ring) = self.ring(vnode) else { return };
        if found.owner == ring.me || ring.succ.first() == Some(&found.owner) {
            self.busy().one_ring_until = cx.now + ONE_RING_FOR;
        } else {
            self.ask(vnode, &found.owner, About::Merge { vnode }, Body::GetState, cx, out);
        }
    }

    /// A node of another ring, or of ours, that may be nearer than our successor.
    pub(super) fn on_merge_end(&mut self, vnode: u8, to: &A::Contact, body: Option<Body<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(Body::State(_, list)) = body else { return };
        let length = self.config.0.successors;
        let Some(ring) = self.ring_mut(vnode) else { return };
        if ring.nursery {
            return self.greet(vnode, to, cx, out);
        }
        let nearer = ring.succ.first().is_none_or(|head| between(ring.id(), to.id(), head.id()));
        if nearer && *to != ring.me {
            out.note(Level::Info, "rings_merge", Some(to.addr()), "");
            ring.adopt(to.clone(), &list, length);
            self.stabilised(vnode, cx, out);
        }
    }
}
