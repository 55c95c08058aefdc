//! Getting: who has it, what it is, and which ranges come from whom.
//!
//! A program like ours describes the share with what proves it; every part is then asked of one source only, so that a part that turns out wrong has
//! one who is guilty. From others a file comes as a whole from an offset on, and nothing proves it: it is delivered only when somebody lends us the
//! ranges all the same.

use std::ops::Range;

use hexad_content::{Digest, Digests, Layout, Proof, Ranges};
use hexad_core::{
    ConnId, Context, Description, Endpoint, Failure, LeaseId, Level as NoteLevel, Map, OpId, Others, Output, Payload, Progress, Set,
    ShareId, Source, Span, Time, Verdict, What,
};

use super::locator::{Locator, digests_of, is_ours};
use super::offers::base_name;
use super::peers::Role;
use super::searches::endpoint_of;
use super::servers::{Question, ServerId};
use super::{Client, ClientTimer, Out};
use crate::node::Timer;
use crate::wire::peer::BLOCK_BYTES_MAX;
use crate::wire::{Ip, Peer, Quoted, Shape, Text, ToServer, Word};

/// Blocks that one source is asked for at a time.
const PIPELINE: usize = 16;
/// How far apart two tries are.
const RETRY: Span = Span::from_secs(5);
/// Parts where nothing is proven.
const UNPROVEN_PART_BYTES: u64 = 256 << 10;

/// How we get to the owner by way of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broker {
    /// Nothing is awaited.
    Idle,
    /// 203 or 500 was sent; the answer, or the owner's connection, has to come by then.
    Asked(Time),
    /// Another try then.
    Pause(Time),
}

/// How far a source is.
#[derive(Debug)]
enum Stage {
    /// Dialled; its greeting is awaited.
    Greeting,
    /// It describes the share.
    Describing(Vec<u8>),
    /// Ranges can be asked for.
    Ready,
    /// It sends a file from there on.
    Streaming(u64),
}

/// One source of a fetch.
#[derive(Debug)]
struct Giver {
    endpoint: Endpoint,
    /// A program like ours.
    ours: bool,
    stage: Stage,
    /// The part that it was given, and what of it is still to be asked for.
    part: Option<u64>,
    blocks: Vec<(u64, u32)>,
    asked: Set<(u64, u32)>,
    /// Parts that it does not have.
    lacks: Set<u64>,
    heard: Time,
}

/// A fetch.
#[derive(Debug)]
pub(super) struct Fetch {
    lease: LeaseId,
    share: ShareId,
    locator: Locator,
    /// Where to dial, without any server.
    direct: Vec<Endpoint>,
    broker: Broker,
    shape: Option<Shape>,
    described: bool,
    leased: bool,
    missing: Ranges,
    /// What of it other networks bring.
    others: Others,
    givers: Map<ConnId, Giver>,
    /// Who has given a whole part that is not yet judged.
    given: Map<u64, Endpoint>,
    bad: Set<Endpoint>,
    tries: u32,
    next_try: Time,
    /// When something came last.
    progress: Time,
}

impl Fetch {
    fn part_bytes(&self) -> u64 {
        match self.shape.as_ref().and_then(|shape| shape.proof.as_ref()) {
            Some(proof) => proof.part_bytes(),
            None => UNPROVEN_PART_BYTES,
        }
    }

    fn part_range(&self, part: u64) -> Range<u64> {
        let start = part.saturating_mul(self.part_bytes());
        start..start.saturating_add(self.part_bytes())
    }

    /// The first part that is missing, that nobody works on, and that no other network brings.
    fn free_part(&self, lacks: &Set<u64>) -> Option<u64> {
        let taken: Set<u64> = self.givers.values().filter_map(|giver| giver.part).collect();
        let size = self.part_bytes();
        for range in self.missing.iter() {
            let parts = range.start / size..range.end.div_ceil(size);
            let free = |part: &u64| {
                let ours = !self.others.touch(self.part_range(*part));
                ours && !taken.contains(part) && !self.given.contains_key(part) && !lacks.contains(part)
            };
            if let Some(part) = parts.into_iter().find(free) {
                return Some(part);
            }
        }
        None
    }
}

