//! .torrent files and info dictionaries (BEP 3, 5, 12, 19, 27, 47, 52): reading, here, and making, in [`build`]. What only version 2 has is in
//! [`v2`].

mod build;
mod v2;

use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{
    ContentId, Digest, Digests, FileEntry, ForestProof, Layout, Magnet, PiecesRootHasher, Proof, Sha1Digest, Sha256Digest, TreeProof,
};
use hexad_core::{Description, Malformed};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

pub use self::build::MetainfoBuilder;
use super::bencode::{self, Out, Strictness, Value};

/// Largest .torrent that is read (libtorrent's `max_metadata_size`).
pub const METAINFO_BYTES_MAX: usize = 30 << 20;
/// Most pieces of a torrent (libtorrent's `max_piece_count`).
pub const PIECES_MAX: usize = 0x20_0000;
/// Longest piece.
pub const PIECE_BYTES_MAX: u64 = 2 << 30;
/// Most files of a torrent.
pub const FILES_MAX: usize = 1_000_000;
const TRACKERS_MAX: usize = 200;

/// Which BitTorrent a torrent is described for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// SHA-1 of pieces across files, BEP 3.
    #[default]
    V1,
    /// A SHA-256 tree for each file, BEP 52.
    V2,
    /// Both, of the same files.
    Hybrid,
}

impl Version {
    /// Whether pieces have SHA-1 digests.
    #[must_use]
    pub fn has_v1(self) -> bool {
        self != Self::V2
    }

    /// Whether files have trees.
    #[must_use]
    pub fn has_v2(self) -> bool {
        self != Self::V1
    }
}

/// What an info dictionary says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The dictionary's own bytes: what is hashed, and what ut_metadata hands out.
    pub bytes: Bytes,
    /// What it is described for.
    pub version: Version,
    /// The name it goes by in 20 bytes: SHA-1 of [`Self::bytes`], of a torrent of version 2 only the beginning of [`Self::info_hash_v2`].
    pub info_hash: [u8; 20],
    /// SHA-256 of [`Self::bytes`], where it has a part of version 2.
    pub info_hash_v2: Option<Sha256Digest>,
    /// The files. Those of version 2 begin with a piece each, by padding that the dictionary does not name.
    pub layout: Arc<Layout>,
    /// Bytes of every piece but the last.
    pub piece_bytes: u64,
    /// SHA-1 of each piece; none of version 2 only.
    pub hashes: Arc<[Sha1Digest]>,
    /// Size and *pieces root* of every file that has bytes, in their order; none of version 1 only.
    pub contents: Arc<[ContentId]>,
    /// BEP 27.
    pub private: bool,
    /// Private trackers' salt.
    pub source: Option<String>,
}

/// What a .torrent says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metainfo {
    /// The hashed part.
    pub info: Info,
    /// The trees of all files that have bytes: `piece layers`, held against every *pieces root*. `None` of version 1 only, and of a hybrid whose
    /// info dictionary came without them.
    trees: Option<Arc<[TreeProof]>>,
    proof: Proof,
    /// Tracker tiers (BEP 12); `announce` alone is one tier.
    pub tiers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// DHT nodes (BEP 5).
    pub nodes: Vec<(String, u16)>,
    /// Free text.
    pub comment: Option<String>,
    /// Program that made it.
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub creation_unix_s: Option<i64>,
}

impl Info {
    /// Reads an info dictionary.
    ///
    /// # Errors
    /// When it is not a usable v1 info dictionary.
    pub fn parse(bytes: Bytes) -> Result<Self, Malformed> {
        if bytes.len() > METAINFO_BYTES_MAX {
            return Err(too_long(bytes.len()));
        }
        let tree = bencode::parse(&bytes, Strictness::Lenient)?;
        Self::read(tree.root(), &bytes)
    }

