//! Fetching a share from those whom references name (C6): described by a peer and checked against the digest, then part by part from several.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use hexad_content::{Described, Digest, Digests, Proof, Ranges};
use hexad_core::{
    ConnId, Context, Description, Failure, LeaseId, Level, Map, OpId, Others, Output, Payload, Progress, ShareId, Source, Span, Time,
    Verdict, What,
};

use super::errands::{Deed, Ended, Whom};
use super::queries::same_host;
use super::roads::dial;
use super::{Node, Out, Timer, failed};
use crate::place::Place;
use crate::wire::{Body, Get, Message, Reason, Value, key_of_digest};
use hexad_content::info;

/// How often a fetch looks how it gets on.
const LOOK: Span = Span::from_secs(2);
/// A source that gives nothing for so long is given up.
const SILENCE: Span = Span::from_secs(20);
/// A fetch that gets nothing from anybody for so long has failed.
const PATIENCE: Span = Span::from_secs(120);
/// A source that lacks what it was asked for is asked again after so long.
const REST: Span = Span::from_secs(1);
/// Sources are looked up so often while there are too few.
const LOOKUP_EVERY: Span = Span::from_secs(10);
/// Addresses that one fetch remembers.
const PEERS_MAX: usize = 256;
/// Bad parts to which a source has contributed before it is banned, where it was not the only one.
const STRIKES: u32 = 3;

/// One who has the share, by its own account or somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Supplier {
    described: bool,
    /// What it is to give, and has not been asked for yet.
    assigned: Ranges,
    /// What it was asked for.
    asked: VecDeque<(u64, u32)>,
    /// When it last gave something, or was first asked.
    active: Time,
    /// It lacked what it was asked for; not to be asked before then.
    rests_until: Time,
}

impl Supplier {
    /// Everything that it is still to give.
    fn owed(&self) -> Ranges {
        let mut owed = self.assigned.clone();
        self.asked.iter().for_each(|&(offset, bytes)| owed.insert(offset..offset + u64::from(bytes)));
        owed
    }
}

/// One fetch under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch<A: Place> {
    lease: LeaseId,
    share: ShareId,
    digests: Digests,
    name: Option<String>,
    /// What it is, once that is known: the digest that proves it, and what it is proven by part by part.
    proven: Option<(Digest, Proof)>,
    /// Peers that are not yet dialled.
    untried: VecDeque<A>,
    known: Vec<A>,
    suppliers: Map<ConnId, (A, Supplier)>,
    /// What is wanted and nobody is assigned to.
    wanted: Ranges,
    /// What was leased and is not yet proven.
    missing: Ranges,
    leased: bool,
    /// What of it other networks bring.
    others: Others,
    /// Who gave what, until it is judged.
    givers: Map<u64, (u64, A)>,
    strikes: Vec<(A, u32)>,
    banned: Vec<A>,
    looking_up: usize,
    looked_up: Time,
    active: Time,
}

impl<A: Place> Eq for Fetch<A> {}

impl<A: Place> std::hash::Hash for Fetch<A> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.lease, self.share, self.active).hash(state);
    }
}

impl<A: Place> Node<A> {
    pub(super) fn start_fetch(&mut self, op: OpId, source: Source, lease: LeaseId, share: ShareId, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.is_member() {
            return failed(op, Failure::NotReady("not in a ring".into()), out);
        }
        let mut given = None;
        let (digests, name) = match source.what {
            What::Magnet(magnet) => (magnet.digests, magnet.name),
            What::Torrent(torrent) => {
                let Some(info) = info::info_of_torrent(&torrent).map(|info| torrent.slice_ref(info)) else {
                    return failed(op, Failure::Unusable("expected a .torrent with an info dictionary".into()), out);
                };
                let digest = Digest::TorrentV1(info::hash(&info));
                given = Some(info);
                ([digest].into_iter().collect(), None)
            }
            What::Locator(text) => {
                return failed(op, Failure::Unusable(format!("expected a magnet link or a .torrent, came {text:?}")), out);
            }
        };
        if !digests.iter().any(|digest| matches!(digest, Digest::TorrentV1(_) | Digest::Content(_))) {
            let wanted = "expected a content id or an info hash, which prove what comes";
            return failed(op, Failure::Unusable(format!("{wanted}, came none")), out);
        }
        let fetch = Fetch {
            lease,
            share,
            digests,
            name,
            proven: None,
            untried: VecDeque::new(),
            known: Vec::new(),
            suppliers: Map::new(),
            wanted: Ranges::new(),
            missing: Ranges::new(),
            leased: false,
            others: Others::default(),
            givers: Map::new(),
            strikes: Vec::new(),
            banned: Vec::new(),
            looking_up: 0,
            looked_up: cx.now,
            active: cx.now,
        };
        self.busy().fetches.insert(op, fetch);
        let peers: Vec<A> = source.peers.iter().filter_map(A::of_user).collect();
        for peer in peers {
            self.add_peer(op, peer);
        }
        if let Some(info) = given {
            self.on_described(op, &Body::Description(info), out);
        }
        self.look_up_sources(op, cx, out);
        self.dial_more(op, cx, out);
        out.wake(cx.now + LOOK, Timer::Fetch(op));
    }

