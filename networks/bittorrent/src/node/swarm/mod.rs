//! One torrent: who is in it, what we have and want of it, and what is known of it at all.
//!
//! A fetch and a publish of the same info hash share one swarm. Split by what is remembered: [`peer`] one connection, [`candidates`] who could be dialled,
//! [`picker`] pieces, [`requests`] and [`uploads`] the queues of one peer, [`names`] the info hashes, [`metadata`] the info dictionary on its way and
//! [`layers`] the hashes that it lacks, [`first_copies`] what is anywhere but here, [`first_pieces`] whom others wait for, [`blame`] who lied, [`leaves`] and [`doubts`] the hashes of blocks, for others and for us. What is done with it: `links` (connections), `hearing` (what peers say), `downloading`,
//! `uploading`, `super_seeding`, `describing`, `hashes`, `holes`.

mod bits;
mod blame;
mod candidates;
mod choker;
mod describing;
mod doubts;
mod downloading;
mod elsewhere;
mod first_copies;
mod first_pieces;
mod geometry;
mod hashes;
mod hearing;
mod holes;
mod layers;
mod leaves;
mod links;
mod metadata;
mod names;
mod peer;
mod picker;
mod requests;
mod super_seeding;
mod uploading;
mod uploads;

use std::net::SocketAddr;

use hexad_core::{ConnId, Endpoint, LeaseId, Map, OpId, Others, Progress, Share, ShareId, Span, Time};

use self::bits::Bits;
use self::blame::Blame;
use self::candidates::Candidates;
pub(crate) use self::candidates::Origin;
use self::doubts::Doubts;
use self::first_copies::FirstCopies;
use self::first_pieces::FirstPieces;
use self::geometry::Geometry;
use self::hashes::Trees;
use self::layers::Layers;
use self::leaves::Desk;
pub(crate) use self::leaves::swarm_of;
use self::links::Dialled;
pub(crate) use self::links::HANDSHAKE_DEADLINE;
use self::metadata::Metadata;
pub(crate) use self::names::Names;
use self::peer::Peer;
pub(crate) use self::picker::Slot;
use self::picker::{GiverId, Picker};
use super::home::{News, Turn};
use super::rates::Meter;
use super::request::{Order, SwarmStatus};
use super::trackers::Standing;
use super::{Encryption, Timer};
use crate::wire::metainfo::Metainfo;

/// The number of a swarm in a node; never used twice.
pub(crate) type SwarmId = u32;

/// How often a swarm that has anything to do looks around.
const BEAT: Span = Span::from_secs(1);
/// Connected peers that a status names.
const STATUS_PEERS_MAX: usize = 40;
/// What is wanted is at least this while it is not known.
const LEFT_UNKNOWN: u64 = 16 << 10;

/// A fetch that this swarm works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub(crate) op: OpId,
    pub(crate) lease: LeaseId,
    pub(crate) share: ShareId,
    /// The engine has said what it wants.
    leased: bool,
    /// It has been reported done; what the lease still asks for is fetched all the same.
    pub(crate) done: bool,
}

/// What we give.
#[derive(Debug)]
struct Offer {
    /// The publishes of it.
    ops: Vec<OpId>,
    share: ShareId,
    have: Bits,
}

/// What is known of the torrent.
#[derive(Debug)]
struct Torrent {
    metainfo: Metainfo,
    geometry: Geometry,
}

