//! What a session remembers of one of its networks: whether it is joined, what waits for that, and what goes on there.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use hexad_api::{Event, Problem};
use hexad_core::{Failure, OpId, Operation, Shares};
use hexad_driver::mapping::{Gateway, Kind, Outcome, Running, Want, default_gateway, run};

use crate::networks::{Ear, Member, Opening, Standing, Wish};
use crate::session::Happening;

/// Whether the network is joined.
enum Joined {
    /// Not yet; these operations wait for it.
    Waiting(Vec<(OpId, Operation<Wish>)>),
    Yes,
    /// It cannot be, or was left, and nothing that needs it can be done.
    Failed(Problem),
}

/// One network of a session.
pub(crate) struct Membership {
    pub(crate) opening: Opening,
    /// Its place among the session's networks.
    number: usize,
    /// Its host; there until it is known that no address can be listened at.
    pub(crate) member: Option<Box<dyn Member>>,
    attempt: u32,
    pub(crate) join: OpId,
    joined: Joined,
    /// Operations that it has begun and not ended: whose cancel it will confirm.
    live: BTreeSet<OpId>,
    /// Open doors, as they are told.
    doors: Vec<Event>,
    /// How it stands, as it was last told.
    standing: Option<Event>,
    /// The router is asked to let others in.
    mapping: Option<Running>,
}

impl Membership {
    pub(crate) fn new(opening: Opening, number: usize, join: OpId) -> Self {
        Self {
            opening,
            number,
            member: None,
            attempt: 0,
            join,
            joined: Joined::Waiting(Vec::new()),
            live: BTreeSet::new(),
            doors: Vec::new(),
            standing: None,
            mapping: None,
        }
    }

    /// Starts a host with the next configuration and lets it join; false when all were tried.
    pub(crate) fn attempt(&mut self, happenings: &Sender<Happening>, shares: &Arc<Shares>) -> bool {
        self.attempt += 1;
        let ear = Ear { to: happenings.clone(), network: self.number, attempt: self.attempt };
        let Some(member) = (self.opening.attempt)(ear) else { return false };
        self.doors.clear();
        member.set_shares(shares);
        member.join(self.join);
        if let Some(before) = self.member.replace(member) {
            before.shutdown();
        }
        true
    }

    /// Whether that is the host which counts.
    pub(crate) fn is_current(&self, attempt: u32) -> bool {
        self.attempt == attempt
    }

