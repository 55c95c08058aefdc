//! What must be true of the bytes that BitTorrent speaks, seen from outside.

mod bencode;
mod connections;
mod extended;
mod fast;
mod golden;
mod http_tracker;
mod krpc;
mod lsd;
mod metainfo;
mod mse;
mod reference_mse;
mod udp_tracker;
mod v2;
mod vectors;
