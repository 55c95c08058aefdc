//! `hexad search`.

use std::net::SocketAddr;

use clap::Args;
use hexad_api::node::NewSearch;
use hexad_api::{BittorrentSettings, Problem, SearchRequest, Session as _};

use crate::by_node;
use crate::follow::{Until, follow};
use crate::networks::{EntryArgs, NetworkName};
use crate::node::ByNodeArgs;
use crate::render::Screen;

/// Examples for its help.
pub const EXAMPLES: &str = "\
Examples:
  hexad search blue ogg --on chord --bootstrap 5f0c…@192.0.2.1:4000
  hexad search blue --server index.example.org:8888 --nick alice --limit 20
  hexad search blue --on chord --on napster --server 192.0.2.1:8888 --json
  hexad search blue --daemon";

/// `hexad search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words that must all be in the name
    #[arg(required = true)]
    pub words: Vec<String>,
    /// On which network; may be repeated [default: those of which a way in is given]
    #[arg(long, value_enum, value_name = "NETWORK")]
    pub on: Vec<NetworkName>,
    /// How many results are enough
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Seconds after which the search ends, whoever has not answered
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// One JSON object per line on stdout: found, done, failed …
    #[arg(long)]
    pub json: bool,
    /// Whether a node is to do it
    #[command(flatten)]
    pub by_node: ByNodeArgs,
    /// Where peers reach us; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", env = "HEXAD_LISTEN", help_heading = "Network")]
    pub listen: Option<SocketAddr>,
    /// How to get in
    #[command(flatten, next_help_heading = "Network")]
    pub entry: EntryArgs,
}

/// Prints what is found; returns without error only when something is.
///
/// # Errors
/// When it cannot, or nothing is found.
pub fn run(given: SearchArgs, logs: bool) -> Result<(), Problem> {
    if let Some(node) = given.by_node.open() {
        let wanted = NewSearch {
            words: given.words,
            on: given.on.iter().map(|name| name.word()).collect(),
            results_max: Some(given.limit as usize),
            timeout_s: Some(given.timeout),
            ..NewSearch::default()
        };
        return follow(node.and_then(|node| by_node::search(node, &wanted)), Screen::new(given.json, logs), Until::Done);
    }
    let on = given.entry.chosen(&given.on);
    let request = SearchRequest { words: given.words, on: Vec::new(), results_max: given.limit as usize, timeout_s: given.timeout };
    let settings = if on.is_empty() {
        Err(Problem::new("expected a network to search on, came none")
            .hint("name one: --on chord --bootstrap KEY@IP:PORT, or --on napster --server HOST:PORT"))
    } else {
        given.entry.settings(&on, given.listen, BittorrentSettings::default)
    };
    let session = settings.and_then(|settings| hexad_daemon::open(&settings));
    let begun = session.as_ref().map_err(Problem::clone).and_then(|session| session.search(request));
    follow(begun, Screen::new(given.json, logs), Until::Done)
}
