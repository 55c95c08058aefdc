//! One host under the test's hand, and where it reads from and delivers to.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use hexad_core::{
    Bind, ConnId, Dial, Door, Endpoint, Input, LeaseId, Network, OpId, Operation, Output, Payload, Progress, ShareId, Span, Via, Why,
};
use hexad_driver::host::{Events, Handle, Host, HostConfig, HostEvent};
use hexad_driver::{Deliveries, ReadShare};

use crate::puppet::{Config, Heard, Message, Puppet, Puppets, Reply, Request, Said};

/// Nothing here takes so long.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const CALLS: Door = Door(0);
pub const POST: Door = Door(1);

/// A share in memory.
#[derive(Default)]
pub struct Shelf {
    pub bytes: Vec<u8>,
    /// Nothing is in the page cache.
    pub cold: AtomicBool,
    pub reads: AtomicU64,
    pub cold_reads: AtomicU64,
}

impl ReadShare for Shelf {
    fn read(&self, _: ShareId, offset: u64, parts: &mut [IoSliceMut<'_>], cached_only: bool) -> io::Result<()> {
        if cached_only && self.cold.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let counted = if cached_only { &self.reads } else { &self.cold_reads };
        counted.fetch_add(1, Ordering::Relaxed);
        let mut at = usize::try_from(offset).map_err(io::Error::other)?;
        for part in parts {
            let from = self.bytes.get(at..at + part.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            part.copy_from_slice(from);
            at += part.len();
        }
        Ok(())
    }
}

/// Where deliveries go.
#[derive(Default)]
pub struct Bin {
    taken: Mutex<(Vec<u8>, u64)>,
    more: Condvar,
    pub congested: AtomicBool,
    /// Says that it is congested when it has so much.
    pub congested_at: AtomicU64,
}

impl Bin {
    /// Waits for so many bytes.
    pub fn wait(&self, bytes: u64) -> Vec<u8> {
        let taken = self.taken.lock().unwrap();
        let (taken, waited) = self.more.wait_timeout_while(taken, PATIENCE, |taken| taken.1 < bytes).unwrap();
        assert!(!waited.timed_out(), "waited in vain for {bytes} bytes, {} came", taken.1);
        taken.0.clone()
    }

    pub fn bytes(&self) -> u64 {
        self.taken.lock().unwrap().1
    }
}

impl Deliveries for Bin {
    fn deliver(&self, _: LeaseId, offset: u64, payload: &Payload) {
        let Payload::Bytes(bytes) = payload else { panic!("no real bytes") };
        let mut taken = self.taken.lock().unwrap();
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        if taken.0.len() < to {
            taken.0.resize(to, 0);
        }
        taken.0[from..to].copy_from_slice(bytes);
        taken.1 += bytes.len() as u64;
        let limit = self.congested_at.load(Ordering::Relaxed);
        if limit > 0 && taken.1 >= limit {
            self.congested_at.store(0, Ordering::Relaxed);
            self.congested.store(true, Ordering::Relaxed);
        }
        drop(taken);
        self.more.notify_all();
    }

    fn congested(&self) -> bool {
        self.congested.load(Ordering::Relaxed)
    }
}

/// One host.
pub struct Machine<N: Network = Puppets> {
    pub handle: Handle<N>,
    pub shelf: Arc<Shelf>,
    pub bin: Arc<Bin>,
    events: Events<N>,
    runtime: tokio::runtime::Runtime,
    heard: VecDeque<HostEvent<N>>,
    next_op: u64,
}

impl<N: Network<Config = Config, Node = Puppet>> Machine<N> {
    pub fn new() -> Self {
        Self::with(Config::default(), HostConfig::default(), Shelf::default())
    }

    pub fn with(config: Config, host: HostConfig, shelf: Shelf) -> Self {
        let (shelf, bin) = (Arc::new(shelf), Arc::new(Bin::default()));
        let (handle, events) = Host::<N>::start(config, host, bin.clone(), shelf.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { handle, shelf, bin, events, runtime, heard: VecDeque::new(), next_op: 1 }
    }

    pub fn ask(&mut self, request: Request) -> OpId {
        self.next_op += 1;
        self.handle.start(OpId(self.next_op), Operation::Own(request));
        OpId(self.next_op)
    }

    pub fn say(&mut self, output: Said) {
        self.ask(Request::Say(output));
    }

    pub fn send(&mut self, conn: ConnId, message: Message) {
        self.say(Output::Send(hexad_core::Link::Conn(conn), message));
    }

    /// Waits for the first event that `pick` likes. What it does not like is kept.
    pub fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&HostEvent<N>) -> Option<T>) -> T {
        for place in 0..self.heard.len() {
            if let Some(found) = pick(&self.heard[place]) {
                self.heard.remove(place);
                return found;
            }
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let next = self.runtime.block_on(async { tokio::time::timeout_at(until.into(), self.events.recv()).await });
            let Ok(next) = next else { panic!("waited in vain for {what}; heard {:?}", self.heard) };
            let Some(next) = next else { panic!("the host ended before {what}; heard {:?}", self.heard) };
            if let Some(found) = pick(&next) {
                return found;
            }
            self.heard.push_back(next);
        }
    }

    /// Waits until the node has heard what `pick` likes.
    pub fn hears<T>(&mut self, what: &str, mut pick: impl FnMut(&Heard) -> Option<T>) -> T {
        self.wait(what, |event| match event {
            HostEvent::Report(_, Progress::Own(Reply::Heard(heard))) => pick(heard),
            _ => None,
        })
    }

    /// Whether the node has heard something like that by now. Only looks at what was heard while waiting for other things.
    pub fn has_heard(&self, mut pick: impl FnMut(&Heard) -> bool) -> bool {
        self.heard.iter().any(|event| matches!(event, HostEvent::Report(_, Progress::Own(Reply::Heard(heard))) if pick(heard)))
    }

    pub fn notes(&mut self, code: &str) -> hexad_core::Note<Endpoint> {
        self.wait(code, |event| match event {
            HostEvent::Note(note) if note.code == code => Some(note.clone()),
            _ => None,
        })
    }

    pub fn listen(&mut self, door: Door, bind: Bind) -> Result<SocketAddr, String> {
        self.say(Output::Listen(door, bind));
        self.hears("a door", |heard| match heard {
            Input::Bound(bound, at) if *bound == door => Some(at.clone()),
            _ => None,
        })
    }

    /// Listens for connections on loopback.
    pub fn open_door(&mut self) -> SocketAddr {
        self.listen(CALLS, Bind::Stream(loopback())).expect("a free port")
    }

    pub fn dial_with(&mut self, to: Endpoint, dial: Dial) -> ConnId {
        let op = self.ask(Request::Dial(to, dial));
        self.wait("the number of a connection", |event| match event {
            HostEvent::Report(of, Progress::Own(Reply::Dialling(conn))) if *of == op => Some(*conn),
            _ => None,
        })
    }

    pub fn dial(&mut self, to: SocketAddr) -> ConnId {
        self.dial_with(to.into(), crate::puppet::tcp())
    }

    pub fn opened(&mut self) -> (ConnId, Endpoint, Via) {
        self.hears("an open connection", |heard| match heard {
            Input::Opened { conn, peer, via } => Some((*conn, peer.clone(), *via)),
            _ => None,
        })
    }

    pub fn closed(&mut self, conn: ConnId) -> Why {
        self.hears("the end of a connection", |heard| match heard {
            Input::Closed(closed, why) if *closed == conn => Some(why.clone()),
            _ => None,
        })
    }

    /// Waits for that message.
    pub fn receives(&mut self, message: &Message) -> hexad_core::Link<Endpoint> {
        self.hears("a message", |heard| match heard {
            Input::Received(link, came) if came == message => Some(link.clone()),
            _ => None,
        })
    }

    pub fn room(&mut self, conn: ConnId) -> u64 {
        let op = self.ask(Request::Room(conn));
        self.wait("the room of a connection", |event| match event {
            HostEvent::Report(of, Progress::Own(Reply::Room(room))) if *of == op => Some(*room),
            _ => None,
        })
    }

    /// Waits for the events to end.
    pub fn ends(mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.runtime.block_on(async { tokio::time::timeout_at(until.into(), self.events.recv()).await }) {
                Ok(None) => return,
                Ok(Some(_)) => {}
                Err(_) => panic!("waited in vain for the host to end"),
            }
        }
    }
}

impl<N: Network> Drop for Machine<N> {
    fn drop(&mut self) {
        self.handle.kill();
    }
}

/// Two machines with a connection between them: the dialler first.
pub fn pair(dialler: &mut Machine, acceptor: &mut Machine) -> (ConnId, ConnId) {
    let at = acceptor.open_door();
    let conn = dialler.dial(at);
    let (opened, peer, via) = dialler.opened();
    assert_eq!((opened, peer, via), (conn, Endpoint::Ip(at), Via::Dialled));
    let (accepted, _, via) = acceptor.opened();
    assert_eq!(via, Via::Accepted(CALLS));
    (conn, accepted)
}

pub fn loopback() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

/// A server that tells whom it has served.
pub fn counting_server() -> (SocketAddr, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind(loopback()).expect("a port");
    let at = listener.local_addr().expect("an address");
    let (served, serves) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            if served.send(()).is_err() {
                return;
            }
        }
    });
    (at, serves)
}

/// Bytes that differ everywhere.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    hexad_core::Dice::counter(seed, 0).fill(&mut bytes);
    bytes
}

pub fn short(span_ms: u64) -> Dial {
    Dial { deadline: Span::from_millis(span_ms), ..crate::puppet::tcp() }
}
