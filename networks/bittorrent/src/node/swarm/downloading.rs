//! Fetching: what is asked of whom, what comes, and what is found about it.

use std::ops::Range;

use hexad_content::Ranges;
use hexad_core::{LeaseId, Output, Payload, Progress, Time, Verdict};

use super::blame::Sentence;
use super::peer::Peer;
use super::picker::{Asker, Came};
use super::requests::Standing;
use super::{Slot, Swarm};
use crate::node::home::{News, Turn};
use crate::wire::{BlockRef, Message};

/// Blocks that a peer with nothing else to do takes over in the endgame, as part of its queue …
const ENDGAME_PART: u32 = 8;
/// … and at most.
const ENDGAME_MAX: u32 = 16;
/// A peer that needs longer for a piece helps with those that others have begun.
const SLOW_PIECE_S: u64 = 60;

impl Swarm {
    /// The engine says what it wants.
    pub(crate) fn on_leased(&mut self, ranges: &Ranges, t: &mut Turn<'_, '_>) {
        let Some(fetch) = &mut self.fetch else { return };
        fetch.leased = true;
        let id = fetch.share;
        if let Some(share) = t.cx.shares.share(id).cloned() {
            self.adopt(id, &share, t);
        }
        self.want(ranges, t);
        t.home.news.push(News::Leased(self.info_hash));
        self.conclude(t);
        self.look_alive(t);
    }

    /// Under which lease, and what of it nobody works on: for web seeds.
    pub(crate) fn untouched(&self) -> Option<(LeaseId, Ranges)> {
        let (fetch, torrent) = (self.fetch.as_ref()?, self.torrent.as_ref()?);
        let free = self.picker.free().iter().map(|piece| torrent.geometry.range(piece)).collect::<Ranges>();
        (fetch.leased && !free.is_empty()).then_some((fetch.lease, free))
    }

    /// A web seed fetches these pieces.
    pub(crate) fn lent(&mut self, range: &Range<u64>, t: &mut Turn<'_, '_>) {
        let pieces = self.pieces_of(range);
        pieces.for_each(|piece| self.picker.lend(piece));
        self.claim(None, t);
    }

    /// A web seed does not bring these pieces.
    pub(crate) fn given_back(&mut self, range: &Range<u64>, t: &mut Turn<'_, '_>) {
        let pieces = self.pieces_of(range);
        pieces.for_each(|piece| self.picker.give_back(piece));
        self.stir(t);
    }

    fn pieces_of(&self, range: &Range<u64>) -> Range<u32> {
        let Some(geometry) = self.torrent.as_ref().map(|torrent| torrent.geometry.clone()).filter(|_| range.start < range.end) else {
            return 0..0;
        };
        geometry.piece_at(range.start)..(geometry.piece_at(range.end - 1) + 1).min(geometry.pieces)
    }

    /// Wants these ranges, and nothing else.
    pub(super) fn want(&mut self, ranges: &Ranges, t: &mut Turn<'_, '_>) {
        if self.torrent.is_none() {
            return;
        }
        self.picker.lease(ranges);
        self.doubts.let_go().into_iter().for_each(|piece| self.picker.give_back(piece));
        let Self { peers, picker, .. } = self;
        peers.iter_mut().flatten().for_each(|peer| peer.needs = peer.bits.count_with(picker.needed()));
        self.take_requests_back(t);
        let slots: Vec<Slot> = self.peers.iter().flatten().map(|peer| peer.slot).collect();
        for slot in slots {
            if let Some(peer) = self.peer(slot) {
                peer.dry = false;
            }
            self.mind(slot, t);
        }
    }

    /// Something can be picked again: whoever has nothing to do looks.
    pub(super) fn stir(&mut self, t: &mut Turn<'_, '_>) {
        for slot in 0..self.peers.len() {
            let Ok(slot) = Slot::try_from(slot) else { return };
            if let Some(peer) = self.peer(slot) {
                peer.dry = false;
                self.refill(slot, t);
            }
        }
    }

