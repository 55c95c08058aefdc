//! Worlds worth running. Every network's scenarios are named here and nowhere else.

pub mod bittorrent;
pub mod chord;
pub mod compare;
pub mod freenet;
pub mod gnutella;
pub mod kazaa;
pub mod napster;
pub mod toy;

use crate::Scenario;

/// All scenarios.
pub static SCENARIOS: &[&Scenario] = &[
    &bittorrent::SWARM,
    &bittorrent::CAPACITY,
    &bittorrent::CROWD,
    &bittorrent::FREE_RIDERS,
    &bittorrent::LAST_COPY,
    &bittorrent::INTERESTS,
    &bittorrent::CLASSES,
    &bittorrent::UTP,
    &chord::STEADY,
    &chord::HOPS,
    &chord::TABLES,
    &chord::FAILURES,
    &chord::STRETCH,
    &chord::LOAD,
    &chord::SURVIVAL,
    &chord::CHURN,
    &chord::HALFLIFE,
    &chord::PARTITION,
    &chord::JOIN,
    &chord::GAP,
    &chord::RULES,
    &chord::INDEX,
    &chord::ATTACKERS,
    &kazaa::SEARCH,
    &kazaa::LOSS,
    &kazaa::SOURCES,
    &kazaa::ELECTION,
    &gnutella::FLOOD,
    &gnutella::ANSWERS,
    &gnutella::DIAMETER,
    &gnutella::LOSS,
    &gnutella::SUCCESS,
    &gnutella::STRATEGIES,
    &freenet::LEARNING,
    &freenet::TARGETS,
    &freenet::GROWTH,
    &freenet::MEMORY,
    &freenet::LINKS,
    &freenet::SWAPPING,
    &napster::SCALE,
    &napster::FAILURE,
    &compare::NAPSTER,
    &compare::GNUTELLA,
    &compare::KAZAA,
    &compare::BITTORRENT,
    &compare::FREENET,
    &compare::CHORD,
    &toy::HOPS,
];

/// The scenarios that test claims of one network (`chord`, `bittorrent`), or all of them for `all`.
#[must_use]
pub fn claims_of(network: &str) -> Vec<&'static Scenario> {
    let asked = |scenario: &&&Scenario| network == "all" || scenario.name.split('/').next() == Some(network) || scenario.name == network;
    SCENARIOS.iter().filter(|scenario| !scenario.claims.is_empty()).filter(asked).copied().collect()
}
