//! Super-seeding (BEP 16): as if we had nothing, one piece is shown to each peer, and the next when another peer has it from there. So a seed of
//! little bandwidth gives each piece about once until the swarm has them all.

use hexad_core::{Span, Time};

use super::peer::Peer;
use super::{Slot, Swarm};
use crate::node::home::Turn;
use crate::wire::Message;

/// A peer that has the piece it was shown, and of which nobody has it after so long, is shown another all the same: it may know nobody.
const STUCK_AFTER: Span = Span::from_secs(30);
/// Who has not said what it has for so long has nothing.
const SILENT: Span = Span::from_secs(2);
/// Copies of the whole at others with which the swarm can do without.
const COPIES_ENOUGH: u32 = 2;

/// Who shows pieces one after the other has at most so many to show that we need; libtorrent shows two at a time, others one.
const SHOWN_MAX: u32 = 2;

/// What one peer was shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// All of it, in order of time; short, since each costs the peer a whole piece.
    pub(super) pieces: hexad_core::Set<u32>,
    /// The one that it is to pass on, and since when.
    feeding: Option<(u32, Time)>,
    /// Bytes of that one that it was given. It does not say that it has it to whom it knows to have it.
    given_bytes: u64,
}

impl Shown {
    /// A peer is given bytes of a piece.
    pub(super) fn gave(&mut self, piece: u32, bytes: u32) {
        if self.feeding.is_some_and(|(fed, _)| fed == piece) {
            self.given_bytes += u64::from(bytes);
        }
    }

    /// Whether all of the piece was given that is to be passed on.
    pub(super) fn is_given(&self, piece_bytes: impl Fn(u32) -> u32) -> bool {
        self.feeding.is_some_and(|(piece, _)| self.given_bytes >= u64::from(piece_bytes(piece)))
    }
}

impl Peer {
    /// Whether it may be a super-seed: it lacks pieces by its own account and wants none of ours, and shows little that we need. Such a one has to hear
    /// that we have what it gave: libtorrent shows the next piece then, and else first when we are no longer interested, with a choke in between.
    pub(super) fn may_be_super_seeding(&self) -> bool {
        !self.interested && !self.is_seed() && self.needs < SHOWN_MAX
    }
}

impl Swarm {
    /// Shows what we have one piece at a time, or all of it.
    pub(crate) fn set_super_seeding(&mut self, on: bool, t: &mut Turn<'_, '_>) {
        if on == self.super_seeding.is_some() {
            return;
        }
        if !on {
            return self.show_all(t);
        }
        self.super_seeding = Some(vec![0; self.have.len() as usize]);
        // Who has heard already what we have does not forget it.
    }

    /// Whether newcomers are told nothing of what we have.
    pub(super) fn is_super_seeding(&self) -> bool {
        self.super_seeding.is_some() && self.torrent.is_some() && self.have.is_full()
    }

    /// Whether a peer may ask for a piece that we have.
    pub(super) fn may_have(&self, slot: Slot, piece: u32) -> bool {
        let shown = self.peers.get(slot as usize).and_then(Option::as_ref).and_then(|peer| peer.shown.as_ref());
        shown.is_none_or(|shown| shown.pieces.contains(&piece))
    }

    fn show_all(&mut self, t: &mut Turn<'_, '_>) {
        self.super_seeding = None;
        for index in 0..self.peers.len() {
            let Some(peer) = self.peers[index].as_deref_mut() else { continue };
            let Some(shown) = peer.shown.take() else { continue };
            let fresh: Vec<u32> = self.have.iter().filter(|piece| !shown.pieces.contains(piece) && !peer.bits.get(*piece)).collect();
            for piece in fresh {
                peer.say(Message::Have(piece), t);
            }
        }
    }

    /// A peer has a piece: whoever was shown it has passed it on.
    pub(super) fn passed_on(&mut self, by: Slot, piece: u32, t: &mut Turn<'_, '_>) {
        if self.super_seeding.is_none() {
            return;
        }
        let alone = self.connected == 1;
        let fed: Vec<Slot> = self
            .peers
            .iter()
            .flatten()
            .filter(|peer| {
                (peer.slot != by || alone) && peer.shown.as_ref().is_some_and(|shown| shown.feeding.is_some_and(|(fed, _)| fed == piece))
            })
            .map(|peer| peer.slot)
            .collect();
        for slot in fed {
            self.show_next(slot, t);
        }
    }

    /// Shows a peer a piece that it lacks: the one that fewest have, or were shown.
    pub(super) fn show_next(&mut self, slot: Slot, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        let Self { peers, super_seeding: Some(times), have, picker, .. } = self else { return };
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let Some(shown) = &mut peer.shown else { return };
        shown.feeding = None;
        let (mut best, mut equals) = (None::<(u32, u32)>, 0_u64);
        for piece in have.iter().filter(|&piece| !peer.bits.get(piece) && !shown.pieces.contains(&piece)) {
            let rank = picker.copies(piece) + u32::from(times[piece as usize]);
            equals = match best {
                Some((other, _)) if other < rank => continue,
                Some((other, _)) if other == rank => equals + 1,
                _ => 1,
            };
            if t.cx.dice.below(equals) == 0 {
                best = Some((rank, piece));
            }
        }
        let Some((_, piece)) = best else { return };
        times[piece as usize] = times[piece as usize].saturating_add(1);
        shown.pieces.insert(piece);
        shown.feeding = Some((piece, now));
        shown.given_bytes = 0;
        peer.say(Message::Have(piece), t);
    }

    /// Once a second: newcomers, and those who are stuck, are shown a piece; enough copies at others end it all.
    pub(super) fn look_at_what_is_shown(&mut self, t: &mut Turn<'_, '_>) {
        if !self.is_super_seeding() {
            return;
        }
        if self.connected > 0 && self.picker.rarest_copies() >= COPIES_ENOUGH {
            return self.show_all(t);
        }
        let Some(geometry) = self.torrent.as_ref().map(|torrent| torrent.geometry.clone()) else { return };
        let now = t.cx.now;
        let mut due = Vec::new();
        for peer in self.peers.iter().flatten() {
            let Some(shown) = &peer.shown else { continue };
            let is_due = match shown.feeding {
                None => peer.told || now.since(peer.since) >= SILENT,
                Some((piece, since)) => {
                    (peer.bits.get(piece) || shown.is_given(|piece| geometry.bytes(piece))) && now.since(since) >= STUCK_AFTER
                }
            };
            if is_due && !peer.is_seed() {
                due.push(peer.slot);
            }
        }
        for slot in due {
            self.show_next(slot, t);
        }
    }
}
