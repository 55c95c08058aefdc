//! Being a tracker: who is in which torrent. Asked by datagrams (BEP 15, 41) and, through `Request`, by the HTTP face of the daemon.
//!
//! Remembers peers in few bytes ([`peers`]) and proves addresses without remembering them ([`guard`]).

mod guard;
mod peers;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Bound;

use bytes::Bytes;
use hexad_core::{Dice, Endpoint, Level, Link, Map, Outbox, Span, Time};
use thiserror::Error;

use self::guard::{ConnectionIds, RequestCount};
use self::peers::{Entry, Peers};
use super::{Node, Timer, TrackerConfig};
use crate::doors;
use crate::wire::{Message, ScrapeCounts, TrackerDatagram, TrackerEvent};

/// No answer carries more peers, whatever was asked for.
pub const PEERS_PER_ANSWER_MAX: u32 = 200;
/// How many peers one gets who does not say.
const PEERS_PER_ANSWER_DEFAULT: u32 = 50;
/// Torrents in one scrape; as many as BEP 15 lets into one datagram.
pub const SCRAPE_MAX: usize = 74;
/// How often a part of the peers is looked over for those that are gone.
const SWEEP_INTERVAL: Span = Span::from_secs(1);
/// How much is looked over at once, in units of about four peers; finding a torrent costs some as well. Keeps a sweep below a millisecond.
const SWEEP_BUDGET: usize = 16_384;
/// Units of a leaf of 256 peers.
const LEAF_COST: usize = 64;
/// Units of one family of one torrent.
const FAMILY_COST: usize = 4;
/// Peer ages are counted in this part of the expiry.
const TICKS_PER_EXPIRY: u64 = 256;

/// One announce of a peer, whatever carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAnnounce {
    /// Which torrent.
    pub info_hash: [u8; 20],
    /// Where it listens: the address it was heard from, and the port it says.
    pub peer: SocketAddr,
    /// Bytes it still wants; 0 for a seed.
    pub left: u64,
    /// Why it announces.
    pub event: TrackerEvent,
    /// How many peers it would like; `None` for as many as is usual.
    pub peers_wanted: Option<u32>,
}

/// What a peer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerTold {
    /// To be waited for before the next announce.
    pub interval: Span,
    /// To be waited for in any case.
    pub interval_min: Span,
    /// Counts of the torrent, the peer included.
    pub counts: ScrapeCounts,
    /// Some of the others, at random; first those of the peer's own family.
    pub peers: Vec<SocketAddr>,
}

/// Why a peer gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TrackerRefusal {
    /// Port 0 cannot be dialled.
    #[error("expected a port of 1 to 65535, came 0")]
    Port,
    /// The address has announced or scraped too often within a minute.
    #[error("too many requests from this address, come back in a minute")]
    TooOften,
    /// As many torrents are known as we want to know.
    #[error("this tracker takes no more torrents")]
    Full,
    /// More torrents in one scrape than are answered.
    #[error("expected 1 to {SCRAPE_MAX} info hashes, came {0}")]
    ScrapeSize(usize),
}

/// The whole tracker in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackerTotals {
    /// Torrents with at least one peer, or one completion.
    pub torrents: usize,
    /// Peers by IPv4.
    pub peers_v4: usize,
    /// Peers by IPv6.
    pub peers_v6: usize,
    /// Those of them that have everything.
    pub seeds: usize,
    /// Announces answered since the start.
    pub announces: u64,
    /// Scrapes answered since the start.
    pub scrapes: u64,
    /// Announces and scrapes refused since the start.
    pub refused: u64,
    /// Peers forgotten for silence since the start.
    pub expired: u64,
    /// Bytes of heap that peers take, directory of torrents not counted.
    pub peer_bytes: usize,
}

#[derive(Debug, Default)]
struct Torrent {
    v4: Peers<4>,
    v6: Peers<16>,
    seeds: u32,
    completed: u32,
    /// When anything was heard of it, in ticks; a torrent without peers is kept for its completions as long as a peer would be.
    seen: u16,
}

