//! Real files between two `hexad` processes on loopback.

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use common::scene::Scene;
use common::{ALONE, number, run, start, text, write_file};
use hexad_bittorrent::wire::metainfo::MetainfoBuilder;
use hexad_content::{FileEntry, Layout, Sha1Digest, safe_names};

const ALBUM: [(&str, u64); 4] =
    [("album/a.bin", 3_000_000), ("album/sub/b.bin", 70_000), ("album/sub/empty", 0), ("album/größe 大.txt", 17)];

#[test]
fn a_folder_arrives_as_it_was() {
    let scene = Scene::of("album", &ALBUM);
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch(Some(address), &[]);
    let started = fetch.await_event("started");
    assert_eq!((number(&started, "files"), number(&started, "wanted_bytes")), (4, 3_070_017));
    let verified = fetch.await_event("verified");
    assert_eq!(number(&verified, "verified_bytes"), 0, "nothing is there at first");
    let complete = fetch.await_event("complete");
    assert_eq!(number(&complete, "bytes"), 3_070_017);
    assert!(text(&complete, "path").ends_with("leech/album"), "{complete}");
    assert!(fetch.finish());
    scene.arrived();
}

#[test]
fn a_magnet_link_is_enough() {
    let scene = Scene::of("album", &ALBUM);
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch_of(&scene.magnet(), Some(address), &[]);
    fetch.await_event("started");
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
}

#[test]
fn a_link_may_name_the_peer_and_the_files() {
    let scene = Scene::of("album", &ALBUM);
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch_of(&format!("{}&x.pe={address}&so=1,3", scene.magnet()), None, &[]);
    assert_eq!(number(&fetch.await_event("started"), "files"), 2);
    fetch.await_event("complete");
    assert!(fetch.finish());
    // In the order of the torrent: a.bin, größe 大.txt, sub/b.bin, sub/empty.
    assert_eq!(scene.names(), ["album/größe 大.txt", "album/sub/empty"]);
}

#[test]
fn what_is_published_can_be_fetched_by_the_link_it_prints() {
    let scene = Scene::new();
    write_file(&scene.at("seed/film.bin"), 1, 2_000_000);
    let mut seed = start(scene.path(), ["publish", "seed/film.bin", "--listen", "127.0.0.1:0", "--json"].into_iter().chain(ALONE));
    let address = seed.address("peers");
    let seeding = seed.await_event("seeding");
    assert_eq!(text(&seeding, "torrent"), "film.bin.torrent");
    let mut fetch = scene.fetch_of(text(&seeding, "magnet"), Some(address), &[]);
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
    // The .torrent that it has left is good, too, and is left as it is when the same is published again.
    let before = fs::read(scene.at("film.bin.torrent")).expect("a .torrent");
    seed.terminate();
    assert!(seed.finish(), "who stops seeding ends well");
    let mut again = start(scene.path(), ["publish", "seed/film.bin", "--listen", "127.0.0.1:0", "--json"].into_iter().chain(ALONE));
    again.await_event("seeding");
    assert_eq!(fs::read(scene.at("film.bin.torrent")).expect("a .torrent"), before);
}

/// A link without one of the two names of a hybrid.
fn without(magnet: &str, name: &str) -> String {
    let (scheme, pairs) = magnet.split_once('?').expect("a link");
    let left: Vec<&str> = pairs.split('&').filter(|pair| !pair.starts_with(&format!("xt={name}"))).collect();
    assert_eq!(left.len() + 1, pairs.split('&').count(), "{magnet}");
    format!("{scheme}?{}", left.join("&"))
}

#[test]
fn a_hybrid_is_published_once_and_fetched_by_either_of_its_names() {
    for what in ["seed/album", "seed/album/a.bin"] {
        let scene = Scene::of("album", &ALBUM);
        let own = ["publish", what, "--hybrid", "-o", "hybrid.torrent", "--listen", "127.0.0.1:0", "--json"];
        let mut seed = start(scene.path(), own.into_iter().chain(ALONE));
        let address = seed.address("peers");
        let magnet = text(&seed.await_event("seeding"), "magnet").to_owned();
        for name in ["urn:btih:", "urn:btmh:"] {
            let mut fetch = scene.fetch_of(&without(&magnet, name), Some(address), &[]);
            fetch.await_event("complete");
            assert!(fetch.finish());
            if what == "seed/album" {
                scene.arrived();
            } else {
                assert!(fs::read(scene.at("leech/a.bin")).expect("it has arrived") == fs::read(scene.at(what)).expect("it is there"));
            }
            fs::remove_dir_all(scene.at("leech")).expect("removed");
        }
    }
}

#[test]
fn a_torrent_of_version_2_is_published_and_fetched_by_its_link() {
    let scene = Scene::of("album", &ALBUM);
    let mut seed = start(scene.path(), ["publish", "seed/album", "--v2", "--listen", "127.0.0.1:0", "--json"].into_iter().chain(ALONE));
    let address = seed.address("peers");
    let seeding = seed.await_event("seeding");
    let magnet = text(&seeding, "magnet");
    assert!(magnet.contains("urn:btmh:1220") && !magnet.contains("urn:btih:"), "{magnet}");
    let mut fetch = scene.fetch_of(magnet, Some(address), &[]);
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
    // The same torrent is made again, and no other one.
    let again = ["torrent", "create", "seed/album", "--v2", "-o", "again.torrent"];
    let said = run(scene.path(), again);
    let name = |link: &str| link.split('&').next().map(str::to_owned);
    assert!(said.ok && name(&said.out) == name(magnet), "{}{}", said.out, said.err);
}

