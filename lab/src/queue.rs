//! What happens next: a calendar of narrow days, so that putting an event in and taking it out costs the same however many wait.
//!
//! One place decides the order of events: (time, destination, source, sequence), a total order that no thread can change. Time is cut
//! into buckets of 128 µs. The buckets of this second and the next lie in a ring; what is later waits by the second. Only the bucket
//! that is open is in order: it is sorted when it is opened, and what comes late into it goes to a small heap. Wakes have a lane of
//! their own, because they are smaller than what travels, and a large world holds more of them than of anything else.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hexad_core::{Map, Time};

/// The sender of what comes from outside of the world: users and faults.
pub(crate) const OUTSIDE: u32 = u32::MAX;

/// When, to whom, from whom, and the how manieth event of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) at: Time,
    pub(crate) to: u32,
    pub(crate) from: u32,
    pub(crate) sequence: u32,
}

/// Something that happens to a machine.
pub(crate) struct Post<E> {
    pub(crate) key: Key,
    pub(crate) event: E,
}

/// A machine has asked to be woken.
pub(crate) struct Alarm<T> {
    at: Time,
    node: u32,
    sequence: u32,
    /// In which life.
    life: u32,
    timer: T,
}

/// What is taken out.
pub(crate) enum Next<E, T> {
    /// Something happens.
    Event(E),
    /// A wake is due that was asked for in that life.
    Wake { life: u32, timer: T },
}

/// 2^7 µs.
const BUCKET_BITS: u32 = 7;
/// A second of 2^13 buckets, 2^20 µs.
const SECOND_BITS: u32 = 13;
const SECOND: u64 = 1 << SECOND_BITS;
const RING: usize = 2 << SECOND_BITS;
/// What is reserved for one bucket beyond this is given back.
const KEPT_MAX: usize = 1 << 14;

const fn bucket_of(at: Time) -> u64 {
    at.as_micros() >> BUCKET_BITS
}

const fn start_of(bucket: u64) -> Time {
    Time::from_micros(bucket << BUCKET_BITS)
}

/// Where an event of the open bucket is in the order, and where it lies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Microseconds since the bucket's start, then the destination.
    time_to: u64,
    /// Source, then sequence.
    from_sequence: u64,
    /// Index into the posts that lie open, or into the alarms.
    index: u32,
    wakes: bool,
}

/// All that waits.
pub(crate) struct Queue<E, T> {
    posts: Lane<Post<E>>,
    alarms: Lane<Alarm<T>>,
    /// Which buckets of the ring hold something.
    filled: Vec<u64>,
    /// The bucket that is open.
    open: u64,
    open_posts: Vec<Option<Post<E>>>,
    open_alarms: Vec<Alarm<T>>,
    /// What was there when the bucket was opened, last first.
    order: Vec<Place>,
    late: BinaryHeap<Reverse<Place>>,
    len: usize,
}

