//! Napster in the common world: one server more, users who log in to it.

use std::net::SocketAddr;

use hexad_core::{Address as _, Endpoint, Operation, Span};
use hexad_napster::{CatalogueConfig, ClientConfig, Config, Napster, Request, ServerConfig};

use super::settled::{Settled, State};
use super::society::Society;
use crate::{Lab, NodeIndex};

const PORT: u16 = 6881;

impl Settled for Napster {
    const HOW: &'static str = "One index server beside the users, without bounds of its own; everybody logs in and hands it his list of files.";
    const ASKED: &'static str = "by words";
    const SEARCHING: &'static [&'static str] = &["search", "search result", "search end"];
    const CONSULTING: &'static [&'static str] = &["search"];
    const PATIENCE: Span = Span::from_secs(30);

    fn populate(society: &Society, lab: &mut Lab<Self>) {
        let listen = SocketAddr::from(([0, 0, 0, 0], PORT));
        let client = ClientConfig { listen: Some(listen), retry_max: Span::from_secs(10), ..ClientConfig::default() };
        lab.add_nodes(society.users + society.newcomers, Config { client, ..Config::default() });
        let server = ServerConfig {
            listen,
            connections_max: usize::MAX,
            questions_max: usize::MAX,
            searches_per_minute: 0,
            catalogue: CatalogueConfig { owners_max: u32::MAX, files_max: u32::MAX, ..Default::default() },
            ..ServerConfig::default()
        };
        lab.add_node(Config { server, ..Config::default() });
    }

    fn centre(society: &Society) -> Option<(NodeIndex, Operation<Request>)> {
        Some((NodeIndex(society.users + society.newcomers), Operation::Own(Request::Serve)))
    }

    fn join(society: &Society, _: u32, _: u64) -> Operation<Request> {
        let server = society.users + society.newcomers;
        Operation::Join { bootstrap: vec![Endpoint::of_lab_node(server)] }
    }

    fn state(lab: &Lab<Self>, node: NodeIndex) -> State {
        let Some(server) = lab.node(node).and_then(|node| node.server_status()) else {
            // A client knows its server: an address and a port.
            return State { routing: 1, kept: 0, bytes: 6 };
        };
        let bytes = server.record_bytes as u64 + 6 * server.users as u64;
        State { routing: server.users as u64, kept: server.usage.files as u64, bytes }
    }
}
