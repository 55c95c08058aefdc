//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use hexad_api::{BittorrentSettings, Encryption, Problem, Settings, Utp};

use crate::how::{GoalArgs, LimitArgs, OrderArgs, parse_bytes};
use crate::networks::{EntryArgs, NetworkName};
use crate::node::ByNodeArgs;

/// One peer that speaks many peer-to-peer networks: BitTorrent, Chord, Freenet, Gnutella, Kazaa, Napster.
#[derive(Debug, Parser)]
#[command(name = "hexad", version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
pub struct Arguments {
    /// Say more on stderr: -v what happens, -vv decisions, -vvv messages
    #[arg(short, long, action = clap::ArgAction::Count, global = true, display_order = 900)]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Be a node that runs on: all networks, one library, downloads that stay, a page in the browser
    #[command(after_help = crate::up::EXAMPLES)]
    Up(crate::up::UpArgs),
    /// Say how the node that runs here stands
    #[command(after_help = crate::status::STATUS_EXAMPLES)]
    Status(crate::status::StatusArgs),
    /// Show, join and leave the node's networks
    #[command(after_help = crate::status::NETWORKS_EXAMPLES)]
    Networks(crate::status::NetworksArgs),
    /// Show and change what the node offers
    #[command(after_help = crate::library::EXAMPLES)]
    Library(crate::library::LibraryArgs),
    /// Show and change what the node fetches
    #[command(after_help = crate::downloads::EXAMPLES)]
    Downloads(crate::downloads::DownloadsArgs),
    /// Watch the node live in this terminal
    #[command(after_help = crate::top::EXAMPLES)]
    Top(crate::top::TopArgs),
    /// Take part in a network until stopped
    Join(crate::join::JoinArgs),
    /// Offer files on networks, print the link that leads to them, seed until stopped
    #[command(after_help = PUBLISH_EXAMPLES)]
    Publish(PublishArgs),
    /// Find files by words
    #[command(after_help = crate::search::EXAMPLES)]
    Search(crate::search::SearchArgs),
    /// Bring files here, proven byte by byte
    #[command(after_help = FETCH_EXAMPLES)]
    Fetch(FetchArgs),
    /// Play files while they come: serve them by HTTP on this machine from the first byte on
    #[command(after_help = crate::stream::EXAMPLES)]
    Stream(crate::stream::StreamArgs),
    /// Make, show and check .torrent files
    Torrent(TorrentArgs),
    /// What only BitTorrent can do: ask the DHT how many are in a swarm, and which torrents there are
    Bittorrent(crate::bittorrent::BittorrentArgs),
    /// What only Chord can do: put and get values
    Chord(crate::chord::ChordArgs),
    /// What only Napster can do: search by sound and link, browse a user, ask who somebody is
    Napster(crate::napster::NapsterArgs),
    /// What only Freenet can do: make keys, invite friends
    Freenet(crate::freenet::FreenetArgs),
    /// Run a central role
    Serve(ServeArgs),
    /// Run networks under virtual time: scenarios, replays, claims
    Lab(crate::lab::LabArgs),
    /// Run small networks on loopback and move a real folder through each
    Demo(DemoArgs),
    /// Write and show the configuration of hexad up
    #[command(after_help = crate::config::EXAMPLES)]
    Config(crate::config::ConfigCommandArgs),
    /// Print what lets a shell complete commands and options
    #[command(after_help = crate::shell::COMPLETIONS_EXAMPLES)]
    Completions(crate::shell::CompletionsArgs),
    /// Print the manual page
    #[command(after_help = crate::shell::MAN_EXAMPLES)]
    Man(crate::shell::ManArgs),
}

const FETCH_EXAMPLES: &str = "\
Examples:
  hexad fetch debian.torrent --into ~/Downloads
  hexad fetch 'magnet:?xt=urn:btih:…' --seed
  hexad fetch https://example.org/album.torrent --select '*.flac' --select 0-2
  hexad fetch album.torrent --sequential --first '*.cue' --max-up 200k --seed-ratio 1.5
  hexad fetch lan.torrent --peer 192.168.1.7:6881 --no-dht --json
  hexad fetch 'magnet:?xt=urn:hexad:…' --on chord --bootstrap 5f0c…@192.0.2.1:4000
  hexad fetch 'CHK@…,…,AAMC--8' --bootstrap 5f0c…@192.0.2.1:4000
  hexad fetch 'magnet:?xt=urn:btih:…' --daemon --sequential --max-down 2MiB
  hexad fetch 'magnet:?xs=urn:btpk:…' --daemon                # and every newer version that its owner publishes
  hexad fetch 'magnet:?xt=urn:btih:…' --daemon --choose       # its files first, then those of them that are named";

