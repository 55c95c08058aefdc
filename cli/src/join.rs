//! `hexad join`: takes part in a network until stopped.

use std::net::SocketAddr;

use clap::{Args, Subcommand, ValueEnum};
use hexad_api::{
    ChordSettings, FreenetSettings, GnutellaMode, GnutellaSettings, JoinRequest, KazaaSettings, NapsterSettings, NetworkSettings, Problem,
    Session as _, Settings, Supernode,
};

use crate::follow::{Until, follow};
use crate::how::parse_bytes;
use crate::networks::StateArgs;
use crate::render::Screen;

/// `hexad join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Which network
    #[command(subcommand)]
    pub command: JoinCommand,
}

/// Which network.
#[derive(Debug, Subcommand)]
pub enum JoinCommand {
    /// Be a node of a Chord ring: hold a share of its items, answer lookups; prints KEY@IP:PORT, by which others join
    #[command(after_help = CHORD_EXAMPLES)]
    Chord(ChordArgs),
    /// Be a node of Freenet: store and pass on what others insert and ask for; prints KEY@IP:PORT, by which others join
    #[command(after_help = FREENET_EXAMPLES)]
    Freenet(FreenetArgs),
    /// Be a leaf or an ultrapeer of Gnutella: carry queries, answer them; prints the address by which others join
    #[command(after_help = GNUTELLA_EXAMPLES)]
    Gnutella(GnutellaArgs),
    /// Be a leaf of Kazaa's supernodes, or one of them when others need one; prints KEY@IP:PORT, by which others join
    #[command(after_help = KAZAA_EXAMPLES)]
    Kazaa(KazaaArgs),
    /// Log in to a Napster (OpenNap) server and stay there
    #[command(after_help = NAPSTER_EXAMPLES)]
    Napster(NapsterArgs),
}

const CHORD_EXAMPLES: &str = "\
Examples:
  hexad join chord --listen 192.0.2.1:4000
  hexad join chord --bootstrap 5f0c…@192.0.2.1:4000
  hexad join chord --state ~/ring-2 --json";

const FREENET_EXAMPLES: &str = "\
Examples:
  hexad join freenet --listen 192.0.2.1:4000
  hexad join freenet --bootstrap 5f0c…@192.0.2.1:4000
  hexad join freenet --friend 5f0c… --bootstrap 5f0c…@192.0.2.1:4000
  hexad join freenet --invitation hexad:freenet-invitation:…";

const GNUTELLA_EXAMPLES: &str = "\
Examples:
  hexad join gnutella
  hexad join gnutella --bootstrap 192.0.2.1:6346
  hexad join gnutella --bootstrap 192.0.2.1:6346 --mode ultrapeer --listen 0.0.0.0:6347";

const KAZAA_EXAMPLES: &str = "\
Examples:
  hexad join kazaa --listen 192.0.2.1:4000
  hexad join kazaa --bootstrap 5f0c…@192.0.2.1:4000 --supernode never
  hexad join kazaa --supernode always --fasttrack 0.0.0.0:1214 --json";

const NAPSTER_EXAMPLES: &str = "\
Examples:
  hexad join napster index.example.org:8888 --name alice
  HEXAD_NAPSTER_PASSWORD=secret hexad join napster 192.0.2.1:8888 --name alice --register";

/// `hexad join chord`.
#[derive(Debug, Args)]
pub struct ChordArgs {
    /// A node of the ring to begin with; may be repeated. Without one, the peers of earlier runs are tried, and where there are none either, a
    /// ring is begun
    #[arg(long, value_name = "KEY@IP:PORT")]
    pub bootstrap: Vec<String>,
    /// Where peers reach us (UDP); port 0 lets the system choose [default: any free port of this machine's address on the way to the ring]
    #[arg(long, value_name = "IP:PORT", env = "HEXAD_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Where the node keeps its key and its peers
    #[command(flatten)]
    pub state: StateArgs,
    /// One JSON object per line on stdout: listening, joined, standing …
    #[arg(long)]
    pub json: bool,
}

