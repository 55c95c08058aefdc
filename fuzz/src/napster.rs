//! Napster: what goes over connections, the grammar of searches, and a node that is server and client at once.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_content::{Digests, Layout, Proof, Ranges, Sha1Digest};
use hexad_core::transcript::Transcript;
use hexad_core::{
    Answer, Codec as _, ConnId, Cue, Dial, Dice, Endpoint, Inbound, Input, LeaseId, Link, Map, Message as _, OpId, Operation, Outbound,
    Output, Progress, Query, Role, Share, ShareId, Source, Span, Transport, Via, What, Why,
};
use hexad_napster::wire::peer::Peer;
use hexad_napster::wire::{DATA_BYTES_MAX, HEAD_BYTES, Letter, Message, NapsterCodec, Shape, ToClient, ToServer, manner};
use hexad_napster::{ClientConfig, Locator, Node, Request, doors};

fn codec(kind: u8) -> NapsterCodec {
    let dial = |manner: u8, secret: &[u8]| Dial {
        transport: Transport::Tcp,
        deadline: Span::from_secs(1),
        manner,
        secret: Bytes::copy_from_slice(secret),
    };
    let mut codec = match kind % 6 {
        0 => NapsterCodec::new(Role::Acceptor, None),
        1 => NapsterCodec::new(Role::Dialler, Some(&dial(manner::SERVER, &[]))),
        5 => NapsterCodec::new(Role::Dialler, Some(&dial(manner::PEER, &[]))),
        _ => NapsterCodec::new(Role::Dialler, Some(&dial(manner::PEER, &8340_u64.to_be_bytes()))),
    };
    if matches!(kind % 6, 2..=4) {
        let (mut input, mut reply) = (BytesMut::from(&b"1"[..]), BytesMut::new());
        assert!(matches!(codec.decode(Cue::Bytes, &mut input, &mut reply), Ok(Some(Message::Peer(Peer::Greeting)))));
        let said = match kind % 6 {
            2 => Peer::Get { nick: "me".into(), path: "x".into(), offset: 0 },
            3 => Peer::Send { nick: "me".into(), path: "x".into(), size: 8340 },
            _ => Peer::GetList,
        };
        codec.encode(&Message::Peer(said), 0, &mut BytesMut::new());
    }
    codec
}

