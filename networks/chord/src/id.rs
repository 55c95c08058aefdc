//! Places on the ring: ids, keys, and the two interval tests on which everything rests.

use std::fmt;
use std::hash::Hash;

use sha2::{Digest as _, Sha256};

/// A key: 160 bits, as m is on the wire. A ring with smaller ids uses the high bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 20]);

impl Key {
    /// The key of an item that is its own proof: the hash of its bytes.
    #[must_use]
    pub fn of_content(bytes: &[u8]) -> Self {
        Self::hashed("content:", bytes)
    }

    /// The key under which values of that name are stored.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self::hashed("name:", name.as_bytes())
    }

    /// The key under which references to files with that word in their names are stored.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        Self::hashed("kw:", word.as_bytes())
    }

    /// The first 20 bytes of SHA-256 over what kind of name it is, and the name.
    #[must_use]
    pub fn hashed(kind: &str, bytes: &[u8]) -> Self {
        let hash: [u8; 32] = Sha256::new().chain_update(kind).chain_update(bytes).finalize().into();
        let mut key = [0; 20];
        key.copy_from_slice(&hash[..20]);
        Self(key)
    }

    /// Reads 40 hex digits.
    #[must_use]
    pub fn of_hex(text: &str) -> Option<Self> {
        let mut key = [0; 20];
        if text.len() != 40 || !text.is_ascii() {
            return None;
        }
        for (byte, at) in key.iter_mut().zip((0..40).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(key))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// An m-bit number on a ring, counted clockwise.
pub trait RingId: Copy + Ord + Hash + fmt::Debug + Send + 'static {
    /// m.
    const BITS: u8;

    /// How far it is clockwise from here to `to`.
    #[must_use]
    fn distance(self, to: Self) -> Self;

    /// The place 2^`bit` further on: where finger `bit` starts (C9, counted from 0).
    #[must_use]
    fn plus_power(self, bit: u8) -> Self;

    /// The place of a key.
    #[must_use]
    fn of_key(key: &Key) -> Self;

    /// The first key that lies here.
    #[must_use]
    fn to_key(self) -> Key;

    /// Of a distance: its highest bit that is set, -1 for no distance at all.
    #[must_use]
    fn high_bit(self) -> i16;

    /// Of a distance: its share of the whole ring.
    #[must_use]
    fn share(self) -> f64;
}

/// Whether `x` lies strictly inside, going clockwise from `a` to `b`; where `a == b`, everything but `a` does.
#[must_use]
pub fn between<I: RingId>(a: I, x: I, b: I) -> bool {
    a != x && (a == b || a.distance(x) < a.distance(b))
}

/// Whether `x` lies in the half-open arc (a, b], which `b` owns when `a` is its predecessor; where `a == b`, everything does.
#[must_use]
pub fn owns<I: RingId>(a: I, x: I, b: I) -> bool {
    x == b || between(a, x, b) || a == b
}

impl RingId for u64 {
    const BITS: u8 = 64;

    fn distance(self, to: Self) -> Self {
        to.wrapping_sub(self)
    }

    fn plus_power(self, bit: u8) -> Self {
        self.wrapping_add(1 << bit)
    }

    fn of_key(key: &Key) -> Self {
        let mut high = [0; 8];
        high.copy_from_slice(&key.0[..8]);
        Self::from_be_bytes(high)
    }

    fn to_key(self) -> Key {
        let mut key = [0; 20];
        key[..8].copy_from_slice(&self.to_be_bytes());
        Key(key)
    }

    fn high_bit(self) -> i16 {
        self.checked_ilog2().map_or(-1, |bit| i16::try_from(bit).unwrap_or(-1))
    }

    #[expect(clippy::cast_precision_loss, reason = "a share of the ring")]
    fn share(self) -> f64 {
        self as f64 / 18_446_744_073_709_551_616.0
    }
}

