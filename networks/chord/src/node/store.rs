//! Items that we hold, as owner or as one of the next ones. Bounded for each key, for each publisher, and in all.

use std::sync::Arc;

use hexad_core::{Map, Time};

use super::seconds_until;
use super::settings::Settings;
use crate::id::Key;
use crate::place::Place;
use crate::wire::{Item, Reason, Record, SUMS, VALUE_BYTES_MAX, Value};

/// Sequence numbers are seconds at first. Who says something himself that is older than this beside what he has said before has had his clock set back,
/// and means what he says.
const SET_BACK_S: u32 = 3600;

/// An item, and what is known of it here. There are very many: what can be told from elsewhere is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held<A> {
    value: Kept<A>,
    seq: u32,
    bytes: u32,
    /// Who has put here what proves itself, and on whose account it therefore is.
    giver: Option<Box<A>>,
    expires: Time,
    /// When its owner last said that we should have it, or we were its owner.
    wanted: Time,
}

/// A value as it is kept: with next to nothing where it is a reference, which nearly all are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kept<A> {
    Reference(Arc<Record<A>>),
    Other(Box<Value<A>>),
}

impl<A: Place> Held<A> {
    /// Whose account it is on: its publisher's, or that of whoever has put what proves itself here.
    fn account(&self) -> Option<&A> {
        self.publisher().or(self.giver.as_deref())
    }

    fn publisher(&self) -> Option<&A> {
        match &self.value {
            Kept::Reference(record) => Some(&record.publisher),
            Kept::Other(value) => match &**value {
                Value::Named(publisher, _) => Some(publisher),
                Value::Content(_) | Value::Reference(_) => None,
            },
        }
    }

    /// As it is passed on.
    fn item(&self, key: Key, now: Time) -> Item<A> {
        let value = match &self.value {
            Kept::Reference(record) => Value::Reference(record.clone()),
            Kept::Other(value) => (**value).clone(),
        };
        Item { key, ttl_s: seconds_until(self.expires, now), seq: self.seq, value }
    }
}

/// All items of a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store<A> {
    items: Map<(Key, u64), Held<A>>,
    /// What references say, by their slots, and under how many keys: a file has a dozen, and says the same under each.
    records: Map<u64, (Arc<Record<A>>, u32)>,
    bytes_used: usize,
    /// Items and bytes by account.
    publishers: Map<A, (usize, usize)>,
    /// What was withdrawn, and must not come back by way of a copy: sequence number, and until when it is remembered.
    withdrawn: Map<(Key, u64), (u32, Time)>,
    /// Nothing is to be forgotten before.
    ends_at: Time,
}

/// When nothing is ever to be forgotten.
const NEVER: Time = Time::from_micros(u64::MAX);

