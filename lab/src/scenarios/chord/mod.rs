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
