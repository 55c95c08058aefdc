//! All that nodes of a ring say to each other.

use bytes::Bytes;
use hexad_content::{ContentId, Digest, Sha256Digest};
use hexad_core::Payload;

use super::item::{Item, digest_bytes};
use crate::id::Key;
use crate::place::{Contact as _, Place};

/// Bytes before what only this kind of message has: length, version, kind, the two virtual nodes, query.
pub const HEAD_BYTES: usize = 12;
/// How many sums an arc is compared by.
pub const SUMS: usize = 16;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message<A: Place> {
    /// Which of the sender's virtual nodes speaks.
    pub from: u8,
    /// Which of the receiver's is meant.
    pub to: u8,
    /// Names a question; the answer repeats it.
    pub query: u32,
    /// What it says.
    pub body: Body<A>,
}

/// What a message says. Questions first, each with its answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body<A: Place> {
    /// 0x01, a newcomer's first word: the address under which it has found us.
    Hello(A),
    /// 0x81, answer to a `Hello`.
    Welcome(Box<Welcome<A>>),
    /// 0x02, are you there?
    Ping,
    /// 0x82, yes.
    Pong,
    /// 0x03, one step of an iterative lookup.
    FindNext {
        /// Whose owner is sought.
        key: Key,
        /// Others say that it is yours.
        claimed: bool,
    },
    /// 0x83, answer to `FindNext`.
    Next(Step, Vec<A::Contact>),
    /// 0x04, for stabilisation.
    GetState,
    /// 0x84, predecessor and successor list.
    State(Option<A::Contact>, Box<[A::Contact]>),
    /// 0x05, the sender takes itself for the receiver's predecessor. No answer.
    Notify,
    /// 0x06, a recursive lookup on its way; answered by `Got` at once, and by the owner to who began it.
    Route(Box<Route<A>>),
    /// 0x86, a `Route` has come.
    Got,
    /// 0x87, the owner to who began a recursive lookup.
    Routed(Box<Routed<A>>),
    /// 0x08, store, as its publisher.
    Put(Box<Item<A>>),
    /// 0x88, stored, in so many copies.
    Stored(u8),
    /// 0x09, what is under a key?
    Get(Box<Get>),
    /// 0x89, this.
    Items(Box<Items<A>>),
    /// 0x0a, copies for a replica, or for who ought to have them.
    Copy(Vec<Item<A>>),
    /// 0x8a, so many of them are held.
    Copied(u16),
    /// 0x0b, compare an arc of the sender's with what you hold of it.
    Inventory(Box<Inventory>),
    /// 0x8b, what is held of the parts of the arc whose sums differ.
    Differs(Box<Differs>),
    /// 0x0c, these, please; answered by `Items`.
    Take(Vec<(Key, u64)>),
    /// 0x0d, the sender is leaving. No answer.
    Leave,
    /// 0x0e, forget what I have published there.
    Withdraw(Box<(Key, u64, u32)>),
    /// 0x8e, forgotten.
    Withdrawn,
    /// 0x0f, for a newcomer's table.
    GetFingers,
    /// 0x8f, the distinct entries of the finger table.
    Fingers(Box<[A::Contact]>),
    /// 0x10, become your finger of that number, if it is one. Only in the variant of the paper of 2001 in which a join updates others (C12).
    SetFinger(u8, A::Contact),
    /// 0x11, somebody stands between the sender and the receiver, which was its predecessor until now: the receiver had better stabilise at
    /// once. No answer (ToN 2003, section VI-D).
    Nearer,
    /// 0x20, what is behind this digest? Over a connection.
    Describe(Box<Digest>),
    /// 0xa0, the info dictionary of BEP 3.
    Description(Bytes),
    /// 0xa3, a layer of the Merkle tree of BEP 52.
    Tree(Box<Tree>),
    /// 0x21, bytes of what was described on this connection.
    Request(u64, u32),
    /// 0xa1, they.
    Block(Box<Block>),
    /// 0xa2, they are not here.
    Gone(u64, u32),
    /// 0xff, no, and why.
    Refused(Reason),
    /// A kind that this version does not know.
    Unknown(u8),
}

