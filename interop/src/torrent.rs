//! A .torrent file, most often made by mktorrent, with its info hash read by a few lines of our own: an opinion that owes nothing to `hexad`.

use anyhow::{Context, Result, ensure};
use sha1::{Digest, Sha1};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A .torrent file and what it names.
#[derive(Clone, Debug)]
pub struct Torrent {
    /// The .torrent file.
    pub file: PathBuf,
    /// The file or folder that it describes.
    pub data: PathBuf,
    /// SHA-1 of the info dictionary, in hex; empty of a torrent of BitTorrent v2 only.
    pub info_hash: String,
    /// SHA-256 of the info dictionary, in hex, of one that has a part of v2.
    pub info_hash_v2: Option<String>,
    /// The announce addresses that it names.
    pub trackers: Vec<String>,
}

impl Torrent {
    /// Has mktorrent describe `data`. `piece_length` is a power of two.
    ///
    /// # Errors
    /// When mktorrent is not here or refuses.
    pub fn make(data: &Path, file: &Path, piece_length: u64, trackers: &[String]) -> Result<Self> {
        ensure!(piece_length.is_power_of_two(), "mktorrent takes powers of two");
        let mut command = Command::new("mktorrent");
        command.args(["-d", "-l", &piece_length.ilog2().to_string(), "-o"]).arg(file);
        command.args(trackers.iter().flat_map(|tracker| ["-a", tracker])).arg(data);
        let output = command.output().context("mktorrent")?;
        ensure!(output.status.success(), "mktorrent: {}", String::from_utf8_lossy(&output.stdout));
        Self::of(data, file, trackers)
    }

    /// What `file`, which somebody has made for BitTorrent v1, says of `data`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn of(data: &Path, file: &Path, trackers: &[String]) -> Result<Self> {
        let bytes = std::fs::read(file)?;
        let info_hash = info_hash(&bytes).context("no info dictionary in the .torrent")?;
        Ok(Self { file: file.to_owned(), data: data.to_owned(), info_hash, info_hash_v2: None, trackers: trackers.to_vec() })
    }

    /// `magnet:?xt=urn:btih:…` or `urn:btmh:`, or both, with its trackers.
    #[must_use]
    pub fn magnet(&self) -> String {
        let trackers: String = self.trackers.iter().map(|url| format!("&tr={}", url.replace(':', "%3A").replace('/', "%2F"))).collect();
        let v1 = (!self.info_hash.is_empty()).then(|| format!("xt=urn:btih:{}", self.info_hash));
        let v2 = self.info_hash_v2.as_ref().map(|hash| format!("xt=urn:btmh:1220{hash}"));
        let names: Vec<String> = v1.into_iter().chain(v2).collect();
        format!("magnet:?{}{trackers}", names.join("&"))
    }

    /// The name that the file or folder arrives under.
    #[must_use]
    pub fn name(&self) -> &Path {
        self.data.file_name().map_or(Path::new(""), Path::new)
    }

    /// The folder that a seed is to be told.
    #[must_use]
    pub fn data_folder(&self) -> &Path {
        self.data.parent().unwrap_or(Path::new("/"))
    }
}

fn info_hash(file: &[u8]) -> Option<String> {
    let mut at = 1;
    while file.get(at)? != &b'e' {
        let key = at..end_of_value(file, at)?;
        let value = key.end..end_of_value(file, key.end)?;
        if file.get(key)? == b"4:info" {
            return Some(Sha1::digest(file.get(value)?).iter().map(|byte| format!("{byte:02x}")).collect());
        }
        at = value.end;
    }
    None
}

/// Where the bencoded value that begins at `at` ends.
fn end_of_value(file: &[u8], at: usize) -> Option<usize> {
    match file.get(at)? {
        b'i' => Some(at + file[at..].iter().position(|byte| *byte == b'e')? + 1),
        b'l' | b'd' => {
            let mut at = at + 1;
            while file.get(at)? != &b'e' {
                at = end_of_value(file, at)?;
            }
            Some(at + 1)
        }
        _ => {
            let colon = at + file[at..].iter().position(|byte| *byte == b':')?;
            let length: usize = std::str::from_utf8(&file[at..colon]).ok()?.parse().ok()?;
            Some(colon + 1 + length)
        }
    }
}

/// A script that makes the file `done`, for programs that call one at the end of a download.
pub(crate) fn touch_script(done: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let script = done.with_extension("hook");
    std::fs::write(&script, format!("#!/bin/sh\n: > '{}'\n", done.display()))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    Ok(script)
}
