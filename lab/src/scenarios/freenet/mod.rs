//! Freenet: networks that learn by being used, and the claims that were made about them.

mod growth;
mod learning;
mod memory;
mod world;

pub use growth::GROWTH;
pub use learning::{LEARNING, TARGETS};
pub use memory::MEMORY;
