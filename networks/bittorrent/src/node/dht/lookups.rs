//! One lookup: asks ever closer nodes until the closest eight that answer are known. BEP 5.

use std::net::{IpAddr, SocketAddr};

use hexad_core::{Span, Time};

use super::id::{NodeId, is_local};
use super::table::{K, network};

/// Questions out at a time, those that have been silent for [`SHORT_TIMEOUT`] not counted.
const ALPHA: usize = 5;
/// After this a silent node frees its place; it may still answer.
pub(super) const SHORT_TIMEOUT: Span = Span::from_secs(1);
/// Nodes remembered; the farthest leave.
const CANDIDATES_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Known by hearsay.
    Fresh,
    /// Asked at that time.
    Asked(Time),
    /// Answered, with a token or without.
    Answered(Option<Vec<u8>>),
    /// Did not answer, or with an error.
    Failed,
}

#[derive(Clone, Debug)]
struct Candidate {
    /// Unknown of a bootstrap address.
    id: Option<NodeId>,
    address: SocketAddr,
    state: State,
}

/// The state of one lookup in one address family.
#[derive(Debug)]
pub(super) struct Lookup {
    target: NodeId,
    one_per_site: bool,
    /// By distance; those without an id first.
    candidates: Vec<Candidate>,
}

impl Lookup {
    /// `one_per_site`: of each /24 (IPv6: /64) only one node is asked.
    pub fn new(target: NodeId, one_per_site: bool) -> Self {
        Self { target, one_per_site, candidates: Vec::new() }
    }

    /// What is looked for.
    pub fn target(&self) -> NodeId {
        self.target
    }

    /// Somebody may know more. Of one public address only one node is asked, and of one public site: a liar would offer many.
    pub fn add(&mut self, id: Option<NodeId>, address: SocketAddr) {
        let ip = address.ip();
        let near = |other: IpAddr| !is_local(ip) && (other == ip || (self.one_per_site && network(other) == network(ip)));
        let same = |other: &Candidate| {
            other.address == address || (id.is_some() && other.id == id) || (other.state != State::Failed && near(other.address.ip()))
        };
        if self.candidates.iter().any(same) {
            return;
        }
        let distance = self.distance(id);
        let at = self.candidates.partition_point(|other| self.distance(other.id) <= distance);
        if at < CANDIDATES_MAX {
            self.candidates.insert(at, Candidate { id, address, state: State::Fresh });
            if self.candidates.len() > CANDIDATES_MAX {
                let worst = self.candidates.iter().rposition(|other| matches!(other.state, State::Fresh | State::Failed));
                self.candidates.remove(worst.unwrap_or(CANDIDATES_MAX));
            }
        }
    }

    /// Whom to ask now; they count as asked.
    pub fn next(&mut self, now: Time) -> Vec<(Option<NodeId>, SocketAddr)> {
        let mut busy = self.candidates.iter().filter(|candidate| candidate.is_awaited(now)).count();
        let mut near = 0;
        let mut asked = Vec::new();
        for candidate in &mut self.candidates {
            if busy >= ALPHA || near >= K {
                break;
            }
            match candidate.state {
                State::Fresh => {
                    candidate.state = State::Asked(now);
                    asked.push((candidate.id, candidate.address));
                    busy += 1;
                    near += 1;
                }
                State::Asked(at) if now.since(at) < SHORT_TIMEOUT => near += 1,
                State::Answered(_) => near += 1,
                State::Asked(_) | State::Failed => {}
            }
        }
        asked
    }

    /// A node has answered.
    pub fn answered(&mut self, id: NodeId, address: SocketAddr, token: Option<Vec<u8>>) {
        let Some(at) = self.candidates.iter().position(|candidate| candidate.address == address) else { return };
        let mut candidate = self.candidates.remove(at);
        candidate.state = State::Answered(token);
        // An address without an id, or one under another id than we were told, takes its place by the one it says.
        candidate.id = Some(id);
        if self.candidates.iter().any(|other| other.id == Some(id)) {
            return;
        }
        let distance = self.distance(Some(id));
        let place = self.candidates.partition_point(|other| self.distance(other.id) <= distance);
        self.candidates.insert(place, candidate);
    }

