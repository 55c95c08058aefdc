//! The engine against a small model: sources deliver at random, a host does jobs when it likes, and every verdict is checked.

#![expect(clippy::single_range_in_vec_init, reason = "verdicts are compared as lists of ranges, some of one")]

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::sha1_lanes::sha1_one;
use hexad_content::{Layout, Proof, Ranges};
use hexad_core::{Dice, LeaseId, Map, Payload, ShareId, Token, Verdict};
use hexad_transfer::{Action, Config, Engine, Finding, Job, JobId, Misfit, Progress, block_digests};

const SHARE: ShareId = ShareId(7);

/// One download of known content, with its disk and all it was told.
struct World {
    engine: Engine,
    layout: Arc<Layout>,
    proof: Proof,
    content: Vec<u8>,
    disk: Vec<u8>,
    jobs: Vec<(JobId, Job)>,
    judged: Vec<(LeaseId, Range<u64>, Verdict)>,
    leased: Map<LeaseId, Ranges>,
    elsewhere: Map<LeaseId, Ranges>,
    complete: usize,
    relieved: usize,
    failed: Vec<String>,
    disk_full: bool,
    memory_max: u64,
}

impl World {
    fn new(config: Config, total: u64, piece_bytes: u64) -> Self {
        let mut dice = Dice::counter(total, piece_bytes);
        let mut content = vec![0; usize::try_from(total).unwrap()];
        dice.fill(&mut content);
        let hashes = content.chunks(usize::try_from(piece_bytes).unwrap()).map(sha1_one).collect();
        let layout = Arc::new(Layout::single("it".into(), total).unwrap());
        let proof = Proof::V1Pieces { piece_bytes, total_bytes: total, hashes };
        Self {
            memory_max: config.buffer_bytes_max,
            engine: Engine::new(config),
            layout,
            proof,
            disk: vec![0; content.len()],
            content,
            jobs: Vec::new(),
            judged: Vec::new(),
            leased: Map::new(),
            elsewhere: Map::new(),
            complete: 0,
            relieved: 0,
            failed: Vec::new(),
            disk_full: false,
        }
    }

    fn begin(mut self, wanted: Ranges, held: &Ranges) -> Self {
        self.engine.add(SHARE, &self.layout, self.proof.clone(), wanted, held).unwrap();
        self.listen();
        self
    }

    fn lend(&mut self, lease: u64) {
        self.engine.lend(LeaseId(lease), SHARE);
        self.listen();
    }

    fn listen(&mut self) {
        while let Some(action) = self.engine.next_action() {
            match action {
                Action::Job(id, job) => self.jobs.push((id, job)),
                Action::Leased(lease, ranges) => drop(self.leased.insert(lease, ranges)),
                Action::Elsewhere(lease, ranges) => drop(self.elsewhere.insert(lease, ranges)),
                Action::Judged(lease, range, verdict) => self.judged.push((lease, range, verdict)),
                Action::Relieved => self.relieved += 1,
                Action::Complete(_) => self.complete += 1,
                Action::Failed(_, why) => self.failed.push(why),
            }
        }
        assert!(self.engine.buffer_bytes() <= self.memory_max, "{} bytes of buffers", self.engine.buffer_bytes());
    }

