//! What proves a range of a layout: the grid on which bytes become verified.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::content_id::PiecesRootHasher;
use crate::{Layout, Sha1Digest, Sha256Digest, TreeProof};

/// A set of digests that together prove a layout, part by part. Parts are of equal length, the last one may be short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// BitTorrent v1: equal pieces across file borders, SHA-1 each.
    V1Pieces {
        /// Length of every piece but the last; at least 1.
        piece_bytes: u64,
        /// All bytes of the layout.
        total_bytes: u64,
        /// One digest per piece.
        hashes: Arc<[Sha1Digest]>,
    },
    /// One file, by a layer of the Merkle tree that its [`crate::ContentId`] is the root of.
    Tree(TreeProof),
    /// One file, by a digest of all of it: a single part.
    Whole {
        /// Its length.
        total_bytes: u64,
        /// What all its bytes must hash to.
        digest: WholeDigest,
    },
    /// Nothing proves this file. It is taken as it comes, kept apart, and never given on: whoever fetches it is told so.
    Unproven {
        /// Its length.
        total_bytes: u64,
    },
}

/// Length of the parts of what nothing proves.
const UNPROVEN_PART_BYTES: u64 = 256 << 10;

/// A digest of a whole file that proves it once every byte is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WholeDigest {
    /// As Gnutella's `urn:sha1`.
    Sha1(Sha1Digest),
    /// SHA-256.
    Sha256(Sha256Digest),
}

