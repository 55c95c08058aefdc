//! Fetching: from whom, in which ranges, and who is to blame. Spec §18, §19.
//!
//! Programs like ours describe the share with what proves it; every part is then asked of one source only, so that a part that turns out wrong
//! has one who is guilty. From others a file comes by ranges, and a SHA-1 proves it once it is whole.

use std::ops::Range;

use hexad_content::{Digest, Digests, Proof, Ranges, Shape, Strength};
use hexad_core::{
    ConnId, Context, Endpoint, Failure, Hit, LeaseId, Level, Map, OpId, Others, Output, Progress, Query, Set, ShareId, Source, Span, Time,
    Verdict, What,
};

use super::peers::{Peering, Role};
use super::searching::Whose;
use super::settings::Strategy;
use super::suppliers::{Given, Supplier, Way};
use super::{Node, Out, Timer, dial, failed};
use crate::locator::Locator;
use crate::wire::{Guid, digests_of, urn_of};

/// How often a fetch looks how it gets on.
const LOOK: Span = Span::from_secs(1);
/// A source that gives nothing for so long is given up.
const SILENCE: Span = Span::from_secs(20);
/// A source that was told to connect has to in this time.
const PUSH_WITHIN: Span = Span::from_secs(30);
/// How long a source rests that cannot give, for each time it failed.
pub(crate) const REST: Span = Span::from_secs(3);
/// Failures in a row after which a source is given up.
pub(crate) const FAILURES_MAX: u8 = 5;
/// Sources that one fetch remembers.
const SUPPLIERS_MAX: usize = 64;
/// Sources are looked for again after so long without progress.
const LOOK_UP_EVERY: Span = Span::from_secs(45);

/// A fetch.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) lease: LeaseId,
    pub(crate) share: ShareId,
    /// By what programs like ours know it; empty where we do not know that.
    pub(crate) token: String,
    pub(crate) digests: Digests,
    pub(crate) name: String,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) suppliers: Map<u32, Supplier>,
    pub(crate) last: u32,
    pub(crate) shape: Option<Shape>,
    pub(crate) leased: bool,
    /// What was leased and is not proven.
    pub(crate) missing: Ranges,
    /// What of it nobody is to give.
    pub(crate) wanted: Ranges,
    /// What of it other networks bring.
    pub(crate) others: Others,
    pub(crate) given: Given,
    /// Somebody of several has given something wrong: one after the other, then.
    pub(crate) single: bool,
    pub(crate) banned: Set<(Option<Endpoint>, Option<Guid>)>,
    pub(crate) looking: bool,
    pub(crate) looked: Time,
    pub(crate) progress: Time,
    pub(crate) begun: Time,
}

impl Fetch {
    /// The servent of a source.
    pub(crate) fn servent_of(&self, supplier: u32) -> Option<Guid> {
        self.suppliers.get(&supplier)?.servent
    }

    /// The source of that servent, when it is awaited.
    pub(crate) fn awaits(&self, servent: &Guid) -> Option<u32> {
        let awaited = |supplier: &Supplier| supplier.servent == Some(*servent) && matches!(supplier.way, Way::Pushed(_));
        self.suppliers.iter().find(|(_, supplier)| awaited(supplier)).map(|(&number, _)| number)
    }

    /// Remembers a source; one that is known or has lied is not taken.
    pub(crate) fn add(&mut self, at: Option<Endpoint>, locator: &Locator, now: Time) {
        let known =
            |supplier: &Supplier| at.is_some() && supplier.at == at || locator.servent.is_some() && supplier.servent == locator.servent;
        let guilty = |(other, servent): &(Option<Endpoint>, Option<Guid>)| {
            at.is_some() && *other == at || locator.servent.is_some() && *servent == locator.servent
        };
        if self.suppliers.len() >= SUPPLIERS_MAX || self.suppliers.values().any(known) || self.banned.iter().any(guilty) {
            return;
        }
        self.last += 1;
        let supplier = Supplier {
            push: at.is_none(),
            at,
            servent: locator.servent,
            index: locator.index,
            proxies: locator.proxies.clone(),
            ours: !locator.token.is_empty() && !self.token.is_empty(),
            target: locator.target(),
            way: Way::Idle(now),
            open: false,
            described: false,
            tree_asked: false,
            tree_at: None,
            asked: std::collections::VecDeque::new(),
            coming: None,
            assigned: Ranges::new(),
            available: None,
            failures: 0,
            heard: now,
            rests_until: now,
        };
        self.suppliers.insert(self.last, supplier);
    }

