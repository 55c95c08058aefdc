//! Making .torrent files.

use std::sync::Arc;

use hexad_content::{FileEntry, Layout, Sha1Digest, TreeProof};
use hexad_core::Malformed;

use super::{Info, Metainfo, Version, v2};
use crate::wire::bencode::Out;

/// What goes into a fresh .torrent. The same values give the same bytes.
#[derive(Clone, Debug)]
pub struct MetainfoBuilder {
    /// The files.
    pub layout: Arc<Layout>,
    /// Bytes of every piece but the last.
    pub piece_bytes: u64,
    /// SHA-1 of each piece; none for version 2 only.
    pub hashes: Vec<Sha1Digest>,
    /// The trees of all files that have bytes, with parts as long as pieces; none for version 1 only.
    pub trees: Vec<TreeProof>,
    /// What to describe it for.
    pub version: Version,
    /// BEP 27.
    pub private: bool,
    /// Private trackers' salt.
    pub source: Option<String>,
    /// Tracker tiers.
    pub tiers: Vec<Vec<String>>,
    /// Web seeds.
    pub web_seeds: Vec<String>,
    /// Free text.
    pub comment: Option<String>,
    /// Program that made it; this one unless said otherwise.
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub creation_unix_s: Option<i64>,
    /// DHT nodes to begin at (BEP 5).
    pub nodes: Vec<(String, u16)>,
}

impl MetainfoBuilder {
    /// Pieces of `layout`, and nothing else said.
    #[must_use]
    pub fn new(layout: Arc<Layout>, piece_bytes: u64, hashes: Vec<Sha1Digest>) -> Self {
        Self {
            layout,
            piece_bytes,
            hashes,
            trees: Vec::new(),
            version: Version::V1,
            private: false,
            source: None,
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            created_by: Some(concat!("Hexad ", env!("CARGO_PKG_VERSION")).to_owned()),
            creation_unix_s: None,
            nodes: Vec::new(),
        }
    }

    /// The same for version 2 as well. Where only that is wanted, `hashes` are left out. `layout` must be [`Layout::aligned`] to the pieces and in
    /// the order of its paths.
    #[must_use]
    pub fn with_trees(self, trees: Vec<TreeProof>, version: Version) -> Self {
        Self { trees, version, ..self }
    }

    /// The .torrent.
    ///
    /// # Errors
    /// When the values contradict each other (number of hashes, piece length, order of files).
    pub fn build(self) -> Result<Metainfo, Malformed> {
        let int = Out::count;
        let attributes = |file: &FileEntry| {
            let letters: String =
                [(file.padding, 'p'), (file.executable, 'x')].into_iter().filter(|(on, _)| *on).map(|(_, letter)| letter).collect();
            (!letters.is_empty()).then(|| Out::text(&letters))
        };
        let one_file = |file: &FileEntry| {
            let path = Out::List(file.path.iter().map(|element| Out::text(element)).collect());
            Out::dict([("attr", attributes(file)), ("length", Some(int(file.length))), ("path", Some(path))])
        };
        let single = self.layout.is_single();
        let files = self.layout.files();
        let pieces: Vec<u8> = self.hashes.iter().flat_map(|hash| hash.0).collect();
        let (v1, v2) = (self.version.has_v1(), self.version.has_v2());
        let tree = if v2 { Some(v2::write_tree(&self.layout, &self.trees)?) } else { None };
        let info = Out::dict([
            ("attr", files.first().filter(|_| single && v1).and_then(attributes)),
            ("file tree", tree),
            ("files", (!single && v1).then(|| Out::List(files.iter().map(one_file).collect()))),
            ("length", (single && v1).then(|| int(self.layout.total_bytes()))),
            ("meta version", v2.then_some(Out::Int(2))),
            ("name", Some(Out::text(self.layout.name()))),
            ("piece length", Some(int(self.piece_bytes))),
            ("pieces", v1.then_some(Out::Bytes(pieces))),
            ("private", self.private.then_some(Out::Int(1))),
            ("source", self.source.as_deref().map(Out::text)),
        ]);
        let info = Info::parse(info.encode().into())?;
        if v2 && info.layout != self.layout {
            return Err(Malformed::at(0, "expected the files in the order of their paths, each beginning with a piece"));
        }
        let trees = v2.then(|| self.trees.into());
        Ok(Metainfo {
            proof: info.proof(trees.as_ref())?,
            info,
            trees,
            tiers: self.tiers,
            web_seeds: self.web_seeds,
            nodes: self.nodes,
            comment: self.comment,
            created_by: self.created_by,
            creation_unix_s: self.creation_unix_s,
        })
    }
}
