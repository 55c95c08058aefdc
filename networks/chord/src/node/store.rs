//! Items that we hold, as owner or as one of the next ones. Bounded for each key, for each publisher, and in all.

use hexad_core::{Map, Time};

use super::seconds_until;
use super::settings::Settings;
use crate::id::Key;
use crate::place::Place;
use crate::wire::{Item, Reason, SUMS, VALUE_BYTES_MAX, Value};

/// An item, and what is known of it here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held<A> {
    item: Item<A>,
    bytes: usize,
    /// Whose account it is on: its publisher's, or whoever has put what proves itself here.
    account: Option<A>,
    expires: Time,
    /// When its owner last said that we should have it, or we were its owner.
    wanted: Time,
}

/// All items of a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store<A> {
    items: Map<(Key, u64), Held<A>>,
    bytes_used: usize,
    /// Items and bytes by account.
    publishers: Map<A, (usize, usize)>,
    /// What was withdrawn, and must not come back by way of a copy: sequence number, and until when it is remembered.
    withdrawn: Map<(Key, u64), (u32, Time)>,
}

impl<A: Place> Store<A> {
    pub(super) const NOTHING: Self = Self { items: Map::new(), bytes_used: 0, publishers: Map::new(), withdrawn: Map::new() };

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.withdrawn.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn bytes_used(&self) -> usize {
        self.bytes_used
    }

    pub(super) fn has_key(&self, key: &Key) -> bool {
        self.items.range((*key, 0)..=(*key, u64::MAX)).next().is_some()
    }

    /// Takes an item in. The end of its life never moves away unless its publisher says so, which raises its sequence number.
    pub(super) fn put(&mut self, item: Item<A>, giver: Option<&A>, now: Time, settings: &Settings) -> Result<(), Reason> {
        if !item.is_in_place() {
            return Err(Reason::Forged);
        }
        let name = (item.key, item.slot());
        let size = match &item.value {
            Value::Content(bytes) | Value::Named(_, bytes) => bytes.len(),
            Value::Reference(_) => 0,
        };
        if size > VALUE_BYTES_MAX {
            return Err(Reason::TooLarge);
        }
        let longest = match &item.value {
            Value::Reference(_) => settings.reference_ttl,
            _ => settings.value_ttl,
        };
        let ttl = hexad_core::Span::from_secs(item.ttl_s.into()).min(longest);
        let expires = now + ttl;
        if expires <= now || self.withdrawn.get(&name).is_some_and(|(seq, _)| *seq >= item.seq) {
            return Ok(());
        }
        if let Some(held) = self.items.get_mut(&name) {
            held.wanted = now;
            if held.item.seq >= item.seq {
                return Ok(());
            }
            // What takes its place has its room first.
            self.remove(&name);
        }
        let bytes = item.wire_bytes();
        if self.items.range((item.key, 0)..=(item.key, u64::MAX)).count() >= settings.per_key_max {
            return Err(Reason::TooCommon);
        }
        let account = item.publisher().or(giver).cloned();
        if let Some((items, used)) = account.as_ref().and_then(|account| self.publishers.get(account))
            && (*items >= settings.per_peer_items_max || used + bytes > settings.per_peer_bytes_max)
        {
            return Err(Reason::Quota);
        }
        if self.items.len() >= settings.items_max || self.bytes_used + bytes > settings.items_bytes_max {
            return Err(Reason::Full);
        }
        if let Some(account) = &account {
            let count = self.publishers.entry(account.clone()).or_default();
            count.0 += 1;
            count.1 += bytes;
        }
        self.bytes_used += bytes;
        self.items.insert(name, Held { item, bytes, account, expires, wanted: now });
        Ok(())
    }

    /// Takes an item out.
    pub(super) fn remove(&mut self, name: &(Key, u64)) -> bool {
        let Some(held) = self.items.remove(name) else { return false };
        self.bytes_used -= held.bytes;
        if let Some(account) = &held.account
            && let Some(count) = self.publishers.get_mut(account)
        {
            count.0 -= 1;
            count.1 -= held.bytes;
            if count.0 == 0 {
                self.publishers.remove(account);
            }
        }
        true
    }

