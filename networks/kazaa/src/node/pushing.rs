//! What supernodes do for those who cannot be reached: tell a leaf to open a connection to who wants something from it, and, where that is not
//! possible either, pass on what two leaves say to each other. Also who waits for the answer to a call.

use hexad_core::{ConnId, Context, Level, Map, Span, Time};

use super::bucket::Bucket;
use super::lines::Kind;
use super::{Node, Out, Role};
use crate::place::Place;
use crate::wire::{Message, Purpose, Reason};

/// Calls and relays whose other half has not come by then are forgotten.
const PATIENCE: Span = Span::from_secs(20);
/// Calls and relays that wait.
const WAITING_MAX: usize = 256;
/// What is said before the other half of a relay has come.
const EARLY_MAX: usize = 8;
/// Pushes that we pass on in a second, and at once.
const PUSHES_PER_S: u32 = 50;
const PUSHES_BURST: u32 = 200;
/// Connections that we open because we were told to, at a time.
const GIVEN_MAX: usize = 32;

/// A relay of which one half is there.
#[derive(Debug)]
struct Half<A: Place> {
    conn: ConnId,
    target: A::Name,
    at: Time,
    early: Vec<Message<A>>,
}

/// Who waits for what.
#[derive(Debug)]
pub(super) struct Pushing<A: Place> {
    /// Leaves that are being tested, by nonce.
    tests: Map<u64, (ConnId, Time)>,
    /// Calls that we make, and who has asked for them.
    calls: Map<u64, (ConnId, Time)>,
    halves: Map<u64, Half<A>>,
    pushes: Option<Bucket>,
}

impl<A: Place> Default for Pushing<A> {
    fn default() -> Self {
        Self { tests: Map::new(), calls: Map::new(), halves: Map::new(), pushes: None }
    }
}

impl<A: Place> Pushing<A> {
    pub(super) fn len(&self) -> usize {
        self.tests.len() + self.calls.len() + self.halves.len()
    }

    /// A leaf is being tested; `false` when too many are.
    pub(super) fn test(&mut self, nonce: u64, leaf: ConnId, now: Time) -> bool {
        let room = self.tests.len() < WAITING_MAX;
        if room {
            self.tests.insert(nonce, (leaf, now));
        }
        room
    }

    /// Which leaf a test was about.
    pub(super) fn tested(&mut self, nonce: u64) -> Option<ConnId> {
        self.tests.remove(&nonce).map(|(leaf, _)| leaf)
    }

    /// We call somebody; `false` when we do already, or too many.
    pub(super) fn calls(&mut self, nonce: u64, asked_by: ConnId, now: Time) -> bool {
        if self.calls.len() >= WAITING_MAX || self.calls.contains_key(&nonce) {
            return false;
        }
        self.calls.insert(nonce, (asked_by, now));
        true
    }

    /// Who wants to know about a call.
    pub(super) fn asked_by(&self, nonce: u64) -> ConnId {
        self.calls.get(&nonce).map_or(ConnId(0), |(conn, _)| *conn)
    }

    /// A call is over.
    pub(super) fn called(&mut self, nonce: u64) {
        self.calls.remove(&nonce);
    }

    /// Who wanted a relay is gone.
    pub(super) fn forget_relay(&mut self, conn: ConnId) {
        self.halves.retain(|_, half| half.conn != conn);
    }

    /// Forgets what has waited for too long.
    pub(super) fn sweep(&mut self, now: Time) {
        self.tests.retain(|_, (_, at)| now.since(*at) < PATIENCE);
        self.calls.retain(|_, (_, at)| now.since(*at) < PATIENCE);
        self.halves.retain(|_, half| now.since(half.at) < PATIENCE);
    }
}