impl Proof {
    /// Length of every part but the last; at least 1.
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        match self {
            Self::V1Pieces { piece_bytes, .. } => (*piece_bytes).max(1),
            Self::Tree(tree) => tree.part_bytes(),
            Self::Whole { total_bytes, .. } => (*total_bytes).max(1),
            Self::Unproven { .. } => UNPROVEN_PART_BYTES,
        }
    }

    /// All bytes that are proven.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        match self {
            Self::V1Pieces { total_bytes, .. } | Self::Whole { total_bytes, .. } | Self::Unproven { total_bytes } => *total_bytes,
            Self::Tree(tree) => tree.content().size,
        }
    }

    /// How many parts are proven one by one.
    #[must_use]
    pub fn part_count(&self) -> usize {
        match self {
            Self::V1Pieces { hashes, .. } => hashes.len(),
            Self::Tree(tree) => tree.hashes().len(),
            Self::Whole { total_bytes, .. } => usize::from(*total_bytes > 0),
            Self::Unproven { total_bytes } => usize::try_from(total_bytes.div_ceil(UNPROVEN_PART_BYTES)).unwrap_or(usize::MAX),
        }
    }

    /// Whether it proves every byte of `layout`, in as many parts as it says, and was made for that kind of layout.
    #[must_use]
    pub fn fits(&self, layout: &Layout) -> bool {
        let grid = match self {
            Self::V1Pieces { piece_bytes, .. } => *piece_bytes > 0,
            Self::Tree(_) | Self::Whole { .. } | Self::Unproven { .. } => layout.files().len() == 1,
        };
        let parts = self.total_bytes().div_ceil(self.part_bytes());
        grid && self.total_bytes() == layout.total_bytes() && self.part_count() as u64 == parts
    }

    /// The range of the layout that part `index` proves; empty beyond the last part.
    #[must_use]
    pub fn part_range(&self, index: usize) -> Range<u64> {
        let total = self.total_bytes();
        let start = (index as u64).saturating_mul(self.part_bytes()).min(total);
        start..start.saturating_add(self.part_bytes()).min(total)
    }

    /// The part that covers `position`; meaningless beyond the end of the layout.
    #[must_use]
    pub fn part_at(&self, position: u64) -> usize {
        usize::try_from(position / self.part_bytes()).unwrap_or(usize::MAX)
    }

    /// The SHA-1 that part `index` must have, where parts are proven by SHA-1 of their own: many of them can be hashed side by side, see
    /// [`crate::sha1_lanes`]. Whatever the proof, [`Self::check`] does.
    #[must_use]
    pub fn sha1(&self, index: usize) -> Option<Sha1Digest> {
        match self {
            Self::V1Pieces { hashes, .. } => hashes.get(index).copied(),
            Self::Tree(_) | Self::Whole { .. } | Self::Unproven { .. } => None,
        }
    }

    /// Begins to check part `index`; `None` beyond the last part, and where nothing is proven.
    #[must_use]
    pub fn check(&self, index: usize) -> Option<PartCheck> {
        let kind = match self {
            Self::V1Pieces { hashes, .. } => Check::Sha1(Sha1::new(), *hashes.get(index)?),
            Self::Tree(tree) => {
                let expected = *tree.hashes().get(index)?;
                Check::Tree {
                    hasher: PiecesRootHasher::new(),
                    part_bytes: (tree.hashes().len() > 1).then_some(tree.part_bytes()),
                    expected,
                }
            }
            Self::Whole { digest, total_bytes } if index == 0 && *total_bytes > 0 => match digest {
                WholeDigest::Sha1(digest) => Check::Sha1(Sha1::new(), *digest),
                WholeDigest::Sha256(digest) => Check::Sha256(Sha256::new(), *digest),
            },
            Self::Whole { .. } | Self::Unproven { .. } => return None,
        };
        Some(PartCheck(kind))
    }

    /// Whether `bytes` are part `index`.
    #[must_use]
    pub fn proves(&self, index: usize, bytes: &[u8]) -> bool {
        self.check(index).is_some_and(|mut check| {
            check.update(bytes);
            check.finish()
        })
    }

    /// Whether `bytes` may be taken for part `index` when they have just come: they are proven, or nothing can be proven and their number is right.
    /// What is found on a disk later counts by [`Self::proves`] only.
    #[must_use]
    pub fn accepts(&self, index: usize, bytes: &[u8]) -> bool {
        match self {
            Self::Unproven { .. } => {
                let range = self.part_range(index);
                !range.is_empty() && range.end - range.start == bytes.len() as u64
            }
            _ => self.proves(index, bytes),
        }
    }

    /// Whether this proves anything.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        !matches!(self, Self::Unproven { .. })
    }

    /// Bytes that are equal for equal proofs and differ for others: what a journal of verified parts must have been made for.
    #[must_use]
    pub fn identity(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.part_count() * 32);
        bytes.extend_from_slice(&self.part_bytes().to_le_bytes());
        bytes.extend_from_slice(&self.total_bytes().to_le_bytes());
        match self {
            Self::V1Pieces { hashes, .. } => hashes.iter().for_each(|hash| bytes.extend_from_slice(&hash.0)),
            Self::Tree(tree) => tree.hashes().iter().for_each(|hash| bytes.extend_from_slice(&hash.0)),
            Self::Whole { digest: WholeDigest::Sha1(digest), .. } => bytes.extend_from_slice(&digest.0),
            Self::Whole { digest: WholeDigest::Sha256(digest), .. } => bytes.extend_from_slice(&digest.0),
            Self::Unproven { .. } => bytes.extend_from_slice(b"unproven"),
        }
        bytes
    }
}

enum Check {
    Sha1(Sha1, Sha1Digest),
    Sha256(Sha256, Sha256Digest),
    /// `part_bytes` where the part is one of several.
    Tree {
        hasher: PiecesRootHasher,
        part_bytes: Option<u64>,
        expected: Sha256Digest,
    },
}

/// One part on its way to being proven: give it all bytes of the part, in order.
pub struct PartCheck(Check);

impl fmt::Debug for PartCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartCheck").finish_non_exhaustive()
    }
}

impl PartCheck {
    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Check::Sha1(hasher, _) => hasher.update(bytes),
            Check::Sha256(hasher, _) => hasher.update(bytes),
            Check::Tree { hasher, .. } => hasher.update(bytes),
        }
    }

    /// Whether it was the part.
    #[must_use]
    pub fn finish(self) -> bool {
        match self.0 {
            Check::Sha1(hasher, expected) => hasher.finalize()[..] == expected.0,
            Check::Sha256(hasher, expected) => hasher.finalize()[..] == expected.0,
            Check::Tree { hasher, part_bytes: None, expected } => hasher.finish().root == expected,
            Check::Tree { hasher, part_bytes: Some(part_bytes), expected } => hasher.finish_part(part_bytes) == expected,
        }
    }
}
