//! Napster as a part of a session: a client of servers, or a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use hexad_api::node::OverlayKind;
use hexad_api::{Event, NapsterFilter, NapsterServerSettings, NapsterSettings, Own, Problem};
use hexad_core::{Door, Endpoint, Failure, Operation, What};
use hexad_driver::Catalogue;
use hexad_driver::host::HostConfig;
use hexad_library::Sound;
use hexad_napster::wire::{Clause, Compare, Measure, Search, ToClient, kind_of};
use hexad_napster::{Audio, ClientConfig, Napster, Reply, Request, ServerConfig, SharedConfig, doors};
use hexad_postgres::PostgresCatalogue;

use super::overlay::{me, neighbour, overlay};
use super::{InSession, Plan, ReplyOf, RequestOf, Standing, Told, Wish};
use crate::source;

/// Bytes that may wait for one client of a server.
const SERVER_UNREAD_BYTES_MAX: u64 = 256 << 10;

/// A client of the servers that the settings name.
pub(super) fn client_plan(settings: &NapsterSettings) -> Result<Plan<Napster>, Problem> {
    if settings.servers.is_empty() {
        return Err(Problem::new("expected a server to log in to, came none")
            .hint("name one with --server HOST:PORT; hexad serve napster is such a server"));
    }
    let server = |text: &String| {
        let wrong = || Problem::new(format!("expected a server as HOST:PORT, came '{text}'")).hint("for IPv6 write [::1]:8888");
        source::endpoint(text).map_err(|_| wrong())
    };
    let servers = settings.servers.iter().map(server).collect::<Result<Vec<_>, _>>()?;
    if settings.name.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(Problem::new(format!("expected a name without blanks, came '{}'", settings.name)).hint("choose another with --name"));
    }
    // Servers tell others the port, so any will do.
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let listen = Some(settings.listen.unwrap_or(any)).filter(|_| !settings.firewalled);
    let client = ClientConfig {
        listen,
        nick: settings.name.clone(),
        password: settings.password.clone(),
        register: settings.register,
        ..ClientConfig::default()
    };
    Ok(Plan {
        nodes: vec![client.into()],
        host: HostConfig::default(),
        hint_address: "choose another address with --listen; port 0 lets the system choose".into(),
        hint_join: format!("is the server at {} running, and does it let that name in?", settings.servers.join(", ")),
        join: Operation::Join { bootstrap: servers },
        warnings: Vec::new(),
        home: None,
        map_ports: false,
    })
}

/// A server.
pub(super) fn server_plan(settings: &NapsterServerSettings, state_dir: Option<&Path>) -> Result<Plan<Napster>, Problem> {
    let is_one_word = |word: &str| !word.is_empty() && !word.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    for name in settings.admins.iter().chain([&settings.name]) {
        if !is_one_word(name) {
            return Err(Problem::new(format!("expected one word as a name, came '{name}'")).hint("leave blanks away"));
        }
    }
    let server = ServerConfig {
        listen: settings.listen,
        name: settings.name.clone(),
        motd: settings.motd.clone(),
        admins: settings.admins.clone(),
        guests: settings.guests,
        registration: settings.registration,
        connections_max: settings.connections_max,
        address_connections_max: settings.address_connections_max,
        searches_per_minute: settings.searches_per_minute,
        searches_burst: settings.searches_per_minute,
        results_max: settings.results_max,
        shared: settings.catalogue.as_ref().map(|_| SharedConfig::default()),
        ..ServerConfig::default()
    };
    let catalogue = settings.catalogue.as_ref().map(|address| {
        let catalogue = PostgresCatalogue::new(address);
        catalogue.map_err(|wrong| Problem::new(wrong.to_string()).hint("name the database with --catalogue postgres://USER@HOST/DATABASE"))
    });
    let catalogue: Option<Arc<dyn Catalogue>> = match catalogue.transpose()? {
        Some(catalogue) => Some(Arc::new(catalogue)),
        None => None,
    };
    // Clients, and as many connections for whatever else a server does.
    let connections_max = settings.connections_max.saturating_add(HostConfig::default().connections_max);
    Ok(Plan {
        nodes: vec![server.into()],
        host: HostConfig {
            state_dir: state_dir.map(Path::to_owned),
            connections_max,
            // A server faces strangers, and its answers are small: who does not read shall not cost much memory.
            send_queue_mark_bytes: SERVER_UNREAD_BYTES_MAX,
            send_queue_bytes_max: 4 * SERVER_UNREAD_BYTES_MAX,
            catalogue,
            ..HostConfig::default()
        },
        join: Operation::Own(Request::Serve),
        hint_address: format!("choose another address with --listen in place of {}; port 0 lets the system choose", settings.listen),
        hint_join: "hexad -v shows what happens on the way there".into(),
        warnings: Vec::new(),
        home: None,
        map_ports: false,
    })
}

