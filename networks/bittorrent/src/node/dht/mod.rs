//! The distributed hash table. BEP 5, 32, 33, 42, 43, 44, 51.
//!
//! Remembers per address family a routing table ([`table`]) and what others say of our address ([`votes`]); for both, what we have asked
//! ([`queries`]) and are looking up ([`jobs`]), what we announce ([`announces`]), what others have announced to us ([`store`]) and had us store ([`items`]),
//! and where to begin ([`bootstrap`]). The owner hands in datagrams, wakes and answers of the host, and acts on the [`DhtNews`] that come back.

mod announces;
mod answers;
mod asking;
mod bootstrap;
mod contacts;
mod flood;
mod hosts;
mod id;
mod items;
mod jobs;
mod lookups;
mod named;
mod queries;
mod quests;
mod resting;
mod state;
mod store;
mod table;
mod tokens;
mod votes;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use hexad_core::{
    Answer, Ask, AskFailure, BoundedQueue, Dice, Endpoint, Full, Level, Link, Map, Name, Outbox, Output, Payload, Set, Span, Ticket, Time,
};

use self::announces::Announces;
use self::bootstrap::Bootstrap;
use self::flood::Flood;
use self::id::NodeId;
pub(super) use self::id::is_local;
use self::items::Items;
use self::jobs::{Goal, Jobs};
use self::named::Named;
use self::queries::Queries;
use self::quests::Quest;
pub(super) use self::quests::{Census, Keeping, Walk};
pub use self::quests::{ItemName, StoredItem};
use self::state::{NODES_MAX, State};
use self::store::Store;
use self::table::{K, Table};
use self::tokens::Tokens;
use self::votes::Votes;
use super::hearsay::is_possible;
use super::{Node, Timer};
use crate::doors;
use crate::wire::{Krpc, KrpcBody};

/// How we sign: client and version, as BEP 5 suggests.
const VERSION: &[u8] = b"HX\x00\x01";
/// Where the state is stored.
const BUCKET: &str = "dht";
const STATE_KEY: &[u8] = b"state";
/// How often the state is stored.
const SAVE_INTERVAL: Span = Span::from_secs(15 * 60);
/// The stored state is waited for no longer than this.
const LOAD_WAIT: Span = Span::from_secs(1);
/// While a table holds fewer than eight nodes our neighbourhood is looked at this often.
const SPARSE_INTERVAL: Span = Span::from_secs(60);
/// Searches that wait for room.
const SEARCHES_MAX: usize = 64;
/// A search that finds nobody to ask waits this long for somebody to appear.
const SEARCH_WAIT: Span = Span::from_secs(10);
/// Buckets that wait to be refreshed.
const REFRESHES_WAITING_MAX: usize = 320;
/// Questions to the host under way.
const ASKS_MAX: usize = 256;
/// Peers taken from one answer.
const ANSWER_PEERS_MAX: usize = 100;

/// Bounds and switches of the DHT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhtConfig {
    /// Answer nobody, and say so (BEP 43).
    pub read_only: bool,
    /// Of each /24 (IPv6: /64) of public addresses a bucket, a lookup and a vote take one node only. Off where the whole network is one site.
    pub one_per_site: bool,
    /// Torrents of others that are kept.
    pub torrents_max: usize,
    /// Peers that are kept for each.
    pub torrent_peers_max: usize,
    /// Values of others that are kept (BEP 44), of a kilobyte each at most.
    pub items_max: usize,
}

impl Default for DhtConfig {
    fn default() -> Self {
        Self { read_only: false, one_per_site: true, torrents_max: 2000, torrent_peers_max: 500, items_max: 700 }
    }
}

/// What the DHT wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DhtTimer {
    /// Something is due: a question has waited too long, an announce or a refresh begins.
    Due,
}

