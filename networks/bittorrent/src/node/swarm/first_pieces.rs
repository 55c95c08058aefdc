//! First pieces: who has nothing that it could give is given all that we give, once, while others wait. Of an uplink that is shared, each of its peers has
//! its first piece late, and until then its own uplink is of no use to anybody; one after the other, all but the last have it sooner, and the last as soon.
//!
//! Nobody is held up for long by somebody who does not take what it is given: it comes first for no longer than our uplink needs for two pieces, and not
//! while nothing leaves. On a fast uplink that is a moment, and who is slow costs others no more than that; on one so slow that no piece would be whole in
//! time, nobody comes first.

use hexad_core::{Span, Time};

use super::peer::Peer;
use super::{Slot, Swarm};
use crate::node::home::Turn;
use crate::node::rates::Meter;

/// Nobody comes first for longer.
const TURN: Span = Span::from_secs(10);
/// For so many pieces our uplink has time while somebody comes first: he may have to share it with another.
const PIECES: u32 = 2;
/// Who has taken nothing for so long holds nobody up.
const STALLED: Span = Span::from_secs(3);

/// Over so many parts of the meter's window a rate is taken: after the whole of it, a leecher that begins to give would have others behind it.
const RATE_PARTS: u64 = 4;

/// Who comes first.
#[derive(Debug, Default)]
pub(super) struct FirstPieces {
    /// Unchoked with nothing to give, and until when they come first. No more than are unchoked at once.
    firsts: Vec<(Slot, Time)>,
    /// Somebody waits for them.
    held_up: bool,
    /// The most that we have given, in bytes a second: as far as we know, what our uplink can carry.
    best_rate: u64,
}

impl FirstPieces {
    /// Once a second: what we give now.
    pub(super) fn look_at_rate(&mut self, up: &mut Meter, now: Time) {
        self.best_rate = self.best_rate.max(up.lately(RATE_PARTS, now));
    }

    /// Somebody is unchoked who has nothing, and comes first, if he can have a piece by that.
    fn begin(&mut self, slot: Slot, piece_bytes: u64, now: Time) {
        let piece = piece_bytes.saturating_mul(1000).checked_div(self.best_rate).map(Span::from_millis);
        if piece.is_none_or(|piece| piece <= TURN) {
            let turn = piece.map_or(TURN, |piece| (piece * PIECES).min(TURN));
            self.firsts.push((slot, now + turn));
        }
    }
}

impl Swarm {
    /// A peer's turn begins. Who has been given anything before does not come first again.
    pub(super) fn begin_first_piece(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        let Some(piece_bytes) = self.torrent.as_ref().map(|torrent| torrent.geometry.piece_bytes) else { return };
        let now = t.cx.now;
        if self.peer(slot).is_some_and(|peer| peer.bits.count() == 0 && peer.up.total() == 0) {
            self.tidy_firsts(now);
            self.first_pieces.begin(slot, piece_bytes, now);
        }
    }

    /// Whether others come first, and this one has to wait: it goes on with [`Self::go_on_after_first_pieces`].
    pub(super) fn waits_for_first_pieces(&mut self, slot: Slot, now: Time) -> bool {
        if self.first_pieces.firsts.is_empty() {
            return false;
        }
        self.tidy_firsts(now);
        let waits = !self.first_pieces.firsts.iter().any(|(first, _)| *first == slot) && self.somebody_takes_a_first_piece(now);
        self.first_pieces.held_up |= waits;
        waits
    }

    /// Those who had to wait go on, when nobody comes first any longer.
    pub(super) fn go_on_after_first_pieces(&mut self, t: &mut Turn<'_, '_>) {
        if !self.first_pieces.held_up {
            return;
        }
        let now = t.cx.now;
        self.tidy_firsts(now);
        if self.somebody_takes_a_first_piece(now) {
            return;
        }
        self.first_pieces.held_up = false;
        let slots: Vec<Slot> = self.peers.iter().flatten().filter(|peer| peer.uploads.len() > 0).map(|peer| peer.slot).collect();
        for slot in slots {
            self.pump(slot, t);
        }
    }

    fn somebody_takes_a_first_piece(&self, now: Time) -> bool {
        let Self { peers, first_pieces, .. } = self;
        let takes =
            |slot: Slot| peers.get(slot as usize).and_then(Option::as_deref).is_some_and(|peer| peer.uploads.is_moving(now, STALLED));
        first_pieces.firsts.iter().any(|(slot, _)| takes(*slot))
    }

    /// Those leave whose time is over, who have a piece, or who are choked or gone.
    fn tidy_firsts(&mut self, now: Time) {
        let Self { peers, first_pieces, torrent, .. } = self;
        let piece_bytes = torrent.as_ref().map_or(0, |torrent| torrent.geometry.piece_bytes);
        let lacks = |peer: &Peer| !peer.choked && peer.is_empty(piece_bytes);
        let stays = |slot: Slot| peers.get(slot as usize).and_then(Option::as_deref).is_some_and(lacks);
        first_pieces.firsts.retain(|(slot, until)| now < *until && stays(*slot));
    }
}
