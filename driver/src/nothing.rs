//! What a host of a node works with that has no files and gets none.

use std::io::{self, IoSliceMut};

use hexad_core::{LeaseId, Payload, ShareId};

use crate::{Deliveries, ReadShare};

/// Takes nothing and reads nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Deliveries for Nothing {
    fn deliver(&self, _: LeaseId, _: u64, _: &Payload) {}

    fn congested(&self) -> bool {
        false
    }
}

impl ReadShare for Nothing {
    fn read(&self, _: ShareId, _: u64, _: &mut [IoSliceMut<'_>], _: bool) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }
}
