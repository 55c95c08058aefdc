//! The node and all that its sockets share: its dice, its shares, its wakes, the queues of its connections.
//!
//! Everything here runs on the host's thread. Tasks hand the node what they hear by [`Stage::hear`], as often as they have something, and
//! then let [`Stage::settle`] carry out all that the node has said. Nothing here waits, and no borrow outlives a call.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use hexad_core::{
    Address as _, Answer, ConnId, Context, Dice, Endpoint, Inbound, Input, LeaseId, Level, Link, Network, Node, Note, Outbound, Outbox,
    Output, Payload, Role, Shares, Span, Time, Transport, Via, Why,
};
use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio::time::Instant;

use super::alarm::Alarm;
use super::asks::Asks;
use super::config::HostConfig;
use super::conn;
use super::doors::Doors;
use super::handle::{AddrOf, MessageOf, Teller};
use super::key::NodeKey;
use super::line::{Fate, LineCell, Lines};
use super::pool::Pool;
use super::quic;
use super::store::Deed;
use super::utp;
use crate::wall::SET_MIN_S;
use crate::{Deliveries, ReadShare};

/// The bucket that is the host's own.
pub(super) const OWN_BUCKET: &str = "host";
/// Under which it keeps the private half of the node's key.
const SEED_KEY: &[u8] = b"ed25519-seed";
/// How often the calendar is held against the clock on the wall.
const CALENDAR_EVERY: Span = Span::from_secs(10);

/// The node with its dice and what it has said.
struct Actor<N: Network> {
    node: N::Node,
    outbox: Outbox<N::Node>,
    dice: Dice,
    shares: Arc<Shares>,
    next_conn: u64,
}

/// The node and all that its sockets share.
pub(super) struct Stage<N: Network> {
    pub(super) config: HostConfig,
    actor: RefCell<Actor<N>>,
    pub(super) lines: RefCell<Lines<N>>,
    pub(super) alarm: RefCell<Alarm<<N::Node as Node>::Timer>>,
    /// What the host itself has to say to the node.
    inbox: RefCell<VecDeque<Inbound<N::Node>>>,
    pub(super) doors: RefCell<Doors>,
    pub(super) asks: Asks,
    pub(super) pool: RefCell<Pool>,
    pub(super) teller: Teller<N>,
    pub(super) deliveries: Arc<dyn Deliveries>,
    pub(super) read_share: Arc<dyn ReadShare>,
    /// Turns to dial.
    pub(super) dials: Semaphore,
    connections: Cell<usize>,
    connections_max: usize,
    paused: Cell<bool>,
    start: Instant,
    /// The calendar at the start of the host's time, and when it is held against the clock on the wall again.
    epoch_unix_s: Cell<u64>,
    calendar_at: Cell<Time>,
    key: OnceCell<NodeKey>,
    /// Rung when the main loop has something to look at.
    pub(super) bell: Notify,
    /// A task has panicked.
    doomed: Cell<bool>,
}

impl<N: Network> Stage<N> {
    pub(super) fn new(
        node: N::Node,
        dice: Dice,
        config: HostConfig,
        asks: Asks,
        teller: Teller<N>,
        deliveries: Arc<dyn Deliveries>,
        read_share: Arc<dyn ReadShare>,
    ) -> Self {
        let actor = Actor { node, outbox: Outbox::new(), dice, shares: Arc::default(), next_conn: 0 };
        Self {
            actor: RefCell::new(actor),
            lines: RefCell::new(Lines::new(config.send_queue_bytes_max, config.send_queue_mark_bytes)),
            alarm: RefCell::new(Alarm::new()),
            inbox: RefCell::default(),
            doors: RefCell::new(Doors::new()),
            asks,
            pool: RefCell::default(),
            teller,
            deliveries,
            read_share,
            dials: Semaphore::new(config.half_open_max.clamp(1, Semaphore::MAX_PERMITS)),
            connections: Cell::new(0),
            connections_max: config.connections_max.min(descriptors() / 2).max(1),
            paused: Cell::new(false),
            start: Instant::now(),
            epoch_unix_s: Cell::new(config.wall.unix_s()),
            calendar_at: Cell::new(Time::ZERO),
            key: OnceCell::new(),
            bell: Notify::new(),
            doomed: Cell::new(false),
            config,
        }
    }

