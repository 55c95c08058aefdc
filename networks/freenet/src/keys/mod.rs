//! Keys and blocks: what content is called, and how it is enciphered so that every node can verify a block and none can read it.
//!
//! A *node key* is all that the network sees: a place to route to and a test that a block passes or fails. A *client key* adds what reads the
//! block; it travels in URIs only.

mod block;
mod chk;
mod ssk;
mod text;
mod twister;
mod uri;
mod usk;

use std::fmt;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub use block::{Block, CHK_DATA_BYTES, CHK_HEADER_BYTES, SSK_DATA_BYTES, SSK_HEADER_BYTES};
pub use chk::{CHK_ALGORITHM, ClientChk};
pub use ssk::{InsertSsk, KeyPair, RequestSsk, SSK_ALGORITHM, ksk};
pub(crate) use text::unescape;
pub use text::{base64, of_base64};
pub use uri::{Kind, Uri, UriError};
pub use usk::{DateHint, date_hints, edition_name, hint_of, hint_text};

/// A place on the circle that keys and nodes share: the whole circle is 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(pub u64);

impl Location {
    /// How far it is to `other` by the shorter way.
    #[must_use]
    pub const fn distance(self, other: Self) -> u64 {
        let there = other.0.wrapping_sub(self.0);
        let back = self.0.wrapping_sub(other.0);
        if there < back { there } else { back }
    }

    /// The same as a share of the circle, as Hyphanet writes it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn unit(self) -> f64 {
        (self.0 >> 1) as f64 / (u64::MAX >> 1) as f64
    }
}

/// What the network calls a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKey {
    /// The hash of the block itself.
    Chk([u8; 32]),
    /// A name in a signed subspace.
    Ssk {
        /// The name, hashed under the subspace's cipher key.
        ehd: [u8; 32],
        /// The hash of the subspace's public key.
        owner: [u8; 32],
    },
}

impl NodeKey {
    /// The routing key: what the location comes from.
    #[must_use]
    pub fn routing(&self) -> [u8; 32] {
        match self {
            Self::Chk(routing) => *routing,
            Self::Ssk { ehd, owner } => sha256(&[ehd, owner]),
        }
    }

    /// Where on the circle it lies: a hash of the routing key and the type, so that nobody can choose a key for its place.
    #[must_use]
    pub fn location(&self) -> Location {
        let kind = match self {
            Self::Chk(_) => [1, CHK_ALGORITHM],
            Self::Ssk { .. } => [2, SSK_ALGORITHM],
        };
        let hash = sha256(&[&self.routing(), &kind]);
        let mut low = [0; 8];
        low.copy_from_slice(&hash[..8]);
        // Hyphanet reads a signed number and takes it without its sign: 63 bits, here in the upper 63 of 64.
        Location(i64::from_le_bytes(low).unsigned_abs() << 1)
    }

    /// A number for it, for what needs no more than that.
    #[must_use]
    pub fn number(&self) -> u64 {
        let routing = self.routing();
        let mut low = [0; 8];
        low.copy_from_slice(&routing[..8]);
        u64::from_le_bytes(low)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chk(routing) => write!(f, "CHK {}", base64(routing)),
            Self::Ssk { .. } => write!(f, "SSK {}", base64(&self.routing())),
        }
    }
}

/// Why a block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// It is not what its key says.
    #[error("the block is not what its key says")]
    Forged,
    /// The cipher key of the URI is not the one it was made with.
    #[error("the cipher key does not fit the block")]
    WrongCipherKey,
    /// It says of itself what cannot be.
    #[error("the block says of itself what cannot be")]
    Nonsense,
    /// A codec that this version does not know.
    #[error("codec {0} is not known here")]
    UnknownCodec(i16),
}

/// SHA-256 over several parts.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

/// HMAC-SHA-256 (RFC 2104) with a key of 32 bytes.
#[must_use]
pub(crate) fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    block[..32].copy_from_slice(key);
    let inner: [u8; 64] = block.map(|byte| byte ^ 0x36);
    let outer: [u8; 64] = block.map(|byte| byte ^ 0x5c);
    let within = parts.iter().fold(Sha256::new().chain_update(inner), |hash, part| hash.chain_update(part)).finalize();
    Sha256::new().chain_update(outer).chain_update(within).finalize().into()
}

/// Enciphers or deciphers in place with AES-256 in counter mode.
pub(crate) struct Stream(ctr::Ctr128BE<aes::Aes256>);

impl Stream {
    pub(crate) fn new(key: &[u8; 32], iv: &[u8; 16]) -> Self {
        use aes::cipher::KeyIvInit as _;
        Self(ctr::Ctr128BE::new(key.into(), iv.into()))
    }

    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        use aes::cipher::StreamCipher as _;
        self.0.apply_keystream(bytes);
    }
}

/// Pads `data` to `length` with bytes that follow from it.
pub(crate) fn pad(data: &[u8], length: usize) -> Vec<u8> {
    let mut padded = Vec::with_capacity(length);
    padded.extend_from_slice(data);
    if data.len() < length {
        padded.resize(length, 0);
        twister::Twister::of_digest(&sha256(&[data])).fill(&mut padded[data.len()..]);
    }
    padded
}

/// A last, shorter block of a file as Reed–Solomon sees it.
pub(crate) fn padded(data: &[u8]) -> Vec<u8> {
    pad(data, CHK_DATA_BYTES)
}
