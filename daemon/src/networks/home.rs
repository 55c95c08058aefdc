//! Where a network keeps what it knows from one run to the next: the key by which its node is known, and peers to begin with.
//!
//! One run at a time has it. Two nodes with one key would be one node to everybody else, so a second run gets a key of its own and keeps nothing.

use std::fs::{self, DirBuilder, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hexad_api::Problem;
use hexad_core::Endpoint;
use hexad_driver::Locked;
use hexad_driver::host::NodeKey;

use crate::key_file::key_in;
use crate::source::{endpoint, plain};

/// Peers that are kept.
const PEERS_MAX: usize = 32;
/// Longer files of peers are not ours.
const PEERS_BYTES_MAX: u64 = 64 << 10;

/// A network's own folder.
pub(crate) struct Home {
    folder: PathBuf,
    /// Held as long as it is ours.
    _lock: Locked,
    kept: Vec<Endpoint>,
}

impl Home {
    /// The folder of `network` below `state_dir`; `None` when another run has it.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub(crate) fn take(state_dir: &Path, network: &str) -> Result<Option<Self>, Problem> {
        let folder = state_dir.join(network);
        let trouble = |wrong: &std::io::Error| {
            Problem::new(format!("what {network} knows cannot be kept in {}: {}", folder.display(), plain(wrong)))
                .hint("choose another folder with --state DIR")
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|wrong| trouble(&wrong))?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join("lock"));
        let lock = lock.map_err(|wrong| trouble(&wrong))?;
        match Locked::take(lock) {
            Ok(lock) => Ok(Some(Self { folder, _lock: lock, kept: Vec::new() })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(wrong)) => Err(trouble(&wrong)),
        }
    }

    /// Where everything is kept.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The node's key pair, made when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or made and kept.
    pub(crate) fn key(&self) -> Result<NodeKey, Problem> {
        key_in(&self.folder, "node-key", "the node's key", "the node gets another key and another place")
    }

    /// Peers of the run before.
    pub(crate) fn peers(&self) -> Vec<Endpoint> {
        let path = self.folder.join("peers");
        if fs::metadata(&path).map_or(0, |found| found.len()) > PEERS_BYTES_MAX {
            return Vec::new();
        }
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().filter_map(|line| endpoint(line).ok()).take(PEERS_MAX).collect()
    }

    /// Keeps these peers for the next run, where there are any: whoever has lost everybody still has those of before.
    pub(crate) fn keep_peers(&mut self, peers: &[Endpoint]) {
        let peers = &peers[..peers.len().min(PEERS_MAX)];
        if peers.is_empty() || peers == self.kept {
            return;
        }
        let text: String = peers.iter().map(|peer| format!("{peer}\n")).collect();
        match self.replace("peers", &text) {
            Ok(()) => self.kept = peers.to_vec(),
            Err(wrong) => tracing::warn!(folder = %self.folder.display(), %wrong, "peers cannot be kept"),
        }
    }

    /// Writes a file as a whole or not at all.
    fn replace(&self, name: &str, text: &str) -> std::io::Result<()> {
        // For its owner's eyes only.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(name)).map_err(|wrong| wrong.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_peers_are_there_in_the_next_run() {
        let state = tempfile::tempdir().expect("a folder");
        let peers = vec![endpoint("192.0.2.1:7").expect("an address")];
        let mut home = Home::take(state.path(), "ring").expect("a folder").expect("nobody has it");
        let key = home.key().expect("a key");
        home.keep_peers(&peers);
        home.keep_peers(&[]);
        assert!(Home::take(state.path(), "ring").expect("a folder").is_none(), "one run at a time");
        drop(home);
        let home = Home::take(state.path(), "ring").expect("a folder").expect("nobody has it");
        assert_eq!((home.key().expect("a key"), home.peers()), (key, peers));
    }

    #[test]
    fn a_key_that_is_none_is_not_written_over() {
        let state = tempfile::tempdir().expect("a folder");
        let home = Home::take(state.path(), "ring").expect("a folder").expect("nobody has it");
        fs::write(state.path().join("ring/node-key"), "mine\n").expect("written");
        assert!(home.key().is_err());
        assert_eq!(fs::read_to_string(state.path().join("ring/node-key")).expect("still there"), "mine\n");
    }
}
