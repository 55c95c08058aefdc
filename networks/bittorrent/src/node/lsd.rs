//! Local service discovery: peers of the same network, found by multicast. BEP 14.
//!
//! Remembers which torrents we announce and when each was last said, and who has been talking to us lately. Not for private torrents: their
//! swarms are simply not added.

use std::net::SocketAddr;

use hexad_core::{BoundedMap, Dice, Door, Level, Link, Outbox, Span, Time};

use super::dht::is_local;
use super::hearsay::may_be_dialled;
use super::{Node, Timer};
use crate::doors;
use crate::wire::{LsdAnnounce, lsd};

/// Torrents that are announced; more are left to the other ways of finding peers.
const TORRENTS_MAX: usize = 100;
/// A torrent is announced this often. BEP 14.
const INTERVAL: Span = Span::from_secs(300);
/// BEP 14 allows a packet a minute ...
const PACKET_INTERVAL: Span = Span::from_secs(60);
/// ... of which so many may be saved up, that a torrent which begins can be announced at once.
const PACKETS_SAVED_MAX: u32 = 5;
/// Torrents that begin together share a packet: the first waits this long for others.
const BATCH_WAIT: Span = Span::from_millis(100);
/// Hosts that are watched; the one heard longest ago leaves.
const SOURCES_MAX: usize = 256;
/// Packets heard of one host in a minute; more are dropped.
const SOURCE_PACKETS_MAX: u32 = 20;

#[derive(Debug)]
struct Source {
    since: Time,
    packets: u32,
}

/// Our announces to the local network, and what we hear there.
#[derive(Debug)]
pub struct Lsd {
    /// How we recognise our own packets, which come back to us.
    cookie: String,
    port: u16,
    open: [bool; 2],
    /// When each is due.
    torrents: BoundedMap<[u8; 20], Time>,
    sources: BoundedMap<SocketAddr, Source>,
    saved: u32,
    saved_at: Time,
    wake: Option<Time>,
}

impl Lsd {
    /// Nothing is announced before a door is open.
    pub fn new(dice: &mut Dice) -> Self {
        Self {
            cookie: format!("hexad-{:016x}", dice.bits()),
            port: 0,
            open: [false; 2],
            torrents: BoundedMap::new(TORRENTS_MAX),
            sources: BoundedMap::new(SOURCES_MAX),
            saved: PACKETS_SAVED_MAX,
            saved_at: Time::ZERO,
            wake: None,
        }
    }

    /// A door is open; one family is enough. `port`: where we accept peers, TCP.
    pub fn opened(&mut self, door: Door, port: u16, now: Time, out: &mut Outbox<Node>) {
        self.port = port;
        self.open[usize::from(door == doors::LSD_V6)] = true;
        self.plan(now, out);
    }

    /// The doors are closed. What is announced stays so for when they open again.
    pub fn closed(&mut self) {
        self.open = [false; 2];
    }

    /// Announces a torrent from here on: at once, and every five minutes.
    pub fn add(&mut self, info_hash: [u8; 20], now: Time, out: &mut Outbox<Node>) {
        if self.torrents.contains_key(&info_hash) {
            return;
        }
        if self.torrents.insert(info_hash, now).is_err() {
            out.note(Level::Debug, "lsd_full", None, "");
        }
        self.plan(now, out);
    }

    /// No more.
    pub fn remove(&mut self, info_hash: &[u8; 20]) {
        self.torrents.remove(info_hash);
    }

    /// A wake that was asked for has come.
    pub fn on_timer(&mut self, now: Time, out: &mut Outbox<Node>) {
        if self.wake.is_some_and(|at| at <= now) {
            self.wake = None;
        }
        self.save_up(now);
        while self.port != 0 && self.open != [false; 2] && self.saved > 0 {
            let mut due: Vec<(Time, [u8; 20])> =
                self.torrents.iter().filter(|(_, at)| **at <= now).map(|(&info_hash, &at)| (at, info_hash)).collect();
            if due.is_empty() {
                break;
            }
            due.sort_unstable();
            due.truncate(lsd::INFO_HASHES_MAX);
            let info_hashes: Vec<[u8; 20]> = due.into_iter().map(|(_, info_hash)| info_hash).collect();
            for info_hash in &info_hashes {
                if let Some(at) = self.torrents.get_mut(info_hash) {
                    *at = now + INTERVAL;
                }
            }
            self.saved -= 1;
            let announce = LsdAnnounce { port: self.port, info_hashes, cookie: Some(self.cookie.clone()) };
            for (door, _) in [doors::LSD_V4, doors::LSD_V6].into_iter().zip(self.open).filter(|(_, open)| *open) {
                out.send(Link::Multicast(door), announce.clone().into());
            }
        }
        self.plan(now, out);
    }

