//! By which info hashes a torrent goes: one of version 1, one of version 2, or both of them (a hybrid).

use hexad_content::{Digest, Magnet, Sha1Digest, Sha256Digest};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::wire::metainfo::{Info, short};

/// The info hashes of a swarm, as far as they are known; at least one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) v1: Option<[u8; 20]>,
    pub(crate) v2: Option<Sha256Digest>,
}

/// What an info dictionary is to the names that it was fetched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// It has all of them.
    Right,
    /// It has none of them.
    Wrong,
    /// It has one of them and not the other: they belong to different torrents.
    Half,
}

impl Names {
    pub(crate) fn of_info(info: &Info) -> Self {
        Self { v1: info.version.has_v1().then_some(info.info_hash), v2: info.info_hash_v2 }
    }

    /// Those of a link; `None` when it has neither.
    pub(crate) fn of_magnet(magnet: &Magnet) -> Option<Self> {
        let mut names = Self::default();
        for digest in magnet.digests.iter() {
            match *digest {
                Digest::TorrentV1(Sha1Digest(hash)) => names.v1 = Some(hash),
                Digest::TorrentV2(hash) => names.v2 = Some(hash),
                _ => {}
            }
        }
        (names != Self::default()).then_some(names)
    }

    /// The name of version 2 in 20 bytes.
    pub(crate) fn v2_short(&self) -> Option<[u8; 20]> {
        self.v2.as_ref().map(short)
    }

    /// All of them in 20 bytes, that of version 1 first.
    pub(crate) fn shorts(&self) -> impl Iterator<Item = [u8; 20]> + use<> {
        self.v1.into_iter().chain(self.v2_short())
    }

    /// Whether it is known to go by both.
    pub(crate) fn are_both(&self) -> bool {
        self.v1.is_some() && self.v2.is_some()
    }

    /// What these bytes are, as an info dictionary.
    pub(crate) fn look_at(&self, bytes: &[u8]) -> Named {
        let v1 = self.v1.map(|hash| hash == <[u8; 20]>::from(Sha1::digest(bytes)));
        let v2 = self.v2.map(|hash| hash.0 == <[u8; 32]>::from(Sha256::digest(bytes)));
        match (v1, v2) {
            (Some(false), Some(true)) | (Some(true), Some(false)) => Named::Half,
            (Some(true), _) | (None, Some(true)) => Named::Right,
            _ => Named::Wrong,
        }
    }
}
