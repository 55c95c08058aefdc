//! Chord: what goes over connections and in datagrams, and a node of a ring among peers who say whatever they like.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_chord::wire::{Body, Codec, Message, read_datagram, write};
use hexad_chord::{Config, Key, Node, Request, Settings, doors};
use hexad_content::{Digest, Digests, Layout, Magnet, Proof, Ranges, Sha1Digest};
use hexad_core::transcript::Transcript;
use hexad_core::{
    Codec as _, ConnId, Cue, Endpoint, Input, LeaseId, Link, Map, Message as _, OpId, Operation, Output, Progress, Query, Share, ShareId,
    Source, Span, Verdict, Via, What, Why,
};

fn read(bytes: &[u8], step: usize) -> (Vec<Message<Endpoint>>, bool) {
    let (mut codec, mut input, mut reply, mut messages) = (Codec::default(), BytesMut::new(), BytesMut::new(), Vec::new());
    for part in bytes.chunks(step.max(1)) {
        input.extend_from_slice(part);
        loop {
            match codec.decode(Cue::Bytes, &mut input, &mut reply) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, false),
            }
        }
    }
    assert!(reply.is_empty(), "the codec has nothing to say itself");
    (messages, true)
}

/// The first byte says in what steps the bytes arrive, the rest is what arrives, on a connection and as a datagram.
pub fn chord_wire(bytes: &[u8]) {
    let Some((&step, rest)) = bytes.split_first() else { return };
    let whole = read(rest, rest.len().max(1));
    assert_eq!(read(rest, usize::from(step)), whole, "the steps in which bytes come change nothing");
    for message in whole.0.into_iter().chain(read_datagram(rest)) {
        if matches!(message.body, Body::Unknown(_)) {
            continue;
        }
        let mut out = BytesMut::new();
        write(&message, 0, &mut out);
        assert_eq!(message.wire_bytes(), out.len() as u64, "{message:?}");
        assert_eq!(read_datagram(&out), Ok(message), "what was read is written so that it is read as the same");
    }
    let _ = read_datagram::<u32>(rest);
    let _ = hexad_content::info::read(rest);
    let _ = hexad_content::info::info_of_torrent(rest);
}

fn peer(number: u8) -> Endpoint {
    Endpoint::Key([number % 12 + 1; 32], SocketAddr::from(([10, 0, 0, number % 12 + 1], 6881)))
}

fn share() -> Share {
    let layout = Arc::new(Layout::single("blue train.ogg".into(), 40_000).expect("a small file fits a layout"));
    let hashes: Arc<[Sha1Digest]> = vec![Sha1Digest([1; 20]), Sha1Digest([2; 20]), Sha1Digest([3; 20])].into();
    let digest = Digest::TorrentV1(hexad_content::info::hash(&hexad_content::info::write(&layout, 1 << 14, &hashes)));
    Share {
        layout,
        digests: [digest].into_iter().collect(),
        proof: Some(Proof::V1Pieces { piece_bytes: 1 << 14, total_bytes: 40_000, hashes }),
        held: Ranges::of(0..40_000),
        torrent: Bytes::new(),
    }
}

/// A node on a table, and what is owed to its user.
struct Table {
    node: Transcript<Node<Endpoint>>,
    /// Operations that have not ended.
    open: Map<OpId, bool>,
    /// Questions that the node has asked: whom, and in which words.
    asked: Vec<(Endpoint, Message<Endpoint>)>,
    conns: Vec<ConnId>,
    last_op: u64,
}

impl Table {
    fn hear(&mut self, input: hexad_core::Inbound<Node<Endpoint>>) {
        let said = self.node.hears(input);
        self.listen(said);
    }

    fn listen(&mut self, said: Vec<hexad_core::Outbound<Node<Endpoint>>>) {
        assert!(said.len() < 5000, "one input does not set off a storm: {}", said.len());
        for output in said {
            match output {
                Output::Report(op, progress) => {
                    let over = matches!(progress, Progress::Failed(_) | Progress::Ended);
                    assert!(self.open.contains_key(&op), "nothing is reported after the end: {progress:?}");
                    let lasting = self.open[&op];
                    if over || (matches!(progress, Progress::Done) && !lasting) {
                        self.open.remove(&op);
                    }
                }
                Output::Send(Link::Datagram(_, to), message) => {
                    assert!(message.wire_bytes() <= 1100, "a datagram fits into a packet: {}", message.kind());
                    if !message.body.is_answer() && self.asked.len() < 256 {
                        self.asked.push((to, message));
                    }
                }
                Output::Open(conn, ..) => self.conns.push(conn),
                Output::Close(conn, _) => self.conns.retain(|other| *other != conn),
                _ => {}
            }
        }
    }

    fn start(&mut self, lasting: bool, operation: Operation<Request>) -> OpId {
        self.last_op += 1;
        let op = OpId(self.last_op);
        self.open.insert(op, lasting);
        self.hear(Input::Start(op, operation));
        op
    }
}

