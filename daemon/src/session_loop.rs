//! The session's loop: hears what the host and the transfers report, and keeps the books of tasks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use hexad_api::{Event, Problem};
use hexad_bittorrent::{BitTorrent, Reply, Request};
use hexad_core::{Failure, Level, OpId, Operation, Progress, ShareId};
use hexad_driver::host::{Handle, HostEvent};
use hexad_driver::transfers::{Opened, StoreError, Transfers, TransfersEvent};

use crate::books::Books;
use crate::fetch::{Fetch, Next};
use crate::publish::{Prepared, Publish};
use crate::session::Happening;
use crate::source;

/// How often tasks report progress.
const TICK: Duration = Duration::from_millis(500);
/// How long a stop waits for trackers to hear of it.
pub(crate) const GOODBYE: Duration = Duration::from_secs(3);

/// Whether the network is joined.
enum Joined {
    /// Not yet; these operations wait for it.
    Waiting(Vec<(OpId, Operation<Request>)>),
    Yes,
    /// It cannot be, and nothing that needs it can be done.
    Failed(Problem),
}

/// A task that was asked to stop: which reports are still awaited, and who waits.
struct Goodbye {
    awaited: Vec<OpId>,
    until: Instant,
    done: Sender<()>,
}

/// All that a session remembers.
pub(crate) struct Loop {
    handle: Handle<BitTorrent>,
    transfers: Arc<Transfers>,
    happenings: Sender<Happening>,
    /// Where the host was told to listen.
    listen: SocketAddr,
    /// Where it does.
    listening: Option<SocketAddr>,
    books: Books,
    join: OpId,
    joined: Joined,
    /// Operations that the network has begun and not ended: whose cancel it will confirm.
    live: BTreeSet<OpId>,
    fetches: Vec<Fetch>,
    publishes: Vec<Publish>,
    goodbyes: Vec<Goodbye>,
    next_tick: Instant,
}

impl Loop {
    pub(crate) fn new(handle: Handle<BitTorrent>, transfers: Arc<Transfers>, happenings: Sender<Happening>, listen: SocketAddr) -> Self {
        let mut books = Books::default();
        let join = books.op();
        Self {
            handle,
            transfers,
            happenings,
            listen,
            listening: None,
            books,
            join,
            joined: Joined::Waiting(Vec::new()),
            live: BTreeSet::new(),
            fetches: Vec::new(),
            publishes: Vec::new(),
            goodbyes: Vec::new(),
            next_tick: Instant::now() + TICK,
        }
    }

    /// Joins, and goes on until the session is closed.
    pub(crate) fn run(mut self, bootstrap: &[String], heard: &Receiver<Happening>) {
        let bootstrap = bootstrap.iter().filter_map(|text| source::endpoint(text).ok()).collect();
        self.handle.start(self.join, Operation::Join { bootstrap });
        loop {
            match heard.recv_timeout(self.next_tick.saturating_duration_since(Instant::now())) {
                Ok(Happening::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(happening) => self.take(happening),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= self.next_tick {
                self.tick();
            }
        }
        // Who leaves stores what it has learnt of the network.
        self.handle.cancel(self.join);
        self.handle.shutdown();
        self.transfers.shutdown();
    }

    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Host(HostEvent::Report(op, progress)) => self.on_report(op, progress),
            Happening::Host(HostEvent::Bound(door, address)) if door == hexad_bittorrent::doors::PEERS => {
                self.listening = Some(address);
                self.tell_all(&listening(address));
            }
            Happening::Host(HostEvent::Note(note)) if note.level == Level::Warn => {
                self.tell_all(&Event::Warning { message: note.detail.into_owned() });
            }
            Happening::Host(_) => {}
            Happening::HostGone => self.give_up(
                Problem::new("BitTorrent's part of this program has ended, which is a mistake of ours")
                    .hint("run the same command again with -v, and tell us what it says"),
            ),
            Happening::Transfers(event) => self.on_transfers(event),
            Happening::BeginFetch { request, found, events, op } => {
                let mut fetch = Fetch::begin(&mut self.books, request, &found, events);
                let _ = op.send(fetch.op);
                self.greet(|event| fetch.tell(event));
                match &self.joined {
                    Joined::Failed(problem) => fetch.fail(problem),
                    _ => self.start(fetch.op, Operation::Fetch { source: found.source, lease: fetch.lease, share: fetch.share }),
                }
                self.fetches.push(fetch);
            }
            Happening::BeginPublish { request, events, op } => {
                let mut publish = Publish::begin(&mut self.books, request, events, self.happenings.clone());
                let _ = op.send(publish.task);
                self.greet(|event| publish.tell(event));
                if let Joined::Failed(problem) = &self.joined {
                    publish.fail(problem);
                }
                self.publishes.push(publish);
            }
            Happening::Opened { op, share, opened } => self.on_opened(op, share, opened),
            Happening::Prepared(op, prepared) => self.on_prepared(op, prepared),
            Happening::Tell(op, event) => self.tell(op, event),
            Happening::Stop { op, done } => self.stop(op, done),
            Happening::Close => {}
        }
    }

