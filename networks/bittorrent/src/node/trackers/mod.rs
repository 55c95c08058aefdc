//! The trackers of all our torrents, as their client. BEP 3, 7, 12, 15, 23, 41, 48.
//!
//! Remembers per torrent its tiers ([`tiers`]), and for all of them what UDP trackers have been asked ([`udp`]) and what the host is asked.
//! The swarms stay outside: what they want to tell is read through a function when an announce leaves.

mod tiers;
mod udp;
mod url;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use hexad_core::{
    Answer, Ask, AskFailure, Dice, Endpoint, HttpMethod, HttpRequest, Level, Map, Outbox, Payload, Set, Span, Ticket, Time, is_local_name,
};

use self::tiers::{Tiers, Told, Tracker};
use self::udp::{Asker, Outcome, Question, UdpTrackers};
use self::url::Place;
pub(super) use self::url::is_local_host;
use super::dht::is_local;
use super::hearsay::may_be_dialled;
use super::{Node, Timer};
use crate::wire::{TrackerAnnounce, TrackerDatagram, TrackerEvent, http_tracker};

/// Torrents with trackers; more are refused.
const SWARMS_MAX: usize = 100_000;
/// Questions to the host under way; more fail at once.
const ASKS_MAX: usize = 4096;
/// Peers taken from one answer.
const PEERS_MAX: usize = 500;
/// No tracker answer is read beyond this.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// For one announce by HTTP.
const HTTP_DEADLINE: Span = Span::from_secs(30);
/// For telling a tracker that we leave; best effort.
const STOP_DEADLINE: Span = Span::from_secs(5);
/// How long the addresses of a UDP tracker are trusted.
const RESOLVED_LIFE: Span = Span::from_secs(1800);
/// Nobody is asked for counts more often.
const SCRAPE_INTERVAL: Span = Span::from_secs(900);

/// What a swarm tells its trackers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Our id in this swarm.
    pub peer_id: [u8; 20],
    /// Where we listen. Its port is announced; with the addresses it helps to recognise ourselves among the peers.
    pub listen: Option<SocketAddr>,
    /// Bytes of blocks sent since the swarm began.
    pub uploaded: u64,
    /// Bytes of blocks received since the swarm began.
    pub downloaded: u64,
    /// Bytes still wanted to be complete; 16384 while the metadata is unknown, never 0 then.
    pub left: u64,
    /// How many peers to ask for; 200 is usual.
    pub peers_wanted: u32,
    /// We speak MSE.
    pub obfuscation: bool,
}

/// What comes of trackers, per swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerNews {
    /// These peers are in the swarm. None is ourselves, none has port 0.
    Peers(Vec<SocketAddr>),
    /// A private torrent talks to another tracker than before: forget all peers that came from the first (BEP 27). Comes before its `Peers`.
    Switched,
    /// Our own address as a tracker sees it; nothing but a vote.
    Seen(IpAddr),
}

/// How one tracker of one torrent stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerStatus {
    /// Its URL.
    pub url: String,
    /// Which tier, from 0.
    pub tier: usize,
    /// It has answered, and not failed since.
    pub working: bool,
    /// Failures in a row.
    pub fails: u32,
    /// When it is due next; when it is somebody else's turn, not before.
    pub next_announce: Time,
    /// Peers that have everything, as it last said.
    pub seeds: Option<u32>,
    /// Peers that have not.
    pub leechers: Option<u32>,
    /// How often the torrent has been completed.
    pub completed: Option<u32>,
    /// Why it failed the last time; `None` after a success.
    pub failure: Option<String>,
    /// What it warns of.
    pub warning: Option<String>,
}

/// What the trackers wake themselves for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrackersTimer {
    /// Announces of torrents.
    Announces,
    /// Datagrams to be repeated.
    Datagrams,
}

/// What a swarm says of itself; `None` when there is no such swarm.
pub type Standings<'a> = &'a dyn Fn(&[u8; 20]) -> Option<Standing>;

