//! The state machine: one node, many swarms, one DHT, and (as a role) a tracker.

mod dht;
mod lsd;
mod pex;
pub mod tracker_role;
mod trackers;
mod web_seeds;

use std::net::SocketAddr;

use hexad_core::{Context, Endpoint, Inbound, LeaseId, Outbox, ShareId, Span};

use self::tracker_role::{PeerAnnounce, PeerTold, TrackerRefusal, TrackerTotals};
use self::trackers::TrackersTimer;
use crate::wire::{Message, ScrapeCounts};

/// How much we insist on MSE/PE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Plain only.
    Off,
    /// Obfuscated first, plain when that fails; both accepted.
    Preferred,
    /// RC4 only, both ways.
    Required,
}

/// Bounds and switches of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen for peers, TCP and UDP; `None` accepts nobody. Port 0 lets the system choose.
    pub listen: Option<SocketAddr>,
    /// Obfuscation.
    pub encryption: Encryption,
    /// Distributed hash table.
    pub dht: bool,
    /// Of each /24 (IPv6: /64) of public addresses the DHT takes one node only into a bucket or a lookup. Off where the whole network is one
    /// site: the lab's addresses are.
    pub dht_one_per_site: bool,
    /// Peer exchange.
    pub pex: bool,
    /// Local service discovery.
    pub lsd: bool,
    /// Connections of the whole node.
    pub connections_max: usize,
    /// Connections of one swarm.
    pub swarm_connections_max: usize,
    /// Peers remembered per swarm, connected or not.
    pub swarm_peers_max: usize,
    /// Unchoked peers per swarm by merit; the optimistic one comes on top (BEP 3: 3 + 1).
    pub upload_slots: usize,
    /// How often choking is decided; 10 s.
    pub choke_interval: Span,
    /// Over how long rates are averaged; 20 s.
    pub rate_window: Span,
    /// How often the optimistic unchoke rotates; 30 s.
    pub optimistic_interval: Span,
    /// Anti-snubbing: this long without a block while we asked; 60 s.
    pub snub_after: Span,
    /// Be a tracker as well.
    pub tracker: Option<TrackerConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: None,
            encryption: Encryption::Preferred,
            dht: true,
            dht_one_per_site: true,
            pex: true,
            lsd: true,
            connections_max: 500,
            swarm_connections_max: 100,
            swarm_peers_max: 1000,
            upload_slots: 4,
            choke_interval: Span::from_secs(10),
            rate_window: Span::from_secs(20),
            optimistic_interval: Span::from_secs(30),
            snub_after: Span::from_secs(60),
            tracker: None,
        }
    }
}

/// Bounds of the tracker role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerConfig {
    /// UDP address to serve at; `None` serves only what comes as `Request::TrackerAnnounce` (the HTTP face).
    pub udp: Option<SocketAddr>,
    /// Torrents kept; when full, an announce for another is refused.
    pub torrents_max: usize,
    /// Peers kept per torrent; when full, the one that announced longest ago leaves.
    pub torrent_peers_max: usize,
    /// What peers are told to wait between announces.
    pub interval: Span,
    /// A peer silent for this long is forgotten.
    pub peer_expiry: Span,
    /// Announces per minute from one address; more are refused.
    pub announces_per_minute_max: u32,
}

/// What only BitTorrent can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// How all swarms are doing → `Reply::Swarms`, then `Done`.
    Swarms,
    /// More peers for the swarm of that share; `Done`.
    AddPeers(ShareId, Vec<Endpoint>),
    /// Tracker role: takes in an announce → `Reply::TrackerTold`, then `Done`.
    TrackerAnnounce(PeerAnnounce),
    /// Tracker role: counts of these torrents → `Reply::TrackerCounts`, then `Done`.
    TrackerScrape(Vec<[u8; 20]>),
    /// Tracker role: the whole tracker in figures → `Reply::TrackerTotals`, then `Done`.
    TrackerTotals,
}

/// Answers to [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// One entry per swarm.
    Swarms(Vec<SwarmStatus>),
    /// What an announcing peer is told.
    TrackerTold(Result<PeerTold, TrackerRefusal>),
    /// Counts, in the order asked for.
    TrackerCounts(Result<Vec<ScrapeCounts>, TrackerRefusal>),
    /// The tracker in figures.
    TrackerTotals(TrackerTotals),
}

/// How one swarm is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct SwarmStatus {
    /// Its info hash.
    pub info_hash: [u8; 20],
    /// The share it uploads from and downloads into, once described.
    pub share: Option<ShareId>,
    /// The lease it works on.
    pub lease: Option<LeaseId>,
    /// Open connections with a finished handshake.
    pub peers_connected: usize,
    /// Of those, peers that have everything.
    pub seeds_connected: usize,
    /// Peers known, connected or not.
    pub peers_known: usize,
    /// Bytes of blocks received, good or not.
    pub downloaded_bytes: u64,
    /// Bytes of blocks sent.
    pub uploaded_bytes: u64,
    /// Receiving, bytes a second over the rate window.
    pub down_bytes_per_s: u64,
    /// Sending, bytes a second over the rate window.
    pub up_bytes_per_s: u64,
    /// Seeds and leechers as the last tracker said.
    pub tracker_seeds: Option<u32>,
    /// Leechers as the last tracker said.
    pub tracker_leechers: Option<u32>,
    /// The lowest number of copies of any piece among connected peers, ours included.
    pub rarest_copies: u32,
}

/// What the node wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Trackers we ask.
    Trackers(TrackersTimer),
    /// The tracker role forgets who is silent.
    TrackerSweep,
    /// The distributed hash table.
    Dht(dht::DhtTimer),
    /// Announces to the local network are due.
    Lsd,
    /// A web seed of that torrent may be asked again.
    WebSeed([u8; 20]),
}

/// One BitTorrent node.
#[derive(Debug)]
pub struct Node {}

impl Node {
    /// A node that has joined nothing.
    #[must_use]
    pub fn new(_config: Config, _dice: &mut hexad_core::Dice) -> Self {
        Self {}
    }

    /// What codecs of accepted connections must know.
    #[must_use]
    pub fn secrets(&self) -> crate::wire::Secrets {
        crate::wire::Secrets::default()
    }
}

impl hexad_core::Node for Node {
    type Addr = Endpoint;
    type Message = Message;
    type Timer = Timer;
    type Request = Request;
    type Reply = Reply;

    fn handle(&mut self, _input: Inbound<Self>, _cx: &mut Context<'_>, _out: &mut Outbox<Self>) {
        todo!("written by the owner of node/mod.rs")
    }
}
