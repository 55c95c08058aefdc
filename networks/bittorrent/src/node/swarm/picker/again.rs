//! Pieces that are begun again with what is known to be right of them.

use super::open::Open;
use super::{GiverId, Picker, State};

impl Picker {
    /// A piece that was lent is begun again, by whoever comes first: these of its blocks are right and here, and were given by those.
    pub(crate) fn go_on_with(&mut self, piece: u32, right: &[bool], giver_of: impl Fn(u32) -> GiverId) {
        let kept = right.iter().any(|right| *right) && self.needed.get(piece);
        let lent = self.states.get(piece as usize) == Some(&State::Awaiting) && self.awaiting.get(&piece).is_some_and(Vec::is_empty);
        if !kept || !lent {
            return self.give_back(piece);
        }
        let mut open = Open::new(self.geometry.blocks(piece), 0, false);
        open.set_owner(None);
        open.set_proven();
        for (block, _) in (0_u32..).zip(right).filter(|(_, right)| **right) {
            open.received(block, giver_of(block), false);
        }
        if open.came() == open.len() {
            self.awaiting.insert(piece, open.givers());
            return;
        }
        self.awaiting.remove(&piece);
        self.free_blocks += u64::from(open.free());
        self.states[piece as usize] = State::Open;
        self.open.insert(piece, open);
    }
}
