//! What one owner offers: records one after the other, and where each path is.

use crate::dictionary::hash;
use crate::record::{self, File, NewFile, split};

/// One owner and his files.
#[derive(Debug, Default)]
pub(crate) struct Owner {
    /// Not yet leaving.
    pub(crate) alive: bool,
    arena: Vec<u8>,
    /// By hash of the path: where its record begins. Sorted.
    files: Vec<(u32, u32)>,
    /// The folder that was written last, as files come folder by folder: where, and how long.
    folder: (u32, usize),
    /// Bytes of records that are no longer needed.
    waste_bytes: usize,
}

impl Owner {
    pub(crate) fn new() -> Self {
        Self { alive: true, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.arena.capacity() + self.files.capacity() * 8
    }

    /// The entry's number and the file at `at`.
    pub(crate) fn file(&self, at: u32) -> (u32, File<'_>) {
        record::read(&self.arena, at)
    }

    /// Where the record of a path is.
    pub(crate) fn find(&self, seed: u64, path: &[u8]) -> Option<u32> {
        let key = key(seed, path);
        let first = self.files.partition_point(|&(other, _)| other < key);
        let same = self.files[first..].iter().take_while(|&&(other, _)| other == key);
        let (folder, name) = path.split_at(split(path));
        same.map(|&(_, at)| at).find(|&at| {
            let file = self.file(at).1;
            file.folder == folder && file.name == name
        })
    }

    /// Whether another file has room in the arena.
    pub(crate) fn has_room(&self, file: &NewFile<'_>) -> bool {
        u32::try_from(self.arena.len() + record::bytes_max(file)).is_ok()
    }

    /// Adds a file that is not there. Returns where its record is.
    pub(crate) fn add(&mut self, seed: u64, entry: u32, file: &NewFile<'_>) -> u32 {
        grow(&mut self.arena, record::bytes_max(file));
        let folder = &file.path[..split(file.path)];
        let (at, len) = self.folder;
        if self.arena.get(at as usize..at as usize + len) != Some(folder) {
            self.folder = (u32::try_from(self.arena.len()).unwrap_or(0), folder.len());
            self.arena.extend_from_slice(folder);
        }
        let at = u32::try_from(self.arena.len()).unwrap_or(0);
        record::write(&mut self.arena, entry, self.folder.0, file);
        let place = (key(seed, file.path), at);
        let index = self.files.partition_point(|other| *other < place);
        if self.files.len() == self.files.capacity() {
            self.files.reserve_exact((self.files.len() / 8).max(8));
        }
        self.files.insert(index, place);
        at
    }

    /// Takes a path out. What `moved` hears are entries whose record is elsewhere now.
    pub(crate) fn remove(&mut self, seed: u64, path: &[u8], mut moved: impl FnMut(u32, u32)) {
        let Some(at) = self.find(seed, path) else { return };
        let key = key(seed, path);
        if let Ok(index) = self.files.binary_search(&(key, at)) {
            self.files.remove(index);
        }
        self.waste_bytes += path.len() + 40;
        if self.waste_bytes > 4096 && self.waste_bytes > self.arena.len() / 2 {
            let before = std::mem::replace(self, Self { alive: self.alive, ..Self::default() });
            for &(_, at) in &before.files {
                let (entry, file) = before.file(at);
                let (path, token) = (file.path(), file.token());
                let File { size_bytes, bitrate_kbps, frequency_hz, seconds, kind, .. } = file;
                let copy = NewFile { path: &path, token: &token, size_bytes, bitrate_kbps, frequency_hz, seconds, kind };
                moved(entry, self.add(seed, entry, &copy));
            }
        }
    }

    /// Where a record is that is to be cleared next; it no longer counts. Only for owners who leave.
    pub(crate) fn pop(&mut self) -> Option<u32> {
        self.files.pop().map(|(_, at)| at)
    }

    /// All records' places, in the order of their paths' hashes.
    pub(crate) fn places(&self) -> impl Iterator<Item = u32> + '_ {
        self.files.iter().map(|&(_, at)| at)
    }
}

fn key(seed: u64, path: &[u8]) -> u32 {
    u32::try_from(hash(seed, path) >> 32).unwrap_or(0)
}

/// Makes room for `bytes` more, an eighth at a time: a quarter of all owners' memory would be air otherwise.
fn grow(arena: &mut Vec<u8>, bytes: usize) {
    if arena.capacity() - arena.len() < bytes {
        arena.reserve_exact((arena.len() / 8).max(bytes));
    }
}
