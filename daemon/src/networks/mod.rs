//! The networks that a session can join: the one place here that names them, and all that a session has to know of each.
//!
//! Every network is one file beside this one. It says how the network's node is made from settings ([`Plan`]), and turns what only that network
//! says into words that all have ([`InSession`]). A session holds its networks as [`Member`]s, and does not know which is which.

mod bittorrent;
mod chord;
mod freenet;
mod gnutella;
mod home;
mod kazaa;
mod keyed;
mod napster;
mod overlay;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;

use hexad_api::node::Overlay;
use hexad_api::{Event, NetworkSettings, Own, Problem, Settings, TorrentVersion};
use hexad_content::{Digest, Ranges, TigerProof};
use hexad_core::{Abilities, Door, Endpoint, Failure, LeaseId, Level, Network, Node, OpId, Operation, Progress, ShareId, Shares, What};
use hexad_driver::LeaseSink;
use hexad_driver::host::{Events, Handle, Host, HostConfig, HostEvent};
use hexad_driver::limits::Limits;
use hexad_driver::proxy::Proxy;
use hexad_driver::transfers::Transfers;
use hexad_driver::wall::Wall;
use hexad_library::Sound;

pub(crate) use self::bittorrent::{mutable_item, owner_of, torrent_named};
pub(crate) use self::freenet::{friend as freenet_friend, invitation as freenet_invitation, make_key, plan as freenet_plan};
pub(crate) use self::home::Home;
use crate::session::Happening;

/// What the session wants of a network beside the four verbs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// How does it stand?
    Standing,
    /// More peers for that share.
    Meet(ShareId, Vec<Endpoint>),
    /// In which order that share is fetched.
    Order(ShareId, Order),
    /// Somebody reads these bytes of that share.
    Reader(ShareId, std::ops::Range<u64>),
    /// Show peers that share one piece at a time.
    SuperSeed(ShareId),
    /// How files of that share sound, by their index.
    Sounds(ShareId, Vec<(usize, Sound)>),
    /// The Tiger tree of that share.
    Tree(ShareId, TigerProof),
    /// What only this network can do.
    Own(Own),
}

/// What comes first, where the network has a choice. Bytes are those of the share's layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) sequential: bool,
    pub(crate) first: Ranges,
    pub(crate) last: Ranges,
}

/// How one share stands in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransferStanding {
    pub(crate) share: Option<ShareId>,
    pub(crate) lease: Option<LeaseId>,
    pub(crate) peers: usize,
    pub(crate) seeds: usize,
    pub(crate) peers_known: usize,
    pub(crate) downloaded_bytes: u64,
    pub(crate) uploaded_bytes: u64,
    pub(crate) down_bytes_per_s: u64,
    pub(crate) up_bytes_per_s: u64,
}

/// How a network stands as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    pub(crate) peers: u64,
    /// Whom to begin with the next time.
    pub(crate) known: Vec<Endpoint>,
    pub(crate) figures: Vec<(&'static str, u64)>,
    /// Who is whose neighbour, where the network says it.
    pub(crate) overlay: Option<Overlay>,
}

/// What a network says beside the words that all have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    /// How shares stand.
    Transfers(Vec<TransferStanding>, Option<Overlay>),
    /// How it stands itself.
    Standing(Standing),
    /// Answers to whoever has asked for what only it can do.
    Answers(Vec<Event>),
    /// Nothing that a session needs.
    Nothing,
}

/// What a session hears of a network.
pub(crate) enum Heard {
    /// How an operation stands.
    Report(OpId, Progress<Told>),
    /// A door is open: where, and what for.
    Open { address: String, purpose: &'static str },
    /// Something that the user should know.
    Warning(String),
    /// The host has ended, whoever ended it.
    Over,
}

/// How a node of a network is made, and how it joins.
pub(crate) struct Plan<N: Network> {
    /// Configurations, each to be tried when the addresses of the one before are taken.
    pub(crate) nodes: Vec<N::Config>,
    pub(crate) host: HostConfig,
    /// What it is told in order to join.
    pub(crate) join: Operation<RequestOf<N>>,
    /// What the user can do when an address cannot be listened at.
    pub(crate) hint_address: String,
    /// What the user can do when the network cannot be joined for another reason.
    pub(crate) hint_join: String,
    /// What the user should know from the start.
    pub(crate) warnings: Vec<String>,
    /// Where it keeps what it knows.
    pub(crate) home: Option<Home>,
    /// The router is asked to let others in.
    pub(crate) map_ports: bool,
}

pub(crate) type RequestOf<N> = <<N as Network>::Node as Node>::Request;
pub(crate) type ReplyOf<N> = <<N as Network>::Node as Node>::Reply;

/// A network as a part of a session.
pub(crate) trait InSession: Network {
    /// Whether [`Told::Transfers`] comes when it is asked how it stands.
    const TELLS_TRANSFERS: bool;

