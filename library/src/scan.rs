//! A path becomes a layout: what is in it, in which order, and what is left out.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hexad_content::{FileEntry, Layout};

use crate::ShareError;

/// What stands at a path.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The files, laid end to end in the order of their path elements, byte by byte.
    pub layout: Arc<Layout>,
    /// Where each file of the layout stands on disk.
    pub paths: Vec<Option<PathBuf>>,
    /// What was found and left out, sorted by path.
    pub skipped: Vec<Skipped>,
}

/// Something inside a folder that is not shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Where it stands.
    pub path: PathBuf,
    /// Why, as a fragment in lower case.
    pub reason: &'static str,
}

/// A file on its way into the layout.
struct Found {
    entry: FileEntry,
    path: PathBuf,
}

/// Lays out the file or folder at `path`: everything in it, hidden files included, in the same order on every run.
///
/// A symbolic link is followed where `path` itself is one; inside a folder, links, devices and names that are not UTF-8 are left
/// out and listed.
///
/// # Errors
/// When there is nothing to share at that path, or something in it cannot be read.
pub fn scan(path: &Path) -> Result<Scanned, ShareError> {
    let metadata = fs::metadata(path).map_err(|source| failed(path, source))?;
    // Names like "." and ".." say nothing about what they stand for.
    let path = fs::canonicalize(path).map_err(|source| failed(path, source)).map(|real| match path.file_name() {
        Some(_) => std::path::absolute(path).unwrap_or(real),
        None => real,
    })?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| ShareError::NoName { path: path.clone() })?.to_owned();
    let too_long = |wrong: hexad_content::LayoutError| ShareError::TooLong { path: path.clone(), reason: wrong.to_string() };
    if metadata.is_file() {
        let layout = Layout::single_entry(name.clone(), entry(vec![name], &metadata)).map_err(too_long)?;
        return Ok(Scanned { layout: Arc::new(layout), paths: vec![Some(path)], skipped: Vec::new() });
    }
    if !metadata.is_dir() {
        return Err(ShareError::NotAFile { path, found: kind(metadata.file_type()) });
    }
    let (mut found, mut skipped) = walk(&path)?;
    if found.is_empty() {
        return Err(ShareError::Empty { path });
    }
    found.sort_by(|left, right| left.entry.path.cmp(&right.entry.path));
    skipped.sort();
    let (entries, paths) = found.into_iter().map(|found| (found.entry, Some(found.path))).unzip();
    let layout = Layout::folder(name, entries).map_err(too_long)?;
    Ok(Scanned { layout: Arc::new(layout), paths, skipped })
}

fn walk(root: &Path) -> Result<(Vec<Found>, Vec<Skipped>), ShareError> {
    let mut found = Vec::new();
    let mut skipped = Vec::new();
    let mut folders = vec![(root.to_owned(), Vec::<String>::new())];
    while let Some((folder, elements)) = folders.pop() {
        for item in fs::read_dir(&folder).map_err(|source| failed(&folder, source))? {
            let item = item.map_err(|source| failed(&folder, source))?;
            let path = item.path();
            let file_type = item.file_type().map_err(|source| failed(&path, source))?;
            let name = item.file_name();
            let Some(name) = name.to_str() else {
                skipped.push(Skipped { path, reason: "its name is not UTF-8" });
                continue;
            };
            let mut inner = elements.clone();
            inner.push(name.to_owned());
            if file_type.is_dir() {
                folders.push((path, inner));
            } else if file_type.is_file() {
                match item.metadata() {
                    Ok(metadata) => found.push(Found { entry: entry(inner, &metadata), path }),
                    Err(gone) if gone.kind() == io::ErrorKind::NotFound => {
                        skipped.push(Skipped { path, reason: "it vanished during the scan" })
                    }
                    Err(source) => return Err(failed(&path, source)),
                }
            } else {
                skipped.push(Skipped { path, reason: kind(file_type) });
            }
        }
    }
    Ok((found, skipped))
}

fn entry(path: Vec<String>, metadata: &Metadata) -> FileEntry {
    FileEntry { executable: metadata.permissions().mode() & 0o100 != 0, ..FileEntry::plain(path, metadata.len()) }
}

fn kind(file_type: fs::FileType) -> &'static str {
    if file_type.is_symlink() { "a symbolic link" } else { "a device, a socket or a pipe" }
}

fn failed(path: &Path, source: io::Error) -> ShareError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => ShareError::Missing { path },
        _ => ShareError::Io { path, source },
    }
}
