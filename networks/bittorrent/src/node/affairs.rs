//! All that goes on at a node: swarms by number, info hash, operation and lease, and how what is heard finds them.

use hexad_core::{Answer, ConnId, Dice, Endpoint, LeaseId, Level, Map, OpId, Ticket, Time, Via, Why};

use super::Timer;
use super::config::{Config, Encryption, Utp};
use super::dht::{Dht, DhtConfig};
use super::errands::Errand;
use super::home::{News, Place, Turn};
use super::joining::Joining;
use super::lsd::Lsd;
use super::operations::Search;
use super::swarm::{HANDSHAKE_DEADLINE, Names, Origin, Slot, Swarm, SwarmId};
use super::tracker_role::TrackerRole;
use super::trackers::{Standing, TrackerNews, Trackers, TrackersTimer};
use super::web_seeds::WebSeeds;
use crate::doors;
use crate::wire::{Accept, Message, Secrets};

/// How often accepted connections that say nothing are looked for.
const STRANGERS_LOOK: hexad_core::Span = hexad_core::Span::from_secs(1);

type Hash = [u8; 20];

/// Everything but what swarms share.
#[derive(Debug)]
pub(super) struct Affairs {
    pub(super) joining: Joining,
    pub(super) swarms: Map<SwarmId, Box<Swarm>>,
    pub(super) by_hash: Map<Hash, SwarmId>,
    swarms_made: SwarmId,
    pub(super) operations: Map<OpId, SwarmId>,
    pub(super) leases: Map<LeaseId, SwarmId>,
    pub(super) searches: Map<OpId, Search>,
    pub(super) errands: Map<OpId, Errand>,
    pub(super) trackers: Trackers,
    pub(super) dht: Option<Dht>,
    pub(super) lsd: Lsd,
    pub(super) web_seeds: WebSeeds,
    pub(super) tracker_role: Option<TrackerRole>,
    secrets: Secrets,
    watching_strangers: bool,
}

impl Affairs {
    pub(super) fn new(config: &Config, dice: &mut Dice) -> Self {
        Self {
            joining: Joining::new(),
            swarms: Map::new(),
            by_hash: Map::new(),
            swarms_made: 0,
            operations: Map::new(),
            leases: Map::new(),
            searches: Map::new(),
            errands: Map::new(),
            trackers: Trackers::new(false, dice),
            dht: config.dht.then(|| Dht::new(DhtConfig { one_per_site: config.dht_one_per_site, ..DhtConfig::default() }, dice)),
            lsd: Lsd::new(dice),
            web_seeds: WebSeeds::new(),
            tracker_role: config.tracker.clone().map(|tracker| TrackerRole::new(tracker, dice)),
            secrets: Secrets::new(accept(config), []),
            watching_strangers: false,
        }
    }

    pub(super) fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// The swarm that goes by one of these info hashes; makes it.
    pub(super) fn swarm_of(&mut self, names: &Names, t: &mut Turn<'_, '_>) -> Result<SwarmId, hexad_core::Failure> {
        if let Some(&id) = names.shorts().find_map(|hash| self.by_hash.get(&hash)) {
            if let Some(swarm) = self.swarms.get_mut(&id) {
                swarm.learn(names);
            }
            self.list_names(id);
            return Ok(id);
        }
        if self.swarms.len() >= t.home.config.swarms_max {
            return Err(hexad_core::Failure::Full("torrents"));
        }
        self.swarms_made += 1;
        let id = self.swarms_made;
        self.swarms.insert(id, Box::new(Swarm::new(id, *names, t)));
        self.list_names(id);
        Ok(id)
    }

    /// Makes a swarm known by all its names that no other swarm has.
    fn list_names(&mut self, id: SwarmId) {
        let Some(swarm) = self.swarms.get(&id) else { return };
        for hash in swarm.hashes() {
            if let std::collections::btree_map::Entry::Vacant(vacant) = self.by_hash.entry(hash) {
                vacant.insert(id);
                self.secrets.add(hash);
            }
        }
    }

    /// The names that a swarm is known by: two of a hybrid.
    pub(super) fn hashes_of(&self, id: SwarmId) -> Vec<Hash> {
        let hashes = self.swarms.get(&id).map(|swarm| swarm.hashes()).unwrap_or_default();
        hashes.into_iter().filter(|hash| self.by_hash.get(hash) == Some(&id)).collect()
    }

    /// Ends a swarm that nobody wants any more.
    pub(super) fn drop_if_idle(&mut self, id: SwarmId, t: &mut Turn<'_, '_>) {
        if self.swarms.get(&id).is_some_and(|swarm| swarm.is_idle()) {
            self.remove_swarm(id, t);
        }
    }

