//! Napster in the common world: one server more, users who log in to it.

use std::net::SocketAddr;

use hexad_core::{Address as _, Endpoint, Hit, Operation, Span, What};
use hexad_napster::{CatalogueConfig, ClientConfig, Locator, Napster, Request, ServerConfig};

use super::settled::{Settled, State};
use super::society::Society;
use crate::{Lab, NodeIndex};

const PORT: u16 = 6881;

impl Settled for Napster {
    const HOW: &'static str = "One index server beside the users, without bounds of its own; everybody logs in and hands it his list of files. \
        The lines of an answer and its end are one message of a search here, as they are sent together; their bytes all count.";
    const ASKED: &'static str = "by words";
    const SEARCHING: &'static [&'static str] = &["search", "search end"];
    const PARTS: &'static [&'static str] = &["search result"];
    const CONSULTING: &'static [&'static str] = &["search"];
    const PATIENCE: Span = Span::from_secs(30);

    fn populate(society: &Society, lab: &mut Lab<Self>) {
        let listen = SocketAddr::from(([0, 0, 0, 0], PORT));
        for user in 0..society.users + society.newcomers {
            // Hits name people.
            let nick = format!("u{user}");
            let client = ClientConfig { listen: Some(listen), nick, retry_max: Span::from_secs(10), ..ClientConfig::default() };
            lab.add_node(client.into());
        }
        let server = ServerConfig {
            listen,
            connections_max: usize::MAX,
            questions_max: usize::MAX,
            searches_per_minute: 0,
            catalogue: CatalogueConfig { owners_max: u32::MAX, files_max: u32::MAX, ..Default::default() },
            ..ServerConfig::default()
        };
        lab.add_node(server.into());
    }

    fn centre(society: &Society) -> Option<(NodeIndex, Operation<Request>)> {
        Some((NodeIndex(society.users + society.newcomers), Operation::Own(Request::Serve)))
    }

    fn join(society: &Society, _: u32, _: u64) -> Operation<Request> {
        let server = society.users + society.newcomers;
        Operation::Join { bootstrap: vec![Endpoint::of_lab_node(server)] }
    }

    fn named(hit: &Hit) -> Vec<u32> {
        let What::Locator(text) = &hit.source.what else { return Vec::new() };
        let nick = Locator::read(text).and_then(|locator| std::str::from_utf8(locator.nick.bytes()).ok()?.strip_prefix('u')?.parse().ok());
        nick.into_iter().collect()
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