impl<A: Place> Node<A> {
    /// Somebody wants a leaf of ours to open a connection to him.
    pub(super) fn on_push(&mut self, from: &A, (target, via, asker, token): (&A, &A, A, u64), cx: &mut Context<'_>, out: &mut Out<A>) {
        // Nobody is sent to somebody else than who asks.
        if asker.name() != from.name() {
            return out.note(Level::Drop, "push_for_another", Some(from.clone()), "");
        }
        let bucket = self.pushing.pushes.get_or_insert_with(|| Bucket::full(PUSHES_BURST, cx.now));
        if !bucket.take(PUSHES_PER_S, PUSHES_BURST, cx.now) {
            return out.note(Level::Drop, "too_many_pushes", Some(from.clone()), "");
        }
        if self.role == Role::Supernode && self.addr.as_ref().is_none_or(|own| own.name() == via.name()) {
            self.order_push(target, asker, token, out);
        }
    }

    /// Tells a leaf of ours to open a connection.
    pub(super) fn order_push(&mut self, target: &A, asker: A, token: u64, out: &mut Out<A>) {
        match self.lines.leaf_named(&target.name()) {
            Some(conn) => out.send_to(conn, Message::PushOrder(asker, token)),
            None => out.note(Level::Debug, "push_to_nobody", Some(target.clone()), ""),
        }
    }

    fn may_give(&self) -> bool {
        self.lines.count(|kind| matches!(kind, Kind::Opening(Purpose::Give(_) | Purpose::RelayGive(_)))) < GIVEN_MAX
    }

    /// A supernode of ours tells us to open a connection to somebody who wants something from us.
    pub(super) fn on_push_order(&mut self, asker: &A, token: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.may_give() || !asker.fits(self.config.0.identity.is_some()) {
            return out.note(Level::Drop, "push_refused", Some(asker.clone()), "");
        }
        self.dial(asker, Purpose::Give(token), cx, out);
    }

    /// A supernode of ours passes on for somebody who wants something from us.
    pub(super) fn on_relay_order(&mut self, parent: &A, token: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.may_give() {
            return out.note(Level::Drop, "push_refused", Some(parent.clone()), "");
        }
        self.dial(parent, Purpose::RelayGive(token), cx, out);
    }

    /// Somebody wants to fetch from a leaf of ours over us.
    pub(super) fn on_relay_hello(&mut self, conn: ConnId, peer: &A, target: &A, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.lines.relays() + self.pushing.halves.len() >= self.config.0.relays_max {
            out.note(Level::Drop, "too_many_relays", Some(peer.clone()), "");
            return self.refuse(conn, Reason::TooMany, cx, out);
        }
        let Some(leaf) = self.lines.leaf_named(&target.name()) else { return self.refuse(conn, Reason::Unknown, cx, out) };
        let token = cx.dice.bits();
        self.pushing.halves.insert(token, Half { conn, target: target.name(), at: cx.now, early: Vec::new() });
        self.lines.turn(conn, Kind::RelayWaiting);
        out.send_to(leaf, Message::RelayOrder(token));
    }

    /// The leaf has come.
    pub(super) fn on_relay_given(&mut self, conn: ConnId, peer: &A, token: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let fits = self.pushing.halves.get(&token).is_some_and(|half| half.target == peer.name());
        let Some(half) = fits.then(|| self.pushing.halves.remove(&token)).flatten() else {
            out.note(Level::Drop, "push_unasked", Some(peer.clone()), "");
            return self.drop_line(conn, "not asked to come", cx, out);
        };
        for (end, other) in [(conn, half.conn), (half.conn, conn)] {
            self.lines.turn(end, Kind::Relay(other));
        }
        for message in half.early {
            out.send_to(conn, message);
        }
    }

    /// What one end of a relay says to the other.
    pub(super) fn on_relayed(&mut self, conn: ConnId, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let transfers = matches!(
            message,
            Message::Describe(_)
                | Message::Description(_)
                | Message::Tree(_)
                | Message::Request(..)
                | Message::Block(_)
                | Message::Gone(..)
                | Message::Refused(..)
        );
        let Some(line) = self.lines.get(conn) else { return };
        if !transfers {
            let peer = line.peer.clone();
            return self.unexpected(&peer, &message, out);
        }
        if let Kind::Relay(other) = line.kind {
            return out.send_to(other, message);
        }
        match self.pushing.halves.values_mut().find(|half| half.conn == conn) {
            Some(half) if half.early.len() < EARLY_MAX => half.early.push(message),
            _ => self.drop_line(conn, "speaks too early", cx, out),
        }
    }
}