/// A search in the words of the protocol.
fn search_of(words: &[String], filter: &NapsterFilter, results_max: usize) -> Search {
    let mut search = Search::of_words(words);
    // Nobody asks for a kind that there is not: the request was checked.
    let kind = filter.kind.as_ref().and_then(|word| kind_of(word.as_bytes()));
    search.clauses.retain(|clause| !matches!(clause, Clause::Type(_)));
    search.clauses.extend([Clause::Type(kind), Clause::MaxResults(u32::try_from(results_max).unwrap_or(u32::MAX))]);
    let NapsterFilter { kind: _, size_bytes, bitrate_kbps, frequency_hz, seconds, link } = filter;
    for (measure, bounds) in [
        (Measure::Size, size_bytes),
        (Measure::Bitrate, bitrate_kbps),
        (Measure::Freq, frequency_hz),
        (Measure::Duration, seconds),
        (Measure::LineSpeed, link),
    ] {
        search = match (bounds.at_least, bounds.at_most) {
            (Some(low), Some(high)) if low == high => search.and(measure, Compare::EqualTo, low),
            (low, high) => {
                let ends = [(Compare::AtLeast, low), (Compare::AtBest, high)];
                ends.into_iter()
                    .filter_map(|(compare, end)| Some((compare, end?)))
                    .fold(search, |search, (compare, end)| search.and(measure, compare, end))
            }
        };
    }
    search
}

/// Who somebody is, as a server has told it.
fn user(answer: ToClient) -> Option<Event> {
    let (name, here, facts) = match answer {
        ToClient::WhoisAnswer { nick, level, seconds, channels, status, shared, downloads, uploads, speed, client, .. } => {
            let facts = [
                ("level", level.0.to_string()),
                ("here for seconds", seconds.to_string()),
                ("channels", channels.0.to_string().trim().to_owned()),
                ("status", status.0.to_string()),
                ("files", shared.to_string()),
                ("downloads", downloads.to_string()),
                ("uploads", uploads.to_string()),
                ("link", speed.to_string()),
                ("program", client.0.to_string()),
            ];
            (nick, true, facts.to_vec())
        }
        ToClient::Whowas { nick, level, lastseen } => {
            (nick, false, vec![("level", level.0.to_string()), ("last seen, Unix seconds", lastseen.to_string())])
        }
        _ => return None,
    };
    let facts = facts.into_iter().filter(|(_, fact)| !fact.is_empty()).map(|(name, fact)| (name.to_owned(), fact)).collect();
    Some(Event::User { network: "napster".into(), name: name.0.to_string(), here, facts })
}

impl InSession for Napster {
    const TELLS_TRANSFERS: bool = false;

    fn takes(what: &What) -> bool {
        matches!(what, What::Locator(_))
    }

    fn door(door: Door, address: SocketAddr, _: Option<[u8; 32]>) -> Option<(String, &'static str)> {
        match door {
            doors::SERVER => Some((address.to_string(), "clients")),
            doors::PEERS => Some((address.to_string(), "peers")),
            _ => None,
        }
    }

    fn request(wish: Wish) -> Option<RequestOf<Self>> {
        match wish {
            Wish::Standing => Some(Request::ServerStatus),
            Wish::Sounds(share, sounds) => {
                let audio =
                    |(file, Sound { bitrate_kbps, frequency_hz, seconds, .. })| (file, Audio { bitrate_kbps, frequency_hz, seconds });
                Some(Request::Audio { share, files: sounds.into_iter().map(audio).collect() })
            }
            Wish::Own(Own::NapsterSearch { words, filter, results_max, .. }) => {
                Some(Request::Search { search: search_of(&words, &filter, results_max), wanted: results_max })
            }
            Wish::Own(Own::NapsterBrowse { name }) => Some(Request::Browse(name)),
            Wish::Own(Own::NapsterWhois { name }) => Some(Request::Whois(name)),
            Wish::Own(Own::NapsterSay { name, text }) => Some(Request::Say { nick: name, text }),
            Wish::Meet(..) | Wish::Tree(..) | Wish::Own(_) | Wish::Order(..) | Wish::Reader(..) | Wish::SuperSeed(_) => None,
        }
    }

    fn told(reply: ReplyOf<Self>) -> Told {
        let status = match reply {
            Reply::ServerStatus(status) => status,
            Reply::Whois(answer) => return Told::Answers(user(*answer).into_iter().collect()),
            Reply::Servers(servers) => return Told::Standing(index(&servers)),
            Reply::Serving(_) => return Told::Nothing,
        };
        let figures = vec![
            ("connections", status.connections as u64),
            ("files", status.usage.files as u64),
            ("searches", status.searches),
            ("channels", status.channels as u64),
        ];
        Told::Standing(Standing { peers: status.users as u64, known: Vec::new(), figures, overlay: None })
    }

    fn hint(failure: &Failure) -> &'static str {
        match failure {
            Failure::TimedOut(_) | Failure::NotFound(_) => "is whoever shares it still logged in? hexad search says what is offered now",
            Failure::Unusable(_) => "hexad search prints links that can be fetched",
            Failure::Full(_) => "stop something else first",
            Failure::Refused(_) | Failure::NotReady(_) | Failure::Host(_) => "hexad -v shows what happens on the way there",
        }
    }
}

/// How what a locator leads to sounds: kilobits a second, and seconds; 0 where nobody says it.
pub(super) fn sound_of(locator: &str) -> Option<(u32, u32)> {
    hexad_napster::Locator::read(locator).map(|locator| locator.sound).filter(|sound| *sound != (0, 0))
}

/// A client among its servers.
fn index(servers: &[(Endpoint, bool)]) -> Standing {
    let logged_in = servers.iter().filter(|(_, logged_in)| *logged_in);
    let peers = logged_in.clone().count() as u64;
    let overlay = overlay(OverlayKind::Index, me(None, None), logged_in.map(|(at, _)| neighbour(at, "server", None)));
    Standing { peers, known: Vec::new(), figures: vec![("servers", servers.len() as u64)], overlay: Some(overlay) }
}
