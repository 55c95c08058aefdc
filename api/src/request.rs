//! What a user can ask for.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
    /// Where peers reach us; port 0 lets the system choose.
    pub listen: SocketAddr,
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
            listen: SocketAddr::from(([0, 0, 0, 0], 6881)),
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

/// Which files of a torrent are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Indices (`3`, `2-5`, zero based) and globs over the path inside the torrent (`*.flac`, `disc1/**`). Empty: all.
    pub patterns: Vec<String>,
}

/// Why a selection cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionError(pub String);

impl std::fmt::Display for SelectionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Selection {
    /// One flag per path: whether it is selected. Paths are relative to the torrent, elements joined by `/`.
    ///
    /// # Errors
    /// When a pattern is neither an index, a range of indices nor a glob, or selects nothing.
    pub fn mask(&self, paths: &[String]) -> Result<Vec<bool>, SelectionError> {
        if self.patterns.is_empty() {
            return Ok(vec![true; paths.len()]);
        }
        let mut mask = vec![false; paths.len()];
        for pattern in self.patterns.iter().flat_map(|given| given.split(',')).map(str::trim).filter(|part| !part.is_empty()) {
            let before = mask.iter().filter(|&&on| on).count();
            let mut matched = 0;
            if let Some((first, last)) = index_range(pattern) {
                for flag in mask.iter_mut().take(last.saturating_add(1)).skip(first) {
                    *flag = true;
                    matched += 1;
                }
            } else {
                let glob = glob::Pattern::new(pattern)
                    .map_err(|wrong| SelectionError(format!("expected an index, a range like 2-5 or a glob, came '{pattern}': {wrong}")))?;
                for (flag, path) in mask.iter_mut().zip(paths) {
                    let name = path.rsplit('/').next().unwrap_or(path);
                    if glob.matches(path) || (!pattern.contains('/') && glob.matches(name)) {
                        *flag = true;
                        matched += 1;
                    }
                }
            }
            if matched == 0 && before == mask.iter().filter(|&&on| on).count() {
                return Err(SelectionError(format!("'{pattern}' selects none of the {} files", paths.len())));
            }
        }
        Ok(mask)
    }
}

fn index_range(text: &str) -> Option<(usize, usize)> {
    match text.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some((first, last))
        }
        None => text.parse().ok().map(|index| (index, index)),
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
    /// Where to write the .torrent of a single path; not written when absent.
    pub out: Option<PathBuf>,
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
    /// Announces a minute accepted from one address.
    pub announces_per_minute_max: u32,
}
