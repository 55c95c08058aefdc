//! Collections that cannot grow beyond what `Config` allows.

use std::collections::VecDeque;

use thiserror::Error;

use crate::Map;

/// There is no room; the thing is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("full")]
pub struct Full<T>(pub T);

/// Who leaves what is full: the least sixteenth of all, in no order, and one at least. Several at a time, so that a newcomer does not cost a look at all that
/// are there.
#[must_use]
pub fn least_sixteenth<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    let count = (all.len() / 16).max(1);
    if count < all.len() {
        all.select_nth_unstable(count);
        all.truncate(count);
    }
    all
}

/// Who leaves a full map: those of least `worth`, as many as [`least_sixteenth`] says.
pub fn leavers<K: Ord + Clone, V, W: Ord>(map: &Map<K, V>, worth: impl Fn(&V) -> W) -> Vec<K> {
    let all = map.iter().map(|(key, value)| (worth(value), key)).collect();
    least_sixteenth(all).into_iter().map(|(_, key)| key.clone()).collect()
}

/// A map of at most `capacity` entries. Who leaves when it is full is decided by the caller.
#[derive(Clone, Debug)]
pub struct BoundedMap<K, V> {
    entries: Map<K, V>,
    capacity: usize,
}

impl<K: Ord + Clone, V> BoundedMap<K, V> {
    /// An empty map that takes up to `capacity` entries.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { entries: Map::new(), capacity }
    }

    /// Puts `value` under `key`, in place of what was there.
    ///
    /// # Errors
    /// Gives the value back when there is no room for another key.
    pub fn insert(&mut self, key: K, value: V) -> Result<Option<V>, Full<V>> {
        if self.is_full() && !self.entries.contains_key(&key) {
            return Err(Full(value));
        }
        Ok(self.entries.insert(key, value))
    }

    /// Whether there is no room for another key.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.entries.len() >= self.capacity
    }

    /// How many entries it takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `key` is there.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// The value under `key`, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key)
    }

    /// Keeps only what `keep` says.
    pub fn retain(&mut self, keep: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain(keep);
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    /// All entries in the order of their keys, values to be changed.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> {
        self.entries.iter_mut()
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.entries.keys()
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.entries.values()
    }

    /// All values in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> {
        self.entries.values_mut()
    }
}

/// A queue of at most `capacity` things, first in, first out.
#[derive(Clone, Debug)]
pub struct BoundedQueue<T> {
    things: VecDeque<T>,
    capacity: usize,
}

impl<T> BoundedQueue<T> {
    /// An empty queue that takes up to `capacity` things.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { things: VecDeque::new(), capacity }
    }

    /// Adds at the end.
    ///
    /// # Errors
    /// Gives `thing` back when there is no room.
    pub fn push(&mut self, thing: T) -> Result<(), Full<T>> {
        if self.things.len() >= self.capacity {
            return Err(Full(thing));
        }
        self.things.push_back(thing);
        Ok(())
    }

    /// Adds at the end; when there is no room, the oldest leaves and is returned.
    pub fn push_out(&mut self, thing: T) -> Option<T> {
        let out = if self.things.len() >= self.capacity { self.things.pop_front() } else { None };
        if self.capacity > 0 {
            self.things.push_back(thing);
        }
        out
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<T> {
        self.things.pop_front()
    }

    /// The oldest.
    #[must_use]
    pub fn front(&self) -> Option<&T> {
        self.things.front()
    }

    /// Keeps only what `keep` says.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.things.retain(keep);
    }

    /// From the oldest on.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.things.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.things.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.things.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_least_worth_leave_and_of_equals_the_first() {
        let leavers = |map: &Map<u32, u32>| leavers(map, |worth| *worth).into_iter().collect::<crate::Set<u32>>();
        assert_eq!(leavers(&(0..32).map(|key| (key, if key % 8 == 5 { 1 } else { 2 })).collect()), [5, 13].into());
        assert_eq!(leavers(&(0..32).map(|key| (key, 1)).collect()), [0, 1].into());
        assert_eq!(leavers(&[(7, 1)].into()), [7].into());
        assert_eq!(leavers(&Map::new()), [].into());
    }
}
