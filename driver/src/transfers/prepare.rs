//! Looks at a target folder before a download begins: what is ours, what is held, and what must not be touched.

use std::fs::TryLockError;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use hexad_content::sha1_lanes::sha1_one;
use hexad_content::{Contradiction, Layout, Proof, Ranges, SafeNames};
use hexad_core::{Set, ShareId};
use hexad_transfer::journal::{Header, Record, Replay};

use super::check::{Checked, check_all};
use super::elsewhere::{Brought, Elsewhere, bring, parts_within};
use super::error::StoreError;
use super::files::{Files, Key};
use super::log::{Log, boot_id};
use super::store::{Books, Dirty, FileState, Folder, Store};
use crate::Locked;

/// What is to be downloaded, and where to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its id.
    pub share: ShareId,
    /// Its files.
    pub layout: Arc<Layout>,
    /// What proves them.
    pub proof: Proof,
    /// Where they stand below `folder`.
    pub names: SafeNames,
    /// Which files are wanted, one for each file of the layout.
    pub wanted: Vec<bool>,
    /// The target folder; made when it is not there.
    pub folder: PathBuf,
    /// Names the download among others in the same folder, in letters and digits: an info hash. Anything else is replaced by a digest.
    pub identity: String,
}

/// What a target folder held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What is good already.
    pub held: Ranges,
    /// The bytes of the wanted files.
    pub wanted: Ranges,
    /// How much had to be hashed to know.
    pub checked_bytes: u64,
    /// Whether nothing is missing.
    pub complete: bool,
    /// What was brought from elsewhere on this machine.
    pub brought: Vec<Brought>,
}

/// A store that is ready for its download.
pub(crate) struct Prepared {
    pub(crate) store: Store,
    pub(crate) opened: Opened,
}

/// Everything known about the target while it is looked at. Parts are indices into the proof.
struct Survey<'a> {
    target: &'a Target,
    dir: Dir,
    books: Books,
    lock: Option<Locked>,
    header: Header,
    placed: Vec<bool>,
    /// Lengths of the files that are there.
    lengths: Vec<Option<u64>>,
    states: Vec<FileState>,
    /// Files that stand there with something in them, and of which no journal knows.
    strange: Vec<usize>,
    /// Files that are placed for the first time, some of whose bytes may be in the part file.
    moving: Vec<usize>,
    part_file: bool,
    /// What has come from elsewhere on this machine.
    brought: Vec<Brought>,
    synced: Ranges,
    good: Ranges,
    doubtful: Ranges,
}

