//! A seed and leechers of one torrent, each a `hexad` process of its own, on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{ALONE, Running, run, start, tree, write_file};

/// One temporary folder: `seed` is what is offered, `it.torrent` describes it, `leech` is where it arrives.
pub struct Scene {
    folder: TempDir,
}

impl Scene {
    pub fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder") }
    }

    /// Files with these lengths below `seed`, described by `it.torrent`, which names what stands at `what` there.
    pub fn of(what: &str, files: &[(&str, u64)]) -> Self {
        let scene = Self::new();
        for (number, (name, bytes)) in files.iter().enumerate() {
            write_file(&scene.at("seed").join(name), number as u64, *bytes);
        }
        scene.create(what, &[]);
        scene
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn create(&self, what: &str, more: &[&str]) {
        let what = format!("seed/{what}");
        let own = ["torrent", "create", &what, "-o", "it.torrent", "--force"];
        let said = run(self.path(), own.iter().chain(more));
        assert!(said.ok, "{}", said.err);
    }

    /// The magnet link of `it.torrent`.
    pub fn magnet(&self) -> String {
        let shown = run(self.path(), ["torrent", "show", "it.torrent"]);
        shown.out.lines().find_map(|line| line.strip_prefix("magnet      ")).expect("a magnet link").to_owned()
    }

    /// Starts a seed and returns where it listens.
    pub fn seed(&self) -> (Running, SocketAddr) {
        let own = ["publish", "--torrent", "it.torrent", "--data", "seed", "--listen", "127.0.0.1:0", "--json"];
        let mut seed = start(self.path(), own.into_iter().chain(ALONE));
        let address = seed.address("peers");
        seed.await_event("seeding");
        (seed, address)
    }

    /// Starts a fetch of `source` into `leech`, from the peer at that address, if any.
    pub fn fetch_of(&self, source: &str, peer: Option<SocketAddr>, more: &[&str]) -> Running {
        let peer = peer.map(|peer| peer.to_string());
        let own = ["fetch", source, "--into", "leech", "--listen", "127.0.0.1:0", "--json"];
        let peer = peer.iter().flat_map(|peer| ["--peer", peer.as_str()]);
        start(self.path(), own.into_iter().chain(peer).chain(ALONE).chain(more.iter().copied()))
    }

    /// The same of `it.torrent`.
    pub fn fetch(&self, peer: Option<SocketAddr>, more: &[&str]) -> Running {
        self.fetch_of("it.torrent", peer, more)
    }

    /// Everything that was offered has arrived as it was, and nothing else is there.
    pub fn arrived(&self) {
        assert!(tree(&self.at("leech")) == tree(&self.at("seed")), "what arrived is not what was offered");
        assert!(!self.at("leech/.hexad").exists(), "the journal goes when the download is complete");
    }

    /// The names of the files that have arrived.
    pub fn names(&self) -> Vec<String> {
        tree(&self.at("leech")).into_iter().map(|(name, _)| name.display().to_string()).collect()
    }
}
