//! Our neighbours: what is remembered of each link, and what waits for a slow one.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::sync::Arc;

use hexad_core::{ConnId, Context, Endpoint, Level, Map, Span, Time};

use super::Out;
use super::settings::Kind;
use crate::wire::qrp::{Receiver, Table};
use crate::wire::{Body, Guid, Message, Packet};

/// A ping without an answer is repeated after so long.
const PING_AGAIN: Span = Span::from_secs(10);

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The connection is being opened.
    Dialling,
    /// We have greeted and wait for the answer.
    Greeted,
    /// We have said yes and wait for the third block.
    Answered,
    /// Messages flow.
    Up,
}

/// What a neighbour has said that it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Skills {
    pub(crate) ggep: bool,
    pub(crate) vendor: bool,
    /// Wants tables of words between ultrapeers.
    pub(crate) ultrapeer_qrp: bool,
    pub(crate) dynamic: bool,
    pub(crate) bye: bool,
    /// Links to other ultrapeers that it keeps.
    pub(crate) degree: u32,
    /// Hops that it accepts for fresh queries.
    pub(crate) ttl_max: u8,
}

/// One neighbour.
#[derive(Debug)]
pub(crate) struct Neighbour {
    pub(crate) peer: Endpoint,
    pub(crate) stage: Stage,
    /// What it is.
    pub(crate) kind: Kind,
    pub(crate) dialled: bool,
    pub(crate) classic: bool,
    /// We have agreed to let it lead us as a leaf.
    pub(crate) guid: Option<Guid>,
    /// Where it listens.
    pub(crate) listens: Option<SocketAddrV4>,
    pub(crate) since: Time,
    pub(crate) skills: Skills,
    /// When anything last came from it.
    pub(crate) heard: Time,
    pub(crate) pinged: Time,
    /// When we last answered a ping with more than our own pong.
    pub(crate) ponged: Time,
    /// Pings since anything last came from it.
    pub(crate) unanswered: u8,
    /// Queries of at least so many hops are not wanted; 255 wants all.
    pub(crate) hops_flow: u8,
    /// It wants its queries to go out under no address but its own (LIME/13).
    pub(crate) no_proxy: bool,
    /// Things that no honest program does.
    pub(crate) weird: u8,
    /// Queries that came once more, and queries in all.
    pub(crate) repeated: u32,
    pub(crate) queries: u32,
    /// Queries that may still come at once.
    allowance: u32,
    allowed_at: Time,
    /// Its table of words.
    pub(crate) receiver: Option<Box<Receiver>>,
    /// What it knows of ours.
    pub(crate) sent_table: Option<Arc<Table>>,
    pub(crate) backlog: Option<Box<Backlog>>,
}

impl Neighbour {
    pub(crate) fn new(peer: Endpoint, stage: Stage, kind: Kind, dialled: bool, now: Time) -> Self {
        Self {
            peer,
            stage,
            kind,
            dialled,
            classic: false,
            no_proxy: false,
            guid: None,
            listens: None,
            since: now,
            skills: Skills { degree: 8, ttl_max: 7, ..Skills::default() },
            heard: now,
            pinged: now,
            ponged: Time::ZERO,
            unanswered: 0,
            hops_flow: u8::MAX,
            weird: 0,
            repeated: 0,
            queries: 0,
            allowance: 0,
            allowed_at: Time::ZERO,
            receiver: None,
            sent_table: None,
            backlog: None,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.stage == Stage::Up
    }

    /// Sends it a message, or lets that wait.
    pub(crate) fn say(&mut self, conn: ConnId, packet: Packet, backlog_bytes_max: usize, cx: &Context<'_>, out: &mut Out) {
        if self.backlog.is_none() && cx.room(conn) > 0 {
            return out.send_to(conn, Message::Packet(packet));
        }
        let backlog = self.backlog.get_or_insert_with(|| Box::new(Backlog::new(cx.now)));
        for dropped in backlog.push(packet, backlog_bytes_max) {
            let code = if matches!(dropped.body, Body::Query(_)) { "query_for_slow_link" } else { "message_for_slow_link" };
            out.note(Level::Drop, code, None, "");
        }
    }

    /// When it is asked whether it lives: once it has said nothing for so long, and again while it does not answer. Whoever has dialled asks first, so
    /// that one ping serves both ends.
    pub(crate) fn ping_due(&self, quiet: Span) -> Time {
        match self.unanswered {
            0 if self.dialled => self.heard + quiet,
            0 => self.heard + quiet + quiet / 4,
            _ => self.pinged + quiet.min(PING_AGAIN),
        }
    }

    /// Takes one query of what may come: `per_s` each second, ten seconds' worth at once. 0 is no limit.
    pub(crate) fn allow(&mut self, per_s: u32, now: Time) -> bool {
        if per_s == 0 {
            return true;
        }
        const BURST_S: u32 = 10;
        let earned = (now.as_micros().saturating_sub(self.allowed_at.as_micros()) / 1000).saturating_mul(u64::from(per_s)) / 1000;
        if earned > 0 || self.allowed_at == Time::ZERO {
            let first = if self.allowed_at == Time::ZERO { u64::from(per_s * BURST_S) } else { earned };
            let all = u64::from(self.allowance).saturating_add(first);
            self.allowance = u32::try_from(all).unwrap_or(u32::MAX).min(per_s * BURST_S);
            self.allowed_at = now.max(Time::from_micros(1));
        }
        let allowed = self.allowance > 0;
        self.allowance = self.allowance.saturating_sub(1);
        allowed
    }
}

/// All links.
#[derive(Debug, Default)]
pub(crate) struct Links(Map<ConnId, Neighbour>);

impl Links {
    pub(crate) fn insert(&mut self, conn: ConnId, neighbour: Neighbour) {
        self.0.insert(conn, neighbour);
    }

