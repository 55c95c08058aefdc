//! One lookup: asks ever closer nodes until the closest eight that answer are known. BEP 5.
//!
//! Nodes may lie. Whoever names nodes of which hardly one answers is believed no more, and nodes whose ids do not follow from their addresses
//! (BEP 42) do not end a lookup by being closest.

use std::net::SocketAddr;

use hexad_core::{Span, Time};

use super::contacts::Spot;
use super::id::{Distance, NodeId, is_local};
use super::table::{K, network};

/// Questions out at a time, those that have been silent for [`SHORT_TIMEOUT`] not counted.
const ALPHA: usize = 5;
/// After this a silent node frees its place; it may still answer.
pub(super) const SHORT_TIMEOUT: Span = Span::from_secs(1);
/// Nodes for which there is room from the start.
const CANDIDATES_MIN: usize = 4 * K;
/// Nodes remembered; the farthest leave.
const CANDIDATES_MAX: usize = 200;
/// Nodes taken from one informant; more than a bucket is not asked for.
const TOLD_MAX: usize = 2 * K;
/// So many nodes that one informant named may be silent before it is believed no more, if not half as many have answered.
const SILENT_MAX: usize = 4;
/// A lookup is over when the closest that answered weigh this: eight whose ids fit their addresses.
const ENOUGH: usize = 3 * K;

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Known by hearsay.
    Fresh,
    /// Asked at that time.
    Asked(Time),
    /// Asked more than [`SHORT_TIMEOUT`] ago.
    Silent,
    /// Answered, with a token or without.
    Answered(Option<Vec<u8>>),
    /// Did not answer, or with an error.
    Failed,
}

#[derive(Clone, Debug)]
struct Candidate {
    /// Unknown of a bootstrap address.
    id: Option<NodeId>,
    spot: Spot,
    /// How much it counts towards [`ENOUGH`]: an address to begin at says nothing of the target, and any id can be invented that need not fit
    /// an address.
    weight: u8,
    /// Its place in [`Lookup::informants`].
    told_by: Option<u16>,
    state: State,
}

/// What became of the nodes that somebody named.
#[derive(Debug)]
struct Informant {
    spot: Spot,
    told: usize,
    silent: usize,
    answered: usize,
}

impl Informant {
    fn is_believed(&self) -> bool {
        self.silent < SILENT_MAX || self.silent <= 2 * self.answered
    }
}

/// The state of one lookup in one address family.
#[derive(Debug)]
pub(super) struct Lookup {
    target: NodeId,
    one_per_site: bool,
    /// By distance; those without an id first.
    candidates: Vec<Candidate>,
    /// How many of them are [`State::Asked`].
    busy: usize,
    /// None of these was asked before this.
    asked_since: Time,
    /// Those who have named candidates; never more than have answered.
    informants: Vec<Informant>,
}

impl Lookup {
    /// `one_per_site`: of each /24 (IPv6: /64) only one node is asked.
    pub fn new(target: NodeId, one_per_site: bool) -> Self {
        Self {
            target,
            one_per_site,
            candidates: Vec::with_capacity(CANDIDATES_MIN),
            busy: 0,
            asked_since: Time::ZERO,
            informants: Vec::new(),
        }
    }

    /// What is looked for.
    pub fn target(&self) -> NodeId {
        self.target
    }

    /// Somebody may know more: `told_by` says so, or our own table. Of one public address only one node is asked, and of one public site: a liar
    /// would offer many.
    pub fn add(&mut self, id: Option<NodeId>, address: SocketAddr, told_by: Option<SocketAddr>) {
        let distance = self.distance(id);
        let at = self.place_of(distance);
        if id.is_some() && self.is_before(at, id) {
            return;
        }
        let spot = Spot::of(address);
        let local = is_local(address.ip());
        let near = |other: Spot| other.is_same_host(spot) || (self.one_per_site && network(other.ip()) == network(address.ip()));
        let same = |other: &Candidate| other.spot == spot || (!local && other.state != State::Failed && near(other.spot));
        if self.candidates.iter().any(same) {
            return;
        }
        if at >= CANDIDATES_MAX {
            return;
        }
        let told_by = match told_by {
            None => None,
            Some(told_by) => {
                let Some(number) = self.informant(Spot::of(told_by)) else { return };
                let informant = &mut self.informants[usize::from(number)];
                if informant.told >= TOLD_MAX || !informant.is_believed() {
                    return;
                }
                informant.told += 1;
                Some(number)
            }
        };
        self.candidates.insert(at, Candidate { id, spot, weight: weight(id, spot), told_by, state: State::Fresh });
        if self.candidates.len() > CANDIDATES_MAX {
            let useless = |other: &Candidate| matches!(other.state, State::Silent | State::Failed);
            let worst = self.candidates.iter().rposition(useless);
            let worst = worst.or_else(|| self.candidates.iter().rposition(|other| other.state == State::Fresh));
            let left = self.candidates.remove(worst.unwrap_or(CANDIDATES_MAX));
            self.busy -= usize::from(left.is_asked());
        }
    }

