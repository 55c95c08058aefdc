//! One process of the real world: a host, its transfers, what was heard of them, and the ways in which it misbehaves.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use hexad_content::safe_names;
use hexad_core::{Description, Door, LeaseId, Level, Map, Node, OpId, Operation, Payload, Progress, Set, Share, ShareId, Shares};
use hexad_driver::host::{Handle, Host, HostConfig, HostEvent, NodeKey};
use hexad_driver::transfers::{Target, Transfers, TransfersConfig, TransfersEvent};
use hexad_driver::{Deliveries, ReadShare};

use crate::adapter::Adapter;
use crate::real_world::PATIENCE;

type Reply<N> = <<N as hexad_core::Network>::Node as Node>::Reply;

/// What is known of a machine.
pub(crate) struct Seen<Y> {
    pub(crate) reports: Vec<(OpId, Progress<Y>)>,
    pub(crate) bound: Map<Door, SocketAddr>,
    pub(crate) bans: u64,
    /// Proven bytes of downloads.
    pub(crate) verified: Map<ShareId, u64>,
    pub(crate) complete: Set<ShareId>,
    pub(crate) troubles: Map<ShareId, String>,
}

impl<Y> Seen<Y> {
    /// How an operation has ended, or that it is in effect.
    pub(crate) fn end_of(&self, op: OpId) -> Option<&Progress<Y>> {
        let ends = |progress: &Progress<Y>| matches!(progress, Progress::Done | Progress::Failed(_) | Progress::Ended);
        self.reports.iter().rev().find(|(of, progress)| *of == op && ends(progress)).map(|(_, progress)| progress)
    }
}

/// What is known of a machine, and how to wait for more.
pub(crate) struct Log<Y> {
    seen: Mutex<Seen<Y>>,
    more: Condvar,
}

