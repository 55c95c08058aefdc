//! The journal's format: what is written is read, and what is torn or changed ends the reading.

use hexad_content::Ranges;
use hexad_transfer::journal::{Header, Record, Replay, begin, records};

const BOOT: [u8; 16] = [3; 16];

fn header() -> Record {
    Record::Header(Header { identity: [9; 20], boot: BOOT, placed: Ranges::of(0..4) })
}

fn parts(range: std::ops::Range<u64>) -> Ranges {
    Ranges::of(range)
}

fn story() -> Vec<Record> {
    vec![
        header(),
        Record::Made(parts(0..2)),
        Record::Intent(parts(0..3)),
        Record::Verified(parts(0..3)),
        Record::Intent(parts(5..6)),
        Record::Verified(parts(5..6)),
        Record::Synced(4),
        Record::Intent([7..8, 9..12].into_iter().collect()),
    ]
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(records(&begin(&story())), story());
}

#[test]
fn a_torn_tail_is_left_out() {
    let whole = begin(&story());
    let mut intact = 0;
    for length in 0..whole.len() {
        let read = records(&whole[..length]);
        assert_eq!(read, story()[..read.len()]);
        assert!(read.len() >= intact && read.len() < story().len());
        intact = read.len();
    }
    let mut longer = whole;
    longer.extend_from_slice(&[0; 100]);
    assert_eq!(records(&longer), story());
}

#[test]
fn a_changed_byte_ends_the_reading() {
    let whole = begin(&story());
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 0x10;
        let read = records(&changed);
        assert!(read.len() < story().len());
        assert_eq!(read, story()[..read.len()]);
    }
}

#[test]
fn in_the_same_boot_all_that_was_verified_is_trusted() {
    let replay = Replay::of(&begin(&story()), BOOT).unwrap();
    assert_eq!(replay.verified, [0..3, 5..6].into_iter().collect());
    assert_eq!(replay.doubtful, [7..8, 9..12].into_iter().collect());
    assert_eq!((replay.synced, replay.made), (parts(0..3), parts(0..2)));
}

#[test]
fn after_a_reboot_only_what_was_synced_is_trusted() {
    let replay = Replay::of(&begin(&story()), [4; 16]).unwrap();
    assert_eq!(replay.verified, parts(0..3));
    assert_eq!(replay.doubtful, [5..6, 7..8, 9..12].into_iter().collect());
}

#[test]
fn without_a_header_there_is_no_journal() {
    assert_eq!(Replay::of(b"", BOOT), None);
    assert_eq!(Replay::of(&begin(&[Record::Verified(parts(0..9))]), BOOT), None);
}