    /// Its publisher takes an item back. Remembered until nobody can have a copy any more.
    pub(super) fn withdraw(&mut self, name: (Key, u64), seq: u32, now: Time, settings: &Settings) {
        self.remove(&name);
        if self.withdrawn.len() < settings.items_max {
            self.withdrawn.insert(name, (seq, now + settings.reference_ttl.max(settings.repair_every * 3)));
        }
    }

    /// Who has published an item.
    pub(super) fn publisher(&self, name: &(Key, u64)) -> Option<&A> {
        self.items.get(name)?.item.publisher()
    }

    /// Forgets what nobody renews.
    pub(super) fn expire(&mut self, now: Time) {
        let old: Vec<(Key, u64)> = self.items.iter().filter(|(_, held)| held.expires <= now).map(|(name, _)| *name).collect();
        for name in old {
            self.remove(&name);
        }
        self.withdrawn.retain(|_, (_, until)| *until > now);
    }

    /// An item as it is to be passed on.
    pub(super) fn item(&self, name: &(Key, u64), now: Time) -> Option<Item<A>> {
        let held = self.items.get(name).filter(|held| held.expires > now)?;
        Some(Item { ttl_s: seconds_until(held.expires, now), ..held.item.clone() })
    }

    /// What is under a key and fits: how many there are in all, and up to `limit` that have all `words`.
    pub(super) fn get(&self, key: &Key, words: &[String], limit: usize, now: Time) -> (usize, Vec<Item<A>>) {
        let here = || self.items.range((*key, 0)..=(*key, u64::MAX)).filter(|(_, held)| held.expires > now);
        let fits = |held: &Held<A>| match &held.item.value {
            Value::Reference(record) => crate::words::has_all(&record.name, words),
            _ => words.is_empty(),
        };
        let found = here().filter(|(_, held)| fits(held)).take(limit);
        (here().count(), found.map(|(_, held)| Item { ttl_s: seconds_until(held.expires, now), ..held.item.clone() }).collect())
    }

    /// The names of all that is held in an arc.
    pub(super) fn names<'a>(&'a self, inside: impl Fn(&Key) -> bool + 'a) -> impl Iterator<Item = (Key, u64, u32)> + 'a {
        self.items.iter().filter(move |((key, _), _)| inside(key)).map(|((key, slot), held)| (*key, *slot, held.item.seq))
    }

    /// Sums over all that is held in an arc, by parts.
    pub(super) fn sums(&self, inside: impl Fn(&Key) -> bool) -> [u64; SUMS] {
        let mut sums = [0_u64; SUMS];
        for (key, slot, seq) in self.names(inside) {
            let sum = &mut sums[part_of(&key, slot)];
            *sum = sum.wrapping_add(mixed(&key, slot, seq));
        }
        sums
    }

    /// Somebody who knows has said that all in an arc is to be here.
    pub(super) fn want(&mut self, inside: impl Fn(&Key) -> bool, now: Time) {
        for ((key, _), held) in &mut self.items {
            if inside(key) {
                held.wanted = now;
            }
        }
    }

    /// What nobody has wanted here for long.
    pub(super) fn unwanted(&self, since: Time, most: usize) -> Vec<(Key, u64)> {
        self.items.iter().filter(|(_, held)| held.wanted <= since).map(|(name, _)| *name).take(most).collect()
    }

    /// Asks later about what could not be handed over.
    pub(super) fn keep(&mut self, name: &(Key, u64), now: Time) {
        if let Some(held) = self.items.get_mut(name) {
            held.wanted = now;
        }
    }
}

/// In which part of an inventory an item counts.
pub fn part_of(key: &Key, slot: u64) -> usize {
    usize::from((key.0[19] ^ slot.to_le_bytes()[0]) % 16)
}

fn mixed(key: &Key, slot: u64, seq: u32) -> u64 {
    let words = key.0.chunks(4).map(|chunk| chunk.iter().fold(0_u64, |word, &byte| word << 8 | u64::from(byte)));
    words.chain([slot, seq.into()]).fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        let sum = (sum ^ word).wrapping_mul(0x100_0000_01b3);
        sum ^ (sum >> 29)
    })
}
