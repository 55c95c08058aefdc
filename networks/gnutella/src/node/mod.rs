//! The state machine. This file only passes inputs on; what is remembered lives in the files beside it.

mod answering;
mod browsing;
mod describing;
mod dynamic;
mod fetching;
mod flood;
mod greeting;
mod hits;
mod hosts;
mod joining;
mod known;
mod links;
mod offers;
mod out_of_band;
mod peers;
mod pings;
mod proxying;
mod pushing;
mod receiving;
mod roles;
mod routes;
mod searching;
mod settings;
mod settling;
mod suppliers;
mod tables;
mod uploads;
mod vendor;
mod web_cache;

pub use known::Audio;
pub use offers::token_of;
pub use settings::{Config, Kind, Mode, Settings, Strategy};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use bytes::Bytes;
use hexad_content::TigerProof;
use hexad_core::{
    ConnId, Context, Dial, Dice, Endpoint, Failure, Hit, Inbound, Input, Level, Link, Map, OpId, Operation, Outbox, Output, Progress,
    Query, ShareId, Span, Ticket, Time, Transport, Via, Why,
};

use crate::doors;
use crate::wire::ggep::Block;
use crate::wire::{Body, Fields, Guid, Message, Packet};

use answering::Pending;
use dynamic::Dynamic;
use fetching::Fetch;
use hosts::Hosts;
use joining::Member;
use known::Known;
use links::Links;
use offers::Offers;
use peers::Peering;
use pings::Pongs;
use proxying::Proxied;
use routes::Routes;
use searching::{Asked, Search};
use settling::Settling;
use web_cache::WebCache;

/// Where a node puts what it wants.
pub(crate) type Out = Outbox<Node>;

/// What a node wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Looking after neighbours, and whatever else comes round.
    Tick,
    /// Ultrapeers are told what has changed in our table, or are waited for no longer.
    Tell,
    /// A search goes on or ends: its number.
    Search(u32),
    /// A dynamic query takes its next step: its number.
    Dynamic(u32),
    /// A fetch looks how it gets on.
    Fetch(OpId),
}

/// What only Gnutella can do.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Have this one as a neighbour, beyond what is looked for.
    Connect(Endpoint),
    /// Everything that a host offers → hits.
    Browse(Endpoint),
    /// A search with a strategy and hops of its own → hits.
    Search {
        /// For what.
        query: Query,
        /// How it spreads; among ultrapeers only [`Strategy::Flood`] has a meaning.
        strategy: Strategy,
        /// Hops of a flood.
        ttl: u8,
    },
    /// The Tiger tree of a share of ours, told before it is published, or after.
    Tree {
        /// Whose.
        share: ShareId,
        /// A layer of it.
        tree: TigerProof,
    },
    /// How files of a share sound, by their index; told before it is published, or after.
    Audio {
        /// Whose.
        share: ShareId,
        /// Which.
        files: Vec<(usize, Audio)>,
    },
    /// A search by fields of a schema, and words → hits.
    SearchFields {
        /// These occur in names or in what is said of files.
        words: Vec<String>,
        /// What files are to be like.
        fields: Fields,
        /// How many hits are enough.
        wanted: usize,
    },
    /// How we stand → [`Reply::Status`].
    Status,
}

/// The answers to that.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// How we stand.
    Status(Status),
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub kind: Kind,
    /// Links to ultrapeers.
    pub ultrapeers: usize,
    /// Links to leaves.
    pub leaves: usize,
    /// Links to equals.
    pub flats: usize,
    /// Other hosts that are known.
    pub hosts: usize,
    /// Ways back that are remembered.
    pub routes: usize,
    /// Where others reach us, as far as we know.
    pub own: Option<SocketAddrV4>,
    /// Whose links are up, and what they are.
    pub neighbours: Vec<(Endpoint, Kind)>,
}

/// What a node has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Queries of others that were heard for the first time.
    pub queries: u64,
    /// Queries that came once more.
    pub duplicates: u64,
    /// Queries sent on for others, each copy counted.
    pub forwarded: u64,
    /// Hits that we gave, messages.
    pub answered: u64,
    /// Answers whose way back was not known.
    pub lost: u64,
}