#[test]
fn a_seed_can_be_told_whom_to_dial() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    let mut fetch = scene.fetch(None, &[]);
    let address = fetch.address("peers").to_string();
    let own = ["publish", "--torrent", "it.torrent", "--data", "seed", "--listen", "127.0.0.1:0", "--json", "--peer", &address];
    let _seed = start(scene.path(), own.into_iter().chain(ALONE));
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
}

#[test]
fn who_fetches_can_go_on_seeding() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    let (mut seed, address) = scene.seed();
    let mut first = scene.fetch(Some(address), &["--seed"]);
    let own_address = first.address("peers");
    first.await_event("complete");
    first.await_event("seeding");
    seed.kill();
    fs::rename(scene.at("leech"), scene.at("first")).expect("renamed");
    let mut second = scene.fetch(Some(own_address), &[]);
    second.await_event("complete");
    assert!(second.finish());
    scene.arrived();
    first.terminate();
    assert!(first.finish());
}

#[test]
fn encryption_can_be_required_and_refused() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    let (_seed, address) = scene.seed();
    for switch in ["--require-encryption", "--no-encryption"] {
        let mut fetch = scene.fetch(Some(address), &[switch]);
        fetch.await_event("complete");
        assert!(fetch.finish(), "{switch}");
        scene.arrived();
        fs::remove_dir_all(scene.at("leech")).expect("removed");
    }
}

#[test]
fn only_the_selected_files_arrive() {
    let scene = Scene::of("album", &[("album/a.flac", 300_000), ("album/b.flac", 300_000), ("album/c.txt", 300_000)]);
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch(Some(address), &["--select", "*.flac"]);
    let started = fetch.await_event("started");
    assert_eq!((number(&started, "files"), number(&started, "wanted_bytes")), (2, 600_000));
    fetch.await_event("complete");
    assert!(fetch.finish());
    assert_eq!(scene.names(), ["album/a.flac", "album/b.flac"]);
    // What shares a piece with them was fetched along; the rest arrives when it is asked for.
    let mut rest = scene.fetch(Some(address), &[]);
    rest.await_event("complete");
    assert!(rest.finish());
    scene.arrived();
}

#[test]
fn a_selection_of_nothing_is_refused_before_anything_is_written() {
    let scene = Scene::of("album", &ALBUM);
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch(Some(address), &["--select", "*.mp3"]);
    let failed = fetch.await_event("failed");
    assert!(!fetch.finish());
    assert_eq!(text(&failed, "message"), "'*.mp3' selects none of the 4 files");
    assert!(failed.contains("0 is 'a.bin'"), "{failed}");
    assert!(!scene.at("leech").exists());
}

#[test]
fn twenty_thousand_small_files_arrive() {
    let scene = Scene::new();
    for number in 0..20_000_u64 {
        write_file(&scene.at(&format!("seed/many/{:02}/{number}.txt", number % 50)), number, number % 600);
    }
    scene.create("many", &[]);
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch(Some(address), &[]);
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
}

#[test]
fn unsafe_names_are_renamed_and_nothing_leaves_the_folder() {
    let scene = Scene::new();
    let long = "x".repeat(300);
    let raw: Vec<Vec<&str>> = vec![
        vec!["..", "..", "escaped.txt"],
        vec!["/etc/absolute.txt"],
        vec!["CON"],
        vec!["same.txt"],
        vec!["SAME.TXT"],
        vec![&long],
        vec!["fine.txt"],
    ];
    let files: Vec<FileEntry> =
        raw.iter().map(|path| FileEntry::plain(path.iter().map(|element| (*element).to_owned()).collect(), 1000)).collect();
    let layout = Arc::new(Layout::folder("../album".to_owned(), files).expect("a layout"));
    let mut all = Vec::new();
    for (number, path) in safe_names(&layout).paths.iter().enumerate() {
        let place = scene.at("seed").join(path.as_ref().expect("no padding").iter().collect::<PathBuf>());
        write_file(&place, number as u64, 1000);
        all.extend(fs::read(&place).expect("just written"));
    }
    let hashes: Vec<Sha1Digest> = all.chunks(16 << 10).map(|piece| hexad_content::sha1_lanes::sha1_many(&[piece])[0]).collect();
    let metainfo = MetainfoBuilder::new(layout, 16 << 10, hashes).build().expect("a torrent");
    fs::write(scene.at("it.torrent"), metainfo.encode()).expect("written");
    let (_seed, address) = scene.seed();
    let mut fetch = scene.fetch(Some(address), &[]);
    fetch.await_event("complete");
    assert!(fetch.finish());
    assert!(fetch.seen.iter().filter(|line| line.contains("\"renamed\"")).count() >= 5, "{:?}", fetch.seen);
    scene.arrived();
    let mut top: Vec<_> =
        fs::read_dir(scene.path()).expect("a folder").flatten().map(|entry| entry.file_name().into_string().expect("text")).collect();
    top.retain(|name| name != "state");
    top.sort();
    assert_eq!(top, ["it.torrent", "leech", "seed"]);
}
