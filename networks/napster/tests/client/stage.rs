//! A client on a table.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_content::{Digest, Digests, Layout, Proof, Ranges, Sha1Digest};
use hexad_core::transcript::Transcript;
use hexad_core::{
    Codec as _, ConnId, Endpoint, Inbound, Input, LeaseId, Link, OpId, Operation, Outbound, Output, Progress, Share, ShareId, Source, Span,
    Via, What, Why,
};
use hexad_napster::wire::peer::Peer;
use hexad_napster::wire::{Message, NapsterCodec, ToClient};
use hexad_napster::{ClientConfig, Locator, Node, Reply, Request, doors};

/// What the node does, in words: `open ADDRESS`, `N data` for a message to a server, `peer …` for one to a program, `close`.
pub type Said = Vec<(u64, String)>;

pub struct Stage {
    pub table: Transcript<Node>,
    pub reports: Vec<(OpId, Progress<Reply>)>,
    pub notes: Vec<&'static str>,
    pub delivered: Vec<(u64, u64)>,
    pub sent_shares: Vec<(ConnId, ShareId, std::ops::Range<u64>)>,
    last_op: u64,
}

pub const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 8888);

pub fn config() -> ClientConfig {
    ClientConfig { nick: "me".into(), listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), speed: 8, ..ClientConfig::default() }
}

impl Stage {
    pub fn new(client: ClientConfig) -> Self {
        let mut dice = hexad_core::Dice::counter(7, 7);
        let node = Node::new(client.into(), &mut dice);
        let table = Transcript::new(node, 1);
        Self { table, reports: Vec::new(), notes: Vec::new(), delivered: Vec::new(), sent_shares: Vec::new(), last_op: 0 }
    }

    pub fn hears(&mut self, input: Inbound<Node>) -> Said {
        let said = self.table.hears(input);
        self.carry_out(said)
    }

    pub fn pass(&mut self, span: Span) -> Said {
        let said = self.table.pass(span);
        self.carry_out(said)
    }

    fn carry_out(&mut self, outputs: Vec<Outbound<Node>>) -> Said {
        let mut said = Said::new();
        for output in outputs {
            match output {
                Output::Open(conn, to, _) => said.push((conn.0, format!("open {to}"))),
                Output::Close(conn, _) => said.push((conn.0, "close".into())),
                Output::Listen(door, _) => said.push((0, format!("listen {}", door.0))),
                Output::Send(Link::Conn(conn), Message::ToServer(message)) => {
                    let mut bytes = BytesMut::new();
                    message.write(&mut bytes);
                    said.push((conn.0, format!("{} {}", message.number(), String::from_utf8_lossy(&bytes[4..])).trim_end().to_owned()));
                }
                Output::Send(Link::Conn(conn), message @ Message::Peer(_)) => {
                    let mut bytes = BytesMut::new();
                    NapsterCodec::new(hexad_core::Role::Acceptor, None).encode(&message, 0, &mut bytes);
                    said.push((conn.0, format!("peer {}", String::from_utf8_lossy(&bytes)).trim_end().to_owned()));
                }
                Output::SendShare(conn, _, share, range) => self.sent_shares.push((conn, share, range)),
                Output::Deliver(_, offset, payload) => self.delivered.push((offset, payload.len())),
                Output::Report(op, progress) => self.reports.push((op, progress)),
                Output::Note(note) => self.notes.push(note.code),
                other => panic!("{other:?}"),
            }
        }
        said
    }

    pub fn start(&mut self, operation: Operation<Request>) -> (OpId, Said) {
        self.last_op += 1;
        let op = OpId(self.last_op);
        let said = self.hears(Input::Start(op, operation));
        (op, said)
    }

    /// How an operation stands, hits left out.
    pub fn outcome(&self, op: OpId) -> Option<&Progress<Reply>> {
        self.reports.iter().rev().find(|(of, progress)| *of == op && !matches!(progress, Progress::Hit(_))).map(|(_, progress)| progress)
    }

    /// A server says something on a connection.
    pub fn server_says(&mut self, conn: u64, number: u16, data: impl AsRef<[u8]>) -> Said {
        let message = ToClient::read(number, data.as_ref());
        assert!(!matches!(message, ToClient::Unreadable { .. }), "{message:?}");
        self.hears(Input::Received(Link::Conn(ConnId(conn)), Message::ToClient(message)))
    }

    pub fn peer_says(&mut self, conn: u64, message: Peer) -> Said {
        self.hears(Input::Received(Link::Conn(ConnId(conn)), Message::Peer(message)))
    }

    pub fn opens(&mut self, conn: u64, to: ([u8; 4], u16)) -> Said {
        self.hears(Input::Opened { conn: ConnId(conn), peer: Endpoint::Ip(SocketAddr::from(to)), via: Via::Dialled })
    }

    /// A peer connects to our data port.
    pub fn accepts(&mut self) -> (u64, Said) {
        let conn = self.table.accepted();
        let peer = Endpoint::Ip(SocketAddr::from(([127, 0, 0, 9], 40_000)));
        let said = self.hears(Input::Opened { conn, peer, via: Via::Accepted(doors::PEERS) });
        (conn.0, said)
    }

    pub fn closes(&mut self, conn: u64) -> Said {
        self.hears(Input::Closed(ConnId(conn), Why::PeerClosed))
    }

    /// Logged in at a server of another program; returns the connection.
    pub fn joined(client: ClientConfig) -> (Self, u64) {
        let mut stage = Self::new(client);
        let listens = stage.start(Operation::Join { bootstrap: vec![Endpoint::Ip(SocketAddr::from(SERVER))] }).1;
        let opens = match &listens[..] {
            [(0, listen)] if listen.starts_with("listen") => {
                stage.hears(Input::Bound(doors::PEERS, Ok(SocketAddr::from(([127, 0, 0, 1], 6699)))))
            }
            _ => listens,
        };
        let [(conn, open)] = &opens[..] else { panic!("{opens:?}") };
        assert_eq!(open, "open 127.0.0.1:8888");
        let conn = *conn;
        stage.opens(conn, SERVER);
        stage.server_says(conn, 3, "anon@localhost");
        stage.server_says(conn, 621, "VERSION opennap-ng 0.50-beta2.poll.thread");
        stage.server_says(conn, 214, "1 0 0");
        (stage, conn)
    }

    /// Puts a file into what the node sees.
    pub fn has(&mut self, id: u64, name: &str, bytes: u64) {
        self.table.shares = self.table.shares.with(ShareId(id), share(name, bytes));
    }

    pub fn fetch(&mut self, locator: &Locator, peers: Vec<Endpoint>) -> (OpId, Said) {
        let source = Source { what: What::Locator(locator.write()), peers };
        self.start(Operation::Fetch { source, lease: LeaseId(7), share: ShareId(77) })
    }
}

pub fn share(name: &str, bytes: u64) -> Share {
    let layout = Arc::new(Layout::single(name.into(), bytes).unwrap());
    let hashes = (0..bytes.div_ceil(1 << 16)).map(|_| Sha1Digest([5; 20])).collect();
    let digests: Digests = [Digest::Sha1(Sha1Digest([1; 20]))].into_iter().collect();
    let proof = Some(Proof::V1Pieces { piece_bytes: 1 << 16, total_bytes: bytes, hashes });
    Share { layout, digests, proof, held: Ranges::of(0..bytes), torrent: Bytes::new() }
}

/// What the node calls that file's content.
pub const TOKEN: &str = "hxsaeaqcaibaeaqcaibaeaqcaibaeaqcaib";
