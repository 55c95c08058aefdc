//! What BitTorrent's DHT can be asked.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which swarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ScrapeQuery {
    /// A magnet link, or the 40 hex digits of an info hash.
    pub torrent: String,
}

/// How many are in a swarm, about, as nodes of the DHT know it (BEP 33).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scrape {
    /// The swarm, hex.
    pub info_hash: String,
    /// Those that have everything.
    pub seeds: u64,
    /// The others.
    pub leechers: u64,
    /// How many nodes have told something; what nobody tells of may have a swarm all the same.
    pub nodes: usize,
}

/// How many torrents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SampleQuery {
    /// How many are enough: 1 to 1,000; 20 when absent.
    pub count: usize,
}

impl SampleQuery {
    /// The most that may be asked for.
    pub const COUNT_MAX: usize = 1000;
}

impl Default for SampleQuery {
    fn default() -> Self {
        Self { count: 20 }
    }
}

/// A torrent that a node of the DHT knows (BEP 51).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// Its info hash, hex.
    pub info_hash: String,
    /// What fetches it.
    pub link: String,
}
