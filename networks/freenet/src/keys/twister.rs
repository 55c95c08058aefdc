//! MT19937 (Matsumoto and Nishimura, 1998): what Hyphanet pads blocks with. Not for secrets; two inserts of one file must give one key.

const N: usize = 624;
const M: usize = 397;

/// The generator, seeded by an array.
pub(super) struct Twister {
    state: [u32; N],
    at: usize,
}

impl Twister {
    /// `init_by_array` with the digest read as eight little-endian words.
    pub(super) fn of_digest(digest: &[u8; 32]) -> Self {
        let mut seed = [0_u32; 8];
        for (word, bytes) in seed.iter_mut().zip(digest.chunks_exact(4)) {
            *word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        }
        Self::of_words(&seed)
    }

    fn of_words(seed: &[u32]) -> Self {
        let mut state = [0_u32; N];
        state[0] = 19_650_218;
        for at in 1..N {
            state[at] = step(state[at - 1]).wrapping_mul(1_812_433_253).wrapping_add(index(at));
        }
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(seed.len()) {
            state[i] = (state[i] ^ step(state[i - 1]).wrapping_mul(1_664_525)).wrapping_add(seed[j]).wrapping_add(index(j));
            (i, j) = (i + 1, (j + 1) % seed.len());
            if i >= N {
                state[0] = state[N - 1];
                i = 1;
            }
        }
        for _ in 0..N - 1 {
            state[i] = (state[i] ^ step(state[i - 1]).wrapping_mul(1_566_083_941)).wrapping_sub(index(i));
            i += 1;
            if i >= N {
                state[0] = state[N - 1];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
        Self { state, at: N }
    }

    fn twist(&mut self) {
        for at in 0..N {
            let word = (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % N] & 0x7fff_ffff);
            let odd = if word & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + M) % N] ^ (word >> 1) ^ odd;
        }
        self.at = 0;
    }

    fn next(&mut self) -> u32 {
        if self.at >= N {
            self.twist();
        }
        let mut word = self.state[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Fills `bytes`, each number least significant byte first.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(4) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

const fn step(word: u32) -> u32 {
    word ^ (word >> 30)
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_the_numbers_of_its_authors() {
        // mt19937ar.out: init_by_array with 0x123, 0x234, 0x345, 0x456.
        let mut twister = Twister::of_words(&[0x123, 0x234, 0x345, 0x456]);
        let first: Vec<u32> = (0..5).map(|_| twister.next()).collect();
        assert_eq!(first, [1_067_595_299, 955_945_823, 477_289_528, 4_107_218_783, 4_228_976_476]);
    }
}
