//! `hexad serve fcp`: a Freenet node to which programs talk by FCP 2.0, and browsers through the gateway.
//!
//! Two threads for a client: one reads, one has the session and writes. Another hears the node and tells each session what is its.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use hexad_api::{Event, FcpRequest, Problem, Stop, Task};
use hexad_core::{Dice, Endpoint, OpId, Operation, Progress};
use hexad_driver::host::{Events, Handle, Host, HostEvent, NodeKey};
use hexad_driver::transfers::{Transfers, TransfersConfig};
use hexad_freenet::fcp::{Codec, Disk, Effect, Facts, Message, NoDisk, Queue, Queued, Session, Setting, Tunable, write};
use hexad_freenet::keys::CHK_DATA_BYTES;
use hexad_freenet::{Counts, Freenet, Mode, Reply, Request, Settings, doors};
use tokio::sync::oneshot;

use crate::disk::Folder;
use crate::kept::Kept;
use crate::networks::{self, Home};
use crate::source::plain;

/// Clients at a time.
const CLIENTS_MAX: usize = 64;
/// Messages that one client may be ahead of its session.
const AHEAD_MAX: usize = 16;
/// A client that takes nothing for so long is given up.
const WRITE_DEADLINE: Duration = Duration::from_secs(60);
const JOIN: OpId = OpId(0);
/// Under which the queue is known in the book, where clients have numbers from one on.
const QUEUE: u64 = 0;

/// What a client's session hears.
enum Heard {
    Message(Message),
    Garbled,
    Gone,
    /// Another client of that name has come.
    Replaced,
    Told(u64, Progress<Reply>),
    /// The queue has something to say.
    Say(Message),
}

/// Who waits for what.
#[derive(Default)]
struct Book {
    ops: HashMap<OpId, (u64, u64)>,
    clients: HashMap<u64, Sender<Heard>>,
    names: HashMap<String, u64>,
    /// Those who wait for one answer.
    waiting: HashMap<OpId, oneshot::Sender<Progress<Reply>>>,
    /// How far that is, as far as it has said.
    counted: HashMap<OpId, Counts>,
}

/// Where the node's answers come in and are handed out.
pub(crate) struct Desk {
    handle: Handle<Freenet<Endpoint>>,
    book: Mutex<Book>,
    /// Requests that outlive connections. Taken before the book, where both are.
    queue: Mutex<Queue>,
    /// Where those are written down that outlive us too.
    kept: Option<Kept>,
    /// What follows from those of an earlier life, once we have joined.
    resumed: Mutex<Vec<Queued>>,
    /// What programs may use of the disk.
    disk: Box<dyn Disk + Send + Sync>,
    facts: Arc<Facts>,
    next: AtomicU64,
    over: AtomicBool,
    /// Where a program that stops the node is told of.
    events: Mutex<Sender<Event>>,
}

impl Desk {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the queue's wishes done in their order.
    fn perform(&self, effects: Vec<Queued>) {
        for effect in effects {
            match effect {
                Queued::Say(client, message) => {
                    if let Some(to) = self.book().clients.get(&client) {
                        let _ = to.send(Heard::Say(message));
                    }
                }
                Queued::Start(task, request) => {
                    let op = OpId(self.fresh());
                    self.book().ops.insert(op, (QUEUE, task));
                    self.handle.start(op, Operation::Own(request));
                }
                Queued::Cancel(task) => cancel(self, QUEUE, task),
                Queued::Keep(number, bytes) => {
                    if let Some(Err(wrong)) = self.kept.as_ref().map(|kept| kept.write(number, &bytes)) {
                        tracing::warn!(%wrong, "a request that is to last forever cannot be written down");
                    }
                }
                Queued::Forget(number) => {
                    if let Some(kept) = &self.kept {
                        kept.forget(number);
                    }
                }
            }
        }
    }

