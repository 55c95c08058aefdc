//! Fetching a share from those who offer it: described by a peer and checked against the digest, then part by part from several at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Described, Digest, Digests, Proof, Ranges, info};
use hexad_core::{
    ConnId, Context, Description, Failure, LeaseId, Level, Map, OpId, Others, Output, Payload, Progress, Set, ShareId, Source, Span, Time,
    Verdict, What,
};

use super::lines::Kind;
use super::searching::For;
use super::suppliers::{Candidate, Supplier, Way, late, split};
use super::{Node, Out, Role, Timer, close, failed};
use crate::place::Place;
use crate::wire::{Looked, Message, Purpose, Reason, Sourced, proves};

/// How often a fetch looks how it gets on.
const LOOK: Span = Span::from_secs(1);
/// A source that gives nothing for so long is given up.
const SILENCE: Span = Span::from_secs(20);
/// What a source was asked for and has not given for so long is asked of an idle one as well.
const LATE: Span = Span::from_secs(3);
/// A fetch that gets nothing from anybody for so long has failed.
const PATIENCE: Span = Span::from_secs(120);
/// A source that lacks what it was asked for is asked again after so long.
const REST: Span = Span::from_secs(1);
/// Sources are looked for so often while there are too few.
const LOOK_FOR_MORE: Span = Span::from_secs(15);
/// Who was told to open a connection to us does so within so long.
const PUSH_PATIENCE: Span = Span::from_secs(6);
/// Addresses that one fetch remembers.
const CANDIDATES_MAX: usize = 256;
/// Bad parts to which a source has contributed before it is banned, where it was not the only one.
const STRIKES: u32 = 3;

/// One fetch under way.
#[derive(Debug)]
pub(super) struct Fetch<A: Place> {
    lease: LeaseId,
    share: ShareId,
    digests: Digests,
    name: Option<String>,
    /// What it is, once that is known: the digest that proves it, and what it is proven by part by part.
    proven: Option<(Digest, Proof)>,
    untried: VecDeque<Candidate<A>>,
    known: Map<A::Name, Candidate<A>>,
    suppliers: Map<ConnId, Supplier<A>>,
    /// Who was told to open a connection to us, by the token that he shows.
    awaited: Map<u64, (Candidate<A>, Time)>,
    /// What is wanted and nobody is assigned to.
    wanted: Ranges,
    /// What was leased and is not yet proven.
    missing: Ranges,
    leased: bool,
    /// What of it other networks bring.
    others: Others,
    /// Who gave what, until it is judged.
    givers: Map<u64, (u64, A::Name)>,
    strikes: Map<A::Name, u32>,
    banned: Set<A::Name>,
    looking: usize,
    looked: Time,
    active: Time,
}

impl<A: Place> Node<A> {
    pub(super) fn start_fetch(&mut self, op: OpId, source: Source, lease: LeaseId, share: ShareId, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member.is_none() {
            return failed(op, Failure::NotReady("not in the network".into()), out);
        }
        if self.fetches.len() >= self.config.0.fetches_max {
            return failed(op, Failure::Full("fetches"), out);
        }
        let mut given = None;
        let (digests, name) = match source.what {
            What::Magnet(magnet) => (magnet.digests, magnet.name),
            What::Torrent(torrent) => {
                let Some(bytes) = info::info_of_torrent(&torrent).map(Bytes::copy_from_slice) else {
                    return failed(op, Failure::Unusable("expected a .torrent with an info dictionary".into()), out);
                };
                let digest = Digest::TorrentV1(info::hash(&bytes));
                given = Some(bytes);
                ([digest].into_iter().collect(), None)
            }
            What::Locator(text) => {
                return failed(op, Failure::Unusable(format!("expected a magnet link or a .torrent, came {text:?}")), out);
            }
        };
        if !digests.iter().any(proves) {
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
            known: Map::new(),
            suppliers: Map::new(),
            awaited: Map::new(),
            wanted: Ranges::new(),
            missing: Ranges::new(),
            leased: false,
            others: Others::default(),
            givers: Map::new(),
            strikes: Map::new(),
            banned: Set::new(),
            looking: 0,
            looked: cx.now,
            active: cx.now,
        };
        self.fetches.insert(op, fetch);
        for peer in source.peers.iter().filter_map(A::of_user) {
            self.add_candidate(op, peer, None, true);
        }
        if let Some(bytes) = given {
            self.on_described(op, &Message::Description(bytes), out);
        }
        self.look_for_sources(op, cx, out);
        self.dial_more(op, cx, out);
        out.wake(cx.now + LOOK, Timer::Fetch(op));
    }

