//! Requests of programs that are to outlive this process: a file for each, written as a whole or not at all.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// A file that is larger is not read: more than a payload and its words.
const FILE_BYTES_MAX: u64 = 65 << 20;
/// What the name of one ends in.
const ENDING: &str = "request";

/// The folder of them.
#[derive(Debug)]
pub(crate) struct Kept(PathBuf);

impl Kept {
    pub(crate) fn within(folder: &Path) -> io::Result<Self> {
        let folder = folder.join("fcp");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number}.{ENDING}"))
    }

    /// Writes one down; when this returns, it is on the disk.
    pub(crate) fn write(&self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.0)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.path(number)).map_err(|wrong| wrong.error)?;
        fs::File::open(&self.0)?.sync_all()
    }

    pub(crate) fn forget(&self, number: u64) {
        if let Err(wrong) = fs::remove_file(self.path(number)) {
            tracing::warn!(number, %wrong, "a request that is over cannot be forgotten");
        }
    }

    /// Puts one that cannot be read out of the way.
    pub(crate) fn set_aside(&self, number: u64) {
        let _ = fs::rename(self.path(number), self.0.join(format!("{number}.unreadable")));
    }

    /// All of them, in their order.
    pub(crate) fn all(&self) -> Vec<(u64, Vec<u8>)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let path = entry.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            let is_one = path.extension().is_some_and(|ending| ending == ENDING);
            let Some(number) = number.filter(|_| is_one && entry.metadata().is_ok_and(|found| found.len() <= FILE_BYTES_MAX)) else {
                continue;
            };
            match fs::read(&path) {
                Ok(bytes) => all.push((number, bytes)),
                Err(wrong) => tracing::warn!(path = %path.display(), %wrong, "a request cannot be read"),
            }
        }
        all.sort_by_key(|(number, _)| *number);
        all
    }
}
