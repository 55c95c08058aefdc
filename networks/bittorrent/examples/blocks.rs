//! What a block costs the node of a leecher: from the message to the delivery and the next request, without sockets and codec.
//!
//! `cargo run --release -p hexad-bittorrent --example blocks`

#![expect(clippy::disallowed_types, clippy::unwrap_used, reason = "a benchmark looks at the clock, and may fail loudly")]

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hexad_bittorrent::wire::metainfo::MetainfoBuilder;
use hexad_bittorrent::wire::{ExtendedHandshake, Handshake, Message, frames::BLOCK_BYTES};
use hexad_bittorrent::{Config, Encryption, Node, doors};
use hexad_content::{Layout, Ranges, Sha1Digest};
use hexad_core::{
    Bind, Context, Dice, Endpoint, Inbound, Input, LeaseId, Link, Node as _, OpId, Operation, Outbound, Outbox, Output, Rooms, ShareId,
    Shares, Source, Time, Verdict, Via, What,
};

const PIECE: u64 = 1 << 20;
const PIECES: u32 = 4096;
const BATCH: usize = 63;

struct Room;

impl Rooms for Room {
    fn room(&self, _: hexad_core::ConnId) -> u64 {
        1 << 20
    }
}

struct World {
    node: Node,
    out: Outbox<Node>,
    dice: Dice,
    conns: u64,
    shares: Shares,
    now_us: u64,
}

impl World {
    fn hears(&mut self, input: Inbound<Node>) {
        let mut cx = Context {
            now: Time::from_micros(self.now_us),
            epoch_unix_s: 1_800_000_000,
            dice: &mut self.dice,
            shares: &self.shares,
            next_conn: &mut self.conns,
            rooms: &Room,
        };
        self.node.handle(input, &mut cx, &mut self.out);
    }

    fn said(&mut self) -> Vec<Outbound<Node>> {
        self.out.drain().collect()
    }
}

fn main() {
    let total = PIECE * u64::from(PIECES);
    let layout = Arc::new(Layout::single("big".into(), total).unwrap());
    let metainfo = MetainfoBuilder::new(layout, PIECE, vec![Sha1Digest([0; 20]); PIECES as usize]).build().unwrap();
    let config = Config {
        listen: Some(([0, 0, 0, 0], 6881).into()),
        encryption: Encryption::Off,
        dht: false,
        lsd: false,
        pex: false,
        ..Config::default()
    };
    let mut dice = Dice::counter(1, 1);
    let node = Node::new(config, &mut dice);
    let mut world = World { node, out: Outbox::new(), dice, conns: 0, shares: Shares::new(), now_us: 0 };
    world.hears(Input::Start(OpId(1), Operation::Join { bootstrap: Vec::new() }));
    for output in world.said() {
        if let Output::Listen(door, Bind::Stream(at) | Bind::Datagram(at)) = output {
            world.hears(Input::Bound(door, Ok(at)));
        }
    }
    let source = Source { what: What::Torrent(metainfo.encode().into()), peers: Vec::new() };
    world.hears(Input::Start(OpId(2), Operation::Fetch { source, lease: LeaseId(1), share: ShareId(1) }));
    world.hears(Input::Leased(LeaseId(1), Ranges::of(0..total)));
    let conn = hexad_core::ConnId(1_000_000);
    world.hears(Input::Opened { conn, peer: Endpoint::Ip(([192, 0, 2, 1], 6881).into()), via: Via::Accepted(doors::PEERS) });
    let handshake =
        Handshake { reserved: [0, 0, 0, 0, 0, 0x10, 0, 4], info_hash: metainfo.info.info_hash, peer_id: [7; 20], obfuscated: false };
    world.hears(Input::Received(Link::Conn(conn), Message::Handshake(handshake)));
    world.hears(Input::Received(Link::Conn(conn), Message::HaveAll));
    let extended = ExtendedHandshake { requests_max: Some(2000), ..ExtendedHandshake::default() };
    world.hears(Input::Received(Link::Conn(conn), extended.into()));
    world.hears(Input::Received(Link::Conn(conn), Message::Unchoke));

    let block = Bytes::from(vec![0; BLOCK_BYTES as usize]);
    let mut queue = std::collections::VecDeque::new();
    let (mut came, mut spent_ns, mut most) = (0_u64, 0_u128, 0);
    let mut left = vec![PIECE / u64::from(BLOCK_BYTES); PIECES as usize];
    loop {
        for output in world.said() {
            if let Output::Send(_, Message::Request(wanted)) = output {
                queue.push_back(wanted);
            }
        }
        most = most.max(queue.len());
        if queue.is_empty() {
            break;
        }
        let batch: Vec<_> = queue.drain(..queue.len().min(BATCH)).collect();
        world.now_us += 13 * batch.len() as u64;
        let messages: Vec<_> =
            batch.iter().map(|wanted| Message::Piece { piece: wanted.piece, begin: wanted.begin, data: block.clone().into() }).collect();
        let began = Instant::now();
        for message in messages {
            world.hears(Input::Received(Link::Conn(conn), message));
        }
        for wanted in &batch {
            left[wanted.piece as usize] -= 1;
            if left[wanted.piece as usize] == 0 {
                let range = u64::from(wanted.piece) * PIECE..u64::from(wanted.piece + 1) * PIECE;
                world.hears(Input::Judged(LeaseId(1), range, Verdict::Good));
            }
        }
        spent_ns += began.elapsed().as_nanos();
        came += batch.len() as u64;
    }
    println!("{came} blocks, {} ns a block, up to {most} under way", spent_ns / u128::from(came.max(1)));
}
