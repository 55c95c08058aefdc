//! Peer exchange, for one connection each way. BEP 11. Not for private torrents: their swarms make neither.

use std::net::{IpAddr, SocketAddr};

use hexad_core::{Set, Span, Time};

use super::dht::is_local;
use super::hearsay::may_be_dialled;
use crate::wire::{Pex, PexPeer};

/// Flag of BEP 11: prefers obfuscation.
pub const PREFERS_OBFUSCATION: u8 = 0x01;
/// Flag of BEP 11: has everything, or wants no more.
pub const SEED: u8 = 0x02;
/// Flag of BEP 11: the sender reached it by dialling.
pub const HOLE_PUNCH: u8 = 0x08;
pub const REACHABLE: u8 = 0x10;

/// Between two messages to one peer. BEP 11.
const INTERVAL: Span = Span::from_secs(60);
/// Peers added in one message, and peers dropped.
const CHANGES_MAX: usize = 50;
/// Peers added in the first message of a connection, which may be longer.
const FIRST_MAX: usize = 200;
/// Peers that one peer is told of at a time.
const TOLD_MAX: usize = 1000;
/// Messages that one peer may have saved up: clocks differ, and messages wait in queues.
const SAVED_MAX: u32 = 4;
/// Messages beyond that are ignored; after so many the peer floods.
const EARLY_MAX: u32 = 10;

/// What we tell one peer of the others.
#[derive(Debug, Default)]
pub struct PexSender {
    told: Set<SocketAddr>,
    last: Option<Time>,
}

impl PexSender {
    /// Nothing told yet.
    pub const fn new() -> Self {
        Self { told: Set::new(), last: None }
    }

    /// Whether a minute has gone by since the last message.
    pub fn is_due(&self, now: Time) -> bool {
        self.last.is_none_or(|last| now.since(last) >= INTERVAL)
    }

    /// The message to send, when one is due and there is something to tell. `connected`: the peers we are connected to, by the addresses where
    /// they listen; `receiver` is left out.
    pub fn message(&mut self, receiver: SocketAddr, connected: &[PexPeer], now: Time) -> Option<Pex> {
        if !self.is_due(now) {
            return None;
        }
        let live: Set<SocketAddr> = connected.iter().map(|peer| peer.address).collect();
        let dropped: Vec<SocketAddr> = self.told.iter().filter(|told| !live.contains(told)).take(CHANGES_MAX).copied().collect();
        let room = TOLD_MAX.saturating_sub(self.told.len()).min(if self.last.is_none() { FIRST_MAX } else { CHANGES_MAX });
        let mut added: Vec<PexPeer> = Vec::new();
        for peer in connected.iter().filter(|peer| peer.address != receiver && peer.address.port() != 0) {
            if added.len() < room && !self.told.contains(&peer.address) && !added.iter().any(|other| other.address == peer.address) {
                added.push(*peer);
            }
        }
        if added.is_empty() && dropped.is_empty() {
            return None;
        }
        for address in &dropped {
            self.told.remove(address);
        }
        self.told.extend(added.iter().map(|peer| peer.address));
        self.last = Some(now);
        Some(Pex { added, dropped })
    }
}

