//! `hexad fetch --choose` as somebody at a terminal sees it: he is asked which files are to come, until he names some that are there.

mod common;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use common::{DEADLINE, Running, hexad, run, said, start, text, write_file};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;

/// Somebody's side of a terminal, and the program's.
fn terminal() -> (File, File) {
    let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&own).expect("ours");
    unlockpt(&own).expect("open");
    let name = ptsname(&own, Vec::new()).expect("a name");
    let programs = open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).expect("the other side");
    (File::from(own), File::from(programs))
}

/// A program that asks somebody at a terminal.
struct Asking {
    child: Child,
    keys: File,
    said: Receiver<u8>,
    heard: String,
}

impl Asking {
    fn begin(home: &TempDir, words: &[&str]) -> Self {
        let (keys, programs) = terminal();
        let mut command = hexad(home.path());
        command.args(words).stdin(programs).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("hexad starts");
        let err: ChildStderr = child.stderr.take().expect("stderr is piped");
        let (to, said) = mpsc::channel();
        std::thread::spawn(move || std::io::BufReader::new(err).bytes().map_while(Result::ok).try_for_each(|byte| to.send(byte)));
        Self { child, keys, said, heard: String::new() }
    }

    /// Waits until it has said that since the last time; returns all that it said meanwhile.
    fn says(&mut self, what: &str) -> String {
        let until = Instant::now() + DEADLINE;
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).contains(what) {
            match self.said.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(byte) => bytes.push(byte),
                Err(_) => panic!("'{what}' was not said; heard:\n{}{}", self.heard, String::from_utf8_lossy(&bytes)),
            }
        }
        let heard = String::from_utf8_lossy(&bytes).into_owned();
        self.heard.push_str(&heard);
        heard
    }

    fn types(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).expect("typed");
    }

    /// Whether it ended well, and what it printed.
    fn ends(mut self) -> (bool, String) {
        let mut out = String::new();
        self.child.stdout.take().expect("stdout is piped").read_to_string(&mut out).expect("text");
        let ok = self.child.wait().is_ok_and(|status| status.success());
        let rest: Vec<u8> = self.said.iter().collect();
        self.heard.push_str(&String::from_utf8_lossy(&rest));
        (ok, out)
    }
}

const QUESTION: &str = "all when nothing is said)";

/// A seed of an album, a node that fetches, where its page is, and where the seed is.
fn scene(home: &TempDir) -> (Running, Running, String, String) {
    for (seed, name) in (1..).zip(["a.bin", "b.bin", "c.bin", "d.txt"]) {
        write_file(&home.path().join("album").join(name), seed, 100_000 * seed);
    }
    let mut seed = start(home.path(), ["publish", "album", "--json", "-v", "--no-dht", "--no-lsd"]);
    let peer = seed.address("peers").to_string();
    seed.await_event("seeding");
    let quiet = ["join=bittorrent", "bittorrent.listen=127.0.0.1:0", "bittorrent.dht=false", "bittorrent.lsd=false"];
    let set = quiet.map(|set| format!("--set=networks.{set}"));
    let words = ["up", "--json", "--http", "127.0.0.1:0", "--downloads", "downloads"].into_iter();
    let mut node = start(home.path(), words.chain(set.iter().map(String::as_str)));
    let url = text(&node.await_event("listening"), "address").to_owned();
    (seed, node, url, peer)
}

fn arrived(home: &TempDir, into: &str) -> Vec<String> {
    let folder = home.path().join(into).join("album");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let published = home.path().join("album").join(entry.file_name());
            fs::read(entry.path()).ok() == fs::read(published).ok()
        })
        .map(|entry| entry.file_name().display().to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn who_answers_what_is_not_there_is_asked_again_and_what_he_names_comes() {
    let home = TempDir::new().expect("a temporary folder");
    let (_seed, _node, url, peer) = scene(&home);
    let by = format!("--daemon={url}");
    let fetch = |into: &'static str| Asking::begin(&home, &["fetch", "album.torrent", "--peer", &peer, "--choose", "--into", into, &by]);
    for (into, answers, expected) in [
        ("some", &[&b"7\n"[..], b"nothing-like-this.flac\n", b"2-1\n", b"0,2\n"][..], &["a.bin", "c.bin"][..]),
        ("ranges", &[b"1-2 '*.txt'\n"], &["b.bin", "c.bin", "d.txt"]),
        ("named", &[b"all\n"], &["a.bin", "b.bin", "c.bin", "d.txt"]),
        ("everything", &[b"\n"], &["a.bin", "b.bin", "c.bin", "d.txt"]),
    ] {
        let mut asking = fetch(into);
        asking.says(QUESTION);
        let (last, wrong) = answers.split_last().expect("an answer");
        for answer in wrong {
            asking.types(answer);
            let said = asking.says(QUESTION);
            let mut before = said.lines().take_while(|line| !line.contains(QUESTION));
            assert!(before.any(|line| !line.is_empty()), "it says what is wrong about {answer:?}: {said}");
        }
        assert_eq!(arrived(&home, into), [""; 0], "nothing comes before somebody has chosen");
        asking.types(last);
        let (ok, out) = asking.ends();
        assert!(ok && out.contains("a.bin") && out.contains(into), "{out}");
        assert_eq!(arrived(&home, into), expected, "{into}");
    }
}

#[test]
fn who_goes_away_leaves_a_download_that_rests() {
    let home = TempDir::new().expect("a temporary folder");
    let (_seed, _node, url, peer) = scene(&home);
    let by = format!("--daemon={url}");
    let mut asking = Asking::begin(&home, &["fetch", "album.torrent", "--peer", &peer, "--choose", &by]);
    asking.says(QUESTION);
    // Ctrl-D.
    asking.types(&[4]);
    asking.says("download 1 rests");
    assert!(asking.ends().0);
    let shown = said(hexad(home.path()).args(["downloads", "show", "1", "--json", &by])).out;
    assert!(shown.contains("\"state\":\"paused\""), "{shown}");
    // Who is no terminal is not asked.
    let listed = run(home.path(), ["fetch", "album.torrent", "--peer", &peer, "--choose", "--into", "other", &by]);
    assert!(listed.ok && listed.err.contains("download 2 rests") && !listed.err.contains(QUESTION), "{}", listed.err);
    assert_eq!(arrived(&home, "downloads"), [""; 0]);
}
