//! Counter-based randomness: a stream for every (seed, purpose, node, event), so that no draw depends on another.

use hexad_core::Dice;

/// What a stream is for. Worlds that share a seed share topology, churn, workload and network, whatever protocol runs in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Where nodes are and how they are linked.
    Topology = 1,
    /// When nodes come and go.
    Churn = 2,
    /// What users do.
    Workload = 3,
    /// What nodes roll.
    Protocol = 4,
    /// Loss, duplicates, delays.
    Network = 5,
}

/// The stream of one event of one node.
#[must_use]
pub fn dice(seed: u64, purpose: Purpose, node: u32, event: u64) -> Dice {
    Dice::counter(seed, mix(event ^ mix(((purpose as u64) << 32) | u64::from(node))))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
