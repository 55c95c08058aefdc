//! Connections of a swarm: dialling, handshakes, who is let in, who leaves, and when.

use hexad_core::{ConnId, Dial, Endpoint, Level, Output, Span, Time, Transport, Why};

use super::candidates::{Next, Origin};
use super::peer::Peer;
use super::super_seeding::Shown;
use super::{Slot, Swarm};
use crate::doors;
use crate::node::config::{Encryption, Utp};
use crate::node::home::{Place, Turn};
use crate::node::priority::priority;
use crate::wire::extended::our_extensions;
use crate::wire::{ExtendedHandshake, Handshake, Message, manner, reserved};

/// For a TCP connection.
const DIAL_DEADLINE: Span = Span::from_secs(10);
/// For a uTP connection: libtorrent waits 3 s and sends its SYN three times.
const UTP_DIAL_DEADLINE: Span = Span::from_secs(6);
/// For a handshake after that.
pub(crate) const HANDSHAKE_DEADLINE: Span = Span::from_secs(10);
/// The same where the peer may not speak MSE, and is tried in clear then.
const OBFUSCATED_DEADLINE: Span = Span::from_secs(5);
/// libtorrent drops whom it has not heard for two minutes.
const KEEP_ALIVE: Span = Span::from_secs(100);
const SILENCE_MAX: Span = Span::from_secs(180);
/// Neither side wants anything of the other.
const DISINTEREST_MAX: Span = Span::from_secs(600);
/// Before a peer is dialled again that we have lost.
const PAUSE_GOOD: Span = Span::from_secs(5);
const PAUSE: Span = Span::from_secs(60);
/// A newcomer may take the place of a useless connection that is at least so old.
const USELESS_AFTER: Span = Span::from_secs(60);

/// A connection of ours that has not finished its handshake.
#[derive(Clone, Debug)]
pub(super) struct Dialled {
    /// As it is known: maybe by name.
    peer: Endpoint,
    /// Where that led.
    remote: Endpoint,
    manner: u8,
    /// Under which name.
    info_hash: [u8; 20],
    utp: bool,
    pub(super) opened: bool,
    /// By the other way somebody had taken the connection, and closed it without a word.
    refused_before: bool,
    since: Time,
}

impl Dialled {
    /// What to try next when nobody was reached this way, or whoever took the connection closed it without a word, as boxes in between do: `None` where both
    /// ways have been tried.
    fn other_way(&self, utp: Utp, why: &Why) -> Option<bool> {
        let first = utp == Utp::First;
        let failed = !self.opened || matches!(why, Why::PeerClosed | Why::Broken);
        (utp != Utp::Off && failed && self.utp == first && self.peer.socket().is_some()).then_some(!first)
    }
}

impl Peer {
    /// Sends a message.
    pub(super) fn say(&mut self, message: Message, t: &mut Turn<'_, '_>) {
        self.said = t.cx.now;
        t.out.send_to(self.conn, message);
    }
}

impl Swarm {
    /// Dials whom it may. At first half of the places are left to those who come, where anybody can: if the first of a crowd filled theirs with each other,
    /// what they have would be long on its way to the later ones.
    pub(super) fn dial(&mut self, t: &mut Turn<'_, '_>) {
        let seeding = self.is_seeding();
        let config = &t.home.config;
        let fresh = config.listen.is_some() && t.cx.now.since(self.began) < config.optimistic_interval;
        let places = if fresh { config.swarm_connections_max.div_ceil(2) } else { config.swarm_connections_max };
        while t.home.has_room() && t.home.half_open < t.home.config.half_open_max && self.connected + self.dials.len() < places {
            let own = |v4| t.home.own_address(v4);
            let Some(Next { peer, plain, v2 }) = self.candidates.next(seeding, own, t.cx.now, t.cx.dice) else { break };
            let manner = t.home.config.encryption.manner(plain);
            let info_hash = match self.names.v2_short() {
                Some(short) if v2 => short,
                _ => self.names.v1.unwrap_or(self.info_hash),
            };
            let utp = t.home.config.utp == Utp::First && peer.socket().is_some();
            self.open(peer, manner, info_hash, utp, t);
        }
    }

