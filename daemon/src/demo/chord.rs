//! A ring on QUIC: one node publishes, another finds by words and fetches after looking up who has it.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Instant;

use hexad_api::{ChordSettings, NetworkSettings, Problem};

use super::{FOLDER, Folder, fetched, found, joined, published};

const NODES: usize = 16;

/// Sixteen nodes.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    let mut ring = Vec::new();
    let mut bootstrap = Vec::new();
    for _ in 0..NODES {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let (session, task, address) =
            joined(NetworkSettings::Chord(ChordSettings { listen, bootstrap: bootstrap.clone(), found: bootstrap.is_empty() }))?;
        if bootstrap.is_empty() {
            bootstrap.push(address);
        }
        // Tasks leave before their sessions end.
        ring.push((task, session));
    }
    let publishing = published(&ring[1].1, folder)?;
    let asker = &ring[NODES - 1].1;
    let began = Instant::now();
    let link = found(asker, FOLDER)?;
    fetched(asker, link, scratch)?;
    let told = folder.told(1, began);
    folder.arrived(scratch)?;
    drop(publishing);
    // All at once: each waits a moment for what it has to hand over.
    thread::scope(|scope| ring.drain(..).for_each(|node| drop(scope.spawn(move || drop(node)))));
    Ok(format!("{NODES} nodes, found by words: {told}"))
}