    /// Bytes that belong together: whoever gives the first of them gives all.
    fn grain(&self, request_bytes: u64) -> u64 {
        match self.shape.as_ref().and_then(|shape| shape.proof.as_ref()) {
            Some(proof @ (Proof::V1Pieces { .. } | Proof::Tree(_))) => {
                let part = proof.part_bytes();
                part * (request_bytes / part).max(1)
            }
            Some(Proof::Tiger(tree)) if tree.hashes().len() > 1 => tree.part_bytes() * (request_bytes / tree.part_bytes()).max(1),
            _ if self.single => u64::MAX,
            _ => request_bytes.max(1),
        }
    }

    /// Gives a source something to do; nothing when there is nothing for it.
    pub(crate) fn assign(&mut self, number: u32, request_bytes: u64) -> Option<Range<u64>> {
        let grain = self.grain(request_bytes);
        if self.single
            && self.suppliers.iter().any(|(&other, supplier)| other != number && (supplier.is_busy() || !supplier.assigned.is_empty()))
        {
            return None;
        }
        let supplier = self.suppliers.get_mut(&number)?;
        let has = |range: Range<u64>| match &supplier.available {
            None => Some(range),
            Some(available) => available.within(range).iter().next(),
        };
        let range = self.others.leave_of(&self.wanted).find_map(has)?;
        let end = match (range.start / grain).checked_add(1).and_then(|next| next.checked_mul(grain)) {
            Some(end) => end.min(range.end),
            None => range.end,
        };
        let range = range.start..end;
        supplier.assigned.insert(range.clone());
        self.wanted.remove(range.clone());
        Some(range)
    }
}

impl Node {
    pub(crate) fn start_fetch(&mut self, op: OpId, source: Source, lease: LeaseId, share: ShareId, cx: &mut Context<'_>, out: &mut Out) {
        if self.fetches.len() >= self.config.fetches_max {
            return failed(op, Failure::Full("fetches"), out);
        }
        let locator = match &source.what {
            What::Locator(text) => match Locator::read(text) {
                Some(locator) => locator,
                None => return failed(op, Failure::Unusable(format!("expected a locator of this network, came {text:?}")), out),
            },
            What::Magnet(magnet) => Locator {
                token: magnet
                    .digests
                    .iter()
                    .find(|digest| !matches!(digest, Digest::Sha1(_) | Digest::TigerTree(_)))
                    .map(urn_of)
                    .unwrap_or_default(),
                digests: magnet.digests.clone(),
                name: magnet.name.clone().unwrap_or_default(),
                size_bytes: magnet.size_bytes,
                ..Locator::default()
            },
            What::Torrent(_) => return failed(op, Failure::Unusable("expected a locator or a magnet link, came a .torrent".into()), out),
        };
        let mut fetch = Fetch {
            lease,
            share,
            token: locator.token.clone(),
            digests: locator.digests.clone(),
            name: locator.name.clone(),
            size_bytes: locator.size_bytes,
            suppliers: Map::new(),
            last: 0,
            shape: None,
            leased: false,
            missing: Ranges::new(),
            wanted: Ranges::new(),
            others: Others::default(),
            given: Given::default(),
            single: false,
            banned: Set::new(),
            looking: false,
            looked: cx.now,
            progress: cx.now,
            begun: cx.now,
        };
        // A servent belongs to one address only.
        let several = source.peers.len() > 1;
        for peer in source.peers {
            let own = Locator { servent: locator.servent.filter(|_| !several), ..locator.clone() };
            fetch.add(Some(peer), &own, cx.now);
        }
        if fetch.suppliers.is_empty() && locator.servent.is_some() {
            fetch.add(None, &locator, cx.now);
        }
        self.fetches.insert(op, fetch);
        self.look_up_sources(op, cx, out);
        self.connect_more(op, cx, out);
        out.wake(cx.now + LOOK, Timer::Fetch(op));
        self.fail_if_hopeless(op, out);
    }

