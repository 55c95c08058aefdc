//! SHA-1 of many independent messages at once, one message per SIMD lane.
//!
//! The shape of `compress` is what the compiler vectorises: one loop over the lanes whose body is all 80 rounds, unrolled on
//! scalars. A small rewrite loses twenty times the speed in silence; `cargo run --release -p hexad-content --example sha1_lanes`
//! tells, and fails.

use std::hint::black_box;

use multiversion::multiversion;
use sha1::{Digest as _, Sha1};

use crate::Sha1Digest;

/// How many messages are hashed side by side.
pub const LANES: usize = 16;

/// Bytes that SHA-1 takes in one step.
pub const BLOCK_BYTES: usize = 64;

const WORDS: usize = BLOCK_BYTES / 4;
const ROUND_CONSTANTS: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];
const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// Sixteen SHA-1 computations over messages of equal length, advanced together.
#[derive(Clone, Debug)]
pub struct Sha1Lanes {
    state: [[u32; LANES]; 5],
    bytes: u64,
}

impl Default for Sha1Lanes {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha1Lanes {
    /// Sixteen empty messages.
    #[must_use]
    pub fn new() -> Self {
        Self { state: START.map(|word| [word; LANES]), bytes: 0 }
    }

    /// Appends one row to each message.
    ///
    /// # Panics
    /// When the rows differ in length, or their length is not a multiple of [`BLOCK_BYTES`].
    pub fn update(&mut self, rows: &[&[u8]; LANES]) {
        let length = rows[0].len();
        assert!(length.is_multiple_of(BLOCK_BYTES), "expected rows of whole 64-byte blocks, came {length} bytes");
        assert!(rows.iter().all(|row| row.len() == length), "expected rows of equal length");
        compress(&mut self.state, &rows.map(|row| row.as_chunks().0));
        self.bytes += length as u64;
    }

    /// Appends one last row to each message, of any length, and gives the digests.
    ///
    /// # Panics
    /// When the rows differ in length.
    #[must_use]
    pub fn finish(mut self, rows: &[&[u8]; LANES]) -> [Sha1Digest; LANES] {
        let whole = rows[0].len() / BLOCK_BYTES * BLOCK_BYTES;
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "expected rows of equal length");
        self.update(&rows.map(|row| &row[..whole]));
        let rest = rows[0].len() - whole;
        let bits = (self.bytes + rest as u64).wrapping_mul(8).to_be_bytes();
        // The end mark takes one byte and the length eight; where they do not fit behind the rest, a second block follows.
        let padded = if rest + 9 <= BLOCK_BYTES { BLOCK_BYTES } else { 2 * BLOCK_BYTES };
        let mut ends = [[0_u8; 2 * BLOCK_BYTES]; LANES];
        for (end, row) in ends.iter_mut().zip(rows) {
            end[..rest].copy_from_slice(&row[whole..]);
            end[rest] = 0x80;
            end[padded - 8..padded].copy_from_slice(&bits);
        }
        compress(&mut self.state, &ends.each_ref().map(|end| end[..padded].as_chunks().0));
        std::array::from_fn(|lane| {
            let mut digest = [0; 20];
            for (bytes, words) in digest.chunks_exact_mut(4).zip(&self.state) {
                bytes.copy_from_slice(&words[lane].to_be_bytes());
            }
            Sha1Digest(digest)
        })
    }
}

/// The SHA-1 of every message, in the order of `messages`. Messages of equal length that stand next to each other go through
/// the lanes where that is faster than one after the other.
#[must_use]
pub fn sha1_many(messages: &[&[u8]]) -> Vec<Sha1Digest> {
    let worthwhile = lanes_worthwhile();
    let mut digests = Vec::with_capacity(messages.len());
    for equal in messages.chunk_by(|left, right| left.len() == right.len()) {
        for group in equal.chunks(LANES) {
            if group.len() >= worthwhile {
                let rows = std::array::from_fn(|lane| group[lane.min(group.len() - 1)]);
                digests.extend_from_slice(&Sha1Lanes::new().finish(&rows)[..group.len()]);
            } else {
                digests.extend(group.iter().map(|message| sha1_one(message)));
            }
        }
    }
    digests
}

