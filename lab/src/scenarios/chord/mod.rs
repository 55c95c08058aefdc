//! Chord: rings at rest and under stress, and the claims that were made about them.

mod attacks;
mod churn;
mod index;
mod joins;
mod load;
mod oracle;
mod routing;

pub use attacks::ATTACKERS;
pub use churn::{CHURN, HALFLIFE, PARTITION};
pub use index::INDEX;
pub use joins::{GAP, JOIN, RULES};
pub use load::{LOAD, SURVIVAL};
pub use routing::{FAILURES, HOPS, STEADY, STRETCH, TABLES};

/// The pointers of every node of an ideal ring, for a world that is about more than Chord.
pub(super) fn ideal_rings(hosts: u32, settings: &hexad_chord::Settings, lives: impl Fn(u32) -> bool) -> Vec<hexad_chord::Ring<u32>> {
    oracle::Oracle::new(hosts, settings, lives).rings(settings)
}

/// Gives every node its rings.
pub(super) fn settle_rings(lab: &mut oracle::ChordLab, rings: Vec<hexad_chord::Ring<u32>>) {
    oracle::settle(lab, rings);
}