/// The whole of a foreign program's file.
fn plain_shape(locator: &Locator, size_bytes: u64) -> Option<Shape> {
    let name = hexad_catalogue::text_of(base_name(locator.path.bytes())).into_owned();
    let layout = Layout::single(name, size_bytes).ok()?;
    Some(Shape { layout: layout.into(), proof: None, digests: digests_of(locator.hash.bytes(), Some(size_bytes)) })
}

/// Whether a description can be of what a token stands for.
fn agrees(shape: &Shape, locator: &Locator) -> bool {
    digests_of(locator.hash.bytes(), locator.size_bytes).iter().all(|wanted| match (wanted, &shape.proof) {
        // The root of a tree is computed from what came, so this one cannot be a lie.
        (Digest::Content(id), Some(Proof::Tree(tree))) => tree.content() == *id,
        _ => wanted.strength() == hexad_content::Strength::Hint || shape.digests.contains(wanted),
    })
}

/// The names that a description may claim: what its own proof says otherwise is left out.
fn believed(shape: &Shape) -> Digests {
    let mut digests: Digests = shape
        .digests
        .iter()
        .filter(|digest| match (digest, &shape.proof) {
            (Digest::Content(id), Some(Proof::Tree(tree))) => tree.content() == *id,
            _ => true,
        })
        .copied()
        .collect();
    if let Some(Proof::Tree(tree)) = &shape.proof {
        digests.insert(Digest::Content(tree.content()));
    }
    digests
}

impl Client {
    pub(super) fn fetch(&mut self, op: OpId, source: Source, lease: LeaseId, share: ShareId, cx: &mut Context<'_>, out: &mut Out) {
        let What::Locator(text) = &source.what else {
            return out.report(op, Progress::Failed(Failure::Unusable("expected a locator of this network".into())));
        };
        let Some(locator) = Locator::read(text) else {
            return out.report(op, Progress::Failed(Failure::Unusable(format!("expected a locator of this network, came {text:?}"))));
        };
        if self.fetches.len() >= self.config.fetches_max {
            return out.report(op, Progress::Failed(Failure::Full("fetches")));
        }
        let direct: Vec<Endpoint> = source.peers.into_iter().take(self.config.sources_max).collect();
        if direct.is_empty() && (locator.nick.is_empty() || locator.path.is_empty()) {
            return out.report(op, Progress::Failed(Failure::Unusable("expected peers, or a server and a name there".into())));
        }
        let fetch = Fetch {
            lease,
            share,
            locator,
            direct,
            broker: Broker::Idle,
            shape: None,
            described: false,
            leased: false,
            missing: Ranges::new(),
            others: Others::default(),
            givers: Map::new(),
            given: Map::new(),
            bad: Set::new(),
            tries: 0,
            next_try: cx.now,
            progress: cx.now,
        };
        self.fetches.insert(op, fetch);
        self.look_for_sources(op, cx, out);
        self.on_fetch_timer(op, cx, out);
    }

    /// Dials whom we know, and asks the server for the owner.
    fn look_for_sources(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        fetch.tries += 1;
        fetch.next_try = cx.now + RETRY;
        let known: Set<&Endpoint> = fetch.givers.values().map(|giver| &giver.endpoint).collect();
        let room = self.config.sources_max.saturating_sub(known.len());
        let dial: Vec<Endpoint> =
            fetch.direct.iter().filter(|endpoint| !known.contains(endpoint) && !fetch.bad.contains(endpoint)).take(room).cloned().collect();
        for endpoint in dial {
            self.dial_source(op, endpoint, true, cx, out);
        }
        let Some(fetch) = self.fetches.get(&op) else { return };
        let (locator, idle) = (fetch.locator.clone(), matches!(fetch.broker, Broker::Idle) && fetch.givers.is_empty());
        if !idle || locator.nick.is_empty() || locator.path.is_empty() {
            return;
        }
        let server = match &locator.server {
            Some(endpoint) => self.server_at(endpoint),
            None => self.servers_in().first().copied(),
        };
        let Some((id, conn)) = server.and_then(|id| Some((id, self.server_conn(id)?))) else { return };
        self.set_broker(op, Broker::Asked(cx.now + self.config.request_deadline));
        out.send_to(conn, ToServer::Download { nick: locator.nick.into(), path: locator.path.into() }.into());
        if is_ours(locator.hash.bytes()) && self.fetches.get(&op).is_some_and(|fetch| fetch.tries == 1) {
            // Others who have the same are asked for it too.
            self.ask_server(id, op, Question::Resume(locator.hash, 0), out);
        }
    }