    /// Somebody may have the share.
    fn add_peer(&mut self, op: OpId, peer: A) {
        let own = self.addr.clone();
        let keyed = self.config.0.identity.is_some();
        let Some(fetch) = self.busy().fetches.get_mut(&op) else { return };
        let known = fetch.known.iter().chain(&fetch.banned).chain(own.as_ref()).any(|other| same_host(other, &peer));
        if !known && peer.fits(keyed) && fetch.known.len() < PEERS_MAX {
            fetch.known.push(peer.clone());
            fetch.untried.push_back(peer);
        }
    }

    /// Asks the ring who has it.
    fn look_up_sources(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let limit = self.config.0.answer_items_max;
        let Some(fetch) = self.busy().fetches.get_mut(&op) else { return };
        if fetch.looking_up > 0 {
            return;
        }
        let keys: Vec<_> = fetch.digests.iter().map(key_of_digest).collect();
        fetch.looking_up = keys.len();
        fetch.looked_up = cx.now;
        for key in keys {
            self.start_errand(Deed::Get(Box::new(Get { key, words: Vec::new(), limit })), Whom::Fetch(op), cx, out);
        }
    }

    /// The ring has told who has it, or that nobody has.
    pub(super) fn on_sources(&mut self, op: OpId, ended: Ended<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(fetch) = self.busy().fetches.get_mut(&op) else { return };
        fetch.looking_up = fetch.looking_up.saturating_sub(1);
        if let Ended::Found(found, _) = ended {
            for item in found.items {
                let Value::Reference(record) = item.value else { continue };
                let Some(fetch) = self.busy().fetches.get_mut(&op) else { return };
                if fetch.digests.iter().any(|digest| record.digests.contains(digest)) {
                    self.add_peer(op, record.publisher.clone());
                }
            }
        }
        self.dial_more(op, cx, out);
        let Some(fetch) = self.busy().fetches.get(&op) else { return };
        if fetch.looking_up == 0 && fetch.suppliers.is_empty() && fetch.untried.is_empty() && fetch.known.is_empty() {
            let what = fetch.name.clone().unwrap_or_else(|| format!("{:?}", fetch.digests.iter().next()));
            self.end_fetch(op, out);
            failed(op, Failure::NotFound(what), out);
        }
    }

    fn dial_more(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let max = self.config.0.sources_max;
        let Some(fetch) = self.busy().fetches.get_mut(&op) else { return };
        while fetch.suppliers.len() < max {
            let Some(peer) = fetch.untried.pop_front() else { return };
            let conn = cx.new_conn();
            let supplier =
                Supplier { described: false, assigned: Ranges::new(), asked: VecDeque::new(), active: cx.now, rests_until: Time::ZERO };
            fetch.suppliers.insert(conn, (peer.clone(), supplier));
            out.push(Output::Open(conn, peer, dial()));
        }
    }

    fn fetch_of(&mut self, conn: ConnId) -> Option<(OpId, &mut Fetch<A>)> {
        let busy = self.busy.as_mut()?;
        busy.fetches.iter_mut().find(|(_, fetch)| fetch.suppliers.contains_key(&conn)).map(|(op, fetch)| (*op, fetch))
    }

    pub(super) fn is_source(&self, conn: ConnId) -> bool {
        self.busy.as_ref().is_some_and(|busy| busy.fetches.values().any(|fetch| fetch.suppliers.contains_key(&conn)))
    }

