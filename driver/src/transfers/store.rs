//! Where the bytes of one layout are on disk, and how they are read and written.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use hexad_content::{Layout, Proof, Ranges};
use hexad_core::Set;
use hexad_transfer::journal::Record;
use rustix::io::{Errno, ReadWriteFlags};

use super::elsewhere::own_bytes;
use super::error::StoreError;
use super::files::{Files, Key};
use super::log::Log;
use crate::Locked;

/// Zeros that may be read beyond the end of a layout: BitTorrent v2 pads its last piece too, and libtorrent 2.0.8 asks for whole blocks of it.
const TAIL_BYTES: u64 = (16 << 10) - 1;

/// What a system call takes at most.
const SLICES_MAX: usize = 1024;

/// One layout on disk.
#[derive(Debug)]
pub(crate) struct Store {
    /// Tells it from other stores.
    pub(crate) number: u64,
    /// Its files.
    pub(crate) layout: Arc<Layout>,
    files: Arc<Files>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Files that are only read, wherever they stand; `None` for padding.
    Seed(Vec<Option<PathBuf>>),
    Target(Box<Folder>),
}

/// The files of a download, below a folder that nothing can lead out of.
#[derive(Debug)]
pub(crate) struct Folder {
    /// What proves the layout.
    pub(crate) proof: Proof,
    /// The folder.
    pub(crate) dir: Dir,
    /// The folder, for messages.
    pub(crate) path: PathBuf,
    /// Where each file stands below it; `None` for padding.
    pub(crate) paths: Vec<Option<PathBuf>>,
    /// Which files stand under their own names; the bytes of others go to the part file.
    pub(crate) placed: Vec<bool>,
    /// Where journal and part file are.
    pub(crate) books: Books,
    /// What each file is to us.
    pub(crate) states: Mutex<Vec<FileState>>,
    /// The journal; `None` where nothing will be written.
    pub(crate) log: Mutex<Option<Log>>,
    /// What was written since the last sync.
    pub(crate) dirty: Mutex<Dirty>,
    /// Locked as long as it is open, so that no other process downloads the same to here.
    pub(crate) lock: Option<Locked>,
}

/// The names of what is kept beside the files.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    /// The journal.
    pub(crate) journal: PathBuf,
    /// Bytes of files that are not wanted, at their positions in the layout.
    pub(crate) part: PathBuf,
    /// Held locked by who downloads.
    pub(crate) lock: PathBuf,
}

impl Books {
    /// The folder of all of them.
    pub(crate) const FOLDER: &str = ".hexad";

    /// For the download of that name.
    pub(crate) fn of(identity: &str) -> Self {
        let named = |ending: &str| Path::new(Self::FOLDER).join(format!("{identity}.{ending}"));
        Self { journal: named("journal"), part: named("part"), lock: named("lock") }
    }
}

/// What a file of a download is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    /// Not there: made when first written to, and only if it is still not there.
    Absent,
    /// The journal says that we make it.
    Claimed,
    /// We made it, or its bytes were proven to be of this download.
    Ours,
    /// It was there before, of the right length, and nothing could be proven about it: compared, never written.
    Suspect,
}

/// What a sync has to bring to the disk.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    /// Which files; [`Key::PART_FILE`] for the part file.
    pub(crate) files: Set<u32>,
    /// How much was written to them.
    pub(crate) bytes: u64,
}

impl Store {
    /// Files that are only read.
    pub(crate) fn seed(number: u64, layout: Arc<Layout>, paths: Vec<Option<PathBuf>>, files: Arc<Files>) -> Self {
        Self { number, layout, files, place: Place::Seed(paths) }
    }

    /// Files of a download.
    pub(crate) fn target(number: u64, layout: Arc<Layout>, folder: Folder, files: Arc<Files>) -> Self {
        Self { number, layout, files, place: Place::Target(Box::new(folder)) }
    }

    /// The folder of a download; `None` for files that are only read.
    pub(crate) fn folder(&self) -> Option<&Folder> {
        match &self.place {
            Place::Seed(_) => None,
            Place::Target(folder) => Some(folder),
        }
    }

    /// The folder of a download, which then is no store's.
    pub(crate) fn into_folder(self) -> Option<Folder> {
        match self.place {
            Place::Seed(_) => None,
            Place::Target(folder) => Some(*folder),
        }
    }

    /// Lets go of all descriptors.
    pub(crate) fn forget_files(&self) {
        self.files.forget(self.number);
    }

    /// The path of a file for messages.
    pub(crate) fn shown(&self, file: u32) -> PathBuf {
        match &self.place {
            Place::Seed(paths) => paths.get(file as usize).cloned().flatten().unwrap_or_default(),
            Place::Target(folder) => folder.path.join(folder.relative(file)),
        }
    }

