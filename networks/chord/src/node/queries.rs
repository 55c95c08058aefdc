//! Questions under way: each is asked again until it is answered or has been asked often enough.

use hexad_core::{Context, Level, Link, OpId, Output, Span, Time};

use super::{Node, Out, Timer, doors};
use crate::id::Key;
use crate::place::{Contact as _, Place};
use crate::wire::{Body, DATAGRAM_BYTES_MAX, Message, Route};

/// So much later than need be it may be noticed that somebody did not answer, where somebody waits for that; that there is one wake for several
/// questions is worth it.
const SLACK: Span = Span::from_millis(250);
/// The same where nobody waits for it.
const SLACK_OF_MAINTENANCE: Span = Span::from_secs(1);

/// What a question is about: whoever is told of its answer, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum About<A: Place> {
    /// A newcomer's first word to one of its bootstrap nodes.
    Hello,
    /// A newcomer greets a member where everybody knows everybody.
    Greet { vnode: u8 },
    /// A newcomer wants its successor's list.
    JoinState { vnode: u8, turns: u8 },
    /// A newcomer wants its successor's fingers.
    CopyTable { vnode: u8 },
    /// The first half of stabilisation.
    Stabilise { vnode: u8 },
    /// The second half: somebody may stand before our successor.
    Second { vnode: u8, list: Box<[A::Contact]>, head: A::Contact },
    /// Stabilisation where everybody knows everybody.
    Mesh { vnode: u8 },
    /// Is one who was gone back?
    Lost { vnode: u8 },
    /// A node of another ring may be our successor.
    Merge { vnode: u8 },
    /// Is our predecessor still there, now that somebody else says that he is it?
    Rectify { vnode: u8, notifier: A::Contact },
    /// Does a finger still stand where it should?
    Finger { vnode: u8, bit: u8, turns: u8 },
    /// How far away is a node that may be a finger?
    Near { vnode: u8, bit: u8 },
    /// One step of a lookup on one of its paths.
    Step { lookup: u32, path: u8 },
    /// A recursive lookup was passed on; others are tried where it was not taken.
    Relay { rest: Vec<A::Contact> },
    /// A put or a get.
    Errand(u32),
    /// A copy of what was put here.
    Copy { write: u32 },
    /// Comparison of our arc with one who holds copies of it.
    Inventory { vnode: u8, arc: Box<(Key, Key)> },
    /// Copies for one who lacks them.
    Push,
    /// Items that we lack.
    Pull,
    /// What we own, before we leave.
    Farewell { op: OpId },
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query<A: Place> {
    pub(super) to: A::Contact,
    pub(super) from: u8,
    pub(super) tries: u8,
    pub(super) sent: Time,
    /// When it counts as not answered.
    pub(super) deadline: Time,
    pub(super) about: About<A>,
    pub(super) body: Body<A>,
}

impl<A: Place> Query<A> {
    /// When it is to be looked at the latest whether it was answered; `None` where it is soon enough when one looks anyway.
    fn look_by(&self) -> Option<Time> {
        let slack = match &self.about {
            About::Lost { .. } => return None,
            About::Stabilise { .. }
            | About::Second { .. }
            | About::Mesh { .. }
            | About::Merge { .. }
            | About::Rectify { .. }
            | About::Finger { .. }
            | About::Near { .. }
            | About::Inventory { .. }
            | About::Push
            | About::Pull => SLACK_OF_MAINTENANCE,
            About::Hello
            | About::Greet { .. }
            | About::JoinState { .. }
            | About::CopyTable { .. }
            | About::Step { .. }
            | About::Relay { .. }
            | About::Errand(_)
            | About::Copy { .. }
            | About::Farewell { .. } => SLACK,
        };
        Some(self.deadline + slack)
    }
}

impl<A: Place> Node<A> {
    /// Asks somebody something. Whoever counts as gone is asked once, and is given the time of a last try.
    pub(super) fn ask(&mut self, from: u8, to: &A::Contact, about: About<A>, body: Body<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let now = cx.now;
        let tries = if self.is_gone(to) { self.config.0.tries.saturating_sub(1) } else { 0 };
        let busy = self.busy();
        let number = busy.fresh(cx.dice);
        busy.queries.insert(number, Query { to: to.clone(), from, tries, sent: now, deadline: now, about, body });
        self.send_query(number, cx, out);
    }

    fn send_query(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let settings = &self.config.0;
        let Some(busy) = &mut self.busy else { return };
        let Some(query) = busy.queries.get_mut(&number) else { return };
        query.sent = cx.now;
        let (addr, tries) = (query.to.addr(), query.tries);
        let message = Message { from: query.from, to: query.to.vnode(), query: number, body: query.body.clone() };
        let large = hexad_core::Message::wire_bytes(&message) > DATAGRAM_BYTES_MAX;
        // What needs a connection first has to have one.
        let patience = busy.detector.patience(&addr, tries, settings) + if large { settings.answer_max } else { Span::ZERO };
        let deadline = cx.now + patience;
        let Some(query) = busy.queries.get_mut(&number) else { return };
        query.deadline = deadline;
        if let Some(by) = query.look_by() {
            busy.asked = Some(busy.asked.map_or((by, deadline), |(first, last)| (first.min(by), last.max(deadline))));
        }
        self.send(&addr, message, cx, out);
    }

