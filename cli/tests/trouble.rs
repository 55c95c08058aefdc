//! What does not go smoothly: kills, signals, full disks, files that are in the way, ports that are taken.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::scene::Scene;
use common::{ALONE, Running, number, run, start, text, write_file};

const FILM_BYTES: u64 = 192 << 20;

fn film() -> Scene {
    Scene::of("film.bin", &[("film.bin", FILM_BYTES)])
}

/// Waits until so much is verified; returns how much it was.
fn until_verified(fetch: &mut Running, bytes: u64) -> u64 {
    let line = fetch.await_line("a part of it", |line| line.contains("\"verified\"") && number(line, "verified_bytes") > bytes);
    number(&line, "verified_bytes")
}

#[test]
fn a_killed_fetch_goes_on_where_it_stopped() {
    let scene = film();
    let (_seed, address) = scene.seed();
    let mut had = 0;
    for part in [FILM_BYTES / 8, FILM_BYTES / 3] {
        let mut fetch = scene.fetch(Some(address), &[]);
        let before = number(&fetch.await_event("verified"), "verified_bytes");
        assert!(before >= had, "{had} bytes were verified before the kill, {before} after");
        had = until_verified(&mut fetch, part);
        fetch.kill();
    }
    let mut last = scene.fetch(Some(address), &[]);
    let before = number(&last.await_event("verified"), "verified_bytes");
    assert!(before >= had, "{had} bytes were verified before the kill, {before} after");
    let complete = last.await_event("complete");
    assert!(last.finish());
    let downloaded = number(&complete, "downloaded_bytes");
    // What was verified never comes again; of what was not, only blocks that two peers would send, and there is one.
    assert_eq!(downloaded, FILM_BYTES - before);
    scene.arrived();
}

#[test]
fn a_signal_stops_a_fetch_in_order_and_it_can_go_on() {
    let scene = film();
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch(Some(address), &[]);
    until_verified(&mut fetch, FILM_BYTES / 8);
    fetch.terminate();
    fetch.await_event("stopped");
    assert!(!fetch.finish(), "it is not complete");
    let mut again = scene.fetch(Some(address), &[]);
    assert!(number(&again.await_event("verified"), "verified_bytes") > FILM_BYTES / 8);
    again.await_event("complete");
    assert!(again.finish());
    scene.arrived();
}

#[test]
fn what_is_complete_is_not_fetched_again() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    write_file(&scene.at("leech/film.bin"), 0, 1_000_000);
    let time = || fs::metadata(scene.at("leech/film.bin")).and_then(|found| found.modified()).expect("a time");
    let before = time();
    // Nobody seeds.
    let mut fetch = scene.fetch(None, &[]);
    let complete = fetch.await_event("complete");
    assert!(fetch.finish());
    assert_eq!(number(&complete, "downloaded_bytes"), 0);
    assert_eq!(before, time());
}

#[test]
fn a_part_of_a_file_is_completed() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    write_file(&scene.at("leech/film.bin"), 0, 600_000);
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch(Some(address), &[]);
    let complete = fetch.await_event("complete");
    assert!(fetch.finish());
    let downloaded = number(&complete, "downloaded_bytes");
    assert!((400_000..450_000).contains(&downloaded), "{downloaded}");
    scene.arrived();
}

#[test]
fn a_file_of_somebody_else_is_never_overwritten() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    write_file(&scene.at("leech/film.bin"), 7, 5_000);
    let theirs = fs::read(scene.at("leech/film.bin")).expect("a file");
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch(Some(address), &[]);
    let failed = fetch.await_event("failed");
    assert!(!fetch.finish());
    assert!(failed.contains("film.bin is in the way") && failed.contains("\"hint\":"), "{failed}");
    assert_eq!(fs::read(scene.at("leech/film.bin")).expect("still there"), theirs);
}

#[test]
fn two_fetches_of_the_same_do_not_get_into_each_others_way() {
    let scene = film();
    let (_seed, address) = scene.seed();
    let mut first = scene.fetch(Some(address), &[]);
    first.await_event("verified");
    let mut second = scene.fetch(Some(address), &[]);
    // When the first is already done, the second finds everything in its place.
    let line = second.await_line("an end", |line| line.contains("\"failed\"") || line.contains("\"complete\""));
    if line.contains("\"failed\"") {
        assert!(line.contains("another process is downloading this"), "{line}");
    }
    second.finish();
    first.await_event("complete");
    assert!(first.finish());
    scene.arrived();
}

/// A file system of its own, taken away in the end; where mounting is not allowed a test says so and is skipped.
struct Mount(PathBuf);

