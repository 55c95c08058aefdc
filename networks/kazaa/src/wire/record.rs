//! What is published: records, and the batches in which they are signed.
//!
//! One signature covers up to [`BATCH_MAX`] records: what is signed is the root of a Merkle tree over them, so that checking ten thousand
//! records costs forty signatures.

use bytes::{BufMut as _, BytesMut};
use hexad_content::{ContentId, Digest, Sha1Digest, Sha256Digest};
use hexad_core::Malformed;
use sha2::{Digest as _, Sha256};

use super::fields::{Fields, number_bytes, put_bytes, put_number, sized_bytes};

/// Most records of one batch.
pub const BATCH_MAX: usize = 256;
/// Most bytes of a name.
pub const NAME_BYTES_MAX: usize = 255;
/// Most tags of a record, and most bytes of each.
pub const TAGS_MAX: usize = 16;
/// See [`TAGS_MAX`].
pub const TAG_BYTES_MAX: usize = 128;
/// Most further digests of a record.
pub const DIGESTS_MAX: usize = 6;
/// Fewest bytes of a record.
const RECORD_BYTES_MIN: usize = 26;

/// What kind of file. The media classes of FastTrack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Media {
    /// Anything else, folders included.
    #[default]
    Other,
    /// Music and speech.
    Audio,
    /// Film.
    Video,
    /// Pictures.
    Image,
    /// Writing.
    Document,
    /// Programs.
    Software,
}

impl Media {
    /// All, by their numbers on the wire.
    pub const ALL: [Self; 6] = [Self::Other, Self::Audio, Self::Video, Self::Image, Self::Document, Self::Software];

    /// By the ending of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        match ending.as_str() {
            "mp3" | "ogg" | "opus" | "flac" | "wav" | "wma" | "m4a" | "aac" => Self::Audio,
            "avi" | "mpg" | "mpeg" | "mp4" | "mkv" | "webm" | "wmv" | "mov" => Self::Video,
            "jpg" | "jpeg" | "png" | "gif" | "webp" | "svg" | "bmp" | "tiff" => Self::Image,
            "txt" | "pdf" | "doc" | "docx" | "odt" | "html" | "epub" | "md" => Self::Document,
            "exe" | "msi" | "deb" | "rpm" | "apk" | "dmg" | "iso" | "zip" | "tar" | "gz" => Self::Software,
            _ => Self::Other,
        }
    }
}

/// One file (or folder) that somebody offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The publisher's own number for it; publishing the same number again takes its place.
    pub number: u32,
    /// The digest that proves its ranges: [`Digest::Content`] of a file, [`Digest::TorrentV1`] of a folder.
    pub digest: Digest,
    /// Other names of the same content.
    pub others: Vec<Digest>,
    /// All bytes.
    pub size_bytes: u64,
    /// What kind of file.
    pub media: Media,
    /// Its name.
    pub name: String,
    /// What else is said of it: FastTrack's tag numbers (4 title, 6 artist, 8 album …).
    pub tags: Vec<(u8, String)>,
}

impl Record {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        put_number(self.number.into(), out);
        write_digest(&self.digest, out);
        put_number(self.others.len() as u64, out);
        self.others.iter().for_each(|digest| write_digest(digest, out));
        put_number(self.size_bytes, out);
        out.put_u8(Media::ALL.iter().position(|media| *media == self.media).map_or(0, |at| at.to_le_bytes()[0]));
        put_bytes(self.name.as_bytes(), out);
        put_number(self.tags.len() as u64, out);
        for (tag, text) in &self.tags {
            out.put_u8(*tag);
            put_bytes(text.as_bytes(), out);
        }
    }

    /// How many bytes that takes.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        number_bytes(self.number.into())
            + digest_bytes(&self.digest)
            + number_bytes(self.others.len() as u64)
            + self.others.iter().map(digest_bytes).sum::<usize>()
            + number_bytes(self.size_bytes)
            + 1
            + sized_bytes(self.name.len())
            + number_bytes(self.tags.len() as u64)
            + self.tags.iter().map(|(_, text)| 1 + sized_bytes(text.len())).sum::<usize>()
    }

    /// Reads one.
    ///
    /// # Errors
    /// When there is none, or its digest proves nothing.
    pub fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let number = fields.small()?;
        let digest = read_digest(fields)?;
        if !proves(&digest) {
            return Err(fields.wrong("expected a digest that proves ranges"));
        }
        let count = fields.count(DIGESTS_MAX, 17)?;
        let others = (0..count).map(|_| read_digest(fields)).collect::<Result<_, _>>()?;
        let size_bytes = fields.number()?;
        let media = fields.u8()?;
        let media = Media::ALL
            .get(usize::from(media))
            .copied()
            .ok_or_else(|| fields.wrong(format!("expected a media class of 0 to 5, came {media}")))?;
        let name = fields.text(NAME_BYTES_MAX)?;
        let count = fields.count(TAGS_MAX, 2)?;
        let tags = (0..count).map(|_| Ok((fields.u8()?, fields.text(TAG_BYTES_MAX)?))).collect::<Result<_, _>>()?;
        Ok(Self { number, digest, others, size_bytes, media, name, tags })
    }

    /// Its leaf of the Merkle tree.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut bytes = BytesMut::with_capacity(self.wire_bytes());
        self.write(&mut bytes);
        Sha256::new().chain_update([0]).chain_update(&bytes).finalize().into()
    }
}

