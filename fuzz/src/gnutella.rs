//! Gnutella: what goes over connections and datagrams, its extensions, and a node that carries queries, searches, gives and fetches.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_content::{Digest, Digests, Layout, Proof, Ranges, Sha1Digest, TigerProof};
use hexad_core::transcript::Transcript;
use hexad_core::{
    Answer as HostAnswer, Codec as _, ConnId, Cue, Dice, Endpoint, Inbound, Input, LeaseId, Link, Map, Message as _, OpId, Operation,
    Outbound, Output, Progress, Query, Role, Share, ShareId, Source, Span, Via, What, Why,
};
use hexad_gnutella::wire::ggep::Block;
use hexad_gnutella::wire::qrp::Receiver;
use hexad_gnutella::wire::thex::read_thex;
use hexad_gnutella::wire::{
    Answer, Body, Codec, Connect, Extensions, Fields, Headers, Message, Packet, Request as HttpRequest, read_datagram,
};
use hexad_gnutella::{Locator, Mode, Node, Request, Settings, doors};

fn yes(deflated: bool) -> Message {
    let headers = if deflated { Headers::new().with("Content-Encoding", "deflate") } else { Headers::new() };
    Message::Answer(Box::new(Answer::yes(headers)))
}

/// A codec that has come to some point of a connection.
fn codec(kind: u8) -> Codec {
    let role = if kind % 6 < 3 { Role::Acceptor } else { Role::Dialler };
    let mut codec = Codec::new(role);
    let mut nothing = BytesMut::new();
    let hear = |codec: &mut Codec, text: &[u8]| drop(codec.decode(Cue::Bytes, &mut BytesMut::from(text), &mut BytesMut::new()));
    match kind % 6 {
        0 => {}
        1 | 2 => {
            hear(&mut codec, b"GNUTELLA CONNECT/0.6\r\n\r\n");
            codec.encode(&yes(false), 0, &mut nothing);
            let third: &[u8] =
                if kind % 6 == 1 { b"GNUTELLA/0.6 200 OK\r\n\r\n" } else { b"GNUTELLA/0.6 200 OK\r\nContent-Encoding: deflate\r\n\r\n" };
            hear(&mut codec, third);
        }
        3 => codec.encode(&Message::Connect(Box::new(Connect { classic: false, headers: Headers::new() })), 0, &mut nothing),
        4 => codec.encode(&HttpRequest::get("/get/1/x", Headers::new()).into(), 0, &mut nothing),
        _ => {
            for _ in 0..3 {
                codec.encode(&HttpRequest::get("/get/1/x", Headers::new()).into(), 0, &mut nothing);
            }
        }
    }
    codec
}

fn read(kind: u8, bytes: &[u8], step: usize) -> Vec<Message> {
    let mut codec = codec(kind);
    let (mut input, mut reply, mut messages) = (BytesMut::new(), BytesMut::new(), Vec::new());
    for part in bytes.chunks(step.max(1)) {
        input.extend_from_slice(part);
        loop {
            match codec.decode(Cue::Bytes, &mut input, &mut reply) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
        assert!(input.len() <= step + (66 << 10), "what waits is bounded");
    }
    assert!(reply.is_empty());
    messages
}

/// A connection: the first byte chooses what it is for, the second in what steps the bytes arrive, the rest is what arrives.
pub fn gnutella_wire(bytes: &[u8]) {
    let Some((&[kind, step], rest)) = bytes.split_first_chunk() else { return };
    for message in read(kind, rest, usize::from(step)) {
        let mut out = BytesMut::new();
        Codec::new(Role::Dialler).encode(&message, 0, &mut out);
        assert_eq!(message.wire_bytes(), out.len() as u64, "{message:?}");
        if let Message::Packet(packet) = &message {
            assert_eq!(Packet::read(&out).as_ref(), Ok(packet), "what was read is written so that it is read as the same");
        }
    }
    if let Ok(Message::Packet(packet)) = read_datagram(rest) {
        let mut out = BytesMut::new();
        packet.write(&mut out);
        assert_eq!(&out[..], rest);
    }
    let data = |messages: &[Message]| messages.iter().filter(|message| !matches!(message, Message::Data(_))).cloned().collect::<Vec<_>>();
    // Where a compressed stream breaks, what it said just before may be lost with it.
    if kind % 6 != 2 {
        let (whole, single) = (read(kind, rest, rest.len().max(1)), read(kind, rest, 1));
        assert_eq!(data(&whole), data(&single), "the steps in which bytes come change nothing");
    }
}

/// What stands inside of messages: GGEP, extension areas, tables of words, trees, locators.
pub fn gnutella_extensions(bytes: &[u8]) {
    if let Ok((block, taken)) = Block::read(bytes) {
        assert!(taken <= bytes.len());
        let again = block.bytes();
        assert_eq!(Block::read(&again), Ok((block, again.len())));
    }
    let extensions = Extensions::read(bytes);
    assert!(!extensions.bytes().contains(&0));
    let _ = extensions.digests();
    if let Ok(nodes) = read_thex(bytes) {
        let _ = TigerProof::of_levels(nodes[0], bytes.len() as u64, &nodes);
    }
    let _ = Fields::read(&String::from_utf8_lossy(bytes));
    let _ = Locator::read(&String::from_utf8_lossy(bytes));
    let mut receiver = Receiver::default();
    let mut rest = bytes;
    while let Some((&length, after)) = rest.split_first() {
        let (payload, next) = after.split_at(usize::from(length).min(after.len()));
        rest = next;
        let mut message = vec![0; 16];
        message.extend_from_slice(&[0x30, 1, 0]);
        message.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(0).to_le_bytes());
        message.extend_from_slice(payload);
        if let Ok(Packet { body: Body::Qrp(qrp), .. }) = Packet::read(&message)
            && receiver.take(&qrp).is_err()
        {
            break;
        }
    }
    if let Some(table) = receiver.table() {
        assert_eq!((0..table.slots()).filter(|&slot| table.has(slot)).count(), table.filled() as usize);
    }
}

