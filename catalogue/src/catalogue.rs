//! The catalogue: owners, their files, and what finds them.

use std::collections::{BTreeSet, VecDeque};

use thiserror::Error;

use crate::dictionary::{Dictionary, WordId, hash};
use crate::owner::Owner;
use crate::postings::Postings;
use crate::record::{File, NewFile};
use crate::words::words_of;

/// Bounds of a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Owners at a time, those being removed included.
    pub owners_max: u32,
    /// Files of all owners together.
    pub files_max: u32,
    /// Files of one owner.
    pub owner_files_max: usize,
    /// A longer path is refused.
    pub path_bytes_max: usize,
    /// A longer token is refused.
    pub token_bytes_max: usize,
    /// Words of one file that can be found; of more, the first ones are left out, since the file's own name comes last.
    pub file_words_max: usize,
    /// Parts of the path, counted from its end, whose words can be found.
    pub path_parts: usize,
    /// Files that one search looks at.
    pub examined_max: u32,
    /// Keys the hashes, so that nobody outside can choose what collides.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            owners_max: 100_000,
            files_max: 20_000_000,
            owner_files_max: 10_000,
            path_bytes_max: 1024,
            token_bytes_max: 64,
            file_words_max: 31,
            path_parts: 3,
            examined_max: 10_000,
            seed: 0,
        }
    }
}

impl Config {
    /// Writes the words of the last parts of a path over `words`, and returns how many there are.
    fn split(&self, path: &[u8], words: &mut Vec<String>) -> usize {
        let separator = |byte: &u8| *byte == b'\\' || *byte == b'/';
        let parts = self.path_parts.max(1);
        let from = path.iter().enumerate().rev().filter(|(_, byte)| separator(byte)).nth(parts - 1).map_or(0, |(place, _)| place + 1);
        let mut count = 0;
        words_of(&path[from..], |word| {
            match words.get_mut(count) {
                Some(place) => {
                    place.clear();
                    place.push_str(word);
                }
                None => words.push(word.to_owned()),
            }
            count += 1;
            // A path is bounded, and so are its words.
            true
        });
        count
    }
}

/// Number of an owner. Given to another only when everything of the one before is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(pub u32);

/// Why a file is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The owner has that path already.
    #[error("duplicate file")]
    Duplicate,
    /// Path or token is longer than allowed.
    #[error("filename too long")]
    TooLong,
    /// The owner has as many files as he may.
    #[error("too many files of one owner")]
    OwnerFull,
    /// The catalogue has as many files as it may.
    #[error("the catalogue is full")]
    Full,
    /// There is no such owner, or he is leaving.
    #[error("no such owner")]
    NoOwner,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Owners, those who are leaving not counted.
    pub owners: usize,
    /// Files that can be found.
    pub files: usize,
    /// Files of owners who are leaving, not yet cleared.
    pub leaving_files: usize,
    /// Bytes of those that can be found.
    pub file_bytes: u64,
    /// Different words.
    pub words: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// [`NOBODY`] where the number is free.
    owner: u32,
    at: u32,
}

const NOBODY: u32 = u32::MAX;

/// Owners and their files.
#[derive(Debug)]
pub struct Catalogue {
    config: Config,
    dictionary: Dictionary,
    owners: Vec<Owner>,
    free_owners: Vec<u32>,
    entries: Vec<Entry>,
    free_entries: Vec<u32>,
    /// Hash of a token in the high half, the entry in the low one.
    tokens: BTreeSet<u64>,
    /// Owners who leave, the one being cleared first.
    leaving: VecDeque<u32>,
    usage: Usage,
    words: Vec<String>,
}

