//! What peers say, one message at a time, but for what moves blocks.

use hexad_core::{Endpoint, Level};

use super::bits::Bits;
use super::candidates::Origin;
use super::peer::{HINTS_MAX, Peer};
use super::{Slot, Swarm};
use crate::node::config::Encryption;
use crate::node::home::{News, Turn};
use crate::node::pex::{HOLE_PUNCH, PREFERS_OBFUSCATION, PexHeard, REACHABLE, SEED};
use crate::wire::metainfo::PIECES_MAX;
use crate::wire::{ExtendedHandshake, Message, Pex, PexPeer, allowed_fast_set};

/// Pieces that a poor peer may ask for while choked (libtorrent's `allowed_fast_set_size`); one that has more is not poor.
const ALLOWED_FAST: usize = 5;
/// Useless messages that one connection may send.
const NONSENSE_MAX: u32 = 500;
/// `have`s that are kept while we do not know how many pieces there are.
const EARLY_HAVES_MAX: usize = 10_000;

impl Swarm {
    /// A message of a peer.
    pub(crate) fn hears(&mut self, slot: Slot, message: Message, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        let Some(peer) = self.peer(slot) else { return };
        peer.heard = now;
        let (fast, v2) = (peer.fast, peer.v2);
        match message {
            Message::Piece { piece, begin, data } => self.on_block(slot, piece, begin, data, t),
            Message::Request(block) => self.on_request(slot, block, t),
            Message::Cancel(block) => self.on_cancel(slot, &block, t),
            Message::Have(piece) => self.on_have(slot, piece, t),
            Message::Bitfield(bytes) => self.on_bitfield(slot, bytes, t),
            Message::Choke => self.on_choke(slot, t),
            Message::Unchoke => self.on_unchoke(slot, t),
            Message::Interested => self.on_interested(slot, true, t),
            Message::NotInterested => self.on_interested(slot, false, t),
            Message::KeepAlive => {}
            Message::ExtendedHandshake(handshake) => self.on_extended_handshake(slot, &handshake, t),
            Message::Metadata(message) => self.on_metadata(slot, message, t),
            Message::Pex(pex) => self.on_pex(slot, &pex, t),
            Message::DontHave(piece) => self.on_dont_have(slot, piece, t),
            Message::UploadOnly(on) => {
                peer.upload_only = on;
                self.mind(slot, t);
            }
            Message::HolePunch(told) => self.on_hole_punch(slot, told, t),
            Message::Port(port) => {
                if let Some(ip) = self.peer(slot).and_then(|peer| peer.remote.ip())
                    && port != 0
                    && !self.is_private()
                {
                    t.home.news.push(News::DhtNode((ip, port).into()));
                }
            }
            Message::HashRequest(_) | Message::Hashes(..) | Message::HashReject(_) if !v2 => {
                self.part_for_nonsense(slot, "hashes_not_agreed", t);
            }
            Message::HashRequest(span) => self.on_hash_request(slot, &span, t),
            Message::Hashes(span, hashes) => self.on_hashes(slot, &span, &hashes, t),
            Message::HashReject(span) => self.on_hash_reject(slot, &span, t),
            Message::Unknown(..) => self.nonsense(slot, "message_unknown", t),
            Message::HaveAll | Message::HaveNone | Message::SuggestPiece(_) | Message::AllowedFast(_) | Message::RejectRequest(_)
                if !fast =>
            {
                self.part_for_nonsense(slot, "fast_not_agreed", t);
            }
            Message::HaveAll => self.on_all_or_nothing(slot, true, t),
            Message::HaveNone => self.on_all_or_nothing(slot, false, t),
            Message::SuggestPiece(piece) => self.on_hint(slot, piece, |peer| &mut peer.suggested, t),
            Message::AllowedFast(piece) => self.on_hint(slot, piece, |peer| &mut peer.allowed, t),
            Message::RejectRequest(block) => self.on_reject(slot, &block, t),
            Message::Handshake(_) => self.part_for_nonsense(slot, "handshake_again", t),
            // Not for connections; the codec does not read them there.
            Message::Krpc(_) | Message::Tracker(_) | Message::Lsd(_) => {}
        }
    }