    /// Somebody may have it.
    fn add_candidate(&mut self, op: OpId, addr: A, via: Option<A>, reachable: bool) {
        let own = self.addr.as_ref().map(Place::name);
        let (keyed, we_are) = (self.config.0.identity.is_some(), self.reachable != Some(false));
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let name = addr.name();
        if Some(name) == own || fetch.banned.contains(&name) || !addr.fits(keyed) {
            return;
        }
        let candidate = Candidate::new(addr, via, reachable, we_are);
        let under_way = fetch.suppliers.values().any(|supplier| supplier.candidate.addr.name() == name)
            || fetch.untried.iter().any(|other| other.addr.name() == name)
            || fetch.awaited.values().any(|(other, _)| other.addr.name() == name);
        if let Some(known) = fetch.known.get_mut(&name) {
            // A friend's word says only who; a supernode's says how as well.
            if known.via.is_none() && candidate.via.is_some() {
                known.via.clone_from(&candidate.via);
                if !under_way {
                    fetch.untried.push_back(candidate);
                }
            }
        } else if fetch.known.len() < CANDIDATES_MAX {
            fetch.known.insert(name, candidate.clone());
            fetch.untried.push_back(candidate);
        }
    }

    /// Asks the network who has it.
    fn look_for_sources(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        if fetch.looking > 0 {
            return;
        }
        let digests: Vec<Digest> = match &fetch.proven {
            Some((digest, _)) => vec![*digest],
            None => fetch.digests.iter().filter(|digest| proves(digest)).copied().collect(),
        };
        fetch.looking = digests.len();
        fetch.looked = cx.now;
        for digest in digests {
            self.ask_network(For::Fetch(op), Looked::Digest(digest), 1, Vec::new(), cx, out);
        }
    }

    /// The network knows somebody who has it.
    pub(super) fn on_sources(&mut self, op: OpId, sources: Vec<Sourced<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        for source in sources {
            // A source that is its own supernode is reached as one.
            let via = (source.via.name() != source.addr.name()).then_some(source.via);
            self.add_candidate(op, source.addr, via, source.reachable);
        }
        self.dial_more(op, cx, out);
    }

    /// A question for sources is over.
    pub(super) fn on_sources_end(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        fetch.looking = fetch.looking.saturating_sub(1);
        self.dial_more(op, cx, out);
        let Some(fetch) = self.fetches.get(&op) else { return };
        if fetch.looking == 0 && fetch.known.is_empty() {
            let what = fetch.name.clone().unwrap_or_else(|| format!("{:?}", fetch.digests.iter().next()));
            self.end_fetch(op, out);
            failed(op, Failure::NotFound(what), out);
        }
    }

    /// Nobody has answered the question for sources.
    pub(super) fn sources_are_late(&mut self, op: OpId) {
        if let Some(fetch) = self.fetches.get_mut(&op) {
            fetch.looking = fetch.looking.saturating_sub(1);
        }
    }

