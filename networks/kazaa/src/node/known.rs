//! Supernodes of which we have heard: the cache from which a leaf joins and a supernode chooses its links.

use hexad_core::{Context, Span, Time, least_sixteenth};

use crate::place::Place;
use crate::wire::Entry;

/// Somebody who could not be reached is left alone so long, doubling with each time.
const AVOID: Span = Span::from_secs(20);
/// Who could not be reached so often is forgotten.
const FAILS_MAX: u8 = 4;
/// What was named to one newcomer is named to others for so long, where it is asked for by load.
const SAME_FOR: Span = Span::from_secs(1);

/// One of them.
#[derive(Clone, Debug)]
pub struct Candidate<A> {
    pub(super) addr: A,
    /// Percent; of an heir, how many come before it.
    pub(super) load: u8,
    /// When it was last heard of, by us or by who told us.
    pub(super) seen: Time,
    /// Round trip, where one was measured.
    pub(super) rtt_us: Option<u32>,
    /// A leaf that will be a supernode when its own is lost.
    pub(super) heir: bool,
    avoid_until: Time,
    fails: u8,
}

/// All of them.
#[derive(Debug)]
pub struct Known<A: Place> {
    /// In the order of their names: most inputs look at many of them, which are next to each other so.
    all: Vec<Candidate<A>>,
    /// Where it is full, nobody who was last heard of before then gets a place.
    full_before: Time,
    /// The least loaded as they were told last, and when.
    told: Option<(Time, Vec<Entry<A>>)>,
    /// No heir was heard of before.
    heirs_since: Option<Time>,
    max: usize,
}

impl<A: Place> Known<A> {
    pub(super) const fn new(max: usize) -> Self {
        Self { all: Vec::new(), full_before: Time::ZERO, told: None, heirs_since: None, max }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    fn place(&self, name: &A::Name) -> Result<usize, usize> {
        self.all.binary_search_by(|known| known.addr.name().cmp(name))
    }

    pub(super) fn get(&self, name: &A::Name) -> Option<&Candidate<A>> {
        self.all.get(self.place(name).ok()?)
    }

    fn get_mut(&mut self, name: &A::Name) -> Option<&mut Candidate<A>> {
        let at = self.place(name).ok()?;
        self.all.get_mut(at)
    }

    /// Somebody is to be found anew: what was told and who would have to leave is reckoned again.
    fn changed(&mut self) {
        self.full_before = Time::ZERO;
        self.told = None;
    }

    /// Somebody says that there is a supernode.
    pub(super) fn add(&mut self, entry: &Entry<A>, now: Time) {
        let age = Span::from_secs(60) * u32::from(entry.age_min);
        let seen = Time::from_micros(now.as_micros().saturating_sub(u64::try_from(age.as_micros()).unwrap_or(u64::MAX)));
        let name = entry.addr.name();
        if entry.heir {
            self.heirs_since = Some(self.heirs_since.map_or(seen, |since| since.min(seen)));
        }
        if let Some(known) = self.get_mut(&name) {
            if seen >= known.seen {
                known.seen = seen;
                known.load = entry.load;
                known.heir = entry.heir;
                known.addr = entry.addr.clone();
            }
            return;
        }
        if self.all.len() >= self.max && (seen < self.full_before || !self.make_room(seen)) {
            return;
        }
        let Err(at) = self.place(&name) else { return };
        let candidate = Candidate {
            addr: entry.addr.clone(),
            load: entry.load,
            seen,
            rtt_us: None,
            heir: entry.heir,
            avoid_until: Time::ZERO,
            fails: 0,
        };
        self.all.insert(at, candidate);
    }

    /// Those who have not been heard of for longest leave, whoever could not be reached first, unless they were heard of later than `seen`. Returns
    /// whether there is room.
    fn make_room(&mut self, seen: Time) -> bool {
        let worth = |known: &Candidate<A>| (std::cmp::Reverse(known.fails), known.seen, known.addr.name());
        let mut worths = least_sixteenth(self.all.iter().map(worth).collect());
        let oldest = worths.iter().map(|(_, seen, _)| *seen).min();
        worths.retain(|(_, other, _)| *other <= seen);
        worths.sort_unstable_by_key(|(.., name)| *name);
        self.all.retain(|known| worths.binary_search_by_key(&known.addr.name(), |(.., name)| *name).is_err());
        if worths.is_empty() {
            self.full_before = oldest.unwrap_or(Time::ZERO);
        }
        self.all.len() < self.max
    }

    /// Somebody who may be a supernode, as far as anybody remembers.
    pub(super) fn add_absent(&mut self, addr: &A, now: Time) {
        if self.get(&addr.name()).is_none() {
            self.add(&Entry { addr: addr.clone(), load: 0, age_min: 0, heir: false }, now);
        }
    }

    /// It has answered.
    pub(super) fn answered(&mut self, addr: &A, load: u8, rtt: Option<Span>, now: Time) {
        self.add(&Entry { addr: addr.clone(), load, age_min: 0, heir: false }, now);
        let Some(known) = self.get_mut(&addr.name()) else { return };
        if let Some(rtt) = rtt {
            known.rtt_us = Some(u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX));
        }
        if known.fails > 0 || known.heir {
            known.fails = 0;
            known.heir = false;
            self.changed();
        }
    }