#[derive(Debug)]
struct Client {
    tiers: Tiers,
    /// When it is to be looked at again: its place in the agenda.
    look: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedFor {
    Address,
    Announce,
    Counts,
    Farewell,
}

/// What one answer to an announce says.
#[derive(Debug)]
struct Announced {
    told: Told,
    peers: Vec<SocketAddr>,
    /// Our address as the tracker sees it.
    seen: Option<IpAddr>,
    /// Where the answer came from, when we know.
    tracker_ip: Option<IpAddr>,
}

/// All trackers of all torrents.
#[derive(Debug)]
pub struct Trackers {
    clients: Map<[u8; 20], Client>,
    /// Torrents by when they are to be looked at.
    agenda: Set<(Time, [u8; 20])>,
    wake: Option<Time>,
    asks: Map<Ticket, (Asker, AskedFor)>,
    udp: UdpTrackers,
    udp_wake: Option<Time>,
    tickets: u64,
    tracker_ids: u32,
    /// The same for all trackers, so that they can tell that the address of a peer has changed. BEP 7.
    key: u32,
    announce_to_all: bool,
}

impl Trackers {
    /// The tickets of questions that this part puts to the host carry this in their top byte.
    pub const TICKETS: u8 = 0x71;

    /// No torrent yet. `announce_to_all`: every tracker of every tier is told, where BEP 12 asks the next one only when those before it fail.
    pub fn new(announce_to_all: bool, dice: &mut Dice) -> Self {
        Self {
            clients: Map::new(),
            agenda: Set::new(),
            wake: None,
            asks: Map::new(),
            udp: UdpTrackers::new(),
            udp_wake: None,
            tickets: 0,
            tracker_ids: 0,
            key: u32::from_be_bytes(dice.bytes()),
            announce_to_all,
        }
    }

    /// Whether the answer to `ticket` is for this part.
    pub fn owns(ticket: Ticket) -> bool {
        ticket.0 >> 56 == u64::from(Self::TICKETS)
    }

    /// Begins to announce a torrent, at once; for one that is known adds tiers. What of the URLs is of no use is noted.
    #[expect(clippy::too_many_arguments, reason = "what is asked, and the world")]
    pub fn add(
        &mut self,
        swarm: [u8; 20],
        tiers: &[Vec<String>],
        private: bool,
        standings: Standings<'_>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) {
        if !self.clients.contains_key(&swarm) {
            if self.clients.len() >= SWARMS_MAX {
                out.note(Level::Warn, "trackers_full", None, format!("more than {SWARMS_MAX} torrents"));
                return;
            }
            self.clients.insert(swarm, Client { tiers: Tiers::new(private, self.announce_to_all), look: None });
        }
        if let Some(client) = self.clients.get_mut(&swarm) {
            if private {
                client.tiers.become_private();
            }
            for why in client.tiers.add(tiers, &mut self.tracker_ids, now, dice) {
                out.note(Level::Warn, "tracker_refused", None, why);
            }
        }
        self.run(swarm, standings, now, dice, out);
    }

    /// Ends a torrent: whoever believes us to be there is told that we leave, as well as that goes.
    pub fn remove(&mut self, swarm: [u8; 20], standing: &Standing, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        let Some(client) = self.clients.remove(&swarm) else { return };
        if let Some(at) = client.look {
            self.agenda.remove(&(at, swarm));
        }
        for tracker in client.tiers.started() {
            let asker = Asker { swarm, tracker: tracker.id };
            let announce = announce_of(&swarm, standing, TrackerEvent::Stopped, self.key);
            match &tracker.reach.place {
                Place::Http => {
                    let url = announce_url(tracker, &announce, standing);
                    self.ask(asker, AskedFor::Farewell, Ask::Http(get(url, STOP_DEADLINE)), out);
                }
                Place::Udp { path, .. } => {
                    for to in tracker.resolved.iter().flat_map(|(addresses, _)| addresses) {
                        let question = Question::Farewell(Box::new(TrackerAnnounce { url_path: path.clone(), ..announce.clone() }));
                        // Best effort: nobody waits for the outcome.
                        let _ = self.udp.ask(to.clone(), asker, question, STOP_DEADLINE, &|_| None, now, dice, out);
                    }
                }
            }
        }
        self.wake_for_datagrams(out);
    }