    fn dial_more(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let max = self.config.0.sources_max;
        loop {
            let Some(fetch) = self.fetches.get_mut(&op) else { return };
            if fetch.suppliers.len() + fetch.awaited.len() >= max {
                return;
            }
            let Some(candidate) = fetch.untried.pop_front() else { return };
            let purpose = match (candidate.way, &candidate.via) {
                (Way::Push, Some(via)) => {
                    let token = cx.dice.bits();
                    let (addr, via) = (candidate.addr.clone(), via.clone());
                    fetch.awaited.insert(token, (candidate, cx.now));
                    self.ask_for_push(addr, via, token, out);
                    continue;
                }
                (Way::Relay, Some(_)) => Purpose::Relay(candidate.addr.clone()),
                _ => Purpose::Fetch,
            };
            let to = match (candidate.way, &candidate.via) {
                (Way::Relay, Some(via)) => via.clone(),
                _ => candidate.addr.clone(),
            };
            let conn = self.dial(&to, purpose, cx, out);
            if let Some(fetch) = self.fetches.get_mut(&op) {
                fetch.suppliers.insert(conn, Supplier::new(candidate, cx.now));
            }
        }
    }

    fn fetch_of(&mut self, conn: ConnId) -> Option<(OpId, &mut Fetch<A>)> {
        self.fetches.iter_mut().find(|(_, fetch)| fetch.suppliers.contains_key(&conn)).map(|(op, fetch)| (*op, fetch))
    }

    /// Whom we had told to by its supernode has opened a connection.
    pub(super) fn on_given(&mut self, conn: ConnId, peer: &A, token: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let mine = |fetch: &Fetch<A>| fetch.awaited.get(&token).is_some_and(|(candidate, _)| candidate.addr.name() == peer.name());
        let Some(fetch) = self.fetches.values_mut().find(|fetch| mine(fetch)) else {
            out.note(Level::Drop, "push_unasked", Some(peer.clone()), "");
            return self.drop_line(conn, "not asked to come", cx, out);
        };
        let Some((candidate, _)) = fetch.awaited.remove(&token) else { return };
        fetch.suppliers.insert(conn, Supplier::new(candidate, cx.now));
        self.lines.turn(conn, Kind::Source);
        self.on_source_opened(conn, cx, out);
    }

    pub(super) fn on_source_opened(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some((_, fetch)) = self.fetch_of(conn) else {
            self.lines.remove(conn);
            return close(conn, "no longer wanted", out);
        };
        let proving = fetch.proven.as_ref().map(|(digest, _)| *digest);
        let Some(digest) = proving.or_else(|| fetch.digests.iter().find(|digest| proves(digest)).copied()) else { return };
        if let Some(supplier) = fetch.suppliers.get_mut(&conn) {
            supplier.active = cx.now;
        }
        out.send_to(conn, Message::Describe(digest));
    }

    /// A source is no more, or could not be reached that way.
    pub(super) fn on_source_closed(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let we_are = self.reachable != Some(false);
        let Some((op, fetch)) = self.fetch_of(conn) else { return };
        if let Some(mut supplier) = fetch.suppliers.remove(&conn) {
            supplier.give_back(&mut fetch.wanted);
            let name = supplier.candidate.addr.name();
            if !supplier.described && !fetch.banned.contains(&name) {
                let mut candidate = supplier.candidate;
                if candidate.via.is_none() {
                    candidate.via = fetch.known.get(&name).and_then(|known| known.via.clone());
                }
                fetch.untried.extend(candidate.otherwise(we_are));
            }
        }
        self.dial_more(op, cx, out);
        self.ask_more(op, cx, out);
    }

    /// What comes from a source.
    pub(super) fn on_source(&mut self, conn: ConnId, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match message {
            Message::Description(_) | Message::Tree(_) => self.on_description(conn, &message, cx, out),
            Message::Block(block) => self.on_block(conn, block.offset, block.body.0, cx, out),
            Message::Gone(offset, bytes) => self.on_source_gone(conn, offset, bytes, cx, out),
            Message::Refused(reason, _) => self.on_source_refuses(conn, reason, cx, out),
            other => {
                let Some(peer) = self.lines.get(conn).map(|line| line.peer.clone()) else { return };
                self.unexpected(&peer, &other, out);
            }
        }
    }

