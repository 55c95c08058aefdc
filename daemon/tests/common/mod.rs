//! What tests of a node need: folders, settings for loopback, and patience.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod many;
pub mod sources;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hexad_api::node::{Daemon, NetworkState};
use hexad_api::{BittorrentSettings, ChordSettings, GnutellaMode, GnutellaSettings, KazaaSettings, NetworkSettings, Settings, Supernode};
use hexad_daemon::NodeSettings;
use tempfile::TempDir;

/// Everybody waits this long at most.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// A node's folders.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    /// A folder in it, made when it is not there.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        std::fs::canonicalize(path).expect("a folder")
    }

    /// A node that has its state here, shares `shared`, downloads to `downloads`, and knows these networks.
    pub fn settings(&self, networks: Vec<NetworkSettings>, join: &[&str]) -> NodeSettings {
        NodeSettings {
            session: Settings { state_dir: Some(self.folder("state")), networks, ..Settings::default() },
            schedule: Vec::new(),
            join: join.iter().map(|name| (*name).to_owned()).collect(),
            download_dir: self.folder("downloads"),
            shared_dirs: vec![self.folder("shared")],
            watch_dir: None,
            seed: false,
            rescan: Duration::from_millis(300),
            quiet: Duration::ZERO,
            ..NodeSettings::default()
        }
    }
}

pub fn loopback() -> Option<SocketAddr> {
    Some((Ipv4Addr::LOCALHOST, 0).into())
}

pub fn quiet_bittorrent() -> NetworkSettings {
    let settings = BittorrentSettings { listen: loopback(), dht: false, pex: false, lsd: false, ..BittorrentSettings::default() };
    NetworkSettings::Bittorrent(settings)
}

/// The first node of a network, which is a supernode.
pub fn kazaa_founder() -> NetworkSettings {
    NetworkSettings::Kazaa(KazaaSettings { listen: loopback(), found: true, supernode: Supernode::Always, ..KazaaSettings::default() })
}

/// A leaf of the supernode at `door`.
pub fn kazaa(door: &str) -> NetworkSettings {
    let settings =
        KazaaSettings { listen: loopback(), bootstrap: vec![door.to_owned()], supernode: Supernode::Never, ..KazaaSettings::default() };
    NetworkSettings::Kazaa(settings)
}

/// A node of the ring in which those are; the first of a ring of its own, where there are none.
pub fn chord(bootstrap: &[String]) -> NetworkSettings {
    NetworkSettings::Chord(ChordSettings { listen: loopback(), bootstrap: bootstrap.to_vec(), found: bootstrap.is_empty() })
}

/// A host of Gnutella that begins with these.
pub fn gnutella(mode: GnutellaMode, bootstrap: &[String]) -> NetworkSettings {
    NetworkSettings::Gnutella(GnutellaSettings { listen: loopback(), bootstrap: bootstrap.to_vec(), mode, ..GnutellaSettings::default() })
}

/// Where others can reach a network of a node, once it is joined.
pub fn door(node: &dyn Daemon, name: &str) -> String {
    await_that(&format!("{name} to be joined"), || node.network(name).is_ok_and(|network| network.state == NetworkState::Joined));
    await_that(&format!("{name} to listen"), || node.network(name).is_ok_and(|network| !network.doors.is_empty()));
    node.network(name).expect("a network").doors[0].address.clone()
}

/// Waits until something holds.
pub fn await_that(what: &str, holds: impl FnMut() -> bool) {
    await_within(DEADLINE, what, holds);
}

/// The same, so long at most.
pub fn await_within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < until, "waited {} s in vain for {what}", patience.as_secs());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Bytes that look like nothing else, the same for the same seed.
pub fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut all: Vec<u8> = Vec::with_capacity(count + 8);
    while all.len() < count {
        all.extend_from_slice(&next());
    }
    all.truncate(count);
    all
}