    fn read(value: Value<'_>, input: &Bytes) -> Result<Self, Malformed> {
        let at = value.span().start;
        let wrong = |reason: &'static str| Malformed::at(at, reason);
        if value.entries().is_none() {
            return Err(wrong("expected 'info' to be a dictionary"));
        }
        let version: i64 = value.get("meta version").and_then(Value::int).unwrap_or(1);
        if version > 2 {
            return Err(Malformed::at(at, format!("meta version {version} is more than the 2 that is known")));
        }
        let piece_bytes: u64 =
            value.get("piece length").and_then(Value::number).ok_or_else(|| wrong("expected 'piece length' in 'info'"))?;
        if piece_bytes == 0 || piece_bytes > PIECE_BYTES_MAX {
            return Err(Malformed::at(at, format!("expected a piece length from 1 to {PIECE_BYTES_MAX}, came {piece_bytes}")));
        }
        let leaf = PiecesRootHasher::LEAF_BYTES as u64;
        if version == 2 && (!piece_bytes.is_power_of_two() || piece_bytes < leaf) {
            return Err(Malformed::at(at, format!("expected a piece length that is a power of two from {leaf}, came {piece_bytes}")));
        }
        let pieces = value.get("pieces").and_then(Value::bytes);
        let version = match (version == 2, pieces) {
            (true, Some(_)) => Version::Hybrid,
            (true, None) => Version::V2,
            (false, Some(_)) => Version::V1,
            (false, None) => return Err(wrong("expected 'pieces' in 'info'")),
        };
        let name = utf8_twin(value, "name").ok_or_else(|| wrong("expected 'name' in 'info'"))?;
        let tree = if version.has_v2() { Some(v2::FileTree::read(value)?) } else { None };
        let layout = match &tree {
            Some(tree) if version == Version::V2 => tree.layout(name, piece_bytes, at)?,
            _ => read_layout(value, name)?,
        };
        if let Some(tree) = &tree {
            tree.agrees_with(&layout, piece_bytes, at)?;
        }
        let expected = layout.total_bytes().div_ceil(piece_bytes);
        if expected > PIECES_MAX as u64 {
            return Err(Malformed::at(at, format!("more than {PIECES_MAX} pieces")));
        }
        let pieces = pieces.unwrap_or_default();
        if version.has_v1() && (!pieces.len().is_multiple_of(20) || (pieces.len() / 20) as u64 != expected) {
            return Err(Malformed::at(at, format!("expected {expected} piece hashes of 20 bytes, came {} bytes", pieces.len())));
        }
        let hashes: Arc<[Sha1Digest]> = pieces.chunks_exact(20).map(|hash| Sha1Digest(hash.try_into().unwrap_or([0; 20]))).collect();
        // The slice shares the input's memory; the hash is over the bytes as they came, never over a re-encoding.
        let bytes = input.slice(value.span());
        let info_hash_v2 = version.has_v2().then(|| Sha256Digest(Sha256::digest(&bytes).into()));
        let info_hash = match info_hash_v2 {
            Some(hash) if version == Version::V2 => short(&hash),
            _ => Sha1::digest(&bytes).into(),
        };
        Ok(Self {
            version,
            info_hash,
            info_hash_v2,
            bytes,
            layout: Arc::new(layout),
            piece_bytes,
            hashes,
            contents: tree.map(v2::FileTree::into_contents).unwrap_or_default(),
            private: value.get("private").and_then(Value::int) == Some(1),
            source: value.get("source").and_then(Value::text),
        })
    }

    /// The name in 20 bytes that it goes by among peers of version 2, where it has such a part.
    #[must_use]
    pub fn info_hash_v2_short(&self) -> Option<[u8; 20]> {
        self.info_hash_v2.as_ref().map(short)
    }

