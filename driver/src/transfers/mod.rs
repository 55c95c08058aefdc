//! Carries out what the transfer engine wants: verifying, writing and journalling on a few workers, and reading for uploads.
//!
//! [`Transfers`] is one engine with its files. Hosts deliver into it and read from it; the session opens, lends and closes shares and hears
//! [`TransfersEvent`]s. Bytes are copied on the host's thread, hashed and written on workers; nothing else waits for a disk.

mod check;
mod elsewhere;
mod error;
mod files;
mod log;
mod prepare;
mod relocate;
mod store;
mod work;

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hexad_content::{Layout, Ranges};
use hexad_core::{LeaseId, Map, Payload, ShareId};
use hexad_transfer::{Action, Config, Counters, Engine, Job, JobId, Progress};
use tracing::{debug, warn};

pub use self::elsewhere::{Brought, Elsewhere, Way, may_be};
pub use self::error::StoreError;
pub use self::prepare::{Opened, Target};
pub use self::relocate::Relocation;
use crate::{Deliveries, LeaseSink, ReadShare};
use check::Rows;
use files::Files;
use store::Store;

/// How transfers are carried out.
#[derive(Clone, Debug)]
pub struct TransfersConfig {
    /// The engine's bounds.
    pub engine: Config,
    /// Threads that hash and write; at least 1.
    pub workers: usize,
    /// Files kept open at most.
    pub open_files_max: usize,
    /// A batch that is not full goes to a worker when no part has become whole for so long …
    pub quiet: Duration,
    /// … or its first part has waited so long.
    pub patience: Duration,
    /// What was written is brought to the disk itself after so long …
    pub sync_after: Duration,
    /// … or so many bytes, but not more often than every tenth of that time.
    pub sync_bytes: u64,
    /// How long the end of a share waits for who is just reading it or bringing it to the disk.
    pub farewell: Duration,
}

impl Default for TransfersConfig {
    fn default() -> Self {
        Self {
            engine: Config::default(),
            workers: cores().min(2),
            open_files_max: 256,
            quiet: Duration::from_millis(4),
            patience: Duration::from_millis(50),
            sync_after: Duration::from_secs(30),
            sync_bytes: 256 << 20,
            farewell: Duration::from_secs(10),
        }
    }
}

/// What the session hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransfersEvent {
    /// More of a share is good and on disk.
    Verified {
        /// Which share.
        share: ShareId,
        /// Wanted bytes that are good.
        verified_bytes: u64,
        /// Wanted bytes.
        wanted_bytes: u64,
    },
    /// Every wanted byte is good and on disk.
    Complete {
        /// Which share.
        share: ShareId,
    },
    /// The files cannot be written or read. Nothing more is fetched until [`Transfers::resume`]; what was verified stays.
    Failed {
        /// Which share.
        share: ShareId,
        /// Why, as a sentence.
        reason: String,
        /// Something the user can do.
        hint: Option<String>,
    },
}

impl TransfersEvent {
    /// Which share it is about.
    #[must_use]
    pub fn share(&self) -> ShareId {
        match self {
            Self::Verified { share, .. } | Self::Complete { share } | Self::Failed { share, .. } => *share,
        }
    }
}

/// The engine, its workers and the files of all shares.
pub struct Transfers {
    house: Arc<House>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads share.
struct House {
    config: TransfersConfig,
    state: Mutex<State>,
    /// There is a job, or something to flush.
    work: Condvar,
    /// A job is done.
    settled: Condvar,
    /// It is time to stop syncing.
    bell: Condvar,
    stores: RwLock<Map<ShareId, Arc<Store>>>,
    files: Arc<Files>,
    stores_made: AtomicU64,
    congested: AtomicBool,
}

struct State {
    engine: Engine,
    events: Sender<TransfersEvent>,
    jobs: VecDeque<(JobId, Job)>,
    /// Jobs that wait or are being done, by share.
    busy: Map<ShareId, usize>,
    sinks: Map<LeaseId, Arc<dyn LeaseSink>>,
    /// Sinks whose leases ended while their hosts waited for relief.
    relieve: Vec<Arc<dyn LeaseSink>>,
    troubles: Map<ShareId, StoreError>,
    /// When the first and the last of the parts that wait for a full batch became whole.
    waiting_since: Option<(Instant, Instant)>,
    stop: bool,
}

impl Transfers {
    /// Starts the workers. `events` hears of every share until [`Self::shutdown`].
    #[must_use]
    pub fn start(config: TransfersConfig, events: Sender<TransfersEvent>) -> Arc<Self> {
        let state = State {
            engine: Engine::new(config.engine.clone()),
            events,
            jobs: VecDeque::new(),
            busy: Map::new(),
            sinks: Map::new(),
            relieve: Vec::new(),
            troubles: Map::new(),
            waiting_since: None,
            stop: false,
        };
        let house = Arc::new(House {
            files: Arc::new(Files::new(config.open_files_max)),
            config,
            state: Mutex::new(state),
            work: Condvar::new(),
            settled: Condvar::new(),
            bell: Condvar::new(),
            stores: RwLock::default(),
            stores_made: AtomicU64::new(0),
            congested: AtomicBool::new(false),
        });
        let mut threads = Vec::new();
        for _ in 0..house.config.workers.max(1) {
            let house = house.clone();
            threads.push(thread::spawn(move || house.work_on()));
        }
        let syncing = house.clone();
        threads.push(thread::spawn(move || syncing.sync_on()));
        Arc::new(Self { house, threads: Mutex::new(threads) })
    }