impl Catalogue {
    /// An empty catalogue.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            dictionary: Dictionary::new(config.seed),
            config,
            owners: Vec::new(),
            free_owners: Vec::new(),
            entries: Vec::new(),
            free_entries: Vec::new(),
            tokens: BTreeSet::new(),
            leaving: VecDeque::new(),
            usage: Usage::default(),
            words: Vec::new(),
        }
    }

    /// Its bounds.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How much there is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage { words: self.dictionary.len(), ..self.usage }
    }

    /// Lets another owner in; `None` when there are as many as may be.
    pub fn add_owner(&mut self) -> Option<OwnerId> {
        let id = match self.free_owners.pop() {
            Some(id) => {
                self.owners[id as usize] = Owner::new();
                id
            }
            None => {
                let id = u32::try_from(self.owners.len()).ok().filter(|&id| id < self.config.owners_max)?;
                self.owners.push(Owner::new());
                id
            }
        };
        self.usage.owners += 1;
        Some(OwnerId(id))
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When it is there already, or over a bound, or the owner is not there.
    pub fn add(&mut self, owner: OwnerId, file: &NewFile<'_>) -> Result<(), Refusal> {
        let offers = self.owners.get(owner.0 as usize).filter(|owner| owner.alive).ok_or(Refusal::NoOwner)?;
        if file.path.len() > self.config.path_bytes_max || file.token.len() > self.config.token_bytes_max {
            return Err(Refusal::TooLong);
        }
        if offers.find(self.config.seed, file.path).is_some() {
            return Err(Refusal::Duplicate);
        }
        if offers.len() >= self.config.owner_files_max || !offers.has_room(file) {
            return Err(Refusal::OwnerFull);
        }
        let entry = match self.free_entries.pop() {
            Some(entry) => entry,
            None => {
                let entry = u32::try_from(self.entries.len()).ok().filter(|&entry| entry < self.config.files_max).ok_or(Refusal::Full)?;
                self.entries.push(Entry { owner: NOBODY, at: 0 });
                entry
            }
        };
        let at = self.owners[owner.0 as usize].add(self.config.seed, entry, file);
        self.entries[entry as usize] = Entry { owner: owner.0, at };
        self.each_word(file.path, |dictionary, word| dictionary.add(word, entry));
        if !file.token.is_empty() {
            self.tokens.insert(self.token_key(file.token, entry));
        }
        self.usage.files += 1;
        self.usage.file_bytes = self.usage.file_bytes.saturating_add(file.size_bytes);
        Ok(())
    }

    /// Takes one file of an owner out. Returns whether he had it.
    pub fn remove(&mut self, owner: OwnerId, path: &[u8]) -> bool {
        let Some(offers) = self.owners.get(owner.0 as usize).filter(|owner| owner.alive) else { return false };
        let Some(at) = offers.find(self.config.seed, path) else { return false };
        let size_bytes = self.clear(owner.0, at);
        let Self { owners, entries, config, .. } = self;
        owners[owner.0 as usize].remove(config.seed, path, |entry, at| entries[entry as usize].at = at);
        self.usage.files -= 1;
        self.usage.file_bytes = self.usage.file_bytes.saturating_sub(size_bytes);
        true
    }

    /// Takes an owner out of all answers at once. What he leaves is cleared by [`Self::step`].
    pub fn begin_remove(&mut self, owner: OwnerId) {
        let Some(offers) = self.owners.get_mut(owner.0 as usize).filter(|owner| owner.alive) else { return };
        offers.alive = false;
        let (count, bytes) =
            offers.places().fold((0, 0_u64), |(count, bytes), at| (count + 1, bytes.saturating_add(offers.file(at).1.size_bytes)));
        self.usage.owners -= 1;
        self.usage.files -= count;
        self.usage.leaving_files += count;
        self.usage.file_bytes = self.usage.file_bytes.saturating_sub(bytes);
        self.leaving.push_back(owner.0);
    }

    /// Clears up to `budget` files of owners who leave. Returns whether there is more to clear.
    pub fn step(&mut self, budget: usize) -> bool {
        let mut left = budget;
        while let Some(&owner) = self.leaving.front().filter(|_| left > 0) {
            match self.owners[owner as usize].pop() {
                Some(at) => {
                    self.clear(owner, at);
                    self.usage.leaving_files -= 1;
                    left -= 1;
                }
                None => {
                    self.owners[owner as usize] = Owner::default();
                    self.free_owners.push(owner);
                    self.leaving.pop_front();
                }
            }
        }
        !self.leaving.is_empty()
    }

    /// How many files an owner offers.
    #[must_use]
    pub fn owner_files(&self, owner: OwnerId) -> usize {
        self.owners.get(owner.0 as usize).filter(|owner| owner.alive).map_or(0, Owner::len)
    }

    /// An owner's file of that path.
    #[must_use]
    pub fn file(&self, owner: OwnerId, path: &[u8]) -> Option<File<'_>> {
        let offers = self.owners.get(owner.0 as usize).filter(|owner| owner.alive)?;
        offers.find(self.config.seed, path).map(|at| offers.file(at).1)
    }

    /// All files of an owner, in no particular but always the same order.
    pub fn files(&self, owner: OwnerId) -> impl Iterator<Item = File<'_>> {
        let offers = self.owners.get(owner.0 as usize).filter(|owner| owner.alive);
        offers.into_iter().flat_map(|offers| offers.places().map(|at| offers.file(at).1))
    }

    /// Calls `take` with every file of that token (upper and lower case are the same), until it returns `false` or as many were looked at as a
    /// search may.
    pub fn with_token(&self, token: &[u8], mut take: impl FnMut(OwnerId, &File<'_>) -> bool) {
        let first = self.token_key(token, 0);
        let same = self.tokens.range(first..=first | u64::from(u32::MAX)).take(self.config.examined_max as usize);
        for &key in same {
            let entry = u32::try_from(key & u64::from(u32::MAX)).unwrap_or(NOBODY);
            let Some((owner, file)) = self.living(entry) else { continue };
            if file.token().eq_ignore_ascii_case(token) && !take(owner, &file) {
                return;
            }
        }
    }

    /// Bytes of memory of owners' arenas; what the index over them takes comes on top.
    #[must_use]
    pub fn arena_bytes(&self) -> usize {
        self.owners.iter().map(Owner::memory_bytes).sum()
    }

    pub(crate) fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    pub(crate) fn word(&self, word: &str) -> Option<WordId> {
        self.dictionary.find(word)
    }

    pub(crate) fn postings(&self, word: WordId) -> &Postings {
        self.dictionary.postings(word)
    }

    /// One more than the greatest number of an entry.
    pub(crate) fn entry_count(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// The file of an entry, unless its owner is leaving.
    pub(crate) fn living(&self, entry: u32) -> Option<(OwnerId, File<'_>)> {
        let Entry { owner, at } = *self.entries.get(entry as usize)?;
        let offers = self.owners.get(owner as usize).filter(|owner| owner.alive)?;
        Some((OwnerId(owner), offers.file(at).1))
    }

    /// Takes what finds a record out, and gives its number free. Returns the file's size.
    fn clear(&mut self, owner: u32, at: u32) -> u64 {
        let (entry, file) = self.owners[owner as usize].file(at);
        let (path, token, size_bytes) = (file.path(), file.token().into_owned(), file.size_bytes);
        self.each_word(&path, |dictionary, word| dictionary.remove(word, entry));
        if !token.is_empty() {
            self.tokens.remove(&self.token_key(&token, entry));
        }
        self.entries[entry as usize] = Entry { owner: NOBODY, at: 0 };
        self.free_entries.push(entry);
        size_bytes
    }

    /// The words by which a file of that path can be found, each once.
    #[must_use]
    pub fn words_of(&self, path: &[u8]) -> Vec<String> {
        let mut words = Vec::new();
        let count = self.config.split(path, &mut words);
        words.truncate(count);
        let mut words = words.split_off(count.saturating_sub(self.config.file_words_max));
        words.sort_unstable();
        words.dedup();
        words
    }

    /// Calls `act` with each word of a path that can be found, once.
    fn each_word(&mut self, path: &[u8], mut act: impl FnMut(&mut Dictionary, &str)) {
        let count = self.config.split(path, &mut self.words);
        let first = count.saturating_sub(self.config.file_words_max);
        for index in first..count {
            if !self.words[first..index].contains(&self.words[index]) {
                act(&mut self.dictionary, &self.words[index]);
            }
        }
    }

    fn token_key(&self, token: &[u8], entry: u32) -> u64 {
        let mut lower = [0_u8; 64];
        let length = token.len().min(lower.len());
        lower[..length].copy_from_slice(&token[..length]);
        lower.make_ascii_lowercase();
        (hash(self.config.seed, &lower[..length]) & !u64::from(u32::MAX)) | u64::from(entry)
    }
}
