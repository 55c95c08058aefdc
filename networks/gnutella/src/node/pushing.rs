//! Push: a message that finds a servent by the way its hits came, and the connection that follows. Spec §19.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_core::{ConnId, Context, Endpoint, Level, OpId, Output};

use super::hosts::{is_usable, is_usable6, six_of};
use super::peers::{Peering, Role};
use super::{Node, Out, dial};
use crate::wire::ggep::Block;
use crate::wire::{Body, Giv, Guid, Headers, Packet, Push, Request};

/// Connections that pushes have asked of us at a time, to one address and in all.
const PUSHES_EACH: usize = 4;
const PUSHES_MAX: usize = 32;

impl Node {
    pub(crate) fn on_push(&mut self, from: Option<ConnId>, packet: Packet, cx: &mut Context<'_>, out: &mut Out) {
        let Body::Push(push) = &packet.body else { return };
        if push.servent == self.guid {
            let teller = from.and_then(|conn| self.links.get(conn)).and_then(|neighbour| neighbour.peer.ip());
            let push = (**push).clone();
            return self.give_by_push(&push, teller, cx, out);
        }
        let Some(route) = self.servents.find(&push.servent).copied() else {
            self.counts.lost += 1;
            return out.note(Level::Drop, "push_way_unknown", None, "");
        };
        if Some(route.conn) == from || packet.hops >= self.config.ttl_max || self.links.get(route.conn).is_none() {
            self.counts.lost += 1;
            return out.note(Level::Drop, "push_way_lost", None, "");
        }
        let ttl = packet.ttl.saturating_sub(1).max(1);
        self.say(route.conn, Packet { ttl, hops: packet.hops + 1, ..packet }, cx, out);
    }

    /// Connects to who wants a file of ours and cannot connect himself.
    fn give_by_push(&mut self, push: &Push, teller: Option<std::net::IpAddr>, cx: &mut Context<'_>, out: &mut Out) {
        let block = Block::read(&push.ext).map(|(block, _)| block).unwrap_or_default();
        let six = six_of(&block, push.to.port()).filter(|at| is_usable6(*at, teller));
        let four = is_usable(push.to, teller);
        let at = Endpoint::Ip(six.filter(|_| !four).map_or(SocketAddr::V4(push.to), SocketAddr::V6));
        if !four && six.is_none() {
            return out.note(Level::Drop, "push_to_unusable_address", Some(at), "");
        }
        let pushed = |peer: &&Peering| matches!(peer.role, Role::Giving(_) | Role::Serving(_));
        let (all, same) =
            self.peers.values().filter(pushed).fold((0, 0), |(all, same), peer| (all + 1, same + usize::from(peer.peer == at)));
        if same >= PUSHES_EACH || all >= PUSHES_MAX + self.config.uploads_max {
            return out.note(Level::Drop, "too_many_pushes", Some(at), "");
        }
        let conn = cx.new_conn();
        out.push(Output::Open(conn, at.clone(), dial(self.config.handshake_deadline)));
        self.peers.insert(conn, Peering::new(at, Role::Giving(push.index), cx.now));
        self.tick_later(cx, out);
    }

    /// Asks for a connection from a servent: along the way that its hits came, and at its proxies. Returns whether anybody could be asked.
    #[expect(clippy::too_many_arguments, reason = "what is known of a source, and the two that every step has")]
    pub(crate) fn ask_for_push(
        &mut self,
        op: OpId,
        supplier: u32,
        servent: Guid,
        index: u32,
        proxies: &[std::net::SocketAddrV4],
        cx: &mut Context<'_>,
        out: &mut Out,
    ) -> bool {
        if self.is_firewalled() {
            return false;
        }
        let mut asked = false;
        let way = self.servents.find(&servent).map(|route| (route.conn, route.hops));
        if let Some((conn, hops)) = way.filter(|(conn, _)| self.links.get(*conn).is_some()) {
            let ext = if self.own().is_some() { Bytes::new() } else { self.with_six(Block::default()).bytes() };
            let push = Push { servent, index, to: self.own_or_none(), ext };
            let muid = Guid::fresh(cx.dice);
            let ttl = hops.saturating_add(2).min(self.config.ttl_max);
            self.say(conn, Packet::new(muid, ttl, Body::Push(Box::new(push))), cx, out);
            asked = true;
        }
        for at in proxies.iter().take(2) {
            let (conn, at) = (cx.new_conn(), Endpoint::Ip(SocketAddr::V4(*at)));
            out.push(Output::Open(conn, at.clone(), dial(self.config.handshake_deadline / 2)));
            self.peers.insert(conn, Peering::new(at, Role::Proxy(op, supplier), cx.now));
            asked = true;
        }
        self.tick_later(cx, out);
        asked
    }

    /// A connection to a push proxy is open.
    pub(crate) fn ask_proxy(&mut self, op: OpId, supplier: u32, conn: ConnId, out: &mut Out) {
        let servent = self.fetches.get(&op).and_then(|fetch| fetch.servent_of(supplier));
        let (Some(servent), Some(own)) = (servent, self.own()) else { return self.drop_peer(conn, "no longer wanted", out) };
        let headers = Headers::new().with("X-Node", own.to_string()).with("Connection", "close");
        let request = Request { head: false, target: format!("/gnutella/push-proxy?ServerId={}", servent.base32()), old: true, headers };
        out.send_to(conn, request.into());
    }

    /// Somebody whom we have asked for it connects.
    pub(crate) fn on_giv(&mut self, conn: ConnId, giv: &Giv, cx: &mut Context<'_>, out: &mut Out) {
        let Some((peer, _)) = self.fresh.remove(&conn) else { return };
        let waiting = self.fetches.iter().find_map(|(&op, fetch)| fetch.awaits(&giv.servent).map(|supplier| (op, supplier)));
        let Some((op, supplier)) = waiting else {
            out.note(Level::Drop, "giv_nobody_asked", Some(peer), "");
            return out.push(Output::Close(conn, "nobody has asked for it".into()));
        };
        self.peers.insert(conn, Peering::new(peer, Role::Taking(op, supplier), cx.now));
        self.on_supplier_open(op, supplier, conn, cx, out);
    }
}
