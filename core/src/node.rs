//! The contract between a network and its host.

use std::borrow::Cow;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::ops::Range;

use bytes::Bytes;
use hexad_content::Ranges;

use crate::{Address, Answer, Ask, ConnId, Dice, Door, LeaseId, OpId, Operation, Payload, Progress, ShareId, Shares, Span, Ticket, Time};

/// What every message of a network can tell about itself.
pub trait Message: Clone + Debug + PartialEq + Send + 'static {
    /// Its kind in the specification's words, for counting.
    fn kind(&self) -> &'static str;

    /// How many bytes it takes on the wire, framing included, the body of an `Output::SendShare` not.
    fn wire_bytes(&self) -> u64;

    /// The same message carrying `body`: what arrives when it was sent with `Output::SendShare`. Messages without a place for a body ignore it.
    #[must_use]
    fn with_body(self, body: Payload) -> Self;

    /// Reads, and does nothing with it, what whoever hears it will read, see [`Node::warm`].
    fn warm(&self, depth: u8) -> usize {
        if depth == 0 { self.kind().len() } else { 0 }
    }
}

/// One participant of one network, as a pure state machine.
///
/// Everything it learns comes as an [`Input`], everything it wants is pushed as an [`Output`]. The same inputs, time and dice give the same outputs.
pub trait Node: Sized {
    /// How peers are addressed.
    type Addr: Address;
    /// What goes over links.
    type Message: Message;
    /// What it wakes itself for. A value, never cancelled: on `Elapsed` the node looks whether it still cares.
    type Timer: Copy + Debug + PartialEq + Send + 'static;
    /// What only this network can be asked for.
    type Request: Clone + Debug + PartialEq + Send + 'static;
    /// The answers to that.
    type Reply: Clone + Debug + PartialEq + Send + 'static;

    /// Takes one input and pushes what follows from it. Must not take long: a millisecond is long.
    fn handle(&mut self, input: Inbound<Self>, cx: &mut Context<'_>, out: &mut Outbox<Self>);

    /// Reads, and does nothing with it, what the next [`Self::handle`] will read: what the node itself is at depth 0, what its pointers lead
    /// to at depth 1, and what these lead to at depth 2. A host of very many nodes calls it for several of them ahead, so that their memory
    /// comes at the same time and not one after the other. Returns a number without meaning.
    fn warm(&self, _depth: u8) -> usize {
        0
    }
}

/// The inputs of node `N`.
pub type Inbound<N> = Input<<N as Node>::Addr, <N as Node>::Message, <N as Node>::Timer, <N as Node>::Request>;
/// The outputs of node `N`.
pub type Outbound<N> = Output<<N as Node>::Addr, <N as Node>::Message, <N as Node>::Timer, <N as Node>::Reply>;

/// Over what a message goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link<A> {
    /// An open connection.
    Conn(ConnId),
    /// One datagram, from one of our doors, to or from a peer.
    Datagram(Door, A),
    /// To all in the local network who listen to the door's group.
    Multicast(Door),
}

/// How a connection came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// We opened it.
    Dialled,
    /// It came in through that door.
    Accepted(Door),
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// uTP (BEP 29), over the datagram door of that number.
    Utp(Door),
    /// A bidirectional QUIC stream to a peer known by its key.
    Quic,
}