    /// The torrent has become complete: its trackers are told at once. Not for one that was complete from the start.
    pub fn complete(&mut self, swarm: [u8; 20], standings: Standings<'_>, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        if let Some(client) = self.clients.get_mut(&swarm) {
            client.tiers.complete(now);
        }
        self.run(swarm, standings, now, dice, out);
    }

    /// The swarm is short of peers: announces again as early as its trackers allow.
    pub fn hurry(&mut self, swarm: [u8; 20], standings: Standings<'_>, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        if let Some(client) = self.clients.get_mut(&swarm) {
            client.tiers.hurry(now);
        }
        self.run(swarm, standings, now, dice, out);
    }

    /// Asks the working tracker of a torrent for counts, unless it was asked lately.
    pub fn scrape(&mut self, swarm: [u8; 20], now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        let Some(client) = self.clients.get_mut(&swarm) else { return };
        let Some(id) = client.tiers.working().map(|tracker| tracker.id) else { return };
        let Some(tracker) = client.tiers.get_mut(id) else { return };
        if tracker.scraped.is_some_and(|at| now.since(at) < SCRAPE_INTERVAL) {
            return;
        }
        tracker.scraped = Some(now);
        let asker = Asker { swarm, tracker: id };
        match &tracker.reach.place {
            Place::Http => {
                if let Some(url) = http_tracker::scrape_url(&tracker.url, &[swarm]) {
                    self.ask(asker, AskedFor::Counts, Ask::Http(get(url, HTTP_DEADLINE)), out);
                }
            }
            Place::Udp { .. } => {
                if let Some(to) = tracker.resolved.as_ref().and_then(|(addresses, _)| addresses.first().cloned()) {
                    let _ = self.udp.ask(to, asker, Question::Scrape, HTTP_DEADLINE, &|_| None, now, dice, out);
                    self.wake_for_datagrams(out);
                }
            }
        }
    }

    /// How the trackers of a torrent stand, in order.
    pub fn status(&self, swarm: &[u8; 20]) -> Vec<TrackerStatus> {
        self.clients.get(swarm).map(|client| client.tiers.status()).unwrap_or_default()
    }

    /// Seeds and leechers, as the tracker that answered last said.
    pub fn counts(&self, swarm: &[u8; 20]) -> (Option<u32>, Option<u32>) {
        let working = self.clients.get(swarm).and_then(|client| client.tiers.working());
        working.map_or((None, None), |tracker| (tracker.seeds(), tracker.leechers()))
    }

    /// A wake that was asked for has come.
    pub fn on_timer(
        &mut self,
        timer: TrackersTimer,
        standings: Standings<'_>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) -> Vec<([u8; 20], TrackerNews)> {
        let mut events = Vec::new();
        match timer {
            TrackersTimer::Announces => {
                while self.agenda.first().is_some_and(|(at, _)| *at <= now)
                    && let Some((_, swarm)) = self.agenda.pop_first()
                {
                    let Some(client) = self.clients.get_mut(&swarm) else { continue };
                    client.look = None;
                    for id in client.tiers.overdue(now) {
                        self.failed(Asker { swarm, tracker: id }, "no answer".into(), None, now, out);
                    }
                    self.run(swarm, standings, now, dice, out);
                }
                if self.wake.is_some_and(|at| at <= now) {
                    self.wake = None;
                }
                self.wake_for_announces(out);
            }
            TrackersTimer::Datagrams => {
                if self.udp_wake.is_some_and(|at| at <= now) {
                    self.udp_wake = None;
                }
                let Self { udp, clients, key, .. } = self;
                let outcomes = udp.pass(&saying(clients, *key, standings), now, dice, out);
                self.take_outcomes(outcomes, standings, now, dice, out, &mut events);
            }
        }
        events
    }

    /// A tracker datagram came. One that answers nothing we asked at that address is noted and dropped.
    pub fn on_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &TrackerDatagram,
        standings: Standings<'_>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) -> Vec<([u8; 20], TrackerNews)> {
        let mut events = Vec::new();
        let Self { udp, clients, key, .. } = self;
        let heard = udp.heard(from, datagram, &saying(clients, *key, standings), now, dice, out);
        match heard {
            Some(outcomes) => self.take_outcomes(outcomes, standings, now, dice, out, &mut events),
            None => out.note(Level::Debug, "tracker_datagram_unasked", Some(Endpoint::Ip(from)), ""),
        }
        events
    }

    /// The host has answered a question of ours (see [`Self::owns`]).
    pub fn on_answer(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        standings: Standings<'_>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) -> Vec<([u8; 20], TrackerNews)> {
        let mut events = Vec::new();
        let Some((asker, what)) = self.asks.remove(&ticket) else { return events };
        match (what, answer) {
            (AskedFor::Address, Answer::Resolved(addresses)) => self.on_resolved(asker, &addresses, standings, now, dice, out),
            (AskedFor::Address, Answer::Failed(AskFailure::Forbidden(_))) => self.on_name_kept(asker, standings, now, dice, out),
            (AskedFor::Announce, Answer::Http(response)) => match read_announce(response.status, &response.body) {
                Ok(announced) => self.on_announced(asker, announced, standings, now, out, &mut events),
                Err((why, retry_in)) => self.failed(asker, why, retry_in, now, out),
            },
            (AskedFor::Counts, Answer::Http(response)) => {
                if let (200, Payload::Bytes(body)) = (response.status, &response.body)
                    && let Ok(files) = http_tracker::read_scrape(body)
                    && let Some((_, counts)) = files.iter().find(|(hash, _)| *hash == asker.swarm)
                    && let Some(client) = self.clients.get_mut(&asker.swarm)
                {
                    client.tiers.counted(asker.tracker, counts.seeders, counts.leechers, counts.completed);
                }
            }
            (AskedFor::Farewell | AskedFor::Counts, _) => {}
            (_, Answer::Failed(failure)) => self.failed(asker, shortened(&failure.to_string()), None, now, out),
            _ => self.failed(asker, "the host answered something else".into(), None, now, out),
        }
        self.run(asker.swarm, standings, now, dice, out);
        events
    }
}