const PUBLISH_EXAMPLES: &str = "\
Examples:
  hexad publish ~/album --tracker http://tracker.example.org/announce
  hexad publish film.mkv -o film.torrent
  hexad publish film.mkv --hybrid
  hexad publish film.mkv --super-seed --seed-ratio 3 --max-up 1MiB
  hexad publish --torrent film.torrent --data ~/Videos --listen 0.0.0.0:6881
  hexad publish film.mkv --on chord --bootstrap 5f0c…@192.0.2.1:4000
  hexad publish film.mkv --on freenet --bootstrap 5f0c…@192.0.2.1:4000
  hexad publish ~/album --on bittorrent --on napster --server index.example.org:8888 --nick alice
  hexad publish ~/album --daemon
  hexad publish ~/site --daemon --mutable site                # prints a link that leads to each later version, too";

/// How to take part in the network.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// On which network; may be repeated [default: those of which a way in is given, else bittorrent]
    #[arg(long, value_enum, value_name = "NETWORK")]
    pub on: Vec<NetworkName>,
    /// Where peers reach us; port 0 lets the system choose [default: for BitTorrent the first free port of 6881-6889, else any]
    #[arg(long, value_name = "IP:PORT", env = "HEXAD_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// A peer to connect to at once; may be repeated. A HOST:PORT will do as well
    #[arg(long = "peer", value_name = "IP:PORT")]
    pub peers: Vec<String>,
    /// Do not use the distributed hash table
    #[arg(long)]
    pub no_dht: bool,
    /// Do not exchange peers with peers
    #[arg(long)]
    pub no_pex: bool,
    /// Do not look for peers in the local network
    #[arg(long)]
    pub no_lsd: bool,
    /// Do not obfuscate connections
    #[arg(long, conflicts_with = "require_encryption")]
    pub no_encryption: bool,
    /// Refuse connections that are not obfuscated
    #[arg(long)]
    pub require_encryption: bool,
    /// Use no uTP (connections over UDP that yield to other traffic), which is else accepted, and dialled where TCP fails
    #[arg(long, conflicts_with = "utp_first")]
    pub no_utp: bool,
    /// Dial by uTP first, and by TCP where that fails
    #[arg(long)]
    pub utp_first: bool,
    /// To whom to give what is complete
    #[arg(long, value_enum, value_name = "WAY", default_value_t)]
    pub seed_choking: SeedChoking,
    /// A DHT node to begin with, in place of the usual ones; may be repeated
    #[arg(long = "dht-node", value_name = "HOST:PORT")]
    pub dht_nodes: Vec<String>,
    /// Ask the router to let others in to BitTorrent (by PCP, NAT-PMP or UPnP)
    #[arg(long)]
    pub map_ports: bool,
    /// Speak to nobody whose address this list names: PeerGuardian text, ipfilter.dat, or prefixes like 192.0.2.0/24; may be repeated
    #[arg(long = "block-list", value_name = "FILE")]
    pub block_lists: Vec<PathBuf>,
    /// Go out over this network interface only, such as that of a VPN: when it is down, nothing goes another way; names are looked up over it
    /// by the system's name servers, of which those on this machine itself are not asked
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// Go through this proxy only, names included: socks5://[USER:PASSWORD@]IP:PORT, or http:// and the same. Nobody can connect to this peer then,
    /// and local discovery is off; so are uTP, DHT and trackers by UDP where the proxy carries no datagrams (SOCKS5 may, HTTP cannot); other networks
    /// than BitTorrent are refused
    #[arg(long, value_name = "URL", conflicts_with = "map_ports")]
    pub proxy: Option<String>,
    /// How fast bytes may come and go
    #[command(flatten)]
    pub limits: LimitArgs,
    /// How to get into other networks
    #[command(flatten)]
    pub entry: EntryArgs,
}

