//! Addresses of other hosts: from the user, pongs, refusals and caches. What is kept over restarts is a list of these.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::{Dice, Endpoint, Map, Span, Time};

/// A host that did not answer is not tried again for so long, and twice as long each time.
const REST: Span = Span::from_secs(30);

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    ultrapeer: bool,
    failures: u8,
    rests_until: Time,
    heard: Time,
}

/// Hosts that might let us in.
#[derive(Debug)]
pub(crate) struct Hosts {
    known: Map<SocketAddrV4, Host>,
    max: usize,
}

/// Whether an address is one that the whole internet could reach.
pub(crate) fn is_public(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    !(a == 0 || a >= 224 || shared || ip.is_private() || ip.is_loopback() || ip.is_link_local())
}

/// Whether an address that somebody tells can be meant for us: a private one only from somebody in such a network himself.
pub(crate) fn is_usable(at: SocketAddrV4, teller: Option<IpAddr>) -> bool {
    let private_teller = match teller {
        Some(IpAddr::V4(ip)) => !is_public(ip),
        Some(IpAddr::V6(ip)) => ip.is_loopback(),
        None => false,
    };
    let ip = *at.ip();
    at.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast() && (is_public(ip) || private_teller)
}

pub(crate) fn v4_of(endpoint: &Endpoint) -> Option<SocketAddrV4> {
    match endpoint.socket()? {
        SocketAddr::V4(at) => Some(at),
        SocketAddr::V6(at) => at.ip().to_ipv4_mapped().map(|ip| SocketAddrV4::new(ip, at.port())),
    }
}

impl Hosts {
    pub(crate) fn new(max: usize) -> Self {
        Self { known: Map::new(), max: max.max(1) }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Somebody may be there. When there is no room, whoever failed most and was heard of longest ago leaves.
    pub(crate) fn add(&mut self, at: SocketAddrV4, ultrapeer: bool, now: Time) {
        if let Some(host) = self.known.get_mut(&at) {
            host.ultrapeer |= ultrapeer;
            host.heard = now;
            return;
        }
        if self.known.len() >= self.max {
            let worst = self.known.iter().max_by_key(|(_, host)| (host.failures, std::cmp::Reverse(host.heard))).map(|(at, _)| *at);
            if let Some(worst) = worst {
                self.known.remove(&worst);
            }
        }
        self.known.insert(at, Host { ultrapeer, heard: now, ..Host::default() });
    }

    /// It let us in.
    pub(crate) fn succeeded(&mut self, at: SocketAddrV4, ultrapeer: bool, now: Time) {
        self.add(at, ultrapeer, now);
        if let Some(host) = self.known.get_mut(&at) {
            *host = Host { ultrapeer, failures: 0, rests_until: Time::ZERO, heard: now };
        }
    }

    /// It did not, and is left alone for a while.
    pub(crate) fn failed(&mut self, at: SocketAddrV4, now: Time) {
        if let Some(host) = self.known.get_mut(&at) {
            host.failures = host.failures.saturating_add(1);
            host.rests_until = now + REST * 2_u32.pow(u32::from(host.failures.min(7)) - 1);
            if host.failures >= 6 {
                self.known.remove(&at);
            }
        }
    }

    /// It is full, and may not be so for long.
    pub(crate) fn refused(&mut self, at: SocketAddrV4, now: Time) {
        if let Some(host) = self.known.get_mut(&at) {
            host.rests_until = now + REST;
        }
    }

    /// Up to `count` hosts to dial, ultrapeers first, each of these at random.
    pub(crate) fn choose(&self, count: usize, now: Time, dice: &mut Dice, skip: impl Fn(&SocketAddrV4) -> bool) -> Vec<SocketAddrV4> {
        let free = |at: &SocketAddrV4, host: &Host| host.rests_until <= now && !skip(at);
        let mut chosen: Vec<(SocketAddrV4, bool)> =
            self.known.iter().filter(|(at, host)| free(at, host)).map(|(at, host)| (*at, host.ultrapeer)).collect();
        dice.shuffle(&mut chosen);
        chosen.sort_by_key(|(_, ultrapeer)| !ultrapeer);
        chosen.truncate(count);
        chosen.into_iter().map(|(at, _)| at).collect()
    }

    /// Up to `count` hosts to tell others of, freshest first.
    pub(crate) fn freshest(&self, count: usize) -> Vec<SocketAddrV4> {
        let mut all: Vec<(&SocketAddrV4, &Host)> = self.known.iter().filter(|(_, host)| host.failures == 0).collect();
        all.sort_by_key(|(at, host)| (!host.ultrapeer, std::cmp::Reverse(host.heard), **at));
        all.into_iter().take(count).map(|(at, _)| *at).collect()
    }

    /// The same, with how long ago each was heard of.
    pub(crate) fn freshest_since(&self, count: usize, now: Time) -> Vec<(SocketAddrV4, Span)> {
        let age = |at: &SocketAddrV4| self.known.get(at).map_or(Span::ZERO, |host| now.since(host.heard));
        self.freshest(count).into_iter().map(|at| (at, age(&at))).collect()
    }

    /// What is to be kept on disk.
    pub(crate) fn bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        for at in self.freshest(512) {
            out.put_slice(&at.ip().octets());
            out.put_u16(at.port());
        }
        out.freeze()
    }

    /// Takes back what was kept.
    pub(crate) fn load(&mut self, bytes: &[u8], now: Time) {
        for host in packed(bytes, true).take(512) {
            self.add(host, true, now);
        }
    }
}

/// Addresses of six bytes each; the port's byte order is the network's in our own files, little-endian in Gnutella's messages.
pub(crate) fn packed(bytes: &[u8], port_be: bool) -> impl Iterator<Item = SocketAddrV4> + '_ {
    bytes.chunks_exact(6).map(move |host| {
        let port = [host[4], host[5]];
        let port = if port_be { u16::from_be_bytes(port) } else { u16::from_le_bytes(port) };
        SocketAddrV4::new(Ipv4Addr::new(host[0], host[1], host[2], host[3]), port)
    })
}

/// The same the other way, as `IPP`, `PUSH` and `ALT` have it.
pub(crate) fn pack(hosts: &[SocketAddrV4]) -> Bytes {
    let mut out = BytesMut::with_capacity(hosts.len() * 6);
    for at in hosts {
        out.put_slice(&at.ip().octets());
        out.put_u16_le(at.port());
    }
    out.freeze()
}
