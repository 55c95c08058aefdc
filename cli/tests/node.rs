//! A node that runs on, and the commands that speak to it.

mod common;

use std::fs;
use std::time::Instant;

use common::{Running, Said, hexad, run, said, start, text, write_file};
use tempfile::TempDir;

/// A node without networks, unless `more` names some; returns where its page is.
fn up(home: &TempDir, more: &[&str]) -> (Running, String) {
    let mut words = vec!["up", "--json", "--http", "127.0.0.1:0", "--downloads", "downloads", "--set", "networks.join="];
    words.extend(more);
    let mut node = start(home.path(), words);
    let url = text(&node.await_event("listening"), "address").to_owned();
    (node, url)
}

/// A node that speaks BitTorrent to whom it is told of only.
const BITTORRENT_ONLY: [&str; 8] = [
    "--set",
    "networks.join=bittorrent",
    "--set",
    "networks.bittorrent.listen=127.0.0.1:0",
    "--set",
    "networks.bittorrent.dht=false",
    "--set",
    "networks.bittorrent.lsd=false",
];

/// Runs a command that speaks to the node.
fn ask(home: &TempDir, url: &str, words: &[&str]) -> Said {
    said(hexad(home.path()).args(words).args(["--daemon", url]))
}

#[test]
fn a_node_says_how_it_stands_and_stops_in_order() {
    let home = TempDir::new().expect("a temporary folder");
    let (mut node, url) = up(&home, &[]);
    let status = ask(&home, &url, &["status"]);
    assert!(status.ok && status.out.contains("0 downloads") && status.out.contains("bittorrent"), "{}{}", status.out, status.err);
    assert!(ask(&home, &url, &["status", "--json"]).out.contains("\"uptime_s\":"));
    assert_eq!(ask(&home, &url, &["networks", "--json"]).out.lines().count(), 6);
    let nowhere = ask(&home, &url, &["networks", "join", "usenet"]);
    assert!(!nowhere.ok && nowhere.err.contains("hint: "), "{}", nowhere.err);
    assert!(ask(&home, &url, &["downloads"]).ok);

    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let second = run(home.path(), ["up", "--http", address, "--state", "other"]);
    assert!(!second.ok && second.err.contains("cannot be listened at"), "{}", second.err);

    node.terminate();
    assert!(node.finish(), "a node that is told to stop ends well");
    assert!(node.seen.last().is_some_and(|line| line.contains("\"stopped\"")), "{:?}", node.seen.last());
    let gone = ask(&home, &url, &["status"]);
    assert!(!gone.ok && gone.err.contains("no node answers"), "{}", gone.err);
}

#[test]
fn what_is_shared_is_still_offered_after_a_restart() {
    let home = TempDir::new().expect("a temporary folder");
    write_file(&home.path().join("film.bin"), 1, 300_000);
    let (mut node, url) = up(&home, &[]);
    let by = format!("--daemon={url}");
    let published = run(home.path(), ["publish", "film.bin", &by]);
    assert!(published.ok, "{}", published.err);
    assert!(published.out.starts_with("magnet:"), "{}", published.out);
    node.kill();
    let (_node, url) = up(&home, &[]);
    let library = ask(&home, &url, &["library"]);
    assert!(library.out.contains("film.bin") && library.out.contains("offered"), "{}", library.out);
    let line = ask(&home, &url, &["library", "list", "--matching", "FILM", "--json"]).out;
    let id = common::number(&line, "id").to_string();
    let shown = ask(&home, &url, &["library", "show", &id]).out;
    assert!(shown.contains("film.bin") && shown.contains("\nat "), "{shown}");
    assert!(ask(&home, &url, &["library", "remove", &id]).ok);
    assert!(home.path().join("film.bin").exists(), "no file is deleted");
    fs::create_dir(home.path().join("music")).expect("a folder");
    assert!(ask(&home, &url, &["library", "watch", "music"]).ok);
    assert!(ask(&home, &url, &["library", "folders"]).out.contains("music"));
}

