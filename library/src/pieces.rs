//! Pieces of a layout: how long they should be, what they hash to, and which of them are good on disk.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use hexad_content::{
    Contradiction, ForestProof, Layout, PartCheck, PartVerdict, PiecesRootHasher, Proof, Ranges, Sha1Digest, Sha256Digest, TigerHasher,
    TigerProof, TreeProof,
};
use sha1::Sha1;

use crate::ShareError;
use crate::bench::{Bench, Hashing};

/// More pieces of one layout are refused.
pub const PIECES_MAX: usize = 1 << 24;
/// A longer piece is refused.
pub const PIECE_BYTES_MAX: u64 = 1 << 30;

/// How a long job is to be done.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// How many threads read and hash; 0 means one per CPU. Each takes about a megabyte.
    pub threads: usize,
    /// Called now and then, from any thread but one at a time, with the bytes done, which only grow, and the bytes in all.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    /// Once it is set the job ends soon with [`ShareError::Cancelled`].
    pub cancel: Option<&'a AtomicBool>,
}

/// A piece length for `total_bytes`: a power of two from 16 KiB to 16 MiB that gives one to two thousand pieces where it can.
#[must_use]
pub fn piece_bytes_for(total_bytes: u64) -> u64 {
    (total_bytes / 2_000).clamp(16 << 10, 16 << 20).next_power_of_two()
}

