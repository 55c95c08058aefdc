//! Networks other than BitTorrent, each node a `hexad` process of its own, on loopback: joined, published on, searched, fetched from.

mod common;

use std::fs;

use common::{Running, hexad, number, run, said, start, text, tree, write_file};
use tempfile::TempDir;

/// A folder with a home for each node, so that none knows what another has kept.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Starts a command that keeps its state in a folder of that name.
    fn start(&self, node: &str, arguments: &[&str]) -> Running {
        start(self.path(), arguments.iter().chain(&["--json", "--state", node]))
    }

    /// Runs a command to its end, which must be a good one, and returns what it said on stdout.
    fn run(&self, node: &str, arguments: &[&str]) -> String {
        let said = run(self.path(), arguments.iter().chain(&["--state", node]));
        assert!(said.ok, "{arguments:?}: {}{}", said.out, said.err);
        said.out
    }

    /// Joins a ring by a node of it, or begins one; returns the line by which others join.
    fn ring_node(&self, node: &str, bootstrap: Option<&str>) -> (Running, String) {
        let own = ["join", "chord"];
        let mut running = self.start(node, &own.into_iter().chain(bootstrap.iter().flat_map(|by| ["--bootstrap", by])).collect::<Vec<_>>());
        let listening = running.await_event("listening");
        running.await_event("joined");
        (running, text(&listening, "address").to_owned())
    }

    /// Three nodes that are one ring, and how others join it.
    fn ring(&self) -> (Vec<Running>, String) {
        let (first, entry) = self.ring_node("ring-0", None);
        let mut nodes = vec![first];
        for number in 1..3 {
            nodes.push(self.ring_node(&format!("ring-{number}"), Some(&entry)).0);
        }
        (nodes, entry)
    }

    /// A network of Kazaa with one supernode, and how others join it.
    fn supernode(&self) -> (Running, String) {
        let mut running = self.start("supernode", &["join", "kazaa"]);
        let listening = running.await_event("listening");
        running.await_event("joined");
        (running, text(&listening, "address").to_owned())
    }

    /// A server that is open; where.
    fn server(&self, more: &[&str]) -> (Running, String) {
        let mut server = self.start("server", &[&["serve", "napster", "--listen", "127.0.0.1:0"], more].concat());
        let address = server.address("clients").to_string();
        (server, address)
    }
}

/// The link to what a finished search has found.
fn link(found: &str) -> String {
    let line = found.lines().find(|line| line.contains("\"found\"")).unwrap_or_else(|| panic!("nothing found: {found}"));
    text(line, "link").to_owned()
}

#[test]
fn what_one_node_of_a_ring_publishes_another_finds_by_words_and_fetches() {
    let scene = Scene::new();
    let (_nodes, entry) = scene.ring();
    write_file(&scene.path().join("offered/blue film.bin"), 1, 3_000_000);
    let mut publisher = scene.start("publisher", &["publish", "offered/blue film.bin", "--on", "chord", "--bootstrap", &entry]);
    let seeding = publisher.await_event("seeding");
    assert_eq!(text(&seeding, "network"), "chord");
    let found = scene.run("searcher", &["search", "FILM", "blue", "--bootstrap", &entry, "--json"]);
    let line = found.lines().find(|line| line.contains("\"found\"")).expect("it is found");
    assert!(line.contains("\"networks\":[\"chord\"]") && line.contains("\"proven\":true"), "{line}");
    assert_eq!((text(line, "name"), number(line, "size_bytes")), ("blue film.bin", 3_000_000));
    let link = link(&found);
    assert!(link.contains(&format!("urn:hexad:{}", text(&seeding, "content_id"))), "{link}");

    let fetched = scene.run("fetcher", &["fetch", &link, "--into", "leech", "--on", "chord", "--bootstrap", &entry, "--json"]);
    let started = fetched.lines().find(|line| line.contains("\"started\"")).expect("it starts");
    assert_eq!(text(started, "content_id"), text(&seeding, "content_id"), "what proves it is its content id");
    assert!(tree(&scene.path().join("leech")) == tree(&scene.path().join("offered")), "what arrived is not what was offered");

    publisher.terminate();
    assert!(publisher.finish(), "it was offered, and is no more");
    let gone = run(scene.path(), ["search", "film", "--bootstrap", &entry, "--state", "searcher"]);
    assert!(!gone.ok && gone.err.contains("nothing on chord"), "who leaves takes back what it has published: {}", gone.err);
    assert_eq!(gone.out, "");
}

