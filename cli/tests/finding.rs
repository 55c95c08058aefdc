//! Ways to find peers, one at a time: the DHT, peer exchange, trackers. Nobody but our own processes on loopback takes part.

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{self, Receiver};

use common::scene::Scene;
use common::{ALONE, DEADLINE, Running, number, start, text, write_file};
use hexad_bittorrent::wire::bencode::{self, Strictness, Value};

/// A film of a few pieces.
fn film() -> Scene {
    Scene::of("film.bin", &[("film.bin", 1_000_000)])
}

/// Seeds `it.torrent` from `seed` with these switches.
fn seed(scene: &Scene, switches: &[&str]) -> (Running, SocketAddr) {
    let own = ["publish", "--torrent", "it.torrent", "--data", "seed", "--json", "--listen", "127.0.0.1:0"];
    let mut seed = start(scene.path(), own.iter().chain(switches));
    let address = seed.address("peers");
    seed.await_event("seeding");
    (seed, address)
}

/// Fetches `source` into `leech` with these switches.
fn fetch(scene: &Scene, source: &str, switches: &[&str]) -> Running {
    let own = ["fetch", source, "--into", "leech", "--json", "--listen", "127.0.0.1:0"];
    start(scene.path(), own.iter().chain(switches))
}

fn completes(scene: &Scene, mut fetch: Running) {
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
}

/// A node of the DHT that seeds something else and knows nobody.
fn dht_node(scene: &Scene) -> (Running, SocketAddr) {
    write_file(&scene.at("other.bin"), 77, 1000);
    // Port 9 is nobody's: without a node to begin with, the usual ones of the internet would be asked.
    let own = ["publish", "other.bin", "--json", "--listen", "127.0.0.1:0", "--no-lsd", "--no-pex", "--dht-node", "127.0.0.1:9"];
    let mut node = start(scene.path(), own);
    let address = node.address("peers");
    node.await_event("seeding");
    (node, address)
}

#[test]
fn the_dht_alone_is_enough() {
    let scene = film();
    let (_node, address) = dht_node(&scene);
    let switches = ["--no-lsd", "--no-pex", "--dht-node", &address.to_string()];
    let (_seed, _) = seed(&scene, &switches);
    completes(&scene, fetch(&scene, &scene.magnet(), &switches));
}

#[test]
fn a_seed_that_comes_later_is_found_in_the_dht() {
    let scene = film();
    let (_node, address) = dht_node(&scene);
    let switches = ["--no-lsd", "--no-pex", "--dht-node", &address.to_string()];
    let mut fetch = fetch(&scene, &scene.magnet(), &switches);
    fetch.await_event("looking");
    let (_seed, _) = seed(&scene, &switches);
    completes(&scene, fetch);
}

#[test]
fn a_link_that_can_be_changed_leads_to_what_was_published_last() {
    let scene = film();
    let (_node, address) = dht_node(&scene);
    let switches = ["--no-lsd", "--no-pex", "--dht-node", &address.to_string()];
    let publish = [&switches[..], &["--mutable", "film"]].concat();
    let mut link = String::new();
    let mut seq = 0;
    for version in [1, 2] {
        write_file(&scene.at("seed/film.bin"), version, 1_000_000);
        scene.create("film.bin", &[]);
        let own = ["publish", "--torrent", "it.torrent", "--data", "seed", "--json", "--listen", "127.0.0.1:0"];
        let mut seed = start(scene.path(), own.iter().chain(&publish));
        let named = seed.await_event("newer");
        assert!(number(&named, "seq") > seq, "even within a second");
        seq = number(&named, "seq");
        if version == 2 {
            assert_eq!(text(&named, "link"), link, "the key is kept");
        }
        text(&named, "link").clone_into(&mut link);
        seed.await_line("copies", |line| line.contains("\"stored\"") && number(line, "copies") > 0);
        completes(&scene, fetch(&scene, &link, &switches));
        std::fs::remove_dir_all(scene.at("leech")).expect("removed");
        seed.terminate();
        assert!(seed.finish());
    }
    let said = common::run(scene.path(), ["publish", "seed", "other.bin", "--mutable", "film"]);
    assert!(!said.ok && said.err.contains("a link leads to one thing"), "{}", said.err);
}

