//! FastTrack's own wire, as far as a supernode needs it for leaves that still speak it: handshake, cipher, frames, messages.
//!
//! Facts from `specs/supernodes.md` §3 (the protocol notes of giFT-FastTrack) and from conversations with giFT-FastTrack 0.8.9, which are in
//! `vectors/fasttrack/`. Numbers are big-endian; packed ones have seven bits a byte, the most significant first.

mod cipher;
mod message;
mod session;

pub use cipher::Keystream;
pub use message::{Found, FromLeaf, Offer, Sought, Tag, Term, ToLeaf};
pub use session::{Fast, Session, looks_native};