    /// Has it looked by that time what has lasted too long.
    pub(super) fn look_by(&mut self, deadline: Time) {
        let busy = self.busy();
        busy.due = Some(busy.due.map_or(deadline, |due| due.min(deadline)));
    }

    /// Sees to it that there is a wake for what was asked: one for all that is asked at the same time, and none where one is under way that does as well.
    pub(super) fn see_to_wake(&mut self, out: &mut Out<A>) {
        let Some(busy) = &mut self.busy else { return };
        let comes_by = |deadline: Time| busy.patience_at.is_some_and(|at| at <= deadline);
        let asked = busy.asked.filter(|(by, _)| !comes_by(*by)).map(|(by, last)| last.min(by));
        let due = busy.due.filter(|due| !comes_by(*due));
        (busy.asked, busy.due) = (None, None);
        if let Some(at) = asked.into_iter().chain(due).min() {
            busy.patience_at = Some(at);
            out.wake(at, Timer::Patience);
        }
    }

    /// Sends a message by the road that fits its size.
    pub(super) fn send(&mut self, to: &A, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.addr.as_ref().is_some_and(|own| same_host(own, to)) {
            self.busy().loopback.push(message);
        } else if hexad_core::Message::wire_bytes(&message) <= DATAGRAM_BYTES_MAX {
            out.send(Link::Datagram(doors::RING, to.clone()), message);
        } else {
            self.send_large(to, message, cx, out);
        }
    }

    /// Answers a question.
    pub(super) fn answer(&mut self, to: &A, question: &Message<A>, body: Body<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let from = if self.ring(question.to).is_some() { question.to } else { self.config.0.first_vnode };
        self.send(to, Message { from, to: question.from, query: question.query, body }, cx, out);
    }

    /// Says something that wants no answer.
    pub(super) fn tell(&mut self, from: u8, to: &A::Contact, body: Body<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.send(&to.addr(), Message { from, to: to.vnode(), query: 0, body }, cx, out);
    }

    /// An answer has come.
    pub(super) fn on_answer(&mut self, from: &A, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Body::Routed(routed) = message.body {
            self.on_routed(message.query, *routed, cx, out);
            return;
        }
        let settings = &self.config.0;
        let Some(busy) = &mut self.busy else { return out.note(Level::Debug, "late_answer", Some(from.clone()), "") };
        match busy.queries.get(&message.query) {
            None => return out.note(Level::Debug, "late_answer", Some(from.clone()), ""),
            Some(query) if !same_host(&query.to.addr(), from) => {
                return out.note(Level::Drop, "answer_from_another", Some(from.clone()), "");
            }
            Some(_) => {}
        }
        let Some(query) = busy.queries.remove(&message.query) else { return };
        let after = cx.now.since(query.sent);
        // An answer to a question that was asked twice tells nothing about the way (Karn).
        if query.tries > 0 {
            busy.detector.heard(from);
        } else {
            busy.detector.answered(from, after, cx.now, settings);
        }
        let answerer = from.contact(message.from).unwrap_or_else(|| query.to.clone());
        self.on_end(query, Some((answerer, message.body, after)), cx, out);
    }

    /// Looks what has lasted too long.
    pub(super) fn on_patience(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = self.busy.as_mut().filter(|busy| busy.patience_at.is_some_and(|at| at <= cx.now)) else { return };
        busy.patience_at = None;
        self.end_what_is_late(cx, out);
        let longest = self.config.0.lookup_deadline;
        let busy = self.busy();
        let asked = busy.queries.values().filter_map(|query| query.look_by().map(|by| (by, query.deadline)));
        let asked = asked.reduce(|(first, last), (by, deadline)| (first.min(by), last.max(deadline)));
        let lookups = busy.lookups.values().map(|lookup| lookup.started + longest);
        let due = lookups.chain(busy.errands.values().map(super::errands::Errand::due)).min();
        (busy.asked, busy.due) = (asked, due);
    }

    /// Asks again what was not answered in time, or gives it up; and ends what has lasted too long.
    pub(super) fn end_what_is_late(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = &self.busy else { return };
        let late: Vec<u32> = busy.queries.iter().filter(|(_, query)| query.deadline <= cx.now).map(|(number, _)| number).collect();
        for number in late {
            self.on_silence(number, cx, out);
        }
        let longest = self.config.0.lookup_deadline;
        let late: Vec<u32> =
            self.busy().lookups.iter().filter(|(_, lookup)| lookup.started + longest <= cx.now).map(|(number, _)| number).collect();
        for number in late {
            self.on_lookup_late(number, cx, out);
        }
        if let Some(seldom) = self.busy().seldom() {
            let due: Vec<u32> = seldom.errands.iter().filter(|(_, errand)| errand.due() <= cx.now).map(|(number, _)| *number).collect();
            for number in due {
                self.on_errand_due(number, cx, out);
            }
        }
    }