/// A story: what users want, what peers say, what time does, in the order of the bytes. At the end all that was asked for has ended.
pub fn chord_node(bytes: &[u8]) {
    let settings = Settings {
        identity: Some([99; 32]),
        successors: 3,
        items_max: 64,
        items_bytes_max: 64 << 10,
        per_key_max: 8,
        per_peer_items_max: 16,
        per_peer_bytes_max: 16 << 10,
        queries_max: 64,
        errands_max: 32,
        roads_max: 4,
        uploads_max: 4,
        suspects_max: 8,
        round_trips_max: 8,
        ..Settings::default()
    };
    let node = Transcript::new(Node::new(Config::from(settings)), 7);
    let mut table = Table { node, open: Map::new(), asked: Vec::new(), conns: Vec::new(), last_op: 0 };
    table.node.shares = table.node.shares.with(ShareId(1), share());
    let mut rest = bytes;
    let mut take = move |count: usize| {
        let (here, after) = rest.split_at(count.min(rest.len()));
        rest = after;
        (!here.is_empty()).then_some(here)
    };
    let bootstrap = if take(1).is_some_and(|first| first[0] % 2 == 0) { Vec::new() } else { vec![peer(0), peer(1)] };
    let join = table.start(true, Operation::Join { bootstrap });
    table.hear(Input::Bound(doors::RING, Ok(SocketAddr::from(([10, 0, 0, 99], 6881)))));
    for _ in 0..300 {
        let Some(&[what, who, length]) = take(3).and_then(|head| head.first_chunk::<3>()) else { break };
        let from = peer(who);
        match what % 16 {
            // A peer says something: on its own, or as the answer to what it was asked.
            0..=6 => {
                let Some(body) = take(usize::from(length)) else { break };
                let mut frame = u32::try_from(12 + body.len().saturating_sub(1)).unwrap_or(0).to_be_bytes().to_vec();
                frame.extend_from_slice(&[1, body[0], 0, 0, 0, 0, 0, 0]);
                frame.extend_from_slice(&body[1..]);
                let Ok(mut message) = read_datagram::<Endpoint>(&frame) else { continue };
                let mut from = from;
                if what % 2 == 0
                    && let Some(at) = (!table.asked.is_empty()).then(|| usize::from(who) % table.asked.len())
                {
                    let (to, question) = table.asked.remove(at);
                    (message.query, message.from, from) = (question.query, question.to, to);
                }
                table.hear(Input::Received(Link::Datagram(doors::RING, from), message));
            }
            7 => {
                let Some(body) = take(usize::from(length)) else { break };
                if let (Some(&conn), Ok(message)) = (table.conns.get(usize::from(who) % table.conns.len().max(1)), read_datagram(body)) {
                    table.hear(Input::Received(Link::Conn(conn), message));
                }
            }
            8 => {
                let conn = table.node.accepted();
                table.conns.push(conn);
                table.hear(Input::Opened { conn, peer: from, via: Via::Accepted(doors::RING) });
            }
            9 => {
                if let Some(&conn) = table.conns.get(usize::from(who) % table.conns.len().max(1)) {
                    if length % 2 == 0 {
                        table.hear(Input::Opened { conn, peer: from, via: Via::Dialled });
                    } else {
                        table.conns.retain(|other| *other != conn);
                        table.hear(Input::Closed(conn, Why::Broken));
                    }
                }
            }
            10 => {
                let said = table.node.pass(Span::from_millis(u64::from(length) * 50));
                table.listen(said);
            }
            11 => {
                table.start(true, Operation::Publish { share: ShareId(u64::from(who % 2)) });
            }
            12 => {
                let query = match who % 3 {
                    0 => Query::Words { words: vec!["blue".into(), "train".into()], wanted: 3 },
                    1 => Query::Words { words: Vec::new(), wanted: 3 },
                    _ => Query::Digest { digest: Digest::TorrentV1(Sha1Digest([who; 20])), wanted: 3 },
                };
                table.start(false, Operation::Search { query });
            }
            13 => {
                let request = match who % 3 {
                    0 => Request::Put { name: Some("n".into()), value: Bytes::from(vec![length; usize::from(length) * 9]) },
                    1 => Request::Get(Key([length; 20])),
                    _ => Request::Lookup(Key([length; 20])),
                };
                table.start(false, Operation::Own(request));
            }
            14 => {
                let digests: Digests = share().digests;
                let what = What::Magnet(Box::new(Magnet { digests, ..Magnet::default() }));
                let lease = LeaseId(u64::from(length));
                table.start(false, Operation::Fetch { source: Source { what, peers: vec![from] }, lease, share: ShareId(7) });
                table.hear(Input::Leased(lease, Ranges::of(0..40_000)));
                table.hear(Input::Elsewhere(lease, Ranges::of(u64::from(who) << 8..30_000)));
                table.hear(Input::Judged(lease, 0..1 << 14, if who % 2 == 0 { Verdict::Bad } else { Verdict::Good }));
            }
            _ => {
                let op = OpId(u64::from(who) % (table.last_op + 1));
                if op != join {
                    table.hear(Input::Cancel(op));
                    table.open.remove(&op);
                }
            }
        }
        let (items, held) = table.node.node.stored();
        assert!(items <= 64 && held <= 64 << 10, "the store is bounded: {items} items, {held} bytes");
        assert!(table.node.node.questions() <= 4096, "what is under way is bounded");
    }
    // Everything ends, however little is answered.
    for _ in 0..60 {
        let said = table.node.pass(Span::from_secs(5));
        table.listen(said);
    }
    let left: Vec<OpId> = table.open.iter().filter(|(_, lasting)| !**lasting).map(|(op, _)| *op).collect();
    assert!(left.is_empty(), "these were never answered: {left:?}");
}
