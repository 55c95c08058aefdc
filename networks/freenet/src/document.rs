//! Documents about content (Hyphanet's metadata, in an encoding of our own): where the bytes are, of what type, and what is in a directory.
//!
//! Big-endian numbers behind a magic; texts and lists behind their lengths. Every count is held against what is left to read.

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_content::{ContentId, FileEntry, Layout, LayoutError, Proof, Sha1Digest, Sha256Digest, TreeProof};
use hexad_core::Malformed;

use crate::keys::ClientChk;
use crate::splitfile::{Shape, block_count, segments};
use crate::wire::Fields;

const MAGIC: [u8; 4] = *b"HXD1";
/// Files of one directory.
pub const ENTRIES_MAX: usize = 100_000;
/// Segments of one file: 128 GiB.
const SEGMENTS_MAX: usize = 1 << 15;
const TEXT_BYTES_MAX: usize = 4096;
/// A file of a directory that is no larger than this is kept in the directory.
pub const INLINE_BYTES_MAX: usize = 4 << 10;

/// A block of content: its routing key and its cipher key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockKey {
    /// What the network calls it.
    pub routing: [u8; 32],
    /// What reads it.
    pub crypto: [u8; 32],
}

impl From<ClientChk> for BlockKey {
    fn from(key: ClientChk) -> Self {
        Self { routing: key.routing, crypto: key.crypto }
    }
}

impl From<BlockKey> for ClientChk {
    fn from(key: BlockKey) -> Self {
        Self { routing: key.routing, crypto: key.crypto, control: false, codec: -1 }
    }
}

/// Where bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Here.
    Inline(Bytes),
    /// In one block.
    Block(BlockKey),
    /// In segments of blocks: data blocks first, then check blocks.
    Split(Vec<Vec<BlockKey>>),
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Type, where the publisher says it.
    pub mime: Option<String>,
    /// The stored bytes are a zlib stream of the file.
    pub deflated: bool,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes that are stored.
    pub stored_bytes: u64,
    /// Where they are.
    pub body: Body,
}

impl Leaf {
    /// The segments' shapes; empty where the bytes are not split.
    #[must_use]
    pub fn shapes(&self) -> Vec<Shape> {
        if matches!(self.body, Body::Split(_)) { segments(block_count(self.stored_bytes)) } else { Vec::new() }
    }

    fn is_sound(&self) -> bool {
        let fits = match &self.body {
            Body::Inline(bytes) => bytes.len() as u64 == self.stored_bytes,
            Body::Block(_) => block_count(self.stored_bytes) <= 1,
            Body::Split(lists) => {
                let shapes = self.shapes();
                shapes.len() == lists.len() && shapes.iter().zip(lists).all(|(shape, keys)| shape.data + shape.check == keys.len())
            }
        };
        fits && (self.deflated || self.bytes == self.stored_bytes)
    }
}

/// What a name in a directory stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file; whether it is executable, and whether it is padding between files.
    File(Leaf, bool, bool),
    /// Something under another key.
    Elsewhere(String),
}

/// What proves the files of a share part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// As BEP 3 has it: bytes of a piece, SHA-1 of each.
    V1(u64, Vec<Sha1Digest>),
    /// As BEP 52 has it, for one file: bytes of a part, the root, a layer.
    Tree(u64, Sha256Digest, Vec<Sha256Digest>),
}

impl Pieces {
    /// The same as a document carries it; `None` for a proof of another kind.
    #[must_use]
    pub fn of(proof: &Proof) -> Option<Self> {
        match proof {
            Proof::V1Pieces { piece_bytes, hashes, .. } => Some(Self::V1(*piece_bytes, hashes.to_vec())),
            Proof::Tree(tree) => Some(Self::Tree(tree.part_bytes(), tree.content().root, tree.hashes().to_vec())),
            Proof::Tiger(_) | Proof::Forest(_) | Proof::Whole { .. } | Proof::Unproven { .. } => None,
        }
    }

    fn proof(&self, total_bytes: u64) -> Option<Proof> {
        match self {
            Self::V1(piece_bytes, hashes) => {
                Some(Proof::V1Pieces { piece_bytes: *piece_bytes, total_bytes, hashes: hashes.clone().into() })
            }
            Self::Tree(part_bytes, root, hashes) => {
                TreeProof::new(ContentId { size: total_bytes, root: *root }, *part_bytes, hashes.clone()).ok().map(Proof::Tree)
            }
        }
    }
}

/// What a key's content turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// One file.
    File {
        /// Its name, where the publisher says it.
        name: Option<String>,
        /// The file.
        leaf: Leaf,
        /// What proves it part by part.
        pieces: Option<Pieces>,
    },
    /// Files by their paths; the empty path stands for the directory itself.
    Directory {
        /// Its name.
        name: String,
        /// Path → what is there, in the publisher's order.
        entries: Vec<(String, Entry)>,
        /// What proves all files, laid end to end in that order.
        pieces: Option<Pieces>,
    },
    /// Something under another key.
    Redirect(String),
    /// The document itself is too large for a block: these are its bytes.
    Outer(Leaf),
}