/// How to open a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// What carries it.
    pub transport: Transport,
    /// Give up connecting after this long.
    pub deadline: Span,
    /// Which of its manners the network's codec speaks (plain, enciphered …); numbers are the network's.
    pub manner: u8,
    /// What the codec must know to speak it (an MSE SKEY); may be empty.
    pub secret: Bytes,
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody listens there, or the network says so.
    Unreachable,
    /// Connecting took longer than `Dial::deadline`.
    TimedOut,
    /// The peer closed it in order.
    PeerClosed,
    /// It broke.
    Broken,
    /// The codec could not read what came.
    Malformed(Cow<'static, str>),
    /// More was queued for sending than the host holds.
    Overrun,
    /// The name did not resolve.
    NoSuchName,
    /// The host is out of descriptors or connections.
    NoRoom,
    /// We closed it, because of this (lower case, for logs and counters).
    Ours(Cow<'static, str>),
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// For connections.
    Stream(SocketAddr),
    /// For datagrams.
    Datagram(SocketAddr),
    /// For datagrams of a multicast group, on all interfaces the user allows; loops back to this machine.
    Multicast(SocketAddr),
    /// For both kinds of our own overlays, at one UDP port.
    Quic(SocketAddr),
}

/// What the engine found about delivered bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proven, and on disk.
    Good,
    /// Not what the proof says. Whoever sent them lied or is broken. The range is missing again.
    Bad,
    /// Not what the proof says, and several leases have given to it, so that nobody is to blame. The range is missing again, and comes from one of them
    /// alone the next time.
    Mixed,
    /// Already there; another source was faster.
    Duplicate,
    /// Part of what was [`Self::Bad`] before; it has come right since, and these bytes differ from what was delivered then. Said before the range is
    /// [`Self::Good`], where all of it had come under this lease. A lease of one source has learnt nothing by it.
    Lie,
}

/// What a node learns.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<A, M, T, Q> {
    /// A user wants something.
    Start(OpId, Operation<Q>),
    /// A user no longer wants it: leave, withdraw, stop, abort. Answered by `Progress::Ended`, or nothing when it was over.
    Cancel(OpId),
    /// A door is open at this address, or could not be opened.
    Bound(Door, Result<SocketAddr, String>),
    /// A connection is open.
    Opened {
        /// Its id: from `Output::Open`, or fresh when accepted.
        conn: ConnId,
        /// The other end.
        peer: A,
        /// How it came to be.
        via: Via,
    },
    /// A connection is over, or could not be opened. Not sent for one that the node closed itself.
    Closed(ConnId, Why),
    /// A message came.
    Received(Link<A>, M),
    /// A `Output::Wake` is due.
    Elapsed(T),
    /// So many bytes of shares have really left on this connection since the last such input.
    Sent(ConnId, u64),
    /// A send queue that was over its mark has emptied.
    Room(ConnId),
    /// The transfer engine wants these ranges, in place of what it wanted under that lease before. Empty: nothing more.
    Leased(LeaseId, Ranges),
    /// Others bring these ranges of the lease: they are not to be asked for, in place of what others brought before. Nothing is heard of it where nobody
    /// else has a part in the download. [`crate::Others`] keeps the books.
    Elsewhere(LeaseId, Ranges),
    /// The engine has judged a range of the lease.
    Judged(LeaseId, Range<u64>, Verdict),
    /// The answer to an `Output::Ask`.
    Answered(Ticket, Answer),
}

/// What a node wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Output<A, M, T, Y> {
    /// Open a door → `Input::Bound`.
    Listen(Door, Bind),
    /// Close a door.
    Unlisten(Door),
    /// Open a connection, under an id from `Context::new_conn` → `Input::Opened` or `Input::Closed`.
    Open(ConnId, A, Dial),
    /// Close a connection, and why (lower case, for logs and counters). What is queued is sent as far as the socket takes it at once. Nothing more is heard of it.
    Close(ConnId, Cow<'static, str>),
    /// Send a message.
    Send(Link<A>, M),
    /// Send a message whose body is that range of a share. The host reads it when the socket is writable, and puts it behind the message's head.
    SendShare(ConnId, M, ShareId, Range<u64>),
    /// Take back every `SendShare` of this connection that has not begun to leave; the node decides what to send in their place.
    Unsend(ConnId),
    /// Be woken at that time.
    Wake(Time, T),
    /// Bytes of a lease: offset in the layout, and what came.
    Deliver(LeaseId, u64, Payload),
    /// These ranges of a lease were asked for. Empty: there is nothing left to ask for that others do not bring → `Input::Elsewhere`, when something is
    /// left. Said only of a lease of which `Input::Elsewhere` was heard.
    Claim(LeaseId, Ranges),
    /// How an operation stands.
    Report(OpId, Progress<Y>),
    /// A question to the host → `Input::Answered` with the same ticket.
    Ask(Ticket, Ask),
    /// Something for logs and counters.
    Note(Note<A>),
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A decision, for those who look closely.
    Debug,
    /// What a user would tell a friend.
    Info,
    /// A peer's nonsense was dropped; counted by its code.
    Drop,
    /// A peer was banned.
    Ban,
    /// Something the user should know.
    Warn,
}