    /// It could not be reached.
    pub(super) fn failed(&mut self, name: &A::Name, now: Time) {
        let Some(known) = self.get_mut(name) else { return };
        known.fails = known.fails.saturating_add(1);
        known.avoid_until = now + AVOID * (1 << known.fails.min(5));
        if known.fails >= FAILS_MAX {
            self.remove(name);
        }
        self.changed();
    }

    /// It is not to be asked again for a while.
    pub(super) fn avoid(&mut self, name: &A::Name, until: Time) {
        if let Some(known) = self.get_mut(name) {
            known.avoid_until = until;
        }
    }

    /// It is no supernode any more.
    pub(super) fn remove(&mut self, name: &A::Name) {
        if let Ok(at) = self.place(name) {
            self.all.remove(at);
            self.changed();
        }
    }

    /// Everybody may be asked again.
    pub(super) fn forgive(&mut self) {
        self.all.iter_mut().for_each(|known| known.avoid_until = Time::ZERO);
    }

    /// Those who have not failed to answer, the newest first.
    pub(super) fn alive(&self) -> impl Iterator<Item = &A> {
        let mut alive: Vec<&Candidate<A>> = self.all.iter().filter(|known| known.fails == 0 && !known.heir).collect();
        alive.sort_by_key(|known| std::cmp::Reverse(known.seen));
        alive.into_iter().map(|known| &known.addr)
    }

    /// Those who may be asked now, in the order of their names.
    pub(super) fn usable(&self, now: Time) -> impl Iterator<Item = &Candidate<A>> {
        self.all.iter().filter(move |known| known.avoid_until <= now)
    }

    /// The heirs of our supernodes, the first ones first.
    pub(super) fn heirs(&self) -> Vec<A> {
        let mut heirs: Vec<&Candidate<A>> = self.all.iter().filter(|known| known.heir).collect();
        heirs.sort_by_key(|known| known.load);
        heirs.into_iter().map(|known| known.addr.clone()).collect()
    }

    /// Forgets heirs that nobody has named since then.
    pub(super) fn forget_heirs(&mut self, since: Time) {
        if self.heirs_since.is_some_and(|first| first < since) {
            self.all.retain(|known| !known.heir || known.seen >= since);
            self.heirs_since = self.all.iter().filter(|known| known.heir).map(|known| known.seen).min();
        }
    }

