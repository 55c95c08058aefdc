//! Worlds worth running. Every network's scenarios are named here and nowhere else.

pub mod bittorrent;
