//! Files laid end to end: the address space in which transfers, leases and proofs count.

use std::ops::Range;

use thiserror::Error;

/// One file of a [`Layout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Path elements below the layout's root, as the publisher named them: raw, not yet safe for a disk (see [`crate::safe_names`]).
    pub path: Vec<String>,
    /// Length in bytes; may be 0.
    pub length: u64,
    /// Bytes nobody stores (BEP 47 `attr` `p`): zeros that only align the next file.
    pub padding: bool,
    /// To be marked executable on disk (BEP 47 `attr` `x`).
    pub executable: bool,
}

impl FileEntry {
    /// An ordinary file.
    #[must_use]
    pub fn plain(path: Vec<String>, length: u64) -> Self {
        Self { path, length, padding: false, executable: false }
    }
}

/// A piece of one file: what a range of the layout means on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpan {
    /// Index into [`Layout::files`].
    pub file: usize,
    /// Where the span begins in that file.
    pub offset: u64,
    /// How many bytes; never 0.
    pub length: u64,
}

/// Why files cannot be laid out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LayoutError {
    /// The lengths add up beyond what an offset can hold.
    #[error("file lengths add up to more than {max} bytes", max = Layout::TOTAL_BYTES_MAX)]
    TooLong,
    /// No file at all.
    #[error("expected at least one file, came none")]
    Empty,
}

/// Files laid end to end under one name. Immutable once made; cheap to share by `Arc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    name: String,
    single: bool,
    files: Vec<FileEntry>,
    /// `starts[i]` is where file `i` begins; one more at the end holds the total.
    starts: Vec<u64>,
}

impl Layout {
    /// No layout is longer: 2^56 bytes leave room for arithmetic on offsets.
    pub const TOTAL_BYTES_MAX: u64 = 1 << 56;

    /// One file, stored directly under its own name.
    ///
    /// # Errors
    /// When `length` is beyond [`Self::TOTAL_BYTES_MAX`].
    pub fn single(name: String, length: u64) -> Result<Self, LayoutError> {
        let file = FileEntry::plain(vec![name.clone()], length);
        Self::build(name, true, vec![file])
    }

    /// Several files (or one) inside a folder called `name`.
    ///
    /// # Errors
    /// When there is no file, or the lengths add up beyond [`Self::TOTAL_BYTES_MAX`].
    pub fn folder(name: String, files: Vec<FileEntry>) -> Result<Self, LayoutError> {
        Self::build(name, false, files)
    }

    /// One file with the attributes of `file`, stored directly under `name`.
    ///
    /// # Errors
    /// As [`Self::single`].
    pub fn single_entry(name: String, file: FileEntry) -> Result<Self, LayoutError> {
        Self::build(name, true, vec![file])
    }

    fn build(name: String, single: bool, files: Vec<FileEntry>) -> Result<Self, LayoutError> {
        if files.is_empty() {
            return Err(LayoutError::Empty);
        }
        let mut starts = Vec::with_capacity(files.len() + 1);
        let mut at = 0_u64;
        for file in &files {
            starts.push(at);
            at = at.checked_add(file.length).filter(|&end| end <= Self::TOTAL_BYTES_MAX).ok_or(LayoutError::TooLong)?;
        }
        starts.push(at);
        Ok(Self { name, single, files, starts })
    }

    /// The same files, each of which begins at a multiple of `piece_bytes`: padding (BEP 47) follows every file that does not end at one, the last
    /// file only when `tail`. What was padding before is left out, and padding has the names that libtorrent gives it.
    ///
    /// # Errors
    /// When that becomes longer than [`Self::TOTAL_BYTES_MAX`].
    pub fn aligned(&self, piece_bytes: u64, tail: bool) -> Result<Self, LayoutError> {
        let last = self.files.iter().rposition(|file| !file.padding && file.length > 0);
        let mut files = Vec::with_capacity(self.files.len() * 2);
        for (index, file) in self.files.iter().enumerate().filter(|(_, file)| !file.padding) {
            files.push(file.clone());
            let gap = file.length.next_multiple_of(piece_bytes.max(1)) - file.length;
            if gap > 0 && (tail || Some(index) != last) {
                let path = vec![".pad".to_owned(), gap.to_string()];
                files.push(FileEntry { path, length: gap, padding: true, executable: false });
            }
        }
        Self::build(self.name.clone(), self.single, files)
    }

    /// The advised name: of the file when [`Self::is_single`], of the folder otherwise. Raw, see [`crate::safe_names`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is one file that stands directly in the target folder.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.single
    }

    /// The files in the order in which they are laid.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// All bytes, padding included.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.starts[self.files.len()]
    }

    /// The range of the layout that file `index` takes.
    ///
    /// # Panics
    /// When there is no such file.
    #[must_use]
    pub fn file_range(&self, index: usize) -> Range<u64> {
        self.starts[index]..self.starts[index + 1]
    }

    /// The spans of files that `range` covers, in order, empty files left out. What lies beyond the end is left out.
    pub fn spans(&self, range: Range<u64>) -> impl Iterator<Item = FileSpan> + '_ {
        let first = self.starts.partition_point(|&start| start <= range.start).saturating_sub(1);
        let end = range.end.min(self.total_bytes());
        (first..self.files.len()).take_while(move |&file| self.starts[file] < end).filter_map(move |file| {
            let here = self.file_range(file);
            let from = here.start.max(range.start);
            let to = here.end.min(end);
            (from < to).then(|| FileSpan { file, offset: from - here.start, length: to - from })
        })
    }
}
