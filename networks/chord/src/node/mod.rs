//! The state machine. This file only passes inputs on; what is remembered lives in the files beside it.

mod busy;
mod detector;
mod errands;
mod fetching;
mod few;
mod fingers;
mod joining;
mod leaving;
mod lookups;
pub mod model;
mod pace;
mod publishing;
mod queries;
mod replicas;
mod ring;
mod roads;
mod searching;
mod serving;
mod settings;
mod slots;
mod stabilise;
mod store;

pub use pace::Pace;
pub use queries::same_host;
pub use ring::{Ring, Stage};
pub use settings::{Config, Fill, Rules, Settings, Style, Table};

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use hexad_core::{
    Bind, ConnId, Context, Endpoint, Failure, Inbound, Input, Level, Link, Map, OpId, Operation, Outbox, Output, Progress, Span, Time, Via,
};

use crate::id::Key;
use crate::place::{Contact as _, Place};
use crate::wire::{Body, Item, Message, Reason, Step, Welcome};
use busy::Busy;
use few::Few;

/// Where a node puts what it wants.
pub type Out<A> = Outbox<Node<A>>;

/// The doors of a node.
pub mod doors {
    use hexad_core::Door;

    /// The ring: datagrams and connections at one UDP port.
    pub const RING: Door = Door(0);
}

/// What a node wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Stabilisation, and whatever else comes round.
    Tick,
    /// Questions were perhaps not answered; a lookup, a put or a get may have lasted too long, or is to be tried again.
    Patience,
    /// What was published is to be renewed.
    Publishing(OpId),
    /// A search has lasted too long.
    Search(OpId),
    /// A fetch looks how it gets on.
    Fetch(OpId),
    /// A connection for large messages has perhaps been idle.
    Road(ConnId),
    /// Copies are to be compared soon.
    Repair,
    /// Leaving has lasted too long; or a bootstrap node was not ready, and is asked again.
    Leave,
}

/// What only Chord can do.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Store a value → [`Reply::Put`]. Without a name its key is the hash of the bytes.
    Put {
        /// Under which name; others may have values of their own under it.
        name: Option<String>,
        /// At most 64 KiB.
        value: Bytes,
    },
    /// The values under a key → [`Reply::Got`], or a failure where there are none.
    Get(Key),
    /// Who owns a key → [`Reply::Owner`].
    Lookup(Key),
    /// How we stand → [`Reply::Status`].
    Status,
}

/// Answers to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<A: Place> {
    /// Stored.
    Put {
        /// Under which key.
        key: Key,
        /// Copies that were acknowledged by then.
        copies: u8,
    },
    /// What is under the key.
    Got(Vec<Item<A>>),
    /// Who owns the key.
    Owner(Found<A>),
    /// How we stand.
    Status(Status<A>),
}

/// How a lookup ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Found<A: Place> {
    /// The owner.
    pub owner: A::Contact,
    /// Who follows it, by its own account.
    pub following: Vec<A::Contact>,
    /// Messages until the owner itself had been asked; 0 where it is we.
    pub hops: u16,
    /// Questions on the way that nobody answered.
    pub timeouts: u16,
    /// How long it took.
    pub took: Span,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Status<A: Place> {
    /// Our address, once it is known.
    pub addr: Option<A>,
    /// Our virtual nodes.
    pub rings: Vec<Ring<A>>,
    /// Items held, and their bytes.
    pub stored: (usize, usize),
    /// How many nodes the ring has, by estimate.
    pub size_estimate: f64,
    /// Round trips to those who have answered lately.
    pub round_trips: Map<A, Span>,
}

/// One host of a ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node<A: Place> {
    config: Config,
    addr: Option<A>,
    rings: Few<Ring<A>>,
    /// The operation that keeps us in the ring.
    member: Option<OpId>,
    busy: Option<Box<Busy<A>>>,
    /// A number for our neighbours when their copies were last looked at.
    neighbours: u64,
    ticking: bool,
    listening: bool,
}

