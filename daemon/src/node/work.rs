//! The node's own thread: hears what tasks, networks, the hasher and the scanner say, and tells faces what has changed, a few times a second.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hexad_api::node::{Change, NetworkState, SearchResult, Totals};
use hexad_api::{Event, FetchRequest, Problem, Selection, TorrentVersion};
use hexad_core::{OpId, Source, What};
use hexad_driver::wall::WallWatch;

use super::downloads::Follows;
use super::fresh::Fresh;
use super::hashing::{Hashed, hash, paths_at, prepared, renamed};
use super::library::Kept;
use super::scan::{Scan, Wanted, scan, stamp_of};
use super::store::{Content, Keep, described_bytes, share_bytes};
use super::{Hashing, House, State, sounds_of};
use crate::listener::{Listener, Word};
use crate::publish::link_of;
use crate::session::{Begin, Happening, Manner};
use crate::session_loop::News;
use crate::shelf::{Key, ShelfNews};
use crate::source::{self, Found};

/// How often faces are told what has changed; of downloads and status every second and fourth time.
const TICK: Duration = Duration::from_millis(250);
/// How often what running downloads have brought is kept.
const KEEP_EVERY: u64 = 40;
/// How often it is kept what the clock on the wall shows: every ten minutes.
const KEEP_CLOCK_EVERY: u64 = 2400;
/// How long a network that could not be joined rests at first, and at most.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Files that were too fresh are looked at again after so long.
const SOON: Duration = Duration::from_secs(2);
/// More shares that change at once are not told one by one.
const SHARES_TOLD_MAX: usize = 500;

/// What the thread hears.
pub(super) enum Turn {
    News(News),
    /// A download's task says something, in one of its runs.
    Download(u64, u64, Word),
    /// A search's task says something.
    Search(u64, Word),
    Hashed(u64, Result<Box<Hashed>, Problem>),
    Scanned(Box<Scan>),
    /// Look at the folders at once.
    Rescan,
    /// A task that follows a link says something, in one of its runs.
    Followed(Key, u64, Word),
    /// The .torrent of a download was fetched, or not.
    Found(u64, u64, Result<Box<Found>, Problem>),
    End,
}

type Job = (u64, PathBuf, TorrentVersion, Arc<AtomicU64>, Arc<AtomicBool>);

/// The thread, and what it sends work to.
pub(super) struct Worker {
    house: Arc<House>,
    jobs: Sender<Job>,
    from_worker: Arc<Mutex<Receiver<Job>>>,
    looks: Sender<Wanted>,
    from_looker: Arc<Mutex<Receiver<Wanted>>>,
    scanning: bool,
    scan_again: bool,
    next_scan: Instant,
    /// Files in the inbox that may still be written to.
    inbox: Fresh,
    clock: WallWatch,
    ticks: u64,
    told: Option<Totals>,
}

impl Worker {
    pub(super) fn new(house: Arc<House>) -> Self {
        let ((jobs, from_worker), (looks, from_looker)) = (mpsc::channel(), mpsc::channel());
        let clock = WallWatch::new(house.given.wall.clone());
        Self {
            house,
            jobs,
            from_worker: Arc::new(Mutex::new(from_worker)),
            looks,
            from_looker: Arc::new(Mutex::new(from_looker)),
            scanning: false,
            scan_again: false,
            next_scan: Instant::now(),
            inbox: Fresh::default(),
            clock,
            ticks: 0,
            told: None,
        }
    }

    /// The life of the thread that hashes, one file after the other.
    pub(super) fn hasher(&self) -> impl FnOnce() + Send + use<> {
        let (jobs, turns) = (self.from_worker.clone(), self.house.turns.clone());
        move || {
            let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
            while let Ok((id, path, version, done, cancel)) = jobs.recv() {
                if turns.send(Turn::Hashed(id, hash(&path, version, &done, &cancel).map(Box::new))).is_err() {
                    return;
                }
            }
        }
    }

    /// The life of the thread that looks at folders.
    pub(super) fn scanner(&self) -> impl FnOnce() + Send + use<> {
        let (looks, turns, wall) = (self.from_looker.clone(), self.house.turns.clone(), self.house.given.wall.clone());
        move || {
            let mut fresh = Fresh::default();
            let looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
            while let Ok(wanted) = looks.recv() {
                if turns.send(Turn::Scanned(Box::new(scan(&wanted, &mut fresh, wall.now())))).is_err() {
                    return;
                }
            }
        }
    }

