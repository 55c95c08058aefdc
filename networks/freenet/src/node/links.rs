//! Neighbours: connections, what is known of who is at the other end, and how much they ask of us.

use bytes::Bytes;
use hexad_core::{ConnId, Context, Dial, Level, Map, Output, Span, Time, Transport, Via};

use super::{Node, Out, Timer};
use crate::keys::Location;
use crate::place::Place;
use crate::wire::{Hello, Message};

/// Connecting may take so long.
const DIAL_DEADLINE: Span = Span::from_secs(8);
/// Messages that wait for a connection.
const WAITING_MAX: usize = 128;
/// The first time and the longest time for which an overloaded peer is left alone.
const BACKOFF: (Span, Span) = (Span::from_secs(1), Span::from_secs(480));
/// A fresh neighbour is not judged before this.
const GRACE: Span = Span::from_secs(300);

/// A neighbour.
#[derive(Clone, Debug)]
pub struct Peer<A> {
    conn: Option<ConnId>,
    open: bool,
    waiting: Vec<Message<A>>,
    /// Where it stands, once it has said so.
    pub location: Option<Location>,
    since: Time,
    used: Time,
    /// When it last gave us a block.
    useful: Time,
    backoff: Span,
    backed_off_until: Time,
    /// Walks of its that we look after.
    pub running: usize,
    /// Rolled when the link was made.
    pub decrements_at_max: bool,
    /// The same.
    pub decrements_at_one: bool,
    /// Blocks that were not what their keys say.
    pub strikes: u32,
}

/// All neighbours.
#[derive(Clone, Debug)]
pub struct Links<A> {
    peers: Map<A, Peer<A>>,
    conns: Map<ConnId, A>,
    banned: Vec<A>,
}

impl<A: Place> Default for Links<A> {
    fn default() -> Self {
        Self { peers: Map::new(), conns: Map::new(), banned: Vec::new() }
    }
}

impl<A: Place> Links<A> {
    /// The neighbour at an address.
    pub fn peer(&self, addr: &A) -> Option<&Peer<A>> {
        self.peers.get(addr)
    }

    pub(super) fn peer_mut(&mut self, addr: &A) -> Option<&mut Peer<A>> {
        self.peers.get_mut(addr)
    }

    /// Neighbours with open connections.
    pub fn open(&self) -> impl Iterator<Item = (&A, &Peer<A>)> {
        self.peers.iter().filter(|(_, peer)| peer.open)
    }

    pub(super) fn at(&self, conn: ConnId) -> Option<&A> {
        self.conns.get(&conn)
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn is_banned(&self, addr: &A) -> bool {
        self.banned.contains(addr)
    }

    pub(super) fn all(&self) -> Vec<A> {
        self.peers.keys().cloned().collect()
    }
}

impl<A: Place> Peer<A> {
    /// Whether anything may be said to it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Whether it was lately overloaded.
    #[must_use]
    pub fn is_backed_off(&self, now: Time) -> bool {
        now < self.backed_off_until
    }

    pub(super) fn back_off(&mut self, now: Time) {
        self.backoff = if self.backoff.is_zero() { BACKOFF.0 } else { (self.backoff * 2).min(BACKOFF.1) };
        self.backed_off_until = now + self.backoff;
    }

    pub(super) fn was_useful(&mut self, now: Time) {
        self.useful = now;
        self.backoff = Span::ZERO;
        self.backed_off_until = Time::ZERO;
    }
}

fn dial() -> Dial {
    Dial { transport: Transport::Quic, deadline: DIAL_DEADLINE, manner: 0, secret: Bytes::new() }
}

impl<A: Place> Node<A> {
    fn fresh_peer(&self, conn: ConnId, open: bool, cx: &mut Context<'_>) -> Peer<A> {
        let settings = &self.config.0;
        Peer {
            conn: Some(conn),
            open,
            waiting: Vec::new(),
            location: None,
            since: cx.now,
            used: cx.now,
            useful: Time::ZERO,
            backoff: Span::ZERO,
            backed_off_until: Time::ZERO,
            running: 0,
            decrements_at_max: cx.dice.chance(settings.decrement_at_max.0, settings.decrement_at_max.1),
            decrements_at_one: cx.dice.chance(settings.decrement_at_one.0, settings.decrement_at_one.1),
            strikes: 0,
        }
    }

