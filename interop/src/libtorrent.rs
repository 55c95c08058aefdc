//! libtorrent by its Python binding: `libtorrent.py` beside this file is one client with one torrent, told everything by one JSON
//! argument. Only `/usr/bin/python3` sees Debian's python3-libtorrent.

use crate::Process;
use crate::Torrent;
use crate::client::{Client, Crypto, Job, Link};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SCRIPT: &str = include_str!("libtorrent.py");

/// libtorrent at work on one torrent.
#[derive(Debug)]
pub struct Libtorrent {
    process: Process,
    /// A leecher that does not stay writes what is in its caches and ends.
    ends: bool,
}

impl Libtorrent {
    /// Seeds what is in the job's folder, without checking it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn seed(job: &Job<'_>) -> Result<Self> {
        let mut seed = Self::start(job, "seed")?;
        seed.process.hear(Duration::from_secs(60), "ready", |said| event(said, "ready"))?;
        Ok(seed)
    }

    /// Fetches into the job's folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn leech(job: &Job<'_>) -> Result<Self> {
        let mut leech = Self::start(job, "leech")?;
        leech.process.hear(Duration::from_secs(20), "ready", |said| event(said, "ready"))?;
        Ok(leech)
    }

    fn start(job: &Job<'_>, role: &str) -> Result<Self> {
        let told = json!({
            "do": role,
            "torrent": (role == "seed" || job.link == Link::File).then_some(&job.torrent.file),
            "magnet": job.torrent.magnet(),
            "folder": job.folder,
            "listen": job.at.to_string(),
            "peers": job.peers.iter().map(|peer| (peer.ip().to_string(), peer.port())).collect::<Vec<_>>(),
            "dht": job.ways.dht.as_ref().map(|nodes| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
            "pex": job.ways.pex,
            "lsd": job.ways.lsd,
            "utp": job.ways.utp,
            "crypto": match job.crypto { Crypto::Plain => "plain", Crypto::Default => "default", Crypto::Required => "required" },
            "stays": job.stays,
            "rate": job.rate_max,
            "gives": job.rate_max.or(job.gives_max),
            "super_seeds": job.super_seeds,
            "tuned": job.tuned,
            "quiet": job.quiet,
        });
        let mut command = job.net.command("/usr/bin/python3");
        command.args(["-c", SCRIPT, &told.to_string()]);
        Ok(Self { process: Process::start(command, &job.logs, &job.name)?, ends: role == "leech" && !job.stays })
    }
}

impl Client for Libtorrent {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn complete(&mut self, limit: Duration) -> Result<Duration> {
        let began = self.process.began();
        let taken = self.process.hear(limit, "complete", |said| event(said, "complete").map(|_| began.elapsed()))?;
        if self.ends {
            self.process.finish(Duration::from_secs(30))?;
        }
        Ok(taken)
    }

    fn given_bytes(&mut self) -> Vec<u64> {
        events(&self.process.said()).filter_map(|event| event["given_bytes"].as_u64()).collect()
    }
}

/// Jobs of libtorrent that need no network; each is one process that ends.
#[derive(Clone, Copy, Debug)]
pub enum LibtorrentTask {
    /// Compares what is in the folder with the .torrent file.
    Check,
    /// Writes the .torrent file that describes the folder.
    Create,
}

impl LibtorrentTask {
    /// The command that does it; it says `{"event":"complete","seconds":…}` and ends with 0 when all is well.
    #[must_use]
    pub fn command(self, torrent: &Path, folder: &Path, tuned: bool) -> Command {
        let task = match self {
            Self::Check => "check",
            Self::Create => "create",
        };
        let told = json!({ "do": task, "torrent": torrent, "folder": folder, "tuned": tuned });
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", SCRIPT, &told.to_string()]);
        command
    }
}

/// Which BitTorrent libtorrent is to describe something for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// BEP 52 alone.
    V2,
    /// BEP 3 and BEP 52.
    Hybrid,
}

impl Torrent {
    /// Has libtorrent describe `data` for BitTorrent v2, with its own reading of the info hashes.
    ///
    /// # Errors
    /// When libtorrent is not here or refuses.
    pub fn make_v2(data: &Path, file: &Path, piece_length: u64, trackers: &[String], version: Version) -> Result<Self> {
        let version = if version == Version::V2 { "v2" } else { "hybrid" };
        let wishes = json!({ "piece_length": piece_length, "trackers": trackers, "version": version });
        Self::by_libtorrent(data, file, trackers, wishes)
    }

    /// Has libtorrent describe `data` for BitTorrent v1, with these web seeds.
    ///
    /// # Errors
    /// When libtorrent is not here or refuses.
    pub fn make_with_web_seeds(data: &Path, file: &Path, piece_length: u64, web_seeds: &[String]) -> Result<Self> {
        Self::by_libtorrent(data, file, &[], json!({ "piece_length": piece_length, "web_seeds": web_seeds }))
    }

    fn by_libtorrent(data: &Path, file: &Path, trackers: &[String], wishes: Value) -> Result<Self> {
        let mut told = json!({ "do": "create", "torrent": file, "folder": data });
        if let (Some(told), Value::Object(wishes)) = (told.as_object_mut(), wishes) {
            told.extend(wishes);
        }
        let output = Command::new("/usr/bin/python3").args(["-c", SCRIPT, &told.to_string()]).output().context("python3")?;
        ensure!(output.status.success(), "libtorrent: {}", String::from_utf8_lossy(&output.stderr));
        let made = event(&String::from_utf8_lossy(&output.stdout), "complete").context("libtorrent said nothing")?;
        let hash = |which: &str| made[which].as_str().map(str::to_owned);
        Ok(Self {
            file: file.to_owned(),
            data: data.to_owned(),
            info_hash: hash("v1").unwrap_or_default(),
            info_hash_v2: hash("v2"),
            trackers: trackers.to_vec(),
        })
    }
}

/// The first line of `said` that is this event.
fn event(said: &str, wanted: &str) -> Option<Value> {
    events(said).find(|event| event["event"] == wanted)
}

fn events(said: &str) -> impl Iterator<Item = Value> {
    said.lines().filter_map(|line| serde_json::from_str(line).ok())
}