    /// The files of which `piece layers` must tell the hashes: those that are longer than a piece.
    pub fn layered(&self) -> impl Iterator<Item = ContentId> + '_ {
        self.contents.iter().copied().filter(|content| content.size > self.piece_bytes)
    }

    /// The trees of all files, where `layer_of` tells the hashes of those that are longer than a piece.
    ///
    /// # Errors
    /// When it does not, or they are not what the *pieces root* says.
    pub fn trees(&self, mut layer_of: impl FnMut(&ContentId) -> Option<Arc<[Sha256Digest]>>) -> Result<Arc<[TreeProof]>, Malformed> {
        let tree = |content: &ContentId| {
            let wrong = |reason: &str| Malformed::at(0, format!("the piece layer of {}: {reason}", content.root));
            let hashes = match content.size <= self.piece_bytes {
                true => Arc::from([content.root]),
                false => layer_of(content).ok_or_else(|| wrong("missing"))?,
            };
            TreeProof::new(*content, self.piece_bytes, hashes).map_err(|reason| wrong(&reason.to_string()))
        };
        self.contents.iter().map(tree).collect()
    }

    /// What proves the pieces: those of version 2 by `trees`, those of a hybrid without them by SHA-1 alone.
    fn proof(&self, trees: Option<&Arc<[TreeProof]>>) -> Result<Proof, Malformed> {
        let wrong = |reason: String| Malformed::at(0, reason);
        match (self.version, trees) {
            (Version::V1, _) | (Version::Hybrid, None) => {
                Ok(Proof::V1Pieces { piece_bytes: self.piece_bytes, total_bytes: self.layout.total_bytes(), hashes: self.hashes.clone() })
            }
            (Version::V2, None) => Err(wrong("expected the piece layers".to_owned())),
            (Version::V2, Some(trees)) if trees.len() == 1 && self.layout.files().len() == 1 => Ok(Proof::Tree(trees[0].clone())),
            (version, Some(trees)) => {
                let sha1 = version.has_v1().then(|| self.hashes.clone());
                let forest = ForestProof::new(&self.layout, self.piece_bytes, trees.clone(), sha1);
                forest.map(Proof::Forest).map_err(|reason| wrong(reason.to_string()))
            }
        }
    }

    /// How many pieces.
    #[must_use]
    pub fn piece_count(&self) -> u32 {
        u32::try_from(self.layout.total_bytes().div_ceil(self.piece_bytes)).unwrap_or(u32::MAX)
    }
}

/// The first 20 bytes, as version 2 goes by wherever there is room for no more.
#[must_use]
pub fn short(hash: &Sha256Digest) -> [u8; 20] {
    hash.0.first_chunk().copied().unwrap_or_default()
}

fn too_long(bytes: usize) -> Malformed {
    Malformed::at(0, format!("expected at most {METAINFO_BYTES_MAX} bytes, came {bytes}"))
}

/// `key.utf-8` where a legacy maker wrote it, else `key`.
fn utf8_twin(value: Value<'_>, key: &str) -> Option<String> {
    value.get(&format!("{key}.utf-8")).and_then(Value::text).or_else(|| value.get(key).and_then(Value::text))
}

fn read_layout(info: Value<'_>, name: String) -> Result<Layout, Malformed> {
    let at = info.span().start;
    let refused = |wrong: hexad_content::LayoutError| Malformed::at(at, wrong.to_string());
    let attributes = |value: Value<'_>| value.get("attr").and_then(Value::bytes).unwrap_or_default().to_vec();
    match (info.get("files").and_then(Value::list), info.get("length").and_then(Value::number::<u64>)) {
        (None, Some(length)) => {
            let file = FileEntry { path: vec![name.clone()], length, padding: false, executable: attributes(info).contains(&b'x') };
            Layout::single_entry(name, file).map_err(refused)
        }
        (Some(_), Some(_)) => Err(Malformed::at(at, "expected either 'length' or 'files' in 'info', came both")),
        (None, None) => Err(Malformed::at(at, "expected 'length' (0 or more) or 'files' in 'info'")),
        (Some(list), None) => {
            if list.clone().nth(FILES_MAX).is_some() {
                return Err(Malformed::at(at, format!("more than {FILES_MAX} files")));
            }
            let files = list.map(|file| read_file(file, &attributes(file))).collect::<Result<Vec<_>, _>>()?;
            Layout::folder(name, files).map_err(refused)
        }
    }
}