    /// Whether who takes part in a share does so by its .torrent, and only there if that is private (BEP 27).
    const IS_SWARM: bool = false;

    /// Whether a fetch of this can be begun at once. What cannot is looked up by its digest, and then fetched as the answers say.
    fn takes(what: &What) -> bool;

    /// Whether a share is looked up there by a digest of that kind.
    fn looks_up(digest: &Digest) -> bool {
        matches!(digest, Digest::Content(_) | Digest::TorrentV1(_))
    }

    /// An open door, and what it is for; `key` is our public key, where the network's nodes have one.
    fn door(door: Door, address: std::net::SocketAddr, key: Option<[u8; 32]>) -> Option<(String, &'static str)>;

    /// A wish in the network's own words; `None` where it has none for it.
    fn request(wish: Wish) -> Option<RequestOf<Self>>;

    /// A reply in the session's words.
    fn told(reply: ReplyOf<Self>) -> Told;

    /// What the user can do about a publish, a search or a fetch that has failed.
    fn hint(failure: &Failure) -> &'static str;
}

/// What all networks of a session share on their way out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside {
    pub(crate) limits: Arc<Limits>,
    /// The one interface over which anything goes.
    pub(crate) interface: Option<String>,
    /// The proxy through which everything goes.
    pub(crate) proxy: Option<Proxy>,
    /// The clock on the wall.
    pub(crate) wall: Wall,
}

impl Outside {
    /// As these settings say.
    ///
    /// # Errors
    /// When the proxy cannot be used.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Problem> {
        let proxy = settings.proxy.as_deref().map(|text| {
            text.parse::<Proxy>().map_err(|wrong| {
                Problem::new(format!("the proxy cannot be used: {wrong}")).hint("for example --proxy socks5://127.0.0.1:1080")
            })
        });
        let proxy = proxy.transpose()?;
        let outside = Self { interface: settings.interface.clone(), proxy, ..Self::default() };
        outside.set_limits(settings.limits);
        Ok(outside)
    }

    /// Sets how fast bytes may come and go on all networks together.
    pub(crate) fn set_limits(&self, limits: hexad_api::Limits) {
        self.limits.set(limits.down_bytes_per_s, limits.up_bytes_per_s);
    }
}

/// This machine's address on the way to another. No packet is sent for that.
pub(crate) fn address_towards(to: SocketAddr) -> Option<IpAddr> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok().map(|own| own.ip()).filter(|ip| !ip.is_unspecified())
}

/// A network that is to be joined.
pub(crate) struct Opening {
    pub(crate) name: &'static str,
    pub(crate) abilities: Abilities,
    pub(crate) tells_transfers: bool,
    pub(crate) is_swarm: bool,
    pub(crate) takes: fn(&What) -> bool,
    pub(crate) looks_up: fn(&Digest) -> bool,
    pub(crate) hint: fn(&Failure) -> &'static str,
    pub(crate) hint_address: String,
    pub(crate) hint_join: String,
    pub(crate) warnings: Vec<String>,
    pub(crate) home: Option<Home>,
    pub(crate) map_ports: bool,
    /// The one interface over which anything goes.
    pub(crate) interface: Option<String>,
    /// Starts a host that has joined nothing, with the next configuration; `None` when all were tried.
    pub(crate) attempt: Box<dyn FnMut(Ear) -> Option<Box<dyn Member>> + Send>,
}

/// For which BitTorrent files are described that nobody says more about.
pub(crate) fn version_of(networks: &[NetworkSettings]) -> TorrentVersion {
    let version =
        |network: &NetworkSettings| if let NetworkSettings::Bittorrent(settings) = network { Some(settings.version) } else { None };
    networks.iter().find_map(version).unwrap_or_default()
}