/// The SHA-1 of one message.
#[must_use]
pub fn sha1_one(message: &[u8]) -> Sha1Digest {
    Sha1Digest(Sha1::digest(message).into())
}

/// From how many messages of equal length on the lanes are faster on this machine than one message after the other; beyond
/// [`LANES`] where they never are.
///
/// In GB/s on one core: 16 lanes reach 6.7 with AVX-512, 2.2 to 3.0 with AVX2, 1.1 to 1.4 with SSE2; one stream reaches 1.9 with
/// the SHA instructions and about 0.8 without.
#[must_use]
pub fn lanes_worthwhile() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        match (wide, is_x86_feature_detected!("avx2"), is_x86_feature_detected!("sha")) {
            (true, _, true) => 5,
            (true, _, false) => 3,
            (false, true, true) => 14,
            (false, true, false) => 6,
            (false, false, true) => LANES + 1,
            (false, false, false) => 12,
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        LANES + 1
    }
}

/// Swaps `[lane][word]` and `[word][lane]`: four perfect shuffles turn the eight bits of an index by four.
#[inline(always)]
fn transposed(mut words: [u32; LANES * WORDS]) -> [u32; LANES * WORDS] {
    const HALF: usize = LANES * WORDS / 2;
    for _ in 0..4 {
        let mut riffled = [0; LANES * WORDS];
        for k in 0..HALF {
            riffled[2 * k] = words[k];
            riffled[2 * k + 1] = words[k + HALF];
        }
        words = riffled;
    }
    words
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn compress(state: &mut [[u32; LANES]; 5], rows: &[&[[u8; BLOCK_BYTES]]; LANES]) {
    // Constants that the compiler knows it adds last, where they lengthen the chain from round to round: an eighth of the speed.
    let [k0, k1, k2, k3] = black_box(ROUND_CONSTANTS);
    let blocks = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    #[expect(clippy::needless_range_loop, reason = "indices are the shape that vectorises")]
    for block in 0..blocks {
        let mut words = [0_u32; LANES * WORDS];
        for lane in 0..LANES {
            let bytes = &rows[lane][block];
            for word in 0..WORDS {
                words[lane * WORDS + word] =
                    u32::from_be_bytes([bytes[4 * word], bytes[4 * word + 1], bytes[4 * word + 2], bytes[4 * word + 3]]);
            }
        }
        let words = transposed(words);
        for lane in 0..LANES {
            let mut w0 = words[lane];
            let mut w1 = words[LANES + lane];
            let mut w2 = words[2 * LANES + lane];
            let mut w3 = words[3 * LANES + lane];
            let mut w4 = words[4 * LANES + lane];
            let mut w5 = words[5 * LANES + lane];
            let mut w6 = words[6 * LANES + lane];
            let mut w7 = words[7 * LANES + lane];
            let mut w8 = words[8 * LANES + lane];
            let mut w9 = words[9 * LANES + lane];
            let mut w10 = words[10 * LANES + lane];
            let mut w11 = words[11 * LANES + lane];
            let mut w12 = words[12 * LANES + lane];
            let mut w13 = words[13 * LANES + lane];
            let mut w14 = words[14 * LANES + lane];
            let mut w15 = words[15 * LANES + lane];
            let mut a = state[0][lane];
            let mut b = state[1][lane];
            let mut c = state[2][lane];
            let mut d = state[3][lane];
            let mut e = state[4][lane];

            macro_rules! choose {
                ($x:ident $y:ident $z:ident) => {
                    $z ^ ($x & ($y ^ $z))
                };
            }
            macro_rules! parity {
                ($x:ident $y:ident $z:ident) => {
                    $x ^ $y ^ $z
                };
            }
            macro_rules! majority {
                ($x:ident $y:ident $z:ident) => {
                    ($x & $y) | ($z & ($x | $y))
                };
            }
            macro_rules! round {
                ($f:ident, $k:ident, $a:ident $b:ident $c:ident $d:ident $e:ident, $w:expr) => {
                    $e = $w.wrapping_add($k).wrapping_add($e).wrapping_add($f!($b $c $d)).wrapping_add($a.rotate_left(5));
                    $b = $b.rotate_left(30);
                };
            }
            // Five rounds, after which the five names stand where they stood.
            macro_rules! five {
                ($f:ident, $k:ident, $v:expr, $w:expr, $x:expr, $y:expr, $z:expr) => {
                    round!($f, $k, a b c d e, $v);
                    round!($f, $k, e a b c d, $w);
                    round!($f, $k, d e a b c, $x);
                    round!($f, $k, c d e a b, $y);
                    round!($f, $k, b c d e a, $z);
                };
            }
            // The word 16 rounds later takes the place of the one that is no longer needed.
            macro_rules! next {
                ($w:ident $w2:ident $w8:ident $w13:ident) => {{
                    $w = ($w13 ^ $w8 ^ $w2 ^ $w).rotate_left(1);
                    $w
                }};
            }
            macro_rules! m {
                (0) => { next!(w0 w2 w8 w13) };
                (1) => { next!(w1 w3 w9 w14) };
                (2) => { next!(w2 w4 w10 w15) };
                (3) => { next!(w3 w5 w11 w0) };
                (4) => { next!(w4 w6 w12 w1) };
                (5) => { next!(w5 w7 w13 w2) };
                (6) => { next!(w6 w8 w14 w3) };
                (7) => { next!(w7 w9 w15 w4) };
                (8) => { next!(w8 w10 w0 w5) };
                (9) => { next!(w9 w11 w1 w6) };
                (10) => { next!(w10 w12 w2 w7) };
                (11) => { next!(w11 w13 w3 w8) };
                (12) => { next!(w12 w14 w4 w9) };
                (13) => { next!(w13 w15 w5 w10) };
                (14) => { next!(w14 w0 w6 w11) };
                (15) => { next!(w15 w1 w7 w12) };
            }
            five!(choose, k0, w0, w1, w2, w3, w4);
            five!(choose, k0, w5, w6, w7, w8, w9);
            five!(choose, k0, w10, w11, w12, w13, w14);
            five!(choose, k0, w15, m!(0), m!(1), m!(2), m!(3));
            five!(parity, k1, m!(4), m!(5), m!(6), m!(7), m!(8));
            five!(parity, k1, m!(9), m!(10), m!(11), m!(12), m!(13));
            five!(parity, k1, m!(14), m!(15), m!(0), m!(1), m!(2));
            five!(parity, k1, m!(3), m!(4), m!(5), m!(6), m!(7));
            five!(majority, k2, m!(8), m!(9), m!(10), m!(11), m!(12));
            five!(majority, k2, m!(13), m!(14), m!(15), m!(0), m!(1));
            five!(majority, k2, m!(2), m!(3), m!(4), m!(5), m!(6));
            five!(majority, k2, m!(7), m!(8), m!(9), m!(10), m!(11));
            five!(parity, k3, m!(12), m!(13), m!(14), m!(15), m!(0));
            five!(parity, k3, m!(1), m!(2), m!(3), m!(4), m!(5));
            five!(parity, k3, m!(6), m!(7), m!(8), m!(9), m!(10));
            five!(parity, k3, m!(11), m!(12), m!(13), m!(14), m!(15));
            state[0][lane] = state[0][lane].wrapping_add(a);
            state[1][lane] = state[1][lane].wrapping_add(b);
            state[2][lane] = state[2][lane].wrapping_add(c);
            state[3][lane] = state[3][lane].wrapping_add(d);
            state[4][lane] = state[4][lane].wrapping_add(e);
        }
    }
}