    fn set_broker(&mut self, op: OpId, broker: Broker) {
        if let Some(fetch) = self.fetches.get_mut(&op) {
            fetch.broker = broker;
        }
    }

    fn dial_source(&mut self, op: OpId, endpoint: Endpoint, ours: bool, cx: &mut Context<'_>, out: &mut Out) {
        let expected = self.fetches.get(&op).and_then(|fetch| fetch.locator.size_bytes);
        if let Some(conn) = self.dial_peer(endpoint.clone(), Role::Taking(op), expected, cx, out) {
            self.add_giver(op, conn, endpoint, ours, Stage::Greeting, cx);
        }
    }

    fn add_giver(&mut self, op: OpId, conn: ConnId, endpoint: Endpoint, ours: bool, stage: Stage, cx: &Context<'_>) {
        let giver = Giver { endpoint, ours, stage, part: None, blocks: Vec::new(), asked: Set::new(), lacks: Set::new(), heard: cx.now };
        if let Some(fetch) = self.fetches.get_mut(&op) {
            fetch.givers.insert(conn, giver);
        }
    }

    /// A server has named somebody else who has it.
    pub(super) fn on_source(&mut self, op: OpId, place: Option<Endpoint>, cx: &mut Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let Some(endpoint) = place.filter(|endpoint| !fetch.direct.contains(endpoint) && fetch.direct.len() < self.config.sources_max)
        else {
            return;
        };
        fetch.direct.push(endpoint.clone());
        let free = fetch.givers.len() < self.config.sources_max && fetch.givers.values().all(|giver| giver.endpoint != endpoint);
        if free {
            self.dial_source(op, endpoint, true, cx, out);
        }
    }

