//! uTP gives way: it keeps the queue at the bottleneck short, and leaves the line to a TCP download beside it.

use std::collections::BTreeMap;

use hexad_core::{Span, Time};
use hexad_utp::{Config, Key};

use super::line::{Line, Load, Manner, bytes};

const PACKET: u64 = 1_500;

/// A Reno download over the same line, as plain as its textbook: slow start, one packet more a round trip, half after a loss.
struct Reno {
    next: u64,
    window: f64,
    threshold: f64,
    flying: BTreeMap<u64, Time>,
    recover: u64,
    delivered: u64,
}

impl Reno {
    fn new() -> Self {
        Self { next: 0, window: 2.0, threshold: 1e9, flying: BTreeMap::new(), recover: 0, delivered: 0 }
    }

    fn send(&mut self, line: &mut Line) {
        while (self.flying.len() as f64) < self.window {
            self.flying.insert(self.next, line.now);
            line.send(0, PACKET, Load::Other(self.next));
            self.next += 1;
        }
    }

    /// Acknowledgements are taken to be back at once after the line's delay: they never queue.
    fn acked(&mut self, number: u64) {
        if self.flying.remove(&number).is_none() {
            return;
        }
        self.delivered += PACKET;
        self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
        let lost: Vec<u64> = self.flying.range(..number.saturating_sub(3)).map(|(lost, _)| *lost).collect();
        for lost in lost {
            self.flying.remove(&lost);
            if lost >= self.recover {
                self.recover = self.next;
                self.window = (self.window / 2.0).max(2.0);
                self.threshold = self.window;
            }
        }
    }
}

/// Runs uTP (and Reno, where there is one) for so long; returns what uTP has delivered.
fn run(line: &mut Line, (from, to): (Key, Key), mut reno: Option<&mut Reno>, span: Span) -> u64 {
    let until = line.after(span);
    let chunk = bytes(1 << 16);
    let mut acks: BTreeMap<(Time, u64), ()> = BTreeMap::new();
    let mut came = Vec::new();
    let mut delivered = 0;
    while line.now < until {
        while line.hubs[0].write(from, &chunk) == chunk.len() {}
        if let Some(reno) = reno.as_deref_mut() {
            while let Some((&(at, number), ())) = acks.first_key_value()
                && at <= line.now
            {
                acks.remove(&(at, number));
                reno.acked(number);
            }
            reno.send(line);
        }
        let next_ack = acks.keys().next().map_or(until, |(at, _)| *at);
        line.step(until.min(next_ack));
        for (_, number) in std::mem::take(&mut line.others) {
            if reno.is_some() {
                acks.insert((line.after(line.manner.delay), number), ());
            }
        }
        came.clear();
        line.drain(1, to, &mut came);
        delivered += came.len() as u64;
    }
    delivered
}

/// 2 MB/s, 40 ms, and a queue of half a second: what home routers have.
fn home() -> Manner {
    Manner { rate: 2_000_000, delay: Span::from_millis(20), queue_bytes: 1_000_000, ..Manner::default() }
}

#[test]
fn alone_it_fills_the_line_and_keeps_the_queue_at_its_target() {
    let mut line = Line::new(home(), &Config::default(), 1);
    let pair = line.connect();
    run(&mut line, pair, None, Span::from_secs(30));
    line.queue_max = Span::ZERO;
    let delivered = run(&mut line, pair, None, Span::from_secs(30));
    assert!(delivered > 30 * 1_800_000, "{delivered} of 60,000,000 bytes");
    assert!(line.queue_max < Span::from_millis(150), "a queue of {:?} where 500 ms fit", line.queue_max);
}

#[test]
fn beside_a_tcp_download_it_gives_way_and_comes_back_afterwards() {
    let mut line = Line::new(home(), &Config::default(), 2);
    let pair = line.connect();
    run(&mut line, pair, None, Span::from_secs(20));
    let mut reno = Reno::new();
    run(&mut line, pair, Some(&mut reno), Span::from_secs(20));
    reno.delivered = 0;
    let beside = run(&mut line, pair, Some(&mut reno), Span::from_secs(60));
    assert!(reno.delivered > beside * 4, "TCP {} bytes, uTP {beside}", reno.delivered);
    assert!(reno.delivered + beside > 60 * 1_800_000, "the line is full: {} + {beside}", reno.delivered);
    run(&mut line, pair, None, Span::from_secs(20));
    let alone = run(&mut line, pair, None, Span::from_secs(20));
    assert!(alone > 20 * 1_700_000, "{alone} of 40,000,000 bytes after the download");
}
