//! Peers of one swarm that are known: where they are, what came of dialling them, and who is next.

use std::cmp::Reverse;
use std::net::SocketAddr;

use hexad_core::{Dice, Endpoint, Map, Span, Time};

use crate::node::dht::is_local;
use crate::node::hearsay::PORTS_OF_HOST_MAX;
use crate::node::priority::priority;

/// Failures in a row after which a peer is forgotten.
const FAILS_MAX: u8 = 4;
/// The first wait after a failure; it grows with each.
const PAUSE: Span = Span::from_secs(30);

/// Who told us of a peer, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The user, or a magnet link.
    Given,
    Tracker,
    /// It connected to us and said where it listens.
    Met,
    Lsd,
    Dht,
    Pex,
}

impl Origin {
    /// Whether somebody else than the user or the peer itself says so.
    pub(crate) const fn is_hearsay(self) -> bool {
        matches!(self, Self::Tracker | Self::Lsd | Self::Dht | Self::Pex)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Idle,
    Dialling,
    Connected,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    origin: Origin,
    now: Now,
    fails: u8,
    not_before: Time,
    /// It has everything, as far as is known.
    seed: bool,
    /// It does not speak MSE.
    plain: bool,
    /// It goes by the name of version 2; of a hybrid, others may know only that of version 1.
    v2: bool,
}

/// Whom to dial, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) peer: Endpoint,
    /// It speaks no MSE.
    pub(crate) plain: bool,
    /// It goes by the name of version 2.
    pub(crate) v2: bool,
}

/// The known peers of one swarm.
#[derive(Debug)]
pub(crate) struct Candidates {
    known: Map<Endpoint, Candidate>,
    max: usize,
}

/// What is dialled first: how often it failed, whence it is, its priority.
type Rank = (u8, Origin, Reverse<Option<u32>>);