#[test]
fn the_dht_says_how_many_are_in_a_swarm_and_which_there_are() {
    let scene = film();
    let (_node, address) = dht_node(&scene);
    let address = address.to_string();
    let (_seed, _) = seed(&scene, &["--no-lsd", "--no-pex", "--dht-node", &address]);
    let ask = |own: &[&str]| {
        let said = common::run(scene.path(), own.iter().chain(&["--json", "--listen", "127.0.0.1:0", "--dht-node", &address]));
        assert!(said.ok, "{}", said.err);
        said.out
    };
    let magnet = scene.magnet();
    let until = std::time::Instant::now() + DEADLINE;
    // What is announced takes a moment to be known.
    let scraped = loop {
        let said = ask(&["bittorrent", "scrape", &magnet]);
        let line = said.lines().find(|line| line.contains("\"scraped\"")).unwrap_or_else(|| panic!("{said}")).to_owned();
        if number(&line, "seeds") > 0 || std::time::Instant::now() > until {
            break line;
        }
    };
    assert_eq!((number(&scraped, "seeds"), number(&scraped, "leechers")), (1, 0), "{scraped}");
    assert!(magnet.contains(text(&scraped, "info_hash")), "{scraped}");
    let sampled = ask(&["bittorrent", "sample"]);
    assert!(sampled.lines().any(|line| line.contains("\"sampled\"") && line.contains(text(&scraped, "info_hash"))), "{sampled}");
    // A node that is in the DHT is asked in place of one for the moment.
    let set = ["join=bittorrent", "bittorrent.listen=127.0.0.1:0", "bittorrent.lsd=false", &format!("bittorrent.dht_bootstrap={address}")]
        .map(|set| format!("--set=networks.{set}"));
    let own = ["up", "--json", "--http", "127.0.0.1:0"].map(str::to_owned);
    let mut node = start(scene.path(), own.iter().chain(&set));
    let by = format!("--daemon={}", text(&node.await_event("listening"), "address"));
    let until = std::time::Instant::now() + DEADLINE;
    let by_node = loop {
        let said = common::run(scene.path(), ["bittorrent", "scrape", &magnet, &by, "--json"]);
        let line = said.out.lines().find(|line| line.contains("\"scraped\"")).map(str::to_owned);
        if line.is_some() || std::time::Instant::now() > until {
            break line.unwrap_or_else(|| panic!("{}{}", said.out, said.err));
        }
    };
    assert_eq!((number(&by_node, "seeds"), number(&by_node, "leechers")), (1, 0), "{by_node}");
    let sampled = common::run(scene.path(), ["bittorrent", "sample", "--count", "5", &by]);
    assert!(sampled.ok && sampled.out.contains(text(&scraped, "info_hash")), "{}{}", sampled.out, sampled.err);
    let left = common::run(scene.path(), ["networks", "leave", "bittorrent", "--daemon", &by["--daemon=".len()..]]);
    assert!(left.ok, "{}", left.err);
    let refused = common::run(scene.path(), ["bittorrent", "scrape", &magnet, &by]);
    assert!(!refused.ok && refused.err.contains("is not in bittorrent"), "{}", refused.err);

    let wrong = common::run(scene.path(), ["bittorrent", "scrape", "blue"]);
    assert!(!wrong.ok && wrong.err.contains("40 hex digits"), "{}", wrong.err);
}

/// Two files that share no piece.
fn album() -> Scene {
    let scene = Scene::new();
    write_file(&scene.at("seed/album/a.bin"), 1, 40 << 14);
    write_file(&scene.at("seed/album/b.bin"), 2, 40 << 14);
    scene.create("album", &["--piece-length", "16KiB"]);
    scene
}

/// Somebody who has got one file of the album from `whole` and goes on seeding it.
fn half_seed(scene: &Scene, file: &str, whole: SocketAddr, switches: &[&str]) -> (Running, SocketAddr) {
    let whole = whole.to_string();
    let own = ["fetch", "it.torrent", "--into", "half", "--select", file, "--seed", "--peer", &whole, "--json", "--listen", "127.0.0.1:0"];
    let mut half = start(scene.path(), own.iter().chain(&ALONE).chain(switches));
    let address = half.address("peers");
    half.await_event("seeding");
    (half, address)
}