    pub(super) fn on_source_opened(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some((_, fetch)) = self.fetch_of(conn) else { return Self::close(conn, "no longer wanted", out) };
        let proving = fetch.proven.as_ref().map(|(digest, _)| *digest);
        let named = || fetch.digests.iter().find(|digest| matches!(digest, Digest::TorrentV1(_) | Digest::Content(_))).copied();
        let Some(digest) = proving.or_else(named).or_else(|| fetch.digests.iter().next().copied()) else { return };
        if let Some((_, supplier)) = fetch.suppliers.get_mut(&conn) {
            supplier.active = cx.now;
        }
        out.send_to(conn, Message { from: 0, to: 0, query: 0, body: Body::Describe(Box::new(digest)) });
    }

    /// A source is no more.
    pub(super) fn on_source_closed(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some((op, fetch)) = self.fetch_of(conn) else { return };
        if let Some((_, supplier)) = fetch.suppliers.remove(&conn) {
            give_back(fetch, &supplier);
        }
        self.dial_more(op, cx, out);
        self.ask_more(op, cx, out);
    }

    pub(super) fn on_source_refuses(&mut self, conn: ConnId, reason: Reason, cx: &mut Context<'_>, out: &mut Out<A>) {
        out.note(Level::Debug, "source_refuses", None, reason.words());
        Self::close(conn, "refuses", out);
        self.on_source_closed(conn, cx, out);
    }

    /// A source has described the share.
    pub(super) fn on_description(&mut self, conn: ConnId, description: &Body<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some((op, fetch)) = self.fetch_of(conn) else { return };
        let Some((peer, supplier)) = fetch.suppliers.get_mut(&conn) else { return };
        supplier.described = true;
        supplier.active = cx.now;
        let peer = peer.clone();
        if !self.on_described(op, description, out) {
            out.note(Level::Ban, "forged_description", Some(peer.clone()), "");
            if let Some((_, fetch)) = self.fetch_of(conn) {
                fetch.banned.push(peer);
            }
            Self::close(conn, "describes something else", out);
            return self.on_source_closed(conn, cx, out);
        }
        self.ask_more(op, cx, out);
    }

    /// Checks a description against what the fetch was started with; true when it is what is wanted.
    fn on_described(&mut self, op: OpId, description: &Body<A>, out: &mut Out<A>) -> bool {
        let Some(fetch) = self.busy().fetches.get_mut(&op) else { return false };
        let Some(proven) = prove(description, fetch.name.as_deref()) else { return false };
        if let Some((known, _)) = &fetch.proven {
            return *known == proven.digest;
        }
        if !fetch.digests.contains(&proven.digest) {
            return false;
        }
        fetch.proven = Some((proven.digest, proven.proof.clone()));
        let (layout, digests, torrent) = (Arc::new(proven.layout), fetch.digests.clone(), proven.torrent);
        let description = Description { layout, proof: Some(proven.proof), digests, torrent, private: proven.private };
        out.report(op, Progress::Described(Box::new(description)));
        true
    }

    /// What the engine wants.
    pub(super) fn on_leased(&mut self, lease: LeaseId, ranges: Ranges, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = self.busy.as_mut().and_then(|busy| busy.seldom()) else { return };
        let Some((&op, fetch)) = busy.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        if ranges.is_empty() {
            self.end_fetch(op, out);
            return out.report(op, Progress::Done);
        }
        fetch.leased = true;
        fetch.active = cx.now;
        fetch.missing = ranges.clone();
        fetch.wanted = ranges;
        for (_, supplier) in fetch.suppliers.values_mut() {
            supplier.assigned = supplier.assigned.both(&fetch.wanted);
            fetch.wanted.remove_all(&supplier.owed());
        }
        // What has come and is not yet judged is not to come again.
        for (&offset, &(bytes, _)) in &fetch.givers {
            fetch.wanted.remove(offset..offset + bytes);
        }
        self.ask_more(op, cx, out);
    }

    /// Other networks bring some of it.
    pub(super) fn on_elsewhere(&mut self, lease: LeaseId, ranges: Ranges, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = self.busy.as_mut().and_then(|busy| busy.seldom()) else { return };
        let Some((&op, fetch)) = busy.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        if fetch.others.bring(ranges) {
            let mut under_way: Ranges = fetch.givers.iter().map(|(&offset, &(bytes, _))| offset..offset + bytes).collect();
            fetch.suppliers.values().for_each(|(_, supplier)| under_way.insert_all(&supplier.owed()));
            fetch.others.claim(lease, under_way, out);
        }
        self.ask_more(op, cx, out);
    }