impl Document {
    /// The bytes of it.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_slice(&MAGIC);
        match self {
            Self::File { name, leaf, pieces } => {
                out.put_u8(0);
                put_option(name.as_deref(), &mut out);
                put_pieces(pieces.as_ref(), &mut out);
                put_leaf(leaf, &mut out);
            }
            Self::Directory { name, entries, pieces } => {
                out.put_u8(1);
                put_text(name, &mut out);
                put_pieces(pieces.as_ref(), &mut out);
                out.put_u32(narrow(entries.len()));
                for (path, entry) in entries {
                    put_text(path, &mut out);
                    match entry {
                        Entry::File(leaf, executable, padding) => {
                            out.put_u8(u8::from(*executable) << 1 | u8::from(*padding) << 2);
                            put_leaf(leaf, &mut out);
                        }
                        Entry::Elsewhere(uri) => {
                            out.put_u8(1);
                            put_text(uri, &mut out);
                        }
                    }
                }
            }
            Self::Redirect(uri) => {
                out.put_u8(2);
                put_text(uri, &mut out);
            }
            Self::Outer(leaf) => {
                out.put_u8(3);
                put_leaf(leaf, &mut out);
            }
        }
        out.freeze()
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When it is none, or says what cannot be.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes);
        if fields.array::<4>()? != MAGIC {
            return Err(Malformed::at(0, "expected the magic of a document"));
        }
        let f = &mut fields;
        let document = match f.u8()? {
            0 => Self::File { name: read_option(f)?, pieces: read_pieces(f)?, leaf: read_leaf(f)? },
            1 => {
                let (name, pieces) = (read_text(f)?, read_pieces(f)?);
                let count = f.u32()? as usize;
                if count > ENTRIES_MAX || count > f.left() {
                    return Err(f.wrong("expected fewer entries"));
                }
                let mut entries = Vec::with_capacity(count);
                for _ in 0..count {
                    let path = read_text(f)?;
                    let flags = f.u8()?;
                    let entry = if flags & 1 == 1 {
                        Entry::Elsewhere(read_text(f)?)
                    } else {
                        Entry::File(read_leaf(f)?, flags & 2 != 0, flags & 4 != 0)
                    };
                    entries.push((path, entry));
                }
                Self::Directory { name, entries, pieces }
            }
            2 => Self::Redirect(read_text(f)?),
            3 => Self::Outer(read_leaf(f)?),
            other => return Err(f.wrong(format!("expected a document of kind 0 to 3, came {other}"))),
        };
        if !fields.is_empty() {
            return Err(fields.wrong("expected the end of the document"));
        }
        Ok(document)
    }

    /// The files as they are laid end to end, and what proves them; `None` where that is not said or does not fit.
    #[must_use]
    pub fn layout(&self) -> Option<(Layout, Proof)> {
        let (layout, pieces) = match self {
            Self::File { name, leaf, pieces } => (Layout::single(name.clone()?, leaf.bytes), pieces.as_ref()?),
            Self::Directory { name, entries, pieces } => (directory(name, entries), pieces.as_ref()?),
            Self::Redirect(_) | Self::Outer(_) => return None,
        };
        let layout = layout.ok()?;
        let proof = pieces.proof(layout.total_bytes())?;
        proof.fits(&layout).then_some((layout, proof))
    }
}