    /// Joins what is to be joined, takes up downloads, and goes on until the node ends.
    pub(super) fn run(mut self, heard: &Receiver<Turn>) {
        self.begin();
        let mut next = Instant::now() + TICK;
        loop {
            match heard.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Turn::End) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(turn) => self.take(turn),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= next {
                next = Instant::now() + TICK;
                self.tick();
            }
        }
        // What was said on the way out counts.
        while let Ok(turn) = heard.try_recv() {
            self.take(turn);
        }
        {
            let mut state = self.house.state();
            state.downloads.mark_running_unkept();
            self.house.keep_clock(&mut state);
        }
        self.house.flush();
    }

    fn begin(&self) {
        let house = &self.house;
        let mut state = house.state();
        for network in 0..state.networks.len() {
            if state.networks[network].wanted {
                house.join(&mut state, network);
            }
        }
        for id in state.library.moving() {
            house.go_on_moving_share(id);
        }
        for id in state.downloads.ids() {
            let Ok(item) = state.downloads.find(id) else { continue };
            if item.kept.moving.is_some() {
                house.go_on_moving(id);
            }
        }
        house.arrange(&mut state);
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::News(News::Network(news)) => self.on_network(*news),
            Turn::News(News::Shelf(all)) => all.into_iter().for_each(|news| self.on_shelf(news)),
            Turn::Download(id, run, word) => self.on_download(id, run, word),
            Turn::Search(id, word) => on_search(&mut self.house.state(), id, word),
            Turn::Hashed(id, hashed) => self.on_hashed(id, hashed),
            Turn::Scanned(scan) => self.on_scanned(&scan),
            Turn::Rescan => self.look(),
            Turn::Followed(key, run, word) => self.house.on_followed(key, run, word),
            Turn::Found(id, run, found) => self.on_found(id, run, found),
            Turn::End => {}
        }
    }

    fn on_network(&self, news: crate::membership::NetworkNews) {
        let mut state = self.house.state();
        let Some(book) = state.networks.get_mut(news.network) else { return };
        if book.news == news {
            return;
        }
        let network = news.network;
        match news.state {
            NetworkState::Joined => book.retry = None,
            NetworkState::Failed if book.wanted && book.news.state != NetworkState::Failed => {
                let pause = book.retry.map_or(PAUSE, |(_, pause)| (pause * 2).min(PAUSE_MAX));
                book.retry = Some((Instant::now() + pause, pause));
            }
            // It was wanted again while it was being left.
            NetworkState::Left if book.wanted => {
                book.news = news;
                return self.house.join(&mut state, network);
            }
            _ => {}
        }
        let overlay_changed = book.news.overlay != news.overlay;
        book.news = news;
        state.networks_changed.push(network);
        let told = overlay_changed.then(|| state.networks[network].news.overlay.clone()).flatten();
        let name = state.networks[network].name.to_owned();
        drop(state);
        if let Some(overlay) = told.filter(|_| self.house.feed.has_listeners()) {
            self.house.feed.tell(Change::Overlay { name, overlay });
        }
    }

    fn on_shelf(&self, news: ShelfNews) {
        let mut state = self.house.state();
        match news {
            ShelfNews::Offered(Key::Share(id), network) => state.library.set_offered(id, network, true),
            ShelfNews::Not(Key::Share(id), network, problem) => {
                state.library.set_offered(id, network, false);
                if let Some(problem) = problem {
                    tracing::debug!(share = id, network = state.networks[network].name, %problem, "a share is not offered");
                }
            }
            ShelfNews::Named(Key::Share(id), network, name) => state.library.on_named(id, network, name),
            ShelfNews::Unreadable(Key::Share(id), problem) => {
                // Whoever changes a file while nobody looks is noticed by the next look.
                state.library.on_failed(id, problem);
                drop(state);
                let _ = self.house.turns.send(Turn::Rescan);
            }
            ShelfNews::Unreadable(Key::Download(id), problem) => {
                state.downloads.fail(id, problem.hint("begin it again, and what is missing is fetched"));
            }
            ShelfNews::Offered(Key::Download(_), _) | ShelfNews::Not(Key::Download(_), ..) | ShelfNews::Named(Key::Download(_), ..) => {}
        }
    }

    fn on_download(&self, id: u64, run: u64, word: Word) {
        let mut state = self.house.state();
        match word {
            Word::Event(event) => {
                let op = state.downloads.find(id).ok().filter(|item| item.run == run).and_then(|item| item.op);
                let completes = matches!(event, Event::Complete { unproven: false, .. }) && op.is_some();
                if state.downloads.on_event(id, run, event) == Follows::Stop {
                    if state.downloads.find(id).is_ok_and(|item| item.is_complete()) {
                        let _ = state.downloads.rest(id, None);
                    }
                    if completes {
                        self.house.rest_older(&mut state, id);
                        self.house.offer_to_downloads(&state, Key::Download(id));
                    }
                    drop(state);
                    self.house.stop_task(op);
                    self.house.flush();
                } else if completes {
                    self.house.rest_older(&mut state, id);
                    self.house.offer_to_downloads(&state, Key::Download(id));
                }
            }
            Word::Described(share, description) => {
                state.downloads.on_described(id, run, share, description.layout.total_bytes());
                // Whoever hears that it is known can look at its files.
                let keep = Keep::Described(id, described_bytes(&description));
                if self.house.keep_now(&mut state, &keep).is_err() {
                    state.keep.push(keep);
                }
                state.looked_at = None;
                self.house.on_version_described(&mut state, id, &description.digests);
                let Ok(item) = state.downloads.find(id) else { return };
                if item.run == run && std::mem::take(&mut item.kept.request.choose) {
                    // It goes on when somebody has chosen what is to come.
                    let rested = self.house.rest(&mut state, id);
                    drop(state);
                    if let Err(problem) = rested {
                        tracing::warn!(%problem, "a download does not rest");
                    }
                    self.house.flush();
                }
            }
            Word::Parts(parts) => state.downloads.on_parts(id, run, parts),
            Word::Sounds { .. } => {}
        }
    }

    fn on_found(&self, id: u64, run: u64, found: Result<Box<Found>, Problem>) {
        let mut state = self.house.state();
        if !state.downloads.find(id).is_ok_and(|item| item.run == run) {
            return;
        }
        let begun = found.and_then(|found| self.house.begin_fetch(&mut state, id, run, *found));
        if let Err(problem) = begun {
            state.downloads.fail(id, problem);
        }
    }

    fn on_hashed(&self, id: u64, hashed: Result<Box<Hashed>, Problem>) {
        let mut state = self.house.state();
        let Some(hashing) = state.hashing.take() else { return };
        let current = state.library.item(id).filter(|item| item.stamp == hashing.stamp && !item.hashed).map(|item| item.path.clone());
        if let Some(path) = current {
            let stamp = stamp_of(&path);
            match hashed {
                // Whoever writes while we read gets read again.
                _ if stamp != Some(hashing.stamp) => state.library.hash_again(id, stamp),
                Ok(hashed) => {
                    let Hashed { content, paths, sounds } = *hashed;
                    let link = link_of(&content.torrent, &content.shape.layout, &content.shape.digests);
                    let files = content.shape.layout.files().iter().filter(|file| !file.padding).count();
                    self.house.sign(&mut state, id, &content.shape.digests);
                    if let Some(kept) = state.library.on_hashed(id, files, link, &sounds) {
                        let keep = Keep::Share(id, share_bytes(&kept, Some(&content)));
                        // What somebody has asked for is kept before he hears that it is offered; what is watched is found again by itself.
                        if kept.watched || self.house.keep_now(&mut state, &keep).is_err() {
                            state.keep.push(keep);
                        }
                        let one = (Key::Share(id), prepared(content, paths, sounds));
                        self.house.tell(Happening::Offer(vec![one]));
                        self.house.offer_to_downloads(&state, Key::Share(id));
                    }
                }
                Err(problem) => state.library.on_failed(id, problem),
            }
        }
        state.moved = true;
        self.hash_next(&mut state);
    }

    /// Gives the hasher the next file, when it has none.
    fn hash_next(&self, state: &mut State) {
        if state.hashing.is_some() || self.house.ending.load(Ordering::Acquire) {
            return;
        }
        while let Some(id) = state.library.queue.pop_front() {
            let Some(item) = state.library.item(id).filter(|item| !item.hashed) else { continue };
            let (path, stamp) = (item.path.clone(), item.stamp);
            let hashing = Hashing { share: id, stamp, done: Arc::new(AtomicU64::new(0)), cancel: Arc::new(AtomicBool::new(false)) };
            let version = item.version.unwrap_or_else(|| crate::networks::version_of(&self.house.given.session.networks));
            let _ = self.jobs.send((id, path, version, hashing.done.clone(), hashing.cancel.clone()));
            state.hashing = Some(hashing);
            return;
        }
    }

    /// Has the folders looked at, or looked at again when that is under way.
    fn look(&mut self) {
        if self.scanning {
            self.scan_again = true;
            return;
        }
        let mut state = self.house.state();
        let folders: Vec<PathBuf> = state.settings.shared_dirs.iter().map(PathBuf::from).collect();
        let mut except = Vec::new();
        for id in state.downloads.ids() {
            if let Ok(item) = state.downloads.find(id)
                && !item.is_complete()
            {
                except.push(item.target());
            }
        }
        let wanted = Wanted { folders, named: state.library.named(), except, quiet: self.house.given.quiet, moves: state.library.moves };
        drop(state);
        self.scanning = self.looks.send(wanted).is_ok();
        self.next_scan = Instant::now() + self.house.given.rescan;
    }

    fn on_scanned(&mut self, scan: &Scan) {
        self.scanning = false;
        let house = self.house.clone();
        let mut state = house.state();
        // Who looks elsewhere than is wanted looks again.
        let folders: Vec<PathBuf> = state.settings.shared_dirs.iter().map(PathBuf::from).collect();
        if !scan.folders.iter().map(|(folder, _)| folder).eq(&folders) || scan.moves != state.library.moves {
            drop(state);
            return self.look();
        }
        let follows = state.library.on_scan(scan);
        let mut withdraw: Vec<Key> = follows.withdraw.iter().map(|id| Key::Share(*id)).collect();
        state.keep.extend(follows.forget.iter().map(|id| Keep::ForgetShare(*id)));
        let mut offers = Vec::new();
        for id in follows.offer {
            offers.extend(house.offer_of(&state, id).map(|prepared| (Key::Share(id), prepared)));
        }
        for id in follows.renamed {
            withdraw.push(Key::Share(id));
            offers.extend(house.rename(&mut state, id).map(|prepared| (Key::Share(id), prepared)));
        }
        if let Some(hashing) = &state.hashing
            && state.library.item(hashing.share).is_none_or(|item| item.stamp != hashing.stamp)
        {
            hashing.cancel.store(true, Ordering::Relaxed);
        }
        if !withdraw.is_empty() {
            house.tell(Happening::Withdraw(withdraw));
        }
        if !offers.is_empty() {
            house.tell(Happening::Offer(offers));
        }
        state.moved = true;
        self.hash_next(&mut state);
        drop(state);
        if scan.unsettled {
            self.next_scan = self.next_scan.min(Instant::now() + SOON.min(house.given.rescan));
        }
        if std::mem::take(&mut self.scan_again) {
            self.look();
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        let now = Instant::now();
        if now >= self.next_scan {
            if let Some(folder) = self.house.given.watch_dir.clone() {
                self.house.empty_inbox(&folder, &mut self.inbox);
            }
            self.look();
        }
        let house = self.house.clone();
        let mut state = house.state();
        for network in 0..state.networks.len() {
            let book = &state.networks[network];
            if book.wanted && book.news.state == NetworkState::Failed && book.retry.is_some_and(|(at, _)| at <= now) {
                let pause = book.retry;
                house.join(&mut state, network);
                // The pause grows until it is joined.
                state.networks[network].retry = pause;
            }
        }
        if let Some((share, done)) = state.hashing.as_ref().map(|hashing| (hashing.share, hashing.done.load(Ordering::Relaxed))) {
            state.library.on_progress(share, done);
        }
        self.hash_next(&mut state);
        if self.ticks.is_multiple_of(4) {
            if let Some(by_s) = self.clock.look() {
                house.on_clock_set(&mut state, by_s);
            }
            state.downloads.on_second();
            house.look_after_links(&mut state);
            if house.look_at_the_clock(&state) {
                state.moved = true;
            }
        }
        if self.ticks.is_multiple_of(KEEP_EVERY) {
            state.downloads.mark_running_unkept();
        }
        if self.ticks.is_multiple_of(KEEP_CLOCK_EVERY) {
            house.keep_clock(&mut state);
        }
        house.arrange_again(&mut state, self.ticks.is_multiple_of(4));
        let changes = self.changes(&mut state);
        drop(state);
        if house.feed.has_listeners() {
            changes.into_iter().for_each(|change| house.feed.tell(change));
        }
        house.flush();
    }

    /// What faces are to be told.
    fn changes(&mut self, state: &mut State) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut networks = std::mem::take(&mut state.networks_changed);
        networks.sort_unstable();
        networks.dedup();
        changes.extend(networks.into_iter().map(|network| Change::Network { network: state.networks[network].view(false) }));
        let (searches, results) = state.searches.take_changed();
        changes.extend(results.into_iter().map(|(search, result)| Change::Result { search, result }));
        changes.extend(searches.into_iter().map(|search| Change::Search { search }));
        let (shares, removed) = state.library.take_changed();
        if shares.len() + removed.len() > SHARES_TOLD_MAX {
            changes.push(self.house.hello());
        } else {
            changes.extend(removed.into_iter().map(|id| Change::ShareRemoved { id }));
            changes.extend(shares.into_iter().map(|share| Change::Share { share }));
        }
        if self.ticks.is_multiple_of(2) {
            changes.extend(state.downloads.take_changed().into_iter().map(|download| Change::Download { download }));
        }
        if self.house.feed.has_listeners() {
            changes.extend(std::mem::take(&mut state.warnings).into_iter().map(|message| Change::Warning { message }));
        }
        if self.ticks.is_multiple_of(4) && self.house.feed.has_listeners() {
            let totals = self.house.totals(state);
            // That time goes by is no news.
            let same = |told: &Totals| {
                Totals { uptime_s: 0, memory_bytes: 0, ..told.clone() } == Totals { uptime_s: 0, memory_bytes: 0, ..totals.clone() }
            };
            if std::mem::take(&mut state.moved) || !self.told.as_ref().is_some_and(same) {
                self.told = Some(totals.clone());
                changes.push(Change::Status { status: totals });
            }
        }
        changes
    }
}

