//! Ids of DHT nodes: their distance (BEP 5), and how they follow from an address (BEP 42).

use std::fmt;
use std::net::IpAddr;

use hexad_core::Dice;

/// A point of the DHT's key space: a node's id, or an info hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 20]);

impl NodeId {
    /// Any id.
    pub fn random(dice: &mut Dice) -> Self {
        Self(dice.bytes())
    }

    /// An id that a node at `ip` may have. BEP 42.
    pub fn random_for(ip: IpAddr, dice: &mut Dice) -> Self {
        let mut id: [u8; 20] = dice.bytes();
        let prefix = prefix(ip, id[19]);
        id[0] = prefix[0];
        id[1] = prefix[1];
        id[2] = prefix[2] & 0xf8 | id[2] & 0x07;
        Self(id)
    }

    /// An id that has its first `bits` bits in common with this one, differs in the next, and is random in the others.
    pub fn random_near(self, bits: usize, dice: &mut Dice) -> Self {
        let mut id: [u8; 20] = dice.bytes();
        for (at, byte) in id.iter_mut().enumerate() {
            let from = at * 8;
            let mask = match bits.saturating_sub(from) {
                0 => 0,
                same @ 1..8 => !(0xff_u8 >> same),
                _ => 0xff,
            };
            *byte = self.0[at] & mask | *byte & !mask;
            if bits >= from && bits < from + 8 {
                let bit = 0x80 >> (bits - from);
                *byte = *byte & !bit | !self.0[at] & bit;
            }
        }
        Self(id)
    }

    /// Whether a node at `ip` may have this id. Addresses that mean nothing outside a site may have any. BEP 42.
    pub fn fits(self, ip: IpAddr) -> bool {
        if is_local(ip) {
            return true;
        }
        let prefix = prefix(ip, self.0[19]);
        self.0[0] == prefix[0] && self.0[1] == prefix[1] && (self.0[2] ^ prefix[2]) & 0xf8 == 0
    }

    /// XOR distance.
    pub fn distance(self, other: Self) -> Distance {
        let (a, b) = (self.halves(), other.halves());
        Distance(a.0 ^ b.0, a.1 ^ b.1)
    }

    /// How many first bits both have in common, up to 160.
    pub fn common_bits(self, other: Self) -> usize {
        let Distance(first, last) = self.distance(other);
        let bits = if first == 0 { 128 + last.leading_zeros() } else { first.leading_zeros() };
        bits as usize
    }

    /// The first 128 bits, and the other 32.
    fn halves(self) -> (u128, u32) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, last @ ..] = self.0;
        (u128::from_be_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]), u32::from_be_bytes(last))
    }
}

/// How far one point is from another; as numbers, since lookups compare little else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance(u128, u32);

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Whether many hosts may share this address, or none on the Internet has it: loopback, private, link-local. Rules that take an address for a
/// host do not apply there.
pub fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn prefix(ip: IpAddr, last: u8) -> [u8; 4] {
    const MASK_V4: [u8; 4] = [0x03, 0x0f, 0x3f, 0xff];
    const MASK_V6: [u8; 8] = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];
    let crc = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let mut masked = ip.octets();
            masked.iter_mut().zip(MASK_V4).for_each(|(byte, mask)| *byte &= mask);
            masked[0] |= (last & 7) << 5;
            crc32c::crc32c(&masked)
        }
        IpAddr::V6(ip) => {
            let mut masked = [0; 8];
            masked.iter_mut().zip(ip.octets()).zip(MASK_V6).for_each(|((byte, octet), mask)| *byte = octet & mask);
            masked[0] |= (last & 7) << 5;
            crc32c::crc32c(&masked)
        }
    };
    crc.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: [u8; 3], last: u8) -> NodeId {
        let mut id = [0; 20];
        id[..3].copy_from_slice(&first);
        id[19] = last;
        NodeId(id)
    }

    #[test]
    fn the_samples_of_bep_42_fit_their_addresses() {
        for (ip, first, last) in [
            ("124.31.75.21", [0x5f, 0xbf, 0xbf], 1),
            ("21.75.31.124", [0x5a, 0x3c, 0xe9], 86),
            ("65.23.51.170", [0xa5, 0xd4, 0x32], 22),
            ("84.124.73.14", [0x1b, 0x03, 0x21], 65),
            ("43.213.53.83", [0xe5, 0x6f, 0x6c], 90),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            assert!(id(first, last).fits(ip), "{ip}");
            assert!(!id(first, last ^ 1).fits(ip), "{ip}");
            assert!(!id([first[0], first[1] ^ 1, first[2]], last).fits(ip), "{ip}");
            assert!(NodeId::random_for(ip, &mut Dice::counter(3, 3)).fits(ip));
        }
        let six: IpAddr = "2001:db8::5".parse().unwrap();
        let mut dice = Dice::counter(3, 4);
        assert!(NodeId::random_for(six, &mut dice).fits(six));
        assert!(!NodeId::random(&mut dice).fits(six));
        assert!(NodeId::random(&mut dice).fits("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn an_id_of_a_bucket_shares_exactly_its_prefix() {
        let mut dice = Dice::counter(3, 5);
        let own = NodeId::random(&mut dice);
        for bits in 0..160 {
            assert_eq!(own.random_near(bits, &mut dice).common_bits(own), bits);
        }
        assert_eq!(own.common_bits(own), 160);
    }
}