    fn on_source_refuses(&mut self, conn: ConnId, reason: Reason, cx: &mut Context<'_>, out: &mut Out<A>) {
        out.note(Level::Debug, "source_refuses", None, reason.words());
        if reason == Reason::Unknown
            && let Some((_, fetch)) = self.fetch_of(conn)
            && let Some(supplier) = fetch.suppliers.get_mut(&conn)
            && supplier.candidate.way != Way::Relay
        {
            // It was reached, and does not have it: there is no other way to it.
            supplier.candidate.way = Way::Relay;
        }
        self.drop_line(conn, "refuses", cx, out);
    }

    /// A source has described the share.
    fn on_description(&mut self, conn: ConnId, description: &Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some((op, fetch)) = self.fetch_of(conn) else { return };
        let Some(supplier) = fetch.suppliers.get_mut(&conn) else { return };
        supplier.described = true;
        supplier.active = cx.now;
        supplier.since = cx.now;
        let peer = supplier.candidate.addr.clone();
        if !self.on_described(op, description, out) {
            out.note(Level::Ban, "forged_description", Some(peer.clone()), "");
            if let Some((_, fetch)) = self.fetch_of(conn) {
                fetch.banned.insert(peer.name());
            }
            return self.drop_line(conn, "describes something else", cx, out);
        }
        self.ask_more(op, cx, out);
    }