    /// Looks at the target folder, checks what is there (`progress` hears of checked bytes and of all that are to be, from several threads) and
    /// begins the download of the rest. Takes as long as hashing takes. [`TransfersEvent::Complete`] follows at once when nothing is missing.
    ///
    /// # Errors
    /// When the folder cannot be used, or something that is not of this download stands in the way. Nothing is changed then.
    pub fn open_download(&self, target: Target, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Opened, StoreError> {
        self.open_download_knowing(target, &[], progress)
    }

    /// The same, where files of it may stand elsewhere on this machine: `known` has them by their place in the layout. What does is brought along.
    ///
    /// # Errors
    /// As [`Self::open_download`].
    pub fn open_download_knowing(
        &self,
        target: Target,
        known: &[(usize, Vec<Elsewhere>)],
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Opened, StoreError> {
        let house = &self.house;
        let prepared = prepare::prepare(&target, known, house.number(), house.files.clone(), cores(), progress)?;
        let opened = prepared.opened;
        house.put(target.share, prepared.store);
        let mut state = house.state();
        let added = state.engine.add(target.share, &target.layout, target.proof, opened.wanted.clone(), &opened.held);
        added.map_err(|_| StoreError::Misfit("the proof does not fit the files"))?;
        house.carry_out(&mut state);
        Ok(opened)
    }

    /// Offers existing files for reading: where each file of the layout stands, `None` for padding.
    ///
    /// # Errors
    /// When a file is not there, or has another length.
    pub fn open_share(&self, share: ShareId, layout: Arc<Layout>, paths: Vec<Option<PathBuf>>) -> Result<(), StoreError> {
        if paths.len() != layout.files().len() {
            return Err(StoreError::Misfit("the paths do not fit the files"));
        }
        for (entry, path) in layout.files().iter().zip(&paths) {
            match path {
                None if !entry.padding => return Err(StoreError::Misfit("a file has no path")),
                None => {}
                Some(path) => {
                    let found = std::fs::metadata(path).map_err(|error| StoreError::io(path, "read", error))?;
                    if !found.is_file() || found.len() != entry.length {
                        let error =
                            io::Error::new(io::ErrorKind::InvalidData, format!("expected {} bytes, came {}", entry.length, found.len()));
                        return Err(StoreError::Io { path: path.clone(), action: "shared", error });
                    }
                }
            }
        }
        self.house.put(share, Store::seed(self.house.number(), layout, paths, self.house.files.clone()));
        Ok(())
    }

    /// Lends all that is missing of a download to a source; `sink` hears what of it there is to hear. It must not call back into here.
    pub fn lend(&self, lease: LeaseId, share: ShareId, sink: Arc<dyn LeaseSink>) {
        let mut state = self.house.state();
        state.sinks.insert(lease, sink);
        state.engine.lend(lease, share);
        self.house.carry_out(&mut state);
    }

    /// Ends a lease; its sink hears nothing more of it.
    pub fn end(&self, lease: LeaseId) {
        let mut state = self.house.state();
        state.engine.end(lease);
        if let Some(sink) = state.sinks.remove(&lease)
            && state.engine.congested()
        {
            state.relieve.push(sink);
        }
        self.house.carry_out(&mut state);
    }

    /// Has what is missing of a download come in that order, whoever brings it, as [`Engine::prefer`] says.
    pub fn prefer(&self, share: ShareId, order: Vec<Ranges>) {
        let mut state = self.house.state();
        state.engine.prefer(share, order);
        self.house.carry_out(&mut state);
    }

    /// Goes on after [`TransfersEvent::Failed`].
    pub fn resume(&self, share: ShareId) {
        let mut state = self.house.state();
        state.engine.resume(share);
        self.house.carry_out(&mut state);
    }

    /// How far a download is; `None` when there is no such download.
    #[must_use]
    pub fn progress(&self, share: ShareId) -> Option<Progress> {
        self.house.state().engine.progress(share)
    }

    /// The good bytes of a download, wanted or not.
    #[must_use]
    pub fn held(&self, share: ShareId) -> Option<Ranges> {
        self.house.state().engine.held(share)
    }

    /// Bytes that have come under a lease, good or not; 0 when there is no such lease, or no longer.
    #[must_use]
    pub fn arrived_bytes(&self, lease: LeaseId) -> u64 {
        self.house.state().engine.arrived_bytes(lease)
    }

    /// Bytes of a lease in parts that it alone has given, and that turned out to be wrong.
    #[must_use]
    pub fn bad_bytes(&self, lease: LeaseId) -> u64 {
        self.house.state().engine.bad_bytes(lease)
    }

    /// Bytes that came for nothing, over all shares.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.house.state().engine.counters()
    }

    /// Takes away the books of a complete download (of another nothing); its files stay readable. They are kept where a part of a file that is not wanted was
    /// fetched along, for it may be wanted later.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn finish(&self, share: ShareId) -> Result<(), StoreError> {
        self.house.settle(share);
        let complete = self.progress(share).is_some_and(|progress| progress.verified_bytes == progress.wanted_bytes);
        self.house.store(share).filter(|_| complete).map_or(Ok(()), |store| store.tidy())
    }

