//! A host without sockets: remembers what the node has open, asked, started and said, and panics when a promise is broken.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use hexad_bittorrent::doors;
use hexad_bittorrent::node::{Config, Encryption, Node, Picking, Reply, Request, Timer, TrackerConfig};
use hexad_bittorrent::wire::metainfo::{Metainfo, MetainfoBuilder};
use hexad_bittorrent::wire::{self, BlockRef, Message};
use hexad_content::{Layout, Ranges, Sha1Digest};
use hexad_core::{
    Ask, Bind, ConnId, Context, Dice, Door, Endpoint, Inbound, Input, LeaseId, Link, Map, Message as _, Node as _, OpId, Operation, Outbox,
    Output, Progress, Rooms, Set, Share, ShareId, Shares, Span, Ticket, Time,
};

use crate::peer_wire::said_again;

/// Bytes of the files that are shared; not a whole number of pieces, nor the pieces one of blocks.
pub const TOTAL_BYTES: u64 = 100_000;
/// Bytes of a piece.
pub const PIECE_BYTES: u64 = 40_000;
/// A share that we have whole from the beginning.
pub const WHOLE: ShareId = ShareId(1);
const OUTPUTS_MAX: usize = 3_000;
const TIMERS_MAX: usize = 3_000;

/// The byte at that offset of every shared file.
pub fn byte_at(offset: u64) -> u8 {
    u8::try_from((7 * offset + offset / 256) % 256).unwrap_or(0)
}

/// Two torrents, the second private.
pub fn torrents() -> &'static [Metainfo; 2] {
    static TORRENTS: OnceLock<[Metainfo; 2]> = OnceLock::new();
    TORRENTS.get_or_init(|| {
        ["a", "b"].map(|name| {
            let layout = Arc::new(Layout::single(name.to_owned(), TOTAL_BYTES).expect("a small file"));
            // The node never looks at hashes of pieces: the engine does, and here nobody.
            let builder = MetainfoBuilder::new(layout, PIECE_BYTES, vec![Sha1Digest([7; 20]); 3]);
            let tiers = vec![
                vec!["udp://10.0.0.1:6969/announce".into(), "http://10.0.0.2/announce".into()],
                vec!["http://t.example/announce".into()],
            ];
            MetainfoBuilder { private: name == "b", tiers, web_seeds: vec!["http://10.0.0.3/f".into()], ..builder }
                .build()
                .expect("a good torrent")
        })
    })
}

/// What became of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Going,
    InEffect,
    Over,
}

struct Op {
    standing: Standing,
    /// Ends with `Done`; others go on until they are cancelled.
    ends_done: bool,
}

/// An open connection.
#[derive(Default)]
pub struct Conn {
    /// Blocks and metadata that the node has asked for here.
    pub blocks: Vec<BlockRef>,
    /// Blocks of metadata that the node has asked for here.
    pub metadata: Vec<u32>,
    /// Bytes of shares on the way.
    pub sending: u64,
}

struct Room(u64);

impl Rooms for Room {
    fn room(&self, _: ConnId) -> u64 {
        self.0
    }
}

/// What is said can be read by the other end.
fn said_again_as_it_is(mut message: Message) {
    if let Message::Pex(pex) = &mut message {
        // IPv4 stands first on the wire.
        pex.added.sort_by_key(|peer| peer.address.is_ipv6());
        pex.dropped.sort_by_key(|peer| peer.is_ipv6());
    }
    if !matches!(message, Message::Handshake(_)) {
        said_again(&message);
    }
}

/// The host.
pub struct World {
    node: Node,
    config: Config,
    now: Time,
    dice: Dice,
    shares: Shares,
    next_conn: u64,
    next_op: u64,
    /// Room in every send queue.
    pub room: u64,
    timers: Map<(Time, u64), Timer>,
    timers_set: u64,
    /// Dials under way.
    pub dialling: Vec<ConnId>,
    /// Open connections.
    pub open: Map<ConnId, Conn>,
    /// What the node waits for an answer to.
    pub asks: Vec<(Ticket, Ask)>,
    doors: Map<Door, Bind>,
    bound: Set<Door>,
    ops: Map<OpId, Op>,
    /// Fetches: their leases and shares.
    pub leases: Map<LeaseId, ShareId>,
    fetches: Map<OpId, (LeaseId, ShareId)>,
    /// What has been delivered and not been judged.
    pub delivered: Vec<(LeaseId, std::ops::Range<u64>)>,
    /// Transactions of requests to UDP trackers.
    pub transactions: Vec<u32>,
    /// Questions to the DHT: whom, and under which transaction.
    pub lookups: Vec<(Endpoint, Bytes)>,
    told: Option<Reply>,
}