    pub(crate) fn remove(&mut self, conn: ConnId) -> Option<Neighbour> {
        self.0.remove(&conn)
    }

    pub(crate) fn get(&self, conn: ConnId) -> Option<&Neighbour> {
        self.0.get(&conn)
    }

    pub(crate) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Neighbour> {
        self.0.get_mut(&conn)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnId, &Neighbour)> {
        self.0.iter().map(|(&conn, neighbour)| (conn, neighbour))
    }

    /// Links over which messages flow.
    pub(crate) fn up(&self) -> impl Iterator<Item = (ConnId, &Neighbour)> {
        self.iter().filter(|(_, neighbour)| neighbour.is_up())
    }

    /// As [`Self::of`], to send to them.
    pub(crate) fn of_mut(&mut self, kind: Kind) -> impl Iterator<Item = (ConnId, &mut Neighbour)> {
        let links = self.0.iter_mut().filter(move |(_, neighbour)| neighbour.is_up() && neighbour.kind == kind);
        links.map(|(&conn, neighbour)| (conn, neighbour))
    }

    /// As [`Self::up`], of one kind.
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = (ConnId, &Neighbour)> {
        self.up().filter(move |(_, neighbour)| neighbour.kind == kind)
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.of(kind).count()
    }

    /// Links of a kind, those included that are about to be.
    pub(crate) fn count_with_pending(&self, kind: Kind) -> usize {
        self.0.values().filter(|neighbour| neighbour.kind == kind).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What waits for a neighbour that does not read fast enough: the least important goes first when there is no more room. Spec §16.
#[derive(Debug)]
pub(crate) struct Backlog {
    by_rank: [VecDeque<Packet>; RANKS],
    bytes: usize,
    /// When it began.
    pub(crate) since: Time,
}

const RANKS: usize = 6;
/// A neighbour that is behind for longer is sent away: Bye 405.
pub(crate) const BEHIND_MAX: Span = Span::from_secs(180);

/// 0 leaves first.
fn rank(body: &Body) -> usize {
    match body {
        Body::Unknown(..) | Body::Ping(_) => 0,
        Body::Query(_) => 1,
        Body::Pong(_) => 2,
        Body::Hit(_) => 3,
        Body::Push(_) | Body::Vendor(_) => 4,
        Body::Qrp(_) | Body::Bye(_) => 5,
    }
}

impl Backlog {
    pub(crate) fn new(now: Time) -> Self {
        Self { by_rank: Default::default(), bytes: 0, since: now }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds a message; returns what had to leave. From half full on, pings and queries no longer wait at all.
    pub(crate) fn push(&mut self, packet: Packet, bytes_max: usize) -> Vec<Packet> {
        let mut dropped = Vec::new();
        let (own_rank, bytes) = (rank(&packet.body), packet.wire_bytes());
        if own_rank < 2 && self.bytes * 2 > bytes_max {
            return vec![packet];
        }
        self.bytes += bytes;
        self.by_rank[own_rank].push_back(packet);
        for waiting in &mut self.by_rank {
            while self.bytes > bytes_max {
                // Among equals, a query that has travelled far leaves first, and an answer that has travelled little.
                let far = |packet: &Packet| if matches!(packet.body, Body::Query(_)) { packet.hops } else { u8::MAX - packet.hops };
                let Some(place) = (0..waiting.len()).max_by_key(|&place| far(&waiting[place])) else { break };
                if let Some(packet) = waiting.remove(place) {
                    self.bytes -= packet.wire_bytes();
                    dropped.push(packet);
                }
            }
        }
        dropped
    }

    /// The most important one that waits.
    pub(crate) fn pop(&mut self) -> Option<Packet> {
        let packet = self.by_rank.iter_mut().rev().find_map(VecDeque::pop_front)?;
        self.bytes -= packet.wire_bytes();
        Some(packet)
    }
}