fn directory(name: &str, entries: &[(String, Entry)]) -> Result<Layout, LayoutError> {
    let file = |(path, entry): &(String, Entry)| match entry {
        Entry::File(leaf, executable, padding) => {
            let path = path.split('/').map(str::to_owned).collect();
            Some(FileEntry { executable: *executable, padding: *padding, ..FileEntry::plain(path, leaf.bytes) })
        }
        Entry::Elsewhere(_) => None,
    };
    Layout::folder(name.to_owned(), entries.iter().filter_map(file).collect())
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn put_text(text: &str, out: &mut BytesMut) {
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}

fn put_option(text: Option<&str>, out: &mut BytesMut) {
    out.put_u8(text.is_some().into());
    if let Some(text) = text {
        put_text(text, out);
    }
}

fn put_pieces(pieces: Option<&Pieces>, out: &mut BytesMut) {
    let Some(pieces) = pieces else { return out.put_u64(0) };
    match pieces {
        Pieces::V1(piece_bytes, hashes) => {
            out.put_u64((*piece_bytes).max(1));
            out.put_u8(0);
            out.put_u32(narrow(hashes.len()));
            hashes.iter().for_each(|hash| out.put_slice(&hash.0));
        }
        Pieces::Tree(part_bytes, root, hashes) => {
            out.put_u64((*part_bytes).max(1));
            out.put_u8(1);
            out.put_slice(&root.0);
            out.put_u32(narrow(hashes.len()));
            hashes.iter().for_each(|hash| out.put_slice(&hash.0));
        }
    }
}

fn put_leaf(leaf: &Leaf, out: &mut BytesMut) {
    put_option(leaf.mime.as_deref(), out);
    out.put_u8(leaf.deflated.into());
    out.put_u64(leaf.bytes);
    out.put_u64(leaf.stored_bytes);
    match &leaf.body {
        Body::Inline(bytes) => {
            out.put_u8(0);
            out.put_u32(narrow(bytes.len()));
            out.put_slice(bytes);
        }
        Body::Block(key) => {
            out.put_u8(1);
            put_key(key, out);
        }
        Body::Split(lists) => {
            // Their lengths follow from the file's.
            out.put_u8(2);
            out.put_u32(narrow(lists.len()));
            lists.iter().flatten().for_each(|key| put_key(key, out));
        }
    }
}

fn put_key(key: &BlockKey, out: &mut BytesMut) {
    out.put_slice(&key.routing);
    out.put_slice(&key.crypto);
}

fn read_text(f: &mut Fields<'_>) -> Result<String, Malformed> {
    f.text(TEXT_BYTES_MAX)
}

fn read_option(f: &mut Fields<'_>) -> Result<Option<String>, Malformed> {
    if f.flag()? { read_text(f).map(Some) } else { Ok(None) }
}

fn read_pieces(f: &mut Fields<'_>) -> Result<Option<Pieces>, Malformed> {
    let piece_bytes = f.u64()?;
    if piece_bytes == 0 {
        return Ok(None);
    }
    let tree = f.flag()?;
    let root = if tree { Some(Sha256Digest(f.array()?)) } else { None };
    let count = f.u32()? as usize;
    if count > f.left() / if tree { 32 } else { 20 } {
        return Err(f.wrong("expected fewer hashes"));
    }
    Ok(Some(match root {
        None => Pieces::V1(piece_bytes, (0..count).map(|_| f.array().map(Sha1Digest)).collect::<Result<_, _>>()?),
        Some(root) => Pieces::Tree(piece_bytes, root, (0..count).map(|_| f.array().map(Sha256Digest)).collect::<Result<_, _>>()?),
    }))
}

fn read_leaf(f: &mut Fields<'_>) -> Result<Leaf, Malformed> {
    let mime = read_option(f)?;
    let deflated = f.flag()?;
    let (bytes, stored_bytes) = (f.u64()?, f.u64()?);
    let key = |f: &mut Fields<'_>| Ok(BlockKey { routing: f.array()?, crypto: f.array()? });
    let body = match f.u8()? {
        0 => {
            let length = f.u32()? as usize;
            Body::Inline(Bytes::copy_from_slice(f.take(length)?))
        }
        1 => Body::Block(key(f)?),
        2 => {
            let count = f.u32()? as usize;
            let blocks = block_count(stored_bytes);
            if count > SEGMENTS_MAX || blocks > f.left() / 64 {
                return Err(f.wrong("expected fewer blocks"));
            }
            let shapes = segments(blocks);
            if shapes.len() != count {
                return Err(f.wrong(format!("expected {} segments", shapes.len())));
            }
            let list = |shape: &Shape| (0..shape.data + shape.check).map(|_| key(f)).collect::<Result<Vec<_>, Malformed>>();
            Body::Split(shapes.iter().map(list).collect::<Result<_, _>>()?)
        }
        other => return Err(f.wrong(format!("expected a body of kind 0 to 2, came {other}"))),
    };
    let leaf = Leaf { mime, deflated, bytes, stored_bytes, body };
    if !leaf.is_sound() {
        return Err(f.wrong("expected lengths that fit each other"));
    }
    Ok(leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> BlockKey {
        BlockKey { routing: [number; 32], crypto: [!number; 32] }
    }

    fn leaf(bytes: u64, body: Body) -> Leaf {
        Leaf { mime: Some("text/plain".into()), deflated: false, bytes, stored_bytes: bytes, body }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_refused() {
        let split = leaf(70_000, Body::Split(vec![(0..7).map(key).collect()]));
        let pieces = Some(Pieces::V1(1 << 18, vec![Sha1Digest([3; 20])]));
        let tree = Some(Pieces::Tree(1 << 16, Sha256Digest([4; 32]), vec![Sha256Digest([5; 32])]));
        let entries = vec![
            (String::new(), Entry::Elsewhere("KSK@x".into())),
            ("a/b.txt".into(), Entry::File(leaf(3, Body::Inline(Bytes::from_static(b"abc"))), true, false)),
            ("c".into(), Entry::File(leaf(30_000, Body::Block(key(9))), false, false)),
        ];
        for document in [
            Document::File { name: Some("größe".into()), leaf: split.clone(), pieces: pieces.clone() },
            Document::File { name: None, leaf: leaf(0, Body::Inline(Bytes::new())), pieces: None },
            Document::Directory { name: "album".into(), entries, pieces },
            Document::File { name: Some("a".into()), leaf: split.clone(), pieces: tree },
            Document::Redirect("CHK@".into()),
            Document::Outer(split),
        ] {
            let bytes = document.write();
            assert_eq!(Document::read(&bytes), Ok(document.clone()));
            for cut in 0..bytes.len() {
                assert!(Document::read(&bytes[..cut]).is_err(), "{document:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_split_file_has_the_blocks_that_its_length_wants() {
        let wrong = leaf(70_000, Body::Split(vec![(0..6).map(key).collect()]));
        assert!(Document::read(&Document::Outer(wrong).write()).is_err());
    }
}
