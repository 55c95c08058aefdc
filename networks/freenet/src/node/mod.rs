//! The state machine. This file only passes inputs on; what is remembered lives in the files beside it.

mod accepting;
mod download;
mod failures;
mod finding;
mod friends;
mod gathering;
mod getting;
mod inquiries;
mod inserting;
mod inviting;
mod jobs;
mod joining;
mod links;
mod plan;
mod putting;
mod rates;
mod request;
mod routing;
mod settings;
mod slots;
mod sources;
mod store;
mod swapping;
mod table;
mod verbs;
mod walks;

pub use failures::Failures;
pub use friends::{FRIENDS_MAX, FriendChange, FriendOf, FriendWords, Trust, Visibility};
pub use inquiries::{BUILD, INQUIRY_HTL_MAX};
pub use inviting::{Given, INVITATIONS_MAX, InvitationWanted};
pub use jobs::{Counts, Job, PutFile};
pub use links::{Links, Peer};
pub use request::{Neighbour, Reply, Request, Status, Tuning};
pub use settings::{Chance, Config, Mode, Settings};
pub use store::{Shelf, Store};
pub use swapping::{SWAP_HTL, decide};
pub use table::Table;
pub use walks::Miss;

use std::collections::VecDeque;

use hexad_core::{
    Answer, Ask, BoundedMap, ConnId, Context, Dice, Failure, Inbound, Input, Level, Link, Map, OpId, Operation, Outbox, Output, Payload,
    Progress, Set, Span, Ticket, Time,
};

use crate::keys::{KeyPair, Location, NodeKey, Uri};
use crate::place::Place;
use crate::wire::Message;
use accepting::Accepting;
use friends::Friends;
use inquiries::Inquiries;
use inviting::Inviting;
use joining::{Announcements, Joining, Own};
use swapping::Swapping;
use walks::{Kind, Outcome, Seen, Walks, Whose};

/// Where a node puts what it wants.
pub type Out<A> = Outbox<Node<A>>;

/// The doors of a node.
pub mod doors {
    use hexad_core::Door;

    /// Connections of other nodes, at one UDP port.
    pub const NETWORK: Door = Door(0);
}

/// How often a node looks after its neighbours.
const TICK: Span = Span::from_secs(30);
/// Questions to the host under way.
const ASKS_MAX: usize = 4096;
/// So many may be under way before blocks are no longer stored; hosts answer about a thousand at a time.
const ASKS_FEW: usize = 700;

/// What a node wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Neighbours.
    Tick,
    /// A join tries again, or gives up.
    Join,
    /// An announcement of somebody is forgotten.
    Announce(u64),
    /// A walk, and which of its turns; the last number is for all of it.
    Walk(u64, u16),
    /// A job looks how it gets on.
    Job(u64),
    /// The next block of a job is due.
    Pace(u64),
    /// Whoever has come without being known has shown no invitation.
    Guest(ConnId),
    /// An invitation that we have shown is not answered.
    Accept,
    /// A question that walks at random is not answered.
    Inquire(u64),
    /// Places may be swapped.
    Swap,
    /// A swap has taken too long.
    SwapOver(u64),
    /// It is looked whether a block of our own is found.
    Trial,
}

/// What an answer of the host is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pending {
    Own(Own),
    Walk(u64),
    Write,
    /// Who is to be told that he is welcome.
    Welcome(ConnId),
    /// What an insert has to have on the disk, by its walk.
    Insert(u64, NodeKey),
    /// A job, and which of its questions.
    Job(u64, u32),
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node<A: Place> {
    config: Config,
    addr: Option<A>,
    location: Option<Location>,
    /// Whether our own walks count down at the most and at 1.
    rule: (bool, bool),
    bootstrap: Vec<A>,
    joining: Option<Joining>,
    /// The operation that keeps us in the network.
    member: Option<OpId>,
    announces: Announcements<A>,
    friends: Friends<A>,
    inviting: Inviting<A>,
    accepting: Accepting<A>,
    inquiries: Inquiries<A>,
    swapping: Swapping<A>,
    links: Links<A>,
    table: Table<A>,
    store: Store,
    failures: Failures<A>,
    walks: Walks<A>,
    seen: Seen,
    jobs: Map<u64, Job>,
    last_job: u64,
    /// Publications that are in effect.
    published: Set<OpId>,
    /// Own walks that have ended, for jobs that have not heard of it.
    ended: VecDeque<(Whose<A>, Outcome)>,
    pending: BoundedMap<u64, Pending>,
    last_ticket: u64,
    ticking: bool,
}

