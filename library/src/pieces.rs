//! Pieces of a layout: how long they should be, what they hash to, and which of them are good on disk.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use hexad_content::{Layout, Proof, Ranges, Sha1Digest};

use crate::ShareError;
use crate::bench::Bench;

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
    bench.run(work)?.into_iter().map(|digest| digest.ok_or(ShareError::Cancelled)).collect()
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
/// When a file is there and cannot be read; when `paths` or `proof` do not belong to the layout; when the caller cancels.
pub fn check_pieces_with(
    layout: &Layout,
    paths: &[Option<PathBuf>],
    proof: &Proof,
    want: &Ranges,
    work: &Work<'_>,
) -> Result<Ranges, ShareError> {
    let proven = proof.part_count().checked_sub(1).map_or(0, |last| proof.part_range(last).end);
    if proven != layout.total_bytes() {
        return Err(ShareError::Mismatch { what: "bytes under proof", expected: layout.total_bytes(), found: proven });
    }
    let mut parts: Vec<usize> = Vec::new();
    for span in want.within(0..proven).iter() {
        let first = proof.part_at(span.start).max(parts.last().map_or(0, |last| last + 1));
        parts.extend(first..=proof.part_at(span.end - 1));
    }
    let bench = Bench::new(layout, paths, parts.iter().map(|&part| proof.part_range(part)).collect(), false)?;
    let digests = bench.run(work)?;
    let good = parts.iter().zip(&digests).filter(|(part, digest)| digest.is_some() && proof.sha1(**part) == **digest);
    Ok(good.map(|(&part, _)| proof.part_range(part)).collect())
}
