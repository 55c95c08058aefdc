//! Conversations with a node.

mod flooding;
mod handshakes;
mod stage;
mod transfers;
