//! What happens to a task: one JSON line each with `--json`.

use std::collections::BTreeMap;

use crate::node::{FreenetFriend, FreenetInvitation};
use serde::{Deserialize, Serialize};

/// What the owner of a mutable link has it lead to (BEP 46), and his word for it, by which anybody can have it stored in the DHT again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutableItem {
    /// The link: `magnet:?xs=urn:btpk:` and the owner's key.
    pub link: String,
    /// Grows with every change.
    pub seq: i64,
    /// The torrent that it leads to: its info hash (of v2 the first 20 bytes), hex.
    pub info_hash: String,
    /// What is stored, bencoded, in hex.
    pub value: String,
    /// The owner's signature, hex.
    pub signature: String,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Doors are open.
    Listening {
        /// Of which network.
        network: String,
        /// `IP:PORT`; on our own overlays `KEY@IP:PORT`, by which others can join.
        address: String,
        /// What it is for: `stream` (an HTTP address), `peers`, `ring`, `network`, `clients`, `fcp`, `tracker-http`, `tracker-udp`.
        purpose: String,
    },
    /// Whether the router lets others in to us.
    Reachable {
        /// To our part of which network.
        network: String,
        /// `IP:PORT` outside, as far as the router says it; absent where none lets others in.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// How it was asked: `PCP`, `NAT-PMP`, `UPnP`.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// We are part of a network.
    Joined {
        /// Which.
        network: String,
    },
    /// How a network stands, whenever that has changed.
    Standing {
        /// Which.
        network: String,
        /// Peers that are known (of an index server: users who are logged in).
        peers: u64,
        /// What else there is to count, by name.
        figures: BTreeMap<String, u64>,
    },
    /// One result of a search, or what more is known of it.
    Found {
        /// Its number in this search, from 1 on; what comes later under the same number takes the place of what came before.
        result: usize,
        /// Name of the file or folder.
        name: String,
        /// Bytes, when that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        size_bytes: Option<u64>,
        /// What `fetch` takes.
        link: String,
        /// Whether what the link leads to is proven by it, whoever it comes from.
        proven: bool,
        /// Networks on which it was found.
        networks: Vec<String>,
        /// How many offer it, as far as the networks say.
        sources: usize,
    },
    /// Who somebody is.
    User {
        /// Where.
        network: String,
        /// The name by which the network knows him.
        name: String,
        /// Whether he is there; else what is told is from when he was.
        here: bool,
        /// What else is known, by what it is called.
        facts: BTreeMap<String, String>,
    },
    /// A value is stored.
    Stored {
        /// Where.
        network: String,
        /// Under which key, hex.
        key: String,
        /// Copies that were acknowledged.
        copies: u8,
    },
    /// One value under a key.
    Value {
        /// Where.
        network: String,
        /// Under which key, hex.
        key: String,
        /// Whose it is, where values have owners.
        #[serde(skip_serializing_if = "Option::is_none")]
        publisher: Option<String>,
        /// The bytes as text, where they are text.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// The bytes in base 64.
        base64: String,
    },
    /// What a mutable link leads to, newer than what was known.
    Newer(MutableItem),
    /// How many are in a swarm, about, as nodes of the DHT know it.
    Scraped {
        /// The swarm, hex.
        info_hash: String,
        /// Those that have everything.
        seeds: u64,
        /// The others.
        leechers: u64,
        /// How many nodes have told something; what nobody tells of may have a swarm all the same.
        nodes: usize,
    },
    /// A torrent that a node of the DHT knows.
    Sampled {
        /// Its info hash, hex.
        info_hash: String,
        /// What `fetch` takes.
        link: String,
    },
    /// An invitation to be somebody's friend there.
    Invitation(FreenetInvitation),
    /// A friend there.
    Friend(FreenetFriend),
    /// Files are in the network, whoever leaves it.
    Inserted {
        /// Where.
        network: String,
        /// The key that leads to them.
        key: String,
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
        /// v1 info hash, hex; empty where there is none.
        info_hash: String,
        /// What proves a single file on any network: its content id.
        #[serde(skip_serializing_if = "Option::is_none")]
        content_id: Option<String>,
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
        /// Peers connected, where the network says it.
        #[serde(skip_serializing_if = "Option::is_none")]
        peers: Option<usize>,
        /// Of those, peers that have everything.
        #[serde(skip_serializing_if = "Option::is_none")]
        seeds: Option<usize>,
        /// Peers known, connected or not.
        #[serde(skip_serializing_if = "Option::is_none")]
        peers_known: Option<usize>,
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
        /// Nothing proves it: it lies in a folder of its own, and is not given on.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unproven: bool,
    },
    /// Others can fetch it from us.
    Seeding {
        /// By which network.
        network: String,
        /// Name of the file or folder.
        name: String,
        /// v1 info hash, hex; empty where there is none.
        info_hash: String,
        /// What proves a single file on any network: its content id.
        #[serde(skip_serializing_if = "Option::is_none")]
        content_id: Option<String>,
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
    /// The task is over, and all that it was to bring about has been told.
    Done,
    /// The task was stopped.
    Stopped,
}