impl Candidates {
    pub(crate) const fn new(max: usize) -> Self {
        Self { known: Map::new(), max }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// A peer was named. When there are too many, one that failed, or is less trusted, leaves; if there is none, the newcomer does.
    pub(crate) fn add(&mut self, peer: Endpoint, origin: Origin, seed: bool, v2: bool) -> bool {
        if let Some(known) = self.known.get_mut(&peer) {
            known.origin = known.origin.min(origin);
            known.seed |= seed;
            known.v2 |= v2;
            if origin == Origin::Given {
                known.fails = 0;
                known.not_before = Time::ZERO;
            }
            return false;
        }
        if self.known.len() >= self.max {
            let worst = self.known.iter().filter(|(_, one)| one.now == Now::Idle).max_by_key(|(_, one)| (one.fails, one.origin));
            let Some((worst, fails, other)) = worst.map(|(peer, one)| (peer.clone(), one.fails, one.origin)) else { return false };
            if fails == 0 && other <= origin {
                return false;
            }
            self.known.remove(&worst);
        }
        let candidate = Candidate { origin, now: Now::Idle, fails: 0, not_before: Time::ZERO, seed, plain: false, v2 };
        self.known.insert(peer, candidate);
        true
    }

    /// The peer to dial next: who failed least, and of those the most trusted; among equals by the priority of BEP 40 where our own address of
    /// that family is known (asked with whether it is IPv4), else at random.
    pub(crate) fn next(&mut self, seeding: bool, own: impl Fn(bool) -> Option<SocketAddr>, now: Time, dice: &mut Dice) -> Option<Next> {
        let own = [own(true), own(false)];
        let ready = |one: &Candidate| one.now == Now::Idle && one.not_before <= now && !(seeding && one.seed);
        let worth = |peer: &Endpoint| {
            let at = peer.socket()?;
            let own = own[usize::from(!at.ip().to_canonical().is_ipv4())]?;
            Some(priority(own, at))
        };
        let mut best: Option<(&Endpoint, Rank)> = None;
        let mut equals = 0;
        for (peer, one) in self.known.iter().filter(|(_, one)| ready(one)) {
            let rank = (one.fails, one.origin, Reverse(worth(peer)));
            match best {
                Some((_, other)) if other < rank => {}
                Some((_, other)) if other == rank => {
                    equals += 1;
                    if dice.below(equals) == 0 {
                        best = Some((peer, rank));
                    }
                }
                _ => (best, equals) = (Some((peer, rank)), 1),
            }
        }
        let peer = best?.0.clone();
        let candidate = self.known.get_mut(&peer)?;
        candidate.now = Now::Dialling;
        let (plain, v2) = (candidate.plain, candidate.v2);
        Some(Next { peer, plain, v2 })
    }

    /// Whether that peer is another port of a public host of which as many are known by hearsay as may be.
    pub(crate) fn host_is_full(&self, peer: &Endpoint) -> bool {
        let Some(at) = peer.socket().filter(|at| !is_local(at.ip())) else { return false };
        let port = |port| Endpoint::Ip(SocketAddr::new(at.ip(), port));
        let ports = self.known.range(port(0)..=port(u16::MAX));
        !self.known.contains_key(peer) && ports.filter(|(_, one)| one.origin.is_hearsay()).count() >= PORTS_OF_HOST_MAX
    }

    /// Whether that peer is among them.
    pub(crate) fn knows(&self, peer: &Endpoint) -> bool {
        self.known.contains_key(peer)
    }

    /// It is being dialled for a reason of its own.
    pub(crate) fn dialling(&mut self, peer: &Endpoint) {
        if let Some(one) = self.known.get_mut(peer) {
            one.now = Now::Dialling;
        }
    }

    /// From when on somebody can be dialled; `None` where there is nobody for that.
    pub(crate) fn next_ready(&self, seeding: bool) -> Option<Time> {
        self.known.values().filter(|one| one.now == Now::Idle && !(seeding && one.seed)).map(|one| one.not_before).min()
    }

    /// Whether anybody can be dialled right now.
    pub(crate) fn has_ready(&self, now: Time) -> bool {
        self.known.values().any(|one| one.now == Now::Idle && one.not_before <= now)
    }

    /// The torrent turns out to be private: forgets whom neither a user nor a tracker named, and returns those of them that are connected (BEP 27).
    pub(crate) fn forget_hearsay(&mut self) -> Vec<Endpoint> {
        let hearsay = |one: &Candidate| matches!(one.origin, Origin::Dht | Origin::Pex | Origin::Lsd);
        let connected =
            self.known.iter().filter(|(_, one)| hearsay(one) && one.now == Now::Connected).map(|(peer, _)| peer.clone()).collect();
        self.known.retain(|_, one| !hearsay(one) || one.now == Now::Dialling);
        connected
    }

    pub(crate) fn connected(&mut self, peer: &Endpoint) {
        if let Some(one) = self.known.get_mut(peer) {
            one.now = Now::Connected;
            one.fails = 0;
        }
    }

    /// It is spoken to in clear from now on.
    pub(crate) fn speaks_plain(&mut self, peer: &Endpoint) {
        if let Some(one) = self.known.get_mut(peer) {
            one.plain = true;
        }
    }

    /// It is dialled by the other name of a hybrid next time.
    pub(crate) fn goes_by_the_other_name(&mut self, peer: &Endpoint) {
        if let Some(one) = self.known.get_mut(peer) {
            one.v2 = !one.v2;
        }
    }

    pub(crate) fn is_seed(&mut self, peer: &Endpoint) {
        if let Some(one) = self.known.get_mut(peer) {
            one.seed = true;
        }
    }

    /// A dial, or what followed at once, has failed: it is tried again later, unless that has happened too often.
    pub(crate) fn failed(&mut self, peer: &Endpoint, now: Time) {
        let Some(one) = self.known.get_mut(peer) else { return };
        one.now = Now::Idle;
        one.fails += 1;
        // One that a user named is tried for as long as there is an operation.
        if one.fails >= FAILS_MAX && one.origin != Origin::Given {
            self.known.remove(peer);
            return;
        }
        one.fails = one.fails.min(FAILS_MAX);
        one.not_before = now + PAUSE * u32::from(one.fails) / if one.origin == Origin::Given { 6 } else { 1 };
    }

    /// A connection is over; it may be dialled again after `pause`.
    pub(crate) fn closed(&mut self, peer: &Endpoint, pause: Span, now: Time) {
        if let Some(one) = self.known.get_mut(peer) {
            one.now = Now::Idle;
            one.not_before = now + pause;
        }
    }

    /// Never again: banned, or ourselves.
    pub(crate) fn remove(&mut self, peer: &Endpoint) {
        self.known.remove(peer);
    }

    /// Forgets whom a tracker named (BEP 27: another tracker of a private torrent is asked).
    pub(crate) fn forget_tracker_peers(&mut self) {
        self.known.retain(|_, one| one.origin != Origin::Tracker || one.now != Now::Idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> Endpoint {
        Endpoint::Ip(([192, 0, 2, last], 6881).into())
    }

    fn next(last: u8) -> Next {
        Next { peer: peer(last), plain: false, v2: false }
    }

    #[test]
    fn whoever_a_user_named_is_dialled_first_and_failures_come_last() {
        let mut dice = Dice::counter(1, 1);
        let mut candidates = Candidates::new(10);
        candidates.add(peer(1), Origin::Pex, false, false);
        candidates.add(peer(2), Origin::Given, false, false);
        candidates.add(peer(3), Origin::Tracker, true, false);
        assert_eq!(candidates.next(false, |_| None, Time::ZERO, &mut dice), Some(next(2)));
        candidates.failed(&peer(2), Time::ZERO);
        assert_eq!(candidates.next(true, |_| None, Time::ZERO, &mut dice), Some(next(1)), "a seed does not dial seeds");
        assert_eq!(candidates.next(false, |_| None, Time::ZERO, &mut dice), Some(next(3)));
        assert_eq!(candidates.next(false, |_| None, Time::ZERO, &mut dice), None);
        assert_eq!(candidates.next(false, |_| None, Time::ZERO + PAUSE, &mut dice), Some(next(2)));
    }

    #[test]
    fn a_full_list_keeps_the_more_trusted() {
        let mut candidates = Candidates::new(2);
        assert!(candidates.add(peer(1), Origin::Pex, false, false));
        assert!(candidates.add(peer(2), Origin::Tracker, false, false));
        assert!(!candidates.add(peer(3), Origin::Pex, false, false));
        assert!(candidates.add(peer(4), Origin::Given, false, false));
        assert_eq!(candidates.len(), 2);
        assert!(!candidates.known.contains_key(&peer(1)));
    }

    #[test]
    fn a_peer_that_fails_again_and_again_is_forgotten_unless_a_user_named_it() {
        let mut candidates = Candidates::new(10);
        candidates.add(peer(1), Origin::Dht, false, false);
        candidates.add(peer(2), Origin::Given, false, false);
        for _ in 0..10 {
            candidates.failed(&peer(1), Time::ZERO);
            candidates.failed(&peer(2), Time::ZERO);
        }
        assert_eq!(candidates.len(), 1);
        assert!(candidates.known.contains_key(&peer(2)));
    }
}