#[test]
fn a_share_is_moved_and_its_link_stays() {
    let home = TempDir::new().expect("a temporary folder");
    let root = fs::canonicalize(home.path()).expect("a folder");
    write_file(&root.join("film.bin"), 1, 3_000_000);
    let (_node, url) = up(&home, &[]);
    let published = run(home.path(), ["publish", "film.bin", &format!("--daemon={url}")]);
    assert!(published.ok, "{}", published.err);
    let line = ask(&home, &url, &["library", "list", "--json"]).out;
    let id = common::number(&line, "id").to_string();

    let moved = ask(&home, &url, &["library", "move", &id, "films/new"]);
    assert!(moved.ok, "{}", moved.err);
    assert_eq!(moved.out.trim(), root.join("films/new/film.bin").display().to_string());
    assert!(root.join("films/new/film.bin").exists() && !root.join("film.bin").exists());
    let shown = ask(&home, &url, &["library", "show", &id, "--json"]).out;
    assert_eq!((text(&shown, "link"), text(&shown, "state")), (published.out.trim(), "offered"));

    let lines = ask(&home, &url, &["library", "move", &id, ".", "--json"]);
    let last = lines.out.lines().last().expect("how it stands");
    assert_eq!(text(last, "path"), root.join("film.bin").display().to_string());

    fs::write(root.join("films/new/film.bin"), "mine").expect("written");
    let refused = ask(&home, &url, &["library", "move", &id, "films/new"]);
    assert!(!refused.ok && refused.err.contains("in the way"), "{}", refused.err);
    assert!(ask(&home, &url, &["library", "show", &id]).out.contains("could not be moved"));
    let nothing = ask(&home, &url, &["library", "move", "99", "films"]);
    assert!(!nothing.ok && nothing.err.contains("99"), "{}", nothing.err);
}

#[test]
fn a_node_fetches_what_a_command_tells_it_to() {
    let home = TempDir::new().expect("a temporary folder");
    write_file(&home.path().join("film.bin"), 2, 700_000);
    let quiet = ["--no-dht", "--no-lsd"];
    let mut seed = start(home.path(), ["publish", "film.bin", "--json", "-v"].iter().chain(&quiet));
    let peer = seed.address("peers").to_string();
    seed.await_event("seeding");
    let (_node, url) = up(&home, &BITTORRENT_ONLY);
    let by = format!("--daemon={url}");
    let fetched = run(home.path(), ["fetch", "film.bin.torrent", "--peer", &peer, &by]);
    assert!(fetched.ok, "{}", fetched.err);
    let path = home.path().join("downloads/film.bin");
    assert_eq!(fetched.out.trim(), path.display().to_string());
    assert_eq!(fs::read(path).ok(), fs::read(home.path().join("film.bin")).ok());
    let list = ask(&home, &url, &["downloads"]);
    assert!(list.out.contains("100 %") && list.out.contains("film.bin"), "{}", list.out);
    let line = ask(&home, &url, &["downloads", "list", "--json"]).out;
    let id = common::number(&line, "id").to_string();
    assert!(ask(&home, &url, &["downloads", "show", &id]).out.contains("film.bin"));
    assert!(ask(&home, &url, &["downloads", "remove", &id]).ok);
    assert!(home.path().join("downloads/film.bin").exists(), "files stay where they are");
}

/// What is moved is 32 MiB, to another file system where this machine has one for programs: the node is killed as soon as it has said that it moves it.
#[test]
fn a_node_that_is_killed_while_it_moves_a_download_loses_nothing() {
    const BYTES: u64 = 32 << 20;
    let home = TempDir::new().expect("a temporary folder");
    let elsewhere = TempDir::with_prefix_in("hexad-", "/dev/shm").or_else(|_| TempDir::new()).expect("another folder");
    write_file(&home.path().join("film.bin"), 3, BYTES);
    let mut seed = start(home.path(), ["publish", "film.bin", "--json", "-v", "--no-dht", "--no-lsd"]);
    let peer = seed.address("peers").to_string();
    seed.await_event("seeding");
    let quiet = ["join=bittorrent", "bittorrent.listen=127.0.0.1:0", "bittorrent.dht=false", "bittorrent.lsd=false"];
    let set: Vec<String> = quiet.iter().map(|set| format!("--set=networks.{set}")).collect();
    let begin = || up(&home, &set.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut node, mut url) = begin();
    let fetched = run(home.path(), ["fetch", "film.bin.torrent", "--peer", &peer, &format!("--daemon={url}")]);
    assert!(fetched.ok, "{}", fetched.err);
    let line = ask(&home, &url, &["downloads", "list", "--json"]).out;
    let id = common::number(&line, "id").to_string();
    let film = fs::read(home.path().join("film.bin")).expect("the film");
    for folder in [elsewhere.path().join("a"), home.path().join("b"), elsewhere.path().join("c"), home.path().join("d")] {
        let into = folder.display().to_string();
        let told = ask(&home, &url, &["downloads", "move", &id, &into, "--json"]);
        assert!(told.ok, "{}", told.err);
        node.kill();
        (node, url) = begin();
        let until = Instant::now() + common::DEADLINE;
        let shown = loop {
            let shown = ask(&home, &url, &["downloads", "show", &id, "--json"]);
            if !shown.out.contains("\"moving_to\"") {
                break shown.out;
            }
            assert!(Instant::now() < until, "it is still on its way: {}", shown.out);
        };
        assert_eq!(text(&shown, "into"), into, "{shown}");
        assert!(fs::read(folder.join("film.bin")).is_ok_and(|bytes| bytes == film));
        assert_eq!(common::number(&shown, "downloaded_bytes"), BYTES, "nothing comes twice: {shown}");
    }
    let left = |folder: &str| fs::read_dir(home.path().join(folder)).map_or(0, Iterator::count);
    assert_eq!((left("downloads"), left("b"), left("d")), (0, 0, 1));
    let [a, c] = ["a", "c"].map(|folder| fs::read_dir(elsewhere.path().join(folder)).map_or(0, Iterator::count));
    assert_eq!((a, c), (0, 0));
}

