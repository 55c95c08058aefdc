//! What only Freenet can be asked for, and what it answers.

use bytes::Bytes;
use hexad_core::Endpoint;

use super::{Counts, PutFile};
use crate::keys::{Block, Location, NodeKey, Uri};
/// What only Freenet can do.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Fetch what is under a URI into memory → [`Reply::Got`].
    Get {
        /// Any URI that reads.
        uri: String,
        /// Refuse beyond this.
        bytes_max: u64,
        /// How often a key is asked for again, after a while, when it was not found; [`u32::MAX`] for as long as the user wants it.
        retries: u32,
    },
    /// Look for the newest edition of a site, from the one that its URI names on → [`Reply::Edition`].
    Newest {
        /// A USK.
        uri: String,
    },
    /// Insert files → [`Reply::Put`].
    Put {
        /// `CHK@`, a KSK, or an SSK or USK that writes.
        uri: String,
        /// One file with an empty path, or a directory.
        files: Vec<PutFile>,
        /// A directory, even if there is one file only; the file of this path stands for it.
        directory: Option<Option<String>>,
        /// Only say which key it would have.
        key_only: bool,
    },
    /// Make a subspace → [`Reply::KeyPair`].
    MakeKey,
    /// Fetch one block → [`Reply::Block`], with so many hops-to-live.
    GetBlock(NodeKey, u16),
    /// Insert one block → [`Reply::Inserted`], with so many hops-to-live.
    PutBlock(Box<Block>, u16),
    /// Count the hops to a block → [`Reply::Hops`], with so many hops-to-live.
    Probe(NodeKey, u16),
    /// How we stand → [`Reply::Status`].
    Status,
}

/// Answers to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A fetch or an insertion of files goes on.
    Counted(Counts),
    /// Inserted, or to be inserted, under this URI, which only reads.
    Put(Uri),
    /// What is there.
    Got {
        /// Under which URI it was found in the end.
        uri: Uri,
        /// Type, where the publisher says it.
        mime: Option<String>,
        /// It.
        bytes: Bytes,
    },
    /// The newest edition that was found.
    Edition(u64),
    /// A fresh subspace: its URI that writes, and its URI that reads, both with an empty name.
    KeyPair(Box<(Uri, Uri)>),
    /// A block.
    Block(Box<Block>),
    /// Stored along the path; or what was there already.
    Inserted(Option<Box<Block>>),
    /// Hops until the block was met.
    Hops(u16),
    /// How we stand.
    Status(Status),
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Where on the circle.
    pub location: Option<Location>,
    /// Neighbours with open connections.
    pub peers: usize,
    /// Learned entries.
    pub entries: usize,
    /// Blocks held.
    pub blocks: usize,
    /// Walks under way.
    pub walks: usize,
    /// Neighbours, for the next time.
    pub known: Vec<Endpoint>,
    /// Neighbours.
    pub neighbours: Vec<Neighbour>,
    /// Blocks that there is room for.
    pub capacity_blocks: usize,
    /// What may be sent in a second.
    pub up_bytes_per_s: u64,
    /// Only friends are spoken to.
    pub is_darknet: bool,
}

/// A neighbour, as users see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Where it is reached.
    pub at: Endpoint,
    /// Where on the circle it stands, once it has said so.
    pub location: Option<Location>,
    /// It was overloaded a moment ago, and is left alone for a while.
    pub backed_off: bool,
}
