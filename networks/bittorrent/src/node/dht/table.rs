//! The routing table of one address family. BEP 5: buckets of eight, split where our own id is.

use std::net::{IpAddr, SocketAddr};

use hexad_core::{Dice, Span, Time};

use super::contacts::{Contact, Contacts, Spot, Whereabouts};
use super::id::{NodeId, is_local};

/// Nodes in a bucket, and in an answer.
pub(super) const K: usize = 8;
/// Not heard for this long, a node is questionable. A bucket unchanged for this long is refreshed.
pub(super) const FRESH: Span = Span::from_secs(15 * 60);
/// Questions without an answer after which a node is bad and leaves for whoever waits.
const FAILS_BAD: u8 = 2;
/// Buckets for which room is made at a time.
const BUCKETS_MORE: usize = 4;
/// A node that nobody waits to replace is kept until this many, as it may be our own line that is down.
const FAILS_MAX: u8 = 8;

#[derive(Debug)]
struct Bucket {
    nodes: Contacts,
    /// Nodes that have answered but found no room; the last one was heard last.
    waiting: Vec<Contact>,
    touched: Time,
}

impl Bucket {
    fn new(now: Time) -> Self {
        Self { nodes: Contacts::new(), waiting: Vec::new(), touched: now }
    }

    /// Not even half full.
    fn is_sparse(&self) -> bool {
        self.nodes.len() < K / 2
    }
}

/// What is to be done about buckets that have not changed for long.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stale {
    /// To be pinged.
    pub questionable: Vec<SocketAddr>,
    /// Where others are to be looked for.
    pub targets: Vec<NodeId>,
}

/// Bucket `i` holds the nodes that have exactly the first `i` bits in common with us; the last one those that have more as well.
#[derive(Debug)]
pub(super) struct Table {
    own: NodeId,
    one_per_site: bool,
    buckets: Vec<Bucket>,
    whereabouts: Whereabouts,
    /// Nodes in all buckets.
    len: usize,
    /// No bucket is stale before this.
    stale_at: Time,
}

impl Table {
    /// `one_per_site`: a bucket takes one node of each /24 (IPv6: /64).
    pub fn new(own: NodeId, one_per_site: bool, now: Time) -> Self {
        Self { own, one_per_site, buckets: vec![Bucket::new(now)], whereabouts: Whereabouts::default(), len: 0, stale_at: now + FRESH }
    }

    /// Our own id.
    pub fn own(&self) -> NodeId {
        self.own
    }

    /// How many nodes it holds, the waiting ones not counted.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Reads it, see [`super::Dht::warm`]: half of all ids belong into the first bucket, a quarter into the second.
    pub fn warm(&self, depth: u8) -> usize {
        match depth {
            0 => self.buckets.len() ^ self.whereabouts.len(),
            1 => self.buckets.iter().take(2).flat_map(|bucket| bucket.nodes.iter()).map(|node| usize::from(node.fails)).sum(),
            _ => 0,
        }
    }

