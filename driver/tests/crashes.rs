//! Downloads that are killed, whose machine restarts, or whose disk is full: nothing verified is lost or fetched twice.

mod bench;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bench::{Bench, Run};
use hexad_content::Ranges;
use hexad_core::{ShareId, Verdict};
use hexad_driver::transfers::{TransfersConfig, TransfersEvent};
use hexad_transfer::journal::{Record, begin, records};

const PIECE: u64 = 16 << 10;
const TOTAL: u64 = 3_000_000;
/// Names the folder that the child downloads into.
const CHILD: &str = "HEXAD_TEST_CHILD";
const JOURNAL: &str = ".hexad/bench.journal";

fn files() -> Vec<(&'static str, u64)> {
    vec![("bench/a", 1_000_001), ("bench/sub/b", 7), ("bench/sub/c", 1_499_992), ("bench/d", 500_000)]
}

/// Many small batches, so that there is much to be interrupted.
fn hasty() -> TransfersConfig {
    let mut config = TransfersConfig { quiet: Duration::ZERO, sync_after: Duration::from_millis(20), ..TransfersConfig::default() };
    (config.engine.batch_parts, config.engine.batch_bytes_min) = (3, 0);
    config
}

/// What the child does: downloads, in an order that depends on what is there, and says what is good. It waits for a word after every few
/// blocks, so that it is never far ahead of who is to kill it.
#[test]
#[ignore = "run by the tests of this file, as a process of its own"]
fn child() {
    let Some(home) = std::env::var_os(CHILD) else { return };
    let bench = Bench::below(PathBuf::from(home), files(), false, PIECE);
    let run = bench.start_with(hasty()).aloud();
    let opened = run.open(&bench.all()).unwrap();
    run.lend();
    let (mut blocks, mut words) = (0, std::io::stdin().lines());
    run.deliver_shuffled_with(opened.held.total(), || {
        blocks += 1;
        if blocks % 4 == 0 {
            run.settle();
            println!("more?");
            words.next().unwrap().unwrap();
        }
    });
    run.await_complete();
}

/// Runs the child until it has said so many good ranges, kills it, and returns all that it has said.
fn kill_after(home: &Path, lines: usize) -> Ranges {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut words = child.stdin.take().unwrap();
    let mut said = Ranges::new();
    let mut count = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.ends_with("more?") && count < lines {
            words.write_all(b"go on\n").unwrap();
        }
        let Some(numbers) = line.find("good ").map(|place| &line[place + 5..]) else { continue };
        let mut numbers = numbers.split(' ').map_while(|number| number.parse::<u64>().ok());
        // The last line may be torn: its end may be short of digits, but then it has no newline and the range is below the true one or absent.
        let (Some(start), Some(end)) = (numbers.next(), numbers.next()) else { continue };
        if end == TOTAL || (end > start && end % PIECE == 0) {
            said.insert(start..end);
        }
        count += 1;
        if count == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    said
}

fn assert_sound(bench: &Bench, run: &Run<'_>, said: &Ranges) -> u64 {
    let opened = run.open(&bench.all()).unwrap();
    for range in said.iter() {
        assert!(opened.held.covers(range.clone()), "{range:?} was good before the crash and is not held after");
    }
    for range in opened.held.iter() {
        assert!(bench.on_disk(range.clone()), "{range:?} is held but not on disk");
    }
    opened.checked_bytes
}