impl<A: Place> Store<A> {
    pub(super) const NOTHING: Self =
        Self { items: Map::new(), records: Map::new(), bytes_used: 0, publishers: Map::new(), withdrawn: Map::new(), ends_at: NEVER };

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
    pub(super) fn put(&mut self, mut item: Item<A>, giver: Option<&A>, now: Time, settings: &Settings) -> Result<(), Reason> {
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
        if expires <= now {
            return Ok(());
        }
        let withdrawn = self.withdrawn.get(&name).map(|(seq, _)| *seq);
        let known = self.items.get(&name).map(|held| held.seq).max(withdrawn);
        // Copies come from others, and late ones must not bring back what was.
        let himself = giver.is_some() && item.publisher().is_some();
        if let Some(known) = known.filter(|known| himself && known.saturating_sub(item.seq) > SET_BACK_S) {
            item.seq = known.saturating_add(1);
        }
        if let Some(held) = self.items.get_mut(&name) {
            held.wanted = now;
        }
        if known.is_some_and(|known| known >= item.seq) {
            return Ok(());
        }
        // What takes its place has its room first.
        self.remove(&name);
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
        let giver = account.filter(|_| item.publisher().is_none()).map(Box::new);
        let seq = item.seq;
        let value = match item.value {
            Value::Reference(record) => Kept::Reference(self.said_once(name.1, record)),
            other => Kept::Other(Box::new(other)),
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.items.insert(name, Held { value, seq, bytes, giver, expires, wanted: now });
        self.ends_at = self.ends_at.min(expires);
        Ok(())
    }

    /// The same, in the one place where it is kept for all keys.
    fn said_once(&mut self, slot: u64, record: Arc<Record<A>>) -> Arc<Record<A>> {
        let (known, keys) = self.records.entry(slot).or_insert_with(|| (record.clone(), 0));
        if **known != *record {
            *known = record;
        }
        *keys += 1;
        known.clone()
    }

    /// Takes an item out.
    pub(super) fn remove(&mut self, name: &(Key, u64)) -> bool {
        let Some(held) = self.items.remove(name) else { return false };
        let bytes = held.bytes as usize;
        self.bytes_used -= bytes;
        if let Kept::Reference(_) = &held.value
            && let Some((_, keys)) = self.records.get_mut(&name.1)
        {
            *keys -= 1;
            if *keys == 0 {
                self.records.remove(&name.1);
            }
        }
        if let Some(account) = held.account()
            && let Some(count) = self.publishers.get_mut(account)
        {
            count.0 -= 1;
            count.1 -= bytes;
            if count.0 == 0 {
                self.publishers.remove(account);
            }
        }
        true
    }

    /// Its publisher takes an item back. Remembered until nobody can have a copy any more.
    pub(super) fn withdraw(&mut self, name: (Key, u64), seq: u32, now: Time, settings: &Settings) {
        // Whose clock was set back does not know how high his numbers have been.
        let seq = self.items.get(&name).map_or(seq, |held| held.seq.max(seq));
        self.remove(&name);
        if self.withdrawn.len() < settings.items_max {
            let until = now + settings.reference_ttl.max(settings.repair_every * 3);
            self.withdrawn.insert(name, (seq, until));
            self.ends_at = self.ends_at.min(until);
        }
    }

    /// Who has published an item.
    pub(super) fn publisher(&self, name: &(Key, u64)) -> Option<&A> {
        self.items.get(name)?.publisher()
    }

    /// Forgets what nobody renews.
    pub(super) fn expire(&mut self, now: Time) {
        if now < self.ends_at {
            return;
        }
        let old: Vec<(Key, u64)> = self.items.iter().filter(|(_, held)| held.expires <= now).map(|(name, _)| *name).collect();
        for name in old {
            self.remove(&name);
        }
        self.withdrawn.retain(|_, (_, until)| *until > now);
        let ends = self.items.values().map(|held| held.expires).chain(self.withdrawn.values().map(|(_, until)| *until));
        self.ends_at = ends.min().unwrap_or(NEVER);
    }

    /// An item as it is to be passed on.
    pub(super) fn item(&self, name: &(Key, u64), now: Time) -> Option<Item<A>> {
        let held = self.items.get(name).filter(|held| held.expires > now)?;
        Some(held.item(name.0, now))
    }

    /// What is under a key and fits: how many there are in all, and up to `limit` that have all `words`.
    pub(super) fn get(&self, key: &Key, words: &[String], limit: usize, now: Time) -> (usize, Vec<Item<A>>) {
        let here = || self.items.range((*key, 0)..=(*key, u64::MAX)).filter(|(_, held)| held.expires > now);
        let fits = |held: &Held<A>| match &held.value {
            Kept::Reference(record) => crate::words::has_all(&record.name, words),
            Kept::Other(_) => words.is_empty(),
        };
        let found = here().filter(|(_, held)| fits(held)).take(limit);
        (here().count(), found.map(|((key, _), held)| held.item(*key, now)).collect())
    }

    /// The names of all that is held in an arc.
    pub(super) fn names<'a>(&'a self, inside: impl Fn(&Key) -> bool + 'a) -> impl Iterator<Item = (Key, u64, u32)> + 'a {
        self.items.iter().filter(move |((key, _), _)| inside(key)).map(|((key, slot), held)| (*key, *slot, held.seq))
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

#[cfg(test)]
mod tests {
    use hexad_content::{Digest, Sha1Digest};

    use super::*;
    use crate::place::Small;
    use crate::wire::key_of_digest;

    const NOW: Time = Time::from_micros(1_000_000_000);

    /// What that publisher says of a file whose name is `name`, under the key of its digest or under that of a word.
    fn reference(publisher: Small, name: &str, word: Option<&str>, seq: u32) -> Item<Small> {
        let digest = Digest::Sha1(Sha1Digest([7; 20]));
        let key = word.map_or_else(|| key_of_digest(&digest), Key::of_word);
        let record = Record { publisher, digests: vec![digest], size_bytes: 1, name: name.into() };
        Item { key, ttl_s: 600, seq, value: Value::Reference(Arc::new(record)) }
    }

    /// What is under the key of the digest.
    fn names(store: &Store<Small>) -> Vec<String> {
        let items = store.get(&reference(Small(1), "", None, 0).key, &[], 10, NOW).1;
        items
            .into_iter()
            .filter_map(|item| if let Value::Reference(record) = item.value { Some(record.name.clone()) } else { None })
            .collect()
    }

    #[test]
    fn what_is_under_several_keys_is_kept_once_and_forgotten_with_the_last() {
        let (settings, mut store) = (Settings::default(), Store::NOTHING);
        let items = [None, Some("blue"), Some("film")].map(|word| reference(Small(1), "blue film", word, 5));
        for item in &items {
            assert_eq!(store.put(item.clone(), Some(&Small(1)), NOW, &settings), Ok(()));
        }
        assert_eq!((store.len(), store.records.len()), (3, 1));
        assert_eq!(store.item(&(items[1].key, items[1].slot()), NOW).as_ref(), Some(&items[1]));
        for item in &items {
            store.withdraw((item.key, item.slot()), 6, NOW, &settings);
        }
        assert_eq!((store.len(), store.records.len(), store.publishers.len(), store.bytes_used), (0, 0, 0, 0));
    }

    #[test]
    fn whose_clock_was_set_back_is_heard_and_what_comes_late_is_not() {
        const YEAR_S: u32 = 365 * 86_400;
        let (settings, mut store, him) = (Settings::default(), Store::NOTHING, Small(1));
        let mut put = |name: &str, seq, giver: Option<&Small>| {
            assert_eq!(store.put(reference(him, name, None, seq), giver, NOW, &settings), Ok(()));
            names(&store)
        };
        let ahead = 2 * YEAR_S;
        assert_eq!(put("first", ahead, Some(&him)), ["first"]);
        // A message that was under way for some seconds, and a copy that somebody has kept.
        assert_eq!(put("late", ahead - 30, Some(&him)), ["first"]);
        assert_eq!(put("kept", YEAR_S, None), ["first"]);
        assert_eq!(put("said after the clock was set", YEAR_S, Some(&him)), ["said after the clock was set"]);
        assert_eq!(put("and once more", YEAR_S + 1, Some(&him)), ["and once more"]);
        // What he then takes back stays away, whoever has copies, until he says it again.
        let name = (reference(him, "", None, 0).key, reference(him, "", None, 0).slot());
        store.withdraw(name, YEAR_S + 2, NOW, &settings);
        assert_eq!(store.put(reference(him, "kept", None, ahead + 1), None, NOW, &settings), Ok(()));
        assert_eq!(names(&store), [""; 0]);
        assert_eq!(store.put(reference(him, "again", None, YEAR_S + 3), Some(&him), NOW, &settings), Ok(()));
        assert_eq!(names(&store), ["again"]);
    }
}
