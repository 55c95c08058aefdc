//! What this machine has, as a node sees it.

use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digests, Layout, Proof, Ranges, info};

use crate::{Map, ShareId};

/// One layout that we have, or are fetching.
#[derive(Clone, Debug)]
pub struct Share {
    /// The files.
    pub layout: Arc<Layout>,
    /// All known names of it.
    pub digests: Digests,
    /// What proves its ranges, where that is known.
    pub proof: Option<Proof>,
    /// The verified ranges when the share was put in the snapshot; while a fetch runs, `Input::Judged` tells what came since.
    pub held: Ranges,
    /// The .torrent that describes it; empty when none was made.
    pub torrent: Bytes,
}

impl Share {
    /// The info dictionary (BEP 3) that describes the share to whoever knows its hash: that of its .torrent, else the one way in which BEP 3 lets its
    /// pieces be written. `None` where there are no such pieces, or too many.
    #[must_use]
    pub fn info(&self) -> Option<Bytes> {
        let bytes: Bytes = match &self.proof {
            _ if !self.torrent.is_empty() => self.torrent.slice_ref(info::info_of_torrent(&self.torrent)?),
            Some(Proof::V1Pieces { piece_bytes, hashes, .. }) => info::write(&self.layout, *piece_bytes, hashes).into(),
            _ => return None,
        };
        (bytes.len() <= info::INFO_BYTES_MAX).then_some(bytes)
    }

    /// Whether it came as a private torrent (BEP 27), which stays where it is.
    #[must_use]
    pub fn is_private(&self) -> bool {
        info::info_of_torrent(&self.torrent).and_then(|bytes| info::read(bytes).ok()).is_some_and(|info| info.private)
    }
}

/// An immutable snapshot of our shares. The host puts another in its place when the session adds or removes one.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    by_id: Map<ShareId, Arc<Share>>,
}

impl Shares {
    /// No shares.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_id: Map::new() }
    }

    /// The same snapshot with `share` put in, or put in place of what had that id.
    #[must_use]
    pub fn with(&self, id: ShareId, share: Share) -> Self {
        let mut by_id = self.by_id.clone();
        by_id.insert(id, Arc::new(share));
        Self { by_id }
    }

    /// The same snapshot with all of these put in.
    #[must_use]
    pub fn with_all(&self, shares: impl IntoIterator<Item = (ShareId, Share)>) -> Self {
        let mut by_id = self.by_id.clone();
        by_id.extend(shares.into_iter().map(|(id, share)| (id, Arc::new(share))));
        Self { by_id }
    }

    /// The same snapshot without `id`.
    #[must_use]
    pub fn without(&self, id: ShareId) -> Self {
        let mut by_id = self.by_id.clone();
        by_id.remove(&id);
        Self { by_id }
    }

    /// The share of that id.
    #[must_use]
    pub fn share(&self, id: ShareId) -> Option<&Arc<Share>> {
        self.by_id.get(&id)
    }

    /// All shares in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (ShareId, &Arc<Share>)> {
        self.by_id.iter().map(|(&id, share)| (id, share))
    }
}
