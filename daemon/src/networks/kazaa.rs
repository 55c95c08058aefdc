//! Kazaa as a part of a session.

use std::net::SocketAddr;
use std::path::Path;

use hexad_api::{KazaaSettings, Problem, Supernode};
use hexad_core::{Door, Endpoint, Failure, Operation, What};
use hexad_driver::host::{HostConfig, NodeKey};
use hexad_kazaa::{Kazaa, Reply, Request, Settings, Switch, doors};

use super::chord::address_towards;
use super::{Home, InSession, Plan, ReplyOf, RequestOf, Standing, Told, Wish};
use crate::source::{self, plain};

const NAME: &str = "kazaa";

/// A node of the network that the settings or earlier runs know.
pub(super) fn plan(settings: &KazaaSettings, state_dir: Option<&Path>) -> Result<Plan<Kazaa<Endpoint>>, Problem> {
    let mut warnings = Vec::new();
    let home = match state_dir {
        Some(dir) => {
            let home = Home::take(dir, NAME)?;
            if home.is_none() {
                let place = dir.join(NAME);
                warnings.push(format!("another hexad has {}: this one takes a key of its own, and keeps nothing", place.display()));
            }
            home
        }
        None => None,
    };
    let key = match &home {
        Some(home) => home.key()?,
        None => NodeKey::generate().map_err(|wrong| Problem::new(format!("no key can be made: {}", plain(&wrong))))?,
    };
    let mut bootstrap = settings.bootstrap.iter().map(|text| bootstrap_node(text)).collect::<Result<Vec<_>, _>>()?;
    // Whoever names nodes means their network, and not one of an earlier run.
    if bootstrap.is_empty() {
        bootstrap = home.iter().flat_map(Home::peers).collect();
    }
    bootstrap.retain(|node| !matches!(node, Endpoint::Key(other, _) if *other == key.public()));
    if bootstrap.is_empty() && !settings.found {
        return Err(Problem::new("expected a node of the network to begin with, came none")
            .hint("name one with --bootstrap KEY@IP:PORT; hexad join kazaa prints its own"));
    }
    let listen = settings.listen.unwrap_or_else(|| SocketAddr::new(address_towards(bootstrap.first()), 0));
    let switch = match settings.supernode {
        Supernode::Auto => Switch::Auto,
        Supernode::Never => Switch::Never,
        Supernode::Always => Switch::Always,
    };
    let (identity, fasttrack) = (Some(key.public()), settings.fasttrack);
    let node = Settings { listen: Some(listen), identity, switch, fasttrack, ..Settings::default() };
    let first = bootstrap.first().map(ToString::to_string).unwrap_or_default();
    Ok(Plan {
        nodes: vec![node.into()],
        host: HostConfig { key: Some(key), ..HostConfig::default() },
        join: Operation::Join { bootstrap },
        hint_address: format!("choose another address with --listen in place of {listen}; port 0 lets the system choose"),
        hint_join: format!("is the node at {first} running, and is its key the one before the @?"),
        warnings,
        home,
    })
}

/// A node as `hexad join kazaa` prints it.
fn bootstrap_node(text: &str) -> Result<Endpoint, Problem> {
    match source::endpoint(text) {
        Ok(node @ Endpoint::Key(..)) => Ok(node),
        _ => Err(Problem::new(format!("expected a node of the network as KEY@IP:PORT, came '{text}'"))
            .hint("KEY is 64 hex digits; hexad join kazaa prints the whole line")),
    }
}

impl InSession for Kazaa<Endpoint> {
    const TELLS_TRANSFERS: bool = false;

    fn takes(what: &What) -> bool {
        matches!(what, What::Torrent(_) | What::Magnet(_))
    }

    fn door(door: Door, address: SocketAddr, key: Option<[u8; 32]>) -> Option<(String, &'static str)> {
        match door {
            doors::KAZAA => Some((key.map_or(Endpoint::Ip(address), |key| Endpoint::Key(key, address)).to_string(), "peers")),
            doors::FASTTRACK => Some((address.to_string(), "fasttrack leaves")),
            _ => None,
        }
    }

    fn request(wish: Wish) -> Option<RequestOf<Self>> {
        matches!(wish, Wish::Standing).then_some(Request::Status)
    }

    fn told(reply: ReplyOf<Self>) -> Told {
        let Reply::Standing(standing) = reply;
        let count = |count: usize| count as u64;
        let figures = vec![
            ("supernode", u64::from(standing.supernode)),
            ("leaves", count(standing.leaves)),
            ("links", count(standing.links)),
            ("records_held", count(standing.records)),
        ];
        let peers = count(standing.parents.len() + standing.leaves + standing.links);
        Told::Standing(Standing { peers, known: standing.supernodes, figures })
    }

    fn hint(failure: &Failure) -> &'static str {
        match failure {
            Failure::TimedOut(_) => "is any supernode still there? join by another node with --bootstrap KEY@IP:PORT",
            Failure::NotFound(_) => "is whoever has it still in the network? hexad search says what is offered now",
            Failure::Unusable(_) => "hexad search prints links that can be fetched",
            Failure::Full(_) => "stop something else first",
            Failure::Refused(_) | Failure::NotReady(_) | Failure::Host(_) => "hexad -v shows what happens on the way there",
        }
    }
}
