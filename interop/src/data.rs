//! Files with known bytes, and comparing what arrived with what was sent.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

const CHUNK: usize = 1 << 20;

/// Writes `bytes` bytes that depend on `seed` only and do not compress, making the folders above.
///
/// # Errors
/// Of the file system.
pub fn write_file(path: &Path, seed: u64, bytes: u64) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path).with_context(|| path.display().to_string())?;
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut chunk = vec![0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        for word in chunk.chunks_exact_mut(8) {
            // xorshift64*, Vigna 2016.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            word.copy_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
        }
        let part = left.min(CHUNK as u64) as usize;
        file.write_all(&chunk[..part])?;
        left -= part as u64;
    }
    Ok(())
}

/// What differs between two files or two folders, byte by byte; empty when they are equal. Names below `right` that begin with a dot
/// or end as the programs' own control files do are passed over; so are empty files that did not arrive, for programs that never make them.
///
/// # Errors
/// Of the file system, for files that are there but cannot be read.
pub fn differences(left: &Path, right: &Path, makes_empty_files: bool) -> Result<Vec<String>> {
    let mut found = Vec::new();
    compare(left, right, makes_empty_files, &mut found)?;
    Ok(found)
}

fn compare(left: &Path, right: &Path, makes_empty_files: bool, found: &mut Vec<String>) -> Result<()> {
    if !right.exists() {
        let pardoned = !makes_empty_files && left.is_file() && left.metadata()?.len() == 0;
        if pardoned {
            return Ok(());
        }
        found.push(format!("{} is missing", right.display()));
    } else if left.is_dir() != right.is_dir() {
        found.push(format!("{} is not of the same kind", right.display()));
    } else if left.is_dir() {
        for entry in std::fs::read_dir(left)? {
            let name = entry?.file_name();
            compare(&left.join(&name), &right.join(&name), makes_empty_files, found)?;
        }
        for entry in std::fs::read_dir(right)? {
            let name = entry?.file_name();
            let shown = name.to_string_lossy();
            if !left.join(&name).exists() && !shown.starts_with('.') && !shown.ends_with(".aria2") {
                found.push(format!("{} was not sent", right.join(&name).display()));
            }
        }
    } else if let Some(complaint) = compare_files(left, right)? {
        found.push(complaint);
    }
    Ok(())
}

fn compare_files(left: &Path, right: &Path) -> Result<Option<String>> {
    let (sizes, mut files) = ((left.metadata()?.len(), right.metadata()?.len()), (File::open(left)?, File::open(right)?));
    if sizes.0 != sizes.1 {
        return Ok(Some(format!("{} has {} bytes, sent were {}", right.display(), sizes.1, sizes.0)));
    }
    let (mut ours, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut at = 0;
    while at < sizes.0 {
        let part = (sizes.0 - at).min(CHUNK as u64) as usize;
        files.0.read_exact(&mut ours[..part])?;
        files.1.read_exact(&mut theirs[..part])?;
        if ours[..part] != theirs[..part] {
            let first = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap_or(0);
            return Ok(Some(format!("{} differs at byte {}", right.display(), at + first as u64)));
        }
        at += part as u64;
    }
    Ok(None)
}