/// To whom a BitTorrent seed gives, as the configuration spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum SeedChoking {
    /// Those who take fastest, by turns
    #[default]
    RoundRobin,
    /// Those who take fastest
    FastestUpload,
    /// Those who have just begun, and those who are nearly done
    AntiLeech,
}

impl NetworkArgs {
    /// The settings of a session for what `source` is, where it says by itself on which network it is to be had.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn settings(&self, source: &str) -> Result<Settings, Problem> {
        let mut on = self.entry.chosen(&self.on);
        // A key says by itself where it leads, whatever a way in may be for.
        if self.on.is_empty() && is_freenet_key(source) {
            on = vec![NetworkName::Freenet];
        }
        if on.is_empty() {
            on.push(match source.split_once(':') {
                Some(("napster", _)) => NetworkName::Napster,
                Some(("gnutella", _)) => NetworkName::Gnutella,
                _ => NetworkName::Bittorrent,
            });
        }
        let settings = self.entry.settings(&on, self.listen, || self.bittorrent())?;
        Ok(Settings { limits: self.limits.limits(), interface: self.interface.clone(), proxy: self.proxy.clone(), ..settings })
    }

    fn bittorrent(&self) -> BittorrentSettings {
        let defaults = BittorrentSettings::default();
        BittorrentSettings {
            listen: None,
            dht: !self.no_dht,
            pex: !self.no_pex,
            lsd: !self.no_lsd,
            encryption: match (self.no_encryption, self.require_encryption) {
                (true, _) => Encryption::Off,
                (_, true) => Encryption::Required,
                _ => Encryption::Preferred,
            },
            utp: match (self.no_utp, self.utp_first) {
                (true, _) => Utp::Off,
                (_, true) => Utp::First,
                _ => Utp::AfterTcp,
            },
            seed_choking: match self.seed_choking {
                SeedChoking::RoundRobin => hexad_api::SeedChoking::RoundRobin,
                SeedChoking::FastestUpload => hexad_api::SeedChoking::FastestUpload,
                SeedChoking::AntiLeech => hexad_api::SeedChoking::AntiLeech,
            },
            version: defaults.version,
            dht_bootstrap: if self.dht_nodes.is_empty() { defaults.dht_bootstrap } else { self.dht_nodes.clone() },
            map_ports: self.map_ports,
            block_lists: self.block_lists.clone(),
        }
    }
}

/// Whether a source is a Freenet URI.
fn is_freenet_key(source: &str) -> bool {
    let kind = source.split('@').next().unwrap_or("").to_ascii_uppercase();
    let kind = kind.rsplit(':').next().unwrap_or("");
    source.contains('@') && ["CHK", "KSK", "SSK", "USK"].contains(&kind)
}

/// What only a session of this command's own can be told.
const OWN_SESSION: [&str; 13] = [
    "no_dht",
    "no_pex",
    "no_lsd",
    "no_encryption",
    "require_encryption",
    "no_utp",
    "utp_first",
    "seed_choking",
    "dht_nodes",
    "map_ports",
    "block_lists",
    "interface",
    "proxy",
];
/// What a publish by a node cannot be told.
const OWN_PUBLISH: [&str; 5] = ["super_seed", "seed_ratio", "seed_time", "max_down", "max_up"];

/// `hexad fetch`.
#[derive(Debug, Args)]
#[command(
    mut_arg("daemon", |daemon| daemon.conflicts_with_all(OWN_SESSION)),
    mut_arg("max_down", |rate| rate.help("Receive no more than so many bytes a second (500k, 2MiB) for this fetch")),
    mut_arg("max_up", |rate| rate.help("Send no more than so many bytes a second for this fetch"))
)]
pub struct FetchArgs {
    /// A .torrent file, a magnet link, the http(s) address of a .torrent, a Freenet key, or a link that hexad search has printed
    pub source: String,
    /// Target folder; nothing is written outside of it [default: the current one; with --daemon, that of the node]
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// Only these files: an index (3), a range (2-5), a list of them (0,2-5) or a glob ('*.flac'); may be repeated
    #[arg(long, value_name = "FILES")]
    pub select: Vec<String>,
    /// With --daemon: find out what it holds and list its files first, so that it can be said which of them come
    #[arg(long, requires = "daemon", conflicts_with = "select")]
    pub choose: bool,
    /// Go on seeding when complete, until stopped
    #[arg(long)]
    pub seed: bool,
    /// In which order files come
    #[command(flatten)]
    pub order: OrderArgs,
    /// When there is an end to seeding; a goal implies --seed
    #[command(flatten)]
    pub goal: GoalArgs,
    /// One JSON object per line on stdout: started, progress, verified, complete, failed …
    #[arg(long)]
    pub json: bool,
    /// Whether a node is to do it
    #[command(flatten)]
    pub by_node: ByNodeArgs,
    /// Network settings
    #[command(flatten, next_help_heading = "Network")]
    pub network: NetworkArgs,
}