#[test]
fn a_folder_goes_over_a_ring_as_a_whole() {
    let scene = Scene::new();
    let (_nodes, entry) = scene.ring();
    for (seed, name, bytes) in [(1, "a.bin", 400_000), (2, "notes/b.txt", 7), (3, "notes/empty", 0)] {
        write_file(&scene.path().join("offered/album").join(name), seed, bytes);
    }
    let mut publisher = scene.start("publisher", &["publish", "offered/album", "--on", "chord", "--bootstrap", &entry]);
    let link = text(&publisher.await_event("seeding"), "magnet").to_owned();
    assert!(!scene.path().join("album.torrent").exists(), "nobody has asked for a .torrent");
    scene.run("fetcher", &["fetch", &link, "--into", "leech", "--bootstrap", &entry]);
    assert!(tree(&scene.path().join("leech")) == tree(&scene.path().join("offered")), "what arrived is not what was offered");
}

#[test]
fn a_node_comes_back_under_its_key_and_by_the_peers_that_it_knows() {
    let scene = Scene::new();
    let (first, entry) = scene.ring_node("ring-0", None);
    let (mut second, address) = scene.ring_node("ring-1", Some(&entry));
    let standing = |line: &str| line.contains("\"standing\"") && number(line, "peers") == 1;
    second.await_line("a peer", standing);
    second.terminate();
    assert!(second.finish());
    // Nobody is named: the first one is remembered.
    let (mut again, address_again) = scene.ring_node("ring-1", None);
    let key = |address: &str| address.split('@').next().map(str::to_owned);
    assert_eq!(key(&address), key(&address_again));
    again.await_line("the same peer", standing);
    // Another one beside it is somebody else, and keeps nothing.
    let (mut beside, other) = scene.ring_node("ring-1", Some(&entry));
    assert_ne!(key(&other), key(&address));
    assert!(beside.seen.iter().any(|line| line.contains("\"warning\"") && line.contains("takes a key of its own")), "{:?}", beside.seen);
    beside.terminate();
    assert!(beside.finish());
    drop(first);
}

#[test]
fn a_value_is_put_by_one_and_got_by_another() {
    let scene = Scene::new();
    let (_nodes, entry) = scene.ring();
    let stored = scene.run("putter", &["chord", "put", "greeting", "hello ring", "--bootstrap", &entry]);
    let got = scene.run("getter", &["chord", "get", "greeting", "--bootstrap", &entry]);
    assert_eq!(got, "hello ring\n");
    let by_key = scene.run("getter", &["chord", "get", stored.trim(), "--hex", "--bootstrap", &entry, "--json"]);
    let value = by_key.lines().find(|line| line.contains("\"value\"")).expect("a value");
    assert_eq!(text(value, "text"), "hello ring");

    // Bytes that are no text come as they are.
    write_file(&scene.path().join("value.bin"), 9, 60_000);
    scene.run("putter", &["chord", "put", "bytes", "--file", "value.bin", "--bootstrap", &entry]);
    let output =
        hexad(scene.path()).args(["chord", "get", "bytes", "--state", "getter", "--bootstrap", &entry]).output().expect("hexad starts");
    assert!(output.status.success());
    assert!(output.stdout == fs::read(scene.path().join("value.bin")).expect("readable"), "other bytes");

    let nothing = said(hexad(scene.path()).args(["chord", "get", "nobody's", "--state", "getter", "--bootstrap", &entry]));
    assert!(!nothing.ok && nothing.err.starts_with("error: not found") && nothing.out.is_empty(), "{}", nothing.err);
}

#[test]
fn what_one_client_of_a_server_publishes_another_finds_and_fetches() {
    let scene = Scene::new();
    let (mut server, address) = scene.server(&["--motd", "Welcome."]);
    write_file(&scene.path().join("offered/blue film.bin"), 1, 3_000_000);
    let mut publisher =
        scene.start("publisher", &["publish", "offered/blue film.bin", "--on", "napster", "--server", &address, "--nick", "alice"]);
    publisher.await_event("seeding");
    let found = scene.run("searcher", &["search", "blue", "--server", &address, "--nick", "bob", "--json"]);
    let link = link(&found);
    assert!(link.starts_with("magnet:?xt=urn:hexad:"), "{link}");
    scene.run("fetcher", &["fetch", &link, "--into", "leech", "--on", "napster", "--server", &address]);
    assert!(tree(&scene.path().join("leech")) == tree(&scene.path().join("offered")), "what arrived is not what was offered");
    // The server says who is there; the publisher stays.
    server.await_line("the publisher alone", |line| {
        line.contains("\"standing\"") && number(line, "peers") == 1 && number(line, "files") == 1
    });
    server.terminate();
    assert!(server.finish());
}