impl<E, T: Copy> Queue<E, T> {
    pub(crate) fn new() -> Self {
        Self {
            posts: Lane::new(),
            alarms: Lane::new(),
            filled: vec![0; RING / 64],
            open: 0,
            open_posts: Vec::new(),
            open_alarms: Vec::new(),
            order: Vec::new(),
            late: BinaryHeap::new(),
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, post: Post<E>) {
        self.len += 1;
        let bucket = bucket_of(post.key.at);
        if bucket <= self.open {
            let place = self.place(&post.key, self.open_posts.len(), false);
            self.late.push(Reverse(place));
            self.open_posts.push(Some(post));
        } else if self.posts.push(self.open, bucket, post) {
            self.fill(bucket);
        }
    }

    pub(crate) fn push_wake(&mut self, at: Time, node: u32, sequence: u32, life: u32, timer: T) {
        self.len += 1;
        let alarm = Alarm { at, node, sequence, life, timer };
        let bucket = bucket_of(at);
        if bucket <= self.open {
            let place = self.place(&alarm.key(), self.open_alarms.len(), true);
            self.late.push(Reverse(place));
            self.open_alarms.push(alarm);
        } else if self.alarms.push(self.open, bucket, alarm) {
            self.fill(bucket);
        }
    }

    /// When the next event is, or a time before that: exact where its bucket is open.
    pub(crate) fn next_bound(&self) -> Option<Time> {
        match self.next_place() {
            Some(place) => Some(self.time_of(place)),
            None => self.next_bucket().map(start_of),
        }
    }

    /// The key of the next event that is not after `until`.
    pub(crate) fn peek_until(&mut self, until: Time) -> Option<Key> {
        let place = self.open_until(until)?;
        let at = self.time_of(place);
        let (to, from, sequence) = (low(place.time_to), low(place.from_sequence >> 32), low(place.from_sequence));
        (at <= until).then_some(Key { at, to, from, sequence })
    }

    /// Takes the next event that is not after `until`.
    pub(crate) fn pop_until(&mut self, until: Time) -> Option<(Key, Next<E, T>)> {
        let place = self.open_until(until)?;
        if self.time_of(place) > until {
            return None;
        }
        let is_late = self.late.peek().is_some_and(|Reverse(late)| *late == place);
        if is_late {
            self.late.pop();
        } else {
            self.order.pop();
        }
        self.len -= 1;
        if place.wakes {
            let alarm = &self.open_alarms[place.index as usize];
            return Some((alarm.key(), Next::Wake { life: alarm.life, timer: alarm.timer }));
        }
        let post = self.open_posts[place.index as usize].take()?;
        Some((post.key, Next::Event(post.event)))
    }

    /// To whom the next events of the open bucket go, and what they are but for wakes; at most `count` of those that were in it when it was opened.
    pub(crate) fn upcoming(&self, count: usize) -> impl Iterator<Item = (u32, Option<&E>)> {
        self.order.iter().rev().take(count).map(|place| {
            let post = if place.wakes { None } else { self.open_posts.get(place.index as usize).and_then(Option::as_ref) };
            (low(place.time_to), post.map(|post| &post.event))
        })
    }

    fn place(&self, key: &Key, index: usize, wakes: bool) -> Place {
        debug_assert!(key.at >= start_of(self.open), "what comes late comes into the bucket that is open");
        let since = key.at.as_micros().saturating_sub(start_of(self.open).as_micros());
        Place {
            time_to: (since << 32) | u64::from(key.to),
            from_sequence: (u64::from(key.from) << 32) | u64::from(key.sequence),
            index: u32::try_from(index).expect("fewer than 2^32 events in a bucket"),
            wakes,
        }
    }

    fn time_of(&self, place: Place) -> Time {
        Time::from_micros(start_of(self.open).as_micros() + (place.time_to >> 32))
    }

    fn next_place(&self) -> Option<Place> {
        match (self.order.last(), self.late.peek()) {
            (Some(&place), Some(&Reverse(late))) => Some(place.min(late)),
            (Some(&place), None) => Some(place),
            (None, late) => late.map(|&Reverse(late)| late),
        }
    }

    /// The first place of the open bucket; opens further ones that begin by `until` where it is empty.
    fn open_until(&mut self, until: Time) -> Option<Place> {
        loop {
            if let Some(place) = self.next_place() {
                return Some(place);
            }
            let bucket = self.next_bucket()?;
            if start_of(bucket) > until {
                return None;
            }
            self.open(bucket);
        }
    }

    fn fill(&mut self, bucket: u64) {
        let slot = slot_of(bucket);
        self.filled[slot / 64] |= 1 << (slot % 64);
    }

    /// The first bucket after the open one that holds something; the first of its second where that lies beyond the ring.
    fn next_bucket(&self) -> Option<u64> {
        let (first, last) = (self.open + 1, ((self.open >> SECOND_BITS) + 2) << SECOND_BITS);
        let mut bucket = first;
        while bucket < last {
            let slot = slot_of(bucket);
            let word = self.filled[slot / 64] >> (slot % 64);
            if word != 0 {
                return Some(bucket + u64::from(word.trailing_zeros()));
            }
            bucket += 64 - (slot % 64) as u64;
        }
        let second = match (self.posts.next_second(), self.alarms.next_second()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        second.map(|second| second << SECOND_BITS)
    }

    fn open(&mut self, bucket: u64) {
        clear(&mut self.open_posts);
        clear(&mut self.open_alarms);
        clear(&mut self.order);
        let before = self.open >> SECOND_BITS;
        self.open = bucket;
        let second = bucket >> SECOND_BITS;
        if second > before {
            // What lies in the next second comes into the ring when this one begins.
            for due in [second, second + 1] {
                for bucket in self.posts.bring(due).into_iter().chain(self.alarms.bring(due)) {
                    self.fill(bucket);
                }
            }
        }
        let slot = slot_of(bucket);
        self.filled[slot / 64] &= !(1 << (slot % 64));
        let (posts, alarms) = (&mut self.open_posts, &mut self.open_alarms);
        self.posts.take(slot, |post| posts.push(Some(post)));
        self.alarms.take(slot, |alarm| alarms.push(alarm));
        let mut order = std::mem::take(&mut self.order);
        order.extend(self.open_posts.iter().flatten().enumerate().map(|(index, post)| self.place(&post.key, index, false)));
        order.extend(self.open_alarms.iter().enumerate().map(|(index, alarm)| self.place(&alarm.key(), index, true)));
        order.sort_unstable_by(|one, other| other.cmp(one));
        self.order = order;
    }
}

impl<T> Alarm<T> {
    fn key(&self) -> Key {
        Key { at: self.at, to: self.node, from: self.node, sequence: self.sequence }
    }
}

/// The lower half.
fn low(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0)
}

fn clear<T>(list: &mut Vec<T>) {
    if list.capacity() > KEPT_MAX {
        *list = Vec::new();
    } else {
        list.clear();
    }
}

fn slot_of(bucket: u64) -> usize {
    usize::try_from(bucket).unwrap_or(usize::MAX) & (RING - 1)
}

/// Something with a time.
trait Timed {
    fn at(&self) -> Time;
}

impl<E> Timed for Post<E> {
    fn at(&self) -> Time {
        self.key.at
    }
}

impl<T> Timed for Alarm<T> {
    fn at(&self) -> Time {
        self.at
    }
}

/// Entries in a chunk.
const CHUNK: usize = 16;
/// No chunk.
const NONE: u32 = u32::MAX;

struct Chunk<T> {
    entries: Vec<T>,
    next: u32,
}

/// Things of one size: buckets are lists of chunks, and all take theirs from the same store.
struct Lane<T> {
    /// The first chunk of each bucket of the ring.
    ring: Vec<u32>,
    /// The first chunk of each second beyond the ring.
    seconds: Map<u64, u32>,
    chunks: Vec<Chunk<T>>,
    free: u32,
}

impl<T: Timed> Lane<T> {
    fn new() -> Self {
        Self { ring: vec![NONE; RING], seconds: Map::new(), chunks: Vec::new(), free: NONE }
    }

