//! Our own searches: as a leaf, as an ultrapeer, and among equals by flood, expanding ring or random walks.

use std::sync::Arc;

use hexad_content::Digests;
use hexad_core::{ConnId, Context, Failure, Hit, OpId, Progress, Query as Wanted, Set, Time};

use super::routes::Route;
use super::settings::{Kind, Strategy};
use super::tables::Keys;
use super::{Node, Out, Timer, failed};
use crate::wire::{Body, Extensions, FORWARD_BYTES_MAX, Fields, Guid, Packet, Query, flags, urn_of};

/// Longest text of a query. Spec §8.
const TEXT_BYTES_MAX: usize = 200;
/// Files that one search tells apart.
const SEEN_MAX: usize = 10_000;
/// Walkers of one search.
const WALKERS_MAX: u16 = 256;

/// For whom a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A user.
    User(OpId),
    /// A fetch that looks for more sources.
    Fetch(OpId),
}

/// What an id of ours belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) search: Option<u32>,
    pub(crate) dynamic: Option<u32>,
}

/// A search under way.
#[derive(Debug)]
pub(crate) struct Search {
    whose: Whose,
    pub(crate) query: Wanted,
    pub(crate) wanted: usize,
    pub(crate) found: usize,
    wire: Arc<Query>,
    digests: Digests,
    strategy: Strategy,
    ttl: u8,
    /// Hops of the ring under way.
    ring: u8,
    muids: Vec<Guid>,
    sent_to: Vec<ConnId>,
    until: Time,
    seen: Set<(Guid, u32)>,
}

impl Search {
    /// Whether a file was not heard of before.
    pub(crate) fn is_new(&mut self, servent: Guid, index: u32) -> bool {
        self.seen.len() < SEEN_MAX && self.seen.insert((servent, index))
    }
}

/// The message for a query of a user; what cannot be asked for is said.
fn wire_of(query: &Wanted, fields: Option<&Fields>) -> Result<(Query, Digests), &'static str> {
    let mut extensions = Extensions::default();
    let mut asked = 0;
    if let Some(fields) = fields {
        extensions.texts.push(Fields::write(&[(None, fields.clone())]));
        asked = fields.words().trim().len();
    }
    let mut digests = Digests::new();
    let text = match query {
        Wanted::Words { words, .. } => words.join(" "),
        Wanted::Digest { digest, .. } => {
            digests.insert(*digest);
            extensions.urns.push(urn_of(digest));
            String::new()
        }
    };
    let text = text.replace('\0', " ").trim().to_owned();
    if text.len() > TEXT_BYTES_MAX {
        return Err("a query has at most 200 bytes of words");
    }
    if text.len() < 2 && asked < 2 && digests.iter().next().is_none() {
        return Err("a query needs a word of two letters, or a digest");
    }
    Ok((Query { flags: flags::MARK | flags::GGEP_H | flags::XML, text, ext: extensions.bytes() }, digests))
}

fn wanted_of(query: &Wanted) -> usize {
    match query {
        Wanted::Words { wanted, .. } | Wanted::Digest { wanted, .. } => *wanted,
    }
}

impl Node {
    /// A search by fields, as far as it is one of ours in every other way.
    pub(crate) fn start_search_by_fields(
        &mut self,
        op: OpId,
        words: Vec<String>,
        fields: Fields,
        wanted: usize,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) {
        let ttl = if self.kind == Kind::Flat { self.config.flat_ttl } else { self.config.ttl };
        self.start_search(op, Wanted::Words { words, wanted }, Some(&fields), self.config.strategy, ttl, cx, out);
    }

    #[expect(clippy::too_many_arguments, reason = "what a search is, and the two that every step has")]
    pub(crate) fn start_search(
        &mut self,
        op: OpId,
        query: Wanted,
        fields: Option<&Fields>,
        strategy: Strategy,
        ttl: u8,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) {
        if self.member.is_none() {
            return failed(op, Failure::NotReady("not in the network".into()), out);
        }
        let users = self.searches.values().filter(|search| matches!(search.whose, Whose::User(_))).count();
        if users >= self.config.searches_max {
            return failed(op, Failure::Full("searches"), out);
        }
        if wanted_of(&query) == 0 {
            return out.report(op, Progress::Done);
        }
        if let Err(why) = self.launch(Whose::User(op), query, fields, strategy, ttl, cx, out) {
            failed(op, Failure::Unusable(why.into()), out);
        }
    }