impl<A: Place> Node<A> {
    /// A node that has joined nothing.
    #[must_use]
    pub fn new(config: Config, dice: &mut Dice) -> Self {
        let settings = &config.0;
        let mut rolled = |(chance, of): Chance| dice.chance(chance, of);
        let rule = (rolled(settings.decrement_at_max), rolled(settings.decrement_at_one));
        Self {
            addr: None,
            location: None,
            rule,
            bootstrap: Vec::new(),
            joining: None,
            member: None,
            announces: Map::new(),
            friends: Friends::default(),
            inviting: Inviting::default(),
            accepting: Map::new(),
            inquiries: Inquiries::default(),
            swapping: Swapping::default(),
            links: Links::default(),
            table: Table::new(settings.table_entries),
            store: Store::new(settings.store_blocks, settings.cache_blocks, settings.on_disk),
            failures: Failures::new(settings.failures_max),
            walks: Map::new(),
            seen: Seen::default(),
            jobs: Map::new(),
            last_job: 0,
            published: Set::new(),
            ended: VecDeque::new(),
            pending: BoundedMap::new(ASKS_MAX),
            last_ticket: 0,
            ticking: false,
            config,
        }
    }

    /// Puts a node where it stands in a world that has been going for long, with what it has learned; the host still has to open its door.
    pub fn stand(&mut self, addr: A, location: Location, learned: impl IntoIterator<Item = (Location, A)>) {
        self.addr = Some(addr);
        self.location = Some(location);
        for (location, addr) in learned {
            self.table.learn(location, addr);
        }
    }

    /// Tells a node its own address, where nobody else can.
    pub fn is_at(&mut self, addr: A) {
        self.addr = Some(addr);
    }

    /// Where on the circle it stands, once it does.
    #[must_use]
    pub const fn location(&self) -> Option<Location> {
        self.location
    }

    /// What it has learned.
    #[must_use]
    pub const fn table(&self) -> &Table<A> {
        &self.table
    }

    /// What it holds.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Its neighbours.
    #[must_use]
    pub const fn links(&self) -> &Links<A> {
        &self.links
    }

    /// Walks under way.
    #[must_use]
    pub fn walks(&self) -> usize {
        self.walks.len()
    }

