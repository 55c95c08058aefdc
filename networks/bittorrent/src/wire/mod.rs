//! Bytes ↔ messages.
//!
//! Connections: [`PeerCodec`] (MSE, handshake, frames, extended messages). Datagrams: [`krpc`], [`udp_tracker`], [`lsd`].
//! Around them: [`bencode`], [`metainfo`], [`http_tracker`] (what the host's HTTP carries), [`compact`] (addresses).

pub mod bencode;
pub mod bloom;
mod codec;
pub mod compact;
pub mod extended;
mod fast;
pub mod frames;
mod hashes;
pub mod http_tracker;
pub mod krpc;
pub mod lsd;
mod message;
pub mod metainfo;
mod mse;
pub mod stored;
pub mod udp_tracker;

use bytes::BytesMut;
use hexad_core::{Door, Malformed};

use crate::doors;

pub use codec::{PeerCodec, reserved};
pub use fast::allowed_fast_set;
pub use message::{
    BlockRef, ExtendedHandshake, Handshake, HashSpan, HolePunch, HolePunchKind, Krpc, KrpcAnswer, KrpcBody, KrpcMore, KrpcQuery,
    LsdAnnounce, Message, MetadataMessage, NodeContact, Pex, PexPeer, Samples, ScrapeCounts, TrackerAnnounce, TrackerDatagram,
    TrackerEvent, Want,
};
pub use mse::{Accept, Secrets, manner};

/// Appends `message` as one datagram. One that does not go by datagram appends nothing.
pub fn encode_datagram(message: &Message, out: &mut BytesMut) {
    match message {
        Message::Krpc(krpc) => krpc::encode(krpc, out),
        Message::Tracker(datagram) => udp_tracker::encode(datagram, out),
        Message::Lsd(announce) => lsd::encode(announce, out),
        _ => {}
    }
}

/// Reads one datagram that came in through `door`.
///
/// # Errors
/// When it is nothing that is spoken there.
pub fn decode_datagram(door: Door, bytes: &[u8]) -> Result<Message, Malformed> {
    match door {
        // BEP 5 packets are dictionaries; what a tracker answers begins with the zeros of a small action number.
        doors::DATAGRAMS if bytes.first() == Some(&b'd') => krpc::decode(bytes).map(Message::from),
        doors::DATAGRAMS => udp_tracker::decode_answer(bytes).map(Message::from),
        doors::TRACKER => udp_tracker::decode_request(bytes).map(Message::from),
        doors::LSD_V4 | doors::LSD_V6 => lsd::decode(bytes).map(Message::from),
        Door(other) => Err(Malformed::at(0, format!("nothing is spoken at door {other}"))),
    }
}
