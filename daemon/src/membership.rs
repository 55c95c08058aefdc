//! What a session remembers of one of its networks: whether it is joined, what waits for that, and what goes on there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use hexad_api::node::{DoorOf, NetworkState, Overlay};
use hexad_api::{Event, Problem};
use hexad_core::{Failure, OpId, Operation, Shares};
use hexad_driver::mapping::{Gateway, Kind, Outcome, Running, Want, address_towards, default_gateway, run};

use crate::networks::{Ear, Member, Opening, Standing, TransferStanding, Wish};
use crate::session::Happening;

/// Whether the network is joined.
enum Joined {
    /// Not yet; these operations wait for it.
    Waiting(Vec<(OpId, Operation<Wish>)>),
    Yes,
    /// It cannot be, or was left, and nothing that needs it can be done.
    Failed(Problem),
}

/// How a network stands, for whoever watches all of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NetworkNews {
    pub(crate) network: usize,
    pub(crate) state: NetworkState,
    pub(crate) problem: Option<Problem>,
    pub(crate) peers: u64,
    pub(crate) figures: BTreeMap<String, u64>,
    pub(crate) doors: Vec<DoorOf>,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) up_bytes_per_s: u64,
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
    /// Somebody wants it left: nothing is wrong with it.
    left: bool,
    /// Operations that it has begun and not ended: whose cancel it will confirm.
    live: BTreeSet<OpId>,
    /// Open doors, as they are told.
    doors: Vec<Event>,
    /// How it stands, as it was last told.
    standing: Option<Event>,
    /// The router is asked to let others in.
    mapping: Option<Running>,
    overlay: Option<Overlay>,
    /// How its shares stand together.
    swarms: (usize, u64),
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
            left: false,
            live: BTreeSet::new(),
            doors: Vec::new(),
            standing: None,
            mapping: None,
            overlay: None,
            swarms: (0, 0),
        }
    }

    /// Puts another way in in place of the one before, which is over; its host goes.
    pub(crate) fn reopen(&mut self, opening: Opening, join: OpId) {
        self.close();
        // A host of before says nothing that counts.
        *self = Self { attempt: self.attempt + 1, ..Self::new(opening, self.number, join) };
    }

    /// Ends the host, wherever it stands.
    pub(crate) fn close(&mut self) {
        if let Some(before) = self.member.take() {
            before.shutdown();
            // What it says of its end is no news.
            self.attempt += 1;
        }
        // The lock on what it keeps goes with it.
        self.opening.home = None;
        self.doors.clear();
        (self.standing, self.overlay, self.swarms) = (None, None, (0, 0));
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

    /// Whether it is not joined and nobody tries.
    pub(crate) fn is_down(&self) -> bool {
        matches!(self.joined, Joined::Failed(_))
    }

    /// Somebody wants it left.
    pub(crate) fn want_left(&mut self) {
        self.left = true;
    }

    pub(crate) fn is_wanted_left(&self) -> bool {
        self.left
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
        let interface = self.opening.interface.clone();
        let gateway = default_gateway(interface.as_deref());
        let towards = Gateway::usual(gateway);
        let router = towards.pmp.unwrap_or(towards.ssdp);
        let own = if listen.ip().is_unspecified() { address_towards(router, interface.as_deref()) } else { Some(listen.ip()) };
        let Some(own) = own else { return };
        let wants = [Kind::Tcp, Kind::Udp].map(|kind| Want { kind, port: listen.port() }).to_vec();
        let (happenings, number) = (happenings.clone(), self.number);
        let tell = move |outcome| {
            let _ = happenings.send(Happening::Mapped(number, outcome));
        };
        match run(towards, own, interface, wants, tell) {
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
        self.overlay = standing.overlay;
        let figures = standing.figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect();
        let event = Event::Standing { network: self.name().into(), peers: standing.peers, figures };
        let is_news = self.standing.as_ref() != Some(&event);
        self.standing = Some(event.clone());
        is_news.then_some(event)
    }

    /// How its shares stand.
    pub(crate) fn on_swarms(&mut self, standings: &[TransferStanding], overlay: Option<Overlay>) {
        self.swarms = (standings.iter().map(|swarm| swarm.peers).sum(), standings.iter().map(|swarm| swarm.up_bytes_per_s).sum());
        self.overlay = overlay;
    }

    /// All that is known of it.
    pub(crate) fn news(&self) -> NetworkNews {
        let (state, problem) = match &self.joined {
            Joined::Waiting(_) => (NetworkState::Joining, None),
            Joined::Yes => (NetworkState::Joined, None),
            Joined::Failed(_) if self.left => (NetworkState::Left, None),
            Joined::Failed(problem) => (NetworkState::Failed, Some(problem.clone())),
        };
        let (peers, figures) = match &self.standing {
            Some(Event::Standing { peers, figures, .. }) => (*peers, figures.clone()),
            _ => (self.swarms.0 as u64, BTreeMap::new()),
        };
        let door = |event: &Event| match event {
            Event::Listening { address, purpose, .. } => Some(DoorOf { address: address.clone(), purpose: purpose.clone() }),
            _ => None,
        };
        NetworkNews {
            network: self.number,
            state,
            problem,
            peers,
            figures,
            doors: self.doors.iter().filter_map(door).collect(),
            overlay: self.overlay.clone(),
            up_bytes_per_s: self.swarms.1,
        }
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
