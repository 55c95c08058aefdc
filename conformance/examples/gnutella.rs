//! What an ultrapeer with 30 neighbours and 100 leaves takes in and gives out over sockets of this machine. Run by `cargo xtask bench gnutella`,
//! behind the measurement without sockets (`networks/gnutella/examples/queries.rs`), whose queries these are.
//!
//! `cargo run --release -p hexad-conformance --example gnutella -- [QUERIES]`

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use hexad_core::{Codec as _, Dice, OpId, Operation, Progress, Role};
use hexad_driver::Nothing;
use hexad_driver::host::{Host, HostConfig, HostEvent};
use hexad_gnutella::wire::qrp::{Table, hash};
use hexad_gnutella::wire::{Answer, Body, Codec, Connect, Guid, Headers, Message, Packet, Query};
use hexad_gnutella::{Config, Gnutella, Mode, Settings, doors};

const ULTRAPEERS: u64 = 30;
const LEAVES: u64 = 100;
const WORDS: u64 = 20_000;
/// Words of a leaf's files.
const LEAF_WORDS: u64 = 400;
/// Queries of one write.
const BATCH: u64 = 200;

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

/// A neighbour of the node, over a socket.
fn neighbour(at: SocketAddr, number: u64, ultrapeer: bool) -> TcpStream {
    let mut stream = TcpStream::connect(at).expect("the node listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    let mut codec = Codec::new(Role::Dialler);
    let headers = Headers::new().with("User-Agent", "Bench/1").with("X-Ultrapeer", if ultrapeer { "True" } else { "False" });
    let headers = headers.with("X-Degree", "30").with("X-Dynamic-Querying", "0.1").with("GGEP", "0.5");
    let mut bytes = BytesMut::new();
    codec.encode(&Message::Connect(Box::new(Connect { classic: false, headers })), 0, &mut bytes);
    stream.write_all(&bytes).expect("the node reads");
    let (mut answer, mut one) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut one).expect("the node answers");
        answer.push(one[0]);
    }
    assert!(answer.starts_with(b"GNUTELLA/0.6 200"), "{}", String::from_utf8_lossy(&answer));
    bytes.clear();
    codec.encode(&Message::Answer(Box::new(Answer::yes(Headers::new()))), 0, &mut bytes);
    if !ultrapeer {
        let mut table = Table::new(1 << 16);
        (0..LEAF_WORDS).for_each(|place| table.insert(hash(&word((number * 7919 + place * place * 31) % WORDS))));
        for message in table.messages(None) {
            Packet::new(Guid([1; 16]), 1, Body::Qrp(Box::new(message))).write(&mut bytes);
        }
    }
    stream.write_all(&bytes).expect("the node reads");
    stream
}

/// What comes of one link, message by message.
#[derive(Default)]
struct Reading {
    rest: Vec<u8>,
    queries: u64,
    pongs: u64,
}

impl Reading {
    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(head) = self.rest.get(at..at + 23) {
            let length = u32::from_le_bytes([head[19], head[20], head[21], head[22]]) as usize;
            if self.rest.len() < at + 23 + length {
                break;
            }
            self.queries += u64::from(head[16] == 0x80);
            self.pongs += u64::from(head[16] == 0x01);
            at += 23 + length;
        }
        self.rest.drain(..at);
    }
}

