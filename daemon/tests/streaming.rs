//! A player that reads a film while four networks bring it, each throttled: it begins at once, wherever it reads, and nothing comes twice for it.

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::sources::{FILM, counted_way, source};
use common::{DEADLINE, Home, bytes, chord, gnutella, kazaa, kazaa_founder, quiet_bittorrent};
use hexad_api::{Event, FetchRequest, GnutellaMode, How, Selection, Session as _, Settings, StreamRequest, Task};

const FILM_BYTES: usize = 24 << 20;
/// What each source gives a second: all four together need three seconds for the film.
const RATE: u64 = 2 << 20;
/// What every source that is counted gives.
const SOMETHING: u64 = 256 << 10;

/// What a task says, as it was heard.
struct Heard {
    task: Task,
    events: Vec<Event>,
}

impl Heard {
    /// The next event that `wanted` takes something of.
    fn await_event<T>(&mut self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.task.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    let found = wanted(&event);
                    self.events.push(event);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(_) => panic!("waited in vain for {what}: {:?}", self.events.iter().rev().take(20).collect::<Vec<_>>()),
            }
        }
    }

    /// What was said until this moment.
    fn now(&mut self) -> &[Event] {
        self.events.extend(self.task.events.try_iter());
        &self.events
    }
}

/// A player that reads from `from` on: what it has got is read with [`Player::reads`].
struct Player(BufReader<TcpStream>);

impl Player {
    fn at(address: &str, from: usize) -> Self {
        let (at, path) = address.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an address");
        let mut stream = TcpStream::connect(at).expect("somebody listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {at}\r\nRange: bytes={from}-\r\nConnection: close\r\n\r\n").expect("sent");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("an answer");
        assert!(line.contains(" 206 "), "{line}");
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line).expect("a head");
        }
        Self(reader)
    }

    fn reads(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("what was asked for");
        bytes
    }
}

#[test]
fn a_player_reads_at_once_what_four_networks_bring_and_nothing_comes_twice_for_it() {
    let (_seed_home, _seed, seed, link) = source(quiet_bittorrent(), FILM_BYTES, RATE);
    let (_servent_home, _servent, servent, _) = source(gnutella(GnutellaMode::Ultrapeer, &[]), FILM_BYTES, RATE);
    let (_ring_home, _ring, ring, _) = source(chord(&[]), FILM_BYTES, RATE);
    let (_supernode_home, _supernode, supernode, _) = source(kazaa_founder(), FILM_BYTES, RATE);
    let ways = [seed, servent].map(|at| counted_way(at.parse::<SocketAddr>().expect("an address")));

    let home = Home::new();
    let networks = vec![quiet_bittorrent(), chord(&[ring]), gnutella(GnutellaMode::Ultrapeer, &[]), kazaa(&supernode)];
    let session = hexad_daemon::open(&Settings { networks, ..Settings::default() }).expect("a session");
    let fetch = FetchRequest {
        source: link,
        on: Vec::new(),
        into: home.folder("downloads"),
        peers: ways.iter().map(|(at, _)| at.to_string()).collect(),
        select: Selection::default(),
        seed: false,
        how: How::default(),
    };
    let task = session.stream(StreamRequest { fetch, http: (Ipv4Addr::LOCALHOST, 0).into() }).expect("a task");
    let mut heard = Heard { task, events: Vec::new() };
    let address = heard.await_event("an address for players", |event| match event {
        Event::Listening { address, purpose, .. } if purpose == "stream" => Some(address.clone()),
        _ => None,
    });
    let film = bytes(FILM_BYTES, FILM);
    let is_complete = |events: &[Event]| events.iter().any(|event| matches!(event, Event::Complete { .. }));

    // From the front, then a leap close to the end, then one into the middle; each place is read for a while.
    let began = Instant::now();
    for from in [0, FILM_BYTES - (2 << 20), FILM_BYTES / 2] {
        let mut player = Player::at(&address, from);
        for step in 0..4 {
            let at = from + step * (256 << 10);
            assert!(player.reads(256 << 10) == film[at..at + (256 << 10)], "what is read at {at} is what was published");
        }
        println!("a mebibyte from {from} on is read after {:.2} s", began.elapsed().as_secs_f64());
        assert!(!is_complete(heard.now()), "it is read before the rest is there");
    }
    let mut whole = Player::at(&address, 0);
    assert!(whole.reads(FILM_BYTES) == film, "all of it");
    let came = heard.await_event("the film to be complete", |event| match event {
        Event::Complete { downloaded_bytes, .. } => Some(*downloaded_bytes),
        _ => None,
    });
    let counted = ways.map(|(_, came)| came.load(Ordering::Relaxed));
    println!("{came} bytes for {FILM_BYTES} in {:.2} s, of them by BitTorrent and Gnutella {counted:?}", began.elapsed().as_secs_f64());
    assert!(counted.iter().all(|&bytes| bytes >= SOMETHING), "several give at once: {counted:?}");
    assert!(counted.iter().sum::<u64>() + SOMETHING < FILM_BYTES as u64, "and they are not the only ones: {counted:?}");
    assert!(came * 100 <= FILM_BYTES as u64 * 115, "{came} bytes have come for {FILM_BYTES}");
    assert!(began.elapsed() > Duration::from_secs(2), "each is throttled");
}