    /// The fetch that waits for that file of that user.
    fn fetch_of(&self, id: ServerId, nick: &[u8], path: &[u8]) -> Option<OpId> {
        let server = self.servers.get(&id).map(|server| &server.endpoint);
        let fits = |fetch: &Fetch| {
            let locator = &fetch.locator;
            matches!(fetch.broker, Broker::Asked(_))
                && (locator.server.is_none() || locator.server.as_ref() == server)
                && locator.nick.bytes().eq_ignore_ascii_case(nick)
                && locator.path.bytes() == path
        };
        self.fetches.iter().find(|(_, fetch)| fits(fetch)).map(|(&op, _)| op)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of 204, and the two that every step has")]
    pub(super) fn on_download_ack(
        &mut self,
        id: ServerId,
        nick: &Word,
        ip: Ip,
        port: u32,
        path: &Quoted,
        hash: &Word,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) {
        let Some(op) = self.fetch_of(id, nick.bytes(), path.bytes()) else { return };
        let ours = self.fetches.get(&op).is_some_and(|fetch| is_ours(fetch.locator.hash.bytes())) || is_ours(hash.bytes());
        if let Some(endpoint) = endpoint_of(ip, port) {
            self.set_broker(op, Broker::Idle);
            if self.fetches.get(&op).is_some_and(|fetch| fetch.bad.contains(&endpoint)) {
                return self.fail_fetch(op, Failure::NotFound("only somebody who has sent wrong bytes has it".into()), cx, out);
            }
            if self.fetches.get(&op).is_some_and(|fetch| fetch.givers.values().all(|giver| giver.endpoint != endpoint)) {
                self.dial_source(op, endpoint, ours, cx, out);
            }
            return;
        }
        if hash.bytes() == b"firewallerror" || self.port() == 0 {
            return self.fail_fetch(op, Failure::Refused("both ends are firewalled".into()), cx, out);
        }
        let Some(conn) = self.server_conn(id) else { return };
        self.set_broker(op, Broker::Asked(cx.now + self.config.request_deadline));
        out.send_to(conn, ToServer::Push { nick: nick.clone(), path: path.clone() }.into());
    }

    pub(super) fn on_get_error(&mut self, id: ServerId, nick: &Word, path: &Quoted, cx: &mut Context<'_>, out: &mut Out) {
        let Some(op) = self.fetch_of(id, nick.bytes(), path.bytes()) else { return };
        self.set_broker(op, Broker::Pause(cx.now + RETRY));
        if self.fetches.get(&op).is_some_and(|fetch| fetch.givers.is_empty() && fetch.direct.is_empty()) {
            self.fail_fetch(op, Failure::NotFound(format!("{} does not have it any longer", nick.0)), cx, out);
        }
    }

    pub(super) fn on_queue_limit(&mut self, id: ServerId, nick: &Word, path: &Quoted, limit: u32, cx: &mut Context<'_>, out: &mut Out) {
        let Some(op) = self.fetch_of(id, nick.bytes(), path.bytes()) else { return };
        out.note(NoteLevel::Info, "queued", None, format!("{} gives to {limit} others already", nick.0));
        if let Some(fetch) = self.fetches.get_mut(&op) {
            fetch.broker = Broker::Pause(cx.now + RETRY * 4);
            fetch.next_try = cx.now + RETRY * 4;
        }
    }

    /// `SEND`: somebody who cannot be reached brings what we have asked for.
    pub(super) fn on_send(&mut self, conn: ConnId, nick: &Word, path: &Quoted, size: u64, cx: &mut Context<'_>, out: &mut Out) {
        // Some send the last part of the path only.
        let fits = |fetch: &Fetch| {
            let locator = &fetch.locator;
            locator.nick.bytes().eq_ignore_ascii_case(nick.bytes())
                && (locator.path.bytes() == path.bytes() || base_name(locator.path.bytes()) == base_name(path.bytes()))
                && (matches!(fetch.broker, Broker::Asked(_)) || fetch.shape.is_some())
                && fetch.givers.len() < self.config.sources_max
        };
        let Some(op) = self.fetches.iter().find(|(_, fetch)| fits(fetch)).map(|(&op, _)| op) else {
            out.note(NoteLevel::Drop, "send_nobody_asked", None, "");
            return self.refuse(conn, "INVALID REQUEST", out);
        };
        let Some(endpoint) = self.peers.get(&conn).map(|peer| peer.endpoint.clone()) else { return };
        let Some(ours) = self.fetches.get(&op).map(|fetch| is_ours(fetch.locator.hash.bytes())) else { return };
        self.set_broker(op, Broker::Idle);
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.role = Role::Taking(op);
            peer.until = cx.now + self.config.idle_deadline;
        }
        if ours {
            out.send_to(conn, Peer::Hexad.into());
            self.add_giver(op, conn, endpoint, true, Stage::Describing(Vec::new()), cx);
            return self.ask_shape(op, conn, out);
        }
        self.add_giver(op, conn, endpoint, false, Stage::Greeting, cx);
        self.describe_plain(op, size, cx, out);
        // Where to begin is said when somebody has lent us what to get.
        self.stream(op, cx, out);
    }

    fn ask_shape(&mut self, op: OpId, conn: ConnId, out: &mut Out) {
        let Some(fetch) = self.fetches.get(&op) else { return };
        let locator = &fetch.locator;
        let path: Text = if locator.path.is_empty() { [b"#", locator.hash.bytes()].concat().into() } else { locator.path.clone() };
        out.send_to(conn, Peer::Describe { path }.into());
    }