    /// Counts a message that is of no use; too many of them cost the connection.
    pub(super) fn nonsense(&mut self, slot: Slot, code: &'static str, t: &mut Turn<'_, '_>) {
        let Some(peer) = self.peer(slot) else { return };
        peer.nonsense += 1;
        let (count, remote) = (peer.nonsense, peer.remote.clone());
        t.drop_note(code, &remote);
        if count > NONSENSE_MAX {
            self.part(slot, "nonsense", t);
        }
    }

    fn on_bitfield(&mut self, slot: Slot, bytes: bytes::Bytes, t: &mut Turn<'_, '_>) {
        let pieces = self.torrent.as_ref().map(|torrent| torrent.geometry.pieces);
        let Some(peer) = self.peer(slot) else { return };
        let again = std::mem::replace(&mut peer.told, true);
        match pieces {
            None if bytes.len() > PIECES_MAX / 8 => self.part_for_nonsense(slot, "bitfield_bad", t),
            None => peer.early.bitfield = Some(bytes),
            Some(pieces) => match Bits::from_wire(&bytes, pieces) {
                Some(bits) if again => self.has_more(slot, &bits, t),
                Some(bits) => self.has_these(slot, bits, t),
                None => self.part_for_nonsense(slot, "bitfield_bad", t),
            },
        }
    }

    fn on_all_or_nothing(&mut self, slot: Slot, all: bool, t: &mut Turn<'_, '_>) {
        let pieces = self.torrent.as_ref().map(|torrent| torrent.geometry.pieces);
        let Some(peer) = self.peer(slot) else { return };
        let again = std::mem::replace(&mut peer.told, true);
        match pieces {
            None => peer.early.all = all,
            Some(pieces) => {
                let bits = if all { Bits::full(pieces) } else { Bits::new(pieces) };
                if again { self.has_more(slot, &bits, t) } else { self.has_these(slot, bits, t) }
            }
        }
    }

    /// A peer has these pieces besides those that it has told. By the book a bitfield comes first or never, but aria2 sends it again in place of
    /// more than 20 `have`s, and `have all` when it has become a seed (1.36, `DefaultBtInteractive::checkHave`).
    fn has_more(&mut self, slot: Slot, bits: &Bits, t: &mut Turn<'_, '_>) {
        let Some(peer) = self.peer(slot) else { return };
        let more: Vec<u32> = bits.iter().filter(|&piece| !peer.bits.get(piece)).collect();
        if more.is_empty() {
            return self.nonsense(slot, "bitfield_again", t);
        }
        for piece in more {
            self.on_have(slot, piece, t);
        }
    }

    /// A peer has these pieces and no others.
    pub(super) fn has_these(&mut self, slot: Slot, bits: Bits, t: &mut Turn<'_, '_>) {
        self.picker.peer_joined(&bits);
        self.first_copies.seen(&bits);
        let needs = bits.count_with(self.picker.needed());
        let Some(peer) = self.peer(slot) else { return };
        peer.bits = bits;
        peer.needs = needs;
        peer.dry = false;
        if self.is_super_seeding() {
            self.show_next(slot, t);
        } else {
            self.allow_fast(slot, t);
        }
        self.mind(slot, t);
    }

    fn on_have(&mut self, slot: Slot, piece: u32, t: &mut Turn<'_, '_>) {
        let Some(pieces) = self.torrent.as_ref().map(|torrent| torrent.geometry.pieces) else {
            let Some(peer) = self.peer(slot) else { return };
            peer.told = true;
            if peer.early.haves.len() < EARLY_HAVES_MAX {
                peer.early.haves.push(piece);
            }
            return;
        };
        if piece >= pieces {
            return self.part_for_nonsense(slot, "have_out_of_range", t);
        }
        let Self { peers, picker, first_copies, .. } = self;
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        peer.told = true;
        if !peer.bits.set(piece) {
            return;
        }
        first_copies.seen_one(piece);
        picker.peer_has(piece, &peer.bits);
        let seed = peer.bits.is_full();
        let needed = picker.needed().get(piece);
        if needed {
            peer.needs += 1;
            peer.dry = false;
        }
        let wants_telling = seed || (needed && !peer.we_want);
        self.passed_on(slot, piece, t);
        if wants_telling {
            self.mind(slot, t);
        } else if needed {
            self.refill(slot, t);
        }
    }

