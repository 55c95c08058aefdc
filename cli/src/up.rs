//! `hexad up`: a node that runs on, with its page.

use std::io::IsTerminal as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use clap::Args;
use hexad_api::node::{Change, Daemon, NetworkState};
use hexad_api::{Event, Problem, json_line};
use hexad_daemon::HttpFace;

use crate::config::ConfigArgs;
use crate::how::LimitArgs;
use crate::networks::NetworkName;
use crate::node::absolute;
use crate::out::{self, tame};
use crate::signals;

/// Examples for its help.
pub const EXAMPLES: &str = "\
Examples:
  hexad up
  hexad up --share ~/Music --downloads ~/Downloads --join bittorrent --join kazaa
  hexad up --http 0.0.0.0:4080 --set http.allowed_hosts=node.example.org
  hexad up --config /etc/hexad/config.toml --json";

/// `hexad up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// What it is told
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Where the page and the API are; beyond loopback a token is needed. Port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT")]
    pub http: Option<SocketAddr>,
    /// Offer the files of this folder; may be repeated
    #[arg(long = "share", value_name = "DIR")]
    pub shared_dirs: Vec<PathBuf>,
    /// Where downloads go
    #[arg(long = "downloads", value_name = "DIR")]
    pub download_dir: Option<PathBuf>,
    /// Where the node keeps what it knows [default: $XDG_STATE_HOME/hexad or ~/.local/state/hexad]
    #[arg(long = "state", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Join this network; may be repeated [default: bittorrent, and those of which the configuration names a way in]
    #[arg(long, value_enum, value_name = "NETWORK")]
    pub join: Vec<NetworkName>,
    /// How fast bytes may come and go
    #[command(flatten)]
    pub limits: LimitArgs,
    /// One JSON object per line on stdout: listening, then what changes, as the API's events have it
    #[arg(long)]
    pub json: bool,
}

/// Runs until a signal ends it.
///
/// # Errors
/// When it cannot begin.
pub fn run(given: UpArgs) -> Result<(), Problem> {
    let mut config = given.config.read()?;
    if let Some(listen) = given.http {
        config.http.listen = listen;
    }
    if !given.shared_dirs.is_empty() {
        config.shared_dirs = given.shared_dirs.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?;
    }
    if let Some(path) = &given.download_dir {
        config.download_dir = Some(absolute(path)?);
    }
    if let Some(path) = &given.state_dir {
        config.state_dir = Some(absolute(path)?);
    }
    let mut limits = config.limits.usual();
    given.limits.lay(&mut limits);
    config.limits.set_usual(limits);
    if !given.join.is_empty() {
        config.networks.join = Some(given.join.iter().map(|name| name.word()).collect());
    }

    let inherited = inherited();
    if let Some(address) = inherited.as_ref().and_then(|listener| listener.local_addr().ok()) {
        config.http.listen = address;
    }
    let http = config.http()?;
    // First of all, so that a second node notices at once that there is one.
    let listener = match inherited {
        Some(listener) => listener,
        None => http.bind()?,
    };
    let (stop, stopped) = mpsc::channel();
    signals::on_first(move || {
        let _ = stop.send(());
    });
    let node: Arc<dyn Daemon> = hexad_daemon::open_node(config.node()?)?;
    let mut changes = node.changes();
    let mut face = HttpFace::open(node.clone(), Arc::new(hexad_daemon::laboratory()), &http, Some(listener))?;
    tell_address(&face, http.token.as_deref(), given.json)?;
    tell_systemd("READY=1");
    let json = given.json;
    std::thread::spawn(move || {
        while let Some(change) = changes.blocking_next() {
            // Nobody reads any more; the node goes on.
            if tell(&change, json).is_err() {
                return;
            }
        }
    });
    // Ends with an error only when the signals cannot be heard, and then there is nothing to wait for.
    let _ = stopped.recv();
    tell_systemd("STOPPING=1");
    face.stop();
    node.close();
    if json { out::line(&json_line(&Event::Stopped)?) } else { Ok(()) }
}

fn tell_address(face: &HttpFace, token: Option<&str>, json: bool) -> Result<(), Problem> {
    let url = face.url();
    if json {
        return out::line(&json_line(&Event::Listening { network: "http".into(), address: url, purpose: "page".into() })?);
    }
    eprintln!("the page is at this address; stop with Ctrl-C");
    match token {
        // What goes elsewhere than to a person may be kept, and read by others.
        Some(token) if std::io::stdout().is_terminal() => out::line(&format!("{url}?token={token}")),
        _ => out::line(&url),
    }
}

/// What a person wants to hear of a node that runs on.
fn tell(change: &Change, json: bool) -> Result<(), Problem> {
    if json {
        return out::line(&json_line(change)?);
    }
    match change {
        Change::Warning { message } => eprintln!("warning: {}", tame(message)),
        Change::Network { network } => match (&network.problem, network.state) {
            (Some(problem), NetworkState::Failed) => {
                eprintln!("{}: {}", network.name, tame(&problem.message));
                if let Some(hint) = &problem.hint {
                    eprintln!("hint: {}", tame(hint));
                }
            }
            _ => tracing::info!(network = %network.name, state = ?network.state, peers = network.peers, "network"),
        },
        _ => {}
    }
    Ok(())
}

/// The socket that systemd has opened for us, where it has.
fn inherited() -> Option<TcpListener> {
    listenfd::ListenFd::from_env().take_tcp_listener(0).ok().flatten()
}

/// Tells systemd how it goes, where it wants to know.
fn tell_systemd(state: &str) {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let Some(name) = std::env::var("NOTIFY_SOCKET").ok().filter(|name| !name.is_empty()) else { return };
    let send = || {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&name)?,
        };
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)
    };
    if let Err(wrong) = send() {
        tracing::warn!(%wrong, "systemd cannot be told");
    }
}
