//! Hashing what is on disk: parts that were written unproven, and files that were there before us.

use std::io::{self, IoSliceMut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use hexad_content::sha1_lanes::{LANES, Sha1Lanes, lanes_worthwhile};
use hexad_content::{PartVerdict, Proof, Ranges, Sha1Digest};
use hexad_transfer::{BLOCK_BYTES, block_digests};

use super::store::Store;

/// How much of each of sixteen parts is read and hashed at a time; all of it stays in the second-level cache.
const ROW_BYTES: usize = 64 << 10;
// Rows of a part begin where its blocks do.
const _: () = assert!(ROW_BYTES.is_multiple_of(BLOCK_BYTES));

/// Memory for reading, used again.
pub(crate) struct Rows(Vec<Vec<u8>>);

impl Rows {
    /// One row for each lane.
    pub(crate) fn new() -> Self {
        Self(vec![vec![0; ROW_BYTES]; LANES])
    }
}

/// Hashes parts from the disk, and says of each what the proof says of it, or why it cannot be read.
pub(crate) fn check_parts(store: &Store, proof: &Proof, parts: &[u32], rows: &mut Rows) -> Vec<io::Result<PartVerdict>> {
    let kind = |part: u32| {
        let range = proof.part_range(part as usize);
        (range.end - range.start, proof.sha1(part as usize).is_some())
    };
    let mut found = Vec::with_capacity(parts.len());
    for equal in parts.chunk_by(|&left, &right| kind(left) == kind(right)) {
        for group in equal.chunks(LANES) {
            if group.len() >= lanes_worthwhile() && kind(group[0]).1 {
                let verdict = |(&part, digest): (&u32, io::Result<Sha1Digest>)| digest.map(|digest| by_sha1(proof, part, digest));
                found.extend(group.iter().zip(hash_in_lanes(store, proof, group, rows)).map(verdict));
            } else {
                found.extend(group.iter().map(|&part| check_one(store, proof, part, rows)));
            }
        }
    }
    found
}

/// What a check of many parts has found.
#[derive(Default)]
pub(crate) struct Checked {
    /// Parts that are right.
    pub(crate) good: Ranges,
    /// Parts for which no bytes can be right.
    pub(crate) contradicted: Ranges,
}

/// Hashes all of `parts` on `threads` threads. `progress` hears of the bytes that are checked and that are to be, from any of them.
pub(crate) fn check_all(store: &Store, proof: &Proof, parts: &[u32], threads: usize, progress: &(dyn Fn(u64, u64) + Sync)) -> Checked {
    let length = |parts: &[u32]| {
        let ranges = parts.iter().map(|&part| proof.part_range(part as usize));
        ranges.map(|range| range.end - range.start).sum::<u64>()
    };
    let (total, checked, next) = (length(parts), AtomicU64::new(0), AtomicUsize::new(0));
    let found = Mutex::new(Checked::default());
    let groups: Vec<&[u32]> = parts.chunks(LANES).collect();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, groups.len().max(1)) {
            scope.spawn(|| {
                let mut rows = Rows::new();
                while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdicts = check_parts(store, proof, group, &mut rows);
                    {
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        for (&part, verdict) in group.iter().zip(verdicts) {
                            let part = u64::from(part)..u64::from(part) + 1;
                            match verdict {
                                Ok(PartVerdict::Good) => found.good.insert(part),
                                Ok(PartVerdict::Contradiction) => found.contradicted.insert(part),
                                Ok(PartVerdict::Bad) | Err(_) => {}
                            }
                        }
                    }
                    let bytes = length(group);
                    progress(checked.fetch_add(bytes, Ordering::Relaxed) + bytes, total);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What a part is that is proven by SHA-1 alone.
pub(crate) fn by_sha1(proof: &Proof, part: u32, digest: Sha1Digest) -> PartVerdict {
    if proof.sha1(part as usize) == Some(digest) { PartVerdict::Good } else { PartVerdict::Bad }
}

/// The digests of up to sixteen parts of equal length.
fn hash_in_lanes(store: &Store, proof: &Proof, parts: &[u32], rows: &mut Rows) -> Vec<io::Result<Sha1Digest>> {
    let starts: Vec<u64> = parts.iter().map(|&part| proof.part_range(part as usize).start).collect();
    let range = proof.part_range(parts[0] as usize);
    let length = range.end - range.start;
    let mut lanes = Sha1Lanes::new();
    let mut troubles: Vec<Option<io::Error>> = parts.iter().map(|_| None).collect();
    let mut at = 0;
    loop {
        let now = usize::try_from(length - at).unwrap_or(usize::MAX).min(ROW_BYTES);
        for ((start, row), trouble) in starts.iter().zip(&mut rows.0).zip(&mut troubles) {
            if trouble.is_none() {
                *trouble = store.read(start + at, &mut [IoSliceMut::new(&mut row[..now])], false).err();
            }
        }
        at += now as u64;
        let read: [&[u8]; LANES] = std::array::from_fn(|lane| &rows.0[lane][..now]);
        if at < length {
            lanes.update(&read);
        } else {
            let digests = lanes.finish(&read);
            return troubles.into_iter().zip(digests).map(|(trouble, digest)| trouble.map_or(Ok(digest), Err)).collect();
        }
    }
}

/// What the blocks of a part look like on the disk.
pub(crate) fn blocks_of(store: &Store, proof: &Proof, part: u32, rows: &mut Rows) -> io::Result<Vec<Sha1Digest>> {
    let range = proof.part_range(part as usize);
    let (mut at, mut blocks) = (range.start, Vec::new());
    while at < range.end {
        let now = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(ROW_BYTES);
        let row = &mut rows.0[0][..now];
        store.read(at, &mut [IoSliceMut::new(row)], false)?;
        blocks.extend(block_digests(row));
        at += now as u64;
    }
    Ok(blocks)
}

fn check_one(store: &Store, proof: &Proof, part: u32, rows: &mut Rows) -> io::Result<PartVerdict> {
    let range = proof.part_range(part as usize);
    let Some(mut check) = proof.check(part as usize) else { return Ok(PartVerdict::Bad) };
    let mut at = range.start;
    while at < range.end {
        let now = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(ROW_BYTES);
        let row = &mut rows.0[0][..now];
        store.read(at, &mut [IoSliceMut::new(row)], false)?;
        check.update(row);
        at += now as u64;
    }
    Ok(check.verdict())
}
