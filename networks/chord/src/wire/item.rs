//! What is stored on the ring: contents, named values, and references.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_content::{ContentId, Digest, Sha1Digest, Sha256Digest};
use hexad_core::Malformed;
use sha2::{Digest as _, Sha256};

use super::Fields;
use crate::id::Key;
use crate::place::Place;

/// Most bytes of a value.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a file's name in a reference.
pub const NAME_BYTES_MAX: usize = 255;
/// Most digests in a reference.
pub const DIGESTS_MAX: usize = 8;

/// One thing under one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Item<A> {
    /// Under which it is found.
    pub key: Key,
    /// Seconds until it is forgotten, unless its publisher says so again.
    pub ttl_s: u32,
    /// Rises each time its publisher says something.
    pub seq: u32,
    /// What it is.
    pub value: Value<A>,
}

/// What can be stored: content, or a reference to who has it (C1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value<A> {
    /// Bytes that prove themselves: the key is their hash.
    Content(Bytes),
    /// Bytes under a name. Everybody has one of his own under each name.
    Named(A, Bytes),
    /// Somebody has a file.
    Reference(Arc<Record<A>>),
}

/// Who has a file. A hint: its publisher has to be asked, and what he gives to be proven.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record<A> {
    /// Whom to ask.
    pub publisher: A,
    /// All names of the content, the one that proves it first.
    pub digests: Vec<Digest>,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// Name of the file or folder.
    pub name: String,
}

impl<A: Place> Item<A> {
    /// Which of the things under its key it is: the same for what takes the place of it.
    #[must_use]
    pub fn slot(&self) -> u64 {
        let mut bytes = BytesMut::new();
        match &self.value {
            Value::Content(_) => return 0,
            Value::Named(publisher, _) => {
                bytes.put_u8(1);
                publisher.write(&mut bytes);
            }
            Value::Reference(record) => {
                bytes.put_u8(2);
                record.publisher.write(&mut bytes);
                if let Some(digest) = record.digests.first() {
                    write_digest(digest, &mut bytes);
                }
            }
        }
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
    }

    /// Who says so; nobody for what proves itself.
    #[must_use]
    pub fn publisher(&self) -> Option<&A> {
        match &self.value {
            Value::Content(_) => None,
            Value::Named(publisher, _) => Some(publisher),
            Value::Reference(record) => Some(&record.publisher),
        }
    }

    /// Whether the key fits, as far as the value tells.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        match &self.value {
            Value::Content(bytes) => self.key == Key::of_content(bytes),
            Value::Named(..) => true,
            Value::Reference(record) => {
                record.digests.iter().any(|digest| key_of_digest(digest) == self.key)
                    || crate::words::words_of(&record.name).any(|word| Key::of_word(&word) == self.key)
            }
        }
    }

    /// Bytes on the wire, which is also what it counts for in a store.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        20 + 4
            + 4
            + 1
            + match &self.value {
                Value::Content(bytes) => 4 + bytes.len(),
                Value::Named(publisher, bytes) => publisher.wire_bytes() + 4 + bytes.len(),
                Value::Reference(record) => {
                    let digests: usize = record.digests.iter().map(digest_bytes).sum();
                    record.publisher.wire_bytes() + 2 + digests + 8 + 2 + record.name.len()
                }
            }
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        out.put_slice(&self.key.0);
        out.put_u32(self.ttl_s);
        out.put_u32(self.seq);
        match &self.value {
            Value::Content(bytes) => {
                out.put_u8(0);
                write_bytes(bytes, out);
            }
            Value::Named(publisher, bytes) => {
                out.put_u8(1);
                publisher.write(out);
                write_bytes(bytes, out);
            }
            Value::Reference(record) => {
                out.put_u8(2);
                record.publisher.write(out);
                out.put_u16(narrow(record.digests.len()));
                record.digests.iter().for_each(|digest| write_digest(digest, out));
                out.put_u64(record.size_bytes);
                write_text(&record.name, out);
            }
        }
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let (key, ttl_s, seq) = (Key(fields.array()?), fields.u32()?, fields.u32()?);
        let value = match fields.u8()? {
            0 => Value::Content(fields.bytes(VALUE_BYTES_MAX)?),
            1 => Value::Named(A::read(fields)?, fields.bytes(VALUE_BYTES_MAX)?),
            2 => {
                let publisher = A::read(fields)?;
                let count = fields.count(DIGESTS_MAX, 17)?;
                let digests = (0..count).map(|_| read_digest(fields)).collect::<Result<_, _>>()?;
                let record = Record { publisher, digests, size_bytes: fields.u64()?, name: fields.text(NAME_BYTES_MAX)? };
                Value::Reference(Arc::new(record))
            }
            other => return Err(fields.wrong(format!("expected a value of kind 0 to 2, came {other}"))),
        };
        Ok(Self { key, ttl_s, seq, value })
    }
}

/// The key under which references to a content are stored.
#[must_use]
pub fn key_of_digest(digest: &Digest) -> Key {
    let mut bytes = BytesMut::new();
    write_digest(digest, &mut bytes);
    Key::hashed("digest:", &bytes)
}

pub(super) fn digest_bytes(digest: &Digest) -> usize {
    1 + match digest {
        Digest::Content(_) => 40,
        Digest::Sha1(_) | Digest::TorrentV1(_) => 20,
        Digest::Sha256(_) | Digest::TorrentV2(_) => 32,
        Digest::TigerTree(_) => 24,
        Digest::Md5Prefix(_) => 16,
    }
}

pub(super) fn write_digest(digest: &Digest, out: &mut BytesMut) {
    let mut put = |kind: u8, bytes: &[u8]| {
        out.put_u8(kind);
        out.put_slice(bytes);
    };
    match digest {
        Digest::Content(id) => {
            put(0, &id.root.0);
            out.put_u64(id.size);
        }
        Digest::Sha1(hash) => put(1, &hash.0),
        Digest::Sha256(hash) => put(2, &hash.0),
        Digest::TigerTree(root) => put(3, root),
        Digest::Md5Prefix(hash) => put(4, hash),
        Digest::TorrentV1(hash) => put(5, &hash.0),
        Digest::TorrentV2(hash) => put(6, &hash.0),
    }
}

pub(super) fn read_digest(fields: &mut Fields<'_>) -> Result<Digest, Malformed> {
    Ok(match fields.u8()? {
        0 => {
            let root = Sha256Digest(fields.array()?);
            Digest::Content(ContentId { root, size: fields.u64()? })
        }
        1 => Digest::Sha1(Sha1Digest(fields.array()?)),
        2 => Digest::Sha256(Sha256Digest(fields.array()?)),
        3 => Digest::TigerTree(fields.array()?),
        4 => Digest::Md5Prefix(fields.array()?),
        5 => Digest::TorrentV1(Sha1Digest(fields.array()?)),
        6 => Digest::TorrentV2(Sha256Digest(fields.array()?)),
        other => return Err(fields.wrong(format!("expected a digest of kind 0 to 6, came {other}"))),
    })
}

pub(super) fn write_bytes(bytes: &[u8], out: &mut BytesMut) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

pub(super) fn write_text(text: &str, out: &mut BytesMut) {
    out.put_u16(narrow(text.len()));
    out.put_slice(text.as_bytes());
}

pub(super) fn narrow(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