    /// Jobs under way.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    fn ask(&mut self, about: Pending, ask: Ask, out: &mut Out<A>) {
        self.last_ticket += 1;
        if self.pending.insert(self.last_ticket, about).is_err() {
            // The host answers all it is asked; so many questions are under way only when it does not.
            return out.note(Level::Warn, "host_silent", None, "the host has not answered thousands of questions");
        }
        out.push(Output::Ask(Ticket(self.last_ticket), ask));
    }

    fn write(&mut self, writes: store::Writes, out: &mut Out<A>) {
        for (bucket, key, bytes) in writes {
            self.ask(Pending::Write, Ask::Store(bucket, key, Payload::Bytes(bytes)), out);
        }
    }

    /// Has the index written, behind the block: whoever kills the process does not lose what is stored.
    fn flush(&mut self, out: &mut Out<A>) {
        let writes = self.store.flush();
        self.write(writes, out);
    }

    /// Whether more is to be written than the host may be asked at a time.
    fn is_host_behind(&self) -> bool {
        self.pending.len() >= ASKS_FEW
    }

    /// A walk of ours has ended.
    fn tell(&mut self, whose: Whose<A>, outcome: Outcome) {
        self.ended.push_back((whose, outcome));
    }

    fn status(&self, now: Time) -> Status {
        let neighbour = |(addr, peer): (&A, &Peer<A>)| {
            Some(Neighbour { at: addr.endpoint()?, location: peer.location, backed_off: peer.is_backed_off(now) })
        };
        let settings = &self.config.0;
        Status {
            location: self.location,
            peers: self.links.open().count(),
            entries: self.table.len(),
            blocks: self.store.len(),
            walks: self.walks.len(),
            known: self.links.open().filter_map(|(addr, _)| addr.endpoint()).collect(),
            neighbours: self.links.open().filter_map(neighbour).collect(),
            capacity_blocks: settings.store_blocks + settings.cache_blocks,
            up_bytes_per_s: settings.up_bytes_per_s,
            is_darknet: self.is_darknet(),
            friends: self.friends_told(),
            peers_wanted: settings.peers_wanted,
        }
    }

    /// Changes what may be changed while we run.
    fn start_tune(&mut self, op: OpId, tuning: Tuning, cx: &Context<'_>, out: &mut Out<A>) {
        let before = &self.config.0;
        let settings = Settings {
            up_bytes_per_s: tuning.up_bytes_per_s.unwrap_or(before.up_bytes_per_s),
            peers_wanted: tuning.peers_wanted.map_or(before.peers_wanted, |wanted| wanted.min(before.peers_max)),
            ..Settings::clone(before)
        };
        self.config = settings.into();
        done(op, Reply::Status(self.status(cx.now)), out);
    }

    fn start(&mut self, op: OpId, operation: Operation<Request>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match operation {
            Operation::Join { bootstrap } => return self.start_join(op, &bootstrap, cx, out),
            Operation::Own(Request::Status) => return done(op, Reply::Status(self.status(cx.now)), out),
            Operation::Own(Request::MakeKey) => {
                let pair = KeyPair { seed: cx.dice.bytes(), crypto: cx.dice.bytes() };
                return done(op, Reply::KeyPair(Box::new((Uri::of_pair(&pair, "", true), Uri::of_pair(&pair, "", false)))), out);
            }
            _ => {}
        }
        if self.location.is_none() {
            return failed(op, Failure::NotReady("not joined".into()), out);
        }
        match operation {
            Operation::Publish { share } => self.start_publish(op, share, cx, out),
            Operation::Search { query } => self.start_search(op, query, cx, out),
            Operation::Fetch { source, lease, share: _ } => self.start_fetch(op, source, lease, cx, out),
            Operation::Own(Request::Get { uri, bytes_max, retries }) => self.start_get(op, &uri, bytes_max, retries, cx, out),
            Operation::Own(Request::Newest { uri }) => self.start_newest(op, &uri, cx, out),
            Operation::Own(Request::Put { uri, files, directory, key_only, metadata_max }) => {
                self.start_put(op, &uri, files, directory, (key_only, metadata_max), cx, out);
            }
            Operation::Own(Request::GetBlock(key, htl)) => self.begin(Kind::Request, key, htl, Whose::User(op), None, cx, out),
            Operation::Own(Request::Probe(key, htl)) => self.begin(Kind::Probe, key, htl, Whose::User(op), None, cx, out),
            Operation::Own(Request::PutBlock(block, htl)) => {
                self.begin(Kind::Insert, block.key, htl, Whose::User(op), Some(*block), cx, out);
            }
            Operation::Own(Request::Invite(wanted)) => self.start_invite(op, wanted, cx, out),
            Operation::Own(Request::Invitations) => self.start_list_invitations(op, out),
            Operation::Own(Request::Revoke(number)) => self.start_revoke(op, number, out),
            Operation::Own(Request::Accept(invitation)) => self.accept(Some(op), &invitation, cx, out),
            Operation::Own(Request::Friends) => done(op, Reply::Friends(self.friends_told()), out),
            Operation::Own(Request::Befriend(at, words)) => self.start_befriend(op, &at, *words, cx, out),
            Operation::Own(Request::ChangeFriend(change)) => self.start_change_friend(op, *change, cx, out),
            Operation::Own(Request::Unfriend(key)) => self.start_unfriend(op, &key, cx, out),
            Operation::Own(Request::Tune(tuning)) => self.start_tune(op, tuning, cx, out),
            Operation::Own(Request::Inquire(what, htl)) => self.start_inquire(op, what, htl, cx, out),
            Operation::Join { .. } | Operation::Own(Request::Status | Request::MakeKey) => {}
        }
    }

    fn on_cancel(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member == Some(op) {
            self.fail_jobs(out);
            return self.leave(op, out);
        }
        self.cancel_join(op, out);
        self.cancel_accepting(op);
        self.cancel_inquiry(op);
        self.cancel_job(op, cx, out);
    }

    fn on_elapsed(&mut self, timer: Timer, cx: &mut Context<'_>, out: &mut Out<A>) {
        match timer {
            Timer::Tick => self.on_tick(cx, out),
            Timer::Join => self.on_join_timer(cx, out),
            Timer::Announce(uid) => self.on_announce_timer(uid),
            Timer::Walk(uid, turn) => self.on_walk_timer(uid, turn, cx, out),
            Timer::Job(job) => self.on_job_timer(job, cx, out),
            Timer::Pace(job) => self.on_pace(job, cx, out),
            Timer::Guest(conn) => self.on_guest_timer(conn, out),
            Timer::Accept => self.on_accept_timer(cx, out),
            Timer::Inquire(uid) => self.on_inquiry_timer(uid, cx, out),
            Timer::Swap => self.on_swap_timer(cx, out),
            Timer::SwapOver(uid) => self.on_swap_over(uid),
            Timer::Trial => self.on_trial_timer(cx, out),
        }
    }

    fn on_message(&mut self, conn: ConnId, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(from) = self.links.at(conn).cloned() else { return self.on_guest(conn, message, cx, out) };
        match message {
            Message::Introduce(token) => self.on_introduce(conn, &from, &token, cx, out),
            Message::Welcome => self.on_welcome(conn, &from, cx, out),
            Message::Declined(why) => self.on_declined(&from, why, out),
            Message::Inquire(inquire) => self.on_inquire(&from, inquire, cx, out),
            Message::Told(uid, finding) => self.on_inquiry_answer(&from, uid, Ok(*finding), cx, out),
            Message::Untold(uid, why) => self.on_inquiry_answer(&from, uid, Err(why), cx, out),
            Message::SwapRequest(swap) => self.on_swap_request(&from, *swap, cx, out),
            Message::SwapReply(uid, hash) => self.on_swap_reply(&from, uid, hash, cx, out),
            Message::SwapCommit(uid, bid) => self.on_swap_commit(&from, uid, bid, cx, out),
            Message::SwapComplete(uid, bid) => self.on_swap_complete(&from, uid, bid, cx, out),
            Message::SwapRejected(uid) => self.on_swap_rejected(&from, uid, cx, out),
            Message::Hello(hello) => self.on_hello(&from, *hello, cx, out),
            Message::Announce(announce) => self.on_announce(&from, *announce, cx, out),
            Message::Reveal(reveal) => self.on_reveal(&from, *reveal, cx, out),
            Message::Settle(settle) => self.on_settle(&from, *settle, cx, out),
            Message::Request(walking) => self.on_walking(&from, Kind::Request, *walking, cx, out),
            Message::Probe(walking) => self.on_walking(&from, Kind::Probe, *walking, cx, out),
            Message::Insert(walking) => self.on_walking(&from, Kind::Insert, *walking, cx, out),
            Message::Accepted(uid) => self.on_accepted(&from, uid),
            Message::Rejected(uid, reason) => self.on_rejected(&from, uid, reason, cx, out),
            Message::NotFound(uid) => self.on_not_found(&from, uid, cx, out),
            Message::RouteNotFound(uid, left) => self.on_route_not_found(&from, uid, left, cx, out),
            Message::RecentlyFailed(uid, seconds) => self.on_recently_failed(&from, uid, seconds, cx, out),
            Message::Found(found) => self.on_found(&from, *found, cx, out),
            Message::Probed(uid, left) => self.on_probed(&from, uid, left, cx, out),
            Message::AllClear(uid) => self.on_all_clear(&from, uid, cx, out),
            Message::InsertData(found) => self.on_insert_data(&from, *found, cx, out),
            Message::Inserted(uid) => self.on_inserted(&from, uid, cx, out),
            Message::Offer(key) => self.on_offer(&from, *key, cx, out),
            Message::Unknown(_) => out.note(Level::Drop, "unknown_kind", Some(from), ""),
        }
    }

    fn on_answered(&mut self, ticket: Ticket, answer: Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        match self.pending.remove(&ticket.0) {
            Some(Pending::Own(own)) => self.on_own(own, answer, cx, out),
            Some(Pending::Walk(uid)) => self.on_loaded(uid, answer, cx, out),
            Some(Pending::Insert(uid, key)) => self.on_written(uid, &key, &answer, cx, out),
            Some(Pending::Welcome(conn)) => self.on_welcome_written(conn, &answer, cx, out),
            Some(Pending::Write) => {
                if let Answer::Failed(why) = answer {
                    out.note(Level::Warn, "store_failed", None, why.to_string());
                }
            }
            Some(Pending::Job(job, question)) => self.on_job_answer(job, question, answer, cx, out),
            None => {}
        }
    }

    /// Tells users and jobs how their walks have ended.
    fn settle_ended(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        while let Some((whose, outcome)) = self.ended.pop_front() {
            match whose {
                Whose::Job(job, part) => self.on_job_outcome(job, part, outcome, cx, out),
                Whose::User(op) => match outcome {
                    Outcome::Block(block) => done(op, Reply::Block(Box::new(block)), out),
                    Outcome::Stored => done(op, Reply::Inserted(None), out),
                    Outcome::Hops(hops) => done(op, Reply::Hops(hops), out),
                    Outcome::Missed(miss) => failed(op, failure_of(miss), out),
                },
                Whose::Trial => self.on_trial(&outcome, cx, out),
                Whose::Peer(_) | Whose::Wanting => {}
            }
        }
    }
}

