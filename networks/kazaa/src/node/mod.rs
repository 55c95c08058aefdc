//! The state machine. This file only passes inputs on; what is remembered lives in the files beside it.

mod bucket;
mod calls;
mod door;
mod election;
mod fetching;
mod flock;
mod flooding;
mod home;
mod index;
mod known;
mod lines;
mod peers;
mod publishing;
mod pushing;
mod searching;
mod serving;
mod settings;
mod standing;
mod suppliers;

pub use index::Index;
pub use settings::{Config, Settings, Switch};
pub use standing::Standing;

use std::net::{Ipv4Addr, SocketAddr};

use hexad_core::{
    Answer, Bind, ConnId, Context, Failure, Inbound, Input, Level, Link, Map, OpId, Operation, Outbox, Output, Progress, Ticket, Time, Via,
};

use crate::place::Place;
use crate::wire::{Message, Status};
use fetching::Fetch;
use flooding::Floods;
use home::Home;
use known::Known;
use lines::Lines;
use publishing::Ours;
use pushing::Pushing;
use searching::Searches;
use serving::Upload;

/// Where a node puts what it wants.
pub type Out<A> = Outbox<Node<A>>;

/// The doors of a node.
pub mod doors {
    use hexad_core::Door;

    /// Datagrams and connections at one UDP port.
    pub const KAZAA: Door = Door(0);
    /// Connections of leaves that speak FastTrack's own wire; open at a supernode whose user wants it.
    pub const FASTTRACK: Door = Door(1);
}

/// What a node wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Whatever comes round.
    Tick,
    /// Candidates have had time to answer.
    Probe(u32),
    /// Supernodes that were asked at the same time have had time to answer: which question, which wave.
    Wave([u8; 16], u16),
    /// A supernode that was asked has had time to say something.
    Silence([u8; 16]),
    /// A search has lasted too long.
    Search([u8; 16]),
    /// What was published since is signed.
    Sign,
    /// A publication has waited too long for a supernode.
    Publish(OpId),
    /// A fetch looks how it gets on.
    Fetch(OpId),
}

/// What only Kazaa can do.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Search again by the same words, in other parts of the network than before.
    SearchMore {
        /// Lower-cased words.
        words: Vec<String>,
        /// How many hits are enough.
        wanted: usize,
    },
    /// The user's word on being a supernode.
    Switch(Switch),
    /// How we stand → [`Reply::Standing`].
    Status,
}

/// Answers to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<A> {
    /// How we stand.
    Standing(Box<Standing<A>>),
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Leaf,
    Supernode,
}

/// One node.
#[derive(Debug)]
pub struct Node<A: Place> {
    config: Config,
    switch: Switch,
    addr: Option<A>,
    role: Role,
    /// The operation that keeps us in the network, once it is in effect.
    member: Option<OpId>,
    joined_at: Time,
    /// When we became what we are.
    turned_at: Time,
    /// Whether others have been able to reach us.
    reachable: Option<bool>,
    home: Home<A>,
    known: Known<A>,
    lines: Lines<A>,
    index: Option<Box<Index<A>>>,
    door: Option<Box<door::FastDoor>>,
    ours: Ours,
    floods: Floods,
    searches: Searches<A>,
    fetches: Map<OpId, Fetch<A>>,
    uploads: Map<ConnId, Upload>,
    pushing: Pushing<A>,
    elected_at: Time,
    /// The leaves that are to be supernodes when we are lost, in this order.
    heirs: Vec<A>,
    pressed: bool,
    shuffle_at: Time,
    /// When [`Timer::Tick`] is to come; a later one that was asked for before finds nothing to do.
    ticks_at: Option<Time>,
}

/// Under which the supernodes that we know are kept.
const BUCKET: &str = "kazaa";
const KNOWN_KEY: &[u8] = b"supernodes";
const KNOWN_TICKET: Ticket = Ticket(1);
const SIGN_TICKET: Ticket = Ticket(2);
const STORED_TICKET: Ticket = Ticket(3);

/// Connections that are read ahead: those of a leaf.
const WARMED_MAX: usize = 8;

