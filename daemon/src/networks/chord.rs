//! Chord as a part of a session.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use hexad_api::{ChordSettings, Event, Own, Problem};
use hexad_chord::wire::Value;
use hexad_chord::{Chord, Contact as _, Key, Place as _, Reply, Request, Settings, Status, doors};
use hexad_core::{Door, Endpoint, Failure, Operation, What};
use hexad_driver::host::{HostConfig, NodeKey};

use super::{Home, InSession, Plan, ReplyOf, RequestOf, Standing, Told, Wish};
use crate::source::{self, plain};

const NAME: &str = "chord";

/// A node of the ring that the settings or earlier runs know.
pub(super) fn plan(settings: &ChordSettings, state_dir: Option<&Path>) -> Result<Plan<Chord<Endpoint>>, Problem> {
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
    // Whoever names nodes means their ring, and not one of an earlier run.
    if bootstrap.is_empty() {
        bootstrap = home.iter().flat_map(Home::peers).collect();
    }
    bootstrap.retain(|node| !matches!(node, Endpoint::Key(other, _) if *other == key.public()));
    if bootstrap.is_empty() && !settings.found {
        return Err(Problem::new("expected a node of the ring to begin with, came none")
            .hint("name one with --bootstrap KEY@IP:PORT; hexad join chord prints its own"));
    }
    let listen = settings.listen.unwrap_or_else(|| SocketAddr::new(address_towards(bootstrap.first()), 0));
    let node = Settings { listen: Some(listen), identity: Some(key.public()), ..Settings::default() };
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

/// A node as `hexad join chord` prints it.
fn bootstrap_node(text: &str) -> Result<Endpoint, Problem> {
    match source::endpoint(text) {
        Ok(node @ Endpoint::Key(..)) => Ok(node),
        _ => Err(Problem::new(format!("expected a node of the ring as KEY@IP:PORT, came '{text}'"))
            .hint("KEY is 64 hex digits; hexad join chord prints the whole line")),
    }
}

/// This machine's address on the way to a node, or to the outside where there is none. No packet is sent for that.
pub(super) fn address_towards(node: Option<&Endpoint>) -> IpAddr {
    // An address that is set aside for documents (RFC 5737) stands for the outside.
    let to = node.and_then(Endpoint::socket).unwrap_or(SocketAddr::from(([192, 0, 2, 1], 9)));
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let ours = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(to)?;
        socket.local_addr()
    });
    ours.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ours| ours.ip())
}

impl InSession for Chord<Endpoint> {
    const TELLS_TRANSFERS: bool = false;

    fn takes(what: &What) -> bool {
        matches!(what, What::Torrent(_) | What::Magnet(_))
    }

    fn door(door: Door, address: SocketAddr, key: Option<[u8; 32]>) -> Option<(String, &'static str)> {
        (door == doors::RING).then(|| (key.map_or(Endpoint::Ip(address), |key| Endpoint::Key(key, address)).to_string(), "ring"))
    }

    fn request(wish: Wish) -> Option<RequestOf<Self>> {
        match wish {
            Wish::Standing => Some(Request::Status),
            Wish::Meet(..) => None,
            Wish::Own(Own::ChordPut { name, value }) => Some(Request::Put { name, value: value.into() }),
            Wish::Own(Own::ChordGet { name, is_key: false }) => Some(Request::Get(Key::of_name(&name))),
            Wish::Own(Own::ChordGet { name, is_key: true }) => Key::of_hex(&name).map(Request::Get),
        }
    }

    fn told(reply: ReplyOf<Self>) -> Told {
        match reply {
            Reply::Put { key, copies } => Told::Answers(vec![Event::Stored { network: NAME.into(), key: hex(&key), copies }]),
            Reply::Got(items) => {
                let values = items.into_iter().filter_map(|item| {
                    let (publisher, bytes) = match item.value {
                        Value::Content(bytes) => (None, bytes),
                        Value::Named(publisher, bytes) => (Some(publisher.to_string()), bytes),
                        Value::Reference(_) => return None,
                    };
                    let text = std::str::from_utf8(&bytes).ok().map(str::to_owned);
                    let base64 = data_encoding::BASE64.encode(&bytes);
                    Some(Event::Value { network: NAME.into(), key: hex(&item.key), publisher, text, base64 })
                });
                Told::Answers(values.collect())
            }
            Reply::Status(status) => Told::Standing(standing(&status)),
            Reply::Owner(_) => Told::Nothing,
        }
    }

    fn hint(failure: &Failure) -> &'static str {
        match failure {
            Failure::TimedOut(_) => "is anybody of the ring still there? join by another node with --bootstrap KEY@IP:PORT",
            Failure::NotFound(_) => "is whoever has it still in the ring? hexad search says what is offered now",
            Failure::Unusable(_) => "hexad search prints links that can be fetched",
            Failure::Full(_) => "stop something else first",
            Failure::Refused(_) | Failure::NotReady(_) | Failure::Host(_) => "hexad -v shows what happens on the way there",
        }
    }
}

fn hex(key: &Key) -> String {
    data_encoding::HEXLOWER.encode(&key.0)
}

/// Neighbours first: they are the most alive.
fn standing(status: &Status<Endpoint>) -> Standing {
    let mut known: Vec<Endpoint> = Vec::new();
    for ring in &status.rings {
        for contact in ring.succ.iter().chain(&ring.prdc).chain(&ring.fingers) {
            let peer = contact.addr().to_endpoint();
            if !known.contains(&peer) && status.addr.as_ref() != Some(&peer) {
                known.push(peer);
            }
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, not below 0")]
    let nodes = status.size_estimate.round() as u64;
    let (items, bytes) = status.stored;
    let figures = vec![("nodes_estimated", nodes), ("items_held", items as u64), ("bytes_held", bytes as u64)];
    Standing { peers: known.len() as u64, known, figures }
}
