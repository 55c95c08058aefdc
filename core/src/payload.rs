//! Bulk bytes, real or pretended.

use std::ops::Range;

use bytes::Bytes;

/// Stands for bytes of a share in the lab, so that a swarm of ten thousand moves no terabytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Which content, by a number that the lab gives it: the same for all who have the same content.
    pub content: u64,
    /// Which bytes of it.
    pub range: Range<u64>,
    /// Whether these would be the right bytes; a liar's are not.
    pub honest: bool,
}

/// Bytes in bulk: a block of a file, a stored item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The bytes.
    Bytes(Bytes),
    /// The lab's stand-in.
    Token(Token),
}

impl Payload {
    /// No bytes.
    pub const EMPTY: Self = Self::Bytes(Bytes::new());

    /// How many bytes this is, or stands for.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Token(token) => token.range.end - token.range.start,
        }
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}
