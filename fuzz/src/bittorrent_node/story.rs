//! Bytes become what happens next.

use std::net::SocketAddr;

use bytes::Bytes as Buffer;
use hexad_bittorrent::doors;
use hexad_bittorrent::node::{Request, tracker_role::PeerAnnounce};
use hexad_bittorrent::wire::{
    self, BlockRef, ExtendedHandshake, Handshake, HolePunch, HolePunchKind, Krpc, KrpcAnswer, KrpcBody, Message, MetadataMessage,
    NodeContact, Pex, PexPeer, TrackerDatagram, TrackerEvent,
};
use hexad_content::{Digest, Magnet, Ranges, Sha1Digest};
use hexad_core::{
    Answer, Ask, AskFailure, ConnId, Endpoint, HttpResponse, Input, LeaseId, Link, OpId, Operation, Payload, Query, ShareId, Source, Span,
    Verdict, What, Why,
};

use super::world::{PIECE_BYTES, TOTAL_BYTES, WHOLE, World, torrents};

/// What is left of the story; zeros after its end.
pub struct Bytes<'b>(pub &'b [u8]);

impl<'b> Bytes<'b> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    fn number(&mut self) -> u32 {
        match self.byte() {
            0xff => u32::MAX,
            0xfe => 0x8000_0000,
            0xfd => u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
            small => u32::from(small),
        }
    }

    fn some(&mut self, most: usize) -> &'b [u8] {
        let length = usize::from(self.byte()).min(most).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }

    fn one_of<'t, T>(&mut self, things: &'t [T]) -> Option<&'t T> {
        let index = usize::from(self.byte());
        (!things.is_empty()).then(|| &things[index % things.len()])
    }

    fn address(&mut self) -> SocketAddr {
        match self.byte() {
            byte @ 0..=200 => SocketAddr::from(([10, 0, byte % 4, byte], 1024 + u16::from(byte))),
            byte @ 201..=230 => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(byte)], 6881)),
            byte => SocketAddr::from(([127, 0, 0, 1], if byte & 1 == 0 { 6881 } else { u16::from(byte) })),
        }
    }

    fn conn(&mut self, world: &World) -> Option<ConnId> {
        let conns: Vec<ConnId> = world.open.keys().copied().collect();
        self.one_of(&conns).copied()
    }

    fn hash(&mut self) -> [u8; 20] {
        match self.byte() % 4 {
            0 | 1 => torrents()[0].info.info_hash,
            2 => torrents()[1].info.info_hash,
            _ => [self.byte(); 20],
        }
    }
}

/// One thing happens.
pub fn happen(world: &mut World, bytes: &mut Bytes<'_>) {
    match bytes.byte() % 24 {
        0 => start(world, bytes),
        1 => {
            let op = OpId(2 + u64::from(bytes.byte()) % world.ops_made());
            if op.0 <= world.ops_made() {
                world.hear(Input::Cancel(op));
            }
        }
        2 => drop(world.accept(bytes.address())),
        3 | 4 => introduce(world, bytes),
        5 => {
            if let Some(&conn) = bytes.one_of(&world.dialling.clone()) {
                world.opened(conn, bytes.address());
            }
        }
        6 => {
            if let Some(&conn) = bytes.one_of(&world.dialling.clone()) {
                world.hear(Input::Closed(conn, if bytes.byte() & 1 == 0 { Why::Unreachable } else { Why::TimedOut }));
            }
        }
        7 => {
            if let Some(conn) = bytes.conn(world) {
                let why = [Why::PeerClosed, Why::Broken, Why::Overrun, Why::Malformed("nonsense".into())];
                world.hear(Input::Closed(conn, why[usize::from(bytes.byte() % 4)].clone()));
            }
        }
        8..=10 => {
            if let Some(conn) = bytes.conn(world) {
                let message = message(bytes);
                world.hear(Input::Received(Link::Conn(conn), message));
            }
        }
        11 | 12 => answer_honestly(world, bytes),
        13 => judge(world, bytes),
        14 => {
            let spans = [1, 100, 1_000, 5_000, 30_000, 600_000];
            world.pass(Span::from_millis(spans[usize::from(bytes.byte()) % spans.len()]));
        }
        15 => answer(world, bytes),
        16 => datagram(world, bytes),
        17 => {
            if let Some(conn) = bytes.conn(world) {
                let sending = world.open[&conn].sending;
                let sent = sending.min(u64::from(bytes.number()));
                world.open.get_mut(&conn).into_iter().for_each(|open| open.sending -= sent);
                world.hear(Input::Sent(conn, sent));
            }
        }
        18 => {
            world.room = [0, 1 << 14, 1 << 20][usize::from(bytes.byte()) % 3];
            if let Some(conn) = bytes.conn(world)
                && world.room > 0
            {
                world.hear(Input::Room(conn));
            }
        }
        19 => lease(world, bytes),
        20 => world.open_doors(bytes.byte() != 0),
        _ => ask_for_a_block(world, bytes),
    }
}