    /// Asks all sources for as much as they may be asked for.
    fn ask_more(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let (each, block) = (self.config.0.requests_each, u64::from(self.config.0.block_bytes));
        let Some(fetch) = self.busy().fetches.get_mut(&op) else { return };
        let Some((_, proof)) = fetch.proven.clone().filter(|_| fetch.leased) else { return };
        let conns: Vec<ConnId> = fetch.suppliers.keys().copied().collect();
        for conn in conns {
            while let Some((_, supplier)) = fetch.suppliers.get_mut(&conn) {
                if !supplier.described || supplier.rests_until > cx.now || supplier.asked.len() >= each {
                    break;
                }
                if supplier.assigned.is_empty() {
                    let Some(range) = fetch.others.take_part(&mut fetch.wanted, &proof) else {
                        fetch.others.starve(fetch.lease, out);
                        break;
                    };
                    supplier.assigned.insert(range.clone());
                    fetch.others.claim(fetch.lease, Ranges::of(range), out);
                }
                let Some(range) = supplier.assigned.iter().next() else { break };
                let end = range.end.min(range.start - range.start % block + block);
                let bytes = u32::try_from(end - range.start).unwrap_or(u32::MAX);
                if supplier.asked.is_empty() {
                    supplier.active = cx.now;
                }
                supplier.assigned.remove(range.start..end);
                supplier.asked.push_back((range.start, bytes));
                out.send_to(conn, Message { from: 0, to: 0, query: 0, body: Body::Request(range.start, bytes) });
            }
        }
    }

    /// Bytes have come.
    pub(super) fn on_block(&mut self, conn: ConnId, offset: u64, payload: Payload, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some((op, fetch)) = self.fetch_of(conn) else { return };
        let lease = fetch.lease;
        let Some((peer, supplier)) = fetch.suppliers.get_mut(&conn) else { return };
        let bytes = payload.len();
        let Some(at) = supplier.asked.iter().position(|&(asked, length)| asked == offset && u64::from(length) == bytes) else {
            return out.note(Level::Drop, "block_unasked", Some(peer.clone()), "");
        };
        supplier.asked.remove(at);
        supplier.active = cx.now;
        fetch.givers.insert(offset, (bytes, peer.clone()));
        fetch.active = cx.now;
        out.push(Output::Deliver(lease, offset, payload));
        self.ask_more(op, cx, out);
    }

    /// A source lacks what it was asked for.
    pub(super) fn on_source_gone(&mut self, conn: ConnId, offset: u64, bytes: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some((op, fetch)) = self.fetch_of(conn) else { return };
        let Some((_, supplier)) = fetch.suppliers.get_mut(&conn) else { return };
        let Some(at) = supplier.asked.iter().position(|&asked| asked == (offset, bytes)) else { return };
        supplier.asked.remove(at);
        supplier.rests_until = cx.now + REST;
        fetch.wanted.insert(offset..offset + u64::from(bytes));
        let assigned = std::mem::take(&mut supplier.assigned);
        fetch.wanted.insert_all(&assigned);
        self.ask_more(op, cx, out);
    }

