//! `hexad chord`: what only Chord can do.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hexad_api::{BittorrentSettings, Own, Problem, Session as _};

use crate::follow::{Until, follow};
use crate::networks::{EntryArgs, NetworkName, StateArgs};
use crate::render::Screen;

/// The most that a value may hold.
const VALUE_BYTES_MAX: u64 = 64 << 10;

/// `hexad chord`.
#[derive(Debug, Args)]
pub struct ChordArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ChordCommand,
}

/// What to do on a ring.
#[derive(Debug, Subcommand)]
pub enum ChordCommand {
    /// Store a value of 64 KiB at most; everybody has one of his own under each key
    #[command(
        after_help = "Examples:\n  hexad chord put greeting 'hello ring' --bootstrap 5f0c…@192.0.2.1:4000\n  hexad chord put notes --file notes.txt"
    )]
    Put {
        /// Under which name
        key: String,
        /// The value
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        value: Option<String>,
        /// A file that holds the value
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// How to get in
        #[command(flatten)]
        ring: RingArgs,
    },
    /// Print the values under a key
    #[command(
        after_help = "Examples:\n  hexad chord get greeting --bootstrap 5f0c…@192.0.2.1:4000\n  hexad chord get --hex 3c57a1b2… --json"
    )]
    Get {
        /// The name under which it was stored
        key: String,
        /// KEY is not a name, but the 40 hex digits that put has printed
        #[arg(long)]
        hex: bool,
        /// How to get in
        #[command(flatten)]
        ring: RingArgs,
    },
}

/// How to get into the ring.
#[derive(Debug, Args)]
pub struct RingArgs {
    /// A node of the ring to begin with; may be repeated [default: the peers of earlier runs]
    #[arg(long, value_name = "KEY@IP:PORT")]
    pub bootstrap: Vec<String>,
    /// Where peers reach us (UDP); port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", env = "HEXAD_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Where the node keeps its key and its peers
    #[command(flatten)]
    pub state: StateArgs,
    /// One JSON object per line on stdout: stored, value, done …
    #[arg(long)]
    pub json: bool,
}

/// Joins for as long as it takes.
///
/// # Errors
/// When it cannot be done, or nothing is under the key.
pub fn run(command: ChordCommand, logs: bool) -> Result<(), Problem> {
    let (own, ring) = match command {
        ChordCommand::Put { key, value, file, ring } => {
            let value = match file {
                Some(file) => bytes_of(&file),
                None => Ok(value.unwrap_or_default().into_bytes()),
            };
            (value.and_then(of_bounded_length).map(|value| Own::ChordPut { name: Some(key), value }), ring)
        }
        ChordCommand::Get { key, hex, ring } => (Ok(Own::ChordGet { name: key, is_key: hex }), ring),
    };
    let RingArgs { bootstrap, listen, state, json } = ring;
    let entry = EntryArgs { bootstrap, servers: Vec::new(), nick: String::new(), password: String::new(), state };
    let screen = Screen::new(json, logs);
    let own = match own {
        Ok(own) => own,
        Err(problem) => return follow(Err(problem), screen, Until::Done),
    };
    let session =
        entry.settings(&[NetworkName::Chord], listen, BittorrentSettings::default).and_then(|settings| hexad_daemon::open(&settings));
    let begun = session.as_ref().map_err(Problem::clone).and_then(|session| session.own(own));
    follow(begun, screen, Until::Done)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    // One more than may be, so that too much is seen.
    let read = File::open(path).and_then(|file| file.take(VALUE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|wrong| {
        Problem::new(format!("{} cannot be read: {}", path.display(), wrong.kind())).hint("name a file that is there with --file")
    })?;
    Ok(bytes)
}

fn of_bounded_length(value: Vec<u8>) -> Result<Vec<u8>, Problem> {
    if value.len() as u64 > VALUE_BYTES_MAX {
        return Err(Problem::new(format!("expected a value of at most {VALUE_BYTES_MAX} bytes, came more"))
            .hint("publish larger things as files: hexad publish FILE --on chord"));
    }
    Ok(value)
}
