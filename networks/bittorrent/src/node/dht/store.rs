//! The peers that others have announced to us. BEP 5, 33, 51.

use std::net::SocketAddr;

use hexad_core::{Dice, Map, Span, Time};

use super::id::is_local;
use crate::wire::Samples;
use crate::wire::bloom::Filter;

/// An announce is forgotten after this (libtorrent's `dht_storage.cpp`: half as long again as peers are told to wait).
const LIFE: Span = Span::from_secs(45 * 60);
/// Ports of one public address that are kept for one torrent: some share an address, nobody needs hundreds of ports.
const PORTS_PER_IP_MAX: usize = 8;
/// Torrents that are told to whoever wants to know some (BEP 51) …
const SAMPLES_MAX: usize = 20;
/// … and after which time others are drawn.
const SAMPLE_INTERVAL: Span = Span::from_secs(3600);

/// Who has announced what.
#[derive(Debug)]
pub(super) struct Store {
    torrents: Map<[u8; 20], Vec<Announced>>,
    torrents_max: usize,
    peers_max: usize,
    swept: Time,
    /// Torrents that are told to whoever wants to know some, and since when.
    sampled: (Vec<[u8; 20]>, Option<Time>),
}

#[derive(Clone, Copy, Debug)]
struct Announced {
    peer: SocketAddr,
    seed: bool,
    at: Time,
}

impl Store {
    pub fn new(torrents_max: usize, peers_max: usize) -> Self {
        Self { torrents: Map::new(), torrents_max, peers_max, swept: Time::ZERO, sampled: (Vec::new(), None) }
    }

    /// Takes an announce in. When there is no room for another torrent, the one with the fewest peers leaves, of those the one that was
    /// announced longest ago: whoever fills us with invented torrents displaces his own. In a full torrent the oldest announce leaves.
    pub fn put(&mut self, info_hash: [u8; 20], peer: SocketAddr, seed: bool, now: Time) {
        self.expire(now);
        if !self.torrents.contains_key(&info_hash) && self.torrents.len() >= self.torrents_max {
            let least = |peers: &Vec<Announced>| (peers.len(), peers.iter().map(|known| known.at).max());
            let Some(least) = self.torrents.iter().min_by_key(|(_, peers)| least(peers)).map(|(&hash, _)| hash) else { return };
            self.torrents.remove(&least);
        }
        let peers = self.torrents.entry(info_hash).or_default();
        if let Some(known) = peers.iter_mut().find(|known| known.peer == peer) {
            (known.seed, known.at) = (seed, now);
            return;
        }
        let same_ip = |known: &Announced| known.peer.ip() == peer.ip() && !is_local(peer.ip());
        let crowded = peers.iter().filter(|known| same_ip(known)).count() >= PORTS_PER_IP_MAX;
        if crowded || peers.len() >= self.peers_max {
            let leaves = peers.iter().enumerate().filter(|(_, known)| !crowded || same_ip(known)).min_by_key(|(_, known)| known.at);
            if let Some(at) = leaves.map(|(at, _)| at) {
                peers.swap_remove(at);
            }
        }
        peers.push(Announced { peer, seed, at: now });
    }

    /// Up to `wanted` peers of that family, drawn at random; no seeds where those are of no use.
    pub fn draw(&self, info_hash: &[u8; 20], v4: bool, no_seeds: bool, wanted: usize, now: Time, dice: &mut Dice) -> Vec<SocketAddr> {
        let fits = |known: &&Announced| known.peer.is_ipv4() == v4 && !(no_seeds && known.seed) && now.since(known.at) < LIFE;
        let mut peers: Vec<SocketAddr> = self.torrents.get(info_hash).into_iter().flatten().filter(fits).map(|known| known.peer).collect();
        dice.shuffle(&mut peers);
        peers.truncate(wanted);
        peers
    }

    /// Seeds of a torrent, and others: as many as there are, and nobody by name. BEP 33.
    pub fn scrape(&self, info_hash: &[u8; 20], now: Time) -> (Filter, Filter) {
        let (mut seeds, mut others) = (Filter::default(), Filter::default());
        for known in self.torrents.get(info_hash).into_iter().flatten().filter(|known| now.since(known.at) < LIFE) {
            let filter = if known.seed { &mut seeds } else { &mut others };
            filter.insert(known.peer.ip());
        }
        (seeds, others)
    }

    /// Some torrents, the same ones for a while, so that nobody gets all of them by asking often. BEP 51.
    pub fn sample(&mut self, now: Time, dice: &mut Dice) -> Samples {
        self.expire(now);
        let (drawn, since) = &mut self.sampled;
        if since.is_none_or(|since| now.since(since) >= SAMPLE_INTERVAL) {
            let mut all: Vec<[u8; 20]> = self.torrents.keys().copied().collect();
            dice.shuffle(&mut all);
            all.truncate(SAMPLES_MAX);
            // Nothing is no answer for hours.
            *since = (!all.is_empty()).then_some(now);
            *drawn = all;
        }
        let waited = since.map_or(Span::ZERO, |since| now.since(since));
        let interval_s = since.map_or(0, |_| u32::try_from(SAMPLE_INTERVAL.as_secs() - waited.as_secs()).unwrap_or(0));
        let known = u32::try_from(self.torrents.len()).unwrap_or(u32::MAX);
        Samples { interval_s, known, info_hashes: drawn.clone() }
    }

