//! Bounds and switches. The defaults are what the daemon runs; [`Settings::paper`] is the node of the simulations of 2000 and 2001.

use std::net::SocketAddr;
use std::sync::Arc;

use hexad_core::{Set, Span};

use crate::invitation::Invitation;

/// Who becomes a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Whoever comes, and whoever is met on the way of blocks.
    Opennet,
    /// Only friends, by their public keys; nobody is ever told of them.
    Darknet(Set<[u8; 32]>),
}

/// A chance, as numerator and denominator.
pub type Chance = (u64, u64);

/// What a node is told before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Our public key, by which others know us.
    pub identity: Option<[u8; 32]>,
    /// Who becomes a neighbour.
    pub mode: Mode,
    /// Hops-to-live of what we begin, and the most that is believed of others.
    pub htl_max: u16,
    /// Whether hops-to-live are counted down while they are at the most; rolled once for each link, since an average would tell.
    pub decrement_at_max: Chance,
    /// The same at 1.
    pub decrement_at_one: Chance,
    /// Blocks that the store takes, and blocks that the cache takes.
    pub store_blocks: usize,
    /// The same for the cache.
    pub cache_blocks: usize,
    /// Blocks go to the host's disk, enciphered, rather than stay in memory.
    pub on_disk: bool,
    /// Everybody on a path stores, however near the origin, and the origin too: the node of the papers.
    pub stores_everywhere: bool,
    /// Learned entries of the routing table.
    pub table_entries: usize,
    /// How often a forwarder takes the place of the source that it passes on.
    pub replace_source: Chance,
    /// Connections are opened to whomever the table names, and links have no place of their own: the node of the papers.
    pub dials_the_table: bool,
    /// Neighbours that we look for.
    pub peers_wanted: usize,
    /// Connections that we keep.
    pub peers_max: usize,
    /// How long a peer has to say that it looks after a walk; `None` to wait for as long as the walk may last.
    pub accept_within: Option<Span>,
    /// A walk of the most hops-to-live may last so long; others less.
    pub walk_deadline: Span,
    /// Walks of others under way.
    pub walks_max: usize,
    /// Walks that are remembered as having been here.
    pub seen_max: usize,
    /// Peers asked in vain for one walk because it had been there.
    pub loops_max: usize,
    /// Keys of which it is remembered that they were not found.
    pub failures_max: usize,
    /// What we can send in a second; all blocks that may have been promised must fit into `liability`.
    pub up_bytes_per_s: u64,
    /// See `up_bytes_per_s`.
    pub liability: Span,
    /// Blocks of our own under way at a time, at the most.
    pub window_max: usize,
    /// How often a block of a file is asked for, or sent, again.
    pub tries: u8,
    /// Hops-to-live of an announcement.
    pub announce_htl: u16,
    /// Fetches, publications and searches at a time.
    pub jobs_max: usize,
    /// The most that is fetched into memory.
    pub memory_bytes_max: u64,
    /// With what we were invited, where that is how we join.
    pub invitation: Option<Invitation>,
    /// Between two attempts to swap places in a network of friends; `None` to stand still.
    pub swap_every: Option<Span>,
    /// After how long it is looked whether a block of our own is still found there.
    pub trial_every: Span,
    /// Questions about ourselves that walk at random are answered.
    pub answers_inquiries: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: None,
            identity: None,
            mode: Mode::Opennet,
            htl_max: 18,
            decrement_at_max: (1, 2),
            decrement_at_one: (1, 4),
            store_blocks: 16 << 10,
            cache_blocks: 16 << 10,
            on_disk: true,
            stores_everywhere: false,
            table_entries: 4096,
            replace_source: (1, 20),
            dials_the_table: false,
            peers_wanted: 20,
            peers_max: 64,
            accept_within: Some(Span::from_secs(10)),
            walk_deadline: Span::from_secs(60),
            walks_max: 1024,
            seen_max: 10_000,
            loops_max: 8,
            failures_max: 20_000,
            up_bytes_per_s: 4 << 20,
            liability: Span::from_secs(60),
            window_max: 48,
            tries: 3,
            announce_htl: 6,
            jobs_max: 256,
            memory_bytes_max: 64 << 20,
            invitation: None,
            swap_every: Some(Span::from_secs(8)),
            trial_every: Span::from_secs(86_400),
            answers_inquiries: true,
        }
    }
}

impl Settings {
    /// The node of the simulations of Clarke et al.: learned entries only, 50 items, 250 entries, no defences.
    #[must_use]
    pub fn paper() -> Self {
        Self {
            htl_max: 500,
            decrement_at_max: (1, 1),
            decrement_at_one: (1, 1),
            store_blocks: 50,
            cache_blocks: 0,
            on_disk: false,
            stores_everywhere: true,
            table_entries: 250,
            replace_source: (0, 1),
            dials_the_table: true,
            peers_wanted: 0,
            peers_max: 600,
            accept_within: None,
            walk_deadline: Span::from_secs(600),
            walks_max: 1 << 16,
            seen_max: 512,
            loops_max: 600,
            failures_max: 0,
            up_bytes_per_s: u64::MAX >> 8,
            announce_htl: 10,
            ..Self::default()
        }
    }
}

/// Settings, shared by all nodes of a lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config(pub Arc<Settings>);

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }
}
