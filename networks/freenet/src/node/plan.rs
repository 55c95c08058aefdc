//! What is to be inserted: files, where their bytes come from, and the keys of their blocks as far as they are known.

use bytes::Bytes;
use hexad_core::ShareId;

use crate::document::{BlockKey, Body, Leaf};
use crate::splitfile::{Shape, block_count, segments};

/// Where the bytes of a file come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Memory.
    Bytes(Bytes),
    /// A share, from that byte on.
    Share(ShareId, u64),
}

/// One file to be inserted.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) path: String,
    pub(super) mime: Option<String>,
    pub(super) origin: Origin,
    pub(super) bytes: u64,
    pub(super) stored_bytes: u64,
    pub(super) deflated: bool,
    pub(super) redirect: Option<String>,
    pub(super) flags: (bool, bool),
    /// Keys of its blocks, segment by segment; none for a file that is kept in the document.
    pub(super) keys: Vec<Vec<Option<BlockKey>>>,
    pub(super) inline: Option<Bytes>,
}

impl Plan {
    pub(super) fn new(path: String, mime: Option<String>, origin: Origin, bytes: u64) -> Self {
        Self {
            path,
            mime,
            origin,
            bytes,
            stored_bytes: bytes,
            deflated: false,
            redirect: None,
            flags: (false, false),
            keys: Vec::new(),
            inline: None,
        }
    }

    pub(super) fn shapes(&self) -> Vec<Shape> {
        match block_count(self.stored_bytes) {
            0 => Vec::new(),
            1 => vec![Shape { data: 1, check: 0 }],
            more => segments(more),
        }
    }

    pub(super) fn leaf(&self) -> Leaf {
        let key = |key: &Option<BlockKey>| key.unwrap_or(BlockKey { routing: [0; 32], crypto: [0; 32] });
        let body = match (&self.inline, &self.keys[..]) {
            (Some(bytes), _) => Body::Inline(bytes.clone()),
            (None, []) => Body::Inline(Bytes::new()),
            (None, [list]) if list.len() == 1 => Body::Block(key(&list[0])),
            (None, lists) => Body::Split(lists.iter().map(|list| list.iter().map(key).collect()).collect()),
        };
        Leaf { mime: self.mime.clone(), deflated: self.deflated, bytes: self.bytes, stored_bytes: self.stored_bytes, body }
    }
}

/// What the files make together.
#[derive(Clone, Debug)]
pub enum Shelf {
    /// One file; its name, where it has one.
    Single(Option<String>),
    /// A directory of that name; the file that stands for it.
    Directory(String, Option<String>),
}