fn read(kind: u8, bytes: &[u8], step: usize) -> Vec<Message> {
    let mut codec = codec(kind);
    let (mut input, mut reply, mut messages) = (BytesMut::new(), BytesMut::new(), Vec::new());
    for (cue, part) in bytes.chunks(step.max(1)).map(|part| (Cue::Bytes, part)).chain([(Cue::Quiet, &[][..]), (Cue::Eof, &[][..])]) {
        input.extend_from_slice(part);
        loop {
            match codec.decode(cue, &mut input, &mut reply) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
        assert!(input.len() <= step + (64 << 10) + HEAD_BYTES, "what waits is bounded");
    }
    assert!(reply.is_empty());
    messages
}

/// A connection: the first byte chooses what it is for, the second in what steps the bytes arrive, the rest is what arrives.
pub fn napster_wire(bytes: &[u8]) {
    let Some((&[kind, step], rest)) = bytes.split_first_chunk() else { return };
    for message in read(kind, rest, usize::from(step)) {
        let mut out = BytesMut::new();
        let peer = matches!(message, Message::Peer(_));
        codec(0).encode(&message, 0, &mut out);
        assert_eq!(message.wire_bytes(), out.len() as u64, "{message:?}");
        if !peer {
            // What was read is written so that it is read as the same.
            let again = read(u8::from(matches!(message, Message::ToClient(_))), &out, out.len());
            let grows = out.len() > DATA_BYTES_MAX;
            assert!(grows || again == [message.clone()] || quotes_in_words(&message), "{message:?} is read again as {again:?}");
        }
    }
    let whole = read(kind, rest, rest.len().max(1));
    if kind % 6 < 2 {
        assert_eq!(read(kind, rest, 1), whole, "the steps in which bytes come change nothing");
    }
    let _ = Shape::read(rest);
    if let Some(letter) = Letter::read(rest) {
        assert!(Letter::read(&letter.write()).is_some(), "a letter that was read can be written");
    }
}

/// A bare word may have a quote in it; there is no way to write that.
fn quotes_in_words(message: &Message) -> bool {
    format!("{message:?}").contains("\\\"")
}

/// A search, as its text.
pub fn napster_search(bytes: &[u8]) {
    let message = ToServer::read(200, bytes);
    match &message {
        ToServer::Search { .. } => {
            let mut out = BytesMut::new();
            message.write(&mut out);
            let again = ToServer::read(200, &out[HEAD_BYTES..]);
            assert!(again == message || quotes_in_words(&Message::ToServer(message.clone())), "{message:?}");
        }
        ToServer::Unreadable { number: 200, data } => assert_eq!(data.bytes(), bytes),
        other => panic!("{other:?}"),
    }
    let _ = Locator::read(&String::from_utf8_lossy(bytes));
}

/// One node that serves, is a member of another server, and fetches from a peer.
struct Table {
    table: Transcript<Node>,
    open: Map<ConnId, bool>,
    dialled: Vec<ConnId>,
    user: ConnId,
    peers: Vec<(ConnId, NapsterCodec, BytesMut)>,
    over: Vec<OpId>,
    operations: u64,
}

impl Table {
    fn new() -> Self {
        let client = ClientConfig { nick: "eve".into(), ..ClientConfig::default() };
        let node = Node::new(client.into(), &mut Dice::counter(1, 1));
        let mut table = Self {
            table: Transcript::new(node, 1),
            open: Map::new(),
            dialled: Vec::new(),
            user: ConnId(0),
            peers: Vec::new(),
            over: Vec::new(),
            operations: 100,
        };
        let layout = Arc::new(Layout::single("blue.mp3".into(), 100_000).expect("a short file"));
        let proof = Proof::V1Pieces { piece_bytes: 1 << 16, total_bytes: 100_000, hashes: [Sha1Digest([1; 20]); 2].as_slice().into() };
        let share = Share { layout, digests: Digests::new(), proof: Some(proof), held: Ranges::of(0..100_000), torrent: Bytes::new() };
        table.table.shares = table.table.shares.with(ShareId(1), share);
        table.hear(Input::Start(OpId(1), Operation::Own(Request::Serve)));
        table.hear(Input::Bound(doors::SERVER, Ok(SocketAddr::from(([127, 0, 0, 1], 8888)))));
        table.user = table.accept(Via::Accepted(doors::SERVER));
        table.server_hears(b"\x02\0eve pw 6699 \"x\" 4");
        let other = Endpoint::Ip(SocketAddr::from(([127, 0, 0, 2], 8888)));
        table.hear(Input::Start(OpId(2), Operation::Join { bootstrap: vec![other] }));
        table.hear(Input::Bound(doors::PEERS, Ok(SocketAddr::from(([127, 0, 0, 1], 6699)))));
        table.client_hears(b"\x03\0anon@x");
        table.client_hears(b"\x6d\x02VERSION x");
        table.hear(Input::Start(OpId(3), Operation::Publish { share: ShareId(1) }));
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
                    self.hear(Input::Opened { conn, peer, via: Via::Dialled });
                }
                Output::Close(conn, _) => {
                    self.open.remove(&conn);
                }
                Output::Ask(ticket, _) => self.hear(Input::Answered(ticket, Answer::Loaded(None))),
                Output::Report(op, Progress::Done | Progress::Failed(_) | Progress::Ended) => self.over.push(op),
                _ => {}
            }
        }
    }

    fn accept(&mut self, via: Via) -> ConnId {
        let conn = self.table.accepted();
        self.open.insert(conn, true);
        self.hear(Input::Opened { conn, peer: Endpoint::Ip(SocketAddr::from(([127, 0, 0, 9], 999))), via });
        conn
    }

    fn server_hears(&mut self, data: &[u8]) {
        let Some((number, data)) = data.split_first_chunk() else { return };
        let message = ToServer::read(u16::from_le_bytes(*number), data);
        self.hear(Input::Received(Link::Conn(self.user), Message::ToServer(message)));
    }

    fn client_hears(&mut self, data: &[u8]) {
        let (Some((number, data)), Some(&conn)) = (data.split_first_chunk(), self.dialled.first()) else { return };
        let message = ToClient::read(u16::from_le_bytes(*number), data);
        self.hear(Input::Received(Link::Conn(conn), Message::ToClient(message)));
    }

    fn peer_hears(&mut self, data: &[u8]) {
        if self.peers.is_empty() {
            let conn = self.accept(Via::Accepted(doors::PEERS));
            self.peers.push((conn, NapsterCodec::new(Role::Acceptor, None), BytesMut::new()));
        }
        let Some((conn, codec, input)) = self.peers.last_mut() else { return };
        let conn = *conn;
        input.extend_from_slice(data);
        let mut heard = Vec::new();
        let mut broken = false;
        for cue in [Cue::Bytes, Cue::Quiet] {
            loop {
                match codec.decode(cue, input, &mut BytesMut::new()) {
                    Ok(Some(message)) => heard.push(message),
                    Ok(None) => break,
                    Err(_) => {
                        broken = true;
                        break;
                    }
                }
            }
        }
        for message in heard {
            self.hear(Input::Received(Link::Conn(conn), message));
        }
        if broken {
            self.close_peer();
        }
    }

    fn close_peer(&mut self) {
        if let Some((conn, ..)) = self.peers.pop() {
            self.open.remove(&conn);
            self.hear(Input::Closed(conn, Why::PeerClosed));
        }
    }

    fn source_hears(&mut self, data: &[u8]) {
        let Some(&conn) = self.dialled.last().filter(|_| self.dialled.len() > 1) else { return };
        let message = match data.split_first() {
            Some((b'1', _)) => Peer::Greeting,
            Some((b'2', part)) => Peer::Described { total: u32::try_from(part.len()).unwrap_or(0), offset: 0, part: part.into() },
            Some((b'4', body)) => Peer::Block { start: 0, body: hexad_core::Payload::Bytes(Bytes::copy_from_slice(body)) },
            Some((b'd', body)) => Peer::Data(hexad_core::Payload::Bytes(Bytes::copy_from_slice(body))),
            Some((b's', size)) => Peer::Size(size.len() as u64),
            _ => Peer::Refusal(data.into()),
        };
        self.hear(Input::Received(Link::Conn(conn), Message::Peer(message)));
    }

    fn operation(&mut self, which: u8) {
        self.operations += 1;
        let op = OpId(self.operations);
        let locator = Locator {
            nick: "bob".into(),
            path: "x".into(),
            size_bytes: Some(100),
            hash: if which & 8 == 0 { "b" } else { "hxtaaaa" }.into(),
            server: None,
            sound: (128, 0),
        };
        let peers = if which & 16 == 0 { vec![] } else { vec![Endpoint::Ip(SocketAddr::from(([127, 0, 0, 7], 6699)))] };
        let operation = match which & 3 {
            0 => Operation::Fetch {
                source: Source { what: What::Locator(locator.write()), peers },
                lease: LeaseId(op.0),
                share: ShareId(op.0),
            },
            1 => Operation::Search { query: Query::Words { words: vec!["song".into()], wanted: 3 } },
            2 => Operation::Own(Request::Browse("bob".into())),
            _ => Operation::Own(Request::Whois("bob".into())),
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

/// What others say to a node: steps of a kind, a length, and what is said.
pub fn napster_node(bytes: &[u8]) {
    let mut table = Table::new();
    let mut rest = bytes;
    while let Some((&[kind, length], after)) = rest.split_first_chunk() {
        let (data, next) = after.split_at(usize::from(length).min(after.len()));
        rest = next;
        match kind % 7 {
            0 => table.server_hears(data),
            1 => table.client_hears(data),
            2 => table.peer_hears(data),
            3 => {
                let said = table.table.pass(Span::from_secs(data.first().copied().unwrap_or(1).into()));
                table.take(said);
            }
            4 => table.source_hears(data),
            5 => table.close_peer(),
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
