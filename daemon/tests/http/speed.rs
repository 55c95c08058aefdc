//! How long a page of a long list takes.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::fake::scene;

/// What people take for at once.
const P99_MAX: Duration = Duration::from_millis(50);

#[test]
fn ten_thousand_downloads_are_paged_at_once() {
    let scene = scene();
    scene.node.fill(10_000);
    let mut client = Client::new(scene.face.address());
    let mut taken: Vec<Duration> = (0..500)
        .map(|round| {
            let began = Instant::now();
            let page = client.ask("GET", &format!("/api/downloads?offset={}&limit=100", round * 19), &[], b"");
            let taken = began.elapsed();
            assert!(page.status == 200 && page.body.len() > 20_000);
            taken
        })
        .collect();
    taken.sort();
    let (median, p99) = (taken[taken.len() / 2], taken[taken.len() * 99 / 100]);
    println!("a page of 100 of 10,000 downloads: median {median:?}, p99 {p99:?}");
    assert!(p99 < P99_MAX, "p99 {p99:?}");
}
