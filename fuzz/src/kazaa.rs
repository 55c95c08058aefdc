//! Kazaa: what goes over connections and in datagrams, and a node among peers who say whatever they like.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_content::{Digest, Digests, Layout, Magnet, Proof, Ranges, Sha1Digest, info};
use hexad_core::transcript::Transcript;
use hexad_core::{
    Address as _, Codec as _, ConnId, Cue, Endpoint, Input, LeaseId, Link, Map, Message as _, OpId, Operation, Output, Progress, Query,
    Role, Share, ShareId, Source, Span, Verdict, Via, What, Why,
};
use hexad_kazaa::wire::fasttrack::{Fast, FromLeaf};
use hexad_kazaa::wire::{Codec, Message, read_datagram, write};
use hexad_kazaa::{Config, Node, Place as _, Request, Settings, Switch, doors};

fn read(bytes: &[u8], step: usize, role: Role) -> (Vec<Message<Endpoint>>, bool) {
    let (mut codec, mut input, mut reply, mut messages) = (Codec::new(role), BytesMut::new(), BytesMut::new(), Vec::new());
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
    assert!(reply.is_empty() || role == Role::Acceptor, "the codec has something to say only to old leaves");
    (messages, true)
}

/// The first byte says in what steps the bytes arrive, the rest is what arrives, on a connection and as a datagram.
pub fn kazaa_wire(bytes: &[u8]) {
    let Some((&step, rest)) = bytes.split_first() else { return };
    let role = if step % 2 == 0 { Role::Acceptor } else { Role::Dialler };
    let whole = read(rest, rest.len().max(1), role);
    assert_eq!(read(rest, usize::from(step), role), whole, "the steps in which bytes come change nothing");
    for message in whole.0.into_iter().chain(read_datagram(rest)) {
        if matches!(message, Message::Unknown(_) | Message::Fast(_)) {
            continue;
        }
        let mut out = BytesMut::new();
        write(&message, 0, &mut out);
        assert_eq!(message.wire_bytes(), out.len() as u64, "{message:?}");
        assert_eq!(read_datagram(&out), Ok(message), "what was read is written so that it is read as the same");
    }
    let _ = read_datagram::<u32>(rest);
    let _ = info::read(rest);
    let _ = info::info_of_torrent(rest);
}

const PEERS: u8 = 12;

fn peer(number: u8) -> Endpoint {
    Endpoint::of_lab_node(u32::from(number % PEERS) + 1)
}

fn share() -> Share {
    let layout = Arc::new(Layout::single("blue train.ogg".into(), 40_000).expect("a small file fits a layout"));
    let hashes: Arc<[Sha1Digest]> = vec![Sha1Digest([1; 20]), Sha1Digest([2; 20]), Sha1Digest([3; 20])].into();
    let digest = Digest::TorrentV1(info::hash(&info::write(&layout, 1 << 14, &hashes)));
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
    /// Whom the node has asked whether he is there, and by which number.
    pings: Vec<(Endpoint, u32)>,
    /// Questions whose answers it waits for.
    queries: Vec<[u8; 16]>,
    /// Connections, and whether they came through the door for old leaves.
    conns: Vec<(ConnId, Endpoint, bool)>,
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
                Output::Send(link, message) => {
                    if let Link::Datagram(_, to) = &link {
                        assert!(message.wire_bytes() <= 1100, "a datagram fits into a packet: {}", message.kind());
                        if let Message::Ping(nonce) = message
                            && self.pings.len() < 64
                        {
                            self.pings.push((to.clone(), nonce));
                        }
                    } else if let Message::Query(flood) = message
                        && self.queries.len() < 64
                    {
                        self.queries.push(flood.id);
                    }
                }
                Output::Open(conn, to, _) => self.conns.push((conn, to, false)),
                Output::Listen(doors::FASTTRACK, _) => {
                    self.hear(Input::Bound(doors::FASTTRACK, Ok(SocketAddr::from(([10, 0, 0, 99], 1214)))));
                }
                Output::Close(conn, _) => self.conns.retain(|(other, ..)| *other != conn),
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

    /// A message of those bytes, made so that the node looks at it: signed by who sends it, answers to what was asked.
    fn message(&self, kind: u8, bytes: &[u8], from: &Endpoint, pick: usize) -> Option<Message<Endpoint>> {
        let [_, high, middle, low] = u32::try_from(bytes.len()).ok()?.to_be_bytes();
        let mut message = read_datagram::<Endpoint>(&[&[kind, high, middle, low], bytes].concat()).ok()?;
        let id = self.queries.get(pick % self.queries.len().max(1));
        match &mut message {
            Message::Publish(batch) => batch.signature = from.pretend(&batch.signed_bytes())?,
            Message::Results(of, _) | Message::QueryEnd(of, _) if pick.is_multiple_of(2) => *of = *id?,
            _ => {}
        }
        Some(message)
    }
}