    /// Asks a peer for more when its queue is half empty.
    pub(super) fn refill(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        let Some(geometry) = self.torrent.as_ref().map(|torrent| torrent.geometry.clone()) else { return };
        let Self { peers, picker, .. } = self;
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let count = peer.requests.wanted();
        if count == 0 || peer.needs == 0 || (peer.dry && !peer.requests.is_empty()) {
            return;
        }
        let Peer { conn, bits, requests, suggested, allowed, current, choking_us, watched, down, said, .. } = peer;
        if *choking_us && allowed.is_empty() {
            return;
        }
        let now = t.cx.now;
        let rate = if requests.snubbed { 0 } else { down.lately(3, now) };
        let slow = requests.snubbed || (rate > 0 && geometry.piece_bytes / rate > SLOW_PIECE_S);
        let asker =
            Asker { slot, bits, current: *current, slow, alone: *watched, suggested, only: choking_us.then_some(allowed.as_slice()) };
        let (before, wanted) = (requests.len(), count);
        let conn = *conn;
        let out = &mut *t.out;
        let mut late = Vec::new();
        picker.pick_awaited(
            &asker,
            count.min(ENDGAME_MAX),
            |piece, block| requests.contains(piece, block),
            |piece, block| late.push((piece, block)),
        );
        for &(piece, block) in &late {
            requests.ask(piece, block, now);
            out.send_to(conn, Message::Request(geometry.block(piece, block)));
        }
        let count = count.saturating_sub(u32::try_from(late.len()).unwrap_or(u32::MAX));
        let at_work = picker.pick(&asker, count, t.cx.dice, |piece, block| {
            requests.ask(piece, block, now);
            out.send_to(conn, Message::Request(geometry.block(piece, block)));
        });
        if at_work != *current {
            if let Some(piece) = current.filter(|piece| Some(*piece) != at_work) {
                picker.disown(slot, piece);
            }
            *current = at_work;
        }
        if requests.is_empty() && !*choking_us {
            let count = (requests.depth() / ENDGAME_PART).clamp(1, ENDGAME_MAX);
            let mut found = Vec::new();
            picker.pick_busy(bits, count, |piece, block| requests.contains(piece, block), |piece, block| found.push((piece, block)));
            for (piece, block) in found {
                requests.ask(piece, block, now);
                out.send_to(conn, Message::Request(geometry.block(piece, block)));
            }
        }
        let could_give = !*choking_us && requests.len() < before + wanted;
        if requests.len() == before {
            peer.dry = true;
        } else {
            *said = now;
        }
        self.claim(could_give.then_some(slot), t);
    }

    /// A block has come.
    pub(super) fn on_block(&mut self, slot: Slot, piece: u32, begin: u32, data: Payload, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        let Some(geometry) = self.torrent.as_ref().map(|torrent| torrent.geometry.clone()) else {
            return self.part_for_nonsense(slot, "block_unasked", t);
        };
        let bytes = data.len();
        let Some(block) = geometry.block_at(piece, begin, bytes) else {
            return self.part_for_nonsense(slot, "block_bad", t);
        };
        let Self { peers, picker, .. } = self;
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let standing = peer.requests.came(piece, block, now);
        if standing == Standing::Unasked {
            // Without the fast extension a choke and what crosses it on its way are hard to tell apart.
            return if peer.fast { self.part_for_nonsense(slot, "block_unasked", t) } else { self.nonsense(slot, "block_unasked", t) };
        }
        peer.down.add(bytes, now);
        self.down.add(bytes, now);
        peer.requests.snubbed = false;
        if self.doubts.refutes(piece, block, &data) {
            if standing == Standing::Outstanding {
                picker.returned(slot, piece, block);
            }
            self.ban(slot, "wrong_block", t);
            return self.stir(t);
        }
        let came = picker.received(piece, block, peer.giver, standing == Standing::Outstanding);
        if let (Came::Wanted { whole, others }, Some(fetch)) = (came, &self.fetch) {
            t.out.push(Output::Deliver(fetch.lease, geometry.range(piece).start + u64::from(begin), data));
            if whole && peer.current == Some(piece) {
                peer.current = None;
            }
            if others {
                self.cancel_elsewhere(slot, piece, block, t);
            }
        }
        self.refill(slot, t);
    }

