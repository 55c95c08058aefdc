//! All that nodes say to each other. Every message is padded to one of three sizes, so that an observer of a link sees only which of them.

use hexad_core::Payload;

use crate::keys::{Block, Location, NodeKey};
use crate::place::Place;

/// The sizes that frames have: for talk, for announcements, for whatever carries a block.
pub const CELL_BYTES: [usize; 3] = [1024, 4096, 33 << 10];
/// Nodes that one announcement visits, the newcomer included.
pub const SHARES_MAX: usize = 24;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<A> {
    /// 0x01, the first word on a link, and again when the sender's place has changed.
    Hello(Box<Hello<A>>),
    /// 0x02, bring a newcomer's announcement on.
    Announce(Box<Announce<A>>),
    /// 0x03, the shares from the end of an announcement back.
    Reveal(Box<Reveal<A>>),
    /// 0x04, all shares, from the newcomer on.
    Settle(Box<Settle>),
    /// 0x10, look for a block.
    Request(Box<Walking>),
    /// 0x11, count the way to a block; nobody learns or caches anything by it.
    Probe(Box<Walking>),
    /// 0x12, see whether a block may be inserted.
    Insert(Box<Walking>),
    /// 0x20, is being looked after.
    Accepted(u64),
    /// 0x21, not by us; try another.
    Rejected(u64, Reason),
    /// 0x22, hops-to-live ran out: nobody is to try anything else.
    NotFound(u64),
    /// 0x23, nobody else can be asked here; so many hops-to-live are left.
    RouteNotFound(u64, u16),
    /// 0x24, it was looked for a moment ago in vain; in so many seconds it may be tried again.
    RecentlyFailed(u64, u16),
    /// 0x25, the block.
    Found(Box<Found<A>>),
    /// 0x26, a probe has met the block with so many hops-to-live left.
    Probed(u64, u16),
    /// 0x30, nothing stands against the insert: send the block.
    AllClear(u64),
    /// 0x31, the block to be inserted.
    InsertData(Box<Found<A>>),
    /// 0x32, it is stored to the end of the path.
    Inserted(u64),
    /// 0x40, a block for which the receiver has asked in vain is here.
    Offer(Box<NodeKey>),
    /// Of a kind that this version does not know.
    Unknown(u8),
}

/// A greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello<A> {
    /// The receiver's address, as the sender sees it.
    pub you: A,
    /// Where the sender stands, once it has a place.
    pub location: Option<Location>,
}

/// A newcomer on its way through the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce<A> {
    /// Names the announcement.
    pub uid: u64,
    /// Nodes it may still visit.
    pub htl: u16,
    /// The newcomer.
    pub who: A,
    /// Hashes of the shares of all whom it has visited, the newcomer's first.
    pub commits: Vec<[u8; 32]>,
}

/// The answer to an announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reveal<A> {
    /// Names the announcement.
    pub uid: u64,
    /// Shares from the last node back to the sender.
    pub shares: Vec<[u8; 32]>,
    /// Nodes that would like to be neighbours.
    pub members: Vec<A>,
}

/// The end of an announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// Names the announcement.
    pub uid: u64,
    /// All shares, the newcomer's first; their exclusive-or is its id.
    pub shares: Vec<[u8; 32]>,
}

/// A request, probe or insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walking {
    /// Names the walk.
    pub uid: u64,
    /// Hops-to-live.
    pub htl: u16,
    /// What is looked for.
    pub key: NodeKey,
}

/// A block on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<A> {
    /// Names the walk.
    pub uid: u64,
    /// Whom to ask for keys like this one: who had it, or anybody on the way who would rather be taken for that.
    pub source: Option<A>,
    /// The block.
    pub block: Block,
}

/// Why a walk was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has been here.
    Loop,
    /// There is too much to do.
    Overload,
}

impl<A> Message<A> {
    /// Which of [`CELL_BYTES`] it is padded to.
    #[must_use]
    pub const fn cell(&self) -> usize {
        match self {
            Self::Found(_) | Self::InsertData(_) => 2,
            Self::Announce(_) | Self::Reveal(_) | Self::Settle(_) => 1,
            _ => 0,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::Hello(_) => 0x01,
            Self::Announce(_) => 0x02,
            Self::Reveal(_) => 0x03,
            Self::Settle(_) => 0x04,
            Self::Request(_) => 0x10,
            Self::Probe(_) => 0x11,
            Self::Insert(_) => 0x12,
            Self::Accepted(_) => 0x20,
            Self::Rejected(..) => 0x21,
            Self::NotFound(_) => 0x22,
            Self::RouteNotFound(..) => 0x23,
            Self::RecentlyFailed(..) => 0x24,
            Self::Found(_) => 0x25,
            Self::Probed(..) => 0x26,
            Self::AllClear(_) => 0x30,
            Self::InsertData(_) => 0x31,
            Self::Inserted(_) => 0x32,
            Self::Offer(_) => 0x40,
            Self::Unknown(kind) => *kind,
        }
    }
}

impl<A: Place> hexad_core::Message for Message<A> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Announce(_) => "announce",
            Self::Reveal(_) => "reveal",
            Self::Settle(_) => "settle",
            Self::Request(_) => "request",
            Self::Probe(_) => "probe",
            Self::Insert(_) => "insert",
            Self::Accepted(_) => "accepted",
            Self::Rejected(..) => "rejected",
            Self::NotFound(_) => "not_found",
            Self::RouteNotFound(..) => "route_not_found",
            Self::RecentlyFailed(..) => "recently_failed",
            Self::Found(_) => "found",
            Self::Probed(..) => "probed",
            Self::AllClear(_) => "all_clear",
            Self::InsertData(_) => "insert_data",
            Self::Inserted(_) => "inserted",
            Self::Offer(_) => "offer",
            Self::Unknown(_) => "unknown",
        }
    }

    fn wire_bytes(&self) -> u64 {
        CELL_BYTES[self.cell()] as u64
    }

    fn with_body(self, _: Payload) -> Self {
        self
    }
}
