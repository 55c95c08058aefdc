//! What is claimed of Chord, small enough for every day. `cargo xtask claims chord --size full` runs the figures of the papers.

mod back;
mod claims;
mod digest;
mod quiet;
