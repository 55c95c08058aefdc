//! What very many shares cost in memory on each network. Run by hand, for one set of networks at a time:
//! `SHARES_ON=chord cargo test -p hexad-daemon --test memory -- --ignored --nocapture what_ten_thousand`

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::many::{FOLDER, PATIENCE, SHARES, offered, prepare, prepare_elsewhere, resident_bytes, settings};
use common::{Home, await_within, chord, gnutella, kazaa, kazaa_founder, quiet_bittorrent};
use hexad_api::{FreenetSettings, GnutellaMode, NetworkSettings};
use hexad_daemon::{NodeSettings, open_node};

/// A network by way of that neighbour; without one, the first node of it.
fn network(name: &str, at: Option<&str>) -> NetworkSettings {
    let known: Vec<String> = at.map(str::to_owned).into_iter().collect();
    match name {
        "bittorrent" => quiet_bittorrent(),
        "chord" => chord(&known),
        "freenet" => NetworkSettings::Freenet(FreenetSettings {
            listen: common::loopback(),
            found: known.is_empty(),
            bootstrap: known,
            ..FreenetSettings::default()
        }),
        "gnutella" => gnutella(GnutellaMode::Ultrapeer, &known),
        "kazaa" => at.map_or_else(kazaa_founder, kazaa),
        other => panic!("no network '{other}' is measured"),
    }
}

fn joining(folder: &Path, networks: &[&str], doors: &[String]) -> NodeSettings {
    let all = networks.iter().enumerate().map(|(number, name)| network(name, doors.get(number).map(String::as_str))).collect();
    settings(folder, all, networks)
}

#[test]
#[ignore = "a part of the measurement"]
fn prepares() {
    prepare();
}

/// Somebody else in each of the networks, in a process of his own.
#[test]
#[ignore = "a part of the measurement"]
fn is_a_neighbour() {
    let (Some(folder), Ok(names)) = (std::env::var_os(FOLDER).map(PathBuf::from), std::env::var("SHARES_ON")) else { return };
    let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    fs::create_dir_all(folder.join("shared")).expect("a folder");
    let node = open_node(joining(&folder, &names, &[])).expect("a node");
    let doors: Vec<String> = names.iter().map(|name| common::door(&*node, name)).collect();
    fs::write(folder.join("doors.new"), doors.join("\n"))
        .and_then(|()| fs::rename(folder.join("doors.new"), folder.join("doors")))
        .expect("told");
    await_within(PATIENCE, "the end", || folder.join("over").exists());
    node.close();
}

#[test]
#[ignore = "a measurement"]
fn what_ten_thousand_shares_cost() {
    let home = Home::new();
    let folder = home.folder("measured");
    let program = std::env::current_exe().expect("this program");
    prepare_elsewhere(&folder);
    let names = std::env::var("SHARES_ON").unwrap_or_default();
    let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    let beside = home.folder("neighbour");
    let mut neighbour =
        Command::new(&program).args(["--ignored", "--exact", "is_a_neighbour"]).env(FOLDER, &beside).spawn().expect("a neighbour");
    await_within(PATIENCE, "a neighbour", || beside.join("doors").exists());
    let doors: Vec<String> = fs::read_to_string(beside.join("doors")).expect("told").lines().map(str::to_owned).collect();
    let bare = resident_bytes();
    let node = open_node(joining(&folder, &names, &doors)).expect("a node");
    // What was begun on the way has its deadlines, and goes with them.
    for _ in 0..12 {
        std::thread::park_timeout(Duration::from_secs(10));
        let (more, count) = (resident_bytes().saturating_sub(bare), offered(&*node, names.len()));
        println!("{count} of {SHARES} shares on {names:?}: {} MiB, {} bytes each", more >> 20, more / SHARES as u64);
    }
    let count = offered(&*node, names.len());
    node.close();
    fs::write(beside.join("over"), "").expect("told");
    assert!(neighbour.wait().is_ok_and(|status| status.success()));
    assert_eq!(count, SHARES);
}
