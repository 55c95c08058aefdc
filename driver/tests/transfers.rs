//! Transfers on real files: what arrives, what is refused, what is resumed.

mod bench;

use std::fs;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use bench::{Bench, bytes_of};
use hexad_content::{FileEntry, Ranges};
use hexad_core::{LeaseId, ShareId, Verdict};
use hexad_driver::transfers::{StoreError, TransfersEvent};
use hexad_driver::{Deliveries as _, ReadShare as _};

fn single(length: u64) -> Bench {
    Bench::new(vec![("it.bin", length)], true, 16 << 10)
}

fn folder(files: &[(&'static str, u64)], piece_bytes: u64) -> Bench {
    Bench::new(files.to_vec(), false, piece_bytes)
}

fn refused(bench: &Bench) -> StoreError {
    bench.start().open(&bench.all()).expect_err("expected a refusal")
}

fn names_below(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_arrives_and_nothing_else_is_left() {
    let bench = single(1_000_000);
    let run = bench.start();
    let opened = run.open(&bench.all()).unwrap();
    assert!(!opened.complete && opened.held.is_empty());
    run.lend();
    run.deliver(0..1_000_000);
    run.await_complete();
    assert_eq!(run.judged(Verdict::Good).total(), 1_000_000);
    run.transfers.finish(ShareId(1)).unwrap();
    assert_eq!(names_below(&bench.path("")), ["it.bin"]);
    bench.assert_arrived(&bench.all());
}

#[test]
fn what_nothing_proves_is_taken_as_it_comes_and_what_lies_on_the_disk_is_not_believed() {
    let bench = single(1_000_000).unproven();
    let run = bench.start();
    assert!(!run.open(&bench.all()).unwrap().complete);
    run.lend();
    run.deliver(0..1_000_000);
    run.await_complete();
    run.transfers.finish(ShareId(1)).unwrap();
    bench.assert_arrived(&bench.all());
    drop(run);
    // Another program's half of a file is nobody's to be gone on from.
    let bench = single(1_000_000).unproven();
    bench.put("it.bin", &[0; 500_000]);
    let run = bench.start();
    assert!(run.open(&bench.all()).is_err());
}

#[test]
fn a_folder_arrives_with_empty_files_padding_and_executables() {
    let mut bench =
        folder(&[("bench/a", 0), ("bench/b/c", 40_000), ("bench/pad", 9_152), ("bench/b/d", 70_001), ("bench/e/f", 0)], 16 << 10);
    bench.change(|files: &mut Vec<FileEntry>| {
        files[2].padding = true;
        files[3].executable = true;
    });
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver_everything_shuffled(3);
    run.await_complete();
    run.transfers.finish(ShareId(1)).unwrap();
    bench.assert_arrived(&bench.all());
    assert_eq!(names_below(&bench.path("bench")), ["a", "b", "e"]);
    assert!(fs::metadata(bench.path("bench/b/d")).unwrap().permissions().mode() & 0o100 != 0);
    assert!(fs::metadata(bench.path("bench/b/c")).unwrap().permissions().mode() & 0o100 == 0);
    let mut read = vec![1; 119_153];
    let (head, tail) = read.split_at_mut(45_000);
    run.transfers.read(ShareId(1), 0, &mut [IoSliceMut::new(head), IoSliceMut::new(tail)], false).unwrap();
    assert!(read == bench.content);
}

#[test]
fn a_complete_target_is_left_alone() {
    let bench = folder(&[("bench/a", 40_000), ("bench/b", 7)], 16 << 10);
    bench.put("bench/a", &bytes_of(&bench, 0));
    bench.put("bench/b", &bytes_of(&bench, 1));
    let run = bench.start();
    let opened = run.open(&bench.all()).unwrap();
    assert!(opened.complete && opened.checked_bytes == 40_007);
    run.await_complete();
    run.transfers.finish(ShareId(1)).unwrap();
    assert_eq!(names_below(&bench.path("")), ["bench"]);
    let mut block = [0; 16];
    run.transfers.read(ShareId(1), 39_991, &mut [IoSliceMut::new(&mut block)], false).unwrap();
    assert_eq!(block, bench.content[39_991..40_007]);
}

#[test]
fn a_foreign_file_is_refused_and_kept() {
    for foreign in [vec![7; 100_000], vec![7; 99], vec![7; 100_001]] {
        let bench = single(100_000);
        bench.put("it.bin", &foreign);
        let error = refused(&bench);
        assert!(error.to_string().contains("it.bin") && error.hint().unwrap().contains("--into"), "{error}");
        assert_eq!((fs::read(bench.path("it.bin")).unwrap(), names_below(&bench.path(""))), (foreign, vec!["it.bin".to_owned()]));
    }
}

#[test]
fn half_of_the_right_file_is_adopted() {
    let bench = single(100_000);
    bench.put("it.bin", &bench.content[..50_000]);
    let run = bench.start();
    let opened = run.open(&bench.all()).unwrap();
    assert_eq!(opened.held, Ranges::of(0..3 * (16 << 10)));
    run.lend();
    assert_eq!(run.leased(), Ranges::of(3 * (16 << 10)..100_000));
    run.deliver(49_152..100_000);
    run.await_complete();
    bench.assert_arrived(&bench.all());
}

#[test]
fn a_small_file_without_proof_of_its_own_is_compared_and_not_overwritten() {
    for right in [true, false] {
        let bench = folder(&[("bench/a", 16 << 10), ("bench/b", 100), ("bench/c", 100)], 16 << 10);
        bench.put("bench/a", &bytes_of(&bench, 0));
        let there = if right { bytes_of(&bench, 1) } else { vec![9; 100] };
        bench.put("bench/b", &there);
        let run = bench.start();
        run.open(&bench.all()).unwrap();
        run.lend();
        run.deliver(16 << 10..(16 << 10) + 200);
        match run.event_but_progress() {
            TransfersEvent::Complete { .. } => assert!(right),
            TransfersEvent::Failed { reason, .. } => assert!(!right && reason.contains("bench/b"), "{reason}"),
            other @ TransfersEvent::Verified { .. } => panic!("{other:?}"),
        }
        assert!(fs::read(bench.path("bench/b")).unwrap() == there);
    }
}

#[test]
fn links_that_lead_outside_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    let bench = folder(&[("bench/sub/a", 100)], 16 << 10);
    fs::create_dir_all(bench.path("bench")).unwrap();
    symlink(outside.path(), bench.path("bench/sub")).unwrap();
    assert!(matches!(refused(&bench), StoreError::Outside { .. }));

    let bench = single(100);
    fs::write(outside.path().join("victim"), b"").unwrap();
    symlink(outside.path().join("victim"), bench.path("it.bin")).unwrap();
    assert!(matches!(refused(&bench), StoreError::Outside { .. }));

    let bench = single(100);
    symlink(outside.path(), bench.path(".hexad")).unwrap();
    assert!(matches!(refused(&bench), StoreError::Outside { .. }));
    assert_eq!(names_below(outside.path()), ["victim"]);
    assert_eq!(fs::read(outside.path().join("victim")).unwrap(), b"");
}

#[test]
fn folders_and_odd_things_in_the_way_are_named() {
    let bench = single(100);
    fs::create_dir(bench.path("it.bin")).unwrap();
    assert!(refused(&bench).to_string().contains("it.bin is in the way: it is a folder"));
    let bench = folder(&[("bench/sub/a", 100)], 16 << 10);
    bench.put("bench/sub", b"a file");
    assert!(refused(&bench).to_string().contains("a file stands where a folder must be"));
}

#[test]
fn a_download_goes_on_where_it_stopped() {
    let bench = single(1_000_000);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver(0..500_000);
    run.transfers.shutdown();
    let held = run.judged(Verdict::Good);
    assert!(held.total() >= 491_520);
    let run = bench.start();
    let opened = run.open(&bench.all()).unwrap();
    assert_eq!((opened.held.clone(), opened.checked_bytes), (held, 0));
    run.lend();
    assert_eq!(run.leased().total(), 1_000_000 - opened.held.total());
    run.deliver(opened.held.total()..1_000_000);
    run.await_complete();
    bench.assert_arrived(&bench.all());
}

#[test]
fn files_that_vanished_or_shrank_are_fetched_again() {
    let bench = folder(&[("bench/a", 64 << 10), ("bench/b", 64 << 10), ("bench/c", 64 << 10), ("bench/d", 64 << 10)], 16 << 10);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver(0..192 << 10);
    run.transfers.shutdown();
    fs::remove_file(bench.path("bench/a")).unwrap();
    fs::File::options().write(true).open(bench.path("bench/b")).unwrap().set_len(20 << 10).unwrap();
    let run = bench.start();
    let opened = run.open(&bench.all()).unwrap();
    assert_eq!(opened.held, [64 << 10..80 << 10, 128 << 10..192 << 10].into_iter().collect());
    run.lend();
    run.deliver(0..256 << 10);
    run.await_complete();
    bench.assert_arrived(&bench.all());
}

#[test]
fn a_torn_journal_costs_hashing_only() {
    let bench = single(300_000);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver(0..250_000);
    run.transfers.shutdown();
    let held = run.judged(Verdict::Good);
    let journal = bench.path(".hexad/bench.journal");
    let whole = fs::read(&journal).unwrap();
    for length in [0, 7, 60, whole.len() / 2, whole.len() - 1] {
        fs::write(&journal, &whole[..length]).unwrap();
        let run = bench.start();
        let opened = run.open(&bench.all()).unwrap();
        assert!(opened.held.iter().all(|range| held.covers(range)), "{length}");
        if length < 60 {
            assert_eq!(opened.held, held, "{length}");
        }
        run.transfers.shutdown();
    }
}

#[test]
fn only_selected_files_are_made_and_more_can_be_selected_later() {
    let bench = folder(&[("bench/a", 20_000), ("bench/b", 20_000), ("bench/c", 20_000)], 16 << 10);
    let run = bench.start();
    run.open(&[true, false, false]).unwrap();
    run.lend();
    assert_eq!(run.leased(), Ranges::of(0..32 << 10));
    run.deliver(0..32 << 10);
    run.await_complete();
    let mut across = [0; 200];
    run.transfers.read(ShareId(1), 19_900, &mut [IoSliceMut::new(&mut across)], false).unwrap();
    assert_eq!(across, bench.content[19_900..20_100]);
    run.transfers.finish(ShareId(1)).unwrap();
    run.transfers.shutdown();
    assert_eq!(names_below(&bench.path("bench")), ["a"]);

    let run = bench.start();
    let opened = run.open(&[false, true, false]).unwrap();
    assert_eq!((opened.held, opened.checked_bytes), (Ranges::of(0..32 << 10), 0));
    run.lend();
    assert_eq!(run.leased(), Ranges::of(32 << 10..48 << 10));
    run.deliver(32 << 10..48 << 10);
    run.await_complete();
    run.transfers.shutdown();
    let run = bench.start();
    assert_eq!(run.open(&bench.all()).unwrap().held, Ranges::of(0..48 << 10));
    run.lend();
    run.deliver(48 << 10..60_000);
    run.await_complete();
    run.transfers.finish(ShareId(1)).unwrap();
    bench.assert_arrived(&bench.all());
    assert_eq!(names_below(&bench.path("")), ["bench"]);
}

#[test]
fn the_same_target_is_not_downloaded_to_twice_at_a_time() {
    let bench = single(100_000);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    assert!(matches!(refused(&bench), StoreError::Busy { .. }));
    run.transfers.shutdown();
    bench.start().open(&bench.all()).unwrap();
}

#[test]
fn liars_are_told_and_nothing_wrong_is_written() {
    let bench = single(100_000);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver_wrong(0..100_000);
    run.settle();
    assert_eq!(run.judged(Verdict::Bad), Ranges::of(0..100_000));
    assert!(!bench.path("it.bin").exists());
    run.deliver(0..100_000);
    run.await_complete();
    bench.assert_arrived(&bench.all());
}

#[test]
fn pieces_too_big_for_memory_are_read_back() {
    let bench = Bench::new(vec![("it.bin", 20 << 20)], true, 8 << 20);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver_everything_shuffled(5);
    run.await_complete();
    assert_eq!(run.judged(Verdict::Good).total(), 20 << 20);
    bench.assert_arrived(&bench.all());
}

#[test]
fn of_pieces_too_big_for_memory_the_wrong_blocks_are_named_too() {
    const BLOCK: u64 = 16 << 10;
    const PIECE: u64 = 4 << 20;
    let bench = Bench::new(vec![("it.bin", 2 * PIECE)], true, PIECE);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    let wrong = PIECE + 7 * BLOCK..PIECE + 9 * BLOCK;
    run.deliver(PIECE..wrong.start);
    run.deliver_wrong(wrong.clone());
    run.deliver(wrong.end..2 * PIECE);
    run.settle();
    assert_eq!((run.judged(Verdict::Bad), run.judged(Verdict::Lie)), (Ranges::of(PIECE..2 * PIECE), Ranges::new()));
    run.deliver(0..2 * PIECE);
    run.await_complete();
    assert_eq!(run.judged(Verdict::Lie), Ranges::of(wrong));
    bench.assert_arrived(&bench.all());
}

#[test]
fn every_kind_of_proof_tells_right_from_wrong_and_resumes() {
    let file = || Bench::new(vec![("it.bin", 10_000_000)], true, 256 << 10);
    for bench in [file(), file().proven_by_tree(), file().proven_as_a_whole()] {
        let run = bench.start();
        run.open(&bench.all()).unwrap();
        run.lend();
        run.deliver_wrong(0..10_000_000);
        run.settle();
        assert_eq!(run.judged(Verdict::Bad), Ranges::of(0..10_000_000));
        run.deliver_everything_shuffled(5);
        run.await_complete();
        run.transfers.shutdown();
        let run = bench.start();
        let opened = run.open(&bench.all()).unwrap();
        assert!(opened.complete && opened.held == Ranges::of(0..10_000_000));
        bench.assert_arrived(&bench.all());
    }
}

#[test]
fn a_write_that_fails_pauses_with_a_reason_and_can_be_resumed() {
    let bench = single(100_000);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    // The name is taken after the target was looked at.
    fs::create_dir(bench.path("it.bin")).unwrap();
    run.deliver(0..100_000);
    let TransfersEvent::Failed { reason, .. } = run.event_but_progress() else { panic!("expected a failure") };
    assert!(reason.contains("it.bin"), "{reason}");
    assert!(run.leased().is_empty());
    fs::remove_dir(bench.path("it.bin")).unwrap();
    run.transfers.resume(ShareId(1));
    assert_eq!(run.leased(), Ranges::of(0..100_000));
    run.deliver(0..100_000);
    run.await_complete();
    bench.assert_arrived(&bench.all());
}

#[test]
fn existing_files_are_shared_as_they_are() {
    let bench = folder(&[("bench/a", 40_000), ("bench/b", 30_000)], 16 << 10);
    let run = bench.start();
    let paths = vec![Some(bench.path("bench/a")), Some(bench.path("bench/b"))];
    assert!(run.transfers.open_share(ShareId(2), bench.layout.clone(), paths.clone()).unwrap_err().to_string().contains("bench/a"));
    bench.put("bench/a", &bytes_of(&bench, 0));
    bench.put("bench/b", &bytes_of(&bench, 1));
    run.transfers.open_share(ShareId(2), bench.layout.clone(), paths).unwrap();
    let mut read = vec![0; 70_000];
    {
        let mut parts: Vec<IoSliceMut<'_>> = read.chunks_mut(777).map(IoSliceMut::new).collect();
        run.transfers.read(ShareId(2), 0, &mut parts, false).unwrap();
    }
    assert!(read == bench.content);
    read.fill(0);
    // What was just read is cached; a system that cannot tell reads it anyway.
    run.transfers.read(ShareId(2), 0, &mut [IoSliceMut::new(&mut read)], true).unwrap();
    assert!(read == bench.content);
    // BitTorrent v2 pads its last block; what lies further is nobody's.
    run.transfers.read(ShareId(2), 1, &mut [IoSliceMut::new(&mut read)], false).unwrap();
    assert!(read[..69_999] == bench.content[1..] && read[69_999] == 0);
    let beyond = run.transfers.read(ShareId(2), 16 << 10, &mut [IoSliceMut::new(&mut read)], false);
    assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(run.transfers.read(ShareId(3), 0, &mut [], false).unwrap_err().kind(), io::ErrorKind::NotFound);
    run.transfers.close(ShareId(2));
    assert!(run.transfers.read(ShareId(2), 0, &mut [], false).is_err());
}

#[test]
fn many_small_files_arrive() {
    let names: Vec<String> = (0..3000).map(|file| format!("bench/{}/{file}", file % 30)).collect();
    let files = names.iter().map(|name| (&*name.clone().leak(), 500)).collect();
    let bench = Bench::new(files, false, 64 << 10);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.deliver(0..1_500_000);
    run.await_complete();
    bench.assert_arrived(&bench.all());
}

#[test]
fn an_ended_lease_hears_nothing_more() {
    let bench = single(100_000);
    let run = bench.start();
    run.open(&bench.all()).unwrap();
    run.lend();
    run.transfers.end(LeaseId(1));
    run.deliver(0..100_000);
    run.settle();
    assert!(run.judged(Verdict::Good).is_empty());
    assert!(!run.transfers.congested());
    assert_eq!(run.transfers.counters().outside_bytes, 100_000);
}
