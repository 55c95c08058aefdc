//! Several leases of one download: simulated networks ask for what the engine leaves them, and little comes twice.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use hexad_content::{Layout, Proof, Ranges};
use hexad_core::{Dice, LeaseId, Map, Payload, ShareId, Token, Verdict};
use hexad_transfer::{Action, Config, Engine};

const SHARE: ShareId = ShareId(7);
const CONTENT: u64 = 42;
const PART: u64 = 64 << 10;
const PARTS: u64 = 512;
const TOTAL: u64 = PART * PARTS;
/// Parts that a network has under way.
const PIPELINE: usize = 8;

/// A network with a part in the download, which gets parts in the order in which it has asked for them.
#[derive(Default)]
struct Source {
    wanted: Ranges,
    elsewhere: Ranges,
    told: bool,
    asked: VecDeque<Range<u64>>,
    starved: bool,
    brought: Vec<u64>,
    /// Asks for parts at random, as a swarm does.
    random: bool,
}

impl Source {
    fn next(&self, dice: &mut Dice) -> Option<Range<u64>> {
        let mut left = self.wanted.clone();
        left.remove_all(&self.elsewhere);
        let parts: Vec<u64> = left.iter().flat_map(|span| (span.start / PART..span.end / PART).collect::<Vec<_>>()).collect();
        let part = if self.random { parts.get(dice.index(parts.len())?) } else { parts.first() }?;
        Some(part * PART..(part + 1) * PART)
    }
}

struct World {
    engine: Engine,
    sources: Map<LeaseId, Source>,
    dice: Dice,
    complete: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let layout = Arc::new(Layout::single("it".into(), TOTAL).expect("a layout"));
        let hashes = (0..PARTS).map(|_| hexad_content::sha1_lanes::sha1_one(&[])).collect();
        let proof = Proof::V1Pieces { piece_bytes: PART, total_bytes: TOTAL, hashes };
        let mut engine = Engine::new(Config::default());
        engine.add(SHARE, &layout, proof, Ranges::of(0..TOTAL), &Ranges::new()).expect("the proof fits");
        engine.expect_content(SHARE, CONTENT);
        Self { engine, sources: Map::new(), dice: Dice::counter(seed, 0), complete: false }
    }

    fn lend(&mut self, lease: u64, random: bool) {
        self.sources.insert(LeaseId(lease), Source { random, ..Source::default() });
        self.engine.lend(LeaseId(lease), SHARE);
        self.listen();
    }

    fn source(&mut self, lease: u64) -> &mut Source {
        self.sources.get_mut(&LeaseId(lease)).expect("a source")
    }

    fn listen(&mut self) {
        while let Some(action) = self.engine.next_action() {
            match action {
                Action::Leased(lease, ranges) => {
                    let Some(source) = self.sources.get_mut(&lease) else { continue };
                    source.wanted = ranges;
                    source.asked.iter().for_each(|part| source.wanted.remove(part.clone()));
                }
                Action::Elsewhere(lease, ranges) => {
                    let Some(source) = self.sources.get_mut(&lease) else { continue };
                    source.elsewhere = ranges;
                    if !std::mem::replace(&mut source.told, true) && !source.asked.is_empty() {
                        let asked = source.asked.iter().cloned().collect();
                        self.engine.claim(lease, &asked);
                    }
                }
                Action::Judged(lease, range, Verdict::Good | Verdict::Duplicate) => {
                    if let Some(source) = self.sources.get_mut(&lease) {
                        source.wanted.remove(range);
                    }
                }
                Action::Complete(_) => self.complete = true,
                Action::Job(..) | Action::Judged(..) | Action::Relieved | Action::Failed(..) => {}
            }
        }
    }

    /// The network asks for as much as it may have under way.
    fn ask(&mut self, lease: u64) {
        let lease = LeaseId(lease);
        while let Some(source) = self.sources.get_mut(&lease).filter(|source| source.asked.len() < PIPELINE) {
            let Some(part) = source.next(&mut self.dice) else {
                if source.told && !std::mem::replace(&mut source.starved, true) {
                    self.engine.claim(lease, &Ranges::new());
                    self.listen();
                    continue;
                }
                return;
            };
            source.starved = false;
            source.wanted.remove(part.clone());
            source.asked.push_back(part.clone());
            if source.told {
                self.engine.claim(lease, &Ranges::of(part));
                self.listen();
            }
        }
    }

    /// What the network has asked for first comes.
    fn bring(&mut self, lease: u64) {
        self.ask(lease);
        let Some(part) = self.source(lease).asked.pop_front() else { return };
        self.source(lease).brought.push(part.start / PART);
        let token = Token { content: CONTENT, range: part.clone(), honest: true };
        self.engine.deliver(LeaseId(lease), part.start, &Payload::Token(token));
        self.listen();
        self.ask(lease);
    }

    /// Time goes by for networks that have nothing to do.
    fn look_again(&mut self) {
        self.sources.values_mut().for_each(|source| source.starved = false);
    }

    fn brought(&self) -> usize {
        self.sources.values().map(|source| source.brought.len()).sum()
    }

    /// Lets sources bring as often as the numbers say, until all is there.
    fn run(&mut self, speeds: &[(u64, u64)]) {
        let all: u64 = speeds.iter().map(|(_, speed)| speed).sum();
        for step in 0..PARTS * 4 {
            if self.complete {
                return;
            }
            let mut drawn = self.dice.below(all);
            for &(lease, speed) in speeds {
                if drawn < speed {
                    self.bring(lease);
                    break;
                }
                drawn -= speed;
            }
            if step % 64 == 0 {
                self.look_again();
            }
        }
        assert!(self.complete, "all would have come: {} parts of {PARTS}", self.brought());
    }
}