/// What comes of the DHT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhtNews {
    /// These peers are in the swarm of a torrent that we announce. May come many times, and name ourselves.
    Peers([u8; 20], Vec<SocketAddr>),
    /// We know our neighbours. Comes once.
    Bootstrapped,
    /// A one-shot lookup is over: the key it was asked under, and all peers found.
    LookupOver(u64, Vec<SocketAddr>),
    /// A stored value was looked up: the key it was asked under, and the newest that was found.
    Item(u64, Option<StoredItem>),
    /// Who is in a swarm, as nodes have told: the key it was asked under.
    Scraped(u64, Box<Census>),
    /// Torrents that nodes on the way to some place know: the key it was asked under.
    Sampled(u64, Box<Walk>),
    /// A value was to be stored: the key it was asked under, and how many nodes were told to.
    Stored(u64, usize),
    /// Our own address, as many independent nodes see it.
    Seen(IpAddr),
}

/// What is remembered of one address family.
#[derive(Debug)]
struct Side {
    table: Table,
    votes: Votes,
    /// Somebody has answered in this run.
    answered: bool,
    /// When our neighbourhood was last looked at.
    joined: Option<Time>,
}

impl Side {
    /// Whether there is somebody in the table, and not only by what was stored.
    fn is_live(&self) -> bool {
        self.answered && self.table.len() > 0
    }
}

#[derive(Clone, Debug)]
enum AskedFor {
    State,
    /// The addresses of a name.
    Router(Name),
    Nothing,
}

#[derive(Debug)]
struct Search {
    key: u64,
    target: [u8; 20],
    until: Time,
    /// What is wanted beside peers.
    quest: Option<Box<Quest>>,
}

/// Our place in the DHT.
#[derive(Debug)]
pub struct Dht {
    config: DhtConfig,
    /// Our address and port, where the socket is bound; `None` until [`Self::start`] and after [`Self::stop`].
    bound: Option<SocketAddr>,
    /// IPv4, IPv6; `None` where the socket cannot go.
    sides: [Option<Side>; 2],
    ids: [NodeId; 2],
    queries: Queries,
    jobs: Jobs,
    announces: Announces,
    searches: BoundedQueue<Search>,
    /// Targets, and their family.
    refreshes: BoundedQueue<(usize, NodeId)>,
    bootstrap: Bootstrap,
    loaded: bool,
    bootstrapped: bool,
    store: Store,
    items: Items,
    tokens: Tokens,
    flood: Flood,
    asks: Map<Ticket, AskedFor>,
    named: Named,
    tickets: u64,
    save_due: Option<Time>,
    wake: Option<Time>,
}