/// One machine of this network.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Config,
    guid: Guid,
    kind: Kind,
    member: Option<Member>,
    started: Time,
    /// When the role was taken.
    switched: Time,
    bound: Option<SocketAddr>,
    /// How others see us.
    seen_ip: Option<Ipv4Addr>,
    seen_ip6: Option<Ipv6Addr>,
    /// Somebody has connected to us.
    reached: bool,
    links: Links,
    /// Accepted, and not known yet what it is: until when.
    fresh: Map<ConnId, (Endpoint, Time)>,
    hosts: Hosts,
    pongs: Option<Box<Pongs>>,
    queries: Routes,
    servents: Routes,
    offers: Option<Box<Offers>>,
    known: Known,
    searches: Map<u32, Search>,
    asked: Map<Guid, Asked>,
    dynamics: Map<u32, Dynamic>,
    proxied: Map<Guid, Proxied>,
    pending: Map<Guid, Pending>,
    settling: Settling,
    /// Ultrapeers that tell us whom to connect to.
    proxies: Map<ConnId, SocketAddrV4>,
    peers: Map<ConnId, Peering>,
    fetches: Map<OpId, Fetch>,
    /// Whoever asked by datagram lately.
    datagrams: Map<IpAddr, (Time, u8)>,
    web_cache: Option<Box<WebCache>>,
    counts: Counts,
    asks: Map<Ticket, joining::Asking>,
    numbers: u32,
    /// What we offer, or our leaves do, has changed since tables were sent.
    tables_stale: bool,
    /// When [`Timer::Tick`] is to come; a later one that was asked for before finds nothing to do.
    ticks_at: Option<Time>,
}

/// Whoever connects has so long to say what it is for.
const FRESH_FOR: Span = Span::from_secs(20);

pub(crate) fn dial(deadline: Span) -> Dial {
    Dial { transport: Transport::Tcp, deadline, manner: 0, secret: bytes::Bytes::new() }
}

pub(crate) fn failed(op: OpId, failure: Failure, out: &mut Out) {
    out.report(op, Progress::Failed(failure));
}

impl Node {
    /// A node that has joined nothing.
    #[must_use]
    pub fn new(config: Config, dice: &mut Dice) -> Self {
        let (routes_max, life) = (config.routes_max, config.routes_life);
        Self {
            guid: Guid::fresh(dice),
            kind: match config.mode {
                Mode::Flat => Kind::Flat,
                Mode::Ultrapeer => Kind::Ultrapeer,
                Mode::Leaf | Mode::Auto => Kind::Leaf,
            },
            member: None,
            started: Time::ZERO,
            switched: Time::ZERO,
            bound: None,
            seen_ip: None,
            seen_ip6: None,
            reached: false,
            links: Links::default(),
            fresh: Map::new(),
            hosts: Hosts::new(config.hosts_max),
            pongs: None,
            queries: Routes::new(routes_max, life, dice.bits()),
            servents: Routes::new(routes_max / 4, life, dice.bits()),
            offers: None,
            known: Known::default(),
            searches: Map::new(),
            asked: Map::new(),
            dynamics: Map::new(),
            proxied: Map::new(),
            pending: Map::new(),
            settling: Settling::default(),
            proxies: Map::new(),
            peers: Map::new(),
            fetches: Map::new(),
            datagrams: Map::new(),
            web_cache: None,
            counts: Counts::default(),
            asks: Map::new(),
            numbers: 0,
            tables_stale: false,
            ticks_at: None,
            config,
        }
    }

