//! The node's doors: which it wants, which are open, and whether it has joined by that.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hexad_core::{Bind, Door, Endpoint, Failure, Level, OpId, Outbox, Output, Progress};

use super::Node;
use super::config::Config;
use crate::doors;
use crate::wire::lsd;

/// Pairs of a TCP and a UDP port that are tried when the system chooses.
const TRIES_MAX: u8 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nobody has asked to join.
    Out,
    /// Doors are being opened.
    Joining,
    /// All doors that matter are open.
    Joined,
}

/// What came of a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Others are awaited, or it does not matter.
    Nothing,
    /// The node has joined by it.
    Joined,
    /// A door for local discovery.
    Lsd,
    /// Joining has failed.
    Failed,
}

/// The doors of a node.
#[derive(Debug)]
pub(super) struct Joining {
    standing: Standing,
    op: Option<OpId>,
    pub(super) bootstrap: Vec<Endpoint>,
    /// Where peers reach us.
    peers: Option<SocketAddr>,
    datagrams: Option<SocketAddr>,
    /// The host sends no datagrams, and nobody may connect either: connections and HTTP must do.
    mute: bool,
    tracker: bool,
    lsd: Vec<Door>,
    tries: u8,
}

impl Joining {
    pub(super) const fn new() -> Self {
        let bootstrap = Vec::new();
        Self {
            standing: Standing::Out,
            op: None,
            bootstrap,
            peers: None,
            datagrams: None,
            mute: false,
            tracker: false,
            lsd: Vec::new(),
            tries: 0,
        }
    }

    /// Whether swarms may talk to the outside.
    pub(super) fn is_joined(&self) -> bool {
        self.standing == Standing::Joined
    }

    pub(super) fn is_out(&self) -> bool {
        self.standing == Standing::Out
    }

    pub(super) fn is(&self, op: OpId) -> bool {
        self.op == Some(op)
    }

    /// The open doors for local discovery.
    pub(super) fn lsd_doors(&self) -> &[Door] {
        &self.lsd
    }

    /// Opens the doors; a second join while the first holds fails.
    pub(super) fn start(&mut self, op: OpId, bootstrap: Vec<Endpoint>, config: &Config, out: &mut Outbox<Node>) {
        if self.standing != Standing::Out {
            out.report(op, Progress::Failed(Failure::Refused("this node has joined already".into())));
            return;
        }
        self.standing = Standing::Joining;
        self.op = Some(op);
        self.bootstrap = bootstrap;
        self.tries = 0;
        self.open(config, out);
        if let Some(tracker) = config.tracker.as_ref().and_then(|tracker| tracker.udp) {
            out.push(Output::Listen(doors::TRACKER, Bind::Datagram(tracker)));
        }
        if config.lsd && config.listen.is_some() {
            out.push(Output::Listen(doors::LSD_V4, Bind::Multicast(lsd::GROUP_V4.into())));
            out.push(Output::Listen(doors::LSD_V6, Bind::Multicast(lsd::GROUP_V6.into())));
        }
    }

    fn open(&mut self, config: &Config, out: &mut Outbox<Node>) {
        (self.peers, self.datagrams) = (None, None);
        match config.listen {
            Some(listen) => {
                out.push(Output::Listen(doors::PEERS, Bind::Stream(listen)));
                // With port 0, the datagrams' port follows that which the system chooses.
                if listen.port() != 0 {
                    out.push(Output::Listen(doors::DATAGRAMS, Bind::Datagram(listen)));
                }
            }
            None => {
                let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
                out.push(Output::Listen(doors::DATAGRAMS, Bind::Datagram(any)));
            }
        }
    }

    /// A door is open, or could not be opened.
    pub(super) fn on_bound(&mut self, door: Door, bound: Result<SocketAddr, String>, config: &Config, out: &mut Outbox<Node>) -> Opened {
        if self.standing == Standing::Out {
            return Opened::Nothing;
        }
        match (door, bound) {
            (doors::PEERS, Ok(address)) => {
                self.peers = Some(address);
                if config.listen.is_some_and(|listen| listen.port() == 0) && self.datagrams.is_none() {
                    out.push(Output::Listen(doors::DATAGRAMS, Bind::Datagram(address)));
                }
            }
            (doors::DATAGRAMS, Ok(address)) => self.datagrams = Some(address),
            (doors::TRACKER, Ok(_)) => self.tracker = true,
            (doors::LSD_V4 | doors::LSD_V6, Ok(_)) => {
                self.lsd.push(door);
                return Opened::Lsd;
            }
            (doors::LSD_V4 | doors::LSD_V6, Err(why)) => {
                out.note(Level::Warn, "lsd_not_possible", None, why);
                return Opened::Nothing;
            }
            (doors::DATAGRAMS, Err(_)) if config.listen.is_some_and(|listen| listen.port() == 0) && self.tries < TRIES_MAX => {
                // Somebody else has the UDP port of that number: another pair.
                self.tries += 1;
                out.push(Output::Unlisten(doors::PEERS));
                self.open(config, out);
                return Opened::Nothing;
            }
            (doors::DATAGRAMS, Err(why)) if config.listen.is_none() => {
                out.note(Level::Debug, "no_datagrams", None, why);
                self.mute = true;
            }
            (door, Err(why)) => {
                let what = match door {
                    doors::PEERS => "peers (TCP)",
                    doors::DATAGRAMS => "datagrams (UDP)",
                    _ => "the tracker (UDP)",
                };
                let at = match door {
                    doors::TRACKER => config.tracker.as_ref().and_then(|tracker| tracker.udp),
                    _ => config.listen,
                };
                let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
                let op = self.op;
                self.close(config, out);
                if let Some(op) = op {
                    out.report(op, Progress::Failed(Failure::Host(format!("cannot listen for {what}{at}: {why}"))));
                }
                return Opened::Failed;
            }
            (_, Ok(_)) => return Opened::Nothing,
        }
        let complete = self.peers.is_some() == config.listen.is_some()
            && (self.datagrams.is_some() || self.mute)
            && self.tracker == config.tracker.as_ref().is_some_and(|tracker| tracker.udp.is_some());
        if self.standing != Standing::Joining || !complete {
            return Opened::Nothing;
        }
        self.standing = Standing::Joined;
        if let Some(op) = self.op {
            out.report(op, Progress::Done);
        }
        Opened::Joined
    }

    /// Where peers reach us; nowhere when nobody may connect.
    pub(super) const fn address(&self) -> Option<SocketAddr> {
        self.peers
    }

    /// Where our datagrams come from.
    pub(super) const fn datagrams(&self) -> Option<SocketAddr> {
        self.datagrams
    }

    /// Closes all doors.
    pub(super) fn close(&mut self, config: &Config, out: &mut Outbox<Node>) {
        if config.listen.is_some() {
            out.push(Output::Unlisten(doors::PEERS));
        }
        out.push(Output::Unlisten(doors::DATAGRAMS));
        if config.tracker.as_ref().is_some_and(|tracker| tracker.udp.is_some()) {
            out.push(Output::Unlisten(doors::TRACKER));
        }
        for door in self.lsd.drain(..) {
            out.push(Output::Unlisten(door));
        }
        *self = Self::new();
    }
}