    /// Fills `parts` one after the other with what stands from `offset` on; padding is zeros, and so is what a block has beyond the last file
    /// ([`TAIL_BYTES`]).
    pub(crate) fn read(&self, offset: u64, parts: &mut [IoSliceMut<'_>], cached_only: bool) -> io::Result<()> {
        let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
        if offset.checked_add(length).is_none_or(|end| end > self.layout.total_bytes() + TAIL_BYTES) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "beyond the end of the layout"));
        }
        let mut rest = parts.iter_mut().map(|part| &mut **part).collect::<Vec<&mut [u8]>>().into_iter();
        let mut head: &mut [u8] = &mut [];
        for span in self.layout.spans(offset..offset + length) {
            let mut slices = Vec::with_capacity(rest.len() + 1);
            let mut left = usize::try_from(span.length).unwrap_or(usize::MAX);
            while left > 0 {
                if head.is_empty() {
                    let Some(next) = rest.next() else { break };
                    head = next;
                }
                let count = left.min(head.len());
                let (now, later) = std::mem::take(&mut head).split_at_mut(count);
                left -= now.len();
                slices.push(IoSliceMut::new(now));
                head = later;
            }
            let Ok(file) = u32::try_from(span.file) else { continue };
            if self.layout.files()[span.file].padding {
                slices.iter_mut().for_each(|slice| slice.fill(0));
                continue;
            }
            let (key, position) = self.place_of(file, span.offset);
            let open = self.reader(key).map_err(StoreError::into_io)?;
            read_exact(&open, &mut slices, position, cached_only)?;
        }
        head.fill(0);
        rest.for_each(|slice| slice.fill(0));
        Ok(())
    }

    /// Writes `slices`, which follow one another, from `offset` on. Files must be claimed. `proven` bytes are compared where a file is
    /// suspect; others must not meet one.
    pub(crate) fn write(&self, offset: u64, slices: &[&[u8]], proven: bool) -> Result<(), StoreError> {
        let Some(folder) = self.folder() else { return Err(StoreError::Misfit("a share that is only read cannot be written")) };
        let length: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
        let mut rest = slices.iter();
        let mut head: &[u8] = &[];
        for span in self.layout.spans(offset..offset + length) {
            let mut taken = Vec::with_capacity(rest.len() + 1);
            let mut left = usize::try_from(span.length).unwrap_or(usize::MAX);
            while left > 0 {
                if head.is_empty() {
                    let Some(next) = rest.next() else { break };
                    head = next;
                }
                let (now, later) = head.split_at(left.min(head.len()));
                left -= now.len();
                taken.push(IoSlice::new(now));
                head = later;
            }
            let Ok(file) = u32::try_from(span.file) else { continue };
            let entry = &self.layout.files()[span.file];
            if entry.padding {
                continue;
            }
            let (key, position) = self.place_of(file, span.offset);
            if key.file != Key::PART_FILE && folder.state(file) == FileState::Suspect {
                self.compare(key, position, &taken, proven)?;
                continue;
            }
            let open = self.writer(folder, key, span.length < entry.length)?;
            write_all(&open, &mut taken, position).map_err(|error| StoreError::io(&self.path_of(key), "written", error))?;
            folder.note_dirty(key.file, span.length);
        }
        Ok(())
    }

    /// Takes away what was kept beside the files, unless the part file holds something that may be wanted later.
    pub(crate) fn tidy(&self) -> Result<(), StoreError> {
        let Some(folder) = self.folder() else { return Ok(()) };
        let elsewhere = self.layout.files().iter().zip(&folder.placed).any(|(entry, placed)| !entry.padding && entry.length > 0 && !placed);
        if elsewhere && folder.dir.metadata(&folder.books.part).is_ok() {
            return Ok(());
        }
        *folder.log() = None;
        for name in [&folder.books.journal, &folder.books.part, &folder.books.lock] {
            match folder.dir.remove_file(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io(&folder.path.join(name), "removed", error));
                }
                _ => {}
            }
        }
        // Other downloads may keep their books there.
        let _ = folder.dir.remove_dir(Books::FOLDER);
        Ok(())
    }

    /// Makes an empty file of the layout, when it is not there.
    pub(crate) fn make_empty(&self, file: u32) -> Result<(), StoreError> {
        match self.folder() {
            Some(folder) if folder.state(file) == FileState::Absent => self.writer(folder, self.place_of(file, 0).0, false).map(drop),
            _ => Ok(()),
        }
    }

    /// Brings to the disk what was written since the last time, and says so in the journal. Returns whether there was anything.
    pub(crate) fn sync(&self) -> Result<bool, StoreError> {
        let Some(folder) = self.folder() else { return Ok(false) };
        let trouble = |path: &Path, error: io::Error| StoreError::io(path, "synced", error);
        // The mark is taken before the list of files: whatever a record below it tells of was on the list by then, or on the disk.
        let mark = {
            let log = folder.log();
            let Some(log) = log.as_ref() else { return Ok(false) };
            log.records()
        };
        let dirty = std::mem::take(&mut *folder.dirty());
        if dirty.files.is_empty() {
            return Ok(false);
        }
        let synced = if dirty.files.len() > 64 {
            rustix::fs::syncfs(&folder.dir).map_err(|error| trouble(&folder.path, error.into()))
        } else {
            dirty.files.iter().try_for_each(|&file| {
                let key = Key { store: self.number, file, writable: false };
                let open = match self.reader(key) {
                    // Who took the file away has no use for its bytes.
                    Err(StoreError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    open => open?,
                };
                open.sync_data().map_err(|error| trouble(&self.path_of(key), error))
            })
        };
        if let Err(error) = synced {
            let mut again = folder.dirty();
            again.files.extend(&dirty.files);
            return Err(error);
        }
        let handle = {
            let mut log = folder.log();
            let Some(log) = log.as_mut() else { return Ok(true) };
            let journal = folder.path.join(&folder.books.journal);
            log.append(&[Record::Synced(mark)]).and_then(|()| log.handle()).map_err(|error| trouble(&journal, error))?
        };
        handle.sync_data().map_err(|error| trouble(&folder.path.join(&folder.books.journal), error))?;
        Ok(true)
    }

    fn place_of(&self, file: u32, offset: u64) -> (Key, u64) {
        let writable = false;
        match &self.place {
            Place::Target(folder) if !folder.placed[file as usize] => {
                (Key { store: self.number, file: Key::PART_FILE, writable }, self.layout.file_range(file as usize).start + offset)
            }
            _ => (Key { store: self.number, file, writable }, offset),
        }
    }

    fn path_of(&self, key: Key) -> PathBuf {
        match &self.place {
            Place::Target(folder) if key.file == Key::PART_FILE => folder.path.join(&folder.books.part),
            _ => self.shown(key.file),
        }
    }

    fn reader(&self, key: Key) -> Result<Arc<File>, StoreError> {
        if let Some(open) = self.files.find(Key { writable: true, ..key }).or_else(|| self.files.find(key)) {
            return Ok(open);
        }
        let opened = match &self.place {
            Place::Seed(_) => File::open(self.path_of(key)),
            Place::Target(folder) => folder.dir.open(folder.relative(key.file)).map(cap_std::fs::File::into_std),
        };
        opened.map(|file| self.files.keep(key, file)).map_err(|error| StoreError::io(&self.path_of(key), "opened", error))
    }

    /// The file, open for writing; made when it is not there, with all its length when `lengthen`.
    fn writer(&self, folder: &Folder, key: Key, lengthen: bool) -> Result<Arc<File>, StoreError> {
        let key = Key { writable: true, ..key };
        if let Some(open) = self.files.find(key) {
            return Ok(open);
        }
        // Two workers must not make the same file.
        let mut states = folder.states();
        if let Some(open) = self.files.find(key) {
            return Ok(open);
        }
        let entry = self.layout.files().get(key.file as usize);
        let fresh = states.get(key.file as usize).is_some_and(|state| *state != FileState::Ours);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(!fresh).create_new(fresh);
        options.mode(if entry.is_some_and(|entry| entry.executable) { 0o777 } else { 0o666 });
        let path = folder.relative(key.file);
        let trouble = |error| StoreError::io(&self.path_of(key), "written", error);
        if !fresh && entry.is_some() {
            match own_bytes(&folder.dir, path, &folder.books, key.file) {
                // Who reads goes on with what was there before, in which all is good that was.
                Ok(true) => self.files.drop_one(Key { writable: false, ..key }),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(trouble(error)),
            }
        }
        let opened = match folder.dir.open_with(path, &options) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(Path::new(""));
                folder.dir.create_dir_all(parent).map_err(|error| StoreError::io(&folder.path.join(parent), "made", error))?;
                folder.dir.open_with(path, &options)
            }
            Err(error) if fresh && error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(StoreError::InTheWay { path: self.path_of(key), reason: "it was put there after the download began" });
            }
            opened => opened,
        };
        let file = opened.map_err(trouble)?.into_std();
        if let Some(entry) = entry
            && lengthen
            && (fresh || file.metadata().map_err(trouble)?.len() < entry.length)
        {
            file.set_len(entry.length).map_err(trouble)?;
        }
        if let Some(state) = states.get_mut(key.file as usize) {
            *state = FileState::Ours;
        }
        Ok(self.files.keep(key, file))
    }

    fn compare(&self, key: Key, position: u64, right: &[IoSlice<'_>], proven: bool) -> Result<(), StoreError> {
        let foreign = || StoreError::InTheWay { path: self.path_of(key), reason: "it differs from the file that is being downloaded" };
        if !proven {
            return Err(foreign());
        }
        let open = self.reader(key)?;
        let mut at = position;
        for slice in right {
            let mut there = vec![0; slice.len()];
            open.read_exact_at(&mut there, at).map_err(|error| StoreError::io(&self.path_of(key), "read", error))?;
            if there != **slice {
                return Err(foreign());
            }
            at += slice.len() as u64;
        }
        Ok(())
    }
}

