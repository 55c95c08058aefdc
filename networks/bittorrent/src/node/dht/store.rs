//! The peers that others have announced to us. BEP 5.

use std::net::SocketAddr;

use hexad_core::{Dice, Map, Span, Time};

use super::id::is_local;

/// An announce is forgotten after this (libtorrent's `dht_storage.cpp`: half as long again as peers are told to wait).
const LIFE: Span = Span::from_secs(45 * 60);
/// Ports of one public address that are kept for one torrent: some share an address, nobody needs hundreds of ports.
const PORTS_PER_IP_MAX: usize = 8;

/// Who has announced what.
#[derive(Debug)]
pub(super) struct Store {
    torrents: Map<[u8; 20], Vec<(SocketAddr, Time)>>,
    torrents_max: usize,
    peers_max: usize,
    swept: Time,
}

impl Store {
    pub fn new(torrents_max: usize, peers_max: usize) -> Self {
        Self { torrents: Map::new(), torrents_max, peers_max, swept: Time::ZERO }
    }

    /// Takes an announce in. When there is no room for another torrent, the one with the fewest peers leaves, of those the one that was
    /// announced longest ago: whoever fills us with invented torrents displaces his own. In a full torrent the oldest announce leaves.
    pub fn put(&mut self, info_hash: [u8; 20], peer: SocketAddr, now: Time) {
        self.expire(now);
        if !self.torrents.contains_key(&info_hash) && self.torrents.len() >= self.torrents_max {
            let least = |peers: &Vec<(SocketAddr, Time)>| (peers.len(), peers.iter().map(|&(_, at)| at).max());
            let Some(least) = self.torrents.iter().min_by_key(|(_, peers)| least(peers)).map(|(&hash, _)| hash) else { return };
            self.torrents.remove(&least);
        }
        let peers = self.torrents.entry(info_hash).or_default();
        if let Some(known) = peers.iter_mut().find(|(known, _)| *known == peer) {
            known.1 = now;
            return;
        }
        let same_ip = |known: &SocketAddr| known.ip() == peer.ip() && !is_local(peer.ip());
        let crowded = peers.iter().filter(|(known, _)| same_ip(known)).count() >= PORTS_PER_IP_MAX;
        if crowded || peers.len() >= self.peers_max {
            let leaves = peers.iter().enumerate().filter(|(_, (known, _))| !crowded || same_ip(known)).min_by_key(|(_, (_, at))| *at);
            if let Some(at) = leaves.map(|(at, _)| at) {
                peers.swap_remove(at);
            }
        }
        peers.push((peer, now));
    }

    /// Up to `wanted` peers of that family, drawn at random.
    pub fn draw(&self, info_hash: &[u8; 20], v4: bool, wanted: usize, now: Time, dice: &mut Dice) -> Vec<SocketAddr> {
        let fits = |(peer, at): &&(SocketAddr, Time)| peer.is_ipv4() == v4 && now.since(*at) < LIFE;
        let mut peers: Vec<SocketAddr> = self.torrents.get(info_hash).into_iter().flatten().filter(fits).map(|&(peer, _)| peer).collect();
        dice.shuffle(&mut peers);
        peers.truncate(wanted);
        peers
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
            peers.retain(|&(_, at)| now.since(at) < LIFE);
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
        store.put([1; 20], peer(1, 1), Time::ZERO);
        let last = Time::ZERO + LIFE;
        assert_eq!(store.draw(&[1; 20], true, 100, Time::ZERO + Span::from_secs(2699), &mut dice), [peer(1, 1)]);
        assert!(store.draw(&[1; 20], true, 100, last, &mut dice).is_empty());
        assert!(store.draw(&[1; 20], false, 100, Time::ZERO, &mut dice).is_empty());
        store.put([2; 20], peer(1, 1), last);
        assert_eq!(store.torrents(), 1);
    }

    #[test]
    fn whoever_floods_the_store_displaces_his_own() {
        let mut dice = Dice::counter(5, 2);
        let mut store = Store::new(10, 20);
        store.put([0; 20], peer(1, 1), Time::ZERO);
        store.put([0; 20], peer(2, 1), Time::ZERO);
        for n in 1..100_u8 {
            store.put([n; 20], peer(99, 1), Time::from_micros(u64::from(n)));
        }
        assert_eq!(store.torrents(), 10);
        assert_eq!(store.draw(&[0; 20], true, 100, Time::ZERO, &mut dice).len(), 2);
        for port in 1..1000 {
            store.put([0; 20], peer(99, port), Time::from_micros(u64::from(port)));
        }
        assert_eq!(store.draw(&[0; 20], true, 100, Time::ZERO, &mut dice).len(), 2 + PORTS_PER_IP_MAX);
        for ip in 0..250 {
            store.put([0; 20], peer(ip, 7), Time::from_micros(2000));
        }
        assert_eq!(store.draw(&[0; 20], true, 1000, Time::ZERO, &mut dice).len(), 20);
    }
}