/// A search's task says something.
fn on_search(state: &mut State, id: u64, word: Word) {
    match word {
        Word::Event(Event::Found { result, name, size_bytes, link, proven, networks, sources }) => {
            let found = SearchResult {
                result,
                name,
                size_bytes,
                link,
                proven,
                networks,
                sources,
                kind: None,
                bitrate_kbps: None,
                seconds: None,
                rank: 0,
            };
            state.searches.on_found(id, found);
        }
        Word::Sounds { result, bitrate_kbps, seconds } => state.searches.on_sounds(id, result, bitrate_kbps, seconds),
        Word::Event(Event::Done) => state.searches.on_over(id, None),
        Word::Event(Event::Failed { message, hint }) => state.searches.on_over(id, Some(Problem { hint, ..Problem::new(message) })),
        _ => {}
    }
}

impl House {
    /// A known share as it is put on the shelf.
    pub(super) fn offer_of(&self, state: &State, id: u64) -> Option<crate::publish::Prepared> {
        let path = state.library.item(id)?.path.clone();
        let (kept, content) = self.store.share::<Kept>(id)?;
        let paths = paths_at(&content.shape.layout, &path);
        Some(prepared(content, paths, sounds_of(&kept)))
    }

    /// A share that has another name, as it is put on the shelf and kept.
    fn rename(&self, state: &mut State, id: u64) -> Option<crate::publish::Prepared> {
        let item = state.library.item(id)?.clone();
        let (before, content) = self.store.share::<Kept>(id)?;
        let content = renamed(&content, &item.path)?;
        self.sign(state, id, &content.shape.digests);
        state.library.on_renamed(id, link_of(&content.torrent, &content.shape.layout, &content.shape.digests));
        let sounds = sounds_of(&before);
        let keep = state.library.keep(id, before.music, Some(&content))?;
        state.keep.push(keep);
        let paths = paths_at(&content.shape.layout, &item.path);
        Some(prepared(content, paths, sounds))
    }

