//! Networks of our own, whose nodes are known by their keys: under which key a node enters, by whom, and where it listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use hexad_api::Problem;
use hexad_core::{Endpoint, Network, Operation};
use hexad_driver::host::{HostConfig, NodeKey};

use super::{Home, Plan, address_towards};
use crate::source::{endpoint, plain};

/// What the settings say of the way in.
pub(super) struct Wanted<'a> {
    /// The network's name, and what its users call the whole of it.
    pub(super) network: &'static str,
    pub(super) whole: &'static str,
    pub(super) listen: Option<SocketAddr>,
    pub(super) bootstrap: &'a [String],
    /// Begin a network of our own where nobody is named or remembered.
    pub(super) found: bool,
}

/// How a node enters.
pub(super) struct Entry {
    pub(super) key: NodeKey,
    /// Whom to begin with: those who were named, else those of earlier runs; never ourselves.
    pub(super) bootstrap: Vec<Endpoint>,
    pub(super) listen: SocketAddr,
    /// Where it keeps what it knows; `None` when it keeps nothing.
    pub(super) home: Option<Home>,
    warnings: Vec<String>,
}

impl Wanted<'_> {
    /// Takes the network's folder and key, and finds whom to begin with.
    ///
    /// # Errors
    /// When a node is written wrongly, nobody is known, or the state cannot be kept.
    pub(super) fn enter(&self, state_dir: Option<&Path>) -> Result<Entry, Problem> {
        let Self { network, whole, .. } = self;
        let mut warnings = Vec::new();
        let home = match state_dir {
            Some(dir) => {
                let home = Home::take(dir, network)?;
                if home.is_none() {
                    let place = dir.join(network);
                    warnings.push(format!("another hexad has {}: this one takes a key of its own, and keeps nothing", place.display()));
                }
                home
            }
            None => None,
        };
        let key = match &home {
            Some(home) => home.key()?,
            None => fresh_key()?,
        };
        let mut bootstrap = self.bootstrap.iter().map(|text| self.node(text)).collect::<Result<Vec<_>, _>>()?;
        // Whoever names nodes means their network, and not one of an earlier run.
        if bootstrap.is_empty() {
            bootstrap = home.iter().flat_map(Home::peers).collect();
        }
        bootstrap.retain(|node| !matches!(node, Endpoint::Key(other, _) if *other == key.public()));
        if bootstrap.is_empty() && !self.found {
            return Err(Problem::new(format!("expected a node of the {whole} to begin with, came none"))
                .hint(format!("name one with --bootstrap KEY@IP:PORT, which hexad join {network} prints; of hexad up it is --set networks.{network}.bootstrap=KEY@IP:PORT, or --set networks.{network}.found=true to be the first")));
        }
        // Without a node to begin with, an address that is set aside for documents (RFC 5737) stands for the outside.
        let first = bootstrap.first().and_then(Endpoint::socket).unwrap_or(SocketAddr::from(([192, 0, 2, 1], 9)));
        let own = || address_towards(first).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let listen = self.listen.unwrap_or_else(|| SocketAddr::new(own(), 0));
        Ok(Entry { key, bootstrap, listen, home, warnings })
    }

    /// A node as `hexad join` prints it.
    fn node(&self, text: &str) -> Result<Endpoint, Problem> {
        let Self { network, whole, .. } = self;
        match endpoint(text) {
            Ok(node @ Endpoint::Key(..)) => Ok(node),
            _ => Err(Problem::new(format!("expected a node of the {whole} as KEY@IP:PORT, came '{text}'"))
                .hint(format!("KEY is 64 hex digits; hexad join {network} prints the whole line"))),
        }
    }
}

impl Entry {
    /// The plan for a node of that configuration.
    pub(super) fn plan<N: Network>(self, node: N::Config, host: HostConfig) -> Plan<N> {
        let Self { key, bootstrap, listen, home, warnings } = self;
        let first = bootstrap.first().map(ToString::to_string).unwrap_or_default();
        Plan {
            nodes: vec![node],
            host: HostConfig { key: Some(key), ..host },
            join: Operation::Join { bootstrap },
            hint_address: format!("choose another address with --listen in place of {listen}; port 0 lets the system choose"),
            hint_join: format!("is the node at {first} running, and is its key the one before the @?"),
            warnings,
            home,
            map_ports: false,
        }
    }
}

/// A key that nobody has had.
///
/// # Errors
/// When the system gives no randomness.
pub(super) fn fresh_key() -> Result<NodeKey, Problem> {
    NodeKey::generate().map_err(|wrong| Problem::new(format!("no key can be made: {}", plain(&wrong))))
}

/// A door as others are told of it.
pub(super) fn shown(address: SocketAddr, key: Option<[u8; 32]>) -> String {
    key.map_or(Endpoint::Ip(address), |key| Endpoint::Key(key, address)).to_string()
}