    /// A peer has a piece no longer (BEP 54).
    fn on_dont_have(&mut self, slot: Slot, piece: u32, t: &mut Turn<'_, '_>) {
        let Some(pieces) = self.torrent.as_ref().map(|torrent| torrent.geometry.pieces) else {
            if let Some(peer) = self.peer(slot) {
                peer.early.haves.retain(|&have| have != piece);
            }
            return;
        };
        if piece >= pieces {
            return self.part_for_nonsense(slot, "dont_have_out_of_range", t);
        }
        let Self { peers, picker, .. } = self;
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        if !peer.bits.get(piece) {
            return self.nonsense(slot, "dont_have_again", t);
        }
        picker.peer_lost(piece, &peer.bits);
        peer.bits.clear(piece);
        peer.suggested.retain(|&other| other != piece);
        peer.allowed.retain(|&other| other != piece);
        if picker.needed().get(piece) {
            peer.needs = peer.needs.saturating_sub(1);
        }
        // Without the fast extension, what was asked for is dropped in silence.
        if !peer.fast {
            let gone: Vec<_> = peer.requests.iter().filter(|asked| asked.piece == piece).collect();
            for asked in gone {
                peer.requests.forgive(asked.piece, asked.block);
                picker.returned(slot, asked.piece, asked.block);
            }
        }
        self.mind(slot, t);
        self.stir(t);
    }

    /// Tells a peer whether it interests us, lets it go when neither can give the other anything, asks it for what it has.
    pub(super) fn mind(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        let seeding = self.is_seeding();
        // What is wanted will be known soon, and most of it is.
        let soon = self.fetch.is_some_and(|fetch| !fetch.leased && !fetch.done);
        let Some(peer) = self.peer(slot) else { return };
        // Who only gives (BEP 21) has all that it wants, as a seed has.
        if seeding && (peer.is_seed() || (peer.upload_only && !peer.interested)) {
            if let Some(known_as) = peer.known_as.clone() {
                self.candidates.is_seed(&known_as);
            }
            return self.part(slot, "both_complete", t);
        }
        let want = peer.needs > 0 || (soon && peer.bits.count() > 0);
        if want != peer.we_want {
            peer.we_want = want;
            peer.say(if want { Message::Interested } else { Message::NotInterested }, t);
        }
        self.refill(slot, t);
    }

    /// Tells a peer that has next to nothing what it may ask for while choked. No more peers than there are slots have that leave at a time: the
    /// set is the same for a whole /24, and a crowd of newcomers would take the same few pieces from a seed, which nobody else had then.
    fn allow_fast(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        let (info_hash, pieces) = (self.info_hash, self.have.len());
        let on_leave = |peer: &Peer| !peer.allowed_by_us.is_empty() && (peer.bits.count() as usize) < ALLOWED_FAST;
        if self.gives_first_copies() || self.peers.iter().flatten().filter(|peer| on_leave(peer)).count() >= t.home.config.upload_slots {
            return;
        }
        let Self { peers, have, .. } = self;
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let Some(std::net::IpAddr::V4(ip)) = peer.remote.ip().map(|ip| ip.to_canonical()) else { return };
        if !peer.fast || peer.bits.count() as usize >= ALLOWED_FAST || !peer.allowed_by_us.is_empty() || pieces == 0 {
            return;
        }
        peer.allowed_by_us = allowed_fast_set(&info_hash, ip, pieces, ALLOWED_FAST).into_iter().filter(|&piece| have.get(piece)).collect();
        for piece in peer.allowed_by_us.clone() {
            peer.say(Message::AllowedFast(piece), t);
        }
    }

    fn on_hint(&mut self, slot: Slot, piece: u32, hints: impl Fn(&mut Peer) -> &mut Vec<u32>, t: &mut Turn<'_, '_>) {
        let pieces = self.torrent.as_ref().map(|torrent| torrent.geometry.pieces);
        if pieces.is_some_and(|pieces| piece >= pieces) {
            return self.part_for_nonsense(slot, "piece_out_of_range", t);
        }
        let Some(peer) = self.peer(slot) else { return };
        let hints = hints(peer);
        if hints.len() >= HINTS_MAX || hints.contains(&piece) {
            return self.nonsense(slot, "too_many_hints", t);
        }
        hints.push(piece);
        peer.dry = false;
        self.refill(slot, t);
    }