    /// Asks the network who else has it.
    fn look_up_sources(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op).filter(|fetch| !fetch.looking) else { return };
        let mut named = digests_of(&fetch.token);
        fetch.digests.iter().for_each(|digest| named.insert(*digest));
        let Some(digest) = named.iter().find(|digest| digest.strength() > Strength::Hint).copied() else { return };
        fetch.looked = cx.now;
        if self.member.is_none() || self.links.up().next().is_none() {
            return;
        }
        fetch.looking = true;
        let ttl = if self.kind == super::Kind::Flat { self.config.flat_ttl } else { self.config.ttl };
        let query = Query::Digest { digest, wanted: 20 };
        if self.launch(Whose::Fetch(op), query, None, Strategy::Flood, ttl, cx, out).is_err() {
            self.on_sources_looked_up(op);
        }
    }

    pub(crate) fn on_sources_looked_up(&mut self, op: OpId) {
        if let Some(fetch) = self.fetches.get_mut(&op) {
            fetch.looking = false;
        }
    }

    /// Somebody else has it.
    pub(crate) fn on_source_found(&mut self, op: OpId, hit: &Hit, cx: &mut Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let What::Locator(text) = &hit.source.what else { return };
        let Some(locator) = Locator::read(text) else { return };
        // What we know it by may be another of its names.
        let mut named = digests_of(&fetch.token);
        fetch.digests.iter().for_each(|digest| named.insert(*digest));
        if !fetch.token.eq_ignore_ascii_case(&locator.token) && !named.same_content(&hit.digests) {
            return;
        }
        fetch.add(hit.source.peers.first().cloned(), &locator, cx.now);
        self.connect_more(op, cx, out);
    }

    /// Dials sources, or tells them to.
    fn connect_more(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        let max = self.config.sources_max;
        loop {
            let Some(fetch) = self.fetches.get_mut(&op) else { return };
            let busy = fetch.suppliers.values().filter(|supplier| !matches!(supplier.way, Way::Idle(_))).count();
            let due = |supplier: &Supplier| matches!(supplier.way, Way::Idle(at) if at <= cx.now);
            let next = fetch.suppliers.iter().find(|(_, supplier)| due(supplier)).map(|(&number, _)| number);
            let Some(number) = next.filter(|_| busy < max) else { return };
            let Some(supplier) = fetch.suppliers.get_mut(&number) else { return };
            if let Some(at) = supplier.at.clone().filter(|_| !supplier.push) {
                let conn = cx.new_conn();
                supplier.way = Way::Conn(conn);
                supplier.heard = cx.now;
                out.push(Output::Open(conn, at.clone(), dial(self.config.handshake_deadline / 2)));
                self.peers.insert(conn, Peering::new(at, Role::Taking(op, number), cx.now));
                self.tick_later(cx, out);
                continue;
            }
            supplier.way = Way::Pushed(cx.now + PUSH_WITHIN);
            let (servent, index, proxies) = (supplier.servent, supplier.index, supplier.proxies.clone());
            let asked = servent.is_some_and(|servent| self.ask_for_push(op, number, servent, index, &proxies, cx, out));
            if !asked {
                out.note(Level::Debug, "no_way_to_push", None, "");
                self.supplier_failed(op, number, cx);
            }
        }
    }

    fn supplier_failed(&mut self, op: OpId, number: u32, cx: &Context<'_>) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let Some(supplier) = fetch.suppliers.get_mut(&number) else { return };
        let back = supplier.give_back();
        supplier.open = false;
        supplier.failures += 1;
        supplier.way = Way::Idle(cx.now + REST * u32::from(supplier.failures));
        // Who cannot be dialled may be able to dial.
        if supplier.servent.is_some() && supplier.failures == 2 {
            supplier.push = !supplier.push || supplier.at.is_none();
        }
        if supplier.failures >= FAILURES_MAX {
            fetch.suppliers.remove(&number);
        }
        let missing = back.both(&fetch.missing);
        fetch.wanted.insert_all(&missing);
    }

    pub(crate) fn on_supplier_lost(&mut self, op: OpId, number: u32, cx: &mut Context<'_>, out: &mut Out) {
        self.supplier_failed(op, number, cx);
        self.settle_for_less(op, cx, out);
        self.connect_more(op, cx, out);
        self.feed(op, cx, out);
    }

    pub(crate) fn on_leased(&mut self, lease: LeaseId, ranges: Ranges, cx: &mut Context<'_>, out: &mut Out) {
        let Some((&op, fetch)) = self.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        if ranges.is_empty() {
            self.finish_fetch(op, out);
            return out.report(op, Progress::Done);
        }
        fetch.leased = true;
        fetch.progress = cx.now;
        fetch.missing = ranges.clone();
        fetch.wanted = ranges;
        for supplier in fetch.suppliers.values_mut() {
            supplier.assigned = supplier.assigned.both(&fetch.wanted);
            fetch.wanted.remove_all(&supplier.owed());
        }
        let given = fetch.given.ranges();
        fetch.wanted.remove_all(&given);
        self.feed(op, cx, out);
    }

    /// Other networks bring some of it.
    pub(crate) fn on_elsewhere(&mut self, lease: LeaseId, ranges: Ranges, cx: &mut Context<'_>, out: &mut Out) {
        let Some((&op, fetch)) = self.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        if fetch.others.bring(ranges) {
            let mut under_way = fetch.given.ranges();
            fetch.suppliers.values().for_each(|supplier| under_way.insert_all(&supplier.owed()));
            fetch.others.claim(lease, under_way, out);
        }
        self.feed(op, cx, out);
    }

    pub(crate) fn on_judged(&mut self, lease: LeaseId, range: Range<u64>, verdict: Verdict, cx: &mut Context<'_>, out: &mut Out) {
        let Some((&op, fetch)) = self.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        let givers = fetch.given.take(&range);
        let share = fetch.share;
        match verdict {
            Verdict::Good | Verdict::Duplicate => {
                // It has come, from whomever.
                fetch.missing.remove(range.clone());
                fetch.wanted.remove(range.clone());
                fetch.suppliers.values_mut().for_each(|supplier| supplier.assigned.remove(range.clone()));
                if verdict == Verdict::Good {
                    self.gained(share, range, cx, out);
                }
            }
            Verdict::Lie => {}
            Verdict::Mixed => {
                fetch.wanted.insert(range);
                self.feed(op, cx, out);
            }
            Verdict::Bad => {
                fetch.wanted.insert(range);
                let mut guilty = givers.iter();
                match (guilty.next().copied(), guilty.next()) {
                    (Some(only), None) => self.ban(op, only, "bad_bytes", cx, out),
                    _ => fetch.single = true,
                }
                self.connect_more(op, cx, out);
                self.feed(op, cx, out);
                self.fail_if_hopeless(op, out);
            }
        }
        if self.fetches.get(&op).is_some_and(|fetch| fetch.leased && fetch.missing.is_empty()) {
            self.finish_fetch(op, out);
            out.report(op, Progress::Done);
        }
    }

    /// A source has lied and is asked no more.
    pub(crate) fn ban(&mut self, op: OpId, number: u32, code: &'static str, cx: &mut Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let Some(mut supplier) = fetch.suppliers.remove(&number) else { return };
        out.note(Level::Ban, code, supplier.at.clone(), "");
        fetch.banned.insert((supplier.at.clone(), supplier.servent));
        let back = supplier.give_back();
        let missing = back.both(&fetch.missing);
        fetch.wanted.insert_all(&missing);
        if let Way::Conn(conn) = supplier.way {
            self.drop_peer(conn, "it has lied", out);
        }
        self.look_up_sources(op, cx, out);
    }

    pub(crate) fn on_fetch_timer(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        let patience = self.config.fetch_patience;
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        fetch.others.look_again();
        if cx.now.since(fetch.progress) >= patience {
            self.finish_fetch(op, out);
            return failed(op, Failure::TimedOut(patience.as_secs()), out);
        }
        let silent = |supplier: &Supplier| match supplier.way {
            Way::Conn(_) => supplier.open && supplier.is_busy() && cx.now.since(supplier.heard) >= SILENCE,
            Way::Pushed(until) => until <= cx.now,
            Way::Idle(_) => false,
        };
        let late: Vec<(u32, Way)> =
            fetch.suppliers.iter().filter(|(_, supplier)| silent(supplier)).map(|(&number, supplier)| (number, supplier.way)).collect();
        let stalled = cx.now.since(fetch.progress) >= LOOK_UP_EVERY && cx.now.since(fetch.looked) >= LOOK_UP_EVERY;
        for (number, way) in late {
            out.note(Level::Debug, "source_silent", None, "");
            if let Way::Conn(conn) = way {
                self.drop_peer(conn, "gives nothing", out);
            }
            self.on_supplier_lost(op, number, cx, out);
        }
        if stalled {
            self.look_up_sources(op, cx, out);
        }
        self.settle_for_less(op, cx, out);
        self.connect_more(op, cx, out);
        self.feed(op, cx, out);
        self.fail_if_hopeless(op, out);
        if self.fetches.contains_key(&op) {
            out.wake(cx.now + LOOK, Timer::Fetch(op));
        }
    }

    /// Ends a fetch for which nobody is left.
    pub(crate) fn fail_if_hopeless(&mut self, op: OpId, out: &mut Out) {
        let hopeless = self.fetches.get(&op).is_some_and(|fetch| fetch.suppliers.is_empty() && !fetch.looking);
        if hopeless {
            let name = self.fetches.get(&op).map(|fetch| fetch.name.clone()).unwrap_or_default();
            self.finish_fetch(op, out);
            failed(op, Failure::NotFound(format!("nobody gives {}", if name.is_empty() { "it" } else { &name })), out);
        }
    }

    /// Forgets a fetch and closes its connections.
    pub(crate) fn finish_fetch(&mut self, op: OpId, out: &mut Out) {
        self.fetches.remove(&op);
        self.end_search_of(op);
        let of = |peer: &Peering| matches!(peer.role, Role::Taking(other, _) | Role::Proxy(other, _) if other == op);
        let conns: Vec<ConnId> = self.peers.iter().filter(|(_, peer)| of(peer)).map(|(&conn, _)| conn).collect();
        for conn in conns {
            self.drop_peer(conn, "the fetch is over", out);
        }
    }

    pub(crate) fn cancel_fetch(&mut self, op: OpId, out: &mut Out) {
        if self.fetches.contains_key(&op) {
            self.finish_fetch(op, out);
            out.report(op, Progress::Ended);
        }
    }
}
