//! In which networks a session takes part, and how.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Limits, TorrentVersion};

/// A session's networks, and what they share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the networks keep what they know from one run to the next (keys, peers); nowhere when absent.
    pub state_dir: Option<PathBuf>,
    /// Which networks are joined.
    pub networks: Vec<NetworkSettings>,
    /// The one interface of this machine over which anything goes; what cannot go over it goes nowhere.
    #[serde(default)]
    pub interface: Option<String>,
    /// The proxy through which everything goes, names included: `socks5://[user:password@]IP:PORT`, or `http://` and the same.
    #[serde(default)]
    pub proxy: Option<String>,
    /// How fast bytes may come and go on all of them together.
    #[serde(default)]
    pub limits: Limits,
}

/// How to take part in one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "snake_case")]
pub enum NetworkSettings {
    /// BitTorrent.
    Bittorrent(BittorrentSettings),
    /// Chord.
    Chord(ChordSettings),
    /// Freenet.
    Freenet(FreenetSettings),
    /// Gnutella.
    Gnutella(GnutellaSettings),
    /// Kazaa.
    Kazaa(KazaaSettings),
    /// Napster, as a client.
    Napster(NapsterSettings),
    /// Napster, as a server.
    NapsterServer(NapsterServerSettings),
}

impl NetworkSettings {
    /// What requests call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bittorrent(_) => "bittorrent",
            Self::Chord(_) => "chord",
            Self::Freenet(_) => "freenet",
            Self::Gnutella(_) => "gnutella",
            Self::Kazaa(_) => "kazaa",
            Self::Napster(_) => "napster",
            Self::NapsterServer(_) => "napster-server",
        }
    }
}

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

/// When BitTorrent connections go over uTP, which yields to everything else on the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Utp {
    /// Never.
    Off,
    /// Accepted, and dialled where TCP fails.
    #[default]
    AfterTcp,
    /// Accepted, and dialled before TCP.
    First,
}

/// To whom a BitTorrent seed gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeedChoking {
    /// To those who take fastest, by turns.
    #[default]
    RoundRobin,
    /// To those who take fastest.
    FastestUpload,
    /// To those who have just begun, and those who are nearly done.
    AntiLeech,
}

/// How a session takes part in BitTorrent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BittorrentSettings {
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
    /// Connections over UDP.
    pub utp: Utp,
    /// To whom to give what is complete.
    pub seed_choking: SeedChoking,
    /// For which BitTorrent published files are described.
    pub version: TorrentVersion,
    /// `HOST:PORT` of DHT nodes to begin with.
    pub dht_bootstrap: Vec<String>,
    /// Ask the router to let others in (PCP, NAT-PMP, UPnP).
    pub map_ports: bool,
    /// Lists of addresses that are not spoken to: PeerGuardian text, `ipfilter.dat`, or prefixes.
    pub block_lists: Vec<PathBuf>,
}

impl Default for BittorrentSettings {
    fn default() -> Self {
        Self {
            listen: None,
            dht: true,
            pex: true,
            lsd: true,
            encryption: Encryption::Preferred,
            utp: Utp::AfterTcp,
            seed_choking: SeedChoking::RoundRobin,
            // aria2 1.36 and Transmission 3.00, which many still run, can use neither of the others.
            version: TorrentVersion::V1,
            // The names that current clients use (libtorrent, Transmission, rqbit), see specs/bittorrent.md section 11.2.
            dht_bootstrap: ["dht.libtorrent.org:25401", "dht.transmissionbt.com:6881", "router.bittorrent.com:6881"]
                .map(String::from)
                .to_vec(),
            map_ports: false,
            block_lists: Vec::new(),
        }
    }
}

/// How a session takes part in a Chord ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChordSettings {
    /// Where peers reach us (UDP); port 0 lets the system choose. When absent, any free port of this machine's address towards the first
    /// bootstrap node.
    pub listen: Option<SocketAddr>,
    /// `KEY@IP:PORT` of nodes of the ring, beside those that are remembered.
    pub bootstrap: Vec<String>,
    /// Begin a ring of our own where nobody is named or remembered.
    pub found: bool,
}