fn start(world: &mut World, bytes: &mut Bytes<'_>) {
    if world.ops_made() > 60 {
        return;
    }
    let op = world.fresh_op();
    let torrent = &torrents()[usize::from(bytes.byte()) % 2];
    let (lease, share) = (LeaseId(op.0), ShareId(2 * op.0 + u64::from(!torrent.info.private)));
    let peers = (0..bytes.byte() % 4).map(|_| Endpoint::Ip(bytes.address())).collect();
    let fetch = |what, peers| Operation::Fetch { source: Source { what, peers }, lease, share };
    let operation = match bytes.byte() % 12 {
        0 => Operation::Join { bootstrap: peers },
        1 => Operation::Publish { share: WHOLE },
        2 => Operation::Publish { share: ShareId(u64::from(bytes.byte())) },
        3 => {
            let digest = Digest::TorrentV1(Sha1Digest(bytes.hash()));
            Operation::Search { query: Query::Digest { digest, wanted: bytes.byte().into() } }
        }
        4 => Operation::Search { query: Query::Words { words: vec!["x".into()], wanted: 1 } },
        5 | 6 => fetch(What::Torrent(torrent.encode().into()), peers),
        7 | 8 => fetch(What::Magnet(Box::new(Magnet { size_bytes: None, name: None, ..torrent.magnet() })), peers),
        9 => fetch(What::Torrent(Buffer::copy_from_slice(bytes.some(40))), peers),
        10 => Operation::Own(Request::AddPeers(WHOLE, peers)),
        _ => match bytes.byte() % 3 {
            0 => Operation::Own(Request::TrackerTotals),
            1 => Operation::Own(Request::TrackerScrape(bytes.address().ip(), vec![bytes.hash(), bytes.hash()])),
            _ => Operation::Own(Request::TrackerAnnounce(PeerAnnounce {
                info_hash: bytes.hash(),
                peer: bytes.address(),
                left: bytes.number().into(),
                event: TrackerEvent::Started,
                peers_wanted: Some(bytes.number()),
            })),
        },
    };
    world.hear(Input::Start(op, operation));
}

fn handshake(bytes: &mut Bytes<'_>) -> Message {
    let kind = bytes.byte();
    let fast = if kind & 1 == 0 { 0x04 } else { 0 };
    let extended = if kind & 2 == 0 { 0x10 } else { 0 };
    let obfuscated = kind & 4 == 0;
    Message::Handshake(Handshake {
        reserved: [0, 0, 0, 0, 0, extended, 0, fast | 1],
        info_hash: bytes.hash(),
        peer_id: [bytes.byte(); 20],
        obfuscated,
    })
}

/// A peer comes (or answers a dial) and says what good peers begin with.
fn introduce(world: &mut World, bytes: &mut Bytes<'_>) {
    let address = bytes.address();
    let conn = if let Some(&conn) = bytes.one_of(&world.dialling.clone()) {
        world.opened(conn, address);
        conn
    } else {
        let Some(conn) = world.accept(address) else { return };
        conn
    };
    let begins = [
        handshake(bytes),
        Message::from(hello(bytes)),
        match bytes.byte() % 4 {
            0 => Message::HaveAll,
            1 => Message::HaveNone,
            2 => Message::Bitfield(Buffer::from_static(&[0xe0])),
            _ => Message::Bitfield(Buffer::copy_from_slice(&[bytes.byte() & 0xe0])),
        },
        if bytes.byte() & 1 == 0 { Message::Unchoke } else { Message::Interested },
    ];
    for message in begins {
        if world.open.contains_key(&conn) {
            world.hear(Input::Received(Link::Conn(conn), message));
        }
    }
}

