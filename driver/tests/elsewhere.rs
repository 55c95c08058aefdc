//! Files of a download that stand elsewhere on this machine: what is right comes along, what is not does not, and nothing is ever written to them.

mod bench;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bench::{Bench, bytes_of};
use hexad_core::ShareId;
use hexad_driver::transfers::{Elsewhere, Way};
use rustix::fs::ioctl_ficlone;
use tempfile::TempDir;

const PIECE: u64 = 16 << 10;

/// A folder for what stands elsewhere, on the file system of the bench.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("written");
        path
    }

    /// Whether the file system shares blocks between files.
    fn shares_blocks(&self) -> bool {
        let source = File::open(self.put("probe", b"probe")).expect("it is there");
        File::create(self.0.path().join("other")).is_ok_and(|copy| ioctl_ficlone(copy, source).is_ok())
    }

    /// The way that is the best here for a file that may have a second name, or may not.
    fn way(&self, may_link: bool) -> Way {
        match (self.shares_blocks(), may_link) {
            (true, _) => Way::Reference,
            (false, true) => Way::Name,
            (false, false) => Way::Copy,
        }
    }
}

fn at(path: &Path, may_link: bool) -> Elsewhere {
    Elsewhere { path: path.to_owned(), may_link }
}

#[test]
fn what_is_right_is_brought_and_what_only_looks_like_it_is_not() {
    let bench = Bench::new(vec![("it.bin", 500_000)], true, PIECE);
    let shelf = Shelf::new();
    let [mut wrong, mut other] = [bytes_of(&bench, 0), bytes_of(&bench, 0)];
    (wrong[499_999], other[0]) = (!wrong[499_999], !other[0]);
    let (other, wrong) = (shelf.put("other", &other), shelf.put("wrong", &wrong));
    let short = shelf.put("short", &bytes_of(&bench, 0)[..400_000]);
    for may_link in [false, true] {
        let right = shelf.put("right", &bytes_of(&bench, 0));
        let candidates = [&short, &other, &wrong, &shelf.0.path().join("nothing"), &right].map(|path| at(path, may_link));
        let run = bench.start();
        let opened = run.open_knowing(&bench.all(), &[(0, candidates.to_vec())]).expect("opened");
        assert!(opened.complete);
        let [brought] = &opened.brought[..] else { panic!("{:?}", opened.brought) };
        assert_eq!((brought.file, &brought.from, brought.way), (0, &right, shelf.way(may_link)));
        run.transfers.finish(ShareId(1)).expect("finished");
        bench.assert_arrived(&bench.all());
        let inode = |path: &Path| fs::metadata(path).expect("it is there").ino();
        assert_eq!(inode(&right) == inode(&bench.path("it.bin")), brought.way == Way::Name);
        drop(run);
        fs::remove_file(bench.path("it.bin")).expect("removed");
        fs::remove_file(right).expect("removed");
    }
}

#[test]
fn half_a_file_gives_way_to_the_whole_and_what_somebody_has_put_there_does_not() {
    let bench = Bench::new(vec![("it.bin", 500_000)], true, PIECE);
    let shelf = Shelf::new();
    let run = bench.start();
    run.open(&bench.all()).expect("opened");
    run.lend();
    run.deliver(0..100_000);
    run.transfers.shutdown();
    drop(run);
    let right = shelf.put("right", &bytes_of(&bench, 0));
    let run = bench.start();
    let opened = run.open_knowing(&bench.all(), &[(0, vec![at(&right, true)])]).expect("opened");
    assert!(opened.complete && opened.brought.len() == 1);
    run.transfers.finish(ShareId(1)).expect("finished");
    bench.assert_arrived(&bench.all());
    drop(run);

    bench.put("it.bin", &[7; 500_000]);
    bench.start().open_knowing(&bench.all(), &[(0, vec![at(&right, true)])]).expect_err("something is in the way");
    assert_eq!(fs::read(bench.path("it.bin")).expect("it is there"), [7; 500_000]);
}

/// Where files do not begin with a piece, the pieces at their borders come from others, and are written to what was brought.
#[test]
fn who_writes_to_a_file_of_two_names_gives_it_bytes_of_its_own_first() {
    let bench = Bench::new(vec![("bench/a", 100_001), ("bench/b", 200_002), ("bench/c", 3)], false, PIECE);
    let shelf = Shelf::new();
    // It is right but for its last byte, which lies in a piece that runs into the next file.
    let mut almost = bytes_of(&bench, 1);
    let last = almost.len() - 1;
    almost[last] ^= 1;
    let right = shelf.put("almost", &almost);
    let run = bench.start();
    let opened = run.open_knowing(&bench.all(), &[(1, vec![at(&right, true)])]).expect("opened");
    assert!(!opened.complete && opened.brought.len() == 1);
    let held = opened.held.within(bench.layout.file_range(1)).total();
    assert!(held > 200_002 - 2 * PIECE, "nothing of it is asked for but its edges: {held}");
    assert!(run.leased().is_empty());
    run.lend();
    run.deliver_everything_shuffled(1);
    run.await_complete();
    run.transfers.finish(ShareId(1)).expect("finished");
    bench.assert_arrived(&bench.all());
    assert!(fs::read(&right).expect("it is there") == almost, "what stands elsewhere is as it was");
}
