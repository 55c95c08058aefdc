//! What stands between a home and the rest of the world.

use hexad_core::{Map, Span, Time};

/// How long an answer is let in after a datagram has gone out.
const OPEN_FOR: Span = Span::from_secs(60);
/// Mappings kept; the expired ones are forgotten first.
const MAPPINGS_MAX: usize = 4096;

/// A network address translator that lets in only what was asked for: no connections, and datagrams only from whom one was sent to lately.
#[derive(Debug, Default)]
pub(crate) struct Nat {
    asked: Map<u32, Time>,
}

impl Nat {
    /// A datagram goes out.
    pub(crate) fn on_sent(&mut self, to: u32, now: Time) {
        if self.asked.len() >= MAPPINGS_MAX && !self.asked.contains_key(&to) {
            self.asked.retain(|_, &mut at| at + OPEN_FOR > now);
            if self.asked.len() >= MAPPINGS_MAX {
                self.asked.pop_first();
            }
        }
        self.asked.insert(to, now);
    }

    /// Whether a datagram gets in.
    pub(crate) fn lets_in(&self, from: u32, now: Time) -> bool {
        self.asked.get(&from).is_some_and(|&at| at + OPEN_FOR > now)
    }
}
