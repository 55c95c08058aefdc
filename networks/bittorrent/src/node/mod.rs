//! The state machine: one node, many swarms, one DHT, and (as a role) a tracker.
//!
//! [`Node`] only passes on what it hears, to [`affairs`]. What it knows is kept by [`swarm`] (torrents), [`trackers`] (whom they announce to), [`tracker_role`] (being
//! one), [`dht`], [`joining`] (doors); what all of them share is in [`home`].

mod affairs;
mod config;
mod dht;
mod errands;
mod finding;
mod hearsay;
mod home;
mod ip_filter;
mod joining;
mod lsd;
mod operations;
mod pex;
mod priority;
mod rates;
mod request;
mod swarm;
pub mod tracker_role;
mod trackers;
mod web_seeds;

#[cfg(test)]
mod tests;

use hexad_core::{Context, Endpoint, Inbound, Input, Link, OpId, Outbox};

use self::affairs::Affairs;
use self::home::{Home, Turn};
use self::joining::Opened;
use self::trackers::TrackersTimer;
use crate::wire::{Message, Secrets};

pub use self::config::{Config, Encryption, Picking, SeedChoking, TrackerConfig, Utp};
pub use self::dht::{ItemName, StoredItem};
pub use self::ip_filter::IpFilter;
pub use self::request::{DhtScrape, Order, Reply, Request, Sources, SwarmStatus};
pub use self::trackers::TrackerStatus;
pub use self::web_seeds::WebSeedStatus;

/// What the node wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A swarm looks around.
    Swarm(u32),
    /// Accepted connections that say nothing.
    Strangers,
    /// A search has had its time.
    Search(OpId),
    /// Trackers we ask.
    Trackers(TrackersTimer),
    /// The tracker role forgets who is silent.
    TrackerSweep,
    /// A stored value that is followed is asked for again.
    Keeping(OpId),
    /// The distributed hash table.
    Dht(dht::DhtTimer),
    /// Announces to the local network are due.
    Lsd,
    /// A web seed of that torrent may be asked again.
    WebSeed([u8; 20]),
}

/// One BitTorrent node.
#[derive(Debug)]
pub struct Node {
    home: Home,
    affairs: Affairs,
}

impl Node {
    /// A node that has joined nothing.
    #[must_use]
    pub fn new(config: Config, dice: &mut hexad_core::Dice) -> Self {
        let affairs = Affairs::new(&config, dice);
        Self { home: Home::new(config), affairs }
    }

    /// What codecs of accepted connections must know.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        self.affairs.secrets()
    }

    /// How many nodes its DHT knows, and how many torrents others have announced to it.
    #[must_use]
    pub fn dht_counts(&self) -> (usize, usize) {
        self.affairs.dht.as_ref().map_or((0, 0), |dht| (dht.node_counts().iter().sum(), dht.stored_torrents()))
    }
}

impl hexad_core::Node for Node {
    type Addr = Endpoint;
    type Message = Message;
    type Timer = Timer;
    type Request = Request;
    type Reply = Reply;

    fn handle(&mut self, input: Inbound<Self>, cx: &mut Context<'_>, out: &mut Outbox<Self>) {
        let Self { home, affairs } = self;
        let t = &mut Turn { home, cx, out };
        match input {
            Input::Received(Link::Conn(conn), message) => affairs.on_message(conn, message, t),
            Input::Sent(conn, bytes) => affairs.with_peer(conn, t, |swarm, slot, t| swarm.on_sent(slot, bytes, t)),
            Input::Room(conn) => affairs.with_peer(conn, t, |swarm, slot, t| swarm.on_room(slot, t)),
            Input::Judged(lease, range, verdict) => affairs.on_judged(lease, range, verdict, t),
            Input::Leased(lease, ranges) => affairs.with_lease(lease, t, |swarm, t| swarm.on_leased(&ranges, t)),
            Input::Elsewhere(lease, ranges) => affairs.with_lease(lease, t, |swarm, t| swarm.on_elsewhere(ranges, t)),
            Input::Received(Link::Datagram(door, from), message) => affairs.on_datagram(door, &from, &message, t),
            Input::Received(Link::Multicast(door), message) => affairs.on_multicast(door, None, &message, t),
            Input::Opened { conn, peer, via } => affairs.on_opened(conn, peer, via, t),
            Input::Closed(conn, why) => affairs.on_closed(conn, &why, t),
            Input::Elapsed(timer) => affairs.on_timer(timer, t),
            Input::Answered(ticket, answer) => affairs.on_answer(ticket, answer, t),
            Input::Start(op, operation) => affairs.start(op, operation, t),
            Input::Cancel(op) => affairs.cancel(op, t),
            Input::Bound(door, bound) => match affairs.joining.on_bound(door, bound, &t.home.config, t.out) {
                Opened::Joined => affairs.on_joined(t),
                Opened::Lsd => affairs.open_lsd(t),
                Opened::Nothing | Opened::Failed => {}
            },
        }
        affairs.take_news(t);
    }

    fn warm(&self, depth: u8) -> usize {
        let own = if depth == 0 { self.home.news.len() ^ self.home.places.len() ^ self.affairs.swarms.len() } else { 0 };
        own ^ self.affairs.dht.as_ref().map_or(0, |dht| dht.warm(depth))
    }
}
