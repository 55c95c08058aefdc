//! First copies: as long as a seed has pieces that nobody else has, its turns are of one piece each, and each is of another one, which it suggests
//! (BEP 6) to whose turn it is. So what leaves it first is spread over as many uplinks as there can be: with long turns a few peers would have all
//! that is new, and a crowd could be given from nowhere else. Then, until it has given as much as two copies of everything, turns stay short, and
//! each takes what is rarest: what only those have who give nothing gets to others before most are done.

use hexad_core::Span;

use super::bits::Bits;
use super::geometry::Geometry;
use super::peer::Peer;
use super::{Slot, Swarm};
use crate::node::home::Turn;
use crate::wire::{BlockRef, Message};

/// Who has not taken its piece after so long leaves the rest of it to a later turn.
const TURN: Span = Span::from_secs(60);
/// A turn is of so many pieces at most: of one, and of what was left of another.
const PIECES_MAX: u64 = 2;
/// Turns are short until so many copies' bytes have left.
const COPIES: u64 = 2;

/// What is known to be anywhere but here.
#[derive(Debug)]
pub(super) struct FirstCopies {
    /// What has left us, or others have said to have.
    out: Bits,
    /// How many of them left us first.
    ours: u32,
}

impl FirstCopies {
    pub(super) fn new(pieces: u32) -> Self {
        Self { out: Bits::new(pieces), ours: 0 }
    }

    /// A peer says that it has these.
    pub(super) fn seen(&mut self, bits: &Bits) {
        self.out.add(bits);
    }

    /// A peer says that it has this piece.
    pub(super) fn seen_one(&mut self, piece: u32) {
        self.out.set(piece);
    }

    /// A block has left us; with its last block a piece has.
    pub(super) fn gave(&mut self, block: &BlockRef, geometry: &Geometry) {
        if block.begin + block.length >= geometry.bytes(block.piece) {
            self.ours += u32::from(self.out.set(block.piece));
        }
    }
}

impl Swarm {
    /// Whether we are a seed that has what nobody else has, or was so lately.
    pub(super) fn gives_first_copies(&self) -> bool {
        let Some(torrent) = self.torrent.as_ref().filter(|_| self.have.is_full() && self.super_seeding.is_none() && self.is_seeding())
        else {
            return false;
        };
        let FirstCopies { out, ours } = &self.first_copies;
        // A seed that comes to a swarm that has everything has nothing to hurry with.
        !out.is_full() || *ours > out.len() / 2 && self.up.total() < torrent.geometry.total_bytes * COPIES
    }

    /// Suggests a piece that nobody has to a peer whose turn it is.
    pub(super) fn suggest_first_copy(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        if !self.gives_first_copies() {
            return;
        }
        let Self { peers, have, first_copies: FirstCopies { out, .. }, .. } = self;
        let promised: Vec<u32> = peers.iter().flatten().filter_map(|peer| peer.promised).collect();
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut).filter(|peer| peer.fast) else { return };
        let mut equals = 0;
        for piece in have.iter().filter(|&piece| !out.get(piece) && !peer.bits.get(piece) && !promised.contains(&piece)) {
            equals += 1;
            if t.cx.dice.below(equals) == 0 {
                peer.promised = Some(piece);
            }
        }
        if let Some(piece) = peer.promised {
            peer.say(Message::SuggestPiece(piece), t);
        }
    }

    /// Whether turns end with their piece: while somebody waits for the next.
    pub(super) fn turns_are_short(&self) -> bool {
        self.gives_first_copies() && self.peers.iter().flatten().any(|peer| peer.choked && peer.interested)
    }

    /// A turn is over, and the next one has its own.
    pub(super) fn pass_on_turn(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        self.end_turn(slot, t);
        self.fill_slots(t);
    }

    fn end_turn(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        if self.optimistic == Some(slot) {
            self.optimistic = None;
        }
        self.set_choked(slot, true, t);
    }

    /// Ends the turns of those who have not taken their piece for long, as far as others wait.
    pub(super) fn end_long_turns(&mut self, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        let late = |peer: &Peer| peer.unchoked_since.is_some_and(|since| now.since(since) >= TURN);
        let late: Vec<Slot> = self.peers.iter().flatten().filter(|peer| late(peer)).map(|peer| peer.slot).collect();
        let waiting = self.peers.iter().flatten().filter(|peer| peer.choked && peer.interested).count();
        for slot in late.into_iter().take(waiting) {
            self.end_turn(slot, t);
        }
        self.fill_slots(t);
    }
}

impl Peer {
    /// It is given a block; true when that was the last of a short turn.
    pub(super) fn is_given(&mut self, block: &BlockRef, geometry: &Geometry) -> bool {
        self.turn_bytes += u64::from(block.length);
        let whole = block.begin + block.length >= geometry.bytes(block.piece);
        !self.choked && (self.turn_bytes >= geometry.piece_bytes && whole || self.turn_bytes >= geometry.piece_bytes * PIECES_MAX)
    }
}
