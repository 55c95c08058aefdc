//! Hashing and checking of pieces.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use hexad_content::{Layout, Proof, Ranges, Sha1Digest};

use crate::ShareError;

/// How a long job is to be done.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// How many threads read and hash; 0 means one per CPU.
    pub threads: usize,
    /// Called now and then, from any thread, with the bytes done and the bytes in all.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    /// Once it is set the job ends soon with [`ShareError::Cancelled`].
    pub cancel: Option<&'a AtomicBool>,
}

/// Stub.
///
/// # Errors
/// Always.
pub fn hash_pieces(layout: &Layout, paths: &[Option<PathBuf>], piece_bytes: u64, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Vec<Sha1Digest>, ShareError> {
    hash_pieces_with(layout, paths, piece_bytes, &Work { threads: 0, progress, cancel: None })
}

/// Stub.
///
/// # Errors
/// Always.
pub fn hash_pieces_with(_layout: &Layout, _paths: &[Option<PathBuf>], _piece_bytes: u64, _work: &Work<'_>) -> Result<Vec<Sha1Digest>, ShareError> {
    Err(ShareError::Cancelled)
}

/// Stub.
///
/// # Errors
/// Always.
pub fn check_pieces(
    layout: &Layout,
    paths: &[Option<PathBuf>],
    proof: &Proof,
    want: &Ranges,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Ranges, ShareError> {
    check_pieces_with(layout, paths, proof, want, &Work { threads: 0, progress, cancel: None })
}

/// Stub.
///
/// # Errors
/// Always.
pub fn check_pieces_with(_layout: &Layout, _paths: &[Option<PathBuf>], _proof: &Proof, _want: &Ranges, _work: &Work<'_>) -> Result<Ranges, ShareError> {
    Err(ShareError::Cancelled)
}

/// Stub.
#[must_use]
pub fn piece_bytes_for(_total_bytes: u64) -> u64 {
    1 << 20
}
