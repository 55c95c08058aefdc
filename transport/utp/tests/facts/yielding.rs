//! uTP gives way: it keeps the queue at the bottleneck short, and leaves the line to a TCP download beside it.

use hexad_core::Span;
use hexad_utp::Config;
use hexad_utp::line::{Line, Manner, Race};

/// 2 MB/s, 40 ms, and a queue of half a second: what home routers have.
fn home(seed: u64) -> Race {
    let manner = Manner { rate: 2_000_000, delay: Span::from_millis(20), queue_bytes: 1_000_000, ..Manner::default() };
    let mut race = Race::new(Line::new(manner, &Config::default(), seed));
    assert!(race.add_stream());
    race
}

#[test]
fn alone_it_fills_the_line_and_keeps_the_queue_at_its_target() {
    let mut race = home(1);
    race.run(Span::from_secs(30));
    let lap = race.run(Span::from_secs(30));
    assert!(lap.streams[0] > 30 * 1_800_000, "{lap:?} of 60,000,000 bytes");
    assert!(lap.queue_longest < Span::from_millis(150), "{lap:?} where 500 ms fit");
}

#[test]
fn beside_a_tcp_download_it_gives_way_and_comes_back_afterwards() {
    let mut race = home(2);
    race.run(Span::from_secs(20));
    race.add_download();
    race.run(Span::from_secs(20));
    let beside = race.run(Span::from_secs(60));
    assert!(beside.downloads[0] > beside.streams[0] * 4, "{beside:?}");
    assert!(beside.downloads[0] + beside.streams[0] > 60 * 1_800_000, "the line is full: {beside:?}");
    race.end_downloads();
    race.run(Span::from_secs(20));
    let alone = race.run(Span::from_secs(20));
    assert!(alone.streams[0] > 20 * 1_700_000, "{alone:?} of 40,000,000 bytes after the download");
}
