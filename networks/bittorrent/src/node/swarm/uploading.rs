//! Giving: whom we unchoke, and what of their requests goes out.

use hexad_core::{Output, Payload};

use super::choker::{self, Candidate, Round};
use super::peer::Peer;
use super::{Slot, Swarm};
use crate::node::home::Turn;
use crate::wire::frames::BLOCK_BYTES;
use crate::wire::{BlockRef, Message};

/// Of all connections, as a part, that may be dropped at one look for having given nothing. Of a hundred no more than a few can give in a minute, and each
/// new one costs a handshake and a bitfield: with a quarter, that took a hundredth of slow lines.
const DROPPED_PART: usize = 16;

impl Swarm {
    pub(super) fn on_interested(&mut self, slot: Slot, interested: bool, t: &mut Turn<'_, '_>) {
        let Some(peer) = self.peer(slot) else { return };
        peer.interested = interested;
        // A free slot waits for nobody's round; only choking does, so that nothing flutters.
        self.fill_slots(t);
    }

    /// Gives free slots to those who wait for one.
    pub(super) fn fill_slots(&mut self, t: &mut Turn<'_, '_>) {
        let optimistic = self.optimistic;
        let in_use = |peer: &Peer| !peer.choked && peer.interested && Some(peer.slot) != optimistic;
        let used = self.peers.iter().flatten().filter(|peer| in_use(peer)).count();
        let mut free = t.home.config.upload_slots.saturating_sub(used);
        let mut lucky = optimistic.is_none_or(|slot| self.peer(slot).is_none_or(|peer| !peer.interested));
        while free > 0 || lucky {
            let waiting = self.peers.iter().flatten().filter(|peer| peer.choked && peer.interested);
            let Some(slot) = waiting.min_by_key(|peer| (peer.requests.snubbed, peer.waiting_since, peer.slot)).map(|peer| peer.slot) else {
                return;
            };
            if free > 0 {
                free -= 1;
            } else {
                lucky = false;
                if let Some(before) = self.optimistic.replace(slot) {
                    self.set_choked(before, true, t);
                }
            }
            self.set_choked(slot, false, t);
        }
    }

    /// Decides anew who is given to.
    pub(super) fn choke_round(&mut self, t: &mut Turn<'_, '_>) {
        if self.gives_first_copies() {
            return self.end_long_turns(t);
        }
        let now = t.cx.now;
        let rotate = now >= self.next_rotation;
        if rotate {
            self.next_rotation = now + t.home.config.optimistic_interval;
        }
        let seeding = self.is_seeding();
        let turn = t.home.config.optimistic_interval;
        let lately = turn * 2;
        let (piece_bytes, total) =
            self.torrent.as_ref().map_or((0, 0), |torrent| (torrent.geometry.piece_bytes, torrent.geometry.total_bytes));
        let candidates: Vec<Candidate> = self
            .peers
            .iter_mut()
            .flatten()
            .map(|peer| Candidate {
                slot: peer.slot,
                interested: peer.interested,
                snubbed: peer.requests.snubbed,
                new: now.since(peer.since) < lately,
                amid: peer.is_empty(piece_bytes)
                    && peer.uploads.is_busy()
                    && peer.unchoked_since.is_some_and(|since| now.since(since) < turn),
                rate: if seeding { peer.up.per_second(now) } else { peer.down.per_second(now) },
                unchoked_since: peer.unchoked_since,
                taken: peer.taken_since,
                claimed: (u64::from(peer.bits.count()) * piece_bytes).min(total),
                given: peer.up.total(),
                waiting_since: peer.waiting_since,
            })
            .collect();
        let config = &t.home.config;
        let seeding = seeding.then_some(config.seed_choking);
        let round = Round { slots: config.upload_slots, seeding, total, rotate, optimistic: self.optimistic, now };
        let decision = choker::choose(&candidates, &round, t.cx.dice);
        self.optimistic = decision.optimistic;
        for candidate in &candidates {
            self.set_choked(candidate.slot, !decision.unchoked.contains(&candidate.slot), t);
        }
    }