    /// All nodes.
    pub fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.buckets.iter().flat_map(|bucket| bucket.nodes.iter())
    }

    /// Begins again under another id, with the same nodes.
    pub fn rename(&mut self, own: NodeId, now: Time) {
        let nodes: Vec<Contact> = self.buckets.iter().flat_map(|bucket| bucket.nodes.iter().chain(&bucket.waiting)).copied().collect();
        *self = Self::new(own, self.one_per_site, now);
        for node in nodes {
            if node.id != own && !self.shares_address(node.id, node.address()) {
                self.admit(node, now);
            }
        }
    }

    /// A node was good when we last ran (BEP 5: "this table should be kept between invocations"). It may be asked, and leaves with the first question that it
    /// does not answer, if anybody waits for its place.
    pub fn remember(&mut self, id: NodeId, address: SocketAddr, now: Time) {
        let is_known = self.buckets[self.bucket_of(id)].nodes.iter().any(|known| known.id == id) || self.knows(address);
        if id != self.own && !is_known && self.has_room_for(id) && !self.shares_address(id, address) {
            self.admit(Contact::new(id, address, now, FAILS_BAD - 1), now);
        }
    }

    /// A node has answered a question that we put to that address. Returns a questionable node that should be pinged, as somebody waits for
    /// its place.
    pub fn answered(&mut self, id: NodeId, address: SocketAddr, now: Time) -> Option<(NodeId, SocketAddr)> {
        if id == self.own {
            return None;
        }
        let at = self.bucket_of(id);
        let spot = Spot::of(address);
        if let Some(known) = self.buckets[at].nodes.iter_mut().find(|known| known.id == id && known.spot == spot) {
            // No other id has that address: it would have been forgotten when this one came.
            known.answers(now);
            self.buckets[at].touched = now;
            return None;
        }
        self.forget_other_ids_of(id, spot);
        if let Some(known) = self.buckets[at].nodes.iter_mut().find(|known| known.id == id) {
            if known.fails >= FAILS_BAD {
                // It has moved. One that still answers where it was is not given up to whoever claims its id.
                self.whereabouts.remove(known.spot, at);
                self.whereabouts.add(spot, at);
                *known = Contact::new(id, address, now, 0);
            }
            return None;
        }
        if self.shares_address(id, address) {
            return None;
        }
        self.admit(Contact::new(id, address, now, 0), now)
    }

    /// A node has asked us something. That keeps a known one good; whether an unknown one is worth a ping, as there is room for it, is returned.
    pub fn asked(&mut self, id: NodeId, address: SocketAddr, now: Time) -> bool {
        let at = self.bucket_of(id);
        if let Some(known) = self.buckets[at].nodes.iter_mut().find(|known| known.id == id) {
            // A question proves no address, so it does not make a silent node good again.
            if known.fails == 0 && known.spot == Spot::of(address) {
                known.heard = known.heard.max(now);
            }
            return false;
        }
        id != self.own && self.has_room_for(id) && !self.shares_address(id, address)
    }

    /// A node has not answered. It leaves when somebody waits for its place and it has failed twice, or has failed for long.
    pub fn failed(&mut self, address: SocketAddr) {
        let spot = Spot::of(address);
        for at in self.whereabouts.of(spot) {
            let bucket = &mut self.buckets[at];
            let Some(place) = bucket.nodes.iter().position(|node| node.spot == spot) else { continue };
            let node = &mut bucket.nodes[place];
            node.fails = node.fails.saturating_add(1);
            if node.fails >= FAILS_MAX || (node.fails >= FAILS_BAD && !bucket.waiting.is_empty()) {
                bucket.nodes.remove(place);
                self.whereabouts.remove(spot, at);
                match bucket.waiting.pop() {
                    Some(next) => bucket.nodes.push(next),
                    None => self.len -= 1,
                }
            }
        }
    }

    /// The `wanted` nodes closest to `target`, bad ones left out.
    pub fn closest(&self, target: NodeId, wanted: usize) -> Vec<&Contact> {
        self.closest_of(target, wanted, |_| true)
    }

    /// The `wanted` closest to `target` of those that are `useful`, bad ones left out.
    pub fn closest_of(&self, target: NodeId, wanted: usize, useful: impl Fn(&Contact) -> bool) -> Vec<&Contact> {
        // Whoever differs from us where the target first does is closest to it, then whoever differs from us later, then the others, the later the closer.
        let at = self.bucket_of(target);
        let further = (0..at).rev().map(|bucket| bucket..bucket + 1);
        let mut nodes: Vec<&Contact> = Vec::with_capacity(2 * K);
        for buckets in [at..at + 1, at + 1..self.buckets.len()].into_iter().chain(further) {
            if nodes.len() >= wanted {
                break;
            }
            let from = nodes.len();
            let there = self.buckets[buckets].iter().flat_map(|bucket| bucket.nodes.iter());
            nodes.extend(there.filter(|node| node.fails < FAILS_BAD && useful(node)));
            nodes[from..].sort_unstable_by_key(|node| node.id.distance(target));
        }
        nodes.truncate(wanted);
        nodes
    }

    /// What is to be done about buckets that have not changed for 15 minutes; they count as changed from then on. In a full one, it is seen whether those who
    /// were not heard for as long are still there, as libtorrent does. Where there is room, others are looked for: at a random id in the bucket, and
    /// near ourselves for all those behind which no bucket is full.
    pub fn stale(&mut self, now: Time, dice: &mut Dice) -> Stale {
        if now < self.stale_at {
            return Stale::default();
        }
        let own = self.own;
        let tail = self.buckets.iter().rposition(|bucket| bucket.nodes.len() >= K).map_or(0, |at| at + 1);
        let mut stale = Stale::default();
        for (bits, bucket) in self.buckets.iter_mut().enumerate().filter(|(_, bucket)| now.since(bucket.touched) >= FRESH) {
            bucket.touched = now;
            if bucket.nodes.len() >= K {
                let silent = bucket.nodes.iter().filter(|node| now.since(node.heard) >= FRESH);
                stale.questionable.extend(silent.map(Contact::address));
            } else if bits < tail {
                stale.targets.push(own.random_near(bits, dice));
            } else if stale.targets.last() != Some(&own) {
                stale.targets.push(own);
            }
        }
        self.stale_at = self.buckets.iter().map(|bucket| bucket.touched + FRESH).min().unwrap_or(now + FRESH);
        stale
    }

    /// A random id in each bucket but the one we are in that is not even half full: the others fill by themselves, with those who ask us.
    pub fn sparse(&self, dice: &mut Dice) -> Vec<NodeId> {
        let others = self.buckets.split_last().map_or(&[][..], |(_, others)| others);
        let sparse = others.iter().enumerate().filter(|(_, bucket)| bucket.is_sparse());
        sparse.map(|(bits, _)| self.own.random_near(bits, dice)).collect()
    }

    /// When it is to be seen next whether a bucket is stale; none is before.
    pub fn next_stale(&self) -> Time {
        self.stale_at
    }

    /// Whether a node of that id would find a place at once.
    pub fn has_room_for(&self, id: NodeId) -> bool {
        let at = self.bucket_of(id);
        self.buckets[at].nodes.len() < K || at + 1 == self.buckets.len()
    }

    /// Whether more nodes are wanted where that id belongs: in a bucket that is not half full, and in the one that we are in.
    pub fn is_sparse_at(&self, id: NodeId) -> bool {
        let at = self.bucket_of(id);
        self.buckets[at].is_sparse() || at + 1 == self.buckets.len()
    }

    fn admit(&mut self, node: Contact, now: Time) -> Option<(NodeId, SocketAddr)> {
        loop {
            let at = self.bucket_of(node.id);
            let last = at + 1 == self.buckets.len();
            if last && self.buckets[at].nodes.len() >= K && self.buckets.len() < 160 {
                self.split(now);
                continue;
            }
            let bucket = &mut self.buckets[at];
            if !bucket.nodes.is_full() {
                bucket.nodes.push(node);
                bucket.touched = now;
                self.whereabouts.add(node.spot, at);
                self.len += 1;
                return None;
            }
            // A node whose id does not follow from its address (BEP 42) gives way to one whose id does: invented ids are how a table is captured.
            let worst = bucket.nodes.iter().position(|old| old.fails >= FAILS_BAD).or_else(|| {
                let fits = node.id.fits(node.ip());
                bucket.nodes.iter().position(|old| fits && !old.id.fits(old.ip()))
            });
            if let Some(worst) = worst {
                self.whereabouts.remove(bucket.nodes[worst].spot, at);
                self.whereabouts.add(node.spot, at);
                bucket.nodes[worst] = node;
                bucket.touched = now;
                return None;
            }
            let whereabouts = &mut self.whereabouts;
            bucket.waiting.retain(|waiting| {
                let stays = waiting.id != node.id && waiting.spot != node.spot;
                if !stays {
                    whereabouts.remove(waiting.spot, at);
                }
                stays
            });
            if bucket.waiting.len() >= K {
                whereabouts.remove(bucket.waiting.remove(0).spot, at);
            }
            whereabouts.add(node.spot, at);
            bucket.waiting.push(node);
            let questionable = bucket.nodes.iter_mut().filter(|old| old.wants_probe(now)).min_by_key(|old| old.heard)?;
            questionable.probe(now);
            return Some((questionable.id, questionable.address()));
        }
    }

    fn split(&mut self, now: Time) {
        let bits = self.buckets.len() - 1;
        let own = self.own;
        let Some(last) = self.buckets.last_mut() else { return };
        let mut next = Bucket::new(last.touched);
        let stays = |node: &Contact| node.id.common_bits(own) <= bits;
        let gone = last.nodes.iter().filter(|node| !stays(node));
        gone.for_each(|node| next.nodes.push(*node));
        last.nodes.retain(stays);
        (last.waiting, next.waiting) = last.waiting.drain(..).partition(stays);
        for node in next.nodes.iter().chain(&next.waiting) {
            self.whereabouts.remove(node.spot, bits);
            self.whereabouts.add(node.spot, bits + 1);
        }
        if next.nodes.is_empty() {
            next.touched = now;
        }
        // A bucket is large, and there are few.
        if self.buckets.len() == self.buckets.capacity() {
            self.buckets.reserve_exact(BUCKETS_MORE);
        }
        self.buckets.push(next);
    }

    /// An address has one node: whoever answers there under another id than before has begun anew.
    fn forget_other_ids_of(&mut self, id: NodeId, spot: Spot) {
        for at in self.whereabouts.of(spot) {
            let (bucket, whereabouts) = (&mut self.buckets[at], &mut self.whereabouts);
            let mut stays = |node: &Contact| {
                let stays = node.id == id || node.spot != spot;
                if !stays {
                    whereabouts.remove(spot, at);
                }
                stays
            };
            let before = bucket.nodes.len();
            bucket.nodes.retain(&mut stays);
            self.len -= before - bucket.nodes.len();
            bucket.waiting.retain(stays);
        }
    }

    /// Whether a node is there.
    pub fn knows(&self, address: SocketAddr) -> bool {
        let spot = Spot::of(address);
        self.whereabouts.of(spot).into_iter().any(|at| self.buckets[at].nodes.iter().any(|node| node.spot == spot))
    }

    /// Whether a node with another id is there at the same address, or its bucket has one of the same /24 (IPv6: /64): one host shall not fill a
    /// table with invented nodes. Local addresses are exempt.
    fn shares_address(&self, id: NodeId, address: SocketAddr) -> bool {
        let ip = address.ip();
        if is_local(ip) {
            return false;
        }
        let bucket = &self.buckets[self.bucket_of(id)];
        let same_site = |node: &Contact| network(node.ip()) == network(ip);
        let same_host = |at: usize| self.buckets[at].nodes.iter().any(|node| node.ip() == ip);
        (self.one_per_site && bucket.nodes.iter().any(same_site)) || self.whereabouts.of(Spot::of(address)).into_iter().any(same_host)
    }

    fn bucket_of(&self, id: NodeId) -> usize {
        id.common_bits(self.own).min(self.buckets.len() - 1)
    }
}

