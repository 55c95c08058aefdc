//! A node on a table, and what it says.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, Layout, Proof, Ranges, Sha1Digest, info};
use hexad_core::transcript::Transcript;
use hexad_core::{Address as _, ConnId, Endpoint, Input, Link, OpId, Operation, Outbound, Output, Share, ShareId, Span, Via};
use hexad_kazaa::wire::{Batch, Card, Flood, Looked, Media, Message, Purpose, Record, Status};
use hexad_kazaa::{Config, Node, Place as _, Settings, doors};

pub type Said = Vec<Outbound<Node<u32>>>;

pub const US: u32 = 99;
pub const JOIN: OpId = OpId(1);

pub struct Stage {
    pub node: Transcript<Node<u32>>,
    last_op: u64,
}

/// What somebody says of himself who would be a supernode.
pub fn card() -> Card {
    Card { willing: true, uplink_kbps: 10_000, uptime_s: 3600 }
}

pub fn supernode() -> Status {
    Status { supernode: true, leaves: 10, leaves_max: 150, links: 3, uptime_s: 3600 }
}

pub fn record(number: u32, name: &str) -> Record {
    let mut hash = [7; 20];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    let digest = Digest::TorrentV1(Sha1Digest(hash));
    Record { number, digest, others: Vec::new(), size_bytes: 1000, media: Media::Audio, name: name.into(), tags: Vec::new() }
}

/// Records as `publisher` signs them.
pub fn batch(publisher: u32, sequence: u64, records: Vec<Record>) -> Message<u32> {
    let mut batch = Batch { sequence, unix_s: 1, signature: [0; 64], records };
    batch.signature = publisher.pretend(&batch.signed_bytes()).expect("a lab node signs");
    Message::Publish(Box::new(batch))
}

pub fn query(id: u8, words: &[&str]) -> Flood {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    Flood { id: [id; 16], hops: 2, fan_out: 8, wanted: 10, deadline_ms: 10_000, what: Looked::Words(words), skip: Vec::new() }
}

pub fn share(name: &str) -> Share {
    let layout = Arc::new(Layout::single(name.into(), 40_000).expect("a small file fits a layout"));
    let hashes: Arc<[Sha1Digest]> = vec![Sha1Digest([1; 20]), Sha1Digest([2; 20]), Sha1Digest([3; 20])].into();
    let digest = Digest::TorrentV1(info::hash(&info::write(&layout, 1 << 14, &hashes)));
    Share {
        layout,
        digests: [digest].into_iter().collect::<Digests>(),
        proof: Some(Proof::V1Pieces { piece_bytes: 1 << 14, total_bytes: 40_000, hashes }),
        held: Ranges::of(0..40_000),
        torrent: Bytes::new(),
    }
}

impl Stage {
    pub fn new(settings: Settings) -> Self {
        Self { node: Transcript::new(Node::new(Config::from(settings)), 3), last_op: 1 }
    }

    /// The first node of a network.
    pub fn founder(settings: Settings) -> Self {
        let mut stage = Self::new(settings);
        stage.hears(Input::Start(JOIN, Operation::Join { bootstrap: Vec::new() }));
        let said = stage.hears(Input::Bound(doors::KAZAA, Ok(SocketAddr::from(([0, 0, 0, 0], 6881)))));
        assert!(said.iter().any(|output| matches!(output, Output::Report(JOIN, hexad_core::Progress::Done))));
        stage
    }

    /// A leaf with these supernodes; returns the connections to them.
    pub fn leaf(settings: Settings, parents: &[u32]) -> (Self, Vec<ConnId>) {
        let mut stage = Self::new(Settings { parents: parents.len(), ..settings });
        let bootstrap: Vec<Endpoint> = parents.iter().map(|&parent| Endpoint::of_lab_node(parent)).collect();
        stage.hears(Input::Start(JOIN, Operation::Join { bootstrap }));
        let mut said = stage.hears(Input::Bound(doors::KAZAA, Ok(SocketAddr::from(([0, 0, 0, 0], 6881)))));
        let mut conns = Vec::new();
        while conns.len() < parents.len() {
            let pings: Vec<(u32, u32)> = said
                .iter()
                .filter_map(|output| match output {
                    Output::Send(Link::Datagram(_, to), Message::Ping(nonce)) => Some((*to, *nonce)),
                    _ => None,
                })
                .collect();
            let mut next = Vec::new();
            for (to, nonce) in pings {
                next.extend(stage.datagram(to, Message::Pong(nonce, supernode(), Vec::new())));
            }
            said.extend(next);
            let opened: Vec<(ConnId, u32)> = opened(&said);
            assert!(!opened.is_empty(), "nobody was dialled: {said:?}");
            said.clear();
            for (conn, peer) in opened {
                stage.hears(Input::Opened { conn, peer, via: Via::Dialled });
                said.extend(stage.says(conn, Message::Welcome(US, supernode(), Vec::new())));
                conns.push(conn);
            }
            if conns.len() < parents.len() {
                said.extend(stage.pass(2600));
            }
        }
        (stage, conns)
    }