/// One node in the middle of things.
struct Table {
    table: Transcript<Node>,
    open: Map<ConnId, bool>,
    dialled: Vec<ConnId>,
    /// Accepted connections, each with the bytes that come.
    strangers: Vec<(ConnId, Codec, BytesMut)>,
    over: Vec<OpId>,
    operations: u64,
}

impl Table {
    fn new(mode: Mode) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 6346));
        let settings = Settings { mode, listen: Some(listen), ..Settings::default() };
        let node = Node::new(settings.into(), &mut Dice::counter(1, 1));
        let mut table = Self {
            table: Transcript::new(node, 1),
            open: Map::new(),
            dialled: Vec::new(),
            strangers: Vec::new(),
            over: Vec::new(),
            operations: 100,
        };
        let layout = Arc::new(Layout::single("blue.mp3".into(), 100_000).expect("a short file"));
        let proof = Proof::V1Pieces { piece_bytes: 1 << 16, total_bytes: 100_000, hashes: [Sha1Digest([1; 20]); 2].as_slice().into() };
        let digests: Digests = [Digest::Sha1(Sha1Digest([2; 20]))].into_iter().collect();
        let share = Share { layout, digests, proof: Some(proof), held: Ranges::of(0..100_000), torrent: Bytes::new() };
        table.table.shares = table.table.shares.with(ShareId(1), share);
        let other = Endpoint::Ip(SocketAddr::from(([127, 0, 0, 2], 6346)));
        table.hear(Input::Start(OpId(1), Operation::Join { bootstrap: vec![other] }));
        table.hear(Input::Bound(doors::STREAM, Ok(listen)));
        table.hear(Input::Bound(doors::DATAGRAM, Ok(listen)));
        table.hear(Input::Start(OpId(2), Operation::Publish { share: ShareId(1) }));
        table
    }

    fn hear(&mut self, input: Inbound<Node>) {
        let said = self.table.hears(input);
        self.take(said);
    }

    fn take(&mut self, said: Vec<Outbound<Node>>) {
        for output in said {
            match output {
                Output::Open(conn, peer, _) => {
                    self.open.insert(conn, true);
                    self.dialled.push(conn);
                    if self.dialled.len() > 64 {
                        self.dialled.remove(0);
                    }
                    self.hear(Input::Opened { conn, peer, via: Via::Dialled });
                }
                Output::Close(conn, _) => {
                    self.open.remove(&conn);
                    self.strangers.retain(|(other, ..)| *other != conn);
                }
                Output::Ask(ticket, _) => self.hear(Input::Answered(ticket, HostAnswer::Loaded(None))),
                Output::Send(Link::Conn(conn), message) => {
                    // The codec of the connection sees what we say.
                    if let Some((_, codec, _)) = self.strangers.iter_mut().find(|(other, ..)| *other == conn) {
                        codec.encode(&message, 0, &mut BytesMut::new());
                    }
                }
                Output::Report(op, Progress::Done | Progress::Failed(_) | Progress::Ended) => self.over.push(op),
                _ => {}
            }
        }
    }

    fn accept(&mut self) {
        if self.strangers.len() >= 8 {
            self.close(0);
        }
        let conn = self.table.accepted();
        self.open.insert(conn, true);
        self.strangers.push((conn, Codec::new(Role::Acceptor), BytesMut::new()));
        let number = u8::try_from(self.strangers.len()).unwrap_or(0);
        self.hear(Input::Opened {
            conn,
            peer: Endpoint::Ip(SocketAddr::from(([127, 0, 1, number], 999))),
            via: Via::Accepted(doors::STREAM),
        });
    }

    fn close(&mut self, which: usize) {
        if which < self.strangers.len() {
            let (conn, ..) = self.strangers.remove(which);
            self.open.remove(&conn);
            self.hear(Input::Closed(conn, Why::PeerClosed));
        }
    }

    /// Bytes on the last accepted connection.
    fn stranger_says(&mut self, data: &[u8]) {
        if self.strangers.is_empty() {
            self.accept();
        }
        let Some((conn, ..)) = self.strangers.last() else { return };
        let conn = *conn;
        if let Some((_, _, input)) = self.strangers.iter_mut().find(|(other, ..)| *other == conn) {
            input.extend_from_slice(data);
        }
        loop {
            let Some(place) = self.strangers.iter().position(|(other, ..)| *other == conn) else { return };
            let (_, codec, input) = &mut self.strangers[place];
            match codec.decode(Cue::Bytes, input, &mut BytesMut::new()) {
                Ok(Some(message)) => self.hear(Input::Received(Link::Conn(conn), message)),
                Ok(None) => return,
                Err(_) => return self.close(place),
            }
        }
    }

    /// A message on the last connection that we dialled, in the manner that fits what we have said there.
    fn dialled_says(&mut self, data: &[u8]) {
        let Some(&conn) = self.dialled.iter().rev().find(|conn| self.open.contains_key(conn)) else { return };
        let mut codec = match data.first() {
            Some(b'G') => codec(3),
            Some(b'H') => codec(5),
            _ => codec(1),
        };
        let mut input = BytesMut::from(data);
        while let Ok(Some(message)) = codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()) {
            self.hear(Input::Received(Link::Conn(conn), message));
        }
    }

    fn datagram(&mut self, data: &[u8]) {
        let from = Endpoint::Ip(SocketAddr::from(([127, 0, 0, 9], 999)));
        if let Ok(message) = read_datagram(data) {
            self.hear(Input::Received(Link::Datagram(doors::DATAGRAM, from), message));
        }
    }

    fn operation(&mut self, which: u8) {
        self.operations += 1;
        let op = OpId(self.operations);
        let peer = Endpoint::Ip(SocketAddr::from(([127, 0, 0, 7], 6346)));
        let digest = Digest::Sha1(Sha1Digest([3; 20]));
        let locator = Locator {
            token: if which & 8 == 0 { String::new() } else { "urn:btih:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into() },
            digests: [digest].into_iter().collect(),
            name: "x".into(),
            size_bytes: Some(100),
            servent: Some(hexad_gnutella::wire::Guid([5; 16])),
            ..Locator::default()
        };
        let peers = if which & 16 == 0 { vec![] } else { vec![peer.clone()] };
        let operation = match which & 3 {
            0 => Operation::Fetch {
                source: Source { what: What::Locator(locator.write()), peers },
                lease: LeaseId(op.0),
                share: ShareId(op.0),
            },
            1 => Operation::Search { query: Query::Words { words: vec!["song".into()], wanted: 3 } },
            2 => Operation::Own(Request::Browse(peer)),
            _ => Operation::Search { query: Query::Digest { digest, wanted: 3 } },
        };
        self.hear(Input::Start(op, operation));
        if which & 32 != 0 {
            self.hear(Input::Leased(LeaseId(op.0), Ranges::of(0..100)));
            self.hear(Input::Elsewhere(LeaseId(op.0), Ranges::of(50..90)));
        }
        if which & 64 != 0 {
            self.hear(Input::Cancel(op));
        }
    }
}