/// How a step of a lookup ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The key is mine; my successors follow.
    Mine,
    /// The first of these owns the key, as far as I know.
    Successor,
    /// These are closer to the key, the closest first.
    Closer,
    /// It is not mine any more: it belongs to my predecessor or to who is before it.
    Before,
}

/// A greeting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Welcome<A: Place> {
    /// Where the newcomer was seen.
    pub you: A,
    /// There are so few nodes that everybody knows everybody.
    pub nursery: bool,
    /// Nodes of the ring, the one who answers first.
    pub members: Vec<A::Contact>,
}

/// A recursive lookup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route<A: Place> {
    /// Whose owner is sought.
    pub key: Key,
    /// Who wants to know.
    pub origin: A::Contact,
    /// By which number it wants to hear of it.
    pub query: u32,
    /// Messages so far, this one included.
    pub hops: u8,
    /// The sender takes the receiver for the owner.
    pub claimed: bool,
}

/// How a recursive lookup ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Routed<A: Place> {
    /// Messages until the owner had it.
    pub hops: u8,
    /// The owner and who follows it.
    pub holders: Vec<A::Contact>,
}

/// A question for stored items.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Get {
    /// Under which key.
    pub key: Key,
    /// Only references whose names have all these words.
    pub words: Vec<String>,
    /// At most so many; 0 only counts.
    pub limit: u16,
}

/// Stored items.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Items<A> {
    /// How many there are under the key, whatever was asked of them.
    pub total: u32,
    /// Some of those that fit.
    pub items: Vec<Item<A>>,
}

/// A summary of an arc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inventory {
    /// The arc begins behind this key.
    pub after: Key,
    /// And ends with this.
    pub upto: Key,
    /// Sums over what is there, by the last bits of slot and key.
    pub sums: [u64; SUMS],
}

/// What somebody else holds of an arc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Differs {
    /// One bit for every sum that differs.
    pub parts: u16,
    /// Key, slot and sequence number of what is held in those parts.
    pub held: Vec<(Key, u64, u32)>,
    /// There is more than fits.
    pub more: bool,
}

/// A description of one file that its [`ContentId`] proves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tree {
    /// Whose tree.
    pub content: ContentId,
    /// Bytes under each hash but the last.
    pub part_bytes: u64,
    /// The file's name.
    pub name: String,
    /// The layer.
    pub hashes: Vec<Sha256Digest>,
}

/// Bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// Where they begin.
    pub offset: u64,
    /// They.
    pub body: Body64,
}

/// A payload that can be hashed with the rest of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body64(pub Payload);

impl std::hash::Hash for Body64 {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.len().hash(state);
    }
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The key belongs elsewhere.
    Elsewhere,
    /// The key is not what the value says, or the publisher not who sends it.
    Forged,
    /// The value is larger than anybody stores.
    TooLarge,
    /// The sender has as much here as one may have.
    Quota,
    /// The key has as many values as one may have.
    TooCommon,
    /// The store is full.
    Full,
    /// Not a member of the ring (yet).
    NotReady,
    /// Nobody here has that.
    Unknown,
}

impl Reason {
    /// All, by their numbers on the wire.
    pub const ALL: [Self; 8] =
        [Self::Elsewhere, Self::Forged, Self::TooLarge, Self::Quota, Self::TooCommon, Self::Full, Self::NotReady, Self::Unknown];

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Elsewhere => "the key belongs elsewhere",
            Self::Forged => "key, value and sender do not fit each other",
            Self::TooLarge => "the value is too large",
            Self::Quota => "the sender has too much here",
            Self::TooCommon => "the key has too many values",
            Self::Full => "the store is full",
            Self::NotReady => "not a member of the ring",
            Self::Unknown => "nothing is known of that",
        }
    }
}

impl<A: Place> Body<A> {
    /// Whether it is a question that wants an answer, or an announcement; all others are answers.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Welcome(_)
                | Self::Pong
                | Self::Next(..)
                | Self::State(..)
                | Self::Got
                | Self::Routed(_)
                | Self::Stored(_)
                | Self::Items(_)
                | Self::Copied(_)
                | Self::Differs(_)
                | Self::Withdrawn
                | Self::Fingers(_)
                | Self::Refused(_)
        )
    }
}