/// All that a tracker remembers.
#[derive(Debug)]
pub struct TrackerRole {
    config: TrackerConfig,
    torrents: Map<[u8; 20], Torrent>,
    ids: ConnectionIds,
    count: RequestCount,
    tick: Span,
    /// Where the sweep goes on: a torrent, a family, a leaf.
    sweep_at: ([u8; 20], bool, usize),
    totals: TrackerTotals,
}

impl TrackerRole {
    /// A tracker that knows nobody.
    pub fn new(config: TrackerConfig, dice: &mut Dice) -> Self {
        let tick = Span::from_micros((micros(config.peer_expiry) / TICKS_PER_EXPIRY).max(1));
        let count = RequestCount::new(config.requests_per_minute_max, dice);
        Self {
            config,
            torrents: Map::new(),
            ids: ConnectionIds::new(dice),
            count,
            tick,
            sweep_at: ([0; 20], true, 0),
            totals: TrackerTotals::default(),
        }
    }

    /// Begins to forget those who are silent.
    pub fn start(&self, now: Time, out: &mut Outbox<Node>) {
        out.wake(now + SWEEP_INTERVAL, Timer::TrackerSweep);
    }

    /// Takes in one announce, and says who else is there.
    ///
    /// # Errors
    /// When the peer gets nothing; it may be told why.
    pub fn announce(&mut self, announce: &PeerAnnounce, now: Time, dice: &mut Dice) -> Result<PeerTold, TrackerRefusal> {
        let told = self.admit(announce, now, dice);
        match told {
            Ok(_) => self.totals.announces += 1,
            Err(_) => self.totals.refused += 1,
        }
        told
    }

    /// Counts of up to [`SCRAPE_MAX`] torrents, in the order asked for; zeros for one that is not known.
    ///
    /// # Errors
    /// When none is named, or too many are, or `ip` asks too often.
    pub fn scrape(
        &mut self,
        ip: IpAddr,
        info_hashes: &[[u8; 20]],
        now: Time,
        dice: &mut Dice,
    ) -> Result<Vec<ScrapeCounts>, TrackerRefusal> {
        let refusal = if !self.count.admits(ip.to_canonical(), now, dice) {
            Some(TrackerRefusal::TooOften)
        } else if info_hashes.is_empty() || info_hashes.len() > SCRAPE_MAX {
            Some(TrackerRefusal::ScrapeSize(info_hashes.len()))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.totals.refused += 1;
            return Err(refusal);
        }
        self.totals.scrapes += 1;
        Ok(info_hashes.iter().map(|hash| self.torrents.get(hash).map(Torrent::counts).unwrap_or_default()).collect())
    }

    /// The whole tracker in figures. Goes over all torrents.
    pub fn totals(&self) -> TrackerTotals {
        let mut totals = TrackerTotals { torrents: self.torrents.len(), ..self.totals };
        for torrent in self.torrents.values() {
            totals.peers_v4 += torrent.v4.len();
            totals.peers_v6 += torrent.v6.len();
            totals.seeds += torrent.seeds as usize;
            totals.peer_bytes += torrent.v4.heap_bytes() + torrent.v6.heap_bytes();
        }
        totals
    }

    /// A wake that was asked for has come: forgets some of those who are silent.
    pub fn on_timer(&mut self, now: Time, out: &mut Outbox<Node>) {
        self.sweep(SWEEP_BUDGET, now);
        out.wake(now + SWEEP_INTERVAL, Timer::TrackerSweep);
    }

