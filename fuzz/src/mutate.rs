//! Seeded mutations: the same seed makes the same inputs on every machine.

use hexad_core::Dice;

/// Longest input that is made, bytes.
const BYTES_MAX: usize = 8 << 10;
/// Bytes and words that codecs trip over.
const TOKENS: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"e",
    b"i",
    b"l",
    b"d",
    b"d1:a",
    b"0:",
    b"1:",
    b"i-0e",
    b"i0e",
    b"i-1e",
    b"i9223372036854775807e",
    b"i9223372036854775808e",
    b"00",
    b"99999999999:",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\0\x10\0\0",
    b"\0\x10\0\x01",
    b"\0\0\x40\x09",
    b"\r\n",
    b"%",
    b"%00",
    b"&",
    b"=",
    b"..",
    b"/",
    b"\xc3",
    b"\xf0\x9f\x98\x80",
];

/// Makes inputs out of others.
pub struct Mutator {
    dice: Dice,
}

impl Mutator {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::counter(seed, 0x6675_7a7a) }
    }

    /// One of `corpus`, changed in one to eight places.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.one_of(corpus).to_vec();
        for _ in 0..=self.dice.below(8) {
            self.change(&mut bytes, corpus);
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }

    fn one_of<'c>(&mut self, corpus: &'c [Vec<u8>]) -> &'c [u8] {
        self.dice.index(corpus.len()).map_or(&[], |index| &corpus[index])
    }

    /// A place in `bytes`, or its end.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.dice.index(bytes.len() + 1).unwrap_or(0)
    }

    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.place(bytes);
        let bits = self.dice.below(8);
        let length = usize::try_from(self.dice.below(1 << bits)).unwrap_or(0);
        let end = bytes.len().min(at + length);
        match self.dice.below(9) {
            0 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << self.dice.below(8)),
            1 => {
                let word = self.dice.bits().to_le_bytes();
                bytes.get_mut(at).into_iter().for_each(|byte| *byte = word[0]);
            }
            2 => {
                let less = self.dice.chance(1, 2);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte = if less { byte.wrapping_sub(1) } else { byte.wrapping_add(1) });
            }
            3 => drop(bytes.drain(at..end)),
            4 => bytes.truncate(at),
            5 => {
                let part = bytes[at..end].to_vec();
                let times = self.dice.below(4) + 1;
                (0..times).for_each(|_| drop(bytes.splice(at..at, part.iter().copied())));
            }
            6 => {
                let token = TOKENS[self.dice.index(TOKENS.len()).unwrap_or(0)];
                drop(bytes.splice(at..at, token.iter().copied()));
            }
            7 => {
                let token = TOKENS[self.dice.index(TOKENS.len()).unwrap_or(0)];
                let end = bytes.len().min(at + token.len());
                drop(bytes.splice(at..end, token.iter().copied()));
            }
            _ => {
                let other = self.one_of(corpus);
                let (from, to) = (self.place(other), self.place(other));
                let part = &other[from.min(to)..from.max(to)];
                drop(bytes.splice(at..end, part.iter().copied()));
            }
        }
    }
}