    pub(super) fn on_source_message(&mut self, op: OpId, conn: ConnId, message: Peer, cx: &mut Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let Some(giver) = fetch.givers.get_mut(&conn) else { return };
        giver.heard = cx.now;
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.until = cx.now + self.config.idle_deadline;
        }
        match message {
            Peer::Greeting if giver.ours => {
                giver.stage = Stage::Describing(Vec::new());
                out.send_to(conn, Peer::Hexad.into());
                self.ask_shape(op, conn, out);
            }
            Peer::Greeting => {
                if let Some(size) = fetch.locator.size_bytes {
                    self.describe_plain(op, size, cx, out);
                }
                self.stream(op, cx, out);
            }
            Peer::Described { total, offset, part } => self.on_described(op, conn, total, offset, &part, cx, out),
            Peer::Refused { start, text } => self.on_range_refused(op, conn, start, &text, cx, out),
            Peer::Block { start, body } => self.on_block(op, conn, start, body, cx, out),
            Peer::Size(size) if fetch.locator.size_bytes.is_some_and(|expected| expected != size) => {
                out.note(NoteLevel::Drop, "another_size", Some(giver.endpoint.clone()), "");
                self.lose_source(op, conn, "the file has another size", cx, out);
            }
            Peer::Data(body) => self.on_data(op, conn, body, cx, out),
            Peer::Refusal(text) => {
                out.note(NoteLevel::Info, "refused", Some(giver.endpoint.clone()), text.shown().into_owned());
                self.lose_source(op, conn, "refused", cx, out);
            }
            _ => {}
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the frame, and the two that every step has")]
    fn on_described(&mut self, op: OpId, conn: ConnId, total: u32, offset: u32, part: &Text, cx: &mut Context<'_>, out: &mut Out) {
        let max = self.config.description_bytes_max;
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let Some(giver) = fetch.givers.get_mut(&conn) else { return };
        let Stage::Describing(so_far) = &mut giver.stage else { return };
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let fits = total <= max && usize::try_from(offset) == Ok(so_far.len()) && so_far.len() + part.bytes().len() <= total;
        if !fits || part.is_empty() {
            out.note(NoteLevel::Drop, "description_unusable", Some(giver.endpoint.clone()), "");
            return self.lose_source(op, conn, "a description that does not fit", cx, out);
        }
        so_far.extend_from_slice(part.bytes());
        if so_far.len() < total {
            return;
        }
        let shape = match Shape::read(so_far) {
            Ok(shape) if agrees(&shape, &fetch.locator) => shape,
            Ok(_) => {
                out.note(NoteLevel::Drop, "description_of_something_else", Some(giver.endpoint.clone()), "");
                return self.lose_source(op, conn, "it describes something else", cx, out);
            }
            Err(why) => {
                out.note(NoteLevel::Drop, "description_unusable", Some(giver.endpoint.clone()), why.to_string());
                return self.lose_source(op, conn, "a description that cannot be read", cx, out);
            }
        };
        if fetch.shape.as_ref().is_some_and(|known| known.layout != shape.layout || known.proof != shape.proof) {
            out.note(NoteLevel::Drop, "description_of_something_else", Some(giver.endpoint.clone()), "");
            return self.lose_source(op, conn, "it describes something else than others", cx, out);
        }
        giver.stage = Stage::Ready;
        fetch.shape.get_or_insert(shape);
        self.describe(op, cx, out);
        self.feed(op, out);
    }

    fn describe_plain(&mut self, op: OpId, size: u64, cx: &Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        if fetch.shape.is_none() {
            fetch.shape = plain_shape(&fetch.locator, size);
        }
        self.describe(op, cx, out);
    }

    fn describe(&mut self, op: OpId, cx: &Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let Some(shape) = fetch.shape.as_ref().filter(|_| !std::mem::replace(&mut fetch.described, true)) else { return };
        fetch.progress = cx.now;
        let description = Description {
            layout: shape.layout.clone(),
            proof: shape.proof.clone(),
            digests: believed(shape),
            torrent: bytes::Bytes::new(),
            private: false,
        };
        out.report(op, Progress::Described(Box::new(description)));
    }

    pub(crate) fn on_leased(&mut self, lease: LeaseId, ranges: Ranges, cx: &mut Context<'_>, out: &mut Out) {
        let Some((&op, fetch)) = self.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        fetch.leased = true;
        fetch.missing = ranges;
        fetch.progress = cx.now;
        if fetch.missing.is_empty() {
            return self.finish_fetch(op, cx, out);
        }
        self.feed(op, out);
        self.stream(op, cx, out);
    }

    /// Other networks bring some of it.
    pub(crate) fn on_elsewhere(&mut self, lease: LeaseId, ranges: Ranges, out: &mut Out) {
        let Some((&op, fetch)) = self.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        if fetch.others.bring(ranges) {
            let parts = fetch.givers.values().filter_map(|giver| giver.part).chain(fetch.given.keys().copied());
            let mut under_way: Ranges = parts.map(|part| fetch.part_range(part)).collect();
            // Who gives a file from an offset on gives all of it.
            let streaming = fetch.givers.values().filter_map(|giver| if let Stage::Streaming(at) = giver.stage { Some(at) } else { None });
            streaming.for_each(|at| under_way.insert(at..u64::MAX));
            fetch.others.claim(lease, under_way, out);
        }
        self.feed(op, out);
    }

    /// Gives every source that is ready something to do.
    fn feed(&mut self, op: OpId, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op).filter(|fetch| fetch.leased) else { return };
        let conns: Vec<ConnId> =
            fetch.givers.iter().filter(|(_, giver)| matches!(giver.stage, Stage::Ready)).map(|(&conn, _)| conn).collect();
        for conn in conns {
            while let Some(giver) = fetch.givers.get(&conn).filter(|giver| giver.asked.len() < PIPELINE) {
                if giver.blocks.is_empty() && giver.part.is_none() {
                    let Some(part) = fetch.free_part(&giver.lacks) else {
                        fetch.others.starve(fetch.lease, out);
                        break;
                    };
                    fetch.others.claim(fetch.lease, Ranges::of(fetch.part_range(part)), out);
                    let missing = fetch.missing.within(fetch.part_range(part));
                    let mut blocks = Vec::new();
                    for range in missing.iter() {
                        let mut at = range.start;
                        while at < range.end {
                            let length = (range.end - at).min(BLOCK_BYTES_MAX.into());
                            blocks.push((at, u32::try_from(length).unwrap_or(BLOCK_BYTES_MAX)));
                            at += length;
                        }
                    }
                    blocks.reverse();
                    if let Some(giver) = fetch.givers.get_mut(&conn) {
                        giver.part = Some(part);
                        giver.blocks = blocks;
                    }
                }
                let Some(giver) = fetch.givers.get_mut(&conn) else { break };
                let Some((start, length)) = giver.blocks.pop() else { break };
                giver.asked.insert((start, length));
                out.send_to(conn, Peer::Request { start, length }.into());
            }
        }
    }

