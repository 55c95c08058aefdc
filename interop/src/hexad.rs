//! The program under test, as it was built: `HEXAD_BIN` names it (`cargo xtask test` sets it), otherwise it is looked for where cargo
//! puts it beside the running test.

use crate::client::{Client, Crypto, Job, Link};
use crate::{Mounts, Net, Process, Torrent};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

static CHOSEN: OnceLock<PathBuf> = OnceLock::new();

/// `hexad` at work on one torrent.
#[derive(Debug)]
pub struct Hexad {
    process: Process,
    ends: bool,
}

impl Hexad {
    /// Names the binary for this process, before anything else does. A second call changes nothing.
    pub fn choose(binary: PathBuf) {
        let _ = CHOSEN.set(binary);
    }

    /// The binary.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn binary() -> Result<PathBuf> {
        if let Some(chosen) = CHOSEN.get() {
            return Ok(chosen.clone());
        }
        if let Some(named) = std::env::var_os("HEXAD_BIN") {
            return Ok(named.into());
        }
        let own = std::env::current_exe()?;
        let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join("hexad"));
        beside.into_iter().find(|binary| binary.is_file()).context("hexad is not built: `cargo build` first, or use `cargo xtask test`")
    }

    /// Describes `data` in a .torrent `file` of BitTorrent v1 that names these web seeds.
    ///
    /// # Errors
    /// When it refuses.
    pub fn describe(data: &Path, file: &Path, piece_length: u64, web_seeds: &[String]) -> Result<Torrent> {
        let mut command = Command::new(Self::binary()?);
        command.args(["torrent", "create"]).arg(data).arg("--out").arg(file).args(["--piece-length", &piece_length.to_string()]);
        command.args(web_seeds.iter().flat_map(|url| ["--web-seed", url]));
        let output = command.output()?;
        ensure!(output.status.success(), "hexad torrent create: {}", String::from_utf8_lossy(&output.stderr));
        Torrent::of(data, file, &[])
    }

    /// Seeds what is in the job's folder, after checking it.
    ///
    /// # Errors
    /// When it cannot be started or does not find the data complete.
    pub fn seed(job: &Job<'_>) -> Result<Self> {
        let mut command = command(job.net, &job.logs)?;
        command.args((!job.quiet).then_some("-v")).args(["publish", "--torrent"]).arg(&job.torrent.file).arg("--data").arg(&job.folder);
        command.args(job.super_seeds.then_some("--super-seed"));
        switches(&mut command, job);
        let mut process = Process::start(command, &job.logs, &job.name)?;
        process.hear(Duration::from_secs(60), "seeding", |said| event(said, "seeding"))?;
        Ok(Self { process, ends: false })
    }

    /// Fetches into the job's folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn leech(job: &Job<'_>) -> Result<Self> {
        let mut command = command(job.net, &job.logs)?;
        command.args((!job.quiet).then_some("-v")).arg("fetch");
        match job.link {
            Link::File => command.arg(&job.torrent.file),
            Link::Magnet => command.arg(job.torrent.magnet()),
        };
        command.arg("--into").arg(&job.folder).args(job.stays.then_some("--seed"));
        switches(&mut command, job);
        Ok(Self { process: Process::start(command, &job.logs, &job.name)?, ends: !job.stays })
    }

    /// A node of Freenet that is joined and has FCP at a port of its loopback address; and how others join it.
    ///
    /// # Errors
    /// When it does not join.
    pub fn freenet(net: &Net, name: &str, fcp_port: u16, bootstrap: Option<&str>, logs: &Path) -> Result<(Process, String)> {
        let mut command = command(net, logs)?;
        command.args(["serve", "fcp", "--json", "--fcp", &format!("127.0.0.1:{fcp_port}")]);
        command.arg("--listen").arg(SocketAddrV4::new(net.address(), 4001).to_string()).arg("--state").arg(logs.join(name));
        command.args(bootstrap.iter().flat_map(|bootstrap| ["--bootstrap", bootstrap]));
        Self::member(command, logs, name, "network")
    }

    /// A node of Gnutella that is joined, whose links are not deflated; and where others reach it.
    ///
    /// # Errors
    /// When it does not join.
    pub fn gnutella(net: &Net, at: SocketAddrV4, bootstrap: Option<SocketAddrV4>, logs: &Path, name: &str) -> Result<(Process, String)> {
        let mut command = command(net, logs)?;
        command.args(["join", "gnutella", "--json", "--plain", "--mode", "ultrapeer", "--listen", &at.to_string()]);
        command.arg("--state").arg(logs.join(name));
        command.args(bootstrap.iter().flat_map(|bootstrap| ["--bootstrap".to_owned(), bootstrap.to_string()]));
        Self::member(command, logs, name, "peers")
    }

    /// `hexad` with other arguments, as everybody here runs it.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn command(net: &Net, logs: &Path) -> Result<Command> {
        command(net, logs)
    }

    /// The same among these mounts.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn command_among(mounts: &Mounts, net: &Net, logs: &Path) -> Result<Command> {
        let [enter, switches @ ..] = mounts.enter();
        let mut command = net.command(&enter);
        command.args(switches).arg(Self::binary()?);
        Ok(at_home(command, logs))
    }

    fn member(command: Command, logs: &Path, name: &str, purpose: &str) -> Result<(Process, String)> {
        let mut process = Process::start(command, logs, name)?;
        let address = process.hear(Duration::from_secs(60), "its address, and that it has joined", |said| {
            event(said, "joined")?;
            let listening = |event: &Value| event["event"] == "listening" && event["purpose"] == purpose;
            Some(events(said).find(listening)?["address"].as_str()?.to_owned())
        })?;
        Ok((process, address))
    }

    /// Serves as a tracker at `at`, HTTP and UDP.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn tracker(net: &Net, at: SocketAddrV4, logs: &Path) -> Result<Process> {
        let mut command = command(net, logs)?;
        command.args(["-v", "serve", "tracker", "--json", "--http", &at.to_string(), "--udp", &at.to_string()]);
        let mut process = Process::start(command, logs, "tracker")?;
        crate::opentracker::await_doors(net, at, &mut process)?;
        Ok(process)
    }
}