    pub(super) fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn instant(&self, time: Time) -> Instant {
        self.start + std::time::Duration::from_micros(time.as_micros())
    }

    /// Hands the node an input. What it says waits for [`Self::settle`].
    pub(super) fn hear(&self, input: Inbound<N::Node>) {
        self.act(self.now(), input);
    }

    /// Hands the node a message of a connection, `now` read once for all that came with it.
    pub(super) fn hear_message(&self, now: Time, conn: ConnId, message: MessageOf<N>) -> Aftermath {
        let said_before = self.act(now, Input::Received(Link::Conn(conn), message));
        let actor = self.actor.borrow();
        let mut aftermath = Aftermath::default();
        for output in &actor.outbox.as_slice()[said_before..] {
            match output {
                Output::Close(closed, _) => aftermath.closed |= *closed == conn,
                Output::Deliver(lease, _, payload) => {
                    aftermath.lease = Some(*lease);
                    aftermath.delivered += payload.len();
                }
                _ => {}
            }
        }
        aftermath
    }

    /// Returns how much had been said before.
    fn act(&self, now: Time, input: Inbound<N::Node>) -> usize {
        let mut actor = self.actor.borrow_mut();
        let Actor { node, outbox, dice, shares, next_conn } = &mut *actor;
        let said_before = outbox.len();
        let lines = self.lines.borrow();
        let mut context = Context { now, epoch_unix_s: self.epoch_unix_s(now), dice, shares, next_conn, rooms: &*lines };
        node.handle(input, &mut context, outbox);
        said_before
    }

    /// The calendar at the start of the host's time, as the clock on the wall has it: who sets that sets this one, within ten seconds.
    fn epoch_unix_s(&self, now: Time) -> u64 {
        if now >= self.calendar_at.get() {
            self.calendar_at.set(now + CALENDAR_EVERY);
            let epoch = self.config.wall.unix_s().saturating_sub(now.as_micros() / 1_000_000);
            if epoch.abs_diff(self.epoch_unix_s.get()) > SET_MIN_S {
                self.epoch_unix_s.set(epoch);
            }
        }
        self.epoch_unix_s.get()
    }

    /// Lets the node hear `input` soon. For what comes about while its outputs are carried out.
    pub(super) fn hear_soon(&self, input: Inbound<N::Node>) {
        self.inbox.borrow_mut().push_back(input);
        self.bell.notify_one();
    }

    /// Hands the node what the host has to say. What comes about through that waits until the next time.
    pub(super) fn hear_inbox(&self) {
        let waiting = self.inbox.borrow().len();
        for _ in 0..waiting {
            let Some(input) = self.inbox.borrow_mut().pop_front() else { break };
            self.hear(input);
        }
    }

    pub(super) fn has_inbox(&self) -> bool {
        !self.inbox.borrow().is_empty()
    }

