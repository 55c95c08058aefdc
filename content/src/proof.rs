//! What proves a range of a layout: the grid on which bytes become verified.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::content_id::PiecesRootHasher;
use crate::{ForestProof, Layout, Sha1Digest, Sha256Digest, TigerHasher, TigerProof, TreeProof};

/// A set of digests that together prove a layout, part by part. Parts are of equal length; the last one, in a forest the last one of each file, may
/// be short.
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
    /// One file, by a layer of its Tiger tree: Gnutella's way.
    Tiger(TigerProof),
    /// Several files that begin with a part each, by a tree for each of them.
    Forest(ForestProof),
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
            Self::Tiger(tree) => tree.part_bytes(),
            Self::Forest(forest) => forest.part_bytes(),
            Self::Whole { total_bytes, .. } => (*total_bytes).max(1),
            Self::Unproven { .. } => UNPROVEN_PART_BYTES,
        }
    }

    /// All bytes of the layout that is proven; of padding in a forest, no part proves anything.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        match self {
            Self::V1Pieces { total_bytes, .. } | Self::Whole { total_bytes, .. } | Self::Unproven { total_bytes } => *total_bytes,
            Self::Tree(tree) => tree.content().size,
            Self::Tiger(tree) => tree.total_bytes(),
            Self::Forest(forest) => forest.total_bytes(),
        }
    }

    /// How many parts are proven one by one.
    #[must_use]
    pub fn part_count(&self) -> usize {
        match self {
            Self::V1Pieces { hashes, .. } => hashes.len(),
            Self::Tree(tree) => tree.hashes().len(),
            Self::Tiger(tree) => tree.hashes().len(),
            Self::Forest(forest) => forest.part_count(),
            Self::Whole { total_bytes, .. } => usize::from(*total_bytes > 0),
            Self::Unproven { total_bytes } => usize::try_from(total_bytes.div_ceil(UNPROVEN_PART_BYTES)).unwrap_or(usize::MAX),
        }
    }

    /// Whether it proves every byte of `layout`, in as many parts as it says, and was made for that kind of layout.
    #[must_use]
    pub fn fits(&self, layout: &Layout) -> bool {
        let grid = match self {
            Self::V1Pieces { piece_bytes, .. } => *piece_bytes > 0,
            Self::Tree(_) | Self::Tiger(_) | Self::Whole { .. } | Self::Unproven { .. } => layout.files().len() == 1,
            Self::Forest(forest) => {
                let same = ForestProof::new(layout, forest.part_bytes(), forest.trees().clone(), forest.sha1().cloned());
                same.is_ok_and(|same| same == *forest)
            }
        };
        let parts = self.total_bytes().div_ceil(self.part_bytes());
        grid && self.total_bytes() == layout.total_bytes() && self.part_count() as u64 == parts
    }

    /// The range of the layout that part `index` proves; empty beyond the last part.
    #[must_use]
    pub fn part_range(&self, index: usize) -> Range<u64> {
        if let Self::Forest(forest) = self {
            return forest.part_range(index);
        }
        let total = self.total_bytes();
        let start = (index as u64).saturating_mul(self.part_bytes()).min(total);
        start..start.saturating_add(self.part_bytes()).min(total)
    }

    /// The part that covers `position`, or that the padding there follows; meaningless beyond the end of the layout.
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
            Self::Tree(_) | Self::Tiger(_) | Self::Forest(_) | Self::Whole { .. } | Self::Unproven { .. } => None,
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
            Self::Tiger(tree) => Check::Tiger(TigerHasher::new(), *tree.hashes().get(index)?),
            Self::Forest(forest) => {
                let (tree, number) = forest.tree_of(index)?;
                let expected = *tree.hashes().get(number)?;
                let part_bytes = (tree.hashes().len() > 1).then_some(tree.part_bytes());
                let sha1 = forest.sha1().and_then(|digests| Some((Sha1::new(), *digests.get(index)?, forest.zeros_after(index))));
                let hasher = PiecesRootHasher::new();
                match sha1 {
                    None => Check::Tree { hasher, part_bytes, expected },
                    Some((sha1, digest, zeros)) => Check::Both(Box::new(BothChecks { hasher, part_bytes, expected, sha1, digest, zeros })),
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

    /// What `bytes` that have just come are as part `index`. Where nothing can be proven, their number decides; what is found on a disk later
    /// counts by [`Self::proves`] only.
    #[must_use]
    pub fn judge(&self, index: usize, bytes: &[u8]) -> PartVerdict {
        if let Self::Unproven { .. } = self {
            let range = self.part_range(index);
            let right = !range.is_empty() && range.end - range.start == bytes.len() as u64;
            return if right { PartVerdict::Good } else { PartVerdict::Bad };
        }
        self.check(index).map_or(PartVerdict::Bad, |mut check| {
            check.update(bytes);
            check.verdict()
        })
    }

    /// Whether `bytes` are part `index`.
    #[must_use]
    pub fn proves(&self, index: usize, bytes: &[u8]) -> bool {
        self.check(index).is_some_and(|mut check| {
            check.update(bytes);
            check.finish()
        })
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
            Self::Tiger(tree) => {
                bytes.extend_from_slice(b"tiger");
                tree.hashes().iter().for_each(|hash| bytes.extend_from_slice(hash));
            }
            Self::Forest(forest) => {
                for tree in forest.trees().iter() {
                    bytes.extend_from_slice(&tree.content().size.to_le_bytes());
                    tree.hashes().iter().for_each(|hash| bytes.extend_from_slice(&hash.0));
                }
                forest.sha1().iter().flat_map(|digests| digests.iter()).for_each(|hash| bytes.extend_from_slice(&hash.0));
            }
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
    Tiger(TigerHasher, [u8; 24]),
    /// `part_bytes` where the part is one of several.
    Tree {
        hasher: PiecesRootHasher,
        part_bytes: Option<u64>,
        expected: Sha256Digest,
    },
    /// A hybrid's: by a tree and by SHA-1.
    Both(Box<BothChecks>),
}

struct BothChecks {
    hasher: PiecesRootHasher,
    part_bytes: Option<u64>,
    expected: Sha256Digest,
    sha1: Sha1,
    digest: Sha1Digest,
    /// What follows the part in what is hashed by SHA-1.
    zeros: u64,
}

/// What a part was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartVerdict {
    /// What the proof says.
    Good,
    /// Something else.
    Bad,
    /// What one half of a hybrid torrent says, and not what the other does: no bytes can be right (BEP 52, *upgrade path*).
    Contradiction,
}

/// A hybrid torrent describes different bytes by its v1 and by its v2 hashes, so that no source can bring what satisfies both (BEP 52, *upgrade path*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this torrent contradicts itself: its v1 and v2 hashes belong to different files")]
pub struct Contradiction;

impl Contradiction {
    /// Something the user can do about it.
    pub const HINT: &'static str = "no source can bring what fits both; get the torrent anew from whoever made it";
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
            Check::Tiger(hasher, _) => hasher.update(bytes),
            Check::Tree { hasher, .. } => hasher.update(bytes),
            Check::Both(both) => {
                both.hasher.update(bytes);
                both.sha1.update(bytes);
            }
        }
    }

    /// Whether it was the part.
    #[must_use]
    pub fn finish(self) -> bool {
        self.verdict() == PartVerdict::Good
    }

    /// What it was.
    #[must_use]
    pub fn verdict(self) -> PartVerdict {
        let right = match self.0 {
            Check::Sha1(hasher, expected) => hasher.finalize()[..] == expected.0,
            Check::Sha256(hasher, expected) => hasher.finalize()[..] == expected.0,
            Check::Tiger(hasher, expected) => hasher.finish() == expected,
            Check::Tree { hasher, part_bytes, expected } => root_of(hasher, part_bytes) == expected,
            Check::Both(both) => {
                let BothChecks { hasher, part_bytes, expected, mut sha1, digest, zeros } = *both;
                let row = [0; 4096];
                let mut left = zeros;
                while left > 0 {
                    let now = left.min(row.len() as u64);
                    sha1.update(&row[..usize::try_from(now).unwrap_or(row.len())]);
                    left -= now;
                }
                let (by_tree, by_sha1) = (root_of(hasher, part_bytes) == expected, sha1.finalize()[..] == digest.0);
                if by_tree != by_sha1 {
                    return PartVerdict::Contradiction;
                }
                by_tree
            }
        };
        if right { PartVerdict::Good } else { PartVerdict::Bad }
    }
}

fn root_of(hasher: PiecesRootHasher, part_bytes: Option<u64>) -> Sha256Digest {
    match part_bytes {
        None => hasher.finish().root,
        Some(part_bytes) => hasher.finish_part(part_bytes),
    }
}