/// Reads settings: what is wrong with them is said before anything is begun.
pub(crate) fn opening(
    settings: &NetworkSettings,
    state_dir: Option<&Path>,
    transfers: &Arc<Transfers>,
    outside: &Outside,
) -> Result<Opening, Problem> {
    let name = settings.name();
    if let Some(proxy) = &outside.proxy {
        let NetworkSettings::Bittorrent(settings) = settings else {
            return Err(Problem::new(format!("{name} cannot be joined through a proxy")).hint("only BitTorrent can"));
        };
        return Ok(open(name, bittorrent::plan_led(settings, state_dir, proxy)?, transfers, outside));
    }
    Ok(match settings {
        NetworkSettings::Bittorrent(settings) => open(name, bittorrent::plan(settings, state_dir)?, transfers, outside),
        NetworkSettings::Chord(settings) => open(name, chord::plan(settings, state_dir)?, transfers, outside),
        NetworkSettings::Freenet(settings) => open(name, freenet::plan(settings, state_dir)?, transfers, outside),
        NetworkSettings::Gnutella(settings) => open(name, gnutella::plan(settings, state_dir)?, transfers, outside),
        NetworkSettings::Kazaa(settings) => open(name, kazaa::plan(settings, state_dir)?, transfers, outside),
        NetworkSettings::Napster(settings) => open(name, napster::client_plan(settings)?, transfers, outside),
        NetworkSettings::NapsterServer(settings) => open(name, napster::server_plan(settings, state_dir)?, transfers, outside),
    })
}

/// What the networks of a running node are called, in the order of its books.
pub(crate) const NAMES: [&str; 6] = ["bittorrent", "chord", "freenet", "gnutella", "kazaa", "napster"];

/// A network that nobody wants to be joined, under that name.
pub(crate) fn closed(name: &str) -> Option<Opening> {
    Some(match name {
        "bittorrent" => closed_as::<hexad_bittorrent::BitTorrent>("bittorrent"),
        "chord" => closed_as::<hexad_chord::Chord<Endpoint>>("chord"),
        "freenet" => closed_as::<hexad_freenet::Freenet<Endpoint>>("freenet"),
        "gnutella" => closed_as::<hexad_gnutella::Gnutella>("gnutella"),
        "kazaa" => closed_as::<hexad_kazaa::Kazaa<Endpoint>>("kazaa"),
        "napster" => closed_as::<hexad_napster::Napster>("napster"),
        _ => return None,
    })
}

fn closed_as<N: InSession>(name: &'static str) -> Opening {
    Opening {
        name,
        abilities: N::ABILITIES,
        tells_transfers: N::TELLS_TRANSFERS,
        is_swarm: N::IS_SWARM,
        takes: N::takes,
        looks_up: N::looks_up,
        hint: N::hint,
        hint_address: String::new(),
        hint_join: String::new(),
        warnings: Vec::new(),
        home: None,
        map_ports: false,
        interface: None,
        attempt: Box::new(|_| None),
    }
}

/// How what a hit leads to sounds, where its network says that: kilobits a second, and seconds.
pub(crate) fn sound_of(what: &What) -> Option<(u32, u32)> {
    if let What::Locator(locator) = what { napster::sound_of(locator).or_else(|| gnutella::sound_of(locator)) } else { None }
}

/// The schemes of links that only one network reads, with that network.
pub(crate) const LINK_SCHEMES: &[(&str, &str)] = &[
    ("gnutella:", "gnutella"),
    ("napster:", "napster"),
    ("CHK@", "freenet"),
    ("KSK@", "freenet"),
    ("SSK@", "freenet"),
    ("USK@", "freenet"),
    ("freenet:", "freenet"),
    ("hyphanet:", "freenet"),
];