/// Looks at the target, checks what is doubtful on `threads` threads, and makes it ready for writing. Where the target holds everything that is
/// wanted, nothing is written at all.
pub(crate) fn prepare(
    target: &Target,
    known: &[(usize, Vec<Elsewhere>)],
    number: u64,
    files: Arc<Files>,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Prepared, StoreError> {
    let mut survey = Survey::begin(target)?;
    survey.bring(known);
    survey.look_at_files()?;
    survey.look_at_part_file()?;
    let doubtful: Vec<u32> =
        survey.doubtful.iter().flatten().filter(|&part| survey.readable(part)).filter_map(|part| part.try_into().ok()).collect();
    let checked_bytes = doubtful.iter().map(|&part| target.proof.part_range(part as usize)).map(|range| range.end - range.start).sum();
    let layout = &target.layout;
    let paths = target.names.paths.iter().map(|path| path.as_ref().map(|elements| elements.iter().collect())).collect();
    let mut folder = Folder {
        proof: target.proof.clone(),
        dir: survey.dir.try_clone().map_err(|error| StoreError::io(&target.folder, "opened", error))?,
        path: target.folder.clone(),
        paths,
        placed: survey.placed.clone(),
        books: survey.books.clone(),
        states: Mutex::default(),
        log: Mutex::default(),
        dirty: Mutex::new(Dirty::default()),
        lock: None,
    };
    let mut checked = Checked::default();
    if !doubtful.is_empty() {
        // The check reads through a store that knows no states: it writes nothing.
        let reading = Store::target(number, layout.clone(), folder, files.clone());
        checked = check_all(&reading, &target.proof, &doubtful, threads, progress);
        survey.good.insert_all(&checked.good);
        reading.forget_files();
        folder = reading.into_folder().ok_or(StoreError::Misfit("a target without a folder"))?;
    }
    let wanted: Ranges = (0..layout.files().len()).filter(|&file| target.wanted[file]).map(|file| layout.file_range(file)).collect();
    let wanted_parts: Ranges = wanted.iter().map(|range| survey.parts(range)).collect();
    if wanted_parts.iter().any(|parts| !checked.contradicted.within(parts).is_empty()) {
        return Err(Contradiction.into());
    }
    survey.judge_strangers()?;
    let complete = |good: &Ranges| wanted_parts.iter().all(|parts| good.covers(parts));
    let mut moved = Ranges::new();
    if !complete(&survey.good) || !survey.moving.is_empty() {
        moved = survey.take_moving();
        folder.log = Mutex::new(Some(survey.begin_journal(&moved)?));
        folder.lock = survey.lock.take();
        folder.dirty = Mutex::new(survey.unsynced());
    }
    folder.states = Mutex::new(survey.states.clone());
    let store = Store::target(number, layout.clone(), folder, files);
    survey.move_in(&store, &moved)?;
    for file in
        (0..layout.files().len()).filter(|&file| target.wanted[file] && layout.files()[file].length == 0 && !layout.files()[file].padding)
    {
        store.make_empty(u32::try_from(file).unwrap_or(u32::MAX))?;
    }
    let held = survey.good.iter().flatten().map(|part| target.proof.part_range(usize::try_from(part).unwrap_or(usize::MAX))).collect();
    let complete = complete(&survey.good);
    Ok(Prepared { store, opened: Opened { held, wanted, checked_bytes, complete, brought: survey.brought } })
}

impl<'a> Survey<'a> {
    fn begin(target: &'a Target) -> Result<Self, StoreError> {
        let count = target.layout.files().len();
        if target.names.paths.len() != count || target.wanted.len() != count {
            return Err(StoreError::Misfit("the names do not fit the files"));
        }
        if !target.proof.fits(&target.layout) {
            return Err(StoreError::Misfit("the proof does not fit the files"));
        }
        let trouble = |action| move |error| StoreError::io(&target.folder, action, error);
        std::fs::create_dir_all(&target.folder).map_err(trouble("made"))?;
        let dir = Dir::open_ambient_dir(&target.folder, ambient_authority()).map_err(trouble("opened"))?;
        let identity = identity(target);
        let books = books_of(target);
        let boot = boot_id();
        let journal = target.folder.join(&books.journal);
        let read = || Log::read(&dir, &books.journal).map_err(|error| StoreError::io(&journal, "read", error));
        let mut lock = None;
        let mut replay = None;
        if read()?.is_some() {
            lock = lock_books(&dir, &target.folder, &books)?;
            replay = read()?.and_then(|bytes| Replay::of(&bytes, boot)).filter(|replay| replay.header.identity == identity);
        }
        let was_placed = replay.as_ref().map(|replay| replay.header.placed.clone()).unwrap_or_default();
        let placed: Vec<bool> = (0..count)
            .map(|file| target.names.paths[file].is_some() && (target.wanted[file] || was_placed.contains(file as u64)))
            .collect();
        let header_placed = placed.iter().zip(0_u64..).filter(|(placed, _)| **placed).map(|(_, file)| file..file + 1).collect();
        let mut survey = Self {
            target,
            dir,
            books,
            lock,
            header: Header { identity, boot, placed: header_placed },
            placed,
            lengths: vec![None; count],
            states: vec![FileState::Absent; count],
            strange: Vec::new(),
            moving: Vec::new(),
            part_file: false,
            brought: Vec::new(),
            synced: Ranges::new(),
            good: Ranges::new(),
            doubtful: Ranges::new(),
        };
        if let Some(replay) = replay {
            let all = 0..target.proof.part_count() as u64;
            survey.synced = replay.synced.within(all.clone());
            survey.good = replay.verified.within(all.clone());
            survey.doubtful = replay.doubtful.within(all);
            for file in replay.made.within(0..count as u64).iter().flatten().filter_map(|file| usize::try_from(file).ok()) {
                survey.states[file] = FileState::Ours;
            }
            survey.moving = (0..count).filter(|&file| survey.placed[file] && !was_placed.contains(file as u64)).collect();
        }
        Ok(survey)
    }

    /// The parts that a range of the layout touches.
    fn parts(&self, range: Range<u64>) -> Range<u64> {
        if range.is_empty() {
            return 0..0;
        }
        let part_bytes = self.target.proof.part_bytes();
        range.start / part_bytes..range.end.div_ceil(part_bytes)
    }

    fn file_parts(&self, file: usize) -> Range<u64> {
        self.parts(self.target.layout.file_range(file))
    }

    fn shown(&self, file: usize) -> PathBuf {
        self.relative(file).map(|path| self.target.folder.join(path)).unwrap_or_default()
    }

    fn relative(&self, file: usize) -> Option<PathBuf> {
        self.target.names.paths[file].as_ref().map(|elements| elements.iter().collect())
    }

    /// Parts are no longer known to be good.
    fn doubt(&mut self, parts: Range<u64>) {
        self.doubtful.insert_all(&self.good.within(parts.clone()));
        self.good.remove(parts.clone());
        self.synced.remove(parts);
    }

    /// Parts are known to be missing.
    fn lose(&mut self, parts: Range<u64>) {
        self.good.remove(parts.clone());
        self.synced.remove(parts.clone());
        self.doubtful.remove(parts);
    }

    /// Brings wanted files that are not whole yet and stand elsewhere on this machine. One that cannot be brought is fetched.
    fn bring(&mut self, known: &[(usize, Vec<Elsewhere>)]) {
        for (file, candidates) in known {
            let is_wanted = self.target.wanted.get(*file).copied().unwrap_or(false) && self.placed[*file];
            if !is_wanted || self.target.layout.files()[*file].padding {
                continue;
            }
            let parts = parts_within(&self.target.proof, &self.target.layout, *file);
            let whole = parts.iter().all(|&part| self.good.contains(part as u64));
            // What somebody else has put there is not written over.
            let strange = self.states[*file] != FileState::Ours
                && self.relative(*file).is_some_and(|path| self.dir.symlink_metadata(path).is_ok_and(|found| found.len() > 0));
            if parts.is_empty() || whole || strange {
                continue;
            }
            match bring(self.target, &self.dir, &self.books, *file, candidates) {
                Ok(brought) => self.brought.extend(brought),
                Err(error) => {
                    tracing::warn!(path = %self.shown(*file).display(), %error, "a file that is on this machine already cannot be brought, and is fetched");
                }
            }
        }
        for file in self.brought.iter().map(|brought| brought.file).collect::<Vec<_>>() {
            // It is held against the proof as what was there before.
            self.states[file] = FileState::Suspect;
            self.moving.retain(|moving| *moving != file);
        }
    }

    fn look_at_files(&mut self) -> Result<(), StoreError> {
        let layout = self.target.layout.clone();
        let root = Path::new(&self.target.names.root);
        let nothing_there = matches!(self.dir.symlink_metadata(root), Err(error) if error.kind() == io::ErrorKind::NotFound);
        for (file, entry) in layout.files().iter().enumerate() {
            if !self.placed[file] {
                continue;
            }
            let Some(path) = self.relative(file) else { continue };
            let ours = self.states[file] == FileState::Ours;
            self.lengths[file] = if nothing_there { None } else { look(&self.dir, &path, &self.target.folder)? };
            let parts = self.file_parts(file);
            match self.lengths[file] {
                None => {
                    self.states[file] = FileState::Absent;
                    if self.moving.binary_search(&file).is_err() {
                        self.lose(parts);
                    }
                    continue;
                }
                Some(length) if length > entry.length => {
                    return Err(StoreError::InTheWay {
                        path: self.shown(file),
                        reason: "it is longer than the file that is to be downloaded",
                    });
                }
                Some(length) if ours => {
                    if length < entry.length {
                        self.doubt(parts);
                    }
                }
                Some(0) => self.states[file] = FileState::Ours,
                Some(_) => {
                    // Opened so that a file that may not be read is reported as that, and not as a wrong one.
                    self.dir.open(&path).map_err(|error| StoreError::io(&self.shown(file), "opened", error))?;
                    self.states[file] = FileState::Suspect;
                    self.strange.push(file);
                    self.doubt(parts.clone());
                    self.doubtful.insert(parts);
                }
            }
        }
        let lengths = &self.lengths;
        self.moving.retain(|&file| lengths[file].is_none() && layout.files()[file].length > 0);
        Ok(())
    }

    fn look_at_part_file(&mut self) -> Result<(), StoreError> {
        self.part_file = look(&self.dir, &self.books.part, &self.target.folder)?.is_some();
        if !self.part_file {
            for file in 0..self.placed.len() {
                let elsewhere = !self.placed[file] && self.target.names.paths[file].is_some();
                if elsewhere || self.moving.binary_search(&file).is_ok() {
                    self.lose(self.file_parts(file));
                }
            }
            self.moving.clear();
        }
        Ok(())
    }

    /// Whether every byte of a part is there to be read.
    fn readable(&self, part: u64) -> bool {
        let range = self.target.proof.part_range(usize::try_from(part).unwrap_or(usize::MAX));
        self.target.layout.spans(range).all(|span| {
            let entry = &self.target.layout.files()[span.file];
            if entry.padding {
                return true;
            }
            if !self.placed[span.file] {
                return self.part_file;
            }
            self.lengths[span.file].is_some_and(|length| span.offset + span.length <= length)
        })
    }

    /// Files that were there before: ours when a part of them is right, otherwise refused, or, when no part could tell, only ever compared.
    fn judge_strangers(&mut self) -> Result<(), StoreError> {
        let (part_bytes, total_bytes) = (self.target.proof.part_bytes(), self.target.proof.total_bytes());
        for &file in &self.strange {
            if !self.good.within(self.file_parts(file)).is_empty() {
                self.states[file] = FileState::Ours;
                continue;
            }
            let range = self.target.layout.file_range(file);
            let first_inside = range.start.div_ceil(part_bytes);
            let after_inside = if range.end == total_bytes { range.end.div_ceil(part_bytes) } else { range.end / part_bytes };
            let short = self.lengths[file].is_some_and(|length| length < range.end - range.start);
            if short || first_inside < after_inside || self.good.is_empty() {
                return Err(StoreError::InTheWay {
                    path: self.shown(file),
                    reason: "nothing in it matches the file that is to be downloaded",
                });
            }
        }
        Ok(())
    }

    /// Good parts that touch files which move from the part file to their own places: not good until they are there.
    fn take_moving(&mut self) -> Ranges {
        let moved: Ranges = self
            .moving
            .iter()
            .map(|&file| self.good.within(self.file_parts(file)))
            .flat_map(|parts| parts.iter().collect::<Vec<_>>())
            .collect();
        moved.iter().for_each(|parts| self.doubt(parts));
        moved
    }

    /// Puts a fresh, short journal in place of the one before.
    fn begin_journal(&mut self, moved: &Ranges) -> Result<Log, StoreError> {
        let folder = &self.target.folder;
        match self.dir.create_dir(Books::FOLDER) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io(&folder.join(Books::FOLDER), "made", error));
            }
            _ => {}
        }
        if self.lock.is_none() {
            self.lock = lock_books(&self.dir, folder, &self.books)?;
        }
        for &file in &self.moving {
            self.states[file] = FileState::Claimed;
        }
        let ours = |state: FileState| matches!(state, FileState::Ours | FileState::Claimed);
        let made = self.states.iter().zip(0_u64..).filter(|(state, _)| ours(**state)).map(|(_, file)| file..file + 1).collect();
        let records = [
            Record::Header(self.header.clone()),
            Record::Made(made),
            Record::Verified(self.synced.clone()),
            Record::Synced(3),
            Record::Verified(self.good.clone()),
            Record::Intent(moved.clone()),
        ];
        Log::begin(&self.dir, &self.books.journal, &records)
            .map_err(|error| StoreError::io(&folder.join(&self.books.journal), "written", error))
    }

    /// Files with good parts that the last process wrote and that may not be on the disk itself.
    fn unsynced(&self) -> Dirty {
        let mut unsynced = self.good.clone();
        unsynced.remove_all(&self.synced);
        let of = |file: usize| !unsynced.within(self.file_parts(file)).is_empty();
        let mut files: Set<u32> = (0..self.placed.len())
            .filter(|&file| self.placed[file] && self.lengths[file].is_some() && of(file))
            .filter_map(|file| u32::try_from(file).ok())
            .collect();
        if self.part_file {
            files.insert(Key::PART_FILE);
        }
        Dirty { files, bytes: 0 }
    }

    /// Copies good bytes of files that are wanted from now on from the part file to their places.
    fn move_in(&mut self, store: &Store, moved: &Ranges) -> Result<(), StoreError> {
        let Some(folder) = store.folder().filter(|_| !moved.is_empty()) else { return Ok(()) };
        let part_path = folder.path.join(&folder.books.part);
        let part_file = folder.dir.open(&folder.books.part).map_err(|error| StoreError::io(&part_path, "opened", error))?.into_std();
        let mut block = vec![0; 1 << 20];
        for &file in &self.moving {
            let range = self.target.layout.file_range(file);
            for part in moved.within(self.file_parts(file)).iter().flatten() {
                let part = self.target.proof.part_range(usize::try_from(part).unwrap_or(usize::MAX));
                let mut at = part.start.max(range.start);
                let end = part.end.min(range.end);
                while at < end {
                    let now = usize::try_from(end - at).unwrap_or(usize::MAX).min(block.len());
                    std::os::unix::fs::FileExt::read_exact_at(&part_file, &mut block[..now], at)
                        .map_err(|error| StoreError::io(&part_path, "read", error))?;
                    store.write(at, &[&block[..now]], true)?;
                    at += now as u64;
                }
            }
        }
        folder.verified(moved.clone())?;
        self.good.insert_all(moved);
        self.doubtful.remove_all(moved);
        Ok(())
    }
}

