//! Freenet as a part of a session.

use std::net::SocketAddr;
use std::path::Path;

use hexad_api::{Event, FreenetSettings, Problem};
use hexad_core::{Door, Endpoint, Failure, Operation, Set, What};
use hexad_driver::host::{HostConfig, NodeKey};
use hexad_freenet::keys::{KeyPair, Uri};
use hexad_freenet::{Freenet, Mode, Reply, Request, Settings, doors};

use super::chord::address_towards;
use super::{Home, InSession, Plan, ReplyOf, RequestOf, Standing, Told, Wish};
use crate::source::{self, plain};

const NAME: &str = "freenet";

/// A node of the network that the settings or earlier runs know.
pub(crate) fn plan(settings: &FreenetSettings, state_dir: Option<&Path>) -> Result<Plan<Freenet<Endpoint>>, Problem> {
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
            .hint("name one with --bootstrap KEY@IP:PORT; hexad join freenet prints its own"));
    }
    let mode = if settings.friends.is_empty() {
        Mode::Opennet
    } else {
        Mode::Darknet(settings.friends.iter().map(|text| friend(text)).collect::<Result<Set<_>, _>>()?)
    };
    let listen = settings.listen.unwrap_or_else(|| SocketAddr::new(address_towards(bootstrap.first()), 0));
    let node = Settings { listen: Some(listen), identity: Some(key.public()), mode, ..Settings::default() };
    let first = bootstrap.first().map(ToString::to_string).unwrap_or_default();
    // What is stored survives only where the key does.
    let state_dir = home.as_ref().and(state_dir).map(Path::to_owned);
    Ok(Plan {
        nodes: vec![node.into()],
        host: HostConfig { key: Some(key), state_dir, ..HostConfig::default() },
        join: Operation::Join { bootstrap },
        hint_address: format!("choose another address with --listen in place of {listen}; port 0 lets the system choose"),
        hint_join: format!("is the node at {first} running, and is its key the one before the @?"),
        warnings,
        home,
    })
}

/// A node as `hexad join freenet` prints it.
fn bootstrap_node(text: &str) -> Result<Endpoint, Problem> {
    match source::endpoint(text) {
        Ok(node @ Endpoint::Key(..)) => Ok(node),
        _ => Err(Problem::new(format!("expected a node of the network as KEY@IP:PORT, came '{text}'"))
            .hint("KEY is 64 hex digits; hexad join freenet prints the whole line")),
    }
}

fn friend(text: &str) -> Result<[u8; 32], Problem> {
    // A whole address will do as well.
    let key = text.split('@').next().unwrap_or(text);
    let key = data_encoding::HEXLOWER_PERMISSIVE.decode(key.as_bytes()).ok().and_then(|key| key.try_into().ok());
    key.ok_or_else(|| {
        Problem::new(format!("expected a friend's public key of 64 hex digits, came '{text}'"))
            .hint("it is what stands before the @ in the line that hexad join freenet prints")
    })
}

/// A fresh subspace: the key that writes, and the key that reads.
pub(crate) fn make_key() -> Result<(String, String), Problem> {
    let fresh = || NodeKey::generate().map_err(|wrong| Problem::new(format!("no key can be made: {}", plain(&wrong))));
    let pair = KeyPair { seed: fresh()?.seed(), crypto: fresh()?.seed() };
    Ok((Uri::of_pair(&pair, "", true).to_string(), Uri::of_pair(&pair, "", false).to_string()))
}

impl InSession for Freenet<Endpoint> {
    const TELLS_TRANSFERS: bool = false;

    fn takes(what: &What) -> bool {
        matches!(what, What::Locator(_) | What::Magnet(_))
    }

    fn door(door: Door, address: SocketAddr, key: Option<[u8; 32]>) -> Option<(String, &'static str)> {
        (door == doors::NETWORK).then(|| (key.map_or(Endpoint::Ip(address), |key| Endpoint::Key(key, address)).to_string(), "network"))
    }

    fn request(wish: Wish) -> Option<RequestOf<Self>> {
        match wish {
            Wish::Standing => Some(Request::Status),
            Wish::Meet(..) | Wish::Sounds(..) | Wish::Own(_) => None,
        }
    }

    fn told(reply: ReplyOf<Self>) -> Told {
        match reply {
            Reply::Put(uri) => Told::Answers(vec![Event::Inserted { network: NAME.into(), key: uri.to_string() }]),
            Reply::Status(status) => Told::Standing(Standing {
                peers: status.peers as u64,
                known: status.known,
                figures: vec![("blocks_held", status.blocks as u64), ("requests", status.walks as u64)],
            }),
            Reply::Got { .. } | Reply::KeyPair(_) | Reply::Block(_) | Reply::Inserted(_) | Reply::Hops(_) => Told::Nothing,
        }
    }

    fn hint(failure: &Failure) -> &'static str {
        match failure {
            Failure::NotFound(_) => "what nobody asks for is forgotten: whoever has the file can publish it again under the same key",
            Failure::TimedOut(_) => "is anybody of the network still there? join by another node with --bootstrap KEY@IP:PORT",
            Failure::Unusable(_) => "a key looks like CHK@…,…,AAMC--8; put it in quotes",
            Failure::Full(_) => "stop something else first",
            Failure::Refused(_) | Failure::NotReady(_) | Failure::Host(_) => "hexad -v shows what happens on the way there",
        }
    }
}
