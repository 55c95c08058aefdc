//! A node on a table, and peers played by the test.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Layout, Magnet, Ranges, Sha1Digest};
use hexad_core::transcript::Transcript;
use hexad_core::{
    ConnId, Dice, Endpoint, Inbound, Input, LeaseId, Level, Link, OpId, Operation, Outbound, Output, Payload, Progress, Share, ShareId,
    Source, Span, Verdict, Via, What,
};

use crate::doors;
use crate::node::{Config, Encryption, Node};
use crate::wire::frames::BLOCK_BYTES;
use crate::wire::metainfo::{Metainfo, MetainfoBuilder};
use crate::wire::{BlockRef, ExtendedHandshake, Handshake, Message};

pub type Said = Vec<Outbound<Node>>;

pub const JOIN: OpId = OpId(1);
pub const FETCH: OpId = OpId(2);
pub const PUBLISH: OpId = OpId(3);
pub const LEASE: LeaseId = LeaseId(1);
pub const SHARE: ShareId = ShareId(1);
/// Blocks of a piece.
pub const BLOCKS: u32 = 2;
pub const PIECE: u64 = (BLOCKS * BLOCK_BYTES) as u64;

pub struct Bench {
    pub talk: Transcript<Node>,
    pub torrent: Metainfo,
}

pub fn config() -> Config {
    Config {
        listen: Some(([0, 0, 0, 0], 6881).into()),
        encryption: Encryption::Off,
        dht: false,
        pex: false,
        lsd: false,
        swarm_connections_max: 10,
        ..Config::default()
    }
}

pub fn torrent(pieces: u32, private: bool) -> Metainfo {
    let layout = Arc::new(Layout::single("blue.ogg".into(), u64::from(pieces) * PIECE).unwrap());
    let hashes = (0..pieces).map(|piece| Sha1Digest([u8::try_from(piece).unwrap(); 20])).collect();
    MetainfoBuilder { private, ..MetainfoBuilder::new(layout, PIECE, hashes) }.build().unwrap()
}

pub fn peer(last: u8) -> Endpoint {
    Endpoint::Ip(SocketAddr::from(([192, 0, 2, last], 6881)))
}

pub fn id(last: u8) -> [u8; 20] {
    let mut id = *b"-XX0001-000000000000";
    id[19] = last;
    id
}

impl Bench {
    pub fn new(config: Config, pieces: u32) -> Self {
        Self::of(config, torrent(pieces, false))
    }

    pub fn of(config: Config, torrent: Metainfo) -> Self {
        let node = Node::new(config, &mut Dice::counter(1, 1));
        Self { talk: Transcript::new(node, 2), torrent }
    }

    /// A node that has joined, with a torrent in mind.
    pub fn joined(config: Config, pieces: u32) -> Self {
        Self::new(config, pieces).joins()
    }

    pub fn joins(mut self) -> Self {
        let listen = self.talk.hears(Input::Start(JOIN, Operation::Join { bootstrap: Vec::new() }));
        for output in listen {
            if let Output::Listen(door, hexad_core::Bind::Stream(at) | hexad_core::Bind::Datagram(at)) = output {
                self.talk.hears(Input::Bound(door, Ok(at)));
            }
        }
        self
    }

    pub fn hears(&mut self, input: Inbound<Node>) -> Said {
        self.talk.hears(input)
    }

    pub fn pass(&mut self, span: Span) -> Said {
        self.talk.pass(span)
    }

    pub fn says(&mut self, conn: ConnId, message: Message) -> Said {
        self.hears(Input::Received(Link::Conn(conn), message))
    }

    pub fn share(&self, held: Ranges) -> Share {
        Share {
            layout: self.torrent.info.layout.clone(),
            digests: self.torrent.digests(),
            proof: Some(self.torrent.proof()),
            held,
            torrent: self.torrent.encode().into(),
        }
    }

    pub fn total(&self) -> u64 {
        self.torrent.info.layout.total_bytes()
    }

    /// Everything is here, and is to be offered.
    pub fn starts_publish(&mut self) -> Said {
        let share = self.share(Ranges::of(0..self.total()));
        self.talk.shares = self.talk.shares.with(SHARE, share);
        self.hears(Input::Start(PUBLISH, Operation::Publish { share: SHARE }))
    }

    /// Everything is here, and offered.
    pub fn seeds(mut self) -> Self {
        let said = self.starts_publish();
        assert!(said.contains(&Output::Report(PUBLISH, Progress::Done)));
        self
    }

    /// A fetch of the whole torrent, from nobody in particular.
    pub fn fetches(mut self) -> Self {
        let what = What::Torrent(self.torrent.encode().into());
        self.starts_fetch(what, Vec::new());
        self.leases(0..self.total());
        self
    }

