//! Hexad's own name for one file, and how it is computed from a stream.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::Sha256Digest;

/// Names one file by its size and BEP 52 *pieces root* (SHA-256 Merkle root over 16 KiB leaves).
///
/// The size belongs to it because BEP 52 does not separate the domains of leaves and inner nodes. An empty file has a root of zeros.
/// Written as `<64 hex digits>-<size>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId {
    /// Length of the file in bytes.
    pub size: u64,
    /// Root of the Merkle tree; zeros for an empty file.
    pub root: Sha256Digest,
}

/// Why a text is not a [`ContentId`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ContentIdError {
    /// The root is not 64 hex digits followed by a dash.
    #[error("expected 64 hex digits and a dash, came {0:?}")]
    Root(String),
    /// The size is not a decimal number below 2^64, written without sign or leading zeros.
    #[error("expected a size in bytes, came {0:?}")]
    Size(String),
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.root, self.size)
    }
}

impl FromStr for ContentId {
    type Err = ContentIdError;

    fn from_str(text: &str) -> Result<Self, ContentIdError> {
        let shown = |part: &str| part.chars().take(80).collect::<String>();
        let (root, size) = text.split_once('-').ok_or_else(|| ContentIdError::Root(shown(text)))?;
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(root.as_bytes()).ok();
        let root = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| ContentIdError::Root(shown(root)))?;
        // One content has one text, so that texts can be compared.
        let plain = size.bytes().all(|digit| digit.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        let number = size.parse().ok().filter(|_| plain).ok_or_else(|| ContentIdError::Size(shown(size)))?;
        Ok(Self { size: number, root: Sha256Digest(root) })
    }
}

/// Hashes a stream into a [`ContentId`]. Keeps one hash per level of the tree, so memory grows with the logarithm of the size.
#[derive(Clone)]
pub struct PiecesRootHasher {
    leaf: Sha256,
    leaf_bytes: usize,
    size: u64,
    /// Roots of whole subtrees with their heights, which fall from left to right.
    subtrees: Vec<(u32, [u8; 32])>,
}

impl fmt::Debug for PiecesRootHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PiecesRootHasher").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Default for PiecesRootHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl PiecesRootHasher {
    /// Bytes under one leaf (BEP 52).
    pub const LEAF_BYTES: usize = 16 << 10;

    /// An empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self { leaf: Sha256::new(), leaf_bytes: 0, size: 0, subtrees: Vec::new() }
    }

    /// Appends bytes to the stream.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (here, rest) = bytes.split_at(bytes.len().min(Self::LEAF_BYTES - self.leaf_bytes));
            self.leaf.update(here);
            self.leaf_bytes += here.len();
            if self.leaf_bytes == Self::LEAF_BYTES {
                self.close_leaf();
            }
            bytes = rest;
        }
    }

    /// The name of what has been appended.
    #[must_use]
    pub fn finish(mut self) -> ContentId {
        if self.leaf_bytes > 0 {
            self.close_leaf();
        }
        let mut zeros = [0; 32];
        let mut zeros_height = 0;
        let Some((mut height, mut root)) = self.subtrees.pop() else {
            return ContentId { size: 0, root: Sha256Digest(zeros) };
        };
        // What is missing on the right up to the next power of two counts as leaves of zeros.
        while let Some(&(left_height, left)) = self.subtrees.last() {
            if left_height == height {
                self.subtrees.pop();
                root = parent(&left, &root);
            } else {
                while zeros_height < height {
                    zeros = parent(&zeros, &zeros);
                    zeros_height += 1;
                }
                root = parent(&root, &zeros);
            }
            height += 1;
        }
        ContentId { size: self.size, root: Sha256Digest(root) }
    }

    fn close_leaf(&mut self) {
        let mut root: [u8; 32] = self.leaf.finalize_reset().into();
        self.leaf_bytes = 0;
        let mut height = 0;
        while let Some(&(left_height, left)) = self.subtrees.last() {
            if left_height != height {
                break;
            }
            self.subtrees.pop();
            root = parent(&left, &root);
            height += 1;
        }
        self.subtrees.push((height, root));
    }
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}