    /// Begins a search.
    #[expect(clippy::too_many_arguments, reason = "what a search is, and the two that every step has")]
    pub(crate) fn launch(
        &mut self,
        whose: Whose,
        query: Wanted,
        fields: Option<&Fields>,
        strategy: Strategy,
        ttl: u8,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) -> Result<u32, &'static str> {
        let (mut wire, digests) = wire_of(&query, fields)?;
        if wire.bytes() > FORWARD_BYTES_MAX {
            return Err("a query has at most 256 bytes, fields and all");
        }
        if self.is_firewalled() {
            wire.flags |= flags::FIREWALLED;
        } else if self.config.out_of_band && self.config.datagrams && self.kind != Kind::Flat {
            wire.flags |= flags::OUT_OF_BAND;
        }
        if self.kind == Kind::Leaf {
            wire.flags |= flags::LEAF_GUIDED;
        }
        let number = self.number();
        let search = Search {
            whose,
            wanted: wanted_of(&query),
            query,
            found: 0,
            wire: Arc::new(wire),
            digests,
            strategy: if self.kind == Kind::Flat { strategy } else { Strategy::Flood },
            ttl: ttl.clamp(1, self.config.ttl_max),
            ring: 0,
            muids: Vec::new(),
            sent_to: Vec::new(),
            until: cx.now + self.config.search_deadline,
            seen: Set::new(),
        };
        self.searches.insert(number, search);
        match self.kind {
            Kind::Flat => self.spread_flat(number, cx, out),
            Kind::Leaf => self.spread_as_leaf(number, cx, out),
            Kind::Ultrapeer => self.spread_as_ultrapeer(number, cx, out),
        }
        Ok(number)
    }

    /// An id for a message of a search.
    fn fresh_muid(&mut self, number: u32, cx: &mut Context<'_>) -> Guid {
        let (mut muid, own) = (Guid::fresh(cx.dice), self.own());
        if let Some(search) = self.searches.get_mut(&number) {
            if search.wire.has(flags::OUT_OF_BAND)
                && let Some(own) = own
            {
                muid = muid.with_address(own);
            }
            search.muids.push(muid);
        }
        self.asked.insert(muid, Asked { search: Some(number), dynamic: None });
        // What comes back to us by another way is a duplicate.
        self.queries.insert(muid, Route { conn: ConnId(0), ttl: u8::MAX, hops: 0 }, cx.now);
        muid
    }

    fn spread_flat(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out) {
        let Some(search) = self.searches.get(&number) else { return };
        let (wire, strategy, ttl, until) = (search.wire.clone(), search.strategy, search.ttl, search.until);
        match strategy {
            Strategy::Flood => {
                let muid = self.fresh_muid(number, cx);
                self.flood_equals(muid, ttl, &wire, cx, out);
                out.wake(until, Timer::Search(number));
            }
            Strategy::ExpandingRing { .. } => self.next_ring(number, cx, out),
            Strategy::RandomWalks { walkers, steps } => {
                for _ in 0..walkers.clamp(1, WALKERS_MAX) {
                    let muid = self.fresh_muid(number, cx);
                    self.walk_on(None, muid, 0, &wire, steps.max(1), cx, out);
                }
                out.wake(until, Timer::Search(number));
            }
        }
    }

    fn flood_equals(&mut self, muid: Guid, ttl: u8, wire: &Arc<Query>, cx: &Context<'_>, out: &mut Out) {
        let conns: Vec<ConnId> = self.links.of(Kind::Flat).map(|(conn, _)| conn).collect();
        for conn in conns {
            self.say(conn, Packet::new(muid, ttl, Body::Query(wire.clone())), cx, out);
        }
    }

    /// The next flood of an expanding ring; false when the last one was as large as may be.
    fn next_ring(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out) {
        let Some(search) = self.searches.get_mut(&number) else { return };
        let Strategy::ExpandingRing { first, step, wait_per_hop } = search.strategy else { return };
        if search.ring >= search.ttl {
            return self.end_search(number, cx, out);
        }
        let grown = if search.ring == 0 { first.max(1) } else { search.ring.saturating_add(step.max(1)) };
        search.ring = grown.min(search.ttl);
        let (ring, wire) = (search.ring, search.wire.clone());
        let muid = self.fresh_muid(number, cx);
        self.flood_equals(muid, ring, &wire, cx, out);
        out.wake(cx.now + wait_per_hop * u32::from(ring), Timer::Search(number));
    }

    fn spread_as_leaf(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out) {
        self.fresh_muid(number, cx);
        let conns: Vec<ConnId> = self.links.of(Kind::Ultrapeer).map(|(conn, _)| conn).collect();
        for conn in conns {
            self.send_to_leader(number, conn, cx, out);
        }
        let until = self.searches.get(&number).map_or(cx.now, |search| search.until);
        out.wake(until, Timer::Search(number));
    }

    fn send_to_leader(&mut self, number: u32, conn: ConnId, cx: &Context<'_>, out: &mut Out) {
        let Some(search) = self.searches.get_mut(&number) else { return };
        let Some(&muid) = search.muids.first().filter(|_| !search.sent_to.contains(&conn)) else { return };
        search.sent_to.push(conn);
        let (ttl, wire) = (search.ttl, search.wire.clone());
        self.say(conn, Packet::new(muid, ttl, Body::Query(wire)), cx, out);
    }

    /// Searches under way are told to an ultrapeer that has just taken us in.
    pub(crate) fn resume_searches(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        if self.kind != Kind::Leaf {
            return;
        }
        let numbers: Vec<u32> = self.searches.keys().copied().collect();
        for number in numbers {
            self.send_to_leader(number, conn, cx, out);
        }
    }

    fn spread_as_ultrapeer(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out) {
        let muid = self.fresh_muid(number, cx);
        let Some(search) = self.searches.get(&number) else { return };
        let (wire, ttl, until, wanted, digests) = (search.wire.clone(), search.ttl, search.until, search.wanted, search.digests.clone());
        let keys = Keys::of(&wire, &digests);
        let packet = Packet::new(muid, 1, Body::Query(wire.clone()));
        self.flood_leaves(ConnId(0), &packet, &wire, &keys, cx, out);
        if self.config.dynamic {
            self.lead_own(number, muid, wire, keys, wanted, cx, out);
        } else {
            let conns: Vec<ConnId> = self.links.of(Kind::Ultrapeer).map(|(conn, _)| conn).collect();
            for conn in conns {
                self.say(conn, Packet::new(muid, ttl, Body::Query(wire.clone())), cx, out);
            }
        }
        out.wake(until, Timer::Search(number));
    }

    pub(crate) fn on_search_timer(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out) {
        let Some(search) = self.searches.get(&number) else { return };
        match search.strategy {
            Strategy::ExpandingRing { .. } if cx.now < search.until => self.next_ring(number, cx, out),
            _ => self.end_search(number, cx, out),
        }
    }

    /// A file for whoever searches.
    pub(crate) fn deliver_hit(&mut self, number: u32, hit: Hit, cx: &mut Context<'_>, out: &mut Out) {
        match self.searches.get(&number).map(|search| search.whose) {
            Some(Whose::User(op)) => Self::report_hit(op, hit, out),
            Some(Whose::Fetch(op)) => self.on_source_found(op, &hit, cx, out),
            None => {}
        }
    }

    /// How many more hits a search of that id wants.
    pub(crate) fn wanted_of(&self, muid: &Guid) -> Option<usize> {
        let search = self.searches.get(&self.asked.get(muid)?.search?)?;
        Some(search.wanted.saturating_sub(search.found))
    }

    /// The hits of a search of ours that count for one of our ultrapeers.
    pub(crate) fn kept_of(&self, muid: &Guid) -> Option<u16> {
        let search = self.searches.get(&self.asked.get(muid)?.search?)?;
        u16::try_from(search.found / search.sent_to.len().max(1)).ok()
    }

    /// A search is over.
    pub(crate) fn end_search(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out) {
        let Some(search) = self.forget_search(number) else { return };
        for &conn in &search.sent_to {
            // The ultrapeers can spare themselves the rest.
            if let Some(&muid) = search.muids.first().filter(|_| search.found >= search.wanted) {
                self.tell_kept(conn, muid, u16::MAX, cx, out);
            }
        }
        match search.whose {
            Whose::User(op) => out.report(op, Progress::Done),
            Whose::Fetch(op) => self.on_sources_looked_up(op),
        }
    }

    fn forget_search(&mut self, number: u32) -> Option<Search> {
        let search = self.searches.remove(&number)?;
        for muid in &search.muids {
            if let Some(dynamic) = self.asked.remove(muid).and_then(|asked| asked.dynamic) {
                self.dynamics.remove(&dynamic);
            }
        }
        Some(search)
    }

    pub(crate) fn cancel_search(&mut self, op: OpId, out: &mut Out) {
        let found = self.searches.iter().find(|(_, search)| search.whose == Whose::User(op)).map(|(&number, _)| number);
        if let Some(number) = found {
            self.forget_search(number);
            out.report(op, Progress::Ended);
        }
    }

    /// Ends the search for more sources of a fetch.
    pub(crate) fn end_search_of(&mut self, op: OpId) {
        let found = self.searches.iter().find(|(_, search)| search.whose == Whose::Fetch(op)).map(|(&number, _)| number);
        if let Some(number) = found {
            self.forget_search(number);
        }
    }

    /// We leave: what was not found is not found.
    pub(crate) fn end_all_searches(&mut self, out: &mut Out) {
        let numbers: Vec<u32> = self.searches.keys().copied().collect();
        for number in numbers {
            if let Some(Search { whose: Whose::User(op), .. }) = self.forget_search(number) {
                failed(op, Failure::NotReady("left the network".into()), out);
            }
        }
        self.dynamics.clear();
        self.proxied.clear();
        self.asked.clear();
    }
}