/// Ten seconds of MPEG-1 layer III, 128 kbit/s at 44,100 Hz: frames of 417 bytes and 1152 samples each.
fn mp3() -> Vec<u8> {
    let mut frame = vec![0; 417];
    frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x00]);
    frame.repeat(383)
}

#[test]
fn a_server_is_asked_for_the_sound_of_files_and_for_users() {
    let scene = Scene::new();
    let (_server, address) = scene.server(&[]);
    fs::create_dir(scene.path().join("offered")).expect("a folder");
    fs::write(scene.path().join("offered/blue song.mp3"), mp3()).expect("written");
    let mut publisher =
        scene.start("publisher", &["publish", "offered/blue song.mp3", "--on", "napster", "--server", &address, "--nick", "alice"]);
    publisher.await_event("seeding");

    let ask = |more: &[&str]| {
        let whole = [&["napster"], more, &["--server", &address, "--json", "--state", "asker"]].concat();
        run(scene.path(), whole)
    };
    let found = ask(&[
        "search",
        "blue",
        "--kind",
        "mp3",
        "--bitrate",
        "128",
        "--frequency",
        "44100-",
        "--duration",
        "-10",
        "--size",
        "100000-200000",
    ]);
    assert!(found.ok && found.out.contains("blue song.mp3"), "{}{}", found.out, found.err);
    let said = ask(&["search", "blue", "--bitrate", "192-"]);
    assert!(!said.ok && said.out.contains("nothing on napster"), "{}{}", said.out, said.err);

    assert!(ask(&["browse", "alice"]).out.contains("blue song.mp3"));
    let said = ask(&["whois", "alice"]);
    let user = said.out.lines().find(|line| line.contains("\"user\"")).unwrap_or_else(|| panic!("{}{}", said.out, said.err));
    assert!(user.contains("\"files\":\"1\"") && user.contains("\"here\":true"), "{user}");
    let said = ask(&["whois", "nobody-of-that-name"]);
    assert!(!said.ok, "{}", said.out);
    assert!(ask(&["say", "alice", "thank you"]).ok);
}

#[test]
fn what_one_leaf_publishes_another_finds_and_fetches_through_an_ultrapeer() {
    let scene = Scene::new();
    let mut ultrapeer = scene.start("ultrapeer", &["join", "gnutella", "--listen", "127.0.0.1:0"]);
    let entry = ultrapeer.address("peers").to_string();
    ultrapeer.await_event("joined");
    write_file(&scene.path().join("offered/blue film.bin"), 1, 3_000_000);
    let ways_in = ["--on", "gnutella", "--bootstrap", &entry];
    let own = ["--listen", "127.0.0.1:0"];
    let mut publisher = scene.start("publisher", &[&["publish", "offered/blue film.bin"], &ways_in[..], &own[..]].concat());
    assert_eq!(text(&publisher.await_event("seeding"), "network"), "gnutella");
    ultrapeer.await_line("a leaf", |line| line.contains("\"standing\"") && number(line, "leaves") == 1);
    let found = scene.run("searcher", &["search", "FILM", "blue", "--bootstrap", &entry, "--json"]);
    let link = link(&found);
    assert!(link.contains("urn:hexad:"), "{link}");
    scene.run("fetcher", &[&["fetch", &link, "--into", "leech"], &ways_in[..], &own[..]].concat());
    assert!(tree(&scene.path().join("leech")) == tree(&scene.path().join("offered")), "what arrived is not what was offered");
    ultrapeer.terminate();
    assert!(ultrapeer.finish());
}