    /// Hands a message to the queue. `false` when it is not for that.
    fn queues(&self, client: u64, session: &Session, message: &Message) -> bool {
        // What is to be removed may be of the queue, or of the connection.
        let removes = matches!(message.name.as_str(), "RemoveRequest" | "RemovePersistentRequest");
        if !session.is_greeted() || !(removes || Queue::is_for(message)) {
            return false;
        }
        if Queue::is_for(message)
            && let Some(refused) = session.refuses(&*self.disk, message)
        {
            self.perform(vec![Queued::Say(client, refused)]);
            return true;
        }
        let mut queue = self.queue();
        let effects = queue.hears(&*self.disk, client, message.clone());
        let is_theirs = effects.is_some();
        self.perform(effects.unwrap_or_default());
        is_theirs
    }

    fn fresh(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks the node something that has one answer.
    pub(crate) fn ask(&self, request: Request) -> (OpId, oneshot::Receiver<Progress<Reply>>) {
        let op = OpId(self.fresh());
        let (to, told) = oneshot::channel();
        self.book().waiting.insert(op, to);
        self.handle.start(op, Operation::Own(request));
        (op, told)
    }

    /// A program has stopped the node: whoever has started it hears of it, and takes down what stands around it.
    fn stop(&self) {
        self.handle.shutdown();
        let _ = self.events.lock().unwrap_or_else(PoisonError::into_inner).send(Event::Stopped);
    }

    /// Nobody waits for this answer any more; if it has not come, the node need not look for it.
    pub(crate) fn take_back(&self, op: OpId) {
        let mut book = self.book();
        book.counted.remove(&op);
        if book.waiting.remove(&op).is_some() {
            drop(book);
            self.handle.cancel(op);
        }
    }

    /// How far that is.
    pub(crate) fn counts(&self, op: OpId) -> Option<Counts> {
        self.book().counted.get(&op).copied()
    }
}

/// Joins Freenet and listens to programs until stopped.
pub(crate) fn serve(request: &FcpRequest) -> Result<Task, Problem> {
    let plan = networks::freenet_plan(&request.freenet, request.state_dir.as_deref())?;
    let listener = TcpListener::bind(request.fcp).and_then(|listener| listener.local_addr().map(|address| (listener, address)));
    let (listener, address) = listener.map_err(|wrong| {
        Problem::new(format!("{} cannot be listened at: {}", request.fcp, plain(&wrong)))
            .hint("choose another address with --fcp; port 0 lets the system choose")
    })?;
    let disk: Box<dyn Disk + Send + Sync> = match &request.disk {
        Some(folder) => Box::new(Folder::open(folder)?),
        None => Box::new(NoDisk),
    };
    let Some(node) = plan.nodes.into_iter().next() else { return Err(Problem::new("there is no node to start")) };
    let secret = NodeKey::generate().map_err(|wrong| Problem::new(format!("no dice: {wrong}")))?.seed();
    let identity = plan.host.key.as_ref().map(NodeKey::public);
    let facts = Arc::new(Facts { identity, settings: settings_of(request, &node.0, address), secret });
    let (events, watched) = mpsc::channel();
    let transfers = Transfers::start(TransfersConfig { workers: 1, ..TransfersConfig::default() }, mpsc::channel().0);
    let key = plan.host.key.as_ref().map(NodeKey::public);
    let (handle, from_host) = Host::<Freenet<Endpoint>>::start(node, plan.host, transfers.clone(), transfers.clone());
    let kept = plan.home.as_ref().and_then(|home| Kept::within(home.folder()).ok());
    let (queue, resumed) = taken_up(&*disk, kept.as_ref());
    let (book, queue, resumed) = (Mutex::default(), Mutex::new(queue), Mutex::new(resumed));
    let desk = Arc::new(Desk {
        handle,
        book,
        queue,
        kept,
        resumed,
        disk,
        facts,
        next: AtomicU64::new(1),
        over: AtomicBool::new(false),
        events: Mutex::new(events.clone()),
    });
    for warning in plan.warnings {
        let _ = events.send(Event::Warning { message: warning });
    }
    let (listening, telling) = (desk.clone(), events.clone());
    thread::spawn(move || listen(&listening, from_host, key, &telling));
    desk.handle.start(JOIN, plan.join);
    let _ = events.send(Event::Listening { network: "freenet".into(), address: address.to_string(), purpose: "fcp".into() });
    let accepting = desk.clone();
    thread::spawn(move || accept(&accepting, &listener));
    let mut stop = StopFcp { desk, transfers, events, address, gateway: None, _home: plan.home };
    if let Some(gateway) = request.gateway {
        let (address, quit) = crate::gateway::serve(stop.desk.clone(), gateway)?;
        stop.gateway = Some(quit);
        let _ = stop.events.send(Event::Listening { network: "freenet".into(), address: address.to_string(), purpose: "gateway".into() });
    }
    Ok(Task { events: watched, stop: Box::new(stop) })
}

/// What programs are told of our settings, by the names that Hyphanet has for them.
fn settings_of(request: &FcpRequest, node: &Settings, fcp: SocketAddr) -> Vec<Setting> {
    let usual = Settings::default();
    let store = |node: &Settings| ((node.store_blocks + node.cache_blocks) as u64 * CHK_DATA_BYTES as u64).to_string();
    let opennet = |node: &Settings| matches!(node.mode, Mode::Opennet).to_string();
    let listens = |node: &Settings| node.listen.map_or_else(String::new, |at| at.port().to_string());
    let of = |name, kind, about, of: &dyn Fn(&Settings) -> String| Setting {
        name,
        current: of(node),
        default: of(&usual),
        kind,
        about,
        tunable: None,
    };
    let tuned = |setting: Setting, tunable| Setting { tunable: Some(tunable), ..setting };
    let fixed =
        |name, kind, about, current: String, default: &str| Setting { name, current, default: default.into(), kind, about, tunable: None };
    let folder = request.disk.as_ref().map_or_else(String::new, |folder| folder.display().to_string());
    vec![
        of("node.storeSize", "number", "Bytes that the node stores for others, half of them as they come by", &store),
        of("node.maxHTL", "number", "Hops-to-live of a request", &|node| node.htl_max.to_string()),
        tuned(
            of("node.outputBandwidthLimit", "number", "Bytes a second that may be promised to others", &|node| {
                node.up_bytes_per_s.to_string()
            }),
            Tunable::UpBytesPerS,
        ),
        of("node.listenPort", "number", "UDP port; 0 lets the system choose", &listens),
        of("node.opennet.enabled", "boolean", "The node speaks to anybody, and not to friends only", &opennet),
        tuned(
            of("node.opennet.maxOpennetPeers", "number", "Neighbours that the node looks for", &|node| node.peers_wanted.to_string()),
            Tunable::PeersWanted,
        ),
        fixed("fcp.bindTo", "string", "Address at which programs are heard", fcp.ip().to_string(), "127.0.0.1"),
        fixed("fcp.port", "number", "Port at which programs are heard", fcp.port().to_string(), "9481"),
        fixed("fproxy.enabled", "boolean", "The gateway for browsers is open", request.gateway.is_some().to_string(), "false"),
        fixed("fcp.assumeDownloadDDAIsAllowed", "boolean", "Programs need not show that they can use a folder", "false".into(), "false"),
        fixed("node.downloadsDir", "string", "The folder in which programs may have files read and written", folder, ""),
    ]
}

/// The queue with the requests of an earlier life, and what follows from them.
fn taken_up(disk: &dyn Disk, kept: Option<&Kept>) -> (Queue, Vec<Queued>) {
    let (mut queue, mut effects) = (Queue::default(), Vec::new());
    for (number, bytes) in kept.map(Kept::all).unwrap_or_default() {
        if !queue.resume(disk, number, &bytes, &mut effects)
            && let Some(kept) = kept
        {
            tracing::warn!(number, "a request that was written down cannot be read");
            kept.set_aside(number);
        }
    }
    (queue, effects)
}

struct StopFcp {
    desk: Arc<Desk>,
    transfers: Arc<Transfers>,
    events: Sender<Event>,
    address: SocketAddr,
    gateway: Option<oneshot::Sender<()>>,
    _home: Option<Home>,
}

impl Stop for StopFcp {
    fn stop(&mut self) {
        if self.desk.over.swap(true, Ordering::Relaxed) {
            return;
        }
        let _ = self.events.send(Event::Stopped);
        // Wakes whoever accepts.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(quit) = self.gateway.take() {
            let _ = quit.send(());
        }
        let mut book = self.desk.book();
        book.clients.clear();
        book.waiting.clear();
        drop(book);
        self.desk.handle.shutdown();
        self.transfers.shutdown();
    }
}