/// A network for [`Opening`] that will be called `name`.
pub(crate) fn open<N: InSession>(name: &'static str, plan: Plan<N>, transfers: &Arc<Transfers>, outside: &Outside) -> Opening {
    let Plan { nodes, mut host, join, hint_address, hint_join, warnings, home, map_ports } = plan;
    host.limits = outside.limits.clone();
    host.interface.clone_from(&outside.interface);
    host.proxy.clone_from(&outside.proxy);
    host.wall = outside.wall.clone();
    let (mut nodes, transfers) = (nodes.into_iter(), transfers.clone());
    Opening {
        hint_address,
        hint_join,
        warnings,
        home,
        map_ports,
        interface: outside.interface.clone(),
        attempt: Box::new(move |ear| {
            let (handle, events) = Host::<N>::start(nodes.next()?, host.clone(), transfers.clone(), transfers.clone());
            let key = host.key.as_ref().map(hexad_driver::host::NodeKey::public);
            thread::spawn(move || listen::<N>(events, key, &ear));
            Some(Box::new(Running::<N> { handle, join: join.clone() }))
        }),
        ..closed_as::<N>(name)
    }
}

/// Through what a session hears one of its networks.
pub(crate) struct Ear {
    pub(crate) to: Sender<Happening>,
    /// Which network.
    pub(crate) network: usize,
    /// Which of the hosts that were started for it.
    pub(crate) attempt: u32,
}

impl Ear {
    fn hear(&self, heard: Heard) -> Result<(), ()> {
        self.to.send(Happening::Heard(self.network, self.attempt, heard)).map_err(drop)
    }
}

/// Tells the session what the host says, in words that all networks have.
fn listen<N: InSession>(mut events: Events<N>, key: Option<[u8; 32]>, ear: &Ear) {
    while let Some(event) = events.blocking_recv() {
        let heard = match event {
            HostEvent::Report(op, progress) => Heard::Report(op, in_common::<N>(progress)),
            HostEvent::Bound(door, address) => match N::door(door, address, key) {
                Some((address, purpose)) => Heard::Open { address, purpose },
                None => continue,
            },
            HostEvent::Note(note) if note.level == Level::Warn => Heard::Warning(note.detail.into_owned()),
            HostEvent::Note(_) => continue,
        };
        if ear.hear(heard).is_err() {
            return;
        }
    }
    let _ = ear.hear(Heard::Over);
}

fn in_common<N: InSession>(progress: Progress<ReplyOf<N>>) -> Progress<Told> {
    match progress {
        Progress::Done => Progress::Done,
        Progress::Failed(failure) => Progress::Failed(failure),
        Progress::Ended => Progress::Ended,
        Progress::Hit(hit) => Progress::Hit(hit),
        Progress::Described(description) => Progress::Described(description),
        Progress::Own(reply) => Progress::Own(N::told(reply)),
    }
}

/// A network whose host runs.
pub(crate) trait Member: Send {
    /// Becomes part of the network.
    fn join(&self, op: OpId);
    /// Begins an operation. A wish for which the network has no word is passed over in silence.
    fn start(&self, op: OpId, operation: Operation<Wish>);
    /// Ends one.
    fn cancel(&self, op: OpId);
    /// Shows it our shares.
    fn set_shares(&self, shares: &Arc<Shares>);
    /// Where the engine's news about its leases go.
    fn sink(&self) -> Arc<dyn LeaseSink>;
    /// Ends the host in order.
    fn shutdown(&self);
}

struct Running<N: Network> {
    handle: Handle<N>,
    join: Operation<RequestOf<N>>,
}

impl<N: InSession> Member for Running<N> {
    fn join(&self, op: OpId) {
        self.handle.start(op, self.join.clone());
    }

    fn start(&self, op: OpId, operation: Operation<Wish>) {
        let operation = match operation {
            Operation::Join { bootstrap } => Operation::Join { bootstrap },
            Operation::Publish { share } => Operation::Publish { share },
            Operation::Search { query } => Operation::Search { query },
            Operation::Fetch { source, lease, share } => Operation::Fetch { source, lease, share },
            Operation::Own(wish) => match N::request(wish) {
                Some(request) => Operation::Own(request),
                None => return,
            },
        };
        self.handle.start(op, operation);
    }

    fn cancel(&self, op: OpId) {
        self.handle.cancel(op);
    }

    fn set_shares(&self, shares: &Arc<Shares>) {
        self.handle.set_shares(shares.clone());
    }

    fn sink(&self) -> Arc<dyn LeaseSink> {
        Arc::new(self.handle.clone())
    }

    fn shutdown(&self) {
        self.handle.shutdown();
    }
}
