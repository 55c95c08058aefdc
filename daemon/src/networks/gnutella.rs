//! Gnutella as a part of a session.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use hexad_api::node::{Overlay, OverlayKind};
use hexad_api::{GnutellaMode, GnutellaSettings, Problem};
use hexad_content::{Digest, Strength};
use hexad_core::{Door, Endpoint, Failure, Operation, What};
use hexad_driver::host::HostConfig;
use hexad_gnutella::{Audio, Gnutella, Kind, Locator, Mode, Reply, Request, Settings, Status, doors};
use hexad_library::Sound;

use super::overlay::{me, neighbour, overlay};
use super::{InSession, Plan, ReplyOf, RequestOf, Standing, Told, Wish};
use crate::source;

/// The port that others try.
const USUAL_PORT: u16 = 6346;

/// A node that begins with the hosts that the settings name, and those that it remembers itself.
pub(super) fn plan(settings: &GnutellaSettings, state_dir: Option<&Path>) -> Result<Plan<Gnutella>, Problem> {
    let host = |text: &String| {
        let wrong = || Problem::new(format!("expected a host as HOST:PORT, came '{text}'")).hint("hexad join gnutella prints its own");
        match source::endpoint(text) {
            Ok(host @ (Endpoint::Ip(_) | Endpoint::Name(_))) => Ok(host),
            _ => Err(wrong()),
        }
    };
    let bootstrap = settings.bootstrap.iter().map(host).collect::<Result<Vec<_>, _>>()?;
    let any = |port: u16| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let listens = match settings.listen {
        _ if settings.firewalled => vec![None],
        Some(listen) => vec![Some(listen)],
        None => vec![Some(any(USUAL_PORT)), Some(any(0))],
    };
    let mode = match settings.mode {
        GnutellaMode::Auto => Mode::Auto,
        GnutellaMode::Ultrapeer => Mode::Ultrapeer,
        GnutellaMode::Leaf => Mode::Leaf,
        GnutellaMode::Flat => Mode::Flat,
    };
    let node = Settings { mode, web_caches: settings.web_caches.clone(), deflate: !settings.plain, ..Settings::default() };
    let first = settings.bootstrap.first().cloned().unwrap_or_default();
    Ok(Plan {
        nodes: listens.into_iter().map(|listen| Settings { listen, ..node.clone() }.into()).collect(),
        host: HostConfig { state_dir: state_dir.map(Path::to_owned), ..HostConfig::default() },
        join: Operation::Join { bootstrap },
        hint_address: "choose another address with --listen; port 0 lets the system choose".into(),
        hint_join: if first.is_empty() {
            "name a host with --bootstrap HOST:PORT; hexad join gnutella prints its own".into()
        } else {
            format!("is the host at {first} running, and does it take others in?")
        },
        warnings: Vec::new(),
        home: None,
        map_ports: false,
    })
}

impl InSession for Gnutella {
    const TELLS_TRANSFERS: bool = false;

    fn takes(what: &What) -> bool {
        matches!(what, What::Locator(_) | What::Magnet(_))
    }

    fn looks_up(digest: &Digest) -> bool {
        digest.strength() > Strength::Hint
    }

    fn door(door: Door, address: SocketAddr, _: Option<[u8; 32]>) -> Option<(String, &'static str)> {
        (door == doors::STREAM).then(|| (address.to_string(), "peers"))
    }

    fn request(wish: Wish) -> Option<RequestOf<Self>> {
        match wish {
            Wish::Standing => Some(Request::Status),
            Wish::Tree(share, tree) => Some(Request::Tree { share, tree }),
            Wish::Sounds(share, sounds) => {
                let audio = |(file, Sound { bitrate_kbps, seconds, title, artist, album, .. })| {
                    (file, Audio { bitrate_kbps, seconds, title, artist, album })
                };
                Some(Request::Audio { share, files: sounds.into_iter().map(audio).collect() })
            }
            Wish::Meet(..) | Wish::Own(_) | Wish::Order(..) | Wish::Reader(..) | Wish::SuperSeed(_) => None,
        }
    }

    fn told(reply: ReplyOf<Self>) -> Told {
        let Reply::Status(status) = reply;
        let figures = vec![
            ("ultrapeers", status.ultrapeers as u64),
            ("leaves", status.leaves as u64),
            ("equals", status.flats as u64),
            ("hosts_known", status.hosts as u64),
            ("ways_back", status.routes as u64),
        ];
        let peers = (status.ultrapeers + status.leaves + status.flats) as u64;
        Told::Standing(Standing { peers, known: Vec::new(), figures, overlay: Some(mesh(&status)) })
    }

    fn hint(failure: &Failure) -> &'static str {
        match failure {
            Failure::TimedOut(_) | Failure::NotFound(_) => "is whoever shares it still there? hexad search says what is offered now",
            Failure::Unusable(_) => "hexad search prints links that can be fetched",
            Failure::Full(_) => "stop something else first",
            Failure::Refused(_) | Failure::NotReady(_) | Failure::Host(_) => "hexad -v shows what happens on the way there",
        }
    }
}

/// How what a locator leads to sounds: kilobits a second, and seconds; 0 where nobody says it.
pub(super) fn sound_of(locator: &str) -> Option<(u32, u32)> {
    Locator::read(locator).map(|locator| (locator.bitrate_kbps, locator.seconds)).filter(|sound| *sound != (0, 0))
}

/// Neighbours by what they are.
fn mesh(status: &Status) -> Overlay {
    let own = status.own.map(|own| Endpoint::Ip(own.into()));
    let role = |kind: &Kind| match kind {
        Kind::Ultrapeer => "ultrapeer",
        Kind::Leaf => "leaf",
        Kind::Flat => "peer",
    };
    overlay(OverlayKind::Mesh, me(own.as_ref(), None), status.neighbours.iter().map(|(at, kind)| neighbour(at, role(kind), None)))
}
