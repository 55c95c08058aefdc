//! Queries of others: each is taken once, answered, and passed on by the rules of who we are. Spec §3, §7, §8, §22.

use bytes::Bytes;
use hexad_content::Digests;
use hexad_core::{ConnId, Context, Level};

use super::answering::is_whats_new;
use super::routes::Route;
use super::settings::Kind;
use super::tables::Keys;
use super::{Node, Out};
use crate::wire::ggep::Block;
use crate::wire::{Body, FORWARD_BYTES_MAX, Fields, Packet, Query};
use std::sync::Arc;

/// GGEP of our own: the query walks from one neighbour to one other, with so many steps left (u16, little-endian).
const WALK: &str = "HXW";
/// Duplicates beyond so many, and beyond so many of a thousand queries, end a link. Spec §16.
const REPEATED_MAX: u32 = 50;
const REPEATED_PER_MILLE_MAX: u32 = 15;
/// Steps of one walk: beyond it nobody believes the number.
const STEPS_MAX: u16 = 4096;

/// The steps that a walking query still has.
pub(crate) fn steps_of(query: &Query) -> Option<u16> {
    // Most have none, and copies of one query are many: looking for the name costs less than reading all that is there.
    if !query.ext.windows(WALK.len()).any(|bytes| bytes == WALK.as_bytes()) {
        return None;
    }
    let block = query.extensions().ggep;
    let data = block.find(WALK)?;
    data.first_chunk::<2>().map(|bytes| u16::from_le_bytes(*bytes).min(STEPS_MAX))
}

/// The same query with so many steps.
pub(crate) fn with_steps(query: &Query, steps: u16) -> Query {
    let mut extensions = query.extensions();
    extensions.ggep.0.retain(|extension| extension.id != WALK);
    extensions.ggep = Block::with(extensions.ggep, WALK, Bytes::copy_from_slice(&steps.to_le_bytes()));
    Query { ext: extensions.bytes(), ..query.clone() }
}

impl Node {
    pub(crate) fn on_query(&mut self, conn: ConnId, packet: Packet, cx: &mut Context<'_>, out: &mut Out) {
        let Body::Query(query) = &packet.body else { return };
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        let from_leaf = neighbour.kind == Kind::Leaf;
        let per_s = if from_leaf { self.config.leaf_queries_per_s } else { self.config.link_queries_per_s };
        if !neighbour.allow(per_s, cx.now) {
            out.note(Level::Drop, "queries_too_fast", None, "");
            // Dropping is enough for who is only busy; whoever goes on without end is not.
            neighbour.repeated = neighbour.repeated.saturating_add(u32::from(from_leaf));
            if neighbour.repeated > 1000 {
                self.send_away(conn, 402, "Too many queries", cx, out);
            }
            return;
        }
        neighbour.queries = neighbour.queries.saturating_add(1);
        if let Some(steps) = steps_of(query) {
            return self.on_walker(conn, packet.muid, packet.hops, query, steps, cx, out);
        }
        let further = match self.queries.find(&packet.muid) {
            None => false,
            Some(route) => {
                self.counts.duplicates += 1;
                let again = route.conn == conn;
                if !again || packet.ttl <= route.ttl {
                    if again {
                        neighbour.repeated = neighbour.repeated.saturating_add(1);
                        let per_mille = u64::from(neighbour.repeated) * 1000 / u64::from(neighbour.queries.max(1));
                        if neighbour.repeated > REPEATED_MAX && per_mille > u64::from(REPEATED_PER_MILLE_MAX) {
                            self.send_away(conn, 401, "Too many duplicates", cx, out);
                        }
                    }
                    return;
                }
                // The same from the same neighbour with more hops to go: a dynamic query reaches further.
                route.ttl = packet.ttl;
                true
            }
        };
        if !further {
            // Of a query that several ultrapeers proxy, each under its own address, one is enough.
            let proxied = query.has(crate::wire::flags::OUT_OF_BAND).then(|| packet.muid.without_address());
            if proxied.is_some_and(|id| id != packet.muid && self.queries.find(&id).is_some()) {
                self.counts.duplicates += 1;
                return;
            }
            let route = Route { conn, ttl: packet.ttl, hops: packet.hops };
            self.queries.insert(packet.muid, route, cx.now);
            if let Some(id) = proxied {
                self.queries.insert(id, route, cx.now);
            }
            self.counts.queries += 1;
        }
        if query.bytes() > FORWARD_BYTES_MAX {
            return out.note(Level::Drop, "query_too_long", None, "");
        }
        let (mut digests, mut more) = (Digests::new(), false);
        if !query.ext.is_empty() {
            let extensions = query.extensions();
            digests = extensions.digests();
            more = is_whats_new(&extensions) || Fields::wanted(&extensions).is_some_and(|wish| wish.words().trim().len() >= 2);
        }
        if query.text.trim().len() < 2 && !more && digests.iter().next().is_none() {
            return out.note(Level::Drop, "query_for_nothing", None, "");
        }
        let answered = !further && self.answer(Some(conn), &packet, query, &digests, cx, out);
        match self.kind {
            // A shielded leaf carries nothing for others.
            Kind::Leaf => {}
            Kind::Flat => {
                if !(answered && self.config.stop_at_answer) {
                    self.flood(conn, packet.muid, packet.ttl, packet.hops, query, out, cx);
                }
            }
            Kind::Ultrapeer if from_leaf && self.config.dynamic => {
                self.lead(conn, packet.muid, query.clone(), &digests, cx, out);
            }
            Kind::Ultrapeer => {
                let keys = Keys::of(query, &digests);
                if !further {
                    self.flood_leaves(conn, &packet, query, &keys, cx, out);
                }
                self.flood_ultrapeers(conn, &packet, query, &keys, cx, out);
            }
        }
    }