/// Whether a digest proves the ranges of what it names, so that it can be fetched here.
#[must_use]
pub fn proves(digest: &Digest) -> bool {
    matches!(digest, Digest::Content(_) | Digest::TorrentV1(_))
}

/// Up to [`BATCH_MAX`] records under one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Counts the publisher's batches; a later one has a higher number.
    pub sequence: u64,
    /// When it was signed, seconds since 1970.
    pub unix_s: u64,
    /// Over [`Self::signed_bytes`].
    pub signature: [u8; 64],
    /// The records.
    pub records: Vec<Record>,
}

impl Batch {
    /// What the publisher signs.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let root = merkle_root(self.records.iter().map(Record::hash).collect());
        [
            &b"hexad kazaa batch 1"[..],
            &self.sequence.to_be_bytes(),
            &self.unix_s.to_be_bytes(),
            &(self.records.len() as u64).to_be_bytes(),
            &root,
        ]
        .concat()
    }

    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        put_number(self.sequence, out);
        put_number(self.unix_s, out);
        out.put_slice(&self.signature);
        put_number(self.records.len() as u64, out);
        self.records.iter().for_each(|record| record.write(out));
    }

    /// How many bytes that takes.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        number_bytes(self.sequence)
            + number_bytes(self.unix_s)
            + 64
            + number_bytes(self.records.len() as u64)
            + self.records.iter().map(Record::wire_bytes).sum::<usize>()
    }

    /// Reads one.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let (sequence, unix_s, signature) = (fields.number()?, fields.number()?, fields.array()?);
        let count = fields.count(BATCH_MAX, RECORD_BYTES_MIN)?;
        let records = (0..count).map(|_| Record::read(fields)).collect::<Result<_, _>>()?;
        Ok(Self { sequence, unix_s, signature, records })
    }
}

/// The root over hashes, two by two; one without a neighbour goes up as it is. Leaves and inner nodes are hashed with different first bytes.
#[must_use]
pub fn merkle_root(mut hashes: Vec<[u8; 32]>) -> [u8; 32] {
    while hashes.len() > 1 {
        hashes = hashes
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into(),
                _ => pair[0],
            })
            .collect();
    }
    hashes.pop().unwrap_or([0; 32])
}

/// Appends a digest: its kind, and its bytes.
pub fn write_digest(digest: &Digest, out: &mut BytesMut) {
    match digest {
        Digest::Content(content) => {
            out.put_u8(0);
            out.put_slice(&content.root.0);
            put_number(content.size, out);
        }
        Digest::Sha1(sha1) => {
            out.put_u8(1);
            out.put_slice(&sha1.0);
        }
        Digest::Sha256(sha256) => {
            out.put_u8(2);
            out.put_slice(&sha256.0);
        }
        Digest::TigerTree(tiger) => {
            out.put_u8(3);
            out.put_slice(tiger);
        }
        Digest::Md5Prefix(md5) => {
            out.put_u8(4);
            out.put_slice(md5);
        }
        Digest::TorrentV1(sha1) => {
            out.put_u8(5);
            out.put_slice(&sha1.0);
        }
        Digest::TorrentV2(sha256) => {
            out.put_u8(6);
            out.put_slice(&sha256.0);
        }
    }
}

/// How many bytes a digest takes.
#[must_use]
pub fn digest_bytes(digest: &Digest) -> usize {
    1 + match digest {
        Digest::Content(content) => 32 + number_bytes(content.size),
        Digest::Sha1(_) | Digest::TorrentV1(_) => 20,
        Digest::Sha256(_) | Digest::TorrentV2(_) => 32,
        Digest::TigerTree(_) => 24,
        Digest::Md5Prefix(_) => 16,
    }
}

/// Reads a digest.
///
/// # Errors
/// When there is none, or of a kind that this version does not know.
pub fn read_digest(fields: &mut Fields<'_>) -> Result<Digest, Malformed> {
    Ok(match fields.u8()? {
        0 => {
            let root = Sha256Digest(fields.array()?);
            Digest::Content(ContentId { root, size: fields.number()? })
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