/// What hosts of one site have in common: /24 of IPv4, /64 of IPv6.
pub(super) fn network(ip: IpAddr) -> [u8; 9] {
    let mut network = [0; 9];
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            network[0] = 4;
            network[1..4].copy_from_slice(&ip.octets()[..3]);
        }
        IpAddr::V6(ip) => {
            network[0] = 6;
            network[1..].copy_from_slice(&ip.octets()[..8]);
        }
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId([0; 20]);

    fn id(first: u8, last: u8) -> NodeId {
        let mut id = [0; 20];
        id[0] = first;
        id[19] = last;
        NodeId(id)
    }

    fn local(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn far_buckets_keep_eight_and_near_ones_split() {
        let mut table = Table::new(OWN, true, Time::ZERO);
        for n in 0..20 {
            table.answered(id(0x80, n), local(1000 + u16::from(n)), Time::ZERO);
        }
        assert_eq!(table.len(), K);
        for n in 0..20 {
            table.answered(id(0x01, n), local(2000 + u16::from(n)), Time::ZERO);
        }
        assert_eq!(table.len(), 2 * K);
        assert_eq!(table.closest(id(0x81, 0), 3).len(), 3);
        assert!(table.closest(id(0x81, 0), 8).iter().all(|node| node.id.0[0] == 0x80));
        for bits in 8..160 {
            table.answered(OWN.random_near(bits, &mut Dice::counter(1, bits as u64)), local(3000 + bits as u16), Time::ZERO);
        }
        assert!(table.len() > 100);
        assert!(table.answered(OWN, local(9), Time::ZERO).is_none());
        assert!(!table.iter().any(|node| node.id == OWN));
    }

    #[test]
    fn a_questionable_node_is_pinged_and_leaves_for_a_waiting_one_after_two_failures() {
        let mut table = Table::new(OWN, true, Time::ZERO);
        for n in 0..8 {
            table.answered(id(0x80, n), local(1000 + u16::from(n)), at(u64::from(n)));
        }
        table.answered(id(0x01, 1), local(1), Time::ZERO);
        assert_eq!(table.answered(id(0x80, 100), local(2000), at(10)), None, "all are good");
        table.answered(id(0x80, 0), local(1000), at(11));
        let probe = table.answered(id(0x80, 101), local(2001), at(905));
        assert_eq!(probe, Some((id(0x80, 1), local(1001))), "the one heard longest ago");
        table.failed(local(1001));
        assert!(table.iter().any(|node| node.address() == local(1001)));
        table.failed(local(1001));
        assert!(!table.iter().any(|node| node.address() == local(1001)));
        assert!(table.iter().any(|node| node.address() == local(2001)), "the one that waited and was heard last");
    }

    #[test]
    fn nobody_takes_the_id_of_a_node_that_still_answers() {
        let mut table = Table::new(OWN, true, Time::ZERO);
        table.answered(id(0x80, 1), local(1), Time::ZERO);
        table.answered(id(0x80, 1), local(2), Time::ZERO);
        assert_eq!(table.iter().map(Contact::address).collect::<Vec<_>>(), [local(1)]);
        table.failed(local(1));
        table.failed(local(1));
        table.answered(id(0x80, 1), local(2), Time::ZERO);
        assert_eq!(table.iter().map(Contact::address).collect::<Vec<_>>(), [local(2)]);
        table.answered(id(0x40, 1), local(2), Time::ZERO);
        assert_eq!(table.iter().map(|node| node.id).collect::<Vec<_>>(), [id(0x40, 1)]);
    }

    #[test]
    fn one_host_on_the_internet_is_one_node_and_one_site_one_per_bucket() {
        let mut table = Table::new(OWN, true, Time::ZERO);
        let far = |d: u8, port| SocketAddr::from(([192, 0, 2, d], port));
        table.answered(id(0x80, 1), far(1, 1), Time::ZERO);
        table.answered(id(0x80, 2), far(1, 2), Time::ZERO);
        table.answered(id(0x80, 3), far(2, 1), Time::ZERO);
        assert_eq!(table.len(), 1);
        assert!(!table.asked(id(0x80, 4), far(3, 1), Time::ZERO));
        assert!(table.asked(id(0x80, 4), SocketAddr::from(([192, 0, 3, 1], 1)), Time::ZERO));
    }

    #[test]
    fn a_bucket_unchanged_for_15_minutes_is_refreshed_once() {
        let mut dice = Dice::counter(2, 2);
        let mut table = Table::new(OWN, true, Time::ZERO);
        for n in 0..9 {
            table.answered(id(if n < 8 { 0x80 } else { 1 }, n), local(u16::from(n) + 1), Time::ZERO);
        }
        assert_eq!(table.stale(at(899), &mut dice), Stale::default());
        let stale = table.stale(at(900), &mut dice);
        assert_eq!(stale.questionable, [1, 2, 3, 4, 5, 6, 7, 8].map(local), "of the full one");
        assert_eq!(stale.targets, [OWN], "for all that lie behind");
        assert_eq!(table.stale(at(901), &mut dice), Stale::default());
        assert_eq!(table.next_stale(), at(1800));
    }

    #[test]
    fn of_a_stale_bucket_only_the_silent_are_pinged_and_one_with_room_before_a_full_one_is_searched() {
        let mut dice = Dice::counter(2, 3);
        let mut table = Table::new(OWN, true, Time::ZERO);
        for n in 0..9 {
            table.answered(id(0x40, n), local(u16::from(n) + 1), Time::ZERO);
        }
        table.answered(id(0x80, 1), local(20), Time::ZERO);
        table.asked(id(0x40, 3), local(4), at(600));
        let stale = table.stale(at(900), &mut dice);
        assert_eq!(stale.questionable, [1, 2, 3, 5, 6, 7, 8].map(local), "number 4 has asked us");
        assert_eq!(stale.targets.iter().map(|target| target.common_bits(OWN)).collect::<Vec<_>>(), [0, 160]);
    }

    #[test]
    fn the_closest_are_the_closest_whatever_is_looked_for() {
        let mut dice = Dice::counter(2, 4);
        let own = NodeId::random(&mut dice);
        let mut table = Table::new(own, true, Time::ZERO);
        for n in 0..3000 {
            let bits = usize::try_from(dice.below(14)).unwrap();
            table.answered(own.random_near(bits, &mut dice), local(1000 + n), Time::ZERO);
        }
        (0..3000).step_by(7).for_each(|n| (0..2).for_each(|_| table.failed(local(1000 + n))));
        let useful = |node: &Contact| !node.address().port().is_multiple_of(3);
        for turn in 0..200 {
            let target = if turn % 2 == 0 { NodeId::random(&mut dice) } else { own.random_near(turn / 10, &mut dice) };
            let mut all: Vec<&Contact> = table.iter().filter(|node| node.fails < FAILS_BAD && useful(node)).collect();
            all.sort_by_key(|node| node.id.distance(target));
            for wanted in [1, 3, 8, 9, 20, 500] {
                assert_eq!(table.closest_of(target, wanted, useful), all[..wanted.min(all.len())], "{turn}");
            }
        }
    }

    #[test]
    fn where_hosts_are_is_known_whatever_comes_and_goes() {
        let mut dice = Dice::counter(2, 5);
        let mut table = Table::new(NodeId::random(&mut dice), false, Time::ZERO);
        let host = |n: u64| SocketAddr::from(([if n < 100 { 127 } else { 192 }, 0, 2, n as u8 / 2], 1 + n as u16 % 2));
        let (mut most, mut waited) = (0, 0);
        for turn in 0..20_000 {
            let (now, address) = (at(turn / 10), host(dice.below(200)));
            let bits = usize::try_from(dice.below(6)).unwrap();
            match dice.below(40) {
                0 => table.rename(NodeId::random(&mut dice), now),
                1..10 => table.failed(address),
                10..14 => table.remember(table.own().random_near(bits, &mut dice), address, now),
                _ => drop(table.answered(table.own().random_near(bits, &mut dice), address, now)),
            }
            let waiting: usize = table.buckets.iter().map(|bucket| bucket.waiting.len()).sum();
            assert_eq!(table.iter().count(), table.len());
            assert_eq!(table.whereabouts.len(), table.len() + waiting);
            let address = host(dice.below(200));
            assert_eq!(table.knows(address), table.iter().any(|node| node.address() == address), "{turn}");
            (most, waited) = (most.max(table.len()), waited.max(waiting));
        }
        assert!(most > 3 * K && waited > K, "{most}, {waited}");
    }

    #[test]
    fn a_question_keeps_a_good_node_good_but_does_not_redeem_a_silent_one() {
        let mut table = Table::new(OWN, true, Time::ZERO);
        table.answered(id(0x80, 1), local(1), Time::ZERO);
        assert!(!table.asked(id(0x80, 1), local(1), at(800)));
        assert_eq!(table.iter().next().unwrap().heard, at(800));
        table.failed(local(1));
        table.failed(local(1));
        table.asked(id(0x80, 1), local(1), at(900));
        assert!(table.closest(OWN, 8).is_empty());
    }
}
