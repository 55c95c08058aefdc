//! What very many torrents cost of which nothing is wanted, while no tracker and no DHT can be reached. The figures:
//! `cargo test -p hexad-daemon --test idle -- --nocapture`

mod common;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::many::{percent_of_a_core, resident_bytes};
use hexad_bittorrent::wire::metainfo::MetainfoBuilder;
use hexad_bittorrent::{BitTorrent, Config, Utp};
use hexad_content::{Layout, Ranges, Sha1Digest};
use hexad_core::{OpId, Operation, Progress, Share, ShareId, Shares};
use hexad_driver::Nothing;
use hexad_driver::host::{Host, HostConfig, HostEvent};

const TORRENTS: u64 = 10_000;
const PIECES: u64 = 200;
const PIECE: u64 = 256 << 10;
const JOIN: OpId = OpId(0);

/// A torrent of its own, with a tracker that nobody reaches.
fn share(number: u64) -> Share {
    let name = format!("film-{number}.mkv");
    let layout = Arc::new(Layout::single(name, PIECES * PIECE).expect("a layout"));
    let hashes = (0..PIECES).map(|piece| Sha1Digest(std::array::from_fn(|at| (number * 31 + piece * 7 + at as u64) as u8))).collect();
    let tiers = vec![vec!["udp://127.0.0.1:9/announce".to_owned()]];
    let metainfo = MetainfoBuilder { tiers, ..MetainfoBuilder::new(layout.clone(), PIECE, hashes) }.build().expect("a torrent");
    Share {
        held: Ranges::of(0..layout.total_bytes()),
        layout,
        digests: metainfo.digests(),
        proof: Some(metainfo.proof()),
        torrent: metainfo.encode().into(),
    }
}

#[test]
fn ten_thousand_idle_torrents_cost_next_to_nothing() {
    let bare = resident_bytes();
    let mut shares = Shares::new();
    for number in 0..TORRENTS {
        shares = shares.with(ShareId(number), share(number));
    }
    let described = resident_bytes();
    let node = Config { listen: Some((Ipv4Addr::LOCALHOST, 0).into()), lsd: false, utp: Utp::AfterTcp, ..Config::default() };
    let began = Instant::now();
    let nothing = Arc::new(Nothing);
    let (handle, mut events) = Host::<BitTorrent>::start(node, HostConfig::default(), nothing.clone(), nothing);
    handle.set_shares(Arc::new(shares));
    handle.start(JOIN, Operation::Join { bootstrap: Vec::new() });
    for number in 0..TORRENTS {
        handle.start(OpId(1 + number), Operation::Publish { share: ShareId(number) });
    }
    let mut done = 0;
    while done <= TORRENTS {
        match events.blocking_recv().expect("the host lives") {
            HostEvent::Report(_, Progress::Done) => done += 1,
            HostEvent::Report(op, Progress::Failed(failure)) => panic!("{op:?}: {failure}"),
            _ => {}
        }
    }
    let started = began.elapsed();
    // In the first minute trackers and the DHT are tried again and again, in vain.
    let percent = percent_of_a_core(|| {
        let until = Instant::now() + Duration::from_secs(60);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async { while tokio::time::timeout_at(until.into(), events.recv()).await.is_ok() {} });
    });
    let (all, node) = (resident_bytes(), resident_bytes().saturating_sub(described));
    eprintln!(
        "{TORRENTS} torrents of {PIECES} pieces: started in {:.2} s; {} MiB resident ({} of them the shares, {} the node); {percent:.2} % of a core in the \
         first minute",
        started.as_secs_f64(),
        all >> 20,
        described.saturating_sub(bare) >> 20,
        node >> 20
    );
    assert!(started < Duration::from_secs(3), "{started:?}");
    assert!(all < 300 << 20, "{all} bytes");
    assert!(percent < 2.0, "{percent} %");
}