#[test]
fn peers_tell_of_peers() {
    let scene = album();
    let alone = ["--no-lsd", "--no-dht"];
    // One waits for the first file, and whoever dials it has the second only.
    let own = ["fetch", "it.torrent", "--into", "waits", "--select", "0", "--json", "--listen", "127.0.0.1:0"];
    let mut waits = start(scene.path(), own.iter().chain(&alone));
    let waiting = waits.address("peers").to_string();
    let (mut whole, address) = scene.seed();
    let (_half, _) = half_seed(&scene, "1", address, &["--peer", &waiting]);
    whole.kill();
    let mut fetch = fetch(&scene, "it.torrent", &[&alone[..], &["--select", "1", "--peer", &waiting]].concat());
    fetch.await_event("complete");
    assert!(fetch.finish());
    assert_eq!(scene.names(), ["album/b.bin"]);
    assert_eq!(number(waits.await_line("progress", |line| line.contains("\"progress\"")).as_str(), "verified_bytes"), 0);
}

#[test]
fn progress_says_how_the_swarm_stands() {
    let scene = album();
    let (mut whole, address) = scene.seed();
    let (_half, half) = half_seed(&scene, "0", address, &[]);
    whole.kill();
    let mut fetch = scene.fetch(Some(half), &[]);
    let bytes = 40 << 14;
    let line = fetch.await_line("all that there is", |line| line.contains("\"progress\"") && number(line, "verified_bytes") == bytes);
    let figures = ["wanted_bytes", "downloaded_bytes", "peers", "seeds", "peers_known"].map(|key| number(&line, key));
    assert_eq!(figures, [2 * bytes, bytes, 1, 0, 1], "{line}");
}

/// `hexad serve tracker` at that address; where it answers over HTTP and UDP.
fn tracker(scene: &Scene, at: &str) -> (Running, SocketAddr, SocketAddr) {
    let mut process = start(scene.path(), ["serve", "tracker", "--json", "--http", at, "--udp", at]);
    let [http, udp] = process.addresses(["tracker-http", "tracker-udp"]);
    (process, http, udp)
}

/// An address where nobody answers.
fn nobody() -> SocketAddr {
    // Bound and let go: the system gives it to nobody else for a while.
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

#[test]
fn a_tracker_brings_peers_together() {
    let scene = film();
    let (_tracker, http, udp) = tracker(&scene, "127.0.0.1:0");
    for url in [format!("http://{http}/announce"), format!("udp://{udp}/announce")] {
        scene.create("film.bin", &["--tracker", &url]);
        let (_seed, _) = seed(&scene, &ALONE);
        completes(&scene, scene.fetch(None, &[]));
        std::fs::remove_dir_all(scene.at("leech")).expect("removed");
        completes(&scene, scene.fetch_of(&scene.magnet(), None, &[]));
        std::fs::remove_dir_all(scene.at("leech")).expect("removed");
    }
}

#[test]
fn a_dead_tracker_is_passed_over() {
    let scene = film();
    let (_tracker, http, udp) = tracker(&scene, "127.0.0.1:0");
    let dead = format!("http://{}/announce", nobody());
    let living = [format!("http://{http}/announce"), format!("udp://{udp}/announce")];
    let tiers: [&[&str]; 2] = [&["--tracker", &dead, "--tracker", &living[1]], &["--tracker", &format!("{dead},{}", living[0])]];
    for tiers in tiers {
        scene.create("film.bin", tiers);
        let (_seed, _) = seed(&scene, &ALONE);
        completes(&scene, scene.fetch(None, &[]));
        std::fs::remove_dir_all(scene.at("leech")).expect("removed");
    }
}

#[test]
fn peers_meet_over_ipv6() {
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    }
    let scene = film();
    let (_tracker, http, udp) = tracker(&scene, "[::1]:0");
    for url in [format!("http://{http}/announce"), format!("udp://{udp}/announce")] {
        scene.create("film.bin", &["--tracker", &url]);
        let own = ["publish", "--torrent", "it.torrent", "--data", "seed", "--json", "--listen", "[::1]:0"];
        let mut seed = start(scene.path(), own.iter().chain(&ALONE));
        seed.await_event("seeding");
        let own = ["fetch", "it.torrent", "--into", "leech", "--json", "--listen", "[::1]:0"];
        completes(&scene, start(scene.path(), own.iter().chain(&ALONE)));
        std::fs::remove_dir_all(scene.at("leech")).expect("removed");
    }
}

