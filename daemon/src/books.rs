//! Numbers given out, and the shares that hosts see.

use std::sync::Arc;

use hexad_core::{LeaseId, OpId, Share, ShareId, Shares};

/// The session's books.
#[derive(Default)]
pub(crate) struct Books {
    last: u64,
    /// What every network's node sees as `Context::shares`.
    pub(crate) shares: Arc<Shares>,
}

impl Books {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A fresh operation.
    pub(crate) fn op(&mut self) -> OpId {
        OpId(self.next())
    }

    /// A fresh lease.
    pub(crate) fn lease(&mut self) -> LeaseId {
        LeaseId(self.next())
    }

    /// A fresh share.
    pub(crate) fn share(&mut self) -> ShareId {
        ShareId(self.next())
    }

    /// Puts a share among those that hosts see.
    pub(crate) fn put(&mut self, id: ShareId, share: Share) {
        self.shares = Arc::new(self.shares.with(id, share));
    }

    /// Puts many there at once.
    pub(crate) fn put_all(&mut self, shares: Vec<(ShareId, Share)>) {
        if !shares.is_empty() {
            self.shares = Arc::new(self.shares.with_all(shares));
        }
    }

    /// Takes it away.
    pub(crate) fn remove(&mut self, id: ShareId) {
        self.shares = Arc::new(self.shares.without(id));
    }
}
