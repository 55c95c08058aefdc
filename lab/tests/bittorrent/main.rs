//! BitTorrent in the lab.

mod moves;