impl World {
    /// A host with a node of small bounds.
    pub fn new(kind: u8) -> Self {
        let config = Config {
            listen: (kind & 1 == 0).then(|| SocketAddr::from(([127, 0, 0, 1], if kind & 2 == 0 { 6881 } else { 0 }))),
            encryption: [Encryption::Preferred, Encryption::Off, Encryption::Required][usize::from(kind >> 2) % 3],
            picking: if kind & 32 == 0 { Picking::RarestFirst } else { Picking::Random },
            swarms_max: 3,
            connections_max: 8,
            half_open_max: 4,
            swarm_connections_max: 5,
            swarm_peers_max: 12,
            bans_max: 4,
            requests_max: 20,
            upload_slots: 2,
            tracker: (kind & 64 == 0).then(|| TrackerConfig {
                udp: Some(SocketAddr::from(([127, 0, 0, 1], 6969))),
                torrents_max: 4,
                torrent_peers_max: 6,
                interval: Span::from_secs(1800),
                peer_expiry: Span::from_secs(3600),
                requests_per_minute_max: 20,
            }),
            ..Config::default()
        };
        let mut dice = Dice::counter(u64::from(kind), 3);
        let node = Node::new(config.clone(), &mut dice);
        let mut world = Self {
            node,
            config,
            now: Time::ZERO,
            dice,
            shares: Shares::new(),
            next_conn: 0,
            next_op: 0,
            room: 1 << 20,
            timers: Map::new(),
            timers_set: 0,
            dialling: Vec::new(),
            open: Map::new(),
            asks: Vec::new(),
            doors: Map::new(),
            bound: Set::new(),
            ops: Map::new(),
            leases: Map::new(),
            fetches: Map::new(),
            delivered: Vec::new(),
            transactions: Vec::new(),
            lookups: Vec::new(),
            told: None,
        };
        world.put_share(WHOLE, Ranges::of(0..TOTAL_BYTES));
        world
    }

    fn put_share(&mut self, id: ShareId, held: Ranges) {
        let torrent = &torrents()[usize::from(id.0.is_multiple_of(2))];
        let share = Share {
            layout: torrent.info.layout.clone(),
            digests: torrent.digests(),
            proof: Some(torrent.proof()),
            held,
            torrent: torrent.encode().into(),
        };
        self.shares = self.shares.with(id, share);
    }

    /// An operation that nobody has used.
    pub fn fresh_op(&mut self) -> OpId {
        self.next_op += 1;
        OpId(self.next_op)
    }

    /// How many operations there have been.
    pub fn ops_made(&self) -> u64 {
        self.next_op
    }

    /// Hands one input in, and takes note of all that follows.
    pub fn hear(&mut self, input: Inbound<Node>) {
        match &input {
            Input::Start(op, operation) => {
                let ends_done = !matches!(operation, Operation::Join { .. } | Operation::Publish { .. });
                self.ops.insert(*op, Op { standing: Standing::Going, ends_done });
                if let Operation::Fetch { lease, share, .. } = operation {
                    self.leases.insert(*lease, *share);
                    self.fetches.insert(*op, (*lease, *share));
                }
            }
            Input::Closed(conn, _) => {
                self.open.remove(conn);
                self.dialling.retain(|dialled| dialled != conn);
            }
            _ => {}
        }
        let mut out = Outbox::new();
        let rooms = Room(self.room);
        let mut cx = Context {
            now: self.now,
            epoch_unix_s: 1_800_000_000,
            dice: &mut self.dice,
            shares: &self.shares,
            next_conn: &mut self.next_conn,
            rooms: &rooms,
        };
        self.node.handle(input, &mut cx, &mut out);
        assert!(out.len() <= OUTPUTS_MAX, "one input made {} outputs", out.len());
        let outputs: Vec<_> = out.drain().collect();
        for output in outputs {
            self.take(output);
        }
        // One more than there may be is known while the node decides who leaves.
        assert!(self.open.len() + self.dialling.len() <= self.config.connections_max, "more connections than there may be");
        assert!(self.dialling.len() <= self.config.half_open_max, "more dials than there may be");
        assert!(self.asks.len() <= 200 && self.timers.len() <= TIMERS_MAX, "{} asks, {} timers", self.asks.len(), self.timers.len());
    }

