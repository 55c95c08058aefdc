//! SHA-1 of many independent messages at once.

use sha1::{Digest as _, Sha1};

use crate::Sha1Digest;

/// How many messages are hashed side by side.
pub const LANES: usize = 16;

/// The SHA-1 of every message, in the order of `messages`.
#[must_use]
pub fn sha1_many(messages: &[&[u8]]) -> Vec<Sha1Digest> {
    messages.iter().map(|message| Sha1Digest(Sha1::digest(message).into())).collect()
}