    pub(super) fn open(&mut self, peer: Endpoint, manner: u8, info_hash: [u8; 20], utp: bool, t: &mut Turn<'_, '_>) -> ConnId {
        let conn = t.cx.new_conn();
        let secret = info_hash.to_vec().into();
        let (transport, deadline) =
            if utp { (Transport::Utp(doors::DATAGRAMS), UTP_DIAL_DEADLINE) } else { (Transport::Tcp, DIAL_DEADLINE) };
        let dial = Dial { transport, deadline, manner, secret };
        t.out.push(Output::Open(conn, peer.clone(), dial));
        t.home.half_open += 1;
        t.home.places.insert(conn, Place::Dialling(self.id));
        let (remote, since) = (peer.clone(), t.cx.now);
        self.dials.insert(conn, Dialled { peer, remote, manner, info_hash, utp, opened: false, refused_before: false, since });
        conn
    }

    /// `obfuscated` is how the connection is spoken, as the other end will read it.
    fn handshake(&self, info_hash: [u8; 20], obfuscated: bool, t: &Turn<'_, '_>) -> Message {
        // Who hears the hash of version 1 of a hybrid may answer with the other one.
        let upgrade = self.names.are_both() && self.speaks_v2() && !self.is_v2(&info_hash);
        let reserved = reserved::ours(t.home.config.dht && !self.is_private(), upgrade);
        Message::Handshake(Handshake { reserved, info_hash, peer_id: self.peer_id, obfuscated })
    }

    /// A dial has succeeded: we speak first.
    pub(crate) fn on_opened(&mut self, conn: ConnId, remote: Endpoint, t: &mut Turn<'_, '_>) {
        let how = self.dials.get(&conn).map(|dialled| (dialled.info_hash, dialled.manner != manner::PLAIN));
        let Some((info_hash, obfuscated)) = how else { return };
        let handshake = self.handshake(info_hash, obfuscated, t);
        let Some(dialled) = self.dials.get_mut(&conn).filter(|dialled| !dialled.opened) else { return };
        dialled.opened = true;
        dialled.remote = remote;
        dialled.since = t.cx.now;
        t.home.half_open -= 1;
        t.out.send_to(conn, handshake);
    }

    /// A dial has failed, or the connection broke before the peer's handshake.
    pub(crate) fn on_dial_closed(&mut self, conn: ConnId, why: &Why, t: &mut Turn<'_, '_>) {
        t.home.places.remove(&conn);
        let Some(dialled) = self.dials.remove(&conn) else { return };
        t.home.half_open -= usize::from(!dialled.opened);
        self.dial_failed(dialled, why, t);
    }

    fn dial_failed(&mut self, dialled: Dialled, why: &Why, t: &mut Turn<'_, '_>) {
        t.out.note(Level::Debug, "dial_failed", Some(dialled.peer.clone()), format!("{why:?}"));
        // Somebody is there, and does not speak MSE, it seems: in clear at once.
        if dialled.opened && dialled.manner == manner::OBFUSCATED {
            self.candidates.speaks_plain(&dialled.peer);
            if t.home.half_open < t.home.config.half_open_max {
                let conn = self.open(dialled.peer, manner::PLAIN, dialled.info_hash, dialled.utp, t);
                self.dials.entry(conn).and_modify(|next| next.refused_before = dialled.refused_before);
            } else {
                self.candidates.closed(&dialled.peer, Span::ZERO, t.cx.now);
                self.look_alive(t);
            }
            return;
        }
        let refused = dialled.opened || dialled.refused_before;
        if let Some(utp) = dialled.other_way(t.home.config.utp, why)
            && t.home.half_open < t.home.config.half_open_max
        {
            // Who has closed it in clear may be somebody else than whom this leads to.
            let manner = if dialled.opened { t.home.config.encryption.manner(false) } else { dialled.manner };
            let conn = self.open(dialled.peer, manner, dialled.info_hash, utp, t);
            self.dials.entry(conn).and_modify(|next| next.refused_before = refused);
            return;
        }
        // It may know a hybrid by its other name only.
        if refused && self.names.are_both() {
            self.candidates.goes_by_the_other_name(&dialled.peer);
        }
        if dialled.opened || !self.ask_to_be_introduced(&dialled.peer, t) {
            self.candidates.failed(&dialled.peer, t.cx.now);
        } else {
            self.candidates.closed(&dialled.peer, PAUSE, t.cx.now);
        }
        self.look_alive(t);
    }

    /// The handshake of whom we have dialled.
    pub(crate) fn on_handshake(&mut self, conn: ConnId, handshake: &Handshake, t: &mut Turn<'_, '_>) {
        let Some(dialled) = self.dials.remove(&conn) else { return };
        let upgraded = self.speaks_v2() && self.is_v2(&handshake.info_hash);
        if !dialled.opened || (handshake.info_hash != dialled.info_hash && !upgraded) {
            t.home.half_open -= usize::from(!dialled.opened);
            t.drop_note("handshake_other_torrent", &dialled.peer);
            t.close(conn, "handshake_other_torrent");
            self.candidates.failed(&dialled.peer, t.cx.now);
            return;
        }
        self.welcome(conn, dialled.remote, Some(dialled.peer), dialled.utp, handshake, t);
    }