    /// Brings everything that a download has written to the disk itself, so that it is trusted even after a power cut. Done in the background
    /// every now and then; takes as long as the disk takes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self, share: ShareId) -> Result<(), StoreError> {
        self.house.store(share).map_or(Ok(()), |store| store.sync().map(drop))
    }

    /// Waits until everything that has come as a whole is verified and written.
    pub fn settle(&self, share: ShareId) {
        self.house.settle(share);
    }

    /// Ends a share: what is whole is still verified and written, then its files are closed. A download can be opened again later.
    pub fn close(&self, share: ShareId) {
        self.house.settle(share);
        let mut state = self.house.state();
        state.engine.remove(share);
        state.troubles.remove(&share);
        self.house.carry_out(&mut state);
        drop(state);
        let gone = self.house.stores.write().unwrap_or_else(PoisonError::into_inner).remove(&share);
        if let Some(store) = gone {
            self.house.part_with(store);
        }
    }

    /// Closes all shares and ends the workers. Nothing else may be asked for afterwards.
    pub fn shutdown(&self) {
        let shares: Vec<ShareId> = self.house.stores.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        for share in shares {
            self.close(share);
        }
        self.house.state().stop = true;
        self.house.work.notify_all();
        self.house.bell.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                warn!("a worker of the transfers has panicked");
            }
        }
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        self.house.state().stop = true;
        self.house.work.notify_all();
        self.house.bell.notify_all();
    }
}

impl Deliveries for Transfers {
    fn deliver(&self, lease: LeaseId, offset: u64, payload: &Payload) {
        let mut state = self.house.state();
        let before = state.engine.waiting_parts();
        state.engine.deliver(lease, offset, payload);
        let waiting = state.engine.waiting_parts();
        if waiting > before {
            let now = Instant::now();
            let since = state.waiting_since.map_or(now, |(first, _)| first);
            state.waiting_since = Some((since, now));
            if before == 0 {
                self.house.work.notify_one();
            }
        }
        self.house.carry_out(&mut state);
    }

    fn claim(&self, lease: LeaseId, ranges: &Ranges) {
        let mut state = self.house.state();
        state.engine.claim(lease, ranges);
        self.house.carry_out(&mut state);
    }

    fn congested(&self) -> bool {
        self.house.congested.load(Ordering::Acquire)
    }
}

impl ReadShare for Transfers {
    fn read(&self, share: ShareId, offset: u64, parts: &mut [IoSliceMut<'_>], cached_only: bool) -> io::Result<()> {
        let store = self.house.store(share).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such share"))?;
        store.read(offset, parts, cached_only)
    }
}

impl House {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, share: ShareId) -> Option<Arc<Store>> {
        self.stores.read().unwrap_or_else(PoisonError::into_inner).get(&share).cloned()
    }

    fn put(&self, share: ShareId, store: Store) {
        self.stores.write().unwrap_or_else(PoisonError::into_inner).insert(share, Arc::new(store));
    }

    fn number(&self) -> u64 {
        self.stores_made.fetch_add(1, Ordering::Relaxed)
    }

