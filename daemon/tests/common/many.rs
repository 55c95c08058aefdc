//! A node with very many shares, what it costs, and the shares themselves, which another process hashes: that must not lie about in the memory of who
//! measures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hexad_api::NetworkSettings;
use hexad_api::node::{Daemon, LibraryQuery, PAGE_MAX};
use hexad_daemon::{NodeSettings, open_node};

use super::{Home, await_within};

pub const SHARES: usize = 10_000;
pub const PATIENCE: Duration = Duration::from_secs(900);
/// Names the folder for a process that prepares.
pub const FOLDER: &str = "SHARES_IN";

/// A node that has its state in `folder`, and shares what is in it.
pub fn settings(folder: &Path, networks: Vec<NetworkSettings>, join: &[&str]) -> NodeSettings {
    let mut settings = Home::new().settings(networks, join);
    settings.session.state_dir = Some(folder.join("state"));
    settings.shared_dirs = vec![folder.join("shared")];
    settings.download_dir = folder.join("downloads");
    NodeSettings { rescan: Duration::from_secs(3600), ..settings }
}

/// Has this program, whose test `prepares` calls [`prepare`], fill a folder in another process.
pub fn prepare_elsewhere(folder: &Path) {
    let program = std::env::current_exe().expect("this program");
    let prepared = Command::new(program).args(["--ignored", "--exact", "prepares"]).env(FOLDER, folder).status();
    assert!(prepared.is_ok_and(|status| status.success()));
}

/// Makes the files, and has a node without networks hash them.
pub fn prepare() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    fs::create_dir_all(folder.join("shared")).expect("a folder");
    for number in 0..SHARES {
        let name = format!("file {number:05}.txt");
        fs::write(folder.join("shared").join(name), number.to_le_bytes().repeat(100)).expect("written");
    }
    let node = open_node(settings(&folder, Vec::new(), &[])).expect("a node");
    let all = LibraryQuery { limit: Some(1), ..LibraryQuery::default() };
    await_within(PATIENCE, "everything to be hashed", || node.library(&all).total == SHARES && node.status().totals.library.hashing == 0);
    node.close();
}

/// How many shares are offered on so many networks.
pub fn offered(node: &dyn Daemon, networks: usize) -> usize {
    let pages = (0..SHARES).step_by(PAGE_MAX).map(|offset| node.library(&LibraryQuery { offset, limit: Some(PAGE_MAX), q: None }));
    pages.flat_map(|page| page.items).filter(|share| share.networks.len() >= networks).count()
}

/// Resident bytes of this process.
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("what the system says of this process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its resident set");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("what the system says of this process");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("its name").1.split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|&at| fields[at].parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

/// What this process takes of one core from now on, in percent, while `idle` goes by.
pub fn percent_of_a_core(idle: impl FnOnce()) -> f64 {
    let (since, before) = (Instant::now(), cpu());
    idle();
    (cpu() - before).as_secs_f64() / since.elapsed().as_secs_f64() * 100.0
}
