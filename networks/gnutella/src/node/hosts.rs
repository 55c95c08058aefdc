//! Addresses of other hosts: from the user, pongs, refusals and caches. What is kept over restarts is a list of these.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::{Dice, Endpoint, Map, Span, Time, leavers};

use crate::wire::ggep::Block;

/// A host that did not answer is not tried again for so long, and twice as long each time.
const REST: Span = Span::from_secs(30);

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    ultrapeer: bool,
    failures: u8,
    rests_until: Time,
    heard: Time,
}

/// Fewer hosts than so many that were heard of lately are too few: more are asked for.
const ENOUGH: usize = 40;
/// Lately.
const FRESH_FOR: Span = Span::from_secs(600);
/// Hosts are asked for so often, at first; where that brings none, twice as long passes each time.
const ASK_EVERY: Span = Span::from_secs(20);
/// The longest.
const ASK_EVERY_MAX: Span = Span::from_secs(600);

/// Hosts that might let us in.
#[derive(Debug)]
pub(crate) struct Hosts {
    known: Map<SocketAddr, Host>,
    max: usize,
    /// When more may be asked for, after how long that was, and how many were fresh then.
    ask: (Time, Span, usize),
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

/// The same for the other family; unique local addresses are private.
pub(crate) fn is_usable6(at: SocketAddrV6, teller: Option<IpAddr>) -> bool {
    let ip = *at.ip();
    let private = |ip: Ipv6Addr| ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback();
    let private_teller = match teller {
        Some(IpAddr::V4(ip)) => !is_public(ip),
        Some(IpAddr::V6(ip)) => private(ip),
        None => false,
    };
    let wrong = at.port() == 0 || ip.is_unspecified() || ip.is_multicast() || ip.to_ipv4_mapped().is_some();
    !wrong && (!private(ip) || private_teller)
}

/// Where a peer is, an IPv4 address in an IPv6 one as what it is.
pub(crate) fn socket_of(endpoint: &Endpoint) -> Option<SocketAddr> {
    v4_of(endpoint).map(SocketAddr::V4).or_else(|| endpoint.socket())
}

pub(crate) fn v4_of(endpoint: &Endpoint) -> Option<SocketAddrV4> {
    match endpoint.socket()? {
        SocketAddr::V4(at) => Some(at),
        SocketAddr::V6(at) => at.ip().to_ipv4_mapped().map(|ip| SocketAddrV4::new(ip, at.port())),
    }
}

impl Hosts {
    pub(crate) fn new(max: usize) -> Self {
        Self { known: Map::new(), max: max.max(1), ask: (Time::ZERO, ASK_EVERY, 0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Hosts that were heard of lately and have not failed.
    fn fresh(&self, now: Time) -> impl Iterator<Item = &Host> {
        self.known.values().filter(move |host| host.failures == 0 && now.since(host.heard) < FRESH_FOR)
    }

    /// Whether we know too few.
    pub(crate) fn is_short(&self, now: Time) -> bool {
        self.fresh(now).nth(ENOUGH.min(self.max) - 1).is_none()
    }

    /// Whether it is time to ask for more. Where enough are known, that is looked at again after a while.
    pub(crate) fn may_ask(&mut self, now: Time) -> bool {
        if now < self.ask.0 {
            return false;
        }
        let short = self.is_short(now);
        if !short {
            self.ask.0 = now + ASK_EVERY;
        }
        short
    }

    /// Somebody is asked for more.
    pub(crate) fn asked(&mut self, now: Time) {
        let (_, wait, had) = self.ask;
        let fresh = self.fresh(now).count();
        let wait = if fresh > had { ASK_EVERY } else { (wait * 2).min(ASK_EVERY_MAX) };
        self.ask = (now + wait, wait, fresh);
    }

    /// Somebody may be there. When there is no room, those who failed most and were heard of longest ago leave.
    pub(crate) fn add(&mut self, at: impl Into<SocketAddr>, ultrapeer: bool, now: Time) {
        let at = at.into();
        if let Some(host) = self.known.get_mut(&at) {
            host.ultrapeer |= ultrapeer;
            host.heard = now;
            return;
        }
        if self.known.len() >= self.max {
            for at in leavers(&self.known, |host| (std::cmp::Reverse(host.failures), host.heard)) {
                self.known.remove(&at);
            }
        }
        self.known.insert(at, Host { ultrapeer, heard: now, ..Host::default() });
    }

    /// It let us in.
    pub(crate) fn succeeded(&mut self, at: impl Into<SocketAddr>, ultrapeer: bool, now: Time) {
        let at = at.into();
        self.add(at, ultrapeer, now);
        if let Some(host) = self.known.get_mut(&at) {
            *host = Host { ultrapeer, failures: 0, rests_until: Time::ZERO, heard: now };
        }
    }

    /// It did not, and is left alone for a while.
    pub(crate) fn failed(&mut self, at: SocketAddr, now: Time) {
        if let Some(host) = self.known.get_mut(&at) {
            host.failures = host.failures.saturating_add(1);
            host.rests_until = now + REST * 2_u32.pow(u32::from(host.failures.min(7)) - 1);
            if host.failures >= 6 {
                self.known.remove(&at);
            }
        }
    }

    /// It is full, and may not be so for long.
    pub(crate) fn refused(&mut self, at: SocketAddr, now: Time) {
        if let Some(host) = self.known.get_mut(&at) {
            host.rests_until = now + REST;
        }
    }

    /// Up to `count` hosts to dial, ultrapeers first, each of these at random.
    pub(crate) fn choose(&self, count: usize, now: Time, dice: &mut Dice, skip: impl Fn(&SocketAddr) -> bool) -> Vec<SocketAddr> {
        let free = |at: &SocketAddr, host: &Host| host.rests_until <= now && !skip(at);
        let mut chosen: Vec<(SocketAddr, bool)> =
            self.known.iter().filter(|(at, host)| free(at, host)).map(|(at, host)| (*at, host.ultrapeer)).collect();
        dice.shuffle(&mut chosen);
        chosen.sort_by_key(|(_, ultrapeer)| !ultrapeer);
        chosen.truncate(count);
        chosen.into_iter().map(|(at, _)| at).collect()
    }

    /// Up to `count` hosts to tell others of, freshest first.
    pub(crate) fn freshest(&self, count: usize) -> Vec<SocketAddrV4> {
        self.freshest_of(count, |at| if let SocketAddr::V4(at) = at { Some(at) } else { None })
    }

    /// The same with addresses of the other family.
    pub(crate) fn freshest6(&self, count: usize) -> Vec<SocketAddrV6> {
        self.freshest_of(count, |at| if let SocketAddr::V6(at) = at { Some(at) } else { None })
    }

    fn freshest_of<A>(&self, count: usize, of: impl Fn(SocketAddr) -> Option<A>) -> Vec<A> {
        let fits = |(at, host): &(&SocketAddr, &Host)| host.failures == 0 && of(**at).is_some();
        let key = |(at, host): (&SocketAddr, &Host)| (!host.ultrapeer, std::cmp::Reverse(host.heard), *at);
        let mut all: Vec<_> = self.known.iter().filter(fits).map(key).collect();
        // Pings ask for ten of two thousand: the others need no order.
        if count < all.len() {
            all.select_nth_unstable(count);
            all.truncate(count);
        }
        all.sort_unstable();
        all.into_iter().filter_map(|(.., at)| of(at)).collect()
    }

    /// The same, with how long ago each was heard of.
    pub(crate) fn freshest_since(&self, count: usize, now: Time) -> Vec<(SocketAddrV4, Span)> {
        let age = |at: &SocketAddrV4| self.known.get(&SocketAddr::V4(*at)).map_or(Span::ZERO, |host| now.since(host.heard));
        self.freshest(count).into_iter().map(|at| (at, age(&at))).collect()
    }

    /// What is to be kept on disk.
    pub(crate) fn bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        for at in self.freshest(512) {
            out.put_slice(&at.ip().octets());
            out.put_u16(at.port());
        }
        // Behind an address that is none, those of the other family.
        let others = self.freshest6(256);
        if !others.is_empty() {
            out.put_bytes(0, 6);
            for at in others {
                out.put_slice(&at.ip().octets());
                out.put_u16(at.port());
            }
        }
        out.freeze()
    }

    /// Takes back what was kept.
    pub(crate) fn load(&mut self, bytes: &[u8], now: Time) {
        let marker = bytes.chunks_exact(6).position(|host| host == [0; 6]).map_or(bytes.len(), |place| place * 6);
        let (hosts, others) = bytes.split_at(marker);
        for host in packed(hosts, true).take(512) {
            self.add(host, true, now);
        }
        for host in packed6(others.get(6..).unwrap_or_default(), true).take(256) {
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

/// Addresses of 18 bytes each, as `IPP6` has them.
pub(crate) fn packed6(bytes: &[u8], port_be: bool) -> impl Iterator<Item = SocketAddrV6> + '_ {
    bytes.chunks_exact(18).filter_map(move |host| {
        let ip = host.first_chunk::<16>()?;
        let port = [host[16], host[17]];
        let port = if port_be { u16::from_be_bytes(port) } else { u16::from_le_bytes(port) };
        Some(SocketAddrV6::new(Ipv6Addr::from(*ip), port, 0, 0))
    })
}

/// The same the other way.
pub(crate) fn pack6(hosts: &[SocketAddrV6]) -> Bytes {
    let mut out = BytesMut::with_capacity(hosts.len() * 18);
    for at in hosts {
        out.put_slice(&at.ip().octets());
        out.put_u16_le(at.port());
    }
    out.freeze()
}

/// GGEP `6`: the IPv6 address of whom the message is about; its port is that of the IPv4 address. Spec §10.
pub(crate) fn six_of(block: &Block, port: u16) -> Option<SocketAddrV6> {
    let ip: [u8; 16] = block.find("6")?[..].try_into().ok()?;
    Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_both_families_are_kept_over_restarts() {
        let mut hosts = Hosts::new(10);
        let (four, six) = ("198.51.100.7:6346".parse::<SocketAddr>().unwrap(), "[2001:db8::7]:6347".parse::<SocketAddr>().unwrap());
        hosts.add(four, true, Time::ZERO);
        hosts.add(six, true, Time::ZERO);
        let mut again = Hosts::new(10);
        again.load(&hosts.bytes(), Time::ZERO);
        assert_eq!(again.known.keys().copied().collect::<Vec<_>>(), [four, six]);
        again.load(&[1; 50], Time::ZERO);
        again.load(&[0; 50], Time::ZERO);
    }

    #[test]
    fn a_private_address_is_believed_from_a_private_network_only() {
        let at = |text: &str| text.parse::<SocketAddrV6>().unwrap();
        let public: Option<IpAddr> = Some("2001:db8::1".parse().unwrap());
        let local: Option<IpAddr> = Some("fd00::1".parse().unwrap());
        assert!(is_usable6(at("[2001:db8::7]:1"), public) && is_usable6(at("[fd00::7]:1"), local));
        for wrong in ["[fd00::7]:1", "[fe80::7]:1", "[::1]:1", "[::]:1", "[ff02::1]:1", "[2001:db8::7]:0", "[::ffff:198.51.100.7]:1"] {
            assert!(!is_usable6(at(wrong), public), "{wrong}");
        }
    }
}
