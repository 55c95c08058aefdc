//! A line under virtual time, for whoever wants to see what uTP does on it: the tests of this crate, and the lab.
//!
//! [`Line`] is two hubs with a rate, a delay and a queue between them, and faults; [`Reno`] is a plain TCP download beside them; [`Race`] lets
//! streams and downloads share the line and says what each of them got.

mod race;
mod reno;

use std::net::SocketAddr;

use bytes::BytesMut;
use hexad_core::{Dice, Map, Span, Time};

pub use self::race::{Lap, Race};
pub use self::reno::Reno;
use crate::{Config, Hub, Key};

/// Bytes of IP and UDP around each datagram.
const HEADERS_BYTES: u64 = 28;
/// Those of IP alone, which each fragment has.
const IP_BYTES: u64 = 20;
/// When a line begins: shortly before the microseconds of uTP's 32 bits begin anew.
const BEGAN: Time = Time::from_micros(4_294_900_000);
/// How long it may take until a connection is open.
const PATIENCE: Span = Span::from_secs(60);

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

/// What a packet that is under way carries.
#[derive(Clone, Debug)]
pub enum Load {
    /// A datagram of uTP.
    Utp(Vec<u8>),
    /// A packet of somebody else, by number.
    Other(u64),
}

/// What packets from the first end have met since this was last reset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue {
    /// The longest queue.
    pub longest: Span,
    /// All waits together.
    pub total: Span,
    /// How many packets that were.
    pub packets: u64,
}

impl Queue {
    /// What a packet waited, in the mean.
    #[must_use]
    pub fn mean(&self) -> Span {
        u32::try_from(self.packets.max(1)).map_or(Span::ZERO, |packets| self.total / packets)
    }
}

/// The line and both its ends.
#[derive(Debug)]
pub struct Line {
    /// The time.
    pub now: Time,
    /// What sends from either end.
    pub hubs: [Hub; 2],
    /// What the line does.
    pub manner: Manner,
    /// Bytes of the longest packet that it carries, headers included; whatever is longer is lost without a word. 0: any.
    pub mtu_bytes: u64,
    /// When what is in the queue of each direction will have left.
    free: [Time; 2],
    flying: Map<(Time, u64), (usize, Load)>,
    count: u64,
    dice: Dice,
    /// Packets of others that have arrived, with their direction, for whoever simulates them.
    pub others: Vec<(usize, u64)>,
    /// Datagrams that were dropped at the ends, by reason.
    pub refused: Map<&'static str, u64>,
    /// The queue at the first end.
    pub queue: Queue,
    /// Packets that were lost.
    pub lost: u64,
    /// Datagrams that were carried in fragments.
    pub fragmented: u64,
}

/// Where the ends are.
#[must_use]
pub fn address(end: usize) -> SocketAddr {
    let last = if end == 0 { 1 } else { 2 };
    SocketAddr::from(([192, 0, 2, last], last.into()))
}

impl Line {
    /// A line on which nothing is under way. All chance is of `seed`.
    #[must_use]
    pub fn new(manner: Manner, config: &Config, seed: u64) -> Self {
        let hub = |end| Hub::new(config.clone(), Dice::counter(seed, end));
        Self {
            now: BEGAN,
            hubs: [hub(1), hub(2)],
            manner,
            mtu_bytes: 0,
            free: [Time::ZERO; 2],
            flying: Map::new(),
            count: 0,
            dice: Dice::counter(seed, 3),
            others: Vec::new(),
            refused: Map::new(),
            queue: Queue::default(),
            lost: 0,
            fragmented: 0,
        }
    }