impl<A: Place> Node<A> {
    /// A node that has joined nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, addr: None, rings: Vec::new().into(), member: None, busy: None, neighbours: 0, ticking: false, listening: false }
    }

    /// Our virtual nodes, as far as they have a place.
    #[must_use]
    pub fn rings(&self) -> &[Ring<A>] {
        &self.rings
    }

    /// How many items are held, and their bytes.
    #[must_use]
    pub fn stored(&self) -> (usize, usize) {
        self.busy.as_ref().map_or((0, 0), |busy| (busy.store.len(), busy.store.bytes_used()))
    }

    /// Whether an item with that key is held.
    #[must_use]
    pub fn holds(&self, key: &Key) -> bool {
        self.busy.as_ref().is_some_and(|busy| busy.store.has_key(key))
    }

    /// Questions under way: nothing is left of them in a ring at rest.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.busy.as_ref().map_or(0, |busy| busy.queries.len() + busy.lookups.len() + busy.errands.len())
    }

    /// Whoever we count as gone.
    pub fn gone(&self) -> impl Iterator<Item = &A> {
        self.busy.iter().flat_map(|busy| busy.detector.suspects())
    }

    fn round_trips(&self) -> Map<A, Span> {
        self.busy.iter().flat_map(|busy| busy.detector.round_trips()).map(|(peer, trip)| (peer.clone(), trip)).collect()
    }

    pub(super) fn busy(&mut self) -> &mut Busy<A> {
        self.busy.get_or_insert_with(Box::default)
    }

    pub(super) fn ring(&self, vnode: u8) -> Option<&Ring<A>> {
        self.rings.iter().find(|ring| ring.me.vnode() == vnode)
    }

    pub(super) fn ring_mut(&mut self, vnode: u8) -> Option<&mut Ring<A>> {
        self.rings.iter_mut().find(|ring| ring.me.vnode() == vnode)
    }

    pub(super) fn is_member(&self) -> bool {
        self.rings.iter().any(|ring| ring.stage == Stage::Member)
    }

    fn start(&mut self, op: OpId, operation: Operation<Request>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match operation {
            Operation::Join { bootstrap } => self.start_join(op, &bootstrap, cx, out),
            Operation::Publish { share } => self.start_publish(op, share, cx, out),
            Operation::Search { query } => self.start_search(op, query, cx, out),
            Operation::Fetch { source, lease, share } => self.start_fetch(op, source, lease, share, cx, out),
            Operation::Own(Request::Put { name, value }) => self.start_put(op, name, value, cx, out),
            Operation::Own(Request::Get(key)) => self.start_get(op, key, cx, out),
            Operation::Own(Request::Lookup(key)) => self.start_locate(op, key, cx, out),
            Operation::Own(Request::Status) => {
                let status = Status {
                    addr: self.addr.clone(),
                    rings: self.rings.to_vec(),
                    stored: self.stored(),
                    size_estimate: self.rings.first().map_or(0.0, Ring::size_estimate),
                    round_trips: self.round_trips(),
                };
                out.report(op, Progress::Own(Reply::Status(status)));
                out.report(op, Progress::Done);
            }
        }
    }

    fn on_cancel(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member == Some(op) {
            return self.start_leave(op, cx, out);
        }
        let Some(busy) = &mut self.busy else { return };
        if busy.joining.as_ref().is_some_and(|joining| joining.op == op) {
            busy.joining = None;
            self.be_nobody(out);
            return out.report(op, Progress::Ended);
        }
        self.cancel_publish(op, cx, out);
        self.cancel_search(op, out);
        self.cancel_fetch(op, out);
        self.cancel_errand(op, out);
    }

    fn on_elapsed(&mut self, timer: Timer, cx: &mut Context<'_>, out: &mut Out<A>) {
        match timer {
            Timer::Tick => self.on_tick(cx, out),
            Timer::Patience => self.on_patience(cx, out),
            Timer::Publishing(op) => self.on_republish(op, cx, out),
            Timer::Search(op) => self.on_search_late(op, out),
            Timer::Fetch(op) => self.on_fetch_timer(op, cx, out),
            Timer::Road(conn) => self.on_road_idle(conn, cx, out),
            Timer::Repair => self.on_repair(cx, out),
            Timer::Leave => self.on_leave_late(cx, out),
        }
    }

    fn on_closed(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = self.busy.as_mut().and_then(|busy| busy.seldom()) else { return };
        busy.uploads.remove(&conn);
        busy.roads.closed(conn);
        self.on_source_closed(conn, cx, out);
    }

    fn on_received(&mut self, link: Link<A>, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let from = match link {
            Link::Datagram(_, from) => from,
            Link::Conn(conn) => {
                let Some(message) = self.on_bulk(conn, message, cx, out) else { return };
                let Some(peer) = self.busy.as_ref().and_then(|busy| busy.roads.peer(conn)).cloned() else { return };
                return self.on_message(&peer, message, cx, out);
            }
            Link::Multicast(_) => return,
        };
        self.on_message(&from, message, cx, out);
    }

    /// One message of the ring, whatever carried it.
    fn on_message(&mut self, from: &A, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !from.fits(self.config.0.identity.is_some()) {
            return out.note(Level::Drop, "peer_without_key", Some(from.clone()), "");
        }
        if message.body.is_answer() {
            return self.on_answer(from, message, cx, out);
        }
        let Some(sender) = from.contact(message.from) else {
            return out.note(Level::Drop, "peer_without_place", Some(from.clone()), "");
        };
        if let Some(busy) = &mut self.busy {
            busy.detector.heard(from);
        }
        self.learn(&sender);
        if let Body::Hello(seen) = &message.body {
            let seen = seen.clone();
            return self.on_hello(from, &sender, &seen, &message, cx, out);
        }
        let Some(ring) = self.ring(message.to).filter(|ring| ring.stage == Stage::Member) else {
            return self.answer(from, &message, Body::Refused(Reason::NotReady), cx, out);
        };
        let answer = match &message.body {
            Body::Ping => Body::Pong,
            Body::FindNext { key, claimed } => {
                let (step, mut contacts) = self.next_step(ring, key, *claimed);
                if step == Step::Successor {
                    self.add_nearer(ring, key, &mut contacts);
                }
                Body::Next(step, contacts)
            }
            Body::GetState => Body::State(ring.prdc.clone(), ring.succ.clone().into()),
            Body::GetFingers => {
                let mut fingers = ring.fingers.clone();
                fingers.truncate(crate::wire::CONTACTS_MAX);
                Body::Fingers(fingers.into())
            }
            Body::Notify => return self.on_notify(message.to, sender, cx, out),
            Body::Route(route) => {
                let route = (**route).clone();
                self.answer(from, &message, Body::Got, cx, out);
                return self.on_route(message.to, route, cx, out);
            }
            Body::Put(item) => {
                let item = (**item).clone();
                return self.on_put(from, &message, item, cx, out);
            }
            Body::Get(get) => self.on_get(get, cx.now),
            Body::Copy(items) => {
                let items = items.clone();
                self.on_copy(message.to, &sender, items, cx, out)
            }
            Body::Inventory(inventory) => {
                let inventory = (**inventory).clone();
                self.on_inventory(&inventory, cx.now)
            }
            Body::Take(wanted) => self.on_take(wanted, cx.now),
            Body::Withdraw(gone) => {
                let (key, slot, seq) = **gone;
                self.on_withdraw(message.to, from, &key, slot, seq, cx, out)
            }
            Body::Leave => return self.on_leave(message.to, &sender, cx, out),
            Body::Nearer => return self.on_nearer(message.to, &sender, cx, out),
            Body::SetFinger(bit, contact) => {
                let (bit, contact) = (*bit, contact.clone());
                return self.on_set_finger(message.to, bit, &contact, cx, out);
            }
            _ => return out.note(Level::Drop, "unknown_kind", Some(from.clone()), ""),
        };
        self.answer(from, &message, answer, cx, out);
    }

    /// Greets whoever comes.
    fn on_hello(&mut self, from: &A, sender: &A::Contact, seen: &A, message: &Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.addr.is_none() && self.member.is_some() && A::may_be(seen, self.config.0.identity) {
            self.found(seen.clone(), cx, out);
        }
        let vnode = if self.ring(message.to).is_some() { message.to } else { self.config.0.first_vnode };
        let length = self.config.0.successors;
        let Some(ring) = self.ring_mut(vnode).filter(|ring| ring.stage == Stage::Member) else {
            return self.answer(from, message, Body::Refused(Reason::NotReady), cx, out);
        };
        let nursery = ring.nursery;
        let changed = nursery && ring.admit(sender, length);
        let mut members = vec![ring.me.clone()];
        members.extend(ring.succ.iter().filter(|contact| *contact != sender).cloned());
        members.truncate(crate::wire::CONTACTS_MAX);
        self.busy().detector.heard(from);
        self.answer(from, message, Body::Welcome(Box::new(Welcome { you: from.clone(), nursery, members })), cx, out);
        if changed {
            self.neighbours_changed(cx, out);
        }
    }

    /// What follows whatever has happened: we hear what we said to ourselves, and forget what is over.
    fn settle(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.listen_to_ourselves(cx, out);
        if let Some(busy) = &mut self.busy {
            if busy.is_idle() {
                self.busy = None;
            } else {
                busy.tidy();
                self.see_to_wake(out);
            }
        }
    }

    /// Everything that we have said to ourselves.
    fn listen_to_ourselves(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        // Each round is what the one before has caused; a conversation with ourselves that does not end would be a fault of ours.
        for _ in 0..256 {
            let Some(busy) = self.busy.as_mut().filter(|busy| !busy.loopback.is_empty()) else { return };
            let said = std::mem::take(&mut busy.loopback);
            let Some(own) = self.addr.clone() else { return };
            for message in said {
                self.on_message(&own, message, cx, out);
            }
        }
    }
}