fn read_file(file: Value<'_>, attributes: &[u8]) -> Result<FileEntry, Malformed> {
    let at = file.span().start;
    // A symbolic link (BEP 47 `l`) has no bytes of its own; it is laid out as an empty file, so that file indices stay the publisher's.
    let length = file.get("length").map_or(attributes.contains(&b'l').then_some(0), Value::number::<u64>);
    let length = length.ok_or_else(|| Malformed::at(at, "expected the file's 'length', 0 or more"))?;
    let path = file
        .get("path.utf-8")
        .or_else(|| file.get("path"))
        .and_then(Value::list)
        .ok_or_else(|| Malformed::at(at, "expected the file's 'path' as a list"))?;
    let path =
        path.map(Value::text).collect::<Option<Vec<String>>>().ok_or_else(|| Malformed::at(at, "expected path elements to be strings"))?;
    if path.is_empty() {
        return Err(Malformed::at(at, "expected at least one path element"));
    }
    Ok(FileEntry { path, length, padding: attributes.contains(&b'p'), executable: attributes.contains(&b'x') })
}

impl Metainfo {
    /// Reads a .torrent.
    ///
    /// # Errors
    /// When it is not one, or not one that can be used.
    pub fn parse(input: &Bytes) -> Result<Self, Malformed> {
        if input.len() > METAINFO_BYTES_MAX {
            return Err(too_long(input.len()));
        }
        let tree = bencode::parse(input, Strictness::Lenient)?;
        let top = tree.root();
        let info = top.get("info").ok_or_else(|| Malformed::at(0, "expected 'info': this is not a .torrent"))?;
        let info = Info::read(info, input)?;
        let layers = top.get("piece layers");
        // What we write of a hybrid whose info dictionary came by SHA-1 has no layers.
        let without = info.version == Version::Hybrid && layers.is_none() && info.layered().next().is_some();
        let trees = match info.version.has_v2() && !without {
            true => Some(v2::read_layers(&info, layers)?),
            false => None,
        };
        Ok(Self {
            proof: info.proof(trees.as_ref())?,
            info,
            trees,
            tiers: read_tiers(top),
            web_seeds: read_urls(top.get("url-list")),
            nodes: read_nodes(top),
            comment: utf8_twin(top, "comment"),
            created_by: top.get("created by").and_then(Value::text),
            creation_unix_s: top.get("creation date").and_then(Value::int),
        })
    }

    /// A .torrent of an info dictionary that came from peers, with the trackers and web seeds that a magnet link named; `trees` as far as they
    /// are known.
    ///
    /// # Errors
    /// When it is of version 2 only and has no trees, or those of other files.
    pub fn of_info(
        info: Info,
        trees: Option<Arc<[TreeProof]>>,
        tiers: Vec<Vec<String>>,
        web_seeds: Vec<String>,
    ) -> Result<Self, Malformed> {
        let without_layers = || (info.version.has_v2() && info.layered().next().is_none()).then(|| info.trees(|_| None));
        let trees = match trees {
            _ if !info.version.has_v2() => None,
            Some(trees) => Some(trees),
            None => without_layers().transpose()?,
        };
        let proof = info.proof(trees.as_ref())?;
        Ok(Self { info, trees, proof, tiers, web_seeds, nodes: Vec::new(), comment: None, created_by: None, creation_unix_s: None })
    }

    /// The trees of all files that have bytes, in their order; `None` where version 2 is not spoken of.
    #[must_use]
    pub fn trees(&self) -> Option<&Arc<[TreeProof]>> {
        self.trees.as_ref()
    }

    /// What proves the pieces. Of a hybrid each piece must be what both versions say.
    #[must_use]
    pub fn proof(&self) -> Proof {
        self.proof.clone()
    }

