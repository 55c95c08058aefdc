//! What only BitTorrent can be asked for, and the answers.

use std::net::IpAddr;
use std::ops::Range;

use hexad_content::Ranges;
use hexad_core::{Endpoint, LeaseId, ShareId};

use super::dht::{ItemName, StoredItem};
use super::tracker_role::{PeerAnnounce, PeerTold, TrackerRefusal, TrackerTotals};
use super::trackers::TrackerStatus;
use super::web_seeds::WebSeedStatus;
use crate::wire::ScrapeCounts;

/// What only BitTorrent can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// How all swarms are doing → `Reply::Swarms`, then `Done`.
    Swarms,
    /// More peers for the swarm of that share; `Done`.
    AddPeers(ShareId, Vec<Endpoint>),
    /// In which order what that share is fetched from its swarm; `Done`.
    Order(ShareId, Order),
    /// Somebody reads that share there, and waits for the first of these bytes; `None` when nobody does any more. `Done`.
    Reader(ShareId, Option<Range<u64>>),
    /// Whether that share is shown to peers one piece at a time (BEP 16); `Done`.
    SuperSeed(ShareId, bool),
    /// Who helps the swarm of that share to find peers and bytes → `Reply::Sources`, then `Done`.
    Sources(ShareId),
    /// What is stored in the DHT under that name (BEP 44) → `Reply::Item`, then `Done`.
    GetItem(ItemName),
    /// Has the DHT store a value, where one with that sequence number is stored, if that is said → `Reply::Stored`, then `Done`. It is forgotten after two
    /// hours.
    PutItem(StoredItem, Option<i64>),
    /// How many seeds and others are in the swarm of that info hash, as nodes of the DHT know it (BEP 33) → `Reply::Scraped`, then `Done`.
    ScrapeDht([u8; 20]),
    /// So many info hashes of torrents that nodes of the DHT know (BEP 51), 1,000 at most, → `Reply::Samples` as they come, then `Done`.
    SampleDht(usize),
    /// Follows a value until it is cancelled, and keeps it alive: asks for it at once and every hour (BEP 46), and has what is known of it stored again
    /// after each look, since it is forgotten after two hours. What is known already may be given → `Reply::Item` whenever a newer one is found, and
    /// `Reply::Stored` each time it was stored.
    FollowItem(ItemName, Option<StoredItem>),
    /// Tracker role: takes in an announce → `Reply::TrackerTold`, then `Done`.
    TrackerAnnounce(PeerAnnounce),
    /// Tracker role: counts of these torrents, for whoever asks from that address → `Reply::TrackerCounts`, then `Done`.
    TrackerScrape(IpAddr, Vec<[u8; 20]>),
    /// Tracker role: the whole tracker in figures → `Reply::TrackerTotals`, then `Done`.
    TrackerTotals,
}

/// What comes before the rarest. Bytes are those of the share's layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The front first.
    pub sequential: bool,
    /// Before all others.
    pub first: Ranges,
    /// After all others.
    pub last: Ranges,
}

/// Answers to [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// One entry per swarm.
    Swarms(Vec<SwarmStatus>),
    /// Trackers, web seeds and the DHT, as they stand.
    Sources(Sources),
    /// The newest that was found.
    Item(Option<StoredItem>),
    /// A value was stored.
    Stored {
        /// Near which key.
        target: [u8; 20],
        /// So many nodes were told to.
        nodes: usize,
    },
    /// How many are in a swarm.
    Scraped(DhtScrape),
    /// Info hashes that were not told before.
    Samples(Vec<[u8; 20]>),
    /// What an announcing peer is told.
    TrackerTold(Result<PeerTold, TrackerRefusal>),
    /// Counts, in the order asked for.
    TrackerCounts(Result<Vec<ScrapeCounts>, TrackerRefusal>),
    /// The tracker in figures.
    TrackerTotals(TrackerTotals),
}

/// How many are in a swarm, about: nodes of the DHT tell it by filters, of whose union the size is guessed (BEP 33). Whoever lies can make it look larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhtScrape {
    /// The swarm.
    pub info_hash: [u8; 20],
    /// Those that have everything; 6,000 and more look alike.
    pub seeds: u64,
    /// The others; 6,000 and more look alike.
    pub leechers: u64,
    /// How many nodes have told something.
    pub nodes: usize,
}

/// Who helps a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Its trackers, in order.
    pub trackers: Vec<TrackerStatus>,
    /// Its web seeds.
    pub web_seeds: Vec<WebSeedStatus>,
    /// Nodes in our tables of the DHT; 0 when it is off.
    pub dht_nodes: usize,
    /// Torrents of others that we keep for the DHT.
    pub dht_torrents: usize,
    /// Values of others that we keep for it (BEP 44).
    pub dht_items: usize,
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
    /// Some of the connected peers: where they are, and whether they have everything.
    pub peers: Vec<(Endpoint, bool)>,
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