    /// Tells a task that has just begun what was known before.
    fn greet(&self, tell: impl Fn(Event)) {
        if let Some(address) = self.listening {
            tell(listening(address));
        }
    }

    fn start(&mut self, op: OpId, operation: Operation<Request>) {
        match &mut self.joined {
            Joined::Waiting(waiting) => waiting.push((op, operation)),
            Joined::Yes => {
                self.live.insert(op);
                self.handle.start(op, operation);
            }
            Joined::Failed(_) => {}
        }
    }

    fn on_report(&mut self, op: OpId, progress: Progress<Reply>) {
        if op == self.join {
            return self.on_joined(progress);
        }
        match progress {
            Progress::Own(Reply::Swarms(swarms)) => {
                for fetch in &self.fetches {
                    fetch.on_swarms(&swarms, self.transfers.arrived_bytes(fetch.lease));
                }
                for publish in &self.publishes {
                    publish.on_swarms(&swarms);
                }
            }
            Progress::Described(description) => {
                if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.op == op)
                    && !fetch.on_described(*description, &self.transfers, &self.happenings)
                {
                    self.handle.cancel(op);
                }
            }
            Progress::Done => match self.publishes.iter().find(|publish| publish.owns(op)) {
                Some(publish) => publish.on_done(op),
                // A publish goes on; everything else is over.
                None if self.fetches.iter().any(|fetch| fetch.publishing == Some(op)) => {}
                None => self.on_ended(op),
            },
            Progress::Failed(failure) => {
                self.on_failed(op, &failure);
                self.on_ended(op);
            }
            Progress::Ended => self.on_ended(op),
            _ => {}
        }
    }

    fn on_failed(&mut self, op: OpId, failure: &Failure) {
        if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.op == op) {
            fetch.fail(&problem_of(failure));
        } else if let Some(publish) = self.publishes.iter_mut().find(|publish| publish.owns(op)) {
            publish.fail(&problem_of(failure));
        } else if let Some(fetch) = self.fetches.iter().find(|fetch| fetch.publishing == Some(op)) {
            fetch.tell(Event::Warning { message: format!("what arrives is not given on: {failure}") });
        }
    }

    fn on_joined(&mut self, progress: Progress<Reply>) {
        match progress {
            Progress::Done => {
                if let Joined::Waiting(waiting) = std::mem::replace(&mut self.joined, Joined::Yes) {
                    for (op, operation) in waiting {
                        self.start(op, operation);
                    }
                }
            }
            Progress::Failed(failure) => {
                let problem = Problem::new(failure.to_string())
                    .hint(format!("choose another address with --listen in place of {}; port 0 lets the system choose", self.listen));
                self.give_up(problem);
            }
            _ => {}
        }
    }

    /// Nothing that needs the network can be done any more.
    fn give_up(&mut self, problem: Problem) {
        self.fetches.iter_mut().for_each(|fetch| fetch.fail(&problem));
        self.publishes.iter_mut().for_each(|publish| publish.fail(&problem));
        self.joined = Joined::Failed(problem);
        self.live.clear();
    }

    fn on_transfers(&mut self, event: TransfersEvent) {
        let share = event.share();
        if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.share == share) {
            let arrived_bytes = self.transfers.arrived_bytes(fetch.lease);
            if fetch.on_transfers(event, arrived_bytes, &self.transfers) {
                self.handle.cancel(fetch.op);
                if let Some(publishing) = fetch.publishing {
                    self.handle.cancel(publishing);
                }
            }
        }
    }

    fn on_opened(&mut self, op: OpId, share: ShareId, opened: Result<Opened, StoreError>) {
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.op == op) else {
            // It was stopped while its folder was prepared, and must not keep that from others.
            return self.transfers.close(share);
        };
        let share = match fetch.on_opened(opened, &self.transfers) {
            Next::Leave => return self.handle.cancel(op),
            Next::Go(share) => share,
        };
        self.books.shares = self.books.shares.with(fetch.share, *share);
        self.handle.set_shares(self.books.shares.clone());
        let publishing = self.books.op();
        fetch.publishing = Some(publishing);
        self.live.insert(publishing);
        self.handle.start(publishing, Operation::Publish { share: fetch.share });
        self.transfers.lend(fetch.lease, fetch.share, Arc::new(self.handle.clone()));
    }

    fn on_prepared(&mut self, op: OpId, prepared: Result<Vec<Prepared>, Problem>) {
        let Some(publish) = self.publishes.iter_mut().find(|publish| publish.task == op) else { return };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(problem) => return publish.fail(&problem),
        };
        let mut starts = Vec::new();
        for one in prepared {
            let id = self.books.share();
            if let Err(wrong) = self.transfers.open_share(id, one.share.layout.clone(), one.paths.clone()) {
                let hint = wrong.hint().unwrap_or_else(|| "wait until nothing writes to the files, then try again".to_owned());
                return publish.fail(&Problem::new(wrong.to_string()).hint(hint));
            }
            self.books.shares = self.books.shares.with(id, one.share.clone());
            let op = self.books.op();
            publish.add(op, id, one);
            starts.push((op, id));
        }
        let peers = publish.peers();
        self.handle.set_shares(self.books.shares.clone());
        for (op, share) in starts {
            self.start(op, Operation::Publish { share });
            if !peers.is_empty() {
                let ask = self.books.op();
                self.start(ask, Operation::Own(Request::AddPeers(share, peers.clone())));
            }
        }
    }

    fn stop(&mut self, op: OpId, done: Sender<()>) {
        let mut ops = Vec::new();
        if let Some(place) = self.fetches.iter().position(|fetch| fetch.op == op) {
            let fetch = self.fetches.remove(place);
            self.transfers.end(fetch.lease);
            ops.extend([Some(fetch.op), fetch.publishing].into_iter().flatten());
            fetch.tell(Event::Stopped);
            self.cancel(&ops);
            self.forget(&[fetch.share]);
        } else if let Some(place) = self.publishes.iter().position(|publish| publish.task == op) {
            let publish = self.publishes.remove(place);
            ops.extend(publish.ops());
            publish.tell(Event::Stopped);
            self.cancel(&ops);
            self.forget(&publish.shares());
        }
        ops.retain(|op| self.live.contains(op));
        self.goodbyes.push(Goodbye { awaited: ops, until: Instant::now() + GOODBYE, done });
        self.settle_goodbyes();
    }

    fn cancel(&mut self, ops: &[OpId]) {
        if let Joined::Waiting(waiting) = &mut self.joined {
            waiting.retain(|(op, _)| !ops.contains(op));
        }
        for &op in ops {
            self.handle.cancel(op);
        }
    }

    fn forget(&mut self, shares: &[ShareId]) {
        for &share in shares {
            self.transfers.close(share);
            self.books.shares = self.books.shares.without(share);
        }
        self.handle.set_shares(self.books.shares.clone());
    }

    fn on_ended(&mut self, op: OpId) {
        self.live.remove(&op);
        for goodbye in &mut self.goodbyes {
            goodbye.awaited.retain(|&awaited| awaited != op);
        }
        self.settle_goodbyes();
    }

    fn settle_goodbyes(&mut self) {
        let now = Instant::now();
        self.goodbyes.retain(|goodbye| {
            let wait = !goodbye.awaited.is_empty() && now < goodbye.until;
            if !wait {
                let _ = goodbye.done.send(());
            }
            wait
        });
    }

    fn tick(&mut self) {
        self.next_tick = Instant::now() + TICK;
        self.settle_goodbyes();
        if matches!(self.joined, Joined::Yes) && !(self.fetches.is_empty() && self.publishes.is_empty()) {
            let op = self.books.op();
            self.handle.start(op, Operation::Own(Request::Swarms));
        }
    }

    fn tell(&self, op: OpId, event: Event) {
        if let Some(fetch) = self.fetches.iter().find(|fetch| fetch.op == op) {
            fetch.tell(event);
        } else if let Some(publish) = self.publishes.iter().find(|publish| publish.task == op) {
            publish.tell(event);
        }
    }

    fn tell_all(&self, event: &Event) {
        self.fetches.iter().for_each(|fetch| fetch.tell(event.clone()));
        self.publishes.iter().for_each(|publish| publish.tell(event.clone()));
    }
}

fn listening(address: SocketAddr) -> Event {
    Event::Listening { address: address.to_string(), purpose: "peers".into() }
}

/// A failure of the network as a sentence and what the user can do about it.
fn problem_of(failure: &Failure) -> Problem {
    let problem = Problem::new(failure.to_string());
    match failure {
        Failure::TimedOut(_) | Failure::NotFound(_) => {
            problem.hint("is anybody seeding it? name a peer with --peer IP:PORT, and leave --no-dht away")
        }
        Failure::Unusable(_) => problem.hint("ask whoever gave you the .torrent or the link for another one"),
        Failure::Full(_) => problem.hint("stop something else first"),
        Failure::Refused(_) | Failure::NotReady(_) | Failure::Host(_) => problem.hint("hexad -v shows what happens on the way there"),
    }
}