    /// Whether anybody has announced it.
    pub fn knows(&self, info_hash: &[u8; 20]) -> bool {
        self.torrents.contains_key(info_hash)
    }

    /// How many torrents are known.
    pub fn torrents(&self) -> usize {
        self.torrents.len()
    }

    fn expire(&mut self, now: Time) {
        // Once a minute is enough: what is drawn is looked at one by one anyway.
        if now.since(self.swept) < Span::from_secs(60) {
            return;
        }
        self.swept = now;
        self.torrents.retain(|_, peers| {
            peers.retain(|known| now.since(known.at) < LIFE);
            !peers.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, ip], port))
    }

    #[test]
    fn a_peer_is_forgotten_after_45_minutes() {
        let mut dice = Dice::counter(5, 1);
        let mut store = Store::new(10, 10);
        store.put([1; 20], peer(1, 1), false, Time::ZERO);
        let last = Time::ZERO + LIFE;
        assert_eq!(store.draw(&[1; 20], true, false, 100, Time::ZERO + Span::from_secs(2699), &mut dice), [peer(1, 1)]);
        assert!(store.draw(&[1; 20], true, false, 100, last, &mut dice).is_empty());
        assert!(store.draw(&[1; 20], false, false, 100, Time::ZERO, &mut dice).is_empty());
        store.put([2; 20], peer(1, 1), false, last);
        assert_eq!(store.torrents(), 1);
    }

    #[test]
    fn whoever_floods_the_store_displaces_his_own() {
        let mut dice = Dice::counter(5, 2);
        let mut store = Store::new(10, 20);
        store.put([0; 20], peer(1, 1), false, Time::ZERO);
        store.put([0; 20], peer(2, 1), false, Time::ZERO);
        for n in 1..100_u8 {
            store.put([n; 20], peer(99, 1), false, Time::from_micros(u64::from(n)));
        }
        assert_eq!(store.torrents(), 10);
        assert_eq!(store.draw(&[0; 20], true, false, 100, Time::ZERO, &mut dice).len(), 2);
        for port in 1..1000 {
            store.put([0; 20], peer(99, port), false, Time::from_micros(u64::from(port)));
        }
        assert_eq!(store.draw(&[0; 20], true, false, 100, Time::ZERO, &mut dice).len(), 2 + PORTS_PER_IP_MAX);
        for ip in 0..250 {
            store.put([0; 20], peer(ip, 7), false, Time::from_micros(2000));
        }
        assert_eq!(store.draw(&[0; 20], true, false, 1000, Time::ZERO, &mut dice).len(), 20);
    }

    #[test]
    fn seeds_are_told_apart_counted_and_left_out() {
        let mut dice = Dice::counter(5, 3);
        let mut store = Store::new(10, 200);
        (0..60).for_each(|ip| store.put([1; 20], peer(ip, 1), ip < 20, Time::ZERO));
        let (seeds, others) = store.scrape(&[1; 20], Time::ZERO);
        assert!((seeds.estimate() - 20.0).abs() < 2.0 && (others.estimate() - 40.0).abs() < 3.0, "{seeds:?} {others:?}");
        assert_eq!(store.draw(&[1; 20], true, true, 100, Time::ZERO, &mut dice).len(), 40);
        store.put([1; 20], peer(30, 1), true, Time::ZERO);
        assert_eq!(store.draw(&[1; 20], true, true, 100, Time::ZERO, &mut dice).len(), 39);
        assert_eq!(store.scrape(&[1; 20], Time::ZERO + LIFE).0.estimate(), Filter::default().estimate());
    }

    #[test]
    fn some_torrents_are_told_and_for_an_hour_the_same() {
        let mut dice = Dice::counter(5, 4);
        let mut store = Store::new(100, 10);
        assert_eq!(store.sample(Time::ZERO, &mut dice), Samples::default());
        (0..50).for_each(|number| store.put([number; 20], peer(number, 1), false, Time::ZERO));
        let first = store.sample(Time::ZERO, &mut dice);
        assert_eq!((first.info_hashes.len(), first.known, first.interval_s), (20, 50, 3600));
        let later = Time::ZERO + Span::from_secs(600);
        assert_eq!(store.sample(later, &mut dice), Samples { interval_s: 3000, ..first.clone() });
        (0..50).for_each(|number| store.put([number; 20], peer(number, 1), false, later));
        assert_ne!(store.sample(Time::ZERO + SAMPLE_INTERVAL, &mut dice).info_hashes, first.info_hashes);
    }
}