    /// Whether a connection may be opened to somebody.
    pub(super) fn may_know(&self, addr: &A) -> bool {
        self.is_welcome(addr)
            && self.addr.as_ref() != Some(addr)
            && addr.key().is_none_or(|key| Some(key) != self.config.0.identity)
            && !self.links.is_banned(addr)
    }

    /// Opens a connection, if there is none.
    pub(super) fn connect(&mut self, addr: &A, cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
        if self.links.peers.contains_key(addr) {
            return true;
        }
        if !self.may_know(addr) || !self.make_room(cx.now, out) {
            return false;
        }
        let conn = cx.new_conn();
        let peer = self.fresh_peer(conn, false, cx);
        self.links.peers.insert(addr.clone(), peer);
        self.links.conns.insert(conn, addr.clone());
        out.push(Output::Open(conn, addr.clone(), dial()));
        true
    }

    /// Sends over the connection that is there, or over one that is opened for it. False when neither can be.
    pub(super) fn send(&mut self, to: &A, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
        if !self.connect(to, cx, out) {
            return false;
        }
        let Some(peer) = self.links.peers.get_mut(to) else { return false };
        peer.used = cx.now;
        match peer.conn {
            Some(conn) if peer.open => out.send_to(conn, message),
            Some(_) if peer.waiting.len() < WAITING_MAX => peer.waiting.push(message),
            _ => {
                out.note(Level::Drop, "link_overrun", Some(to.clone()), "");
                return false;
            }
        }
        true
    }

    /// Lets go of the neighbour of least use, when there are as many as may be.
    fn make_room(&mut self, now: Time, out: &mut Out<A>) -> bool {
        let max = self.config.0.peers_max;
        if self.links.peers.len() < max {
            return true;
        }
        let busy: Vec<&A> = self.walks.values().filter_map(|walk| walk.asked.as_ref()).collect();
        let idle = self.links.peers.iter().filter(|(addr, peer)| {
            peer.running == 0
                && !self.friends.are_at(addr)
                && (self.config.0.dials_the_table || now.since(peer.since) >= GRACE)
                && !busy.contains(addr)
        });
        let Some(least) = idle.min_by_key(|(_, peer)| (peer.useful, peer.used)).map(|(addr, _)| addr.clone()) else { return false };
        self.let_go(&least, "of least use", out);
        true
    }

    /// Closes all connections to somebody.
    pub(super) fn let_go(&mut self, addr: &A, why: &'static str, out: &mut Out<A>) {
        self.links.peers.remove(addr);
        let conns: Vec<ConnId> = self.links.conns.iter().filter(|(_, other)| *other == addr).map(|(conn, _)| *conn).collect();
        for conn in conns {
            self.links.conns.remove(&conn);
            out.push(Output::Close(conn, why.into()));
        }
    }

    /// A peer has given what it could not have taken for right.
    pub(super) fn strike(&mut self, addr: &A, code: &'static str, out: &mut Out<A>) {
        out.note(Level::Drop, code, Some(addr.clone()), "");
        let Some(peer) = self.links.peers.get_mut(addr) else { return };
        peer.strikes += 1;
        if peer.strikes >= 3 {
            out.note(Level::Ban, "forged_blocks", Some(addr.clone()), "");
            if self.links.banned.len() >= 1024 {
                self.links.banned.remove(0);
            }
            self.links.banned.push(addr.clone());
            self.let_go(addr, "banned", out);
        }
    }

