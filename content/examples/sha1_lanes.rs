//! Prints how fast SHA-1 is here, in lanes and as one stream: `cargo run --release -p hexad-content --example sha1_lanes`.
//! Fails where sixteen lanes are used and not faster than one stream: then the compiler has not vectorised them.

#![expect(clippy::disallowed_types, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use hexad_content::sha1_lanes::{LANES, lanes_worthwhile, sha1_many, sha1_one};

const MESSAGE_BYTES: usize = (64 << 10) + 64;
const REPEATS: usize = 200;

fn main() -> ExitCode {
    let bytes: Vec<u8> = (0..LANES * MESSAGE_BYTES).map(|at| (at * 31 / 8) as u8).collect();
    let messages: Vec<&[u8]> = bytes.chunks(MESSAGE_BYTES).collect();
    println!("lanes are used from {} messages on", lanes_worthwhile());
    let one = best(MESSAGE_BYTES, || _ = black_box(sha1_one(messages[0])));
    println!("one stream: {one:.2} GB/s");
    let mut many = one;
    for count in [4, 5, 8, 12, LANES] {
        many = best(count * MESSAGE_BYTES, || drop(black_box(sha1_many(&messages[..count]))));
        println!("{count:2} messages at once: {many:.2} GB/s");
    }
    if lanes_worthwhile() <= LANES && many < one * 1.1 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The best of five runs, in GB/s.
fn best(bytes: usize, work: impl Fn()) -> f64 {
    let runs = (0..5).map(|_| {
        let start = Instant::now();
        (0..REPEATS).for_each(|_| work());
        (bytes * REPEATS) as f64 / start.elapsed().as_secs_f64() / 1e9
    });
    runs.fold(0.0, f64::max)
}
