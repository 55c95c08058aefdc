//! One test's stage: a namespace, a folder that goes with it, and what everybody said when something went wrong.

use crate::client::{Crypto, Job, Link, Ways};
use crate::{Net, Torrent, differences, write_file};
use anyhow::{Result, bail};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A namespace and a temporary folder.
#[derive(Debug)]
pub struct Scene {
    /// Where the programs run.
    pub net: Net,
    folder: TempDir,
}

impl Scene {
    /// An empty stage.
    ///
    /// # Errors
    /// When there is no namespace or no folder to be had.
    pub fn new() -> Result<Self> {
        Ok(Self { net: Net::new()?, folder: TempDir::with_prefix("hexad-interop-")? })
    }

    /// A path in the temporary folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A torrent of one file of `bytes` bytes in the folder `sent`.
    ///
    /// # Errors
    /// When mktorrent is not here or the disk is full.
    pub fn torrent(&self, bytes: u64, piece_length: u64, trackers: &[String]) -> Result<Torrent> {
        Torrent::make(&self.file(bytes)?, &self.path("payload.torrent"), piece_length, trackers)
    }

    /// One file of `bytes` bytes in the folder `sent`.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn file(&self, bytes: u64) -> Result<PathBuf> {
        let data = self.path("sent").join("payload.bin");
        write_file(&data, bytes, bytes)?;
        Ok(data)
    }

    /// A torrent of a folder: nested, with an empty file, with names that are not ASCII, with pieces that run across files.
    ///
    /// # Errors
    /// When mktorrent is not here or the disk is full.
    pub fn folder_torrent(&self, piece_length: u64, trackers: &[String]) -> Result<Torrent> {
        Torrent::make(&self.folder(piece_length)?, &self.path("payload.torrent"), piece_length, trackers)
    }

    /// The folder of [`Self::folder_torrent`], in the folder `sent`.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn folder(&self, piece_length: u64) -> Result<PathBuf> {
        let data = self.path("sent").join("Sammlung 大全");
        let files = [
            ("a.bin", 3 * piece_length + 17),
            ("empty", 0),
            ("größe/日本語.txt", 1),
            ("größe/b c.bin", 70_000),
            ("deep/er/and/deeper/d.bin", piece_length),
            ("z/one", 1),
            ("z/two", 2),
        ];
        for (number, (name, bytes)) in files.into_iter().enumerate() {
            write_file(&data.join(name), number as u64, bytes)?;
        }
        Ok(data)
    }

    /// An address for a peer that nobody else here has.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.net.address(), 6881)
    }

    /// An address for a tracker that nobody else here has.
    #[must_use]
    pub fn tracker_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.net.address(), 6969)
    }

    /// A job for a seed of `torrent`; plain fields, change what you like.
    #[must_use]
    pub fn seed<'a>(&'a self, torrent: &'a Torrent) -> Job<'a> {
        self.job("seed", torrent, torrent.data_folder().to_owned())
    }

    /// A job for a leecher of `torrent` called `name`, into a folder of that name.
    #[must_use]
    pub fn leech<'a>(&'a self, name: &str, torrent: &'a Torrent) -> Job<'a> {
        self.job(name, torrent, self.path(name))
    }

    fn job<'a>(&'a self, name: &str, torrent: &'a Torrent, folder: PathBuf) -> Job<'a> {
        Job {
            net: &self.net,
            name: name.to_owned(),
            torrent,
            link: Link::File,
            folder,
            at: self.peer_address(),
            peers: Vec::new(),
            ways: Ways::default(),
            crypto: Crypto::Default,
            stays: false,
            rate_max: None,
            gives_max: None,
            super_seeds: false,
            tuned: false,
            quiet: false,
            makes_empty_files: true,
            logs: self.folder.path().to_owned(),
        }
    }

    /// Compares what the leecher has with what was sent.
    ///
    /// # Errors
    /// When a byte or a name differs.
    pub fn arrived(&self, torrent: &Torrent, leech: &Job<'_>) -> Result<()> {
        let found = differences(&torrent.data, &leech.folder.join(torrent.name()), leech.makes_empty_files)?;
        if !found.is_empty() {
            bail!("{}", found.join("\n"));
        }
        Ok(())
    }

    /// `outcome`, an error with the ends of all that was said on this stage.
    ///
    /// # Errors
    /// Those of `outcome`.
    pub fn explain<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.map_err(|error| error.context(format!("\n{}\n", self.logs())))
    }

    fn logs(&self) -> String {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "out" || extension == "err"));
        files.sort();
        files.iter().map(|file| format!("── {}\n{}", file.file_name().unwrap_or_default().to_string_lossy(), tail(file))).collect()
    }
}

fn tail(file: &Path) -> String {
    let bytes = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(30)..].iter().map(|line| format!("{line}\n")).collect()
}
