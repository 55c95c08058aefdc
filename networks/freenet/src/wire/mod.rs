//! Bytes ↔ messages.

mod codec;
mod fields;
mod message;

pub use codec::{Codec, read, write};
pub use fields::Fields;
pub use message::{Announce, CELL_BYTES, Found, Hello, Message, Reason, Reveal, SHARES_MAX, Settle, Walking};
