//! A block as nodes handle it: enciphered, of one of two fixed sizes, and verifiable by its key.

use bytes::Bytes;
use ed25519_dalek::{Signature, VerifyingKey};
use hexad_core::Payload;

use super::{NodeKey, sha256};

/// Bytes of a CHK block's header.
pub const CHK_HEADER_BYTES: usize = 36;
/// Bytes of a CHK block.
pub const CHK_DATA_BYTES: usize = 32 << 10;
/// Bytes of an SSK block's header: public key, enciphered header, signature.
pub const SSK_HEADER_BYTES: usize = 32 + 36 + 64;
/// Bytes of an SSK block.
pub const SSK_DATA_BYTES: usize = 1024;

/// What is stored and sent under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is called.
    pub key: NodeKey,
    /// What belongs to it and is no content.
    pub header: Bytes,
    /// The enciphered content; the lab's stand-in where worlds are too large for bytes.
    pub data: Payload,
}

impl Block {
    /// How long header and data have to be for a key of this kind.
    #[must_use]
    pub const fn lengths(key: &NodeKey) -> (usize, usize) {
        match key {
            NodeKey::Chk(_) => (CHK_HEADER_BYTES, CHK_DATA_BYTES),
            NodeKey::Ssk { .. } => (SSK_HEADER_BYTES, SSK_DATA_BYTES),
        }
    }

    /// Whether it is what its key says. Nobody needs to read it for that.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        let data = match &self.data {
            Payload::Bytes(data) => data,
            // Never off a wire: codecs make bytes. The lab says what a token is good for.
            Payload::Token(token) => return token.honest && token.content == self.key.number(),
        };
        let (header_bytes, data_bytes) = Self::lengths(&self.key);
        if self.header.len() != header_bytes || data.len() != data_bytes {
            return false;
        }
        match &self.key {
            NodeKey::Chk(routing) => self.header.starts_with(&[0, 1]) && sha256(&[&self.header, data]) == *routing,
            NodeKey::Ssk { ehd, owner } => {
                let (public, rest) = self.header.split_at(32);
                let (sealed, signature) = rest.split_at(36);
                if sha256(&[public]) != *owner {
                    return false;
                }
                let Some(public) = public.first_chunk::<32>().and_then(|bytes| VerifyingKey::from_bytes(bytes).ok()) else { return false };
                let Ok(signature) = Signature::from_slice(signature) else { return false };
                public.verify_strict(&signed(ehd, sealed, data), &signature).is_ok()
            }
        }
    }
}

/// What the owner of a subspace signs.
pub(super) fn signed(ehd: &[u8; 32], sealed: &[u8], data: &[u8]) -> [u8; 32] {
    sha256(&[b"hexad ssk 4", ehd, sealed, &sha256(&[data])])
}