impl<A: Place> hexad_core::Node for Node<A> {
    type Addr = A;
    type Message = Message<A>;
    type Timer = Timer;
    type Request = Request;
    type Reply = Reply<A>;

    fn handle(&mut self, input: Inbound<Self>, cx: &mut Context<'_>, out: &mut Outbox<Self>) {
        match input {
            Input::Start(op, operation) => self.start(op, operation, cx, out),
            Input::Cancel(op) => self.on_cancel(op, cx, out),
            Input::Bound(_, bound) => self.on_bound(bound, cx, out),
            Input::Opened { conn, peer, via } => self.on_opened(conn, peer, matches!(via, Via::Accepted(_)), cx, out),
            Input::Closed(conn, _) => self.on_closed(conn, cx, out),
            Input::Received(link, message) => self.on_received(link, message, cx, out),
            Input::Elapsed(timer) => self.on_elapsed(timer, cx, out),
            Input::Room(conn) => self.serve_more(conn, cx, out),
            Input::Leased(lease, ranges) => self.on_leased(lease, ranges, cx, out),
            Input::Elsewhere(lease, ranges) => self.on_elsewhere(lease, ranges, cx, out),
            Input::Judged(lease, range, verdict) => self.on_judged(lease, range, verdict, cx, out),
            Input::Sent(..) | Input::Answered(..) => {}
        }
        self.settle(cx, out);
    }

