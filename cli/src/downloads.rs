//! `hexad downloads`: what a node fetches.

use clap::{Args, Subcommand, ValueEnum};
use hexad_api::node::{Download, DownloadQuery, DownloadSort, DownloadState, PAGE_MAX};
use hexad_api::{Problem, json_line};
use hexad_daemon::remote::Remote;
use indicatif::HumanBytes;

use crate::lab::lines;
use crate::node::NodeArgs;
use crate::out::{self, tame};

/// Examples for its help.
pub const EXAMPLES: &str = "\
Examples:
  hexad downloads
  hexad downloads list --state fetching --sort rate
  hexad downloads show 3 --json
  hexad downloads pause 3
  hexad fetch 'magnet:?xt=urn:btih:…' --daemon";

/// `hexad downloads`.
#[derive(Debug, Args)]
pub struct DownloadsArgs {
    /// What to do; lists them when nothing is said
    #[command(subcommand)]
    pub command: Option<DownloadsCommand>,
    /// Which node
    #[command(flatten)]
    pub node: NodeArgs,
}

/// What to do with downloads.
#[derive(Debug, Subcommand)]
pub enum DownloadsCommand {
    /// List them
    List {
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<State>,
        /// Only what has this in its name, in whatever case
        #[arg(long, value_name = "TEXT")]
        matching: Option<String>,
        /// In which order
        #[arg(long, value_enum, default_value = "added")]
        sort: Sort,
    },
    /// Say all that is known of one
    Show {
        /// Its number in the list
        id: u64,
    },
    /// Let one rest; what was verified stays
    Pause {
        /// Its number in the list
        id: u64,
    },
    /// Go on with one that rests or has failed
    Resume {
        /// Its number in the list
        id: u64,
    },
    /// Forget one; its files stay where they are
    Remove {
        /// Its number in the list
        id: u64,
    },
}

/// How a download stands.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum State {
    /// Peers are asked what the source stands for
    Looking,
    /// What is there already is compared with the proof
    Checking,
    /// It comes
    Fetching,
    /// It is complete, and others can fetch it
    Seeding,
    /// It is complete
    Complete,
    /// It rests
    Paused,
    /// It cannot go on by itself
    Failed,
}

/// By what downloads are sorted.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Sort {
    /// The latest first
    Added,
    /// By name
    Name,
    /// The least complete first
    Progress,
    /// The fastest first
    Rate,
}

impl State {
    fn word(self) -> DownloadState {
        match self {
            Self::Looking => DownloadState::Looking,
            Self::Checking => DownloadState::Checking,
            Self::Fetching => DownloadState::Fetching,
            Self::Seeding => DownloadState::Seeding,
            Self::Complete => DownloadState::Complete,
            Self::Paused => DownloadState::Paused,
            Self::Failed => DownloadState::Failed,
        }
    }
}

impl Sort {
    fn word(self) -> DownloadSort {
        match self {
            Self::Added => DownloadSort::Added,
            Self::Name => DownloadSort::Name,
            Self::Progress => DownloadSort::Progress,
            Self::Rate => DownloadSort::Rate,
        }
    }
}

/// Shows and changes what a node fetches.
///
/// # Errors
/// When the node does not do it.
pub fn run(given: &DownloadsArgs) -> Result<(), Problem> {
    let node = given.node.open()?;
    let json = given.node.json;
    let one = match &given.command {
        None => return list(&node, DownloadQuery::default(), json),
        Some(DownloadsCommand::List { state, matching, sort }) => {
            let query = DownloadQuery { state: state.map(State::word), q: matching.clone(), sort: sort.word(), ..DownloadQuery::default() };
            return list(&node, query, json);
        }
        Some(DownloadsCommand::Show { id }) => return show(&node, *id, json),
        Some(DownloadsCommand::Remove { id }) => return node.remove(*id),
        Some(DownloadsCommand::Pause { id }) => node.pause(*id)?,
        Some(DownloadsCommand::Resume { id }) => node.resume(*id)?,
    };
    if json { out::line(&json_line(&one)?) } else { table(&[one]) }
}

fn list(node: &Remote, mut query: DownloadQuery, json: bool) -> Result<(), Problem> {
    query.limit = Some(PAGE_MAX);
    let mut all = Vec::new();
    loop {
        let page = node.downloads(&query)?;
        query.offset += page.items.len();
        let is_last = page.items.is_empty() || query.offset >= page.total;
        if json {
            page.items.iter().try_for_each(|download| out::line(&json_line(download)?))?;
        } else {
            all.extend(page.items);
        }
        if is_last {
            return if json { Ok(()) } else { table(&all) };
        }
    }
}

fn show(node: &Remote, id: u64, json: bool) -> Result<(), Problem> {
    let detail = node.download(id)?;
    if json {
        return out::line(&json_line(&detail)?);
    }
    let download = &detail.download;
    table(std::slice::from_ref(download))?;
    out::line(&format!("from {}", tame(&download.source)))?;
    out::line(&format!("into {}", tame(download.path.as_ref().unwrap_or(&download.into))))?;
    if let Some(problem) = &download.problem {
        out::line(&tame(&problem.message))?;
        if let Some(hint) = &problem.hint {
            out::line(&format!("hint: {}", tame(hint)))?;
        }
    }
    for network in &detail.by_network {
        let peers = network.peers.map(|peers| format!(", {peers} peers")).unwrap_or_default();
        let problem = network.problem.as_ref().map(|problem| format!(": {}", tame(&problem.message))).unwrap_or_default();
        out::line(&format!("{} from {}{peers}{problem}", HumanBytes(network.bytes), network.name))?;
    }
    detail.warnings.iter().try_for_each(|warning| out::line(&format!("warning: {}", tame(warning))))
}

fn table(downloads: &[Download]) -> Result<(), Problem> {
    let row = |download: &Download| {
        vec![
            download.id.to_string(),
            state(download.state).into(),
            done(download),
            HumanBytes(download.wanted_bytes).to_string(),
            format!("{}/s", HumanBytes(download.down_bytes_per_s)),
            format!("{}/s", HumanBytes(download.up_bytes_per_s)),
            download.peers.map(|peers| peers.to_string()).unwrap_or_default(),
            tame(&download.name),
        ]
    };
    lines(&["id", "state", "done", "size", "down", "up", "peers", "name"], &downloads.iter().map(row).collect::<Vec<_>>())
}

/// How much of it is there.
pub fn done(download: &Download) -> String {
    match download.wanted_bytes {
        0 => "–".into(),
        wanted => format!("{} %", u128::from(download.verified_bytes) * 100 / u128::from(wanted)),
    }
}

/// In a word.
pub fn state(state: DownloadState) -> &'static str {
    match state {
        DownloadState::Looking => "looking",
        DownloadState::Checking => "checking",
        DownloadState::Fetching => "fetching",
        DownloadState::Seeding => "seeding",
        DownloadState::Complete => "complete",
        DownloadState::Paused => "paused",
        DownloadState::Failed => "failed",
    }
}
