//! Keys that were not found: who had been asked, whether to ask again so soon, and who is to be told when they turn up.

use hexad_core::{Map, Span, Time};

use crate::keys::NodeKey;

/// A peer that has not found a key is not asked for it first for so long.
const AVOID: Span = Span::from_secs(180);
/// A key that nobody found is not looked for for so long.
const QUENCH: Span = Span::from_secs(300);
/// A failure is forgotten after so long.
const FORGET: Span = Span::from_secs(3600);
/// Peers that are remembered for one key, those asked and those who want it.
const PEERS_MAX: usize = 16;
/// A key has to have failed so often before a request is turned away at once.
const STRIKES: u16 = 3;

#[derive(Clone, Debug)]
struct Failure<A> {
    asked: Vec<(A, Time)>,
    wanted: Vec<A>,
    strikes: u16,
    last: Time,
}

/// The failure table.
#[derive(Clone, Debug)]
pub struct Failures<A> {
    keys: Map<NodeKey, Failure<A>>,
    capacity: usize,
}

impl<A: Clone + Ord> Failures<A> {
    /// An empty one for so many keys.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { keys: Map::new(), capacity }
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A walk has ended without the key; `asked` did not have it, and `from` wants it.
    pub fn failed(&mut self, key: &NodeKey, asked: &[A], from: Option<&A>, now: Time) {
        if self.capacity == 0 {
            return;
        }
        if self.keys.len() >= self.capacity && !self.keys.contains_key(key) {
            self.keys.retain(|_, failure| now.since(failure.last) < FORGET);
            if self.keys.len() >= self.capacity
                && let Some(oldest) = self.keys.iter().min_by_key(|(_, failure)| failure.last).map(|(key, _)| *key)
            {
                self.keys.remove(&oldest);
            }
        }
        let failure = self.keys.entry(*key).or_insert(Failure { asked: Vec::new(), wanted: Vec::new(), strikes: 0, last: now });
        failure.strikes = if now.since(failure.last) < QUENCH { failure.strikes.saturating_add(1) } else { 1 };
        failure.last = now;
        for addr in asked {
            failure.asked.retain(|(other, at)| other != addr && now.since(*at) < AVOID);
            failure.asked.push((addr.clone(), now));
        }
        let over = failure.asked.len().saturating_sub(PEERS_MAX);
        failure.asked.drain(..over);
        if let Some(from) = from.filter(|from| !failure.wanted.contains(from))
            && failure.wanted.len() < PEERS_MAX
        {
            failure.wanted.push(from.clone());
        }
    }

    /// Somebody else wants a key that is not looked for at the moment. It does not make the wait longer.
    pub fn wants(&mut self, key: &NodeKey, from: &A) {
        if let Some(failure) = self.keys.get_mut(key)
            && failure.wanted.len() < PEERS_MAX
            && !failure.wanted.contains(from)
        {
            failure.wanted.push(from.clone());
        }
    }

    /// In how many seconds a key may be looked for again, where it may not be now.
    #[must_use]
    pub fn quenched(&self, key: &NodeKey, now: Time) -> Option<u16> {
        let failure = self.keys.get(key).filter(|failure| failure.strikes >= STRIKES)?;
        let left = QUENCH.checked_sub(now.since(failure.last)).filter(|left| !left.is_zero())?;
        Some(u16::try_from(left.as_secs().max(1)).unwrap_or(u16::MAX))
    }

    /// Who has lately not found a key.
    pub fn avoided(&self, key: &NodeKey, now: Time) -> impl Iterator<Item = &A> {
        let asked = self.keys.get(key).into_iter().flat_map(|failure| &failure.asked);
        asked.filter(move |(_, at)| now.since(*at) < AVOID).map(|(addr, _)| addr)
    }

    /// Whether somebody was told in vain of a key.
    #[must_use]
    pub fn knows(&self, key: &NodeKey) -> bool {
        self.keys.contains_key(key)
    }

    /// The key has turned up: who wanted it.
    pub fn found(&mut self, key: &NodeKey, now: Time) -> Vec<A> {
        self.keys.remove(key).filter(|failure| now.since(failure.last) < FORGET).map_or_else(Vec::new, |failure| failure.wanted)
    }
}
