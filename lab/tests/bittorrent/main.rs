//! BitTorrent in the lab.

mod moves;
mod swarms;
