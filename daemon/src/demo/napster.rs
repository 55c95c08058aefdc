//! A central index: a server, and clients that find and fetch from each other through it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use hexad_api::Problem;
use hexad_core::{Endpoint, Operation};
use hexad_driver::host::HostConfig;
use hexad_napster::{ClientConfig, Config, Napster, Request, ServerConfig, doors};

use super::Folder;
use super::station::{Station, made};

const CLIENTS: usize = 3;

/// A server and three clients.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config { server: ServerConfig { listen, ..ServerConfig::default() }, ..Config::default() };
    let mut server = Station::<Napster>::start(config, HostConfig::default());
    server.does("a server to serve", Operation::Own(Request::Serve))?;
    let bootstrap = vec![Endpoint::Ip(server.address(doors::SERVER)?)];
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let config = Config { client: ClientConfig { listen: Some(listen), ..ClientConfig::default() }, ..Config::default() };
        let mut client = Station::<Napster>::start(config, HostConfig::default());
        client.does("a login", Operation::Join { bootstrap: bootstrap.clone() })?;
        clients.push(client);
    }
    clients[0].publishes(&made(folder.path())?)?;
    let began = Instant::now();
    for (number, client) in clients.iter_mut().enumerate().skip(1) {
        let hits = client.searches(&["film"])?;
        let hit = hits.into_iter().next().ok_or_else(|| Problem::new("a search for 'film' finds nothing"))?;
        client.fetches(hit.source, &scratch.join(number.to_string()))?;
    }
    let told = folder.told(CLIENTS - 1, began);
    for number in 1..CLIENTS {
        folder.arrived(&scratch.join(number.to_string()))?;
    }
    Ok(format!("1 server, {CLIENTS} clients, found by words: {told}"))
}