    pub(super) fn on_opened(&mut self, conn: ConnId, addr: A, via: Via, cx: &mut Context<'_>, out: &mut Out<A>) {
        if matches!(via, Via::Accepted(_)) {
            if !self.may_know(&addr) {
                if self.receives(conn, &addr, cx, out) {
                    return;
                }
                out.note(Level::Drop, "stranger", Some(addr), "");
                return out.push(Output::Close(conn, "not wanted here".into()));
            }
            if !self.take_in(conn, &addr, cx, out) {
                return;
            }
        }
        let Some(addr) = self.links.conns.get(&conn).cloned() else {
            return out.push(Output::Close(conn, "no longer wanted".into()));
        };
        if let Some(token) = self.invitation_for(&addr).filter(|_| via == Via::Dialled) {
            // Nothing else is said before we are welcome.
            return out.send_to(conn, Message::Introduce(token));
        }
        self.open_link(conn, &addr, out);
        self.on_friend_here(&addr, out);
    }

    /// Makes a neighbour of whoever has connected; false when there is no room.
    pub(super) fn take_in(&mut self, conn: ConnId, addr: &A, cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
        if !self.links.peers.contains_key(addr) {
            if !self.make_room(cx.now, out) {
                out.note(Level::Drop, "too_many_peers", Some(addr.clone()), "");
                out.push(Output::Close(conn, "too many peers".into()));
                return false;
            }
            let peer = self.fresh_peer(conn, true, cx);
            self.links.peers.insert(addr.clone(), peer);
        } else if self.links.conns.values().filter(|other| *other == addr).count() >= 4 {
            out.note(Level::Drop, "too_many_connections", Some(addr.clone()), "");
            out.push(Output::Close(conn, "too many connections".into()));
            return false;
        }
        self.links.conns.insert(conn, addr.clone());
        true
    }

    /// Says what has waited for a link, and greets.
    pub(super) fn open_link(&mut self, conn: ConnId, addr: &A, out: &mut Out<A>) {
        let Some(peer) = self.links.peers.get_mut(addr) else { return };
        // Where both have dialled at the same time, either connection will do.
        if !peer.open || peer.conn.is_none() {
            peer.conn = Some(conn);
            peer.open = true;
        }
        for message in std::mem::take(&mut peer.waiting) {
            out.send_to(conn, message);
        }
        if !self.config.0.dials_the_table {
            out.send_to(conn, Message::Hello(Box::new(Hello { you: addr.clone(), location: self.location })));
        }
    }

    pub(super) fn on_closed(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.on_guest_closed(conn) {
            return;
        }
        let Some(addr) = self.links.conns.remove(&conn) else { return };
        let Some(peer) = self.links.peers.get_mut(&addr) else { return };
        if peer.conn != Some(conn) {
            return;
        }
        let was_open = peer.open;
        if let Some((&other, _)) = self.links.conns.iter().find(|(_, other)| **other == addr) {
            peer.conn = Some(other);
            peer.open = true;
            for message in std::mem::take(&mut peer.waiting) {
                out.send_to(other, message);
            }
            return;
        }
        self.links.peers.remove(&addr);
        if !was_open {
            self.table.forget(&addr);
        }
        self.on_peer_gone(&addr, cx, out);
        self.on_inviter_gone(&addr, cx, out);
    }

    pub(super) fn on_hello(&mut self, from: &A, hello: Hello<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.addr.is_none() && A::may_be(&hello.you, self.config.0.identity) {
            self.addr = Some(hello.you);
        }
        if let Some(peer) = self.links.peers.get_mut(from) {
            peer.location = hello.location;
        }
        self.on_greeted(from, cx, out);
    }

    /// Tells everybody where we stand.
    pub(super) fn greet_all(&mut self, out: &mut Out<A>) {
        let location = self.location;
        for (addr, peer) in self.links.peers.iter().filter(|(_, peer)| peer.open) {
            if let Some(conn) = peer.conn {
                out.send_to(conn, Message::Hello(Box::new(Hello { you: addr.clone(), location })));
            }
        }
    }

    /// Looks whether there are enough neighbours.
    pub(super) fn on_tick(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member.is_none() {
            self.ticking = false;
            return;
        }
        if self.links.open().count() < self.config.0.peers_wanted.min(4) {
            let known: Vec<A> = self.bootstrap.clone();
            for addr in known {
                self.connect(&addr, cx, out);
            }
        }
        self.meet_friends(cx, out);
        self.begin_swapping(cx, out);
        out.wake(cx.now + super::TICK, Timer::Tick);
    }
}