/// How much of Freenet's blocks to keep.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// Keep so many bytes of everybody's blocks (512MiB, 10GiB); the index takes about 160 bytes of memory for each 32 KiB [default: 1GiB]
    #[arg(long = "store-size", value_name = "BYTES", value_parser = parse_bytes)]
    pub size: Option<u64>,
}

impl StoreArgs {
    /// What was given, or what is kept otherwise.
    pub fn bytes(&self) -> u64 {
        self.size.unwrap_or(FreenetSettings::STORE_BYTES)
    }
}

/// `hexad join freenet`.
#[derive(Debug, Args)]
pub struct FreenetArgs {
    /// A node to begin with; may be repeated. Without one, the peers of earlier runs are tried, and where there are none either, a network is begun
    #[arg(long, value_name = "KEY@IP:PORT")]
    pub bootstrap: Vec<String>,
    /// Only this friend, and others so named, become neighbours; may be repeated
    #[arg(long = "friend", value_name = "KEY")]
    pub friends: Vec<String>,
    /// Speak to friends only: to those that were named, and to whoever comes by an invitation of ours
    #[arg(long)]
    pub darknet: bool,
    /// What hexad freenet invite has printed elsewhere: join by whoever has given it to us, who is a friend from then on
    #[arg(long, value_name = "INVITATION")]
    pub invitation: Option<String>,
    /// Where peers reach us (UDP); port 0 lets the system choose [default: any free port of this machine's address on the way to the network]
    #[arg(long, value_name = "IP:PORT", env = "HEXAD_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// How much it stores
    #[command(flatten)]
    pub store: StoreArgs,
    /// Where the node keeps its key, its peers and the blocks that it stores
    #[command(flatten)]
    pub state: StateArgs,
    /// One JSON object per line on stdout: listening, joined, standing …
    #[arg(long)]
    pub json: bool,
}

/// What to be in Gnutella.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// A leaf, or an ultrapeer where one is needed
    #[default]
    Auto,
    /// An ultrapeer
    Ultrapeer,
    /// A leaf
    Leaf,
    /// One of equals, as before there were ultrapeers
    Flat,
}

/// `hexad join gnutella`.
#[derive(Debug, Args)]
pub struct GnutellaArgs {
    /// HOST:PORT of a host to begin with; may be repeated. Without one, the hosts of earlier runs are tried, and where there are none either, we are
    /// the first
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap: Vec<String>,
    /// What to be
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Where others reach us; port 0 lets the system choose [default: port 6346, else any]
    #[arg(long, value_name = "IP:PORT", env = "HEXAD_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Let nobody connect to us; we connect to others
    #[arg(long)]
    pub firewalled: bool,
    /// A web cache (GWebCache) to ask for hosts where nobody else is known; may be repeated
    #[arg(long = "web-cache", value_name = "URL")]
    pub web_caches: Vec<String>,
    /// Do not deflate what goes over links, so that tools that look at packets can read it
    #[arg(long)]
    pub plain: bool,
    /// Where the node keeps the hosts that it knows
    #[command(flatten)]
    pub state: StateArgs,
    /// One JSON object per line on stdout: listening, joined, standing …
    #[arg(long)]
    pub json: bool,
}

/// Whether to be a supernode.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Willing {
    /// When this machine is fit for it and others need one
    Auto,
    /// Never
    Never,
    /// From the beginning
    Always,
}

/// `hexad join kazaa`.
#[derive(Debug, Args)]
pub struct KazaaArgs {
    /// A node of the network to begin with; may be repeated. Without one, the supernodes of earlier runs are tried, and where there are none
    /// either, a network is begun
    #[arg(long, value_name = "KEY@IP:PORT")]
    pub bootstrap: Vec<String>,
    /// Where peers reach us (UDP); port 0 lets the system choose [default: any free port of this machine's address on the way there]
    #[arg(long, value_name = "IP:PORT", env = "HEXAD_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Whether to be a supernode
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub supernode: Willing,
    /// While a supernode, take leaves that speak FastTrack's own wire there (TCP)
    #[arg(long, value_name = "IP:PORT")]
    pub fasttrack: Option<SocketAddr>,
    /// Where the node keeps its key and the supernodes it knows
    #[command(flatten)]
    pub state: StateArgs,
    /// One JSON object per line on stdout: listening, joined, standing …
    #[arg(long)]
    pub json: bool,
}

