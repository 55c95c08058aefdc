//! What nodes say to each other.

use bytes::Bytes;
use hexad_content::{ContentId, Digest, Sha256Digest};
use hexad_core::Payload;

use super::fasttrack::Fast;
use super::fields::{number_bytes, sized_bytes};
use super::record::{Batch, digest_bytes};
use crate::place::Place;

/// Bytes before what only this kind of message has: the kind and three bytes of length.
pub const HEAD_BYTES: usize = 4;
/// Most supernodes in one message.
pub const LIST_MAX: usize = 200;
/// Most words of a question, and most bytes of each.
pub const WORDS_MAX: usize = 16;
/// See [`WORDS_MAX`].
pub const WORD_BYTES_MAX: usize = 64;
/// Most short numbers of supernodes in one message.
pub const SHORTS_MAX: usize = 512;
/// Most sources of one group of an answer.
pub const SOURCES_MAX: usize = 64;
/// A question travels no further beyond the supernode that was asked first.
pub const FLOOD_HOPS_MAX: u8 = 3;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<A: Place> {
    /// 0x01, the first word on every connection: the address as it was dialled, and what for.
    Hello(A, Purpose<A>),
    /// 0x81, answer to a `Hello` of a leaf or supernode: the address as it was seen, how we stand, other supernodes.
    Welcome(A, Status, Vec<Entry<A>>),
    /// 0x82, no, and why; others to try.
    Refused(Reason, Vec<Entry<A>>),
    /// 0x02, are you there?
    Ping(u32),
    /// 0x83, yes; how we stand, and a few supernodes.
    Pong(u32, Status, Vec<Entry<A>>),
    /// 0x03, which supernodes do you know?
    AskList,
    /// 0x84, these.
    List(Vec<Entry<A>>),
    /// 0x04, the sender leaves: the network, or this link. What a leaf has published goes at once; a supernode names others.
    Leave(Vec<Entry<A>>),
    /// 0x05, a supernode asks its leaf to move to one of these.
    Move(Vec<Entry<A>>),
    /// 0x06, call this node back, and say whether it can be reached.
    CallBack(A, u64),
    /// 0x86, whether it was reached.
    Called(u64, bool),
    /// 0x87, on a connection that was opened for a call back: heard, and whether the two had nothing to do with each other before.
    Heard(u64, bool),
    /// 0x07, to a leaf: whether others can reach it.
    Tested(bool),
    /// 0x08, be a supernode.
    Promote,
    /// 0x88, yes or no.
    Promoted(bool),
    /// 0x09, how the sender stands.
    Load(Status),
    /// 0x10, a leaf begins to say what it offers: how many records, and a sum over them.
    Begin(u32, [u8; 32]),
    /// 0x90, whether all that is known still.
    Resume(bool),
    /// 0x11, signed records.
    Publish(Box<Batch>),
    /// 0x91, what became of a batch: its number, and which records are not taken.
    Published(u64, Vec<u32>),
    /// 0x12, that was all; whatever was not named since `Begin` is no longer offered.
    End,
    /// 0x13, these are no longer offered.
    Withdraw(Vec<u32>),
    /// 0x20, a question.
    Query(Box<Flood>),
    /// 0xa0, some of what was found.
    Results([u8; 16], Vec<Group<A>>),
    /// 0xa1, nothing more will come for that question; whose indexes were looked at.
    QueryEnd([u8; 16], Vec<u32>),
    /// 0x21, nobody wants the answer any more.
    QueryStop([u8; 16]),
    /// 0x30, to a supernode: let the first, which is a leaf of the second, open a connection to the third, with that token.
    Push(A, A, A, u64),
    /// 0x31, to a leaf: open a connection there, with that token.
    PushOrder(A, u64),
    /// 0x32, to a leaf: open a connection to us, with that token; what comes over it is passed on.
    RelayOrder(u64),
    /// 0x40, what is behind this digest?
    Describe(Digest),
    /// 0xc0, the info dictionary of BEP 3.
    Description(Bytes),
    /// 0xc1, a layer of the Merkle tree of BEP 52.
    Tree(Box<Tree>),
    /// 0x41, bytes of what was described on this connection.
    Request(u64, u32),
    /// 0xc2, they.
    Block(Box<Block>),
    /// 0xc3, they are not here.
    Gone(u64, u32),
    /// A kind that this version does not know.
    Unknown(u8),
    /// What comes from and goes to a leaf that speaks FastTrack's own wire.
    Fast(Box<Fast>),
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose<A> {
    /// 0, the sender wants to be a leaf of the receiver.
    Leaf(Card),
    /// 1, both are supernodes.
    Supernode(Status),
    /// 2, the sender wants to fetch.
    Fetch,
    /// 3, the sender was asked to see whether the receiver can be reached.
    CallBack(u64),
    /// 4, the receiver wants to fetch, and has asked for this connection by `Push`.
    Give(u64),
    /// 5, the sender wants to fetch from a leaf of the receiver, over the receiver.
    Relay(A),
    /// 6, the receiver has asked for this connection by `RelayOrder`.
    RelayGive(u64),
}

/// What a leaf says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// It would be a supernode: its user allows it, it has memory and handles to spare, and is neither metered nor on battery.
    pub willing: bool,
    /// Its uplink.
    pub uplink_kbps: u32,
    /// How long it has been in the network.
    pub uptime_s: u32,
}

