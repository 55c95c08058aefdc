//! Vendor messages (spec §14): those that change what we do. All others are counted and left alone.

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::{ConnId, Context, Endpoint, Level, Link, Output};

use super::peers::{Peering, Role};
use super::settings::Kind;
use super::{Node, Out, dial};
use crate::doors;
use crate::wire::{Body, Guid, Packet, Vendor};

const NOBODY: [u8; 4] = [0; 4];
const BEAR: [u8; 4] = *b"BEAR";
const LIME: [u8; 4] = *b"LIME";
const GTKG: [u8; 4] = *b"GTKG";

/// What we say that we understand: vendor, selector, version.
const SUPPORTED: [([u8; 4], u16, u16); 15] = [
    (BEAR, 4, 1),
    (BEAR, 7, 1),
    (BEAR, 11, 1),
    (BEAR, 12, 1),
    (GTKG, 7, 1),
    (GTKG, 7, 2),
    (GTKG, 21, 1),
    (LIME, 5, 1),
    (LIME, 11, 2),
    (LIME, 12, 2),
    (LIME, 13, 1),
    (LIME, 21, 1),
    (LIME, 22, 1),
    (LIME, 22, 2),
    (LIME, 23, 1),
];
/// What we say that we can do: "What's New", and being browsed.
const FEATURES: [([u8; 4], u16); 2] = [(*b"WHAT", 1), (*b"BROW", 1)];

impl Node {
    /// "Messages supported".
    pub(crate) fn say_supported(&mut self, conn: ConnId, cx: &Context<'_>, out: &mut Out) {
        let mut data = BytesMut::new();
        data.put_u16_le(u16::try_from(SUPPORTED.len()).unwrap_or(0));
        for (vendor, selector, version) in SUPPORTED {
            data.put_slice(&vendor);
            data.put_u16_le(selector);
            data.put_u16_le(version);
        }
        self.say_vendor(conn, Guid::default(), Vendor::new(NOBODY, 0, 0, data.freeze()), cx, out);
        let mut data = BytesMut::new();
        data.put_u16_le(u16::try_from(FEATURES.len()).unwrap_or(0));
        for (name, version) in FEATURES {
            data.put_slice(&name);
            data.put_u16_le(version);
        }
        self.say_vendor(conn, Guid::default(), Vendor::new(NOBODY, 10, 0, data.freeze()), cx, out);
    }

    pub(crate) fn say_vendor(&mut self, conn: ConnId, muid: Guid, vendor: Vendor, cx: &Context<'_>, out: &mut Out) {
        self.say(conn, Packet::new(muid, 1, Body::Vendor(Box::new(vendor))), cx, out);
    }

    /// Asks an ultrapeer to tell us whom to connect to (LIME/21); worth it for who accepts no connections.
    pub(crate) fn ask_for_proxy(&mut self, conn: ConnId, cx: &Context<'_>, out: &mut Out) {
        if self.is_firewalled() && self.links.get(conn).is_some_and(|neighbour| neighbour.skills.vendor) {
            self.say_vendor(conn, self.guid, Vendor::new(LIME, 21, 1, Bytes::new()), cx, out);
        }
    }

    /// Asks a leaf how many hits of its query it has kept (BEAR/11).
    pub(crate) fn ask_kept(&mut self, conn: ConnId, muid: Guid, cx: &Context<'_>, out: &mut Out) {
        if self.links.get(conn).is_some_and(|neighbour| neighbour.skills.vendor) {
            self.say_vendor(conn, muid, Vendor::new(BEAR, 11, 1, Bytes::new()), cx, out);
        }
    }

    /// Tells an ultrapeer how many hits we have kept (BEAR/12); `u16::MAX` ends the query.
    pub(crate) fn tell_kept(&mut self, conn: ConnId, muid: Guid, kept: u16, cx: &Context<'_>, out: &mut Out) {
        if self.links.get(conn).is_some_and(|neighbour| neighbour.skills.vendor) {
            self.say_vendor(conn, muid, Vendor::new(BEAR, 12, 1, Bytes::copy_from_slice(&kept.to_le_bytes())), cx, out);
        }
    }