    /// Begins a download whose turn it is, or goes on with it: from its source, or from what that turned out to be.
    ///
    /// # Errors
    /// When its source cannot be used.
    pub(super) fn start(&self, state: &mut State, id: u64) -> Result<(), Problem> {
        let before = self.store.content_of_download(id);
        let item = state.downloads.find(id)?;
        // Limits and goals need a task, and so does a download that has not all of its files.
        let on_shelf = item.is_complete() && item.seeds() && item.kept.request.how.is_usual() && item.kept.request.select.is_empty();
        if let (true, Some(content), Some(into)) = (on_shelf, before.clone(), item.kept.request.into.clone()) {
            // It is there already: nothing is to be compared again.
            let names = hexad_content::safe_names(&content.shape.layout);
            let place = |path: &Option<Vec<String>>| path.as_ref().map(|path| PathBuf::from(&into).join(path.iter().collect::<PathBuf>()));
            let paths = names.paths.iter().map(place).collect();
            state.downloads.set_shelved(id);
            self.tell(Happening::Offer(vec![(Key::Download(id), prepared(content, paths, Vec::new()))]));
            return Ok(());
        }
        let mut request = item.kept.request.clone();
        let following = item.kept.following.clone();
        let run = state.downloads.begin_run(id)?;
        let torrent = before.filter(|content| !content.torrent.is_empty()).map(|content: Content| content.torrent);
        let is_file = !request.source.starts_with("magnet:") && !source::is_link(&request.source);
        if let Some(torrent) = torrent.filter(|_| is_file || following.is_some()) {
            // Where it was read from may be gone, and a link may lead elsewhere by now.
            let name = request.source.clone();
            let peers = request.peers.iter().filter_map(|peer| source::endpoint(peer).ok()).collect();
            let found = Found { name, source: Source { what: What::Torrent(torrent), peers }, select: Selection::default() };
            return self.begin_fetch(state, id, run, found);
        }
        if let Some(pinned) = following.and_then(|following| following.pinned(&request.source)) {
            request.source = pinned;
        }
        let on = self.names_of(state, &request.on);
        if source::is_address(&request.source) {
            let (turns, outside) = (self.turns.clone(), self.outside.clone());
            std::thread::spawn(move || {
                let found = source::find(&request.source, &request.peers, &on, &outside);
                let _ = turns.send(Turn::Found(id, run, found.map(Box::new)));
            });
            return Ok(());
        }
        let found = source::find(&request.source, &request.peers, &on, &self.outside)?;
        self.begin_fetch(state, id, run, found)
    }

