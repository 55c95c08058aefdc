//! Kazaa as a part of a session.

use std::net::SocketAddr;
use std::path::Path;

use hexad_api::node::{Overlay, OverlayKind};
use hexad_api::{KazaaSettings, Problem, Supernode};
use hexad_core::{Door, Endpoint, Failure, What};
use hexad_driver::host::HostConfig;
use hexad_kazaa::{Kazaa, Reply, Request, Settings, Switch, doors};

use super::keyed::{Wanted, shown};
use super::overlay::{at_distance, me, neighbour, overlay};
use super::{InSession, Plan, ReplyOf, RequestOf, Standing, Told, Wish};

const NAME: &str = "kazaa";

/// A node of the network that the settings or earlier runs know.
pub(super) fn plan(settings: &KazaaSettings, state_dir: Option<&Path>) -> Result<Plan<Kazaa<Endpoint>>, Problem> {
    let KazaaSettings { listen, bootstrap, found, .. } = settings;
    let entry = Wanted { network: NAME, whole: "network", listen: *listen, bootstrap, found: *found }.enter(state_dir)?;
    let switch = match settings.supernode {
        Supernode::Auto => Switch::Auto,
        Supernode::Never => Switch::Never,
        Supernode::Always => Switch::Always,
    };
    let (identity, fasttrack) = (Some(entry.key.public()), settings.fasttrack);
    let node = Settings { listen: Some(entry.listen), identity, switch, fasttrack, ..Settings::default() };
    Ok(entry.plan(node.into(), HostConfig::default()))
}

impl InSession for Kazaa<Endpoint> {
    const TELLS_TRANSFERS: bool = false;

    fn takes(what: &What) -> bool {
        matches!(what, What::Torrent(_) | What::Magnet(_))
    }

    fn door(door: Door, address: SocketAddr, key: Option<[u8; 32]>) -> Option<(String, &'static str)> {
        match door {
            doors::KAZAA => Some((shown(address, key), "peers")),
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
        let overlay = Some(tiers(&standing));
        let peers = count(standing.parents.len() + standing.leaves + standing.links);
        Told::Standing(Standing { peers, known: standing.supernodes, figures, overlay })
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

/// Those above us, those beside us, and those below us.
fn tiers(standing: &hexad_kazaa::Standing<Endpoint>) -> Overlay {
    let roles = [("supernode", &standing.parents), ("supernode", &standing.link_addrs), ("leaf", &standing.leaf_addrs)];
    let trip = |at: &Endpoint| standing.round_trips.iter().find(|(peer, _)| peer == at).map(|&(_, trip)| trip);
    let peers = roles.into_iter().flat_map(|(role, addrs)| addrs.iter().map(move |at| at_distance(neighbour(at, role, None), trip(at))));
    overlay(OverlayKind::Tiers, me(standing.addr.as_ref(), None), peers)
}
