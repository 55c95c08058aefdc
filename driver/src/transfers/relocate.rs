//! Moves what a download has on disk to another folder: its files, its journal, its part file.
//!
//! At every moment each file is whole in one of the two folders. Where the system can rename from the one to the other, that is all. Elsewhere files
//! are copied beside their places (by reference where the file system shares blocks) while others may go on reading and writing them; then, while nobody
//! writes, each copy is compared with its file as the disk gives it back, mended where it differs, and put in its place. The files in the old folder go
//! last of all, after the caller has noted where the download stands. Who was killed in between does the same once more.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use rustix::fs::{Advice, Mode, OFlags, RenameFlags, SeekFrom, fadvise, fsync, ioctl_ficlone, openat, renameat_with};
use rustix::io::Errno;

use super::error::StoreError;
use super::prepare::{Target, books_of, lock_books};
use super::store::Books;
use crate::Locked;

/// What is read at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// Between two tries to lock the books of a download that is just ending.
const BUSY: Duration = Duration::from_millis(20);

/// One download on its way to another folder.
#[derive(Debug)]
pub struct Relocation {
    from: Dir,
    to: Dir,
    from_path: PathBuf,
    to_path: PathBuf,
    /// Below either folder: the files, then the part file, then the journal.
    files: Vec<PathBuf>,
    books: Books,
    by_copy: bool,
}

