//! What was counted.

use hexad_core::Map;

use crate::Fired;

/// How often one kind of message was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCount {
    /// Messages.
    pub messages: u64,
    /// Bytes on the wire, bodies included.
    pub bytes: u64,
}

/// What went over one node's link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent, bodies included.
    pub sent_bytes: u64,
    /// Bytes received, bodies included.
    pub received_bytes: u64,
    /// Bytes of shares sent.
    pub sent_share_bytes: u64,
    /// Bytes of shares received.
    pub received_share_bytes: u64,
}

/// Counts of a whole run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Events carried out.
    pub events: u64,
    /// Faults that have struck.
    pub fired: Fired,
    /// Messages whose encoding was read as something else, or took other than `wire_bytes` (codec on).
    pub codec_differences: u64,
    /// Messages that could not be read (codec on), or had no encoding.
    pub malformed: u64,
    /// Blocks sent that the sender did not have.
    pub unheld: u64,
    /// Datagrams that found no door.
    pub doorless: u64,
    /// Datagrams thrown away because too many waited for the uplink.
    pub datagrams_overrun: u64,
    /// Notes of nodes, by code.
    notes: Map<&'static str, u64>,
    /// One entry per literal: compared by where the text is, which is quick; merged when read. Literals that are asked for often wander to the front.
    kinds: Vec<Kind>,
}

#[derive(Clone, Debug)]
struct Kind {
    name: &'static str,
    hash: u64,
    count: KindCount,
}

impl Tally {
    /// Counts a message; returns a number that stands for its kind.
    pub(crate) fn saw(&mut self, name: &'static str, bytes: u64) -> u64 {
        let place = match self.kinds.iter().position(|kind| std::ptr::eq(kind.name, name)) {
            Some(0) => 0,
            Some(place) => {
                self.kinds.swap(place, place - 1);
                place - 1
            }
            None => {
                self.kinds.push(Kind { name, hash: hash(name), count: KindCount::default() });
                self.kinds.len() - 1
            }
        };
        let kind = &mut self.kinds[place];
        kind.count.messages += 1;
        kind.count.bytes += bytes;
        kind.hash
    }

    pub(crate) fn note(&mut self, code: &'static str) {
        *self.notes.entry(code).or_default() += 1;
    }

    /// Adds the counts of a part of the world.
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.fired.add(&other.fired);
        self.codec_differences += other.codec_differences;
        self.malformed += other.malformed;
        self.unheld += other.unheld;
        self.doorless += other.doorless;
        self.datagrams_overrun += other.datagrams_overrun;
        for (code, count) in &other.notes {
            *self.notes.entry(code).or_default() += count;
        }
        for kind in &other.kinds {
            match self.kinds.iter_mut().find(|known| std::ptr::eq(known.name, kind.name)) {
                Some(known) => {
                    known.count.messages += kind.count.messages;
                    known.count.bytes += kind.count.bytes;
                }
                None => self.kinds.push(kind.clone()),
            }
        }
    }

    /// How often nodes noted something, by code.
    #[must_use]
    pub fn notes(&self) -> &Map<&'static str, u64> {
        &self.notes
    }

    /// Messages delivered, by kind.
    #[must_use]
    pub fn kinds(&self) -> Map<&'static str, KindCount> {
        let mut all: Map<&'static str, KindCount> = Map::new();
        for kind in &self.kinds {
            let count = all.entry(kind.name).or_default();
            count.messages += kind.count.messages;
            count.bytes += kind.count.bytes;
        }
        all
    }

    /// Messages delivered of one kind.
    #[must_use]
    pub fn of(&self, kind: &str) -> KindCount {
        self.kinds().get(kind).copied().unwrap_or_default()
    }
}

/// FNV-1a.
pub(crate) const fn hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < text.len() {
        hash = (hash ^ text.as_bytes()[at] as u64).wrapping_mul(0x100_0000_01b3);
        at += 1;
    }
    hash
}