    fn on_block(&mut self, op: OpId, conn: ConnId, start: u64, body: Payload, cx: &mut Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let Some(giver) = fetch.givers.get_mut(&conn) else { return };
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        if !giver.asked.remove(&(start, length)) {
            out.note(NoteLevel::Drop, "block_nobody_asked", Some(giver.endpoint.clone()), "");
            return;
        }
        fetch.progress = cx.now;
        out.push(Output::Deliver(fetch.lease, start, body));
        if giver.asked.is_empty()
            && giver.blocks.is_empty()
            && let Some(part) = giver.part.take()
        {
            fetch.given.insert(part, giver.endpoint.clone());
        }
        self.feed(op, out);
    }

    fn on_range_refused(&mut self, op: OpId, conn: ConnId, start: u64, text: &Text, cx: &mut Context<'_>, out: &mut Out) {
        let Some(giver) = self.fetches.get_mut(&op).and_then(|fetch| fetch.givers.get_mut(&conn)) else { return };
        out.note(NoteLevel::Debug, "range_refused", Some(giver.endpoint.clone()), format!("{start}: {}", text.shown()));
        if matches!(giver.stage, Stage::Describing(_)) {
            return self.lose_source(op, conn, "it has no such share", cx, out);
        }
        // It gives what it has, and others are asked for the rest.
        if let Some(part) = giver.part.take() {
            giver.lacks.insert(part);
            giver.blocks.clear();
            giver.asked.clear();
        }
        self.feed(op, out);
    }

