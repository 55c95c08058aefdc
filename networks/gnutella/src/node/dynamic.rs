//! Dynamic queries: an ultrapeer spreads a query for itself or a leaf step by step, as far as it takes. Spec §12.

use std::sync::Arc;

use hexad_content::Digests;
use hexad_core::{ConnId, Context, Level, Set, Span, Time};

use super::settings::Kind;
use super::tables::Keys;
use super::{Asked, Node, Out, Timer};
use crate::wire::{Body, Guid, Packet, Query};

/// Queries that are led at a time; more are flooded with few hops.
const LED_MAX: usize = 2048;
/// Neighbours of the first step, and its hops.
const PROBES: usize = 3;
const PROBE_TTL: u8 = 2;
/// A query that has reached so many hosts has reached enough.
const HORIZON: u64 = 200_000;
/// As many hosts are to be reached when nothing was found yet.
const HOSTS_UNKNOWN: u64 = 40_000;
/// A query lasts at most so long.
const LASTS: Span = Span::from_secs(180);
/// From so many hosts on with few results, steps become shorter.
const HURRY_FROM: u64 = 3000;

/// One query that we lead.
#[derive(Debug)]
pub(crate) struct Dynamic {
    muid: Guid,
    /// The leaf's name for it, where it goes out under another.
    inside: Guid,
    query: Arc<Query>,
    keys: Keys,
    /// A search of our own; a leaf's otherwise.
    search: Option<u32>,
    leaf: Option<ConnId>,
    wanted: u32,
    results: u32,
    /// What the leaf says that it has kept.
    kept: Option<u16>,
    /// Hosts that it has reached, by estimate.
    hosts: u64,
    sent_to: Set<ConnId>,
    steps: u32,
    until: Time,
}

/// Hosts behind one link of a network of that degree. Spec §12.
fn hosts_behind(degree: u32, ttl: u8) -> u64 {
    let branching = u64::from(degree.saturating_sub(1).max(1));
    (0..u32::from(ttl)).map(|hop| branching.saturating_pow(hop)).fold(0, u64::saturating_add)
}

impl Node {
    /// Leads a leaf's query.
    pub(crate) fn lead(&mut self, leaf: ConnId, muid: Guid, query: Arc<Query>, digests: &Digests, cx: &mut Context<'_>, out: &mut Out) {
        if self.asked.contains_key(&muid) {
            return;
        }
        let keys = Keys::of(&query, digests);
        let packet = Packet::new(muid, 1, Body::Query(query.clone()));
        self.flood_leaves(leaf, &packet, &query, &keys, cx, out);
        let wanted = u32::from(self.config.leaf_results);
        let (outside, query) = self.proxied(leaf, muid, query, cx);
        self.begin_dynamic(outside, muid, query, keys, None, Some(leaf), wanted, cx, out);
    }

    /// Leads a query of our own.
    #[expect(clippy::too_many_arguments, reason = "what a query is, and the two that every step has")]
    pub(crate) fn lead_own(
        &mut self,
        search: u32,
        muid: Guid,
        query: Arc<Query>,
        keys: Keys,
        wanted: usize,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) {
        self.begin_dynamic(muid, muid, query, keys, Some(search), None, u32::try_from(wanted).unwrap_or(u32::MAX), cx, out);
    }

    #[expect(clippy::too_many_arguments, reason = "what a query is, and the two that every step has")]
    fn begin_dynamic(
        &mut self,
        muid: Guid,
        inside: Guid,
        query: Arc<Query>,
        keys: Keys,
        search: Option<u32>,
        leaf: Option<ConnId>,
        wanted: u32,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) {
        if self.dynamics.len() >= LED_MAX {
            out.note(Level::Drop, "too_many_queries_led", None, "");
            return;
        }
        let number = self.number();
        let mut dynamic = Dynamic {
            muid,
            inside,
            query,
            keys,
            search,
            leaf,
            wanted,
            results: 0,
            kept: None,
            hosts: 0,
            sent_to: Set::new(),
            steps: 0,
            until: cx.now + LASTS,
        };
        let mut ways = self.ways(&dynamic, cx);
        // Who says that it may have the words is asked first.
        ways.sort_by_key(|(_, may_have, _)| !may_have);
        ways.truncate(PROBES);
        let ttl = PROBE_TTL.min(self.config.ttl).max(1);
        let hops = u8::from(leaf.is_some());
        for (conn, _, degree) in ways {
            dynamic.sent_to.insert(conn);
            dynamic.hosts += hosts_behind(degree, ttl);
            self.say(conn, Packet { muid, ttl, hops, body: Body::Query(dynamic.query.clone()) }, cx, out);
        }
        for id in [muid, inside] {
            self.asked.insert(id, Asked { search, dynamic: Some(number) });
        }
        self.dynamics.insert(number, dynamic);
        out.wake(cx.now + self.config.dynamic_wait * u32::from(ttl), Timer::Dynamic(number));
    }

    /// Ultrapeers that have not been asked: connection, whether its table has the words, degree. In random order.
    fn ways(&self, dynamic: &Dynamic, cx: &mut Context<'_>) -> Vec<(ConnId, bool, u32)> {
        let mut ways: Vec<(ConnId, bool, u32)> = self
            .links
            .of(Kind::Ultrapeer)
            .filter(|(conn, neighbour)| !dynamic.sent_to.contains(conn) && neighbour.hops_flow > 0)
            .map(|(conn, neighbour)| {
                let table = neighbour.receiver.as_ref().and_then(|receiver| receiver.table());
                (conn, table.is_some_and(|table| dynamic.keys.fit(table)), neighbour.skills.degree)
            })
            .collect();
        cx.dice.shuffle(&mut ways);
        ways
    }

