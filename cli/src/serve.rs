//! `hexad serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use hexad_api::{FcpRequest, FreenetSettings, NapsterServerSettings, NetworkSettings, Problem, Roles as _, TrackerRequest};

use crate::args::ServeCommand;
use crate::follow::{Until, follow};
use crate::join::{StoreArgs, stay};
use crate::networks::StateArgs;
use crate::render::Screen;

/// Examples for the help of `hexad serve napster`.
pub const NAPSTER_EXAMPLES: &str = "\
Examples:
  hexad serve napster --listen 0.0.0.0:8888 --server-name blue --motd 'Welcome.'
  hexad serve napster --listen 0.0.0.0:8888 --no-guests --admin alice --state /var/lib/hexad";

/// `hexad serve napster`.
#[derive(Debug, Args)]
pub struct NapsterServerArgs {
    /// Where clients connect; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT")]
    pub listen: SocketAddr,
    /// How the server calls itself
    #[arg(long, value_name = "WORD", default_value = "hexad")]
    pub server_name: String,
    /// A line of the message of the day; may be repeated
    #[arg(long, value_name = "LINE")]
    pub motd: Vec<String>,
    /// A file with the message of the day
    #[arg(long, value_name = "FILE", conflicts_with = "motd")]
    pub motd_file: Option<PathBuf>,
    /// A name that is an admin as soon as it is registered; may be repeated
    #[arg(long = "admin", value_name = "NAME")]
    pub admins: Vec<String>,
    /// Let only registered names log in
    #[arg(long)]
    pub no_guests: bool,
    /// Let nobody register a name
    #[arg(long)]
    pub no_registration: bool,
    /// Connections at a time
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Connections at a time from one address
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_each: u32,
    /// Searches of one user in a minute; 0 has no limit
    #[arg(long, value_name = "COUNT", default_value_t = 60)]
    pub searches_per_minute: u32,
    /// Answers to one search
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub results: u32,
    /// A catalogue in PostgreSQL that several servers share: each finds the files of all their users, and passes requests on
    #[arg(long, value_name = "postgres://…", env = "HEXAD_NAPSTER_CATALOGUE", hide_env_values = true)]
    pub catalogue: Option<String>,
    /// Where accounts and bans are kept
    #[command(flatten)]
    pub state: StateArgs,
    /// One JSON object per line on stdout: listening, joined, standing …
    #[arg(long)]
    pub json: bool,
}

/// Examples for the help of `hexad serve fcp`.
pub const FCP_EXAMPLES: &str = "\
Examples:
  hexad serve fcp --bootstrap 5f0c…@192.0.2.1:4000
  hexad serve fcp --gateway 127.0.0.1:8888 --bootstrap 5f0c…@192.0.2.1:4000
  hexad serve fcp --fcp 127.0.0.1:9482 --listen 192.0.2.7:4000 --bootstrap 5f0c…@192.0.2.1:4000";

/// `hexad serve fcp`.
#[derive(Debug, Args)]
pub struct FcpArgs {
    /// Where programs connect; whoever reaches it can use the node
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9481")]
    pub fcp: SocketAddr,
    /// Where browsers connect: http://IP:PORT/KSK@greeting [default port: 8888]
    #[arg(long, value_name = "IP:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8888")]
    pub gateway: Option<SocketAddr>,
    /// A folder in which programs may have the node read and write files, once they have shown that they can do so themselves
    #[arg(long, value_name = "FOLDER")]
    pub disk: Option<PathBuf>,
    /// A node to begin with; may be repeated. Without one, the peers of earlier runs are tried, and where there are none either, a network is begun
    #[arg(long, value_name = "KEY@IP:PORT")]
    pub bootstrap: Vec<String>,
    /// Where peers reach us (UDP); port 0 lets the system choose [default: any free port of this machine's address on the way to the network]
    #[arg(long, value_name = "IP:PORT", env = "HEXAD_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// How much it stores
    #[command(flatten)]
    pub store: StoreArgs,
    /// Where the node keeps its key, its peers and the blocks that it stores
    #[command(flatten)]
    pub state: StateArgs,
    /// One JSON object per line on stdout: listening, joined …
    #[arg(long)]
    pub json: bool,
}

/// Lines of a message of the day that are read from a file.
const MOTD_LINES_MAX: usize = 200;

/// Serves until stopped.
///
/// # Errors
/// When it cannot.
pub fn run(command: ServeCommand, logs: bool) -> Result<(), Problem> {
    match command {
        ServeCommand::Tracker(given) => {
            let request =
                TrackerRequest { http: given.http, udp: given.udp, interval_s: given.interval, requests_per_minute_max: given.rate_limit };
            follow(hexad_daemon::roles().serve_tracker(request), Screen::new(given.json, logs), Until::Serving)
        }
        ServeCommand::Fcp(given) => {
            let freenet = FreenetSettings {
                listen: given.listen,
                bootstrap: given.bootstrap,
                found: true,
                store_bytes: given.store.bytes(),
                ..FreenetSettings::default()
            };
            let request = FcpRequest { fcp: given.fcp, gateway: given.gateway, freenet, disk: given.disk, state_dir: given.state.folder() };
            follow(hexad_daemon::roles().serve_fcp(request), Screen::new(given.json, logs).announcing(), Until::Serving)
        }
        ServeCommand::Napster(given) => {
            let screen = Screen::new(given.json, logs).announcing();
            match motd(&given) {
                Ok(motd) => stay(NetworkSettings::NapsterServer(settings(&given, motd)), given.state.folder(), screen),
                Err(problem) => follow(Err(problem), screen, Until::Joined),
            }
        }
    }
}

fn settings(given: &NapsterServerArgs, motd: Vec<String>) -> NapsterServerSettings {
    NapsterServerSettings {
        listen: given.listen,
        name: given.server_name.clone(),
        motd,
        admins: given.admins.clone(),
        guests: !given.no_guests,
        registration: !given.no_registration,
        connections_max: given.connections as usize,
        address_connections_max: given.connections_each,
        searches_per_minute: given.searches_per_minute,
        results_max: given.results,
        catalogue: given.catalogue.clone(),
    }
}

fn motd(given: &NapsterServerArgs) -> Result<Vec<String>, Problem> {
    let Some(file) = &given.motd_file else { return Ok(given.motd.clone()) };
    let text = std::fs::read_to_string(file).map_err(|wrong| {
        Problem::new(format!("{} cannot be read: {}", file.display(), wrong.kind())).hint("name a text file with --motd-file")
    })?;
    Ok(text.lines().take(MOTD_LINES_MAX).map(str::to_owned).collect())
}
