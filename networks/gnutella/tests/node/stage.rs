//! A node on a table, and the others who talk with it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, Layout, Proof, Ranges, Sha1Digest};
use hexad_core::transcript::Transcript;
use hexad_core::{ConnId, Dice, Endpoint, Input, Link, OpId, Operation, Outbound, Output, Share, ShareId, Span, Via, Why};
use hexad_gnutella::wire::qrp::{Table, hash};
use hexad_gnutella::wire::{Answer, Body, Connect, Guid, Headers, Message, Packet, Query};
use hexad_gnutella::{Mode, Node, Settings, doors};

pub type Said = Vec<Outbound<Node>>;

/// Where the node listens.
pub const OWN: &str = "203.0.113.1:6346";

pub struct Stage {
    pub table: Transcript<Node>,
    others: u8,
    ids: u64,
}

pub fn settings(mode: Mode) -> Settings {
    Settings { mode, listen: Some(OWN.parse().unwrap()), balance: false, ..Settings::default() }
}

pub fn headers(ultrapeer: Option<bool>) -> Headers {
    let headers = Headers::new().with("User-Agent", "Test/1").with("GGEP", "0.5").with("Bye-Packet", "0.1").with("Vendor-Message", "0.2");
    match ultrapeer {
        Some(true) => headers.with("X-Ultrapeer", "True").with("X-Degree", "16").with("X-Dynamic-Querying", "0.1"),
        Some(false) => headers.with("X-Ultrapeer", "False"),
        None => headers,
    }
}

impl Stage {
    /// A node that has joined, with its doors open.
    pub fn new(settings: Settings) -> Self {
        let bound: Option<SocketAddr> = settings.listen;
        let node = Node::new(settings.into(), &mut Dice::counter(7, 7));
        let mut stage = Self { table: Transcript::new(node, 1), others: 0, ids: 100 };
        stage.table.hears(Input::Start(OpId(1), Operation::Join { bootstrap: Vec::new() }));
        if let Some(bound) = bound {
            stage.table.hears(Input::Bound(doors::STREAM, Ok(bound)));
            stage.table.hears(Input::Bound(doors::DATAGRAM, Ok(bound)));
        }
        stage
    }

    /// Somebody dials.
    pub fn dialled_by_somebody(&mut self) -> ConnId {
        self.others += 1;
        let conn = self.table.accepted();
        let peer = Endpoint::Ip(SocketAddr::from(([198, 51, 100, self.others], 40_000)));
        self.table.hears(Input::Opened { conn, peer, via: Via::Accepted(doors::STREAM) });
        conn
    }

    pub fn hears(&mut self, conn: ConnId, message: Message) -> Said {
        self.table.hears(Input::Received(Link::Conn(conn), message))
    }

    pub fn hears_packet(&mut self, conn: ConnId, packet: Packet) -> Said {
        self.hears(conn, Message::Packet(packet))
    }

    /// Somebody who dials and greets; returns the answer.
    pub fn greeted(&mut self, headers: Headers) -> (ConnId, Answer) {
        let conn = self.dialled_by_somebody();
        let said = self.hears(conn, Message::Connect(Box::new(Connect { classic: false, headers })));
        let answer = said.iter().find_map(|output| match output {
            Output::Send(Link::Conn(to), Message::Answer(answer)) if *to == conn => Some((**answer).clone()),
            _ => None,
        });
        (conn, answer.expect("a greeting is answered"))
    }

    /// A neighbour that the node lets in.
    pub fn neighbour(&mut self, ultrapeer: Option<bool>) -> ConnId {
        let number = self.others + 1;
        let headers =
            headers(ultrapeer).with("Listen-IP", format!("198.51.100.{number}:6346")).with("GUID", Guid([number; 16]).to_string());
        let (conn, answer) = self.greeted(headers);
        assert!(answer.is_yes(), "{answer:?}");
        self.hears(conn, Message::Answer(Box::new(Answer::yes(Headers::new()))));
        conn
    }

    /// A leaf whose table has these words.
    pub fn leaf_with(&mut self, words: &[&str]) -> ConnId {
        let conn = self.neighbour(Some(false));
        let mut table = Table::new(1 << 14);
        words.iter().for_each(|word| table.insert(hash(word)));
        for message in table.messages(None) {
            self.hears_packet(conn, Packet::new(Guid([9; 16]), 1, Body::Qrp(Box::new(message))));
        }
        conn
    }

    /// Offers a file.
    pub fn offers(&mut self, name: &str) -> ShareId {
        self.publishes(name).0
    }

    /// Offers a file; returns what is said then.
    pub fn publishes(&mut self, name: &str) -> (ShareId, Said) {
        self.ids += 1;
        let layout = Arc::new(Layout::single(name.into(), 300_000).unwrap());
        let digests: Digests = [Digest::Sha1(Sha1Digest([7; 20]))].into_iter().collect();
        let proof = Proof::V1Pieces { piece_bytes: 1 << 16, total_bytes: 300_000, hashes: [Sha1Digest([1; 20]); 5].as_slice().into() };
        let share = Share { layout, digests, proof: Some(proof), held: Ranges::of(0..300_000), torrent: Bytes::new() };
        let id = ShareId(self.ids);
        self.table.shares = self.table.shares.with(id, share);
        let said = self.table.hears(Input::Start(OpId(self.ids), Operation::Publish { share: id }));
        (id, said)
    }

    pub fn starts(&mut self, operation: Operation<hexad_gnutella::Request>) -> (OpId, Said) {
        self.ids += 1;
        let op = OpId(self.ids);
        (op, self.table.hears(Input::Start(op, operation)))
    }

    pub fn passes(&mut self, seconds: u64) -> Said {
        self.table.pass(Span::from_secs(seconds))
    }

    pub fn closes(&mut self, conn: ConnId) -> Said {
        self.table.hears(Input::Closed(conn, Why::PeerClosed))
    }
}

pub fn query(id: u8, ttl: u8, hops: u8, text: &str) -> Packet {
    let query = Query { flags: 0x8000, text: text.into(), ext: Bytes::new() };
    Packet { muid: Guid([id; 16]), ttl, hops, body: Body::Query(Arc::new(query)) }
}

/// Queries that were sent: to whom, hops to go, hops travelled.
pub fn queries(said: &[Outbound<Node>]) -> Vec<(ConnId, u8, u8)> {
    said.iter()
        .filter_map(|output| match output {
            Output::Send(Link::Conn(conn), Message::Packet(Packet { ttl, hops, body: Body::Query(_), .. })) => Some((*conn, *ttl, *hops)),
            _ => None,
        })
        .collect()
}

/// Binary messages of other kinds that were sent to somebody.
pub fn packets(said: &[Outbound<Node>], to: ConnId) -> Vec<Packet> {
    said.iter()
        .filter_map(|output| match output {
            Output::Send(Link::Conn(conn), Message::Packet(packet)) if *conn == to => Some(packet.clone()),
            _ => None,
        })
        .collect()
}

/// The codes of what was dropped.
pub fn drops(said: &[Outbound<Node>]) -> Vec<&'static str> {
    said.iter().filter_map(|output| if let Output::Note(note) = output { Some(note.code) } else { None }).collect()
}

/// Whether somebody was sent away, with which code.
pub fn bye(said: &[Outbound<Node>], to: ConnId) -> Option<u16> {
    let closed = said.iter().any(|output| matches!(output, Output::Close(conn, _) if *conn == to));
    packets(said, to).iter().find_map(|packet| match &packet.body {
        Body::Bye(bye) if closed => Some(bye.code),
        _ => None,
    })
}