    pub(crate) fn on_vendor(&mut self, conn: ConnId, muid: Guid, vendor: &Vendor, cx: &mut Context<'_>, out: &mut Out) {
        let number = |bytes: &[u8]| bytes.first_chunk::<2>().map(|bytes| u16::from_le_bytes(*bytes));
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        match (vendor.vendor, vendor.selector) {
            (NOBODY, _) => {}
            (BEAR, 4) => {
                if let Some(&hops) = vendor.data.first() {
                    neighbour.hops_flow = hops;
                }
            }
            (BEAR, 7) => {
                let port = number(&vendor.data).filter(|port| *port > 0);
                // Only to the address that we see: otherwise we could be made to knock anywhere.
                if let (Some(port), Some(ip)) = (port, neighbour.peer.ip()) {
                    let busy = self.peers.values().filter(|peer| matches!(peer.role, Role::Probe)).count();
                    if busy < 4 {
                        let (probe, at) = (cx.new_conn(), Endpoint::Ip((ip, port).into()));
                        out.push(Output::Open(probe, at.clone(), dial(self.config.handshake_deadline / 2)));
                        self.peers.insert(probe, Peering::new(at, Role::Probe, cx.now));
                        self.tick_later(cx, out);
                    }
                }
            }
            (GTKG, 7) => {
                let port = number(&vendor.data).filter(|port| *port > 0);
                // The answer is a ping with the id that was asked for; only to the address that we see.
                let id = vendor.data.get(2..18).and_then(|id| id.try_into().ok()).map_or(muid, Guid);
                if let (Some(port), Some(ip), true) = (port, neighbour.peer.ip(), self.config.datagrams) {
                    let at = Endpoint::Ip((ip, port).into());
                    if self.may_answer(&at, cx, out) {
                        out.send(Link::Datagram(doors::DATAGRAM, at), Packet::new(id, 1, Body::Ping(Bytes::new())).into());
                    }
                }
            }
            (GTKG, 21) => {
                // It is no longer behind us; what its hits tell later counts again.
                if let Some(guid) = neighbour.guid.take() {
                    self.servents.insert(guid, super::routes::Route { conn: ConnId(0), ttl: 1, hops: 0 }, cx.now);
                }
            }
            (LIME, 13) => neighbour.no_proxy = true,
            (LIME, 23) => {
                if let Some(pong) = self.head_pong(&vendor.data, cx) {
                    self.say_vendor(conn, muid, pong, cx, out);
                }
            }
            (BEAR, 11) => {
                if let Some(kept) = self.kept_of(&muid) {
                    self.tell_kept(conn, muid, kept, cx, out);
                }
            }
            (BEAR, 12) => {
                if let Some(kept) = number(&vendor.data) {
                    self.on_kept(conn, &muid, kept, cx, out);
                }
            }
            (LIME, 21) if self.kind == Kind::Ultrapeer => {
                self.servents.insert(muid, super::routes::Route { conn, ttl: 1, hops: 0 }, cx.now);
                if let Some(neighbour) = self.links.get_mut(conn) {
                    neighbour.guid = Some(muid);
                }
                if let Some(own) = self.own() {
                    let mut data = BytesMut::new();
                    data.put_slice(&own.ip().octets());
                    data.put_u16_le(own.port());
                    self.say_vendor(conn, muid, Vendor::new(LIME, 22, 2, data.freeze()), cx, out);
                }
            }
            (LIME, 22) if muid == self.guid => {
                let at = match (vendor.version, neighbour.listens) {
                    (2, _) => super::hosts::packed(&vendor.data, false).next(),
                    (_, listens) => listens,
                };
                if let Some(at) = at.filter(|at| super::hosts::is_usable(*at, neighbour.peer.ip())) {
                    self.proxies.insert(conn, at);
                }
            }
            _ => out.note(Level::Drop, "vendor_message_of_no_use", None, ""),
        }
    }

