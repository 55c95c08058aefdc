//! Bounds and switches of a node.

use std::net::SocketAddr;
use std::sync::Arc;

use hexad_core::Span;

use super::ip_filter::IpFilter;
use crate::wire::manner;

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

impl Encryption {
    /// In which manner we dial a peer, of whom it may be known that it speaks plain.
    pub(crate) const fn manner(self, plain: bool) -> u8 {
        match self {
            Self::Off => manner::PLAIN,
            Self::Preferred if plain => manner::PLAIN,
            Self::Preferred => manner::OBFUSCATED,
            Self::Required => manner::RC4_ONLY,
        }
    }
}

/// When connections go over uTP (BEP 29), which yields to everything else on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Utp {
    /// Never, neither way.
    Off,
    /// Accepted; dialled where TCP does not lead to the peer, and where the peer came by it.
    AfterTcp,
    /// Accepted; dialled first, TCP where that fails.
    First,
}

/// In which order pieces are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picking {
    /// The rarest among connected peers first, at random among equals; the first four at random.
    RarestFirst,
    /// At random: worse, and there to show by how much.
    Random,
}

/// To whom a seed gives, once others have two copies of what it has; whoever is unchoked by chance has its place in each (libtorrent's
/// `seed_choking_algorithm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedChoking {
    /// To those who take fastest, by turns: who has taken much for long stands behind those who wait.
    RoundRobin,
    /// To those who take fastest.
    FastestUpload,
    /// To those who have next to nothing or next to everything: who takes and gives nothing on comes to a standstill half way. What a peer was given counts, so
    /// that it helps nobody to claim less.
    AntiLeech,
}

/// Bounds and switches of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen for peers, TCP and UDP; `None` accepts nobody. Port 0 lets the system choose.
    pub listen: Option<SocketAddr>,
    /// Obfuscation.
    pub encryption: Encryption,
    /// uTP; the host must carry it.
    pub utp: Utp,
    /// Distributed hash table.
    pub dht: bool,
    /// Of each /24 (IPv6: /64) of public addresses the DHT takes one node only into a bucket or a lookup. Off where the whole network is one
    /// site: the lab's addresses are.
    pub dht_one_per_site: bool,
    /// Peer exchange.
    pub pex: bool,
    /// Local service discovery.
    pub lsd: bool,
    /// The order of pieces.
    pub picking: Picking,
    /// Swarms at a time.
    pub swarms_max: usize,
    /// Connections of the whole node.
    pub connections_max: usize,
    /// Dials of the whole node that are under way.
    pub half_open_max: usize,
    /// Connections of one swarm.
    pub swarm_connections_max: usize,
    /// Peers remembered per swarm, connected or not.
    pub swarm_peers_max: usize,
    /// Addresses that are not spoken to: not as peers, and not as nodes of the DHT.
    pub blocked: Arc<IpFilter>,
    /// Addresses that are banned; when full, the one banned longest ago leaves.
    pub bans_max: usize,
    /// Requests that may be outstanding at one peer, and that one peer may have outstanding here (`reqq`).
    pub requests_max: u32,
    /// Unchoked peers per swarm by merit; the optimistic one comes on top (BEP 3: 3 + 1).
    pub upload_slots: usize,
    /// To whom a seed gives.
    pub seed_choking: SeedChoking,
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
            utp: Utp::Off,
            dht: true,
            dht_one_per_site: true,
            pex: true,
            lsd: true,
            picking: Picking::RarestFirst,
            swarms_max: 10_000,
            connections_max: 500,
            half_open_max: 50,
            swarm_connections_max: 100,
            swarm_peers_max: 1000,
            blocked: Arc::default(),
            bans_max: 10_000,
            requests_max: 1000,
            upload_slots: 4,
            seed_choking: SeedChoking::RoundRobin,
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
    /// Announces and scrapes per minute from one address; more are refused.
    pub requests_per_minute_max: u32,
}
