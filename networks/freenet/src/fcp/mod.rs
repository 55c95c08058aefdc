//! FCP 2.0, by which programs written for Freenet talk to a node: bytes ↔ messages, and one client's session, both without I/O.

mod codec;
mod codes;
mod session;

pub use codec::{Codec, Message, write};
pub use codes::{GetFailed, ProtocolError, PutFailed};
pub use session::{Effect, Session};