    pub fn hears(&mut self, input: hexad_core::Inbound<Node<u32>>) -> Said {
        self.node.hears(input)
    }

    pub fn pass(&mut self, millis: u64) -> Said {
        self.node.pass(Span::from_millis(millis))
    }

    /// Somebody opens a connection and says what for.
    pub fn comes(&mut self, peer: u32, purpose: Purpose<u32>) -> (ConnId, Said) {
        let conn = self.node.accepted();
        self.hears(Input::Opened { conn, peer, via: Via::Accepted(doors::KAZAA) });
        let said = self.says(conn, Message::Hello(US, purpose));
        (conn, said)
    }

    /// A leaf that has been taken in.
    pub fn leaf_comes(&mut self, peer: u32) -> ConnId {
        let (conn, said) = self.comes(peer, Purpose::Leaf(card()));
        assert!(matches!(sent(&said, conn)[..], [Message::Welcome(you, ..)] if *you == peer), "{said:?}");
        conn
    }

    /// Another supernode that has been linked.
    pub fn peer_comes(&mut self, peer: u32) -> ConnId {
        let (conn, said) = self.comes(peer, Purpose::Supernode(supernode()));
        assert!(matches!(sent(&said, conn)[..], [Message::Welcome(..)]), "{said:?}");
        conn
    }

    /// Somebody says something over a connection.
    pub fn says(&mut self, conn: ConnId, message: Message<u32>) -> Said {
        self.hears(Input::Received(Link::Conn(conn), message))
    }

    pub fn datagram(&mut self, from: u32, message: Message<u32>) -> Said {
        self.hears(Input::Received(Link::Datagram(doors::KAZAA, from), message))
    }

    pub fn start(&mut self, operation: Operation<hexad_kazaa::Request>) -> (OpId, Said) {
        self.last_op += 1;
        let op = OpId(self.last_op);
        let said = self.hears(Input::Start(op, operation));
        (op, said)
    }

    /// Publishes a share, and lets it be signed.
    pub fn publishes(&mut self, name: &str) -> (OpId, Said) {
        let id = ShareId(100 + self.last_op);
        self.node.shares = self.node.shares.with(id, share(name));
        let (op, mut said) = self.start(Operation::Publish { share: id });
        said.extend(self.pass(20));
        (op, said)
    }
}

/// What was sent over a connection.
pub fn sent(said: &[Outbound<Node<u32>>], over: ConnId) -> Vec<&Message<u32>> {
    said.iter()
        .filter_map(|output| match output {
            Output::Send(Link::Conn(conn), message) if *conn == over => Some(message),
            _ => None,
        })
        .collect()
}

/// What was dialled.
pub fn opened(said: &[Outbound<Node<u32>>]) -> Vec<(ConnId, u32)> {
    said.iter()
        .filter_map(|output| match output {
            Output::Open(conn, to, _) => Some((*conn, *to)),
            _ => None,
        })
        .collect()
}

/// The codes of what was noted.
pub fn noted(said: &[Outbound<Node<u32>>]) -> Vec<&'static str> {
    said.iter()
        .filter_map(|output| match output {
            Output::Note(note) => Some(note.code),
            _ => None,
        })
        .collect()
}

/// Whether a connection was closed.
pub fn closed(said: &[Outbound<Node<u32>>], over: ConnId) -> bool {
    said.iter().any(|output| matches!(output, Output::Close(conn, _) if *conn == over))
}

/// What was reported of an operation.
pub fn reported(said: &[Outbound<Node<u32>>], of: OpId) -> Vec<&hexad_core::Progress<hexad_kazaa::Reply<u32>>> {
    said.iter()
        .filter_map(|output| match output {
            Output::Report(op, progress) if *op == of => Some(progress),
            _ => None,
        })
        .collect()
}
