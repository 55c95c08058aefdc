//! What a user can ask for.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{How, MutableItem, Selection, TorrentVersion};

/// Brings something here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRequest {
    /// Path of a .torrent, a magnet link, an http(s) address of a .torrent, or a network's own link (`napster:…`).
    pub source: String,
    /// From which of the session's networks; all when empty.
    #[serde(default)]
    pub on: Vec<String>,
    /// Target folder; made when missing. Nothing is ever written outside of it.
    pub into: PathBuf,
    /// `IP:PORT` (on our own overlays `KEY@IP:PORT`) of peers to ask at once.
    pub peers: Vec<String>,
    /// Which files.
    pub select: Selection,
    /// Go on seeding when complete.
    pub seed: bool,
    /// How.
    #[serde(default)]
    pub how: How,
}

/// Brings something here, and serves it by HTTP meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRequest {
    /// What, and where to.
    pub fetch: FetchRequest,
    /// Where players connect: an address of this machine that nobody else reaches.
    pub http: SocketAddr,
}

/// Offers files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishRequest {
    /// Files and folders, each published as one share; empty when `torrent` says what.
    pub paths: Vec<PathBuf>,
    /// On which of the session's networks; all when empty.
    #[serde(default)]
    pub on: Vec<String>,
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
    /// For which BitTorrent a fresh .torrent is; as the session's settings say when absent.
    #[serde(default)]
    pub version: Option<TorrentVersion>,
    /// `IP:PORT` of peers to connect to.
    pub peers: Vec<String>,
    /// Under which name of ours a mutable link (BEP 46) leads to it, in place of what it led to before; none when absent. For a single path.
    #[serde(default)]
    pub mutable: Option<String>,
    /// How.
    #[serde(default)]
    pub how: How,
}

/// Finds what others offer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchRequest {
    /// All of them must occur.
    pub words: Vec<String>,
    /// On which of the session's networks; all when empty.
    #[serde(default)]
    pub on: Vec<String>,
    /// How many results are enough.
    pub results_max: usize,
    /// The search ends after so many seconds, whoever has not answered.
    pub timeout_s: u64,
}

/// Takes part in a network and says how it stands, until stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Which of the session's networks.
    pub network: String,
}

/// What only one network can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Own {
    /// BitTorrent: follows a mutable link (BEP 46) until it is stopped, asking every hour, and keeps what it leads to stored in the DHT. Answered by
    /// [`Event::Newer`](crate::Event::Newer) whenever its owner has named something newer than is known.
    BittorrentFollow {
        /// The link.
        link: String,
        /// What is known of it.
        known: Option<MutableItem>,
    },
    /// BitTorrent: how many are in a swarm, as nodes of the DHT know it (BEP 33); answered by [`Event::Scraped`](crate::Event::Scraped).
    BittorrentScrape {
        /// A magnet link, or 40 hex digits.
        torrent: String,
    },
    /// BitTorrent: torrents that nodes of the DHT know (BEP 51); answered by [`Event::Sampled`](crate::Event::Sampled).
    BittorrentSample {
        /// How many are enough, 1,000 at most.
        count: usize,
    },
    /// Chord: stores a value, of 64 KiB at most.
    ChordPut {
        /// Under which name; others may have values of their own under it. Without one, under the hash of the bytes.
        name: Option<String>,
        /// The bytes.
        value: Vec<u8>,
    },
    /// Chord: the values under a name or a key.
    ChordGet {
        /// The name under which they were stored, or the 40 hex digits of a key when `is_key`.
        name: String,
        /// Whether `name` is a key.
        is_key: bool,
    },
    /// Freenet: makes an invitation; answered by [`Event::Invitation`](crate::Event::Invitation).
    FreenetInvite {
        /// What whoever uses it is called here.
        name: String,
        /// How long it is good, in seconds.
        lasts_s: u64,
        /// How many may use it.
        uses: u16,
        /// Where we are reached beside the address that we know ourselves.
        addresses: Vec<SocketAddr>,
    },
    /// Freenet: all invitations that were given.
    FreenetInvitations,
    /// Freenet: takes the invitation of that number back.
    FreenetRevoke {
        /// Its number.
        id: u64,
    },
    /// Freenet: makes use of an invitation of somebody else; answered by [`Event::Friend`](crate::Event::Friend).
    FreenetAccept {
        /// Its text.
        invitation: String,
    },
    /// Freenet: all friends.
    FreenetFriends,
    /// Freenet: forgets a friend.
    FreenetUnfriend {
        /// His public key, 64 hex digits.
        key: String,
    },
    /// Napster: files by words and by what servers know of them; answered by [`Event::Found`](crate::Event::Found).
    NapsterSearch {
        /// All of them must occur.
        words: Vec<String>,
        /// And all of this must hold.
        filter: NapsterFilter,
        /// How many results are enough.
        results_max: usize,
        /// The search ends after so many seconds.
        timeout_s: u64,
    },
    /// Napster: all that a user offers.
    NapsterBrowse {
        /// Who.
        name: String,
    },
    /// Napster: who somebody is; answered by [`Event::User`](crate::Event::User).
    NapsterWhois {
        /// Who.
        name: String,
    },
    /// Napster: says something to a user.
    NapsterSay {
        /// To whom.
        name: String,
        /// What.
        text: String,
    },
}

/// From where to where, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// No less.
    pub at_least: Option<u64>,
    /// No more.
    pub at_most: Option<u64>,
}

/// What the files of a Napster search must be like. Servers know it as the sharers have told it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NapsterFilter {
    /// `mp3`, `audio`, `video`, `text`, `image` or `application`; any when absent.
    pub kind: Option<String>,
    /// Bytes.
    pub size_bytes: Bounds,
    /// Of the sound, kilobits a second.
    pub bitrate_kbps: Bounds,
    /// Of the sound, hertz.
    pub frequency_hz: Bounds,
    /// How long it sounds.
    pub seconds: Bounds,
    /// The sharer's link, from 0 (unknown) and 1 (14.4 kbit/s) to 10 (T3 or better).
    pub link: Bounds,
}

impl Own {
    /// Which network can do it.
    #[must_use]
    pub fn network(&self) -> &'static str {
        match self {
            Self::BittorrentFollow { .. } | Self::BittorrentScrape { .. } | Self::BittorrentSample { .. } => "bittorrent",
            Self::ChordPut { .. } | Self::ChordGet { .. } => "chord",
            Self::FreenetInvite { .. }
            | Self::FreenetInvitations
            | Self::FreenetRevoke { .. }
            | Self::FreenetAccept { .. }
            | Self::FreenetFriends
            | Self::FreenetUnfriend { .. } => "freenet",
            Self::NapsterSearch { .. } | Self::NapsterBrowse { .. } | Self::NapsterWhois { .. } | Self::NapsterSay { .. } => "napster",
        }
    }
}

/// Takes part in Freenet and lets programs use it by FCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FcpRequest {
    /// Where programs connect; whoever reaches it can use the node.
    pub fcp: SocketAddr,
    /// Where browsers connect; nowhere when absent.
    #[serde(default)]
    pub gateway: Option<SocketAddr>,
    /// How to take part.
    pub freenet: crate::FreenetSettings,
    /// The folder in which programs may have files read and written; none when absent.
    #[serde(default)]
    pub disk: Option<PathBuf>,
    /// Where the node keeps its key, its peers and the blocks that it stores; nowhere when absent.
    pub state_dir: Option<PathBuf>,
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
