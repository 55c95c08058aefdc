//! Canonical peer priority (BEP 40): a number that both ends of a connection compute alike and nobody can choose, by which those are preferred
//! whom everybody in a swarm would connect to otherwise only by chance.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hexad_core::Map;

/// Addresses that peers say we have; more are not counted.
const TOLD_MAX: usize = 16;
/// So many must say the same.
const VOTES: u8 = 3;

/// The priority of a connection between two addresses, the higher the better.
pub(crate) fn priority(one: SocketAddr, other: SocketAddr) -> u32 {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let mut parts: [Vec<u8>; 2] = match (a, b) {
        _ if a == b => [one.port().to_be_bytes().to_vec(), other.port().to_be_bytes().to_vec()],
        (IpAddr::V4(a), IpAddr::V4(b)) => masked(&a.octets(), &b.octets(), 2),
        (IpAddr::V6(a), IpAddr::V6(b)) => masked(&a.octets(), &b.octets(), 6),
        // Of different families: there is no connection between those.
        _ => return 0,
    };
    parts.sort();
    crc32c::crc32c(&parts.concat())
}

/// The first `whole` bytes count, of the others only every second bit; one more counts for each that both have in common from there on.
fn masked(a: &[u8], b: &[u8], whole: usize) -> [Vec<u8>; 2] {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let whole = if common < whole { whole } else { (common + 1).min(a.len()) };
    let mask = |bytes: &[u8]| bytes.iter().enumerate().map(|(at, byte)| if at < whole { *byte } else { byte & 0x55 }).collect();
    [mask(a), mask(b)]
}

/// What we are called from outside, as peers say.
#[derive(Debug, Default)]
pub(crate) struct SeenAs {
    told: Map<IpAddr, u8>,
}

impl SeenAs {
    /// A peer says which address we have.
    pub(crate) fn told(&mut self, ip: IpAddr) {
        let ip = ip.to_canonical();
        if self.told.len() < TOLD_MAX || self.told.contains_key(&ip) {
            let votes = self.told.entry(ip).or_default();
            *votes = votes.saturating_add(1);
        }
    }

    /// The IPv6 address by which most know us, when enough do.
    pub(crate) fn ipv6(&self) -> Option<Ipv6Addr> {
        match self.ip(false) {
            Some(IpAddr::V6(ip)) => Some(ip),
            _ => None,
        }
    }

    /// The address of that family by which most know us, when enough do.
    pub(crate) fn ip(&self, v4: bool) -> Option<IpAddr> {
        let of_family = self.told.iter().filter(|(ip, votes)| ip.is_ipv4() == v4 && **votes >= VOTES);
        of_family.max_by_key(|(_, votes)| **votes).map(|(ip, _)| *ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, expected: u32) {
        let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
        assert_eq!([priority(one, other), priority(other, one)], [expected; 2]);
    }

    #[test]
    fn addresses_of_the_bep_have_its_priorities() {
        check("123.213.32.10:1", "98.76.54.32:2", 0xec2d_7224);
        check("123.213.32.10:1", "123.213.32.234:2", 0x9956_8189);
        // The same address: ports decide.
        check("10.0.0.1:1", "10.0.0.1:2", crc32c::crc32c(&[0, 1, 0, 2]));
    }

    #[test]
    fn we_are_who_three_say_we_are() {
        let mut seen = SeenAs::default();
        let (right, wrong): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.66".parse().unwrap());
        [right, wrong, right].into_iter().for_each(|ip| seen.told(ip));
        assert_eq!(seen.ip(true), None);
        seen.told("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!((seen.ip(true), seen.ip(false)), (Some(right), None));
    }
}
