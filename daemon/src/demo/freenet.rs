//! Ten nodes on QUIC: one inserts a folder and leaves, another fetches it by its key.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use hexad_api::{Event, FreenetSettings, NetworkSettings, Problem, PublishRequest, Session as _};

use super::{Folder, await_event, fetched, joined};

const NODES: usize = 10;

/// Inserts, leaves, fetches.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    let mut nodes = Vec::new();
    let mut bootstrap: Vec<String> = Vec::new();
    for _ in 0..NODES {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let found = bootstrap.is_empty();
        let settings = FreenetSettings { listen, bootstrap: bootstrap.clone(), found, ..FreenetSettings::default() };
        let (session, task, address) = joined(NetworkSettings::Freenet(settings))?;
        bootstrap.push(address);
        // Tasks leave before their sessions end.
        nodes.push((task, session));
    }
    let began = Instant::now();
    let (task, inserter) = nodes.remove(1);
    let publishing = inserter.publish(PublishRequest { paths: vec![folder.path()], ..PublishRequest::default() })?;
    let inserted = await_event(&publishing, "the folder to be inserted", |event| matches!(event, Event::Inserted { .. }))?;
    let Event::Inserted { key, .. } = inserted else { return Err(Problem::new("an insert has told no key")) };
    let took = began.elapsed().as_secs_f64();
    // The inserter is gone before anybody asks.
    drop((publishing, task, inserter));
    let began = Instant::now();
    fetched(&nodes[NODES - 2].1, key, scratch)?;
    let told = folder.told(1, began);
    folder.arrived(scratch)?;
    Ok(format!("{NODES} nodes, inserted in {took:.2} s, fetched after the inserter has left: {told}"))
}
