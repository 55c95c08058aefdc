//! Pings and pongs. Pings are not passed on: they are answered from what earlier pongs have told (pong caching, spec §4).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddrV4};

use bytes::Bytes;
use hexad_core::{ConnId, Context, Endpoint, Level, Link, Span, Time};

use super::hosts::{self, is_usable, is_usable6};
use super::settings::Kind;
use super::{Node, Out};
use crate::doors;
use crate::wire::ggep::{self, Block};
use crate::wire::{Body, Guid, Packet, Pong};

/// Pongs that answer one ping, ours not counted.
const PONGS_MAX: usize = 10;
/// Hosts that are packed into one pong.
const PACKED_MAX: usize = 20;
/// Pongs kept for each number of hops.
const KEPT_EACH: usize = 10;
/// Numbers of hops that are told apart.
const HOPS: usize = 7;
/// A pong is passed on for so long.
const LIFE: Span = Span::from_secs(60);
/// One neighbour is answered with more than our own pong so often.
const ANSWER_EVERY: Span = Span::from_secs(3);
/// One address is answered by datagram so many times in ten seconds.
const DATAGRAMS_MAX: u8 = 20;
/// Addresses that ask by datagram and are told apart.
const ASKERS_MAX: usize = 1024;

#[derive(Debug)]
struct Kept {
    pong: Pong,
    from: ConnId,
    at: Time,
}

/// Pongs that came by, by the hops they had travelled.
#[derive(Debug, Default)]
pub(crate) struct Pongs {
    by_hops: [VecDeque<Kept>; HOPS],
}

impl Pongs {
    fn add(&mut self, hops: u8, pong: Pong, from: ConnId, now: Time) {
        let Some(kept) = self.by_hops.get_mut(usize::from(hops)) else { return };
        kept.retain(|other| other.pong.at != pong.at);
        if kept.len() >= KEPT_EACH {
            kept.pop_front();
        }
        kept.push_back(Kept { pong, from, at: now });
    }

    /// Up to `count` pongs that did not come from `to`, spread over hops, freshest first.
    fn choose(&self, count: usize, to: ConnId, now: Time) -> Vec<(u8, Pong)> {
        let mut chosen: Vec<(u8, Pong)> = Vec::new();
        for round in 0..KEPT_EACH {
            for (hops, kept) in self.by_hops.iter().enumerate() {
                let fits = |kept: &&Kept| kept.from != to && now.since(kept.at) < LIFE;
                if let Some(kept) = kept.iter().rev().filter(fits).nth(round)
                    && chosen.len() < count
                    && chosen.iter().all(|(_, other)| other.at != kept.pong.at)
                {
                    chosen.push((u8::try_from(hops).unwrap_or(u8::MAX), kept.pong.clone()));
                }
            }
        }
        chosen
    }
}

/// Bit 2 of `SCP`: hosts with IPv6 addresses are welcome too. Spec §10.
fn wants_six(wish: &[u8]) -> bool {
    wish.first().is_some_and(|flags| flags & 4 != 0)
}

impl Node {
    /// Asks a neighbour whether it is alive, and from two hops on for others.
    pub(crate) fn ping(&mut self, conn: ConnId, ttl: u8, cx: &mut Context<'_>, out: &mut Out) {
        let wanted = u8::from(self.kind == Kind::Ultrapeer) | if self.own6().is_some() { 4 } else { 0 };
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        // Whoever is asked for others may say that it is too soon for that, by saying nothing.
        if ttl <= 1 {
            neighbour.pinged = cx.now;
            neighbour.unanswered = neighbour.unanswered.saturating_add(1);
        }
        let ext = if neighbour.skills.ggep && ttl > 1 {
            Block::default().with("SCP", Bytes::copy_from_slice(&[wanted])).bytes()
        } else {
            Bytes::new()
        };
        let muid = Guid::fresh(cx.dice);
        self.say(conn, Packet::new(muid, ttl.max(1), Body::Ping(ext)), cx, out);
    }

    /// Asks a new neighbour for hosts, where we know too few.
    pub(crate) fn hunt(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        if self.hosts.is_short(cx.now) {
            self.ping(conn, self.config.ttl, cx, out);
        }
    }

    /// Asks some neighbour for hosts, where we know too few; ever more seldom where that brings none.
    pub(crate) fn ask_for_hosts(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        if !self.config.discover || !self.hosts.may_ask(cx.now) {
            return;
        }
        let tellers = self.links.up().filter(|(_, neighbour)| neighbour.kind != Kind::Leaf && neighbour.backlog.is_none());
        let tellers: Vec<ConnId> = tellers.map(|(conn, _)| conn).collect();
        if let Some(place) = cx.dice.index(tellers.len()) {
            self.hosts.asked(cx.now);
            self.ping(tellers[place], self.config.ttl, cx, out);
        }
    }