    /// The engine has judged what came.
    pub(super) fn on_judged(&mut self, lease: LeaseId, range: Range<u64>, verdict: Verdict, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = self.busy.as_mut().and_then(|busy| busy.seldom()) else { return };
        let Some((&op, fetch)) = busy.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        let inside: Vec<u64> = fetch.givers.range(range.clone()).map(|(&offset, _)| offset).collect();
        let mut givers: Vec<A> = Vec::new();
        for offset in inside {
            if let Some((_, giver)) = fetch.givers.remove(&offset)
                && !givers.contains(&giver)
            {
                givers.push(giver);
            }
        }
        if !matches!(verdict, Verdict::Bad | Verdict::Mixed | Verdict::Lie) {
            fetch.missing.remove(range.clone());
            // It has come, from whomever.
            fetch.wanted.remove(range.clone());
            fetch.suppliers.values_mut().for_each(|(_, supplier)| supplier.assigned.remove(range.clone()));
        }
        let over = fetch.missing.is_empty();
        match verdict {
            Verdict::Good => {
                for publishing in busy.publishings.values_mut().filter(|publishing| publishing.share == fetch.share) {
                    publishing.held.insert(range.clone());
                }
            }
            Verdict::Duplicate | Verdict::Lie => {}
            Verdict::Mixed => {
                fetch.wanted.insert(range);
                self.ask_more(op, cx, out);
            }
            Verdict::Bad => {
                fetch.wanted.insert(range);
                let alone = givers.len() == 1;
                for giver in givers {
                    let strikes = match fetch.strikes.iter_mut().find(|(peer, _)| *peer == giver) {
                        Some((_, strikes)) => {
                            *strikes += 1;
                            *strikes
                        }
                        None => {
                            fetch.strikes.push((giver.clone(), 1));
                            1
                        }
                    };
                    // What it sent before the first verdict may be judged long after.
                    if (alone || strikes >= STRIKES) && !fetch.banned.contains(&giver) {
                        out.note(Level::Ban, "bad_bytes", Some(giver.clone()), "");
                        fetch.banned.push(giver.clone());
                        let conns: Vec<ConnId> =
                            fetch.suppliers.iter().filter(|(_, (peer, _))| *peer == giver).map(|(conn, _)| *conn).collect();
                        for conn in conns {
                            Self::close(conn, "sends wrong bytes", out);
                            if let Some((_, supplier)) = fetch.suppliers.remove(&conn) {
                                give_back(fetch, &supplier);
                            }
                        }
                    }
                }
                self.dial_more(op, cx, out);
                self.ask_more(op, cx, out);
            }
        }
        if over {
            self.end_fetch(op, out);
            out.report(op, Progress::Done);
        }
    }

    /// Looks how a fetch gets on.
    pub(super) fn on_fetch_timer(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(fetch) = self.busy.as_mut().and_then(|busy| busy.fetches.get_mut(&op)) else { return };
        let now = cx.now;
        fetch.others.look_again();
        if now.since(fetch.active) >= PATIENCE {
            self.end_fetch(op, out);
            return failed(op, Failure::TimedOut(PATIENCE.as_secs()), out);
        }
        let silent = |supplier: &Supplier| (!supplier.asked.is_empty() || !supplier.described) && now.since(supplier.active) >= SILENCE;
        let late: Vec<ConnId> = fetch.suppliers.iter().filter(|(_, (_, supplier))| silent(supplier)).map(|(conn, _)| *conn).collect();
        for conn in late {
            Self::close(conn, "silent", out);
            if let Some((_, supplier)) = fetch.suppliers.remove(&conn) {
                give_back(fetch, &supplier);
            }
        }
        if fetch.suppliers.is_empty() && fetch.untried.is_empty() && now.since(fetch.looked_up) >= LOOKUP_EVERY {
            // Those that were given up may be back.
            let banned = fetch.banned.clone();
            fetch.untried = fetch.known.iter().filter(|peer| !banned.contains(peer)).cloned().collect();
            self.look_up_sources(op, cx, out);
        }
        self.dial_more(op, cx, out);
        self.ask_more(op, cx, out);
        out.wake(cx.now + LOOK, Timer::Fetch(op));
    }

    pub(super) fn cancel_fetch(&mut self, op: OpId, out: &mut Out<A>) {
        if self.end_fetch(op, out) {
            out.report(op, Progress::Ended);
        }
    }

    /// Closes all that a fetch has opened.
    fn end_fetch(&mut self, op: OpId, out: &mut Out<A>) -> bool {
        let Some(fetch) = self.busy().fetches.remove(&op) else { return false };
        for conn in fetch.suppliers.into_keys() {
            Self::close(conn, "the fetch is over", out);
        }
        true
    }
}

/// By which digest a description proves what it describes; `None` where it does not hold together.
fn prove<A: Place>(description: &Body<A>, name: Option<&str>) -> Option<Described> {
    match description {
        Body::Description(bytes) => Described::by_info(bytes),
        Body::Tree(tree) => {
            let name = name.filter(|_| tree.name.is_empty()).unwrap_or(&tree.name);
            Described::by_tree(tree.content, tree.part_bytes, tree.hashes.clone(), name)
        }
        _ => None,
    }
}

/// What a source will not give is wanted of others.
fn give_back<A: Place>(fetch: &mut Fetch<A>, supplier: &Supplier) {
    fetch.wanted.insert_all(&supplier.owed());
}
