//! Conversations with a node.

mod fields;
mod flooding;
mod handshakes;
mod proxying;
mod stage;
mod transfers;
mod trees;
mod web_cache;
