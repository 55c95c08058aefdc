//! The session's loop: hears what the host and the transfers report, and keeps the books of tasks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use hexad_api::{Encryption, Event, FetchRequest, Problem, PublishRequest, Session, Settings, Stop, Task};
use hexad_bittorrent::{BitTorrent, Reply, Request};
use hexad_core::{OpId, Operation, Progress, ShareId};
use hexad_driver::host::{Handle, Host, HostConfig, HostEvent};
use hexad_driver::transfers::{Opened, StoreError, Transfers, TransfersConfig, TransfersEvent};

use crate::books::Books;
use crate::fetch::Fetch;
use crate::publish::{Prepared, Publish};
use crate::source;

/// How often tasks report progress.
const TICK: Duration = Duration::from_millis(500);
/// How long a stop waits for trackers to hear of it.
const GOODBYE: Duration = Duration::from_secs(3);

/// What the loop hears.
pub(crate) enum Happening {
    Host(HostEvent<BitTorrent>),
    Transfers(TransfersEvent),
    BeginFetch {
        request: FetchRequest,
        found: source::Found,
        events: Sender<Event>,
        op: Sender<OpId>,
    },
    BeginPublish {
        request: PublishRequest,
        events: Sender<Event>,
        op: Sender<OpId>,
    },
    /// A fetch's target folder is prepared, or cannot be.
    Opened(OpId, Result<Opened, StoreError>),
    /// A publish's files are hashed or checked, or cannot be.
    Prepared(OpId, Result<Vec<Prepared>, Problem>),
    /// For whoever watches that task.
    Tell(OpId, Event),
    Stop {
        op: OpId,
        done: Sender<()>,
    },
    Close,
}

/// A session in this process.
pub(crate) struct LocalSession {
    happenings: Sender<Happening>,
}

impl LocalSession {
    /// Starts the host of every network and joins them.
    pub(crate) fn open(settings: Settings) -> Result<Self, Problem> {
        let (happenings, heard) = mpsc::channel();
        let (transfers_events, from_transfers) = mpsc::channel();
        let transfers = Transfers::start(TransfersConfig::default(), transfers_events);
        let config = node_config(&settings);
        let host_config = HostConfig { state_dir: settings.state_dir.clone(), ..HostConfig::default() };
        let (handle, mut events) = Host::<BitTorrent>::start(config, host_config, transfers.clone(), transfers.clone());
        let to_loop = happenings.clone();
        thread::spawn(move || {
            while let Ok(event) = from_transfers.recv() {
                if to_loop.send(Happening::Transfers(event)).is_err() {
                    break;
                }
            }
        });
        let to_loop = happenings.clone();
        thread::spawn(move || {
            while let Some(event) = events.blocking_recv() {
                if to_loop.send(Happening::Host(event)).is_err() {
                    break;
                }
            }
        });
        let own = happenings.clone();
        thread::Builder::new()
            .name("hexad-session".into())
            .spawn(move || Loop::new(handle, transfers, own, settings).run(&heard))
            .map_err(|wrong| Problem::new(format!("the session's thread cannot be started: {wrong}")))?;
        Ok(Self { happenings })
    }

    fn begin(&self, make: impl FnOnce(Sender<Event>, Sender<OpId>) -> Happening) -> Result<Task, Problem> {
        let gone = || Problem::new("the session has ended");
        let (events, watched) = mpsc::channel();
        let (op_to, op_from) = mpsc::channel();
        self.happenings.send(make(events, op_to)).map_err(|_| gone())?;
        let op = op_from.recv().map_err(|_| gone())?;
        Ok(Task { events: watched, stop: Box::new(StopTask { op: Some(op), happenings: self.happenings.clone() }) })
    }
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        let _ = self.happenings.send(Happening::Close);
    }
}

impl Session for LocalSession {
    fn fetch(&self, request: FetchRequest) -> Result<Task, Problem> {
        let found = source::find(&request.source, &request.peers)?;
        self.begin(|events, op| Happening::BeginFetch { request, found, events, op })
    }