    /// How we stand.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            kind: self.kind,
            ultrapeers: self.links.count(Kind::Ultrapeer),
            leaves: self.links.count(Kind::Leaf),
            flats: self.links.count(Kind::Flat),
            hosts: self.hosts.len(),
            routes: self.queries.len() + self.servents.len(),
            own: self.own(),
            neighbours: self.links.up().map(|(_, neighbour)| (neighbour.peer.clone(), neighbour.kind)).collect(),
        }
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Our servent id.
    #[must_use]
    pub fn guid(&self) -> Guid {
        self.guid
    }

    /// The neighbours over whose links messages flow.
    pub fn neighbours(&self) -> impl Iterator<Item = &Endpoint> {
        self.links.up().map(|(_, neighbour)| &neighbour.peer)
    }

    /// Where others reach us, as far as we know.
    pub(crate) fn own(&self) -> Option<SocketAddrV4> {
        let bound = self.bound?;
        let ip = match bound.ip() {
            IpAddr::V4(ip) if !ip.is_unspecified() => ip,
            _ => self.seen_ip?,
        };
        Some(SocketAddrV4::new(ip, bound.port()))
    }

    /// The same by IPv6.
    pub(crate) fn own6(&self) -> Option<SocketAddrV6> {
        let SocketAddr::V6(bound) = self.bound? else { return None };
        let ip = if bound.ip().is_unspecified() { self.seen_ip6? } else { *bound.ip() };
        ip.to_ipv4_mapped().is_none().then(|| SocketAddrV6::new(ip, bound.port(), 0, 0))
    }

    /// What stands for our address in messages: where it is IPv6 only, no address, and the right port. Spec §2.
    pub(crate) fn own_or_none(&self) -> SocketAddrV4 {
        let none = || SocketAddrV4::new([127, 0, 0, 0].into(), self.own6().map_or(0, |own| own.port()));
        self.own().unwrap_or_else(none)
    }

    /// The GGEP `6` that goes with it.
    pub(crate) fn with_six(&self, block: Block) -> Block {
        match self.own6() {
            Some(own) => block.with("6", Bytes::copy_from_slice(&own.ip().octets())),
            None => block,
        }
    }

    /// Whether we accept no connections, as far as we know.
    pub(crate) fn is_firewalled(&self) -> bool {
        self.bound.is_none() || self.own().is_none() && self.own6().is_none()
    }

    pub(crate) fn number(&mut self) -> u32 {
        self.numbers = self.numbers.wrapping_add(1);
        self.numbers
    }

    /// Sends a message to a neighbour, or lets it wait.
    pub(crate) fn say(&mut self, conn: ConnId, packet: Packet, cx: &Context<'_>, out: &mut Out) {
        let bytes_max = self.config.backlog_bytes_max;
        if let Some(neighbour) = self.links.get_mut(conn) {
            neighbour.say(conn, packet, bytes_max, cx, out);
        }
    }

    fn on_room(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        if let Some(neighbour) = self.links.get_mut(conn) {
            let mut room = cx.room(conn);
            while let Some(backlog) = &mut neighbour.backlog {
                let Some(packet) = backlog.pop().filter(|_| room > 0) else {
                    if backlog.is_empty() {
                        neighbour.backlog = None;
                    }
                    break;
                };
                room = room.saturating_sub(packet.wire_bytes() as u64);
                out.send_to(conn, Message::Packet(packet));
            }
            return;
        }
        self.go_on_giving(conn, 0, cx, out);
    }

    fn start(&mut self, op: OpId, operation: Operation<Request>, cx: &mut Context<'_>, out: &mut Out) {
        match operation {
            Operation::Join { bootstrap } => self.start_join(op, bootstrap, cx, out),
            Operation::Publish { share } => self.start_publish(op, share, cx, out),
            Operation::Search { query } => {
                let (strategy, ttl) = (self.config.strategy, if self.kind == Kind::Flat { self.config.flat_ttl } else { self.config.ttl });
                self.start_search(op, query, None, strategy, ttl, cx, out);
            }
            Operation::Fetch { source, lease, share } => self.start_fetch(op, source, lease, share, cx, out),
            Operation::Own(Request::Search { query, strategy, ttl }) => self.start_search(op, query, None, strategy, ttl, cx, out),
            Operation::Own(Request::Browse(at)) => self.start_browse(op, at, cx, out),
            Operation::Own(Request::Connect(at)) => {
                if self.member.is_none() {
                    return failed(op, Failure::NotReady("not in the network".into()), out);
                }
                self.dial_link(at, cx, out);
                out.report(op, Progress::Done);
            }
            Operation::Own(Request::Tree { share, tree }) => self.on_tree_told(op, share, tree, out),
            Operation::Own(Request::Audio { share, files }) => self.on_audio_told(op, share, files, out),
            Operation::Own(Request::SearchFields { words, fields, wanted }) => {
                self.start_search_by_fields(op, words, fields, wanted, cx, out)
            }
            Operation::Own(Request::Status) => {
                out.report(op, Progress::Own(Reply::Status(self.status())));
                out.report(op, Progress::Done);
            }
        }
    }

    fn on_cancel(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        if self.member.as_ref().is_some_and(|member| member.op == op) {
            return self.leave(cx, out);
        }
        self.cancel_publish(op, cx, out);
        self.cancel_search(op, out);
        self.cancel_fetch(op, out);
        self.cancel_browse(op, out);
    }

    fn on_accepted(&mut self, conn: ConnId, peer: Endpoint, cx: &mut Context<'_>, out: &mut Out) {
        if self.fresh.len() >= self.config.strangers_max {
            out.note(Level::Drop, "too_many_strangers", Some(peer), "");
            return out.push(Output::Close(conn, "too many who have not said what they want".into()));
        }
        self.reached = true;
        self.fresh.insert(conn, (peer, cx.now + FRESH_FOR));
        self.tick_by(cx.now + FRESH_FOR, out);
    }

    fn on_opened(&mut self, conn: ConnId, peer: Endpoint, via: Via, cx: &mut Context<'_>, out: &mut Out) {
        match via {
            Via::Accepted(_) => self.on_accepted(conn, peer, cx, out),
            Via::Dialled if self.links.get(conn).is_some() => self.on_link_opened(conn, cx, out),
            Via::Dialled => self.on_peer_opened(conn, cx, out),
        }
    }

    fn on_closed(&mut self, conn: ConnId, why: &Why, cx: &mut Context<'_>, out: &mut Out) {
        if let Some((peer, _)) = self.fresh.remove(&conn) {
            if matches!(why, Why::Malformed(_)) {
                out.note(Level::Drop, "stranger_talks_nonsense", Some(peer), "");
            }
            return;
        }
        if self.links.get(conn).is_some() {
            return self.on_link_closed(conn, why, cx, out);
        }
        self.on_peer_closed(conn, why, cx, out);
    }

    fn on_message(&mut self, conn: ConnId, message: Message, cx: &mut Context<'_>, out: &mut Out) {
        match message {
            Message::Packet(packet) => self.on_packet(conn, packet, cx, out),
            Message::Nonsense(_) => self.on_weird(conn, "payload_unreadable", cx, out),
            Message::Connect(connect) => self.on_connect(conn, &connect, cx, out),
            Message::Answer(answer) => self.on_answer(conn, &answer, cx, out),
            Message::Giv(giv) => self.on_giv(conn, &giv, cx, out),
            Message::Request(request) => self.on_request(conn, *request, cx, out),
            Message::Response(response) => self.on_response(conn, &response, cx, out),
            Message::Data(body) => self.on_data(conn, body, cx, out),
        }
    }

    /// One binary message from a neighbour.
    fn on_packet(&mut self, conn: ConnId, mut packet: Packet, cx: &mut Context<'_>, out: &mut Out) {
        let Some(neighbour) = self.links.get_mut(conn).filter(|neighbour| neighbour.is_up()) else { return };
        // Whoever says anything lives.
        (neighbour.heard, neighbour.unanswered) = (cx.now, 0);
        let from_leaf = neighbour.kind == Kind::Leaf;
        if packet.ttl == 0 && !matches!(packet.body, Body::Hit(_) | Body::Pong(_)) || packet.hops == u8::MAX {
            return self.on_weird(conn, "hops_used_up", cx, out);
        }
        if from_leaf && packet.hops > 0 {
            return self.send_away(conn, 414, "Leaf node relayed a message", cx, out);
        }
        let once_only = matches!(packet.body, Body::Qrp(_) | Body::Vendor(_) | Body::Bye(_));
        if once_only && (packet.hops > 0 || packet.ttl > 1 && !matches!(packet.body, Body::Vendor(_))) {
            return self.on_weird(conn, "meant_for_one_hop", cx, out);
        }
        if u16::from(packet.ttl) + u16::from(packet.hops) > u16::from(self.config.ttl_max) {
            match packet.body {
                // An answer has its way anyhow.
                Body::Hit(_) | Body::Push(_) | Body::Pong(_) => packet.ttl = self.config.ttl_max.saturating_sub(packet.hops).max(1),
                _ => return self.on_weird(conn, "too_many_hops", cx, out),
            }
        }
        match packet.body {
            Body::Ping(ref ext) => self.on_ping(conn, &packet, ext, cx, out),
            Body::Pong(ref pong) => {
                self.on_settled(&packet.muid, cx, out);
                self.on_pong(conn, packet.hops, pong, cx, out);
            }
            Body::Bye(ref bye) => {
                let text = String::from_utf8_lossy(&bye.text).trim_end_matches('\0').to_owned();
                let peer = self.links.get(conn).map(|neighbour| neighbour.peer.clone());
                out.note(Level::Debug, "bye", peer, format!("{} {text}", bye.code));
                out.push(Output::Close(conn, "the neighbour said goodbye".into()));
                self.forget_link(conn, cx, out);
            }
            Body::Qrp(ref qrp) => self.on_qrp(conn, qrp, cx, out),
            Body::Vendor(ref vendor) => self.on_vendor(conn, packet.muid, vendor, cx, out),
            Body::Push(_) => self.on_push(Some(conn), packet, cx, out),
            Body::Query(_) => self.on_query(conn, packet, cx, out),
            Body::Hit(_) => self.on_hit(Some(conn), packet, cx, out),
            Body::Unknown(function, _) => {
                let code = if function == 0xcd { "horizon_message" } else { "unknown_function" };
                out.note(Level::Drop, code, None, "");
            }
        }
    }

    fn on_datagram(&mut self, from: Endpoint, message: Message, cx: &mut Context<'_>, out: &mut Out) {
        let Message::Packet(packet) = message else { return };
        match packet.body {
            Body::Ping(ref ext) => self.on_ping_datagram(&from, packet.muid, ext, cx, out),
            Body::Pong(ref pong) => self.learn_pong(pong, from.ip(), cx),
            Body::Vendor(ref vendor) => self.on_vendor_datagram(&from, packet.muid, vendor, cx, out),
            Body::Push(_) => self.on_push(None, packet, cx, out),
            Body::Hit(_) => self.on_hit(None, packet, cx, out),
            _ => out.note(Level::Drop, "datagram_of_no_use", Some(from), ""),
        }
    }

    /// Somebody did what no honest program does: once is an accident, several times is the end of the link.
    pub(crate) fn on_weird(&mut self, conn: ConnId, code: &'static str, cx: &mut Context<'_>, out: &mut Out) {
        const WEIRD_MAX: u8 = 5;
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        out.note(Level::Drop, code, Some(neighbour.peer.clone()), "");
        neighbour.weird = neighbour.weird.saturating_add(1);
        if neighbour.weird >= WEIRD_MAX {
            self.send_away(conn, 402, "Too many improper messages", cx, out);
        }
    }

    /// A hit for a user.
    pub(crate) fn report_hit(op: OpId, hit: Hit, out: &mut Out) {
        out.report(op, Progress::Hit(Box::new(hit)));
    }
}

