//! The names that content goes by in the various networks, and how much each of them proves.

use crate::ContentId;

/// SHA-1, 20 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha1Digest(pub [u8; 20]);

/// SHA-256, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest(pub [u8; 32]);

/// One name of some content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// Hexad's own: size and BEP 52 pieces root of one file.
    Content(ContentId),
    /// SHA-1 of a whole file (Gnutella `urn:sha1`).
    Sha1(Sha1Digest),
    /// SHA-256 of a whole file.
    Sha256(Sha256Digest),
    /// Root of a Tiger tree over one file (`urn:tree:tiger`).
    TigerTree([u8; 24]),
    /// MD5 of a file's first 299,008 bytes (Napster).
    Md5Prefix([u8; 16]),
    /// BitTorrent v1 info hash: names a whole torrent, not one file.
    TorrentV1(Sha1Digest),
    /// BitTorrent v2 info hash: names a whole torrent, not one file.
    TorrentV2(Sha256Digest),
}

/// What a digest is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Proves nothing; may point to the same content.
    Hint,
    /// Proves the whole once every byte is there.
    Whole,
    /// Proves parts by themselves.
    Ranged,
}

impl Digest {
    /// How much this digest proves.
    #[must_use]
    pub fn strength(&self) -> Strength {
        match self {
            Self::Md5Prefix(_) => Strength::Hint,
            Self::Sha1(_) | Self::Sha256(_) => Strength::Whole,
            Self::Content(_) | Self::TigerTree(_) | Self::TorrentV1(_) | Self::TorrentV2(_) => Strength::Ranged,
        }
    }
}

/// All known names of one content, sorted, each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests(Vec<Digest>);

impl Digests {
    /// No name known.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a name; one that is there already changes nothing.
    pub fn insert(&mut self, digest: Digest) {
        if let Err(place) = self.0.binary_search(&digest) {
            self.0.insert(place, digest);
        }
    }

    /// Whether `digest` is one of the names.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        self.0.binary_search(digest).is_ok()
    }

    /// The names, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Digest> {
        self.0.iter()
    }

    /// Whether both sets name the same content by a digest that proves it.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        self.0.iter().any(|digest| digest.strength() > Strength::Hint && other.contains(digest))
    }
}

impl FromIterator<Digest> for Digests {
    fn from_iter<I: IntoIterator<Item = Digest>>(digests: I) -> Self {
        let mut all = Self::new();
        for digest in digests {
            all.insert(digest);
        }
        all
    }
}

macro_rules! hex_digest {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}
hex_digest!(Sha1Digest);
hex_digest!(Sha256Digest);