    /// Whom to ask now; they count as asked.
    pub fn next(&mut self, now: Time) -> Vec<SocketAddr> {
        self.give_up_the_silent(now);
        let (mut busy, before) = (self.busy, self.busy);
        let mut near = 0;
        let mut asked = Vec::new();
        for candidate in &mut self.candidates {
            if busy >= ALPHA || near >= ENOUGH {
                break;
            }
            match candidate.state {
                State::Fresh => {
                    candidate.state = State::Asked(now);
                    asked.push(candidate.spot.address());
                    busy += 1;
                    near += usize::from(candidate.weight);
                }
                State::Asked(_) | State::Answered(_) => near += usize::from(candidate.weight),
                State::Silent | State::Failed => {}
            }
        }
        if before == 0 {
            self.asked_since = now;
        }
        self.busy = busy;
        asked
    }

    /// A node has answered.
    pub fn answered(&mut self, id: NodeId, address: SocketAddr, token: Option<Vec<u8>>) {
        let spot = Spot::of(address);
        let Some(at) = self.candidates.iter().position(|candidate| candidate.spot == spot) else { return };
        let candidate = &mut self.candidates[at];
        self.busy -= usize::from(candidate.is_asked());
        if let Some(informant) = candidate.told_by.and_then(|told_by| self.informants.get_mut(usize::from(told_by))) {
            informant.answered += 1;
            informant.silent -= usize::from(candidate.state == State::Silent).min(informant.silent);
        }
        candidate.state = State::Answered(token);
        if candidate.id == Some(id) {
            return;
        }
        // An address without an id, or one under another id than we were told, takes its place by the one it says.
        let mut candidate = self.candidates.remove(at);
        (candidate.id, candidate.weight) = (Some(id), weight(Some(id), spot));
        let place = self.place_of(self.distance(Some(id)));
        if self.is_before(place, Some(id)) {
            return;
        }
        self.candidates.insert(place, candidate);
    }

