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
    pub fn finish(self) -> ContentId {
        let size = self.size;
        ContentId { size, root: Sha256Digest(self.fold(0)) }
    }

    /// The root of what has been appended as one part of a longer file, where all parts are of `part_bytes`, a power of two of at least a leaf:
    /// what is missing up to there counts as leaves of zeros. BEP 52, *piece layers*.
    #[must_use]
    pub fn finish_part(self, part_bytes: u64) -> Sha256Digest {
        Sha256Digest(self.fold(height_of(part_bytes)))
    }

    fn fold(mut self, height_min: u32) -> [u8; 32] {
        if self.leaf_bytes > 0 {
            self.close_leaf();
        }
        fold(self.subtrees, height_min, [0; 32], 0)
    }

    fn close_leaf(&mut self) {
        self.leaf_bytes = 0;
        let root = self.leaf.finalize_reset().into();
        push(&mut self.subtrees, root);
    }
}

/// The root over a layer of subtrees, one for each part of `part_bytes`; a single one is the root itself. Zeros for none.
pub(crate) fn fold_layer(hashes: &[Sha256Digest], part_bytes: u64) -> Sha256Digest {
    if let [only] = hashes {
        return *only;
    }
    let mut subtrees = Vec::new();
    for hash in hashes {
        push(&mut subtrees, hash.0);
    }
    let zeros = (0..height_of(part_bytes)).fold([0; 32], |zeros, _| parent(&zeros, &zeros));
    Sha256Digest(fold(subtrees, 0, zeros, 0))
}

/// How high a tree over `part_bytes` is; 0 for a leaf.
pub(crate) fn height_of(part_bytes: u64) -> u32 {
    (part_bytes / PiecesRootHasher::LEAF_BYTES as u64).max(1).ilog2()
}

/// Puts one more subtree of height 0 to the right of the others, whose heights fall from left to right.
fn push(subtrees: &mut Vec<(u32, [u8; 32])>, mut root: [u8; 32]) {
    let mut height = 0;
    while let Some((_, left)) = subtrees.pop_if(|(left_height, _)| *left_height == height) {
        root = parent(&left, &root);
        height += 1;
    }
    subtrees.push((height, root));
}

/// The root over `subtrees`, at least `height_min` high: what is missing on the right counts as subtrees of zeros, `zeros` at `zeros_height`.
fn fold(mut subtrees: Vec<(u32, [u8; 32])>, height_min: u32, mut zeros: [u8; 32], mut zeros_height: u32) -> [u8; 32] {
    let Some((mut height, mut root)) = subtrees.pop() else { return [0; 32] };
    while !subtrees.is_empty() || height < height_min {
        if let Some((_, left)) = subtrees.pop_if(|(left_height, _)| *left_height == height) {
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
    root
}

pub(crate) fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}