    pub(crate) fn on_dynamic_timer(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out) {
        let Some(mut dynamic) = self.dynamics.remove(&number) else { return };
        let got = dynamic.kept.map_or(dynamic.results, u32::from).max(dynamic.search.map_or(0, |search| self.found_by(search)));
        let ways = self.ways(&dynamic, cx);
        if got >= dynamic.wanted || cx.now >= dynamic.until || dynamic.hosts >= HORIZON || ways.is_empty() {
            return self.end_dynamic(&dynamic, cx, out);
        }
        // So many hosts are still needed at the yield so far, spread over the links that are left.
        let needed =
            if got == 0 { HOSTS_UNKNOWN } else { u64::from(dynamic.wanted - got).saturating_mul(dynamic.hosts.max(1)) / u64::from(got) };
        let each = needed / ways.len() as u64;
        let (conn, _, degree) = ways[0];
        let ttl_max = self.links.get(conn).map_or(1, |neighbour| neighbour.skills.ttl_max).min(self.config.ttl).max(1);
        let ttl = (1..=ttl_max).find(|&ttl| hosts_behind(degree, ttl) >= each).unwrap_or(ttl_max);
        let last_hop_in_vain = ttl == 1
            && self
                .links
                .get(conn)
                .and_then(|neighbour| neighbour.receiver.as_ref()?.table())
                .is_some_and(|table| !dynamic.keys.fit(table));
        dynamic.sent_to.insert(conn);
        dynamic.hosts += hosts_behind(degree, ttl);
        dynamic.steps += 1;
        let mut wait = self.config.dynamic_wait * u32::from(ttl);
        if last_hop_in_vain {
            wait = Span::from_millis(1);
        } else {
            let hops = u8::from(dynamic.leaf.is_some());
            self.say(conn, Packet { muid: dynamic.muid, ttl, hops, body: Body::Query(dynamic.query.clone()) }, cx, out);
        }
        if dynamic.hosts >= HURRY_FROM && got < 10 {
            wait = wait.saturating_sub(Span::from_millis(100) * dynamic.steps).max(Span::from_millis(100));
        }
        if let Some(leaf) = dynamic.leaf.filter(|_| dynamic.steps % 3 == 0) {
            self.ask_kept(leaf, dynamic.inside, cx, out);
        }
        self.dynamics.insert(number, dynamic);
        out.wake(cx.now + wait, Timer::Dynamic(number));
    }

    fn end_dynamic(&mut self, dynamic: &Dynamic, cx: &mut Context<'_>, out: &mut Out) {
        match dynamic.search {
            // Hits that come late are passed on by the route of the query.
            None => self.forget_asked([dynamic.muid, dynamic.inside]),
            Some(search) => self.end_search(search, cx, out),
        }
    }

    fn forget_asked(&mut self, ids: [Guid; 2]) {
        for id in ids {
            self.asked.remove(&id);
        }
    }

    fn found_by(&self, search: u32) -> u32 {
        self.searches.get(&search).map_or(0, |search| u32::try_from(search.found).unwrap_or(u32::MAX))
    }

    /// Hits of a query that we lead for a leaf have passed.
    pub(crate) fn count_results(&mut self, muid: &Guid, results: usize) {
        let number = self.asked.get(muid).and_then(|asked| asked.dynamic);
        if let Some(dynamic) = number.and_then(|number| self.dynamics.get_mut(&number)) {
            dynamic.results = dynamic.results.saturating_add(u32::try_from(results).unwrap_or(u32::MAX));
        }
    }

    /// A leaf says how many hits it has kept.
    pub(crate) fn on_kept(&mut self, conn: ConnId, muid: &Guid, kept: u16, _: &Context<'_>, _: &mut Out) {
        let Some(number) = self.asked.get(muid).and_then(|asked| asked.dynamic) else { return };
        let Some(dynamic) = self.dynamics.get_mut(&number).filter(|dynamic| dynamic.leaf == Some(conn)) else { return };
        if kept == u16::MAX {
            if let Some(dynamic) = self.dynamics.remove(&number) {
                self.forget_asked([dynamic.muid, dynamic.inside]);
            }
        } else {
            dynamic.kept = Some(kept);
        }
    }

    /// A leaf is gone: nobody waits for its hits.
    pub(crate) fn end_dynamics_of(&mut self, leaf: ConnId) {
        let gone: Vec<(u32, [Guid; 2])> = self
            .dynamics
            .iter()
            .filter(|(_, dynamic)| dynamic.leaf == Some(leaf))
            .map(|(&number, dynamic)| (number, [dynamic.muid, dynamic.inside]))
            .collect();
        self.proxied.retain(|_, proxied| proxied.leaf() != leaf);
        for (number, ids) in gone {
            self.dynamics.remove(&number);
            self.forget_asked(ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hosts_behind;

    #[test]
    fn a_link_leads_to_as_many_hosts_as_the_text_says() {
        assert_eq!(hosts_behind(6, 7), 19_531);
        assert_eq!(hosts_behind(32, 3), 993);
        assert_eq!(hosts_behind(1, 3), 3);
    }
}
