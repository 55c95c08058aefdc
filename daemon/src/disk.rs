//! The folder in which programs that speak FCP may have files read and written. Nothing leads out of it: neither `..` nor a link.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use hexad_api::Problem;
use hexad_freenet::fcp::{Disk, DiskError};

use crate::source::plain;

/// Folders below the folder that is inserted.
const DEPTH_MAX: usize = 32;

/// A folder, and nothing beyond it.
pub(crate) struct Folder {
    dir: Dir,
    /// What paths begin with: as the user has named it, and as it is.
    roots: [PathBuf; 2],
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self, Problem> {
        let trouble = |wrong: std::io::Error| {
            Problem::new(format!("{} cannot be used: {}", path.display(), plain(&wrong))).hint("--disk wants a folder that is there")
        };
        let roots = [std::path::absolute(path).map_err(trouble)?, path.canonicalize().map_err(trouble)?];
        let dir = Dir::open_ambient_dir(&roots[1], ambient_authority()).map_err(trouble)?;
        Ok(Self { dir, roots })
    }

    /// A path as it is within the folder.
    fn within(&self, path: &str) -> Result<PathBuf, DiskError> {
        let path = Path::new(path);
        let rest = self.roots.iter().find_map(|root| path.strip_prefix(root).ok()).ok_or(DiskError::Denied)?;
        if rest.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(DiskError::Denied);
        }
        Ok(if rest.as_os_str().is_empty() { ".".into() } else { rest.to_owned() })
    }

    fn walk(&self, folder: &Path, below: &str, depth: usize, files_max: usize, found: &mut Vec<String>) -> Result<(), DiskError> {
        if depth > DEPTH_MAX {
            return Err(DiskError::TooLarge);
        }
        for entry in self.dir.read_dir(folder).map_err(told)? {
            let entry = entry.map_err(told)?;
            let name = entry.file_name().into_string().map_err(|_| DiskError::Other("a name is not UTF-8".into()))?;
            let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            let kind = entry.file_type().map_err(told)?;
            if kind.is_dir() {
                self.walk(&folder.join(&name), &path, depth + 1, files_max, found)?;
            } else if kind.is_file() {
                if found.len() >= files_max {
                    return Err(DiskError::TooLarge);
                }
                found.push(path);
            }
        }
        Ok(())
    }
}

fn told(wrong: std::io::Error) -> DiskError {
    match wrong.kind() {
        ErrorKind::NotFound => DiskError::NotFound,
        ErrorKind::AlreadyExists => DiskError::Exists,
        // A link that leads out of the folder is refused so.
        ErrorKind::PermissionDenied => DiskError::Denied,
        _ => DiskError::Other(plain(&wrong)),
    }
}

impl Disk for Folder {
    fn is_folder(&self, path: &str) -> Result<bool, DiskError> {
        match self.dir.metadata(self.within(path)?) {
            Ok(found) => Ok(found.is_dir()),
            Err(wrong) if wrong.kind() == ErrorKind::NotFound => Ok(false),
            Err(wrong) => Err(told(wrong)),
        }
    }

    fn read(&self, path: &str, bytes_max: usize) -> Result<Bytes, DiskError> {
        let path = self.within(path)?;
        // What is no file may keep who opens it waiting.
        if !self.dir.metadata(&path).map_err(told)?.is_file() {
            return Err(DiskError::Other("not a file".into()));
        }
        let mut bytes = Vec::new();
        let file = self.dir.open(&path).map_err(told)?;
        file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(told)?;
        if bytes.len() > bytes_max { Err(DiskError::TooLarge) } else { Ok(bytes.into()) }
    }

    fn create(&self, path: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let path = self.within(path)?;
        let mut file = self.dir.open_with(&path, OpenOptions::new().write(true).create_new(true)).map_err(told)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|wrong| {
            // Half a file is none.
            let _ = self.dir.remove_file(&path);
            told(wrong)
        })
    }

    fn remove(&self, path: &str) {
        if let Ok(path) = self.within(path) {
            let _ = self.dir.remove_file(path);
        }
    }

    fn files(&self, folder: &str, files_max: usize) -> Result<Vec<String>, DiskError> {
        let mut found = Vec::new();
        self.walk(&self.within(folder)?, "", 0, files_max, &mut found)?;
        found.sort_unstable();
        Ok(found)
    }
}