    pub(super) fn remove_swarm(&mut self, id: SwarmId, t: &mut Turn<'_, '_>) {
        let hashes = self.hashes_of(id);
        let Some(mut swarm) = self.swarms.remove(&id) else { return };
        let standing = swarm.standing(t.home.listen, t.home.config.encryption);
        swarm.leave(t);
        self.leases.retain(|_, swarm| *swarm != id);
        for hash in hashes {
            self.by_hash.remove(&hash);
            self.secrets.remove(hash);
            self.forget_beside(&hash);
            self.trackers.remove(hash, &standing, t.cx.now, t.cx.dice, t.out);
        }
    }

    /// Tells trackers, and whoever else helps to find peers, of a swarm.
    pub(super) fn announce(&mut self, id: SwarmId, t: &mut Turn<'_, '_>) {
        if !self.joining.is_joined() {
            return;
        }
        let Some(swarm) = self.swarms.get(&id) else { return };
        let (private, tiers) = (swarm.is_private(), swarm.tiers());
        if !tiers.is_empty() {
            let hashes = self.hashes_of(id);
            let Self { trackers, swarms, by_hash, .. } = self;
            let standings = standings(swarms, by_hash, t);
            for hash in hashes {
                trackers.add(hash, &tiers, private, &standings, t.cx.now, t.cx.dice, t.out);
            }
        }
        self.announce_beside(id, t);
    }

    pub(super) fn on_joined(&mut self, t: &mut Turn<'_, '_>) {
        t.home.listen = self.joining.address();
        if let Some(role) = &self.tracker_role {
            role.start(t.cx.now, t.out);
        }
        self.start_finding(t);
        let ids: Vec<SwarmId> = self.swarms.keys().copied().collect();
        for id in ids {
            self.announce(id, t);
        }
    }

    /// A connection was opened, by us or to us.
    pub(super) fn on_opened(&mut self, conn: ConnId, peer: Endpoint, via: Via, t: &mut Turn<'_, '_>) {
        let Via::Accepted(door) = via else {
            if let Some(Place::Dialling(id)) = t.home.places.get(&conn)
                && let Some(swarm) = self.swarms.get_mut(id)
            {
                swarm.on_opened(conn, peer, t);
            }
            return;
        };
        if door == doors::DATAGRAMS && t.home.config.utp == Utp::Off {
            return t.close(conn, "utp_off");
        }
        if peer.ip().is_some_and(|ip| t.home.bans.blocks(ip)) {
            t.drop_note("address_blocked", &peer);
            return t.close(conn, "address_blocked");
        }
        if peer.socket().is_some_and(|socket| t.home.bans.has(socket)) {
            t.drop_note("peer_banned", &peer);
            return t.close(conn, "peer_banned");
        }
        // Places for those who say whom they want are kept by letting the longest silent one go.
        if !t.home.has_room() {
            let strangers = t.home.places.iter().filter_map(|(conn, place)| match place {
                Place::Stranger { since, .. } => Some((*since, *conn)),
                _ => None,
            });
            let Some((_, silent)) = strangers.min() else { return t.close(conn, "node_full") };
            t.close(silent, "made_room");
        }
        t.home.places.insert(conn, Place::Stranger { since: t.cx.now, peer, utp: door == doors::DATAGRAMS });
        if !std::mem::replace(&mut self.watching_strangers, true) {
            t.out.wake(t.cx.now + STRANGERS_LOOK, Timer::Strangers);
        }
    }

    pub(super) fn on_closed(&mut self, conn: ConnId, why: &Why, t: &mut Turn<'_, '_>) {
        match t.home.places.get(&conn) {
            Some(&Place::Dialling(id)) => {
                if let Some(swarm) = self.swarms.get_mut(&id) {
                    swarm.on_dial_closed(conn, why, t);
                }
            }
            Some(&Place::Peer(id, slot)) => {
                if let Some(swarm) = self.swarms.get_mut(&id) {
                    swarm.on_closed(slot, why, t);
                }
            }
            Some(Place::Stranger { peer, .. }) => {
                let peer = peer.clone();
                if let Why::Malformed(reason) = why {
                    t.out.note(Level::Drop, "malformed", Some(peer), reason.clone());
                }
                t.home.places.remove(&conn);
            }
            None => {}
        }
    }

