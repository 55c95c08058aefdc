//! A node that runs on: what `hexad up` is, without its faces.
//!
//! It is the session with a memory. One thread ([`work`]) hears what tasks, networks, the hasher and the scanner say, and puts it into books that
//! every face reads under one lock; nothing that takes long happens under it. What is to be kept goes to [`store`] as it comes about.

mod downloads;
mod face;
mod files;
mod following;
mod fresh;
mod hashing;
mod inbox;
mod known;
mod library;
mod moving;
mod moving_shares;
mod queue;
mod ranking;
mod scan;
mod schedule;
mod searches;
mod store;
mod wall;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hexad_api::node::{Daemon, Feed, NetworkState, NetworkStatus, PAGE_MAX, UpSettings};
use hexad_api::{NetworkSettings, Problem, ProblemKind, Settings, TimedLimits};
use hexad_content::Layout;
use hexad_core::OpId;
use hexad_driver::transfers::TransfersConfig;
use hexad_driver::wall::Wall;
use serde::{Deserialize, Serialize};

use self::downloads::Downloads;
use self::following::Followers;
use self::library::Library;
use self::schedule::{limits_at, now};
use self::searches::Searches;
use self::store::{Keep, Store, json};
use self::work::{Turn, Worker};
use crate::membership::NetworkNews;
use crate::networks::{NAMES, Outside, closed};
use crate::session::{Happening, LocalSession};
use crate::shelf::Key;

pub(crate) use self::schedule::check_schedule;

/// Changes that are kept for slow readers.
const CHANGES_KEPT: usize = 4096;
/// Sentences that wait for somebody who hears them.
const WARNINGS_MAX: usize = 50;
/// Under which name what was set is kept.
const SETTINGS: &str = "settings";

/// What a node is told before it starts.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Where it keeps what it knows, and how to take part in each network; of a network that is not there, as little as possible is assumed.
    pub session: Settings,
    /// Limits that hold at certain times in place of the session's.
    pub schedule: Vec<TimedLimits>,
    /// Downloads that are not complete and active at a time; 0 has no limit.
    pub active_downloads: u32,
    /// Complete ones that are given on at a time; 0 has no limit.
    pub active_seeds: u32,
    /// A download that has brought nothing for so long is not counted as active.
    pub stalled: Duration,
    /// Networks that are joined at the start.
    pub join: Vec<String>,
    /// Where downloads go that say nothing else.
    pub download_dir: PathBuf,
    /// Folders whose files are offered.
    pub shared_dirs: Vec<PathBuf>,
    /// The folder whose .torrent and .magnet files are fetched.
    pub watch_dir: Option<PathBuf>,
    /// Whether downloads that say nothing else go on seeding when complete.
    pub seed: bool,
    /// How often watched folders are looked at.
    pub rescan: Duration,
    /// A file in a watched folder that was written to a shorter time ago waits for the next look.
    pub quiet: Duration,
    /// The clock on the wall.
    pub wall: Wall,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            session: Settings::default(),
            schedule: Vec::new(),
            active_downloads: 0,
            active_seeds: 0,
            stalled: Duration::from_secs(300),
            join: Vec::new(),
            download_dir: PathBuf::from("."),
            shared_dirs: Vec::new(),
            watch_dir: None,
            seed: true,
            rescan: Duration::from_secs(15),
            quiet: Duration::from_secs(2),
            wall: Wall::default(),
        }
    }
}

/// A node that takes part in the networks as `settings` say. It comes back at once; networks are joined one beside the other.
///
/// What was set while an earlier node ran holds on, unless `settings` say something else than they said then.
///
/// # Errors
/// When its state cannot be used, or a thread cannot be started.
pub fn open_node(settings: NodeSettings) -> Result<Arc<dyn Daemon>, Problem> {
    Ok(Arc::new(Node::open(settings)?))
}

/// What was set, and what the settings from outside were then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SetBefore {
    given: UpSettings,
    holds: UpSettings,
}

/// One network.
struct NetworkBook {
    name: &'static str,
    /// Somebody wants it joined.
    wanted: bool,
    settings: NetworkSettings,
    news: NetworkNews,
    /// When joining is tried again, and how long the pause after that is.
    retry: Option<(Instant, Duration)>,
}

/// What is being hashed.
struct Hashing {
    share: u64,
    stamp: scan::Stamp,
    done: Arc<AtomicU64>,
    cancel: Arc<AtomicBool>,
}

/// The node's books.
struct State {
    settings: UpSettings,
    downloads: Downloads,
    searches: Searches,
    library: Library,
    followers: Followers,
    networks: Vec<NetworkBook>,
    networks_changed: Vec<usize>,
    hashing: Option<Hashing>,
    /// The download whose files somebody has looked at last.
    looked_at: Option<(u64, Arc<Layout>)>,
    keep: Vec<Keep>,
    warnings: Vec<String>,
    /// Whether `status` is to be told once more.
    moved: bool,
}