    fn on_extended_handshake(&mut self, slot: Slot, theirs: &ExtendedHandshake, t: &mut Turn<'_, '_>) {
        let ours = t.home.config.requests_max;
        let Some(peer) = self.peer(slot) else { return };
        let speaks = |name: &str, before: bool| theirs.extensions.get(name).map_or(before, |&id| id != 0);
        peer.wants_metadata = speaks("ut_metadata", peer.wants_metadata);
        peer.wants_pex = speaks("ut_pex", peer.wants_pex);
        peer.wants_dont_have = speaks("lt_donthave", peer.wants_dont_have);
        peer.wants_holepunch = speaks("ut_holepunch", peer.wants_holepunch);
        if let Some(ip) = theirs.your_ip {
            t.home.seen_as.told(ip);
        }
        peer.metadata_bytes = theirs.metadata_bytes.or(peer.metadata_bytes);
        peer.upload_only = theirs.upload_only.unwrap_or(peer.upload_only);
        if theirs.requests_max.is_some() {
            peer.requests.accepts(theirs.requests_max, ours);
        }
        if let Some(port) = theirs.listen_port {
            self.listens_at(slot, port, t);
        }
        self.look_at_metadata(t);
        self.mind(slot, t);
    }

    fn on_pex(&mut self, slot: Slot, pex: &Pex, t: &mut Turn<'_, '_>) {
        if !t.home.config.pex || self.is_private() {
            return self.nonsense(slot, "pex_unwanted", t);
        }
        let now = t.cx.now;
        let Some(peer) = self.peer(slot) else { return };
        let Some(from) = peer.remote.ip() else { return };
        match peer.pex_receiver.hears(pex, from, now) {
            PexHeard::Peers(peers) => {
                if peers.len() < pex.added.len() {
                    let remote = self.peer(slot).map(|peer| peer.remote.clone());
                    let dropped = pex.added.len() - peers.len();
                    t.out.note(Level::Drop, "pex_peers_undialable", remote, format!("{dropped} of {}", pex.added.len()));
                }
                if self.peer(slot).is_some_and(|peer| peer.wants_holepunch) {
                    peers.iter().filter(|peer| peer.flags & HOLE_PUNCH != 0).for_each(|peer| self.could_introduce(slot, peer.address));
                }
                let peers = peers.into_iter().map(|peer| (Endpoint::Ip(peer.address), peer.flags & SEED != 0));
                self.add_peers(peers, Origin::Pex, t);
            }
            PexHeard::Ignored(why) => self.nonsense(slot, why, t),
            PexHeard::Flood(why) => self.part_for_nonsense(slot, why, t),
        }
    }

    /// Once a second: tells peers of each other, each at most once a minute.
    pub(super) fn exchange_peers(&mut self, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        let due = |peer: &Peer| peer.wants_pex && peer.pex_sender.is_due(now);
        if !t.home.config.pex || self.is_private() || !self.peers.iter().flatten().any(|peer| due(peer)) {
            return;
        }
        let obfuscation = if t.home.config.encryption == Encryption::Off { 0 } else { PREFERS_OBFUSCATION };
        let flags = |peer: &Peer| {
            let seed = if peer.is_seed() || peer.upload_only { SEED } else { 0 };
            let reachable = if peer.outgoing { REACHABLE } else { 0 };
            let punch = if peer.wants_holepunch { HOLE_PUNCH } else { 0 };
            seed | reachable | punch | if peer.obfuscated { obfuscation } else { 0 }
        };
        let connected: Vec<PexPeer> =
            self.peers.iter().flatten().filter_map(|peer| Some(PexPeer { address: peer.listen?, flags: flags(peer) })).collect();
        for peer in self.peers.iter_mut().flatten().filter(|peer| due(peer)) {
            let Some(receiver) = peer.place() else { continue };
            if let Some(pex) = peer.pex_sender.message(receiver, &connected, now) {
                peer.say(Message::Pex(pex), t);
            }
        }
    }
}