/// The length of a file, when there is one.
fn look(dir: &Dir, path: &Path, folder: &Path) -> Result<Option<u64>, StoreError> {
    match dir.metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(found) if found.is_dir() => Err(StoreError::InTheWay { path: folder.join(path), reason: "it is a folder" }),
        Ok(_) => Err(StoreError::InTheWay { path: folder.join(path), reason: "it is not an ordinary file" }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(&folder.join(path), "looked at", error)),
    }
}

/// What is kept beside the files of a target is called so.
pub(crate) fn books_of(target: &Target) -> Books {
    let given = &target.identity;
    let plain = !given.is_empty() && given.len() <= 64 && given.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Books::of(&if plain { given.clone() } else { hexad_content::Sha1Digest(identity(target)).to_string() })
}

pub(crate) fn lock_books(dir: &Dir, folder: &Path, books: &Books) -> Result<Option<Locked>, StoreError> {
    let path = folder.join(&books.lock);
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    let file = dir.open_with(&books.lock, &options).map_err(|error| StoreError::io(&path, "opened", error))?.into_std();
    match Locked::take(file) {
        Ok(lock) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy { path: folder.to_owned() }),
        // Some file systems know no locks; better a download without one than none.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// A digest of all that a journal's parts and files mean.
fn identity(target: &Target) -> [u8; 20] {
    let mut bytes = target.proof.identity();
    for (file, path) in target.layout.files().iter().zip(&target.names.paths) {
        bytes.extend_from_slice(&file.length.to_le_bytes());
        bytes.push(u8::from(file.padding));
        for element in path.iter().flatten() {
            bytes.extend_from_slice(element.as_bytes());
            bytes.push(b'/');
        }
        bytes.push(0);
    }
    sha1_one(&bytes).0
}
