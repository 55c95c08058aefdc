//! Bytes ↔ messages.

mod codec;
mod fields;
mod item;
mod message;

pub use codec::{CONTACTS_MAX, Codec, ITEMS_MAX, NAMES_MAX, read_datagram, write};
pub use fields::Fields;
pub use item::{DIGESTS_MAX, Item, NAME_BYTES_MAX, Record, VALUE_BYTES_MAX, Value, key_of_digest};
pub use message::{
    Block, Body, Body64, Differs, Get, HEAD_BYTES, Inventory, Items, Message, Reason, Route, Routed, SUMS, Step, Tree, Welcome,
};

/// The version that this crate speaks, in every frame.
pub const VERSION: u8 = 1;
/// No frame is longer, its body included.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// What is longer than this goes over a connection: a QUIC datagram has to fit into one packet on any path.
pub const DATAGRAM_BYTES_MAX: u64 = 1100;
