//! The session as faces hold it, and its tasks. What it does happens on the thread of its loop.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hexad_api::{
    Event, FetchRequest, How, JoinRequest, Own, Problem, ProblemKind, PublishRequest, SearchRequest, Session, Settings, Stop,
    StreamRequest, Task, TorrentVersion,
};
use hexad_core::{OpId, ShareId};
use hexad_driver::transfers::{Opened, StoreError, Transfers, TransfersConfig, TransfersEvent};

use crate::known::Known;
use crate::listener::Listener;
use crate::networks::{self, Heard, Opening, Outside};
use crate::owner::Owner;
use crate::publish::{self, Prepared};
use crate::search;
use crate::session_loop::{GOODBYE, Loop, News};
use crate::shelf::Key;
use crate::source;
use crate::stream;

/// How long the end of a session waits for its loop, which in turn waits for what hosts have to store and to say.
const FAREWELL: Duration = Duration::from_secs(8);

/// What the loop hears.
pub(crate) enum Happening {
    /// A network says something: which, and which of the hosts that were started for it.
    Heard(usize, u32, Heard),
    Transfers(TransfersEvent),
    Begin(Box<Begin>, Listener, Sender<OpId>),
    /// A fetch's target folder is prepared, or cannot be.
    Opened {
        op: OpId,
        share: ShareId,
        opened: Result<Opened, StoreError>,
    },
    /// A publish's files are hashed or checked, or cannot be.
    Prepared(OpId, Result<Vec<Prepared>, Problem>),
    /// For whoever watches that task.
    Tell(OpId, Event),
    /// Somebody reads these bytes of what a task fetches.
    Reads(OpId, std::ops::Range<u64>),
    /// A task that is fetched for players is served there.
    Streams(OpId, crate::stream::Running),
    /// What came of asking the router to let others in to a network.
    Mapped(usize, hexad_driver::mapping::Outcome),
    Stop {
        op: OpId,
        done: Sender<()>,
    },
    /// Join a network that is not joined.
    Join(usize, Making),
    Leave(usize),
    /// Put on the shelf, and take from it.
    Offer(Vec<(Key, Prepared)>),
    Withdraw(Vec<Key>),
    /// A fetch is carried out in another way from here on.
    Change {
        op: OpId,
        how: Box<How>,
        /// Whether it goes on seeding when complete.
        seed: bool,
    },
    /// A search goes on.
    More {
        op: OpId,
        results_max: usize,
        timeout_s: u64,
    },
    Close,
}

/// Through what players read a fetch, and where they connect.
pub(crate) struct Streaming {
    pub(crate) stage: Arc<stream::Stage>,
    pub(crate) at: std::net::SocketAddr,
}

/// How a way into a network is made, on the loop's thread.
pub(crate) type Making = Box<dyn FnOnce(&Arc<Transfers>) -> Result<Opening, Problem> + Send>;

/// A task to begin, and on which networks.
pub(crate) enum Begin {
    Fetch { request: FetchRequest, found: source::Found, on: Vec<usize>, manner: Manner, streaming: Option<Streaming>, known: Known },
    Publish(PublishRequest, Vec<usize>, Option<Owner>),
    Search(SearchRequest, Vec<usize>),
    Join(usize),
    Own(Own, usize),
}

/// What a fetch waits for, and how far it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It fails when nothing can come from any network.
    Once,
    /// It waits for networks and peers, however long that takes.
    Patient,
    /// The same, but only until it is known what there is.
    Describe,
}

/// A session in this process.
pub(crate) struct LocalSession {
    pub(crate) happenings: Sender<Happening>,
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) outside: Outside,
    /// What its networks are called.
    names: Vec<&'static str>,
    /// Of which version torrents are that nobody says more about.
    version: TorrentVersion,
    /// Where what it knows is kept.
    state_dir: Option<PathBuf>,
    /// Closed when the loop has ended.
    over: Mutex<Receiver<()>>,
}

