//! How a node and its networks stand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Limits, Problem};

/// How a node stands as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// All but the networks.
    #[serde(flatten)]
    pub totals: Totals,
    /// How each network stands, without overlays.
    pub networks: Vec<NetworkStatus>,
}

/// How a node stands, its networks left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// Of the program.
    pub version: String,
    /// Since its start.
    pub uptime_s: u64,
    /// Received, bytes a second.
    pub down_bytes_per_s: u64,
    /// Sent, bytes a second.
    pub up_bytes_per_s: u64,
    /// What all networks together may move at this moment.
    #[serde(default)]
    pub limits: Limits,
    /// Why these limits hold in place of the usual ones: the days and hours that they are meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits_by_schedule: Option<String>,
    /// Downloads.
    pub downloads: DownloadCounts,
    /// What is offered.
    pub library: LibraryCounts,
    /// Memory that the process has.
    pub memory_bytes: u64,
    /// Where downloads go.
    pub download_dir: String,
}

/// How many downloads there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownloadCounts {
    /// Something is being done for them, seeding included.
    pub active: usize,
    /// They wait until fewer others are active.
    #[serde(default)]
    pub queued: usize,
    /// Complete, seeding or not.
    pub complete: usize,
    /// Failed.
    pub failed: usize,
    /// In all.
    pub total: usize,
}

/// How much is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LibraryCounts {
    /// Files and folders.
    pub shares: usize,
    /// All of their bytes.
    pub bytes: u64,
    /// How many of the shares are being hashed, or wait for it.
    pub hashing: usize,
}

/// Whether we are part of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NetworkState {
    /// Not yet.
    Joining,
    /// We are.
    Joined,
    /// It could not be joined; it is tried again by itself, unless its settings cannot be used.
    Failed,
    /// Nobody wants it joined.
    Left,
}

/// How a network stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NetworkStatus {
    /// `bittorrent`, `chord`, `freenet`, `gnutella`, `kazaa` or `napster`.
    pub name: String,
    /// Whether we are part of it.
    pub state: NetworkState,
    /// Peers that are known.
    pub peers: u64,
    /// What else there is to count, by name.
    pub figures: BTreeMap<String, u64>,
    /// Where we can be reached.
    pub doors: Vec<DoorOf>,
    /// Why it is not joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// What it can do by nature.
    pub abilities: AbilitiesOf,
    /// Who is whose neighbour; only where one network is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
}

/// Where we can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoorOf {
    /// `IP:PORT`; on our own overlays `KEY@IP:PORT`, by which others can join.
    pub address: String,
    /// What it is for.
    pub purpose: String,
}

/// What a network can do by nature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AbilitiesOf {
    /// Find by words.
    pub search: bool,
    /// Find by a digest.
    pub lookup: bool,
    /// Offer files.
    pub publish: bool,
    /// Bring files.
    pub fetch: bool,
}

/// What the whole of a network looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverlayKind {
    /// Whoever has the same file.
    Swarm,
    /// Nodes on a circle of keys.
    Ring,
    /// Nodes on a circle of locations, near ones more than far ones.
    Neighbourhood,
    /// Anybody with anybody.
    Mesh,
    /// Few above many.
    Tiers,
    /// One in the middle.
    Index,
}

/// Our neighbours in a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Overlay {
    /// How to draw it.
    pub kind: OverlayKind,
    /// Our own node.
    pub me: Neighbour,
    /// Those we know.
    pub peers: Vec<Neighbour>,
}

/// One node of an overlay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Neighbour {
    /// What tells it from others.
    pub id: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `finger`, `successor`, `predecessor`, `supernode`, `leaf`, `ultrapeer`, `neighbour`, `server`, `peer`, `seed` or `self`.
    pub role: String,
    /// Where it stands on a circle, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<f64>,
    /// How far away it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
}
