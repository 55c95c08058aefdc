//! What happens to machines.

use bytes::Bytes;
use hexad_core::{ConnId, Door, Message, Network, Node, OpId, Operation, Outbox, Time, Token, Why};
use hexad_core::{Inbound, Outbound};

use crate::desk::Report;
use crate::lab::{Forge, NodeIndex, Tamper, Watcher};
use crate::queue::{Key, Post, Queue};
use crate::tally::{Tally, Traffic};
use crate::world::World;

pub(crate) type Addr<N> = <<N as Network>::Node as Node>::Addr;
pub(crate) type Msg<N> = <<N as Network>::Node as Node>::Message;
pub(crate) type Timer<N> = <<N as Network>::Node as Node>::Timer;
pub(crate) type Req<N> = <<N as Network>::Node as Node>::Request;
pub(crate) type Reply<N> = <<N as Network>::Node as Node>::Reply;
pub(crate) type In<N> = Inbound<<N as Network>::Node>;
pub(crate) type Out<N> = Outbound<<N as Network>::Node>;

/// A message on its way.
pub(crate) enum Parcel<M> {
    /// As it is.
    Plain(M),
    /// As bytes (codec on), with what they ought to be read as; `None` where the codec speaks for itself.
    Coded(Box<Coded<M>>),
}

/// Bytes of a connection or datagram.
pub(crate) struct Coded<M> {
    pub(crate) original: Option<M>,
    /// What the zeros behind the head stand for.
    pub(crate) body: Option<Token>,
    pub(crate) bytes: Bytes,
}

/// Which door of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The one at that port.
    Port(u16),
    /// The one of that number: where addresses have no ports.
    Same(Door),
    /// The multicast one of that number.
    Group(Door),
    /// Any that takes connections.
    Any,
}

/// One end of a connection, as it is named on the way: machines count their connections from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wire(u32);

impl Wire {
    pub(crate) fn of(conn: ConnId) -> Self {
        Self(u32::try_from(conn.0).expect("a machine has fewer than 2^32 connections in a run"))
    }

    pub(crate) fn conn(self) -> ConnId {
        ConnId(self.0.into())
    }
}

/// What happens to a machine, but for the wakes that it has asked for. Small: a large world holds millions of them. What happens often has
/// its room here, what happens seldom is behind a pointer.
pub(crate) enum Event<N: Network> {
    /// A datagram.
    Datagram { from_port: u16, entry: Entry, bytes: u32, parcel: Parcel<Msg<N>> },
    /// Something came on a connection; `through` once it has passed the downlink. `back` is the sender's end.
    Data { conn: Wire, back: Wire, bytes: u32, body_bytes: u32, through: bool, parcel: Parcel<Msg<N>> },
    /// So many bytes of bodies have arrived.
    Acked { conn: Wire, bytes: u32 },
    /// The uplink has sent what it was given, in that life.
    UplinkFree { life: u32 },
    /// Somebody dials. `acks`: whether what is sent there must be acknowledged.
    Syn { conn: Wire, entry: Entry, acks: bool, deadline: Time },
    /// The dial was answered.
    SynAck { conn: Wire, far: Wire, acks: bool },
    /// The dial was not.
    Refused { conn: Wire, why: Box<Why> },
    /// The other end has closed the connection, or it broke.
    Fin { conn: Wire, broken: bool, through: bool },
    /// What the machine's own host has to say, in that life.
    Host { life: u32, input: Box<In<N>> },
    /// A user wants something.
    Start { op: OpId, operation: Box<Operation<Req<N>>> },
    /// A user no longer wants it.
    Cancel { op: OpId },
}

impl<N: Network> Event<N> {
    /// Reads what it brings, see [`Message::warm`].
    pub(crate) fn warm(&self, depth: u8) -> usize {
        match self {
            Self::Datagram { parcel: Parcel::Plain(message), .. } | Self::Data { parcel: Parcel::Plain(message), .. } => {
                message.warm(depth)
            }
            _ => 0,
        }
    }
}

/// What the carrying out of one event may touch beside its machine.
pub(crate) struct Step<'a, N: Network> {
    pub(crate) world: &'a World,
    pub(crate) configs: &'a [N::Config],
    pub(crate) now: Time,
    pub(crate) queue: &'a mut Queue<Event<N>, Timer<N>>,
    /// Which of several shards this is, and what it has for each of the others; none where there is only one.
    pub(crate) shard: usize,
    pub(crate) away: &'a mut [Vec<Post<Event<N>>>],
    pub(crate) tally: &'a mut Tally,
    pub(crate) outbox: &'a mut Outbox<N::Node>,
    /// Empty; lent to whoever collects inputs for the node.
    pub(crate) heard: &'a mut Vec<In<N>>,
    /// What nodes reported, where their machines do not keep it.
    pub(crate) reports: &'a mut Vec<(NodeIndex, Report<Reply<N>>)>,
    pub(crate) watcher: Option<&'a mut Watcher<N>>,
    pub(crate) tamper: Option<&'a Tamper<N>>,
    pub(crate) forge: Option<&'a Forge<N>>,
}

/// Names the events of one machine, and counts what it says and hears.
#[derive(Debug)]
pub(crate) struct Mouth {
    /// Whose.
    pub(crate) index: u32,
    /// Which life it lives; what was meant for one before is void.
    pub(crate) life: u32,
    /// How many events it has caused.
    emitted: u32,
    /// What went over its link.
    pub(crate) traffic: Traffic,
}

impl Mouth {
    pub(crate) const fn new(index: u32) -> Self {
        Self {
            index,
            life: 0,
            emitted: 0,
            traffic: Traffic { sent_bytes: 0, received_bytes: 0, sent_share_bytes: 0, received_share_bytes: 0 },
        }
    }

    /// The number that its next event will have.
    pub(crate) fn next(&self) -> u64 {
        u64::from(self.emitted) + 1
    }

    /// Reads it.
    pub(crate) fn warm(&self) -> usize {
        (self.emitted ^ self.life) as usize
    }

    fn count(&mut self) -> u32 {
        self.emitted = self.emitted.checked_add(1).expect("a machine causes fewer than 2^32 events in a run");
        self.emitted
    }

    /// Makes an event happen.
    pub(crate) fn emit<N: Network>(&mut self, step: &mut Step<'_, N>, to: u32, at: Time, event: Event<N>) {
        let post = Post { key: Key { at, to, from: self.index, sequence: self.count() }, event };
        debug_assert!(to == self.index || at >= step.now + step.world.space.floor(), "nothing is faster than the floor");
        if step.away.is_empty() || to as usize % step.away.len() == step.shard {
            step.queue.push(post);
        } else {
            step.away[to as usize % step.away.len()].push(post);
        }
    }

    /// Makes an event happen to the machine itself.
    pub(crate) fn emit_here<N: Network>(&mut self, step: &mut Step<'_, N>, at: Time, event: Event<N>) {
        self.emit(step, self.index, at, event);
    }

    /// Wakes the machine's node.
    pub(crate) fn wake<N: Network>(&mut self, step: &mut Step<'_, N>, at: Time, timer: Timer<N>) {
        let sequence = self.count();
        step.queue.push_wake(at, self.index, sequence, self.life, timer);
    }
}