/// Which side of [`Dht::sides`] an address is on.
fn family(ip: IpAddr) -> usize {
    usize::from(ip.to_canonical().is_ipv6())
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether `address`, named by a node at `by`, may be asked or dialled. A node elsewhere that names addresses of our own site would have us knock at our own
/// services.
fn is_plausible(address: SocketAddr, by: SocketAddr) -> bool {
    is_possible(address) && (is_local(by.ip()) || !is_local(address.ip()))
}

impl Dht {
    /// The tickets of questions that this part puts to the host carry this in their top byte.
    pub const TICKETS: u8 = 0x72;

    /// A DHT that takes part in nothing until it is started.
    pub fn new(config: DhtConfig, dice: &mut Dice) -> Self {
        let store = Store::new(config.torrents_max, config.torrent_peers_max);
        let items = Items::new(config.items_max);
        Self {
            config,
            bound: None,
            sides: [None, None],
            ids: [NodeId::random(dice), NodeId::random(dice)],
            queries: Queries::new(),
            jobs: Jobs::new(),
            announces: Announces::new(),
            searches: BoundedQueue::new(SEARCHES_MAX),
            refreshes: BoundedQueue::new(REFRESHES_WAITING_MAX),
            bootstrap: Bootstrap::new(),
            loaded: false,
            bootstrapped: false,
            store,
            items,
            tokens: Tokens::new(dice),
            flood: Flood::new(),
            asks: Map::new(),
            named: Named::new(),
            tickets: 0,
            save_due: None,
            wake: None,
        }
    }

    /// Whether the answer to `ticket` is for this part.
    pub fn owns(ticket: Ticket) -> bool {
        ticket.0 >> 56 == u64::from(Self::TICKETS)
    }

    /// Begins to take part, once the datagram door is bound at `bound`: IPv4 only, IPv6 only, or both when it is an unspecified address, which hosts open for both.
    /// When it takes part already, adds places to begin at. Nodes of the last run are asked as well.
    pub fn start(&mut self, bound: SocketAddr, bootstrap: &[Endpoint], now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        self.bootstrap.add(bootstrap);
        if self.bound.is_none() {
            let v4 = family(bound.ip()) == 0 || bound.ip().is_unspecified();
            let v6 = family(bound.ip()) == 1 || bound.ip().is_unspecified();
            let one_per_site = self.config.one_per_site;
            let ids = self.ids;
            let side = |on: bool, id: NodeId| {
                on.then(|| Side {
                    table: Table::new(id, one_per_site, now),
                    votes: Votes::new(one_per_site),
                    answered: false,
                    joined: None,
                })
            };
            self.sides = [side(v4, ids[0]), side(v6, ids[1])];
            self.bound = Some(canonical(bound));
            self.ask(AskedFor::State, Ask::Load(BUCKET, STATE_KEY.to_vec()), out);
            self.bootstrap.plan(now + LOAD_WAIT);
        } else {
            self.bootstrap.plan(now);
        }
        self.resolve(out);
        self.run(now, dice, out)
    }

    /// Takes part no more; the state is stored. What is announced stays so for a later start.
    pub fn stop(&mut self, out: &mut Outbox<Node>) {
        if self.bound.is_some() {
            self.save(out);
        }
        self.bound = None;
        self.sides = [None, None];
        self.queries = Queries::new();
        self.jobs = Jobs::new();
        self.bootstrap.rest();
        self.loaded = false;
        self.bootstrapped = false;
        self.save_due = None;
    }

    /// Announces from here on that we are in a swarm, listening at TCP `port`: looks the torrent up at once, announces to the closest nodes,
    /// and again every quarter of an hour, until [`Self::withdraw`]. Call again when we become a seed. May be called before [`Self::start`].
    pub fn announce(
        &mut self,
        info_hash: [u8; 20],
        port: u16,
        seed: bool,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) -> Vec<DhtNews> {
        if !self.announces.put(info_hash, port, seed, now) {
            out.note(Level::Warn, "dht_announces_full", None, "");
        }
        self.run(now, dice, out)
    }

    /// Announces a torrent no longer. Nodes forget us by themselves.
    pub fn withdraw(&mut self, info_hash: [u8; 20]) {
        self.announces.remove(&info_hash);
        self.jobs.drop_announce(&info_hash);
    }

    /// The swarm of a torrent that we announce is short of peers: looks it up again, unless that was done within a minute.
    pub fn hurry(&mut self, info_hash: [u8; 20], now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        self.announces.hurry(info_hash, now);
        self.run(now, dice, out)
    }

    /// Looks a torrent up once, without announcing anything; [`DhtNews::LookupOver`] with that key follows, always, within half a minute.
    pub fn lookup(&mut self, key: u64, info_hash: [u8; 20], now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        if self.searches.push(Search { key, target: info_hash, until: now + SEARCH_WAIT, quest: None }).is_err() {
            out.note(Level::Warn, "dht_lookups_full", None, "");
            return vec![DhtNews::LookupOver(key, Vec::new())];
        }
        self.run(now, dice, out)
    }

    /// Looks a stored value up (BEP 44); [`DhtNews::Item`] with that key follows, always, within half a minute.
    pub fn get(&mut self, key: u64, name: ItemName, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        self.seek(key, Quest::Get(name, None), now, dice, out)
    }

    /// Has the nodes nearest to it store a value, where `cas` is stored, if that is said; [`DhtNews::Stored`] with that key follows, always, within half
    /// a minute. They forget it after two hours.
    pub fn put(
        &mut self,
        key: u64,
        item: StoredItem,
        cas: Option<i64>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) -> Vec<DhtNews> {
        self.seek(key, Quest::Put(item, cas), now, dice, out)
    }

    /// Asks the nodes nearest to a torrent who is in its swarm (BEP 33); [`DhtNews::Scraped`] with that key follows, always, within half a minute.
    pub fn scrape(&mut self, key: u64, info_hash: [u8; 20], now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        self.seek(key, Quest::Scrape(info_hash, Box::default()), now, dice, out)
    }

    /// Asks the nodes on the way to some place which torrents they know, but for those that were asked (BEP 51); [`DhtNews::Sampled`] with that key follows,
    /// always, within half a minute.
    pub fn sample(&mut self, key: u64, asked: Set<SocketAddr>, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        self.seek(key, Quest::Sample(dice.bytes(), Box::new(Walk { found: Set::new(), asked })), now, dice, out)
    }

    fn seek(&mut self, key: u64, quest: Quest, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        let search = Search { key, target: quest.target(), until: now + SEARCH_WAIT, quest: Some(Box::new(quest)) };
        if let Err(Full(search)) = self.searches.push(search) {
            out.note(Level::Warn, "dht_lookups_full", None, "");
            return search.quest.map(|quest| self.end_quest(key, *quest, 0, now)).into_iter().collect();
        }
        self.run(now, dice, out)
    }

    /// Somebody says that there is a DHT node: a peer by a PORT message, or a .torrent. It is pinged.
    pub fn add_node(&mut self, address: SocketAddr, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        let address = canonical(address);
        let Some(side) = self.sides[family(address.ip())].as_ref() else { return Vec::new() };
        // A peer may name any port; one that we know needs no ping.
        if address.port() == 0 || side.table.knows(address) {
            return Vec::new();
        }
        self.ping(address, now, dice, out);
        self.run(now, dice, out)
    }

    /// How many nodes are in our tables, IPv4 and IPv6; none before somebody has answered.
    pub fn node_counts(&self) -> [usize; 2] {
        [0, 1].map(|family: usize| self.sides[family].as_ref().filter(|side| side.is_live()).map_or(0, |side| side.table.len()))
    }

    /// How many values others have had us store.
    pub fn stored_items(&self) -> usize {
        self.items.len()
    }

    /// How many torrents others have announced to us.
    pub fn stored_torrents(&self) -> usize {
        self.store.torrents()
    }

    /// Reads what the next datagram will need, see [`hexad_core::Node::warm`].
    pub fn warm(&self, depth: u8) -> usize {
        let tables = self.sides.iter().flatten().map(|side| side.table.warm(depth)).fold(0, usize::wrapping_add);
        match depth {
            0 => {
                self.store.torrents()
                    ^ self.flood.warm(0)
                    ^ self.queries.warm(0)
                    ^ self.jobs.warm()
                    ^ usize::from(self.wake.is_some())
                    ^ tables
            }
            1 => self.flood.warm(1) ^ self.queries.warm(1) ^ tables,
            _ => tables,
        }
    }

    /// A wake that was asked for has come.
    pub fn on_timer(&mut self, _: DhtTimer, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        if self.wake.is_some_and(|at| at <= now) {
            self.wake = None;
        }
        self.run(now, dice, out)
    }

    /// The host has answered a question of ours (see [`Self::owns`]).
    pub fn on_answer(&mut self, ticket: Ticket, answer: Answer, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        match (self.asks.remove(&ticket), answer) {
            (Some(AskedFor::State), answer) if !self.loaded => {
                self.loaded = true;
                if let Answer::Loaded(Some(Payload::Bytes(bytes))) = answer {
                    match State::read(&bytes) {
                        Some(state) => self.remember(state, now),
                        None => out.note(Level::Warn, "dht_state_unreadable", None, ""),
                    }
                }
                self.bootstrap.plan(now);
            }
            (Some(AskedFor::Router(name)), Answer::Resolved(ips)) => {
                self.bootstrap.resolved(name.port, &ips);
                self.bootstrap.plan(now);
            }
            // Whoever carries our datagrams takes names as they are.
            (Some(AskedFor::Router(name)), Answer::Failed(AskFailure::Forbidden(_))) => self.ping_by_name(name, dice, out),
            (Some(AskedFor::Router(_)), Answer::Failed(failure)) => {
                out.note(Level::Info, "dht_router_unresolved", None, failure.to_string());
            }
            _ => {}
        }
        self.run(now, dice, out)
    }

    /// A KRPC packet came. One that answers nothing we asked at that address is noted and dropped.
    pub fn on_datagram(&mut self, from: SocketAddr, krpc: &Krpc, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        let from = canonical(from);
        let mut news = Vec::new();
        let Some(side) = self.sides[family(from.ip())].as_ref() else { return news };
        match &krpc.body {
            KrpcBody::Query { id, query, read_only } => {
                if NodeId(*id) == side.table.own() {
                    out.note(Level::Drop, "dht_own_id", Some(from.into()), "");
                    return news;
                }
                self.on_query(from, krpc, NodeId(*id), query, *read_only, now, dice, out, &mut news);
                // Nothing of ours is due for that.
                return news;
            }
            KrpcBody::Answer { id, answer } => match self.queries.close(&krpc.transaction, from) {
                Some(asked) => self.answered(asked, NodeId(*id), answer, krpc.seen_as, now, dice, out, &mut news),
                None if self.named.close(&krpc.transaction) => self.named_answered(from, now),
                None => out.note(Level::Drop, "dht_unasked_answer", Some(from.into()), ""),
            },
            KrpcBody::Error { code, text } => match self.queries.close(&krpc.transaction, from) {
                Some(asked) => {
                    out.note(Level::Debug, "dht_error_answer", Some(from.into()), format!("{code} {text}"));
                    self.fail_in_job(asked);
                }
                None => out.note(Level::Drop, "dht_unasked_answer", Some(from.into()), ""),
            },
        }
        news.extend(self.run(now, dice, out));
        news
    }
}

impl Dht {
    /// Does all that is due, and sees to it that we are woken for the next.
    fn run(&mut self, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> Vec<DhtNews> {
        let mut news = Vec::new();
        if self.bound.is_none() {
            self.expire_searches(now, true, dice, &mut news);
            return news;
        }
        for asked in self.queries.overdue(now) {
            if let Some(side) = self.sides[family(asked.to.ip())].as_mut() {
                side.table.failed(asked.to);
            }
            self.fail_in_job(asked);
        }
        self.look_after_tables(now, dice, out);
        // Each turn ends a job; the jobs that it makes room for are due once, so the loop ends.
        loop {
            self.begin_jobs(now, dice, out, &mut news);
            self.ask_on(now, dice, out);
            let Some(job) = self.jobs.take_done(now) else { break };
            self.end_job(job, now, dice, out, &mut news);
        }
        if self.save_due.is_some_and(|at| at <= now) {
            self.save(out);
            self.save_due = Some(now + SAVE_INTERVAL);
        }
        self.wake_for_next(now, out);
        news
    }

    fn wake_for_next(&mut self, now: Time, out: &mut Outbox<Node>) {
        let tables = self.sides.iter().flatten().filter(|side| side.is_live()).map(|side| {
            let (sparse, stale) = (side.joined.filter(|_| side.table.len() < K), side.table.next_stale());
            sparse.map_or(stale, |at| stale.min(at + SPARSE_INTERVAL))
        });
        // What is due but waits for room goes on when a job ends, which is waited for anyway.
        let room = self.jobs.has_room_for(Goal::Search(0));
        let announce = self.announces.next_due().filter(|_| room && self.knows_somebody());
        let search = self.searches.front().map(|search| search.until).filter(|_| room);
        let join = self.bootstrap.due().filter(|_| self.jobs.has_room_for(Goal::Join));
        let looks = [self.queries.next_look(), self.jobs.next_look(now), announce, search, join, self.save_due];
        let Some(at) = looks.into_iter().flatten().chain(tables).min() else { return };
        let at = at.max(now + Span::from_millis(1));
        if self.wake.is_none_or(|wake| at < wake) {
            self.wake = Some(at);
            out.wake(at, Timer::Dht(DhtTimer::Due));
        }
    }

    /// Plans refreshes of buckets that nothing has changed in, and joins anew what has become empty.
    fn look_after_tables(&mut self, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        for family in 0..2 {
            let Some(side) = self.sides[family].as_mut() else { continue };
            if !side.is_live() {
                continue;
            }
            let stale = side.table.stale(now, dice);
            for target in stale.targets {
                self.refreshes.push_out((family, target));
            }
            if side.table.len() < K && side.joined.is_some_and(|at| now.since(at) >= SPARSE_INTERVAL) {
                side.joined = Some(now);
                self.refreshes.push_out((family, side.table.own()));
            }
            for silent in stale.questionable {
                self.ping(silent, now, dice, out);
            }
        }
        if self.bootstrapped && self.node_counts() == [0, 0] && self.bootstrap.due().is_none() && self.jobs.has_room_for(Goal::Join) {
            self.bootstrap.failed(now);
        }
    }

    fn remember(&mut self, state: State, now: Time) {
        self.ids = state.ids;
        for (side, id) in self.sides.iter_mut().zip(state.ids) {
            if let Some(side) = side {
                side.table.rename(id, now);
            }
        }
        for &(id, address) in &state.nodes {
            if let Some(side) = self.sides[family(address.ip())].as_mut() {
                side.table.remember(id, address, now);
            }
        }
        self.bootstrap.remembered(state.nodes.into_iter().map(|(_, address)| address).collect());
    }

    fn save(&mut self, out: &mut Outbox<Node>) {
        let good = |side: &Side| -> Vec<(NodeId, SocketAddr)> {
            side.table.iter().filter(|node| node.fails == 0).map(|node| (node.id, node.address())).take(NODES_MAX).collect()
        };
        let nodes: Vec<(NodeId, SocketAddr)> = self.sides.iter().flatten().flat_map(good).collect();
        if nodes.is_empty() {
            return;
        }
        let state = State { ids: self.ids, nodes };
        self.ask(AskedFor::Nothing, Ask::Store(BUCKET, STATE_KEY.to_vec(), Payload::Bytes(state.write().into())), out);
    }

    /// Has the names looked up that have no address, as it seems.
    fn resolve(&mut self, out: &mut Outbox<Node>) {
        if self.node_counts() != [0, 0] {
            return;
        }
        for name in self.bootstrap.names().to_vec() {
            self.ask(AskedFor::Router(name.clone()), Ask::Resolve(name), out);
        }
    }

    fn ask(&mut self, what: AskedFor, ask: Ask, out: &mut Outbox<Node>) {
        if self.asks.len() >= ASKS_MAX {
            return;
        }
        self.tickets = (self.tickets + 1) & ((1 << 56) - 1);
        let ticket = Ticket(u64::from(Self::TICKETS) << 56 | self.tickets);
        self.asks.insert(ticket, what);
        out.push(Output::Ask(ticket, ask));
    }
}

fn send(to: impl Into<Endpoint>, transaction: Bytes, body: KrpcBody, seen_as: Option<SocketAddr>, out: &mut Outbox<Node>) {
    let krpc = Krpc { transaction, body, seen_as, version: Some(Bytes::from_static(VERSION)) };
    out.send(Link::Datagram(doors::DATAGRAMS, to.into()), krpc.into());
}
