//! `hexad library`: what a node offers.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hexad_api::node::{LibraryQuery, MutableLink, PAGE_MAX, Share, ShareDetail, ShareState};
use hexad_api::{Problem, json_line};
use hexad_daemon::remote::Remote;
use indicatif::HumanBytes;

use crate::by_node::move_share;
use crate::lab::lines;
use crate::node::{NodeArgs, absolute, all};
use crate::out::{self, tame};

/// Examples for its help.
pub const EXAMPLES: &str = "\
Examples:
  hexad library
  hexad library list --matching blue --json
  hexad library show 7                  # and how others reach it on each network
  hexad library add film.mkv
  hexad library move 7 /mnt/films       # and it is offered from there, without being hashed again
  hexad library watch ~/Music
  hexad library remove 7";

/// Examples for the help of `hexad library move`.
const MOVE_EXAMPLES: &str = "\
It is offered meanwhile, and from there afterwards; nothing is hashed again, and links stay.
What was downloaded is moved by hexad downloads move.

Examples:
  hexad library move 7 /mnt/films
  hexad library move 7 /mnt/films --json   # how it stands, whenever that changes";

/// `hexad library`.
#[derive(Debug, Args)]
pub struct LibraryArgs {
    /// What to do; lists what is offered when nothing is said
    #[command(subcommand)]
    pub command: Option<LibraryCommand>,
    /// Which node
    #[command(flatten)]
    pub node: NodeArgs,
}

/// What to do with a library.
#[derive(Debug, Subcommand)]
pub enum LibraryCommand {
    /// List what is offered
    List {
        /// Only what has this in its path, in whatever case
        #[arg(long, value_name = "TEXT")]
        matching: Option<String>,
    },
    /// Say all that is known of one: how others reach it on each network, too
    Show {
        /// Its number in the list
        id: u64,
    },
    /// Offer files and folders of the node's machine
    Add {
        /// Which
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Move one to another folder: renamed, or copied, compared, and then taken away from where it was
    #[command(after_help = MOVE_EXAMPLES)]
    Move {
        /// Its number in the list
        id: u64,
        /// The folder, on the node's machine; made when it is not there
        into: PathBuf,
    },
    /// Offer it no longer; no file is deleted
    Remove {
        /// Its number in the list
        id: u64,
    },
    /// List watched folders
    Folders,
    /// Offer every file of a folder, and those that come into it later
    Watch {
        /// Which
        folder: PathBuf,
    },
    /// Watch it no longer; no file is deleted
    Unwatch {
        /// Which
        folder: PathBuf,
    },
}

/// Shows and changes what a node offers.
///
/// # Errors
/// When the node does not do it.
pub fn run(given: &LibraryArgs) -> Result<(), Problem> {
    let node = given.node.open()?;
    let json = given.node.json;
    match &given.command {
        None => list(&node, None, json),
        Some(LibraryCommand::List { matching }) => list(&node, matching.as_deref(), json),
        Some(LibraryCommand::Show { id }) => {
            let detail = node.shared(*id)?;
            if json { out::line(&json_line(&detail)?) } else { show(&detail) }
        }
        Some(LibraryCommand::Add { paths }) => paths.iter().try_for_each(|path| {
            let share = node.share(&absolute(path)?, None)?;
            if json { out::line(&json_line(&share)?) } else { table(&[share]) }
        }),
        Some(LibraryCommand::Move { id, into }) => {
            let share = move_share(&node, *id, into, json)?;
            out::line(&if json { json_line(&share)? } else { tame(&share.path) })
        }
        Some(LibraryCommand::Remove { id }) => node.unshare(*id),
        Some(LibraryCommand::Folders) => {
            let folders = node.folders()?;
            if json {
                return folders.iter().try_for_each(|folder| out::line(&json_line(folder)?));
            }
            let row = |folder: &hexad_api::node::Folder| {
                let problem = folder.problem.as_ref().map(|problem| tame(&problem.message)).unwrap_or_default();
                vec![folder.shares.to_string(), tame(&folder.path), problem]
            };
            lines(&["shares", "folder", ""], &folders.iter().map(row).collect::<Vec<_>>())
        }
        Some(LibraryCommand::Watch { folder }) => {
            let folder = node.add_folder(&absolute(folder)?)?;
            if json { out::line(&json_line(&folder)?) } else { out::line(&tame(&folder.path)) }
        }
        Some(LibraryCommand::Unwatch { folder }) => node.remove_folder(&absolute(folder)?),
    }
}

fn list(node: &Remote, matching: Option<&str>, json: bool) -> Result<(), Problem> {
    let page = |offset| node.library(&LibraryQuery { offset, limit: Some(PAGE_MAX), q: matching.map(str::to_owned) });
    let shares = all(json, json_line, page)?;
    if json { Ok(()) } else { table(&shares) }
}

fn show(detail: &ShareDetail) -> Result<(), Problem> {
    table(std::slice::from_ref(&detail.share))?;
    out::line(&format!("at {}", tame(&detail.share.path)))?;
    if let Some(folder) = &detail.share.moving_to {
        out::line(&format!("is being moved to {}", tame(folder)))?;
    }
    if let (ShareState::Offered, Some(problem)) = (detail.share.state, &detail.share.problem) {
        out::line(&tame(&problem.message))?;
    }
    if let Some(MutableLink { link, now, newer }) = &detail.mutable {
        out::line(&format!("this link leads to it, and later to what is published in its place:\n  {}", tame(link)))?;
        out::line(&format!("  version {}", now.seq))?;
        if let Some(newer) = newer {
            let to = format!("  somebody else has its key: version {} leads to {}", newer.seq, tame(&newer.info_hash));
            out::line(&to)?;
        }
    }
    for way in &detail.how {
        let words = if way.by_words { ", found by words of its name" } else { "" };
        out::line(&format!("on {}{words}", way.network))?;
        let said = way.names.iter().map(|name| ("name", name)).chain(way.link.iter().map(|link| ("link", link)));
        for (what, text) in said {
            out::line(&format!("  {what} {}", tame(text)))?;
        }
    }
    Ok(())
}

fn table(shares: &[Share]) -> Result<(), Problem> {
    let row = |share: &Share| {
        let name = Path::new(&share.path).file_name().map_or_else(|| share.name.clone(), |name| name.to_string_lossy().into_owned());
        vec![share.id.to_string(), state(share), HumanBytes(share.bytes).to_string(), share.networks.join(", "), tame(&name)]
    };
    lines(&["id", "state", "size", "networks", "name"], &shares.iter().map(row).collect::<Vec<_>>())
}

fn state(share: &Share) -> String {
    match (share.state, &share.problem) {
        (ShareState::Hashing, _) if share.bytes > 0 => {
            format!("hashing {} %", u128::from(share.hashed_bytes) * 100 / u128::from(share.bytes))
        }
        (ShareState::Hashing, _) => "hashing".into(),
        (ShareState::Offered, _) => "offered".into(),
        (ShareState::Missing, _) => "missing".into(),
        (ShareState::Failed, Some(problem)) => format!("failed: {}", tame(&problem.message)),
        (ShareState::Failed, None) => "failed".into(),
    }
}
