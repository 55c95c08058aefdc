//! How many queries an ultrapeer with 30 neighbours and 100 leaves takes through codec and node on one core, how much memory it has then, and how
//! long matching a query against 100,000 files takes. Bytes in, bytes out, no sockets.
//!
//! `cargo run --release -p hexad-gnutella --example queries -- [QUERIES [FILES]]`, or `cargo xtask bench gnutella`.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "measures with the system's clock and its account of memory")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use hexad_content::{Digests, FileEntry, Layout, Ranges};
use hexad_core::{
    Codec as _, ConnId, Context, Cue, Dice, Endpoint, Input, Link, Node as _, OpId, Operation, Outbox, Output, Role, Rooms, Share, ShareId,
    Shares, Time, Via,
};
use hexad_gnutella::wire::qrp::{Table, hash};
use hexad_gnutella::wire::{Answer, Body, Codec, Connect, Guid, Headers, Message, Packet, Query};
use hexad_gnutella::{Mode, Node, Settings, doors};

const ULTRAPEERS: u64 = 30;
const LEAVES: u64 = 100;
const WORDS: u64 = 20_000;
/// Words of a leaf's files.
const LEAF_WORDS: u64 = 400;

struct Everywhere;

impl Rooms for Everywhere {
    fn room(&self, _: ConnId) -> u64 {
        1 << 20
    }
}

/// A node, its codecs, and what it says to whom.
struct Bench {
    node: Node,
    codecs: Vec<Codec>,
    outbox: Outbox<Node>,
    dice: Dice,
    shares: Shares,
    next_conn: u64,
    now: u64,
    out: BytesMut,
    bytes_out: u64,
    copies: u64,
}

fn word(number: u64) -> String {
    const SYLLABLES: [&str; 16] = ["ba", "co", "di", "fa", "go", "hu", "ja", "ke", "li", "mo", "nu", "pa", "ro", "sa", "te", "vi"];
    let mut rest = number + 17;
    let mut word = String::new();
    while rest > 0 {
        word.push_str(SYLLABLES[usize::try_from(rest % 16).unwrap_or(0)]);
        rest /= 16;
    }
    word
}

impl Bench {
    fn hear(&mut self, input: hexad_core::Inbound<Node>) {
        let mut cx = Context {
            now: Time::from_micros(self.now),
            epoch_unix_s: 1_800_000_000,
            dice: &mut self.dice,
            shares: &self.shares,
            next_conn: &mut self.next_conn,
            rooms: &Everywhere,
        };
        self.node.handle(input, &mut cx, &mut self.outbox);
        for output in self.outbox.drain() {
            if let Output::Send(Link::Conn(conn), message) = output {
                self.copies += u64::from(matches!(&message, Message::Packet(Packet { body: Body::Query(_), .. })));
                if let Some(codec) = self.codecs.get_mut(usize::try_from(conn.0 - 1).unwrap_or(usize::MAX)) {
                    codec.encode(&message, 0, &mut self.out);
                }
            }
        }
        self.bytes_out += self.out.len() as u64;
        self.out.clear();
    }

    fn read(&mut self, conn: ConnId, bytes: &[u8]) {
        let mut input = BytesMut::from(bytes);
        let place = usize::try_from(conn.0 - 1).unwrap_or(0);
        while let Ok(Some(message)) = self.codecs[place].decode(Cue::Bytes, &mut input, &mut BytesMut::new()) {
            self.hear(Input::Received(Link::Conn(conn), message));
        }
    }

    fn neighbour(&mut self, number: u64, ultrapeer: bool) {
        self.next_conn += 1;
        let conn = ConnId(self.next_conn);
        self.codecs.push(Codec::new(Role::Acceptor));
        let ip = [198, 51, u8::try_from(number / 250).unwrap_or(0), u8::try_from(number % 250).unwrap_or(0)];
        let peer = Endpoint::Ip(SocketAddr::from((ip, 6346)));
        self.hear(Input::Opened { conn, peer, via: Via::Accepted(doors::STREAM) });
        let mut text = BytesMut::new();
        let headers = Headers::new().with("X-Ultrapeer", if ultrapeer { "True" } else { "False" }).with("GGEP", "0.5");
        let mut theirs = Codec::new(Role::Dialler);
        theirs.encode(&Message::Connect(Box::new(Connect { classic: false, headers })), 0, &mut text);
        self.read(conn, &text);
        text.clear();
        theirs.encode(&Message::Answer(Box::new(Answer::yes(Headers::new()))), 0, &mut text);
        self.read(conn, &text);
        if !ultrapeer {
            let mut table = Table::new(1 << 16);
            (0..LEAF_WORDS).for_each(|place| table.insert(hash(&word((number * 7919 + place * place * 31) % WORDS))));
            for message in table.messages(None) {
                let mut bytes = BytesMut::new();
                Packet::new(Guid([1; 16]), 1, Body::Qrp(Box::new(message))).write(&mut bytes);
                self.read(conn, &bytes);
            }
        }
    }
}