    /// Whom we have dialled begins with something else.
    pub(crate) fn on_no_handshake(&mut self, conn: ConnId, t: &mut Turn<'_, '_>) {
        t.close(conn, "handshake_missing");
        let Some(dialled) = self.dials.remove(&conn) else { return };
        t.home.half_open -= usize::from(!dialled.opened);
        t.drop_note("handshake_missing", &dialled.peer);
        self.candidates.failed(&dialled.peer, t.cx.now);
        self.look_alive(t);
    }

    /// A peer has said who it is. It is let in, or its connection is closed.
    /// `dialled` is under which name we have dialled it, if it was us who did.
    pub(crate) fn welcome(
        &mut self,
        conn: ConnId,
        remote: Endpoint,
        dialled: Option<Endpoint>,
        utp: bool,
        handshake: &Handshake,
        t: &mut Turn<'_, '_>,
    ) {
        let outgoing = dialled.is_some();
        let refusal = self.refusal(&remote, outgoing, handshake, t);
        if let Some(why) = refusal {
            t.out.note(Level::Debug, why, Some(remote.clone()), "");
            t.close(conn, why);
            if let Some(known_as) = dialled {
                // Others will name that address again and again.
                if let (Some(socket), "connected_to_ourselves") = (remote.socket(), why) {
                    t.home.met_ourselves(socket);
                }
                match why {
                    "connected_to_ourselves" | "peer_banned" => self.candidates.remove(&known_as),
                    _ => self.candidates.closed(&known_as, PAUSE, t.cx.now),
                }
            }
            self.look_alive(t);
            return;
        }
        let free = self.peers.iter().position(Option::is_none).unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        let Ok(slot) = Slot::try_from(free) else {
            t.close(conn, "swarm_full");
            return;
        };
        self.givers += 1;
        let window = t.home.config.rate_window;
        let mut peer = Peer::new((conn, slot, self.givers), remote, dialled, handshake, window, t.cx.now);
        peer.utp = utp;
        t.home.places.insert(conn, Place::Peer(self.id, slot));
        if let Some(known_as) = &peer.known_as {
            self.candidates.connected(known_as);
        }
        // Who says by the hash of version 1 that it speaks version 2 as well is answered with the other one (BEP 52, *upgrade path*).
        let named = match self.names.v2_short() {
            Some(short) if !outgoing && reserved::v2(&handshake.reserved) && self.speaks_v2() => short,
            _ => handshake.info_hash,
        };
        peer.v2 = self.is_v2(&named);
        if !outgoing {
            let ours = self.handshake(named, handshake.obfuscated, t);
            peer.say(ours, t);
        }
        if let Some(torrent) = &self.torrent {
            peer.bits = super::Bits::new(torrent.geometry.pieces);
        }
        let first = match (self.have.count(), peer.fast) {
            _ if self.is_super_seeding() => {
                peer.shown = Some(Shown::default());
                peer.fast.then_some(Message::HaveNone)
            }
            (0, true) => Some(Message::HaveNone),
            (0, false) => None,
            (_, true) if self.have.is_full() => Some(Message::HaveAll),
            _ => Some(Message::Bitfield(self.have.to_wire())),
        };
        if let Some(first) = first {
            peer.say(first, t);
        }
        if peer.extended {
            let ours = self.extended_handshake(&peer, t);
            peer.say(ours, t);
        }
        if peer.dht
            && t.home.config.dht
            && !self.is_private()
            && let Some(listen) = t.home.listen
        {
            peer.say(Message::Port(listen.port()), t);
        }
        self.peers[free] = Some(Box::new(peer));
        self.connected += 1;
        self.look_alive(t);
    }

