//! Bounds and switches of a node.

use std::net::SocketAddr;
use std::sync::Arc;

use hexad_core::Span;

/// How a node is set up. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config(pub Arc<Settings>);

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }
}

/// Whether a node may be a supernode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// When it is fit for it and others need one.
    #[default]
    Auto,
    /// Never.
    Never,
    /// From the beginning, and as long as it runs.
    Always,
}

/// Bounds and switches of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen; any free port of all interfaces when `None`.
    pub listen: Option<SocketAddr>,
    /// Our public key, whose secret part the host has. `None` in the lab, where nobody has keys.
    pub identity: Option<[u8; 32]>,
    /// The user's word on being a supernode.
    pub switch: Switch,
    /// The link is paid by the byte, or the machine runs on battery: never a supernode.
    pub metered: bool,
    /// Our uplink.
    pub uplink_kbps: u32,
    /// What it takes to be a supernode.
    pub uplink_kbps_min: u32,
    /// Memory to spare.
    pub memory_bytes: u64,
    /// What it takes to be a supernode.
    pub memory_bytes_min: u64,
    /// How long in the network before we may be a supernode, unless it is urgent.
    pub uptime_min: Span,
    /// Supernodes that a leaf has at the same time.
    pub parents: usize,
    /// Leaves that a supernode takes.
    pub leaves_max: usize,
    /// Leaves that a supernode should have: what the election aims at.
    pub leaves_target: usize,
    /// A supernode without another one wants one when it has so many leaves.
    pub backup_leaves: usize,
    /// Links to other supernodes that a supernode wants.
    pub links_target: usize,
    /// Links to other supernodes that it takes.
    pub links_max: usize,
    /// Supernodes that are remembered.
    pub known_max: usize,
    /// How often a leaf asks whether its supernodes are there. One that has not answered by the next time, or within 20 s, is gone.
    pub ping_every: Span,
    /// A leaf without any supernode for so long becomes one, if it may.
    pub orphan_after: Span,
    /// What a lost leaf offered is kept so long.
    pub grace: Span,
    /// How often supernodes tell each other how they stand and look whether there are too many or too few.
    pub election_every: Span,
    /// So much of what is missing or too much is made good at each election, percent.
    pub election_gain_percent: u32,
    /// Nothing is done about so much too much or too little, percent.
    pub hysteresis_percent: u32,
    /// A supernode stays one for so long at least.
    pub supernode_min: Span,
    /// The shortest time from one change of links to the next; the longest is three times that.
    pub shuffle_min: Span,
    /// How far a question of ours travels beyond the first supernode.
    pub hops: u8,
    /// How many supernodes are asked at a time.
    pub fan_out: u8,
    /// A search ends after so long at the latest.
    pub search_deadline: Span,
    /// Supernodes that were asked at the same time may take so long; then the next ones are asked.
    pub wave_patience: Span,
    /// Questions on their way through us.
    pub floods_max: usize,
    /// Questions that are remembered.
    pub seen_max: usize,
    /// For so long.
    pub seen_for: Span,
    /// Questions a second that one link may send.
    pub queries_per_s: u32,
    /// And so many at once.
    pub queries_burst: u32,
    /// Records of one leaf.
    pub leaf_records_max: usize,
    /// Records of all leaves.
    pub records_max: u32,
    /// Contents in our answer to one question.
    pub answer_groups_max: usize,
    /// Sources of one content in our answer.
    pub answer_sources_max: usize,
    /// Shares that we publish.
    pub publishings_max: usize,
    /// Searches of ours at a time.
    pub searches_max: usize,
    /// Fetches of ours at a time.
    pub fetches_max: usize,
    /// Peers from which one fetch takes.
    pub sources_max: usize,
    /// Blocks asked of one source at the same time.
    pub requests_each: usize,
    /// Bytes of a block.
    pub block_bytes: u32,
    /// Connections on which others may fetch.
    pub uploads_max: usize,
    /// Transfers that we pass on for others.
    pub relays_max: usize,
    /// Connections that have not yet said what they are for.
    pub strangers_max: usize,
    /// Where a supernode listens (TCP) for leaves that speak FastTrack's own wire; nowhere when `None`.
    pub fasttrack: Option<SocketAddr>,
    /// Such leaves that it takes.
    pub fasttrack_leaves_max: usize,
    /// Results of one search of theirs.
    pub fasttrack_results_max: usize,
    /// Users that they are told of at least: giFT-FastTrack leaves a supernode that tells of fewer than 100,000.
    pub fasttrack_users_min: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: None,
            identity: None,
            switch: Switch::Auto,
            metered: false,
            uplink_kbps: 10_000,
            uplink_kbps_min: 1_000,
            memory_bytes: 1 << 30,
            memory_bytes_min: 128 << 20,
            uptime_min: Span::from_secs(600),
            parents: 2,
            leaves_max: 150,
            leaves_target: 90,
            backup_leaves: 8,
            links_target: 40,
            links_max: 60,
            known_max: 200,
            ping_every: Span::from_millis(2500),
            orphan_after: Span::from_secs(10),
            grace: Span::from_secs(60),
            election_every: Span::from_secs(30),
            election_gain_percent: 50,
            hysteresis_percent: 15,
            supernode_min: Span::from_secs(600),
            shuffle_min: Span::from_secs(300),
            hops: 2,
            fan_out: 8,
            search_deadline: Span::from_secs(10),
            wave_patience: Span::from_secs(3),
            floods_max: 4096,
            seen_max: 50_000,
            seen_for: Span::from_secs(600),
            queries_per_s: 20,
            queries_burst: 100,
            leaf_records_max: 10_000,
            records_max: 300_000,
            answer_groups_max: 50,
            answer_sources_max: 16,
            publishings_max: 100_000,
            searches_max: 256,
            fetches_max: 256,
            sources_max: 8,
            requests_each: 16,
            block_bytes: 16 << 10,
            uploads_max: 64,
            relays_max: 8,
            strangers_max: 128,
            fasttrack: None,
            fasttrack_leaves_max: 50,
            fasttrack_results_max: 200,
            fasttrack_users_min: 100_000,
        }
    }
}