    /// A node has not answered, or not well.
    pub fn failed(&mut self, address: SocketAddr) {
        let spot = Spot::of(address);
        if let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.spot == spot) {
            self.busy -= usize::from(candidate.is_asked());
            candidate.state = State::Failed;
        }
    }

    /// Whether the closest eight have answered, or nobody is left to ask. A node that is silent for [`SHORT_TIMEOUT`] holds nobody up.
    pub fn is_done(&self, now: Time) -> bool {
        let mut near = 0;
        for candidate in &self.candidates {
            match candidate.state {
                State::Answered(_) => near += usize::from(candidate.weight),
                State::Fresh => return false,
                State::Asked(at) if now.since(at) < SHORT_TIMEOUT => return false,
                State::Asked(_) | State::Silent | State::Failed => {}
            }
            if near >= ENOUGH {
                return true;
            }
        }
        // With hardly an answer yet, the slow ones are all we have.
        near > 0 || (self.busy == 0 && !self.candidates.iter().any(|candidate| candidate.state == State::Silent))
    }

    /// When [`Self::next`] or [`Self::is_done`] will say something else without anything being heard.
    pub fn next_look(&self, now: Time) -> Option<Time> {
        let asked = |candidate: &Candidate| match candidate.state {
            State::Asked(at) => Some(at),
            _ => None,
        };
        let asked = self.candidates.iter().filter_map(asked).take(self.busy);
        asked.filter(|at| now.since(*at) < SHORT_TIMEOUT).min().map(|at| at + SHORT_TIMEOUT)
    }

    /// The closest eight nodes that have answered, and the closest eight of those whose ids fit their addresses, with their tokens.
    pub fn closest(&self) -> impl Iterator<Item = (SocketAddr, Option<&[u8]>)> {
        let (mut all, mut fitting) = (0, 0);
        self.candidates.iter().filter_map(move |candidate| {
            let State::Answered(token) = &candidate.state else { return None };
            let fits = candidate.weight == 3;
            let wanted = all < K || (fits && fitting < K);
            all += 1;
            fitting += usize::from(fits);
            wanted.then_some((candidate.spot.address(), token.as_deref()))
        })
    }

    /// Those that have been silent for long free their places, and with them goes what a liar has named.
    fn give_up_the_silent(&mut self, now: Time) {
        if self.busy == 0 || now.since(self.asked_since) < SHORT_TIMEOUT {
            return;
        }
        let mut liars = false;
        self.asked_since = now;
        for candidate in &mut self.candidates {
            let State::Asked(at) = candidate.state else { continue };
            if now.since(at) < SHORT_TIMEOUT {
                self.asked_since = self.asked_since.min(at);
            } else {
                candidate.state = State::Silent;
                self.busy -= 1;
                if let Some(informant) = candidate.told_by.and_then(|told_by| self.informants.get_mut(usize::from(told_by))) {
                    informant.silent += 1;
                    liars |= !informant.is_believed();
                }
            }
        }
        if liars {
            let informants = &self.informants;
            let believed = |told_by: u16| informants.get(usize::from(told_by)).is_none_or(Informant::is_believed);
            self.candidates.retain(|candidate| candidate.state != State::Fresh || candidate.told_by.is_none_or(believed));
        }
    }

    /// The place of whoever tells us of others, the latest mostly; `None` when there are too many.
    fn informant(&mut self, spot: Spot) -> Option<u16> {
        let known = self.informants.iter().rposition(|informant| informant.spot == spot);
        let at = known.unwrap_or(self.informants.len());
        let number = u16::try_from(at).ok()?;
        if known.is_none() {
            self.informants.push(Informant { spot, told: 0, silent: 0, answered: 0 });
        }
        Some(number)
    }

    fn distance(&self, id: Option<NodeId>) -> Option<Distance> {
        id.map(|id| id.distance(self.target))
    }

    /// Where somebody so far away belongs: behind all that are not farther.
    fn place_of(&self, distance: Option<Distance>) -> usize {
        self.candidates.partition_point(|other| self.distance(other.id) <= distance)
    }

    /// Whether the candidate before that place has that id. Equal ids are equally far.
    fn is_before(&self, place: usize, id: Option<NodeId>) -> bool {
        place.checked_sub(1).and_then(|before| self.candidates.get(before)).is_some_and(|other| other.id == id)
    }
}

impl Candidate {
    fn is_asked(&self) -> bool {
        matches!(self.state, State::Asked(_))
    }
}

