//! The session as faces hold it, and its tasks. What it does happens on the thread of its loop.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hexad_api::{Encryption, Event, FetchRequest, Problem, PublishRequest, Session, Settings, Stop, Task};
use hexad_bittorrent::BitTorrent;
use hexad_core::{OpId, ShareId};
use hexad_driver::host::{Host, HostConfig, HostEvent};
use hexad_driver::transfers::{Opened, StoreError, Transfers, TransfersConfig, TransfersEvent};

use crate::publish::{self, Prepared};
use crate::session_loop::{GOODBYE, Loop};
use crate::source;

/// Where peers look for each other by custom; the first that is free is ours when the user names none.
const USUAL_PORTS: std::ops::RangeInclusive<u16> = 6881..=6889;
/// How long the end of a session waits for its loop, which in turn waits for what hosts have to store and to say.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the loop hears.
pub(crate) enum Happening {
    Host(HostEvent<BitTorrent>),
    /// The host has ended, though nobody has ended it.
    HostGone,
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
    Opened {
        op: OpId,
        share: ShareId,
        opened: Result<Opened, StoreError>,
    },
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
    /// Closed when the loop has ended.
    over: Mutex<Receiver<()>>,
}

impl LocalSession {
    /// Starts the host of every network and joins them.
    pub(crate) fn open(settings: Settings) -> Result<Self, Problem> {
        let (happenings, heard) = mpsc::channel();
        let (transfers_events, from_transfers) = mpsc::channel();
        let transfers = Transfers::start(TransfersConfig::default(), transfers_events);
        let listen = settings.listen.unwrap_or_else(usual_address);
        // From loopback there is no way to anybody else.
        let source = Some(listen.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
        let host_config = HostConfig { state_dir: settings.state_dir.clone(), source, ..HostConfig::default() };
        let (handle, mut events) =
            Host::<BitTorrent>::start(node_config(&settings, listen), host_config, transfers.clone(), transfers.clone());
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
                    return;
                }
            }
            let _ = to_loop.send(Happening::HostGone);
        });
        let own = happenings.clone();
        let (ends, over) = mpsc::channel();
        let bootstrap = if settings.dht { settings.dht_bootstrap } else { Vec::new() };
        thread::Builder::new()
            .name("hexad-session".into())
            .spawn(move || {
                Loop::new(handle, transfers, own, listen).run(&bootstrap, &heard);
                drop(ends);
            })
            .map_err(|wrong| Problem::new(format!("the session's thread cannot be started: {wrong}")))?;
        Ok(Self { happenings, over: Mutex::new(over) })
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
        let over = self.over.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = over.recv_timeout(FAREWELL);
    }
}

impl Session for LocalSession {
    fn fetch(&self, request: FetchRequest) -> Result<Task, Problem> {
        let found = source::find(&request.source, &request.peers)?;
        self.begin(|events, op| Happening::BeginFetch { request, found, events, op })
    }

    fn publish(&self, request: PublishRequest) -> Result<Task, Problem> {
        publish::validate(&request)?;
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
            let _ = over.recv_timeout(GOODBYE * 2);
        }
    }
}

impl Drop for StopTask {
    fn drop(&mut self) {
        self.stop();
    }
}

fn node_config(settings: &Settings, listen: SocketAddr) -> hexad_bittorrent::Config {
    hexad_bittorrent::Config {
        listen: Some(listen),
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

/// An address with a usual port that nobody has, TCP and UDP; the system's choice when all are taken.
fn usual_address() -> SocketAddr {
    let address = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok();
    USUAL_PORTS.map(address).find(is_free).unwrap_or_else(|| address(0))
}

/// A path in words, for messages and events.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
