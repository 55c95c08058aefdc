//! A catalogue that several machines share: what is put into it, and what it is asked.
//!
//! An owner is known by his name to all machines, and belongs to the one that entered him last. What the numbers of an owner or a file mean is the
//! network's own; the catalogue compares them.

use std::ops::RangeInclusive;

use crate::Span;

/// An owner of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexOwner {
    /// By which he is known everywhere.
    pub name: String,
    /// At which machine he is, 0 is the one that asks; told by the catalogue, and not looked at when he is entered.
    pub machine: u64,
    /// What can be compared.
    pub marks: [u32; 2],
    /// What else others must know of him.
    pub card: Vec<u8>,
}

/// A file of an owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexFile {
    /// The owner's own name of it.
    pub name: Vec<u8>,
    /// By which it is found; not told again.
    pub words: Vec<String>,
    /// What stands for its content; may be empty.
    pub token: Vec<u8>,
    /// Bytes.
    pub size_bytes: u64,
    /// What can be compared.
    pub marks: [u32; 4],
}

/// A change of what a machine has in the catalogue. Doing it twice is the same as doing it once, but for letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexDeed {
    /// An owner is here. Whatever was known of him is over, wherever he was.
    Enter(IndexOwner),
    /// Marks and card of an owner of this machine are others; his files stay.
    Change(IndexOwner),
    /// An owner of this machine is gone, and so are his files.
    Leave(String),
    /// An owner of this machine offers a file.
    Add(String, IndexFile),
    /// He offers it no longer.
    Remove(String, Vec<u8>),
    /// He offers nothing any longer.
    Clear(String),
    /// Something for the machine of that number.
    Tell(u64, Vec<u8>),
}

/// A question to a catalogue. What is at machines that have not been heard of for a while is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexQuery {
    /// All of these words must occur.
    pub words: Vec<String>,
    /// None of these may.
    pub without: Vec<String>,
    /// What has this token, in any case of letters.
    pub token: Option<Vec<u8>>,
    /// What this owner has.
    pub owner: Option<String>,
    /// What is at other machines than the one that asks.
    pub elsewhere: bool,
    /// Bytes.
    pub size_bytes: RangeInclusive<u64>,
    /// Of the file.
    pub file_marks: [RangeInclusive<u32>; 4],
    /// Of its owner.
    pub owner_marks: [RangeInclusive<u32>; 2],
    /// How many answers are enough.
    pub wanted: usize,
    /// For the whole question.
    pub deadline: Span,
}

impl Default for IndexQuery {
    fn default() -> Self {
        let all = || 0..=u32::MAX;
        Self {
            words: Vec::new(),
            without: Vec::new(),
            token: None,
            owner: None,
            elsewhere: false,
            size_bytes: 0..=u64::MAX,
            file_marks: [all(), all(), all(), all()],
            owner_marks: [all(), all()],
            wanted: 1,
            deadline: Span::from_secs(5),
        }
    }
}

/// One answer of a catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexHit {
    /// Who offers it.
    pub owner: IndexOwner,
    /// What he offers.
    pub file: IndexFile,
}