/// What all threads of a node share.
struct House {
    itself: Weak<Self>,
    state: Mutex<State>,
    session: RwLock<Option<LocalSession>>,
    store: Store,
    /// What was taken from the state to be kept, in order. Held while that is written, and taken before the state is let go: what is younger is written later.
    /// What could not be kept stays, for the next time.
    keeping: Mutex<Vec<Keep>>,
    feed: Feed,
    turns: Sender<Turn>,
    given: NodeSettings,
    outside: Outside,
    since: Instant,
    ending: AtomicBool,
    /// Threads that move downloads and shares to other folders, or look for takers of what is complete.
    movers: Mutex<Vec<JoinHandle<()>>>,
}

/// A node in this process.
struct Node {
    house: Arc<House>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Node {
    fn open(given: NodeSettings) -> Result<Self, Problem> {
        let state_dir = given.session.state_dir.clone();
        let store = Store::open(state_dir.as_deref())?;
        let from_outside = up_settings(&given);
        let before: SetBefore = store.setting(SETTINGS).unwrap_or_default();
        let holds = later(&before, &from_outside);
        store.keep(&[Keep::Setting(SETTINGS, json(&SetBefore { given: from_outside, holds: holds.clone() }))])?;

        let outside = Outside { wall: given.wall.clone(), ..Outside::of(&given.session)? };
        let (limits, _) = limits_at(&holds, now(&given.wall));
        outside.set_limits(limits);
        let (turns, heard) = mpsc::channel();
        let (news, from_session) = mpsc::channel();
        let session = LocalSession::watched(TransfersConfig::default(), outside.clone(), news)?;
        let hear_news = turns.clone();
        let mut threads = Vec::new();
        let mut spawn =
            |name: &str, run: Box<dyn FnOnce() + Send>| {
                let started = thread::Builder::new().name(name.to_owned()).spawn(run);
                threads.push(started.map_err(|wrong| {
                    Problem::new(format!("a thread of the node cannot be started: {wrong}")).kind(ProblemKind::Internal)
                })?);
                Ok::<(), Problem>(())
            };
        spawn(
            "hexad-news",
            Box::new(move || {
                while let Ok(news) = from_session.recv() {
                    if hear_news.send(Turn::News(news)).is_err() {
                        return;
                    }
                }
            }),
        )?;
        let state = State {
            settings: holds.clone(),
            downloads: Downloads::new(given.wall.clone()),
            searches: Searches::default(),
            library: Library::default(),
            followers: Followers::default(),
            networks: books_of(&given, &holds),
            networks_changed: Vec::new(),
            hashing: None,
            looked_at: None,
            keep: Vec::new(),
            warnings: Vec::new(),
            moved: true,
        };
        let house = Arc::new_cyclic(|itself| House {
            itself: itself.clone(),
            state: Mutex::new(state),
            session: RwLock::new(Some(session)),
            store,
            feed: Feed::new(env!("CARGO_PKG_VERSION"), CHANGES_KEPT),
            turns,
            given,
            outside,
            since: Instant::now(),
            ending: AtomicBool::new(false),
            movers: Mutex::default(),
            keeping: Mutex::default(),
        });
        house.load()?;
        house.look_when_it_ran(&mut house.state());
        let worker = Worker::new(house.clone());
        let (hasher, scanner) = (worker.hasher(), worker.scanner());
        spawn("hexad-hash", Box::new(hasher))?;
        spawn("hexad-scan", Box::new(scanner))?;
        spawn("hexad-node", Box::new(move || worker.run(&heard)))?;
        Ok(Self { house, threads: Mutex::new(threads) })
    }

    fn end(&self) {
        let house = &self.house;
        if house.ending.swap(true, std::sync::atomic::Ordering::AcqRel) {
            return;
        }
        if let Some(hashing) = &house.state().hashing {
            hashing.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        // Networks are left while the worker still hears and keeps.
        let session = house.session.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(session);
        let _ = house.turns.send(Turn::End);
        let taken = |threads: &Mutex<Vec<JoinHandle<()>>>| std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in taken(&house.movers).into_iter().chain(taken(&self.threads)) {
            if thread.join().is_err() {
                tracing::warn!("a thread of the node has panicked");
            }
        }
        house.store.close();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

impl House {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the session, where it has not ended.
    fn with<T>(&self, act: impl FnOnce(&LocalSession) -> T) -> Result<T, Problem> {
        let session = self.session.read().unwrap_or_else(PoisonError::into_inner);
        let ended = || Problem::new("the node is ending").hint("start it again").kind(ProblemKind::Unavailable);
        session.as_ref().map(act).ok_or_else(ended)
    }

    fn tell(&self, happening: Happening) {
        let _ = self.with(|session| session.tell(happening));
    }

    fn stop_task(&self, op: Option<OpId>) {
        if let Some(op) = op {
            let _ = self.with(|session| session.stop_soon(op));
        }
    }

    /// Keeps what has come about since the last time. What cannot be kept is told and tried again with the next.
    fn flush(&self) {
        let mut keeping = {
            let mut state = self.state();
            for (id, kept) in state.downloads.take_unkept() {
                let bytes = json(&kept);
                state.keep.push(Keep::Download(id, bytes));
            }
            let mut keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
            let younger = std::mem::take(&mut state.keep);
            keeping.retain(|older| !younger.iter().any(|keep| keep.replaces(older)));
            keeping.extend(younger);
            keeping
        };
        let kept = self.store.keep(&keeping);
        if kept.is_ok() {
            keeping.clear();
        }
        drop(keeping);
        if let Err(problem) = kept {
            self.state().warn(problem.message);
        }
    }

    /// Keeps something at once, in place of what is to be kept of the same.
    fn keep_now(&self, state: &mut State, keep: &Keep) -> Result<(), Problem> {
        let mut keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.keep(std::slice::from_ref(keep))?;
        for waiting in [&mut state.keep, &mut *keeping] {
            waiting.retain(|older| !keep.replaces(older));
        }
        Ok(())
    }

    /// Takes up what earlier runs have left: shares are offered as they were, downloads go on.
    fn load(&self) -> Result<(), Problem> {
        let shares = self.store.shares::<library::Kept>()?;
        let mut offer = Vec::with_capacity(shares.len());
        let mut state = self.state();
        let folders: Vec<PathBuf> = state.settings.shared_dirs.iter().map(PathBuf::from).collect();
        state.library.set_folders(&folders);
        for (id, kept, content) in shares {
            state.library.load(id, &kept);
            let Some(content) = content else {
                state.library.hash_again(id, Some(kept.stamp));
                continue;
            };
            let paths = hashing::paths_at(&content.shape.layout, &kept.path);
            offer.push((Key::Share(id), hashing::prepared(content, paths, sounds_of(&kept))));
        }
        for (id, kept) in self.store.downloads::<downloads::Kept>()? {
            state.downloads.load(id, kept);
        }
        drop(state);
        self.tell(Happening::Offer(offer));
        Ok(())
    }

    /// Joins a network that is wanted.
    fn join(&self, state: &mut State, network: usize) {
        let Some(book) = state.networks.get_mut(network) else { return };
        book.retry = None;
        book.news.state = NetworkState::Joining;
        let (settings, state_dir, outside) = (book.settings.clone(), self.given.session.state_dir.clone(), self.outside.clone());
        let make = Box::new(move |transfers: &_| crate::networks::opening(&settings, state_dir.as_deref(), transfers, &outside));
        self.tell(Happening::Join(network, make));
        state.networks_changed.push(network);
    }
}

impl State {
    /// Says something to whoever looks, or looks next.
    fn warn(&mut self, message: String) {
        if !self.warnings.contains(&message) {
            self.warnings.push(message);
            if self.warnings.len() > WARNINGS_MAX {
                self.warnings.remove(0);
            }
        }
    }
}

impl NetworkBook {
    fn view(&self, with_overlay: bool) -> NetworkStatus {
        let abilities = closed(self.name).map(|opening| opening.abilities);
        NetworkStatus {
            name: self.name.to_owned(),
            state: self.news.state,
            peers: self.news.peers,
            figures: self.news.figures.clone(),
            doors: self.news.doors.clone(),
            problem: self.news.problem.clone(),
            abilities: abilities.map_or_else(Default::default, |abilities| hexad_api::node::AbilitiesOf {
                search: abilities.search_words,
                lookup: abilities.search_digest,
                publish: abilities.publish,
                fetch: abilities.fetch,
            }),
            overlay: self.news.overlay.clone().filter(|_| with_overlay),
        }
    }
}

/// The books of all six networks.
fn books_of(given: &NodeSettings, holds: &UpSettings) -> Vec<NetworkBook> {
    let book = |(network, name): (usize, &'static str)| {
        let settings = given.session.networks.iter().find(|settings| settings.name() == name).cloned();
        NetworkBook {
            name,
            wanted: holds.networks.get(name).copied().unwrap_or(false),
            settings: settings.unwrap_or_else(|| usual_settings(name)),
            news: NetworkNews {
                network,
                state: NetworkState::Left,
                problem: None,
                peers: 0,
                figures: BTreeMap::new(),
                doors: Vec::new(),
                overlay: None,
                up_bytes_per_s: 0,
            },
            retry: None,
        }
    };
    NAMES.into_iter().enumerate().map(book).collect()
}

fn usual_settings(name: &str) -> NetworkSettings {
    match name {
        "chord" => NetworkSettings::Chord(Default::default()),
        "freenet" => NetworkSettings::Freenet(Default::default()),
        "gnutella" => NetworkSettings::Gnutella(Default::default()),
        "kazaa" => NetworkSettings::Kazaa(Default::default()),
        "napster" => NetworkSettings::Napster(Default::default()),
        _ => NetworkSettings::Bittorrent(Default::default()),
    }
}

/// What of the settings can be set while the node runs.
fn up_settings(given: &NodeSettings) -> UpSettings {
    let text = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string();
    UpSettings {
        download_dir: text(&given.download_dir),
        shared_dirs: given.shared_dirs.iter().map(text).collect(),
        seed: given.seed,
        networks: NAMES.into_iter().map(|name| (name.to_owned(), given.join.iter().any(|join| join == name))).collect(),
        limits: Some(given.session.limits),
        schedule: Some(given.schedule.clone()),
        active_downloads: Some(given.active_downloads),
        active_seeds: Some(given.active_seeds),
        restart: Vec::new(),
    }
}

/// Of each setting what was said last: by the settings from outside where they say something else than before, else while the node ran.
fn later(before: &SetBefore, given: &UpSettings) -> UpSettings {
    let SetBefore { given: said, holds } = before;
    let mut now = given.clone();
    if said.download_dir == given.download_dir {
        now.download_dir.clone_from(&holds.download_dir);
    }
    if said.shared_dirs == given.shared_dirs {
        now.shared_dirs.clone_from(&holds.shared_dirs);
    }
    if said.seed == given.seed {
        now.seed = holds.seed;
    }
    if said.limits == given.limits {
        now.limits = holds.limits;
    }
    if said.schedule == given.schedule {
        now.schedule.clone_from(&holds.schedule);
    }
    // A node that knew nothing of these has neither said nor set them.
    if said.active_downloads.is_none_or(|said| Some(said) == given.active_downloads) {
        now.active_downloads = holds.active_downloads.or(now.active_downloads);
    }
    if said.active_seeds.is_none_or(|said| Some(said) == given.active_seeds) {
        now.active_seeds = holds.active_seeds.or(now.active_seeds);
    }
    for (name, join) in &mut now.networks {
        if said.networks.get(name) == given.networks.get(name) {
            *join = holds.networks.get(name).copied().unwrap_or(*join);
        }
    }
    if before == &SetBefore::default() { given.clone() } else { now }
}

fn sounds_of(kept: &library::Kept) -> Vec<(usize, hexad_library::Sound)> {
    kept.music.iter().map(library::Music::sound).collect()
}

/// Items of a page.
fn cut(limit: usize) -> usize {
    limit.min(PAGE_MAX)
}

fn not_found(what: &str, id: u64) -> Problem {
    Problem::new(format!("there is no {what} {id}")).kind(ProblemKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits until something holds that another thread brings about.
    fn await_that(holds: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < until, "it does not come about");
            thread::yield_now();
        }
    }

    #[test]
    fn what_could_not_be_kept_does_not_take_the_place_of_what_was_kept_meanwhile() {
        let node = Node::open(NodeSettings::default()).expect("a node");
        let house = node.house.clone();
        let described = |what: &[u8]| Keep::Described(7, what.to_vec());
        let is_being_kept = || house.keeping.try_lock().is_err();
        let mut disk = house.store.held();
        house.state().keep.push(described(b"old"));
        let flushing = thread::spawn({
            let house = house.clone();
            move || house.flush()
        });
        await_that(|| is_being_kept() && house.state().keep.is_empty());
        let mut state = house.state();
        // The disk fails while the old one is written, and is there again before who wrote it can do anything about that.
        let database = disk.take();
        drop(disk);
        await_that(|| !is_being_kept());
        *house.store.held() = database;
        house.keep_now(&mut state, &described(b"new")).expect("kept");
        drop(state);
        flushing.join().expect("flushed");
        house.flush();
        assert_eq!(house.store.described(7).as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn what_was_set_last_holds() {
        let settings = |seed, dirs: &[&str]| UpSettings {
            seed,
            shared_dirs: dirs.iter().map(|dir| (*dir).to_owned()).collect(),
            ..UpSettings::default()
        };
        let before = SetBefore { given: settings(true, &["/a"]), holds: settings(false, &["/a", "/b"]) };
        // The file still says what it said: what was set while the node ran holds.
        assert_eq!(later(&before, &settings(true, &["/a"])), settings(false, &["/a", "/b"]));
        // The file says something else about one of them.
        assert_eq!(later(&before, &settings(true, &["/c"])), settings(false, &["/c"]));
        assert_eq!(later(&SetBefore::default(), &settings(true, &["/a"])), settings(true, &["/a"]));
    }
}