    fn warm(&self, depth: u8) -> usize {
        match depth {
            0 => usize::from(self.ticking) ^ self.rings.len() ^ usize::from(self.busy.is_some()),
            1 => {
                let rings = self.rings.iter().map(Ring::warm).fold(0, usize::wrapping_add);
                rings.wrapping_add(self.busy.as_ref().map_or(0, |busy| busy.warm()))
            }
            _ => self.busy.as_ref().map_or(0, |busy| busy.warm_deeper()),
        }
    }
}

/// Where a node listens that was not told where.
fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
}

/// Opens our door.
fn listen<A: Place>(config: &Config, out: &mut Out<A>) {
    out.push(Output::Listen(doors::RING, Bind::Quic(config.0.listen.unwrap_or_else(anywhere))));
}

/// What a user gave as addresses, as far as they are addresses of this ring.
fn places<A: Place>(endpoints: &[Endpoint], keyed: bool) -> Vec<A> {
    endpoints.iter().filter_map(A::of_user).filter(|place| place.fits(keyed)).collect()
}

fn failed<A: Place>(op: OpId, failure: Failure, out: &mut Out<A>) {
    out.report(op, Progress::Failed(failure));
}

/// A time in the future as seconds from `now`, rounded up.
fn seconds_until(at: Time, now: Time) -> u32 {
    u32::try_from(at.since(now).as_micros().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}