fn hello(bytes: &mut Bytes<'_>) -> ExtendedHandshake {
    let kind = bytes.byte();
    let id = |on: bool| u8::from(on);
    ExtendedHandshake {
        extensions: [("ut_metadata".to_owned(), id(kind & 1 == 0)), ("ut_pex".to_owned(), 2 * id(kind & 2 == 0))].into(),
        listen_port: (kind & 4 == 0).then(|| 6881 + u16::from(bytes.byte())),
        requests_max: (kind & 8 != 0).then(|| bytes.number()),
        metadata_bytes: if kind & 16 == 0 { u32::try_from(torrents()[0].info.bytes.len()).ok() } else { Some(bytes.number()) },
        upload_only: (kind & 32 != 0).then_some(true),
        your_ip: (kind & 64 != 0).then(|| bytes.address().ip()),
        ..ExtendedHandshake::default()
    }
}

fn block(bytes: &mut Bytes<'_>) -> BlockRef {
    let piece = bytes.number();
    let begin = match bytes.byte() % 4 {
        0 => 0,
        1 => 16_384,
        2 => 32_768,
        _ => bytes.number(),
    };
    let last = u32::try_from(PIECE_BYTES - 32_768).unwrap_or(0);
    let length = match bytes.byte() % 4 {
        0 | 1 => 16_384,
        2 => last,
        _ => bytes.number(),
    };
    BlockRef { piece, begin, length }
}

fn message(bytes: &mut Bytes<'_>) -> Message {
    match bytes.byte() % 24 {
        0 => handshake(bytes),
        1 => Message::KeepAlive,
        2 => Message::Choke,
        3 => Message::Unchoke,
        4 => Message::Interested,
        5 => Message::NotInterested,
        6 => Message::Have(bytes.number()),
        7 => Message::Bitfield(Buffer::copy_from_slice(bytes.some(20))),
        8 => Message::Request(block(bytes)),
        9 => {
            let block = block(bytes);
            Message::Piece {
                piece: block.piece,
                begin: block.begin,
                data: Payload::Bytes(Buffer::from(vec![bytes.byte(); (block.length % 16_385) as usize])),
            }
        }
        10 => Message::Cancel(block(bytes)),
        11 => Message::Port(u16::from(bytes.byte()) * 40),
        12 => Message::SuggestPiece(bytes.number()),
        13 => Message::HaveAll,
        14 => Message::HaveNone,
        15 => Message::RejectRequest(block(bytes)),
        16 => Message::AllowedFast(bytes.number()),
        17 => hello(bytes).into(),
        18 => Message::Metadata(MetadataMessage::Request { piece: bytes.number() }),
        19 => {
            let (piece, total_bytes) = (bytes.number(), bytes.number());
            Message::Metadata(MetadataMessage::Data { piece, total_bytes, data: Buffer::copy_from_slice(bytes.some(200)) })
        }
        20 => Message::Metadata(MetadataMessage::Reject { piece: bytes.number() }),
        21 => {
            let added = (0..bytes.byte()).map(|_| PexPeer { address: bytes.address(), flags: bytes.byte() }).collect();
            let dropped = (0..bytes.byte() % 8).map(|_| bytes.address()).collect();
            Message::Pex(Pex { added, dropped })
        }
        22 => match bytes.byte() % 4 {
            0 => Message::DontHave(bytes.number()),
            1 => Message::UploadOnly(bytes.byte().is_multiple_of(2)),
            kind => {
                let kind = [HolePunchKind::Rendezvous, HolePunchKind::Connect][usize::from(kind % 2)];
                Message::HolePunch(HolePunch { kind, at: bytes.address() })
            }
        },
        _ => Message::Unknown(bytes.byte().max(21), Buffer::copy_from_slice(bytes.some(50))),
    }
}

