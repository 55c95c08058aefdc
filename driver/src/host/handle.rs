//! Both ends of a host as the session sees them: what it says goes through a [`Handle`], what it hears comes out of [`Events`].

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use hexad_content::Ranges;
use hexad_core::{Door, LeaseId, Level, Map, Network, Node, Note, OpId, Operation, Progress, Shares, Verdict};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::LeaseSink;

/// How long a caller of [`Handle::shutdown`] waits for the thread.
const GOODBYE_MAX: Duration = Duration::from_secs(3);
/// Notes and hits that wait for the session; more are dropped.
const WAITING_EVENTS_MAX: usize = 16 << 10;

pub(super) type AddrOf<N> = <<N as Network>::Node as Node>::Addr;
pub(super) type MessageOf<N> = <<N as Network>::Node as Node>::Message;
pub(super) type RequestOf<N> = <<N as Network>::Node as Node>::Request;
pub(super) type ReplyOf<N> = <<N as Network>::Node as Node>::Reply;

/// What the session tells the host's thread, in the order in which it happens.
pub(super) enum Command<N: Network> {
    Start(OpId, Operation<RequestOf<N>>),
    Cancel(OpId),
    SetShares(Arc<Shares>),
    Leased(LeaseId, Ranges),
    Elsewhere(LeaseId, Ranges),
    Judged(LeaseId, Range<u64>, Verdict),
    Relieved,
    Shutdown { gracefully: bool },
}

/// What a session hears of its host.
pub enum HostEvent<N: Network> {
    /// How an operation stands.
    Report(OpId, Progress<ReplyOf<N>>),
    /// A door of the node is open at this address.
    Bound(Door, SocketAddr),
    /// Something worth telling; what is of [`Level::Debug`] is only logged and counted.
    Note(Note<AddrOf<N>>),
}

impl<N: Network> fmt::Debug for HostEvent<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Report(op, progress) => f.debug_tuple("Report").field(op).field(progress).finish(),
            Self::Bound(door, address) => f.debug_tuple("Bound").field(door).field(address).finish(),
            Self::Note(note) => f.debug_tuple("Note").field(note).finish(),
        }
    }
}

/// The host as its session holds it. When the last one is dropped, the host shuts down.
pub struct Handle<N: Network> {
    commands: UnboundedSender<Command<N>>,
    over: Arc<Over>,
    tally: Arc<Tally>,
}

impl<N: Network> Clone for Handle<N> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), over: self.over.clone(), tally: self.tally.clone() }
    }
}

impl<N: Network> fmt::Debug for Handle<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", N::NAME)
    }
}

impl<N: Network> Handle<N> {
    pub(super) fn new(commands: UnboundedSender<Command<N>>, over: Arc<Over>, tally: Arc<Tally>) -> Self {
        Self { commands, over, tally }
    }

    /// Begins an operation; how it goes comes out of [`Events`].
    pub fn start(&self, op: OpId, operation: Operation<RequestOf<N>>) {
        self.tell(Command::Start(op, operation));
    }

    /// Ends an operation; answered by `Progress::Ended`, or nothing when it was over.
    pub fn cancel(&self, op: OpId) {
        self.tell(Command::Cancel(op));
    }

    /// Puts another snapshot of our shares in place. Whatever is started afterwards sees it.
    pub fn set_shares(&self, shares: impl Into<Arc<Shares>>) {
        self.tell(Command::SetShares(shares.into()));
    }

    /// Ends the host: what is queued for sending may leave, questions under way may be answered, for a second at most; then every
    /// socket is closed. Returns when that is done. Must not be called where blocking is forbidden.
    pub fn shutdown(&self) {
        self.tell(Command::Shutdown { gracefully: true });
        self.over.wait();
    }

    /// Ends the host as if its process had died. Returns when every socket is closed.
    pub fn kill(&self) {
        self.tell(Command::Shutdown { gracefully: false });
        self.over.wait();
    }

    /// The public key by which peers of our own overlays know the node; there once a door for QUIC is bound, or the node has asked for it.
    #[must_use]
    pub fn public_key(&self) -> Option<[u8; 32]> {
        self.tally.public_key.get().copied()
    }

    /// How many notes there were of each code.
    #[must_use]
    pub fn note_counts(&self) -> Map<&'static str, u64> {
        self.tally.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, command: Command<N>) {
        // When the host is gone, so are its operations.
        let _ = self.commands.send(command);
    }
}

impl<N: Network> LeaseSink for Handle<N> {
    fn leased(&self, lease: LeaseId, ranges: Ranges) {
        self.tell(Command::Leased(lease, ranges));
    }

