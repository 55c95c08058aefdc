//! `hexad downloads`: what a node fetches.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hexad_api::node::{
    Download, DownloadChange, DownloadDetail, DownloadFile, DownloadQuery, DownloadSort, DownloadState, FileQuery, FileTurn, PAGE_MAX,
    QueueMove,
};
use hexad_api::{How, Limits, Problem, json_line};
use hexad_daemon::remote::Remote;
use indicatif::{HumanBytes, HumanDuration};

use crate::how::{GoalArgs, OrderArgs, parse_rate};
use crate::lab::lines;
use crate::node::{NodeArgs, absolute, all};
use crate::out::{self, tame};

/// Examples for its help.
pub const EXAMPLES: &str = "\
Examples:
  hexad downloads
  hexad downloads list --state fetching --sort rate
  hexad downloads show 3 --json
  hexad downloads pause 3
  hexad downloads files 3
  hexad downloads set 3 --select '*.mkv' --sequential       # only the films, from the front to the end
  hexad downloads set 3 --first 0 --max-down 2MiB --seed-ratio 1.5
  hexad downloads set 3 --all --rarest --no-limits          # as it was begun
  hexad downloads queue 3 top                               # before the others that wait; `now` begins it whoever else is active
  hexad downloads list --state queued --sort queue
  hexad downloads move 3 /mnt/films                         # what is there goes along, and the rest comes there
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
    /// List the files of one: which are wanted, and how much of each is there
    Files {
        /// Its number in the list
        id: u64,
        /// Only what has this in its path, in whatever case
        #[arg(long, value_name = "TEXT")]
        matching: Option<String>,
    },
    /// Change how one is carried out, and which of its files come; what is not named stays as it is
    #[command(after_help = SET_EXAMPLES)]
    Set(Box<SetArgs>),
    /// Move one to another folder; it goes on meanwhile, and from there afterwards
    Move {
        /// Its number in the list
        id: u64,
        /// The folder, on the node's machine; made when it is not there
        into: PathBuf,
    },
    /// Give one another place in the queue: in its order as many are active at a time as the settings say, and the others wait
    Queue {
        /// Its number in the list
        id: u64,
        /// Where to
        #[arg(value_enum)]
        to: Place,
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

/// Examples for the help of `hexad downloads set`.
const SET_EXAMPLES: &str = "\
Examples:
  hexad downloads set 3 --select 0,2-5
  hexad downloads set 3 --select '*.mkv' --sequential
  hexad downloads set 3 --first 'disc 1/*' --last '*.jpg'
  hexad downloads set 3 --max-down 2MiB --max-up 200k
  hexad downloads set 3 --seed-ratio 1.5
  hexad downloads set 3 --all --rarest --no-limits --no-goal";

/// What of a download is to be different.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Its number in the list
    pub id: u64,
    /// Which files come, of all: an index (3), a range (2-5), a list (0,2-5) or a glob ('*.flac'); may be repeated
    #[arg(long, value_name = "FILES")]
    pub select: Vec<String>,
    /// All files come
    #[arg(long, conflicts_with = "select")]
    pub all: bool,
    /// In which order
    #[command(flatten)]
    pub order: OrderArgs,
    /// The rarest first, and no file before another
    #[arg(long, conflicts_with_all = ["sequential", "first", "last"])]
    pub rarest: bool,
    /// Receive no more than so many bytes a second of it (500k, 2MiB)
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub max_down: Option<u64>,
    /// Send no more than so many bytes a second of it
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub max_up: Option<u64>,
    /// No limits of its own
    #[arg(long, conflicts_with_all = ["max_down", "max_up"])]
    pub no_limits: bool,
    /// Goals
    #[command(flatten)]
    pub goal: GoalArgs,
    /// Seed without an end
    #[arg(long, conflicts_with_all = ["seed_ratio", "seed_time"])]
    pub no_goal: bool,
    /// Whether it goes on seeding when complete
    #[arg(long, value_name = "BOOL")]
    pub seed: Option<bool>,
}