    /// A datagram came in at the tracker's door.
    pub fn on_datagram(&mut self, from: SocketAddr, datagram: &TrackerDatagram, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        let ip = from.ip().to_canonical();
        let answer = match datagram {
            // The only answer to an address that has proven nothing, and no longer than the question.
            TrackerDatagram::ConnectRequest { transaction } => {
                TrackerDatagram::ConnectAnswer { transaction: *transaction, connection: self.ids.give(ip, now) }
            }
            TrackerDatagram::AnnounceRequest { connection, .. } | TrackerDatagram::ScrapeRequest { connection, .. }
                if !self.ids.holds(*connection, ip, now) =>
            {
                self.totals.refused += 1;
                out.note(Level::Debug, "tracker_connection_unknown", Some(Endpoint::Ip(from)), "");
                return;
            }
            TrackerDatagram::AnnounceRequest { transaction, announce, .. } => {
                let peers_wanted = announce.peers_wanted;
                let peer = SocketAddr::new(ip, announce.port);
                let heard = PeerAnnounce { info_hash: announce.info_hash, peer, left: announce.left, event: announce.event, peers_wanted };
                match self.announce(&heard, now, dice) {
                    Ok(told) => TrackerDatagram::AnnounceAnswer {
                        transaction: *transaction,
                        interval_s: u32::try_from(told.interval.as_secs()).unwrap_or(u32::MAX),
                        leechers: told.counts.leechers,
                        seeders: told.counts.seeders,
                        peers: compact(&told.peers, ip.is_ipv4()),
                    },
                    Err(why) => TrackerDatagram::Error { transaction: *transaction, message: why.to_string() },
                }
            }
            TrackerDatagram::ScrapeRequest { transaction, info_hashes, .. } => match self.scrape(ip, info_hashes, now, dice) {
                Ok(counts) => TrackerDatagram::ScrapeAnswer { transaction: *transaction, counts },
                Err(why) => TrackerDatagram::Error { transaction: *transaction, message: why.to_string() },
            },
            TrackerDatagram::ConnectAnswer { .. }
            | TrackerDatagram::AnnounceAnswer { .. }
            | TrackerDatagram::ScrapeAnswer { .. }
            | TrackerDatagram::Error { .. } => return,
        };
        out.send(Link::Datagram(doors::TRACKER, Endpoint::Ip(from)), Message::Tracker(Box::new(answer)));
    }

    fn admit(&mut self, announce: &PeerAnnounce, now: Time, dice: &mut Dice) -> Result<PeerTold, TrackerRefusal> {
        let ip = announce.peer.ip().to_canonical();
        let port = announce.peer.port();
        if !self.count.admits(ip, now, dice) {
            return Err(TrackerRefusal::TooOften);
        }
        // Who leaves need not be reachable.
        if port == 0 && announce.event != TrackerEvent::Stopped {
            return Err(TrackerRefusal::Port);
        }
        let seen = self.ticks(now);
        if !self.torrents.contains_key(&announce.info_hash) {
            if announce.event == TrackerEvent::Stopped {
                return Ok(self.told(ScrapeCounts::default(), Vec::new()));
            }
            if self.torrents.len() >= self.config.torrents_max {
                return Err(TrackerRefusal::Full);
            }
        }
        let torrent = self.torrents.entry(announce.info_hash).or_default();
        torrent.seen = seen;
        let seed = announce.left == 0;
        if announce.event == TrackerEvent::Stopped {
            torrent.leave(ip, port);
            let counts = torrent.counts();
            return Ok(self.told(counts, Vec::new()));
        }
        let newcomer = torrent.enter(ip, port, seen, seed, announce.event == TrackerEvent::Completed);
        if newcomer && torrent.v4.len() + torrent.v6.len() > self.config.torrent_peers_max {
            torrent.make_room(seen, (ip, port));
        }
        let wanted = announce.peers_wanted.unwrap_or(PEERS_PER_ANSWER_DEFAULT).min(PEERS_PER_ANSWER_MAX) as usize;
        let expired = |age: u16| u64::from(age) > TICKS_PER_EXPIRY;
        let alive = |entry_seen: u16| !expired(seen.wrapping_sub(entry_seen));
        let mut peers = torrent.others(ip, port, seed, wanted, dice, alive);
        // aria2 (1.36) begins with a magnet link as if it had everything, for it does not know yet how much there is.
        if seed && peers.is_empty() && announce.event == TrackerEvent::Started {
            peers = torrent.others(ip, port, false, wanted, dice, alive);
        }
        let counts = torrent.counts();
        Ok(self.told(counts, peers))
    }

