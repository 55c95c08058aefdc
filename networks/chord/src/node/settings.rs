//! Bounds and switches of a node.

use std::net::SocketAddr;
use std::sync::Arc;

use hexad_core::Span;

/// How a node is set up. Cheap to clone: a million nodes of the lab share one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Config(pub Arc<Settings>);

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }
}

/// Bounds and switches of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Where to listen; any free port of all interfaces when `None`.
    pub listen: Option<SocketAddr>,
    /// Our public key, whose secret part the host has. `None` for a ring whose ids are hashes of addresses: the lab's.
    pub identity: Option<[u8; 32]>,
    /// The first virtual node's number.
    pub first_vnode: u8,
    /// How many virtual nodes we are.
    pub vnodes: u8,
    /// R: how many successors are kept (C17).
    pub successors: usize,
    /// Whether lookups may jump along the successor list, and not only along fingers.
    pub list_shortcuts: bool,
    /// How lookups travel.
    pub style: Style,
    /// How many disjoint paths a lookup for an item takes; the nearest owner that any of them finds wins.
    pub paths: u8,
    /// How many nodes an arc of the finger table offers, of which the nearest by round trip is taken; 1 is Chord without proximity.
    pub proximity: u8,
    /// Mean of the time from one stabilisation to the next; each is drawn from half to one and a half of it. Zero: never.
    pub stabilise_every: Span,
    /// Fingers that are looked at with a stabilisation: with each while fingers or neighbours change, with ever fewer, down to each eighth, while whole
    /// rounds find nothing new.
    pub fingers_each: u8,
    /// How a newcomer fills its finger table.
    pub fill: Fill,
    /// Which routing table is kept (C8).
    pub table: Table,
    /// Which rules of maintenance are followed. Anything but [`Rules::Corrected`] is for the lab.
    pub rules: Rules,
    /// Whether a node that has a nearer predecessor says so to the one before, which then stabilises at once and not when its time comes.
    pub tell_predecessor: bool,
    /// How long an answer may take of somebody of whom nothing is known.
    pub answer_first: Span,
    /// An answer may never take longer, whatever is known.
    pub answer_max: Span,
    /// An answer may always take so long.
    pub answer_min: Span,
    /// How often somebody is asked before he counts as gone.
    pub tries: u8,
    /// Peers of whom round trips are remembered; 0 for none.
    pub round_trips_max: usize,
    /// Peers that are remembered as gone.
    pub suspects_max: usize,
    /// How long a peer counts as gone before it may be asked again; doubles up to sixteen times as long.
    pub suspect_for: Span,
    /// A lookup ends after so long at the latest.
    pub lookup_deadline: Span,
    /// A search, a put, a get ends after so long at the latest.
    pub errand_deadline: Span,
    /// Messages of one lookup at most.
    pub hops_max: u16,
    /// c: how many nodes hold an item.
    pub copies: u8,
    /// How many of them must have it before a put is answered.
    pub copies_acked: u8,
    /// How often an owner compares its arc with those who hold copies. Zero: only when the neighbours change.
    pub repair_every: Span,
    /// How long a reference lives that nobody renews.
    pub reference_ttl: Span,
    /// How long anything else lives.
    pub value_ttl: Span,
    /// How often a publisher renews what it has published.
    pub republish_every: Span,
    /// Items in the store.
    pub items_max: usize,
    /// Bytes in the store.
    pub items_bytes_max: usize,
    /// Items under one key.
    pub per_key_max: usize,
    /// Items of one publisher.
    pub per_peer_items_max: usize,
    /// Bytes of one publisher.
    pub per_peer_bytes_max: usize,
    /// Items in one answer.
    pub answer_items_max: u16,
    /// Questions under way.
    pub queries_max: usize,
    /// Lookups, puts and gets under way.
    pub errands_max: usize,
    /// Connections for what is too large for datagrams.
    pub roads_max: usize,
    /// Nodes of one /24 or /48 in a successor list or finger table; 0 for no bound.
    pub per_neighbourhood_max: usize,
    /// An owner further from its key than so many mean distances between nodes is not believed; 0 believes everybody.
    pub owner_distance_max: u32,
    /// Peers from which one fetch takes.
    pub sources_max: usize,
    /// Blocks asked of one source at the same time.
    pub requests_each: usize,
    /// Bytes of a block.
    pub block_bytes: u32,
    /// Connections on which others may fetch.
    pub uploads_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: None,
            identity: None,
            first_vnode: 0,
            vnodes: 1,
            successors: 16,
            list_shortcuts: true,
            style: Style::Iterative,
            paths: 1,
            proximity: 1,
            stabilise_every: Span::from_secs(20),
            fingers_each: 2,
            fill: Fill::Copy,
            table: Table::Fingers,
            rules: Rules::Corrected,
            tell_predecessor: true,
            answer_first: Span::from_secs(1),
            answer_max: Span::from_secs(3),
            answer_min: Span::from_millis(100),
            tries: 3,
            round_trips_max: 64,
            suspects_max: 256,
            suspect_for: Span::from_secs(60),
            lookup_deadline: Span::from_secs(15),
            errand_deadline: Span::from_secs(30),
            hops_max: 128,
            copies: 4,
            copies_acked: 2,
            repair_every: Span::from_secs(300),
            reference_ttl: Span::from_secs(3600),
            value_ttl: Span::from_secs(24 * 3600),
            republish_every: Span::from_secs(25 * 60),
            items_max: 400_000,
            items_bytes_max: 256 << 20,
            per_key_max: 1000,
            // Ten thousand files, in a ring of few.
            per_peer_items_max: 100_000,
            per_peer_bytes_max: 32 << 20,
            answer_items_max: 200,
            queries_max: 1024,
            errands_max: 512,
            roads_max: 64,
            per_neighbourhood_max: 0,
            owner_distance_max: 64,
            sources_max: 8,
            requests_each: 16,
            block_bytes: 16 << 10,
            uploads_max: 64,
        }
    }
}

/// How lookups travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// The asker asks every node on the way itself.
    Iterative,
    /// Every node on the way passes the question on; the owner answers to the asker.
    Recursive,
}

/// How a newcomer fills its finger table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fill {
    /// Takes over the successor's, then looks at each entry.
    Copy,
    /// Looks up each finger, as the paper does.
    Lookups,
    /// Not at all: stabilisation does it in time.
    Later,
}

/// What a node knows of the ring beside its successor list (C8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Finger i is the first node at or behind n + 2^i (C9).
    Fingers,
    /// Nothing.
    SuccessorOnly,
    /// Everybody it has ever heard of, up to so many.
    Everybody(usize),
}

/// Which rules of ring maintenance are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rules {
    /// Nothing is adopted that was not contacted; newcomers take a whole successor list.
    Corrected,
    /// As published in 2001: the successor's predecessor is adopted unseen.
    Published,
    /// A newcomer takes one successor and no list.
    OneSuccessor,
    /// The join of 2001 (section 4.4): a newcomer sets the predecessor of its successor, the successor of its predecessor, and the fingers of
    /// others at once, and nothing is stabilised. Right for one newcomer at a time.
    UpdateOthers,
}