    /// The .torrent's bytes, the info dictionary as it came.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let tiers = || Out::List(self.tiers.iter().map(|tier| Out::List(tier.iter().map(|url| Out::text(url)).collect())).collect());
        let urls = || Out::List(self.web_seeds.iter().map(|url| Out::text(url)).collect());
        let nodes =
            || Out::List(self.nodes.iter().map(|(host, port)| Out::List(vec![Out::text(host), Out::Int((*port).into())])).collect());
        Out::dict([
            ("announce", self.tiers.iter().flatten().next().map(|url| Out::text(url))),
            ("announce-list", (self.tiers.iter().map(Vec::len).sum::<usize>() > 1).then(tiers)),
            ("comment", self.comment.as_deref().map(Out::text)),
            ("created by", self.created_by.as_deref().map(Out::text)),
            ("creation date", self.creation_unix_s.map(Out::Int)),
            ("info", Some(Out::Raw(self.info.bytes.to_vec()))),
            ("nodes", (!self.nodes.is_empty()).then(nodes)),
            ("piece layers", self.trees.as_ref().map(|trees| v2::write_layers(trees))),
            ("url-list", (!self.web_seeds.is_empty()).then(urls)),
        ])
        .encode()
    }

    /// What a fetch of this turns out to be.
    #[must_use]
    pub fn description(&self) -> Description {
        Description {
            layout: self.info.layout.clone(),
            proof: Some(self.proof()),
            digests: self.digests(),
            torrent: self.encode().into(),
            private: self.info.private,
        }
    }

    /// The names it goes by: its info hashes, and that of the file where there is only one.
    #[must_use]
    pub fn digests(&self) -> Digests {
        let file = self.info.contents.first().filter(|_| self.info.layout.files().iter().filter(|file| !file.padding).count() == 1);
        self.info_hashes().chain(file.map(|content| Digest::Content(*content))).collect()
    }

    fn info_hashes(&self) -> impl Iterator<Item = Digest> {
        let v1 = self.info.version.has_v1().then_some(Digest::TorrentV1(Sha1Digest(self.info.info_hash)));
        v1.into_iter().chain(self.info.info_hash_v2.map(Digest::TorrentV2))
    }

    /// A link that leads to it.
    #[must_use]
    pub fn magnet(&self) -> Magnet {
        Magnet {
            digests: self.info_hashes().collect(),
            name: Some(self.info.layout.name().to_owned()),
            size_bytes: Some(self.info.layout.total_bytes()),
            trackers: self.tiers.iter().flatten().cloned().collect(),
            web_seeds: self.web_seeds.clone(),
            ..Magnet::default()
        }
    }
}

fn read_tiers(top: Value<'_>) -> Vec<Vec<String>> {
    let mut left = TRACKERS_MAX;
    let mut tiers = Vec::new();
    for tier in top.get("announce-list").and_then(Value::list).into_iter().flatten() {
        let urls: Vec<String> =
            tier.list().into_iter().flatten().filter_map(Value::text).filter(|url| !url.is_empty()).take(left).collect();
        left -= urls.len();
        if !urls.is_empty() {
            tiers.push(urls);
        }
    }
    if tiers.is_empty() {
        tiers.extend(top.get("announce").and_then(Value::text).filter(|url| !url.is_empty()).map(|url| vec![url]));
    }
    tiers
}

fn read_urls(value: Option<Value<'_>>) -> Vec<String> {
    let Some(value) = value else { return Vec::new() };
    let urls = match value.list() {
        Some(list) => list.filter_map(Value::text).collect(),
        None => value.text().into_iter().collect::<Vec<_>>(),
    };
    urls.into_iter().filter(|url| !url.is_empty()).take(TRACKERS_MAX).collect()
}

fn read_nodes(top: Value<'_>) -> Vec<(String, u16)> {
    let node = |node: Value<'_>| {
        let mut parts = node.list()?;
        Some((parts.next()?.text()?, parts.next()?.number()?))
    };
    top.get("nodes").and_then(Value::list).into_iter().flatten().take(TRACKERS_MAX).filter_map(node).collect()
}
