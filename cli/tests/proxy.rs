//! A download by way of a proxy, with real processes on loopback.

mod common;
#[path = "../../driver/tests/host/little_proxy.rs"]
#[expect(dead_code, reason = "the driver's tests have it forget and refuse")]
mod little_proxy;

use common::scene::Scene;
use common::{run, start};
use little_proxy::LittleProxy;

#[test]
fn a_download_through_a_proxy_asks_the_tracker_by_a_name_that_only_the_proxy_knows() {
    let scene = Scene::of("it", &[("it", 300_000)]);
    let mut tracker = start(scene.path(), ["serve", "tracker", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--json"]);
    let tracker_at = tracker.address("tracker-http");
    scene.create("it", &["--tracker", &format!("http://{tracker_at}/announce")]);
    let (_seed, peer) = scene.seed();
    scene.create("it", &["--tracker", "http://tracker.invalid/announce"]);
    let proxy = LittleProxy::start(None, &[("tracker.invalid", tracker_at)]);
    for scheme in ["socks5", "http"] {
        let url = format!("{scheme}://{}", proxy.at);
        let peer = peer.to_string();
        // A tracker that is not of this machine is not believed about peers that are.
        let mut fetch =
            start(scene.path(), ["fetch", "it.torrent", "--into", "leech", "--json", "--no-pex", "--peer", &peer, "--proxy", &url]);
        fetch.await_event("complete");
        assert!(fetch.finish());
        scene.arrived();
        std::fs::remove_dir_all(scene.at("leech")).expect("what arrived");
        let asked: Vec<_> = proxy.asked.try_iter().collect();
        assert!(asked.contains(&"tracker.invalid:80".to_owned()) && asked.contains(&peer), "{asked:?}");
    }
}

#[test]
fn what_does_not_go_through_a_proxy_is_refused() {
    let scene = Scene::of("it", &[("it", 10)]);
    let fetch = |more: &[&str]| run(scene.path(), ["fetch", "it.torrent"].iter().chain(more));
    let said = fetch(&["--proxy", "socks5://localhost:1"]);
    assert!(!said.ok && said.err.contains("named by its IP address"), "{}", said.err);
    let said = fetch(&["--proxy", "socks5://127.0.0.1:1", "--on", "gnutella"]);
    assert!(!said.ok && said.err.contains("gnutella cannot be joined through a proxy"), "{}", said.err);
    let said = fetch(&["--proxy", "socks5://127.0.0.1:1", "--map-ports"]);
    assert!(!said.ok && said.err.contains("cannot be used with"), "{}", said.err);
}

#[test]
fn through_socks5_go_a_udp_tracker_and_a_dht_node_that_only_the_proxy_knows() {
    let scene = Scene::of("it", &[("it", 300_000)]);
    let mut tracker = start(scene.path(), ["serve", "tracker", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--json"]);
    let [tracker_at, by_datagram] = tracker.addresses(["tracker-http", "tracker-udp"]);
    scene.create("it", &["--tracker", &format!("http://{tracker_at}/announce")]);
    let (_seed, peer) = scene.seed();
    scene.create("it", &["--tracker", "udp://tracker.invalid:6969/announce"]);
    let proxy = LittleProxy::start(None, &[("tracker.invalid", by_datagram)]);
    let url = format!("socks5://{}", proxy.at);
    let told = ["fetch", "it.torrent", "--into", "leech", "--json", "--no-pex", "--dht-node", "dht.invalid:6881", "--proxy", &url];
    let mut fetch = start(scene.path(), told);
    fetch.await_event("complete");
    assert!(fetch.finish());
    scene.arrived();
    let asked: Vec<_> = proxy.asked.try_iter().collect();
    for asked_for in ["letters", "letter to tracker.invalid:6969", "letter to dht.invalid:6881", &peer.to_string()] {
        assert!(asked.iter().any(|one| one == asked_for), "{asked_for}: {asked:?}");
    }
}
