//! `hexad status` and `hexad networks`: how a node and its networks stand.

use clap::{Args, Subcommand};
use hexad_api::node::{DownloadCounts, NetworkState, NetworkStatus, Overlay, Status};
use hexad_api::{Problem, json_line};
use indicatif::{HumanBytes, HumanDuration};

use crate::downloads::rate;
use crate::lab::lines;
use crate::node::NodeArgs;
use crate::out::{self, tame};

/// Examples for the help of `hexad status`.
pub const STATUS_EXAMPLES: &str = "\
Examples:
  hexad status
  hexad status --daemon http://node.example.org:4080/ --token …
  hexad status --json";

/// Examples for the help of `hexad networks`.
pub const NETWORKS_EXAMPLES: &str = "\
Examples:
  hexad networks
  hexad networks show chord
  hexad networks join kazaa
  hexad networks leave bittorrent";

/// `hexad status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Which node
    #[command(flatten)]
    pub node: NodeArgs,
}

/// `hexad networks`.
#[derive(Debug, Args)]
pub struct NetworksArgs {
    /// What to do; shows all of them when nothing is said
    #[command(subcommand)]
    pub command: Option<NetworksCommand>,
    /// Which node
    #[command(flatten)]
    pub node: NodeArgs,
}

/// What to do with a network.
#[derive(Debug, Subcommand)]
pub enum NetworksCommand {
    /// Say how one stands, and who our neighbours are
    Show {
        /// Which
        name: String,
    },
    /// Join one
    Join {
        /// Which
        name: String,
    },
    /// Leave one
    Leave {
        /// Which
        name: String,
    },
}

/// Says how a node stands.
///
/// # Errors
/// When it does not answer.
pub fn status(given: &StatusArgs) -> Result<(), Problem> {
    let node = given.node.open()?;
    let status = node.status()?;
    if given.node.json {
        return out::line(&json_line(&status)?);
    }
    let Status { totals, networks } = &status;
    out::line(&format!(
        "Hexad {} at {}, up {}",
        tame(&totals.version),
        node.url(),
        HumanDuration(std::time::Duration::from_secs(totals.uptime_s))
    ))?;
    let down = rate(totals.down_bytes_per_s, totals.limits.down_bytes_per_s);
    let up = rate(totals.up_bytes_per_s, totals.limits.up_bytes_per_s);
    out::line(&format!("down {down}   up {up}   {} of memory", HumanBytes(totals.memory_bytes)))?;
    if let Some(when) = &totals.limits_by_schedule {
        out::line(&format!("limits of {}, by the schedule", tame(when)))?;
    }
    out::line(&format!("{}; they go to {}", counts(&totals.downloads), tame(&totals.download_dir)))?;
    let library = &totals.library;
    let hashing = if library.hashing == 0 { String::new() } else { format!(", {} being hashed", library.hashing) };
    out::line(&format!("{} shares of {}{hashing}", library.shares, HumanBytes(library.bytes)))?;
    table(networks)
}

/// How many downloads there are, in words.
pub fn counts(downloads: &DownloadCounts) -> String {
    let DownloadCounts { active, queued, complete, failed, total } = downloads;
    let queued = if *queued == 0 { String::new() } else { format!("{queued} queued, ") };
    format!("{total} downloads: {active} active, {queued}{complete} complete, {failed} failed")
}

/// Shows networks, joins and leaves them.
///
/// # Errors
/// When the node does not do it.
pub fn networks(given: &NetworksArgs) -> Result<(), Problem> {
    let node = given.node.open()?;
    let one = match &given.command {
        None => {
            let all = node.networks()?;
            return if given.node.json { all.iter().try_for_each(|network| out::line(&json_line(network)?)) } else { table(&all) };
        }
        Some(NetworksCommand::Show { name }) => node.network(name)?,
        Some(NetworksCommand::Join { name }) => node.join(name)?,
        Some(NetworksCommand::Leave { name }) => node.leave(name)?,
    };
    if given.node.json {
        return out::line(&json_line(&one)?);
    }
    table(std::slice::from_ref(&one))?;
    if let Some(problem) = &one.problem {
        out::line(&tame(&problem.message))?;
        if let Some(hint) = &problem.hint {
            out::line(&format!("hint: {}", tame(hint)))?;
        }
    }
    for door in &one.doors {
        out::line(&format!("{} for {}", tame(&door.address), tame(&door.purpose)))?;
    }
    for (name, figure) in &one.figures {
        out::line(&format!("{figure} {}", tame(&name.replace('_', " "))))?;
    }
    one.overlay.as_ref().map_or(Ok(()), neighbours)
}

fn table(networks: &[NetworkStatus]) -> Result<(), Problem> {
    let rows: Vec<Vec<String>> = networks
        .iter()
        .map(|network| {
            let problem = network.problem.as_ref().map(|problem| tame(&problem.message)).unwrap_or_default();
            vec![tame(&network.name), state(network.state).into(), network.peers.to_string(), problem]
        })
        .collect();
    lines(&["network", "state", "peers", ""], &rows)
}

/// In a word.
pub fn state(state: NetworkState) -> &'static str {
    match state {
        NetworkState::Joining => "joining",
        NetworkState::Joined => "joined",
        NetworkState::Failed => "failed",
        NetworkState::Left => "left",
    }
}

fn neighbours(overlay: &Overlay) -> Result<(), Problem> {
    let rows: Vec<Vec<String>> = std::iter::once(&overlay.me)
        .chain(&overlay.peers)
        .map(|peer| {
            let place = peer.place.map(|place| format!("{place:.4}")).unwrap_or_default();
            let latency = peer.latency_ms.map(|latency| latency.to_string()).unwrap_or_default();
            vec![tame(&peer.role), tame(&peer.id), tame(peer.address.as_deref().unwrap_or("")), place, latency]
        })
        .collect();
    lines(&["role", "node", "address", "place", "ms"], &rows)
}