    /// Others need not send a block that has come.
    fn cancel_elsewhere(&mut self, but: Slot, piece: u32, block: u32, t: &mut Turn<'_, '_>) {
        let Some(geometry) = self.torrent.as_ref().map(|torrent| torrent.geometry.clone()) else { return };
        let mut freed = Vec::new();
        for peer in self.peers.iter_mut().flatten().filter(|peer| peer.slot != but) {
            if peer.requests.forgive(piece, block) {
                peer.say(Message::Cancel(geometry.block(piece, block)), t);
                freed.push(peer.slot);
            }
        }
        for slot in freed {
            self.refill(slot, t);
        }
    }

    pub(super) fn on_choke(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        let Self { peers, picker, .. } = self;
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        peer.choking_us = true;
        if let Some(piece) = peer.current.take() {
            picker.disown(slot, piece);
        }
        // With the fast extension, every request is answered one by one.
        if !peer.fast {
            peer.requests.forgive_all(|asked| picker.returned(slot, asked.piece, asked.block));
        }
        self.stir(t);
    }

    pub(super) fn on_unchoke(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        let Some(peer) = self.peer(slot) else { return };
        peer.choking_us = false;
        peer.dry = false;
        self.refill(slot, t);
    }

    pub(super) fn on_reject(&mut self, slot: Slot, wanted: &BlockRef, t: &mut Turn<'_, '_>) {
        let block = self.torrent.as_ref().and_then(|torrent| torrent.geometry.block_at(wanted.piece, wanted.begin, wanted.length.into()));
        let Some(block) = block else { return self.part_for_nonsense(slot, "reject_bad", t) };
        let Self { peers, picker, .. } = self;
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        match peer.requests.rejected(wanted.piece, block) {
            Standing::Outstanding => {
                picker.returned(slot, wanted.piece, block);
                if peer.current == Some(wanted.piece) {
                    peer.current = None;
                }
                if peer.choking_us {
                    peer.allowed.retain(|&piece| piece != wanted.piece);
                    if peer.requests.is_empty() {
                        self.stir(t);
                    }
                } else {
                    self.nonsense(slot, "rejected", t);
                    self.stir(t);
                }
            }
            Standing::Forgiven => {}
            Standing::Unasked => self.nonsense(slot, "reject_unasked", t),
        }
    }

    /// What the engine found about a range of the lease.
    pub(crate) fn on_judged(&mut self, lease: LeaseId, range: &Range<u64>, verdict: Verdict, t: &mut Turn<'_, '_>) {
        let Some(fetch) = self.fetch.filter(|fetch| fetch.lease == lease) else { return };
        let Some(geometry) = self.torrent.as_ref().map(|torrent| torrent.geometry.clone()) else { return };
        if verdict == Verdict::Duplicate || range.start >= range.end {
            return;
        }
        if verdict == Verdict::Lie {
            return self.on_lie(range, t);
        }
        let good = verdict == Verdict::Good;
        let mut fresh = Vec::new();
        for piece in geometry.piece_at(range.start)..geometry.pieces {
            let whole = geometry.range(piece);
            if whole.start >= range.end {
                break;
            }
            if good && !(range.start <= whole.start && range.end >= whole.end) {
                continue;
            }
            let was_needed = self.picker.needed().get(piece);
            let givers = self.picker.judged(piece, good);
            if good {
                self.doubts.settled(piece);
            } else {
                self.doubt(piece, t);
                // Where others have given to it, what is known of who gave what does not hold.
                let givers = if verdict == Verdict::Mixed { &[][..] } else { &givers };
                let sentence = self.blame.failed(piece, givers);
                self.carry_out(&sentence, t);
                self.look_at_doubts(t);
                self.stir(t);
                continue;
            }
            let sentence = self.blame.passed(piece, &givers);
            self.carry_out(&sentence, t);
            if was_needed {
                self.peers
                    .iter_mut()
                    .flatten()
                    .filter(|peer| peer.bits.get(piece))
                    .for_each(|peer| peer.needs = peer.needs.saturating_sub(1));
            }
            if let Some(offer) = self.offers.iter_mut().find(|offer| offer.share == fetch.share)
                && offer.have.set(piece)
                && self.have.set(piece)
            {
                fresh.push(piece);
            }
        }
        self.announce_pieces(&fresh, t);
        if good {
            let done_with: Vec<Slot> =
                self.peers.iter().flatten().filter(|peer| peer.we_want && peer.needs == 0).map(|peer| peer.slot).collect();
            for slot in done_with {
                self.mind(slot, t);
            }
            self.conclude(t);
        }
    }

