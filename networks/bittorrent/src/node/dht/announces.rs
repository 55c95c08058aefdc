//! The torrents that we announce, and when each is due.

use hexad_core::{Dice, Map, Set, Span, Time};

use super::resting::Resting;

/// Torrents that are announced; more are refused.
const TORRENTS_MAX: usize = 100_000;
/// Between two announces of a torrent. BEP 5 leaves it open; stores forget after 30 to 45 minutes.
const INTERVAL: Span = Span::from_secs(15 * 60);
/// Nobody is asked for more peers sooner than this after the last time.
const HURRY_MIN: Span = Span::from_secs(60);

/// So many may begin at once; after that they are spread.
const AT_ONCE: u32 = 8;

/// How a torrent stands.
#[derive(Debug)]
struct Announcement {
    port: u16,
    seed: bool,
    /// `None` while a lookup for it runs.
    due: Option<Time>,
    last: Option<Time>,
    /// Sparse while fewer than eight nodes took it.
    resting: Resting,
    /// To be repeated as soon as the running lookup is over.
    again: bool,
    /// So, too, if hardly anybody is told by then.
    again_if_sparse: bool,
}

/// All torrents that we announce.
#[derive(Debug)]
pub(super) struct Announces {
    torrents: Map<[u8; 20], Announcement>,
    due: Set<(Time, [u8; 20])>,
    /// Nothing begins before this; lies in the past as far as several may begin at once.
    pace: Time,
}

impl Announces {
    pub const fn new() -> Self {
        Self { torrents: Map::new(), due: Set::new(), pace: Time::ZERO }
    }

    /// Announces from now on that we are in the swarm, at that port; due at once when anything of it changes. False when there is no room.
    pub fn put(&mut self, info_hash: [u8; 20], port: u16, seed: bool, now: Time) -> bool {
        if let Some(known) = self.torrents.get_mut(&info_hash) {
            let changed = (known.port, known.seed) != (port, seed);
            (known.port, known.seed) = (port, seed);
            if changed {
                self.again(info_hash, now);
            }
            return true;
        }
        if self.torrents.len() >= TORRENTS_MAX {
            return false;
        }
        self.torrents.insert(
            info_hash,
            Announcement { port, seed, due: Some(now), last: None, resting: Resting::default(), again: false, again_if_sparse: false },
        );
        self.due.insert((now, info_hash));
        true
    }

    /// No more.
    pub fn remove(&mut self, info_hash: &[u8; 20]) {
        if let Some(Announcement { due: Some(at), .. }) = self.torrents.remove(info_hash) {
            self.due.remove(&(at, *info_hash));
        }
    }

    /// Port, and whether we have everything.
    pub fn get(&self, info_hash: &[u8; 20]) -> Option<(u16, bool)> {
        self.torrents.get(info_hash).map(|known| (known.port, known.seed))
    }

    /// The swarm is short of peers: due at once, unless it was lately.
    pub fn hurry(&mut self, info_hash: [u8; 20], now: Time) {
        let Some(known) = self.torrents.get(&info_hash) else { return };
        let at = known.last.map_or(now, |last| (last + HURRY_MIN).max(now));
        if known.due.is_some_and(|due| due > at) {
            self.plan(info_hash, at);
        }
    }

    /// The network has grown: what fewer than eight nodes took is due at once.
    pub fn network_grew(&mut self, now: Time) {
        let mut sparse = Vec::new();
        for (&info_hash, known) in &mut self.torrents {
            if known.due.is_none() {
                known.again_if_sparse = true;
            } else if known.resting.is_sparse() {
                sparse.push(info_hash);
            }
        }
        for info_hash in sparse {
            self.plan(info_hash, now);
        }
    }