    pub(super) fn on_message(&mut self, conn: ConnId, message: Message, t: &mut Turn<'_, '_>) {
        match t.home.places.get(&conn) {
            Some(&Place::Peer(id, slot)) => {
                if let Some(swarm) = self.swarms.get_mut(&id) {
                    swarm.hears(slot, message, t);
                }
            }
            Some(&Place::Dialling(id)) => {
                let Some(swarm) = self.swarms.get_mut(&id) else { return };
                match message {
                    Message::Handshake(handshake) => swarm.on_handshake(conn, &handshake, t),
                    _ => swarm.on_no_handshake(conn, t),
                }
            }
            Some(Place::Stranger { peer, utp, .. }) => {
                let (peer, utp) = (peer.clone(), *utp);
                self.on_stranger(conn, peer, utp, &message, t);
            }
            None => {}
        }
    }

    /// The first message of an accepted connection.
    fn on_stranger(&mut self, conn: ConnId, peer: Endpoint, utp: bool, message: &Message, t: &mut Turn<'_, '_>) {
        let Message::Handshake(handshake) = message else {
            t.drop_note("handshake_missing", &peer);
            return t.close(conn, "handshake_missing");
        };
        let swarm = self.by_hash.get(&handshake.info_hash).and_then(|id| self.swarms.get_mut(id));
        let Some(swarm) = swarm else {
            t.drop_note("torrent_unknown", &peer);
            return t.close(conn, "torrent_unknown");
        };
        swarm.welcome(conn, peer, None, utp, handshake, t);
    }

    fn look_at_strangers(&mut self, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        let mut left = false;
        let mut late = Vec::new();
        for (&conn, place) in &t.home.places {
            if let Place::Stranger { since, peer, .. } = place {
                left = true;
                if now.since(*since) >= HANDSHAKE_DEADLINE {
                    late.push((conn, peer.clone()));
                }
            }
        }
        for (conn, peer) in late {
            t.drop_note("handshake_late", &peer);
            t.close(conn, "handshake_late");
        }
        self.watching_strangers = left;
        if left {
            t.out.wake(now + STRANGERS_LOOK, Timer::Strangers);
        }
    }

    /// Passes what concerns one connected peer on to its swarm.
    pub(super) fn with_peer(&mut self, conn: ConnId, t: &mut Turn<'_, '_>, act: impl FnOnce(&mut Swarm, Slot, &mut Turn<'_, '_>)) {
        if let Some(&Place::Peer(id, slot)) = t.home.places.get(&conn)
            && let Some(swarm) = self.swarms.get_mut(&id)
        {
            act(swarm, slot, t);
        }
    }

    /// Passes what concerns a lease on to its swarm.
    pub(super) fn with_lease(&mut self, lease: LeaseId, t: &mut Turn<'_, '_>, act: impl FnOnce(&mut Swarm, &mut Turn<'_, '_>)) {
        if let Some(swarm) = self.leases.get(&lease).and_then(|id| self.swarms.get_mut(id)) {
            act(swarm, t);
        }
    }

    pub(super) fn on_datagram(&mut self, door: hexad_core::Door, from: &Endpoint, message: &Message, t: &mut Turn<'_, '_>) {
        let Some(from) = from.socket() else { return };
        match (door, message) {
            (doors::TRACKER, Message::Tracker(datagram)) => {
                if let Some(role) = &mut self.tracker_role {
                    role.on_datagram(from, datagram, t.cx.now, t.cx.dice, t.out);
                }
            }
            (doors::DATAGRAMS, Message::Tracker(datagram)) => {
                let Self { trackers, swarms, by_hash, .. } = &mut *self;
                let news = {
                    let standings = standings(swarms, by_hash, t);
                    trackers.on_datagram(from, datagram, &standings, t.cx.now, t.cx.dice, t.out)
                };
                self.on_tracker_news(news, t);
            }
            (doors::DATAGRAMS, Message::Krpc(_)) if t.home.bans.blocks(from.ip()) => t.drop_note("address_blocked", &Endpoint::Ip(from)),
            (doors::DATAGRAMS, Message::Krpc(krpc)) => self.on_krpc(from, krpc, t),
            (doors::LSD_V4 | doors::LSD_V6, message) => self.on_multicast(door, Some(from), message, t),
            _ => t.out.note(Level::Drop, "datagram_unexpected", Some(Endpoint::Ip(from)), ""),
        }
    }

    pub(super) fn on_answer(&mut self, ticket: Ticket, answer: Answer, t: &mut Turn<'_, '_>) {
        if Trackers::owns(ticket) {
            let Self { trackers, swarms, by_hash, .. } = &mut *self;
            let news = {
                let standings = standings(swarms, by_hash, t);
                trackers.on_answer(ticket, answer, &standings, t.cx.now, t.cx.dice, t.out)
            };
            self.on_tracker_news(news, t);
        } else {
            self.on_answer_beside(ticket, answer, t);
        }
    }