/// How a session takes part in Freenet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreenetSettings {
    /// Where peers reach us (UDP); port 0 lets the system choose. When absent, any free port of this machine's address towards the first
    /// bootstrap node.
    pub listen: Option<SocketAddr>,
    /// `KEY@IP:PORT` of nodes to begin with, beside those that are remembered.
    pub bootstrap: Vec<String>,
    /// Begin a network of our own where nobody is named or remembered.
    pub found: bool,
    /// Public keys of friends, 64 hex digits each: nobody else becomes a neighbour, and nobody hears of them. Empty for an open network.
    pub friends: Vec<String>,
    /// Speak to friends only, though none is named here: they come by invitations.
    pub darknet: bool,
    /// With what we were invited, as its text: whoever has given it is whom to begin with.
    pub invitation: Option<String>,
    /// How much of everybody's blocks to keep, bytes, at least [`Self::STORE_BYTES_MIN`]: half of it for what belongs here, half for what came by.
    pub store_bytes: u64,
}

impl FreenetSettings {
    /// Below this nothing would stay for long enough to be found.
    pub const STORE_BYTES_MIN: u64 = 1 << 20;
    /// What is kept when nobody says how much.
    pub const STORE_BYTES: u64 = 1 << 30;
}

impl Default for FreenetSettings {
    fn default() -> Self {
        Self {
            listen: None,
            bootstrap: Vec::new(),
            found: false,
            friends: Vec::new(),
            darknet: false,
            invitation: None,
            store_bytes: Self::STORE_BYTES,
        }
    }
}

/// What to be in Gnutella.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GnutellaMode {
    /// A leaf, or an ultrapeer where one is needed and this machine can be one.
    #[default]
    Auto,
    /// An ultrapeer.
    Ultrapeer,
    /// A leaf.
    Leaf,
    /// One of equals, as before there were ultrapeers.
    Flat,
}

/// How a session takes part in Gnutella.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GnutellaSettings {
    /// Where others reach us; port 0 lets the system choose. When absent, port 6346 where it is free, else any.
    pub listen: Option<SocketAddr>,
    /// `HOST:PORT` of hosts to begin with, beside those that are remembered.
    pub bootstrap: Vec<String>,
    /// What to be.
    pub mode: GnutellaMode,
    /// Let nobody connect to us: we connect to others.
    pub firewalled: bool,
    /// Addresses of web caches (GWebCache) to ask for hosts where nobody else is known.
    pub web_caches: Vec<String>,
    /// Let links be as they are, not deflated: tools that look at packets can read them.
    #[serde(default)]
    pub plain: bool,
}

/// Whether a node of Kazaa may be a supernode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supernode {
    /// When it is fit for it and others need one.
    #[default]
    Auto,
    /// Never.
    Never,
    /// From the beginning.
    Always,
}

/// How a session takes part in Kazaa.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KazaaSettings {
    /// Where peers reach us (UDP); port 0 lets the system choose. When absent, any free port of this machine's address towards the first
    /// bootstrap node.
    pub listen: Option<SocketAddr>,
    /// `KEY@IP:PORT` of nodes of the network, beside those that are remembered.
    pub bootstrap: Vec<String>,
    /// Begin a network of our own where nobody is named or remembered.
    pub found: bool,
    /// Whether we may be a supernode.
    pub supernode: Supernode,
    /// Where we take leaves of FastTrack's own wire (TCP) while we are a supernode; nowhere when absent.
    pub fasttrack: Option<SocketAddr>,
}

/// How a session is a client of Napster servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NapsterSettings {
    /// `HOST:PORT` of servers.
    pub servers: Vec<String>,
    /// Our name there; one is invented when empty.
    pub name: String,
    /// Our password; a guest's when empty.
    pub password: String,
    /// Register the name, where it is not.
    pub register: bool,
    /// Where others connect to us for files; any free port when absent.
    pub listen: Option<SocketAddr>,
    /// Let nobody connect to us: we connect to others.
    pub firewalled: bool,
}

/// How a session is a Napster server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NapsterServerSettings {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// How the server calls itself; one word.
    pub name: String,
    /// Lines of the message of the day.
    pub motd: Vec<String>,
    /// Names that are admins as soon as they are registered.
    pub admins: Vec<String>,
    /// Whether names that nobody has registered may log in.
    pub guests: bool,
    /// Whether names can be registered.
    pub registration: bool,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections at a time from one address.
    pub address_connections_max: u32,
    /// Searches of one user in a minute; 0 has no limit.
    pub searches_per_minute: u32,
    /// Answers to one search.
    pub results_max: u32,
    /// `postgres://…`: a catalogue that other servers share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<String>,
}

impl Default for NapsterServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8888)),
            name: "hexad".into(),
            motd: Vec::new(),
            admins: Vec::new(),
            guests: true,
            registration: true,
            connections_max: 20_000,
            address_connections_max: 32,
            searches_per_minute: 60,
            results_max: 100,
            catalogue: None,
        }
    }
}