    pub(crate) fn name(&self) -> &'static str {
        self.opening.name
    }

    pub(crate) fn is_joined(&self) -> bool {
        matches!(self.joined, Joined::Yes)
    }

    /// Why nothing can be done here.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        match &self.joined {
            Joined::Failed(problem) => Some(problem),
            Joined::Waiting(_) | Joined::Yes => None,
        }
    }

    /// A door is open.
    pub(crate) fn on_open(&mut self, address: String, purpose: &str) -> Option<Event> {
        let event = Event::Listening { network: self.name().into(), address, purpose: purpose.into() };
        self.doors.push(event.clone());
        // One that joining has not needed is news.
        self.is_joined().then_some(event)
    }

    /// Has the router let others in at an open door, where the user wants that.
    pub(crate) fn map_ports(&mut self, address: &str, happenings: &Sender<Happening>) {
        let Some(listen) = address.parse::<SocketAddr>().ok().filter(|listen| self.opening.map_ports && !listen.ip().is_loopback()) else {
            return;
        };
        let gateway = default_gateway();
        let towards = Gateway::usual(gateway);
        let own = if listen.ip().is_unspecified() { own_address(towards.pmp.unwrap_or(towards.ssdp)) } else { Some(listen.ip()) };
        let Some(own) = own else { return };
        let wants = [Kind::Tcp, Kind::Udp].map(|kind| Want { kind, port: listen.port() }).to_vec();
        let (happenings, number) = (happenings.clone(), self.number);
        let tell = move |outcome| {
            let _ = happenings.send(Happening::Mapped(number, outcome));
        };
        match run(towards, own, wants, tell) {
            Ok(running) => self.mapping = Some(running),
            Err(wrong) => tracing::warn!(%wrong, "the router cannot be asked to let others in"),
        }
    }

    /// What came of that; returns what is to be told.
    pub(crate) fn on_mapped(&mut self, outcome: Outcome) -> Event {
        let event = match outcome {
            Outcome::Open { way, external_ip, mapped } => {
                let port =
                    mapped.iter().find(|mapped| mapped.want.kind == Kind::Tcp).or(mapped.first()).map_or(0, |mapped| mapped.external_port);
                let address = external_ip.map_or_else(|| format!("?:{port}"), |ip| SocketAddr::new(ip, port).to_string());
                Event::Reachable { network: self.name().into(), address: Some(address), by: Some(way.to_string()) }
            }
            Outcome::Closed => Event::Reachable { network: self.name().into(), address: None, by: None },
        };
        self.doors.retain(|door| !matches!(door, Event::Reachable { .. }));
        self.doors.push(event.clone());
        event
    }

    /// It is joined; begins what has waited for that.
    pub(crate) fn on_joined(&mut self) {
        if let Joined::Waiting(waiting) = std::mem::replace(&mut self.joined, Joined::Yes) {
            self.live.insert(self.join);
            for (op, operation) in waiting {
                self.start(op, operation);
            }
        }
    }

    /// What is told to a task that begins, and to all once it is joined.
    pub(crate) fn greetings(&self) -> Vec<Event> {
        if !self.is_joined() {
            return Vec::new();
        }
        let mut told = self.doors.clone();
        told.push(Event::Joined { network: self.name().into() });
        told
    }

    /// How it stood when that was last told.
    pub(crate) fn last_standing(&self) -> Option<Event> {
        self.standing.clone()
    }

    /// How it stands; returns what is to be told, where that is something else than before.
    pub(crate) fn on_standing(&mut self, standing: Standing) -> Option<Event> {
        if let Some(home) = &mut self.opening.home {
            home.keep_peers(&standing.known);
        }
        let figures = standing.figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect();
        let event = Event::Standing { network: self.name().into(), peers: standing.peers, figures };
        let is_news = self.standing.as_ref() != Some(&event);
        self.standing = Some(event.clone());
        is_news.then_some(event)
    }

    /// Nothing can be done here any more.
    pub(crate) fn give_up(&mut self, problem: Problem) {
        self.joined = Joined::Failed(problem);
        self.live.clear();
    }

    /// A failed join as a sentence and what the user can do about it.
    pub(crate) fn join_problem(&self, failure: &Failure) -> Problem {
        let hint = if matches!(failure, Failure::Host(_)) { &self.opening.hint_address } else { &self.opening.hint_join };
        Problem::new(failure.to_string()).hint(hint)
    }

    /// A failure of something else than the join.
    pub(crate) fn problem_of(&self, failure: &Failure) -> Problem {
        Problem::new(failure.to_string()).hint((self.opening.hint)(failure))
    }

    /// Begins an operation, once the network is joined.
    pub(crate) fn start(&mut self, op: OpId, operation: Operation<Wish>) {
        match &mut self.joined {
            Joined::Waiting(waiting) => waiting.push((op, operation)),
            Joined::Yes => {
                if let Some(member) = &self.member {
                    self.live.insert(op);
                    member.start(op, operation);
                }
            }
            Joined::Failed(_) => {}
        }
    }

    /// Puts a question that is answered at once, and of which nobody waits for the end.
    pub(crate) fn ask(&self, op: OpId, wish: Wish) {
        if let Some(member) = self.member.as_ref().filter(|_| self.is_joined()) {
            member.start(op, Operation::Own(wish));
        }
    }

    pub(crate) fn cancel(&mut self, op: OpId) {
        if let Joined::Waiting(waiting) = &mut self.joined {
            waiting.retain(|(waits, _)| *waits != op);
        }
        if let Some(member) = &self.member {
            member.cancel(op);
        }
    }

    pub(crate) fn on_ended(&mut self, op: OpId) {
        self.live.remove(&op);
    }

    pub(crate) fn is_live(&self, op: OpId) -> bool {
        self.live.contains(&op)
    }

    pub(crate) fn set_shares(&self, shares: &Arc<Shares>) {
        if let Some(member) = &self.member {
            member.set_shares(shares);
        }
    }
}

/// By which address this machine speaks to that one. Nothing is sent.
fn own_address(to: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((IpAddr::from([0, 0, 0, 0]), 0)).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok().map(|own| own.ip()).filter(|ip| !ip.is_unspecified())
}
