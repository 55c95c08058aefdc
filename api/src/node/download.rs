//! Downloads that stay.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{How, Limits, Problem};

/// A download to be begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDownload {
    /// Path of a .torrent, a magnet link, an http(s) address of a .torrent, or a network's own link.
    pub source: String,
    /// From which networks; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// Target folder; that of the settings when absent. Nothing is ever written outside of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// `IP:PORT` (on our own overlays `KEY@IP:PORT`) of peers to ask at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// Which files: index, range like `2-5`, or glob; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<String>,
    /// Go on seeding when complete; as the settings say when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<bool>,
    /// Limits of its own, the order of its files, and when there is an end to seeding. A goal implies seeding; `seed_s` counts anew after a restart.
    #[serde(default, skip_serializing_if = "How::is_usual")]
    pub how: How,
    /// Find out what it holds and rest then, so that files can be chosen before any of them comes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub choose: bool,
}

/// What is to be different about a download. What is left out stays as it is; what was verified stays in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DownloadChange {
    /// How it is carried out from here on, as a whole: limits, order and goals hold at once. A goal implies seeding, unless `seed` says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
    /// Which files: index, range like `2-5`, or glob; all when empty. One that runs is taken up anew with these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Vec<String>>,
    /// Go on seeding when complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<bool>,
    /// The full name of another target folder, to which all that is there is moved; the download goes on meanwhile, and afterwards from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Its place in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueMove>,
}

/// Where a download goes in the queue, in which those wait that are more than may be active at a time (`active_downloads` and `active_seeds` of the
/// settings). Those that are active keep their places: one that is moved before them takes the place of the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueMove {
    /// Before all others.
    Top,
    /// Before the one before it.
    Up,
    /// Behind the one behind it.
    Down,
    /// Behind all others.
    Bottom,
    /// It is begun however many others are active, and does not count as one of them, until it rests, is complete or is moved in the queue.
    Now,
}

/// How a download stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DownloadState {
    /// It waits until fewer others are active. It may be complete, and wait to be given on.
    Queued,
    /// Peers are asked what the source stands for.
    Looking,
    /// What is there already is compared with the proof.
    Checking,
    /// It comes.
    Fetching,
    /// It is complete, and others can fetch it from us.
    Seeding,
    /// It is complete.
    Complete,
    /// It rests.
    Paused,
    /// It cannot go on by itself.
    Failed,
}

/// A download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Download {
    /// Its number; it stays the same over restarts.
    pub id: u64,
    /// Name of the file or folder.
    pub name: String,
    /// How it stands.
    pub state: DownloadState,
    /// Where it comes from, as it was asked for.
    pub source: String,
    /// From which networks.
    pub on: Vec<String>,
    /// Target folder.
    pub into: String,
    /// To which folder it is being moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_to: Option<String>,
    /// Selected bytes; 0 until that is known.
    pub wanted_bytes: u64,
    /// Selected bytes proven and on disk.
    pub verified_bytes: u64,
    /// Received, bytes a second.
    pub down_bytes_per_s: u64,
    /// Sent, bytes a second.
    pub up_bytes_per_s: u64,
    /// What it may move itself, beside what the whole node may.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// Bytes of blocks received, good or not, over all runs.
    pub downloaded_bytes: u64,
    /// Bytes of blocks sent, over all runs.
    pub uploaded_bytes: u64,
    /// Peers connected, where a network says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<usize>,
    /// Of those, peers that have everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<usize>,
    /// How long it takes at this rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<u64>,
    /// Its place in the queue: whoever has the least is active first. It says nothing beyond that.
    #[serde(default)]
    pub place: i64,
    /// When it was begun, seconds since 1970.
    pub added_s: u64,
    /// When it became complete, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_s: Option<u64>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Which version of a mutable link (BEP 46) it is: the sequence number that its owner has given it, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The download of a newer version of the same link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<u64>,
    /// Nothing proves it.
    pub unproven: bool,
    /// Why it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// A download and all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownloadDetail {
    /// What lists say.
    #[serde(flatten)]
    pub download: Download,
    /// How many files it has, wanted or not; 0 until that is known. `api/downloads/{id}/files` lists them.
    #[serde(default)]
    pub files: usize,
    /// How many of them are wanted.
    #[serde(default)]
    pub wanted_files: usize,
    /// Which files were asked for, in words; all when empty.
    #[serde(default)]
    pub select: Vec<String>,
    /// Whether it goes on seeding when complete.
    #[serde(default)]
    pub seed: bool,
    /// How it is carried out.
    #[serde(default)]
    pub how: How,
    /// What came from which network.
    pub by_network: Vec<ByNetwork>,
    /// Up to 400 parts of the download in order, each 0 to 100: how much of it is verified.
    pub blocks: Vec<u8>,
    /// The last five minutes, one a second at most.
    pub rates: Vec<RateAt>,
    /// What the user should know; the latest last.
    pub warnings: Vec<String>,
}

/// A file of a download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownloadFile {
    /// By which it is selected.
    pub index: usize,
    /// Path inside the download, elements joined by `/`, as its publisher named it.
    pub path: String,
    /// Its length.
    pub length_bytes: u64,
    /// How much of it is proven and on disk, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_bytes: Option<u64>,
    /// Whether it is fetched.
    pub wanted: bool,
    /// When it comes.
    pub turn: FileTurn,
}

/// When a file of a download comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileTurn {
    /// Before the others.
    First,
    /// With the others.
    #[default]
    Usual,
    /// After the others.
    Last,
}

/// Which files of a download.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// The first one, from 0 on.
    pub offset: usize,
    /// How many at most; 100 when absent.
    pub limit: Option<usize>,
    /// Only with this in the path, in whatever case.
    pub q: Option<String>,
}

/// What came from one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ByNetwork {
    /// Which.
    pub name: String,
    /// Bytes of blocks received, over all runs.
    pub bytes: u64,
    /// Of those, bytes that turned out to be wrong; whoever sent them is asked no more.
    #[serde(default)]
    pub bad_bytes: u64,
    /// Peers connected, where the network says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<usize>,
    /// Why nothing comes from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// How fast it went at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateAt {
    /// When, seconds since 1970.
    pub at_s: u64,
    /// Received, bytes a second.
    pub down_bytes_per_s: u64,
    /// Sent, bytes a second.
    pub up_bytes_per_s: u64,
}

/// By what downloads are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DownloadSort {
    /// The latest first.
    #[default]
    Added,
    /// By name.
    Name,
    /// The least complete first.
    Progress,
    /// The fastest first.
    Rate,
    /// As they follow in the queue, the next first.
    Queue,
}

/// Which downloads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct DownloadQuery {
    /// The first one, from 0 on.
    pub offset: usize,
    /// How many at most; 100 when absent.
    pub limit: Option<usize>,
    /// Only in this state.
    pub state: Option<DownloadState>,
    /// Only with this in the name, in whatever case.
    pub q: Option<String>,
    /// In which order.
    pub sort: DownloadSort,
}