impl Mount {
    fn at(path: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(path).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "hexad-test"]).arg(path).stderr(Stdio::null()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(path.to_owned()));
        }
        eprintln!("SKIPPED: mounting a file system needs root");
        None
    }

    fn again(&self, options: &str) {
        let mounted = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status();
        assert!(mounted.is_ok_and(|status| status.success()));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_fails_with_a_reason_and_a_later_run_goes_on() {
    let scene = Scene::of("film.bin", &[("film.bin", 8_000_000)]);
    let Some(disk) = Mount::at(&scene.at("leech"), "size=4m") else { return };
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch(Some(address), &[]);
    let failed = fetch.await_event("failed");
    assert!(!fetch.finish());
    assert!(failed.contains("no space is left") && failed.contains("make room"), "{failed}");
    disk.again("size=32m");
    let mut again = scene.fetch(Some(address), &[]);
    again.await_event("complete");
    assert!(again.finish());
    scene.arrived();
}

#[test]
fn a_folder_that_cannot_be_written_to_fails_with_a_reason() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    let Some(disk) = Mount::at(&scene.at("leech"), "size=4m") else { return };
    disk.again("ro");
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch(Some(address), &[]);
    let failed = fetch.await_event("failed");
    assert!(!fetch.finish());
    assert!(failed.to_lowercase().contains("read-only") && failed.contains("\"hint\":"), "{failed}");
}

#[test]
fn a_target_that_is_a_file_fails_with_a_reason() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    fs::write(scene.at("leech"), "kept").expect("written");
    let mut fetch = scene.fetch(None, &[]);
    let failed = fetch.await_event("failed");
    assert!(!fetch.finish());
    assert!(failed.contains("leech") && failed.contains("--into"), "{failed}");
    assert_eq!(fs::read_to_string(scene.at("leech")).expect("still there"), "kept");
}

#[test]
fn a_port_that_is_taken_is_said() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let own = ["fetch", "it.torrent", "--into", "leech", "--listen", &address];
    let said = run(scene.path(), own.into_iter().chain(ALONE));
    assert!(!said.ok);
    assert!(said.err.contains(&address) && said.err.contains("\nhint: choose another address with --listen"), "{}", said.err);
}

#[test]
fn what_cannot_begin_is_told_as_an_event_too() {
    let scene = Scene::new();
    let mut fetch = scene.fetch_of("no-such-file.torrent", None, &[]);
    let failed = fetch.await_event("failed");
    assert_eq!(text(&failed, "message"), "no-such-file.torrent: no such file or directory");
    assert!(!fetch.finish());
}

#[test]
fn data_that_does_not_match_is_not_seeded() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    write_file(&scene.at("seed/film.bin"), 9, 1_000_000);
    let said =
        run(scene.path(), ["publish", "--torrent", "it.torrent", "--data", "seed", "--listen", "127.0.0.1:0"].into_iter().chain(ALONE));
    assert!(!said.ok);
    assert!(said.err.starts_with("error: only 0 of 1000000 bytes of 'film.bin' in seed match\nhint: "), "{}", said.err);
}

/// A program that speaks FCP, line by line.
struct Program(BufReader<TcpStream>);

impl Program {
    fn greets(at: &str) -> Self {
        let stream = TcpStream::connect(at).expect("it listens");
        stream.set_read_timeout(Some(common::DEADLINE)).expect("a socket has deadlines");
        let mut program = Self(BufReader::new(stream));
        program.says("ClientHello\nName=test\nExpectedVersion=2.0\nEndMessage\n");
        program.hears_until("NodeHello");
        program
    }

    fn says(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("it listens");
    }

    /// All lines up to this one.
    fn hears_until(&mut self, wanted: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|line| line != wanted) {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("it answers in time") > 0, "it hung up before {wanted}: {heard:?}");
            heard.push(line.trim_end().to_owned());
        }
        heard
    }
}

#[test]
fn a_killed_node_of_freenet_knows_what_programs_have_asked_for_for_ever() {
    let home = tempfile::tempdir().expect("a folder");
    let serve = |state: &str, bootstrap: Option<&str>| {
        let words = ["serve", "fcp", "--json", "--fcp", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--state", state];
        let mut node = start(home.path(), words.into_iter().chain(bootstrap.into_iter().flat_map(|at| ["--bootstrap", at])));
        let mut addresses = Vec::new();
        for _ in 0..2 {
            addresses.push(node.await_event("listening"));
        }
        let at = |purpose: &str| {
            let line = addresses.iter().find(|line| line.contains(&format!("\"purpose\":\"{purpose}\"")));
            text(line.unwrap_or_else(|| panic!("{purpose} in {addresses:?}")), "address").to_owned()
        };
        let (fcp, network) = (at("fcp"), at("network"));
        node.await_event("joined");
        (node, fcp, network)
    };
    let (_other, _, there) = serve("other", None);
    let (mut node, fcp, _) = serve("state", Some(&there));
    let mut program = Program::greets(&fcp);
    program.says("ClientPut\nURI=KSK@kept\nIdentifier=a\nPersistence=forever\nDataLength=5\nData\nhello");
    program.hears_until("PutSuccessful");
    program.says("ClientGet\nURI=KSK@never\nIdentifier=b\nPersistence=forever\nMaxRetries=-1\nEndMessage\n");
    program.hears_until("PersistentGet");
    node.kill();
    let (_node, fcp, _) = serve("state", Some(&there));
    let mut program = Program::greets(&fcp);
    program.says("ListPersistentRequests\nEndMessage\n");
    let heard = program.hears_until("EndListPersistentRequests");
    for line in ["PersistentPut", "PutSuccessful", "PersistentGet", "URI=KSK@never"] {
        assert!(heard.iter().any(|heard| heard == line), "{line} in {heard:?}");
    }
    program.says("ClientGet\nURI=KSK@kept\nIdentifier=c\nReturnType=direct\nEndMessage\n");
    program.hears_until("DataLength=5");
}