/// What a message of a peer is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PexHeard {
    /// These may be dialled.
    Peers(Vec<PexPeer>),
    /// Ignored, for this reason.
    Ignored(&'static str),
    /// The peer floods: close the connection, for this reason.
    Flood(&'static str),
}

/// What one peer tells us of others.
#[derive(Debug)]
pub struct PexReceiver {
    heard: bool,
    saved: u32,
    saved_at: Time,
    early: u32,
}

impl PexReceiver {
    /// Nothing heard yet.
    pub const fn new(now: Time) -> Self {
        Self { heard: false, saved: SAVED_MAX, saved_at: now, early: 0 }
    }

    /// `from` has sent a message. Addresses that nobody should dial on hearsay are left out: ports below 1024 elsewhere than in our own site,
    /// addresses of our site named from outside, what is no address of a host.
    pub fn hears(&mut self, pex: &Pex, from: IpAddr, now: Time) -> PexHeard {
        while self.saved < SAVED_MAX && now.since(self.saved_at) >= INTERVAL {
            self.saved += 1;
            self.saved_at = self.saved_at + INTERVAL;
        }
        if self.saved == 0 {
            self.early += 1;
            return if self.early > EARLY_MAX { PexHeard::Flood("pex_flood") } else { PexHeard::Ignored("pex_early") };
        }
        if self.saved == SAVED_MAX {
            self.saved_at = now;
        }
        self.saved -= 1;
        let most = if self.heard { CHANGES_MAX } else { FIRST_MAX };
        self.heard = true;
        PexHeard::Peers(pex.added.iter().take(most).filter(|peer| is_dialable(peer.address, from)).copied().collect())
    }
}

fn is_dialable(address: SocketAddr, by: IpAddr) -> bool {
    let ip = address.ip().to_canonical();
    may_be_dialled(address, is_local(by)) && (!is_local(ip) || is_local(by)) && (!ip.is_loopback() || by.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u16) -> PexPeer {
        let [a, b] = n.to_be_bytes();
        PexPeer { address: SocketAddr::from(([192, 0, a, b], 6881)), flags: REACHABLE }
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn the_first_message_is_long_and_later_ones_tell_what_has_changed() {
        let mut sender = PexSender::new();
        let connected: Vec<PexPeer> = (0..230).map(peer).collect();
        let first = sender.message(peer(7).address, &connected, at(0)).unwrap();
        assert_eq!((first.added.len(), first.dropped.len()), (200, 0));
        assert!(!first.added.contains(&peer(7)));
        assert_eq!(sender.message(peer(7).address, &connected, at(59)), None);
        let second = sender.message(peer(7).address, &connected[100..], at(60)).unwrap();
        assert_eq!((second.added.len(), second.dropped.len()), (29, 50));
        assert!(second.dropped.iter().all(|address| !second.added.iter().any(|peer| peer.address == *address)));
        let third = sender.message(peer(7).address, &connected[100..], at(120)).unwrap();
        assert_eq!((third.added.len(), third.dropped.len()), (0, 49));
        assert_eq!(sender.message(peer(7).address, &connected[100..], at(180)), None, "nothing has changed");
        assert!(sender.is_due(at(180)));
        let back = sender.message(peer(7).address, &connected, at(181)).unwrap();
        assert_eq!(back.added.len(), 50);
    }

    #[test]
    fn a_peer_that_tells_too_often_is_ignored_and_then_dropped() {
        let mut receiver = PexReceiver::new(at(0));
        let pex = Pex { added: vec![peer(1)], dropped: Vec::new() };
        let from = "192.0.2.9".parse().unwrap();
        let heard: Vec<PexHeard> = (0..20).map(|n| receiver.hears(&pex, from, at(n))).collect();
        assert_eq!(heard[3], PexHeard::Peers(vec![peer(1)]));
        assert_eq!(heard[4], PexHeard::Ignored("pex_early"));
        assert_eq!(heard[13], PexHeard::Ignored("pex_early"));
        assert_eq!(heard[14], PexHeard::Flood("pex_flood"));
        let mut patient = PexReceiver::new(at(0));
        assert!((0..1000).all(|n| matches!(patient.hears(&pex, from, at(n * 60)), PexHeard::Peers(_))));
    }

    #[test]
    fn nobody_is_dialled_on_hearsay_who_should_not_be() {
        let mut receiver = PexReceiver::new(at(0));
        let named = |text: &str| PexPeer { address: text.parse().unwrap(), flags: 0 };
        let good = [named("198.51.100.1:6881"), named("[2001:db8::1]:6881")];
        let bad = ["198.51.100.2:80", "198.51.100.3:0", "127.0.0.1:6881", "192.168.0.1:6881", "0.0.0.0:6881", "224.0.0.1:6881"];
        let added: Vec<PexPeer> = good.iter().copied().chain(bad.map(named)).collect();
        let pex = Pex { added, dropped: Vec::new() };
        assert_eq!(receiver.hears(&pex, "198.51.100.9".parse().unwrap(), at(0)), PexHeard::Peers(good.to_vec()));
        let neighbours = Pex { added: vec![named("127.0.0.1:1"), named("127.0.0.1:2")], dropped: Vec::new() };
        let PexHeard::Peers(peers) = receiver.hears(&neighbours, "127.0.0.1".parse().unwrap(), at(1)) else { panic!() };
        assert_eq!(peers.len(), 2);
    }

    #[test]
    fn a_long_message_is_cut() {
        let mut receiver = PexReceiver::new(at(0));
        let pex = Pex { added: (0..1000).map(peer).collect(), dropped: Vec::new() };
        let from = "192.0.2.9".parse().unwrap();
        for most in [FIRST_MAX, CHANGES_MAX] {
            let PexHeard::Peers(peers) = receiver.hears(&pex, from, at(0)) else { panic!() };
            assert_eq!(peers.len(), most);
        }
    }
}