    /// A node has not answered, or not well.
    pub fn failed(&mut self, address: SocketAddr) {
        if let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.address == address) {
            candidate.state = State::Failed;
        }
    }

    /// Whether the closest eight have answered, or nobody is left to ask. A node that is silent for [`SHORT_TIMEOUT`] holds nobody up.
    pub fn is_done(&self, now: Time) -> bool {
        let mut near = 0;
        for candidate in &self.candidates {
            match candidate.state {
                State::Answered(_) => near += 1,
                State::Fresh => return false,
                State::Asked(at) if now.since(at) < SHORT_TIMEOUT => return false,
                State::Asked(_) | State::Failed => {}
            }
            if near >= K {
                return true;
            }
        }
        // With hardly an answer yet, the slow ones are all we have.
        near > 0 || !self.candidates.iter().any(|candidate| matches!(candidate.state, State::Asked(_)))
    }

    /// When [`Self::next`] or [`Self::is_done`] will say something else without anything being heard.
    pub fn next_look(&self, now: Time) -> Option<Time> {
        let short = |candidate: &Candidate| match candidate.state {
            State::Asked(at) if now.since(at) < SHORT_TIMEOUT => Some(at + SHORT_TIMEOUT),
            _ => None,
        };
        self.candidates.iter().filter_map(short).min()
    }

    /// The closest nodes that have answered, with their tokens; at most eight.
    pub fn closest(&self) -> impl Iterator<Item = (NodeId, SocketAddr, Option<&[u8]>)> {
        let answered = |candidate: &'_ Candidate| matches!(candidate.state, State::Answered(_));
        self.candidates.iter().filter(move |candidate| answered(candidate)).take(K).filter_map(|candidate| match &candidate.state {
            State::Answered(token) => Some((candidate.id?, candidate.address, token.as_deref())),
            _ => None,
        })
    }

    fn distance(&self, id: Option<NodeId>) -> Option<[u8; 20]> {
        id.map(|id| id.distance(self.target))
    }
}

impl Candidate {
    fn is_awaited(&self, now: Time) -> bool {
        matches!(self.state, State::Asked(at) if now.since(at) < SHORT_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8) -> NodeId {
        let mut id = [0; 20];
        id[0] = first;
        NodeId(id)
    }

    fn local(port: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], u16::from(port)))
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }

    #[test]
    fn five_are_asked_at_a_time_closest_first() {
        let mut lookup = Lookup::new(id(0), true);
        for n in (1..=20).rev() {
            lookup.add(Some(id(n)), local(n));
        }
        assert_eq!(lookup.next(at(0)).iter().map(|(_, address)| address.port()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(lookup.next(at(999)).is_empty());
        lookup.answered(id(2), local(2), None);
        assert_eq!(lookup.next(at(999)).len(), 1);
        assert_eq!(lookup.next(at(1000)).iter().map(|(_, address)| address.port()).collect::<Vec<_>>(), [7, 8, 9, 10]);
        assert!(!lookup.is_done(at(1000)));
    }

    #[test]
    fn it_ends_when_the_closest_eight_have_answered_and_the_slow_ones_hold_nobody_up() {
        let mut lookup = Lookup::new(id(0), true);
        for n in 1..=20 {
            lookup.add(Some(id(n)), local(n));
        }
        let mut now = 0;
        while !lookup.is_done(at(now)) {
            for (_, address) in lookup.next(at(now)) {
                let n = u8::try_from(address.port()).unwrap();
                if n > 2 {
                    lookup.answered(id(n), address, Some(vec![n]));
                }
            }
            now += 100;
            assert!(now < 5000);
        }
        assert!(now <= 1200, "{now}");
        let closest: Vec<u16> = lookup.closest().map(|(_, address, _)| address.port()).collect();
        assert_eq!(closest, [3, 4, 5, 6, 7, 8, 9, 10]);
        lookup.answered(id(1), local(1), None);
        assert_eq!(lookup.closest().next().unwrap().1, local(1), "an answer that comes late still counts");
    }

    #[test]
    fn nobody_is_asked_twice_and_a_site_on_the_internet_once() {
        let mut lookup = Lookup::new(id(0), true);
        let far = |d: u8, port| SocketAddr::from(([192, 0, 2, d], port));
        lookup.add(Some(id(1)), far(1, 1));
        lookup.add(Some(id(2)), far(1, 2));
        lookup.add(Some(id(3)), far(2, 1));
        lookup.add(Some(id(1)), local(1));
        lookup.add(None, local(2));
        lookup.add(None, local(2));
        assert_eq!(lookup.next(at(0)).len(), 2);
        lookup.answered(id(9), local(2), None);
        lookup.failed(far(1, 1));
        assert!(lookup.is_done(at(0)));
    }

    #[test]
    fn a_flood_of_candidates_keeps_the_closest() {
        let mut lookup = Lookup::new(id(0), true);
        for n in (0..=255).rev() {
            lookup.add(Some(id(n)), local(n));
        }
        assert_eq!(lookup.candidates.len(), CANDIDATES_MAX);
        assert_eq!(lookup.candidates[0].id, Some(id(0)));
    }

    #[test]
    fn one_without_answers_waits_for_the_slow_and_then_ends() {
        let mut lookup = Lookup::new(id(0), true);
        assert!(lookup.is_done(at(0)));
        lookup.add(Some(id(1)), local(1));
        lookup.next(at(0));
        assert!(!lookup.is_done(at(5000)));
        lookup.failed(local(1));
        assert!(lookup.is_done(at(5000)));
    }
}