/// One torrent.
#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) id: SwarmId,
    /// What it goes by in this node, whatever other names become known.
    pub(crate) info_hash: [u8; 20],
    names: Names,
    peer_id: [u8; 20],
    torrent: Option<Torrent>,
    metadata: Metadata,
    /// The info dictionary is known, and these are missing.
    layers: Option<Box<Layers>>,
    trees: Trees,
    /// Leaves that others ask for.
    desk: Desk,
    /// Pieces whose leaves we ask for.
    doubts: Doubts,
    /// Counts what is read from the disk for either.
    reads: u32,
    /// What a magnet link named beside the info hash.
    tiers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    fetch: Option<Fetch>,
    /// What of it other networks bring.
    others: Others,
    offers: Vec<Offer>,
    /// What any of the offers has.
    have: Bits,
    first_copies: FirstCopies,
    first_pieces: FirstPieces,
    picker: Picker,
    order: Order,
    /// How often each piece was shown, while we show them one by one.
    super_seeding: Option<Vec<u16>>,
    /// Peers who could introduce us to others, and which of our connections they were.
    relays: Map<SocketAddr, (Slot, GiverId)>,
    peers: Vec<Option<Box<Peer>>>,
    connected: usize,
    dials: Map<ConnId, Dialled>,
    candidates: Candidates,
    blame: Blame,
    givers: u32,
    down: Meter,
    up: Meter,
    optimistic: Option<Slot>,
    began: Time,
    next_choke: Time,
    next_rotation: Time,
    next_look: Time,
    next_hunger: Time,
    /// When it looks around next.
    beat_at: Option<Time>,
}

impl Swarm {
    pub(crate) fn new(id: SwarmId, names: Names, t: &mut Turn<'_, '_>) -> Self {
        let now = t.now();
        let config = &t.home.config;
        let mut peer_id = *b"-HX0010-............";
        t.cx.dice.fill(&mut peer_id[8..]);
        let nothing = Geometry { piece_bytes: 1, total_bytes: 0, pieces: 0, short: None };
        Self {
            id,
            info_hash: names.shorts().next().unwrap_or_default(),
            names,
            peer_id,
            torrent: None,
            metadata: Metadata::default(),
            layers: None,
            trees: Trees::default(),
            desk: Desk::default(),
            doubts: Doubts::default(),
            reads: 0,
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            fetch: None,
            others: Others::default(),
            offers: Vec::new(),
            have: Bits::new(0),
            first_copies: FirstCopies::new(0),
            first_pieces: FirstPieces::default(),
            picker: Picker::new(nothing, config.picking),
            order: Order::default(),
            super_seeding: None,
            relays: Map::new(),
            peers: Vec::new(),
            connected: 0,
            dials: Map::new(),
            candidates: Candidates::new(config.swarm_peers_max),
            blame: Blame::default(),
            givers: 0,
            down: Meter::new(config.rate_window, now),
            up: Meter::new(config.rate_window, now),
            optimistic: None,
            began: now,
            next_choke: now + config.choke_interval,
            next_rotation: now + config.optimistic_interval,
            next_look: now + config.optimistic_interval,
            next_hunger: now + Span::from_secs(5),
            beat_at: None,
        }
    }

    /// All names that it goes by in 20 bytes, that of the node first.
    pub(crate) fn hashes(&self) -> Vec<[u8; 20]> {
        let own = self.info_hash;
        std::iter::once(own).chain(self.names.shorts().filter(|hash| *hash != own)).collect()
    }

    /// Learns names, of a link or of a torrent that has one of its own.
    pub(crate) fn learn(&mut self, names: &Names) {
        self.names = Names { v1: self.names.v1.or(names.v1), v2: self.names.v2.or(names.v2) };
    }

    /// Whether whom we know by that name speaks version 2, where others of the torrent may not.
    pub(crate) fn is_v2(&self, hash: &[u8; 20]) -> bool {
        self.names.v2_short().is_some_and(|short| short == *hash)
    }

    /// The metadata, once known.
    pub(crate) fn metainfo(&self) -> Option<&Metainfo> {
        self.torrent.as_ref().map(|torrent| &torrent.metainfo)
    }

    /// The trackers to ask: of the torrent, and of the link.
    pub(crate) fn tiers(&self) -> Vec<Vec<String>> {
        let known = self.metainfo().map(|metainfo| metainfo.tiers.clone()).unwrap_or_default();
        if known.is_empty() { self.tiers.clone() } else { known }
    }