/// Resident memory, MiB.
fn memory_mib() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages: f64 = pages.and_then(|text| text.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0.0);
    pages * 4096.0 / f64::from(1 << 20)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise: u64| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (count, files) = (number(2_000_000), number(100_000));
    let listen = SocketAddr::from(([203, 0, 113, 1], 6346));
    let settings = Settings {
        mode: Mode::Ultrapeer,
        listen: Some(listen),
        link_queries_per_s: 0,
        balance: false,
        discover: false,
        deflate: false,
        ..Settings::default()
    };
    let mut dice = Dice::counter(1, 1);
    let node = Node::new(settings.into(), &mut dice);
    let mut bench = Bench {
        node,
        codecs: Vec::new(),
        outbox: Outbox::new(),
        dice,
        shares: Shares::new(),
        next_conn: 0,
        now: 1_000_000,
        out: BytesMut::new(),
        bytes_out: 0,
        copies: 0,
    };
    bench.hear(Input::Start(OpId(1), Operation::Join { bootstrap: Vec::new() }));
    bench.hear(Input::Bound(doors::STREAM, Ok(listen)));
    (0..ULTRAPEERS).for_each(|number| bench.neighbour(number, true));
    (0..LEAVES).for_each(|number| bench.neighbour(1000 + number, false));
    let status = bench.node.status();
    println!("{} ultrapeers and {} leaves", status.ultrapeers, status.leaves);
    // On the last hop most queries come to an end; as many are passed on as to make two copies of each on average.
    let mut dice = Dice::counter(2, 2);
    let empty = memory_mib();
    let mut wire: Vec<(ConnId, Vec<u8>)> = Vec::new();
    const BATCH: u64 = 200;
    let mut made = 0;
    while made < count {
        let mut bytes = BytesMut::new();
        for _ in 0..BATCH {
            let ttl = if dice.chance(1, 15) { 2 } else { 1 };
            let text = format!("{} {}", word(dice.below(WORDS)), word(dice.below(WORDS)));
            let query = Query { flags: 0x8000, text, ext: Bytes::new() };
            Packet { muid: Guid::fresh(&mut dice), ttl, hops: 2, body: Body::Query(Arc::new(query)) }.write(&mut bytes);
        }
        wire.push((ConnId(1 + made / BATCH % ULTRAPEERS), bytes.to_vec()));
        made += BATCH;
    }
    let bytes_in: usize = wire.iter().map(|(_, bytes)| bytes.len()).sum();
    let before = memory_mib();
    // What is only there to be heard is not the node's.
    let held = before - empty;
    (bench.bytes_out, bench.copies) = (0, 0);
    let began = Instant::now();
    for (conn, bytes) in &wire {
        bench.now += 1000;
        bench.read(*conn, bytes);
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{made} queries in {seconds:.2} s: {:.0} a second on one core; {:.2} copies of each; {:.0} MiB/s in, {:.0} MiB/s out; {} ways back; {:.0} MiB resident, {:.0} MiB of them for what was heard",
        made as f64 / seconds,
        bench.copies as f64 / made as f64,
        bytes_in as f64 / seconds / f64::from(1 << 20),
        bench.bytes_out as f64 / seconds / f64::from(1 << 20),
        bench.node.status().routes,
        memory_mib() - held,
        memory_mib() - before,
    );
    matching(&mut bench, files);
}

/// How long it takes to answer a query, or not, from so many files.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn matching(bench: &mut Bench, files: u64) {
    let mut dice = Dice::counter(3, 3);
    let entries = (0..files).map(|number| {
        let name = format!("{} {} {} {number}.ogg", word(dice.below(WORDS)), word(dice.below(WORDS)), word(dice.below(WORDS)));
        FileEntry::plain(vec![name], 1000)
    });
    let Ok(layout) = Layout::folder("music".into(), entries.collect()) else { return };
    let held = Ranges::of(0..layout.total_bytes());
    let share = Share { layout: Arc::new(layout), digests: Digests::new(), proof: None, held, torrent: Bytes::new() };
    bench.shares = bench.shares.with(ShareId(1), share);
    let began = Instant::now();
    bench.hear(Input::Start(OpId(2), Operation::Publish { share: ShareId(1) }));
    println!("{files} files published in {:.2} s", began.elapsed().as_secs_f64());
    let mut times = Vec::new();
    for _ in 0..20_000 {
        let text = format!("{} {}", word(dice.below(WORDS)), word(dice.below(WORDS)));
        let query = Query { flags: 0x8000, text, ext: Bytes::new() };
        let packet = Packet { muid: Guid::fresh(&mut dice), ttl: 1, hops: 2, body: Body::Query(Arc::new(query)) };
        bench.now += 1000;
        let began = Instant::now();
        bench.hear(Input::Received(Link::Conn(ConnId(1)), Message::Packet(packet)));
        times.push(began.elapsed().as_nanos());
    }
    times.sort_unstable();
    let at = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let place = (times.len() as f64 * share) as usize;
        times[place.min(times.len() - 1)] as f64 / 1000.0
    };
    println!("a query against them: {:.1} µs in the median, {:.1} µs at 99 %", at(0.5), at(0.99));
}