    /// Our own pong.
    fn pong(&self, with_ggep: bool, cx: &Context<'_>) -> Pong {
        let (files, bytes) = self.offers.as_ref().map_or((0, 0), |offers| (offers.file_count(), offers.file_bytes()));
        let mut kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        if self.kind == Kind::Ultrapeer {
            kib = kib.max(8).checked_next_power_of_two().unwrap_or(1 << 31);
        }
        let at = self.own_or_none();
        let mut ext = Bytes::new();
        if with_ggep {
            let mut block = Block::default().with("VC", Bytes::from_static(b"HEXA\x01"));
            if self.kind == Kind::Ultrapeer {
                let free = |max: usize, used: usize| u8::try_from(max.saturating_sub(used)).unwrap_or(u8::MAX);
                let leaves = free(self.config.leaves_max, self.links.count(Kind::Leaf));
                let ultrapeers = free(self.config.ultrapeer_links_max, self.links.count(Kind::Ultrapeer));
                block = block.with("UP", Bytes::copy_from_slice(&[1, leaves, ultrapeers]));
            }
            let uptime = cx.now.since(self.started).as_secs().min(86_400);
            ext = self.with_six(block.with("DU", ggep::trimmed(uptime))).bytes();
        }
        Pong { at, files: u32::try_from(files).unwrap_or(u32::MAX), kib, ext }
    }

    pub(crate) fn on_ping(&mut self, conn: ConnId, ping: &Packet, ext: &Bytes, cx: &mut Context<'_>, out: &mut Out) {
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        let ggep = neighbour.skills.ggep;
        let back = ping.hops.saturating_add(1);
        let answer = |pong: Pong, hops: u8| Packet { muid: ping.muid, ttl: back, hops, body: Body::Pong(Box::new(pong)) };
        let (alive, crawler) = (ping.ttl == 1 && ping.hops == 0, ping.ttl == 2 && ping.hops == 0);
        let soon = neighbour.ponged != Time::ZERO && cx.now.since(neighbour.ponged) < ANSWER_EVERY;
        if !alive {
            if soon {
                return out.note(Level::Drop, "ping_too_soon", None, "");
            }
            neighbour.ponged = cx.now.max(Time::from_micros(1));
        }
        let mut own = self.pong(ggep, cx);
        let mut packed = false;
        if ggep && let Some(wish) = Block::read(ext).ok().and_then(|(block, _)| block.find("SCP").cloned()) {
            own.ext = self.with_hosts(&own.ext, wants_six(&wish));
            packed = true;
        }
        // Whoever is not reachable answers only for himself, and only whether he lives.
        if alive || crawler || !self.is_firewalled() {
            self.say(conn, answer(own, 0), cx, out);
        }
        if crawler {
            let near = self.links.up().filter(|(other, _)| *other != conn).filter_map(|(_, neighbour)| neighbour.listens);
            let near: Vec<SocketAddrV4> = near.take(64).collect();
            for at in near {
                self.say(conn, answer(Pong { at, files: 0, kib: 0, ext: Bytes::new() }, 1), cx, out);
            }
        } else if !alive && (!packed || self.is_firewalled()) {
            // Whoever wants hosts packed has them by now.
            for (hops, mut pong) in self.pongs_for(conn, cx.now) {
                if !ggep {
                    pong.ext = Bytes::new();
                }
                self.say(conn, answer(pong, hops.saturating_add(1)), cx, out);
            }
        }
    }

    /// Pongs for a neighbour: those that came by lately, and where these are few, our other neighbours.
    fn pongs_for(&self, to: ConnId, now: Time) -> Vec<(u8, Pong)> {
        let mut pongs = self.pongs.as_ref().map(|pongs| pongs.choose(PONGS_MAX, to, now)).unwrap_or_default();
        let near = self.links.up().filter(|(conn, neighbour)| *conn != to && neighbour.kind != Kind::Leaf);
        for at in near.filter_map(|(_, neighbour)| neighbour.listens) {
            if pongs.len() < PONGS_MAX && pongs.iter().all(|(_, pong)| pong.at != at) {
                pongs.push((0, Pong { at, files: 0, kib: 0, ext: Bytes::new() }));
            }
        }
        pongs
    }

