//! Supernodes of which we have heard: the cache from which a leaf joins and a supernode chooses its links.

use hexad_core::{Context, Map, Span, Time, leavers};

use crate::place::Place;
use crate::wire::Entry;

/// Somebody who could not be reached is left alone so long, doubling with each time.
const AVOID: Span = Span::from_secs(20);
/// Who could not be reached so often is forgotten.
const FAILS_MAX: u8 = 4;

/// One of them.
#[derive(Clone, Debug)]
pub struct Candidate<A> {
    pub(super) addr: A,
    /// Percent; of an heir, how many come before it.
    pub(super) load: u8,
    /// When it was last heard of, by us or by who told us.
    pub(super) seen: Time,
    /// Round trip, where one was measured.
    pub(super) rtt_us: Option<u64>,
    /// A leaf that will be a supernode when its own is lost.
    pub(super) heir: bool,
    avoid_until: Time,
    fails: u8,
}

/// All of them.
#[derive(Debug)]
pub struct Known<A: Place> {
    all: Map<A::Name, Candidate<A>>,
    /// No heir was heard of before.
    heirs_since: Option<Time>,
    max: usize,
}

impl<A: Place> Known<A> {
    pub(super) const fn new(max: usize) -> Self {
        Self { all: Map::new(), heirs_since: None, max }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, name: &A::Name) -> Option<&Candidate<A>> {
        self.all.get(name)
    }

    /// Somebody says that there is a supernode.
    pub(super) fn add(&mut self, entry: &Entry<A>, now: Time) {
        let age = Span::from_secs(60) * u32::from(entry.age_min);
        let seen = Time::from_micros(now.as_micros().saturating_sub(u64::try_from(age.as_micros()).unwrap_or(u64::MAX)));
        let name = entry.addr.name();
        if entry.heir {
            self.heirs_since = Some(self.heirs_since.map_or(seen, |since| since.min(seen)));
        }
        if let Some(known) = self.all.get_mut(&name) {
            if seen >= known.seen {
                known.seen = seen;
                known.load = entry.load;
                known.heir = entry.heir;
                known.addr = entry.addr.clone();
            }
            return;
        }
        if self.all.len() >= self.max && !self.make_room(seen) {
            return;
        }
        let candidate = Candidate {
            addr: entry.addr.clone(),
            load: entry.load,
            seen,
            rtt_us: None,
            heir: entry.heir,
            avoid_until: Time::ZERO,
            fails: 0,
        };
        self.all.insert(name, candidate);
    }

    /// Those who have not been heard of for longest leave, whoever could not be reached first, unless they were heard of later than `seen`. Returns
    /// whether there is room.
    fn make_room(&mut self, seen: Time) -> bool {
        for name in leavers(&self.all, |other| (std::cmp::Reverse(other.fails), other.seen)) {
            if self.all.get(&name).is_some_and(|other| other.seen <= seen) {
                self.all.remove(&name);
            }
        }
        self.all.len() < self.max
    }

    /// Somebody who may be a supernode, as far as anybody remembers.
    pub(super) fn add_absent(&mut self, addr: &A, now: Time) {
        if !self.all.contains_key(&addr.name()) {
            self.add(&Entry { addr: addr.clone(), load: 0, age_min: 0, heir: false }, now);
        }
    }

    /// It has answered.
    pub(super) fn answered(&mut self, addr: &A, load: u8, rtt: Option<Span>, now: Time) {
        self.add(&Entry { addr: addr.clone(), load, age_min: 0, heir: false }, now);
        if let Some(known) = self.all.get_mut(&addr.name()) {
            known.fails = 0;
            known.heir = false;
            if let Some(rtt) = rtt {
                known.rtt_us = Some(u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX));
            }
        }
    }

    /// It could not be reached.
    pub(super) fn failed(&mut self, name: &A::Name, now: Time) {
        let Some(known) = self.all.get_mut(name) else { return };
        known.fails = known.fails.saturating_add(1);
        known.avoid_until = now + AVOID * (1 << known.fails.min(5));
        if known.fails >= FAILS_MAX {
            self.all.remove(name);
        }
    }

    /// It is not to be asked again for a while.
    pub(super) fn avoid(&mut self, name: &A::Name, until: Time) {
        if let Some(known) = self.all.get_mut(name) {
            known.avoid_until = until;
        }
    }

    /// It is no supernode any more.
    pub(super) fn remove(&mut self, name: &A::Name) {
        self.all.remove(name);
    }

    /// Everybody may be asked again.
    pub(super) fn forgive(&mut self) {
        self.all.values_mut().for_each(|known| known.avoid_until = Time::ZERO);
    }

    /// Those who have not failed to answer, the newest first.
    pub(super) fn alive(&self) -> impl Iterator<Item = &A> {
        let mut alive: Vec<&Candidate<A>> = self.all.values().filter(|known| known.fails == 0 && !known.heir).collect();
        alive.sort_by_key(|known| std::cmp::Reverse(known.seen));
        alive.into_iter().map(|known| &known.addr)
    }

    /// Those who may be asked now, in the order of their names.
    pub(super) fn usable(&self, now: Time) -> impl Iterator<Item = &Candidate<A>> {
        self.all.values().filter(move |known| known.avoid_until <= now)
    }

    /// The heirs of our supernodes, the first ones first.
    pub(super) fn heirs(&self) -> Vec<A> {
        let mut heirs: Vec<&Candidate<A>> = self.all.values().filter(|known| known.heir).collect();
        heirs.sort_by_key(|known| known.load);
        heirs.into_iter().map(|known| known.addr.clone()).collect()
    }

    /// Forgets heirs that nobody has named since then.
    pub(super) fn forget_heirs(&mut self, since: Time) {
        if self.heirs_since.is_some_and(|first| first < since) {
            self.all.retain(|_, known| !known.heir || known.seen >= since);
            self.heirs_since = self.all.values().filter(|known| known.heir).map(|known| known.seen).min();
        }
    }

    /// Some for others, the newest first, with chance among those of one minute; the least loaded first where `free`. Heirs are nobody's business
    /// but that of the leaves who were told of them.
    pub(super) fn list(&self, count: usize, free: bool, now: Time, cx: &mut Context<'_>) -> Vec<Entry<A>> {
        let mut some: Vec<&Candidate<A>> = self.all.values().filter(|known| known.fails == 0 && !known.heir).collect();
        cx.dice.shuffle(&mut some);
        let key = |known: &&Candidate<A>| {
            let seen = if free { known.seen.as_micros() } else { known.seen.as_micros() / 60_000_000 };
            (if free { known.load } else { 0 }, std::cmp::Reverse(seen))
        };
        // The others need no order.
        if count < some.len() {
            some.select_nth_unstable_by_key(count, key);
            some.truncate(count);
        }
        some.sort_by_key(key);
        some.into_iter().map(|known| known.entry(now)).collect()
    }

    /// A few at random.
    pub(super) fn few(&self, count: usize, now: Time, cx: &mut Context<'_>) -> Vec<Entry<A>> {
        let from = cx.dice.index(self.all.len()).unwrap_or(0);
        let around = self.all.values().skip(from).chain(self.all.values().take(from));
        around.filter(|known| known.fails == 0 && !known.heir).take(count).map(|known| known.entry(now)).collect()
    }
}

impl<A: Place> Candidate<A> {
    fn entry(&self, now: Time) -> Entry<A> {
        let age_min = u16::try_from(now.since(self.seen).as_secs() / 60).unwrap_or(u16::MAX);
        Entry { addr: self.addr.clone(), load: self.load, age_min, heir: self.heir }
    }
}
