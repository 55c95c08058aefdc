//! `hexad serve fcp`: a Freenet node to which programs talk by FCP 2.0.
//!
//! Two threads for a client: one reads, one has the session and writes. Another hears the node and tells each session what is its.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use hexad_api::{Event, FcpRequest, Problem, Stop, Task};
use hexad_core::{Dice, Endpoint, OpId, Operation, Progress};
use hexad_driver::host::{Events, Handle, Host, HostEvent, NodeKey};
use hexad_driver::transfers::{Transfers, TransfersConfig};
use hexad_freenet::fcp::{Codec, Effect, Message, Session, write};
use hexad_freenet::{Freenet, Reply, doors};

use crate::networks::{self, Home};
use crate::source::plain;

/// Clients at a time.
const CLIENTS_MAX: usize = 64;
/// Messages that one client may be ahead of its session.
const AHEAD_MAX: usize = 16;
/// A client that takes nothing for so long is given up.
const WRITE_DEADLINE: Duration = Duration::from_secs(60);
const JOIN: OpId = OpId(0);

/// What a client's session hears.
enum Heard {
    Message(Message),
    Garbled,
    Gone,
    /// Another client of that name has come.
    Replaced,
    Told(u64, Progress<Reply>),
}

/// Who waits for what.
#[derive(Default)]
struct Book {
    ops: HashMap<OpId, (u64, u64)>,
    clients: HashMap<u64, Sender<Heard>>,
    names: HashMap<String, u64>,
}

struct Desk {
    handle: Handle<Freenet<Endpoint>>,
    book: Mutex<Book>,
    next: AtomicU64,
    over: AtomicBool,
}

impl Desk {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
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
    let Some(node) = plan.nodes.into_iter().next() else { return Err(Problem::new("there is no node to start")) };
    let (events, watched) = mpsc::channel();
    let transfers = Transfers::start(TransfersConfig { workers: 1, ..TransfersConfig::default() }, mpsc::channel().0);
    let key = plan.host.key.as_ref().map(NodeKey::public);
    let (handle, from_host) = Host::<Freenet<Endpoint>>::start(node, plan.host, transfers.clone(), transfers.clone());
    let desk = Arc::new(Desk { handle, book: Mutex::default(), next: AtomicU64::new(1), over: AtomicBool::new(false) });
    for warning in plan.warnings {
        let _ = events.send(Event::Warning { message: warning });
    }
    let (listening, telling) = (desk.clone(), events.clone());
    thread::spawn(move || listen(&listening, from_host, key, &telling));
    desk.handle.start(JOIN, plan.join);
    let _ = events.send(Event::Listening { network: "freenet".into(), address: address.to_string(), purpose: "fcp".into() });
    let accepting = desk.clone();
    thread::spawn(move || accept(&accepting, &listener));
    Ok(Task { events: watched, stop: Box::new(StopFcp { desk, transfers, events, address, _home: plan.home }) })
}

struct StopFcp {
    desk: Arc<Desk>,
    transfers: Arc<Transfers>,
    events: Sender<Event>,
    address: SocketAddr,
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
        self.desk.book().clients.clear();
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
                let _ = events.send(Event::Joined { network: "freenet".into() });
            }
            HostEvent::Report(JOIN, Progress::Failed(failure)) => {
                let hint = Some("is the node to begin with running, and is its key the one before the @?".to_owned());
                let _ = events.send(Event::Failed { message: format!("freenet cannot be joined: {failure}"), hint });
            }
            HostEvent::Report(op, progress) => {
                let over = matches!(progress, Progress::Done | Progress::Failed(_) | Progress::Ended);
                let mut book = desk.book();
                let Some(&(client, task)) = book.ops.get(&op) else { continue };
                if over {
                    book.ops.remove(&op);
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
    let mut session = Session::new(Dice::secure(seed).bytes());
    let outcome = converse(desk, number, &mut session, (&heard, &taken), &mut stream);
    {
        let mut book = desk.book();
        book.clients.remove(&number);
        book.names.retain(|_, client| *client != number);
    }
    for effect in session.ends() {
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
    while let Ok(heard) = heard.recv() {
        let effects = match heard {
            Heard::Message(message) => {
                let _ = taken.try_recv();
                session.hears(message)
            }
            Heard::Garbled => session.garbled(),
            Heard::Told(task, progress) => session.told(task, progress),
            Heard::Replaced => vec![Effect::Say(Message::new("CloseConnectionDuplicateClientName")), Effect::Close],
            Heard::Gone => return Ok(()),
        };
        let mut close = false;
        for effect in effects {
            match effect {
                Effect::Say(message) => write(&message, &mut out),
                Effect::Start(task, request) => {
                    let op = OpId(desk.fresh());
                    desk.book().ops.insert(op, (number, task));
                    desk.handle.start(op, Operation::Own(request));
                }
                Effect::Cancel(task) => cancel(desk, number, task),
                Effect::Named(name) => {
                    let mut book = desk.book();
                    let before = book.names.insert(name, number);
                    if let Some(to) = before.and_then(|before| book.clients.get(&before).cloned()) {
                        drop(book);
                        let _ = to.send(Heard::Replaced);
                    }
                }
                Effect::Close => close = true,
            }
        }
        stream.write_all(&out)?;
        out.clear();
        if close {
            return Ok(());
        }
    }
    Ok(())
}

fn cancel(desk: &Desk, number: u64, task: u64) {
    let op = desk.book().ops.iter().find(|(_, of)| **of == (number, task)).map(|(op, _)| *op);
    if let Some(op) = op {
        desk.handle.cancel(op);
    }
}
