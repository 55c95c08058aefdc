//! A set of piece indices, as the wire's bitfield and as words to work on.

use bytes::Bytes;

/// A fixed number of bits and how many of them are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: u32,
    ones: u32,
}

impl Bits {
    /// `len` bits, none set.
    pub(crate) fn new(len: u32) -> Self {
        Self { words: vec![0; (len as usize).div_ceil(64)], len, ones: 0 }
    }

    /// `len` bits, all set.
    pub(crate) fn full(len: u32) -> Self {
        let mut bits = Self { words: vec![u64::MAX; (len as usize).div_ceil(64)], len, ones: len };
        if let Some(last) = bits.words.last_mut()
            && !len.is_multiple_of(64)
        {
            *last = (1 << (len % 64)) - 1;
        }
        bits
    }

    /// Reads a bitfield; `None` when its length is not exactly right or a spare bit is set (BEP 3: both close the connection).
    pub(crate) fn from_wire(bytes: &[u8], len: u32) -> Option<Self> {
        if bytes.len() != (len as usize).div_ceil(8) {
            return None;
        }
        let mut bits = Self::new(len);
        for (word, chunk) in bits.words.iter_mut().zip(bytes.chunks(8)) {
            for (place, byte) in chunk.iter().enumerate() {
                *word |= u64::from(byte.reverse_bits()) << (8 * place);
            }
        }
        let spare = len % 64;
        if spare != 0 && bits.words.last().is_some_and(|last| last >> spare != 0) {
            return None;
        }
        bits.ones = bits.words.iter().map(|word| word.count_ones()).sum();
        Some(bits)
    }

    /// The wire's form: most significant bit first, spare bits 0.
    pub(crate) fn to_wire(&self) -> Bytes {
        let bytes = (self.len as usize).div_ceil(8);
        let all = self.words.iter().flat_map(|word| word.to_le_bytes().map(u8::reverse_bits));
        all.take(bytes).collect::<Vec<u8>>().into()
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// How many are set.
    pub(crate) const fn count(&self) -> u32 {
        self.ones
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.ones == self.len
    }

    pub(crate) fn get(&self, bit: u32) -> bool {
        self.words.get(bit as usize / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Sets a bit; true when it was not.
    pub(crate) fn set(&mut self, bit: u32) -> bool {
        if bit >= self.len || self.get(bit) {
            return false;
        }
        self.words[bit as usize / 64] |= 1 << (bit % 64);
        self.ones += 1;
        true
    }

    /// Clears a bit; true when it was set.
    pub(crate) fn clear(&mut self, bit: u32) -> bool {
        if !self.get(bit) {
            return false;
        }
        self.words[bit as usize / 64] &= !(1 << (bit % 64));
        self.ones -= 1;
        true
    }

    /// Sets all that the other has, which is as long.
    pub(crate) fn add(&mut self, other: &Self) {
        if other.len != self.len || self.is_full() {
            return;
        }
        self.words.iter_mut().zip(&other.words).for_each(|(word, more)| *word |= more);
        self.ones = self.words.iter().map(|word| word.count_ones()).sum();
    }

    /// All set bits in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().zip(0_u32..).flat_map(|(&word, index)| ones(word).map(move |bit| index * 64 + bit))
    }

    /// How many bits both have.
    pub(crate) fn count_with(&self, other: &Self) -> u32 {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & b).count_ones()).sum()
    }

    /// The bits that both have, in ascending order.
    pub(crate) fn both<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        self.words.iter().zip(&other.words).zip(0_u32..).flat_map(|((a, b), index)| ones(a & b).map(move |bit| index * 64 + bit))
    }
}

fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let bit = word.trailing_zeros();
            word &= word - 1;
            bit
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitfield_is_read_as_it_is_written() {
        let mut bits = Bits::new(70);
        for bit in [0, 7, 8, 63, 64, 69] {
            assert!(bits.set(bit));
        }
        let wire = bits.to_wire();
        assert_eq!(wire.len(), 9);
        assert_eq!(wire[0], 0b1000_0001);
        assert_eq!(Bits::from_wire(&wire, 70), Some(bits.clone()));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 7, 8, 63, 64, 69]);
    }

    #[test]
    fn a_bitfield_of_the_wrong_length_or_with_spare_bits_is_refused() {
        assert_eq!(Bits::from_wire(&[0xff], 9), None);
        assert_eq!(Bits::from_wire(&[0xff, 0x80, 0], 9), None);
        assert_eq!(Bits::from_wire(&[0xff, 0xc0], 9), None);
        assert_eq!(Bits::from_wire(&[0xff, 0x80], 9), Some(Bits::full(9)));
        assert_eq!(Bits::from_wire(&[], 0), Some(Bits::full(0)));
    }
}