/// 160 bits, most significant word first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id160([u32; 5]);

impl fmt::Debug for Id160 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id160({})", self.to_key())
    }
}

impl RingId for Id160 {
    const BITS: u8 = 160;

    fn distance(self, to: Self) -> Self {
        let mut words = [0; 5];
        let mut borrow = false;
        for at in (0..5).rev() {
            let (word, under) = to.0[at].overflowing_sub(self.0[at]);
            let (word, again) = word.overflowing_sub(borrow.into());
            words[at] = word;
            borrow = under || again;
        }
        Self(words)
    }

    fn plus_power(self, bit: u8) -> Self {
        let mut words = self.0;
        let first = 4_usize.saturating_sub(usize::from(bit / 32));
        let mut add = 1_u32 << (bit % 32);
        for at in (0..=first).rev() {
            let (word, carry) = words[at].overflowing_add(add);
            words[at] = word;
            if !carry {
                break;
            }
            add = 1;
        }
        Self(words)
    }

    fn of_key(key: &Key) -> Self {
        let mut words = [0; 5];
        for (word, bytes) in words.iter_mut().zip(key.0.chunks_exact(4)) {
            *word = bytes.iter().fold(0, |word, &byte| word << 8 | u32::from(byte));
        }
        Self(words)
    }

    fn to_key(self) -> Key {
        let mut key = [0; 20];
        for (bytes, word) in key.chunks_exact_mut(4).zip(self.0) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        Key(key)
    }

    fn high_bit(self) -> i16 {
        let Some(at) = self.0.iter().position(|&word| word != 0) else { return -1 };
        let below = 32 * i16::try_from(4 - at).unwrap_or(0);
        below + i16::try_from(self.0[at].ilog2()).unwrap_or(0)
    }

    fn share(self) -> f64 {
        (u64::from(self.0[0]) << 32 | u64::from(self.0[1])).share()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sixteen places of a ring with m = 4.
    fn places() -> impl Iterator<Item = u64> {
        (0..16).map(|place| place << 60)
    }

    /// Walks clockwise from `a` to `b` and looks whether `x` is met on the way, ends left out.
    fn walked(a: u64, x: u64, b: u64) -> bool {
        let mut at = a.wrapping_add(1 << 60);
        while at != b {
            if at == x {
                return x != a;
            }
            at = at.wrapping_add(1 << 60);
        }
        false
    }

    #[test]
    fn intervals_agree_with_walking_round_the_ring() {
        for a in places() {
            for b in places() {
                for x in places() {
                    let inside = if a == b { x != a } else { walked(a, x, b) };
                    assert_eq!(between(a, x, b), inside, "between({a:x}, {x:x}, {b:x})");
                    assert_eq!(owns(a, x, b), a == b || x == b || inside, "owns({a:x}, {x:x}, {b:x})");
                    let wide = |place: u64| Id160::of_key(&place.to_key());
                    assert_eq!(between(wide(a), wide(x), wide(b)), inside);
                    assert_eq!(wide(a).distance(wide(b)), wide(a.distance(b)));
                }
            }
        }
    }

    #[test]
    fn a_finger_starts_a_power_of_two_further_on() {
        let end = Id160([u32::MAX; 5]);
        assert_eq!(end.plus_power(0), Id160([0; 5]));
        assert_eq!(end.plus_power(32), Id160([0, 0, 0, 0, u32::MAX]));
        for bit in 0..160 {
            let start = Id160([7; 5]).plus_power(bit);
            assert_eq!(Id160([7; 5]).distance(start).high_bit(), i16::from(bit));
        }
        assert_eq!(5_u64.distance(5).high_bit(), -1);
    }

    #[test]
    fn a_key_is_written_and_read_as_hex() {
        let key = Key::of_word("blue");
        assert_eq!(Key::of_hex(&key.to_string()), Some(key));
        assert_eq!(Key::of_hex("ä"), None);
    }
}
