//! Who answers how fast, and who does not answer at all.
//!
//! One sorted list for both, since nobody does both. Addresses lie apart from what is known of them: who looks for one reads few cache lines.

use hexad_core::{Span, Time, least_sixteenth};

use super::settings::Settings;

/// An answer may always be so much later than those before, however even these were: G of RFC 6298.
const GRANULARITY_MICROS: u64 = 25_000;

/// Places of the list that are read ahead.
const WARMED: usize = 16;

/// What is known of somebody: as TCP keeps it (RFC 6298) of who answers, in microseconds; or how often who does not was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Peer {
    smooth: u32,
    variation: u32,
    /// How often in a row he did not answer; 0 of whoever answers.
    strikes: u32,
    /// When he last answered, or from when on who did not may be asked again.
    at: Time,
}

impl Peer {
    fn is_gone(&self) -> bool {
        self.strikes > 0
    }
}

/// The failure detector of one host, shared by its virtual nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Detector<A> {
    /// In order.
    addrs: Vec<A>,
    /// For each of them.
    peers: Vec<Peer>,
    /// How many of them count as gone.
    gone: usize,
    /// None of these may be asked again before.
    due_at: Time,
}

impl<A: Ord + Clone> Detector<A> {
    pub(super) const NOTHING: Self = Self { addrs: Vec::new(), peers: Vec::new(), gone: 0, due_at: Time::ZERO };

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Reads some of it, see `hexad_core::Node::warm`: where a search begins.
    pub(super) fn warm(&self) -> usize {
        let part = (self.addrs.len() / WARMED).max(1);
        self.addrs.windows(2).step_by(part).filter(|pair| pair[0] < pair[1]).count()
    }

    fn find(&self, addr: &A) -> Result<usize, usize> {
        self.addrs.binary_search(addr)
    }

    fn iter(&self) -> impl Iterator<Item = (&A, &Peer)> {
        self.addrs.iter().zip(&self.peers)
    }

    fn known(&self, addr: &A) -> Option<&Peer> {
        self.find(addr).ok().map(|at| &self.peers[at])
    }

    /// Whose round trips are known, smoothed.
    pub(super) fn round_trips(&self) -> impl Iterator<Item = (&A, Span)> {
        self.iter().filter(|(_, peer)| !peer.is_gone()).map(|(addr, peer)| (addr, Span::from_micros(peer.smooth.into())))
    }

    /// How long to wait for an answer, the `tries`th time that one is asked.
    pub(super) fn patience(&self, addr: &A, tries: u8, settings: &Settings) -> Span {
        let base = match self.known(addr).filter(|peer| !peer.is_gone()) {
            Some(peer) => {
                let micros = u64::from(peer.smooth) + (4 * u64::from(peer.variation)).max(GRANULARITY_MICROS);
                Span::from_micros(micros).clamp(settings.answer_min, settings.answer_max)
            }
            None => settings.answer_first,
        };
        (base * 2_u32.pow(u32::from(tries.min(4)))).min(settings.answer_max.max(settings.answer_first))
    }

    /// Somebody has answered.
    pub(super) fn answered(&mut self, addr: &A, after: Span, now: Time, settings: &Settings) {
        let micros = u32::try_from(after.as_micros()).unwrap_or(u32::MAX);
        let mut place = self.find(addr);
        if let Ok(at) = place {
            let peer = &mut self.peers[at];
            if !peer.is_gone() {
                let step = |old: u32, new: u32, parts: u64| {
                    u32::try_from(((parts - 1) * u64::from(old) + u64::from(new)) / parts).unwrap_or(u32::MAX)
                };
                peer.variation = step(peer.variation, peer.smooth.abs_diff(micros), 4);
                peer.smooth = step(peer.smooth, micros, 8);
                peer.at = now;
                return;
            }
            self.remove(at);
            place = Err(at);
        }
        if settings.round_trips_max == 0 {
            return;
        }
        if self.peers.len() - self.gone >= settings.round_trips_max {
            self.make_room(false, |peer| peer.at);
            place = self.find(addr);
        }
        let (Ok(at) | Err(at)) = place;
        self.insert(at, addr, Peer { smooth: micros, variation: micros / 2, strikes: 0, at: now }, settings);
    }

    /// Somebody did not answer, as often as he was asked.
    pub(super) fn silent(&mut self, addr: &A, now: Time, settings: &Settings) {
        let before = self.find(addr).ok().map_or(0, |at| self.remove(at).strikes);
        if settings.suspects_max == 0 {
            return;
        }
        if before == 0 && self.gone >= settings.suspects_max {
            // Whoever has been silent most often is least worth remembering.
            self.make_room(true, |peer| std::cmp::Reverse((peer.strikes, peer.at)));
        }
        let strikes = before.saturating_add(1);
        let until = now + settings.suspect_for * 2_u32.pow(before.min(4));
        self.due_at = if self.gone == 0 { until } else { self.due_at.min(until) };
        let (Ok(at) | Err(at)) = self.find(addr);
        self.insert(at, addr, Peer { smooth: 0, variation: 0, strikes, at: until }, settings);
    }

    /// Whether somebody counts as gone.
    pub(super) fn is_gone(&self, addr: &A) -> bool {
        self.gone > 0 && self.known(addr).is_some_and(Peer::is_gone)
    }

    /// Somebody who may be asked again by now; he counts as gone until he answers.
    pub(super) fn due(&mut self, now: Time, settings: &Settings) -> Option<A> {
        if self.gone == 0 || now < self.due_at {
            return None;
        }
        let found = self.peers.iter().position(|peer| peer.is_gone() && peer.at <= now).map(|at| {
            self.peers[at].at = now + settings.suspect_for;
            self.addrs[at].clone()
        });
        self.due_at = self.peers.iter().filter(|peer| peer.is_gone()).map(|peer| peer.at).min().unwrap_or(Time::ZERO);
        found
    }