impl Folder {
    /// Writes into the journal what is about to happen: which files we make, so that we may, and which parts are written.
    pub(crate) fn intend(
        &self,
        layout: &Layout,
        ranges: impl Iterator<Item = Range<u64>>,
        parts: Option<Ranges>,
    ) -> Result<(), StoreError> {
        let mut log = self.log();
        let mut made = Ranges::new();
        {
            let mut states = self.states();
            for span in ranges.flat_map(|range| layout.spans(range)) {
                if self.placed[span.file] && states[span.file] == FileState::Absent && !layout.files()[span.file].padding {
                    states[span.file] = FileState::Claimed;
                    made.insert(span.file as u64..span.file as u64 + 1);
                }
            }
        }
        let made = Some(made).filter(|made| !made.is_empty());
        let records: Vec<Record> = made.clone().map(Record::Made).into_iter().chain(parts.map(Record::Intent)).collect();
        let appended = self.append(&mut log, &records);
        if appended.is_err() {
            let mut states = self.states();
            for file in made.iter().flat_map(Ranges::iter).flatten() {
                if let Some(state) = usize::try_from(file).ok().and_then(|file| states.get_mut(file)) {
                    *state = FileState::Absent;
                }
            }
        }
        appended
    }

    /// Writes into the journal that parts are good.
    pub(crate) fn verified(&self, parts: Ranges) -> Result<(), StoreError> {
        if parts.is_empty() {
            return Ok(());
        }
        self.append(&mut self.log(), &[Record::Verified(parts)])
    }