    /// Hands on what the engine wants. Under the lock, so that every sink hears things in the order in which they came about.
    fn carry_out(&self, state: &mut State) {
        while let Some(action) = state.engine.next_action() {
            match action {
                Action::Job(id, job) => {
                    *state.busy.entry(job.share()).or_default() += 1;
                    state.jobs.push_back((id, job));
                    self.work.notify_one();
                }
                Action::Leased(lease, ranges) => {
                    if let Some(sink) = state.sinks.get(&lease) {
                        sink.leased(lease, ranges);
                    }
                }
                Action::Elsewhere(lease, ranges) => {
                    if let Some(sink) = state.sinks.get(&lease) {
                        sink.elsewhere(lease, ranges);
                    }
                }
                Action::Judged(lease, range, verdict) => {
                    if let Some(sink) = state.sinks.get(&lease) {
                        sink.judged(lease, range, verdict);
                    }
                }
                Action::Relieved => {
                    self.congested.store(false, Ordering::Release);
                    state.sinks.values().for_each(|sink| sink.relieved());
                    state.relieve.drain(..).for_each(|sink| sink.relieved());
                }
                Action::Complete(share) => state.tell(TransfersEvent::Complete { share }),
                Action::Failed(share, reason) => {
                    let trouble = state.troubles.remove(&share);
                    let reason = trouble.as_ref().map_or(reason, ToString::to_string);
                    state.tell(TransfersEvent::Failed { share, reason, hint: trouble.and_then(|trouble| trouble.hint()) });
                }
            }
        }
        if state.engine.waiting_parts() == 0 {
            state.waiting_since = None;
        }
        self.congested.store(state.engine.congested(), Ordering::Release);
    }

    /// Waits until everything of a share that is whole has been verified and written.
    fn settle(&self, share: ShareId) {
        let mut state = self.state();
        loop {
            state.engine.flush();
            self.carry_out(&mut state);
            if state.stop || (!state.busy.contains_key(&share) && state.engine.whole_parts(share) == 0) {
                return;
            }
            state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes a store's files when nobody uses it any more: with the last user goes the lock on its folder.
    fn part_with(&self, mut store: Arc<Store>) {
        let until = Instant::now() + self.config.farewell;
        loop {
            store = match Arc::try_unwrap(store) {
                Ok(last) => return last.forget_files(),
                Err(used) if Instant::now() >= until => {
                    debug!("a share that is closed is still being read or brought to the disk");
                    return used.forget_files();
                }
                Err(used) => used,
            };
            let state = self.state();
            drop(self.settled.wait_timeout(state, Duration::from_millis(1)));
        }
    }

    /// A worker's life.
    fn work_on(&self) {
        let mut rows = Rows::new();
        while let Some((id, job)) = self.next_job() {
            let share = job.share();
            let store = self.store(share);
            let done = work::work(store.as_deref(), &job, &mut rows);
            drop(store);
            let mut state = self.state();
            let before = state.engine.progress(share);
            if let Some(trouble) = done.trouble {
                debug!(%trouble, "a job could not be done");
                state.troubles.entry(share).or_insert(trouble);
            }
            state.engine.job_done(id, job, done.findings);
            if let Some(progress) = state.engine.progress(share).filter(|progress| before != Some(*progress)) {
                let Progress { verified_bytes, wanted_bytes } = progress;
                state.tell(TransfersEvent::Verified { share, verified_bytes, wanted_bytes });
            }
            if let Some(jobs) = state.busy.get_mut(&share) {
                *jobs -= 1;
                if *jobs == 0 {
                    state.busy.remove(&share);
                }
            }
            self.carry_out(&mut state);
            drop(state);
            self.settled.notify_all();
        }
    }

    /// Waits for a job; a batch that is not full becomes one when nothing has joined it for a while. `None` at the end.
    fn next_job(&self) -> Option<(JobId, Job)> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.stop {
                return None;
            }
            let Some((first, last)) = state.waiting_since else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let due = (last + self.config.quiet).min(first + self.config.patience);
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.engine.flush();
                state.waiting_since = Some((Instant::now(), Instant::now()));
                self.carry_out(&mut state);
            } else {
                state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// The life of the thread that brings things to the disk.
    fn sync_on(&self) {
        let pace = self.config.sync_after / 10;
        let mut last = Instant::now();
        loop {
            {
                let state = self.state();
                if state.stop {
                    return;
                }
                let (state, _) = self.bell.wait_timeout(state, pace).unwrap_or_else(PoisonError::into_inner);
                if state.stop {
                    return;
                }
            }
            let stores: Vec<Arc<Store>> = self.stores.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
            let overdue = last.elapsed() >= self.config.sync_after;
            for store in stores {
                let much = store.folder().is_some_and(|folder| folder.dirty().bytes >= self.config.sync_bytes);
                if (overdue || much)
                    && let Err(error) = store.sync()
                {
                    warn!(%error, "what was written could not be brought to the disk");
                }
            }
            if overdue {
                last = Instant::now();
            }
        }
    }
}

impl State {
    fn tell(&self, event: TransfersEvent) {
        // A session that no longer listens has no use for it.
        let _ = self.events.send(event);
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