    fn take(&mut self, output: hexad_core::Outbound<Node>) {
        match output {
            Output::Listen(door, bind) => assert!(self.doors.insert(door, bind).is_none(), "{door:?} is open already"),
            Output::Unlisten(door) => {
                self.doors.remove(&door);
                self.bound.remove(&door);
            }
            Output::Open(conn, ..) => {
                assert!(!self.open.contains_key(&conn) && !self.dialling.contains(&conn) && conn.0 <= self.next_conn);
                self.dialling.push(conn);
            }
            Output::Close(conn, _) => {
                let known = self.open.remove(&conn).is_some() || self.dialling.contains(&conn);
                assert!(known, "closes {conn:?}, which is not open");
                self.dialling.retain(|dialled| *dialled != conn);
            }
            Output::Send(Link::Conn(conn), message) => {
                let open = self.open.get_mut(&conn).unwrap_or_else(|| panic!("says {message:?} on {conn:?}, which is not open"));
                match &message {
                    Message::Request(block) if open.blocks.len() < 100 => open.blocks.push(*block),
                    Message::Metadata(wire::MetadataMessage::Request { piece }) if open.metadata.len() < 100 => open.metadata.push(*piece),
                    _ => {}
                }
                said_again_as_it_is(message);
            }
            Output::Send(Link::Datagram(door, to), message) => {
                if let Message::Krpc(krpc) = &message
                    && let wire::KrpcBody::Query { .. } = krpc.body
                    && self.lookups.len() < 100
                {
                    self.lookups.push((to, krpc.transaction.clone()));
                }
                self.take_datagram(door, &message);
            }
            Output::Send(Link::Multicast(door), message) => self.take_datagram(door, &message),
            Output::SendShare(conn, message, share, range) => {
                let open = self.open.get_mut(&conn).expect("a share is sent where somebody listens");
                let share = self.shares.share(share).expect("a share that there is");
                assert!(share.held.covers(range.clone()), "sends what is not there: {range:?}");
                let Message::Piece { piece, begin, .. } = message else { panic!("{message:?} has no body") };
                assert_eq!(u64::from(piece) * PIECE_BYTES + u64::from(begin), range.start);
                assert!((1..=1 << 14).contains(&(range.end - range.start)), "{range:?}");
                open.sending += range.end - range.start;
                assert!(open.sending <= 64 << 20, "a peer decides how much is queued for it");
            }
            Output::Unsend(conn) => {
                if let Some(open) = self.open.get_mut(&conn) {
                    open.sending = 0;
                }
            }
            Output::Wake(at, timer) => {
                self.timers_set += 1;
                self.timers.insert((at.max(self.now), self.timers_set), timer);
            }
            Output::Claim(lease, ranges) => {
                assert!(self.leases.contains_key(&lease), "claims under {lease:?}, which there is not");
                assert!(ranges.iter().all(|range| range.end <= TOTAL_BYTES), "claims {ranges:?}");
            }
            Output::Deliver(lease, offset, payload) => {
                assert!(self.leases.contains_key(&lease), "delivers under {lease:?}, which there is not");
                let end = offset + payload.len();
                assert!(!payload.is_empty() && end <= TOTAL_BYTES && payload.len() <= 16 << 20, "delivers {offset}..{end}");
                if self.delivered.len() < 1000 {
                    self.delivered.push((lease, offset..end));
                }
            }
            Output::Report(op, progress) => self.take_report(op, progress),
            Output::Ask(ticket, ask) => {
                assert!(self.asks.iter().all(|(known, _)| *known != ticket), "{ticket:?} is asked twice");
                self.asks.push((ticket, ask));
            }
            Output::Note(note) => assert!(!note.code.is_empty() && !note.code.contains([' ', '-'])),
        }
    }

    fn take_datagram(&mut self, door: Door, message: &Message) {
        assert!(self.bound.contains(&door), "speaks at {door:?}, which is not open");
        let mut out = BytesMut::new();
        wire::encode_datagram(message, &mut out);
        assert!(!out.is_empty() && out.len() as u64 == message.wire_bytes());
        assert!(out.len() <= 2 << 10, "a datagram of {} bytes", out.len());
        if let (doors::DATAGRAMS, Message::Tracker(datagram)) = (door, message) {
            use wire::TrackerDatagram::{AnnounceRequest, ConnectRequest, ScrapeRequest};
            let (ConnectRequest { transaction } | AnnounceRequest { transaction, .. } | ScrapeRequest { transaction, .. }) = **datagram
            else {
                panic!("answers at the door where it asks: {datagram:?}")
            };
            if self.transactions.len() < 100 {
                self.transactions.push(transaction);
            }
        }
    }