#[test]
fn what_one_leaf_of_a_supernode_publishes_another_finds_and_fetches() {
    let scene = Scene::new();
    let (mut supernode, entry) = scene.supernode();
    write_file(&scene.path().join("offered/blue film.bin"), 1, 3_000_000);
    for (seed, name, bytes) in [(1, "a.bin", 400_000), (2, "notes/b.txt", 7), (3, "notes/empty", 0)] {
        write_file(&scene.path().join("offered too/album").join(name), seed, bytes);
    }
    let publish = |node: &str, what: &str| {
        let mut publisher = scene.start(node, &["publish", what, "--on", "kazaa", "--bootstrap", &entry]);
        let seeding = publisher.await_event("seeding");
        assert_eq!(text(&seeding, "network"), "kazaa");
        publisher
    };
    let (mut file, _folder) = (publish("publisher", "offered/blue film.bin"), publish("another", "offered too/album"));
    let ways_in = ["--on", "kazaa", "--bootstrap", &entry];
    let found = scene.run("searcher", &[&["search", "FILM", "blue", "--json"], &ways_in[..]].concat());
    let line = found.lines().find(|line| line.contains("\"found\"")).expect("it is found");
    assert!(line.contains("\"networks\":[\"kazaa\"]") && line.contains("\"proven\":true"), "{line}");
    scene.run("fetcher", &[&["fetch", &link(&found), "--into", "leech"], &ways_in[..]].concat());
    assert!(tree(&scene.path().join("leech")) == tree(&scene.path().join("offered")), "what arrived is not what was offered");
    let album = link(&scene.run("searcher", &[&["search", "album", "--json"], &ways_in[..]].concat()));
    scene.run("fetcher", &[&["fetch", &album, "--into", "leech too"], &ways_in[..]].concat());
    assert!(tree(&scene.path().join("leech too")) == tree(&scene.path().join("offered too")), "what arrived is not what was offered");

    supernode.await_line("two leaves", |line| line.contains("\"standing\"") && number(line, "leaves") == 2);
    file.terminate();
    assert!(file.finish(), "it was offered, and is no more");
    let gone = run(scene.path(), ["search", "film", "--state", "searcher"].iter().chain(&ways_in));
    assert!(!gone.ok && gone.err.contains("nothing on kazaa"), "who leaves takes back what it has published: {}", gone.err);
    supernode.terminate();
    assert!(supernode.finish());
}

#[test]
fn a_name_that_is_registered_needs_its_password() {
    let scene = Scene::new();
    let (_server, address) = scene.server(&["--no-guests"]);
    let login = |more: &[&str]| {
        let own = ["join", "napster", &address, "--name", "alice", "--json"];
        start(scene.path(), own.iter().chain(more))
    };
    let mut registers = login(&["--register", "--password", "secret"]);
    registers.await_event("joined");
    registers.terminate();
    assert!(registers.finish());
    let mut right = login(&["--password", "secret"]);
    right.await_event("joined");
    right.terminate();
    assert!(right.finish());
    let mut wrong = login(&["--password", "guess"]);
    wrong.await_line("a refusal", |line| line.contains("\"warning\"") || line.contains("\"failed\""));
    wrong.terminate();
    assert!(!wrong.finish(), "it was never joined");
}

#[test]
fn one_fetch_takes_from_two_networks() {
    let scene = Scene::new();
    let (_nodes, entry) = scene.ring();
    let (_server, address) = scene.server(&[]);
    write_file(&scene.path().join("offered/film.bin"), 1, 3_000_000);
    let ways_in = ["--on", "chord", "--on", "napster", "--bootstrap", &entry, "--server", &address];
    let mut publisher = scene.start("publisher", &[&["publish", "offered/film.bin"], &ways_in[..]].concat());
    let networks = [publisher.await_event("seeding"), publisher.await_event("seeding")].map(|line| text(&line, "network").to_owned());
    assert!(networks.contains(&"chord".into()) && networks.contains(&"napster".into()), "{networks:?}");
    let found = scene.run("searcher", &[&["search", "film", "--json"], &ways_in[..]].concat());
    let last = found.lines().rfind(|line| line.contains("\"found\"")).expect("it is found");
    assert!(number(last, "result") == 1 && last.contains("chord") && last.contains("napster"), "one result of both: {found}");
    let link = text(last, "link");
    scene.run("fetcher", &[&["fetch", link, "--into", "leech"], &ways_in[..]].concat());
    assert!(tree(&scene.path().join("leech")) == tree(&scene.path().join("offered")), "what arrived is not what was offered");
}
