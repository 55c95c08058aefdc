//! Gnutella: what flooding costs, how far it reaches, and what saves messages.

mod flooding;
mod overlay;
mod searching;
mod structure;

pub use flooding::{ANSWERS, FLOOD};
pub use searching::{STRATEGIES, SUCCESS};
pub use structure::{DIAMETER, LOSS};