    pub(crate) fn on_vendor_datagram(&mut self, from: &Endpoint, muid: Guid, vendor: &Vendor, cx: &mut Context<'_>, out: &mut Out) {
        match (vendor.vendor, vendor.selector) {
            (LIME, 5) => self.answer_crawl(from, muid, &vendor.data, cx, out),
            (LIME, 11) => self.on_claim(from, muid, &vendor.data, cx, out),
            (LIME, 12) => self.on_indication(from, muid, &vendor.data, cx, out),
            (LIME, 23) => {
                if self.may_answer(from, cx, out)
                    && let Some(pong) = self.head_pong(&vendor.data, cx)
                {
                    out.send(Link::Datagram(doors::DATAGRAM, from.clone()), Packet::new(muid, 1, Body::Vendor(Box::new(pong))).into());
                }
            }
            _ => out.note(Level::Drop, "vendor_message_of_no_use", Some(from.clone()), ""),
        }
    }

    /// What we have of a file: LIME/23 → LIME/24, without the lists that may be asked for. `None` for a question that cannot be read.
    fn head_pong(&self, data: &[u8], cx: &Context<'_>) -> Option<Vendor> {
        const COMPLETE: u8 = 1;
        const PARTIAL: u8 = 2;
        const FIREWALLED: u8 = 4;
        const DOWNLOADING: u8 = 8;
        const BUSY: u8 = 0x7f;
        let (_, urn) = data.split_first()?;
        let urn = urn.split(|&byte| byte == 0 || byte == crate::wire::ggep::MAGIC).next().and_then(|urn| std::str::from_utf8(urn).ok())?;
        let offers = self.offers.as_deref();
        let found = offers.and_then(|offers| Some((offers, offers.by_urn(urn)?))).and_then(|(offers, id)| {
            let share = cx.shares.share(id)?;
            Some(offers.held(id, share).covers(0..share.layout.total_bytes()))
        });
        let code = match found {
            None => 0,
            Some(true) => COMPLETE,
            Some(false) => PARTIAL | DOWNLOADING,
        } | if self.is_firewalled() { FIREWALLED } else { 0 };
        let free = self.config.uploads_max.saturating_sub(self.uploads());
        let queue = if free == 0 { BUSY } else { u8::try_from(free).unwrap_or(u8::MAX).min(BUSY - 1) };
        let mut data = BytesMut::new();
        data.put_slice(&[0, code]);
        data.put_slice(&super::answering::VENDOR);
        data.put_u8(queue);
        Some(Vendor::new(LIME, 24, 1, data.freeze()))
    }

    /// The crawler that came after the one by TCP: LIME/5 → LIME/6.
    fn answer_crawl(&mut self, from: &Endpoint, muid: Guid, data: &[u8], cx: &mut Context<'_>, out: &mut Out) {
        let Some(&[ultrapeers, leaves, _]) = data.first_chunk::<3>() else { return };
        if !self.may_answer(from, cx, out) {
            return;
        }
        let of = |kind: Kind, count: u8| {
            let most = if count == u8::MAX { 100 } else { usize::from(count) };
            let hosts: Vec<_> = self.links.of(kind).filter_map(|(_, neighbour)| neighbour.listens).take(most.min(100)).collect();
            hosts
        };
        let near = if self.kind == Kind::Flat { of(Kind::Flat, ultrapeers) } else { of(Kind::Ultrapeer, ultrapeers) };
        let below = of(Kind::Leaf, leaves);
        let count = |hosts: &[std::net::SocketAddrV4]| u8::try_from(hosts.len()).unwrap_or(u8::MAX);
        let mut answer = vec![count(&near), count(&below), 0];
        answer.extend_from_slice(&super::hosts::pack(&near));
        answer.extend_from_slice(&super::hosts::pack(&below));
        let vendor = Vendor::new(LIME, 6, 1, answer);
        out.send(Link::Datagram(doors::DATAGRAM, from.clone()), Packet::new(muid, 1, Body::Vendor(Box::new(vendor))).into());
    }
}