impl hexad_core::Node for Node {
    type Addr = Endpoint;
    type Message = Message;
    type Timer = Timer;
    type Request = Request;
    type Reply = Reply;

    fn handle(&mut self, input: Inbound<Self>, cx: &mut Context<'_>, out: &mut Outbox<Self>) {
        match input {
            Input::Received(Link::Conn(conn), message) => self.on_message(conn, message, cx, out),
            Input::Received(Link::Datagram(doors::DATAGRAM, from), message) => self.on_datagram(from, message, cx, out),
            Input::Received(..) => {}
            Input::Start(op, operation) => self.start(op, operation, cx, out),
            Input::Cancel(op) => self.on_cancel(op, cx, out),
            Input::Bound(door, bound) => self.on_bound(door, bound, cx, out),
            Input::Opened { conn, peer, via } => self.on_opened(conn, peer, via, cx, out),
            Input::Closed(conn, why) => self.on_closed(conn, &why, cx, out),
            Input::Elapsed(Timer::Tick) => self.on_tick(cx, out),
            Input::Elapsed(Timer::Tell) => self.on_tell(cx, out),
            Input::Elapsed(Timer::Search(number)) => self.on_search_timer(number, cx, out),
            Input::Elapsed(Timer::Dynamic(number)) => self.on_dynamic_timer(number, cx, out),
            Input::Elapsed(Timer::Fetch(op)) => self.on_fetch_timer(op, cx, out),
            Input::Sent(conn, bytes) => self.go_on_giving(conn, bytes, cx, out),
            Input::Room(conn) => self.on_room(conn, cx, out),
            Input::Leased(lease, ranges) => self.on_leased(lease, ranges, cx, out),
            Input::Elsewhere(lease, ranges) => self.on_elsewhere(lease, ranges, cx, out),
            Input::Judged(lease, range, verdict) => self.on_judged(lease, range, verdict, cx, out),
            Input::Answered(ticket, answer) => self.on_answered(ticket, answer, cx, out),
        }
    }

    fn warm(&self, depth: u8) -> usize {
        match depth {
            0 => self.links.len() ^ self.queries.len() ^ usize::from(self.ticks_at.is_some()),
            1 => self
                .links
                .up()
                .map(|(_, neighbour)| neighbour.queries as usize ^ usize::from(neighbour.unanswered))
                .fold(0, usize::wrapping_add),
            _ => 0,
        }
    }
}