/// A story: what users want, what peers say, what time does, in the order of the bytes. At the end all that was asked for has ended.
pub fn kazaa_node(bytes: &[u8]) {
    let settings = Settings {
        leaves_max: 3,
        leaves_target: 2,
        backup_leaves: 2,
        links_target: 3,
        links_max: 4,
        known_max: 8,
        floods_max: 8,
        seen_max: 32,
        leaf_records_max: 8,
        records_max: 16,
        relays_max: 1,
        strangers_max: 4,
        uploads_max: 2,
        fasttrack: Some(SocketAddr::from(([0, 0, 0, 0], 1214))),
        fasttrack_leaves_max: 2,
        ..Settings::default()
    };
    let node = Transcript::new(Node::new(Config::from(settings)), 7);
    let (pings, queries, conns) = (Vec::new(), Vec::new(), Vec::new());
    let mut table = Table { node, open: Map::new(), pings, queries, conns, last_op: 0 };
    table.node.shares = table.node.shares.with(ShareId(1), share());
    let mut rest = bytes;
    let mut take = move |count: usize| {
        let (here, after) = rest.split_at(count.min(rest.len()));
        rest = after;
        (!here.is_empty()).then_some(here)
    };
    let bootstrap = if take(1).is_some_and(|first| first[0] % 2 == 0) { Vec::new() } else { vec![peer(0), peer(1)] };
    let join = table.start(true, Operation::Join { bootstrap });
    table.hear(Input::Bound(doors::KAZAA, Ok(SocketAddr::from(([10, 0, 0, 99], 6881)))));
    for _ in 0..300 {
        let Some(&[what, who, length]) = take(3).and_then(|head| head.first_chunk::<3>()) else { break };
        let from = peer(who);
        match what % 16 {
            // A peer says something over a connection.
            0..=7 => {
                let Some(body) = take(usize::from(length)) else { break };
                let Some((conn, from, old)) = table.conns.get(usize::from(who) % table.conns.len().max(1)).cloned() else { continue };
                if old {
                    if let Ok(message) = FromLeaf::read(body[0].into(), &body[1..]) {
                        table.hear(Input::Received(Link::Conn(conn), Message::Fast(Box::new(Fast::From(message)))));
                    }
                } else if let Some(message) = table.message(body[0], &body[1..], &from, usize::from(what)) {
                    table.hear(Input::Received(Link::Conn(conn), message));
                }
            }
            // In a datagram: on its own, or as the answer to what it was asked.
            8 => {
                let Some(body) = take(usize::from(length)) else { break };
                let mut from = from;
                let Some(mut message) = table.message(body[0], &body[1..], &from, usize::from(who)) else { continue };
                if let Message::Pong(number, ..) = &mut message
                    && !table.pings.is_empty()
                {
                    let (to, nonce) = table.pings.remove(usize::from(who) % table.pings.len());
                    (from, *number) = (to, nonce);
                }
                table.hear(Input::Received(Link::Datagram(doors::KAZAA, from), message));
            }
            9 => {
                let conn = table.node.accepted();
                let old = length % 4 == 1;
                table.conns.push((conn, from.clone(), old));
                let door = if old { doors::FASTTRACK } else { doors::KAZAA };
                table.hear(Input::Opened { conn, peer: from, via: Via::Accepted(door) });
            }
            10 => {
                if let Some((conn, peer, _)) = table.conns.get(usize::from(who) % table.conns.len().max(1)).cloned() {
                    if length % 2 == 0 {
                        table.hear(Input::Opened { conn, peer, via: Via::Dialled });
                    } else {
                        table.conns.retain(|(other, ..)| *other != conn);
                        table.hear(Input::Closed(conn, Why::Broken));
                    }
                }
            }
            11 => {
                let said = table.node.pass(Span::from_millis(u64::from(length) * 50));
                table.listen(said);
            }
            12 => {
                table.start(true, Operation::Publish { share: ShareId(u64::from(who % 2)) });
            }
            13 => {
                let query = match who % 3 {
                    0 => Query::Words { words: vec!["blue".into(), "train".into()], wanted: 3 },
                    1 => Query::Words { words: Vec::new(), wanted: 3 },
                    _ => Query::Digest { digest: Digest::TorrentV1(Sha1Digest([who; 20])), wanted: 3 },
                };
                table.start(false, Operation::Search { query });
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
            _ if length % 4 == 0 => {
                let switch = [Switch::Auto, Switch::Never, Switch::Always][usize::from(who) % 3];
                table.start(false, Operation::Own(Request::Switch(switch)));
            }
            _ => {
                let op = OpId(u64::from(who) % (table.last_op + 1));
                if op != join {
                    table.hear(Input::Cancel(op));
                    table.open.remove(&op);
                }
            }
        }
        let [lines, floods, _, waiting] = table.node.node.sizes();
        assert!(lines <= 4096 && floods <= 8 && waiting <= 1024, "what is under way is bounded: {lines}, {floods}, {waiting}");
        let (old_leaves, old_files) = table.node.node.old_leaves();
        assert!(old_leaves <= 2 && old_files <= 16, "what old leaves have is bounded: {old_leaves}, {old_files}");
        let standing = table.node.node.standing(table.node.now);
        assert!(standing.leaves <= 3 && standing.links <= 4 && standing.known <= 8 && standing.records <= 16, "{standing:?}");
    }
    // Everything ends, however little is answered.
    for _ in 0..60 {
        let said = table.node.pass(Span::from_secs(5));
        table.listen(said);
    }
    let left: Vec<OpId> = table.open.iter().filter(|(_, lasting)| !**lasting).map(|(op, _)| *op).collect();
    assert!(left.is_empty(), "these were never answered: {left:?}");
}
