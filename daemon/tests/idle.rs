//! What very many torrents cost of which nothing is wanted. Run by hand:
//! `cargo test -p hexad-daemon --test idle -- --ignored --nocapture`

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// Resident bytes of this process.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|&at| fields.get(at)?.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

#[test]
#[ignore = "a measurement"]
fn ten_thousand_idle_torrents_cost_next_to_nothing() {
    let bare = resident();
    let mut shares = Shares::new();
    for number in 0..TORRENTS {
        shares = shares.with(ShareId(number), share(number));
    }
    let described = resident();
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
    // Trackers and the DHT are tried for a while, in vain.
    let idle = |events: &mut hexad_driver::host::Events<BitTorrent>, span: Duration| {
        let (since, before) = (Instant::now(), cpu());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async { while tokio::time::timeout_at((since + span).into(), events.recv()).await.is_ok() {} });
        (cpu() - before).as_secs_f64() / since.elapsed().as_secs_f64() * 100.0
    };
    let first = idle(&mut events, Duration::from_secs(30));
    let second = idle(&mut events, Duration::from_secs(30));
    let (all, node) = (resident(), resident().saturating_sub(described));
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    eprintln!(
        "{TORRENTS} torrents of {PIECES} pieces: started in {:.2} s; {:.0} MiB resident ({:.0} of them the shares, {:.0} the node); {first:.2} % CPU in the \
         first 30 s, {second:.2} % in the next",
        started.as_secs_f64(),
        mib(all),
        mib(described - bare),
        mib(node)
    );
    assert!(started < Duration::from_secs(3), "{started:?}");
    assert!(all < 300 << 20, "{all} bytes");
    assert!(second < 2.0, "{second} %");
}
