//! Connections, and what each of them is for.

use bytes::Bytes;
use hexad_core::{ConnId, Context, Dial, Level, Map, Output, Set, Span, Time, Transport};

use super::bucket::Bucket;
use super::home::PONG_PATIENCE;
use super::publishing::Sync;
use super::{Node, Out, close};
use crate::place::Place;
use crate::wire::{Card, Message, Purpose, Reason, Status};

/// Connecting may take so long.
const DIAL_DEADLINE: Span = Span::from_secs(5);
/// Whoever opens a connection says within so long what it is for; whoever is greeted answers within so long.
const GREETING: Span = Span::from_secs(10);
/// A connection on which somebody fetches, and nothing is said for so long, is closed.
const IDLE: Span = Span::from_secs(120);

/// A leaf that says nothing for so long, or for four of our own rounds, is gone: FastTrack's speak once in two minutes.
const LEAF_SILENCE: Span = Span::from_secs(150);

/// One end of one.
#[derive(Debug)]
pub(super) struct Line<A> {
    pub(super) peer: A,
    /// When it was opened, or began to be.
    pub(super) since: Time,
    /// When something last came.
    pub(super) heard: Time,
    pub(super) kind: Kind<A>,
}

/// What it is for.
#[derive(Debug)]
pub(super) enum Kind<A> {
    /// We are dialling.
    Opening(Purpose<A>),
    /// We have asked to be its leaf.
    AskedLeaf,
    /// We have asked for a link of supernodes.
    AskedPeer,
    /// It has not yet said what it wants.
    Stranger,
    /// A supernode of ours.
    Parent(Box<Parent>),
    /// A leaf of ours.
    Leaf(Box<Leaf>),
    /// Another supernode.
    Peer(Box<Peer>),
    /// We fetch over it.
    Source,
    /// It fetches from us.
    Client,
    /// We see for somebody whether it can be reached.
    Calling(u64, ConnId),
    /// It sees whether we can be reached.
    Called,
    /// It fetches over us from a leaf that has not come yet.
    RelayWaiting,
    /// What comes is passed on there.
    Relay(ConnId),
}

/// How many there are of the kinds that are looked at whenever somebody comes; leaves have names ([`Lines::leaves`]).
#[derive(Debug, Default)]
struct Counts {
    peers: usize,
    parents: usize,
    /// Those who have said nothing of themselves yet, or only come to be looked at.
    strangers: usize,
}

impl Counts {
    fn of<A>(&mut self, kind: &Kind<A>) -> Option<&mut usize> {
        match kind {
            Kind::Peer(_) => Some(&mut self.peers),
            Kind::Parent(_) => Some(&mut self.parents),
            Kind::Stranger | Kind::Called => Some(&mut self.strangers),
            _ => None,
        }
    }

    fn more<A>(&mut self, kind: &Kind<A>) {
        if let Some(count) = self.of(kind) {
            *count += 1;
        }
    }

    fn less<A>(&mut self, kind: &Kind<A>) {
        if let Some(count) = self.of(kind) {
            *count -= 1;
        }
    }
}

/// A supernode of ours.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) status: Status,
    /// Asked whether it is there, and not yet answered.
    pub(super) pinged: Option<(u32, Time)>,
    /// It has asked us to go elsewhere.
    pub(super) moving: bool,
    /// We are one of its heirs, and so many come before us.
    pub(super) heir_after: Option<u8>,
    pub(super) sync: Sync,
}

/// A leaf of ours.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) card: Card,
    /// Whether others can reach it, once that was tried.
    pub(super) tested: Option<bool>,
    /// How often that was tried, and when it may be tried again.
    pub(super) tests: u8,
    pub(super) test_at: Time,
    /// It was asked to be a supernode; not again before then.
    pub(super) promote_at: Time,
    pub(super) bucket: Bucket,
}

/// Another supernode.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) status: Status,
    pub(super) bucket: Bucket,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Lines<A: Place> {
    all: Map<ConnId, Line<A>>,
    counts: Counts,
    /// Our leaves by their names: whoever links or asks for a push may be one of them, or mean one.
    leaves: Set<(A::Name, ConnId)>,
}

impl<A: Place> Default for Lines<A> {
    fn default() -> Self {
        Self { all: Map::new(), counts: Counts::default(), leaves: Set::new() }
    }
}