/// What others say to a node: the first byte chooses its role, then steps of a kind, a length, and what is said.
pub fn gnutella_node(bytes: &[u8]) {
    let Some((&role, mut rest)) = bytes.split_first() else { return };
    let mut table = Table::new([Mode::Auto, Mode::Ultrapeer, Mode::Flat, Mode::Leaf][usize::from(role % 4)]);
    while let Some((&[kind, length], after)) = rest.split_first_chunk() {
        let (data, next) = after.split_at(usize::from(length).min(after.len()));
        rest = next;
        match kind % 7 {
            0 => table.stranger_says(data),
            1 => table.dialled_says(data),
            2 => table.accept(),
            3 => {
                let said = table.table.pass(Span::from_secs(data.first().copied().unwrap_or(1).into()));
                table.take(said);
            }
            4 => table.datagram(data),
            5 => table.close(usize::from(data.first().copied().unwrap_or(0) % 8)),
            _ => table.operation(data.first().copied().unwrap_or(0)),
        }
        assert!(table.open.len() <= 600, "connections are bounded");
    }
    // Whatever was said, everything that was asked for has an end.
    for _ in 0..20 {
        let said = table.table.pass(Span::from_secs(60));
        table.take(said);
    }
    for op in 101..=table.operations {
        assert!(table.over.contains(&OpId(op)), "operation {op} of {} never ends", table.operations);
    }
}