    fn publish(&self, request: PublishRequest) -> Result<Task, Problem> {
        self.begin(|events, op| Happening::BeginPublish { request, events, op })
    }
}

struct StopTask {
    op: Option<OpId>,
    happenings: Sender<Happening>,
}

impl Stop for StopTask {
    fn stop(&mut self) {
        let Some(op) = self.op.take() else { return };
        let (done, over) = mpsc::channel();
        if self.happenings.send(Happening::Stop { op, done }).is_ok() {
            let _ = over.recv_timeout(GOODBYE + TICK);
        }
    }
}

impl Drop for StopTask {
    fn drop(&mut self) {
        self.stop();
    }
}

fn node_config(settings: &Settings) -> hexad_bittorrent::Config {
    hexad_bittorrent::Config {
        listen: Some(settings.listen),
        encryption: match settings.encryption {
            Encryption::Off => hexad_bittorrent::Encryption::Off,
            Encryption::Preferred => hexad_bittorrent::Encryption::Preferred,
            Encryption::Required => hexad_bittorrent::Encryption::Required,
        },
        dht: settings.dht,
        pex: settings.pex,
        lsd: settings.lsd,
        ..hexad_bittorrent::Config::default()
    }
}

/// A task that was asked to stop: which reports are still awaited, and who waits.
struct Goodbye {
    awaited: Vec<OpId>,
    until: Instant,
    done: Sender<()>,
}

struct Loop {
    handle: Handle<BitTorrent>,
    transfers: Arc<Transfers>,
    happenings: Sender<Happening>,
    settings: Settings,
    books: Books,
    join: OpId,
    joined: bool,
    /// Operations that wait for the join.
    waiting: Vec<(OpId, Operation<Request>)>,
    fetches: Vec<Fetch>,
    publishes: Vec<Publish>,
    goodbyes: Vec<Goodbye>,
    next_tick: Instant,
}

impl Loop {
    fn new(handle: Handle<BitTorrent>, transfers: Arc<Transfers>, happenings: Sender<Happening>, settings: Settings) -> Self {
        let mut books = Books::default();
        let join = books.op();
        Self {
            handle,
            transfers,
            happenings,
            settings,
            books,
            join,
            joined: false,
            waiting: Vec::new(),
            fetches: Vec::new(),
            publishes: Vec::new(),
            goodbyes: Vec::new(),
            next_tick: Instant::now() + TICK,
        }
    }