impl Relocation {
    /// The download at `target`, to be moved to the folder `to`, which is made when it is not there.
    ///
    /// # Errors
    /// When one of the folders cannot be used.
    pub fn of(target: &Target, to: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(to).map_err(|error| StoreError::io(to, "made", error))?;
        let open = |path: &Path| Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| StoreError::io(path, "opened", error));
        let books = books_of(target);
        let named = target.names.paths.iter().flatten().map(|elements| elements.iter().collect());
        let files = named.chain([books.part.clone(), books.journal.clone()]).collect();
        let (from, to_dir) = (open(&target.folder)?, open(to)?);
        let mut relocation =
            Self { from, to: to_dir, from_path: target.folder.clone(), to_path: to.to_owned(), files, books, by_copy: false };
        relocation.by_copy = !relocation.can_rename()?;
        Ok(relocation)
    }

    /// The same by copying, as between two file systems.
    #[must_use]
    pub fn by_copy(mut self) -> Self {
        self.by_copy = true;
        self
    }

    /// Whether it takes as long as copying takes.
    #[must_use]
    pub fn copies(&self) -> bool {
        self.by_copy
    }

    /// Whether the system renames from the one folder to the other: that the two are of one device does not tell.
    fn can_rename(&self) -> Result<bool, StoreError> {
        let probe = format!(".hexad-{}", self.books.lock.file_stem().unwrap_or_default().to_string_lossy());
        // A folder that nothing can be written to has nothing that could be moved away, but copied.
        let Ok(file) = self.from.create(&probe) else { return Ok(false) };
        drop(file);
        let renamed = self.from.rename(&probe, &self.to, &probe);
        let left = if renamed.is_ok() { (&self.to, &self.to_path) } else { (&self.from, &self.from_path) };
        left.0.remove_file(&probe).map_err(|error| StoreError::io(&left.1.join(&probe), "removed", error))?;
        Ok(renamed.is_ok())
    }

    /// Looks whether anything stands in the way. What `resumes` may have put there itself.
    ///
    /// # Errors
    /// When there is.
    pub fn check(&self, resumes: bool) -> Result<(), StoreError> {
        for file in &self.files {
            let there = length(&self.to, file, &self.to_path)?;
            let here = length(&self.from, file, &self.from_path)?;
            let may_be = match (there, here) {
                (None, _) => true,
                (Some(_), None) => resumes,
                (Some(_), Some(_)) => resumes && self.is_same(file, file)?,
            };
            if !may_be {
                return Err(StoreError::InTheWay { path: self.to_path.join(file), reason: "it was there before" });
            }
        }
        Ok(())
    }

    /// Copies what is there, while others may read and write it; nothing where it can be renamed. `go_on` is asked
    /// again and again, and told how many bytes have been copied since the last time.
    ///
    /// # Errors
    /// When something cannot be copied, or is not to be gone on with. Copies are taken away then.
    pub fn copy_ahead(&self, go_on: &dyn Fn(u64) -> bool) -> Result<(), StoreError> {
        if !self.by_copy {
            return Ok(());
        }
        let copied = (0..self.files.len()).try_for_each(|number| self.copy(number, go_on));
        if copied.is_err() {
            self.drop_copies();
        }
        copied
    }

    /// Puts everything in its place in the other folder, has `note` note that, and takes away what is left in the old one. To be called when nobody
    /// writes there any more; who is just ending is waited for, as long as `patience`. `go_on` is told how many bytes of copies have been compared since the last
    /// time.
    ///
    /// # Errors
    /// When that does not work, or `note` fails: all is in the old folder as before then.
    pub fn finish<E: From<StoreError>>(
        &self,
        resumes: bool,
        patience: Duration,
        go_on: &dyn Fn(u64) -> bool,
        note: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let lock = self.lock(patience)?;
        let mut placed = Vec::new();
        let outcome = self.bring_over(resumes, go_on, &mut placed).map_err(E::from).and_then(|()| note());
        if let Err(error) = outcome {
            self.take_back(&placed);
            return Err(error);
        }
        self.clear();
        drop(lock);
        Ok(())
    }

    /// Takes away what is left in the old folder of what stands in the other one.
    pub fn clear(&self) {
        for file in &self.files {
            if matches!(self.to.symlink_metadata(file), Ok(found) if found.is_file()) {
                let _ = self.from.remove_file(file);
            }
        }
        let _ = self.from.remove_file(&self.books.lock);
        self.files.iter().for_each(|file| prune(&self.from, file));
        // Of what was in its place already, a copy may have been made once more; and the folder of copies has served.
        self.drop_copies();
    }

    fn bring_over(&self, resumes: bool, go_on: &dyn Fn(u64) -> bool, placed: &mut Vec<usize>) -> Result<(), StoreError> {
        self.check(resumes)?;
        let mut coming = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            if length(&self.to, file, &self.to_path)?.is_none() && length(&self.from, file, &self.from_path)?.is_some() {
                coming.push(number);
            }
        }
        if self.by_copy {
            coming.iter().try_for_each(|&number| self.make_equal(number, go_on))?;
        }
        for number in coming {
            let file = &self.files[number];
            make_parent(&self.to, file).map_err(|error| StoreError::io(&self.to_path.join(file), "made", error))?;
            let renamed = if self.by_copy {
                rename(&self.to, &self.copy_of(number), &self.to, file)
            } else {
                rename(&self.from, file, &self.to, file)
            };
            renamed.map_err(|error| StoreError::io(&self.to_path.join(file), "put there", error))?;
            placed.push(number);
        }
        // The names must be on the disk before those in the old folder go.
        for number in placed.iter() {
            let file = &self.files[*number];
            let synced = parent_of(&self.to, file).and_then(|folder| {
                // A folder that is only a place in the tree cannot be synced.
                let open = openat(&folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
                Ok(fsync(&open)?)
            });
            synced.map_err(|error| StoreError::io(&self.to_path.join(file.parent().unwrap_or(Path::new(""))), "synced", error))?;
        }
        Ok(())
    }

    /// Undoes what has been put in place.
    fn take_back(&self, placed: &[usize]) {
        for &number in placed.iter().rev() {
            let file = &self.files[number];
            let undone = if self.by_copy { self.to.remove_file(file) } else { rename(&self.to, file, &self.from, file) };
            if let Err(error) = undone {
                tracing::warn!(path = %self.to_path.join(file).display(), %error, "a file that was to be moved cannot be taken back");
            }
            prune(&self.to, file);
        }
        self.drop_copies();
    }

    fn drop_copies(&self) {
        for number in 0..self.files.len() {
            let _ = self.to.remove_file(self.copy_of(number));
        }
        let _ = self.to.remove_dir(Books::FOLDER);
    }

    /// Where a copy is made before it is put in its place.
    fn copy_of(&self, number: usize) -> PathBuf {
        self.books.part.with_extension(format!("{number}.coming"))
    }

    fn copy(&self, number: usize, go_on: &dyn Fn(u64) -> bool) -> Result<(), StoreError> {
        let file = &self.files[number];
        let Some(source) = self.source(file)? else { return Ok(()) };
        let place = self.copy_of(number);
        let trouble = |error| StoreError::io(&self.to_path.join(&place), "written", error);
        make_parent(&self.to, &place).map_err(trouble)?;
        let copy = self.to.create(&place).map_err(trouble)?.into_std();
        if ioctl_ficlone(&copy, &source).is_ok() {
            go_on(source.metadata().map_err(trouble)?.len());
            return Ok(());
        }
        let bytes = source.metadata().map_err(trouble)?.len();
        copy.set_len(bytes).map_err(trouble)?;
        let mut block = vec![0; BLOCK_BYTES];
        let mut at = 0;
        while at < bytes {
            // What was never written takes no room in the copy either.
            let (begin, end) = match data_from(&source, at) {
                Ok(Some(range)) => range,
                Ok(None) => (bytes, bytes),
                Err(_) => (at, bytes),
            };
            let mut done = begin - at;
            at = begin;
            while at < end {
                if !go_on(std::mem::take(&mut done)) {
                    return Err(trouble(io::ErrorKind::Interrupted.into()));
                }
                let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(block.len());
                let read =
                    source.read_at(&mut block[..most], at).map_err(|error| StoreError::io(&self.from_path.join(file), "read", error))?;
                if read == 0 {
                    return Ok(());
                }
                copy.write_all_at(&block[..read], at).map_err(trouble)?;
                at += read as u64;
                done += read as u64;
            }
            go_on(done);
        }
        Ok(())
    }

    /// Has a copy be what the file is, as the disk gives it back.
    fn make_equal(&self, number: usize, go_on: &dyn Fn(u64) -> bool) -> Result<(), StoreError> {
        let file = &self.files[number];
        let place = self.copy_of(number);
        let trouble = |error| StoreError::io(&self.to_path.join(&place), "written", error);
        let Some(source) = self.source(file)? else { return Ok(()) };
        if self.to.metadata(&place).is_err() {
            self.copy(number, go_on)?;
        }
        let mut options = OpenOptions::new();
        let copy = self.to.open_with(&place, options.read(true).write(true)).map_err(trouble)?.into_std();
        let mode = source.metadata().map_err(trouble)?;
        copy.set_permissions(mode.permissions()).map_err(trouble)?;
        copy.set_len(mode.len()).map_err(trouble)?;
        // What is mended is compared again; a disk that does not give back what it was given is not trusted with anything.
        for round in 0..3 {
            copy.sync_all().map_err(trouble)?;
            let _ = fadvise(&copy, 0, None, Advice::DontNeed);
            if !mend(&source, &copy, go_on).map_err(trouble)? {
                // As old as what it is of.
                return mode.modified().and_then(|then| copy.set_modified(then)).map_err(trouble);
            }
            tracing::debug!(path = %self.to_path.join(file).display(), round, "a copy was brought up to date");
        }
        Err(trouble(io::Error::other("the disk does not give back what was written")))
    }

    fn is_same(&self, here: &Path, there: &Path) -> Result<bool, StoreError> {
        let open = |dir: &Dir, path: &Path, folder: &Path| {
            dir.open(path).map(cap_std::fs::File::into_std).map_err(|error| StoreError::io(&folder.join(path), "opened", error))
        };
        let (mut one, mut other) = (open(&self.from, here, &self.from_path)?, open(&self.to, there, &self.to_path)?);
        let (mut left, mut right) = (vec![0; BLOCK_BYTES], vec![0; BLOCK_BYTES]);
        loop {
            let read = fill(&mut one, &mut left).map_err(|error| StoreError::io(&self.from_path.join(here), "read", error))?;
            let beside = fill(&mut other, &mut right).map_err(|error| StoreError::io(&self.to_path.join(there), "read", error))?;
            if left[..read] != right[..beside] {
                return Ok(false);
            }
            if read == 0 {
                return Ok(true);
            }
        }
    }

    fn source(&self, file: &Path) -> Result<Option<File>, StoreError> {
        match self.from.open(file) {
            Ok(file) => Ok(Some(file.into_std())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(&self.from_path.join(file), "opened", error)),
        }
    }

    /// Locks the books in the old folder, where there are any.
    fn lock(&self, patience: Duration) -> Result<Option<Locked>, StoreError> {
        let until = Instant::now() + patience;
        loop {
            if length(&self.from, &self.books.journal, &self.from_path)?.is_none() {
                return Ok(None);
            }
            match lock_books(&self.from, &self.from_path, &self.books) {
                #[expect(clippy::disallowed_methods, reason = "a lock that falls tells nobody; there is a deadline")]
                Err(StoreError::Busy { .. }) if Instant::now() < until => std::thread::sleep(BUSY),
                locked => return locked,
            }
        }
    }
}