fn weight(id: Option<NodeId>, spot: Spot) -> u8 {
    id.map_or(0, |id| if id.fits(spot.ip()) { 3 } else { 1 })
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
            lookup.add(Some(id(n)), local(n), None);
        }
        assert_eq!(lookup.next(at(0)).iter().map(|address| address.port()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(lookup.next(at(999)).is_empty());
        lookup.answered(id(2), local(2), None);
        assert_eq!(lookup.next(at(999)).len(), 1);
        assert_eq!(lookup.next(at(1000)).iter().map(|address| address.port()).collect::<Vec<_>>(), [7, 8, 9, 10]);
        assert!(!lookup.is_done(at(1000)));
    }

    #[test]
    fn it_ends_when_the_closest_eight_have_answered_and_the_slow_ones_hold_nobody_up() {
        let mut lookup = Lookup::new(id(0), true);
        for n in 1..=20 {
            lookup.add(Some(id(n)), local(n), None);
        }
        let mut now = 0;
        while !lookup.is_done(at(now)) {
            for address in lookup.next(at(now)) {
                let n = u8::try_from(address.port()).unwrap();
                if n > 2 {
                    lookup.answered(id(n), address, Some(vec![n]));
                }
            }
            now += 100;
            assert!(now < 5000);
        }
        assert!(now <= 1200, "{now}");
        let closest: Vec<u16> = lookup.closest().map(|(address, _)| address.port()).collect();
        assert_eq!(closest, [3, 4, 5, 6, 7, 8, 9, 10]);
        lookup.answered(id(1), local(1), None);
        assert_eq!(lookup.closest().next().unwrap().0, local(1), "an answer that comes late still counts");
    }

    #[test]
    fn nobody_is_asked_twice_and_a_site_on_the_internet_once() {
        let mut lookup = Lookup::new(id(0), true);
        let far = |d: u8, port| SocketAddr::from(([192, 0, 2, d], port));
        lookup.add(Some(id(1)), far(1, 1), None);
        lookup.add(Some(id(2)), far(1, 2), None);
        lookup.add(Some(id(3)), far(2, 1), None);
        lookup.add(Some(id(1)), local(1), None);
        lookup.add(None, local(2), None);
        lookup.add(None, local(2), None);
        assert_eq!(lookup.next(at(0)).len(), 2);
        lookup.answered(id(9), local(2), None);
        lookup.failed(far(1, 1));
        assert!(lookup.is_done(at(0)));
    }

    #[test]
    fn a_flood_of_candidates_keeps_the_closest() {
        let mut lookup = Lookup::new(id(0), true);
        for n in (0..=255).rev() {
            lookup.add(Some(id(n)), local(n), None);
        }
        assert_eq!(lookup.candidates.len(), CANDIDATES_MAX);
        assert_eq!(lookup.candidates[0].id, Some(id(0)));
    }

    #[test]
    fn one_without_answers_waits_for_the_slow_and_then_ends() {
        let mut lookup = Lookup::new(id(0), true);
        assert!(lookup.is_done(at(0)));
        lookup.add(Some(id(1)), local(1), None);
        lookup.next(at(0));
        assert!(!lookup.is_done(at(5000)));
        lookup.failed(local(1));
        assert!(lookup.is_done(at(5000)));
    }

    #[test]
    fn whoever_names_nodes_that_do_not_exist_is_soon_believed_no_more() {
        let mut lookup = Lookup::new(id(0), true);
        lookup.add(Some(id(200)), local(200), None);
        lookup.add(Some(id(201)), local(201), None);
        lookup.next(at(0));
        for n in 1..=100 {
            lookup.add(Some(id(n)), local(n), Some(local(200)));
        }
        for n in 101..=110 {
            lookup.add(Some(id(n)), local(n), Some(local(201)));
        }
        lookup.answered(id(200), local(200), None);
        lookup.answered(id(201), local(201), None);
        let mut asked = Vec::new();
        for seconds in 1..10 {
            for address in lookup.next(at(seconds * 1000)) {
                asked.push(address.port());
                if address.port() > 100 {
                    lookup.answered(id(u8::try_from(address.port()).unwrap()), address, None);
                }
            }
        }
        assert_eq!(asked.iter().filter(|&&port| port <= 100).count(), ALPHA, "{asked:?}");
        assert_eq!(lookup.closest().next().unwrap().0, local(101));
        assert!(lookup.is_done(at(10_000)));
    }

    #[test]
    fn ids_that_do_not_fit_their_addresses_do_not_end_a_lookup() {
        let target = id(0);
        let mut lookup = Lookup::new(target, false);
        let public = |n: u8| SocketAddr::from(([192, 0, 2, n], 1));
        let mut dice = hexad_core::Dice::counter(8, 8);
        for n in 0..12 {
            lookup.add(Some(target.random_near(100, &mut dice)), public(n), None);
        }
        for n in 100..110 {
            lookup.add(Some(NodeId::random_for(public(n).ip(), &mut dice)), public(n), None);
        }
        let mut asked = 0;
        while !lookup.is_done(at(0)) {
            for address in lookup.next(at(0)) {
                let known =
                    lookup.candidates.iter().find(|candidate| candidate.spot == Spot::of(address)).and_then(|candidate| candidate.id);
                lookup.answered(known.unwrap(), address, None);
                asked += 1;
            }
        }
        assert!(asked >= 12 + 4, "{asked}");
        assert!(lookup.closest().filter(|(address, _)| address.ip().to_string().ends_with(['0', '1', '2', '3'])).count() >= 4);
    }
}
