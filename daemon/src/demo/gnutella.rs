//! Ultrapeers and leaves: a leaf that accepts no connections offers, and a leaf of another ultrapeer finds it by words and fetches by push.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use hexad_api::Problem;
use hexad_core::{Endpoint, Operation};
use hexad_driver::host::HostConfig;
use hexad_gnutella::{Gnutella, Mode, Settings, doors};

use super::Folder;
use super::station::{Station, made};

const ULTRAPEERS: usize = 3;
const LEAVES: usize = 9;
/// A search that comes before the words of a leaf have gone round is repeated.
const SEARCHES: usize = 10;

/// Three ultrapeers and nine leaves.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let settings = Settings { search_deadline: Duration::from_secs(2), tick: Duration::from_secs(1), ..Settings::default() };
    let mut ultrapeers: Vec<Station<Gnutella>> = Vec::new();
    let mut places = Vec::new();
    for _ in 0..ULTRAPEERS {
        let settings = Settings { mode: Mode::Ultrapeer, listen, ..settings.clone() };
        let mut ultrapeer = Station::start(settings.into(), HostConfig::default());
        ultrapeer.does("an ultrapeer to join", Operation::Join { bootstrap: places.clone() })?;
        places.push(Endpoint::Ip(ultrapeer.address(doors::STREAM)?));
        ultrapeers.push(ultrapeer);
    }
    let mut leaves: Vec<Station<Gnutella>> = Vec::new();
    for number in 0..LEAVES {
        // The first leaf is behind a firewall.
        let listen = if number == 0 { None } else { listen };
        let settings = Settings { mode: Mode::Leaf, listen, leaf_links: 1, ..settings.clone() };
        let mut leaf = Station::start(settings.into(), HostConfig::default());
        leaf.does("a leaf to join", Operation::Join { bootstrap: vec![places[number % ULTRAPEERS].clone()] })?;
        leaves.push(leaf);
    }
    leaves[0].publishes(&made(folder.path())?)?;
    let asker = &mut leaves[LEAVES - 1];
    let began = Instant::now();
    let mut hits = Vec::new();
    for _ in 0..SEARCHES {
        hits = asker.searches(&["film"])?;
        if !hits.is_empty() {
            break;
        }
    }
    let hit = hits.into_iter().next().ok_or_else(|| Problem::new("a search for 'film' finds nothing"))?;
    if !hit.source.peers.is_empty() {
        return Err(Problem::new("a leaf without an open port says that it has one"));
    }
    let searched = began.elapsed().as_secs_f64();
    let began = Instant::now();
    asker.fetches(hit.source, scratch)?;
    let told = folder.told(1, began);
    folder.arrived(scratch)?;
    Ok(format!("{ULTRAPEERS} ultrapeers, {LEAVES} leaves, found by words in {searched:.1} s, fetched by push: {told}"))
}
