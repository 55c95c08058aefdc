//! Players that begin before a file is there, limits, and goals of giving, with real processes on loopback.

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::scene::Scene;
use common::{ALONE, DEADLINE, Running, start, text};

const MIB: u64 = 1 << 20;

/// One HTTP exchange: the head, and the body.
fn get(address: &str, range: Option<&str>) -> (String, Vec<u8>) {
    let (at, path) = address.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an address");
    let mut stream = TcpStream::connect(at).expect("somebody listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    let range = range.map(|range| format!("Range: {range}\r\n")).unwrap_or_default();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {at}\r\n{range}Connection: close\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let body = answer.split_off(end);
    (String::from_utf8_lossy(&answer).to_ascii_lowercase(), body)
}

/// A seed that gives no more than so much a second.
fn slow_seed(scene: &Scene, rate: &str, more: &[&str]) -> (Running, String) {
    let own = ["publish", "--torrent", "it.torrent", "--data", "seed", "--listen", "127.0.0.1:0", "--json", "--max-up", rate];
    let mut seed = start(scene.path(), own.into_iter().chain(ALONE).chain(more.iter().copied()));
    let address = seed.address("peers").to_string();
    seed.await_event("seeding");
    (seed, address)
}

#[test]
fn a_player_starts_anywhere_before_the_file_is_complete() {
    let scene = Scene::of("film.mkv", &[("film.mkv", 24 * MIB)]);
    let whole = fs::read(scene.at("seed/film.mkv")).expect("a film");
    // All of it would take half a minute.
    let (_seed, peer) = slow_seed(&scene, "800k", &[]);
    let own = ["stream", "it.torrent", "--into", "leech", "--listen", "127.0.0.1:0", "--json", "--peer", &peer];
    let mut stream = start(scene.path(), own.into_iter().chain(ALONE));
    let line = stream.await_line("an address for players", |line| line.contains("\"purpose\":\"stream\""));
    let address = text(&line, "address").to_owned();
    assert!(address.ends_with("/0/film.mkv"), "{address}");

    let (head, body) = get(&address, Some("bytes=0-262143"));
    assert!(head.starts_with("http/1.1 206") && head.contains("content-type: video/x-matroska"), "{head}");
    assert!(head.contains(&format!("content-range: bytes 0-262143/{}", 24 * MIB)), "{head}");
    assert!(body == whole[..256 << 10], "the beginning");
    // Where players of some formats look next: the end.
    let (_, body) = get(&address, Some("bytes=-65536"));
    assert!(body == whole[whole.len() - 65_536..], "the end");
    let (_, body) = get(&address, Some("bytes=12582912-12648447"));
    assert!(body == whole[12 << 20..(12 << 20) + 65_536], "the middle");
    assert!(!stream.seen.iter().any(|line| line.contains("\"complete\"")), "and the rest has not come yet");
    stream.await_line("progress", |line| line.contains("\"verified\"") || line.contains("\"progress\""));

    let (head, _) = get(&address, Some("bytes=99999999999-"));
    assert!(head.starts_with("http/1.1 416"), "{head}");
    let (head, _) = get(&address.replace("/0/film.mkv", "/7/film.mkv"), None);
    assert!(head.starts_with("http/1.1 404"), "{head}");
    stream.terminate();
    assert!(stream.finish(), "who stops streaming ends well");
}

#[test]
fn a_player_is_started_with_the_address_and_streaming_ends_with_it() {
    let scene = Scene::of("film.mkv", &[("film.mkv", MIB)]);
    let (_seed, peer) = slow_seed(&scene, "100m", &[]);
    // No player, but a program that takes words of its own and an address.
    let own = ["stream", "it.torrent", "--into", "leech", "--listen", "127.0.0.1:0", "--json", "--peer", &peer];
    let mut stream = start(scene.path(), own.into_iter().chain(ALONE).chain(["--play", "cp /dev/null played:"]));
    let line = stream.await_line("an address for players", |line| line.contains("\"purpose\":\"stream\""));
    let address = text(&line, "address").to_owned();
    assert!(!address.is_empty());
    // cp cannot copy to three places that are no folder, and says so by how it ends.
    stream.await_event("warning");
    stream.await_event("done");
    assert!(stream.finish(), "how a player ends is its own affair");

    let mut nobody = start(scene.path(), own.into_iter().chain(ALONE).chain(["--play", "no-such-player"]));
    let failed = nobody.await_event("failed");
    assert!(failed.contains("'no-such-player' cannot be started"), "{failed}");
    assert!(!nobody.finish());
}

#[test]
fn what_is_streamed_is_whole_when_it_is_read_to_its_end() {
    let scene = Scene::of("album", &[("album/a.mp3", 3 * MIB + 5), ("album/b.mp3", 2 * MIB)]);
    let (_seed, peer) = slow_seed(&scene, "100m", &[]);
    let own = ["stream", "it.torrent", "--into", "leech", "--listen", "127.0.0.1:0", "--json", "--peer", &peer];
    let mut stream = start(scene.path(), own.into_iter().chain(ALONE));
    let line = stream.await_line("an address for players", |line| line.contains("\"purpose\":\"stream\""));
    let address = text(&line, "address").to_owned();
    let (head, body) = get(&address, None);
    assert!(head.starts_with("http/1.1 200") && head.contains("audio/mpeg"), "{head}");
    assert!(body == fs::read(scene.at("seed/album/a.mp3")).expect("a file"), "the largest comes first");
    stream.await_event("complete");
    let root = format!("{}/", address.split_once("/0/").expect("an index").0);
    let (_, list) = get(&root, None);
    assert_eq!(String::from_utf8_lossy(&list).lines().count(), 2);
    scene.arrived();
}

#[test]
fn a_fetch_is_no_faster_than_it_may_be() {
    let scene = Scene::of("film.bin", &[("film.bin", 3 * MIB)]);
    let (_seed, address) = scene.seed();
    let began = Instant::now();
    let mut fetch = scene.fetch(Some(address), &["--max-down", "1MiB", "--sequential"]);
    fetch.await_event("complete");
    assert!(began.elapsed() > Duration::from_millis(2_500), "{:?}", began.elapsed());
    assert!(fetch.finish());
    scene.arrived();
}

#[test]
fn a_seed_with_a_goal_ends_when_it_is_reached() {
    let scene = Scene::of("film.bin", &[("film.bin", 2 * MIB)]);
    let (mut seed, peer) = slow_seed(&scene, "100m", &["--seed-ratio", "1"]);
    let own = ["fetch", "it.torrent", "--into", "leech", "--listen", "127.0.0.1:0", "--json", "--peer", &peer];
    let mut fetch = start(scene.path(), own.into_iter().chain(ALONE));
    fetch.await_event("complete");
    seed.await_event("done");
    assert!(seed.finish(), "enough was given");
    scene.arrived();
}

#[test]
fn a_seed_that_shows_one_piece_at_a_time_serves_everything_in_the_end() {
    let scene = Scene::of("film.bin", &[("film.bin", MIB)]);
    let (_seed, peer) = slow_seed(&scene, "100m", &["--super-seed"]);
    let own = ["fetch", "it.torrent", "--into", "leech", "--listen", "127.0.0.1:0", "--json", "--peer", &peer];
    let mut fetch = start(scene.path(), own.into_iter().chain(ALONE));
    fetch.await_event("complete");
    scene.arrived();
}
