//! Bytes ↔ messages: what clients and servers say to each other, and what programs say to each other.

mod codec;
mod fields;
mod letter;
mod message;
pub mod peer;
mod search;

pub use codec::{DATA_BYTES_MAX, NapsterCodec, manner};
pub use fields::{Hertz, Ip, Line, Quoted, Text, Word};
pub use hexad_content::Shape;
pub use letter::{Card, Letter};
pub use message::{FolderFile, HEAD_BYTES, ToClient, ToServer};
pub use peer::{ListEntry, Peer};
pub use search::{Clause, Compare, Measure, Search, kind_of, kind_word};

use hexad_core::Payload;

/// Anything that goes over a connection of this network.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// From a client to a server.
    ToServer(ToServer),
    /// From a server to a client.
    ToClient(ToClient),
    /// Between two programs, on a data connection.
    Peer(Peer),
}

impl From<ToServer> for Message {
    fn from(message: ToServer) -> Self {
        Self::ToServer(message)
    }
}

impl From<ToClient> for Message {
    fn from(message: ToClient) -> Self {
        Self::ToClient(message)
    }
}

impl From<Peer> for Message {
    fn from(message: Peer) -> Self {
        Self::Peer(message)
    }
}

impl hexad_core::Message for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::ToServer(message) => message.kind(),
            Self::ToClient(message) => message.kind(),
            Self::Peer(message) => message.kind(),
        }
    }

    fn wire_bytes(&self) -> u64 {
        match self {
            Self::ToServer(message) => message.wire_bytes(),
            Self::ToClient(message) => message.wire_bytes(),
            Self::Peer(message) => message.wire_bytes(),
        }
    }

    fn with_body(self, body: Payload) -> Self {
        match self {
            Self::Peer(message) => Self::Peer(message.with_body(body)),
            other => other,
        }
    }
}
