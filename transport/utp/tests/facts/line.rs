//! What tests want of the line between two hubs.

use hexad_core::Span;
use hexad_utp::Key;
pub use hexad_utp::line::{Line, Manner, address};

pub trait Carries {
    fn connect(&mut self) -> (Key, Key);
    /// Moves `bytes` from the first end to the second and says how long that took.
    fn carry(&mut self, pair: (Key, Key), bytes: &[u8], within: Span) -> Span;
}

impl Carries for Line {
    fn connect(&mut self) -> (Key, Key) {
        self.open().expect("never open")
    }

    fn carry(&mut self, (from, to): (Key, Key), bytes: &[u8], within: Span) -> Span {
        let (began, until) = (self.now, self.after(within));
        let (mut sent, mut came) = (0, Vec::new());
        while came.len() < bytes.len() {
            sent += self.hubs[0].write(from, &bytes[sent..]);
            assert!(self.step(until), "{} of {} bytes after {within:?}", came.len(), bytes.len());
            self.drain(1, to, &mut came);
        }
        assert!(came == bytes, "what came is not what was sent");
        self.now.since(began)
    }
}

/// `length` bytes that are not all the same.
pub fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}