    /// Somebody has written to us by himself.
    pub(super) fn heard(&mut self, addr: &A) {
        if self.gone > 0
            && let Ok(at) = self.find(addr)
            && self.peers[at].is_gone()
        {
            self.remove(at);
        }
    }

    /// Who counts as gone.
    pub(super) fn suspects(&self) -> impl Iterator<Item = &A> {
        self.iter().filter(|(_, peer)| peer.is_gone()).map(|(addr, _)| addr)
    }

    fn remove(&mut self, at: usize) -> Peer {
        self.addrs.remove(at);
        let peer = self.peers.remove(at);
        self.gone -= usize::from(peer.is_gone());
        peer
    }

    fn insert(&mut self, at: usize, addr: &A, peer: Peer, settings: &Settings) {
        self.gone += usize::from(peer.is_gone());
        if self.peers.len() == self.peers.capacity() {
            // By an eighth, and never beyond what there may be: doubling would leave half of it empty in every node.
            let most = settings.round_trips_max.saturating_add(settings.suspects_max);
            let more = (self.peers.len() / 8).max(4).min(most.saturating_sub(self.peers.len()).max(1));
            self.addrs.reserve_exact(more);
            self.peers.reserve_exact(more);
        }
        self.addrs.insert(at, addr.clone());
        self.peers.insert(at, peer);
    }

    /// Forgets those of least worth among the gone, or among those who answer.
    fn make_room<W: Ord>(&mut self, gone: bool, worth: impl Fn(&Peer) -> W) {
        let concerned = self.iter().filter(|(_, peer)| peer.is_gone() == gone);
        let leave: Vec<A> = least_sixteenth(concerned.map(|(addr, peer)| (worth(peer), addr)).collect())
            .into_iter()
            .map(|(_, addr)| addr.clone())
            .collect();
        for at in (0..self.addrs.len()).rev().filter(|&at| leave.contains(&self.addrs[at])).collect::<Vec<_>>() {
            self.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Span = Span::from_millis(80);

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn whoever_answers_again_is_no_longer_gone_and_is_known_anew() {
        let (settings, mut detector) = (Settings::default(), Detector::NOTHING);
        for peer in [5, 3, 9] {
            detector.answered(&peer, RTT, at(1), &settings);
        }
        assert_eq!(detector.round_trips().map(|(peer, trip)| (*peer, trip)).collect::<Vec<_>>(), [(3, RTT), (5, RTT), (9, RTT)]);
        let patience = detector.patience(&5, 0, &settings);
        assert!(patience < settings.answer_first, "{patience:?}");

        detector.silent(&5, at(2), &settings);
        assert!(detector.is_gone(&5) && !detector.is_gone(&3));
        assert_eq!(detector.patience(&5, 0, &settings), settings.answer_first);
        assert_eq!(detector.round_trips().count(), 2);
        detector.answered(&5, RTT, at(3), &settings);
        assert!(!detector.is_gone(&5));
        assert_eq!((detector.round_trips().count(), detector.suspects().count()), (3, 0));

        detector.silent(&9, at(4), &settings);
        detector.heard(&9);
        assert!(!detector.is_gone(&9));
        assert_eq!(detector.round_trips().count(), 2);
    }

    #[test]
    fn the_gone_are_asked_again_one_after_the_other_and_later_each_time() {
        let (settings, mut detector) = (Settings::default(), Detector::NOTHING);
        detector.silent(&7, at(10), &settings);
        detector.silent(&2, at(20), &settings);
        assert_eq!(detector.due(at(69), &settings), None);
        assert_eq!(detector.due(at(70), &settings), Some(7));
        assert_eq!(detector.due(at(79), &settings), None);
        assert_eq!(detector.due(at(80), &settings), Some(2));
        // A second time in a row: twice as long.
        detector.silent(&7, at(80), &settings);
        detector.heard(&2);
        assert_eq!(detector.due(at(199), &settings), None);
        assert_eq!(detector.due(at(200), &settings), Some(7));
        detector.heard(&7);
        assert_eq!(detector.due(at(9999), &settings), None);
        assert!(detector.is_empty());
    }

    #[test]
    fn an_answer_as_late_as_all_before_it_is_waited_for() {
        let (settings, mut detector) = (Settings::default(), Detector::NOTHING);
        let rtt = Span::from_millis(180);
        for second in 0..100 {
            detector.answered(&1, rtt, at(second), &settings);
        }
        let patience = detector.patience(&1, 0, &settings);
        assert!(patience >= rtt + Span::from_millis(20) && patience < rtt * 2, "{patience:?}");
    }

    #[test]
    fn each_kind_has_its_own_bound() {
        let settings = Settings { round_trips_max: 32, suspects_max: 32, ..Settings::default() };
        let mut detector = Detector::NOTHING;
        for peer in 0..100_u32 {
            detector.answered(&peer, RTT, at(u64::from(peer)), &settings);
            detector.silent(&(1000 + peer), at(u64::from(peer)), &settings);
            assert!(detector.round_trips().count() <= 32 && detector.suspects().count() <= 32);
        }
        assert!(detector.round_trips().any(|(peer, _)| *peer == 99) && detector.is_gone(&1099));
        assert!(detector.round_trips().all(|(peer, _)| *peer >= 60), "whoever was not heard longest leaves first");

        let nobody = Settings { round_trips_max: 0, suspects_max: 0, ..Settings::default() };
        let mut detector = Detector::NOTHING;
        detector.answered(&1, RTT, at(1), &nobody);
        detector.silent(&2, at(1), &nobody);
        assert!(detector.is_empty());
    }
}
