//! The distributed hash table. BEP 5, 32, 42, 43.

mod flood;
mod id;
mod lookups;
mod state;
mod store;
mod table;
mod tokens;
mod votes;

/// What the DHT wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DhtTimer {}