    /// Checks a description against what the fetch was started with; true when it is what is wanted.
    fn on_described(&mut self, op: OpId, description: &Message<A>, out: &mut Out<A>) -> bool {
        let Some(fetch) = self.fetches.get_mut(&op) else { return false };
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
        let Some((&op, fetch)) = self.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        if ranges.is_empty() {
            self.end_fetch(op, out);
            return out.report(op, Progress::Done);
        }
        fetch.leased = true;
        fetch.active = cx.now;
        fetch.missing = ranges.clone();
        fetch.wanted = ranges;
        for supplier in fetch.suppliers.values_mut() {
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
        let Some((&op, fetch)) = self.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        if fetch.others.bring(ranges) {
            let mut under_way: Ranges = fetch.givers.iter().map(|(&offset, &(bytes, _))| offset..offset + bytes).collect();
            fetch.suppliers.values().for_each(|supplier| under_way.insert_all(&supplier.owed()));
            fetch.others.claim(lease, under_way, out);
        }
        self.ask_more(op, cx, out);
    }

    /// Asks all sources for as much as they may be asked for.
    fn ask_more(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let (each, block) = (self.config.0.requests_each, u64::from(self.config.0.block_bytes));
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let Some((_, proof)) = fetch.proven.clone().filter(|_| fetch.leased) else { return };
        let conns: Vec<ConnId> = fetch.suppliers.keys().copied().collect();
        for conn in conns {
            while let Some(supplier) = fetch.suppliers.get_mut(&conn) {
                if !supplier.described || supplier.rests_until > cx.now || supplier.asked.len() >= each {
                    break;
                }
                if supplier.assigned.is_empty()
                    && let Some(range) = fetch.others.take_part(&mut fetch.wanted, &proof)
                {
                    supplier.assigned.insert(range.clone());
                    fetch.others.claim(fetch.lease, Ranges::of(range), out);
                } else if supplier.assigned.is_empty() {
                    fetch.others.starve(fetch.lease, out);
                    let idle = supplier.asked.is_empty();
                    if idle && split(&mut fetch.suppliers, conn, block, cx.now) {
                        continue;
                    }
                    if idle
                        && let Some((offset, bytes)) = late(&fetch.suppliers, conn, LATE, cx.now)
                        && let Some(supplier) = fetch.suppliers.get_mut(&conn)
                    {
                        supplier.active = cx.now;
                        supplier.asked.push_back((offset, bytes));
                        out.send_to(conn, Message::Request(offset, bytes));
                    }
                    break;
                }
                let Some(range) = supplier.assigned.iter().next() else { break };
                let end = range.end.min(range.start - range.start % block + block);
                let bytes = u32::try_from(end - range.start).unwrap_or(u32::MAX);
                if supplier.asked.is_empty() {
                    supplier.active = cx.now;
                }
                supplier.assigned.remove(range.start..end);
                supplier.asked.push_back((range.start, bytes));
                out.send_to(conn, Message::Request(range.start, bytes));
            }
        }
    }

    /// Bytes have come.
    fn on_block(&mut self, conn: ConnId, offset: u64, payload: Payload, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some((op, fetch)) = self.fetch_of(conn) else { return };
        let lease = fetch.lease;
        let Some(supplier) = fetch.suppliers.get_mut(&conn) else { return };
        let bytes = payload.len();
        let Some(at) = supplier.asked.iter().position(|&(asked, length)| asked == offset && u64::from(length) == bytes) else {
            return out.note(Level::Drop, "block_unasked", Some(supplier.candidate.addr.clone()), "");
        };
        supplier.asked.remove(at);
        supplier.active = cx.now;
        supplier.given_bytes += bytes;
        // Of two who were asked for the same the first one counts.
        let again = fetch.givers.contains_key(&offset) || fetch.missing.within(offset..offset + bytes).is_empty();
        if !again {
            fetch.givers.insert(offset, (bytes, supplier.candidate.addr.name()));
            fetch.active = cx.now;
            out.push(Output::Deliver(lease, offset, payload));
        }
        self.ask_more(op, cx, out);
    }

    /// A source lacks what it was asked for.
    fn on_source_gone(&mut self, conn: ConnId, offset: u64, bytes: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some((op, fetch)) = self.fetch_of(conn) else { return };
        let Some(supplier) = fetch.suppliers.get_mut(&conn) else { return };
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
        let Some((&op, fetch)) = self.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        let inside: Vec<u64> = fetch.givers.range(range.clone()).map(|(&offset, _)| offset).collect();
        let givers: Set<A::Name> = inside.iter().filter_map(|offset| fetch.givers.remove(offset)).map(|(_, giver)| giver).collect();
        if !matches!(verdict, Verdict::Bad | Verdict::Mixed | Verdict::Lie) {
            fetch.missing.remove(range.clone());
            // It has come, from whomever.
            fetch.wanted.remove(range.clone());
            fetch.suppliers.values_mut().for_each(|supplier| supplier.assigned.remove(range.clone()));
        }
        let over = fetch.missing.is_empty();
        match verdict {
            Verdict::Good => self.ours.proven(fetch.share, &range),
            Verdict::Duplicate | Verdict::Lie => {}
            Verdict::Mixed => {
                fetch.wanted.insert(range);
                self.ask_more(op, cx, out);
            }
            Verdict::Bad => {
                fetch.wanted.insert(range);
                let alone = givers.len() == 1;
                let mut bad = Vec::new();
                for giver in givers {
                    let strikes = fetch.strikes.entry(giver).or_insert(0);
                    *strikes += 1;
                    // What it sent before the first verdict may be judged long after.
                    if (alone || *strikes >= STRIKES) && fetch.banned.insert(giver) {
                        bad.push(giver);
                    }
                }
                for giver in bad {
                    self.ban(op, &giver, cx, out);
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

    /// Takes nothing more from one who has sent wrong bytes.
    fn ban(&mut self, op: OpId, giver: &A::Name, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(fetch) = self.fetches.get(&op) else { return };
        let addr = fetch.known.get(giver).map(|candidate| candidate.addr.clone());
        out.note(Level::Ban, "bad_bytes", addr, "");
        let conns: Vec<ConnId> =
            fetch.suppliers.iter().filter(|(_, supplier)| supplier.candidate.addr.name() == *giver).map(|(conn, _)| *conn).collect();
        for conn in conns {
            self.drop_line(conn, "sends wrong bytes", cx, out);
        }
    }

    /// Looks how a fetch gets on.
    pub(super) fn on_fetch_timer(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let now = cx.now;
        fetch.others.look_again();
        if now.since(fetch.active) >= PATIENCE {
            self.end_fetch(op, out);
            return failed(op, Failure::TimedOut(PATIENCE.as_secs()), out);
        }
        let silent = |supplier: &Supplier<A>| (!supplier.asked.is_empty() || !supplier.described) && now.since(supplier.active) >= SILENCE;
        let silent: Vec<ConnId> = fetch.suppliers.iter().filter(|(_, supplier)| silent(supplier)).map(|(conn, _)| *conn).collect();
        let tokens: Vec<u64> =
            fetch.awaited.iter().filter(|(_, (_, at))| now.since(*at) >= PUSH_PATIENCE).map(|(token, _)| *token).collect();
        for token in tokens {
            if let Some((candidate, _)) = fetch.awaited.remove(&token) {
                fetch.untried.extend(candidate.otherwise(false));
            }
        }
        let alone = fetch.suppliers.is_empty() && fetch.awaited.is_empty() && fetch.untried.is_empty();
        if alone && now.since(fetch.looked) >= LOOK_FOR_MORE / 3 {
            // Those that were given up may be back.
            fetch.untried =
                fetch.known.iter().filter(|(name, _)| !fetch.banned.contains(name)).map(|(_, candidate)| candidate.clone()).collect();
        }
        let few = fetch.suppliers.len() < 2;
        let due = now.since(fetch.looked) >= if alone { LOOK_FOR_MORE / 3 } else { LOOK_FOR_MORE };
        for conn in silent {
            self.drop_line(conn, "silent", cx, out);
        }
        if few && due {
            self.look_for_sources(op, cx, out);
        }
        self.dial_more(op, cx, out);
        self.ask_more(op, cx, out);
        if self.fetches.contains_key(&op) {
            out.wake(cx.now + LOOK, Timer::Fetch(op));
        }
    }

    pub(super) fn cancel_fetch(&mut self, op: OpId, out: &mut Out<A>) {
        if self.end_fetch(op, out) {
            out.report(op, Progress::Ended);
        }
    }

    /// Closes all that a fetch has opened.
    fn end_fetch(&mut self, op: OpId, out: &mut Out<A>) -> bool {
        let Some(fetch) = self.fetches.remove(&op) else { return false };
        for conn in fetch.suppliers.into_keys() {
            if self.lines.remove(conn).is_some() {
                close(conn, "the fetch is over", out);
            }
        }
        while self.forget_search(For::Fetch(op), out) {}
        true
    }

    /// We are no longer in the network.
    pub(super) fn end_fetches(&mut self, out: &mut Out<A>) {
        let all: Vec<OpId> = self.fetches.keys().copied().collect();
        for op in all {
            self.end_fetch(op, out);
            failed(op, Failure::NotReady("left the network".into()), out);
        }
    }

    /// Has a leaf of that supernode told to open a connection to us.
    fn ask_for_push(&mut self, target: A, via: A, token: u64, out: &mut Out<A>) {
        let Some(own) = self.addr.clone() else { return };
        if via.name() == own.name() && self.role == Role::Supernode {
            return self.order_push(&target, own, token, out);
        }
        out.send(hexad_core::Link::Datagram(super::doors::KAZAA, via.clone()), Message::Push(target, via, own, token));
    }
}

/// By which digest a description proves what it describes; `None` where it does not hold together.
fn prove<A: Place>(description: &Message<A>, name: Option<&str>) -> Option<Described> {
    match description {
        Message::Description(bytes) => Described::by_info(bytes),
        Message::Tree(tree) => {
            let name = name.filter(|_| tree.name.is_empty()).unwrap_or(&tree.name);
            Described::by_tree(tree.content, tree.part_bytes, tree.hashes.clone(), name)
        }
        _ => None,
    }
}
