//! Hexad's own name for one file.

use crate::Sha256Digest;

/// Names one file by its size and BEP 52 *pieces root* (SHA-256 Merkle root over 16 KiB leaves).
///
/// The size belongs to it because BEP 52 does not separate the domains of leaves and inner nodes. An empty file has a root of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId {
    /// Length of the file in bytes.
    pub size: u64,
    /// Root of the Merkle tree; zeros for an empty file.
    pub root: Sha256Digest,
}

/// Hashes a stream into a [`ContentId`].
pub struct PiecesRootHasher;
