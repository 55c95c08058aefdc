//! .torrent files and info dictionaries (BEP 3, 5, 12, 19, 27, 47): reading and making.

use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, FileEntry, Layout, Magnet, Proof, Sha1Digest};
use hexad_core::{Description, Malformed};
use sha1::{Digest as _, Sha1};

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

/// What an info dictionary says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The dictionary's own bytes: what is hashed, and what ut_metadata hands out.
    pub bytes: Bytes,
    /// SHA-1 of [`Self::bytes`].
    pub info_hash: [u8; 20],
    /// The files.
    pub layout: Arc<Layout>,
    /// Bytes of every piece but the last.
    pub piece_bytes: u64,
    /// SHA-1 of each piece.
    pub hashes: Arc<[Sha1Digest]>,
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
        let Some(pieces) = value.get("pieces").and_then(Value::bytes) else {
            return Err(wrong(if version == 2 { "v2-only torrents are not supported yet" } else { "expected 'pieces' in 'info'" }));
        };
        let piece_bytes: u64 =
            value.get("piece length").and_then(Value::number).ok_or_else(|| wrong("expected 'piece length' in 'info'"))?;
        if piece_bytes == 0 || piece_bytes > PIECE_BYTES_MAX {
            return Err(Malformed::at(at, format!("expected a piece length from 1 to {PIECE_BYTES_MAX}, came {piece_bytes}")));
        }
        let name = utf8_twin(value, "name").ok_or_else(|| wrong("expected 'name' in 'info'"))?;
        let layout = read_layout(value, name)?;
        let expected = layout.total_bytes().div_ceil(piece_bytes);
        if expected > PIECES_MAX as u64 {
            return Err(Malformed::at(at, format!("more than {PIECES_MAX} pieces")));
        }
        if pieces.len() % 20 != 0 || (pieces.len() / 20) as u64 != expected {
            return Err(Malformed::at(at, format!("expected {expected} piece hashes of 20 bytes, came {} bytes", pieces.len())));
        }
        let hashes: Arc<[Sha1Digest]> = pieces.chunks_exact(20).map(|hash| Sha1Digest(hash.try_into().unwrap_or([0; 20]))).collect();
        // The slice shares the input's memory; the hash is over the bytes as they came, never over a re-encoding.
        let bytes = input.slice(value.span());
        Ok(Self {
            info_hash: Sha1::digest(&bytes).into(),
            bytes,
            layout: Arc::new(layout),
            piece_bytes,
            hashes,
            private: value.get("private").and_then(Value::int) == Some(1),
            source: value.get("source").and_then(Value::text),
        })
    }

    /// What proves the pieces.
    #[must_use]
    pub fn proof(&self) -> Proof {
        Proof::V1Pieces { piece_bytes: self.piece_bytes, total_bytes: self.layout.total_bytes(), hashes: self.hashes.clone() }
    }

    /// How many pieces.
    #[must_use]
    pub fn piece_count(&self) -> u32 {
        u32::try_from(self.hashes.len()).unwrap_or(u32::MAX)
    }
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
        Ok(Self {
            info: Info::read(info, input)?,
            tiers: read_tiers(top),
            web_seeds: read_urls(top.get("url-list")),
            nodes: read_nodes(top),
            comment: utf8_twin(top, "comment"),
            created_by: top.get("created by").and_then(Value::text),
            creation_unix_s: top.get("creation date").and_then(Value::int),
        })
    }

    /// A .torrent of an info dictionary that came from peers, with the trackers and web seeds that a magnet link named.
    #[must_use]
    pub fn of_info(info: Info, tiers: Vec<Vec<String>>, web_seeds: Vec<String>) -> Self {
        Self { info, tiers, web_seeds, nodes: Vec::new(), comment: None, created_by: None, creation_unix_s: None }
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
            ("url-list", (!self.web_seeds.is_empty()).then(urls)),
        ])
        .encode()
    }

    /// What a fetch of this turns out to be.
    #[must_use]
    pub fn description(&self) -> Description {
        Description {
            layout: self.info.layout.clone(),
            proof: Some(self.info.proof()),
            digests: self.digests(),
            torrent: self.encode().into(),
            private: self.info.private,
        }
    }

    /// The names it goes by.
    #[must_use]
    pub fn digests(&self) -> Digests {
        [Digest::TorrentV1(Sha1Digest(self.info.info_hash))].into_iter().collect()
    }

    /// A link that leads to it.
    #[must_use]
    pub fn magnet(&self) -> Magnet {
        Magnet {
            digests: self.digests(),
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

/// What goes into a fresh .torrent. The same values give the same bytes.
#[derive(Clone, Debug)]
pub struct MetainfoBuilder {
    /// The files.
    pub layout: Arc<Layout>,
    /// Bytes of every piece but the last.
    pub piece_bytes: u64,
    /// SHA-1 of each piece.
    pub hashes: Vec<Sha1Digest>,
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

    /// The .torrent.
    ///
    /// # Errors
    /// When the values contradict each other (number of hashes, piece length).
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
        let info = Out::dict([
            ("attr", files.first().filter(|_| single).and_then(attributes)),
            ("files", (!single).then(|| Out::List(files.iter().map(one_file).collect()))),
            ("length", single.then(|| int(self.layout.total_bytes()))),
            ("name", Some(Out::text(self.layout.name()))),
            ("piece length", Some(int(self.piece_bytes))),
            ("pieces", Some(Out::Bytes(pieces))),
            ("private", self.private.then_some(Out::Int(1))),
            ("source", self.source.as_deref().map(Out::text)),
        ]);
        Ok(Metainfo {
            info: Info::parse(info.encode().into())?,
            tiers: self.tiers,
            web_seeds: self.web_seeds,
            nodes: self.nodes,
            comment: self.comment,
            created_by: self.created_by,
            creation_unix_s: self.creation_unix_s,
        })
    }
}
