//! Foreign programs (aria2, Transmission, libtorrent, opentracker, mktorrent; pyFreenet3; tshark) and the built `hexad`, each started in a
//! network namespace that lives as long as its test. The interop tests and `cargo xtask bench` stand on this.
//!
//! A namespace holds 10.77.0.0/16 on its loopback device: Transmission refuses 127/8 peers, and fixed ports are free in it.

mod aria2;
mod client;
mod data;
mod hexad;
mod holder;
mod libtorrent;
mod line;
mod mounts;
mod nat;
mod net;
mod opentracker;
mod process;
mod pyfreenet;
mod scene;
mod torrent;
mod transmission;
mod web;

pub use aria2::Aria2;
pub use client::{Client, Crypto, Job, Link, Program, Ways};
pub use data::{differences, write_file};
pub use hexad::Hexad;
pub use libtorrent::{Libtorrent, LibtorrentTask, Version};
pub use line::{Carried, Line, LineConfig};
pub use mounts::Mounts;
pub use net::{Net, is_root};
pub use opentracker::{await_seed, start as start_opentracker};
pub use process::{Cost, Process, until};
pub use pyfreenet::PyFreenet;
pub use scene::Scene;
pub use torrent::Torrent;
pub use transmission::Transmission;
pub use web::Web;

use std::io::Write;
use std::path::PathBuf;

/// Programs that a test needs, by the name of the executable; `libtorrent` is the module that `/usr/bin/python3` sees, `pyfreenet3` that of
/// [`PyFreenet`], `root` the right to lay cables between namespaces. True when all are here.
/// With CI=true a missing one is a failure, otherwise it is said on stderr and the test is to return.
///
/// # Panics
/// When something is missing and CI=true.
#[must_use]
pub fn have(programs: &[&str]) -> bool {
    let mut missing: Vec<&str> = programs.iter().copied().filter(|program| !is_here(program)).collect();
    missing.sort_unstable();
    missing.dedup();
    if !Net::possible() {
        missing.push("network namespaces (root, or unprivileged user namespaces)");
    }
    if missing.is_empty() {
        return true;
    }
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!ci, "{name} needs {} (`cargo xtask test` installs programs)", missing.join(", "));
    // Written past the test harness, which shows what a passing test prints to nobody.
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: needs {} (`cargo xtask test` installs programs)", missing.join(", "));
    false
}

fn is_here(program: &str) -> bool {
    if program == "libtorrent" {
        let mut python = std::process::Command::new("/usr/bin/python3");
        return python.args(["-c", "import libtorrent"]).output().is_ok_and(|output| output.status.success());
    }
    if program == "root" {
        return is_root();
    }
    if program == "pyfreenet3" {
        return PyFreenet::python().is_some();
    }
    find(program).is_some()
}

/// The first folder of PATH, or of the folders where Debian keeps system programs, that holds `program`.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}