    /// Why a peer is not let in. Makes room where that is right.
    fn refusal(&mut self, remote: &Endpoint, outgoing: bool, handshake: &Handshake, t: &mut Turn<'_, '_>) -> Option<&'static str> {
        if handshake.peer_id == self.peer_id {
            return Some("connected_to_ourselves");
        }
        if t.home.bans.has_id(&handshake.peer_id) || remote.socket().is_some_and(|socket| t.home.bans.has(socket)) {
            return Some("peer_banned");
        }
        let twin = self.peers.iter().flatten().find(|peer| peer.id == handshake.peer_id).map(|peer| (peer.slot, peer.outgoing));
        if let Some((slot, twin_outgoing)) = twin {
            // When both have dialled each other, both must drop the same connection: that of the greater id stays closed.
            let ours_stays = self.peer_id < handshake.peer_id;
            if outgoing == twin_outgoing || outgoing != ours_stays {
                return Some("connected_twice");
            }
            self.part(slot, "connected_twice", t);
        }
        if self.connected >= t.home.config.swarm_connections_max {
            let leaves = self.most_useless(t.cx.now).or_else(|| self.least_preferred(remote, t));
            let Some(useless) = leaves else { return Some("swarm_full") };
            self.part(useless, "made_room", t);
        }
        None
    }

    /// The connection that is missed least, if there is one that is not missed at all.
    fn most_useless(&self, now: Time) -> Option<Slot> {
        let useless = |peer: &Peer| peer.needs == 0 && peer.choked && !peer.interested && now.since(peer.since) >= USELESS_AFTER;
        self.peers.iter().flatten().filter(|peer| useless(peer)).min_by_key(|peer| peer.heard).map(|peer| peer.slot)
    }

    /// The connection of the lowest priority (BEP 40) among those that bring and take nothing, where it is lower than that of who has come: who is full
    /// everywhere keeps those whom chance alone would not have joined.
    fn least_preferred(&self, newcomer: &Endpoint, t: &Turn<'_, '_>) -> Option<Slot> {
        let own = t.home.own_address(newcomer.ip()?.to_canonical().is_ipv4())?;
        let rank = |remote: &Endpoint| remote.socket().map(|socket| priority(own, socket));
        let floor = rank(newcomer)?;
        let resting = |peer: &Peer| {
            let gives = !peer.choking_us && peer.we_want;
            let takes = !peer.choked && peer.interested;
            !gives && !takes && peer.requests.is_empty() && t.cx.now.since(peer.since) >= USELESS_AFTER
        };
        let ranked = self.peers.iter().flatten().filter(|peer| resting(peer)).filter_map(|peer| Some((rank(&peer.remote)?, peer.slot)));
        ranked.min().filter(|(lowest, _)| *lowest < floor).map(|(_, slot)| slot)
    }

    pub(super) fn extended_handshake(&self, peer: &Peer, t: &Turn<'_, '_>) -> Message {
        let config = &t.home.config;
        let private = self.is_private();
        let metadata_bytes = self.metainfo().and_then(|metainfo| u32::try_from(metainfo.info.bytes.len()).ok());
        Message::from(ExtendedHandshake {
            extensions: our_extensions(config.pex && !private, config.utp != Utp::Off && !private),
            client: Some(concat!("Hexad ", env!("CARGO_PKG_VERSION")).to_owned()),
            listen_port: t.home.listen.map(|listen| listen.port()),
            // Who hides behind a proxy says nothing of where it is and whom it sees.
            your_ip: peer.remote.ip().filter(|_| t.home.listen.is_some()),
            // To who is known by IPv6 it says nothing.
            ipv6: peer.remote.ip().filter(|ip| ip.to_canonical().is_ipv4()).and(t.home.seen_as.ipv6()).filter(|_| t.home.listen.is_some()),
            requests_max: Some(config.requests_max),
            metadata_bytes,
            upload_only: (self.torrent.is_some() && self.is_seeding() && peer.shown.is_none()).then_some(true),
            prefers_obfuscation: (config.encryption != Encryption::Off).then_some(true),
        })
    }

    /// Where a peer listens has become known.
    pub(super) fn listens_at(&mut self, slot: Slot, port: u16, t: &mut Turn<'_, '_>) {
        let Some(peer) = self.peer(slot) else { return };
        let v2 = peer.v2;
        let Some(socket) = peer.remote.socket().filter(|_| port != 0 && !peer.outgoing) else { return };
        let listen = std::net::SocketAddr::new(socket.ip(), port);
        peer.listen = Some(listen);
        let endpoint = Endpoint::Ip(listen);
        if t.home.bans.has(listen) {
            return self.part(slot, "peer_banned", t);
        }
        if let Some(peer) = self.peer(slot)
            && peer.known_as.is_none()
        {
            peer.known_as = Some(endpoint.clone());
            self.candidates.add(endpoint.clone(), Origin::Met, false, v2);
            self.candidates.connected(&endpoint);
        }
    }

    /// Closes a peer's connection.
    pub(super) fn part(&mut self, slot: Slot, why: &'static str, t: &mut Turn<'_, '_>) {
        if let Some(peer) = self.peer(slot) {
            let conn = peer.conn;
            t.close(conn, why);
            self.forget(slot, t);
        }
    }

    /// Closes it for what the peer did.
    pub(super) fn part_for_nonsense(&mut self, slot: Slot, why: &'static str, t: &mut Turn<'_, '_>) {
        if let Some(peer) = self.peer(slot) {
            let remote = peer.remote.clone();
            t.drop_note(why, &remote);
            self.part(slot, why, t);
        }
    }

    /// A peer lied about data: nobody at its address is spoken to any more.
    pub(super) fn ban(&mut self, slot: Slot, code: &'static str, t: &mut Turn<'_, '_>) {
        let Some(peer) = self.peer(slot) else { return };
        let (remote, known_as, place, id) = (peer.remote.clone(), peer.known_as.clone(), peer.place(), peer.id);
        t.out.note(Level::Ban, code, Some(remote), "");
        let Some(place) = place else { return self.part(slot, code, t) };
        t.home.bans.add(place, id);
        self.part(slot, code, t);
        if let Some(known_as) = known_as {
            self.candidates.remove(&known_as);
        }
        let same: Vec<Slot> = self
            .peers
            .iter()
            .flatten()
            .filter(|peer| peer.place().is_some_and(|place| t.home.bans.has(place)))
            .map(|peer| peer.slot)
            .collect();
        for slot in same {
            self.part(slot, "peer_banned", t);
        }
    }

    /// A peer's connection is over.
    pub(crate) fn on_closed(&mut self, slot: Slot, why: &Why, t: &mut Turn<'_, '_>) {
        let Some(peer) = self.peer(slot) else { return };
        let (conn, remote) = (peer.conn, peer.remote.clone());
        match why {
            Why::Malformed(reason) => t.out.note(Level::Drop, "malformed", Some(remote), reason.clone()),
            Why::Overrun => t.out.note(Level::Drop, "overrun", Some(remote), ""),
            _ => t.out.note(Level::Debug, "closed", Some(remote), format!("{why:?}")),
        }
        t.home.places.remove(&conn);
        self.forget(slot, t);
    }

    fn forget(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        let Some(mut peer) = self.peers.get_mut(slot as usize).and_then(Option::take) else { return };
        self.connected -= 1;
        self.picker.peer_left(&peer.bits);
        let mut returned = false;
        peer.requests.forgive_all(|asked| {
            returned = true;
            self.picker.returned(slot, asked.piece, asked.block);
        });
        if let Some(piece) = peer.current {
            self.picker.disown(slot, piece);
        }
        if let Some(known_as) = &peer.known_as {
            let pause = if peer.down.total() > 0 || peer.up.total() > 0 { PAUSE_GOOD } else { PAUSE };
            self.candidates.closed(known_as, pause, t.cx.now);
            if peer.is_seed() {
                self.candidates.is_seed(known_as);
            }
        }
        if self.optimistic == Some(slot) {
            self.optimistic = None;
        }
        self.metadata.gone(slot);
        self.doubts.gone(slot);
        if let Some(layers) = &mut self.layers {
            layers.gone(slot);
        }
        if !peer.choked {
            self.fill_slots(t);
        }
        self.go_on_after_first_pieces(t);
        if returned {
            self.stir(t);
        }
        self.look_alive(t);
    }

    /// Once a second: deadlines and keep-alives.
    pub(super) fn look_at_links(&mut self, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        let deadline = |dialled: &Dialled| if dialled.manner == manner::OBFUSCATED { OBFUSCATED_DEADLINE } else { HANDSHAKE_DEADLINE };
        let late: Vec<ConnId> = self
            .dials
            .iter()
            .filter(|(_, dialled)| dialled.opened && now.since(dialled.since) >= deadline(dialled))
            .map(|(&conn, _)| conn)
            .collect();
        for conn in late {
            t.close(conn, "handshake_late");
            if let Some(dialled) = self.dials.remove(&conn) {
                self.dial_failed(dialled, &Why::TimedOut, t);
            }
        }
        let mut over: Vec<(Slot, &'static str)> = Vec::new();
        for peer in self.peers.iter_mut().flatten() {
            let idle = !peer.we_want && !peer.interested && now.since(peer.since) >= DISINTEREST_MAX;
            if now.since(peer.heard) >= SILENCE_MAX {
                over.push((peer.slot, "silent"));
            } else if idle && self.torrent.is_some() {
                over.push((peer.slot, "nobody_interested"));
            } else if now.since(peer.said) >= KEEP_ALIVE {
                peer.say(Message::KeepAlive, t);
            }
        }
        for (slot, why) in over {
            self.part(slot, why, t);
        }
    }
}
