//! Two hubs with a line between them, under virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::BytesMut;
use hexad_core::{Dice, Span, Time};
use hexad_utp::{Config, Hub, Key};

/// What the line does in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Bytes a second.
    pub rate: u64,
    /// One way.
    pub delay: Span,
    /// Bytes that wait at its head; what finds no room is lost.
    pub queue_bytes: u64,
    /// One of so many is lost by itself; 0 none.
    pub loss: u64,
    /// One of so many comes twice, and one of so many up to a quarter of the delay late; 0 none.
    pub disorder: u64,
}

impl Default for Manner {
    fn default() -> Self {
        Self { rate: 10_000_000, delay: Span::from_millis(50), queue_bytes: 1 << 20, loss: 0, disorder: 0 }
    }
}

/// One direction's head of the line.
#[derive(Debug, Default)]
struct Head {
    /// When what is in the queue will have left.
    free: Time,
}

/// Who sent a packet that is under way.
#[derive(Clone, Debug)]
pub enum Load {
    Utp(Vec<u8>),
    /// A packet of somebody else, by number.
    Other(u64),
}

/// The line and both its ends.
pub struct Line {
    pub now: Time,
    pub hubs: [Hub; 2],
    pub manner: Manner,
    heads: [Head; 2],
    flying: BTreeMap<(Time, u64), (usize, Load)>,
    count: u64,
    dice: Dice,
    /// Packets of others that have arrived, with their direction, for whoever simulates them.
    pub others: Vec<(usize, u64)>,
    /// Datagrams that were dropped at the ends, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// The longest queue that a packet of the first end met since this was last reset.
    pub queue_max: Span,
    pub lost: u64,
}

pub const ADDRESSES: [&str; 2] = ["192.0.2.1:1", "192.0.2.2:2"];

pub fn address(end: usize) -> SocketAddr {
    ADDRESSES[end].parse().unwrap()
}

impl Line {
    pub fn new(manner: Manner, config: &Config, seed: u64) -> Self {
        let hub = |end| Hub::new(config.clone(), Dice::counter(seed, end));
        Self {
            now: Time::from_micros(4_294_900_000),
            hubs: [hub(1), hub(2)],
            manner,
            heads: [Head::default(), Head::default()],
            flying: BTreeMap::new(),
            count: 0,
            dice: Dice::counter(seed, 3),
            others: Vec::new(),
            refused: BTreeMap::new(),
            queue_max: Span::ZERO,
            lost: 0,
        }
    }

    /// Puts a packet on the line; false when it is lost.
    pub fn send(&mut self, from: usize, bytes: u64, load: Load) -> bool {
        let head = &mut self.heads[from];
        let begins = head.free.max(self.now);
        let queue = begins.since(self.now);
        let queued_bytes = u64::try_from(queue.as_micros()).unwrap() * self.manner.rate / 1_000_000;
        if queued_bytes + bytes > self.manner.queue_bytes || (self.manner.loss > 0 && self.dice.chance(1, self.manner.loss)) {
            self.lost += 1;
            return false;
        }
        if from == 0 {
            self.queue_max = self.queue_max.max(queue);
        }
        head.free = begins + Span::from_micros(bytes * 1_000_000 / self.manner.rate);
        let mut arrives = head.free + self.manner.delay;
        if self.manner.disorder > 0 && self.dice.chance(1, self.manner.disorder) {
            arrives = arrives + self.manner.delay / 4;
        }
        let twice = self.manner.disorder > 0 && self.dice.chance(1, self.manner.disorder);
        for _ in 0..=u8::from(twice) {
            self.count += 1;
            self.flying.insert((arrives, self.count), (1 - from, load.clone()));
        }
        true
    }

    /// Lets both ends send what they want to.
    pub fn flush(&mut self) {
        for end in 0..2 {
            let mut leaving = Vec::new();
            self.hubs[end].transmit(self.now, |to, bytes| leaving.push((to, bytes.to_vec())));
            for (to, bytes) in leaving {
                if to == address(1 - end) {
                    // 28 bytes of IP and UDP.
                    self.send(end, bytes.len() as u64 + 28, Load::Utp(bytes));
                }
            }
        }
    }

    /// Goes to the next thing that happens, at `until` the latest; false there.
    pub fn step(&mut self, until: Time) -> bool {
        assert!(until >= self.now, "time goes backwards");
        self.flush();
        let next = [self.flying.keys().next().map(|(at, _)| *at), self.hubs[0].wake(), self.hubs[1].wake()].into_iter().flatten().min();
        let Some(next) = next.filter(|&next| next <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        while let Some(entry) = self.flying.first_entry()
            && entry.key().0 <= self.now
        {
            match entry.remove() {
                (to, Load::Utp(bytes)) => {
                    if let Err(why) = self.hubs[to].hear(address(1 - to), &bytes, self.now) {
                        *self.refused.entry(why).or_default() += 1;
                    }
                }
                (to, Load::Other(number)) => self.others.push((to, number)),
            }
        }
        self.flush();
        true
    }

    pub fn after(&self, span: Span) -> Time {
        self.now + span
    }

    /// Opens a connection from the first end, which says something as all who dial do, and takes it in at the second.
    pub fn connect(&mut self) -> (Key, Key) {
        let ours = self.hubs[0].connect(address(1), self.now).unwrap();
        let mut greeted = false;
        let until = self.after(Span::from_secs(60));
        loop {
            assert!(self.step(until), "never open");
            if !greeted {
                greeted = self.hubs[0].write(ours, b"!") == 1;
            }
            if let Some((theirs, from)) = self.hubs[1].accept() {
                assert_eq!(from, address(0));
                let mut greeting = Vec::new();
                while greeting.is_empty() {
                    self.drain(1, theirs, &mut greeting);
                    assert!(!greeting.is_empty() || self.step(until), "no greeting");
                }
                return (ours, theirs);
            }
        }
    }

    /// Reads all that is there.
    pub fn drain(&mut self, end: usize, key: Key, into: &mut Vec<u8>) {
        let mut buffer = BytesMut::with_capacity(1 << 16);
        while self.hubs[end].read(key, &mut buffer, usize::MAX) > 0 {
            into.extend_from_slice(&buffer);
            buffer.clear();
        }
    }

    /// Moves `bytes` from the first end to the second and says how long that took.
    pub fn carry(&mut self, (from, to): (Key, Key), bytes: &[u8], within: Span) -> Span {
        let (began, until) = (self.now, self.after(within));
        let (mut sent, mut came) = (0, Vec::new());
        while came.len() < bytes.len() {
            sent += self.hubs[0].write(from, &bytes[sent..]);
            assert!(self.step(until), "{} of {} bytes after {within:?}", came.len(), bytes.len());
            self.drain(1, to, &mut came);
        }
        assert!(came == bytes, "what came is not what was sent");
        self.now.since(began)
    }
}

/// `length` bytes that are not all the same.
pub fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}
