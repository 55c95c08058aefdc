//! transmission-daemon, steered by transmission-remote. It cannot be told whom to dial, so it is dialled or asks a tracker.

use crate::client::{Client, Crypto, Job, Link};
use crate::{Process, until};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const RPC_PORT: u16 = 9091;

/// transmission-daemon at work on one torrent.
#[derive(Debug)]
pub struct Transmission {
    process: Process,
    /// Made by its script when the download is complete.
    done: PathBuf,
}

impl Transmission {
    /// Seeds what is in the job's folder.
    ///
    /// # Errors
    /// When it cannot be started or does not find the data complete.
    pub fn seed(job: &Job<'_>) -> Result<Self> {
        let transmission = Self::start(job)?;
        add(job, job.torrent.file.as_os_str().to_owned())?;
        // Before it has begun to check, it is idle too.
        until(Duration::from_secs(60), "Transmission finds the data complete", || {
            let shown = remote(job, ["-t", "1", "-i"])?;
            let still = ["State: Seeding", "State: Idle"].iter().any(|state| shown.contains(state));
            Ok((still && shown.contains("Percent Done: 100%")).then_some(()))
        })?;
        Ok(transmission)
    }

    /// Fetches into the job's folder.
    ///
    /// # Errors
    /// When it cannot be started or does not take the torrent.
    pub fn leech(job: &Job<'_>) -> Result<Self> {
        let transmission = Self::start(job)?;
        let what = match job.link {
            Link::File => job.torrent.file.as_os_str().to_owned(),
            Link::Magnet => job.torrent.magnet().into(),
        };
        add(job, what)?;
        Ok(transmission)
    }

    /// Has the daemon of `job`, which seeds, compare its data again; returns the time from the order until it is done. The daemon is
    /// asked by one transmission-remote after the other, so the time is good to some 10 ms.
    ///
    /// # Errors
    /// When it never begins, or is not done within `limit`.
    pub fn verify(job: &Job<'_>, limit: Duration) -> Result<Duration> {
        let began = Instant::now();
        remote(job, ["-t", "1", "-v"])?;
        let verifies = || Ok::<_, anyhow::Error>(remote(job, ["-t", "1", "-i"])?.contains("State: Verifying"));
        until(Duration::from_secs(5), "Transmission verifies", || Ok(verifies()?.then_some(())))?;
        until(limit, "Transmission has verified", || Ok((!verifies()?).then(|| began.elapsed())))
    }

    /// The time since the start of the process that it takes to have a working daemon is in what [`Client::complete`] returns.
    fn start(job: &Job<'_>) -> Result<Self> {
        ensure!(job.peers.is_empty(), "Transmission cannot be told whom to dial");
        ensure!(!job.super_seeds, "Transmission knows no super-seeding");
        let config = job.logs.join(format!("{}.config", job.name));
        std::fs::create_dir_all(&config)?;
        std::fs::create_dir_all(&job.folder)?;
        let done = job.logs.join(format!("{}.done", job.name));
        let script = crate::torrent::touch_script(&done)?;
        if let Some(nodes) = &job.ways.dht {
            let nodes: String = nodes.iter().map(|node| format!("{} {}\n", node.ip(), node.port())).collect();
            std::fs::write(config.join("dht.bootstrap"), nodes)?;
        }
        let gives_max = job.rate_max.or(job.gives_max);
        let settings = json!({
            "bind-address-ipv4": job.at.ip().to_string(), "bind-address-ipv6": "::1", "peer-port": job.at.port(),
            "encryption": match job.crypto { Crypto::Plain => 0, Crypto::Default => 1, Crypto::Required => 2 },
            "dht-enabled": job.ways.dht.is_some(), "lpd-enabled": job.ways.lsd, "pex-enabled": job.ways.pex, "utp-enabled": job.ways.utp,
            "port-forwarding-enabled": false,
            "speed-limit-down-enabled": job.rate_max.is_some(), "speed-limit-down": job.rate_max.unwrap_or(0) / 1000,
            "speed-limit-up-enabled": gives_max.is_some(), "speed-limit-up": gives_max.unwrap_or(0) / 1000,
            "rpc-bind-address": job.at.ip().to_string(), "rpc-port": RPC_PORT, "rpc-whitelist-enabled": false,
            "rpc-host-whitelist-enabled": false, "rpc-authentication-required": false,
            "download-dir": job.folder, "incomplete-dir-enabled": false, "rename-partial-files": false, "start-added-torrents": true,
            "script-torrent-done-enabled": true, "script-torrent-done-filename": script,
            "ratio-limit-enabled": false, "idle-seeding-limit-enabled": false, "cache-size-mb": if job.tuned { 64 } else { 4 },
            "message-level": if job.quiet { 1 } else { 2 },
        });
        std::fs::write(config.join("settings.json"), settings.to_string())?;
        let mut command = job.net.command("transmission-daemon");
        command.arg("--foreground").arg("--config-dir").arg(&config);
        let process = Process::start(command, &job.logs, &job.name)?;
        let rpc = SocketAddrV4::new(*job.at.ip(), RPC_PORT);
        until(Duration::from_secs(20), "Transmission's RPC", || Ok(job.net.listens(rpc).then_some(())))?;
        Ok(Self { process, done })
    }
}

impl Client for Transmission {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn complete(&mut self, limit: Duration) -> Result<Duration> {
        let (done, process) = (&self.done, &mut self.process);
        until(limit, "Transmission's script", || {
            ensure!(process.ended()?.is_none(), "Transmission ended");
            Ok(done.exists().then(|| process.began().elapsed()))
        })
    }
}

fn add(job: &Job<'_>, what: std::ffi::OsString) -> Result<()> {
    let mut arguments = vec!["-a".into(), what, "-w".into()];
    arguments.push(job.folder.as_os_str().to_owned());
    let said = remote(job, arguments)?;
    ensure!(said.contains("success"), "transmission-remote: {said}");
    Ok(())
}

/// What transmission-remote says.
fn remote<A: AsRef<std::ffi::OsStr>>(job: &Job<'_>, arguments: impl IntoIterator<Item = A>) -> Result<String> {
    let mut command = job.net.command("transmission-remote");
    command.arg(format!("{}:{RPC_PORT}", job.at.ip())).args(arguments);
    let output = command.output().context("transmission-remote")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}