#[test]
fn after_kill_9_nothing_verified_is_lost_and_little_is_checked() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::below(home.path().to_owned(), files(), false, PIECE);
    let mut said = Ranges::new();
    for lines in [1, 2, 5, 9, 14, 20, 28] {
        let before = said.total();
        said.insert_all(&kill_after(home.path(), lines));
        assert!(said.total() > before && said.total() < TOTAL, "the child was not killed in the middle");
        let run = bench.start_with(hasty());
        let checked = assert_sound(&bench, &run, &said);
        // What up to four jobs of three parts each had intended.
        assert!(checked <= 4 * 3 * PIECE, "{checked} bytes were checked");
        run.lend();
        assert!(run.leased().iter().all(|range| said.within(range).is_empty()), "a verified part is fetched again");
        run.transfers.shutdown();
    }
    let run = bench.start_with(hasty());
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver_everything_shuffled(9);
    run.await_complete();
    run.transfers.finish(ShareId(1)).unwrap();
    bench.assert_arrived(&bench.all());
    assert!(!bench.path(".hexad").exists());
}

/// Writes the journal as if the machine had been started again since.
fn restart_machine(bench: &Bench) {
    let journal = bench.path(JOURNAL);
    let mut all = records(&fs::read(&journal).unwrap());
    let Some(Record::Header(header)) = all.first_mut() else { panic!("expected a header") };
    header.boot = [0xee; 16];
    fs::write(&journal, begin(&all)).unwrap();
}

#[test]
fn after_a_reboot_what_was_not_synced_is_checked_and_still_held() {
    let bench = Bench::new(files(), false, PIECE);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver(0..1_000_000);
    run.settle();
    run.transfers.sync(ShareId(1)).unwrap();
    let synced = run.judged(Verdict::Good).total();
    run.deliver(1_000_000..2_000_000);
    run.transfers.shutdown();
    let held = run.judged(Verdict::Good);
    restart_machine(&bench);
    let run = bench.start();
    let opened = run.open(&bench.all()).unwrap();
    assert_eq!((opened.held.clone(), opened.checked_bytes), (held.clone(), held.total() - synced));
    run.transfers.shutdown();
    // The second start has written a journal of this boot: what is in doubt after another one has to be the same.
    restart_machine(&bench);
    let run = bench.start();
    assert_eq!(run.open(&bench.all()).unwrap().checked_bytes, held.total() - synced);
    run.transfers.sync(ShareId(1)).unwrap();
    run.transfers.shutdown();
    restart_machine(&bench);
    assert_eq!(bench.start().open(&bench.all()).unwrap().checked_bytes, 0);
}

#[test]
fn after_a_reboot_lost_bytes_are_missing() {
    let bench = Bench::new(files(), false, PIECE);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver(0..1_500_000);
    run.transfers.shutdown();
    restart_machine(&bench);
    // The file system has kept the length, not the bytes.
    fs::write(bench.path("bench/a"), vec![0; 1_000_001]).unwrap();
    let run = bench.start();
    let opened = run.open(&bench.all()).unwrap();
    assert!(opened.held.total() > 0 && !opened.held.contains(0) && !opened.held.contains(1_000_000));
    run.lend();
    run.deliver_everything_shuffled(1);
    run.await_complete();
    bench.assert_arrived(&bench.all());
}

/// A small disk of its own, taken away in the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "hexad-test"]).arg(home.path()).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(home))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_pauses_the_download_and_nothing_is_lost() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: mounting a small disk needs root");
        return;
    };
    let bench = Bench::below(disk.0.path().to_owned(), vec![("it.bin", 2_000_000)], true, PIECE);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver(0..2_000_000);
    let TransfersEvent::Failed { reason, hint, .. } = run.event_but_progress() else { panic!("expected a failure") };
    assert!(reason.contains("no space is left") && hint.is_some(), "{reason}");
    let good = run.judged(Verdict::Good);
    assert!(run.leased().is_empty());
    run.transfers.shutdown();
    let remounted = Command::new("mount").args(["-o", "remount,size=8m"]).arg(disk.0.path()).status().unwrap();
    assert!(remounted.success());
    let run = bench.start();
    let opened = run.open(&bench.all()).unwrap();
    assert!(good.iter().all(|range| opened.held.covers(range)));
    run.lend();
    run.deliver(0..2_000_000);
    run.await_complete();
    bench.assert_arrived(&bench.all());
    run.transfers.shutdown();
}