    /// Somebody in the local network announces torrents. Returns where it accepts peers, for each that is ours as well. Our own packets are
    /// ignored; whoever says too much is noted and not heard.
    pub fn on_announce(
        &mut self,
        from: SocketAddr,
        announce: &LsdAnnounce,
        now: Time,
        out: &mut Outbox<Node>,
    ) -> Vec<([u8; 20], SocketAddr)> {
        if announce.cookie.as_ref() == Some(&self.cookie) {
            return Vec::new();
        }
        if !self.admits(from, now) {
            out.note(Level::Drop, "lsd_flood", Some(from.into()), "");
            return Vec::new();
        }
        let mut peer = from;
        peer.set_port(announce.port);
        if !may_be_dialled(peer, is_local(from.ip())) {
            out.note(Level::Drop, "lsd_peer_undialable", Some(peer.into()), "");
            return Vec::new();
        }
        let ours = announce.info_hashes.iter().filter(|info_hash| self.torrents.contains_key(info_hash));
        ours.map(|&info_hash| (info_hash, peer)).collect()
    }

    fn admits(&mut self, from: SocketAddr, now: Time) -> bool {
        // Several peers of one machine announce from several ports of it.
        if self.sources.is_full()
            && !self.sources.contains_key(&from)
            && let Some(oldest) = self.sources.iter().min_by_key(|(_, source)| source.since).map(|(source, _)| *source)
        {
            self.sources.remove(&oldest);
        }
        let Some(source) = self.sources.get_mut(&from) else {
            return self.sources.insert(from, Source { since: now, packets: 1 }).is_ok();
        };
        if now.since(source.since) >= Span::from_secs(60) {
            *source = Source { since: now, packets: 0 };
        }
        source.packets = source.packets.saturating_add(1);
        source.packets <= SOURCE_PACKETS_MAX
    }

    fn save_up(&mut self, now: Time) {
        while self.saved < PACKETS_SAVED_MAX && now.since(self.saved_at) >= PACKET_INTERVAL {
            self.saved += 1;
            self.saved_at = self.saved_at + PACKET_INTERVAL;
        }
        if self.saved == PACKETS_SAVED_MAX {
            self.saved_at = now;
        }
    }

    fn plan(&mut self, now: Time, out: &mut Outbox<Node>) {
        if self.open == [false; 2] || self.port == 0 {
            return;
        }
        let Some(due) = self.torrents.values().min().copied() else { return };
        let earliest = if self.saved == 0 { self.saved_at + PACKET_INTERVAL } else { now + BATCH_WAIT };
        let at = due.max(earliest);
        if self.wake.is_none_or(|wake| at < wake) {
            self.wake = Some(at);
            out.wake(at, Timer::Lsd);
        }
    }
}

#[cfg(test)]
mod tests {
    use hexad_core::{Output, Set};

    use super::*;
    use crate::wire::Message;

    struct Bench {
        lsd: Lsd,
        now: Time,
        wakes: Set<Time>,
        notes: Vec<&'static str>,
    }

    impl Bench {
        fn new() -> Self {
            let mut bench = Self { lsd: Lsd::new(&mut Dice::counter(1, 1)), now: Time::ZERO, wakes: Set::new(), notes: Vec::new() };
            assert!(bench.does(|lsd, now, out| lsd.opened(doors::LSD_V4, 6881, now, out)).is_empty());
            bench
        }