impl Client for Hexad {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn complete(&mut self, limit: Duration) -> Result<Duration> {
        if !self.ends {
            let began = self.process.began();
            return self.process.hear(limit, "complete", |said| event(said, "complete").map(|_| began.elapsed()));
        }
        let taken = self.process.finish(limit)?;
        event(&self.process.said(), "complete").context("hexad ended with 0 and never said complete")?;
        Ok(taken)
    }

    fn given_bytes(&mut self) -> Vec<u64> {
        events(&self.process.said()).filter_map(|event| event["uploaded_bytes"].as_u64()).collect()
    }
}

fn command(net: &Net, logs: &Path) -> Result<Command> {
    Ok(at_home(net.command(&Hexad::binary()?.to_string_lossy()), logs))
}

fn at_home(mut command: Command, logs: &Path) -> Command {
    command.env("HOME", logs).env("XDG_STATE_HOME", logs.join("state")).env_remove("RUST_LOG");
    command
}

fn switches(command: &mut Command, job: &Job<'_>) {
    command.args(["--json", "--listen", &job.at.to_string()]);
    command.args((!job.ways.pex).then_some("--no-pex")).args((!job.ways.lsd).then_some("--no-lsd"));
    command.args(job.ways.utp.then_some("--utp-first"));
    command.args(job.rate_max.iter().flat_map(|rate| ["--max-down".to_owned(), rate.to_string()]));
    command.args(job.rate_max.or(job.gives_max).iter().flat_map(|rate| ["--max-up".to_owned(), rate.to_string()]));
    match &job.ways.dht {
        None => command.arg("--no-dht"),
        // Without a node to begin with, the usual ones would be asked.
        Some(nodes) if nodes.is_empty() => command.args(["--dht-node", &SocketAddrV4::new(*job.at.ip(), 9).to_string()]),
        Some(nodes) => command.args(nodes.iter().flat_map(|node| ["--dht-node".to_owned(), node.to_string()])),
    };
    command.args(job.peers.iter().flat_map(|peer| ["--peer".to_owned(), peer.to_string()]));
    command.args(match job.crypto {
        Crypto::Plain => Some("--no-encryption"),
        Crypto::Default => None,
        Crypto::Required => Some("--require-encryption"),
    });
}

/// The first line of `said` that is this event.
fn event(said: &str, wanted: &str) -> Option<Value> {
    events(said).find(|event| event["event"] == wanted)
}

fn events(said: &str) -> impl Iterator<Item = Value> {
    said.lines().filter_map(|line| serde_json::from_str(line).ok())
}