/// Something worth counting or logging. Every drop is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<A> {
    /// How much it matters.
    pub level: Level,
    /// What it is, as `snake_case` constant, for counters.
    pub code: &'static str,
    /// Who caused it.
    pub peer: Option<A>,
    /// A sentence for the log; empty where the code says it all.
    pub detail: Cow<'static, str>,
}

/// Where outputs are pushed; the host drains it after each input or batch of inputs.
#[derive(Debug)]
pub struct Outbox<N: Node> {
    outputs: Vec<Outbound<N>>,
}

impl<N: Node> Default for Outbox<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: Node> Outbox<N> {
    /// An empty outbox.
    #[must_use]
    pub const fn new() -> Self {
        Self { outputs: Vec::new() }
    }

    /// Adds an output.
    pub fn push(&mut self, output: Outbound<N>) {
        self.outputs.push(output);
    }

    /// Sends a message.
    pub fn send(&mut self, link: Link<N::Addr>, message: N::Message) {
        self.push(Output::Send(link, message));
    }

    /// Sends a message over a connection.
    pub fn send_to(&mut self, conn: ConnId, message: N::Message) {
        self.push(Output::Send(Link::Conn(conn), message));
    }

    /// Reports on an operation.
    pub fn report(&mut self, op: OpId, progress: Progress<N::Reply>) {
        self.push(Output::Report(op, progress));
    }

    /// Asks to be woken.
    pub fn wake(&mut self, at: Time, timer: N::Timer) {
        self.push(Output::Wake(at, timer));
    }

    /// Notes something.
    pub fn note(&mut self, level: Level, code: &'static str, peer: Option<N::Addr>, detail: impl Into<Cow<'static, str>>) {
        self.push(Output::Note(Note { level, code, peer, detail: detail.into() }));
    }

    /// Takes everything out, in the order in which it was pushed; the memory is kept.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Outbound<N>> {
        self.outputs.drain(..)
    }

    /// What waits, in the order in which it was pushed.
    #[must_use]
    pub fn as_slice(&self) -> &[Outbound<N>] {
        &self.outputs
    }

    /// How many outputs wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }
}

/// How full the host's send queues are.
pub trait Rooms {
    /// How many more bytes may be queued on `conn` before it is over its mark; 0 for a connection that is not open.
    fn room(&self, conn: ConnId) -> u64;
}

/// What a node may know of the world while it handles one input.
pub struct Context<'a> {
    /// The time.
    pub now: Time,
    /// The host's calendar at `Time::ZERO`, in seconds since 1970 (UTC).
    pub epoch_unix_s: u64,
    /// Random numbers.
    pub dice: &'a mut Dice,
    /// What this machine has.
    pub shares: &'a Shares,
    /// Counts up the connections we dial.
    pub next_conn: &'a mut u64,
    /// The host's send queues.
    pub rooms: &'a dyn Rooms,
}

impl Context<'_> {
    /// A fresh id for a connection that we open.
    pub fn new_conn(&mut self) -> ConnId {
        *self.next_conn += 1;
        ConnId(*self.next_conn)
    }

    /// How many more bytes may be queued on `conn` before it is over its mark, as of the last drained output.
    #[must_use]
    pub fn room(&self, conn: ConnId) -> u64 {
        self.rooms.room(conn)
    }

    /// The calendar in seconds since 1970 (UTC).
    #[must_use]
    pub fn unix_s(&self) -> u64 {
        self.epoch_unix_s + self.now.as_micros() / 1_000_000
    }
}
