//! How long something rests that nodes of the DHT are told again and again.

use hexad_core::{Dice, Span};

use super::table::K;

/// While fewer than eight nodes were told, they are told again after this, then after twice as long and so on: the network is young, and nodes that come may
/// be nearer than those that were told.
const SPARSE_MIN: Span = Span::from_secs(4);

/// How often in a row nobody was told, or hardly anybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resting(u32);

impl Resting {
    /// Whether fewer than eight nodes were told the last time.
    pub const fn is_sparse(self) -> bool {
        self.0 > 0
    }

    /// `told` nodes were told; returns how long it rests then, `longest` at most. Spread, so that what began together does not stay together.
    pub fn after(&mut self, told: usize, longest: Span, dice: &mut Dice) -> Span {
        let wait = if told >= K {
            self.0 = 0;
            longest
        } else {
            self.0 = self.0.saturating_add(1);
            SPARSE_MIN.saturating_mul(1 << (self.0 - 1).min(16)).min(longest)
        };
        let micros = u64::try_from(wait.as_micros()).unwrap_or(0);
        Span::from_micros(micros - dice.below(micros / 10 + 1))
    }
}