    /// These bytes of a piece were wrong when it was: whoever gave them is banned.
    fn on_lie(&mut self, range: &Range<u64>, t: &mut Turn<'_, '_>) {
        let Some(geometry) = self.torrent.as_ref().map(|torrent| torrent.geometry.clone()) else { return };
        let piece = geometry.piece_at(range.start);
        let begin = range.start - geometry.range(piece).start.min(range.start);
        // What proves the parts may lay them out in another way than pieces: a block that is none of ours names nobody.
        let Some(block) = u32::try_from(begin).ok().and_then(|begin| geometry.block_at(piece, begin, range.end - range.start)) else {
            return;
        };
        if let Some(giver) = self.blame.lied(piece, block) {
            self.carry_out(&Sentence { ban: vec![giver], ..Sentence::default() }, t);
            self.stir(t);
        }
    }

    pub(super) fn carry_out(&mut self, sentence: &Sentence, t: &mut Turn<'_, '_>) {
        for (givers, watched) in [(&sentence.watch, true), (&sentence.clear, false)] {
            for peer in self.peers.iter_mut().flatten().filter(|peer| givers.contains(&peer.giver)) {
                peer.watched = watched;
            }
        }
        for &giver in &sentence.ban {
            if let Some(slot) = self.peers.iter().flatten().find(|peer| peer.giver == giver).map(|peer| peer.slot) {
                self.ban(slot, "wrong_data", t);
            }
        }
    }

    /// Says that the fetch is done when nothing is wanted any more.
    fn conclude(&mut self, t: &mut Turn<'_, '_>) {
        let Some(fetch) = &mut self.fetch else { return };
        if fetch.done || !fetch.leased || !self.picker.is_done() {
            return;
        }
        fetch.done = true;
        t.out.report(fetch.op, Progress::Done);
        if self.have.is_full() && self.down.total() > 0 {
            t.home.news.push(News::Complete(self.info_hash));
        }
        t.home.news.push(News::FetchOver(self.info_hash));
        // Others are told, and who has everything too is of no more use.
        let slots: Vec<Slot> = self.peers.iter().flatten().map(|peer| peer.slot).collect();
        for slot in slots {
            self.mind(slot, t);
            if let Some(index) = self.peers.get(slot as usize).and_then(Option::as_ref).filter(|peer| peer.extended).map(|_| slot as usize)
            {
                let Some(mut peer) = self.peers[index].take() else { continue };
                let ours = self.extended_handshake(&peer, t);
                peer.say(ours, t);
                self.peers[index] = Some(peer);
            }
        }
    }

    /// Once a second: queue depths follow the rates, and who is silent is not counted on.
    pub(super) fn look_at_requests(&mut self, t: &mut Turn<'_, '_>) {
        self.others.look_again();
        let now: Time = t.cx.now;
        let after = t.home.config.snub_after;
        let Self { peers, picker, torrent, .. } = self;
        let Some(geometry) = torrent.as_ref().map(|torrent| torrent.geometry.clone()) else { return };
        for peer in peers.iter_mut().flatten() {
            peer.pace(now);
            if !peer.requests.is_silent(after, now) {
                continue;
            }
            peer.requests.snubbed = true;
            let slot = peer.slot;
            let mut gone = Vec::new();
            peer.requests.forgive_all(|asked| {
                picker.returned(slot, asked.piece, asked.block);
                gone.push(asked);
            });
            for asked in gone {
                peer.say(Message::Cancel(geometry.block(asked.piece, asked.block)), t);
            }
            if let Some(piece) = peer.current.take() {
                picker.disown(slot, piece);
            }
            t.out.note(hexad_core::Level::Debug, "snubbed", Some(peer.remote.clone()), "");
        }
        self.stir(t);
    }
}
