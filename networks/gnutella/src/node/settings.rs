//! Bounds and switches of a node.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use hexad_core::{Endpoint, Span};

/// What a node is in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One of equals, as in 0.4.
    Flat,
    /// Carries queries for itself and its leaves.
    Ultrapeer,
    /// Lets ultrapeers carry its queries.
    Leaf,
}

/// What a node is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A leaf, or an ultrapeer when the network needs one and this machine can be one. Spec §6.
    #[default]
    Auto,
    /// An ultrapeer, whatever others suggest.
    Ultrapeer,
    /// A leaf, whatever happens.
    Leaf,
    /// One of equals: the network before ultrapeers.
    Flat,
}

/// How a search spreads in the flat network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// To all neighbours, and on to all of theirs, as far as the hops reach.
    #[default]
    Flood,
    /// Floods that begin small and are repeated larger until enough is found.
    ExpandingRing {
        /// Hops of the first one.
        first: u8,
        /// More hops each time.
        step: u8,
        /// How long each one is waited for, for each of its hops.
        wait_per_hop: Span,
    },
    /// Walkers that go from one neighbour to another at random (Lv 2002); each ends where something is found.
    RandomWalks {
        /// How many.
        walkers: u16,
        /// Steps of each.
        steps: u16,
    },
}

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What to be.
    pub mode: Mode,
    /// Where to listen; `None` accepts no connections, as behind a firewall.
    pub listen: Option<SocketAddr>,
    /// Datagrams at the same port.
    pub datagrams: bool,
    /// Links to other ultrapeers that an ultrapeer looks for.
    pub ultrapeer_links: usize,
    /// Links to other ultrapeers that it accepts at most.
    pub ultrapeer_links_max: usize,
    /// Leaves of an ultrapeer.
    pub leaves_max: usize,
    /// Ultrapeers of a leaf.
    pub leaf_links: usize,
    /// Links that a flat node looks for.
    pub flat_links: usize,
    /// Links that it accepts at most.
    pub flat_links_max: usize,
    /// The more links a newcomer has, the likelier it is sent elsewhere, so that the overlay balances itself.
    pub balance: bool,
    /// Look for neighbours beyond those that the user names.
    pub discover: bool,
    /// Greet in the manner of 0.4 and accept such greetings; flat nodes only.
    pub classic: bool,
    /// Offer to be sent deflated messages, and deflate where it is welcome.
    pub deflate: bool,
    /// Hops of our own queries among ultrapeers.
    pub ttl: u8,
    /// Hops of our own queries among equals.
    pub flat_ttl: u8,
    /// What comes with more hops in all is dropped. A lab may lift it.
    pub ttl_max: u8,
    /// Hops plus hops to go beyond which a message of others is trimmed when it is passed on.
    pub ttl_soft_max: u8,
    /// How a flat node searches.
    pub strategy: Strategy,
    /// A flat node that answers a query does not pass it on.
    pub stop_at_answer: bool,
    /// Ultrapeers spread queries step by step (spec §12); else they flood.
    pub dynamic: bool,
    /// A step of a dynamic query is waited for so long, for each of its hops.
    pub dynamic_wait: Span,
    /// Results for a leaf after which its query ends.
    pub leaf_results: u16,
    /// Ask for hits by UDP, where we can be reached so.
    pub out_of_band: bool,
    /// Words with a typing error count too.
    pub fuzzy: bool,
    /// A search ends after so long.
    pub search_deadline: Span,
    /// A join that has found nobody by then has failed.
    pub join_deadline: Span,
    /// A handshake that is not done by then is given up.
    pub handshake_deadline: Span,
    /// Neighbours are looked after so often.
    pub tick: Span,
    /// Neighbours are pinged so often, leaves six times more seldom.
    pub ping_every: Span,
    /// Messages whose way back is remembered, at most.
    pub routes_max: usize,
    /// They are remembered at least so long, where there is room.
    pub routes_life: Span,
    /// Addresses of other hosts that are kept.
    pub hosts_max: usize,
    /// Queries a second from one leaf; more are dropped, and who goes on is sent away. 0 is no limit.
    pub leaf_queries_per_s: u32,
    /// Queries a second from one ultrapeer or equal. 0 is no limit.
    pub link_queries_per_s: u32,
    /// Connections that may be open without having said what they are.
    pub strangers_max: usize,
    /// Bytes that wait for a slow neighbour.
    pub backlog_bytes_max: usize,
    /// Web caches to ask for hosts (GWebCache, spec §17). Empty asks nobody outside.
    pub web_caches: Vec<String>,
    /// UDP host caches to ask.
    pub udp_caches: Vec<Endpoint>,
    /// Whom hosts are told that we are: in hits.
    pub speed_kbps: u32,
    /// An automatic node has to run so long before it becomes an ultrapeer by itself.
    pub election_uptime: Span,
    /// Kilobits a second that an ultrapeer must have.
    pub election_speed_kbps: u32,
    /// Changes of role are at least so far apart.
    pub switch_every: Span,
    /// An automatic leaf that finds no ultrapeer for so long becomes one, if it can be reached.
    pub orphan_after: Span,
    /// Connections that serve files at a time.
    pub uploads_max: usize,
    /// Others that wait for one of these, in line.
    pub uploads_queue_max: usize,
    /// Searches of users at a time.
    pub searches_max: usize,
    /// Fetches at a time.
    pub fetches_max: usize,
    /// Sources of a fetch at a time.
    pub sources_max: usize,
    /// A fetch that gets nothing from anybody for so long has failed.
    pub fetch_patience: Span,
    /// Descriptions of shares that are taken, bytes.
    pub description_bytes_max: usize,
    /// Bodies of answers are sent in parts of so many bytes.
    pub chunk_bytes: u64,
    /// A source is asked for so many bytes at a time.
    pub request_bytes: u64,
    /// The index of what we offer.
    pub catalogue: hexad_catalogue::Config,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            listen: None,
            datagrams: true,
            ultrapeer_links: 30,
            ultrapeer_links_max: 36,
            leaves_max: 100,
            leaf_links: 3,
            flat_links: 4,
            flat_links_max: 8,
            balance: true,
            discover: true,
            classic: false,
            deflate: true,
            ttl: 4,
            flat_ttl: 7,
            ttl_max: 15,
            ttl_soft_max: 7,
            strategy: Strategy::Flood,
            stop_at_answer: false,
            dynamic: true,
            dynamic_wait: Span::from_millis(2400),
            leaf_results: 50,
            out_of_band: false,
            fuzzy: false,
            search_deadline: Span::from_secs(15),
            join_deadline: Span::from_secs(60),
            handshake_deadline: Span::from_secs(20),
            tick: Span::from_secs(5),
            ping_every: Span::from_secs(20),
            routes_max: 1 << 18,
            routes_life: Span::from_secs(600),
            hosts_max: 2000,
            leaf_queries_per_s: 5,
            link_queries_per_s: 2000,
            strangers_max: 128,
            backlog_bytes_max: 96 << 10,
            web_caches: Vec::new(),
            udp_caches: Vec::new(),
            speed_kbps: 10_000,
            election_uptime: Span::from_secs(3600),
            election_speed_kbps: 512,
            switch_every: Span::from_secs(1800),
            orphan_after: Span::from_secs(20),
            uploads_max: 16,
            uploads_queue_max: 32,
            searches_max: 64,
            fetches_max: 256,
            sources_max: 8,
            fetch_patience: Span::from_secs(120),
            description_bytes_max: 8 << 20,
            chunk_bytes: 64 << 10,
            request_bytes: 1 << 20,
            catalogue: hexad_catalogue::Config { owners_max: 1, files_max: 1_000_000, owner_files_max: 1_000_000, ..Default::default() },
        }
    }
}

/// The settings of a node, shared by all nodes that have the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config(Arc<Settings>);

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}
