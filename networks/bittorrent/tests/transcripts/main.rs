//! Conversations with a whole node: the test is the network, the host and the engine.

mod liars;
mod private;
mod strangers;

use std::net::SocketAddr;
use std::sync::Arc;

use hexad_bittorrent::wire::metainfo::MetainfoBuilder;
use hexad_bittorrent::wire::{ExtendedHandshake, Handshake, reserved};
use hexad_bittorrent::{Config, Encryption, Message, Node, doors};
use hexad_content::{Layout, Ranges, Sha1Digest};
use hexad_core::transcript::Transcript;
use hexad_core::{Answer, Ask, ConnId, Endpoint, Input, Level, Link, OpId, Operation, Outbound, Output, Share, ShareId, Span, Ticket, Via};

const PIECE: u64 = 64 << 10;
const BYTES: u64 = 10 * PIECE;
const LISTEN: &str = "192.0.2.1:6881";

/// A node that has joined, and all that it has said.
struct Bench {
    transcript: Transcript<Node>,
    said: Vec<Outbound<Node>>,
    ops: u64,
}

impl Bench {
    fn joined(config: Config) -> Self {
        let listen: SocketAddr = LISTEN.parse().unwrap();
        let config = Config { listen: Some(listen), encryption: Encryption::Off, ..config };
        let node = Node::new(config, &mut hexad_core::Dice::counter(1, 1));
        let mut bench = Self { transcript: Transcript::new(node, 2), said: Vec::new(), ops: 0 };
        bench.starts(Operation::Join { bootstrap: vec![address("198.51.100.1:6881").into()] });
        for door in [doors::PEERS, doors::DATAGRAMS, doors::LSD_V4] {
            if bench.said.iter().any(|output| matches!(output, Output::Listen(asked, _) if *asked == door)) {
                bench.hears(Input::Bound(door, Ok(listen)));
            }
        }
        // Nothing was stored in an earlier run.
        for (ticket, ask) in bench.asks() {
            if matches!(ask, Ask::Load(..)) {
                bench.hears(Input::Answered(ticket, Answer::Loaded(None)));
            }
        }
        bench
    }

    fn starts(&mut self, operation: Operation<hexad_bittorrent::Request>) -> OpId {
        self.ops += 1;
        self.hears(Input::Start(OpId(self.ops), operation));
        OpId(self.ops)
    }

    /// Publishes a complete share; returns its info hash.
    fn publishes(&mut self, private: bool, trackers: &[&str]) -> [u8; 20] {
        let (share, info_hash) = share(private, trackers);
        let id = ShareId(1);
        self.transcript.shares = self.transcript.shares.with(id, share);
        self.starts(Operation::Publish { share: id });
        info_hash
    }

    /// Hands an input in; what is said is appended to `said` and returned.
    fn hears(&mut self, input: hexad_core::Inbound<Node>) -> Vec<Outbound<Node>> {
        let said = self.transcript.hears(input);
        self.said.extend(said.iter().cloned());
        said
    }

    fn passes(&mut self, span: Span) -> Vec<Outbound<Node>> {
        let said = self.transcript.pass(span);
        self.said.extend(said.iter().cloned());
        said
    }

    fn is_told(&mut self, conn: ConnId, message: Message) -> Vec<Outbound<Node>> {
        self.hears(Input::Received(Link::Conn(conn), message))
    }

    /// Somebody connects.
    fn accepts(&mut self, from: &str) -> ConnId {
        let conn = self.transcript.accepted();
        self.hears(Input::Opened { conn, peer: address(from).into(), via: Via::Accepted(doors::PEERS) });
        conn
    }

    /// Somebody connects and introduces itself in full.
    fn is_met_by(&mut self, from: &str, info_hash: [u8; 20], id: u8) -> ConnId {
        let conn = self.accepts(from);
        self.is_told(conn, handshake(info_hash, id));
        let extensions = [("ut_pex".to_owned(), 2), ("ut_metadata".to_owned(), 3)].into_iter().collect();
        self.is_told(conn, ExtendedHandshake { extensions, listen_port: Some(7000), ..ExtendedHandshake::default() }.into());
        conn
    }

    fn asks(&self) -> Vec<(Ticket, Ask)> {
        let ask = |output: &Outbound<Node>| match output {
            Output::Ask(ticket, ask) => Some((*ticket, ask.clone())),
            _ => None,
        };
        self.said.iter().filter_map(ask).collect()
    }

    /// Whom the node has dialled.
    fn dialled(&self) -> Vec<SocketAddr> {
        let dialled = |output: &Outbound<Node>| match output {
            Output::Open(_, Endpoint::Ip(peer), _) => Some(*peer),
            _ => None,
        };
        self.said.iter().filter_map(dialled).collect()
    }

    /// What was said over a connection.
    fn heard_by(&self, conn: ConnId) -> Vec<Message> {
        let heard = |output: &Outbound<Node>| match output {
            Output::Send(Link::Conn(to), message) if *to == conn => Some(message.clone()),
            _ => None,
        };
        self.said.iter().filter_map(heard).collect()
    }

    /// Why a connection was closed.
    fn closed(&self, conn: ConnId) -> Option<String> {
        self.said.iter().find_map(|output| match output {
            Output::Close(closed, why) if *closed == conn => Some(why.to_string()),
            _ => None,
        })
    }

    /// The codes of what was noted, decisions for those who look closely left out.
    fn noted(&self) -> Vec<&'static str> {
        let noted = |output: &Outbound<Node>| match output {
            Output::Note(note) if note.level > Level::Debug => Some(note.code),
            _ => None,
        };
        self.said.iter().filter_map(noted).collect()
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn share(private: bool, trackers: &[&str]) -> (Share, [u8; 20]) {
    let layout = Arc::new(Layout::single("blue.ogg".into(), BYTES).unwrap());
    let hashes = (0..10).map(|piece| Sha1Digest([piece; 20])).collect();
    let tiers = trackers.iter().map(|url| vec![(*url).to_owned()]).collect();
    let metainfo = MetainfoBuilder { private, tiers, ..MetainfoBuilder::new(layout.clone(), PIECE, hashes) }.build().unwrap();
    let info_hash = metainfo.info.info_hash;
    let share = Share {
        layout,
        digests: metainfo.digests(),
        proof: Some(metainfo.proof()),
        held: Ranges::of(0..BYTES),
        torrent: metainfo.encode().into(),
    };
    (share, info_hash)
}

fn handshake(info_hash: [u8; 20], id: u8) -> Message {
    Message::Handshake(Handshake { reserved: reserved::ours(true, false), info_hash, peer_id: [id; 20], obfuscated: false })
}
