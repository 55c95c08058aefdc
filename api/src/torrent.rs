//! .torrent files: making, showing, checking.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How to make a .torrent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRequest {
    /// File or folder.
    pub path: PathBuf,
    /// Where to write it.
    pub out: PathBuf,
    /// Bytes per piece; chosen from the size when absent. A power of two from 16 KiB to 64 MiB.
    pub piece_bytes: Option<u64>,
    /// Tracker tiers.
    pub tiers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// BEP 27.
    pub private: bool,
    /// Free text.
    pub comment: Option<String>,
    /// Changes the info hash only (private trackers).
    pub source: Option<String>,
    /// Write over an existing `out`.
    pub force: bool,
    /// Which BitTorrent to describe the files for.
    #[serde(default)]
    pub version: TorrentVersion,
}

/// Which BitTorrent a .torrent describes its files for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TorrentVersion {
    /// What every program reads (BEP 3).
    #[default]
    V1,
    /// A hash tree for each file (BEP 52).
    V2,
    /// Both in one.
    Hybrid,
}

/// One file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLine {
    /// Zero-based index, as selections count.
    pub index: usize,
    /// Path inside the torrent.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
}

/// What a .torrent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorrentSummary {
    /// Name of the file or folder.
    pub name: String,
    /// v1 info hash, hex; of a torrent for v2 only that of v2.
    pub info_hash: String,
    /// v2 info hash, hex, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info_hash_v2: Option<String>,
    /// Which BitTorrent it is for.
    #[serde(default)]
    pub version: TorrentVersion,
    /// All bytes of its files.
    pub total_bytes: u64,
    /// Bytes per piece.
    pub piece_bytes: u64,
    /// Pieces.
    pub pieces: usize,
    /// Files, pad files left out.
    pub files: Vec<FileLine>,
    /// Tracker tiers.
    pub tiers: Vec<Vec<String>>,
    /// Web seeds.
    pub web_seeds: Vec<String>,
    /// BEP 27.
    pub private: bool,
    /// Free text.
    pub comment: Option<String>,
    /// Program that made it.
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub creation_unix_s: Option<i64>,
    /// Private trackers' salt; changes the info hash only.
    pub source: Option<String>,
    /// A link that says it all.
    pub magnet: String,
    /// What was found on disk and left out, and why, when the .torrent was made just now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Name of the torrent.
    pub name: String,
    /// Bytes that match.
    pub good_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
    /// Pieces that match.
    pub good_pieces: usize,
    /// All pieces.
    pub pieces: usize,
    /// Files that are missing, not of the right length, or with a byte that does not match; with the bytes that do.
    pub incomplete: Vec<FileLine>,
    /// Whether there is anything at all where the file or folder should stand.
    pub found: bool,
}

impl CheckReport {
    /// Whether every byte matches and every file is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.good_bytes == self.total_bytes && self.incomplete.is_empty()
    }
}
