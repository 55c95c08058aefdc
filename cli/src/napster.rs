//! `hexad napster`: what only Napster can do.

use clap::{Args, Subcommand};
use hexad_api::Problem;
use hexad_api::{BittorrentSettings, Bounds, NapsterFilter, Own, Session as _};

use crate::follow::{Until, follow};
use crate::networks::{EntryArgs, NetworkName, StateArgs};
use crate::render::Screen;

/// `hexad napster`.
#[derive(Debug, Args)]
pub struct NapsterArgs {
    /// What to do
    #[command(subcommand)]
    pub command: NapsterCommand,
}

/// What to do at servers.
#[derive(Debug, Subcommand)]
pub enum NapsterCommand {
    /// Find files by words and by what servers know of them
    #[command(
        after_help = "Examples:\n  hexad napster search blue --kind mp3 --bitrate 192- --server index.example.org:8888\n  hexad napster search blue --size 1000000-9000000 --link 6- --server index.example.org:8888 --json\n\nA RANGE is FROM-TO, FROM-, -TO or one number."
    )]
    Search {
        /// Words that must all be in the name
        #[arg(required = true)]
        words: Vec<String>,
        /// Of which kind
        #[arg(long, value_name = "KIND", value_parser = ["mp3", "audio", "video", "text", "image", "application"])]
        kind: Option<String>,
        /// Bytes
        #[arg(long, value_name = "RANGE", value_parser = bounds, allow_hyphen_values = true)]
        size: Option<Bounds>,
        /// Kilobits a second
        #[arg(long, value_name = "RANGE", value_parser = bounds, allow_hyphen_values = true)]
        bitrate: Option<Bounds>,
        /// Hertz
        #[arg(long, value_name = "RANGE", value_parser = bounds, allow_hyphen_values = true)]
        frequency: Option<Bounds>,
        /// Seconds that it sounds
        #[arg(long, value_name = "RANGE", value_parser = bounds, allow_hyphen_values = true)]
        duration: Option<Bounds>,
        /// The sharer's link, from 0 (unknown) and 1 (14.4 kbit/s) to 10 (T3 or better)
        #[arg(long, value_name = "RANGE", value_parser = bounds, allow_hyphen_values = true)]
        link: Option<Bounds>,
        /// How many results are enough
        #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Seconds after which the search ends
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
        /// How to get in
        #[command(flatten)]
        server: ServerArgs,
    },
    /// All that a user offers
    #[command(after_help = "Example:\n  hexad napster browse alice --server index.example.org:8888")]
    Browse {
        /// Who
        name: String,
        /// How to get in
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Who somebody is
    #[command(after_help = "Example:\n  hexad napster whois alice --server index.example.org:8888 --json")]
    Whois {
        /// Who
        name: String,
        /// How to get in
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Say something to a user
    #[command(after_help = "Example:\n  hexad napster say alice 'thank you' --server index.example.org:8888")]
    Say {
        /// To whom
        name: String,
        /// What
        text: String,
        /// How to get in
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// How to get into servers.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// A server to log in to; may be repeated
    #[arg(long = "server", value_name = "HOST:PORT", required = true)]
    pub servers: Vec<String>,
    /// Our name there; one is invented when not given
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub nick: String,
    /// The password of that name; a guest's when not given. Others on this machine can read a command line, but not the environment
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "HEXAD_NAPSTER_PASSWORD",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub password: String,
    /// Where the network keeps what it knows
    #[command(flatten)]
    pub state: StateArgs,
    /// One JSON object per line on stdout: found, user, done …
    #[arg(long)]
    pub json: bool,
}

/// Logs in for as long as it takes.
///
/// # Errors
/// When it cannot be done, or nothing is found.
pub fn run(command: NapsterCommand, logs: bool) -> Result<(), Problem> {
    let (own, server) = match command {
        NapsterCommand::Search { words, kind, size, bitrate, frequency, duration, link, limit, timeout, server } => {
            let filter = NapsterFilter {
                kind,
                size_bytes: size.unwrap_or_default(),
                bitrate_kbps: bitrate.unwrap_or_default(),
                frequency_hz: frequency.unwrap_or_default(),
                seconds: duration.unwrap_or_default(),
                link: link.unwrap_or_default(),
            };
            (Own::NapsterSearch { words, filter, results_max: limit as usize, timeout_s: timeout }, server)
        }
        NapsterCommand::Browse { name, server } => (Own::NapsterBrowse { name }, server),
        NapsterCommand::Whois { name, server } => (Own::NapsterWhois { name }, server),
        NapsterCommand::Say { name, text, server } => (Own::NapsterSay { name, text }, server),
    };
    let ServerArgs { servers, nick, password, state, json } = server;
    let entry = EntryArgs { bootstrap: Vec::new(), servers, nick, password, state };
    let settings = entry.settings(&[NetworkName::Napster], None, BittorrentSettings::default);
    let session = settings.and_then(|settings| hexad_daemon::open(&settings));
    let begun = session.as_ref().map_err(Problem::clone).and_then(|session| session.own(own));
    follow(begun, Screen::new(json, logs), Until::Done)
}

/// `FROM-TO`, `FROM-`, `-TO`, or one number for both ends.
fn bounds(text: &str) -> Result<Bounds, String> {
    let wrong = || format!("expected FROM-TO, FROM-, -TO or one number, came '{text}'");
    let end = |word: &str| if word.is_empty() { Ok(None) } else { word.parse().map(Some).map_err(|_| wrong()) };
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    match (end(low)?, end(high)?) {
        (None, None) => Err(wrong()),
        (Some(low), Some(high)) if low > high => Err(format!("expected a range from less to more, came '{text}'")),
        (at_least, at_most) => Ok(Bounds { at_least, at_most }),
    }
}