    pub(super) fn set_choked(&mut self, slot: Slot, choked: bool, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        let Some(peer) = self.peer(slot).filter(|peer| peer.choked != choked) else { return };
        peer.choked = choked;
        if choked {
            peer.unchoked_since = None;
            peer.waiting_since = now;
            peer.promised = None;
            peer.say(Message::Choke, t);
            let Peer { conn, uploads, allowed_by_us, fast, .. } = peer;
            uploads.drop_all(
                |block| *fast && allowed_by_us.contains(&block.piece),
                |block| {
                    if *fast {
                        t.out.send_to(*conn, Message::RejectRequest(block));
                    }
                },
            );
        } else {
            peer.unchoked_since = Some(now);
            peer.taken_since = 0;
            peer.turn_bytes = 0;
            self.begin_first_piece(slot, t);
            // It asks as soon as it may, and so hears first what it might ask for.
            self.suggest_first_copy(slot, t);
            if let Some(peer) = self.peer(slot) {
                peer.say(Message::Unchoke, t);
            }
        }
    }

    /// As a leecher whose connections are all taken: those go that gave nothing through two optimistic rounds, a few at a look; whom we
    /// give to, and who has nothing that it could give, come last.
    pub(super) fn drop_those_who_give_nothing(&mut self, t: &mut Turn<'_, '_>) {
        let config = &t.home.config;
        let full = self.connected >= config.swarm_connections_max || !t.home.has_room();
        let (now, rounds) = (t.cx.now, config.optimistic_interval * 2);
        let mut useless = Vec::new();
        for peer in self.peers.iter_mut().flatten() {
            let given = peer.down.total();
            if now.since(peer.since) >= rounds && given == peer.given_before[0] {
                useless.push((!peer.choked && peer.interested, peer.bits.count() == 0, peer.heard, peer.slot));
            }
            peer.given_before = [peer.given_before[1], given];
        }
        if !full || self.is_seeding() || self.candidates.next_ready(false).is_none() {
            return;
        }
        useless.sort_unstable();
        for (.., slot) in useless.into_iter().take((self.connected / DROPPED_PART).max(1)) {
            self.part(slot, "gave_nothing", t);
        }
    }

    pub(super) fn on_request(&mut self, slot: Slot, block: BlockRef, t: &mut Turn<'_, '_>) {
        let requests_max = t.home.config.requests_max as usize;
        let geometry = self.torrent.as_ref().map(|torrent| torrent.geometry.clone());
        let fits = geometry.is_some_and(|geometry| {
            let end = u64::from(block.begin) + u64::from(block.length);
            block.piece < geometry.pieces && block.length > 0 && block.length <= BLOCK_BYTES && end <= geometry.padded_bytes(block.piece)
        });
        if !fits {
            return self.part_for_nonsense(slot, "request_bad", t);
        }
        let have = self.have.get(block.piece) && self.may_have(slot, block.piece);
        let Some(peer) = self.peer(slot) else { return };
        let allowed = !peer.choked || (peer.fast && peer.allowed_by_us.contains(&block.piece));
        let refusal = if peer.uploads.len() >= requests_max {
            Some("request_flood")
        } else if !have {
            Some("request_not_held")
        } else if !allowed {
            // What was on its way when we choked is no nonsense.
            Some("request_while_choked")
        } else {
            None
        };
        let Some(code) = refusal else {
            peer.uploads.push(block);
            return self.pump(slot, t);
        };
        if peer.fast {
            peer.say(Message::RejectRequest(block), t);
        }
        if code != "request_while_choked" || !peer.fast {
            self.nonsense(slot, code, t);
        } else if let Some(peer) = self.peer(slot) {
            // A peer that goes on asking though it is told no is a flood.
            peer.nonsense += u32::from(peer.unchoked_since.is_none() && t.cx.now.since(peer.waiting_since).as_secs() > 10);
        }
    }

    pub(super) fn on_cancel(&mut self, slot: Slot, block: &BlockRef, t: &mut Turn<'_, '_>) {
        let Some(peer) = self.peer(slot) else { return };
        if peer.uploads.cancel(block) && peer.fast {
            peer.say(Message::RejectRequest(*block), t);
        }
    }

