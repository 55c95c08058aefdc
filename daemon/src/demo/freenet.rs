//! Ten nodes on QUIC: one inserts a folder and leaves, another fetches it by its key.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use hexad_api::Problem;
use hexad_core::{Endpoint, Operation, Progress, Source, What};
use hexad_driver::host::{HostConfig, NodeKey};
use hexad_freenet::{Freenet, Reply, Settings, doors};

use super::Folder;
use super::station::{Station, made};

const NODES: usize = 10;

/// Inserts, leaves, fetches.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    let mut nodes: Vec<Station<Freenet<Endpoint>>> = Vec::new();
    let mut bootstrap = Vec::new();
    for _ in 0..NODES {
        let key = NodeKey::generate().map_err(|wrong| Problem::new(format!("no key can be made: {wrong}")))?;
        let public = key.public();
        let settings = Settings { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), identity: Some(public), ..Settings::default() };
        let mut node = Station::start(settings.into(), HostConfig { key: Some(key), ..HostConfig::default() });
        node.does("a join", Operation::Join { bootstrap: bootstrap.clone() })?;
        bootstrap.push(Endpoint::Key(public, node.address(doors::NETWORK)?));
        nodes.push(node);
    }
    let began = Instant::now();
    let told = nodes[1].publishes(&made(folder.path())?)?;
    let uri = told.into_iter().find_map(|progress| if let Progress::Own(Reply::Put(uri)) = progress { Some(uri) } else { None });
    let uri = uri.ok_or_else(|| Problem::new("an insert has told no key"))?;
    let inserted = began.elapsed().as_secs_f64();
    // The inserter is gone before anybody asks.
    drop(nodes.remove(1));
    let began = Instant::now();
    let last = nodes.len() - 1;
    nodes[last].fetches(Source { what: What::Locator(uri.to_string()), peers: Vec::new() }, scratch)?;
    let told = folder.told(1, began);
    folder.arrived(scratch)?;
    Ok(format!("{NODES} nodes, inserted in {inserted:.2} s, fetched after the inserter has left: {told}"))
}