impl<A: Place> Node<A> {
    /// A node that has joined nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            switch: config.0.switch,
            addr: None,
            role: Role::Leaf,
            member: None,
            joined_at: Time::ZERO,
            turned_at: Time::ZERO,
            reachable: None,
            home: Home::default(),
            known: Known::new(config.0.known_max),
            lines: Lines::default(),
            index: None,
            door: None,
            ours: Ours::default(),
            floods: Floods::default(),
            searches: Searches::default(),
            fetches: Map::new(),
            uploads: Map::new(),
            pushing: Pushing::default(),
            elected_at: Time::ZERO,
            heirs: Vec::new(),
            pressed: false,
            shuffle_at: Time::ZERO,
            ticks_at: None,
            config,
        }
    }

    pub(super) fn settings(&self) -> std::sync::Arc<Settings> {
        self.config.0.clone()
    }

    /// How we stand, for others.
    pub(super) fn status(&self, now: Time) -> Status {
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Status {
            supernode: self.role == Role::Supernode,
            leaves: small(self.lines.leaves()),
            leaves_max: small(self.config.0.leaves_max),
            links: small(self.lines.peers()),
            uptime_s: self.uptime_s(now),
        }
    }

    pub(super) fn uptime_s(&self, now: Time) -> u32 {
        u32::try_from(now.since(self.joined_at).as_secs()).unwrap_or(u32::MAX)
    }

    fn start(&mut self, op: OpId, operation: Operation<Request>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match operation {
            Operation::Join { bootstrap } => self.start_join(op, &bootstrap, cx, out),
            Operation::Publish { share } => self.start_publish(op, share, cx, out),
            Operation::Search { query } => self.start_search(op, query, false, cx, out),
            Operation::Fetch { source, lease, share } => self.start_fetch(op, source, lease, share, cx, out),
            Operation::Own(Request::SearchMore { words, wanted }) => {
                self.start_search(op, hexad_core::Query::Words { words, wanted }, true, cx, out);
            }
            Operation::Own(Request::Switch(switch)) => {
                self.switch = switch;
                self.on_switched(cx, out);
                out.report(op, Progress::Done);
            }
            Operation::Own(Request::Status) => {
                out.report(op, Progress::Own(Reply::Standing(Box::new(self.standing(cx.now)))));
                out.report(op, Progress::Done);
            }
        }
    }

    fn on_cancel(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member == Some(op) || self.home.joining(op) {
            return self.leave(op, cx, out);
        }
        self.cancel_publish(op, out);
        self.cancel_search(op, out);
        self.cancel_fetch(op, out);
    }

    fn on_elapsed(&mut self, timer: Timer, cx: &mut Context<'_>, out: &mut Out<A>) {
        match timer {
            Timer::Tick => self.on_tick(cx, out),
            Timer::Probe(number) => self.on_probe_over(number, cx, out),
            Timer::Wave(id, wave) => self.on_wave_over(&id, wave, cx, out),
            Timer::Silence(id) => self.on_search_silence(&id, cx, out),
            Timer::Search(id) => self.on_search_late(&id, out),
            Timer::Sign => self.sign_more(cx, out),
            Timer::Publish(op) => self.on_publish_late(op, out),
            Timer::Fetch(op) => self.on_fetch_timer(op, cx, out),
        }
    }

    /// Wakes itself, if it does not yet.
    pub(super) fn tick_soon(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.ticks_at.is_none() {
            // Not all at the same time.
            let every = u64::try_from(self.config.0.ping_every.as_micros()).unwrap_or(u64::MAX).max(1);
            self.tick_by(cx.now + hexad_core::Span::from_micros(every / 2 + cx.dice.below(every / 2 + 1)), out);
        }
    }

    /// Looks after everything by then at the latest.
    pub(super) fn tick_by(&mut self, at: Time, out: &mut Out<A>) {
        if self.ticks_at.is_none_or(|due| at < due) {
            self.ticks_at = Some(at);
            out.wake(at, Timer::Tick);
        }
    }

    fn on_tick(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        // An earlier one has come in between.
        if self.ticks_at.is_none_or(|due| cx.now < due) {
            return;
        }
        self.ticks_at = None;
        if self.member.is_none() && !self.home.is_joining() {
            return;
        }
        self.look_after_lines(cx, out);
        self.look_after_home(cx, out);
        if self.role == Role::Supernode {
            self.look_after_door(cx, out);
            self.look_after_flock(cx, out);
            self.look_after_peers(cx, out);
            self.elect(cx, out);
        }
        self.floods.sweep(cx.now);
        self.pushing.sweep(cx.now);
        self.tick_by(self.next_tick(cx.now), out);
    }

    fn on_received(&mut self, link: Link<A>, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match link {
            Link::Datagram(_, from) => self.on_datagram(&from, message, cx, out),
            Link::Conn(conn) => match message {
                Message::Fast(fast) => self.on_fast(conn, *fast, cx, out),
                message => self.on_line(conn, message, cx, out),
            },
            Link::Multicast(_) => {}
        }
    }

    fn on_datagram(&mut self, from: &A, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !from.fits(self.config.0.identity.is_some()) {
            return out.note(Level::Drop, "peer_without_key", Some(from.clone()), "");
        }
        if self.member.is_none() && !self.home.is_joining() {
            return;
        }
        match message {
            Message::Ping(nonce) => self.on_ping(from, nonce, cx, out),
            Message::Pong(nonce, status, others) => self.on_pong(from, nonce, status, &others, cx, out),
            Message::Push(target, via, asker, token) => self.on_push(from, (&target, &via, asker, token), cx, out),
            _ => out.note(Level::Drop, "not_for_datagrams", Some(from.clone()), ""),
        }
    }

    fn on_answered(&mut self, ticket: Ticket, answer: Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        match ticket {
            KNOWN_TICKET => self.on_known_loaded(answer, cx, out),
            SIGN_TICKET => self.on_signed(answer, cx, out),
            _ => {}
        }
    }

    /// Forgets that there is a network.
    pub(super) fn be_nobody(&mut self, why: &'static str, out: &mut Out<A>) {
        for conn in self.lines.take_all() {
            close(conn, why, out);
        }
        self.member = None;
        self.home = Home::default();
        self.role = Role::Leaf;
        self.index = None;
        self.close_door(out);
        self.floods = Floods::default();
        self.pushing = Pushing::default();
        self.uploads.clear();
        self.reachable = None;
        self.end_searches(out);
        self.end_fetches(out);
        self.ours.forget_parents();
        out.push(Output::Unlisten(doors::KAZAA));
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
            Input::Bound(doors::FASTTRACK, bound) => self.on_door_bound(bound, out),
            Input::Bound(_, bound) => self.on_bound(bound, cx, out),
            Input::Opened { conn, peer, via: Via::Accepted(doors::FASTTRACK) } => self.on_fast_opened(conn, &peer, cx, out),
            Input::Opened { conn, peer, via } => self.on_opened(conn, peer, matches!(via, Via::Accepted(_)), cx, out),
            Input::Closed(conn, _) => {
                self.on_fast_closed(conn);
                self.on_closed(conn, cx, out);
            }
            Input::Received(link, message) => self.on_received(link, message, cx, out),
            Input::Elapsed(timer) => self.on_elapsed(timer, cx, out),
            Input::Room(conn) => self.on_room(conn, cx, out),
            Input::Leased(lease, ranges) => self.on_leased(lease, ranges, cx, out),
            Input::Elsewhere(lease, ranges) => self.on_elsewhere(lease, ranges, cx, out),
            Input::Judged(lease, range, verdict) => self.on_judged(lease, range, verdict, cx, out),
            Input::Answered(ticket, answer) => self.on_answered(ticket, answer, cx, out),
            Input::Sent(..) => {}
        }
    }

    fn warm(&self, depth: u8) -> usize {
        match depth {
            0 => self.lines.len() ^ usize::from(self.ticks_at.is_some()) ^ self.known.len(),
            1 => self.lines.iter().take(WARMED_MAX).map(|(conn, _)| usize::try_from(conn.0).unwrap_or(0)).fold(0, usize::wrapping_add),
            _ => 0,
        }
    }
}

/// Opens our door.
fn listen<A: Place>(config: &Config, out: &mut Out<A>) {
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    out.push(Output::Listen(doors::KAZAA, Bind::Quic(config.0.listen.unwrap_or(anywhere))));
}

fn close<A: Place>(conn: ConnId, why: &'static str, out: &mut Out<A>) {
    out.push(Output::Close(conn, why.into()));
}

fn failed<A: Place>(op: OpId, failure: Failure, out: &mut Out<A>) {
    out.report(op, Progress::Failed(failure));
}