        /// The packets that are sent.
        fn does(&mut self, act: impl FnOnce(&mut Lsd, Time, &mut Outbox<Node>)) -> Vec<(Door, LsdAnnounce)> {
            let mut out = Outbox::new();
            act(&mut self.lsd, self.now, &mut out);
            let mut said = Vec::new();
            for output in out.drain() {
                match output {
                    Output::Send(Link::Multicast(door), Message::Lsd(announce)) => said.push((door, *announce)),
                    Output::Wake(at, Timer::Lsd) => {
                        self.wakes.insert(at);
                    }
                    Output::Note(note) => self.notes.push(note.code),
                    other => panic!("{other:?}"),
                }
            }
            said
        }

        fn passes(&mut self, span: Span) -> Vec<(Door, LsdAnnounce)> {
            let until = self.now + span;
            let mut said = Vec::new();
            while let Some(at) = self.wakes.first().copied().filter(|at| *at <= until) {
                self.wakes.remove(&at);
                self.now = at;
                said.extend(self.does(|lsd, now, out| lsd.on_timer(now, out)));
            }
            self.now = until;
            said
        }

        fn adds(&mut self, n: u8) {
            self.does(|lsd, now, out| lsd.add([n; 20], now, out));
        }
    }

    #[test]
    fn a_torrent_is_announced_at_once_and_every_five_minutes() {
        let mut bench = Bench::new();
        bench.adds(1);
        bench.adds(2);
        let said = bench.passes(Span::from_secs(1));
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!((said[0].0, said[0].1.port, &said[0].1.info_hashes[..]), (doors::LSD_V4, 6881, &[[1; 20], [2; 20]][..]));
        assert!(bench.passes(Span::from_secs(298)).is_empty());
        assert_eq!(bench.passes(Span::from_secs(2)).len(), 1);
        bench.adds(3);
        assert_eq!(bench.passes(Span::from_secs(1))[0].1.info_hashes, [[3; 20]]);
        for n in 1..=3 {
            bench.lsd.remove(&[n; 20]);
        }
        assert!(bench.passes(Span::from_secs(3600)).is_empty());
    }

    #[test]
    fn packets_and_torrents_are_bounded_and_all_get_their_turn() {
        let mut bench = Bench::new();
        for n in 0..=255 {
            bench.adds(n);
        }
        let said = bench.passes(Span::from_secs(1));
        assert_eq!(said.len(), 5, "{TORRENTS_MAX} torrents in packets of 20");
        let told: Set<[u8; 20]> = said.iter().flat_map(|(_, announce)| announce.info_hashes.clone()).collect();
        assert_eq!(told.len(), TORRENTS_MAX);
        let said = bench.passes(Span::from_secs(3600));
        assert!((55..=65).contains(&said.len()), "{} packets in an hour", said.len());
    }

    #[test]
    fn what_is_heard_counts_for_our_torrents_and_not_from_ourselves() {
        let mut bench = Bench::new();
        bench.adds(1);
        let own = bench.passes(Span::from_secs(1)).remove(0).1;
        let from: SocketAddr = "[fe80::1%3]:6771".parse().unwrap();
        let mut heard = Vec::new();
        let other = LsdAnnounce { port: 7000, info_hashes: vec![[1; 20], [9; 20]], cookie: Some("other".into()) };
        bench.does(|lsd, now, out| {
            assert!(lsd.on_announce(from, &own, now, out).is_empty());
            heard = lsd.on_announce(from, &other, now, out);
        });
        assert_eq!(heard, [([1; 20], "[fe80::1%3]:7000".parse().unwrap())]);
    }

    #[test]
    fn who_says_too_much_is_not_heard_and_many_hosts_fill_no_memory() {
        let mut bench = Bench::new();
        bench.adds(1);
        let other = LsdAnnounce { port: 7000, info_hashes: vec![[1; 20]], cookie: None };
        let mut heard = 0;
        bench.does(|lsd, now, out| {
            for _ in 0..100 {
                heard += lsd.on_announce("192.168.0.7:6771".parse().unwrap(), &other, now, out).len();
            }
            for n in 0..5000_u32 {
                lsd.on_announce(SocketAddr::from((n.to_be_bytes(), 6771)), &other, now, out);
            }
        });
        assert_eq!(heard, usize::try_from(SOURCE_PACKETS_MAX).unwrap());
        assert_eq!(bench.notes.iter().filter(|code| **code == "lsd_flood").count(), 80);
        assert_eq!(bench.lsd.sources.len(), SOURCES_MAX);
    }
}