/// Where a download goes in the queue.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Place {
    /// Before all others
    Top,
    /// Before the one before it
    Up,
    /// Behind the one behind it
    Down,
    /// Behind all others
    Bottom,
    /// It begins whoever else is active, and is not counted as one of them
    Now,
}

/// How a download stands.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum State {
    /// It waits until fewer others are active
    Queued,
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
    /// As they follow in the queue
    Queue,
}

impl State {
    fn word(self) -> DownloadState {
        match self {
            Self::Queued => DownloadState::Queued,
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
            Self::Queue => DownloadSort::Queue,
        }
    }
}

impl Place {
    fn word(self) -> QueueMove {
        match self {
            Self::Top => QueueMove::Top,
            Self::Up => QueueMove::Up,
            Self::Down => QueueMove::Down,
            Self::Bottom => QueueMove::Bottom,
            Self::Now => QueueMove::Now,
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
        None => return list(&node, &DownloadQuery::default(), json),
        Some(DownloadsCommand::List { state, matching, sort }) => {
            let query = DownloadQuery { state: state.map(State::word), q: matching.clone(), sort: sort.word(), ..DownloadQuery::default() };
            return list(&node, &query, json);
        }
        Some(DownloadsCommand::Show { id }) => return show(&node, *id, json),
        Some(DownloadsCommand::Files { id, matching }) => return files(&node, *id, matching.clone(), json),
        Some(DownloadsCommand::Remove { id }) => return node.remove(*id),
        Some(DownloadsCommand::Set(set)) => node.change_download(set.id, &change(set, &node.download(set.id)?))?,
        Some(DownloadsCommand::Move { id, into }) => {
            let into = absolute(into)?.display().to_string();
            node.change_download(*id, &DownloadChange { into: Some(into), ..DownloadChange::default() })?
        }
        Some(DownloadsCommand::Queue { id, to }) => {
            node.change_download(*id, &DownloadChange { queue: Some(to.word()), ..DownloadChange::default() })?
        }
        Some(DownloadsCommand::Pause { id }) => node.pause(*id)?,
        Some(DownloadsCommand::Resume { id }) => node.resume(*id)?,
    };
    if json { out::line(&json_line(&one)?) } else { table(&[one]) }
}

/// What was named, laid over how the download is carried out so far.
fn change(set: &SetArgs, before: &DownloadDetail) -> DownloadChange {
    let mut how = before.how.clone();
    let OrderArgs { sequential, first, last } = &set.order;
    if set.rarest {
        (how.sequential, how.first, how.last) = (false, Vec::new(), Vec::new());
    }
    how.sequential |= sequential;
    for (named, holds) in [(first, &mut how.first), (last, &mut how.last)] {
        if !named.is_empty() {
            holds.clone_from(named);
        }
    }
    if set.no_limits {
        how.limits = Limits::default();
    }
    how.limits.down_bytes_per_s = set.max_down.unwrap_or(how.limits.down_bytes_per_s);
    how.limits.up_bytes_per_s = set.max_up.unwrap_or(how.limits.up_bytes_per_s);
    if set.no_goal {
        (how.ratio_percent, how.seed_s) = (None, None);
    }
    how.ratio_percent = set.goal.seed_ratio.or(how.ratio_percent);
    how.seed_s = set.goal.seed_time.or(how.seed_s);
    DownloadChange {
        how: (how != before.how).then_some(how),
        select: (set.all || !set.select.is_empty()).then(|| set.select.clone()),
        seed: set.seed,
        ..DownloadChange::default()
    }
}

/// Lists the files of a download.
///
/// # Errors
/// When the node does not know them.
pub fn files(node: &Remote, id: u64, q: Option<String>, json: bool) -> Result<(), Problem> {
    let files = all(json, json_line, |offset| node.download_files(id, &FileQuery { offset, limit: Some(PAGE_MAX), q: q.clone() }))?;
    let rows: Vec<_> = files.iter().map(file_row).collect();
    if json { Ok(()) } else { lines(&["index", "wanted", "comes", "done", "size", "path"], &rows) }
}

fn file_row(file: &DownloadFile) -> Vec<String> {
    let turn = match file.turn {
        FileTurn::First => "first",
        FileTurn::Usual => "",
        FileTurn::Last => "last",
    };
    vec![
        file.index.to_string(),
        if file.wanted { "yes" } else { "no" }.into(),
        turn.into(),
        file.verified_bytes.map_or_else(|| "–".into(), |verified| percent(verified, file.length_bytes)),
        HumanBytes(file.length_bytes).to_string(),
        tame(&file.path),
    ]
}

fn list(node: &Remote, query: &DownloadQuery, json: bool) -> Result<(), Problem> {
    let downloads = all(json, json_line, |offset| node.downloads(&DownloadQuery { offset, limit: Some(PAGE_MAX), ..query.clone() }))?;
    if json { Ok(()) } else { table(&downloads) }
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
    if let Some(folder) = &download.moving_to {
        out::line(&format!("is being moved to {}", tame(folder)))?;
    }
    if let Some(seq) = download.seq {
        out::line(&format!("is version {seq} of what its link leads to"))?;
    }
    if let Some(newer) = download.newer {
        out::line(&format!("download {newer} is a newer version"))?;
    }
    if detail.files > 1 {
        out::line(&format!("{} of {} files wanted: hexad downloads files {id}", detail.wanted_files, detail.files))?;
    }
    for way in ways(&detail) {
        out::line(&way)?;
    }
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

/// How it is carried out, where that is not as usual.
fn ways(detail: &DownloadDetail) -> Vec<String> {
    let How { limits, sequential, first, last, ratio_percent, seed_s, .. } = &detail.how;
    let mut ways = Vec::new();
    for (limit, verb) in [(limits.down_bytes_per_s, "receives"), (limits.up_bytes_per_s, "sends")] {
        if limit > 0 {
            ways.push(format!("{verb} at most {}/s", HumanBytes(limit)));
        }
    }
    if *sequential {
        ways.push("from the front to the end".into());
    }
    for (files, turn) in [(first, "first"), (last, "last")] {
        if !files.is_empty() {
            ways.push(format!("{turn}: {}", tame(&files.join(", "))));
        }
    }
    if let Some(percent) = ratio_percent {
        ways.push(format!("seeds until {percent} % were given"));
    }
    if let Some(seconds) = seed_s {
        ways.push(format!("seeds for {}", HumanDuration(std::time::Duration::from_secs(*seconds))));
    }
    ways
}

fn table(downloads: &[Download]) -> Result<(), Problem> {
    let row = |download: &Download| {
        vec![
            download.id.to_string(),
            state(download.state).into(),
            done(download),
            HumanBytes(download.wanted_bytes).to_string(),
            rate(download.down_bytes_per_s, download.limits.down_bytes_per_s),
            rate(download.up_bytes_per_s, download.limits.up_bytes_per_s),
            download.peers.map(|peers| peers.to_string()).unwrap_or_default(),
            tame(&download.name),
        ]
    };
    lines(&["id", "state", "done", "size", "down", "up", "peers", "name"], &downloads.iter().map(row).collect::<Vec<_>>())
}

/// How fast it goes, and how fast it may where there is a limit.
pub fn rate(bytes_per_s: u64, limit: u64) -> String {
    let may = if limit == 0 { String::new() } else { format!(" of {}/s", HumanBytes(limit)) };
    format!("{}/s{may}", HumanBytes(bytes_per_s))
}

/// How much of it is there.
pub fn done(download: &Download) -> String {
    if download.wanted_bytes == 0 { "–".into() } else { percent(download.verified_bytes, download.wanted_bytes) }
}

fn percent(part: u64, whole: u64) -> String {
    let percent = (u128::from(part) * 100).checked_div(u128::from(whole)).unwrap_or(100);
    format!("{percent} %")
}

/// In a word.
pub fn state(state: DownloadState) -> &'static str {
    match state {
        DownloadState::Queued => "queued",
        DownloadState::Looking => "looking",
        DownloadState::Checking => "checking",
        DownloadState::Fetching => "fetching",
        DownloadState::Seeding => "seeding",
        DownloadState::Complete => "complete",
        DownloadState::Paused => "paused",
        DownloadState::Failed => "failed",
    }
}
