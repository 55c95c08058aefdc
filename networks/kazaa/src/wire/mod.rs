//! Bytes ↔ messages.

mod codec;
pub mod fasttrack;
mod fields;
mod message;
mod record;

pub use codec::{Codec, read_datagram, write};
pub use fields::{Fields, number_bytes, put_number, sized_bytes};
pub use message::{
    Block, Body, Card, Entry, FLOOD_HOPS_MAX, Flood, Group, HEAD_BYTES, LIST_MAX, Looked, Message, Purpose, Reason, SHORTS_MAX,
    SOURCES_MAX, Sourced, Status, Tree, WORD_BYTES_MAX, WORDS_MAX,
};
pub use record::{
    BATCH_MAX, Batch, DIGESTS_MAX, Media, NAME_BYTES_MAX, Record, TAG_BYTES_MAX, TAGS_MAX, digest_bytes, merkle_root, proves, read_digest,
    write_digest,
};

/// The version that this crate speaks, in every `Hello`.
pub const VERSION: u8 = 1;
/// No frame is longer, its body included.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// What is longer does not fit into one packet on every path, and goes over connections only.
pub const DATAGRAM_BYTES_MAX: u64 = 1100;
