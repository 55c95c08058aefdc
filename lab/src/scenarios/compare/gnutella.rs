//! Gnutella in the common world: equals who flood, as the document describes it.

use std::net::SocketAddr;

use hexad_core::Span;
use hexad_gnutella::{Config, Gnutella, Mode, Settings};

use super::settled::{Settled, State};
use super::society::Society;
use crate::{Lab, NodeIndex};

const PORT: u16 = 6881;
/// IPv4 address and port of a host; a route is the 16 bytes of a GUID and a link.
const HOST_BYTES: usize = 6;
const ROUTE_BYTES: usize = 20;

impl Settled for Gnutella {
    const HOW: &'static str = "Equals in flat mode (the network of the document, not that of ultrapeers), four links wanted and six at most; each joins by \
        four who came before, links balance themselves, and links that break are replaced; a neighbour that has said nothing for a minute is pinged; each \
        keeps sixty-four other hosts.";
    const ASKED: &'static str = "by words";
    const SEARCHING: &'static [&'static str] = &["query", "query hit"];
    const CONSULTING: &'static [&'static str] = &["query"];
    const PATIENCE: Span = Span::from_secs(30);

    fn populate(society: &Society, lab: &mut Lab<Self>) {
        let settings = Settings {
            mode: Mode::Flat,
            listen: Some(SocketAddr::from(([0, 0, 0, 0], PORT))),
            flat_ttl: society.ttl,
            ttl_max: society.ttl.max(15),
            ttl_soft_max: society.ttl.max(7),
            deflate: false,
            flat_links_max: 6,
            ping_every: Span::from_secs(60),
            // As long as answers are waited for.
            routes_life: Self::PATIENCE,
            routes_max: 4096,
            hosts_max: 64,
            ..Settings::default()
        };
        lab.add_nodes(society.users + society.newcomers, Config::from(settings));
    }

    fn consulted(lab: &Lab<Self>) -> u64 {
        // Copies that come again are not looked at.
        (0..lab.node_count()).filter_map(|node| lab.node(NodeIndex(node))).map(|node| node.counts().queries).sum()
    }

    fn state(lab: &Lab<Self>, node: NodeIndex) -> State {
        let Some(status) = lab.node(node).map(|node| node.status()) else { return State::default() };
        let links = status.flats + status.ultrapeers + status.leaves;
        let bytes = (links + status.hosts) * HOST_BYTES + status.routes * ROUTE_BYTES;
        State { routing: (links + status.hosts + status.routes) as u64, kept: 0, bytes: bytes as u64 }
    }
}