    pub(crate) fn on_judged(&mut self, lease: LeaseId, range: Range<u64>, verdict: Verdict, cx: &mut Context<'_>, out: &mut Out) {
        let Some((&op, fetch)) = self.fetches.iter_mut().find(|(_, fetch)| fetch.lease == lease) else { return };
        let size = fetch.part_bytes();
        let parts = range.start / size..range.end.div_ceil(size);
        match verdict {
            Verdict::Good | Verdict::Duplicate => {
                fetch.missing.remove(range.clone());
                if verdict == Verdict::Good {
                    self.gained.entry(fetch.share).or_default().insert(range);
                }
                for part in parts {
                    if fetch.missing.within(fetch.part_range(part)).is_empty() {
                        fetch.given.remove(&part);
                    }
                }
                fetch.progress = cx.now;
                if fetch.missing.is_empty() && fetch.leased {
                    return self.finish_fetch(op, cx, out);
                }
            }
            Verdict::Lie => {}
            Verdict::Mixed => parts.for_each(|part| drop(fetch.given.remove(&part))),
            Verdict::Bad => {
                let guilty: Set<Endpoint> = parts.filter_map(|part| fetch.given.remove(&part)).collect();
                let streaming =
                    fetch.givers.values().filter(|giver| matches!(giver.stage, Stage::Streaming(_))).map(|giver| giver.endpoint.clone());
                let guilty: Set<Endpoint> = guilty.into_iter().chain(streaming).collect();
                for endpoint in guilty {
                    let Some(fetch) = self.fetches.get_mut(&op) else { return };
                    if fetch.bad.insert(endpoint.clone()) {
                        out.note(NoteLevel::Ban, "wrong_bytes", Some(endpoint.clone()), "");
                    }
                    let conns: Vec<ConnId> =
                        fetch.givers.iter().filter(|(_, giver)| giver.endpoint == endpoint).map(|(&conn, _)| conn).collect();
                    for conn in conns {
                        self.lose_source(op, conn, "it has sent wrong bytes", cx, out);
                    }
                }
            }
        }
        self.feed(op, out);
    }

    /// Asks a foreign source for the file from the first missing byte on, when there is something to ask for.
    fn stream(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        let nick = self.nick.clone();
        let Some(fetch) = self.fetches.get_mut(&op).filter(|fetch| fetch.leased) else { return };
        let left = fetch.others.leave_of(&fetch.missing).next();
        let Some(first) = left.or_else(|| fetch.missing.iter().next()).map(|range| range.start) else { return };
        let path = fetch.locator.path.clone();
        let waits = |giver: &Giver| !giver.ours && matches!(giver.stage, Stage::Greeting);
        let Some((&conn, giver)) = fetch.givers.iter_mut().find(|(_, giver)| waits(giver)) else { return };
        giver.stage = Stage::Streaming(first);
        giver.heard = cx.now;
        // It gives everything from there on.
        fetch.others.claim(fetch.lease, Ranges::of(first..u64::MAX), out);
        let accepted = self.peers.get(&conn).is_some_and(|peer| matches!(peer.role, Role::Taking(_))) && self.accepted.contains(&conn);
        if accepted {
            out.send_to(conn, Peer::Offset(first).into());
        } else {
            out.send_to(conn, Peer::Get { nick: nick.into(), path: path.into(), offset: first }.into());
        }
        for id in self.servers_in() {
            self.count_transfer(id, ToServer::DownloadStart {}, out);
        }
    }

