//! FCP 2.0, by which programs written for Freenet talk to a node: bytes ↔ messages, one client's session, and what outlives it, all without I/O.

mod codec;
mod codes;
mod queue;
mod session;

pub use codec::{Codec, Message, write};
pub use codes::{GetFailed, ProtocolError, PutFailed};
pub use queue::{Queue, Queued};
pub use session::{Effect, Session};