    /// A pong's block with hosts in it, as `SCP` asks for.
    fn with_hosts(&self, ext: &Bytes, six: bool) -> Bytes {
        let Ok((mut block, _)) = Block::read(ext) else { return ext.clone() };
        let (hosts, others) = (self.hosts.freshest(PACKED_MAX), self.hosts.freshest6(PACKED_MAX));
        if !hosts.is_empty() {
            block = block.with("IPP", hosts::pack(&hosts));
        }
        if six && !others.is_empty() {
            block = block.with("IPP6", hosts::pack6(&others));
        }
        block.bytes()
    }

    pub(crate) fn on_pong(&mut self, conn: ConnId, hops: u8, pong: &Pong, cx: &mut Context<'_>, out: &mut Out) {
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        let teller = neighbour.peer.ip();
        if hops == 0 && neighbour.kind != Kind::Leaf && neighbour.listens.is_none() && is_usable(pong.at, teller) {
            neighbour.listens = Some(pong.at);
        }
        let from_leaf = neighbour.kind == Kind::Leaf;
        if !is_usable(pong.at, teller) {
            let six = Block::read(&pong.ext).ok().and_then(|(block, _)| hosts::six_of(&block, pong.at.port()));
            if six.is_some_and(|at| is_usable6(at, teller)) && !from_leaf && self.config.discover {
                self.learn_pong(pong, teller, cx);
            } else if pong.at.port() != 0 {
                out.note(Level::Drop, "pong_with_unusable_address", None, "");
            }
            return;
        }
        if from_leaf || !self.config.discover {
            return;
        }
        self.learn_pong(pong, teller, cx);
        self.pongs.get_or_insert_default().add(hops, pong.clone(), conn, cx.now);
    }

    /// Hosts that a pong tells of.
    pub(crate) fn learn_pong(&mut self, pong: &Pong, teller: Option<IpAddr>, cx: &Context<'_>) {
        let block = Block::read(&pong.ext).map(|(block, _)| block).unwrap_or_default();
        let own = self.own();
        let mut learn = |at: SocketAddrV4, ultrapeer: bool| {
            if is_usable(at, teller) && own != Some(at) {
                self.hosts.add(at, ultrapeer, cx.now);
            }
        };
        let ultrapeer = block.find("UP").is_some();
        learn(pong.at, ultrapeer);
        if let Some(packed) = block.find("IPP") {
            hosts::packed(packed, false).take(30).for_each(|at| learn(at, true));
        }
        let own6 = self.own6();
        let six = hosts::six_of(&block, pong.at.port()).map(|at| (at, ultrapeer));
        let packed = block.find("IPP6").map(|packed| &packed[..]).unwrap_or_default();
        for (at, ultrapeer) in six.into_iter().chain(hosts::packed6(packed, false).take(30).map(|at| (at, true))) {
            if is_usable6(at, teller) && own6 != Some(at) {
                self.hosts.add(at, ultrapeer, cx.now);
            }
        }
    }

    /// Whether one more datagram of an address is answered: so that nobody uses us to flood somebody else.
    pub(crate) fn may_answer(&mut self, from: &Endpoint, cx: &Context<'_>, out: &mut Out) -> bool {
        let Some(ip) = from.ip() else { return false };
        if self.datagrams.len() >= ASKERS_MAX && !self.datagrams.contains_key(&ip) {
            self.datagrams.clear();
        }
        let (since, count) = self.datagrams.entry(ip).or_insert((cx.now, 0));
        if cx.now.since(*since) >= Span::from_secs(10) {
            (*since, *count) = (cx.now, 0);
        }
        *count = count.saturating_add(1);
        let fine = *count <= DATAGRAMS_MAX;
        if !fine {
            out.note(Level::Drop, "too_many_datagrams", Some(from.clone()), "");
        }
        fine
    }

    pub(crate) fn on_ping_datagram(&mut self, from: &Endpoint, muid: Guid, ext: &Bytes, cx: &mut Context<'_>, out: &mut Out) {
        if !self.may_answer(from, cx, out) {
            return;
        }
        let asked = Block::read(ext).map(|(block, _)| block).unwrap_or_default();
        let mut pong = self.pong(true, cx);
        if let Some(wish) = asked.find("SCP") {
            pong.ext = self.with_hosts(&pong.ext, wants_six(wish));
        }
        if asked.find("IP").is_some()
            && let Some(at) = hosts::v4_of(from)
            && let Ok((block, _)) = Block::read(&pong.ext)
        {
            pong.ext = block.with("IP", hosts::pack(&[at])).bytes();
        }
        out.send(Link::Datagram(doors::DATAGRAM, from.clone()), Packet::new(muid, 1, Body::Pong(Box::new(pong))).into());
    }
}
