//! Nodes as a routing table keeps them: small, and beside each other, since whoever hears from somebody reads them from memory where nothing else was lately.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::{Deref, DerefMut};

use hexad_core::{Span, Time};

use super::id::{NodeId, is_local};
use super::table::{FRESH, K};

/// A node that was pinged to see whether it is still there is not pinged again for this long.
const PROBE_INTERVAL: Span = Span::from_secs(20);

/// An IP address, that of IPv4 as mapped into IPv6, and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    ip: [u8; 16],
    port: u16,
}

impl Spot {
    pub fn of(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self { ip: ip.octets(), port: address.port() }
    }

    /// The host.
    pub fn ip(self) -> IpAddr {
        Ipv6Addr::from(self.ip).to_canonical()
    }

    /// As an address.
    pub fn address(self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port)
    }

    /// Whether both are on one host.
    pub fn is_same_host(self, other: Self) -> bool {
        self.ip == other.ip
    }

    /// Any number that follows from it, mostly another one for each.
    pub fn hash(self) -> u32 {
        let number = self.number();
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let folded = ((number >> 64) as u64).rotate_left(32) ^ number as u64 ^ u64::from(self.port) << 48;
        u32::try_from(folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or(0)
    }

    fn number(self) -> u128 {
        u128::from_be_bytes(self.ip)
    }
}

/// A node that has answered us, in this run or in the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contact {
    pub id: NodeId,
    pub spot: Spot,
    /// Questions it has not answered since it was last heard.
    pub fails: u8,
    /// When it last answered, or asked us.
    pub heard: Time,
    /// It is not pinged before this to see whether it is still there.
    probe_at: Time,
}

impl Contact {
    pub fn new(id: NodeId, address: SocketAddr, heard: Time, fails: u8) -> Self {
        Self { id, spot: Spot::of(address), fails, heard, probe_at: Time::ZERO }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.spot.address()
    }

    /// The host that it is on.
    pub fn ip(&self) -> IpAddr {
        self.spot.ip()
    }

    /// It has answered.
    pub fn answers(&mut self, now: Time) {
        self.heard = self.heard.max(now);
        self.fails = 0;
        self.probe_at = Time::ZERO;
    }

    /// Whether it should be pinged to see whether it is still there.
    pub fn wants_probe(&self, now: Time) -> bool {
        let is_good = self.fails == 0 && now.since(self.heard) < FRESH;
        !is_good && now >= self.probe_at
    }

    /// It is pinged.
    pub fn probe(&mut self, now: Time) {
        self.probe_at = now + PROBE_INTERVAL;
    }
}

/// Up to eight nodes, in the order in which they came.
#[derive(Clone, Debug)]
pub(super) struct Contacts {
    len: u8,
    places: [Contact; K],
}

impl Contacts {
    pub const fn new() -> Self {
        let nobody =
            Contact { id: NodeId([0; 20]), spot: Spot { ip: [0; 16], port: 0 }, fails: 0, heard: Time::ZERO, probe_at: Time::ZERO };
        Self { len: 0, places: [nobody; K] }
    }

    pub fn is_full(&self) -> bool {
        usize::from(self.len) >= K
    }

    /// One more; there has to be room.
    pub fn push(&mut self, node: Contact) {
        self.places[usize::from(self.len)] = node;
        self.len += 1;
    }

    pub fn remove(&mut self, at: usize) {
        let len = usize::from(self.len);
        self.places[at..len].rotate_left(1);
        self.len -= 1;
    }

    pub fn retain(&mut self, mut stays: impl FnMut(&Contact) -> bool) {
        let mut kept = 0;
        for at in 0..usize::from(self.len) {
            let node = self.places[at];
            if stays(&node) {
                self.places[kept] = node;
                kept += 1;
            }
        }
        self.len = u8::try_from(kept).unwrap_or(self.len);
    }
}

impl Deref for Contacts {
    type Target = [Contact];

    fn deref(&self) -> &[Contact] {
        &self.places[..usize::from(self.len)]
    }
}

impl DerefMut for Contacts {
    fn deref_mut(&mut self) -> &mut [Contact] {
        &mut self.places[..usize::from(self.len)]
    }
}

/// In which buckets the nodes of a host are, those that wait included. A number for each node: its bucket in the lowest eight bits, and what its address hashes
/// to in the others; so that next to nothing is read for a host that is in none.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(Vec<u32>);

impl Whereabouts {
    pub fn add(&mut self, spot: Spot, bucket: usize) {
        self.0.push(hash(spot) | low(bucket));
    }

    pub fn remove(&mut self, spot: Spot, bucket: usize) {
        let number = hash(spot) | low(bucket);
        if let Some(at) = self.0.iter().position(|&known| known == number) {
            self.0.swap_remove(at);
        }
    }

    /// The buckets that may have a node of that host, each once; at a local address, of that port.
    pub fn of(&self, spot: Spot) -> Vec<usize> {
        let hash = hash(spot);
        let differs = |number: u32| (number ^ hash) >> 8 != 0;
        // Nobody, mostly; and without a way out the loop takes many numbers at a time.
        if self.0.iter().fold(true, |all, &number| all & differs(number)) {
            return Vec::new();
        }
        let there = self.0.iter().filter(|&&number| !differs(number));
        let mut buckets: Vec<usize> = there.map(|number| usize::from(number.to_le_bytes()[0])).collect();
        buckets.sort_unstable();
        buckets.dedup();
        buckets
    }

    /// How many nodes it knows of.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Of the host, and at a local address of the port as well, as many hosts may be behind it; the lowest eight bits are 0.
fn hash(spot: Spot) -> u32 {
    let spot = if is_local(spot.ip()) { spot } else { Spot { port: 0, ..spot } };
    spot.hash() & !0xff
}

fn low(bucket: usize) -> u32 {
    u32::try_from(bucket).unwrap_or(0) & 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(text: &str) -> Spot {
        Spot::of(text.parse().unwrap())
    }

    #[test]
    fn a_contact_is_small_and_tells_its_address() {
        assert!(size_of::<Contact>() <= 56);
        for text in ["192.0.2.1:6881", "[2001:db8::1]:1", "127.0.0.1:65535"] {
            assert_eq!(Contact::new(NodeId([1; 20]), text.parse().unwrap(), Time::ZERO, 0).address().to_string(), text);
        }
    }

    #[test]
    fn a_host_is_found_in_its_buckets_until_it_has_left_them() {
        let mut places = Whereabouts::default();
        for bucket in [3, 0, 3, 159] {
            places.add(spot("192.0.2.1:1"), bucket);
        }
        places.add(spot("127.0.0.1:1"), 7);
        assert_eq!(places.of(spot("192.0.2.1:2")), [0, 3, 159]);
        assert_eq!(places.of(spot("192.0.2.2:1")), []);
        assert_eq!(places.of(spot("127.0.0.1:1")), [7]);
        assert_eq!(places.of(spot("127.0.0.1:2")), [], "another host may be behind it");
        places.remove(spot("192.0.2.1:2"), 3);
        assert_eq!(places.of(spot("192.0.2.1:1")), [0, 3, 159], "one is left there");
        places.remove(spot("192.0.2.1:1"), 3);
        assert_eq!(places.of(spot("192.0.2.1:1")), [0, 159]);
    }
}