    /// Whether it is known to be private (BEP 27).
    pub(crate) fn is_private(&self) -> bool {
        self.metainfo().is_some_and(|metainfo| metainfo.info.private)
    }

    /// The fetch that it works for.
    pub(crate) const fn fetch(&self) -> Option<&Fetch> {
        self.fetch.as_ref()
    }

    /// Whether there is neither a fetch under way nor a publish.
    pub(crate) fn is_idle(&self) -> bool {
        self.offers.iter().all(|offer| offer.ops.is_empty()) && self.fetch.is_none_or(|fetch| fetch.done)
    }

    /// All operations that it is there for.
    pub(crate) fn operations(&self) -> Vec<OpId> {
        let fetch = self.fetch.filter(|fetch| !fetch.done).map(|fetch| fetch.op);
        fetch.into_iter().chain(self.offers.iter().flat_map(|offer| offer.ops.iter().copied())).collect()
    }

    pub(crate) fn has_share(&self, share: ShareId) -> bool {
        self.offers.iter().any(|offer| offer.share == share) || self.fetch.is_some_and(|fetch| fetch.share == share)
    }

    /// Whether we have all that we want of it, and so have nothing to take from seeds.
    pub(crate) fn is_seeding(&self) -> bool {
        self.torrent.is_some() && self.fetch.is_none_or(|fetch| fetch.leased && self.picker.is_done())
    }

    /// A fetch begins.
    pub(crate) fn begin_fetch(&mut self, op: OpId, lease: LeaseId, share: ShareId, t: &mut Turn<'_, '_>) {
        self.others = Others::default();
        self.picker.bring_elsewhere(&hexad_content::Ranges::new());
        self.fetch = Some(Fetch { op, lease, share, leased: false, done: false });
        if let Some(torrent) = &self.torrent {
            t.out.report(op, Progress::Described(Box::new(torrent.metainfo.description())));
        }
        self.look_alive(t);
    }

    /// What a magnet link says beside the info hash.
    pub(crate) fn take_link(&mut self, tiers: Vec<Vec<String>>, web_seeds: Vec<String>) {
        self.tiers = tiers;
        self.web_seeds = web_seeds;
    }

    /// Gives a share on from now on.
    pub(crate) fn begin_publish(&mut self, op: OpId, id: ShareId, share: &Share, t: &mut Turn<'_, '_>) {
        self.adopt(id, share, t);
        if let Some(offer) = self.offers.iter_mut().find(|offer| offer.share == id) {
            offer.ops.push(op);
        }
        self.look_alive(t);
    }

    /// Takes in what a share has, and tells peers of it.
    fn adopt(&mut self, id: ShareId, share: &Share, t: &mut Turn<'_, '_>) {
        let Some(torrent) = &self.torrent else { return };
        let geometry = torrent.geometry.clone();
        let index = self.offers.iter().position(|offer| offer.share == id).unwrap_or_else(|| {
            self.offers.push(Offer { ops: Vec::new(), share: id, have: Bits::new(geometry.pieces) });
            self.offers.len() - 1
        });
        let mut fresh = Vec::new();
        for piece in 0..geometry.pieces {
            if share.held.covers(geometry.range(piece)) && self.offers[index].have.set(piece) && self.have.set(piece) {
                fresh.push(piece);
            }
        }
        self.announce_pieces(&fresh, t);
    }

    /// In which order it is fetched from now on.
    pub(crate) fn set_order(&mut self, order: Order) {
        self.picker.set_order(order.sequential, &order.first, &order.last);
        self.order = order;
    }

    /// Somebody reads there, or nobody any more.
    pub(crate) fn set_reader(&mut self, bytes: Option<&std::ops::Range<u64>>, t: &mut Turn<'_, '_>) {
        self.picker.set_reader(bytes);
        self.stir(t);
    }

