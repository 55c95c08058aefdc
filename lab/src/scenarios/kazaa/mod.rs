//! Kazaa: what a search costs when only supernodes hear it, what it misses, who becomes a supernode, and what breaks when some die.

mod election;
mod fetching;
mod loss;
mod search;
mod town;

pub use election::ELECTION;
pub use fetching::SOURCES;
pub use loss::LOSS;
pub use search::SEARCH;
