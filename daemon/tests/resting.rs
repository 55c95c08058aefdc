//! What a node costs that has very many shares and nothing to do, from their files to its page. The figures:
//! `cargo test -p hexad-daemon --test resting -- --nocapture`

mod common;

use std::time::{Duration, Instant};

use common::many::{PATIENCE, SHARES, offered, percent_of_a_core, prepare, prepare_elsewhere, resident_bytes, settings};
use common::{Home, await_within, loopback};
use hexad_api::{BittorrentSettings, NetworkSettings};
use hexad_daemon::open_node;

#[test]
#[ignore = "a part of the next"]
fn prepares() {
    prepare();
}

#[test]
fn a_node_of_ten_thousand_shares_starts_soon_and_rests() {
    let home = Home::new();
    let folder = home.folder("shares");
    prepare_elsewhere(&folder);
    // The DHT is looked for where nobody is.
    let bittorrent = BittorrentSettings {
        listen: loopback(),
        lsd: false,
        dht_bootstrap: vec!["127.0.0.1:9".to_owned()],
        ..BittorrentSettings::default()
    };
    let bare = resident_bytes();
    let began = Instant::now();
    let node = open_node(settings(&folder, vec![NetworkSettings::Bittorrent(bittorrent)], &["bittorrent"])).expect("a node");
    await_within(PATIENCE, "all to be offered", || offered(&*node, 1) == SHARES);
    let started = began.elapsed();
    let percent = percent_of_a_core(|| std::thread::park_timeout(Duration::from_secs(30)));
    let all = resident_bytes().saturating_sub(bare);
    node.close();
    eprintln!("a node of {SHARES} shares: started in {:.2} s; {} MiB; {percent:.2} % of a core", started.as_secs_f64(), all >> 20);
    assert!(started < Duration::from_secs(3), "{started:?}");
    assert!(all < 300 << 20, "{all} bytes");
    assert!(percent < 2.0, "{percent} %");
}
