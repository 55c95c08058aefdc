//! FCP 2.0, by which programs written for Freenet talk to a node: bytes ↔ messages, one client's session, and what outlives it, all without I/O.

mod about;
mod codec;
mod codes;
mod disk;
mod putting;
mod queue;
mod session;
mod subscription;
mod words;

pub use about::{Facts, Setting};
pub use codec::{Codec, Message, write};
pub use codes::{GetFailed, ProtocolError, PutFailed};
pub use disk::{Disk, DiskError, NoDisk};
pub use queue::{Queue, Queued};
pub use session::{Effect, Session, Tunable};