    /// Some for others, the newest first, with chance among those of one minute; the least loaded first where `free`. Heirs are nobody's business
    /// but that of the leaves who were told of them.
    pub(super) fn list(&self, count: usize, free: bool, now: Time, cx: &mut Context<'_>) -> Vec<Entry<A>> {
        let mut some: Vec<&Candidate<A>> = self.all.iter().filter(|known| known.fails == 0 && !known.heir).collect();
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

    /// Those who have the least to do, for newcomers: there may be many in a second, who are told the same.
    pub(super) fn free(&mut self, count: usize, now: Time, cx: &mut Context<'_>) -> Vec<Entry<A>> {
        let fresh = |(at, told): &&(Time, Vec<Entry<A>>)| now.since(*at) < SAME_FOR && told.len() >= count;
        if let Some((_, told)) = self.told.as_ref().filter(fresh) {
            return told[..count].to_vec();
        }
        let told = self.list(count, true, now, cx);
        self.told = Some((now, told.clone()));
        told
    }

    /// A few at random.
    pub(super) fn few(&self, count: usize, now: Time, cx: &mut Context<'_>) -> Vec<Entry<A>> {
        let from = cx.dice.index(self.all.len()).unwrap_or(0);
        let around = self.all[from..].iter().chain(&self.all[..from]);
        around.filter(|known| known.fails == 0 && !known.heir).take(count).map(|known| known.entry(now)).collect()
    }
}

impl<A: Place> Candidate<A> {
    fn entry(&self, now: Time) -> Entry<A> {
        let age_min = u16::try_from(now.since(self.seen).as_secs() / 60).unwrap_or(u16::MAX);
        Entry { addr: self.addr.clone(), load: self.load, age_min, heir: self.heir }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hexad_core::{ConnId, Dice, Rooms, Shares};

    struct NoRooms;

    impl Rooms for NoRooms {
        fn room(&self, _: ConnId) -> u64 {
            0
        }
    }

    fn entry(addr: u32, load: u8, age_min: u16) -> Entry<u32> {
        Entry { addr, load, age_min, heir: false }
    }

    fn at(minutes: u64) -> Time {
        Time::from_micros(minutes * 60_000_000)
    }

    #[test]
    fn where_it_is_full_only_those_come_in_who_were_heard_of_later_and_those_who_failed_leave_first() {
        let mut known = Known::<u32>::new(16);
        (0..16).rev().for_each(|addr| known.add(&entry(addr, 0, 10), at(100)));
        for turn in 0..2 {
            known.add(&entry(100 + turn, 0, 11), at(100));
            assert!(known.len() == 16 && known.get(&(100 + turn)).is_none(), "heard of before all others");
        }
        known.add(&entry(200, 0, 5), at(100));
        assert!(known.len() == 16 && known.get(&200).is_some() && known.get(&0).is_none(), "of equals the first leaves");
        known.add(&entry(300, 0, 11), at(100));
        assert!(known.get(&300).is_none());
        known.answered(&7, 0, None, at(80));
        known.failed(&7, at(100));
        known.add(&entry(300, 0, 9), at(100));
        assert!(known.len() == 16 && known.get(&300).is_some() && known.get(&7).is_none(), "who failed leaves first");
    }

    #[test]
    fn newcomers_of_one_second_hear_the_same_but_not_of_whom_has_failed_meanwhile() {
        let mut known = Known::<u32>::new(200);
        (0..100).for_each(|addr| known.add(&entry(addr, u8::try_from(addr).unwrap(), 0), at(1)));
        let (mut dice, shares, mut next_conn) = (Dice::counter(1, 1), Shares::new(), 0);
        let mut cx = Context { now: at(1), epoch_unix_s: 0, dice: &mut dice, shares: &shares, next_conn: &mut next_conn, rooms: &NoRooms };
        let mut told =
            |known: &mut Known<u32>, now: Time| -> Vec<u32> { known.free(4, now, &mut cx).iter().map(|entry| entry.addr).collect() };
        assert_eq!(told(&mut known, at(1)), [0, 1, 2, 3]);
        known.add(&entry(0, 90, 0), at(1));
        assert_eq!(told(&mut known, at(1)), [0, 1, 2, 3]);
        known.failed(&2, at(1));
        assert_eq!(told(&mut known, at(1)), [1, 3, 4, 5]);
        known.add(&entry(1, 90, 0), at(2));
        assert_eq!(told(&mut known, at(2)), [3, 4, 5, 6], "a second later it is reckoned again");
    }
}
