//! Prints how fast a cached file of 1 GiB is hashed and checked here:
//! `cargo run --release -p hexad-library --example check_speed [PIECE_KIB]`.

#![expect(clippy::disallowed_types, reason = "a benchmark reads the clock")]

use std::io::Write;
use std::time::Instant;

use hexad_content::{Proof, Ranges};
use hexad_library::{Work, check_pieces_with, hash_pieces_with, scan};

const TOTAL_BYTES: u64 = 1 << 30;

fn main() {
    let piece_bytes = std::env::args().nth(1).and_then(|kib| kib.parse().ok()).map_or(1 << 20, |kib: u64| kib << 10);
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let block: Vec<u8> = (0..1 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for round in 0..TOTAL_BYTES >> 20 {
        file.write_all(&round.to_le_bytes()).expect("room on the disk");
        file.write_all(&block[8..]).expect("room on the disk");
    }
    let scanned = scan(file.path()).expect("the file is there");
    let all = Ranges::of(0..TOTAL_BYTES);
    for threads in [1, 2] {
        let work = Work { threads, progress: &|_, _| {}, cancel: None };
        for _ in 0..4 {
            let start = Instant::now();
            let hashes = hash_pieces_with(&scanned.layout, &scanned.paths, piece_bytes, &work).expect("hashes");
            let hashed = start.elapsed();
            let proof = Proof::V1Pieces { piece_bytes, total_bytes: TOTAL_BYTES, hashes: hashes.into() };
            let start = Instant::now();
            let good = check_pieces_with(&scanned.layout, &scanned.paths, &proof, &all, &work).expect("a check");
            let checked = start.elapsed();
            assert_eq!(good, all);
            println!("{threads} threads: hashed in {:.3} s, checked in {:.3} s", hashed.as_secs_f64(), checked.as_secs_f64());
        }
    }
}