/// A miss as users see it.
fn failure_of(miss: Miss) -> Failure {
    match miss {
        Miss::NotFound => Failure::NotFound("hops-to-live ran out".into()),
        Miss::RouteNotFound => Failure::NotFound("nobody was left to be asked".into()),
        Miss::RecentlyFailed(seconds) => Failure::NotFound(format!("looked for a moment ago; again in {seconds} s")),
        Miss::TimedOut => Failure::TimedOut(60),
        Miss::Overload => Failure::Full("requests"),
    }
}

fn failed<A: Place>(op: OpId, failure: Failure, out: &mut Out<A>) {
    out.report(op, Progress::Failed(failure));
}

fn done<A: Place>(op: OpId, reply: Reply, out: &mut Out<A>) {
    out.report(op, Progress::Own(reply));
    out.report(op, Progress::Done);
}

impl<A: Place> hexad_core::Node for Node<A> {
    type Addr = A;
    type Message = Message<A>;
    type Timer = Timer;
    type Request = Request;
    type Reply = Reply;

    fn handle(&mut self, input: Inbound<Self>, cx: &mut Context<'_>, out: &mut Outbox<Self>) {
        match input {
            Input::Start(op, operation) => self.start(op, operation, cx, out),
            Input::Cancel(op) => self.on_cancel(op, cx, out),
            Input::Bound(_, bound) => self.on_bound(bound, cx, out),
            Input::Opened { conn, peer, via } => self.on_opened(conn, peer, via, cx, out),
            Input::Closed(conn, _) => self.on_closed(conn, cx, out),
            Input::Received(Link::Conn(conn), message) => self.on_message(conn, message, cx, out),
            Input::Elapsed(timer) => self.on_elapsed(timer, cx, out),
            Input::Leased(lease, ranges) => self.on_leased(lease, ranges, cx, out),
            Input::Elsewhere(lease, ranges) => self.on_elsewhere(lease, ranges, cx, out),
            Input::Judged(lease, range, verdict) => self.on_judged(lease, range, verdict, cx, out),
            Input::Answered(ticket, answer) => self.on_answered(ticket, answer, cx, out),
            Input::Received(..) | Input::Sent(..) | Input::Room(_) => {}
        }
        self.settle_ended(cx, out);
    }
}
