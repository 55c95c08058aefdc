//! A central index: a server, and clients that find and fetch from each other through it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use hexad_api::{NapsterServerSettings, NapsterSettings, NetworkSettings, Problem};

use super::{Folder, fetched, found, joined, published};

const CLIENTS: usize = 3;

/// A server and three clients.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = NapsterServerSettings { listen, ..NapsterServerSettings::default() };
    let (_server, _serving, address) = joined(NetworkSettings::NapsterServer(server))?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let settings = NapsterSettings { servers: vec![address.clone()], listen: Some(listen), ..NapsterSettings::default() };
        let (session, task, _) = joined(NetworkSettings::Napster(settings))?;
        clients.push((task, session));
    }
    let publishing = published(&clients[0].1, folder)?;
    let began = Instant::now();
    for (number, (_, client)) in clients.iter().enumerate().skip(1) {
        let link = found(client, "film")?;
        fetched(client, link, &scratch.join(number.to_string()))?;
    }
    let told = folder.told(CLIENTS - 1, began);
    for number in 1..CLIENTS {
        folder.arrived(&scratch.join(number.to_string()))?;
    }
    drop(publishing);
    Ok(format!("1 server, {CLIENTS} clients, found by words: {told}"))
}
