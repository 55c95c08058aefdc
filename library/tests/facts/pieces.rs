use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use hexad_content::{FileEntry, Layout, PiecesRootHasher, Proof, Ranges, Sha1Digest, TigerProof, WholeDigest};
use hexad_library::{
    ShareError, Work, check_pieces, check_pieces_with, hash_names, hash_pieces, hash_pieces_with, hash_tree, piece_bytes_for,
};
use proptest::prelude::*;
use sha1::{Digest as _, Sha1};
use tempfile::TempDir;

/// Files on disk, how they are laid out, and all their bytes.
struct Fixture {
    layout: Layout,
    paths: Vec<Option<PathBuf>>,
    bytes: Vec<u8>,
    _folder: TempDir,
}

impl Fixture {
    /// Files of these lengths; the ones marked are padding.
    fn new(files: &[(u64, bool)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut all = Self { layout: Layout::single("x".into(), 0).unwrap(), paths: Vec::new(), bytes: Vec::new(), _folder: folder };
        let mut entries = Vec::new();
        for (index, &(length, padding)) in files.iter().enumerate() {
            entries.push(FileEntry { padding, ..FileEntry::plain(vec![format!("file {index}")], length) });
            let from = all.bytes.len();
            all.bytes.extend((from..from + length as usize).map(|at| if padding { 0 } else { (at * 7 + at / 253) as u8 }));
            let path = all._folder.path().join(format!("file {index}"));
            if !padding {
                fs::write(&path, &all.bytes[from..]).unwrap();
            }
            all.paths.push((!padding).then_some(path));
        }
        all.layout = Layout::folder("folder".into(), entries).unwrap();
        all
    }

    fn expected(&self, piece_bytes: u64) -> Vec<Sha1Digest> {
        self.bytes.chunks(piece_bytes as usize).map(|piece| Sha1Digest(Sha1::digest(piece).into())).collect()
    }

    fn proof(&self, piece_bytes: u64) -> Proof {
        Proof::V1Pieces { piece_bytes, total_bytes: self.layout.total_bytes(), hashes: self.expected(piece_bytes).into() }
    }

    fn all(&self) -> Ranges {
        Ranges::of(0..self.layout.total_bytes())
    }

    fn hashes(&self, piece_bytes: u64) -> Vec<Sha1Digest> {
        hash_pieces(&self.layout, &self.paths, piece_bytes, &|_, _| {}).unwrap()
    }

    fn good(&self, piece_bytes: u64, want: &Ranges) -> Ranges {
        check_pieces(&self.layout, &self.paths, &self.proof(piece_bytes), want, &|_, _| {}).unwrap()
    }

    /// What is good once the pieces that touch `bad` are taken out.
    fn all_but(&self, piece_bytes: u64, bad: std::ops::Range<u64>) -> Ranges {
        let mut good = self.all();
        good.remove(bad.start / piece_bytes * piece_bytes..bad.end.next_multiple_of(piece_bytes));
        good
    }

    fn path(&self, file: usize) -> &PathBuf {
        self.paths[file].as_ref().unwrap()
    }
}

#[test]
fn pieces_run_across_the_borders_of_files() {
    let files = Fixture::new(&[(100_000, false), (0, false), (1, false), (70_000, false), (30_000, true), (500_000, false), (0, false)]);
    for piece_bytes in [16 << 10, 1_000, 64 << 10, 1 << 20, 700_001] {
        assert_eq!(files.hashes(piece_bytes), files.expected(piece_bytes), "{piece_bytes}");
        assert_eq!(files.good(piece_bytes, &files.all()), files.all(), "{piece_bytes}");
    }
}

#[test]
fn pieces_longer_than_a_row_are_hashed_row_by_row() {
    let files = Fixture::new(&[(20 * (200 << 10) + 5, false)]);
    for piece_bytes in [200 << 10, 256 << 10, 64 << 10] {
        assert_eq!(files.hashes(piece_bytes), files.expected(piece_bytes));
    }
}

#[test]
fn the_tree_of_a_file_names_it_and_finds_its_wrong_parts() {
    for length in [0, 1, 64 << 10, 1_000_000] {
        let files = Fixture::new(&[(length, false)]);
        let tree = hash_tree(files.path(0), length, &Work { threads: 2, progress: &|_, _| {}, cancel: None }).unwrap();
        let mut whole = PiecesRootHasher::new();
        whole.update(&files.bytes);
        assert_eq!(tree.content(), whole.finish(), "{length}");
        let (part, proof) = (tree.part_bytes(), Proof::Tree(tree));
        let good = || check_pieces(&files.layout, &files.paths, &proof, &files.all(), &|_, _| {}).unwrap();
        assert_eq!(good(), files.all(), "{length}");
        if length > part {
            let mut bytes = files.bytes.clone();
            bytes[part as usize] ^= 1;
            fs::write(files.path(0), bytes).unwrap();
            assert_eq!(good(), files.all_but(part, part..part + 1));
        }
    }
}

#[test]
fn all_names_of_a_file_are_found_in_two_readings() {
    for length in [0, 1, 64 << 10, 1_000_000] {
        let files = Fixture::new(&[(length, false)]);
        let told = Mutex::new(0);
        let progress = |done: u64, total: u64| {
            assert!(done <= total && total == 2 * length);
            *told.lock().unwrap() = done;
        };
        let names = hash_names(files.path(0), length, &Work { threads: 2, progress: &progress, cancel: None }).unwrap();
        assert_eq!(*told.lock().unwrap(), 2 * length);
        assert_eq!(names.tree, hash_tree(files.path(0), length, &Work { threads: 2, progress: &|_, _| {}, cancel: None }).unwrap());
        assert_eq!(names.tiger.root(), TigerProof::hash_of_part(&files.bytes), "{length}");
        assert_eq!((names.tiger.part_bytes(), names.tiger.total_bytes()), (names.tree.part_bytes(), length));
        assert_eq!(names.sha1, Sha1Digest(Sha1::digest(&files.bytes).into()));
    }
}

#[test]
fn a_file_is_checked_by_the_digest_of_all_of_it() {
    let files = Fixture::new(&[(300_000, false)]);
    let proof = Proof::Whole { total_bytes: 300_000, digest: WholeDigest::Sha1(Sha1Digest(Sha1::digest(&files.bytes).into())) };
    let good = || check_pieces(&files.layout, &files.paths, &proof, &files.all(), &|_, _| {}).unwrap();
    assert_eq!(good(), files.all());
    fs::write(files.path(0), &files.bytes[1..]).unwrap();
    assert_eq!(good(), Ranges::new());
}

#[test]
fn empty_files_alone_have_no_pieces() {
    let files = Fixture::new(&[(0, false), (0, false)]);
    assert_eq!(files.hashes(16 << 10), []);
    assert_eq!(files.good(16 << 10, &files.all()), Ranges::new());
}

#[test]
fn missing_short_and_changed_files_make_only_their_pieces_bad() {
    const PIECE: u64 = 16 << 10;
    let files = || Fixture::new(&[(300_000, false), (300_000, false), (300_000, false)]);

    let missing = files();
    fs::remove_file(missing.path(1)).unwrap();
    assert_eq!(missing.good(PIECE, &missing.all()), missing.all_but(PIECE, 300_000..600_000));

    let short = files();
    fs::OpenOptions::new().write(true).open(short.path(1)).unwrap().set_len(200_000).unwrap();
    assert_eq!(short.good(PIECE, &short.all()), short.all_but(PIECE, 500_000..600_000));

    let changed = files();
    let mut bytes = fs::read(changed.path(2)).unwrap();
    bytes[7] ^= 1;
    bytes.extend(b"what stands behind the end does not matter");
    fs::write(changed.path(2), bytes).unwrap();
    assert_eq!(changed.good(PIECE, &changed.all()), changed.all_but(PIECE, 600_007..600_008));

    let folder = files();
    fs::remove_file(folder.path(0)).unwrap();
    fs::create_dir(folder.path(0)).unwrap();
    assert_eq!(folder.good(PIECE, &folder.all()), folder.all_but(PIECE, 0..300_000));

    let nothing = files();
    (0..3).for_each(|file| fs::remove_file(nothing.path(file)).unwrap());
    assert_eq!(nothing.good(PIECE, &nothing.all()), Ranges::new());
}

#[test]
fn a_pipe_in_place_of_a_file_is_not_waited_for() {
    let files = Fixture::new(&[(100, false)]);
    fs::remove_file(files.path(0)).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, files.path(0), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(files.good(16 << 10, &files.all()), Ranges::new());
}

#[test]
fn hashing_needs_every_byte() {
    let files = Fixture::new(&[(300_000, false), (300_000, false)]);
    let hash = || hash_pieces(&files.layout, &files.paths, 16 << 10, &|_, _| {});
    fs::OpenOptions::new().write(true).open(files.path(1)).unwrap().set_len(200_000).unwrap();
    assert!(matches!(hash(), Err(ShareError::Changed { expected: 300_000, found: 200_000, .. })));
    fs::remove_file(files.path(1)).unwrap();
    assert!(matches!(hash(), Err(ShareError::Missing { .. })));
}

#[test]
fn only_the_parts_that_are_wanted_are_checked_each_as_a_whole() {
    let files = Fixture::new(&[(1_000_000, false)]);
    let want: Ranges = [10..20, 16_383..16_385, 500_000..600_000].into_iter().collect();
    let expected: Ranges = [0..2 * 16_384, 30 * 16_384..37 * 16_384].into_iter().collect();
    assert_eq!(files.good(16 << 10, &want), expected);
    assert_eq!(files.good(16 << 10, &Ranges::new()), Ranges::new());
    assert_eq!(files.good(16 << 10, &Ranges::of(999_999..u64::MAX)), Ranges::of(61 * 16_384..1_000_000));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let files = Fixture::new(&[(1_000, false), (1_000, false)]);
    let other = Fixture::new(&[(1_000, false)]);
    let nothing = |_, _| {};
    assert!(matches!(hash_pieces(&files.layout, &other.paths, 100, &nothing), Err(ShareError::Mismatch { .. })));
    assert!(matches!(hash_pieces(&files.layout, &files.paths, 0, &nothing), Err(ShareError::PieceLength { .. })));
    assert!(matches!(
        check_pieces(&files.layout, &files.paths, &other.proof(100), &files.all(), &nothing),
        Err(ShareError::Mismatch { .. })
    ));
    let huge = Layout::single("x".into(), 1 << 50).unwrap();
    assert!(matches!(hash_pieces(&huge, &other.paths, 16 << 10, &nothing), Err(ShareError::TooManyPieces { .. })));
}

#[test]
fn progress_only_grows_and_ends_with_all_bytes() {
    let files = Fixture::new(&[(30 << 20, false)]);
    let told = Mutex::new(Vec::new());
    let progress = |done, total| told.lock().unwrap().push((done, total));
    hash_pieces_with(&files.layout, &files.paths, 64 << 10, &Work { threads: 3, progress: &progress, cancel: None }).unwrap();
    let told = told.into_inner().unwrap();
    assert!(told.len() > 2 && told.is_sorted() && told.iter().all(|&(done, total)| done <= total && total == 30 << 20));
    assert_eq!(told.last(), Some(&(30 << 20, 30 << 20)));
}

#[test]
fn a_cancelled_job_ends_before_its_time() {
    let files = Fixture::new(&[(30 << 20, false)]);
    let cancel = AtomicBool::new(false);
    let progress = |_, _| cancel.store(true, Ordering::Relaxed);
    let work = Work { threads: 2, progress: &progress, cancel: Some(&cancel) };
    assert!(matches!(hash_pieces_with(&files.layout, &files.paths, 64 << 10, &work), Err(ShareError::Cancelled)));
    assert!(matches!(
        check_pieces_with(&files.layout, &files.paths, &files.proof(64 << 10), &files.all(), &work),
        Err(ShareError::Cancelled)
    ));
}

#[test]
fn twenty_thousand_small_files_are_hashed() {
    let files = Fixture::new(&vec![(97, false); 20_000]);
    assert_eq!(files.hashes(16 << 10), files.expected(16 << 10));
    assert_eq!(files.good(16 << 10, &files.all()), files.all());
}

#[test]
fn piece_lengths_are_powers_of_two_within_bounds() {
    for (total, expected) in
        [(0, 16 << 10), (1, 16 << 10), (16 << 20, 16 << 10), (1 << 30, 1 << 20), (2 << 30, 2 << 20), (1 << 45, 16 << 20)]
    {
        assert_eq!(piece_bytes_for(total), expected, "{total}");
    }
    for total in (0..1_000).map(|n| n * 30_000_000) {
        let piece_bytes = piece_bytes_for(total);
        assert!(piece_bytes.is_power_of_two() && (total < 33_000_000 || (1_000..=2_000).contains(&total.div_ceil(piece_bytes))), "{total}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_layout_hashes_to_what_its_bytes_hash_to(
        files in prop::collection::vec((prop_oneof![Just(0_u64), 1_u64..300, 1_u64..40_000], prop::bool::weighted(0.15)), 1..20),
        piece_bytes in prop_oneof![1_u64..2_000, Just(16_u64 << 10)],
        threads in 1_usize..4,
    ) {
        let files = Fixture::new(&files);
        let work = Work { threads, progress: &|_, _| {}, cancel: None };
        prop_assert_eq!(hash_pieces_with(&files.layout, &files.paths, piece_bytes, &work).unwrap(), files.expected(piece_bytes));
        prop_assert_eq!(files.good(piece_bytes, &files.all()), files.all());
    }
}