    /// Takes a torrent that is due; it counts as under way until [`Self::finished`]. `nodes`: how many we know. Where they are few, each of them is
    /// asked for each torrent, and would take many torrents at a time for a flood: they get fewer than 50 packets of ours in ten seconds.
    pub fn take_due(&mut self, nodes: usize, now: Time) -> Option<[u8; 20]> {
        let &(at, info_hash) = self.due.first().filter(|(at, _)| *at <= now && self.pace <= now)?;
        self.due.remove(&(at, info_hash));
        let known = self.torrents.get_mut(&info_hash)?;
        known.due = None;
        known.last = Some(now);
        let interval = Span::from_millis((20_000 / nodes.max(1) as u64).clamp(1, 1000));
        let earliest = now.as_micros().saturating_sub(u64::try_from((interval * AT_ONCE).as_micros()).unwrap_or(0));
        self.pace = self.pace.max(Time::from_micros(earliest)) + interval;
        Some(info_hash)
    }

    /// A lookup is over, and `told` nodes are told.
    pub fn finished(&mut self, info_hash: [u8; 20], told: usize, now: Time, dice: &mut Dice) {
        let Some(known) = self.torrents.get_mut(&info_hash) else { return };
        let wait = known.resting.after(told, INTERVAL, dice);
        let soon = known.again || (known.again_if_sparse && known.resting.is_sparse());
        (known.again, known.again_if_sparse) = (false, false);
        let at = now + if soon { Span::from_millis(200) } else { wait };
        self.plan(info_hash, at);
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<Time> {
        self.due.first().map(|&(at, _)| at.max(self.pace))
    }

    fn again(&mut self, info_hash: [u8; 20], now: Time) {
        match self.torrents.get_mut(&info_hash) {
            Some(known) if known.due.is_none() => known.again = true,
            Some(_) => self.plan(info_hash, now),
            None => {}
        }
    }

    fn plan(&mut self, info_hash: [u8; 20], at: Time) {
        let Some(known) = self.torrents.get_mut(&info_hash) else { return };
        if let Some(due) = known.due.replace(at) {
            self.due.remove(&(due, info_hash));
        }
        self.due.insert((at, info_hash));
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::K;
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn a_torrent_is_announced_at_once_and_every_quarter_of_an_hour() {
        let mut dice = Dice::counter(7, 1);
        let mut announces = Announces::new();
        assert!(announces.put([1; 20], 6881, false, at(0)));
        assert_eq!(announces.take_due(9, at(0)), Some([1; 20]));
        assert_eq!(announces.take_due(9, at(9999)), None, "under way");
        announces.finished([1; 20], K, at(2), &mut dice);
        let due = announces.next_due().unwrap();
        assert!(due > at(810) && due <= at(902), "{due}");
        announces.hurry([1; 20], at(30));
        assert_eq!(announces.next_due(), Some(at(60)));
        announces.put([1; 20], 6881, true, at(40));
        assert_eq!(announces.take_due(9, at(40)), Some([1; 20]), "we have become a seed");
        announces.remove(&[1; 20]);
        announces.finished([1; 20], K, at(41), &mut dice);
        assert_eq!(announces.next_due(), None);
    }

    #[test]
    fn in_a_young_network_it_is_repeated_soon_and_then_more_rarely() {
        let mut dice = Dice::counter(7, 2);
        let mut announces = Announces::new();
        announces.put([1; 20], 1, false, at(0));
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..10 {
            announces.take_due(9, now).unwrap();
            announces.finished([1; 20], 2, now, &mut dice);
            let due = announces.next_due().unwrap();
            waits.push(due.since(now).as_secs());
            now = due;
        }
        assert!(waits[0] <= 4 && waits[1] <= 8 && waits.is_sorted(), "{waits:?}");
        assert!(*waits.last().unwrap() > 800, "{waits:?}");
        announces.network_grew(now + Span::from_secs(1));
        assert_eq!(announces.next_due(), Some(now + Span::from_secs(1)));
    }

    #[test]
    fn where_nodes_are_few_many_torrents_are_spread() {
        let mut announces = Announces::new();
        for n in 0..100 {
            announces.put([n; 20], 1, false, at(100));
        }
        let mut begun = |seconds: u64| std::iter::from_fn(|| announces.take_due(10, at(seconds))).count();
        assert_eq!(begun(100), 9);
        assert_eq!(begun(100), 0);
        assert_eq!(begun(102), 2);
        assert_eq!(begun(122), 9);
    }
}
