//! Who shares what the index finds: all that an answer says of a user, in one place, since every answer to every search looks here.

use hexad_catalogue::OwnerId;
use hexad_core::ConnId;

use crate::wire::{Ip, Text};

/// What an answer says of who has a file.
#[derive(Clone, Debug)]
pub(super) struct Sharer {
    pub(super) conn: ConnId,
    pub(super) nick: Text,
    pub(super) ip: Ip,
    pub(super) port: u16,
    pub(super) speed: u32,
}

/// Sharers by the index's number of them, which are dense.
#[derive(Debug, Default)]
pub(super) struct Sharers(Vec<Option<Sharer>>);

fn place(owner: OwnerId) -> usize {
    usize::try_from(owner.0).unwrap_or(usize::MAX)
}

impl Sharers {
    pub(super) fn get(&self, owner: OwnerId) -> Option<&Sharer> {
        self.0.get(place(owner))?.as_ref()
    }

    /// As many as the index has owners, which it bounds.
    pub(super) fn put(&mut self, owner: OwnerId, sharer: Sharer) {
        if self.0.len() <= place(owner) {
            self.0.resize(place(owner) + 1, None);
        }
        self.0[place(owner)] = Some(sharer);
    }

    pub(super) fn remove(&mut self, owner: OwnerId) {
        if let Some(sharer) = self.0.get_mut(place(owner)) {
            *sharer = None;
        }
    }
}