/// A peer gives what the node has asked it for: right, wrong, or not.
fn answer_honestly(world: &mut World, bytes: &mut Bytes<'_>) {
    for _ in 0..=bytes.byte() % 8 {
        let Some(conn) = bytes.conn(world) else { return };
        let Some(open) = world.open.get_mut(&conn) else { return };
        let message = if let Some(piece) = open.metadata.pop() {
            let info = &torrents()[0].info.bytes;
            let start = (piece as usize * 16_384).min(info.len());
            let data = info.slice(start..info.len().min(start + 16_384));
            Message::Metadata(MetadataMessage::Data { piece, total_bytes: u32::try_from(info.len()).unwrap_or(0), data })
        } else if let Some(block) = open.blocks.pop() {
            if bytes.byte() == 0xff {
                Message::RejectRequest(block)
            } else {
                Message::Piece { piece: block.piece, begin: block.begin, data: Payload::Bytes(World::block(block)) }
            }
        } else {
            return;
        };
        world.hear(Input::Received(Link::Conn(conn), message));
    }
}

/// The engine judges the piece of something delivered.
fn judge(world: &mut World, bytes: &mut Bytes<'_>) {
    let Some((lease, range)) = bytes.one_of(&world.delivered).cloned() else { return };
    let start = range.start / PIECE_BYTES * PIECE_BYTES;
    let piece = start..(start + PIECE_BYTES).min(TOTAL_BYTES);
    let verdict = [Verdict::Good, Verdict::Good, Verdict::Bad, Verdict::Duplicate][usize::from(bytes.byte() % 4)];
    world.delivered.retain(|(other, delivered)| *other != lease || delivered.start < piece.start || delivered.end > piece.end);
    if verdict == Verdict::Good {
        world.hold(lease, piece.clone());
    }
    world.hear(Input::Judged(lease, piece, verdict));
}

/// The engine wants something else under a lease, or has others bring something of it.
fn lease(world: &mut World, bytes: &mut Bytes<'_>) {
    let leases: Vec<LeaseId> = world.leases.keys().copied().collect();
    let Some(&lease) = bytes.one_of(&leases) else { return };
    let kind = bytes.byte();
    let wanted = match kind % 4 {
        0 => Ranges::new(),
        1 | 2 => Ranges::of(0..TOTAL_BYTES),
        _ => {
            let start = u64::from(bytes.byte()) * 300;
            Ranges::of(start..(start + 1 + u64::from(bytes.number())).min(TOTAL_BYTES))
        }
    };
    // Now and then others bring it.
    world.hear(if kind >= 192 { Input::Elsewhere(lease, wanted) } else { Input::Leased(lease, wanted) });
}

/// A peer that may asks for much at once.
fn ask_for_a_block(world: &mut World, bytes: &mut Bytes<'_>) {
    let Some(conn) = bytes.conn(world) else { return };
    let first = block(bytes);
    for _ in 0..bytes.byte() {
        if !world.open.contains_key(&conn) {
            return;
        }
        world.hear(Input::Received(Link::Conn(conn), Message::Request(first)));
    }
}

