//! aria2c. It cannot be told whom to dial, so it is dialled or asks a tracker.

use crate::client::{Client, Crypto, Job, Link};
use crate::{Process, until};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// aria2c at work.
#[derive(Debug)]
pub struct Aria2 {
    process: Process,
    /// Made by its hook when the download is complete; `None` when it ends by itself.
    done: Option<PathBuf>,
}

impl Aria2 {
    /// Seeds what is in the job's folder, after checking it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn seed(job: &Job<'_>) -> Result<Self> {
        let mut command = command(job)?;
        command.args(["--check-integrity=true", "--seed-ratio=0.0"]).arg(&job.torrent.file);
        let mut process = Process::start(command, &job.logs, &job.name)?;
        process.hear(Duration::from_secs(60), "verified", |said| said.contains("Verification finished successfully").then_some(()))?;
        Ok(Self { process, done: None })
    }

    /// Fetches into the job's folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn leech(job: &Job<'_>) -> Result<Self> {
        let mut command = command(job)?;
        let done = job.logs.join(format!("{}.done", job.name));
        if job.stays {
            command.arg("--seed-ratio=0.0").arg(format!("--on-bt-download-complete={}", crate::torrent::touch_script(&done)?.display()));
        } else {
            command.arg("--seed-time=0");
        }
        match job.link {
            Link::File => command.arg(&job.torrent.file),
            Link::Magnet => command.arg(job.torrent.magnet()),
        };
        let mut process = Process::start(command, &job.logs, &job.name)?;
        // Whoever dials it dials at once.
        process.hear(Duration::from_secs(20), "listens", |said| said.contains("listening on TCP port").then_some(()))?;
        Ok(Self { process, done: job.stays.then_some(done) })
    }
}

impl Client for Aria2 {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn complete(&mut self, limit: Duration) -> Result<Duration> {
        let Some(done) = &self.done else { return self.process.finish(limit) };
        let process = &mut self.process;
        until(limit, "aria2's hook", || {
            ensure!(process.ended()?.is_none(), "aria2 ended");
            Ok(done.exists().then(|| process.began().elapsed()))
        })
    }
}

fn command(job: &Job<'_>) -> Result<Command> {
    ensure!(job.peers.is_empty(), "aria2 cannot be told whom to dial");
    let mut command = job.net.command("aria2c");
    ensure!(!job.ways.utp && !job.super_seeds, "aria2 knows neither uTP nor super-seeding");
    command.args(["--no-conf", "--enable-dht6=false"]);
    command.arg(format!("--enable-peer-exchange={}", job.ways.pex)).arg(format!("--bt-enable-lpd={}", job.ways.lsd));
    command.args(job.ways.lsd.then(|| format!("--bt-lpd-interface={}", job.at.ip())));
    // aria2 has a UDP socket for trackers only when it has one for the DHT; with no entry point and no way out that one stays alone.
    let udp = job.torrent.trackers.iter().any(|tracker| tracker.starts_with("udp"));
    command.arg(format!("--enable-dht={}", udp || job.ways.dht.is_some()));
    command.arg("--dht-file-path").arg(job.logs.join(format!("{}.dht", job.name)));
    if let Some(nodes) = &job.ways.dht {
        command.arg(format!("--dht-listen-port={}", job.at.port()));
        command.args(nodes.first().map(|node| format!("--dht-entry-point={node}")));
    }
    command.args(job.rate_max.map(|rate| format!("--max-download-limit={rate}")));
    command.args(job.rate_max.or(job.gives_max).map(|rate| format!("--max-upload-limit={rate}")));
    // Whoever comes to a tracker later is heard of soon.
    command.arg("--bt-tracker-interval=5");
    command.args(["--enable-color=false", "--summary-interval=0", "--show-console-readout=false"]);
    command.arg(if job.quiet { "--console-log-level=notice" } else { "--console-log-level=info" });
    command.args(["--file-allocation=none", "--disable-ipv6=true", "--follow-torrent=mem", "--bt-save-metadata=false"]);
    command.arg(format!("--interface={}", job.at.ip())).arg(format!("--listen-port={}", job.at.port()));
    command.arg("--dir").arg(&job.folder);
    if job.crypto == Crypto::Required {
        command.arg("--bt-force-encryption=true");
    }
    if job.tuned {
        command.args(["--disk-cache=64M", "--bt-max-peers=0", "--bt-request-peer-speed-limit=0"]);
    }
    Ok(command)
}