    /// Puts a thing in; returns whether that filled an empty bucket of the ring.
    fn push(&mut self, open: u64, bucket: u64, thing: T) -> bool {
        let second = bucket >> SECOND_BITS;
        if second > (open >> SECOND_BITS) + 1 {
            let first = self.seconds.get(&second).copied().unwrap_or(NONE);
            let put = self.put(first, thing);
            if put != first {
                self.seconds.insert(second, put);
            }
            return false;
        }
        self.push_ring(slot_of(bucket), thing)
    }

    fn push_ring(&mut self, slot: usize, thing: T) -> bool {
        let first = self.ring[slot];
        self.ring[slot] = self.put(first, thing);
        first == NONE
    }

    /// Puts a thing into the list that begins with chunk `first`; returns with which it begins then.
    fn put(&mut self, first: u32, thing: T) -> u32 {
        if let Some(chunk) = self.chunks.get_mut(first as usize)
            && chunk.entries.len() < CHUNK
        {
            chunk.entries.push(thing);
            return first;
        }
        let fresh = if self.free == NONE {
            self.chunks.push(Chunk { entries: Vec::with_capacity(CHUNK), next: NONE });
            u32::try_from(self.chunks.len() - 1).expect("fewer than 2^32 chunks")
        } else {
            let next = self.chunks[self.free as usize].next;
            std::mem::replace(&mut self.free, next)
        };
        let chunk = &mut self.chunks[fresh as usize];
        chunk.next = first;
        chunk.entries.push(thing);
        fresh
    }

    /// Empties a bucket of the ring.
    fn take(&mut self, slot: usize, mut give: impl FnMut(T)) {
        let mut at = std::mem::replace(&mut self.ring[slot], NONE);
        while at != NONE {
            let chunk = &mut self.chunks[at as usize];
            chunk.entries.drain(..).for_each(&mut give);
            let next = std::mem::replace(&mut chunk.next, self.free);
            self.free = at;
            at = next;
        }
    }

    fn next_second(&self) -> Option<u64> {
        self.seconds.first_key_value().map(|(&second, _)| second)
    }

    /// Brings a second into the ring; returns which buckets that filled.
    fn bring(&mut self, second: u64) -> Vec<u64> {
        let Some(mut at) = self.seconds.remove(&second) else { return Vec::new() };
        let mut filled = Vec::new();
        let mut moved = Vec::with_capacity(CHUNK);
        while at != NONE {
            let chunk = &mut self.chunks[at as usize];
            moved.append(&mut chunk.entries);
            let next = std::mem::replace(&mut chunk.next, self.free);
            self.free = at;
            at = next;
            for thing in moved.drain(..) {
                let bucket = bucket_of(thing.at());
                if self.push_ring(slot_of(bucket), thing) {
                    filled.push(bucket);
                }
            }
        }
        filled
    }
}

const _: () = assert!(SECOND as usize * 2 == RING);

#[cfg(test)]
#[path = "queue/tests.rs"]
mod tests;
