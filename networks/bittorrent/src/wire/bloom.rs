//! Who is in a swarm, as DHT nodes tell each other without naming anybody: a filter of 256 bytes. BEP 33.

use std::fmt;
use std::net::IpAddr;

use sha1::{Digest as _, Sha1};

/// Bytes of a filter.
pub const FILTER_BYTES: usize = 256;
const BITS: usize = FILTER_BYTES * 8;

/// A Bloom filter with two hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter(pub [u8; FILTER_BYTES]);

impl Default for Filter {
    fn default() -> Self {
        Self([0; FILTER_BYTES])
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter(about {:.1})", self.estimate())
    }
}

impl Filter {
    /// Puts an address in.
    pub fn insert(&mut self, ip: IpAddr) {
        let hash: [u8; 20] = match ip.to_canonical() {
            IpAddr::V4(ip) => Sha1::digest(ip.octets()).into(),
            IpAddr::V6(ip) => Sha1::digest(ip.octets()).into(),
        };
        for pair in [[hash[0], hash[1]], [hash[2], hash[3]]] {
            let bit = usize::from(u16::from_le_bytes(pair)) % BITS;
            self.0[bit / 8] |= 1 << (bit % 8);
        }
    }

    /// Takes over all that is in another one.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(ours, theirs)| *ours |= theirs);
    }

    /// Whether it has no zero left, and so says nothing.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0xff)
    }

    /// How many addresses are in it, about, as a whole number: none where it is empty.
    #[must_use]
    pub fn count(&self) -> u64 {
        if *self == Self::default() {
            return 0;
        }
        // It has 2,048 bits, so this is less than 8,000 and more than 0.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a small number and not negative")]
        let count = self.estimate().round() as u64;
        count
    }

    /// How many addresses are in it, about.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        let zeros = self.0.iter().map(|byte| byte.count_zeros()).sum::<u32>();
        let bits = 2048.0_f64;
        let zeros = f64::from(zeros.clamp(1, 2047));
        (zeros / bits).ln() / (2.0 * (1.0 - 1.0 / bits).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// The vector of BEP 33.
    #[test]
    fn the_vector_of_the_bep_holds() {
        let mut filter = Filter::default();
        (0..=255).for_each(|last| filter.insert(Ipv4Addr::new(192, 0, 2, last).into()));
        let mut other = Filter::default();
        (0..0x3e8).for_each(|last| other.insert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into()));
        filter.merge(&other);
        assert_eq!(filter.0[..8], [0xf6, 0xc3, 0xf5, 0xea, 0xa0, 0x7f, 0xfd, 0x91]);
        assert!((filter.estimate() - 1224.9308).abs() < 0.001, "{}", filter.estimate());
        assert_eq!((filter.count(), filter.is_full(), Filter::default().count()), (1225, false, 0));
    }

    #[test]
    fn the_empty_and_the_full_one_have_an_estimate() {
        assert!(Filter::default().estimate() < 1.0);
        let full = Filter([0xff; FILTER_BYTES]).estimate();
        assert!(full.is_finite() && full > 7000.0, "{full}");
    }
}