    /// Puts a packet on the line; false when it is lost.
    pub fn send(&mut self, from: usize, bytes: u64, load: Load) -> bool {
        let begins = self.free[from].max(self.now);
        let queue = begins.since(self.now);
        let queued_bytes = u64::try_from(queue.as_micros()).unwrap_or(u64::MAX).saturating_mul(self.manner.rate) / 1_000_000;
        let is_too_long = self.mtu_bytes > 0 && bytes > self.mtu_bytes;
        if is_too_long || queued_bytes + bytes > self.manner.queue_bytes || (self.manner.loss > 0 && self.dice.chance(1, self.manner.loss))
        {
            self.lost += 1;
            return false;
        }
        if from == 0 {
            self.queue.longest = self.queue.longest.max(queue);
            self.queue.total += queue;
            self.queue.packets += 1;
        }
        self.free[from] = begins + Span::from_micros(bytes * 1_000_000 / self.manner.rate.max(1));
        let mut arrives = self.free[from] + self.manner.delay;
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

    /// Puts a datagram on the line, in fragments where it is too long and may be; of those all arrive or none.
    fn send_datagram(&mut self, from: usize, datagram: Vec<u8>, may_fragment: bool) {
        let bytes = datagram.len() as u64 + HEADERS_BYTES;
        let room = self.mtu_bytes.saturating_sub(IP_BYTES);
        if self.mtu_bytes == 0 || bytes <= self.mtu_bytes || !may_fragment || room == 0 {
            self.send(from, bytes, Load::Utp(datagram));
            return;
        }
        self.fragmented += 1;
        let further = (bytes - IP_BYTES).div_ceil(room) - 1;
        let mtu_bytes = std::mem::take(&mut self.mtu_bytes);
        self.send(from, bytes + further * IP_BYTES, Load::Utp(datagram));
        self.mtu_bytes = mtu_bytes;
    }

    /// How long the line has been there.
    #[must_use]
    pub fn elapsed(&self) -> Span {
        self.now.since(BEGAN)
    }

    /// How many packets the line has carried.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.count
    }

    /// Lets both ends send what they want to.
    pub fn flush(&mut self) {
        for end in 0..2 {
            let mut leaving = Vec::new();
            self.hubs[end].transmit(self.now, |datagram| leaving.push((datagram.to, datagram.bytes.to_vec(), datagram.may_fragment)));
            for (to, bytes, may_fragment) in leaving {
                if to == address(1 - end) {
                    self.send_datagram(end, bytes, may_fragment);
                }
            }
        }
    }

    /// Goes to the next thing that happens, at `until` the latest; false there.
    pub fn step(&mut self, until: Time) -> bool {
        self.flush();
        let next = [self.flying.keys().next().map(|(at, _)| *at), self.hubs[0].wake(), self.hubs[1].wake()].into_iter().flatten().min();
        let Some(next) = next.filter(|&next| next <= until) else {
            self.now = self.now.max(until);
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

    /// The time `span` from this moment on.
    #[must_use]
    pub fn after(&self, span: Span) -> Time {
        self.now + span
    }

    /// Opens a connection from the first end, which says something as all who dial do, and takes it in at the second. `None` where the line lets
    /// nothing through.
    pub fn open(&mut self) -> Option<(Key, Key)> {
        let ours = self.hubs[0].connect(address(1), self.now)?;
        let mut greeted = false;
        let mut theirs = None;
        let until = self.after(PATIENCE);
        while self.step(until) {
            if !greeted {
                greeted = self.hubs[0].write(ours, b"!") == 1;
            }
            theirs = theirs.or_else(|| self.hubs[1].accept().map(|(theirs, _)| theirs));
            let mut greeting = Vec::new();
            if let Some(theirs) = theirs {
                self.drain(1, theirs, &mut greeting);
                if !greeting.is_empty() {
                    return Some((ours, theirs));
                }
            }
        }
        None
    }

    /// Reads all that is there.
    pub fn drain(&mut self, end: usize, key: Key, into: &mut Vec<u8>) {
        let mut buffer = BytesMut::with_capacity(1 << 16);
        while self.hubs[end].read(key, &mut buffer, usize::MAX) > 0 {
            into.extend_from_slice(&buffer);
            buffer.clear();
        }
    }
}
