//! Tiger trees: the Merkle trees of Gnutella (`urn:tree:tiger`), and one layer of such a tree as a proof of a file's parts. THEX 2003, *tree hash*.
//!
//! Leaves are of 1024 bytes and hashed behind a byte 0, inner nodes behind a byte 1; a node without a sibling goes up as it is. So the tree over an
//! aligned part of a power of two leaves is the node of the whole tree above it.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use tiger::{Digest as _, Tiger};

/// Hashes a stream into the root of its tree. Keeps one hash per level, so memory grows with the logarithm of the size.
#[derive(Clone)]
pub struct TigerHasher {
    leaf: Tiger,
    leaf_bytes: usize,
    any: bool,
    /// Roots of whole subtrees with their heights, which fall from left to right.
    subtrees: Vec<(u32, [u8; 24])>,
}

impl fmt::Debug for TigerHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TigerHasher").finish_non_exhaustive()
    }
}

impl Default for TigerHasher {
    fn default() -> Self {
        Self::new()
    }
}

fn leaf() -> Tiger {
    Tiger::new_with_prefix([0])
}

fn parent(left: &[u8; 24], right: &[u8; 24]) -> [u8; 24] {
    Tiger::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Puts one more subtree of height 0 to the right of the others.
fn push(subtrees: &mut Vec<(u32, [u8; 24])>, mut root: [u8; 24]) {
    let mut height = 0;
    while let Some((_, left)) = subtrees.pop_if(|(left_height, _)| *left_height == height) {
        root = parent(&left, &root);
        height += 1;
    }
    subtrees.push((height, root));
}

fn fold(mut subtrees: Vec<(u32, [u8; 24])>) -> Option<[u8; 24]> {
    let (_, mut root) = subtrees.pop()?;
    while let Some((_, left)) = subtrees.pop() {
        root = parent(&left, &root);
    }
    Some(root)
}

impl TigerHasher {
    /// Bytes under one leaf.
    pub const LEAF_BYTES: usize = 1024;

    /// An empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self { leaf: leaf(), leaf_bytes: 0, any: false, subtrees: Vec::new() }
    }

    /// Appends bytes to the stream.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (here, rest) = bytes.split_at(bytes.len().min(Self::LEAF_BYTES - self.leaf_bytes));
            self.leaf.update(here);
            self.leaf_bytes += here.len();
            self.any = true;
            if self.leaf_bytes == Self::LEAF_BYTES {
                self.close_leaf();
            }
            bytes = rest;
        }
    }

    fn close_leaf(&mut self) {
        self.leaf_bytes = 0;
        let root = std::mem::replace(&mut self.leaf, leaf()).finalize().into();
        push(&mut self.subtrees, root);
    }

    /// The root over what has been appended.
    #[must_use]
    pub fn finish(mut self) -> [u8; 24] {
        // An empty stream has one empty leaf.
        if self.leaf_bytes > 0 || !self.any {
            self.close_leaf();
        }
        fold(self.subtrees).unwrap_or_default()
    }
}

/// A layer of a file's Tiger tree: a value of this type always folds to its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TigerProof {
    root: [u8; 24],
    total_bytes: u64,
    part_bytes: u64,
    hashes: Arc<[[u8; 24]]>,
}

/// Why hashes are not a layer of a file's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TigerError {
    /// Layers exist for powers of two from 1 KiB on.
    #[error("expected parts of a power of two of at least 1024 bytes, came {0}")]
    PartBytes(u64),
    /// Not as many as there are nodes.
    #[error("expected the nodes of whole levels, came {0}")]
    Count(usize),
    /// They do not fold to the root.
    #[error("the hashes do not belong to the file")]
    Root,
}

impl TigerProof {
    /// More hashes are not made or taken: 24 MiB of them.
    pub const HASHES_MAX: usize = 1 << 20;
    /// A layer with shorter parts is folded to one with these: the engine's blocks are not shorter than that by much.
    pub const PART_BYTES_MIN: u64 = 64 << 10;

