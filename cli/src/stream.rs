//! `hexad stream`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use hexad_api::{FetchRequest, How, Problem, Selection, Session as _, StreamRequest};

use crate::args::NetworkArgs;
use crate::follow::{Until, follow};
use crate::player::with_player;
use crate::render::Screen;

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  hexad stream film.torrent              prints an address, which players open: mpv ADDRESS
  hexad stream film.torrent --play mpv   starts mpv with it, and ends when mpv does
  hexad stream 'magnet:?xt=urn:btih:…' --select '*.mkv' --http 127.0.0.1:8000 --into ~/Videos";

/// `hexad stream`.
#[derive(Debug, Args)]
pub struct StreamArgs {
    /// A .torrent file, a magnet link, the http(s) address of a .torrent, or a link that hexad search has printed
    pub source: String,
    /// Where players connect; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    pub http: SocketAddr,
    /// Target folder; nothing is written outside of it
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub into: PathBuf,
    /// Only these files: as for hexad fetch; may be repeated
    #[arg(long, value_name = "FILES")]
    pub select: Vec<String>,
    /// Start this program with the address, and end when it ends; its own words come before: 'mpv --fs'
    #[arg(long, value_name = "PROGRAM")]
    pub play: Option<String>,
    /// One JSON object per line on stdout
    #[arg(long)]
    pub json: bool,
    /// Network settings
    #[command(flatten, next_help_heading = "Network")]
    pub network: NetworkArgs,
}

/// Fetches and serves until stopped.
///
/// # Errors
/// When it cannot.
pub fn run(given: StreamArgs, logs: bool) -> Result<(), Problem> {
    let session = given.network.settings(&given.source).and_then(|settings| hexad_daemon::open(&settings));
    let fetch = FetchRequest {
        source: given.source,
        on: Vec::new(),
        into: given.into,
        peers: given.network.peers,
        select: Selection { patterns: given.select },
        seed: true,
        how: How::default(),
    };
    let begun = session.as_ref().map_err(Problem::clone).and_then(|session| session.stream(StreamRequest { fetch, http: given.http }));
    let begun = match &given.play {
        Some(program) => begun.map(|task| with_player(task, program)),
        None => begun,
    };
    follow(begun, Screen::new(given.json, logs), Until::Streaming)
}