impl<A: Place> Lines<A> {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, conn: ConnId) -> Option<&Line<A>> {
        self.all.get(&conn)
    }

    /// Changes what it is for.
    pub(super) fn turn(&mut self, conn: ConnId, kind: Kind<A>) {
        if let Some(line) = self.remove(conn) {
            self.add(conn, Line { kind, ..line });
        }
    }

    /// The same where it begins anew.
    pub(super) fn begin(&mut self, conn: ConnId, kind: Kind<A>, now: Time) {
        self.turn(conn, kind);
        if let Some(line) = self.all.get_mut(&conn) {
            line.since = now;
        }
    }

    /// Something has come.
    pub(super) fn hear(&mut self, conn: ConnId, now: Time) -> Option<&Line<A>> {
        let line = self.all.get_mut(&conn)?;
        line.heard = now;
        Some(line)
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Line<A>> {
        let line = self.all.remove(&conn)?;
        self.counts.less(&line.kind);
        if matches!(line.kind, Kind::Leaf(_)) {
            self.leaves.remove(&(line.peer.name(), conn));
        }
        Some(line)
    }

    pub(super) fn insert(&mut self, conn: ConnId, peer: A, kind: Kind<A>, now: Time) {
        self.remove(conn);
        self.add(conn, Line { peer, since: now, heard: now, kind });
    }

    /// Where there is none of that number.
    fn add(&mut self, conn: ConnId, line: Line<A>) {
        self.counts.more(&line.kind);
        if matches!(line.kind, Kind::Leaf(_)) {
            self.leaves.insert((line.peer.name(), conn));
        }
        self.all.insert(conn, line);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Line<A>)> {
        self.all.iter().map(|(conn, line)| (*conn, line))
    }

    pub(super) fn take_all(&mut self) -> Vec<ConnId> {
        std::mem::take(self).all.into_keys().collect()
    }

    pub(super) fn count(&self, is: impl Fn(&Kind<A>) -> bool) -> usize {
        self.all.values().filter(|line| is(&line.kind)).count()
    }

    pub(super) fn leaves(&self) -> usize {
        self.leaves.len()
    }

    pub(super) fn peers(&self) -> usize {
        self.counts.peers
    }

    pub(super) fn parents(&self) -> usize {
        self.counts.parents
    }

    pub(super) fn relays(&self) -> usize {
        self.count(|kind| matches!(kind, Kind::Relay(_))) / 2
    }

    pub(super) fn leaf_lines(&self) -> impl Iterator<Item = &Line<A>> {
        self.all.values().filter(|line| matches!(line.kind, Kind::Leaf(_)))
    }

    pub(super) fn peer_lines(&self) -> impl Iterator<Item = &Line<A>> {
        self.all.values().filter(|line| matches!(line.kind, Kind::Peer(_)))
    }

    pub(super) fn parent_lines(&self) -> impl Iterator<Item = &Line<A>> {
        self.all.values().filter(|line| matches!(line.kind, Kind::Parent(_)))
    }

    pub(super) fn peer_ages(&self, now: Time) -> impl Iterator<Item = Span> {
        self.peer_lines().map(move |line| now.since(line.since))
    }

    pub(super) fn parent_mut(&mut self, conn: ConnId) -> Option<&mut Parent> {
        match &mut self.all.get_mut(&conn)?.kind {
            Kind::Parent(parent) => Some(parent),
            _ => None,
        }
    }

    pub(super) fn leaf_mut(&mut self, conn: ConnId) -> Option<&mut Leaf> {
        match &mut self.all.get_mut(&conn)?.kind {
            Kind::Leaf(leaf) => Some(leaf),
            _ => None,
        }
    }

    pub(super) fn peer_mut(&mut self, conn: ConnId) -> Option<&mut Peer> {
        match &mut self.all.get_mut(&conn)?.kind {
            Kind::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    /// What a leaf or a link may still ask.
    pub(super) fn bucket_mut(&mut self, conn: ConnId) -> Option<&mut Bucket> {
        match &mut self.all.get_mut(&conn)?.kind {
            Kind::Leaf(leaf) => Some(&mut leaf.bucket),
            Kind::Peer(link) => Some(&mut link.bucket),
            _ => None,
        }
    }

    /// The connections of a kind.
    pub(super) fn of(&self, is: impl Fn(&Kind<A>) -> bool) -> Vec<ConnId> {
        self.all.iter().filter(|(_, line)| is(&line.kind)).map(|(conn, _)| *conn).collect()
    }

    /// The leaf of that name.
    pub(super) fn leaf_named(&self, name: &A::Name) -> Option<ConnId> {
        self.leaves.range((*name, ConnId(0))..).next().filter(|(leaf, _)| leaf == name).map(|(_, conn)| *conn)
    }

    /// Whether there is a connection of that kind with that peer.
    pub(super) fn has(&self, name: &A::Name, is: impl Fn(&Kind<A>) -> bool) -> bool {
        self.all.values().any(|line| line.peer.name() == *name && is(&line.kind))
    }
}

/// How our connections are opened.
fn dial() -> Dial {
    Dial { transport: Transport::Quic, deadline: DIAL_DEADLINE, manner: 0, secret: Bytes::new() }
}

impl<A: Place> Node<A> {
    /// Opens a connection.
    pub(super) fn dial(&mut self, to: &A, purpose: Purpose<A>, cx: &mut Context<'_>, out: &mut Out<A>) -> ConnId {
        let conn = cx.new_conn();
        self.lines.insert(conn, to.clone(), Kind::Opening(purpose), cx.now);
        out.push(Output::Open(conn, to.clone(), dial()));
        conn
    }

    /// Ends a connection from our side.
    pub(super) fn drop_line(&mut self, conn: ConnId, why: &'static str, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.lines.get(conn).is_some() {
            close(conn, why, out);
            self.on_closed(conn, cx, out);
        }
    }

    pub(super) fn on_opened(&mut self, conn: ConnId, peer: A, accepted: bool, cx: &mut Context<'_>, out: &mut Out<A>) {
        if accepted {
            let in_network = self.member.is_some() || self.home.is_joining();
            if !in_network || !peer.fits(self.config.0.identity.is_some()) {
                out.note(Level::Drop, "stranger_refused", Some(peer), "");
                return close(conn, "not a member", out);
            }
            if self.lines.counts.strangers >= self.config.0.strangers_max {
                out.note(Level::Drop, "too_many_strangers", Some(peer), "");
                return close(conn, "too many connections", out);
            }
            return self.lines.insert(conn, peer, Kind::Stranger, cx.now);
        }
        let Some(line) = self.lines.hear(conn, cx.now) else { return close(conn, "no longer wanted", out) };
        let Kind::Opening(purpose) = &line.kind else { return };
        // By what was dialled the other end learns what its address is.
        let (dialled, purpose) = (line.peer.clone(), purpose.clone());
        let kind = match purpose {
            Purpose::Leaf(_) => Kind::AskedLeaf,
            Purpose::Supernode(_) => Kind::AskedPeer,
            Purpose::Fetch | Purpose::Relay(_) => Kind::Source,
            Purpose::CallBack(nonce) => Kind::Calling(nonce, self.pushing.asked_by(nonce)),
            Purpose::Give(_) | Purpose::RelayGive(_) => Kind::Client,
        };
        self.lines.turn(conn, kind);
        let fetches = matches!(purpose, Purpose::Fetch | Purpose::Relay(_));
        out.send_to(conn, Message::Hello(dialled, purpose));
        if fetches {
            self.on_source_opened(conn, cx, out);
        }
    }

    pub(super) fn on_line(&mut self, conn: ConnId, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(line) = self.lines.hear(conn, cx.now) else { return };
        let peer = line.peer.clone();
        match (&line.kind, message) {
            (Kind::Stranger, Message::Hello(to, purpose)) => self.on_hello(conn, &peer, to, purpose, cx, out),
            (Kind::AskedLeaf, Message::Welcome(you, status, others)) => self.on_home_welcome(conn, &peer, (you, status, &others), cx, out),
            (Kind::AskedPeer, Message::Welcome(you, status, others)) => self.on_peer_welcome(conn, &peer, (you, status, &others), cx, out),
            (Kind::AskedLeaf, Message::Refused(reason, others)) => self.on_home_refused(conn, &peer, reason, &others, cx, out),
            (Kind::AskedPeer, Message::Refused(reason, others)) => self.on_peer_refused(conn, &peer, reason, &others, cx, out),
            (Kind::Calling(nonce, _), Message::Heard(heard, fresh)) if *nonce == heard => self.on_heard(conn, fresh, cx, out),
            (Kind::Relay(_) | Kind::RelayWaiting, message) => self.on_relayed(conn, message, cx, out),
            (Kind::Parent(_), message) => self.on_parent(conn, &peer, message, cx, out),
            (Kind::Leaf(_), message) => self.on_leaf(conn, &peer, message, cx, out),
            (Kind::Peer(_), message) => self.on_peer(conn, &peer, message, cx, out),
            (Kind::Source, message) => self.on_source(conn, message, cx, out),
            (Kind::Client, message) => self.on_client(conn, message, cx, out),
            (_, message) => self.unexpected(&peer, &message, out),
        }
    }

    /// Something that has no place where it came.
    pub(super) fn unexpected(&self, peer: &A, message: &Message<A>, out: &mut Out<A>) {
        out.note(Level::Drop, "unexpected_message", Some(peer.clone()), hexad_core::Message::kind(message));
    }

    fn on_hello(&mut self, conn: ConnId, peer: &A, to: A, purpose: Purpose<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.learn_own(to);
        match purpose {
            Purpose::Leaf(card) => self.on_leaf_hello(conn, peer, card, cx, out),
            Purpose::Supernode(status) => self.on_peer_hello(conn, peer, status, cx, out),
            Purpose::Fetch => self.become_client(conn, cx, out),
            Purpose::CallBack(nonce) => {
                // Whoever comes through a hole that we have made ourselves proves nothing.
                let fresh =
                    !self.lines.has(&peer.name(), |kind| !matches!(kind, Kind::Stranger)) && !self.home.has_asked(&peer.name(), cx.now);
                self.lines.turn(conn, Kind::Called);
                out.send_to(conn, Message::Heard(nonce, fresh));
            }
            Purpose::Give(token) => self.on_given(conn, peer, token, cx, out),
            Purpose::Relay(target) => self.on_relay_hello(conn, peer, &target, cx, out),
            Purpose::RelayGive(token) => self.on_relay_given(conn, peer, token, cx, out),
        }
    }

    /// Somebody says under which address he has found us.
    pub(super) fn learn_own(&mut self, seen: A) {
        if self.addr.is_none() && A::may_be(&seen, self.config.0.identity) {
            self.addr = Some(seen);
        }
    }

    /// Refuses a newcomer, and closes behind the answer.
    pub(super) fn refuse(&mut self, conn: ConnId, reason: Reason, cx: &mut Context<'_>, out: &mut Out<A>) {
        let others = self.known.free(16, cx.now, cx);
        out.send_to(conn, Message::Refused(reason, others));
        // It reads the answer, and closes.
        self.lines.turn(conn, Kind::Called);
    }

    pub(super) fn on_closed(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(line) = self.lines.remove(conn) else { return };
        let name = line.peer.name();
        match line.kind {
            Kind::Opening(Purpose::Leaf(_)) | Kind::AskedLeaf => {
                self.known.failed(&name, cx.now);
                self.seek(cx, out);
            }
            Kind::Opening(Purpose::Supernode(_)) | Kind::AskedPeer => self.known.failed(&name, cx.now),
            Kind::Opening(Purpose::CallBack(nonce)) => {
                let asked_by = self.pushing.asked_by(nonce);
                self.tell_called(nonce, asked_by, false, out);
            }
            Kind::Calling(nonce, asked_by) => self.tell_called(nonce, asked_by, false, out),
            Kind::Opening(Purpose::Fetch | Purpose::Relay(_)) | Kind::Source => self.on_source_closed(conn, cx, out),
            Kind::Parent(parent) => {
                self.known.failed(&name, cx.now);
                self.on_parent_lost(conn, parent.heir_after, cx, out);
            }
            Kind::Leaf(_) => self.on_leaf_lost(conn, &name, cx, out),
            Kind::Peer(_) => {
                self.known.failed(&name, cx.now);
                self.on_peer_lost(conn, cx, out);
            }
            Kind::Client => {
                self.uploads.remove(&conn);
            }
            Kind::RelayWaiting => self.pushing.forget_relay(conn),
            Kind::Relay(other) => {
                if self.lines.remove(other).is_some() {
                    close(other, "the other end of the relay is closed", out);
                }
            }
            Kind::Opening(Purpose::Give(_) | Purpose::RelayGive(_)) | Kind::Stranger | Kind::Called => {}
        }
    }

    pub(super) fn on_room(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        match self.lines.get(conn).map(|line| &line.kind) {
            Some(Kind::Client) => self.serve_more(conn, cx, out),
            Some(Kind::Parent(_)) => self.publish_more(conn, cx, out),
            _ => {}
        }
    }

    /// Closes what has been silent for too long where somebody ought to speak.
    pub(super) fn look_after_lines(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let (now, pings) = (cx.now, self.config.0.ping_every);
        let elections = self.config.0.election_every;
        let late = |line: &Line<A>| {
            let silence = now.since(line.heard);
            match &line.kind {
                Kind::Opening(_) => now.since(line.since) >= DIAL_DEADLINE * 3,
                Kind::AskedLeaf | Kind::AskedPeer | Kind::Stranger | Kind::Called | Kind::Calling(..) | Kind::RelayWaiting => {
                    silence >= GREETING
                }
                Kind::Client | Kind::Relay(_) => silence >= IDLE,
                // A leaf asks whether we are there, and a supernode says how it stands at every election.
                Kind::Leaf(_) => silence >= (pings * 4).max(LEAF_SILENCE),
                Kind::Peer(_) => silence >= elections * 3 + Span::from_secs(5),
                Kind::Source => false,
                Kind::Parent(parent) => parent.pinged.is_some_and(|(_, at)| now.since(at) >= (pings * 9 / 10).min(PONG_PATIENCE)),
            }
        };
        let late: Vec<ConnId> = self.lines.iter().filter(|(_, line)| late(line)).map(|(conn, _)| conn).collect();
        for conn in late {
            self.drop_line(conn, "silent", cx, out);
        }
    }
}