/// All queries, as they are written: which link, and bytes.
fn wire(count: u64) -> Vec<(usize, Vec<u8>)> {
    let mut dice = Dice::counter(2, 2);
    let mut all = Vec::new();
    for batch in 0..count / BATCH {
        let mut bytes = BytesMut::new();
        for _ in 0..BATCH {
            // On the last hop most queries come to an end; one of fifteen goes on to all neighbours, which makes two copies of each on average.
            let ttl = if dice.chance(1, 15) { 2 } else { 1 };
            let text = format!("{} {}", word(dice.below(WORDS)), word(dice.below(WORDS)));
            let query = Query { flags: 0x8000, text, ext: Bytes::new() };
            Packet { muid: Guid::fresh(&mut dice), ttl, hops: 2, body: Body::Query(Arc::new(query)) }.write(&mut bytes);
        }
        all.push((usize::try_from(batch % ULTRAPEERS).unwrap_or(0), bytes.to_vec()));
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let settings = Settings {
        mode: Mode::Ultrapeer,
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        link_queries_per_s: 0,
        strangers_max: 512,
        balance: false,
        discover: false,
        deflate: false,
        ..Settings::default()
    };
    let config: Config = settings.into();
    let (handle, mut events) = Host::<Gnutella>::start(config, HostConfig::default(), Arc::new(Nothing), Arc::new(Nothing));
    handle.start(OpId(1), Operation::Join { bootstrap: Vec::new() });
    let (mut address, mut joined) = (None, false);
    while address.is_none() || !joined {
        match events.blocking_recv().expect("the host runs") {
            HostEvent::Bound(doors::STREAM, at) => address = Some(at),
            HostEvent::Report(OpId(1), Progress::Done) => joined = true,
            HostEvent::Report(OpId(1), other) => panic!("the join has ended: {other:?}"),
            _ => {}
        }
    }
    let address = address.expect("just seen");
    let ultrapeers: Vec<TcpStream> = (0..ULTRAPEERS).map(|number| neighbour(address, number, true)).collect();
    let leaves: Vec<TcpStream> = (0..LEAVES).map(|number| neighbour(address, number, false)).collect();
    let readers: Vec<TcpStream> = ultrapeers.iter().chain(&leaves).map(|stream| stream.try_clone().expect("a socket")).collect();
    let wire = wire(count);
    let bytes_in: usize = wire.iter().map(|(_, bytes)| bytes.len()).sum();
    let (bytes_out, queries_out) = (AtomicU64::new(0), AtomicU64::new(0));
    let (finished, finish) = mpsc::channel();
    let read = || {
        let mut links: Vec<(TcpStream, Reading)> = readers.into_iter().map(|stream| (stream, Reading::default())).collect();
        links.iter().for_each(|(stream, _)| stream.set_read_timeout(Some(Duration::from_micros(1))).expect("a socket"));
        let mut buffer = vec![0; 256 << 10];
        // Each link's ping is answered behind its last query.
        while links.iter().filter(|(_, reading)| reading.pongs > 0).count() < ultrapeers.len() {
            for (stream, reading) in &mut links {
                match stream.read(&mut buffer) {
                    Ok(length) => {
                        bytes_out.fetch_add(length as u64, Ordering::Relaxed);
                        reading.take(&buffer[..length]);
                    }
                    Err(wrong) => assert!(matches!(wrong.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{wrong}"),
                }
            }
        }
        queries_out.store(links.iter().map(|(_, reading)| reading.queries).sum(), Ordering::Relaxed);
        finished.send(()).expect("somebody waits");
    };
    let seconds = std::thread::scope(|scope| {
        scope.spawn(read);
        let began = Instant::now();
        for (link, bytes) in &wire {
            (&ultrapeers[*link]).write_all(bytes).expect("the node reads");
        }
        let mut ping = BytesMut::new();
        Packet::new(Guid([7; 16]), 1, Body::Ping(Bytes::new())).write(&mut ping);
        ultrapeers.iter().for_each(|mut stream| stream.write_all(&ping).expect("the node reads"));
        finish.recv().expect("the reader tells");
        began.elapsed().as_secs_f64()
    });
    let copies = queries_out.load(Ordering::Relaxed);
    println!(
        "over sockets: {count} queries in {seconds:.2} s: {:.0} a second in, {:.0} copies a second out ({:.2} of each); {:.0} MiB/s in, {:.0} MiB/s out",
        count as f64 / seconds,
        copies as f64 / seconds,
        copies as f64 / count as f64,
        bytes_in as f64 / seconds / f64::from(1 << 20),
        bytes_out.load(Ordering::Relaxed) as f64 / seconds / f64::from(1 << 20),
    );
    handle.kill();
}
