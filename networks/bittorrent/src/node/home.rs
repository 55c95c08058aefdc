//! What all swarms of a node share: configuration, where we listen, which connection is whose, who is banned.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hexad_core::{BoundedQueue, ConnId, Context, Endpoint, Level, Map, Outbox, Set, Time};

use super::Node;
use super::config::Config;
use super::ip_filter::IpFilter;
use super::priority::SeenAs;
use super::swarm::{Slot, SwarmId};

/// Whose a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Accepted, and has not said for which torrent it comes.
    Stranger {
        /// Since when.
        since: Time,
        /// Where it comes from.
        peer: Endpoint,
        /// Whether it came by uTP.
        utp: bool,
    },
    /// A swarm dials, or awaits the handshake of whom it has dialled.
    Dialling(SwarmId),
    /// The handshakes are done.
    Peer(SwarmId, Slot),
}

/// What swarms have to tell the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A swarm's metadata is known.
    Described([u8; 20]),
    /// A swarm has become complete.
    Complete([u8; 20]),
    /// A swarm knows what it wants, or wants something else.
    Leased([u8; 20]),
    /// A swarm is short of peers.
    Hungry([u8; 20]),
    /// There may be a DHT node.
    DhtNode(SocketAddr),
    /// A fetch is over.
    FetchOver([u8; 20]),
}

/// What all swarms share.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) config: Config,
    /// Where peers reach us; before that is known, where they are going to. Nowhere when nobody is accepted, though datagrams may come from somewhere.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) places: Map<ConnId, Place>,
    /// Dials under way.
    pub(crate) half_open: usize,
    pub(crate) bans: Bans,
    pub(crate) seen_as: SeenAs,
    /// Addresses behind which we have met ourselves, which our door does not tell: what a router shows to others, or one of several that we have.
    pub(crate) ourselves: BoundedQueue<SocketAddr>,
    pub(crate) news: Vec<News>,
}

/// Addresses of our own that are remembered; the one met longest ago leaves.
const OURSELVES_MAX: usize = 16;

impl Home {
    pub(crate) fn new(config: Config) -> Self {
        let listen = config.listen.filter(|listen| listen.port() != 0);
        let bans = Bans::new(config.bans_max, config.blocked.clone());
        let seen_as = SeenAs::default();
        Self {
            config,
            listen,
            places: Map::new(),
            half_open: 0,
            bans,
            seen_as,
            ourselves: BoundedQueue::new(OURSELVES_MAX),
            news: Vec::new(),
        }
    }

    /// Where others reach us by that family, as enough of them say.
    pub(crate) fn own_address(&self, v4: bool) -> Option<SocketAddr> {
        self.seen_as.ip(v4).zip(self.listen).map(|(ip, listen)| SocketAddr::new(ip, listen.port()))
    }

    /// Whether an address is certainly our own listening one.
    pub(crate) fn is_us(&self, socket: SocketAddr) -> bool {
        self.listen == Some(socket) || self.ourselves.iter().any(|own| *own == socket)
    }

    /// We have dialled that address and met ourselves.
    pub(crate) fn met_ourselves(&mut self, socket: SocketAddr) {
        if !self.is_us(socket) {
            self.ourselves.push_out(socket);
        }
    }

    /// Whether another connection may be opened or accepted.
    pub(crate) fn has_room(&self) -> bool {
        self.places.len() < self.config.connections_max
    }
}

/// One step of the node: what it may know of the world, and where it puts what it wants.
pub(crate) struct Turn<'a, 'c> {
    pub(crate) home: &'a mut Home,
    pub(crate) cx: &'a mut Context<'c>,
    pub(crate) out: &'a mut Outbox<Node>,
}

impl Turn<'_, '_> {
    pub(crate) fn now(&self) -> Time {
        self.cx.now
    }

    /// Closes a connection that is no longer of use, for a reason that is nobody's fault.
    pub(crate) fn close(&mut self, conn: ConnId, why: &'static str) {
        self.home.places.remove(&conn);
        self.out.push(hexad_core::Output::Close(conn, why.into()));
    }

    /// Counts a peer's nonsense.
    pub(crate) fn drop_note(&mut self, code: &'static str, peer: &Endpoint) {
        self.out.note(Level::Drop, code, Some(peer.clone()), "");
    }
}

/// Who is not spoken to any more.
#[derive(Debug)]
pub(crate) struct Bans {
    places: Map<SocketAddr, u64>,
    by_age: Map<u64, SocketAddr>,
    ids: Set<[u8; 20]>,
    count: u64,
    max: usize,
    /// Whom the user does not want.
    blocked: Arc<IpFilter>,
}

impl Bans {
    const fn new(max: usize, blocked: Arc<IpFilter>) -> Self {
        Self { places: Map::new(), by_age: Map::new(), ids: Set::new(), count: 0, max, blocked }
    }

    /// Bans an address; on this machine, where everybody has the same, an address with its port.
    pub(crate) fn add(&mut self, place: SocketAddr, id: [u8; 20]) {
        let key = key(place);
        if self.places.contains_key(&key) {
            return;
        }
        if self.places.len() >= self.max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.places.remove(&oldest);
        }
        self.count += 1;
        self.places.insert(key, self.count);
        self.by_age.insert(self.count, key);
        if self.ids.len() >= self.max {
            self.ids.clear();
        }
        self.ids.insert(id);
    }

    pub(crate) fn has(&self, place: SocketAddr) -> bool {
        self.places.contains_key(&key(place)) || self.blocks(place.ip())
    }

    /// Whether a list of the user's names that address.
    pub(crate) fn blocks(&self, ip: IpAddr) -> bool {
        self.blocked.blocks(ip)
    }

    pub(crate) fn has_id(&self, id: &[u8; 20]) -> bool {
        self.ids.contains(id)
    }
}

fn key(place: SocketAddr) -> SocketAddr {
    let ip = place.ip().to_canonical();
    SocketAddr::new(ip, if ip.is_loopback() { place.port() } else { 0 })
}
