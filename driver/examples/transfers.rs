//! Feeds a download with 16 KiB blocks as a host would and says how fast they become verified files.
//!
//! `cargo run --release -p hexad-driver --example transfers -- [MiB] [part KiB] [files] [workers] [1: over a file that is in the cache]`

use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hexad_content::sha1_lanes::sha1_many;
use hexad_content::{FileEntry, Layout, Proof, Ranges, safe_names};
use hexad_core::{LeaseId, Payload, ShareId, Verdict};
use hexad_driver::transfers::{Target, Transfers, TransfersConfig, TransfersEvent};
use hexad_driver::{Deliveries, LeaseSink};

const BLOCK: u64 = 16 << 10;

#[derive(Default)]
struct Sink {
    relieved: Mutex<bool>,
    bell: Condvar,
}

impl LeaseSink for Sink {
    fn leased(&self, _: LeaseId, _: Ranges) {}
    fn elsewhere(&self, _: LeaseId, _: Ranges) {}

    fn judged(&self, _: LeaseId, range: std::ops::Range<u64>, verdict: Verdict) {
        assert_eq!(verdict, Verdict::Good, "{range:?}");
    }
    fn relieved(&self) {
        *self.relieved.lock().unwrap() = true;
        self.bell.notify_one();
    }
}

/// Seconds of CPU of this process in its own code and in the system's, and its largest memory in MB.
fn spent() -> (f64, f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let seconds = |place: usize| after[place].parse::<u64>().unwrap() as f64 / 100.0;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    (seconds(11), seconds(12), peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024)
}

fn main() {
    let arg = |place: usize, default: u64| std::env::args().nth(place).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (total, part_bytes, files) = (arg(1, 1024) << 20, arg(2, 1024) << 10, arg(3, 1));
    let home = tempfile::tempdir_in(".").unwrap();
    // Every part has the same bytes, so that making them costs no time and no memory to speak of.
    let part: Vec<u8> = (0..part_bytes).map(|place| (place * 31 % 251) as u8).collect();
    let whole = Bytes::from(part);
    let parts = total.div_ceil(part_bytes);
    let mut hashes = vec![sha1_many(&[&whole])[0]; (total / part_bytes) as usize];
    if !total.is_multiple_of(part_bytes) {
        hashes.push(sha1_many(&[&whole[..(total % part_bytes) as usize]])[0]);
    }
    let entries = (0..files)
        .map(|file| FileEntry::plain(vec![format!("{file}")], total / files + if file == 0 { total % files } else { 0 }))
        .collect();
    let layout = Arc::new(Layout::folder("bench".into(), entries).unwrap());
    let proof = Proof::V1Pieces { piece_bytes: part_bytes, total_bytes: total, hashes: hashes.into() };
    // The first touch of cold pages would cost more than anything measured here.
    let warm = home.path().join("warm");
    std::fs::write(&warm, vec![1; usize::try_from(total + total / 8).unwrap()]).unwrap();
    std::fs::remove_file(&warm).unwrap();

    let target = || Target {
        share: ShareId(1),
        layout: layout.clone(),
        proof: proof.clone(),
        names: safe_names(&layout),
        wanted: vec![true; files as usize],
        folder: home.path().to_owned(),
        identity: "bench".into(),
    };
    let (events, heard) = mpsc::channel();
    let config = TransfersConfig { workers: arg(4, 2) as usize, ..TransfersConfig::default() };
    if arg(5, 0) == 1 {
        // One right part makes them ours.
        std::fs::create_dir(home.path().join("bench")).unwrap();
        for file in 0..files {
            let mut bytes = vec![1; (total / files + if file == 0 { total % files } else { 0 }) as usize];
            bytes[..whole.len()].copy_from_slice(&whole);
            std::fs::write(home.path().join(format!("bench/{file}")), bytes).unwrap();
        }
    }
    let transfers = Transfers::start(config, events);
    let opened = transfers.open_download(target(), &|_, _| {}).unwrap();
    assert!(!opened.complete);
    let parts_held = opened.held.total() / part_bytes;
    let sink = Arc::new(Sink::default());
    transfers.lend(LeaseId(1), ShareId(1), sink.clone());
    let before = spent();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let began = Instant::now();
    for part in parts_held..parts {
        let start = part * part_bytes;
        let mut at = 0;
        while at < part_bytes.min(total - start) {
            while transfers.congested() {
                let relieved = sink.relieved.lock().unwrap();
                let (mut relieved, _) = sink.bell.wait_timeout(relieved, Duration::from_millis(1)).unwrap();
                *relieved = false;
            }
            let end = (at + BLOCK).min(part_bytes).min(total - start);
            transfers.deliver(LeaseId(1), start + at, &Payload::Bytes(whole.slice(at as usize..end as usize)));
            at = end;
        }
    }
    while !matches!(heard.recv().unwrap(), TransfersEvent::Complete { .. }) {}
    let wall = began.elapsed().as_secs_f64();
    let after = spent();
    let gigabytes = total as f64 / 1e9;
    let say = |what: &str, wall: f64, before: (f64, f64, u64), after: (f64, f64, u64)| {
        let (user, system) = (after.0 - before.0, after.1 - before.1);
        let rate = gigabytes / wall;
        println!(
            "{what}: {rate:.2} GB/s, {wall:.3} s wall, {:.2} s CPU = {user:.2} user + {system:.2} system, {} MB peak",
            user + system,
            after.2
        );
    };
    say("deliver, verify, write", wall, before, after);
    transfers.finish(ShareId(1)).unwrap();
    transfers.close(ShareId(1));
    let before = spent();
    let began = Instant::now();
    let opened = transfers.open_download(target(), &|_, _| {}).unwrap();
    assert!(opened.complete && opened.checked_bytes == total);
    let wall = began.elapsed().as_secs_f64();
    say("check again", wall, before, spent());
    transfers.shutdown();
}