fn parts(count: usize) -> u64 {
    count as u64
}

#[test]
fn a_lease_that_is_alone_hears_nothing_of_others() {
    let mut world = World::new(1);
    world.lend(1, false);
    world.run(&[(1, 1)]);
    assert!(!world.source(1).told);
    assert_eq!(parts(world.brought()), PARTS);
}

#[test]
fn what_several_bring_at_different_speeds_comes_once_but_for_the_end() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        (1..=4).for_each(|lease| world.lend(lease, lease == 2));
        (1..=4).for_each(|lease| world.ask(lease));
        world.run(&[(1, 1), (2, 10), (3, 4), (4, 4)]);
        let twice = parts(world.brought()) - PARTS;
        assert!(twice <= parts(PIPELINE) * 2, "seed {seed}: {twice} parts came twice");
        assert!(world.sources.values().all(|source| !source.brought.is_empty()));
    }
}

#[test]
fn who_joins_later_gets_half_of_what_is_not_under_way() {
    let mut world = World::new(3);
    world.lend(1, false);
    (0..100).for_each(|_| world.bring(1));
    world.lend(2, false);
    world.bring(2);
    assert!((300..320).contains(&world.source(2).brought[0]), "{:?}", world.source(2).brought);
    world.run(&[(1, 1), (2, 1)]);
    assert!(parts(world.brought()) - PARTS <= parts(PIPELINE));
}

#[test]
fn what_a_swarm_had_asked_for_before_others_came_stays_with_it() {
    let mut world = World::new(4);
    world.lend(1, true);
    world.ask(1);
    let asked: Vec<Range<u64>> = world.source(1).asked.iter().cloned().collect();
    world.lend(2, false);
    let elsewhere = world.source(2).elsewhere.clone();
    assert!(asked.into_iter().all(|part| elsewhere.covers(part)));
}

#[test]
fn what_a_lease_was_to_bring_is_brought_by_others_when_it_ends_or_never_gives() {
    for ends in [true, false] {
        let mut world = World::new(5);
        (1..=3).for_each(|lease| world.lend(lease, false));
        (1..=3).for_each(|lease| world.ask(lease));
        if ends {
            world.engine.end(LeaseId(3));
            world.listen();
        }
        world.run(&[(1, 1), (2, 1)]);
        assert!(parts(world.brought()) - PARTS <= parts(PIPELINE) * 2);
    }
}

#[test]
fn an_order_is_kept_whoever_brings_it_and_can_be_changed() {
    let mut world = World::new(6);
    (1..=3).for_each(|lease| world.lend(lease, lease == 3));
    world.engine.prefer(SHARE, vec![Ranges::of(100 * PART..TOTAL)]);
    world.listen();
    for turn in 0..60 {
        world.bring(turn % 3 + 1);
    }
    let mut brought: Vec<u64> = world.sources.values().flat_map(|source| source.brought.clone()).collect();
    brought.sort_unstable();
    // What each had begun elsewhere is apart; a lease has at most a few parts that are its own.
    assert!(brought.iter().all(|part| (100..100 + 60 + 3 * 16).contains(part)), "{brought:?}");
    world.engine.prefer(SHARE, vec![Ranges::of(400 * PART..TOTAL)]);
    world.listen();
    for turn in 0..60 {
        world.bring(turn % 3 + 1);
    }
    assert!((400..416).all(|part| world.sources.values().any(|source| source.brought.contains(&part))));
    world.engine.prefer(SHARE, Vec::new());
    world.listen();
    world.run(&[(1, 1), (2, 1), (3, 1)]);
    assert!(parts(world.brought()) - PARTS <= parts(PIPELINE) * 3);
}
