//! All that nodes say to each other. Every message is padded to one of three sizes, so that an observer of a link sees only which of them.

use hexad_core::Payload;

use super::inquiry::{Finding, Inquire, Untold};
use crate::invitation::Token;
use crate::keys::{Block, Location, NodeKey, sha256};
use crate::place::Place;

/// The sizes that frames have: for talk, for announcements, for whatever carries a block.
pub const CELL_BYTES: [usize; 3] = [1024, 4096, 33 << 10];
/// Nodes that one announcement visits, the newcomer included.
pub const SHARES_MAX: usize = 24;
/// Neighbours whose places one bid for a swap names.
pub const NEIGHBOURS_MAX: usize = 64;

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
    /// 0x05, somebody has invited the sender: here is the invitation's token.
    Introduce(Token),
    /// 0x06, the invitation is good: the receiver is a friend from here on.
    Welcome,
    /// 0x07, it is not.
    Declined(Decline),
    /// 0x10, look for a block.
    Request(Box<Walking>),
    /// 0x11, count the way to a block; nobody learns or caches anything by it.
    Probe(Box<Walking>),
    /// 0x12, see whether a block may be inserted.
    Insert(Box<Walking>),
    /// 0x13, ask somebody at the end of a random walk about himself.
    Inquire(Inquire),
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
    /// 0x27, what somebody says of himself.
    Told(u64, Box<Finding>),
    /// 0x28, why nobody does.
    Untold(u64, Untold),
    /// 0x30, nothing stands against the insert: send the block.
    AllClear(u64),
    /// 0x31, the block to be inserted.
    InsertData(Box<Found<A>>),
    /// 0x32, it is stored to the end of the path.
    Inserted(u64),
    /// 0x40, a block for which the receiver has asked in vain is here.
    Offer(Box<NodeKey>),
    /// 0x50, somebody would swap places with whoever is at the end of a random walk; the hash of his bid.
    SwapRequest(Box<Swap>),
    /// 0x51, the hash of the bid of whoever is at the end.
    SwapReply(u64, Box<[u8; 32]>),
    /// 0x52, the bid of whoever began it.
    SwapCommit(u64, Box<Bid>),
    /// 0x53, that of whoever is at the end.
    SwapComplete(u64, Box<Bid>),
    /// 0x54, it comes to nothing.
    SwapRejected(u64),
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

/// Why an invitation is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decline {
    /// Nobody has given it, or it was taken back.
    Unknown,
    /// Its time is over.
    Expired,
    /// As many have used it as may.
    Used,
    /// Too much has come from there that was none.
    TooOften,
    /// There is no room for another friend.
    Full,
}

impl Decline {
    /// All of them, by their numbers on the wire from 0 on.
    pub(super) const ALL: [Self; 5] = [Self::Unknown, Self::Expired, Self::Used, Self::TooOften, Self::Full];

    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Unknown => "whoever is said to have given the invitation has not, or has taken it back",
            Self::Expired => "the invitation has expired",
            Self::Used => "the invitation was used as often as it may be",
            Self::TooOften => "too much has come from here that was no invitation; try again in an hour",
            Self::Full => "whoever has given the invitation has no room for another friend",
        }
    }

    /// For counters.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "invitation_unknown",
            Self::Expired => "invitation_expired",
            Self::Used => "invitation_used_up",
            Self::TooOften => "invitation_too_often",
            Self::Full => "invitation_no_room",
        }
    }
}

/// A wish to swap places, on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap {
    /// Names the swap.
    pub uid: u64,
    /// Steps that it may still take at random.
    pub htl: u16,
    /// Of the bid.
    pub hash: [u8; 32],
}

/// What decides on a swap: shown when both have shown its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    /// The exclusive-or of both numbers is the dice.
    pub random: [u8; 32],
    /// Where the bidder stands.
    pub location: Location,
    /// Where its neighbours stand, no more than [`NEIGHBOURS_MAX`].
    pub neighbours: Vec<Location>,
}

impl Bid {
    /// What is shown first.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let places: Vec<u8> = self.neighbours.iter().flat_map(|place| place.0.to_be_bytes()).collect();
        sha256(&[&self.random, &self.location.0.to_be_bytes(), &places])
    }
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
            Self::Introduce(_) => 0x05,
            Self::Welcome => 0x06,
            Self::Declined(_) => 0x07,
            Self::Request(_) => 0x10,
            Self::Probe(_) => 0x11,
            Self::Insert(_) => 0x12,
            Self::Inquire(_) => 0x13,
            Self::Accepted(_) => 0x20,
            Self::Rejected(..) => 0x21,
            Self::NotFound(_) => 0x22,
            Self::RouteNotFound(..) => 0x23,
            Self::RecentlyFailed(..) => 0x24,
            Self::Found(_) => 0x25,
            Self::Probed(..) => 0x26,
            Self::Told(..) => 0x27,
            Self::Untold(..) => 0x28,
            Self::AllClear(_) => 0x30,
            Self::InsertData(_) => 0x31,
            Self::Inserted(_) => 0x32,
            Self::Offer(_) => 0x40,
            Self::SwapRequest(_) => 0x50,
            Self::SwapReply(..) => 0x51,
            Self::SwapCommit(..) => 0x52,
            Self::SwapComplete(..) => 0x53,
            Self::SwapRejected(_) => 0x54,
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
            Self::Introduce(_) => "introduce",
            Self::Welcome => "welcome",
            Self::Declined(_) => "declined",
            Self::Request(_) => "request",
            Self::Probe(_) => "probe",
            Self::Insert(_) => "insert",
            Self::Inquire(_) => "inquire",
            Self::Accepted(_) => "accepted",
            Self::Rejected(..) => "rejected",
            Self::NotFound(_) => "not_found",
            Self::RouteNotFound(..) => "route_not_found",
            Self::RecentlyFailed(..) => "recently_failed",
            Self::Found(_) => "found",
            Self::Probed(..) => "probed",
            Self::Told(..) => "told",
            Self::Untold(..) => "untold",
            Self::AllClear(_) => "all_clear",
            Self::InsertData(_) => "insert_data",
            Self::Inserted(_) => "inserted",
            Self::Offer(_) => "offer",
            Self::SwapRequest(_) => "swap_request",
            Self::SwapReply(..) => "swap_reply",
            Self::SwapCommit(..) => "swap_commit",
            Self::SwapComplete(..) => "swap_complete",
            Self::SwapRejected(_) => "swap_rejected",
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