    /// The layer of parts of `part_bytes`, from the hashes alone, where whoever asks has hashed the file: finds its root. An empty file has no
    /// parts.
    ///
    /// # Errors
    /// When there is not one hash for each part.
    pub fn of_layer(total_bytes: u64, part_bytes: u64, hashes: impl Into<Arc<[[u8; 24]]>>) -> Result<Self, TigerError> {
        let hashes = hashes.into();
        if !part_bytes.is_power_of_two() || part_bytes < TigerHasher::LEAF_BYTES as u64 {
            return Err(TigerError::PartBytes(part_bytes));
        }
        if hashes.len() as u64 != total_bytes.div_ceil(part_bytes) || hashes.len() > Self::HASHES_MAX {
            return Err(TigerError::Count(hashes.len()));
        }
        let mut subtrees = Vec::new();
        hashes.iter().for_each(|hash| push(&mut subtrees, *hash));
        let root = fold(subtrees).unwrap_or_else(|| TigerHasher::new().finish());
        Ok(Self { root, total_bytes, part_bytes, hashes })
    }

    /// The layer that a tree of `nodes` ends with, root first and level by level, as THEX serialises it. Short parts are folded to longer ones.
    ///
    /// # Errors
    /// When the nodes are not whole levels of the tree of a file of that size, or do not fold to `root`.
    pub fn of_levels(root: [u8; 24], total_bytes: u64, nodes: &[[u8; 24]]) -> Result<Self, TigerError> {
        let leaves = total_bytes.div_ceil(TigerHasher::LEAF_BYTES as u64).max(1);
        let mut height = leaves.checked_next_power_of_two().ok_or(TigerError::Count(nodes.len()))?.ilog2();
        let mut rest = nodes;
        let lowest = loop {
            let count = usize::try_from(leaves.div_ceil(1 << height)).unwrap_or(usize::MAX);
            let Some((level, below)) = rest.split_at_checked(count) else { return Err(TigerError::Count(nodes.len())) };
            rest = below;
            match (below.is_empty(), height) {
                (true, _) => break level,
                (false, 0) => return Err(TigerError::Count(nodes.len())),
                (false, _) => height -= 1,
            }
        };
        let mut part_bytes = (TigerHasher::LEAF_BYTES as u64) << height;
        let mut hashes = lowest.to_vec();
        while part_bytes < Self::PART_BYTES_MIN && hashes.len() > 1 {
            hashes = above(&hashes);
            part_bytes *= 2;
        }
        if total_bytes == 0 {
            // The only node is the leaf of nothing.
            if hashes != [root] {
                return Err(TigerError::Root);
            }
            hashes.clear();
        }
        let proof = Self::of_layer(total_bytes, part_bytes, hashes)?;
        if proof.root == root { Ok(proof) } else { Err(TigerError::Root) }
    }

    /// All levels from the root down to this layer, as THEX serialises them.
    #[must_use]
    pub fn levels(&self) -> Vec<Vec<[u8; 24]>> {
        let lowest = if self.hashes.is_empty() { vec![self.root] } else { self.hashes.to_vec() };
        let mut levels = vec![lowest];
        while let Some(last) = levels.last().filter(|level| level.len() > 1) {
            levels.push(above(last));
        }
        levels.reverse();
        levels
    }

    /// The root of one part of `bytes`.
    #[must_use]
    pub fn hash_of_part(bytes: &[u8]) -> [u8; 24] {
        let mut hasher = TigerHasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The root of the whole tree.
    #[must_use]
    pub fn root(&self) -> [u8; 24] {
        self.root
    }

    /// Bytes of the file.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Length of every part but the last.
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        self.part_bytes
    }

    /// One hash for each part.
    #[must_use]
    pub fn hashes(&self) -> &Arc<[[u8; 24]]> {
        &self.hashes
    }
}

fn above(level: &[[u8; 24]]) -> Vec<[u8; 24]> {
    let pair = |pair: &[[u8; 24]]| match pair {
        [left, right] => parent(left, right),
        [only, ..] => *only,
        [] => [0; 24],
    };
    level.chunks(2).map(pair).collect()
}