/// Bytes of contacts behind their number.
pub(super) fn contacts_bytes<A: Place>(contacts: &[A::Contact]) -> usize {
    2 + contacts.iter().map(|contact| 1 + contact.addr().wire_bytes()).sum::<usize>()
}

impl<A: Place> hexad_core::Message for Message<A> {
    fn kind(&self) -> &'static str {
        match &self.body {
            Body::Hello(_) => "hello",
            Body::Welcome(_) => "welcome",
            Body::Ping => "ping",
            Body::Pong => "pong",
            Body::FindNext { .. } => "find_next",
            Body::Next(..) => "next",
            Body::GetState => "get_state",
            Body::State(..) => "state",
            Body::Notify => "notify",
            Body::Route(_) => "route",
            Body::Got => "got",
            Body::Routed(_) => "routed",
            Body::Put(_) => "put",
            Body::Stored(_) => "stored",
            Body::Get(_) => "get",
            Body::Items(_) => "items",
            Body::Copy(_) => "copy",
            Body::Copied(_) => "copied",
            Body::Inventory(_) => "inventory",
            Body::Differs(_) => "differs",
            Body::Take(_) => "take",
            Body::Leave => "leave",
            Body::Withdraw(_) => "withdraw",
            Body::Withdrawn => "withdrawn",
            Body::GetFingers => "get_fingers",
            Body::Fingers(_) => "fingers",
            Body::SetFinger(..) => "set_finger",
            Body::Nearer => "nearer",
            Body::Describe(_) => "describe",
            Body::Description(_) => "description",
            Body::Tree(_) => "tree",
            Body::Request(..) => "request",
            Body::Block(_) => "block",
            Body::Gone(..) => "gone",
            Body::Refused(_) => "refused",
            Body::Unknown(_) => "unknown",
        }
    }

    fn wire_bytes(&self) -> u64 {
        let items = |items: &[Item<A>]| 2 + items.iter().map(Item::wire_bytes).sum::<usize>();
        let one = |contact: &A::Contact| 1 + contact.addr().wire_bytes();
        let bytes = match &self.body {
            Body::Hello(to) => to.wire_bytes(),
            Body::Welcome(welcome) => welcome.you.wire_bytes() + 1 + contacts_bytes::<A>(&welcome.members),
            Body::FindNext { .. } => 21,
            Body::Next(_, contacts) => 1 + contacts_bytes::<A>(contacts),
            Body::State(prdc, succ) => 1 + prdc.as_ref().map_or(0, one) + contacts_bytes::<A>(succ),
            Body::Route(route) => 20 + one(&route.origin) + 6,
            Body::Routed(routed) => 1 + contacts_bytes::<A>(&routed.holders),
            Body::Put(item) => item.wire_bytes(),
            Body::Get(get) => 20 + 2 + 2 + get.words.iter().map(|word| 2 + word.len()).sum::<usize>(),
            Body::Items(found) => 4 + items(&found.items),
            Body::Copy(copies) => items(copies),
            Body::Copied(_) => 2,
            Body::Inventory(_) => 40 + 8 * SUMS,
            Body::Differs(differs) => 2 + 1 + 2 + 32 * differs.held.len(),
            Body::Take(wanted) => 2 + 28 * wanted.len(),
            Body::Withdraw(_) => 32,
            Body::Fingers(contacts) => contacts_bytes::<A>(contacts),
            Body::SetFinger(_, contact) => 1 + one(contact),
            Body::Describe(digest) => digest_bytes(digest),
            Body::Description(info) => 4 + info.len(),
            Body::Tree(tree) => 48 + 2 + tree.name.len() + 4 + 32 * tree.hashes.len(),
            Body::Request(..) | Body::Gone(..) => 12,
            Body::Block(block) => 8 + usize::try_from(block.body.0.len()).unwrap_or(0),
            Body::Stored(_) | Body::Refused(_) => 1,
            Body::Ping
            | Body::Pong
            | Body::GetState
            | Body::Notify
            | Body::Got
            | Body::Leave
            | Body::Nearer
            | Body::Withdrawn
            | Body::GetFingers
            | Body::Unknown(_) => 0,
        };
        (HEAD_BYTES + bytes) as u64
    }

    fn with_body(mut self, body: Payload) -> Self {
        if let Body::Block(block) = &mut self.body {
            block.body = Body64(body);
        }
        self
    }
}