    /// Begins the task of a download.
    fn begin_fetch(&self, state: &mut State, id: u64, run: u64, found: Found) -> Result<(), Problem> {
        let item = state.downloads.find(id)?;
        let request = item.kept.request.clone();
        if item.kept.is_unnamed() {
            item.kept.name.clone_from(&found.name);
        }
        let how = item.how_left();
        let on = self.chosen(state, &request.on);
        let fetch = FetchRequest {
            source: request.source.clone(),
            on: request.on.clone(),
            into: PathBuf::from(request.into.clone().unwrap_or_default()),
            peers: request.peers.clone(),
            select: Selection { patterns: request.select.clone() },
            seed: request.seed.unwrap_or(false),
            how,
        };
        let turns = self.turns.clone();
        let listener = Listener::new(move |word| drop(turns.send(Turn::Download(id, run, word))));
        let manner = if request.choose { Manner::Describe } else { Manner::Patient };
        let begin = Begin::Fetch { request: fetch, found, on, manner, streaming: None, known: self.known_for(id) };
        let op: OpId = self.with(|session| session.begin_heard(begin, listener))??;
        state.downloads.find(id)?.op = Some(op);
        Ok(())
    }

    /// The networks of these names that somebody wants joined; all of them when none is named.
    pub(super) fn chosen(&self, state: &State, on: &[String]) -> Vec<usize> {
        let named = |name: &str| on.is_empty() || on.iter().any(|on| on == name);
        state.networks.iter().enumerate().filter(|(_, book)| book.wanted && named(book.name)).map(|(network, _)| network).collect()
    }

    /// What they are called; all networks where none is named, since others may be joined later.
    pub(super) fn names_of(&self, state: &State, on: &[String]) -> Vec<&'static str> {
        state.networks.iter().map(|book| book.name).filter(|name| on.is_empty() || on.iter().any(|on| on == name)).collect()
    }
}
