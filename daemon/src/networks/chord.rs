//! Chord as a part of a session.

use std::net::SocketAddr;
use std::path::Path;

use hexad_api::node::{Overlay, OverlayKind};
use hexad_api::{ChordSettings, Event, Own, Problem};
use hexad_chord::wire::Value;
use hexad_chord::{Chord, Contact as _, Key, Place as _, Reply, Request, RingId as _, Settings, Status, doors};
use hexad_core::{Door, Endpoint, Failure, What};
use hexad_driver::host::HostConfig;

use super::keyed::{Wanted, shown};
use super::overlay::{at_distance, me, neighbour, on_circle, overlay};
use super::{InSession, Plan, ReplyOf, RequestOf, Standing, Told, Wish};

const NAME: &str = "chord";

/// A node of the ring that the settings or earlier runs know.
pub(super) fn plan(settings: &ChordSettings, state_dir: Option<&Path>) -> Result<Plan<Chord<Endpoint>>, Problem> {
    let ChordSettings { listen, bootstrap, found } = settings;
    let entry = Wanted { network: NAME, whole: "ring", listen: *listen, bootstrap, found: *found }.enter(state_dir)?;
    let node = Settings { listen: Some(entry.listen), identity: Some(entry.key.public()), ..Settings::default() };
    Ok(entry.plan(node.into(), HostConfig::default()))
}

impl InSession for Chord<Endpoint> {
    const TELLS_TRANSFERS: bool = false;

    fn takes(what: &What) -> bool {
        matches!(what, What::Torrent(_) | What::Magnet(_))
    }

    fn door(door: Door, address: SocketAddr, key: Option<[u8; 32]>) -> Option<(String, &'static str)> {
        (door == doors::RING).then(|| (shown(address, key), "ring"))
    }

    fn request(wish: Wish) -> Option<RequestOf<Self>> {
        match wish {
            Wish::Standing => Some(Request::Status),
            Wish::Own(Own::ChordPut { name, value }) => Some(Request::Put { name, value: value.into() }),
            Wish::Own(Own::ChordGet { name, is_key: false }) => Some(Request::Get(Key::of_name(&name))),
            Wish::Own(Own::ChordGet { name, is_key: true }) => Key::of_hex(&name).map(Request::Get),
            Wish::Meet(..) | Wish::Order(..) | Wish::Reader(..) | Wish::SuperSeed(_) | Wish::Sounds(..) | Wish::Tree(..) | Wish::Own(_) => {
                None
            }
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
    let overlay = Some(ring(status));
    Standing { peers: known.len() as u64, known, figures, overlay }
}

/// The ring as we see it from our first virtual node.
fn ring(status: &Status<Endpoint>) -> Overlay {
    let place = |key: Key| {
        let first = key.0.first_chunk::<8>().copied().unwrap_or_default();
        Some(on_circle(u64::from_be_bytes(first)))
    };
    let at = status.addr.as_ref();
    let Some(ring) = status.rings.first() else { return overlay(OverlayKind::Ring, me(at, None), []) };
    let roles = [("predecessor", ring.prdc.as_slice()), ("successor", &ring.succ), ("finger", &ring.fingers)];
    let peers = roles.into_iter().flat_map(|(role, contacts)| {
        contacts.iter().map(move |contact| {
            let at = contact.addr().to_endpoint();
            let round_trip = status.round_trips.get(&at).copied();
            at_distance(neighbour(&at, role, place(contact.id().to_key())), round_trip)
        })
    });
    overlay(OverlayKind::Ring, me(at, place(ring.me.id().to_key())), peers)
}
