//! Hits by datagram for leaves: their queries go out under our address, and what we claim for them goes to them by their links. Spec §13.

use std::net::IpAddr;
use std::sync::Arc;

use hexad_core::{ConnId, Context, Level, Span, Time};

use super::hosts::is_usable;
use super::{Node, Out};
use crate::wire::{Body, Guid, Packet, Query, QueryHit, flags};

/// Queries that are proxied at a time; more go out as they are.
const PROXIED_MAX: usize = 2048;
/// Hits of one are taken for so long.
const LASTS: Span = Span::from_secs(660);

/// A leaf's query that went out under our address.
#[derive(Debug)]
pub(crate) struct Proxied {
    muid: Guid,
    leaf: ConnId,
    /// Hits that are still claimed.
    left: u16,
    until: Time,
}

impl Proxied {
    /// Whose it is.
    pub(crate) fn leaf(&self) -> ConnId {
        self.leaf
    }
}

impl Node {
    /// A leaf's query as it goes out: under our address where we can be reached by datagram and the leaf has nothing against it.
    pub(crate) fn proxied(&mut self, leaf: ConnId, muid: Guid, query: Arc<Query>, cx: &Context<'_>) -> (Guid, Arc<Query>) {
        let modern = query.has(flags::MARK) && !query.has(flags::OUT_OF_BAND);
        let able = self.config.out_of_band && self.config.datagrams && !self.is_firewalled() && modern;
        let Some(own) = self.own().filter(|own| able && is_usable(*own, Some(IpAddr::V4(*own.ip())))) else { return (muid, query) };
        let vetoed = self.links.get(leaf).is_none_or(|neighbour| neighbour.no_proxy);
        if vetoed || !query.ext.is_empty() && query.extensions().ggep.find("NP").is_some() {
            return (muid, query);
        }
        self.proxied.retain(|_, proxied| proxied.until > cx.now);
        let outside = muid.with_address(own);
        if self.proxied.len() >= PROXIED_MAX || outside == muid {
            return (muid, query);
        }
        self.proxied.insert(outside, Proxied { muid, leaf, left: self.config.leaf_results, until: cx.now + LASTS });
        // Our own query that comes back, whoever else proxies it.
        for id in [outside, outside.without_address()] {
            self.queries.insert(id, super::routes::Route { conn: leaf, ttl: u8::MAX, hops: 0 }, cx.now);
        }
        (outside, Arc::new(Query { flags: query.flags | flags::OUT_OF_BAND, ..(*query).clone() }))
    }

    /// How many more hits are claimed for a leaf.
    pub(crate) fn left_of(&mut self, muid: &Guid, offered: u8) -> Option<usize> {
        let proxied = self.proxied.get_mut(muid)?;
        let claimed = proxied.left.min(offered.into());
        proxied.left -= claimed;
        Some(claimed.into())
    }

    /// Hits for a leaf that come under our address; false when they are for nobody of ours.
    pub(crate) fn on_proxied_hit(&mut self, packet: &Packet, hit: &Arc<QueryHit>, cx: &mut Context<'_>, out: &mut Out) -> bool {
        let Some((muid, leaf)) = self.proxied.get(&packet.muid).filter(|proxied| proxied.until > cx.now).map(|it| (it.muid, it.leaf))
        else {
            return false;
        };
        self.count_results(&packet.muid, hit.records.len());
        if self.links.get(leaf).is_none() {
            self.counts.lost += 1;
            out.note(Level::Drop, "way_back_lost", None, "");
            return true;
        }
        let ttl = packet.ttl.saturating_sub(1).max(1);
        self.say(leaf, Packet { muid, ttl, hops: packet.hops.saturating_add(1), body: Body::Hit(hit.clone()) }, cx, out);
        true
    }
}