    pub fn starts_fetch(&mut self, what: What, peers: Vec<Endpoint>) -> Said {
        self.hears(Input::Start(FETCH, Operation::Fetch { source: Source { what, peers }, lease: LEASE, share: SHARE }))
    }

    pub fn link(&self) -> What {
        let digests = [Digest::TorrentV1(Sha1Digest(self.torrent.info.info_hash))].into_iter().collect();
        What::Magnet(Box::new(Magnet { digests, ..Magnet::default() }))
    }

    pub fn leases(&mut self, range: std::ops::Range<u64>) -> Said {
        let share = self.share(Ranges::new());
        self.talk.shares = self.talk.shares.with(SHARE, share);
        self.hears(Input::Leased(LEASE, Ranges::of(range)))
    }

    pub fn handshake(&self, last: u8, fast: bool) -> Message {
        let reserved = [0, 0, 0, 0, 0, 0x10, 0, if fast { 4 } else { 0 }];
        Message::Handshake(Handshake { reserved, info_hash: self.torrent.info.info_hash, peer_id: id(last), obfuscated: false })
    }

    /// A peer connects and is welcomed; returns what it is told at once.
    pub fn meets(&mut self, last: u8, fast: bool) -> (ConnId, Said) {
        let conn = self.talk.accepted();
        self.hears(Input::Opened { conn, peer: peer(last), via: Via::Accepted(doors::PEERS) });
        let said = self.says(conn, self.handshake(last, fast));
        (conn, said)
    }

    /// A peer that has everything, and unchokes us.
    pub fn meets_seed(&mut self, last: u8) -> (ConnId, Said) {
        let (conn, _) = self.meets(last, true);
        self.says(conn, Message::HaveAll);
        let said = self.says(conn, Message::Unchoke);
        (conn, said)
    }

    pub fn gives(&mut self, conn: ConnId, block: BlockRef) -> Said {
        let data = Payload::Bytes(Bytes::from(vec![0; block.length as usize]));
        self.says(conn, Message::Piece { piece: block.piece, begin: block.begin, data })
    }

    /// Gives all that is asked for until nothing is; returns all that was said.
    pub fn gives_all(&mut self, conn: ConnId, asked: &Said) -> Said {
        let mut queue = requests(conn, asked);
        let mut all = Said::new();
        while let Some(block) = queue.pop() {
            let said = self.gives(conn, block);
            queue.extend(requests(conn, &said));
            all.extend(said);
        }
        all
    }

    pub fn judged(&mut self, piece: u32, verdict: Verdict) -> Said {
        let range = u64::from(piece) * PIECE..u64::from(piece + 1) * PIECE;
        self.hears(Input::Judged(LEASE, range, verdict))
    }

    pub fn extended(&self, size: Option<u32>) -> Message {
        let extensions = crate::wire::extended::our_extensions(true, false);
        Message::from(ExtendedHandshake { extensions, metadata_bytes: size, ..ExtendedHandshake::default() })
    }
}

/// What is asked of a peer.
pub fn requests(conn: ConnId, said: &Said) -> Vec<BlockRef> {
    said.iter()
        .filter_map(|output| match output {
            Output::Send(Link::Conn(to), Message::Request(block)) if *to == conn => Some(*block),
            _ => None,
        })
        .collect()
}

/// What a peer is told.
pub fn told(conn: ConnId, said: &Said) -> Vec<Message> {
    said.iter()
        .filter_map(|output| match output {
            Output::Send(Link::Conn(to), message) if *to == conn => Some(message.clone()),
            _ => None,
        })
        .collect()
}

/// Why a connection is closed.
pub fn closed(conn: ConnId, said: &Said) -> Option<String> {
    said.iter().find_map(|output| match output {
        Output::Close(of, why) if *of == conn => Some(why.to_string()),
        _ => None,
    })
}

/// Who is dialled, and how.
pub fn dialled(said: &Said) -> Vec<(ConnId, Endpoint, u8)> {
    said.iter()
        .filter_map(|output| match output {
            Output::Open(conn, peer, dial) => Some((*conn, peer.clone(), dial.manner)),
            _ => None,
        })
        .collect()
}

/// Codes of notes at that level.
pub fn notes(level: Level, said: &Said) -> Vec<&'static str> {
    said.iter()
        .filter_map(|output| match output {
            Output::Note(note) if note.level == level => Some(note.code),
            _ => None,
        })
        .collect()
}

pub fn delivered(said: &Said) -> Vec<(u64, u64)> {
    said.iter()
        .filter_map(|output| match output {
            Output::Deliver(LEASE, at, payload) => Some((*at, payload.len())),
            _ => None,
        })
        .collect()
}

pub fn reports(op: OpId, said: &Said) -> Vec<&Progress<crate::node::Reply>> {
    said.iter()
        .filter_map(|output| match output {
            Output::Report(of, progress) if *of == op => Some(progress),
            _ => None,
        })
        .collect()
}
