//! Bytes ↔ messages.

mod codec;
mod fields;
mod inquiry;
mod message;

pub use codec::{Codec, read, write};
pub use fields::Fields;
pub use inquiry::{Finding, Inquire, Inquiry, LENGTHS_MAX, Untold};
pub use message::{
    Announce, Bid, CELL_BYTES, Decline, Found, Hello, Message, NEIGHBOURS_MAX, Reason, Reveal, SHARES_MAX, Settle, Swap, Walking,
};