impl Drop for StopFcp {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Hears the node.
fn listen(desk: &Desk, mut from_host: Events<Freenet<Endpoint>>, key: Option<[u8; 32]>, events: &Sender<Event>) {
    while let Some(event) = from_host.blocking_recv() {
        match event {
            HostEvent::Bound(door, address) if door == doors::NETWORK => {
                let address = key.map_or(Endpoint::Ip(address), |key| Endpoint::Key(key, address)).to_string();
                let _ = events.send(Event::Listening { network: "freenet".into(), address, purpose: "network".into() });
            }
            HostEvent::Report(JOIN, Progress::Done) => {
                let resumed = std::mem::take(&mut *desk.resumed.lock().unwrap_or_else(PoisonError::into_inner));
                let _queue = desk.queue();
                desk.perform(resumed);
                let _ = events.send(Event::Joined { network: "freenet".into() });
            }
            HostEvent::Report(JOIN, Progress::Failed(failure)) => {
                let hint = Some("is the node to begin with running, and is its key the one before the @?".to_owned());
                let _ = events.send(Event::Failed { message: format!("freenet cannot be joined: {failure}"), hint });
            }
            HostEvent::Report(op, progress) => {
                let over = matches!(progress, Progress::Done | Progress::Failed(_) | Progress::Ended);
                let mut book = desk.book();
                if book.waiting.contains_key(&op) {
                    match &progress {
                        Progress::Own(Reply::Counted(counts)) => {
                            book.counted.insert(op, *counts);
                            continue;
                        }
                        // What is told on the way to the answer is for programs.
                        Progress::Own(Reply::Expected { .. } | Reply::Rests(_)) => continue,
                        _ => {}
                    }
                }
                book.counted.remove(&op);
                if let Some(to) = book.waiting.remove(&op) {
                    drop(book);
                    let _ = to.send(progress);
                    continue;
                }
                let Some(&(client, task)) = book.ops.get(&op) else { continue };
                if over {
                    book.ops.remove(&op);
                }
                if client == QUEUE {
                    drop(book);
                    let mut queue = desk.queue();
                    let effects = queue.told(&*desk.disk, task, progress);
                    desk.perform(effects);
                    continue;
                }
                // What a session is told is bounded by what it has asked for.
                if let Some(to) = book.clients.get(&client).cloned() {
                    drop(book);
                    let _ = to.send(Heard::Told(task, progress));
                }
            }
            HostEvent::Bound(..) | HostEvent::Note(_) => {}
        }
    }
}

fn accept(desk: &Arc<Desk>, listener: &TcpListener) {
    for stream in listener.incoming() {
        if desk.over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if desk.book().clients.len() >= CLIENTS_MAX {
            continue;
        }
        let desk = desk.clone();
        thread::spawn(move || {
            // Whatever goes wrong with one client ends that client.
            let _ = client(&desk, stream);
        });
    }
}

/// One client, from its first byte to its last.
fn client(desk: &Arc<Desk>, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_DEADLINE))?;
    let (to, heard) = mpsc::channel();
    let (credit, taken) = mpsc::sync_channel(AHEAD_MAX);
    let number = desk.fresh();
    desk.book().clients.insert(number, to.clone());
    let mut reading = stream.try_clone()?;
    let reader = thread::spawn(move || read(&mut reading, &to, &credit));
    let seed = NodeKey::generate().map(|key| key.seed()).map_err(std::io::Error::other)?;
    let mut session = Session::new(Dice::secure(seed).bytes(), desk.facts.clone());
    // Whoever is on this machine may do with the node what its user may.
    if stream.peer_addr().is_ok_and(|from| from.ip().is_loopback()) {
        session = session.trusted();
    }
    let outcome = converse(desk, number, &mut session, (&heard, &taken), &mut stream);
    desk.queue().leaves(number);
    {
        let mut book = desk.book();
        book.clients.remove(&number);
        book.names.retain(|_, client| *client != number);
    }
    for effect in session.ends(&*desk.disk) {
        if let Effect::Cancel(task) = effect {
            cancel(desk, number, task);
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
    drop((heard, taken));
    let _ = reader.join();
    outcome
}

/// Reads messages, no more of them than the session can be behind.
fn read(stream: &mut TcpStream, to: &Sender<Heard>, credit: &SyncSender<()>) {
    let mut codec = Codec::default();
    let mut input = BytesMut::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => input.extend_from_slice(&chunk[..count]),
            Err(wrong) if wrong.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
        loop {
            match codec.decode(&mut input) {
                Ok(Some(message)) => {
                    if credit.send(()).is_err() || to.send(Heard::Message(message)).is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    let _ = to.send(Heard::Garbled);
                    return;
                }
            }
        }
    }
    let _ = to.send(Heard::Gone);
}