#[test]
fn files_are_listed_before_any_of_them_comes_and_those_that_are_chosen_come() {
    let home = TempDir::new().expect("a temporary folder");
    write_file(&home.path().join("album/a.bin"), 3, 200_000);
    write_file(&home.path().join("album/b.bin"), 4, 300_000);
    let mut seed = start(home.path(), ["publish", "album", "--json", "-v", "--no-dht", "--no-lsd"]);
    let peer = seed.address("peers").to_string();
    seed.await_event("seeding");
    let (_node, url) = up(&home, &BITTORRENT_ONLY);
    let by = format!("--daemon={url}");
    let alone = run(home.path(), ["fetch", "album.torrent", "--choose"]);
    assert!(!alone.ok && alone.err.contains("--daemon"), "{}", alone.err);
    let listed = run(home.path(), ["fetch", "album.torrent", "--peer", &peer, "--choose", &by]);
    assert!(listed.ok, "{}", listed.err);
    assert!(listed.out.contains("a.bin") && listed.out.contains("b.bin"), "{}", listed.out);
    assert!(listed.err.contains("hexad downloads resume 1"), "{}", listed.err);
    assert!(!home.path().join("downloads/album").exists(), "nothing comes before somebody has chosen");
    assert!(ask(&home, &url, &["downloads", "set", "1", "--select", "b.bin"]).ok);
    assert!(ask(&home, &url, &["downloads", "resume", "1"]).ok);
    let arrived = home.path().join("downloads/album/b.bin");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !ask(&home, &url, &["downloads"]).out.contains("100 %") && std::time::Instant::now() < until {
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    assert_eq!(fs::read(arrived).ok(), fs::read(home.path().join("album/b.bin")).ok());
    assert!(!home.path().join("downloads/album/a.bin").exists(), "what was not chosen does not come");
}

#[test]
fn who_does_not_know_the_token_is_told_where_it_is() {
    let home = TempDir::new().expect("a temporary folder");
    let (_node, url) = up(&home, &["--set", "http.token=a-token-of-some-letters"]);
    let shut = ask(&home, &url, &["status"]);
    assert!(!shut.ok && shut.err.contains("hint: give its token"), "{}", shut.err);
    let open = ask(&home, &url, &["status", "--token", "a-token-of-some-letters"]);
    assert!(open.ok, "{}", open.err);
}

#[test]
fn a_configuration_is_written_once_and_shown_as_it_holds() {
    let home = TempDir::new().expect("a temporary folder");
    let written = run(home.path(), ["config", "init"]);
    assert!(written.ok, "{}", written.err);
    let path = written.out.trim().to_owned();
    assert!(!run(home.path(), ["config", "init"]).ok, "what somebody has written is not written over");
    let text = fs::read_to_string(&path).expect("a file");
    fs::write(&path, text.replace("#base_path = \"/\"", "base_path = \"/hexad\"")).expect("written");
    let shown = said(hexad(home.path()).args(["config", "show", "--set", "seed=false"]).env("HEXAD_NETWORKS_CHORD_FOUND", "true"));
    for line in ["base_path = \"/hexad\"", "seed = false", "found = true"] {
        assert!(shown.out.lines().any(|found| found == line), "{line} is missing in\n{}{}", shown.out, shown.err);
    }
}

#[test]
fn shells_and_manuals_know_every_command() {
    let home = TempDir::new().expect("a temporary folder");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(home.path(), ["completions", shell]).out;
        assert!(script.contains("downloads") && script.contains("--daemon"), "{shell}");
    }
    assert!(run(home.path(), ["man"]).out.starts_with(".ie"), "a page in roff");
    assert!(run(home.path(), ["man", "--out", "man"]).ok);
    assert!(home.path().join("man/hexad-downloads-list.1").exists());
}
