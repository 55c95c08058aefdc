//! Bytes ↔ messages.

mod message;

pub use message::{BlockRef, ExtendedHandshake, Handshake, Krpc, LsdAnnounce, Message, MetadataMessage, Pex, PexPeer, TrackerDatagram};