    /// Ends what an operation asked for; true when it was one of this swarm's.
    pub(crate) fn cancel(&mut self, op: OpId, t: &mut Turn<'_, '_>) -> bool {
        if self.fetch.is_some_and(|fetch| fetch.op == op && !fetch.done) {
            self.end_fetch(t);
            return true;
        }
        let Some(index) = self.offers.iter().position(|offer| offer.ops.contains(&op)) else { return false };
        self.offers[index].ops.retain(|&other| other != op);
        let needed = self.fetch.is_some_and(|fetch| fetch.share == self.offers[index].share);
        if self.offers[index].ops.is_empty() && !needed {
            self.withdraw(index, t);
        }
        true
    }

    /// The fetch is over before its end.
    fn end_fetch(&mut self, t: &mut Turn<'_, '_>) {
        let Some(fetch) = self.fetch.take() else { return };
        self.want(&hexad_content::Ranges::new(), t);
        if let Some(index) = self.offers.iter().position(|offer| offer.share == fetch.share && offer.ops.is_empty()) {
            self.withdraw(index, t);
        }
    }

    fn withdraw(&mut self, index: usize, t: &mut Turn<'_, '_>) {
        self.offers.remove(index);
        let pieces = self.have.len();
        let before = std::mem::replace(&mut self.have, Bits::new(pieces));
        for offer in &self.offers {
            for piece in offer.have.iter() {
                self.have.set(piece);
            }
        }
        self.reject_what_is_gone(t);
        if !self.is_idle() {
            self.tell_what_is_gone(&before, t);
        }
    }

    /// Leaves: every connection is closed.
    pub(crate) fn leave(&mut self, t: &mut Turn<'_, '_>) {
        for peer in self.peers.drain(..).flatten() {
            t.close(peer.conn, "swarm_left");
        }
        self.connected = 0;
        for (conn, dialled) in std::mem::take(&mut self.dials) {
            t.home.half_open -= usize::from(!dialled.opened);
            t.close(conn, "swarm_left");
        }
    }

    /// Peers were named, by the user or by a peer; dials as many as may be, at once.
    pub(crate) fn add_peers(&mut self, peers: impl IntoIterator<Item = (Endpoint, bool)>, origin: Origin, t: &mut Turn<'_, '_>) {
        let v2 = self.names.v1.is_none();
        self.add_peers_of(v2, peers, origin, t);
    }

    /// Peers were named as those who are found by the name of version 2, or by the other one.
    pub(crate) fn add_peers_of(
        &mut self,
        v2: bool,
        peers: impl IntoIterator<Item = (Endpoint, bool)>,
        origin: Origin,
        t: &mut Turn<'_, '_>,
    ) {
        if self.is_private() && !matches!(origin, Origin::Given | Origin::Tracker | Origin::Met) {
            return;
        }
        for (peer, seed) in peers {
            if peer.socket().is_some_and(|socket| t.home.bans.has(socket) || socket.port() == 0 || t.home.is_us(socket)) {
                continue;
            }
            if origin.is_hearsay() && self.candidates.host_is_full(&peer) {
                t.drop_note("peer_ports_many", &peer);
                continue;
            }
            self.candidates.add(peer, origin, seed, v2);
        }
        self.look_alive(t);
    }

    /// A private torrent talks to another tracker (BEP 27).
    pub(crate) fn forget_tracker_peers(&mut self, t: &mut Turn<'_, '_>) {
        self.candidates.forget_tracker_peers();
        let slots: Vec<Slot> = self.peers.iter().flatten().map(|peer| peer.slot).collect();
        for slot in slots {
            self.part(slot, "tracker_switched", t);
        }
    }

    /// Sees to it that the swarm is woken, and dials.
    fn look_alive(&mut self, t: &mut Turn<'_, '_>) {
        self.dial(t);
        let soon = t.cx.now + BEAT;
        let busy = self.connected > 0 || !self.dials.is_empty() || self.fetch.is_some_and(|fetch| !fetch.done);
        // Who only waits for somebody to be dialled again sleeps until then.
        let at = if busy { Some(soon) } else { self.candidates.next_ready(self.is_seeding()).map(|at| at.max(soon)) };
        if let Some(at) = at.filter(|&at| self.beat_at.is_none_or(|beat| at < beat)) {
            self.beat_at = Some(at);
            t.out.wake(at, Timer::Swarm(self.id));
        }
    }

