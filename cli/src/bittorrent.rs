//! `hexad bittorrent`: what only BitTorrent can do.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use hexad_api::node::{Sample, Scrape};
use hexad_api::{BittorrentSettings, Event, NetworkSettings, Own, Problem, Session as _, Settings, Stop, Task};
use hexad_daemon::remote::Remote;

use crate::follow::{Until, follow};
use crate::node::USUAL;
use crate::render::Screen;

/// `hexad bittorrent`.
#[derive(Debug, Args)]
pub struct BittorrentArgs {
    /// What to do
    #[command(subcommand)]
    pub command: BittorrentCommand,
}

/// What to ask the DHT.
#[derive(Debug, Subcommand)]
pub enum BittorrentCommand {
    /// Say how many seeds and leechers a torrent has, about, before anything of it is fetched (BEP 33)
    #[command(
        after_help = "Examples:\n  hexad bittorrent scrape 'magnet:?xt=urn:btih:5f0c…'\n  hexad bittorrent scrape 5f0c… --json\n  hexad bittorrent scrape 5f0c… --daemon"
    )]
    Scrape {
        /// A magnet link, or the 40 hex digits of an info hash
        torrent: String,
        /// How to get in
        #[command(flatten)]
        dht: DhtArgs,
    },
    /// Print links to torrents that nodes of the DHT happen to know (BEP 51)
    #[command(after_help = "Examples:\n  hexad bittorrent sample --count 100\n  hexad bittorrent sample --daemon=http://127.0.0.1:4080/")]
    Sample {
        /// How many are enough
        #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
        /// How to get in
        #[command(flatten)]
        dht: DhtArgs,
    },
}

/// How to get into the DHT.
#[derive(Debug, Args)]
pub struct DhtArgs {
    /// A node of the DHT to begin with, in place of the usual ones; may be repeated
    #[arg(long = "dht-node", value_name = "HOST:PORT")]
    pub dht_nodes: Vec<String>,
    /// Where nodes reach us (UDP); port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", env = "HEXAD_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Go out over this network interface only
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// Go through this proxy only: socks5://[USER:PASSWORD@]IP:PORT, if it carries datagrams
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
    /// Let the node ask that runs there, and is in the DHT already; without an address, at http://127.0.0.1:4080/
    #[arg(
        long,
        value_name = "URL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = USUAL,
        conflicts_with_all = ["dht_nodes", "interface", "proxy"]
    )]
    pub daemon: Option<String>,
    /// With --daemon: the node's token, which is needed from other machines
    #[arg(long, value_name = "TOKEN", env = "HEXAD_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// One JSON object per line on stdout: scraped, sampled, done …
    #[arg(long)]
    pub json: bool,
}

/// What was asked already needs no stopping.
struct Over;

impl Stop for Over {
    fn stop(&mut self) {}
}

/// What a node that is in the DHT answers, as a task of this program would tell it.
fn by_node(node: &Remote, own: &Own) -> Result<Task, Problem> {
    let mut answers = match own {
        Own::BittorrentScrape { torrent } => {
            let Scrape { info_hash, seeds, leechers, nodes } = node.scrape(torrent)?;
            vec![Event::Scraped { info_hash, seeds, leechers, nodes }]
        }
        Own::BittorrentSample { count } => {
            node.sample(*count)?.into_iter().map(|Sample { info_hash, link }| Event::Sampled { info_hash, link }).collect()
        }
        _ => Vec::new(),
    };
    answers.push(Event::Done);
    let (to, events) = std::sync::mpsc::channel();
    for answer in answers {
        let _ = to.send(answer);
    }
    Ok(Task { events, stop: Box::new(Over) })
}

/// Joins for as long as it takes, where no node is in the DHT already.
///
/// # Errors
/// When the DHT cannot be asked.
pub fn run(command: BittorrentCommand, logs: bool) -> Result<(), Problem> {
    let (own, dht) = match command {
        BittorrentCommand::Scrape { torrent, dht } => (Own::BittorrentScrape { torrent }, dht),
        BittorrentCommand::Sample { count, dht } => (Own::BittorrentSample { count: count as usize }, dht),
    };
    let DhtArgs { dht_nodes, listen, interface, proxy, daemon, token, json } = dht;
    if let Some(url) = daemon {
        let begun = Remote::open(&url, token.as_deref()).and_then(|node| by_node(&node, &own));
        return follow(begun, Screen::new(json, logs), Until::Done);
    }
    let usual = BittorrentSettings { listen, lsd: false, pex: false, ..BittorrentSettings::default() };
    let dht_bootstrap = if dht_nodes.is_empty() { usual.dht_bootstrap.clone() } else { dht_nodes };
    let networks = vec![NetworkSettings::Bittorrent(BittorrentSettings { dht_bootstrap, ..usual })];
    let session = hexad_daemon::open(&Settings { networks, interface, proxy, ..Settings::default() });
    let begun = session.as_ref().map_err(Problem::clone).and_then(|session| session.own(own));
    follow(begun, Screen::new(json, logs), Until::Done)
}
