//! What comes over HTTP: a .torrent from its address, files from a web seed.

mod common;

use common::scene::Scene;
use common::web::{Manner, Web};
use common::{ALONE, run, start, text, write_file};

const ALBUM: [(&str, u64); 3] = [("album/a.bin", 1_500_000), ("album/sub/b c größe 大 #?%.bin", 70_000), ("album/sub/empty", 0)];

#[test]
fn a_torrent_is_fetched_from_its_address() {
    let scene = Scene::of("album", &ALBUM);
    let (_seed, address) = scene.seed();
    let web = Web::serve(scene.path());
    let mut fetch = scene.fetch_of(&format!("http://{}/it.torrent", web.address), Some(address), &[]);
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
}

#[test]
fn an_address_that_leads_elsewhere_is_said() {
    let scene = Scene::new();
    write_file(&scene.at("page.html"), 1, 1000);
    let web = Web::serve(scene.path());
    for (path, message, hint) in [
        ("missing.torrent", "the server answers 404", "check the address"),
        ("page.html", "expected a value", "does the address lead to a .torrent, or to a page about one?"),
    ] {
        let said =
            run(scene.path(), ["fetch", &format!("http://{}/{path}", web.address), "--listen", "127.0.0.1:0", "--no-dht", "--no-lsd"]);
        assert!(!said.ok && said.err.contains(message) && said.err.contains(hint), "{}", said.err);
    }
}

#[test]
fn a_web_seed_alone_is_enough() {
    let scene = Scene::of("album", &ALBUM);
    let web = Web::serve(&scene.at("seed"));
    scene.create("album", &["--web-seed", &format!("http://{}/", web.address)]);
    let mut fetch = scene.fetch(None, &[]);
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
    assert!(web.sent_bytes() >= 1_570_000);
}

#[test]
fn a_link_may_name_a_web_seed() {
    let scene = Scene::of("film.bin", &[("film.bin", 1_000_000)]);
    let web = Web::serve(&scene.at("seed"));
    // The link says nothing about pieces: somebody has to know the description, and this seed does not give more than that for long.
    let (mut seed, address) = scene.seed();
    let mut fetch = scene.fetch_of(&format!("{}&ws=http://{}/film.bin", scene.magnet(), web.address), Some(address), &[]);
    fetch.await_event("started");
    seed.kill();
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
}

#[test]
fn a_server_without_ranges_is_good_for_small_files() {
    let scene = Scene::of("album", &ALBUM);
    let web = Web::serve_by(Manner::WholeFiles, &scene.at("seed"));
    scene.create("album", &["--web-seed", &format!("http://{}/", web.address)]);
    let mut fetch = scene.fetch(None, &[]);
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
}

#[test]
fn a_server_without_ranges_is_dropped_over_a_large_file_and_a_peer_gives_it() {
    let scene = Scene::of("film.bin", &[("film.bin", 6_000_000)]);
    let web = Web::serve_by(Manner::WholeFiles, &scene.at("seed"));
    scene.create("film.bin", &["--web-seed", &format!("http://{}/film.bin", web.address)]);
    let mut fetch = scene.fetch(None, &[]);
    let own_address = fetch.address("peers").to_string();
    let warning = fetch.await_event("warning");
    assert!(text(&warning, "message").contains(&format!("{}/film.bin", web.address)), "{warning}");
    let own = ["publish", "--torrent", "it.torrent", "--data", "seed", "--listen", "127.0.0.1:0", "--json", "--peer", &own_address];
    let _seed = start(scene.path(), own.into_iter().chain(ALONE));
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
}

#[test]
fn a_web_seed_that_lies_is_dropped_and_a_peer_gives_what_is_right() {
    let scene = Scene::of("album", &ALBUM);
    let web = Web::serve_by(Manner::Wrong, &scene.at("seed"));
    scene.create("album", &["--web-seed", &format!("http://{}/", web.address)]);
    let mut fetch = scene.fetch(None, &[]);
    let own_address = fetch.address("peers").to_string();
    let warning = fetch.await_event("warning");
    assert!(text(&warning, "message").contains("its data is not the torrent's"), "{warning}");
    let own = ["publish", "--torrent", "it.torrent", "--data", "seed", "--listen", "127.0.0.1:0", "--json", "--peer", &own_address];
    let _seed = start(scene.path(), own.into_iter().chain(ALONE));
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
}