    fn told(&self, counts: ScrapeCounts, peers: Vec<SocketAddr>) -> PeerTold {
        PeerTold { interval: self.config.interval, interval_min: self.config.interval / 2, counts, peers }
    }

    /// Looks over what `budget` allows, and goes on there the next time.
    fn sweep(&mut self, mut budget: usize, now: Time) {
        let seen = self.ticks(now);
        let expired = |entry_seen: u16| u64::from(seen.wrapping_sub(entry_seen)) > TICKS_PER_EXPIRY;
        let (start, _, _) = self.sweep_at;
        let mut wrapped = false;
        while budget > 0 {
            let (hash, v4, leaf) = self.sweep_at;
            let Some((&hash, torrent)) = self.torrents.range_mut((Bound::Included(hash), Bound::Unbounded)).next() else {
                self.sweep_at = ([0; 20], true, 0);
                if wrapped || self.torrents.is_empty() {
                    return;
                }
                wrapped = true;
                continue;
            };
            if wrapped && hash > start {
                return;
            }
            let (v4, leaf) = if hash == self.sweep_at.0 { (v4, leaf) } else { (true, 0) };
            let mut seeds = 0;
            let mut gone = 0;
            let mut note = |seed: bool, entry_seen: u16| {
                let stays = !expired(entry_seen);
                if !stays {
                    gone += 1;
                    seeds += u32::from(seed);
                }
                stays
            };
            let leaves = if v4 { torrent.v4.leaves() } else { torrent.v6.leaves() };
            let at_once = (budget / LEAF_COST).min(leaves.saturating_sub(leaf)).max(1);
            let next = if v4 {
                torrent.v4.sweep(leaf, at_once, |entry| note(entry.seed, entry.seen))
            } else {
                torrent.v6.sweep(leaf, at_once, |entry| note(entry.seed, entry.seen))
            };
            budget = budget.saturating_sub(FAMILY_COST + LEAF_COST * at_once.min(leaves));
            torrent.seeds = torrent.seeds.saturating_sub(seeds);
            self.totals.expired += gone;
            self.sweep_at = match (next, v4) {
                (Some(leaf), _) => (hash, v4, leaf),
                (None, true) => (hash, false, 0),
                (None, false) => {
                    if torrent.v4.len() + torrent.v6.len() == 0 && expired(torrent.seen) {
                        self.torrents.remove(&hash);
                    }
                    (after(hash), true, 0)
                }
            };
        }
    }

    fn ticks(&self, now: Time) -> u16 {
        u16::try_from((now.as_micros() / micros(self.tick).max(1)) & 0xffff).unwrap_or(0)
    }
}

impl Torrent {
    fn counts(&self) -> ScrapeCounts {
        let peers = u32::try_from(self.v4.len() + self.v6.len()).unwrap_or(u32::MAX);
        ScrapeCounts { seeders: self.seeds, leechers: peers.saturating_sub(self.seeds), completed: self.completed }
    }

    /// True when the peer was not there before.
    fn enter(&mut self, ip: IpAddr, port: u16, seen: u16, seed: bool, completed: bool) -> bool {
        let was_seed = match ip {
            IpAddr::V4(ip) => self.v4.put(Entry { ip: ip.octets(), port, seen, seed }).map(|entry| entry.seed),
            IpAddr::V6(ip) => self.v6.put(Entry { ip: ip.octets(), port, seen, seed }).map(|entry| entry.seed),
        };
        self.seeds = self.seeds.saturating_sub(u32::from(was_seed == Some(true))) + u32::from(seed);
        // Once per peer: who is known as a seed has not just become one.
        if completed && seed && was_seed != Some(true) {
            self.completed = self.completed.saturating_add(1);
        }
        was_seed.is_none()
    }