    /// A question was not answered in time.
    pub(super) fn on_silence(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let config = &self.config;
        let Some(busy) = &mut self.busy else { return };
        let Some(query) = busy.queries.get_mut(&number) else { return };
        if query.tries + 1 < config.0.tries {
            query.tries += 1;
            self.send_query(number, cx, out);
            return;
        }
        let Some(query) = busy.queries.remove(&number) else { return };
        let gone = query.to.clone();
        busy.detector.silent(&gone.addr(), cx.now, &config.0);
        for ring in self.rings.iter_mut().filter(|ring| ring.fingers.contains(&gone)) {
            ring.pace.hurry();
        }
        out.note(Level::Debug, "silent", Some(gone.addr()), "");
        self.on_end(query, None, cx, out);
    }

    /// Whether somebody counts as gone.
    pub(super) fn is_gone(&self, contact: &A::Contact) -> bool {
        self.busy.as_ref().is_some_and(|busy| busy.detector.is_gone(&contact.addr()))
    }

    /// Passes the end of a question on to whoever asked it.
    fn on_end(&mut self, query: Query<A>, answer: Option<(A::Contact, Body<A>, Span)>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let to = query.to;
        let (who, body, after) = answer.map_or((None, None, None), |(who, body, after)| (Some(who), Some(body), Some(after)));
        match query.about {
            About::Hello => self.on_hello_end(who.zip(body), cx, out),
            About::Greet { vnode } => self.on_greet_end(vnode, &to, body, cx, out),
            About::JoinState { vnode, turns } => self.on_join_state(vnode, turns, &to, body, cx, out),
            About::CopyTable { vnode } => self.on_table(vnode, body, cx, out),
            About::Stabilise { vnode } => self.on_stabilise_end(vnode, &to, body, cx, out),
            About::Second { vnode, list, head } => self.on_second_end(vnode, &to, &head, &list, body, cx, out),
            About::Mesh { vnode } => self.on_mesh_end(vnode, &to, body, cx, out),
            About::Lost { vnode } => self.on_lost_end(vnode, to, body.as_ref(), cx, out),
            About::Merge { vnode } => self.on_merge_end(vnode, &to, body, cx, out),
            About::Rectify { vnode, notifier } => {
                // Who has come back and is no member yet is as good as gone: it will notify us when it is.
                let there = body.is_some_and(|body| !matches!(body, Body::Refused(_)));
                self.on_rectify_end(vnode, &to, &notifier, there, cx, out);
            }
            About::Finger { vnode, bit, turns } => self.on_finger_end((vnode, bit, turns), &to, body, cx, out),
            About::Near { vnode, bit } => self.on_near_end(vnode, bit, &to, after, out),
            About::Step { lookup, path } => self.on_step_end(lookup, path, &to, body, cx, out),
            About::Relay { rest } => {
                if let (None, Body::Route(route)) = (&body, query.body) {
                    self.relay(query.from, *route, rest, cx, out);
                }
            }
            About::Errand(errand) => self.on_errand_end(errand, &to, body, cx, out),
            About::Copy { write } => self.on_copy_end(write, matches!(body, Some(Body::Copied(count)) if count > 0), cx, out),
            About::Inventory { vnode, arc } => self.on_inventory_end(vnode, &to, *arc, body, cx, out),
            About::Push => {}
            About::Pull => self.on_pulled(&to, body, cx, out),
            About::Farewell { op } => self.on_farewell_end(op, cx, out),
        }
    }

    /// Passes a recursive lookup on to the first of `next`; the others are tried if that one is silent.
    pub(super) fn relay(&mut self, from: u8, route: Route<A>, mut next: Vec<A::Contact>, cx: &mut Context<'_>, out: &mut Out<A>) {
        next.retain(|contact| !self.is_gone(contact));
        if next.is_empty() {
            return out.note(Level::Drop, "route_stuck", None, "");
        }
        let first = next.remove(0);
        self.ask(from, &first, About::Relay { rest: next }, Body::Route(Box::new(route)), cx, out);
    }

    /// Closes what was opened for a user and reports nothing more.
    pub(super) fn close(conn: hexad_core::ConnId, why: &'static str, out: &mut Out<A>) {
        out.push(Output::Close(conn, why.into()));
    }
}

/// Whether two addresses are the same host: outside, by its key.
pub fn same_host<A: Place>(a: &A, b: &A) -> bool {
    a == b || a.contact(0).is_some_and(|contact| Some(contact) == b.contact(0))
}
