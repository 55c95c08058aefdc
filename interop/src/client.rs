//! What the four BitTorrent programs have in common: each seeds and leeches one torrent under the same few wishes.

use crate::{Aria2, Hexad, Libtorrent, Net, Process, Torrent, Transmission, until};
use anyhow::Result;
use std::fmt;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

/// What a program is told about encryption (MSE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crypto {
    /// Plain where the program can be told so; Transmission and aria2 prefer plain and do not refuse the other.
    Plain,
    /// As the program does by itself.
    Default,
    /// Encrypted connections only.
    Required,
}

/// What a leecher is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The .torrent file.
    File,
    /// The magnet link.
    Magnet,
}

/// How a program may look for peers by itself, and connect. By default not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Takes part in the DHT and begins at these nodes, aria2 at the first of them; nobody is a node that knows nobody.
    pub dht: Option<Vec<SocketAddrV4>>,
    /// Peer exchange.
    pub pex: bool,
    /// Local service discovery.
    pub lsd: bool,
    /// Connects over uTP: libtorrent over nothing else, hexad and Transmission first. Otherwise libtorrent and Transmission do not, and hexad where TCP
    /// fails; aria2 knows none.
    pub utp: bool,
}

/// One program's part in a transfer.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// Where it runs.
    pub net: &'a Net,
    /// What it is called in its log files.
    pub name: String,
    /// What is moved.
    pub torrent: &'a Torrent,
    /// How a leecher is told.
    pub link: Link,
    /// Where a seed's data lies or a leecher's is to go.
    pub folder: PathBuf,
    /// Where it listens for peers.
    pub at: SocketAddrV4,
    /// Whom it is to dial; only libtorrent and hexad can be told.
    pub peers: Vec<SocketAddrV4>,
    /// How it may find more.
    pub ways: Ways,
    /// What it is told about encryption.
    pub crypto: Crypto,
    /// Whether a leecher goes on as a seed.
    pub stays: bool,
    /// Bytes a second that it may receive, and as many that it may send; all, when nothing is said. Transmission counts in thousands.
    pub rate_max: Option<u64>,
    /// Bytes a second that it may send, where `rate_max` does not say it; in thousands, too.
    pub gives_max: Option<u64>,
    /// Whether a seed shows one piece at a time (BEP 16); only libtorrent and hexad can.
    pub super_seeds: bool,
    /// Settings for speed, where a program has some; a benchmark's wish.
    pub tuned: bool,
    /// Whether it is to say little; a benchmark's wish.
    pub quiet: bool,
    /// Whether it makes files that are empty; Transmission 3.00 does not.
    pub makes_empty_files: bool,
    /// Where its logs and its own state go.
    pub logs: PathBuf,
}

/// A program at work on its job.
pub trait Client {
    /// Its process.
    fn process(&mut self) -> &mut Process;

    /// Waits until it says that all is there; returns the time since its process was started.
    ///
    /// # Errors
    /// When it ends without success, or after `limit`.
    fn complete(&mut self, limit: Duration) -> Result<Duration>;

    /// What a seed has said, about once a second, of how many bytes of files it has given so far; in order of time. Only libtorrent and hexad say it,
    /// and those that are not to be quiet.
    fn given_bytes(&mut self) -> Vec<u64> {
        Vec::new()
    }
}

/// The programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// aria2c.
    Aria2,
    /// transmission-daemon.
    Transmission,
    /// libtorrent by its Python binding.
    Libtorrent,
    /// Ours.
    Hexad,
}

impl Program {
    /// What must be here for it, as [`crate::have`] wants it.
    #[must_use]
    pub fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Aria2 => &["aria2c", "mktorrent"],
            Self::Transmission => &["transmission-daemon", "transmission-remote", "mktorrent"],
            Self::Libtorrent => &["libtorrent", "mktorrent"],
            Self::Hexad => &["mktorrent"],
        }
    }

    /// Starts it as a seed and waits until it can be dialled.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn seed(self, job: &Job<'_>) -> Result<Box<dyn Client>> {
        let client: Box<dyn Client> = match self {
            Self::Aria2 => Box::new(Aria2::seed(job)?),
            Self::Transmission => Box::new(Transmission::seed(job)?),
            Self::Libtorrent => Box::new(Libtorrent::seed(job)?),
            Self::Hexad => Box::new(Hexad::seed(job)?),
        };
        listening(client, job)
    }

    /// Starts it as a leecher and waits until it can be dialled.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn leech(self, job: &Job<'_>) -> Result<Box<dyn Client>> {
        let client: Box<dyn Client> = match self {
            Self::Aria2 => Box::new(Aria2::leech(job)?),
            Self::Transmission => Box::new(Transmission::leech(job)?),
            Self::Libtorrent => Box::new(Libtorrent::leech(job)?),
            Self::Hexad => Box::new(Hexad::leech(job)?),
        };
        listening(client, job)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Aria2 => "aria2",
            Self::Transmission => "transmission",
            Self::Libtorrent => "libtorrent",
            Self::Hexad => "hexad",
        })
    }
}

fn listening(mut client: Box<dyn Client>, job: &Job<'_>) -> Result<Box<dyn Client>> {
    until(Duration::from_secs(20), &format!("{} listens at {}", job.name, job.at), || {
        Ok((job.net.listens(job.at) || client.process().ended()?.is_some()).then_some(()))
    })?;
    Ok(client)
}