fn converse(
    desk: &Desk,
    number: u64,
    session: &mut Session,
    (heard, taken): (&Receiver<Heard>, &Receiver<()>),
    stream: &mut TcpStream,
) -> std::io::Result<()> {
    let mut out = BytesMut::new();
    let mut clocks: Vec<(Instant, u64)> = Vec::new();
    loop {
        let next = clocks.iter().copied().min();
        let heard = match next {
            None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some((at, _)) => heard.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        let effects = match heard {
            Err(RecvTimeoutError::Timeout) => {
                clocks.retain(|clock| Some(*clock) != next);
                next.map(|(_, task)| session.woken(task)).unwrap_or_default()
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Ok(Heard::Message(message)) => {
                let _ = taken.try_recv();
                if desk.queues(number, session, &message) { Vec::new() } else { session.hears(&*desk.disk, &message) }
            }
            Ok(Heard::Garbled) => session.garbled(),
            Ok(Heard::Told(task, progress)) => session.told(&*desk.disk, task, progress),
            Ok(Heard::Say(message)) => vec![Effect::Say(message)],
            Ok(Heard::Replaced) => vec![Effect::Say(Message::new("CloseConnectionDuplicateClientName")), Effect::Close],
            Ok(Heard::Gone) => return Ok(()),
        };
        let (mut close, mut stop) = (false, false);
        for effect in effects {
            match effect {
                Effect::Say(message) => write(&message, &mut out),
                Effect::Start(task, request) => {
                    let op = OpId(desk.fresh());
                    desk.book().ops.insert(op, (number, task));
                    desk.handle.start(op, Operation::Own(request));
                }
                Effect::Cancel(task) => cancel(desk, number, task),
                // One for each subscription, of which a session has so many and no more.
                Effect::Later(task, after) => clocks.push((Instant::now() + after, task)),
                Effect::Named(name) => {
                    let mut book = desk.book();
                    let before = book.names.insert(name.clone(), number);
                    let before = before.and_then(|before| book.clients.get(&before).cloned());
                    drop(book);
                    if let Some(to) = before {
                        let _ = to.send(Heard::Replaced);
                    }
                    let mut queue = desk.queue();
                    let effects = queue.arrives(number, &name);
                    desk.perform(effects);
                }
                Effect::Close => close = true,
                Effect::Stop => stop = true,
            }
        }
        stream.write_all(&out)?;
        out.clear();
        if stop {
            desk.stop();
        }
        if close {
            return Ok(());
        }
    }
}

fn cancel(desk: &Desk, number: u64, task: u64) {
    let op = desk.book().ops.iter().find(|(_, of)| **of == (number, task)).map(|(op, _)| *op);
    if let Some(op) = op {
        desk.handle.cancel(op);
    }
}