impl<Y: std::fmt::Debug> Log<Y> {
    fn new() -> Self {
        let seen =
            Seen { reports: Vec::new(), bound: Map::new(), bans: 0, verified: Map::new(), complete: Set::new(), troubles: Map::new() };
        Self { seen: Mutex::new(seen), more: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Seen<Y>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, change: impl FnOnce(&mut Seen<Y>)) {
        change(&mut self.lock());
        self.more.notify_all();
    }

    pub(crate) fn look<T>(&self, view: impl FnOnce(&Seen<Y>) -> T) -> T {
        view(&self.lock())
    }

    /// Waits until `view` sees something.
    pub(crate) fn wait<T>(&self, what: &str, view: impl Fn(&Seen<Y>) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let mut seen = self.lock();
        loop {
            if let Some(found) = view(&seen) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                eprintln!(
                    "reports: {:?}\nverified: {:?}, complete: {:?}, troubles: {:?}",
                    seen.reports, seen.verified, seen.complete, seen.troubles
                );
                panic!("waited {} s in vain for {what}", PATIENCE.as_secs());
            }
            seen = self.more.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a fetch is to become.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) lease: LeaseId,
    pub(crate) share: ShareId,
    pub(crate) publishing: OpId,
    pub(crate) into: PathBuf,
}

/// Between the host and the transfers when the host reads: gives no more than it is allowed to, and lies when told to.
pub(crate) struct Giver {
    transfers: Arc<Transfers>,
    /// How many more bytes it gives.
    allowance: Mutex<u64>,
    raised: Condvar,
    lying: AtomicBool,
    lies: AtomicU64,
}

impl Giver {
    pub(crate) fn give_only(&self, bytes: u64) {
        *self.allowance.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    pub(crate) fn give_all(&self) {
        self.give_only(u64::MAX);
        self.raised.notify_all();
    }

    pub(crate) fn lie(&self) {
        self.lying.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lies_told(&self) -> u64 {
        self.lies.load(Ordering::Relaxed)
    }

    /// Takes bytes of the allowance; waits for more where waiting is allowed.
    fn allow(&self, bytes: u64, wait: bool) -> io::Result<()> {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        while *allowance < bytes {
            if !wait {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            allowance = self.raised.wait(allowance).unwrap_or_else(PoisonError::into_inner);
        }
        if *allowance != u64::MAX {
            *allowance -= bytes;
        }
        Ok(())
    }
}

impl ReadShare for Giver {
    fn read(&self, share: ShareId, offset: u64, parts: &mut [IoSliceMut<'_>], cached_only: bool) -> io::Result<()> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        self.allow(bytes, !cached_only)?;
        if let Err(error) = self.transfers.read(share, offset, parts, cached_only) {
            let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
            *allowance = allowance.saturating_add(bytes);
            return Err(error);
        }
        if self.lying.load(Ordering::Relaxed) {
            self.lies.fetch_add(1, Ordering::Relaxed);
            for part in parts {
                part.iter_mut().for_each(|byte| *byte = !*byte);
            }
        }
        Ok(())
    }
}

/// Between the host and the transfers when the host delivers: counts.
pub(crate) struct Taker {
    transfers: Arc<Transfers>,
    bytes: AtomicU64,
}

impl Taker {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Deliveries for Taker {
    fn deliver(&self, lease: LeaseId, offset: u64, payload: &Payload) {
        self.bytes.fetch_add(payload.len(), Ordering::Relaxed);
        self.transfers.deliver(lease, offset, payload);
    }

    fn congested(&self) -> bool {
        self.transfers.congested()
    }
}

/// What the session keeps of a machine's shares and fetches.
#[derive(Default)]
struct Books {
    shares: Shares,
    plans: Map<OpId, Plan>,
}

/// One process.
pub(crate) struct Machine<N: Adapter> {
    pub(crate) handle: Handle<N>,
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) log: Arc<Log<Reply<N>>>,
    pub(crate) giver: Arc<Giver>,
    pub(crate) taker: Arc<Taker>,
    books: Arc<Mutex<Books>>,
    threads: Vec<JoinHandle<()>>,
}

impl<N: Adapter> Machine<N> {
    /// Starts host, transfers and the threads that hear them.
    pub(crate) fn start(config: N::Config, state_dir: PathBuf, key: NodeKey) -> Self {
        let (events, from_transfers) = mpsc::channel();
        let transfers = Transfers::start(TransfersConfig::default(), events);
        let giver = Arc::new(Giver {
            transfers: transfers.clone(),
            allowance: Mutex::new(u64::MAX),
            raised: Condvar::new(),
            lying: AtomicBool::new(false),
            lies: AtomicU64::new(0),
        });
        let taker = Arc::new(Taker { transfers: transfers.clone(), bytes: AtomicU64::new(0) });
        let host_config = HostConfig { state_dir: Some(state_dir), key: Some(key.clone()), ..HostConfig::default() };
        let (handle, mut from_host) = Host::<N>::start(N::identified(config, key.public()), host_config, taker.clone(), giver.clone());
        let log = Arc::new(Log::new());
        let books = Arc::new(Mutex::new(Books::default()));
        let hearing = log.clone();
        let transfers_thread = thread::spawn(move || {
            while let Ok(event) = from_transfers.recv() {
                hearing.add(|seen| match event {
                    TransfersEvent::Verified { share, verified_bytes, .. } => {
                        seen.verified.insert(share, verified_bytes);
                    }
                    TransfersEvent::Complete { share } => {
                        seen.complete.insert(share);
                    }
                    TransfersEvent::Failed { share, reason, .. } => {
                        seen.troubles.insert(share, reason);
                    }
                });
            }
        });
        let session = Session { handle: handle.clone(), transfers: transfers.clone(), log: log.clone(), books: books.clone() };
        let host_thread = thread::spawn(move || {
            while let Some(event) = from_host.blocking_recv() {
                session.on_event(event);
            }
        });
        Self { handle, transfers, log, giver, taker, books, threads: vec![transfers_thread, host_thread] }
    }

    /// Ends the process.
    pub(crate) fn stop(self) {
        self.handle.kill();
        self.giver.give_all();
        self.transfers.shutdown();
        let Self { handle, transfers, giver, taker, threads, .. } = self;
        drop((handle, giver, taker, transfers));
        for thread in threads {
            let _ = thread.join();
        }
    }

    pub(crate) fn await_end(&self, op: OpId, what: &str) -> Progress<Reply<N>> {
        self.log.wait(what, |seen| seen.end_of(op).cloned())
    }

    pub(crate) fn await_done(&self, op: OpId, what: &str) {
        let end = self.await_end(op, what);
        assert!(matches!(end, Progress::Done), "{what}: {end:?}");
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a share in what the node sees.
    pub(crate) fn set_share(&self, id: ShareId, share: Share) {
        let mut books = self.books();
        books.shares = books.shares.with(id, share);
        self.handle.set_shares(books.shares.clone());
    }

    /// Remembers what to do when a fetch is described.
    pub(crate) fn expect(&self, op: OpId, plan: Plan) {
        self.books().plans.insert(op, plan);
    }

    /// Ends a fetch on the transfers' side.
    pub(crate) fn forget(&self, op: OpId, lease: LeaseId, share: ShareId) {
        let mut books = self.books();
        books.plans.remove(&op);
        self.transfers.end(lease);
        self.transfers.close(share);
        books.shares = books.shares.without(share);
        self.handle.set_shares(books.shares.clone());
    }

    pub(crate) fn downloads(&self) -> usize {
        let books = self.books();
        books.shares.iter().filter(|(id, _)| self.transfers.progress(*id).is_some()).count()
    }
}

/// The session's part, on the thread that hears the host.
struct Session<N: Adapter> {
    handle: Handle<N>,
    transfers: Arc<Transfers>,
    log: Arc<Log<Reply<N>>>,
    books: Arc<Mutex<Books>>,
}

impl<N: Adapter> Session<N> {
    fn on_event(&self, event: HostEvent<N>) {
        match event {
            HostEvent::Report(op, progress) => {
                if let Progress::Described(description) = &progress {
                    self.on_described(op, description);
                }
                self.log.add(|seen| seen.reports.push((op, progress)));
            }
            HostEvent::Bound(door, address) => self.log.add(|seen| {
                seen.bound.insert(door, address);
            }),
            HostEvent::Note(note) if note.level == Level::Ban => self.log.add(|seen| seen.bans += 1),
            _ => {}
        }
    }

    fn on_described(&self, op: OpId, description: &Description) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(plan), Some(proof)) = (books.plans.get(&op).cloned(), description.proof.clone()) else { return };
        let layout = description.layout.clone();
        let target = Target {
            share: plan.share,
            names: safe_names(&layout),
            wanted: vec![true; layout.files().len()],
            layout: layout.clone(),
            proof,
            folder: plan.into,
            identity: format!("conformance{}", layout.name().bytes().map(u64::from).sum::<u64>()),
        };
        let opened = match self.transfers.open_download(target, &|_, _| {}) {
            Ok(opened) => opened,
            Err(error) => return self.log.add(|seen| drop(seen.troubles.insert(plan.share, error.to_string()))),
        };
        let share = Share {
            layout,
            digests: description.digests.clone(),
            proof: description.proof.clone(),
            held: opened.held,
            torrent: description.torrent.clone(),
        };
        books.shares = books.shares.with(plan.share, share);
        self.handle.set_shares(books.shares.clone());
        self.handle.start(plan.publishing, Operation::Publish { share: plan.share });
        self.transfers.lend(plan.lease, plan.share, Arc::new(self.handle.clone()));
    }
}
