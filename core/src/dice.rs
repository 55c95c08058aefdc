//! Randomness as a node sees it.

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Random numbers from the host: cryptographic on real sockets, counter-based in the lab.
///
/// A lab draws one stream per (seed, purpose, node, event), so that no node's draws depend on another's; making one costs nothing.
#[derive(Clone, Debug)]
pub struct Dice(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Counter { state: u64 },
    Secure(Box<ChaCha12Rng>),
}

impl Dice {
    /// A reproducible stream: the same `seed` and `stream` give the same numbers on every machine. Not secret.
    #[must_use]
    pub fn counter(seed: u64, stream: u64) -> Self {
        Self(Kind::Counter { state: mix(seed ^ mix(stream.wrapping_add(0x9e37_79b9_7f4a_7c15))) })
    }

    /// An unguessable stream, from 32 bytes of the host's entropy.
    #[must_use]
    pub fn secure(seed: [u8; 32]) -> Self {
        Self(Kind::Secure(Box::new(ChaCha12Rng::from_seed(seed))))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        match &mut self.0 {
            Kind::Counter { state } => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                mix(*state)
            }
            Kind::Secure(rng) => rng.next_u64(),
        }
    }

    /// A number in `0..bound`, evenly spread; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Lemire's multiplication; its bias below 2^-64 × bound is of no consequence for choices among things we hold in memory.
        u64::try_from((u128::from(self.bits()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// An index into something of length `len`; `None` when it is empty.
    pub fn index(&mut self, len: usize) -> Option<usize> {
        (len > 0).then(|| usize::try_from(self.below(len as u64)).unwrap_or(0))
    }

    /// True with probability `numerator / denominator`.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// A number in `0.0..1.0`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.bits().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Puts `items` in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1).unwrap_or(0);
            items.swap(last, other);
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