/// `hexad publish`.
#[derive(Debug, Args)]
#[command(mut_arg("daemon", |daemon| daemon.conflicts_with_all(OWN_SESSION).conflicts_with_all(OWN_PUBLISH)))]
pub struct PublishArgs {
    /// Files and folders; each is offered as one share (on BitTorrent: one torrent)
    #[arg(required_unless_present = "torrent", conflicts_with = "torrent")]
    pub paths: Vec<PathBuf>,
    /// Seed what this .torrent describes, after checking it
    #[arg(long, value_name = "FILE", requires = "data")]
    pub torrent: Option<PathBuf>,
    /// The folder in which the torrent's file or folder stands
    #[arg(long, value_name = "DIR", requires = "torrent", conflicts_with = "paths")]
    pub data: Option<PathBuf>,
    /// Write the .torrent here [default: NAME.torrent in the current folder]
    #[arg(short, long, value_name = "OUT.torrent", conflicts_with = "torrent")]
    pub out: Option<PathBuf>,
    /// Write over a .torrent that says something else
    #[arg(long, conflicts_with = "torrent")]
    pub force: bool,
    /// Trackers to name in the .torrent: one tier for each use, comma-separated inside a tier
    #[arg(long = "tracker", value_name = "URL[,URL]", conflicts_with = "torrent")]
    pub trackers: Vec<String>,
    /// Make a torrent of BitTorrent v2 (BEP 52), which has a tree of hashes for each file
    #[arg(long, conflicts_with_all = ["torrent", "hybrid"])]
    pub v2: bool,
    /// Make a torrent of both versions: old programs can use most of them, newer ones prove every file by itself
    #[arg(long, conflicts_with = "torrent")]
    pub hybrid: bool,
    /// Show peers one piece at a time (BEP 16), so that a seed of little bandwidth gives each piece about once
    #[arg(long)]
    pub super_seed: bool,
    /// Print a link that leads to this, and to whatever is published under the same NAME later (BEP 46): it is kept in the DHT as long as this runs, and
    /// whoever follows it asks every hour
    #[arg(long, value_name = "NAME", conflicts_with = "no_dht")]
    pub mutable: Option<String>,
    /// When there is an end to seeding
    #[command(flatten)]
    pub goal: GoalArgs,
    /// One JSON object per line on stdout: seeding, progress …
    #[arg(long)]
    pub json: bool,
    /// Whether a node is to do it
    #[command(flatten)]
    pub by_node: ByNodeArgs,
    /// Network settings
    #[command(flatten, next_help_heading = "Network")]
    pub network: NetworkArgs,
}

/// `hexad torrent`.
#[derive(Debug, Args)]
pub struct TorrentArgs {
    /// What to do
    #[command(subcommand)]
    pub command: TorrentCommand,
}