    fn elsewhere(&self, lease: LeaseId, ranges: Ranges) {
        self.tell(Command::Elsewhere(lease, ranges));
    }

    fn judged(&self, lease: LeaseId, range: Range<u64>, verdict: Verdict) {
        self.tell(Command::Judged(lease, range, verdict));
    }

    fn relieved(&self) {
        self.tell(Command::Relieved);
    }
}

/// Whether a host's thread has ended.
#[derive(Default)]
pub(super) struct Over {
    state: Mutex<OverState>,
    bell: Condvar,
}

#[derive(Default)]
struct OverState {
    over: bool,
    thread: Option<ThreadId>,
}

impl Over {
    /// Called on the host's thread when it begins.
    pub(super) fn begin(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).thread = Some(thread::current().id());
    }

    pub(super) fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).over = true;
        self.bell.notify_all();
    }

    fn wait(&self) {
        let until = Instant::now() + GOODBYE_MAX;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The host's own thread would wait for itself.
        while !state.over && state.thread != Some(thread::current().id()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What is counted about a host, for all who hold it.
#[derive(Default)]
pub(super) struct Tally {
    counts: Mutex<Map<&'static str, u64>>,
    waiting_events: AtomicUsize,
    public_key: OnceLock<[u8; 32]>,
}

/// What a session hears of its host. Ends when the host has ended.
pub struct Events<N: Network> {
    heard: UnboundedReceiver<HostEvent<N>>,
    tally: Arc<Tally>,
}

impl<N: Network> fmt::Debug for Events<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Events({})", N::NAME)
    }
}

impl<N: Network> Events<N> {
    pub(super) fn new(heard: UnboundedReceiver<HostEvent<N>>, tally: Arc<Tally>) -> Self {
        Self { heard, tally }
    }

    /// The next event; `None` when the host has ended.
    pub async fn recv(&mut self) -> Option<HostEvent<N>> {
        let event = self.heard.recv().await;
        self.taken(event)
    }

    /// As [`Self::recv`], for threads without a runtime.
    pub fn blocking_recv(&mut self) -> Option<HostEvent<N>> {
        let event = self.heard.blocking_recv();
        self.taken(event)
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<HostEvent<N>> {
        let event = self.heard.try_recv().ok();
        self.taken(event)
    }

    fn taken(&self, event: Option<HostEvent<N>>) -> Option<HostEvent<N>> {
        if event.is_some() {
            self.tally.waiting_events.fetch_sub(1, Ordering::Relaxed);
        }
        event
    }
}

/// The host's end of [`Events`].
pub(super) struct Teller<N: Network> {
    events: UnboundedSender<HostEvent<N>>,
    tally: Arc<Tally>,
}

impl<N: Network> Clone for Teller<N> {
    fn clone(&self) -> Self {
        Self { events: self.events.clone(), tally: self.tally.clone() }
    }
}

impl<N: Network> Teller<N> {
    pub(super) fn new(events: UnboundedSender<HostEvent<N>>, tally: Arc<Tally>) -> Self {
        Self { events, tally }
    }

    pub(super) fn set_public_key(&self, key: [u8; 32]) {
        // It never changes.
        let _ = self.tally.public_key.set(key);
    }

    /// Tells what must not be lost.
    pub(super) fn tell(&self, event: HostEvent<N>) {
        self.tally.waiting_events.fetch_add(1, Ordering::Relaxed);
        if self.events.send(event).is_err() {
            self.tally.waiting_events.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn report(&self, op: OpId, progress: Progress<ReplyOf<N>>) {
        // Hits come at the pace of peers; a session that does not keep up loses some of them.
        if matches!(progress, Progress::Hit(_)) && self.is_crowded() {
            self.count("hit_dropped");
            return;
        }
        self.tell(HostEvent::Report(op, progress));
    }

    /// Logs, counts and tells a note.
    pub(super) fn note(&self, note: Note<AddrOf<N>>) {
        let Note { level, code, .. } = note;
        self.count(code);
        let peer = note.peer.as_ref().map(tracing::field::debug);
        let detail = &*note.detail;
        match level {
            Level::Debug | Level::Drop => tracing::debug!(network = N::NAME, code, peer, "{detail}"),
            Level::Info | Level::Ban => tracing::info!(network = N::NAME, code, peer, "{detail}"),
            Level::Warn => tracing::warn!(network = N::NAME, code, peer, "{detail}"),
        }
        if level > Level::Debug && !self.is_crowded() {
            self.tell(HostEvent::Note(note));
        }
    }

    fn count(&self, code: &'static str) {
        *self.tally.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    fn is_crowded(&self) -> bool {
        self.tally.waiting_events.load(Ordering::Relaxed) >= WAITING_EVENTS_MAX
    }
}