impl LocalSession {
    /// Starts the host of every network and joins them.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Problem> {
        let (events, from_transfers) = mpsc::channel();
        let transfers = Transfers::start(TransfersConfig::default(), events);
        let state_dir = settings.state_dir.as_deref();
        let outside = Outside::of(settings)?;
        let openings = settings.networks.iter().map(|network| networks::opening(network, state_dir, &transfers, &outside));
        let mut session = Self::begin(openings.collect::<Result<_, _>>()?, transfers, outside, from_transfers)?;
        session.version = networks::version_of(&settings.networks);
        session.state_dir.clone_from(&settings.state_dir);
        Ok(session)
    }

    /// A session over all networks that joins those that it is told to, and says how everything stands.
    pub(crate) fn watched(config: TransfersConfig, outside: Outside, news: Sender<News>) -> Result<Self, Problem> {
        let (events, from_transfers) = mpsc::channel();
        let transfers = Transfers::start(config, events);
        let openings = networks::NAMES.iter().filter_map(|name| networks::closed(name)).collect();
        Self::begin_with(openings, transfers, outside, from_transfers, Some(news))
    }

    /// The same with networks that are ready to be joined.
    pub(crate) fn begin(
        openings: Vec<Opening>,
        transfers: Arc<Transfers>,
        outside: Outside,
        from_transfers: Receiver<TransfersEvent>,
    ) -> Result<Self, Problem> {
        Self::begin_with(openings, transfers, outside, from_transfers, None)
    }

    fn begin_with(
        openings: Vec<Opening>,
        transfers: Arc<Transfers>,
        outside: Outside,
        from_transfers: Receiver<TransfersEvent>,
        news: Option<Sender<News>>,
    ) -> Result<Self, Problem> {
        let (happenings, heard) = mpsc::channel();
        let to_loop = happenings.clone();
        thread::spawn(move || {
            while let Ok(event) = from_transfers.recv() {
                if to_loop.send(Happening::Transfers(event)).is_err() {
                    break;
                }
            }
        });
        let names = openings.iter().map(|opening| opening.name).collect();
        let own = happenings.clone();
        let (for_loop, own_outside) = (transfers.clone(), outside.clone());
        let (ends, over) = mpsc::channel();
        thread::Builder::new()
            .name("hexad-session".into())
            .spawn(move || {
                Loop::new(openings, for_loop, &own_outside, own, news).run(&heard);
                drop(ends);
            })
            .map_err(|wrong| Problem::new(format!("the session's thread cannot be started: {wrong}")))?;
        Ok(Self { happenings, transfers, outside, names, version: TorrentVersion::V1, state_dir: None, over: Mutex::new(over) })
    }

    fn start(&self, begin: Begin) -> Result<Task, Problem> {
        self.begin_task(begin).map(|(_, task)| task)
    }

    fn begin_task(&self, begin: Begin) -> Result<(OpId, Task), Problem> {
        let (events, watched) = mpsc::channel();
        let op = self.begin_heard(begin, events.into())?;
        Ok((op, Task { events: watched, stop: Box::new(StopTask { op: Some(op), happenings: self.happenings.clone() }) }))
    }

    /// Begins a task and returns its name; `events` hears how it goes.
    pub(crate) fn begin_heard(&self, begin: Begin, events: Listener) -> Result<OpId, Problem> {
        let gone = || Problem::new("the session has ended").kind(ProblemKind::Unavailable);
        let (op_to, op_from) = mpsc::channel();
        self.happenings.send(Happening::Begin(Box::new(begin), events, op_to)).map_err(|_| gone())?;
        op_from.recv().map_err(|_| gone())
    }

    /// Asks for something that is not answered.
    pub(crate) fn tell(&self, happening: Happening) {
        let _ = self.happenings.send(happening);
    }

    /// Stops a task without waiting for it.
    pub(crate) fn stop_soon(&self, op: OpId) {
        let (done, _) = mpsc::channel();
        self.tell(Happening::Stop { op, done });
    }

    /// The networks of these names; all when none is named.
    fn chosen(&self, on: &[String]) -> Result<Vec<usize>, Problem> {
        if on.is_empty() {
            return Ok((0..self.names.len()).collect());
        }
        let mut chosen = Vec::new();
        for name in on {
            let network = self.names.iter().position(|known| known == name).ok_or_else(|| {
                Problem::new(format!("expected one of the networks that are joined ({}), came '{name}'", self.names.join(", ")))
                    .hint("join it first")
            })?;
            if !chosen.contains(&network) {
                chosen.push(network);
            }
        }
        Ok(chosen)
    }

    fn names_of(&self, chosen: &[usize]) -> Vec<&'static str> {
        chosen.iter().filter_map(|&network| self.names.get(network).copied()).collect()
    }
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        let _ = self.happenings.send(Happening::Close);
        let over = self.over.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = over.recv_timeout(FAREWELL);
    }
}