    fn leave(&mut self, ip: IpAddr, port: u16) {
        let was_seed = match ip {
            IpAddr::V4(ip) => self.v4.remove(ip.octets(), port).map(|entry| entry.seed),
            IpAddr::V6(ip) => self.v6.remove(ip.octets(), port).map(|entry| entry.seed),
        };
        self.seeds = self.seeds.saturating_sub(u32::from(was_seed == Some(true)));
    }

    /// The sixty-fourth part that announced longest ago leaves, at least one peer: finding only the oldest at each announce of a full torrent would
    /// cost a walk over all of them each time.
    fn make_room(&mut self, seen: u16, keep: (IpAddr, u16)) {
        let age = |entry_seen: u16| seen.wrapping_sub(entry_seen);
        let mut ages: Vec<u16> = self.v4.iter().map(|entry| age(entry.seen)).chain(self.v6.iter().map(|entry| age(entry.seen))).collect();
        let leaving = (ages.len() / 64).max(1);
        let (_, &mut oldest, _) = ages.select_nth_unstable_by(leaving - 1, |a, b| b.cmp(a));
        let mut left = leaving;
        let mut seeds = 0;
        let mut stays = |entry_seen: u16, seed: bool, here: (IpAddr, u16)| {
            let goes = left > 0 && age(entry_seen) >= oldest && here != keep;
            if goes {
                left -= 1;
                seeds += u32::from(seed);
            }
            !goes
        };
        self.v4.sweep(0, usize::MAX, |entry| stays(entry.seen, entry.seed, (Ipv4Addr::from(entry.ip).into(), entry.port)));
        self.v6.sweep(0, usize::MAX, |entry| stays(entry.seen, entry.seed, (Ipv6Addr::from(entry.ip).into(), entry.port)));
        self.seeds = self.seeds.saturating_sub(seeds);
    }

    /// Up to `wanted` peers other than this one, of its own family first. A seed has no use for seeds.
    fn others(&self, ip: IpAddr, port: u16, seed: bool, wanted: usize, dice: &mut Dice, alive: impl Fn(u16) -> bool) -> Vec<SocketAddr> {
        let fits = |entry_seed: bool, seen: u16| !(seed && entry_seed) && alive(seen);
        let v4 = |wanted: usize, dice: &mut Dice| -> Vec<SocketAddr> {
            let other = |entry: &Entry<4>| fits(entry.seed, entry.seen) && (IpAddr::from(entry.ip), entry.port) != (ip, port);
            self.v4.draw(wanted, dice, other).iter().map(|entry| SocketAddr::from((entry.ip, entry.port))).collect()
        };
        let v6 = |wanted: usize, dice: &mut Dice| -> Vec<SocketAddr> {
            let other = |entry: &Entry<16>| fits(entry.seed, entry.seen) && (IpAddr::from(entry.ip), entry.port) != (ip, port);
            self.v6.draw(wanted, dice, other).iter().map(|entry| SocketAddr::from((entry.ip, entry.port))).collect()
        };
        let mut peers = if ip.is_ipv4() { v4(wanted, dice) } else { v6(wanted, dice) };
        let rest = wanted - peers.len().min(wanted);
        peers.extend(if ip.is_ipv4() { v6(rest, dice) } else { v4(rest, dice) });
        peers
    }
}

fn micros(span: Span) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// The hash that follows `hash`.
fn after(hash: [u8; 20]) -> [u8; 20] {
    let mut next = hash;
    for byte in next.iter_mut().rev() {
        let (sum, carry) = byte.overflowing_add(1);
        *byte = sum;
        if !carry {
            break;
        }
    }
    next
}

/// Peers of one family, 6 or 18 bytes each. A datagram carries only its own. BEP 15.
fn compact(peers: &[SocketAddr], v4: bool) -> Bytes {
    let mut bytes = Vec::with_capacity(peers.len() * if v4 { 6 } else { 18 });
    for peer in peers {
        match peer.ip() {
            IpAddr::V4(ip) if v4 => bytes.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) if !v4 => bytes.extend_from_slice(&ip.octets()),
            _ => continue,
        }
        bytes.extend_from_slice(&peer.port().to_be_bytes());
    }
    bytes.into()
}
