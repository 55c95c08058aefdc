//! The vocabulary every network is written in.
//!
//! A network is a pure state machine ([`Node`]) that receives an [`Input`] and pushes [`Output`]s. It owns no socket, clock, thread or
//! randomness: those come in through [`Context`]. Two hosts run it: the driver (real sockets) and the lab (virtual time).

mod address;
mod ask;
mod bounded;
mod codec;
mod dice;
mod ids;
mod index;
mod network;
mod node;
mod operation;
mod others;
mod payload;
mod shares;
mod time;
pub mod transcript;

pub use address::{Address, Endpoint, Name, is_local_name};
pub use ask::{Answer, Ask, AskFailure, Bucket, CpuJob, CpuResult, HttpMethod, HttpRequest, HttpResponse};
pub use bounded::{BoundedMap, BoundedQueue, Full, least_sixteenth, leavers};
pub use codec::{Codec, Cue, Malformed, Role};
pub use dice::Dice;
pub use ids::{ConnId, Door, LeaseId, OpId, ShareId, Ticket};
pub use index::{IndexDeed, IndexFile, IndexHit, IndexOwner, IndexQuery};
pub use network::{Abilities, Network};
pub use node::{
    Bind, Context, Dial, Inbound, Input, Level, Link, Message, Node, Note, Outbound, Outbox, Output, Rooms, Transport, Verdict, Via, Why,
};
pub use operation::{Description, Failure, Hit, Operation, Progress, Query, Source, What};
pub use others::Others;
pub use payload::{Payload, Token};
pub use shares::{Share, Shares};
pub use time::Time;

/// A map whose order is the same on every run.
pub type Map<K, V> = std::collections::BTreeMap<K, V>;
/// A set whose order is the same on every run.
pub type Set<T> = std::collections::BTreeSet<T>;
/// A length of time; the standard library's type, which no fence forbids.
pub type Span = std::time::Duration;
