//! A ring on QUIC: one node publishes, another finds by words and fetches after looking up who has it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use hexad_api::Problem;
use hexad_chord::{Chord, Settings, doors};
use hexad_core::{Endpoint, Operation};
use hexad_driver::host::{HostConfig, NodeKey};

use super::station::{Station, made};
use super::{FOLDER, Folder};

const NODES: usize = 16;

/// Sixteen nodes.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    let mut ring: Vec<Station<Chord<Endpoint>>> = Vec::new();
    let mut bootstrap = Vec::new();
    for _ in 0..NODES {
        let key = NodeKey::generate().map_err(|wrong| Problem::new(format!("no key can be made: {wrong}")))?;
        let public = key.public();
        let settings = Settings { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), identity: Some(public), ..Settings::default() };
        let mut node = Station::start(settings.into(), HostConfig { key: Some(key), ..HostConfig::default() });
        node.does("a join", Operation::Join { bootstrap: bootstrap.clone() })?;
        if bootstrap.is_empty() {
            bootstrap.push(Endpoint::Key(public, node.address(doors::RING)?));
        }
        ring.push(node);
    }
    ring[1].publishes(&made(folder.path())?)?;
    let asker = &mut ring[NODES - 1];
    let began = Instant::now();
    let hits = asker.searches(&[FOLDER])?;
    let hit = hits.into_iter().next().ok_or_else(|| Problem::new(format!("a search for '{FOLDER}' finds nothing")))?;
    asker.fetches(hit.source, scratch)?;
    let told = folder.told(1, began);
    folder.arrived(scratch)?;
    Ok(format!("{NODES} nodes, found by words: {told}"))
}