/// How a node stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// It is a supernode.
    pub supernode: bool,
    /// Leaves that it has.
    pub leaves: u32,
    /// Leaves that it takes.
    pub leaves_max: u32,
    /// Links to other supernodes.
    pub links: u32,
    /// How long it has been in the network.
    pub uptime_s: u32,
}

/// One supernode of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<A> {
    /// Where it is.
    pub addr: A,
    /// Percent of the leaves that it takes; of an heir, how many come before it.
    pub load: u8,
    /// How long ago it was heard of, minutes.
    pub age_min: u16,
    /// Not a supernode but a leaf that will be one when its supernode is lost.
    pub heir: bool,
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// As many leaves or links as may be.
    Full,
    /// Not a supernode.
    NotSupernode,
    /// There is such a link already.
    Duplicate,
    /// Nothing is known of that.
    Unknown,
    /// Too many of these.
    TooMany,
    /// Not a member of the network (yet).
    NotReady,
    /// That leaf cannot be reached.
    Unreachable,
}

impl Reason {
    /// All, by their numbers on the wire.
    pub const ALL: [Self; 7] =
        [Self::Full, Self::NotSupernode, Self::Duplicate, Self::Unknown, Self::TooMany, Self::NotReady, Self::Unreachable];

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::NotSupernode => "not a supernode",
            Self::Duplicate => "there is such a link already",
            Self::Unknown => "nothing is known of that",
            Self::TooMany => "too many at once",
            Self::NotReady => "not a member of the network",
            Self::Unreachable => "cannot be reached",
        }
    }
}

/// A question on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flood {
    /// Names it; whoever has seen it does not look again.
    pub id: [u8; 16],
    /// How much further it may travel.
    pub hops: u8,
    /// How many supernodes are asked at a time.
    pub fan_out: u8,
    /// How many different contents are enough.
    pub wanted: u16,
    /// Nobody waits for the answer longer.
    pub deadline_ms: u32,
    /// What is looked for.
    pub what: Looked,
    /// Supernodes whose indexes were looked at before: they pass it on, and look elsewhere first.
    pub skip: Vec<u32>,
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// Names and tags with all these words.
    Words(Vec<String>),
    /// One content.
    Digest(Digest),
}

/// One content of an answer, with those who offer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<A> {
    /// The digest that proves it.
    pub digest: Digest,
    /// Other names of it.
    pub others: Vec<Digest>,
    /// All bytes.
    pub size_bytes: u64,
    /// The name under which most here offer it.
    pub name: String,
    /// Who.
    pub sources: Vec<Sourced<A>>,
}

/// One who offers a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<A> {
    /// Where it is.
    pub addr: A,
    /// Its supernode, over which it is told to push.
    pub via: A,
    /// Others have been able to open connections to it.
    pub reachable: bool,
}

/// A description of one file that its [`ContentId`] proves.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Bytes of a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where they begin.
    pub offset: u64,
    /// They.
    pub body: Body,
}

/// Bytes that stand at the end of their message, without a length of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(pub Payload);

impl<A: Place> Entry<A> {
    pub(super) fn wire_bytes(&self) -> usize {
        self.addr.wire_bytes() + 1 + number_bytes(self.age_min.into()) + 1
    }
}

impl Status {
    pub(super) fn wire_bytes(self) -> usize {
        let numbers = [self.leaves, self.leaves_max, self.links, self.uptime_s];
        1 + numbers.iter().map(|&number| number_bytes(number.into())).sum::<usize>()
    }