#[test]
fn the_dht_works_over_ipv6() {
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    }
    let scene = film();
    write_file(&scene.at("other.bin"), 77, 1000);
    let by = |node: &str| ["--no-lsd", "--no-pex", "--json", "--listen", "[::1]:0", "--dht-node", node].map(str::to_owned);
    let mut node = start(scene.path(), ["publish", "other.bin"].map(str::to_owned).iter().chain(&by("[::1]:9")));
    let address = node.address("peers").to_string();
    let mut seed =
        start(scene.path(), ["publish", "--torrent", "it.torrent", "--data", "seed"].map(str::to_owned).iter().chain(&by(&address)));
    seed.await_event("seeding");
    let own = ["fetch".to_owned(), scene.magnet(), "--into".to_owned(), "leech".to_owned()];
    completes(&scene, start(scene.path(), own.iter().chain(&by(&address))));
}

/// Who asks what, and about which torrent.
type Question = (SocketAddr, String, Option<Vec<u8>>);

/// A node of the DHT that knows nobody and keeps nothing; says what it is asked.
fn listening_node() -> (SocketAddr, Receiver<Question>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let (to, asked) = mpsc::channel();
    std::thread::spawn(move || {
        let mut packet = vec![0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let Ok(tree) = bencode::parse(&packet[..length], Strictness::Lenient) else { continue };
            let key = |key| tree.root().get(key);
            let (Some(query), Some(transaction)) = (key("q").and_then(Value::text), key("t").and_then(Value::bytes)) else { continue };
            let hash = key("a").and_then(|a| a.get("info_hash")).and_then(Value::bytes).map(<[u8]>::to_vec);
            let length = transaction.len().to_string();
            let answer = [b"d1:rd2:id20:abcdefghij01234567895:nodes0:5:token1:xe1:t", length.as_bytes(), b":", transaction, b"1:y1:re"];
            let _ = socket.send_to(&answer.concat(), from);
            if to.send((from, query, hash)).is_err() {
                break;
            }
        }
    });
    (address, asked)
}

fn hash_of(started: &str) -> Vec<u8> {
    let hex = text(started, "info_hash");
    (0..20).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")).collect()
}

#[test]
fn a_private_torrent_is_known_to_its_tracker_only() {
    let scene = film();
    let (_tracker, http, _) = tracker(&scene, "127.0.0.1:0");
    let (node, asked) = listening_node();
    let switches = ["--no-lsd", "--dht-node", &node.to_string()];
    scene.create("film.bin", &["--private", "--tracker", &format!("http://{http}/announce")]);
    let (secret, secret_address) = seed(&scene, &switches);
    let secret_hash = hash_of(secret.seen.last().expect("it seeds"));
    completes(&scene, fetch(&scene, "it.torrent", &switches));
    // A torrent for everybody that is begun after it is announced.
    scene.create("film.bin", &["--source", "everybody"]);
    let (open, open_address) = seed(&scene, &switches);
    let open_hash = hash_of(open.seen.last().expect("it seeds"));
    let mut heard = Vec::new();
    while heard.last() != Some(&(open_address, "announce_peer".to_owned(), Some(open_hash.clone()))) {
        heard.push(asked.recv_timeout(DEADLINE).expect("the other torrent is announced"));
    }
    assert!(heard.iter().any(|(from, ..)| *from == secret_address), "it takes part in the DHT");
    assert!(heard.iter().all(|(.., hash)| hash.as_ref() != Some(&secret_hash)), "nobody is asked about it or told of it");
}
