//! What a scenario sees.

use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, FileEntry, Layout};
use hexad_core::{Abilities, Dice, Hit, Source};

/// A world with peers of one network in it.
pub trait World {
    /// One of them.
    type Peer: Peer;

    /// What the network can do.
    fn abilities(&self) -> Abilities;

    /// So many more peers, all joined and able to find each other.
    fn joined<const N: usize>(&mut self) -> [Self::Peer; N];
}

/// One machine and its user.
pub trait Peer: Clone {
    /// A fetch of this peer.
    type Fetch: Fetching;

    /// Shares a folder (or a file) and waits until that is in effect.
    fn publish(&self, folder: &Folder) -> Published;

    /// All that a search for a digest finds; empty when it ends without.
    fn search(&self, digest: Digest) -> Vec<Hit>;

    /// Starts to fetch what somebody has published. Before anything else is asked of the peer, nothing need have happened.
    fn fetch(&self, folder: &Folder, source: &Source) -> Self::Fetch;

    /// The process ends without a word. What it had on its disk stays there.
    fn dies(&self);

    /// Is a fresh process on the same disk, joined again.
    fn restarts(&self);

    /// Gives so many bytes of its shares and then nothing, until [`Self::gives_all`]. Where time stands still between two steps of a scenario,
    /// there is nothing to be held back.
    fn gives_only(&self, bytes: u64);

    /// Gives whatever is asked for.
    fn gives_all(&self);

    /// From here on whatever it gives is wrong.
    fn lies(&self);

    /// How many blocks were lies.
    fn lies_told(&self) -> u64;

    /// Waits until it has banned somebody.
    fn bans(&self);

    /// How many peers it has banned.
    fn banned(&self) -> u64;

    /// Bytes of shares that others have given it, good or not, in this life and those before.
    fn taken_bytes(&self) -> u64;

    /// How many downloads its transfer engine has.
    fn downloads(&self) -> usize;
}

/// A fetch that is under way.
pub trait Fetching {
    /// Waits until so many bytes are proven.
    fn reaches(&self, bytes: u64);

    /// Waits until it has ended by itself, for as long as patience allows.
    fn ends(&self) -> Outcome;

    /// Takes it back, and waits until that is confirmed.
    fn cancel(&self);

    /// Bytes that are proven.
    fn verified_bytes(&self) -> u64;

    /// Whether every byte that is there is the right one, and none is missing.
    fn is_whole(&self) -> bool;
}

/// How a fetch has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is proven, and the network says it is done.
    Complete,
    /// The network gave up, in its words.
    Failed(String),
}

/// What others can find.
#[derive(Clone, Debug)]
pub struct Published {
    /// The digest to look it up by.
    pub digest: Digest,
    /// Where to get it, as somebody would be told by a friend.
    pub source: Source,
}

impl Published {
    /// The same, with the other's peers added.
    #[must_use]
    pub fn and(&self, other: &Self) -> Source {
        let mut source = self.source.clone();
        source.peers.extend(other.source.peers.iter().cloned());
        source
    }
}

/// Files with contents that follow from their names and lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// What it is published as.
    pub layout: Arc<Layout>,
}

impl Folder {
    /// One file.
    ///
    /// # Panics
    /// When it is longer than a layout can be.
    #[must_use]
    pub fn file(name: &str, bytes: u64) -> Self {
        Self { layout: Arc::new(Layout::single(name.into(), bytes).expect("a file of a test fits a layout")) }
    }

    /// Several files below a folder.
    ///
    /// # Panics
    /// When there is none, or they are longer than a layout can be.
    #[must_use]
    pub fn of(name: &str, files: &[(&str, u64)]) -> Self {
        let entry = |&(path, bytes): &(&str, u64)| FileEntry::plain(path.split('/').map(str::to_owned).collect(), bytes);
        Self { layout: Arc::new(Layout::folder(name.into(), files.iter().map(entry).collect()).expect("the files of a test fit a layout")) }
    }

    /// All bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.layout.total_bytes()
    }

    /// What is in a file.
    #[must_use]
    pub fn contents(&self, file: usize) -> Bytes {
        let entry = &self.layout.files()[file];
        let seed =
            entry.path.iter().flat_map(|element| element.bytes()).fold(entry.length, |seed, byte| seed.rotate_left(5) ^ u64::from(byte));
        let mut bytes = vec![0; usize::try_from(entry.length).unwrap_or(0)];
        Dice::counter(seed, file as u64).fill(&mut bytes);
        bytes.into()
    }
}
