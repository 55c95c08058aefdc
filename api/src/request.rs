//! What a user can ask for.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Selection;

/// How much to insist on protocol encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// Plain only.
    Off,
    /// Obfuscated first, plain when that fails.
    #[default]
    Preferred,
    /// Obfuscated and RC4 only.
    Required,
}

/// How a session takes part in BitTorrent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where peers reach us; port 0 lets the system choose. When absent, the first usual port that is free.
    pub listen: Option<SocketAddr>,
    /// Distributed hash table.
    pub dht: bool,
    /// Peer exchange.
    pub pex: bool,
    /// Local service discovery.
    pub lsd: bool,
    /// Protocol encryption.
    pub encryption: Encryption,
    /// `HOST:PORT` of DHT nodes to begin with.
    pub dht_bootstrap: Vec<String>,
    /// Where node state (DHT nodes and the like) is kept; nowhere when absent.
    pub state_dir: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: None,
            dht: true,
            pex: true,
            lsd: true,
            encryption: Encryption::Preferred,
            // The names that current clients use (libtorrent, Transmission, rqbit), see specs/bittorrent.md section 11.2.
            dht_bootstrap: ["dht.libtorrent.org:25401", "dht.transmissionbt.com:6881", "router.bittorrent.com:6881"]
                .map(String::from)
                .to_vec(),
            state_dir: None,
        }
    }
}

/// Brings something here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRequest {
    /// Path of a .torrent, a magnet link, or an http(s) address of a .torrent.
    pub source: String,
    /// Target folder; made when missing. Nothing is ever written outside of it.
    pub into: PathBuf,
    /// `IP:PORT` of peers to ask at once.
    pub peers: Vec<String>,
    /// Which files.
    pub select: Selection,
    /// Go on seeding when complete.
    pub seed: bool,
}

/// Offers files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishRequest {
    /// Files and folders, each published as one torrent; empty when `torrent` says what.
    pub paths: Vec<PathBuf>,
    /// An existing .torrent whose data is in `data`.
    pub torrent: Option<PathBuf>,
    /// The folder in which the torrent's file or folder stands.
    pub data: Option<PathBuf>,
    /// Where to write the .torrent of a single path; `NAME.torrent` in the current folder when absent.
    pub out: Option<PathBuf>,
    /// Write over an existing .torrent that says something else.
    pub force: bool,
    /// Tracker tiers for a fresh .torrent.
    pub tiers: Vec<Vec<String>>,
    /// `IP:PORT` of peers to connect to.
    pub peers: Vec<String>,
}

/// Serves as a BitTorrent tracker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackerRequest {
    /// HTTP address.
    pub http: Option<SocketAddr>,
    /// UDP address.
    pub udp: Option<SocketAddr>,
    /// Seconds peers are told to wait between announces.
    pub interval_s: u64,
    /// Announces and scrapes a minute accepted from one address.
    pub requests_per_minute_max: u32,
}
