//! Bytes ↔ messages.

pub mod bencode;
mod message;
pub mod metainfo;

pub use message::{BlockRef, ExtendedHandshake, Handshake, Krpc, LsdAnnounce, Message, MetadataMessage, Pex, PexPeer, TrackerDatagram};