    fn take_report(&mut self, op: OpId, progress: Progress<Reply>) {
        let known = self.ops.get_mut(&op).expect("reports on what was asked for");
        assert!(known.standing != Standing::Over, "{op:?} is over and reports {progress:?}");
        match progress {
            Progress::Done => {
                assert!(known.standing == Standing::Going, "{op:?} is done twice");
                known.standing = if known.ends_done { Standing::Over } else { Standing::InEffect };
            }
            Progress::Failed(_) | Progress::Ended => known.standing = Standing::Over,
            Progress::Described(description) => {
                let (_, share) = self.fetches[&op];
                assert_eq!(description.layout.total_bytes(), TOTAL_BYTES);
                self.put_share(share, Ranges::new());
            }
            Progress::Own(reply) => self.told = Some(reply),
            Progress::Hit(_) => {}
        }
        if self.ops[&op].standing == Standing::Over
            && let Some((lease, _)) = self.fetches.remove(&op)
        {
            self.leases.remove(&lease);
            self.delivered.retain(|(delivered, _)| *delivered != lease);
        }
    }

    /// Says of every door that was asked for whether it could be opened.
    pub fn open_doors(&mut self, possible: bool) {
        for _ in 0..20 {
            let Some((&door, bind)) = self.doors.iter().find(|(door, _)| !self.bound.contains(door)) else { return };
            let address = match bind {
                Bind::Stream(address) | Bind::Datagram(address) | Bind::Multicast(address) | Bind::Quic(address) => *address,
            };
            let address = if address.port() == 0 { SocketAddr::new(address.ip(), 40_000) } else { address };
            if possible {
                self.bound.insert(door);
                self.hear(Input::Bound(door, Ok(address)));
            } else {
                self.doors.remove(&door);
                self.hear(Input::Bound(door, Err("somebody else has it".into())));
            }
        }
    }

    /// Whether that door is open.
    pub fn is_bound(&self, door: Door) -> bool {
        self.bound.contains(&door)
    }

    /// A connection comes in.
    pub fn accept(&mut self, peer: SocketAddr) -> Option<ConnId> {
        // A host has a bound of its own.
        if self.open.len() + self.dialling.len() > self.config.connections_max {
            return None;
        }
        self.next_conn += 1;
        let conn = ConnId(self.next_conn);
        self.open.insert(conn, Conn::default());
        self.hear(Input::Opened { conn, peer: peer.into(), via: hexad_core::Via::Accepted(doors::PEERS) });
        self.open.contains_key(&conn).then_some(conn)
    }

    /// A dial has succeeded.
    pub fn opened(&mut self, conn: ConnId, peer: SocketAddr) {
        self.dialling.retain(|dialled| *dialled != conn);
        self.open.insert(conn, Conn::default());
        self.hear(Input::Opened { conn, peer: peer.into(), via: hexad_core::Via::Dialled });
    }

    /// Marks a range of a fetched share as held.
    pub fn hold(&mut self, lease: LeaseId, range: std::ops::Range<u64>) {
        if let Some(&id) = self.leases.get(&lease)
            && let Some(share) = self.shares.share(id)
        {
            let mut held = share.held.clone();
            held.insert(range);
            self.put_share(id, held);
        }
    }

    /// Lets time go by, and wakes the node as it has asked.
    pub fn pass(&mut self, span: Span) {
        let until = self.now + span;
        let mut wakes = 0;
        while let Some((&(at, number), _)) = self.timers.first_key_value() {
            if at > until {
                break;
            }
            let timer = self.timers.remove(&(at, number)).expect("the first");
            self.now = self.now.max(at);
            self.hear(Input::Elapsed(timer));
            wakes += 1;
            assert!(wakes < 20_000, "the node never sleeps");
        }
        self.now = until;
    }

    /// The swarms keep their bounds.
    pub fn check_swarms(&mut self) {
        let op = self.fresh_op();
        self.told = None;
        self.hear(Input::Start(op, Operation::Own(Request::Swarms)));
        let Some(Reply::Swarms(swarms)) = self.told.take() else { panic!("asked for the swarms, and got none") };
        assert!(swarms.len() <= self.config.swarms_max);
        for swarm in swarms {
            assert!(swarm.peers_connected <= self.config.swarm_connections_max && swarm.seeds_connected <= swarm.peers_connected);
            assert!(swarm.peers_known <= self.config.swarm_peers_max, "{} peers are known", swarm.peers_known);
        }
    }

    /// After leaving nothing is left.
    pub fn check_that_all_has_ended(&self) {
        assert!(self.open.is_empty() && self.dialling.is_empty(), "left, and connections are open");
        assert!(self.doors.is_empty(), "left, and doors are open: {:?}", self.doors);
        for (op, known) in &self.ops {
            assert!(known.standing == Standing::Over, "left, and {op:?} goes on");
        }
    }

    /// The bytes of a block as everybody has them.
    pub fn block(block: BlockRef) -> Bytes {
        let start = u64::from(block.piece) * PIECE_BYTES + u64::from(block.begin);
        (start..start + u64::from(block.length.min(1 << 14))).map(byte_at).collect::<Vec<u8>>().into()
    }
}
