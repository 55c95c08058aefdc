//! Ultrapeers and leaves: a leaf that accepts no connections offers, and a leaf of another ultrapeer finds it by words and fetches by push.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use hexad_api::{Event, GnutellaMode, GnutellaSettings, JoinRequest, NetworkSettings, Problem, Session as _, Settings, Task};

use super::{Folder, await_event, fetched, found, joined, published};
use crate::session::LocalSession;

const ULTRAPEERS: usize = 3;
const LEAVES: usize = 9;

/// Three ultrapeers and nine leaves.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut nodes: Vec<(Task, LocalSession)> = Vec::new();
    let mut places: Vec<String> = Vec::new();
    for _ in 0..ULTRAPEERS {
        let settings = GnutellaSettings { listen, bootstrap: places.clone(), mode: GnutellaMode::Ultrapeer, ..GnutellaSettings::default() };
        let (session, task, address) = joined(NetworkSettings::Gnutella(settings))?;
        places.push(address);
        nodes.push((task, session));
    }
    let mut leaves: Vec<(Task, LocalSession)> = Vec::new();
    for number in 0..LEAVES {
        let bootstrap = vec![places[number % ULTRAPEERS].clone()];
        let settings = GnutellaSettings { listen, bootstrap, mode: GnutellaMode::Leaf, ..GnutellaSettings::default() };
        leaves.push(if number == 0 {
            firewalled(GnutellaSettings { listen: None, firewalled: true, ..settings })?
        } else {
            let (session, task, _) = joined(NetworkSettings::Gnutella(settings))?;
            (task, session)
        });
    }
    let publishing = published(&leaves[0].1, folder)?;
    let asker = &leaves[LEAVES - 1].1;
    let began = Instant::now();
    let link = found(asker, "film")?;
    let searched = began.elapsed().as_secs_f64();
    let began = Instant::now();
    fetched(asker, link, scratch)?;
    let told = folder.told(1, began);
    folder.arrived(scratch)?;
    drop(publishing);
    // Leaves say goodbye before their ultrapeers are gone.
    drop(leaves);
    Ok(format!("{ULTRAPEERS} ultrapeers, {LEAVES} leaves, found by words in {searched:.2} s, fetched by push: {told}"))
}

/// A session that listens nowhere, so that it says only that it has joined.
fn firewalled(settings: GnutellaSettings) -> Result<(Task, LocalSession), Problem> {
    let network = NetworkSettings::Gnutella(settings);
    let request = JoinRequest { network: network.name().to_owned() };
    let session = LocalSession::open(&Settings { networks: vec![network], ..Settings::default() })?;
    let task = session.join(request)?;
    await_event(&task, "a leaf to join", |event| matches!(event, Event::Joined { .. }))?;
    Ok((task, session))
}
