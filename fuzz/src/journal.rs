//! The journal of a transfer, as a crash may have left it.

use hexad_transfer::journal::{self, Record, Replay};

/// A journal: the first byte says whether the rest is one as it stands, or the bodies of records, each behind its length in one byte; those
/// get their checksums here, which no mutation would hit.
pub fn journal(bytes: &[u8]) {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    if which & 1 == 0 {
        return read_to_the_damage(bytes);
    }
    let mut framed = journal::MAGIC.to_vec();
    let mut rest = bytes;
    while let Some((&length, after)) = rest.split_first() {
        let (body, after) = after.split_at(after.len().min(length.into()));
        framed.extend_from_slice(&u32::from(length).to_le_bytes());
        framed.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
        framed.extend_from_slice(body);
        rest = after;
    }
    read_to_the_damage(&framed);
}

/// A journal with any damage is read up to the damage, and no further.
fn read_to_the_damage(bytes: &[u8]) {
    let records = journal::records(bytes);
    assert!(records.len() <= bytes.len() / 9 + 1, "a record takes nine bytes at least");
    assert!(records.iter().skip(1).all(|record| !matches!(record, Record::Header(_))));
    let written = journal::begin(&records);
    assert_eq!(journal::records(&written), records);

    let boot = match records.first() {
        Some(Record::Header(header)) => header.boot,
        _ => [0; 16],
    };
    for boot in [boot, [0xa5; 16]] {
        let replay = Replay::of(bytes, boot);
        assert_eq!(replay, Replay::of(&written, boot), "what is damaged tells nothing");
        let Some(replay) = replay else { continue };
        assert!(replay.synced.iter().all(|span| replay.verified.covers(span)), "on the disk itself, so good");
        assert!(replay.doubtful.iter().all(|span| replay.verified.within(span).is_empty()), "good or doubtful, not both");
    }
}
