//! Several files, each proven by a tree of its own: BitTorrent v2's piece space (BEP 52), where every file begins with a piece.

use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use crate::{Layout, Sha1Digest, Sha256Digest, TreeError, TreeProof};

/// One layer of hashes for each file that is not empty. Parts are of equal length, counted over the whole layout; the last one of each file may be
/// short, and what padding follows it belongs to no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForestProof {
    part_bytes: u64,
    total_bytes: u64,
    parts: usize,
    /// The number of each tree's first part, ascending.
    firsts: Arc<[usize]>,
    trees: Arc<[TreeProof]>,
    /// SHA-1 of each part with the zeros that follow it, where the same torrent is one of version 1 as well (a hybrid).
    sha1: Option<Arc<[Sha1Digest]>>,
}

/// Why trees do not prove a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ForestError {
    /// A file does not begin with a part.
    #[error("file {file} does not begin at a multiple of {part_bytes} bytes")]
    Unaligned {
        /// Its index in the layout.
        file: usize,
        /// Length of a part.
        part_bytes: u64,
    },
    /// There is not one tree, of the right length and with the right parts, for each file that is not empty.
    #[error("the tree of file {file} is missing or another file's")]
    Tree {
        /// Its index in the layout.
        file: usize,
    },
    /// More trees than files.
    #[error("expected {expected} trees, came {found}")]
    TooMany {
        /// As many as there are files with bytes.
        expected: usize,
        /// As many as came.
        found: usize,
    },
    /// The padding does not end where the next file begins, or there are not as many SHA-1 digests as parts.
    #[error("expected {expected} parts, came {found}")]
    Parts {
        /// As many as the layout has.
        expected: u64,
        /// As many as there are hashes for.
        found: usize,
    },
}

impl ForestProof {
    /// The trees of the files of `layout` that are neither empty nor padding, in their order; `sha1` for a hybrid.
    ///
    /// # Errors
    /// When they do not prove that layout.
    pub fn new(layout: &Layout, part_bytes: u64, trees: Arc<[TreeProof]>, sha1: Option<Arc<[Sha1Digest]>>) -> Result<Self, ForestError> {
        let mut firsts = Vec::with_capacity(trees.len());
        let mut parts = 0;
        for (file, _) in layout.files().iter().enumerate().filter(|(_, file)| !file.padding && file.length > 0) {
            let range = layout.file_range(file);
            if part_bytes == 0 || !range.start.is_multiple_of(part_bytes) {
                return Err(ForestError::Unaligned { file, part_bytes });
            }
            let tree = trees.get(firsts.len()).filter(|tree| {
                let alike = tree.content().size == range.end - range.start && tree.part_bytes() == part_bytes;
                alike && range.start / part_bytes == parts as u64
            });
            let tree = tree.ok_or(ForestError::Tree { file })?;
            firsts.push(parts);
            parts += tree.hashes().len();
        }
        if firsts.len() != trees.len() {
            return Err(ForestError::TooMany { expected: firsts.len(), found: trees.len() });
        }
        let total_bytes = layout.total_bytes();
        let expected = total_bytes.div_ceil(part_bytes.max(1));
        if expected != parts as u64 {
            return Err(ForestError::Parts { expected, found: parts });
        }
        if let Some(digests) = sha1.as_ref().filter(|digests| digests.len() != parts) {
            return Err(ForestError::Parts { expected, found: digests.len() });
        }
        Ok(Self { part_bytes, total_bytes, parts, firsts: firsts.into(), trees, sha1 })
    }

    /// The trees of all files of `layout` that have bytes, from the hashes of their parts end to end, where whoever asks has hashed the files.
    ///
    /// # Errors
    /// When there is not one hash for each part.
    pub fn plant(layout: &Layout, part_bytes: u64, hashes: &[Sha256Digest]) -> Result<Vec<TreeProof>, TreeError> {
        let mut rest = hashes;
        let mut trees = Vec::new();
        for file in layout.files().iter().filter(|file| !file.padding && file.length > 0) {
            let count = usize::try_from(file.length.div_ceil(part_bytes.max(1))).unwrap_or(usize::MAX);
            let (own, after) = rest.split_at(count.min(rest.len()));
            trees.push(TreeProof::of_layer(file.length, part_bytes, own)?);
            rest = after;
        }
        match rest {
            [] => Ok(trees),
            _ => Err(TreeError::Count { expected: (hashes.len() - rest.len()) as u64, found: hashes.len() }),
        }
    }

    /// Length of every part but the last of each file.
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        self.part_bytes.max(1)
    }

    /// All bytes of the layout, padding included.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// How many parts there are.
    #[must_use]
    pub fn part_count(&self) -> usize {
        self.parts
    }

    /// The trees, in the order of the files that they prove.
    #[must_use]
    pub fn trees(&self) -> &Arc<[TreeProof]> {
        &self.trees
    }

    /// SHA-1 of each part, for a hybrid.
    #[must_use]
    pub fn sha1(&self) -> Option<&Arc<[Sha1Digest]>> {
        self.sha1.as_ref()
    }

    /// The tree that part `index` belongs to, and its number in there.
    #[must_use]
    pub fn tree_of(&self, index: usize) -> Option<(&TreeProof, usize)> {
        let place = self.firsts.partition_point(|&first| first <= index).checked_sub(1)?;
        let (tree, number) = (self.trees.get(place)?, index - self.firsts[place]);
        (number < tree.hashes().len()).then_some((tree, number))
    }

    /// The bytes of a file that part `index` proves; empty beyond the last part.
    #[must_use]
    pub fn part_range(&self, index: usize) -> Range<u64> {
        let start = (index as u64).saturating_mul(self.part_bytes).min(self.total_bytes);
        let Some((tree, number)) = self.tree_of(index) else { return self.total_bytes..self.total_bytes };
        start..start + (tree.content().size - number as u64 * self.part_bytes).min(self.part_bytes)
    }

    /// How many zeros follow part `index` in what version 1 hashes.
    #[must_use]
    pub fn zeros_after(&self, index: usize) -> u64 {
        let range = self.part_range(index);
        let grid_end = (index as u64 + 1).saturating_mul(self.part_bytes).min(self.total_bytes);
        grid_end.saturating_sub(range.end)
    }
}