    /// Percent of the leaves that it takes; more than a hundred is a hundred.
    #[must_use]
    pub fn load(&self) -> u8 {
        let percent = u64::from(self.leaves) * 100 / u64::from(self.leaves_max.max(1));
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}

impl Flood {
    pub(super) fn wire_bytes(&self) -> usize {
        let what = match &self.what {
            Looked::Words(words) => number_bytes(words.len() as u64) + words.iter().map(|word| sized_bytes(word.len())).sum::<usize>(),
            Looked::Digest(digest) => digest_bytes(digest),
        };
        16 + 1 + 1 + number_bytes(self.wanted.into()) + number_bytes(self.deadline_ms.into()) + 1 + what + shorts_bytes(&self.skip)
    }
}

impl<A: Place> Group<A> {
    pub(super) fn wire_bytes(&self) -> usize {
        digest_bytes(&self.digest)
            + number_bytes(self.others.len() as u64)
            + self.others.iter().map(digest_bytes).sum::<usize>()
            + number_bytes(self.size_bytes)
            + sized_bytes(self.name.len())
            + number_bytes(self.sources.len() as u64)
            + self.sources.iter().map(|source| source.addr.wire_bytes() + source.via.wire_bytes() + 1).sum::<usize>()
    }
}

fn shorts_bytes(shorts: &[u32]) -> usize {
    number_bytes(shorts.len() as u64) + 4 * shorts.len()
}

fn list_bytes<A: Place>(entries: &[Entry<A>]) -> usize {
    number_bytes(entries.len() as u64) + entries.iter().map(Entry::wire_bytes).sum::<usize>()
}

impl<A: Place> Message<A> {
    /// Bytes behind the head, the body of an `Output::SendShare` not counted.
    pub(super) fn content_bytes(&self) -> usize {
        match self {
            Self::Hello(to, purpose) => {
                3 + to.wire_bytes()
                    + 1
                    + match purpose {
                        Purpose::Leaf(card) => 1 + number_bytes(card.uplink_kbps.into()) + number_bytes(card.uptime_s.into()),
                        Purpose::Supernode(status) => status.wire_bytes(),
                        Purpose::Fetch => 0,
                        Purpose::CallBack(_) | Purpose::Give(_) | Purpose::RelayGive(_) => 8,
                        Purpose::Relay(target) => target.wire_bytes(),
                    }
            }
            Self::Welcome(you, status, others) => you.wire_bytes() + status.wire_bytes() + list_bytes(others),
            Self::Refused(_, others) => 1 + list_bytes(others),
            Self::Ping(_) => 4,
            Self::Pong(_, status, others) => 4 + status.wire_bytes() + list_bytes(others),
            Self::List(others) | Self::Leave(others) | Self::Move(others) => list_bytes(others),
            Self::CallBack(who, _) => who.wire_bytes() + 8,
            Self::Called(..) | Self::Heard(..) => 9,
            Self::Tested(_) | Self::Promoted(_) | Self::Resume(_) => 1,
            Self::Load(status) => status.wire_bytes(),
            Self::Begin(count, _) => number_bytes((*count).into()) + 32,
            Self::Publish(batch) => batch.wire_bytes(),
            Self::Published(sequence, refused) => number_bytes(*sequence) + shorts_bytes(refused),
            Self::Withdraw(numbers) => shorts_bytes(numbers),
            Self::Query(flood) => flood.wire_bytes(),
            Self::Results(_, groups) => 16 + number_bytes(groups.len() as u64) + groups.iter().map(Group::wire_bytes).sum::<usize>(),
            Self::QueryEnd(_, reached) => 16 + shorts_bytes(reached),
            Self::QueryStop(_) => 16,
            Self::Push(target, via, asker, _) => target.wire_bytes() + via.wire_bytes() + asker.wire_bytes() + 8,
            Self::PushOrder(asker, _) => asker.wire_bytes() + 8,
            Self::RelayOrder(_) => 8,
            Self::Describe(digest) => digest_bytes(digest),
            Self::Description(info) => info.len(),
            Self::Tree(tree) => {
                32 + number_bytes(tree.content.size) + number_bytes(tree.part_bytes) + sized_bytes(tree.name.len()) + 32 * tree.hashes.len()
            }
            Self::Request(offset, bytes) | Self::Gone(offset, bytes) => number_bytes(*offset) + number_bytes((*bytes).into()),
            Self::Block(block) => number_bytes(block.offset) + usize::try_from(block.body.0.len()).unwrap_or(0),
            Self::AskList | Self::Promote | Self::End | Self::Unknown(_) | Self::Fast(_) => 0,
        }
    }
}

impl<A: Place> hexad_core::Message for Message<A> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Hello(..) => "hello",
            Self::Welcome(..) => "welcome",
            Self::Refused(..) => "refused",
            Self::Ping(_) => "ping",
            Self::Pong(..) => "pong",
            Self::AskList => "ask_list",
            Self::List(_) => "list",
            Self::Leave(_) => "leave",
            Self::Move(_) => "move",
            Self::CallBack(..) => "call_back",
            Self::Called(..) => "called",
            Self::Heard(..) => "heard",
            Self::Tested(_) => "tested",
            Self::Promote => "promote",
            Self::Promoted(_) => "promoted",
            Self::Load(_) => "load",
            Self::Begin(..) => "begin",
            Self::Resume(_) => "resume",
            Self::Publish(_) => "publish",
            Self::Published(..) => "published",
            Self::End => "end",
            Self::Withdraw(_) => "withdraw",
            Self::Query(_) => "query",
            Self::Results(..) => "results",
            Self::QueryEnd(..) => "query_end",
            Self::QueryStop(_) => "query_stop",
            Self::Push(..) => "push",
            Self::PushOrder(..) => "push_order",
            Self::RelayOrder(_) => "relay_order",
            Self::Describe(_) => "describe",
            Self::Description(_) => "description",
            Self::Tree(_) => "tree",
            Self::Request(..) => "request",
            Self::Block(_) => "block",
            Self::Gone(..) => "gone",
            Self::Unknown(_) => "unknown",
            Self::Fast(fast) => fast.kind(),
        }
    }

    fn wire_bytes(&self) -> u64 {
        match self {
            Self::Fast(fast) => fast.wire_bytes(),
            _ => (HEAD_BYTES + self.content_bytes()) as u64,
        }
    }

    fn with_body(mut self, body: Payload) -> Self {
        if let Self::Block(block) = &mut self {
            block.body = Body(body);
        }
        self
    }
}
