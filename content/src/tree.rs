//! One layer of a file's Merkle tree, checked against its root: proves the file in parts of any power of two.

use std::sync::Arc;

use thiserror::Error;

use crate::content_id::{PiecesRootHasher, fold_layer};
use crate::{ContentId, Sha256Digest};

/// A layer that belongs to a [`ContentId`]: a value of this type always folds to its root. BEP 52, *piece layers*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeProof {
    content: ContentId,
    part_bytes: u64,
    hashes: Arc<[Sha256Digest]>,
}

/// Why hashes are not a layer of a content's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TreeError {
    /// Layers exist for powers of two from 16 KiB on.
    #[error("expected parts of a power of two of at least 16384 bytes, came {0}")]
    PartBytes(u64),
    /// Not one hash for each part.
    #[error("expected {expected} hashes, came {found}")]
    Count {
        /// As many as the size asks for.
        expected: u64,
        /// As many as there are.
        found: usize,
    },
    /// They do not fold to the root.
    #[error("the hashes do not belong to the content")]
    Root,
}

impl TreeProof {
    /// More hashes are not made or taken: 64 MiB of them.
    pub const HASHES_MAX: usize = 1 << 21;

    /// The layer of parts of `part_bytes`. Where the file is one part or less, the only hash is the root.
    ///
    /// # Errors
    /// When the hashes are not that layer.
    pub fn new(content: ContentId, part_bytes: u64, hashes: impl Into<Arc<[Sha256Digest]>>) -> Result<Self, TreeError> {
        let hashes = hashes.into();
        let root = Self::root_of(content.size, part_bytes, &hashes)?;
        if root == content.root { Ok(Self { content, part_bytes, hashes }) } else { Err(TreeError::Root) }
    }

    /// The same from the hashes alone, where whoever asks has hashed the file: finds its [`ContentId`].
    ///
    /// # Errors
    /// When there is not one hash for each part.
    pub fn of_layer(size: u64, part_bytes: u64, hashes: impl Into<Arc<[Sha256Digest]>>) -> Result<Self, TreeError> {
        let hashes = hashes.into();
        let root = Self::root_of(size, part_bytes, &hashes)?;
        Ok(Self { content: ContentId { size, root }, part_bytes, hashes })
    }

    fn root_of(size: u64, part_bytes: u64, hashes: &[Sha256Digest]) -> Result<Sha256Digest, TreeError> {
        if !part_bytes.is_power_of_two() || part_bytes < PiecesRootHasher::LEAF_BYTES as u64 {
            return Err(TreeError::PartBytes(part_bytes));
        }
        let expected = size.div_ceil(part_bytes);
        if hashes.len() as u64 != expected || hashes.len() > Self::HASHES_MAX {
            return Err(TreeError::Count { expected, found: hashes.len() });
        }
        Ok(fold_layer(hashes, part_bytes))
    }

    /// A length of parts for a file of `size`: a power of two from 64 KiB to 16 MiB that gives one to two thousand parts where it can.
    #[must_use]
    pub fn part_bytes_for(size: u64) -> u64 {
        (size / 2_000).clamp(64 << 10, 16 << 20).next_power_of_two()
    }

    /// The root of one part of `bytes`: of a part among several when `size`, that of the whole file, is over `part_bytes`.
    #[must_use]
    pub fn hash_of_part(size: u64, part_bytes: u64, bytes: &[u8]) -> Sha256Digest {
        let mut hasher = PiecesRootHasher::new();
        hasher.update(bytes);
        if size > part_bytes { hasher.finish_part(part_bytes) } else { hasher.finish().root }
    }

    /// Whose tree it is.
    #[must_use]
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// Length of every part but the last.
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        self.part_bytes
    }

    /// One hash for each part.
    #[must_use]
    pub fn hashes(&self) -> &Arc<[Sha256Digest]> {
        &self.hashes
    }
}
