//! Pieces that other networks bring to the same download: left alone until they are given back.

use hexad_content::Ranges;

use super::{Picker, State};
use crate::node::swarm::bits::Bits;

impl Picker {
    /// Other networks bring these ranges. Pieces of which they bring something are not begun; one that is begun and of which nothing has come is left to
    /// them, and the caller takes back what was asked for of it.
    pub(crate) fn bring_elsewhere(&mut self, ranges: &Ranges) {
        let (pieces, total_bytes) = (self.geometry.pieces, self.geometry.total_bytes);
        let mut elsewhere = Bits::new(pieces);
        for span in ranges.within(0..total_bytes).iter() {
            for piece in self.geometry.piece_at(span.start)..=self.geometry.piece_at(span.end - 1) {
                elsewhere.set(piece);
            }
        }
        self.elsewhere = elsewhere;
        for piece in 0..pieces {
            match (self.elsewhere.get(piece), self.states[piece as usize]) {
                (true, State::Free) => self.set_not_free(piece, State::Elsewhere),
                (true, State::Open) if self.open.get(&piece).is_some_and(|open| open.came() == 0) => {
                    if let Some(open) = self.open.remove(&piece) {
                        self.free_blocks -= u64::from(open.free());
                    }
                    self.states[piece as usize] = State::Elsewhere;
                }
                (false, State::Elsewhere) => self.set_free(piece),
                _ => {}
            }
        }
    }

    /// Whether others bring any of these that is wanted.
    pub(crate) fn brings_elsewhere(&self, bits: &Bits) -> bool {
        self.elsewhere.count() > 0 && self.elsewhere.both(bits).any(|piece| self.needed.get(piece))
    }

    /// The pieces that are begun, or whose verdict is awaited.
    pub(crate) fn under_way(&self) -> Ranges {
        self.open.keys().chain(self.awaiting.keys()).map(|&piece| self.geometry.range(piece)).collect()
    }

    /// The pieces that were begun since this was last asked.
    pub(crate) fn take_fresh(&mut self) -> Ranges {
        self.fresh.drain(..).map(|piece| self.geometry.range(piece)).collect()
    }
}
