//! How a download survives its process: an append-only log of what was about to be written and what was found good.
//!
//! Only the format lives here; hosts append and read files. Every record carries a checksum, and reading ends at the first that is torn or
//! wrong. After a crash of the process, whatever was recorded as verified is on disk (the system's cache outlives us). After a reboot (the boot
//! id differs) only what was recorded before the last [`Record::Synced`] is; the rest is to be checked again, which costs reading, not fetching.
//!
//! File: 8 bytes of magic, then records of `length: u32 | crc32c: u32 | kind: u8 | body`, little-endian, the length that of kind and body, the
//! checksum over the same. The first record is the header.

use hexad_content::Ranges;

/// The first bytes of every journal; the seventh is the version.
pub const MAGIC: [u8; 8] = *b"HEXADJ\x01\n";

const HEADER: u8 = 0;
const MADE: u8 = 1;
const INTENT: u8 = 2;
const VERIFIED: u8 = 3;
const SYNCED: u8 = 4;

/// What a journal is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Names layout and proof; a journal of another one is of no use.
    pub identity: [u8; 20],
    /// The boot of the machine during which the journal was written.
    pub boot: [u8; 16],
    /// Indices of files that stand under their own names; the bytes of others are in the part file.
    pub placed: Ranges,
}

/// One entry. Parts are indices into the proof, files indices into the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// First, and only first.
    Header(Header),
    /// These files are about to be made (or taken over) by us: they may be written to.
    Made(Ranges),
    /// These parts, hashed and right, are about to be written.
    Intent(Ranges),
    /// These parts are written.
    Verified(Ranges),
    /// What the first so many records (the header is the first) tell of is on the disk itself.
    Synced(u32),
}

impl Record {
    /// Appends the record's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 8]);
        match self {
            Self::Header(header) => {
                out.push(HEADER);
                out.extend_from_slice(&header.identity);
                out.extend_from_slice(&header.boot);
                write_indices(&header.placed, out);
            }
            Self::Made(files) => write_kind(MADE, files, out),
            Self::Intent(parts) => write_kind(INTENT, parts, out),
            Self::Verified(parts) => write_kind(VERIFIED, parts, out),
            Self::Synced(records) => {
                out.push(SYNCED);
                out.extend_from_slice(&records.to_le_bytes());
            }
        }
        let body = start + 8;
        let length = u32::try_from(out.len() - body).unwrap_or(u32::MAX);
        let sum = crc32c::crc32c(&out[body..]);
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        out[start + 4..body].copy_from_slice(&sum.to_le_bytes());
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let (&kind, mut rest) = body.split_first()?;
        let record = match kind {
            HEADER => {
                let identity = take(&mut rest)?;
                let boot = take(&mut rest)?;
                Self::Header(Header { identity, boot, placed: read_indices(&mut rest)? })
            }
            MADE => Self::Made(read_indices(&mut rest)?),
            INTENT => Self::Intent(read_indices(&mut rest)?),
            VERIFIED => Self::Verified(read_indices(&mut rest)?),
            SYNCED => Self::Synced(u32::from_le_bytes(take(&mut rest)?)),
            _ => return None,
        };
        rest.is_empty().then_some(record)
    }
}

/// The bytes of a journal that begins with `records`.
#[must_use]
pub fn begin(records: &[Record]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for record in records {
        record.write(&mut bytes);
    }
    bytes
}

/// The intact records of a journal, from the first to the last before anything torn or wrong.
#[must_use]
pub fn records(bytes: &[u8]) -> Vec<Record> {
    let mut all = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(&MAGIC) else { return all };
    while let Some(record) = next(&mut rest) {
        if all.is_empty() != matches!(record, Record::Header(_)) {
            break;
        }
        all.push(record);
    }
    all
}

/// What a journal tells after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its header.
    pub header: Header,
    /// Files that are ours.
    pub made: Ranges,
    /// Parts that are good and on the disk itself; also in `verified`.
    pub synced: Ranges,
    /// Parts that are good.
    pub verified: Ranges,
    /// Parts that may be good: to be hashed again.
    pub doubtful: Ranges,
}

impl Replay {
    /// Reads a journal during the boot `boot`; `None` when not even its header is intact.
    #[must_use]
    pub fn of(bytes: &[u8], boot: [u8; 16]) -> Option<Self> {
        let mut records = records(bytes).into_iter();
        let Some(Record::Header(header)) = records.next() else { return None };
        let (mut made, mut seen, mut verified, mut synced) = (Ranges::new(), Ranges::new(), Ranges::new(), Ranges::new());
        // What was verified since the last mark, with the number of its record.
        let mut fresh: Vec<(u32, Ranges)> = Vec::new();
        for (record, number) in records.zip(1_u32..) {
            match record {
                Record::Header(_) => return None,
                Record::Made(files) => made.insert_all(&files),
                Record::Intent(parts) => seen.insert_all(&parts),
                Record::Verified(parts) => {
                    verified.insert_all(&parts);
                    fresh.push((number, parts));
                }
                Record::Synced(mark) => fresh.retain(|(number, parts)| {
                    if *number < mark {
                        synced.insert_all(parts);
                    }
                    *number >= mark
                }),
            }
        }
        seen.insert_all(&verified);
        if header.boot != boot {
            verified = synced.clone();
        }
        let mut doubtful = seen;
        doubtful.remove_all(&verified);
        Some(Self { header, made, synced, verified, doubtful })
    }
}

fn write_kind(kind: u8, indices: &Ranges, out: &mut Vec<u8>) {
    out.push(kind);
    write_indices(indices, out);
}

fn write_indices(indices: &Ranges, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(indices.span_count()).unwrap_or(u32::MAX).to_le_bytes());
    for span in indices.iter() {
        for bound in [span.start, span.end] {
            out.extend_from_slice(&u32::try_from(bound).unwrap_or(u32::MAX).to_le_bytes());
        }
    }
}

fn read_indices(rest: &mut &[u8]) -> Option<Ranges> {
    let count = u32::from_le_bytes(take(rest)?) as usize;
    if rest.len() / 8 < count {
        return None;
    }
    let mut indices = Ranges::new();
    for _ in 0..count {
        let start = u32::from_le_bytes(take(rest)?);
        let end = u32::from_le_bytes(take(rest)?);
        if start >= end {
            return None;
        }
        indices.insert(u64::from(start)..u64::from(end));
    }
    Some(indices)
}

fn next(rest: &mut &[u8]) -> Option<Record> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let sum = u32::from_le_bytes(take(rest)?);
    let (body, after) = rest.split_at_checked(length)?;
    *rest = after;
    (crc32c::crc32c(body) == sum).then(|| Record::parse(body))?
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}