    pub(super) fn on_timer(&mut self, timer: Timer, t: &mut Turn<'_, '_>) {
        match timer {
            Timer::Swarm(id) => {
                if let Some(swarm) = self.swarms.get_mut(&id) {
                    swarm.beat(t);
                }
            }
            Timer::Strangers => self.look_at_strangers(t),
            Timer::Search(op) => self.end_search(op, t),
            Timer::Trackers(timer) => self.on_trackers_timer(timer, t),
            Timer::TrackerSweep => {
                if let Some(role) = &mut self.tracker_role {
                    role.on_timer(t.cx.now, t.out);
                }
            }
            Timer::Keeping(op) => self.on_keeping_timer(op, t),
            Timer::Dht(timer) => self.on_dht_timer(timer, t),
            Timer::Lsd => self.on_lsd_timer(t),
            Timer::WebSeed(hash) => self.on_web_seed_timer(hash, t),
        }
    }

    fn on_trackers_timer(&mut self, timer: TrackersTimer, t: &mut Turn<'_, '_>) {
        let Self { trackers, swarms, by_hash, .. } = &mut *self;
        let news = {
            let standings = standings(swarms, by_hash, t);
            trackers.on_timer(timer, &standings, t.cx.now, t.cx.dice, t.out)
        };
        self.on_tracker_news(news, t);
    }

    fn on_tracker_news(&mut self, news: Vec<(Hash, TrackerNews)>, t: &mut Turn<'_, '_>) {
        for (hash, news) in news {
            let Some(swarm) = self.by_hash.get(&hash).and_then(|id| self.swarms.get_mut(id)) else { continue };
            match news {
                TrackerNews::Peers(peers) => {
                    let v2 = swarm.is_v2(&hash);
                    swarm.add_peers_of(v2, peers.into_iter().map(|peer| (Endpoint::Ip(peer), false)), Origin::Tracker, t);
                }
                TrackerNews::Switched => swarm.forget_tracker_peers(t),
                TrackerNews::Seen(_) => {}
            }
        }
    }

    /// What swarms have told while they were at work.
    pub(super) fn take_news(&mut self, t: &mut Turn<'_, '_>) {
        while let Some(news) = t.home.news.pop() {
            match news {
                News::Described(hash) => {
                    if let Some(&id) = self.by_hash.get(&hash) {
                        self.list_names(id);
                        self.announce(id, t);
                    }
                }
                News::Complete(hash) => {
                    let Some(&id) = self.by_hash.get(&hash) else { continue };
                    for hash in self.hashes_of(id) {
                        self.tell_trackers(hash, Trackers::complete, t);
                    }
                    self.announce_beside(id, t);
                }
                News::Hungry(hash) => {
                    let Some(&id) = self.by_hash.get(&hash) else { continue };
                    for hash in self.hashes_of(id) {
                        self.tell_trackers(hash, Trackers::hurry, t);
                        self.hurry_beside(hash, t);
                    }
                }
                News::Leased(hash) => self.feed_web_seeds(hash, t),
                News::DhtNode(address) => self.on_dht_node(address, t),
                News::FetchOver(hash) => {
                    if let Some(&id) = self.by_hash.get(&hash) {
                        let over = self.swarms.get(&id).and_then(|swarm| swarm.fetch()).filter(|fetch| fetch.done).map(|fetch| fetch.op);
                        if let Some(op) = over {
                            self.operations.remove(&op);
                        }
                        self.drop_if_idle(id, t);
                    }
                }
            }
        }
    }

    fn tell_trackers(
        &mut self,
        hash: Hash,
        tell: impl FnOnce(&mut Trackers, Hash, super::trackers::Standings<'_>, Time, &mut Dice, &mut hexad_core::Outbox<super::Node>),
        t: &mut Turn<'_, '_>,
    ) {
        let Self { trackers, swarms, by_hash, .. } = self;
        let standings = standings(swarms, by_hash, t);
        tell(trackers, hash, &standings, t.cx.now, t.cx.dice, t.out);
    }
}

/// Which connections are let in.
const fn accept(config: &Config) -> Accept {
    match config.encryption {
        Encryption::Off => Accept::PlainOnly,
        Encryption::Preferred => Accept::Both,
        Encryption::Required => Accept::Rc4Only,
    }
}

/// What swarms say of themselves to trackers.
fn standings<'a>(
    swarms: &'a Map<SwarmId, Box<Swarm>>,
    by_hash: &'a Map<Hash, SwarmId>,
    t: &Turn<'_, '_>,
) -> impl Fn(&Hash) -> Option<Standing> + use<'a> {
    let (listen, encryption) = (t.home.listen, t.home.config.encryption);
    move |hash| by_hash.get(hash).and_then(|id| swarms.get(id)).map(|swarm| swarm.standing(listen, encryption))
}
