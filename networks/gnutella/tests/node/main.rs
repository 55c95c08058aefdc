//! Conversations with a node.

mod fields;
mod flooding;
mod handshakes;
mod proxying;
mod quiet;
mod settling;
mod six;
mod stage;
mod transfers;
mod trees;
mod vendor;
mod web_cache;