/// The SHA-1 of every piece of `piece_bytes` of `layout`, whose files stand at `paths` (`None` for padding), on all CPUs.
///
/// # Errors
/// As [`hash_pieces_with`].
pub fn hash_pieces(
    layout: &Layout,
    paths: &[Option<PathBuf>],
    piece_bytes: u64,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Vec<Sha1Digest>, ShareError> {
    hash_pieces_with(layout, paths, piece_bytes, &Work { threads: 0, progress, cancel: None })
}

/// [`hash_pieces`], done as `work` says.
///
/// # Errors
/// When a file is missing, shorter than the layout says or cannot be read; when the piece length cannot be worked with; when the
/// caller cancels.
pub fn hash_pieces_with(
    layout: &Layout,
    paths: &[Option<PathBuf>],
    piece_bytes: u64,
    work: &Work<'_>,
) -> Result<Vec<Sha1Digest>, ShareError> {
    if !(1..=PIECE_BYTES_MAX).contains(&piece_bytes) {
        return Err(ShareError::PieceLength { piece_bytes });
    }
    let total = layout.total_bytes();
    let count = usize::try_from(total.div_ceil(piece_bytes)).unwrap_or(usize::MAX);
    if count > PIECES_MAX {
        return Err(ShareError::TooManyPieces { count });
    }
    let range = |piece: usize| piece as u64 * piece_bytes..(piece as u64 + 1).saturating_mul(piece_bytes).min(total);
    let bench = Bench::new(layout, paths, (0..count).map(range).collect(), true)?;
    bench.run(&|_| Sha1::default(), work)?.into_iter().map(|digest| digest.ok_or(ShareError::Cancelled)).collect()
}

/// Which parts of `layout` are on disk as `proof` says, on all CPUs. Every part that `want` touches is checked as a whole. Files
/// that are missing or too short make their parts bad; what stands behind the end of a file does not matter.
///
/// # Errors
/// As [`check_pieces_with`].
pub fn check_pieces(
    layout: &Layout,
    paths: &[Option<PathBuf>],
    proof: &Proof,
    want: &Ranges,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Ranges, ShareError> {
    check_pieces_with(layout, paths, proof, want, &Work { threads: 0, progress, cancel: None })
}

/// [`check_pieces`], done as `work` says.
///
/// # Errors
/// When a file is there and cannot be read; when `paths` or `proof` do not belong to the layout; when the proof turns out to contradict itself; when the
/// caller cancels.
pub fn check_pieces_with(
    layout: &Layout,
    paths: &[Option<PathBuf>],
    proof: &Proof,
    want: &Ranges,
    work: &Work<'_>,
) -> Result<Ranges, ShareError> {
    let proven = proof.total_bytes();
    if !proof.fits(layout) {
        return Err(ShareError::Mismatch { what: "bytes under proof", expected: layout.total_bytes(), found: proven });
    }
    let mut parts: Vec<usize> = Vec::new();
    for span in want.within(0..proven).iter() {
        let first = proof.part_at(span.start).max(parts.last().map_or(0, |last| last + 1));
        parts.extend(first..=proof.part_at(span.end - 1));
    }
    let bench = Bench::new(layout, paths, parts.iter().map(|&part| proof.part_range(part)).collect(), false)?;
    // Parts that are proven by SHA-1 of their own are hashed side by side, others check themselves.
    let good: Vec<bool> = match proof {
        Proof::V1Pieces { .. } => {
            let digests = bench.run(&|_| Sha1::default(), work)?;
            parts.iter().zip(digests).map(|(&part, digest)| digest.is_some() && proof.sha1(part) == digest).collect()
        }
        Proof::Tree(_) | Proof::Tiger(_) | Proof::Forest(_) | Proof::Whole { .. } | Proof::Unproven { .. } => {
            let found = bench.run(&|index| Check(proof.check(parts[index])), work)?;
            if found.contains(&Some(PartVerdict::Contradiction)) {
                return Err(Contradiction.into());
            }
            found.into_iter().map(|verdict| verdict == Some(PartVerdict::Good)).collect()
        }
    };
    Ok(parts.iter().zip(good).filter(|(_, good)| *good).map(|(&part, _)| proof.part_range(part)).collect())
}

/// The Merkle layer of one file, and so its [`hexad_content::ContentId`], on all CPUs; parts of [`TreeProof::part_bytes_for`] its length.
///
/// # Errors
/// As [`hash_pieces_with`].
pub fn hash_tree(path: &Path, length: u64, work: &Work<'_>) -> Result<TreeProof, ShareError> {
    let part_bytes = TreeProof::part_bytes_for(length);
    let count = usize::try_from(length.div_ceil(part_bytes)).unwrap_or(usize::MAX);
    if count > TreeProof::HASHES_MAX {
        return Err(ShareError::TooManyPieces { count });
    }
    let layout = Layout::single(String::new(), length).map_err(|_| ShareError::TooManyPieces { count })?;
    let ranges = (0..count).map(|part| part as u64 * part_bytes..((part as u64 + 1) * part_bytes).min(length)).collect();
    let paths = [Some(path.to_owned())];
    let bench = Bench::new(&layout, &paths, ranges, true)?;
    let begin = |_| Subtree { hasher: PiecesRootHasher::new(), part_bytes: (count > 1).then_some(part_bytes) };
    let hashes = bench.run(&begin, work)?.into_iter().map(|hash| hash.ok_or(ShareError::Cancelled)).collect::<Result<Vec<_>, _>>()?;
    TreeProof::of_layer(length, part_bytes, hashes).map_err(|_| ShareError::PieceLength { piece_bytes: part_bytes })
}

/// All that networks of single files know one by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNames {
    /// As [`hash_tree`] finds it.
    pub tree: TreeProof,
    /// The Tiger tree, on the same grid: Gnutella's.
    pub tiger: TigerProof,
    /// Of the whole file: Gnutella's.
    pub sha1: Sha1Digest,
}

/// The names of one file. It is read twice: its parts on all CPUs, then the whole on one. `work` is told of both as one job of twice the length.
///
/// # Errors
/// As [`hash_pieces_with`].
pub fn hash_names(path: &Path, length: u64, work: &Work<'_>) -> Result<FileNames, ShareError> {
    let part_bytes = TreeProof::part_bytes_for(length);
    let count = usize::try_from(length.div_ceil(part_bytes)).unwrap_or(usize::MAX);
    let too_many = || ShareError::TooManyPieces { count };
    if count > TreeProof::HASHES_MAX.min(TigerProof::HASHES_MAX) {
        return Err(too_many());
    }
    let layout = Layout::single(String::new(), length).map_err(|_| too_many())?;
    let paths = [Some(path.to_owned())];
    let part = |part: usize| part as u64 * part_bytes..((part as u64 + 1) * part_bytes).min(length);
    let bench = Bench::new(&layout, &paths, (0..count).map(part).collect(), true)?;
    let first = |done: u64, _: u64| (work.progress)(done, length * 2);
    let second = |done: u64, _: u64| (work.progress)(length + done, length * 2);
    let begin = |_| Trees {
        sha256: Subtree { hasher: PiecesRootHasher::new(), part_bytes: (count > 1).then_some(part_bytes) },
        tiger: TigerHasher::new(),
    };
    let found = bench.run(&begin, &Work { progress: &first, ..*work })?;
    let found = found.into_iter().map(|both| both.ok_or(ShareError::Cancelled)).collect::<Result<Vec<_>, _>>()?;
    let (layer, tigers): (Vec<Sha256Digest>, Vec<[u8; 24]>) = found.into_iter().unzip();
    let bench = Bench::new(&layout, &paths, std::iter::once(0..length).collect(), true)?;
    let whole = bench.run(&|_| Sha1::default(), &Work { progress: &second, ..*work })?;
    let wrong = || ShareError::PieceLength { piece_bytes: part_bytes };
    Ok(FileNames {
        tree: TreeProof::of_layer(length, part_bytes, layer).map_err(|_| wrong())?,
        tiger: TigerProof::of_layer(length, part_bytes, tigers).map_err(|_| wrong())?,
        sha1: whole.into_iter().next().flatten().ok_or(ShareError::Cancelled)?,
    })
}

/// The Merkle layers of all files of `layout` that have bytes, in their order and with parts of `piece_bytes`, each of which stands for the
/// [`hexad_content::ContentId`] of its file: what BitTorrent v2 needs. `paths` as for [`hash_pieces`].
///
/// # Errors
/// As [`hash_pieces_with`]; a piece length that is no power of two from 16 KiB on cannot be worked with.
pub fn hash_trees(layout: &Layout, paths: &[Option<PathBuf>], piece_bytes: u64, work: &Work<'_>) -> Result<Vec<TreeProof>, ShareError> {
    if !piece_bytes.is_power_of_two() || !(PiecesRootHasher::LEAF_BYTES as u64..=PIECE_BYTES_MAX).contains(&piece_bytes) {
        return Err(ShareError::PieceLength { piece_bytes });
    }
    let files: Vec<_> = layout
        .files()
        .iter()
        .enumerate()
        .filter(|(_, file)| !file.padding && file.length > 0)
        .map(|(file, _)| layout.file_range(file))
        .collect();
    let count = files.iter().map(|file| (file.end - file.start).div_ceil(piece_bytes)).sum::<u64>();
    if count > PIECES_MAX as u64 {
        return Err(ShareError::TooManyPieces { count: usize::try_from(count).unwrap_or(usize::MAX) });
    }
    let mut parts = Vec::new();
    let mut alone = Vec::new();
    for file in &files {
        let mut start = file.start;
        while start < file.end {
            let end = file.end.min(start + piece_bytes);
            parts.push(start..end);
            alone.push(file.end - file.start <= piece_bytes);
            start = end;
        }
    }
    let bench = Bench::new(layout, paths, parts, true)?;
    let begin = |part: usize| Subtree { hasher: PiecesRootHasher::new(), part_bytes: (!alone[part]).then_some(piece_bytes) };
    let hashes = bench.run(&begin, work)?.into_iter().map(|hash| hash.ok_or(ShareError::Cancelled)).collect::<Result<Vec<_>, _>>()?;
    ForestProof::plant(layout, piece_bytes, &hashes).map_err(|_| ShareError::TooManyPieces { count: hashes.len() })
}

/// A part that checks itself.
struct Check(Option<PartCheck>);

impl Hashing for Check {
    type Digest = PartVerdict;
    const OF_SHA1: Option<fn(Sha1Digest) -> PartVerdict> = None;

    fn update(&mut self, bytes: &[u8]) {
        if let Some(check) = &mut self.0 {
            check.update(bytes);
        }
    }

    fn finish(self) -> PartVerdict {
        self.0.map_or(PartVerdict::Bad, PartCheck::verdict)
    }
}

/// A part of a file's Merkle tree; `part_bytes` where it is one of several.
struct Subtree {
    hasher: PiecesRootHasher,
    part_bytes: Option<u64>,
}

impl Hashing for Subtree {
    type Digest = Sha256Digest;
    const OF_SHA1: Option<fn(Sha1Digest) -> Sha256Digest> = None;

    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    fn finish(self) -> Sha256Digest {
        match self.part_bytes {
            Some(part_bytes) => self.hasher.finish_part(part_bytes),
            None => self.hasher.finish().root,
        }
    }
}

/// A part under both trees.
struct Trees {
    sha256: Subtree,
    tiger: TigerHasher,
}

impl Hashing for Trees {
    type Digest = (Sha256Digest, [u8; 24]);
    const OF_SHA1: Option<fn(Sha1Digest) -> Self::Digest> = None;

    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.tiger.update(bytes);
    }

    fn finish(self) -> Self::Digest {
        (self.sha256.finish(), self.tiger.finish())
    }
}