    fn deliver(&mut self, lease: u64, range: Range<u64>, honest: bool) {
        let mut bytes = self.content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec();
        if !honest {
            bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        self.engine.deliver(LeaseId(lease), range.start, &Payload::Bytes(Bytes::from(bytes)));
        self.listen();
    }

    fn bytes_of(&self, part: u32) -> (usize, &[u8]) {
        let range = self.proof.part_range(part as usize);
        let start = usize::try_from(range.start).unwrap();
        (start, &self.content[start..usize::try_from(range.end).unwrap()])
    }

    /// Does one of the waiting jobs.
    fn work(&mut self, which: usize) {
        let (id, job) = self.jobs.swap_remove(which);
        let full = || Finding::Unwritten("the disk is full".into());
        let findings = match &job {
            _ if self.disk_full => (0..job.findings()).map(|_| full()).collect(),
            Job::VerifyAndWrite { parts, .. } => parts
                .iter()
                .map(|whole| {
                    let (start, right) = self.bytes_of(whole.part);
                    assert_eq!(whole.offset, start as u64);
                    if &whole.bytes[..] != right {
                        return Finding::Bad;
                    }
                    self.disk[start..start + whole.bytes.len()].copy_from_slice(&whole.bytes);
                    Finding::Good
                })
                .collect(),
            Job::Spill { runs, .. } => runs
                .iter()
                .map(|run| {
                    for range in run.ranges.iter() {
                        let (from, to) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
                        let at = usize::try_from(run.offset).unwrap();
                        self.disk[at + from..at + to].copy_from_slice(&run.bytes[from..to]);
                    }
                    Finding::Good
                })
                .collect(),
            Job::ReadBack { parts, looked, .. } => parts
                .iter()
                .map(|part| {
                    let (start, right) = self.bytes_of(*part);
                    let there = &self.disk[start..start + right.len()];
                    let is_right = there == right;
                    if is_right && !looked.contains(part) {
                        return Finding::Good;
                    }
                    Finding::Looked { right: is_right, blocks: block_digests(there) }
                })
                .collect(),
        };
        self.engine.job_done(id, job, findings);
        self.listen();
    }

    fn work_all(&mut self) {
        self.engine.flush();
        self.listen();
        while !self.jobs.is_empty() {
            self.work(0);
            self.engine.flush();
            self.listen();
        }
    }

    fn verdicts(&self, lease: u64, verdict: Verdict) -> Vec<Range<u64>> {
        self.judged.iter().filter(|judged| judged.0 == LeaseId(lease) && judged.2 == verdict).map(|judged| judged.1.clone()).collect()
    }
}

fn small(buffer_bytes_max: u64) -> Config {
    Config {
        buffer_bytes_max,
        batch_parts: 4,
        batch_bytes_min: 64,
        batch_bytes_max: 4096,
        big_part_bytes: 512,
        segment_bytes: 128,
        jobs_max: 3,
    }
}

/// Random deliveries by three sources, of which the third lies, until all is complete.
fn check_random(seed: u64) {
    let mut dice = Dice::counter(seed, 1);
    let piece_bytes = 1 + dice.below(1500);
    let total = 1 + dice.below(20_000);
    let buffers = 4096 << dice.below(3);
    let mut world = World::new(small(buffers), total, piece_bytes);
    let all = 0..total;
    let middle = dice.below(total)..total;
    let wanted = if dice.chance(1, 2) { Ranges::of(all) } else { Ranges::of(middle) };
    let held = if dice.chance(1, 3) { Ranges::of(0..dice.below(total)) } else { Ranges::new() };
    world = world.begin(wanted.clone(), &held);
    (1..=3).for_each(|lease| world.lend(lease));
    let lent = world.leased[&LeaseId(1)].clone();
    let mut contributed: Vec<(u64, Range<u64>)> = Vec::new();
    let mut steps = 0;
    while world.complete == 0 {
        steps += 1;
        assert!(steps < 2_000_000, "seed {seed}: no end");
        if world.engine.congested() || dice.chance(1, 4) {
            if world.jobs.is_empty() {
                world.engine.flush();
                world.listen();
            }
            if let Some(which) = dice.index(world.jobs.len()) {
                world.work(which);
            }
            continue;
        }
        let lease = if dice.chance(1, 20) { 3 } else { 1 + dice.below(2) };
        let start = dice.below(total);
        let range = start..total.min(start + 1 + dice.below(piece_bytes.min(300)));
        contributed.push((lease, range.clone()));
        world.deliver(lease, range, lease != 3);
    }
    world.work_all();
    assert_eq!(world.complete, 1, "seed {seed}");
    assert_eq!(world.engine.counters().dropped_bytes, 0, "seed {seed}: dropped though the host obeyed");
    let progress = Progress { verified_bytes: wanted.total(), wanted_bytes: wanted.total() };
    assert_eq!(world.engine.progress(SHARE), Some(progress), "seed {seed}");
    for lease in 1..=3 {
        let good = world.verdicts(lease, Verdict::Good);
        assert_eq!(
            good.iter().map(|range| range.end - range.start).sum::<u64>(),
            lent.total(),
            "seed {seed}: judged good more than once or not at all"
        );
        assert_eq!(good.into_iter().collect::<Ranges>(), lent, "seed {seed}");
        for bad in world.verdicts(lease, Verdict::Bad) {
            assert!(
                contributed.iter().any(|(by, range)| *by == lease && range.start < bad.end && range.end > bad.start),
                "seed {seed}: {lease} gave nothing to {bad:?}"
            );
        }
    }
    for range in lent.iter() {
        let (from, to) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        assert!(world.disk[from..to] == world.content[from..to], "seed {seed}: {range:?} differs");
    }
    world.engine.remove(SHARE);
    assert_eq!(world.engine.buffer_bytes(), 0, "seed {seed}: memory is left");
}

#[test]
fn random_deliveries_end_complete_with_every_byte_judged_good_once() {
    for seed in 0..300 {
        check_random(seed);
    }
}

#[test]
fn a_part_is_judged_good_to_every_lease() {
    let mut world = World::new(small(1 << 16), 200, 100).begin(Ranges::of(0..200), &Ranges::new());
    world.lend(1);
    world.lend(2);
    world.deliver(1, 0..100, true);
    world.work_all();
    assert_eq!(world.verdicts(1, Verdict::Good), [0..100]);
    assert_eq!(world.verdicts(2, Verdict::Good), [0..100]);
}

#[test]
fn a_wrong_part_is_missing_again_and_only_who_gave_all_of_it_is_blamed() {
    let mut world = World::new(small(1 << 16), 200, 100).begin(Ranges::of(0..200), &Ranges::new());
    (1..=3).for_each(|lease| world.lend(lease));
    world.deliver(1, 0..40, true);
    world.deliver(2, 40..100, false);
    world.work_all();
    let blamed = |world: &World| [1, 2, 3].map(|lease| world.verdicts(lease, Verdict::Bad).len());
    let mixed = [1, 2, 3].map(|lease| world.verdicts(lease, Verdict::Mixed).len());
    assert_eq!((mixed, blamed(&world), world.engine.bad_bytes(LeaseId(2))), ([1, 1, 0], [0, 0, 0], 0));
    assert_eq!(world.leased[&LeaseId(3)], Ranges::of(0..200), "whoever gave nothing is told that it is missing");
    // The second time it comes from one alone, which says who it was.
    world.deliver(2, 0..30, false);
    world.deliver(1, 30..100, true);
    assert_eq!(world.verdicts(1, Verdict::Duplicate), [30..100]);
    world.deliver(2, 30..100, false);
    world.work_all();
    assert_eq!((blamed(&world), world.engine.bad_bytes(LeaseId(2))), ([0, 1, 0], 100));
    world.deliver(3, 0..100, true);
    world.deliver(3, 100..200, true);
    world.work_all();
    assert_eq!(world.complete, 1);
}

#[test]
fn once_a_part_is_right_the_blocks_that_were_wrong_are_named() {
    // In memory, and on disk where it is too big for that.
    for big_part_bytes in [Config::default().big_part_bytes, BLOCK] {
        let segment_bytes = if big_part_bytes == BLOCK { 3 * BLOCK / 2 } else { Config::default().segment_bytes };
        check_blocks(Config { big_part_bytes, segment_bytes, ..Config::default() });
    }
}

const BLOCK: u64 = 16 << 10;

fn check_blocks(config: Config) {
    let piece = 3 * BLOCK + 100;
    let mut world = World::new(config, 2 * piece, piece).begin(Ranges::of(0..2 * piece), &Ranges::new());
    (1..=2).for_each(|lease| world.lend(lease));
    for (block, honest) in [(0, true), (1, false), (2, true), (3, false)] {
        world.deliver(1, block * BLOCK..((block + 1) * BLOCK).min(piece), honest);
    }
    world.work_all();
    assert_eq!((world.verdicts(1, Verdict::Bad), world.verdicts(1, Verdict::Lie)), (vec![0..piece], vec![]));
    // Whoever brings it.
    world.deliver(2, 0..piece, true);
    world.work_all();
    assert_eq!(world.verdicts(1, Verdict::Lie), [BLOCK..2 * BLOCK, 3 * BLOCK..piece]);
    assert_eq!((world.verdicts(2, Verdict::Lie), world.verdicts(1, Verdict::Good)), (vec![], vec![0..piece]));
    let place =
        |verdict| world.judged.iter().position(|(lease, range, said)| *lease == LeaseId(1) && range.start < piece && *said == verdict);
    assert!(place(Verdict::Lie) < place(Verdict::Good), "who lied is known before it is forgotten that it was wrong");
    // Where several leases have given to it, nobody can tell whose bytes those were.
    world.deliver(1, piece..piece + BLOCK, false);
    world.deliver(2, piece + BLOCK..2 * piece, true);
    world.work_all();
    world.deliver(2, piece..2 * piece, true);
    world.work_all();
    assert_eq!((world.complete, world.verdicts(1, Verdict::Lie).len()), (1, 2));
}

#[test]
fn what_came_before_is_judged_duplicate() {
    let mut world = World::new(small(1 << 16), 100, 100).begin(Ranges::of(0..100), &Ranges::new());
    world.lend(1);
    world.deliver(1, 0..30, true);
    world.deliver(1, 20..50, true);
    assert_eq!(world.verdicts(1, Verdict::Duplicate), [20..30]);
    world.deliver(1, 50..100, true);
    world.deliver(1, 90..100, true);
    world.work_all();
    world.deliver(1, 0..10, true);
    assert_eq!(world.verdicts(1, Verdict::Duplicate), [20..30, 90..100, 0..10]);
}

#[test]
fn bytes_outside_of_the_lease_are_dropped_and_counted() {
    let mut world = World::new(small(1 << 16), 250, 100).begin(Ranges::of(120..130), &Ranges::new());
    world.lend(1);
    assert_eq!(world.leased[&LeaseId(1)], Ranges::of(100..200));
    world.deliver(1, 0..100, true);
    world.deliver(2, 100..200, true);
    world.engine.deliver(LeaseId(1), 240, &Payload::Bytes(Bytes::from_static(&[0; 20])));
    world.engine.deliver(LeaseId(1), u64::MAX, &Payload::Bytes(Bytes::from_static(&[0; 20])));
    world.listen();
    assert_eq!(world.engine.counters().outside_bytes, 100 + 100 + 20);
    assert!(world.judged.is_empty());
}

#[test]
fn whole_parts_wait_for_a_full_batch_or_a_flush() {
    let mut world = World::new(small(1 << 16), 1000, 100).begin(Ranges::of(0..1000), &Ranges::new());
    world.lend(1);
    for part in 0..3 {
        world.deliver(1, part * 100..part * 100 + 100, true);
    }
    assert_eq!((world.jobs.len(), world.engine.waiting_parts()), (0, 3));
    world.deliver(1, 300..400, true);
    assert_eq!((world.jobs.len(), world.engine.waiting_parts()), (1, 0));
    world.deliver(1, 400..500, true);
    world.engine.flush();
    world.listen();
    assert_eq!((world.jobs.len(), world.engine.waiting_parts()), (2, 0));
}

#[test]
fn the_last_parts_wait_for_nobody() {
    let mut world = World::new(small(1 << 16), 200, 100).begin(Ranges::of(0..200), &Ranges::new());
    world.lend(1);
    world.deliver(1, 0..100, true);
    assert_eq!(world.jobs.len(), 0);
    world.deliver(1, 100..200, true);
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn many_half_parts_are_spilled_and_read_back() {
    let mut world = World::new(small(4096), 50_000, 500).begin(Ranges::of(0..50_000), &Ranges::new());
    world.lend(1);
    for half in [0..250, 250..500] {
        for part in 0..100 {
            while world.engine.congested() {
                world.work(0);
            }
            world.deliver(1, part * 500 + half.start..part * 500 + half.end, true);
        }
    }
    world.work_all();
    assert_eq!(world.complete, 1);
    assert!(world.disk == world.content);
}

#[test]
fn who_delivers_into_congestion_is_lent_again_what_found_no_room() {
    let mut world = World::new(small(4096), 50_000, 500).begin(Ranges::of(0..50_000), &Ranges::new());
    world.lend(1);
    for _ in 0..100 {
        let missing = std::mem::take(world.leased.get_mut(&LeaseId(1)).unwrap());
        for part in missing.iter().flat_map(|span| (span.start / 500)..(span.end / 500)) {
            world.deliver(1, part * 500..part * 500 + 500, true);
        }
        world.work_all();
    }
    assert!(world.engine.counters().dropped_bytes > 0 && world.relieved > 0);
    assert_eq!(world.complete, 1);
}

#[test]
fn a_full_disk_pauses_and_what_was_good_stays_good() {
    let mut world = World::new(small(1 << 16), 300, 100).begin(Ranges::of(0..300), &Ranges::new());
    world.lend(1);
    world.deliver(1, 0..100, true);
    world.work_all();
    world.disk_full = true;
    world.deliver(1, 100..200, true);
    world.work_all();
    assert_eq!((world.failed.as_slice(), world.leased[&LeaseId(1)].is_empty()), (["the disk is full".to_owned()].as_slice(), true));
    world.deliver(1, 100..200, true);
    assert_eq!(world.engine.held(SHARE), Some(Ranges::of(0..100)));
    world.disk_full = false;
    world.engine.resume(SHARE);
    world.listen();
    assert_eq!(world.leased[&LeaseId(1)], Ranges::of(100..300));
    world.deliver(1, 100..200, true);
    world.deliver(1, 200..300, true);
    world.work_all();
    assert_eq!(world.complete, 1);
}

#[test]
fn nothing_missing_is_complete_at_once() {
    assert_eq!(World::new(small(4096), 250, 100).begin(Ranges::of(0..250), &Ranges::of(0..250)).complete, 1);
    assert_eq!(World::new(small(4096), 0, 100).begin(Ranges::new(), &Ranges::new()).complete, 1);
}

#[test]
fn wanting_more_lends_more() {
    let mut world = World::new(small(4096), 300, 100).begin(Ranges::of(0..100), &Ranges::of(0..100));
    world.lend(1);
    assert!(world.leased[&LeaseId(1)].is_empty());
    world.engine.want(SHARE, Ranges::of(0..150));
    world.listen();
    assert_eq!(world.leased[&LeaseId(1)], Ranges::of(100..200));
    world.deliver(1, 100..200, true);
    world.work_all();
    assert_eq!((world.complete, world.engine.progress(SHARE)), (2, Some(Progress { verified_bytes: 150, wanted_bytes: 150 })));
}

#[test]
fn a_proof_that_does_not_fit_is_refused() {
    let layout = Arc::new(Layout::single("it".into(), 100).unwrap());
    for (piece_bytes, total_bytes, count) in [(0, 100, 1), (50, 99, 2), (50, 100, 1), (50, 100, 3)] {
        let proof = Proof::V1Pieces { piece_bytes, total_bytes, hashes: vec![hexad_content::Sha1Digest([0; 20]); count].into() };
        assert_eq!(Engine::new(Config::default()).add(SHARE, &layout, proof, Ranges::new(), &Ranges::new()), Err(Misfit));
    }
}

#[test]
fn tokens_are_judged_without_jobs() {
    let mut world = World::new(small(4096), 300, 100).begin(Ranges::of(0..300), &Ranges::new());
    world.engine.expect_content(SHARE, 5);
    world.lend(1);
    let give = |world: &mut World, range: Range<u64>, content, honest| {
        world.engine.deliver(LeaseId(1), range.start, &Payload::Token(Token { content, range, honest }));
        world.listen();
    };
    give(&mut world, 0..60, 5, true);
    give(&mut world, 50..150, 5, true);
    assert_eq!((world.verdicts(1, Verdict::Good), world.verdicts(1, Verdict::Duplicate)), (vec![0..100], vec![50..60]));
    give(&mut world, 150..200, 5, false);
    give(&mut world, 200..300, 6, true);
    assert_eq!(world.verdicts(1, Verdict::Bad), [100..200, 200..300]);
    give(&mut world, 100..300, 5, true);
    assert_eq!((world.complete, world.jobs.len()), (1, 0));
    assert_eq!(world.verdicts(1, Verdict::Lie), [100..200, 200..300]);
}

#[test]
fn the_end_of_a_lease_leaves_its_bytes() {
    let mut world = World::new(small(4096), 200, 200).begin(Ranges::of(0..200), &Ranges::new());
    world.lend(1);
    world.deliver(1, 0..100, true);
    world.engine.end(LeaseId(1));
    world.lend(2);
    world.deliver(2, 100..200, true);
    world.work_all();
    assert_eq!(world.complete, 1);
    assert!(world.verdicts(1, Verdict::Good).is_empty());
}

#[test]
fn what_comes_under_a_lease_is_counted_for_it_good_or_not() {
    let mut world = World::new(small(1 << 20), 4000, 1000).begin(Ranges::of(0..2000), &Ranges::new());
    world.lend(1);
    world.lend(2);
    world.deliver(1, 0..1000, true);
    world.deliver(2, 0..1000, true);
    world.deliver(1, 1000..1500, false);
    world.deliver(1, 3000..4000, true);
    world.engine.lend(LeaseId(1), SHARE);
    assert_eq!([1, 2, 3].map(|lease| world.engine.arrived_bytes(LeaseId(lease))), [2500, 1000, 0]);
    world.engine.end(LeaseId(1));
    assert_eq!(world.engine.arrived_bytes(LeaseId(1)), 0);
}

#[test]
fn who_has_a_spoiled_part_alone_and_does_not_bring_it_loses_it_to_those_who_could() {
    let mut world = World::new(small(1 << 14), 1024, 512).begin(Ranges::of(0..1024), &Ranges::new());
    world.lend(1);
    world.lend(2);
    // Part 1 is spoiled by two, and by that comes from one alone: whoever is first.
    world.deliver(1, 512..768, true);
    world.deliver(2, 768..1024, false);
    world.work_all();
    assert_eq!(world.verdicts(1, Verdict::Mixed), [512..1024]);
    world.deliver(1, 0..512, true);
    world.work_all();
    world.deliver(2, 512..640, false);
    // The first has no more to give. What the other brings meanwhile is refused, and nothing else comes.
    world.deliver(1, 512..1024, true);
    world.work_all();
    assert_eq!(world.complete, 0);
    assert_eq!(world.verdicts(1, Verdict::Duplicate), [512..1024]);
    for asked in 0.. {
        assert!(asked < 10, "it is never given to those who could bring it");
        world.engine.claim(LeaseId(1), &Ranges::new());
        world.listen();
        if world.verdicts(1, Verdict::Mixed).len() == 2 {
            break;
        }
    }
    assert!(world.elsewhere[&LeaseId(2)].covers(512..1024));
    assert!(world.elsewhere[&LeaseId(1)].within(512..1024).is_empty());
    world.deliver(2, 640..1024, false);
    world.deliver(1, 512..1024, true);
    world.work_all();
    assert_eq!(world.complete, 1);
}