    fn on_data(&mut self, op: OpId, conn: ConnId, body: Payload, cx: &mut Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let Some(giver) = fetch.givers.get_mut(&conn) else { return };
        let Stage::Streaming(at) = &mut giver.stage else { return };
        let start = *at;
        *at += body.len();
        let end = *at;
        fetch.progress = cx.now;
        out.push(Output::Deliver(fetch.lease, start, body));
        if fetch.missing.iter().next_back().is_none_or(|last| end >= last.end) {
            for id in self.servers_in() {
                self.count_transfer(id, ToServer::DownloadEnd {}, out);
            }
            self.lose_source(op, conn, "all that is wanted has come", cx, out);
        }
    }

    /// Closes the connection to a source.
    fn lose_source(&mut self, op: OpId, conn: ConnId, why: &'static str, cx: &mut Context<'_>, out: &mut Out) {
        self.drop_peer(conn, why, cx, out);
        self.on_source_gone(op, conn, cx, out);
    }

    /// A source is gone; what it was to bring is asked of others.
    pub(super) fn on_source_gone(&mut self, op: OpId, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        self.accepted.remove(&conn);
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        if fetch.givers.remove(&conn).is_some() {
            if fetch.givers.is_empty() {
                fetch.next_try = cx.now + RETRY;
            }
            self.feed(op, out);
        }
    }

    /// Looks after a fetch every now and then.
    pub(super) fn on_fetch_timer(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        let (stall, patience) = (self.config.stall_deadline, self.config.fetch_patience);
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        fetch.others.look_again();
        let working = |giver: &Giver| !giver.asked.is_empty() || !matches!(giver.stage, Stage::Ready);
        let waits_for_lease = |fetch: &Fetch, giver: &Giver| !fetch.leased && !giver.ours;
        let stalled: Vec<ConnId> = fetch
            .givers
            .iter()
            .filter(|(_, giver)| working(giver) && !waits_for_lease(fetch, giver) && cx.now.since(giver.heard) >= stall)
            .map(|(&conn, _)| conn)
            .collect();
        for conn in stalled {
            self.lose_source(op, conn, "nothing came for too long", cx, out);
        }
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        if let Broker::Asked(until) | Broker::Pause(until) = fetch.broker
            && until <= cx.now
        {
            fetch.broker = Broker::Idle;
        }
        if cx.now.since(fetch.progress) >= patience {
            let unproven = fetch.described && !fetch.leased && fetch.shape.as_ref().is_some_and(|shape| shape.proof.is_none());
            let failure = if unproven {
                Failure::Unusable("nothing proves the bytes of this file: its owner's program only tells a hash of its beginning".into())
            } else {
                Failure::TimedOut(patience.as_secs())
            };
            return self.fail_fetch(op, failure, cx, out);
        }
        if fetch.next_try <= cx.now && (fetch.givers.is_empty() || fetch.givers.len() < fetch.direct.len()) {
            self.look_for_sources(op, cx, out);
        }
        self.feed(op, out);
        if self.fetches.contains_key(&op) {
            out.wake(cx.now + Span::from_secs(2), Timer::Client(ClientTimer::Fetch(op)));
        }
    }

    fn finish_fetch(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        let Some(share) = self.end_fetch(op, cx, out) else { return };
        out.report(op, Progress::Done);
        self.on_complete(share, cx, out);
    }

    fn fail_fetch(&mut self, op: OpId, failure: Failure, cx: &mut Context<'_>, out: &mut Out) {
        if self.end_fetch(op, cx, out).is_some() {
            out.report(op, Progress::Failed(failure));
        }
    }

    /// Ends a fetch with its connections.
    pub(super) fn end_fetch(&mut self, op: OpId, cx: &Context<'_>, out: &mut Out) -> Option<ShareId> {
        let fetch = self.fetches.remove(&op)?;
        for &conn in fetch.givers.keys() {
            self.accepted.remove(&conn);
            self.drop_peer(conn, "the fetch is over", cx, out);
        }
        self.forget_questions(op);
        Some(fetch.share)
    }
}