impl Trackers {
    /// Asks whoever is due, and sees to it that we are woken for the next.
    fn run(&mut self, swarm: [u8; 20], standings: Standings<'_>, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        // Each turn asks or fails a tracker that was due, and a failed one is not due again at once: the loop ends.
        while let Some(client) = self.clients.get_mut(&swarm).filter(|client| client.tiers.next_look().is_some_and(|at| at <= now))
            && let Some(standing) = standings(&swarm)
        {
            let due = client.tiers.due(now);
            if due.is_empty() {
                break;
            }
            for (id, event) in due {
                self.ask_tracker(Asker { swarm, tracker: id }, event, &standing, standings, now, dice, out);
            }
        }
        self.wake_for_datagrams(out);
        let Some(client) = self.clients.get_mut(&swarm) else { return };
        // A time that has passed means that nobody can say how the swarm stands; looking again at once would not help.
        let look = client.tiers.next_look().map(|at| at.max(now + Span::from_secs(1)));
        if look != client.look {
            if let Some(before) = std::mem::replace(&mut client.look, look) {
                self.agenda.remove(&(before, swarm));
            }
            self.agenda.extend(look.map(|at| (at, swarm)));
            self.wake_for_announces(out);
        }
    }

    fn wake_for_announces(&mut self, out: &mut Outbox<Node>) {
        if let Some(&(at, _)) = self.agenda.first()
            && self.wake.is_none_or(|wake| at < wake)
        {
            self.wake = Some(at);
            out.wake(at, Timer::Trackers(TrackersTimer::Announces));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what is asked, and the world")]
    fn ask_tracker(
        &mut self,
        asker: Asker,
        event: TrackerEvent,
        standing: &Standing,
        standings: Standings<'_>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) {
        let Some(tracker) = self.clients.get(&asker.swarm).and_then(|client| client.tiers.get(asker.tracker)) else { return };
        match &tracker.reach.place {
            Place::Http => {
                let url = announce_url(tracker, &announce_of(&asker.swarm, standing, event, self.key), standing);
                self.ask(asker, AskedFor::Announce, Ask::Http(get(url, HTTP_DEADLINE)), out);
            }
            Place::Udp { name, .. } => {
                let literal = name.host.parse::<IpAddr>().ok().map(|ip| vec![Endpoint::Ip(SocketAddr::new(ip, name.port))]);
                let known = || tracker.resolved.as_ref().filter(|(_, until)| now < *until).map(|(addresses, _)| addresses.clone());
                match literal.or_else(known) {
                    Some(addresses) => self.ask_addresses(asker, addresses, standings, now, dice, out),
                    None => {
                        let name = name.clone();
                        self.ask(asker, AskedFor::Address, Ask::Resolve(name), out);
                    }
                }
            }
        }
    }

    fn ask_addresses(
        &mut self,
        asker: Asker,
        addresses: Vec<Endpoint>,
        standings: Standings<'_>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) {
        let Some(client) = self.clients.get_mut(&asker.swarm) else { return };
        client.tiers.asked(asker.tracker, u8::try_from(addresses.len()).unwrap_or(u8::MAX));
        if let Some(tracker) = client.tiers.get_mut(asker.tracker) {
            tracker.resolved = Some((addresses.clone(), now + RESOLVED_LIFE));
        }
        for to in addresses {
            let Self { udp, clients, key, .. } = self;
            let asked = udp.ask(to, asker, Question::Announce, HTTP_DEADLINE, &saying(clients, *key, standings), now, dice, out);
            if let Err(why) = asked {
                self.failed(asker, why, None, now, out);
            }
        }
    }

    fn on_resolved(&mut self, asker: Asker, ips: &[IpAddr], standings: Standings<'_>, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        let Some(standing) = standings(&asker.swarm) else { return };
        let Some(tracker) = self.awaited(asker) else { return };
        let Place::Udp { name, path } = &tracker.reach.place else { return };
        let (loopback, port) = (tracker.reach.loopback, name.port);
        // The author of a torrent may own a name that leads to this machine or into the user's own network: only a name of the local network may, and to
        // this machine only a URL that says so (libtorrent's `ssrf_mitigation`).
        let (inside, own) = (is_local_name(&name.host), loopback || path.starts_with("/announce"));
        let allowed = |ip: &&IpAddr| !is_local(**ip) || inside && (own || !ip.to_canonical().is_loopback());
        let of_family =
            |v4: bool| ips.iter().filter(allowed).find(|ip| ip.is_ipv4() == v4).map(|&ip| Endpoint::Ip(SocketAddr::new(ip, port)));
        // BEP 7: one announce for each address family we can be reached at.
        let v6_only = standing.listen.is_some_and(|listen| listen.is_ipv6() && !listen.ip().is_unspecified());
        let v4_only = standing.listen.is_some_and(|listen| listen.is_ipv4());
        let both = [of_family(true).filter(|_| !v6_only), of_family(false).filter(|_| !v4_only)];
        let addresses: Vec<Endpoint> = both.into_iter().flatten().collect();
        if addresses.is_empty() {
            self.failed(asker, "the name has no address that we can use".into(), None, now, out);
            return;
        }
        self.ask_addresses(asker, addresses, standings, now, dice, out);
    }

    /// No name is looked up here: whoever carries our datagrams takes it as it is.
    fn on_name_kept(&mut self, asker: Asker, standings: Standings<'_>, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        let Some(Place::Udp { name, .. }) = self.awaited(asker).map(|tracker| &tracker.reach.place) else { return };
        self.ask_addresses(asker, vec![Endpoint::Name(name.clone())], standings, now, dice, out);
    }

    /// The tracker, where an announce to it is under way.
    fn awaited(&self, asker: Asker) -> Option<&Tracker> {
        let tiers = &self.clients.get(&asker.swarm)?.tiers;
        tiers.under_way(asker.tracker).and_then(|_| tiers.get(asker.tracker))
    }

    fn take_outcomes(
        &mut self,
        outcomes: Vec<(Asker, Option<SocketAddr>, Outcome)>,
        standings: Standings<'_>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
        events: &mut Vec<([u8; 20], TrackerNews)>,
    ) {
        let mut swarms = Set::new();
        for (asker, from, outcome) in outcomes {
            match outcome {
                Outcome::Announced { interval_s, leechers, seeds, peers } => {
                    let interval = Some(Span::from_secs(u64::from(interval_s)));
                    let told = Told { interval, seeds: Some(seeds), leechers: Some(leechers), ..Told::default() };
                    let announced = Announced { told, peers, seen: None, tracker_ip: from.map(|from| from.ip()) };
                    self.on_announced(asker, announced, standings, now, out, events);
                }
                Outcome::Counted { seeds, completed, leechers } => {
                    if let Some(client) = self.clients.get_mut(&asker.swarm) {
                        client.tiers.counted(asker.tracker, seeds, leechers, completed);
                    }
                }
                Outcome::Failed { announce: true, why } => self.failed(asker, why, None, now, out),
                Outcome::Failed { announce: false, .. } => {}
            }
            swarms.insert(asker.swarm);
        }
        for swarm in swarms {
            self.run(swarm, standings, now, dice, out);
        }
        self.wake_for_datagrams(out);
    }

    fn on_announced(
        &mut self,
        asker: Asker,
        announced: Announced,
        standings: Standings<'_>,
        now: Time,
        out: &mut Outbox<Node>,
        events: &mut Vec<([u8; 20], TrackerNews)>,
    ) {
        let Announced { told, mut peers, seen, tracker_ip } = announced;
        let Some(client) = self.clients.get_mut(&asker.swarm) else { return };
        let Some(tracker) = client.tiers.get(asker.tracker) else { return };
        let neighbour = tracker.reach.neighbour || tracker_ip.is_some_and(is_local);
        let local = tracker.reach.loopback || tracker_ip.is_some_and(|ip| ip.to_canonical().is_loopback());
        if let Some(warning) = &told.warning {
            out.note(Level::Warn, "tracker_warning", None, format!("{}: {warning}", tracker.url));
        }
        let came = peers.len();
        let listen = standings(&asker.swarm).and_then(|standing| standing.listen);
        let mut known = Set::new();
        peers.retain(|&peer| peer_is_possible(peer, local, neighbour));
        if peers.len() < came {
            out.note(Level::Drop, "tracker_peers_undialable", None, format!("{}: {} of {came}", tracker.url, came - peers.len()));
        }
        let came = peers.len();
        peers.retain(|&peer| !is_ourselves(peer, listen, seen) && known.insert(peer));
        // One entry is usually ourselves; more that are of no use tell something about the tracker.
        if came > peers.len() + 1 || peers.len() > PEERS_MAX {
            let dropped = came - peers.len().min(PEERS_MAX);
            out.note(Level::Debug, "tracker_peers_dropped", None, format!("{}: {dropped} of {came}", tracker.url));
        }
        peers.truncate(PEERS_MAX);
        if client.tiers.succeeded(asker.tracker, told, now) {
            events.push((asker.swarm, TrackerNews::Switched));
        }
        if let Some(ip) = seen {
            events.push((asker.swarm, TrackerNews::Seen(ip)));
        }
        if !peers.is_empty() {
            events.push((asker.swarm, TrackerNews::Peers(peers)));
        }
    }

    fn failed(&mut self, asker: Asker, why: String, retry_in: Option<Span>, now: Time, out: &mut Outbox<Node>) {
        let Some(client) = self.clients.get_mut(&asker.swarm) else { return };
        let Some(url) = client.tiers.get(asker.tracker).map(|tracker| tracker.url.clone()) else { return };
        let note = format!("{url}: {why}");
        if client.tiers.failed(asker.tracker, why, retry_in, now) {
            out.note(Level::Info, "tracker_failed", None, note);
        }
    }

    fn ask(&mut self, asker: Asker, what: AskedFor, ask: Ask, out: &mut Outbox<Node>) {
        // Whoever is not asked for want of room is given up by its own deadline.
        if self.asks.len() >= ASKS_MAX {
            return;
        }
        self.tickets = (self.tickets + 1) & ((1 << 56) - 1);
        let ticket = Ticket(u64::from(Self::TICKETS) << 56 | self.tickets);
        self.asks.insert(ticket, (asker, what));
        out.push(hexad_core::Output::Ask(ticket, ask));
    }

    fn wake_for_datagrams(&mut self, out: &mut Outbox<Node>) {
        if let Some(at) = self.udp.next_look()
            && self.udp_wake.is_none_or(|wake| at < wake)
        {
            self.udp_wake = Some(at);
            out.wake(at, Timer::Trackers(TrackersTimer::Datagrams));
        }
    }
}

/// What is to be announced by datagram when it leaves.
fn saying(clients: &Map<[u8; 20], Client>, key: u32, standings: Standings<'_>) -> impl Fn(Asker) -> Option<TrackerAnnounce> {
    move |Asker { swarm, tracker }| {
        let tiers = &clients.get(&swarm)?.tiers;
        let event = tiers.under_way(tracker)?;
        let Place::Udp { path, .. } = &tiers.get(tracker)?.reach.place else { return None };
        Some(TrackerAnnounce { url_path: path.clone(), ..announce_of(&swarm, &standings(&swarm)?, event, key) })
    }
}

fn announce_of(swarm: &[u8; 20], standing: &Standing, event: TrackerEvent, key: u32) -> TrackerAnnounce {
    TrackerAnnounce {
        info_hash: *swarm,
        peer_id: standing.peer_id,
        downloaded: standing.downloaded,
        left: standing.left,
        uploaded: standing.uploaded,
        event,
        key,
        peers_wanted: Some(if event == TrackerEvent::Stopped { 0 } else { standing.peers_wanted }),
        // Trackers refuse port 0; nobody is expected at port 1.
        port: standing.listen.map_or(1, |listen| listen.port()),
        url_path: String::new(),
    }
}

/// What a question to the host looks like.
fn get(url: String, deadline: Span) -> Box<HttpRequest> {
    Box::new(HttpRequest { method: HttpMethod::Get, url, range: None, answer_bytes_max: ANSWER_BYTES_MAX, deadline })
}

/// Whether a peer may be dialled there. `local`: the tracker is on this machine, so its peers may be as well; `neighbour`: it is of our own site.
fn peer_is_possible(peer: SocketAddr, local: bool, neighbour: bool) -> bool {
    // A tracker elsewhere that names our own loopback would have us knock at our own services.
    may_be_dialled(peer, neighbour) && (local || !peer.ip().to_canonical().is_loopback())
}

/// Whether this is certainly where we listen ourselves.
fn is_ourselves(peer: SocketAddr, listen: Option<SocketAddr>, seen: Option<IpAddr>) -> bool {
    let Some(listen) = listen else { return false };
    let ip = peer.ip().to_canonical();
    let same = ip == listen.ip().to_canonical() || seen == Some(ip) || (listen.ip().is_unspecified() && ip.is_loopback());
    same && peer.port() == listen.port()
}

fn announce_url(tracker: &Tracker, announce: &TrackerAnnounce, standing: &Standing) -> String {
    http_tracker::announce_url(&tracker.url, announce, standing.obfuscation, tracker.tracker_id.as_deref())
}

/// Reads the answer to an announce.
///
/// # Errors
/// Why there is nothing in it for us, and what the tracker says about coming back.
fn read_announce(status: u16, body: &Payload) -> Result<Announced, (String, Option<Span>)> {
    let Payload::Bytes(body) = body else { return Err(("expected bytes".into(), None)) };
    let answer = match http_tracker::read_announce(body) {
        Ok(answer) => answer,
        Err(_) if status != 200 => return Err((format!("http status {status}"), None)),
        Err(malformed) => return Err((format!("not an answer of a tracker: {malformed}"), None)),
    };
    if let Some(reason) = answer.failure {
        return Err((shortened(&reason), answer.retry_in_s.map(Span::from_secs)));
    }
    if status != 200 {
        return Err((format!("http status {status}"), None));
    }
    if answer.interval_s.is_none() && answer.seeders.is_none() && answer.peers.is_empty() {
        return Err(("not an answer of a tracker: neither interval nor peers".into(), None));
    }
    let told = Told {
        interval: answer.interval_s.map(Span::from_secs),
        interval_min: answer.interval_min_s.map(Span::from_secs),
        tracker_id: answer.tracker_id,
        seeds: answer.seeders,
        leechers: answer.leechers,
        completed: answer.completed,
        warning: answer.warning.as_deref().map(shortened),
    };
    Ok(Announced { told, peers: answer.peers, seen: answer.external_ip, tracker_ip: None })
}

/// A tracker's words, as far as they may go into a log.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
