//! Chord: rings at rest and under stress, and the claims that were made about them.

mod oracle;
mod routing;

pub use routing::{FAILURES, HOPS, STEADY, STRETCH, TABLES};