/// `hexad join napster`.
#[derive(Debug, Args)]
pub struct NapsterArgs {
    /// HOST:PORT of servers
    #[arg(value_name = "SERVER", required = true)]
    pub servers: Vec<String>,
    /// Our name there; one is invented when not given
    #[arg(long = "name", visible_alias = "nick", value_name = "NICK", default_value = "", hide_default_value = true)]
    pub name: String,
    /// The password of that name; a guest's when not given
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "HEXAD_NAPSTER_PASSWORD",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub password: String,
    /// Register the name
    #[arg(long, requires = "name")]
    pub register: bool,
    /// Where others connect to us for files; port 0 lets the system choose [default: any free port]
    #[arg(long, value_name = "IP:PORT", env = "HEXAD_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Let nobody connect to us; we connect to others
    #[arg(long)]
    pub firewalled: bool,
    /// One JSON object per line on stdout: listening, joined …
    #[arg(long)]
    pub json: bool,
}

/// Takes part until stopped.
///
/// # Errors
/// When the network cannot be joined.
pub fn run(command: JoinCommand, logs: bool) -> Result<(), Problem> {
    let (network, state_dir, json) = match command {
        JoinCommand::Chord(given) => {
            let settings = ChordSettings { listen: given.listen, bootstrap: given.bootstrap, found: true };
            (NetworkSettings::Chord(settings), given.state.folder(), given.json)
        }
        JoinCommand::Freenet(given) => {
            let settings = FreenetSettings {
                listen: given.listen,
                bootstrap: given.bootstrap,
                found: true,
                friends: given.friends,
                darknet: given.darknet,
                invitation: given.invitation,
                store_bytes: given.store.bytes(),
            };
            (NetworkSettings::Freenet(settings), given.state.folder(), given.json)
        }
        JoinCommand::Gnutella(given) => {
            let settings = GnutellaSettings {
                listen: given.listen,
                bootstrap: given.bootstrap,
                mode: match given.mode {
                    Mode::Auto => GnutellaMode::Auto,
                    Mode::Ultrapeer => GnutellaMode::Ultrapeer,
                    Mode::Leaf => GnutellaMode::Leaf,
                    Mode::Flat => GnutellaMode::Flat,
                },
                firewalled: given.firewalled,
                web_caches: given.web_caches,
                plain: given.plain,
            };
            (NetworkSettings::Gnutella(settings), given.state.folder(), given.json)
        }
        JoinCommand::Kazaa(given) => {
            let supernode = match given.supernode {
                Willing::Auto => Supernode::Auto,
                Willing::Never => Supernode::Never,
                Willing::Always => Supernode::Always,
            };
            let (listen, bootstrap, fasttrack) = (given.listen, given.bootstrap, given.fasttrack);
            let settings = KazaaSettings { listen, bootstrap, found: true, supernode, fasttrack };
            (NetworkSettings::Kazaa(settings), given.state.folder(), given.json)
        }
        JoinCommand::Napster(given) => {
            let settings = NapsterSettings {
                servers: given.servers,
                name: given.name,
                password: given.password,
                register: given.register,
                listen: given.listen,
                firewalled: given.firewalled,
            };
            (NetworkSettings::Napster(settings), None, given.json)
        }
    };
    stay(network, state_dir, Screen::new(json, logs).announcing())
}

/// Takes part in one network until stopped.
///
/// # Errors
/// When the network cannot be joined.
pub fn stay(network: NetworkSettings, state_dir: Option<std::path::PathBuf>, screen: Screen) -> Result<(), Problem> {
    let request = JoinRequest { network: network.name().to_owned() };
    let session = hexad_daemon::open(&Settings { state_dir, networks: vec![network], ..Settings::default() });
    let begun = session.as_ref().map_err(Problem::clone).and_then(|session| session.join(request));
    follow(begun, screen, Until::Joined)
}