    fn run(mut self, heard: &Receiver<Happening>) {
        let bootstrap = if self.settings.dht {
            self.settings.dht_bootstrap.iter().filter_map(|text| source::endpoint(text).ok()).collect()
        } else {
            Vec::new()
        };
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
        self.handle.shutdown();
        self.transfers.shutdown();
    }

    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Host(HostEvent::Report(op, progress)) => self.on_report(op, progress),
            Happening::Host(HostEvent::Bound(door, address)) if door == hexad_bittorrent::doors::PEERS => {
                self.tell_all(&Event::Listening { address: address.to_string(), purpose: "peers".into() });
            }
            Happening::Host(_) => {}
            Happening::Transfers(event) => self.on_transfers(event),
            Happening::BeginFetch { request, found, events, op } => {
                let fetch = Fetch::begin(&mut self.books, request, found.name, events);
                let _ = op.send(fetch.op);
                self.start(fetch.op, Operation::Fetch { source: found.source, lease: fetch.lease, share: fetch.share });
                self.fetches.push(fetch);
            }
            Happening::BeginPublish { request, events, op } => {
                let publish = Publish::begin(&mut self.books, request, events, self.happenings.clone());
                let _ = op.send(publish.task);
                self.publishes.push(publish);
            }
            Happening::Opened(op, opened) => self.on_opened(op, opened),
            Happening::Prepared(op, prepared) => self.on_prepared(op, prepared),
            Happening::Tell(op, event) => self.tell(op, event),
            Happening::Stop { op, done } => self.stop(op, done),
            Happening::Close => {}
        }
    }

    fn start(&mut self, op: OpId, operation: Operation<Request>) {
        if self.joined {
            self.handle.start(op, operation);
        } else {
            self.waiting.push((op, operation));
        }
    }

    fn on_report(&mut self, op: OpId, progress: Progress<Reply>) {
        if op == self.join {
            return self.on_joined(progress);
        }
        match progress {
            Progress::Own(Reply::Swarms(swarms)) => {
                for fetch in &mut self.fetches {
                    fetch.on_swarms(&swarms, &self.transfers);
                }
                for publish in &mut self.publishes {
                    publish.on_swarms(&swarms);
                }
            }
            Progress::Described(description) => {
                if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.op == op) {
                    fetch.on_described(*description, &self.transfers, &self.happenings);
                }
            }
            Progress::Done => {
                if let Some(publish) = self.publishes.iter_mut().find(|publish| publish.owns(op)) {
                    publish.on_done(op);
                }
            }
            Progress::Failed(failure) => {
                let problem = Problem::new(failure.to_string());
                if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.op == op) {
                    fetch.fail(&problem);
                } else if let Some(publish) = self.publishes.iter_mut().find(|publish| publish.owns(op)) {
                    publish.fail(&problem);
                }
                self.on_ended(op);
            }
            Progress::Ended => self.on_ended(op),
            _ => {}
        }
    }

    fn on_joined(&mut self, progress: Progress<Reply>) {
        match progress {
            Progress::Done => {
                self.joined = true;
                for (op, operation) in std::mem::take(&mut self.waiting) {
                    self.handle.start(op, operation);
                }
            }
            Progress::Failed(failure) => {
                let problem = Problem::new(failure.to_string()).hint(format!(
                    "choose another address with --listen; {} may be in use (port 0 lets the system choose)",
                    self.settings.listen
                ));
                self.fetches.iter_mut().for_each(|fetch| fetch.fail(&problem));
                self.publishes.iter_mut().for_each(|publish| publish.fail(&problem));
            }
            _ => {}
        }
    }

    fn on_transfers(&mut self, event: TransfersEvent) {
        let share = event.share();
        if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.share == share) {
            let leave = fetch.on_transfers(event, &self.transfers);
            if leave && let Some(publishing) = fetch.publishing.take() {
                self.handle.cancel(publishing);
            }
        }
    }

    fn on_opened(&mut self, op: OpId, opened: Result<Opened, StoreError>) {
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.op == op) else { return };
        let Some(share) = fetch.on_opened(opened, &mut self.books) else {
            self.handle.cancel(op);
            return;
        };
        self.books.shares = self.books.shares.with(fetch.share, share);
        self.handle.set_shares(self.books.shares.clone());
        let publishing = self.books.op();
        fetch.publishing = Some(publishing);
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
                return publish.fail(&Problem::new(wrong.to_string()));
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
        let mut awaited = Vec::new();
        if let Some(place) = self.fetches.iter().position(|fetch| fetch.op == op) {
            let fetch = self.fetches.remove(place);
            self.transfers.end(fetch.lease);
            awaited.extend([Some(fetch.op), fetch.publishing].into_iter().flatten());
            fetch.tell(Event::Stopped);
            self.forget(&[fetch.share]);
        } else if let Some(place) = self.publishes.iter().position(|publish| publish.task == op) {
            let publish = self.publishes.remove(place);
            awaited.extend(publish.ops());
            publish.tell(Event::Stopped);
            self.forget(&publish.shares());
        }
        for &op in &awaited {
            self.waiting.retain(|(waiting, _)| *waiting != op);
            self.handle.cancel(op);
        }
        self.goodbyes.push(Goodbye { awaited, until: Instant::now() + GOODBYE, done });
        self.settle_goodbyes();
    }

    fn forget(&mut self, shares: &[ShareId]) {
        for &share in shares {
            self.transfers.close(share);
            self.books.shares = self.books.shares.without(share);
        }
        self.handle.set_shares(self.books.shares.clone());
    }

    fn on_ended(&mut self, op: OpId) {
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
        if self.joined && !(self.fetches.is_empty() && self.publishes.is_empty()) {
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

/// A path in words, for messages.
pub(crate) fn shown(path: &std::path::Path) -> String {
    PathBuf::from(path).display().to_string()
}
