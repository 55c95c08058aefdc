//! Freenet: networks that learn by being used, and the claims that were made about them.

mod growth;
mod learning;
mod links;
mod memory;
mod swapping;
mod world;

pub use growth::GROWTH;
pub use learning::{LEARNING, TARGETS};
pub use links::LINKS;
pub use memory::MEMORY;
pub use swapping::SWAPPING;