/// The host answers a question.
fn answer(world: &mut World, bytes: &mut Bytes<'_>) {
    if world.asks.is_empty() {
        return;
    }
    let (ticket, ask) = world.asks.remove(usize::from(bytes.byte()) % world.asks.len());
    let answer = match (bytes.byte() % 8, ask) {
        (0, _) => Answer::Failed(AskFailure::TimedOut),
        (1, _) => Answer::Failed(AskFailure::Other("no".into())),
        (2, _) => Answer::Stored,
        (_, Ask::Http(request)) => {
            let body: Buffer = match bytes.byte() % 4 {
                0 => Buffer::copy_from_slice(bytes.some(250)),
                1 => Buffer::from_static(b"d8:intervali60e5:peers12:\x0a\0\0\x09\x1a\xe1\x0a\0\0\x0a\x1a\xe1e"),
                2 => Buffer::from_static(b"d14:failure reason2:no8:retry in5:nevere"),
                _ => match &request.range {
                    Some(range) => {
                        (range.start..range.end.min(range.start + (1 << 20))).map(super::world::byte_at).collect::<Vec<u8>>().into()
                    }
                    None => Buffer::new(),
                },
            };
            let status = [200, 206, 404, 503, 301][usize::from(bytes.byte() % 5)];
            let moved_to = (bytes.byte() == 0).then(|| "http://10.9.9.9/else".to_owned());
            Answer::Http(Box::new(HttpResponse { status, retry_after_s: Some(bytes.byte().into()), moved_to, body: Payload::Bytes(body) }))
        }
        (_, Ask::Resolve(_)) => Answer::Resolved((0..bytes.byte() % 4).map(|_| bytes.address().ip()).collect()),
        (_, Ask::Load(..)) => Answer::Loaded((bytes.byte() & 1 == 0).then(|| Payload::Bytes(Buffer::copy_from_slice(bytes.some(200))))),
        (_, Ask::Read(_, range)) => {
            let end = range.end.min(range.start + (1 << 20));
            Answer::Loaded(Some(Payload::Bytes((range.start..end).map(super::world::byte_at).collect::<Vec<u8>>().into())))
        }
        (_, _) => Answer::Stored,
    };
    world.hear(Input::Answered(ticket, answer));
}

/// Somebody of the DHT answers what the node has asked: with nodes, peers and a token.
fn answer_of_the_dht(world: &mut World, bytes: &mut Bytes<'_>) {
    if world.lookups.is_empty() || !world.is_bound(doors::DATAGRAMS) {
        return;
    }
    let (to, transaction) = world.lookups.swap_remove(usize::from(bytes.byte()) % world.lookups.len());
    let id = |bytes: &mut Bytes<'_>| [bytes.byte(); 20];
    let answer = KrpcAnswer {
        nodes: (0..bytes.byte() % 10).map(|_| NodeContact { id: id(bytes), address: bytes.address() }).collect(),
        peers: (0..bytes.byte() % 10).map(|_| bytes.address()).collect(),
        token: (bytes.byte() & 1 == 0).then(|| Buffer::from_static(b"token")),
        ..KrpcAnswer::default()
    };
    let body = match bytes.byte() {
        0xff => KrpcBody::Error { code: 203, text: "no".into() },
        _ => KrpcBody::Answer { id: id(bytes), answer },
    };
    let message = Message::from(Krpc { transaction, body, seen_as: Some(bytes.address()), version: None });
    world.hear(Input::Received(Link::Datagram(doors::DATAGRAMS, to), message));
}

/// A datagram comes: from a tracker that was asked, or anything.
fn datagram(world: &mut World, bytes: &mut Bytes<'_>) {
    let which = bytes.byte();
    if which >= 0x80 {
        return answer_of_the_dht(world, bytes);
    }
    let door = [doors::DATAGRAMS, doors::DATAGRAMS, doors::TRACKER, doors::LSD_V4][usize::from(which % 4)];
    if !world.is_bound(door) {
        return;
    }
    let from = if which & 4 == 0 { SocketAddr::from(([10, 0, 0, 1], 6969)) } else { bytes.address() };
    let message = if which.is_multiple_of(4) {
        let transaction = bytes.one_of(&world.transactions).copied().unwrap_or(7);
        Message::from(match bytes.byte() % 4 {
            0 | 1 => TrackerDatagram::ConnectAnswer { transaction, connection: bytes.byte().into() },
            2 => TrackerDatagram::AnnounceAnswer {
                transaction,
                interval_s: bytes.number(),
                leechers: bytes.number(),
                seeders: bytes.number(),
                peers: Buffer::copy_from_slice(bytes.some(120)),
            },
            _ => TrackerDatagram::Error { transaction, message: "no".into() },
        })
    } else {
        match wire::decode_datagram(door, bytes.some(250)) {
            Ok(message) => message,
            Err(_) => return,
        }
    };
    world.hear(Input::Received(Link::Datagram(door, Endpoint::Ip(from)), message));
}
