//! What happens to machines.

use bytes::Bytes;
use hexad_core::{ConnId, Door, Network, Node, OpId, Operation, Outbox, Time, Token, Why};
use hexad_core::{Inbound, Outbound};

use crate::lab::{Tamper, Watcher};
use crate::queue::{Key, Queue};
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

/// One event. All but the last two kinds come from machines.
pub(crate) enum Event<N: Network> {
    /// A wake is due, if the machine still lives the life in which it was asked for.
    Elapsed { life: u32, timer: Timer<N> },
    /// What the machine's own host has to say, in that life.
    Host { life: u32, input: Box<In<N>> },
    /// The uplink has sent what it was given, in that life.
    UplinkFree { life: u32 },
    /// A datagram.
    Datagram { from_port: u16, entry: Entry, bytes: u32, parcel: Parcel<Msg<N>> },
    /// Somebody dials. `acks`: whether what is sent there must be acknowledged.
    Syn { conn: ConnId, entry: Entry, acks: bool, deadline: Time },
    /// The dial was answered.
    SynAck { conn: ConnId, far: ConnId, acks: bool },
    /// The dial was not.
    Refused { conn: ConnId, why: Why },
    /// Something came on a connection; `through` once it has passed the downlink. `back` is the sender's end.
    Data { conn: ConnId, back: ConnId, bytes: u32, body_bytes: u32, through: bool, parcel: Parcel<Msg<N>> },
    /// So many bytes of bodies have arrived.
    Acked { conn: ConnId, bytes: u32 },
    /// The other end has closed the connection, or it broke.
    Fin { conn: ConnId, broken: bool, through: bool },
    /// A user wants something.
    Start { op: OpId, operation: Box<Operation<Req<N>>> },
    /// A user no longer wants it.
    Cancel { op: OpId },
}

/// What the carrying out of one event may touch beside its machine.
pub(crate) struct Step<'a, N: Network> {
    pub(crate) world: &'a World,
    pub(crate) now: Time,
    pub(crate) queue: &'a mut Queue<Event<N>>,
    pub(crate) tally: &'a mut Tally,
    pub(crate) outbox: &'a mut Outbox<N::Node>,
    /// Empty; lent to whoever collects inputs for the node.
    pub(crate) heard: &'a mut Vec<In<N>>,
    pub(crate) watcher: Option<&'a mut Watcher<N>>,
    pub(crate) tamper: Option<&'a Tamper<N>>,
}

/// Names the events of one machine, and counts what it says and hears.
#[derive(Debug)]
pub(crate) struct Mouth {
    /// Whose.
    pub(crate) index: u32,
    /// Which life it lives; what was meant for one before is void.
    pub(crate) life: u32,
    /// How many events it has caused.
    pub(crate) emitted: u64,
    /// What went over its link.
    pub(crate) traffic: Traffic,
}

impl Mouth {
    /// Makes an event happen.
    pub(crate) fn emit<N: Network>(&mut self, step: &mut Step<'_, N>, to: u32, at: Time, event: Event<N>) {
        self.emitted += 1;
        step.queue.push(Key { at, to, from: self.index, sequence: self.emitted }, event);
    }

    /// Makes an event happen to the machine itself.
    pub(crate) fn emit_here<N: Network>(&mut self, step: &mut Step<'_, N>, at: Time, event: Event<N>) {
        self.emit(step, self.index, at, event);
    }
}