/// What to do with a .torrent.
#[derive(Debug, Subcommand)]
pub enum TorrentCommand {
    /// Make a .torrent of a file or folder
    #[command(
        after_help = "Example:\n  hexad torrent create ~/album -o album.torrent --tracker http://t.example.org/announce --piece-length 1MiB"
    )]
    Create(CreateArgs),
    /// Say what a .torrent holds
    Show {
        /// The .torrent
        file: PathBuf,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Compare files with a .torrent; exit status 0 only when they are complete
    Check {
        /// The .torrent
        file: PathBuf,
        /// The folder in which the torrent's file or folder stands
        #[arg(long, value_name = "DIR", default_value = ".")]
        data: PathBuf,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// `hexad torrent create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// File or folder
    pub path: PathBuf,
    /// Where to write the .torrent
    #[arg(short, long, value_name = "OUT.torrent")]
    pub out: PathBuf,
    /// Bytes per piece, a power of two (262144, 256KiB, 1MiB); chosen from the size when not given
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub piece_length: Option<u64>,
    /// Trackers: one tier for each use, comma-separated inside a tier
    #[arg(long = "tracker", value_name = "URL[,URL]")]
    pub trackers: Vec<String>,
    /// Address of a web server that has the files (BEP 19); may be repeated
    #[arg(long = "web-seed", value_name = "URL")]
    pub web_seeds: Vec<String>,
    /// Peers only from the tracker (BEP 27)
    #[arg(long)]
    pub private: bool,
    /// Free text
    #[arg(long)]
    pub comment: Option<String>,
    /// Makes the info hash another one (private trackers)
    #[arg(long)]
    pub source: Option<String>,
    /// For BitTorrent v1 only, which every program reads; what is done when nothing else is said
    #[arg(long, group = "torrent_version")]
    pub v1: bool,
    /// For BitTorrent v2 only (BEP 52): a hash tree for each file
    #[arg(long, group = "torrent_version")]
    pub v2: bool,
    /// For both in one .torrent
    #[arg(long, group = "torrent_version")]
    pub hybrid: bool,
    /// Write over an existing file
    #[arg(long)]
    pub force: bool,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `hexad serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Which role
    #[command(subcommand)]
    pub command: ServeCommand,
}

/// Which role.
#[derive(Debug, Subcommand)]
pub enum ServeCommand {
    /// A BitTorrent tracker; http://ADDR/ shows its statistics
    #[command(after_help = "Example:\n  hexad serve tracker --http 0.0.0.0:6969 --udp 0.0.0.0:6969")]
    Tracker(TrackerArgs),
    /// A Freenet node for programs that speak FCP 2.0
    #[command(after_help = crate::serve::FCP_EXAMPLES)]
    Fcp(crate::serve::FcpArgs),
    /// A Napster (OpenNap) index server
    #[command(after_help = crate::serve::NAPSTER_EXAMPLES)]
    Napster(crate::serve::NapsterServerArgs),
}

/// `hexad serve tracker`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("doors").args(["http", "udp"]).required(true).multiple(true))]
pub struct TrackerArgs {
    /// Answer HTTP announces at this address
    #[arg(long, value_name = "IP:PORT")]
    pub http: Option<SocketAddr>,
    /// Answer UDP announces at this address
    #[arg(long, value_name = "IP:PORT")]
    pub udp: Option<SocketAddr>,
    /// Seconds peers are told to wait between announces
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub interval: u64,
    /// Announces and scrapes a minute accepted from one address
    #[arg(long, value_name = "COUNT", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub rate_limit: u32,
    /// One JSON object per line on stdout
    #[arg(long)]
    pub json: bool,
}

/// `hexad demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How much to move to each leecher
    #[arg(long = "size", value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub size_mib: u64,
}

/// Tiers from `--tracker A,B --tracker C`.
pub fn tiers(given: &[String]) -> Vec<Vec<String>> {
    given
        .iter()
        .map(|tier| tier.split(',').map(str::trim).filter(|url| !url.is_empty()).map(String::from).collect())
        .filter(|tier: &Vec<String>| !tier.is_empty())
        .collect()
}

/// What the parser says, as one sentence and a hint.
pub fn problem_of(wrong: &clap::Error) -> Problem {
    let said = wrong.render().to_string();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = words(said.split("\n\n").next().unwrap_or(&said).trim_start_matches("error:"));
    let command = named_command(std::env::args().skip(1));
    let help = format!("{command} --help shows what can be given");
    let tip = said.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    Problem::new(sentence).hint(tip.map_or_else(|| help.clone(), |tip| format!("{tip}; {help}")))
}

/// The command whose arguments were typed, as far as there is one of that name.
fn named_command(words: impl Iterator<Item = String>) -> String {
    let mut command = Arguments::command();
    let mut named = command.get_name().to_owned();
    for word in words {
        let Some(deeper) = command.find_subcommand(&word).cloned() else { break };
        named += &format!(" {word}");
        command = deeper;
    }
    named
}