    /// Gives the host as many blocks as it may have.
    pub(super) fn pump(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        let Some(geometry) = self.torrent.as_ref().map(|torrent| torrent.geometry.clone()) else { return };
        if self.peer(slot).is_none_or(|peer| peer.uploads.len() == 0) || self.waits_for_first_pieces(slot, t.cx.now) {
            return;
        }
        let short = self.turns_are_short();
        let mut over = false;
        let Self { peers, offers, first_copies, .. } = self;
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let now = t.cx.now;
        let mut room = t.cx.room(peer.conn);
        while let Some(block) = peer.uploads.next(room, now) {
            let start = geometry.range(block.piece).start + u64::from(block.begin);
            let Some(offer) = offers.iter().find(|offer| offer.have.get(block.piece) && t.cx.shares.share(offer.share).is_some()) else {
                peer.uploads.sent(block.length.into(), now);
                if peer.fast {
                    peer.say(Message::RejectRequest(block), t);
                }
                continue;
            };
            room = room.saturating_sub(block.length.into());
            peer.said = now;
            let message = Message::Piece { piece: block.piece, begin: block.begin, data: Payload::EMPTY };
            t.out.push(Output::SendShare(peer.conn, message, offer.share, start..start + u64::from(block.length)));
            if let Some(shown) = &mut peer.shown {
                shown.gave(block.piece, block.length);
            }
            first_copies.gave(&block, &geometry);
            over = peer.is_given(&block, &geometry) && short;
            if over {
                break;
            }
        }
        // There is nobody to pass it on to.
        let whole = peer.shown.as_ref().is_some_and(|shown| shown.is_given(|piece| geometry.bytes(piece)));
        if whole && self.connected == 1 {
            self.show_next(slot, t);
        }
        if over {
            self.pass_on_turn(slot, t);
        }
    }

    /// Bytes have left.
    pub(crate) fn on_sent(&mut self, slot: Slot, bytes: u64, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        self.up.add(bytes, now);
        let Some(peer) = self.peer(slot) else { return };
        peer.up.add(bytes, now);
        peer.taken_since += bytes;
        peer.uploads.sent(bytes, now);
        self.pump(slot, t);
        self.go_on_after_first_pieces(t);
    }

    /// The host has room again.
    pub(crate) fn on_room(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        self.pump(slot, t);
    }

    /// Tells all who lack them that we have these pieces, and those who may be showing us one after the other.
    pub(super) fn announce_pieces(&mut self, pieces: &[u32], t: &mut Turn<'_, '_>) {
        for peer in self.peers.iter_mut().flatten() {
            let shows = peer.may_be_super_seeding();
            for &piece in pieces.iter().filter(|&&piece| shows || !peer.bits.get(piece)) {
                t.out.send_to(peer.conn, Message::Have(piece));
                peer.said = t.cx.now;
            }
        }
    }

    /// Tells those who want to know it what we have no longer (BEP 54); the others are told no when they ask.
    pub(super) fn tell_what_is_gone(&mut self, before: &super::Bits, t: &mut Turn<'_, '_>) {
        let gone: Vec<u32> = before.iter().filter(|&piece| !self.have.get(piece)).collect();
        for peer in self.peers.iter_mut().flatten().filter(|peer| peer.wants_dont_have && peer.shown.is_none()) {
            for &piece in &gone {
                peer.say(Message::DontHave(piece), t);
            }
        }
    }

    /// Requests for what we no longer give are answered with no.
    pub(super) fn reject_what_is_gone(&mut self, t: &mut Turn<'_, '_>) {
        let Self { peers, have, .. } = self;
        for peer in peers.iter_mut().flatten() {
            let Peer { conn, uploads, fast, .. } = &mut **peer;
            uploads.drop_all(
                |block| have.get(block.piece),
                |block| {
                    if *fast {
                        t.out.send_to(*conn, Message::RejectRequest(block));
                    }
                },
            );
        }
    }
}