    /// To all equals but the one it came from.
    #[expect(clippy::too_many_arguments, reason = "the fields of the header, and the two that every step has")]
    fn flood(&mut self, from: ConnId, muid: crate::wire::Guid, ttl: u8, hops: u8, query: &Arc<Query>, out: &mut Out, cx: &Context<'_>) {
        if ttl <= 1 {
            return;
        }
        let mut copies = 0;
        let bytes_max = self.config.backlog_bytes_max;
        for (conn, neighbour) in self.links.of_mut(Kind::Flat).filter(|(conn, _)| *conn != from) {
            copies += 1;
            neighbour.say(conn, Packet { muid, ttl: ttl - 1, hops: hops + 1, body: Body::Query(query.clone()) }, bytes_max, cx, out);
        }
        self.counts.forwarded += copies;
    }

    /// To leaves that may have it: an ultrapeer and its leaves are one, so this costs no hop that counts.
    pub(crate) fn flood_leaves(&mut self, from: ConnId, packet: &Packet, query: &Arc<Query>, keys: &Keys, cx: &Context<'_>, out: &mut Out) {
        let fits = |(conn, leaf): &(ConnId, &super::links::Neighbour)| {
            let table = leaf.receiver.as_ref().and_then(|receiver| receiver.table());
            *conn != from && leaf.hops_flow > packet.hops && table.is_some_and(|table| keys.fit(table))
        };
        let conns: Vec<ConnId> = self.links.of(Kind::Leaf).filter(fits).map(|(conn, _)| conn).collect();
        let ttl = packet.ttl.saturating_sub(1).max(1);
        self.counts.forwarded += conns.len() as u64;
        for conn in conns {
            let copy = Packet { muid: packet.muid, ttl, hops: packet.hops.saturating_add(1), body: Body::Query(query.clone()) };
            self.say(conn, copy, cx, out);
        }
    }

    /// To all other ultrapeers; on the last hop only to those that may have it.
    fn flood_ultrapeers(&mut self, from: ConnId, packet: &Packet, query: &Arc<Query>, keys: &Keys, cx: &Context<'_>, out: &mut Out) {
        if packet.ttl <= 1 {
            return;
        }
        let hops = packet.hops.saturating_add(1);
        let ttl = (packet.ttl - 1).min(self.config.ttl_soft_max.saturating_sub(hops));
        if ttl == 0 {
            return;
        }
        let fits = |(conn, neighbour): &(ConnId, &super::links::Neighbour)| {
            let table = neighbour.receiver.as_ref().and_then(|receiver| receiver.table());
            *conn != from && neighbour.hops_flow > packet.hops && (ttl > 1 || table.is_none_or(|table| keys.fit(table)))
        };
        let conns: Vec<ConnId> = self.links.of(Kind::Ultrapeer).filter(fits).map(|(conn, _)| conn).collect();
        self.counts.forwarded += conns.len() as u64;
        for conn in conns {
            self.say(conn, Packet { muid: packet.muid, ttl, hops, body: Body::Query(query.clone()) }, cx, out);
        }
    }

    /// A walker comes by: it is answered the first time, and goes on until it has found something or is out of steps.
    #[expect(clippy::too_many_arguments, reason = "the fields of the message, and the two that every step has")]
    fn on_walker(
        &mut self,
        conn: ConnId,
        muid: crate::wire::Guid,
        hops: u8,
        query: &Arc<Query>,
        steps: u16,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) {
        let first = self.queries.find(&muid).is_none();
        let mut answered = false;
        if first {
            self.counts.queries += 1;
            self.queries.insert(muid, Route { conn, ttl: 1, hops }, cx.now);
            let digests = query.extensions().digests();
            let packet = Packet { muid, ttl: 1, hops: hops.min(100), body: Body::Query(query.clone()) };
            answered = self.answer(Some(conn), &packet, query, &digests, cx, out);
        } else {
            self.counts.duplicates += 1;
        }
        if steps > 1 && !answered {
            self.walk_on(Some(conn), muid, hops, query, steps - 1, cx, out);
        }
    }

    /// One step of a walker: to a neighbour at random, back only where there is no other way.
    #[expect(clippy::too_many_arguments, reason = "the fields of the message, and the two that every step has")]
    pub(crate) fn walk_on(
        &mut self,
        from: Option<ConnId>,
        muid: crate::wire::Guid,
        hops: u8,
        query: &Query,
        steps: u16,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) {
        if self.kind == Kind::Leaf {
            return;
        }
        let ways = self.links.of(self.kind).map(|(conn, _)| conn);
        let ways: Vec<ConnId> = ways.filter(|conn| Some(*conn) != from).collect();
        let way = cx.dice.index(ways.len()).map(|place| ways[place]).or(from);
        let Some(way) = way else { return };
        self.counts.forwarded += u64::from(from.is_some());
        // Hops are told to the reader of a hit, and a walk has more than a byte can count.
        let body = Body::Query(Arc::new(with_steps(query, steps)));
        let ttl_left = self.config.ttl_max.saturating_sub(1);
        self.say(way, Packet { muid, ttl: 1, hops: hops.saturating_add(1).min(ttl_left), body }, cx, out);
    }
}