/// Writes blocks of `copy` that differ from `source` once more; true when there were any.
fn mend(source: &File, copy: &File, go_on: &dyn Fn(u64) -> bool) -> io::Result<bool> {
    let (mut right, mut there) = (vec![0; BLOCK_BYTES], vec![0; BLOCK_BYTES]);
    let (mut at, mut mended, mut done) = (0, false, 0);
    loop {
        if !go_on(done) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let read = source.read_at(&mut right, at)?;
        if read == 0 {
            return Ok(mended);
        }
        copy.read_exact_at(&mut there[..read], at)?;
        if right[..read] != there[..read] {
            copy.write_all_at(&right[..read], at)?;
            mended = true;
        }
        at += read as u64;
        done = read as u64;
    }
}

fn fill(file: &mut File, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match file.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The first range from `at` on that was ever written; `None` when there is none.
fn data_from(file: &File, at: u64) -> io::Result<Option<(u64, u64)>> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(begin) => Ok(Some((begin, rustix::fs::seek(file, SeekFrom::Hole(begin))?))),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The length of a file, when there is one.
fn length(dir: &Dir, file: &Path, folder: &Path) -> Result<Option<u64>, StoreError> {
    match dir.symlink_metadata(file) {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Err(StoreError::InTheWay { path: folder.join(file), reason: "it is not an ordinary file" }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(&folder.join(file), "looked at", error)),
    }
}

pub(super) fn make_parent(dir: &Dir, file: &Path) -> io::Result<()> {
    match file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => dir.create_dir_all(parent),
        None => Ok(()),
    }
}

/// Renames, and never over something.
pub(super) fn rename(from: &Dir, file: &Path, to: &Dir, place: &Path) -> io::Result<()> {
    let (from, name) = within(from, file)?;
    let (to, other) = within(to, place)?;
    match renameat_with(&from, &name, &to, &other, RenameFlags::NOREPLACE) {
        // Some file systems know no such rename.
        Err(Errno::INVAL | Errno::NOSYS) => match to.symlink_metadata(&other) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => from.rename(&name, &to, &other),
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        },
        renamed => Ok(renamed?),
    }
}

/// The folder of a file, which no link can lead out of, and its name in it.
pub(super) fn within(dir: &Dir, file: &Path) -> io::Result<(Dir, PathBuf)> {
    let name = PathBuf::from(file.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    Ok((parent_of(dir, file)?, name))
}

/// The folder of a file.
fn parent_of(dir: &Dir, file: &Path) -> io::Result<Dir> {
    match file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => dir.open_dir(parent),
        None => dir.try_clone(),
    }
}

/// Takes away the folders of a file that have become empty.
fn prune(dir: &Dir, file: &Path) {
    for folder in file.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        if dir.remove_dir(folder).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
