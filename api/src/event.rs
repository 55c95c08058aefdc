//! What happens to a task: one JSON line each with `--json`.

use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Doors are open.
    Listening {
        /// `IP:PORT`.
        address: String,
        /// What it is for: `peers`, `tracker-http`, `tracker-udp`.
        purpose: String,
    },
    /// Peers are asked what a link stands for, about twice a second until `Started`.
    Looking {
        /// Peers connected.
        peers: usize,
        /// Peers known, connected or not.
        peers_known: usize,
    },
    /// It is known what is to be fetched.
    Started {
        /// Name of the file or folder.
        name: String,
        /// v1 info hash, hex.
        info_hash: String,
        /// Files selected.
        files: usize,
        /// Bytes of them.
        wanted_bytes: u64,
    },
    /// Existing data is being compared with the proof.
    Checking {
        /// Bytes compared.
        checked_bytes: u64,
        /// Bytes to compare in all.
        total_bytes: u64,
    },
    /// A name was not safe for this disk.
    Renamed {
        /// As the publisher named it.
        from: String,
        /// As it is stored.
        to: String,
        /// Why.
        reason: String,
    },
    /// How it goes, about twice a second.
    Progress {
        /// Selected bytes proven and on disk.
        verified_bytes: u64,
        /// Selected bytes.
        wanted_bytes: u64,
        /// Received, bytes a second over 20 s.
        down_bytes_per_s: u64,
        /// Sent, bytes a second over 20 s.
        up_bytes_per_s: u64,
        /// Bytes of blocks received so far, good or not.
        downloaded_bytes: u64,
        /// Bytes of blocks sent so far.
        uploaded_bytes: u64,
        /// Peers connected.
        peers: usize,
        /// Of those, peers that have everything.
        seeds: usize,
        /// Peers known, connected or not.
        peers_known: usize,
    },
    /// More is proven and on disk; also once at the start, with what was there.
    Verified {
        /// Selected bytes proven and on disk.
        verified_bytes: u64,
        /// Selected bytes.
        wanted_bytes: u64,
    },
    /// Every selected byte is verified on disk.
    Complete {
        /// Name of the file or folder as stored.
        name: String,
        /// Where it stands.
        path: String,
        /// Selected bytes.
        bytes: u64,
        /// Bytes of blocks received by this run.
        downloaded_bytes: u64,
        /// Since the start of this run.
        seconds: f64,
    },
    /// Others can fetch it from us.
    Seeding {
        /// Name of the file or folder.
        name: String,
        /// v1 info hash, hex.
        info_hash: String,
        /// A link that says it all.
        magnet: String,
        /// The .torrent that describes it, where one was written.
        #[serde(skip_serializing_if = "Option::is_none")]
        torrent: Option<String>,
        /// Bytes offered.
        bytes: u64,
    },
    /// Something the user should know; the task goes on.
    Warning {
        /// A sentence.
        message: String,
    },
    /// The task is over without success.
    Failed {
        /// A sentence.
        message: String,
        /// Something to do.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// The task was stopped.
    Stopped,
}