    /// A wake that was asked for has come.
    pub(crate) fn beat(&mut self, t: &mut Turn<'_, '_>) {
        let now = t.now();
        if self.beat_at.is_some_and(|at| at > now) {
            // There was cause to look around earlier than this was asked for, and it was done.
            return;
        }
        self.beat_at = None;
        self.look_at_links(t);
        self.look_at_requests(t);
        self.look_at_metadata(t);
        self.look_at_layers(t);
        self.look_at_doubts(t);
        self.exchange_peers(t);
        self.look_at_what_is_shown(t);
        if now >= self.next_choke {
            self.next_choke = now + t.home.config.choke_interval;
            self.choke_round(t);
        }
        if now >= self.next_look {
            self.next_look = now + t.home.config.optimistic_interval;
            self.drop_those_who_give_nothing(t);
        }
        self.first_pieces.look_at_rate(&mut self.up, now);
        self.go_on_after_first_pieces(t);
        if now >= self.next_hunger && !self.is_seeding() && self.connected < 5 && !self.candidates.has_ready(now) {
            self.next_hunger = now + Span::from_secs(30);
            t.home.news.push(News::Hungry(self.info_hash));
        }
        self.look_alive(t);
    }

    /// What trackers are told.
    pub(crate) fn standing(&self, listen: Option<SocketAddr>, encryption: Encryption) -> Standing {
        let left = match &self.torrent {
            None => LEFT_UNKNOWN,
            Some(torrent) if self.fetch.is_some_and(|fetch| !fetch.leased) => torrent.geometry.total_bytes.max(1),
            Some(torrent) => self.picker.needed().iter().map(|piece| u64::from(torrent.geometry.bytes(piece))).sum(),
        };
        Standing {
            peer_id: self.peer_id,
            listen,
            uploaded: self.up.total(),
            downloaded: self.down.total(),
            left,
            peers_wanted: if self.is_seeding() { 50 } else { 200 },
            obfuscation: encryption != Encryption::Off,
        }
    }

    /// Figures for whoever watches. What trackers say is added by the node.
    pub(crate) fn status(&mut self, now: Time) -> SwarmStatus {
        let seeds = self.peers.iter().flatten().filter(|peer| peer.is_seed()).count();
        let fetch = self.fetch;
        let own = u32::from(self.torrent.is_some() && self.have.is_full());
        SwarmStatus {
            info_hash: self.info_hash,
            share: fetch.map(|fetch| fetch.share).or_else(|| self.offers.first().map(|offer| offer.share)),
            lease: fetch.map(|fetch| fetch.lease),
            peers_connected: self.connected,
            seeds_connected: seeds,
            peers: self.peers.iter().flatten().take(STATUS_PEERS_MAX).map(|peer| (peer.remote.clone(), peer.is_seed())).collect(),
            peers_known: self.candidates.len(),
            downloaded_bytes: self.down.total(),
            uploaded_bytes: self.up.total(),
            down_bytes_per_s: self.down.per_second(now),
            up_bytes_per_s: self.up.per_second(now),
            tracker_seeds: None,
            tracker_leechers: None,
            rarest_copies: self.picker.rarest_copies() + own,
        }
    }

    /// Where connected peers listen, with what is known of them: for peer exchange and for hits.
    pub(crate) fn connected_peers(&self) -> Vec<SocketAddr> {
        self.peers.iter().flatten().filter_map(|peer| peer.listen).collect()
    }

    fn peer(&mut self, slot: Slot) -> Option<&mut Peer> {
        self.peers.get_mut(slot as usize)?.as_deref_mut()
    }
}