    /// The node's key pair: given, stored, or made and stored.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub(super) async fn node_key(&self) -> Result<&NodeKey, String> {
        let key = self.key.get_or_try_init(|| async {
            if let Some(key) = &self.config.key {
                return Ok(key.clone());
            }
            let gone = |_| "the host ends".to_owned();
            let other = |error: std::io::Error| error.to_string();
            match self.asks.store(Deed::Load(OWN_BUCKET, SEED_KEY.to_vec())).await.map_err(gone)? {
                Answer::Loaded(Some(Payload::Bytes(seed))) => {
                    let seed = <[u8; 32]>::try_from(&seed[..]).map_err(|_| "the stored key is not 32 bytes long".to_owned())?;
                    NodeKey::from_seed(seed).map_err(other)
                }
                Answer::Loaded(_) => {
                    let key = NodeKey::generate().map_err(other)?;
                    let seed = Bytes::copy_from_slice(&key.seed());
                    match self.asks.store(Deed::Store(OWN_BUCKET, SEED_KEY.to_vec(), seed)).await.map_err(gone)? {
                        Answer::Failed(failure) => Err(failure.to_string()),
                        _ => Ok(key),
                    }
                }
                Answer::Failed(failure) => Err(failure.to_string()),
                other => Err(format!("{other:?}")),
            }
        });
        let key = key.await?;
        self.teller.set_public_key(key.public());
        Ok(key)
    }

    pub(super) fn set_shares(&self, shares: Arc<Shares>) {
        self.actor.borrow_mut().shares = shares;
    }

    /// Makes the codec of a connection.
    pub(super) fn codec(&self, role: Role, dial: Option<&hexad_core::Dial>) -> N::Codec {
        let mut actor = self.actor.borrow_mut();
        let secrets = N::secrets(&actor.node);
        N::codec(role, dial, &secrets, &mut actor.dice)
    }

    /// Dice of its own for a part of the host.
    pub(super) fn secret_dice(&self) -> Dice {
        Dice::secure(self.actor.borrow_mut().dice.bytes())
    }

    /// Makes the line of a connection that has come in.
    pub(super) fn accept(&self) -> (ConnId, Rc<LineCell<MessageOf<N>>>) {
        let mut actor = self.actor.borrow_mut();
        actor.next_conn += 1;
        let conn = ConnId(actor.next_conn);
        (conn, self.lines.borrow_mut().add(conn))
    }

    /// Lets the node hear that a connection is over, unless it has closed it itself.
    pub(super) fn closed(&self, conn: ConnId, why: Why) {
        if self.lines.borrow_mut().remove(conn) {
            self.hear(Input::Closed(conn, why));
        }
    }

    pub(super) fn note(
        &self,
        level: Level,
        code: &'static str,
        peer: Option<AddrOf<N>>,
        detail: impl Into<std::borrow::Cow<'static, str>>,
    ) {
        self.teller.note(Note { level, code, peer, detail: detail.into() });
    }

    /// Whether nothing may be read from connections, since the transfers cannot take more.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// Goes on reading if the transfers can take more.
    pub(super) fn resume(&self) {
        if self.paused.get() && !self.deliveries.congested() {
            self.paused.set(false);
            self.lines.borrow().ring_all();
        }
    }

    pub(super) fn is_doomed(&self) -> bool {
        self.doomed.get()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.get()
    }

    /// Takes a seat among the connections, if one is free.
    pub(super) fn seat(self: &Rc<Self>) -> Option<Seat<N>> {
        if self.connections.get() >= self.connections_max {
            return None;
        }
        self.connections.set(self.connections.get() + 1);
        Some(Seat(self.clone()))
    }

    /// Lets a task run beside the others. When it panics, the host ends.
    pub(super) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) -> tokio::task::JoinHandle<()> {
        let watch = Watch(self.clone());
        tokio::task::spawn_local(async move {
            let _watch = watch;
            task.await;
        })
    }

    /// Carries out all that the node has said.
    pub(super) fn settle(self: &Rc<Self>) {
        let mut outbox = std::mem::take(&mut self.actor.borrow_mut().outbox);
        let mut delivered = false;
        for output in outbox.drain() {
            delivered |= matches!(output, Output::Deliver(..));
            self.carry_out(output);
        }
        // Carrying out says nothing, so the memory can be given back.
        self.actor.borrow_mut().outbox = outbox;
        if delivered && !self.paused.get() && self.deliveries.congested() {
            self.paused.set(true);
            self.bell.notify_one();
        }
    }

    fn carry_out(self: &Rc<Self>, output: Outbound<N::Node>) {
        match output {
            Output::Deliver(lease, offset, payload) => self.deliveries.deliver(lease, offset, &payload),
            Output::Claim(lease, ranges) => self.deliveries.claim(lease, &ranges),
            Output::Send(Link::Conn(conn), message) => self.send(conn, message, None),
            Output::SendShare(conn, message, share, range) => self.send(conn, message, Some((share, range))),
            Output::Unsend(conn) => self.lines.borrow().unsend(conn),
            Output::Send(Link::Datagram(door, to), message) => super::post::send(self, door, to, &message),
            Output::Send(Link::Multicast(door), message) => super::post::send_to_group(self, door, &message),
            Output::Wake(at, timer) => {
                if self.alarm.borrow_mut().set(at, timer) {
                    self.bell.notify_one();
                }
            }
            Output::Open(conn, to, dial) => self.open(conn, &to, dial),
            Output::Close(conn, reason) => {
                if !self.lines.borrow_mut().end(conn, Fate::Closed(reason)) {
                    // The node does not know yet that it is over, and need not hear of it.
                    self.inbox.borrow_mut().retain(|input| !matches!(input, Input::Closed(closed, _) if *closed == conn));
                }
            }
            Output::Listen(door, bind) => super::doors::listen(self, door, &bind),
            Output::Unlisten(door) => self.doors.borrow_mut().close(door),
            Output::Report(op, progress) => self.teller.report(op, progress),
            Output::Ask(ticket, ask) => super::asks::ask(self, ticket, ask),
            Output::Note(note) => self.teller.note(note),
        }
    }

    fn send(&self, conn: ConnId, message: MessageOf<N>, share: Option<(hexad_core::ShareId, std::ops::Range<u64>)>) {
        let sent = self.lines.borrow().send(conn, message, share);
        if sent.is_err() {
            self.lines.borrow_mut().end(conn, Fate::Overrun);
            self.hear_soon(Input::Closed(conn, Why::Overrun));
        }
    }

    fn open(self: &Rc<Self>, conn: ConnId, to: &AddrOf<N>, dial: hexad_core::Dial) {
        let cell = self.lines.borrow_mut().add(conn);
        let Some(seat) = self.seat() else { return self.refuse(conn, Why::NoRoom) };
        match (dial.transport, to.endpoint()) {
            (Transport::Tcp, Some(endpoint @ (Endpoint::Ip(_) | Endpoint::Name(_)))) => {
                self.spawn(conn::dial(self.clone(), conn, cell, endpoint, dial, seat));
            }
            (Transport::Utp(door), Some(Endpoint::Ip(at))) => {
                self.spawn(utp::dial(self.clone(), conn, cell, (door, at), dial, seat));
            }
            (Transport::Quic, Some(Endpoint::Key(key, at))) => {
                self.spawn(quic::dial(self.clone(), conn, cell, (key, at), dial, seat));
            }
            (transport, endpoint) => {
                self.note(Level::Debug, "cannot_dial", Some(to.clone()), format!("{transport:?} to {endpoint:?}"));
                self.refuse(conn, Why::Unreachable);
            }
        }
    }

    fn refuse(&self, conn: ConnId, why: Why) {
        self.lines.borrow_mut().remove(conn);
        self.hear_soon(Input::Closed(conn, why));
    }

    /// Lets the node hear that a connection is open.
    pub(super) fn opened(&self, conn: ConnId, peer: AddrOf<N>, via: Via) {
        self.hear(Input::Opened { conn, peer, via });
    }

    /// Lets go of every connection, in order.
    pub(super) fn part_with_all(&self) {
        self.lines.borrow_mut().end_all("the host ends");
    }

    /// Whether nothing waits to be sent or answered.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_inbox() && self.asks.under_way() == 0 && self.lines.borrow().is_idle()
    }
}

/// What came of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Aftermath {
    /// The node has closed the connection over it.
    pub(super) closed: bool,
    /// Under which lease it brought bytes, and how many.
    pub(super) lease: Option<LeaseId>,
    pub(super) delivered: u64,
}

/// A place among the connections, free again when dropped.
pub(super) struct Seat<N: Network>(Rc<Stage<N>>);

impl<N: Network> Drop for Seat<N> {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
    }
}

/// Dooms the host when the task that holds it panics.
struct Watch<N: Network>(Rc<Stage<N>>);

impl<N: Network> Drop for Watch<N> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.doomed.set(true);
            self.0.bell.notify_one();
        }
    }
}

/// How many descriptors the system allows this process.
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