    fn append(&self, log: &mut Option<Log>, records: &[Record]) -> Result<(), StoreError> {
        let Some(log) = log.as_mut().filter(|_| !records.is_empty()) else { return Ok(()) };
        log.append(records).map_err(|error| StoreError::io(&self.path.join(&self.books.journal), "written", error))
    }

    /// What a file is to us.
    pub(crate) fn state(&self, file: u32) -> FileState {
        self.states().get(file as usize).copied().unwrap_or(FileState::Ours)
    }

    /// Where a file stands below the folder.
    pub(crate) fn relative(&self, file: u32) -> &Path {
        if file == Key::PART_FILE {
            return &self.books.part;
        }
        self.paths.get(file as usize).and_then(Option::as_deref).unwrap_or(Path::new(""))
    }

    /// The journal.
    pub(crate) fn log(&self) -> MutexGuard<'_, Option<Log>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each file is to us.
    pub(crate) fn states(&self) -> MutexGuard<'_, Vec<FileState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written since the last sync.
    pub(crate) fn dirty(&self) -> MutexGuard<'_, Dirty> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_dirty(&self, file: u32, bytes: u64) {
        let mut dirty = self.dirty();
        dirty.files.insert(file);
        dirty.bytes += bytes;
    }
}

/// Whether the system knows how to read from its cache only; learned by trying.
static CACHE_ONLY_READS: AtomicBool = AtomicBool::new(true);

fn read_exact(file: &File, mut slices: &mut [IoSliceMut<'_>], mut position: u64, cached_only: bool) -> io::Result<()> {
    while !slices.is_empty() {
        let few = slices.len().min(SLICES_MAX);
        let cached = cached_only && CACHE_ONLY_READS.load(Ordering::Relaxed);
        let read = match slices {
            [one] if !cached => rustix::io::pread(file, &mut **one, position),
            _ if cached => rustix::io::preadv2(file, &mut slices[..few], position, ReadWriteFlags::NOWAIT),
            _ => rustix::io::preadv(file, &mut slices[..few], position),
        };
        match read {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                position += count as u64;
                IoSliceMut::advance_slices(&mut slices, count);
            }
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) if cached => CACHE_ONLY_READS.store(false, Ordering::Relaxed),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn write_all(file: &File, mut slices: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
    while !slices.is_empty() {
        let few = slices.len().min(SLICES_MAX);
        let written = match slices {
            [one] => rustix::io::pwrite(file, one, position),
            _ => rustix::io::pwritev(file, &slices[..few], position),
        };
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                position += count as u64;
                IoSlice::advance_slices(&mut slices, count);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
