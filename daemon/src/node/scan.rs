//! Looking at what is to be offered: every file in watched folders, and single files and folders that were named.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hexad_api::Problem;
use serde::{Deserialize, Serialize};

use super::fresh::{Fresh, Look};
use crate::source::plain;

/// Files that are looked at in one round; what is beyond is not offered, and said.
const FILES_MAX: usize = 200_000;

/// By what a file is known again without reading it, also under another name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) bytes: u64,
    /// When it was last written, nanoseconds; of a folder, a number that changes with that of any file in it.
    pub(super) mark: u64,
}

impl Stamp {
    pub(super) fn of_file(metadata: &Metadata) -> Self {
        #[expect(clippy::cast_sign_loss, reason = "only compared")]
        let mark = (metadata.mtime() as u64).wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec() as u64);
        Self { device: metadata.dev(), inode: metadata.ino(), bytes: metadata.len(), mark }
    }
}

/// What is to be looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) folders: Vec<PathBuf>,
    /// Files and folders that were named, each a share of its own.
    pub(super) named: Vec<PathBuf>,
    /// What is still being written to by ourselves.
    pub(super) except: Vec<PathBuf>,
    /// Files that were written to a shorter time ago wait for the next round.
    pub(super) quiet: Duration,
    /// How many moves there had been.
    pub(super) moves: u64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Scan {
    /// Files in watched folders.
    pub(super) files: BTreeMap<PathBuf, Stamp>,
    /// What was named; `None` when it is not there.
    pub(super) named: Vec<(PathBuf, Option<Stamp>)>,
    pub(super) folders: Vec<(PathBuf, Option<Problem>)>,
    /// Some files were too fresh.
    pub(super) unsettled: bool,
    /// As it was in [`Wanted`].
    pub(super) moves: u64,
}

/// Looks, when the clock on the wall shows `wall`.
pub(super) fn scan(wanted: &Wanted, fresh: &mut Fresh, wall: SystemTime) -> Scan {
    let mut found = Scan { moves: wanted.moves, ..Scan::default() };
    let mut look = fresh.look(wanted.quiet, wall);
    for folder in &wanted.folders {
        let before = found.files.len();
        let mut problem = fs::read_dir(folder).err().map(|wrong| unreadable(folder, &wrong));
        if problem.is_none() && walk(folder, wanted, &mut look, &mut found).is_err() {
            let count = found.files.len() - before;
            let message = format!("there are too many files: {count} of {} are offered, {FILES_MAX} in all", folder.display());
            problem = Some(Problem::new(message).hint("share folders that hold fewer"));
        }
        found.folders.push((folder.clone(), problem));
    }
    found.named = wanted.named.iter().map(|path| (path.clone(), stamp_of(path))).collect();
    found
}

/// A folder that cannot be looked into.
pub(super) fn unreadable(folder: &Path, wrong: &std::io::Error) -> Problem {
    Problem::new(format!("{} cannot be read: {}", folder.display(), plain(wrong))).hint("is it there, and may this program read it?")
}

/// There are too many files.
struct TooMany;

fn walk(root: &Path, wanted: &Wanted, look: &mut Look<'_>, found: &mut Scan) -> Result<(), TooMany> {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            // Hidden files are nobody else's business, and names that are no text have no name in any network.
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            if wanted.except.contains(&path) {
                continue;
            }
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && !name.ends_with(".part") {
                let Ok(metadata) = entry.metadata() else { continue };
                if !look.is_settled(&path, &metadata) {
                    found.unsettled = true;
                    continue;
                }
                if found.files.len() >= FILES_MAX {
                    return Err(TooMany);
                }
                found.files.insert(path, Stamp::of_file(&metadata));
            }
        }
    }
    Ok(())
}

/// The stamp of a file, or of a folder with all that is in it.
pub(super) fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    if metadata.is_file() {
        return Some(Stamp::of_file(&metadata));
    }
    let mut stamp = Stamp { bytes: 0, mark: 0, ..Stamp::of_file(&metadata) };
    let mut folders = vec![path.to_owned()];
    let mut left = FILES_MAX;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).ok()?.flatten() {
            let (Ok(metadata), true) = (entry.metadata(), left > 0) else { continue };
            left -= 1;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.is_file() {
                let file = Stamp::of_file(&metadata);
                stamp.bytes += file.bytes;
                // The order in which a folder lists its files says nothing, so it must not count.
                let names: u64 = entry
                    .path()
                    .as_os_str()
                    .as_encoded_bytes()
                    .iter()
                    .fold(17, |all: u64, byte| all.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(*byte)));
                let one = names.wrapping_mul(31).wrapping_add(file.mark).wrapping_mul(31).wrapping_add(file.bytes);
                stamp.mark = stamp.mark.wrapping_add(one.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            }
        }
    }
    Some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_fresh_or_being_written_is_passed_over() {
        let home = tempfile::tempdir().expect("a folder");
        let path = |name: &str| home.path().join(name);
        fs::create_dir(path("in")).expect("made");
        for name in ["a.ogg", ".hidden", "b.part", "in/c.ogg", "ours"] {
            fs::write(path(name), name).expect("written");
        }
        let wanted = Wanted { folders: vec![home.path().into()], except: vec![path("ours")], ..Wanted::default() };
        let now = SystemTime::now();
        let scan = |wanted: &Wanted| super::scan(wanted, &mut Fresh::default(), now);
        let found = scan(&wanted);
        assert_eq!(found.files.keys().cloned().collect::<Vec<_>>(), [path("a.ogg"), path("in/c.ogg")]);
        let fresh = scan(&Wanted { quiet: Duration::from_secs(3600), ..wanted });
        assert!(fresh.files.is_empty() && fresh.unsettled);
        let gone = scan(&Wanted { folders: vec![path("nowhere")], named: vec![path("nothing")], ..Wanted::default() });
        assert!(gone.folders[0].1.is_some() && gone.named[0].1.is_none());
    }

    #[test]
    fn a_folder_is_another_when_any_of_its_files_is() {
        let home = tempfile::tempdir().expect("a folder");
        fs::write(home.path().join("a"), "1").expect("written");
        let before = stamp_of(home.path());
        assert_eq!(before, stamp_of(home.path()));
        fs::write(home.path().join("b"), "").expect("written");
        assert_ne!(before, stamp_of(home.path()));
    }
}