impl Session for LocalSession {
    fn fetch(&self, request: FetchRequest) -> Result<Task, Problem> {
        let on = self.chosen(&request.on)?;
        let found = source::find(&request.source, &request.peers, &self.names_of(&on), &self.outside)?;
        self.start(Begin::Fetch { request, found, on, manner: Manner::Once, streaming: None, known: Known::default() })
    }

    fn stream(&self, request: StreamRequest) -> Result<Task, Problem> {
        let StreamRequest { mut fetch, http } = request;
        fetch.how.sequential = true;
        let on = self.chosen(&fetch.on)?;
        let found = source::find(&fetch.source, &fetch.peers, &self.names_of(&on), &self.outside)?;
        let (listener, at) = stream::bind(http)?;
        let stage = stream::Stage::new();
        let streaming = Streaming { stage: stage.clone(), at };
        let (manner, streaming, known) = (Manner::Once, Some(streaming), Known::default());
        let (op, task) = self.begin_task(Begin::Fetch { request: fetch, found, on, manner, streaming, known })?;
        let running = stream::serve(listener, stage, self.transfers.clone(), self.happenings.clone(), op)?;
        let _ = self.happenings.send(Happening::Streams(op, running));
        Ok(task)
    }

    fn set_limits(&self, limits: hexad_api::Limits) {
        self.outside.set_limits(limits);
    }

    fn publish(&self, mut request: PublishRequest) -> Result<Task, Problem> {
        request.version.get_or_insert(self.version);
        let on = self.chosen(&request.on)?;
        publish::validate(&request, &self.names_of(&on))?;
        let owner = request.mutable.as_ref().map(|_| Owner::of(self.state_dir.as_deref())).transpose()?;
        self.start(Begin::Publish(request, on, owner))
    }

    fn search(&self, request: SearchRequest) -> Result<Task, Problem> {
        let on = self.chosen(&request.on)?;
        search::validate(&request, &self.names_of(&on))?;
        self.start(Begin::Search(request, on))
    }

    fn join(&self, request: JoinRequest) -> Result<Task, Problem> {
        let on = self.chosen(&[request.network])?;
        self.start(Begin::Join(on[0]))
    }

    fn own(&self, request: Own) -> Result<Task, Problem> {
        let on = self.chosen(&[request.network().to_owned()])?;
        if let Own::ChordGet { name, is_key: true } = &request
            && hexad_chord::Key::of_hex(name).is_none()
        {
            return Err(Problem::new(format!("expected a key of 40 hex digits, came '{name}'")).hint("leave --key away to get it by name"));
        }
        check_own(&request)?;
        self.start(Begin::Own(request, on[0]))
    }
}

/// What is wrong with a request that only one network can read.
pub(crate) fn check_own(request: &Own) -> Result<(), Problem> {
    match request {
        Own::FreenetAccept { invitation } => crate::networks::freenet_invitation(invitation).map(drop),
        Own::BittorrentFollow { link, .. } if crate::networks::owner_of(link).is_none() => {
            Err(Problem::new(format!("expected a link that its owner can change (magnet:?xs=urn:btpk:…), came '{link}'")))
        }
        Own::BittorrentScrape { torrent } if crate::networks::torrent_named(torrent).is_none() => {
            Err(Problem::new(format!("expected a magnet link with an info hash, or 40 hex digits, came '{torrent}'"))
                .hint("hexad torrent show FILE prints the link of a .torrent"))
        }
        Own::FreenetUnfriend { key } => crate::networks::freenet_friend(key).map(drop),
        _ => Ok(()),
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
            let _ = over.recv_timeout(GOODBYE * 2);
        }
    }
}

impl Drop for StopTask {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A path in words, for messages and events.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
