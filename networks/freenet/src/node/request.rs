//! What only Freenet can be asked for, and what it answers.

use bytes::Bytes;
use hexad_core::Endpoint;

use super::friends::{FriendChange, FriendOf, FriendWords};
use super::inviting::{Given, InvitationWanted};
use super::{Counts, PutFile};
use crate::invitation::Invitation;
use crate::keys::{Block, Location, NodeKey, Uri};
use crate::wire::{Finding, Inquiry, Untold};
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
        /// A document of no more bytes, which would go under a CHK, is answered in place of being inserted → [`Reply::Metadata`].
        metadata_max: usize,
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
    /// Invite somebody → [`Reply::Invitation`].
    Invite(InvitationWanted),
    /// Say which invitations there are → [`Reply::Invitations`].
    Invitations,
    /// Take the invitation of that number back.
    Revoke(u64),
    /// Make use of an invitation of somebody else → [`Reply::Friend`].
    Accept(Box<Invitation>),
    /// Say which friends there are → [`Reply::Friends`].
    Friends,
    /// Take a friend in → [`Reply::Friend`].
    Befriend(Endpoint, Box<FriendWords>),
    /// Change what is noted of a friend → [`Reply::Friend`].
    ChangeFriend(Box<FriendChange>),
    /// Forget the friend of that key.
    Unfriend(Box<[u8; 32]>),
    /// Change what may be changed while the node runs → [`Reply::Status`].
    Tune(Tuning),
    /// Ask whoever is at the end of a random walk of so many steps about himself; ourselves, at the end of none → [`Reply::Told`], [`Reply::Untold`].
    Inquire(Inquiry, u16),
}

/// Answers to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A fetch or an insertion of files goes on.
    Counted(Counts),
    /// What is fetched is of this type and length.
    Expected {
        /// Type, where the publisher says it.
        mime: Option<String>,
        /// Bytes.
        bytes: u64,
    },
    /// What is fetched was not found, and is asked for again at that time, in milliseconds since 1970.
    Rests(u64),
    /// What is inserted is being deflated.
    Compressing,
    /// It was.
    Compressed {
        /// Bytes before.
        from: u64,
        /// Bytes that are inserted.
        to: u64,
        /// It was worth it.
        is_kept: bool,
    },
    /// The document that was not inserted.
    Metadata(Bytes),
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
    /// An invitation, with its text.
    Invitation(Box<Given>),
    /// All invitations, without their texts.
    Invitations(Vec<Given>),
    /// A friend, as he is from here on.
    Friend(Box<FriendOf>),
    /// All friends.
    Friends(Vec<FriendOf>),
    /// What somebody said of himself.
    Told(Box<Finding>),
    /// Why nobody said anything.
    Untold(Untold),
}

/// What may be changed while a node runs; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// See [`Settings::up_bytes_per_s`](super::Settings::up_bytes_per_s).
    pub up_bytes_per_s: Option<u64>,
    /// See [`Settings::peers_wanted`](super::Settings::peers_wanted).
    pub peers_wanted: Option<usize>,
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
    /// Friends, whether they are there or not.
    pub friends: Vec<FriendOf>,
    /// Neighbours that are looked for.
    pub peers_wanted: usize,
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
