//! What a stranger says that a digest stands for, and which digest that is: nothing of it need be believed.

use bytes::Bytes;

use crate::{ContentId, Digest, Layout, Proof, Sha256Digest, TreeProof, info};

/// Files as somebody has described them.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// What proves the description: whoever asked for this digest was told the truth.
    pub digest: Digest,
    /// The files.
    pub layout: Layout,
    /// What proves them.
    pub proof: Proof,
    /// A .torrent that says the same; empty where there is none.
    pub torrent: Bytes,
    /// BEP 27.
    pub private: bool,
}

impl Described {
    /// By an info dictionary (BEP 3); `None` when it is none.
    #[must_use]
    pub fn by_info(bytes: &[u8]) -> Option<Self> {
        let read = info::read(bytes).ok()?;
        let torrent = Bytes::from([b"d4:info", bytes, b"e"].concat());
        let digest = Digest::TorrentV1(info::hash(bytes));
        Some(Self { digest, layout: read.layout, proof: read.proof, torrent, private: read.private })
    }

    /// One file, by a layer of its Merkle tree; `None` when that does not fold to `content`, or the file cannot have that name.
    #[must_use]
    pub fn by_tree(content: ContentId, part_bytes: u64, hashes: Vec<Sha256Digest>, name: &str) -> Option<Self> {
        let proof = Proof::Tree(TreeProof::new(content, part_bytes, hashes).ok()?);
        let layout = Layout::single(name.to_owned(), content.size).ok()?;
        Some(Self { digest: Digest::Content(content), layout, proof, torrent: Bytes::new(), private: false })
    }
}
