use hexad_core::Set;

use super::*;
use crate::wire::frames::BLOCK_BYTES;

const BLOCKS: u64 = 4;

struct Bench {
    picker: Picker,
    dice: Dice,
    pieces: u32,
}

impl Bench {
    fn new(pieces: u32) -> Self {
        let piece_bytes = BLOCKS * u64::from(BLOCK_BYTES);
        let geometry = Geometry { piece_bytes, total_bytes: u64::from(pieces) * piece_bytes, pieces, short: None };
        let mut picker = Picker::new(geometry.clone(), Picking::RarestFirst);
        picker.lease(&Ranges::of(0..geometry.total_bytes));
        Self { picker, dice: Dice::counter(5, 5), pieces }
    }

    /// Past the random first pieces.
    fn warm(mut self) -> Self {
        self.picker.begun = RANDOM_FIRST;
        self
    }

    fn bits(&self, pieces: &[u32]) -> Bits {
        let mut bits = Bits::new(self.pieces);
        pieces.iter().for_each(|&piece| {
            bits.set(piece);
        });
        bits
    }

    fn asks(&mut self, slot: Slot, bits: &Bits, count: u32) -> Vec<(u32, u32)> {
        self.asks_as(asker(slot, bits), count)
    }

    fn asks_as(&mut self, asker: Asker<'_>, count: u32) -> Vec<(u32, u32)> {
        let mut asked = Vec::new();
        self.picker.pick(&asker, count, &mut self.dice, |piece, block| asked.push((piece, block)));
        asked
    }

    fn comes(&mut self, blocks: &[(u32, u32)], giver: GiverId) {
        for &(piece, block) in blocks {
            self.picker.received(piece, block, giver, true);
        }
    }
}

fn asker(slot: Slot, bits: &Bits) -> Asker<'_> {
    Asker { slot, bits, current: None, slow: false, alone: false, suggested: &[], only: None }
}

fn pieces(blocks: &[(u32, u32)]) -> Set<u32> {
    blocks.iter().map(|&(piece, _)| piece).collect()
}

#[test]
fn the_rarest_piece_comes_first() {
    let mut bench = Bench::new(40).warm();
    let all = Bits::full(40);
    let most = bench.bits(&(0..40).filter(|&piece| piece != 23).collect::<Vec<_>>());
    bench.picker.peer_joined(&all);
    (0..5).for_each(|_| bench.picker.peer_joined(&most));
    assert_eq!(pieces(&bench.asks(0, &all, 4)), [23].into());
}

#[test]
fn one_more_have_changes_the_order() {
    let mut bench = Bench::new(3).warm();
    let all = Bits::full(3);
    bench.picker.peer_joined(&all);
    for piece in [0, 2, 2, 1, 1, 1] {
        let bits = bench.bits(&[piece]);
        bench.picker.peer_has(piece, &bits);
    }
    let order: Vec<u32> = (0..3).flat_map(|slot| pieces(&bench.asks(slot, &all, 4))).collect();
    assert_eq!(order, [0, 2, 1]);
}

#[test]
fn peers_that_leave_take_their_copies_with_them() {
    let mut bench = Bench::new(2).warm();
    let (all, first) = (Bits::full(2), bench.bits(&[0]));
    bench.picker.peer_joined(&first);
    bench.picker.peer_joined(&first);
    bench.picker.peer_left(&first);
    bench.picker.peer_left(&first);
    let second = bench.bits(&[1]);
    bench.picker.peer_joined(&second);
    assert_eq!(pieces(&bench.asks(0, &all, 4)), [0].into());
    assert_eq!(bench.picker.rarest_copies(), 0);
}

#[test]
fn the_first_pieces_are_picked_at_random() {
    let mut seen = Set::new();
    for seed in 0..40 {
        let mut bench = Bench::new(16);
        bench.dice = Dice::counter(seed, 1);
        let (all, common) = (Bits::full(16), bench.bits(&[0]));
        bench.picker.peer_joined(&all);
        bench.picker.peer_joined(&common);
        seen.extend(pieces(&bench.asks(0, &all, 4)));
    }
    assert!(seen.contains(&0) && seen.len() > 8, "{seen:?}");
}

#[test]
fn equals_are_picked_at_random() {
    let first = |seed| {
        let mut bench = Bench::new(64).warm();
        bench.dice = Dice::counter(seed, 1);
        pieces(&bench.asks(0, &Bits::full(64), 4)).pop_first()
    };
    assert!((0..20).map(first).collect::<Set<_>>().len() > 10);
}

#[test]
fn two_peers_work_on_two_pieces() {
    let mut bench = Bench::new(8).warm();
    let all = Bits::full(8);
    let (one, other) = (bench.asks(0, &all, 2), bench.asks(1, &all, 2));
    assert!(pieces(&one).is_disjoint(&pieces(&other)));
}

#[test]
fn a_begun_piece_is_finished_before_another_is_begun() {
    let mut bench = Bench::new(8).warm();
    let all = Bits::full(8);
    let begun = bench.asks(0, &all, 2);
    bench.comes(&begun[..1], 1);
    // The first peer leaves: one block came, one is asked for no more, two were never asked for.
    bench.picker.returned(0, begun[1].0, begun[1].1);
    assert_eq!(pieces(&bench.asks(1, &all, 3)), pieces(&begun));
}

#[test]
fn what_a_peer_that_left_had_not_begun_is_as_before() {
    let mut bench = Bench::new(8).warm();
    let all = Bits::full(8);
    let begun = bench.asks(0, &all, 4);
    for &(piece, block) in &begun {
        bench.picker.returned(0, piece, block);
    }
    assert_eq!(bench.picker.free().count(), 8);
    assert!(!bench.picker.is_endgame());
}

#[test]
fn a_peer_is_asked_for_what_it_has_only() {
    let mut bench = Bench::new(200).warm();
    let few = bench.bits(&[3, 150]);
    bench.picker.peer_joined(&Bits::full(200));
    bench.picker.peer_joined(&few);
    let asked = bench.asks(0, &few, 100);
    assert_eq!((asked.len(), pieces(&asked)), (8, [3, 150].into()));
}

#[test]
fn the_lease_bounds_what_is_asked_for() {
    let mut bench = Bench::new(20).warm();
    let piece = BLOCKS * u64::from(BLOCK_BYTES);
    bench.picker.lease(&[2 * piece..4 * piece, 7 * piece..8 * piece].into_iter().collect());
    assert_eq!(pieces(&bench.asks(0, &Bits::full(20), 100)), [2, 3, 7].into());
    assert!(!bench.picker.is_done());
    bench.picker.lease(&Ranges::new());
    assert!(bench.picker.is_done());
}

#[test]
fn in_the_endgame_blocks_under_way_are_asked_for_again_but_not_of_the_same_peer() {
    let mut bench = Bench::new(1).warm();
    let all = Bits::full(1);
    let asked = bench.asks(0, &all, 4);
    assert!(bench.picker.is_endgame());
    let mut again = Vec::new();
    bench.picker.pick_busy(&all, 3, |_, block| block == 0, |piece, block| again.push((piece, block)));
    assert_eq!(again, [(0, 1), (0, 2), (0, 3)]);
    assert_eq!(bench.picker.received(0, 1, 9, true), Came::Wanted { whole: false, others: true }, "the loser is to be told");
    assert_eq!(bench.picker.received(0, 1, 8, true), Came::Useless);
    assert_eq!(bench.picker.received(asked[0].0, asked[0].1, 8, true), Came::Wanted { whole: false, others: false });
}

#[test]
fn no_endgame_as_long_as_something_has_not_been_asked_for() {
    let mut bench = Bench::new(2).warm();
    let all = Bits::full(2);
    bench.asks(0, &all, 4);
    let mut again = 0;
    bench.picker.pick_busy(&all, 3, |_, _| false, |_, _| again += 1);
    assert_eq!(again, 0);
}

#[test]
fn a_bad_piece_is_wanted_again_and_its_givers_are_named() {
    let mut bench = Bench::new(2).warm();
    let all = Bits::full(2);
    let asked = bench.asks(0, &all, 4);
    bench.comes(&asked[..3], 1);
    bench.comes(&asked[3..], 2);
    assert!(bench.picker.free().count() == 1 && !bench.picker.is_done());
    assert_eq!(bench.picker.judged(asked[0].0, false), [1, 1, 1, 2]);
    assert_eq!(bench.picker.free().count(), 2);
    let again = bench.asks(0, &all, 8);
    bench.comes(&again, 1);
    for piece in 0..2 {
        assert_eq!(bench.picker.judged(piece, true), [1; BLOCKS as usize]);
    }
    assert!(bench.picker.is_done());
}

#[test]
fn who_is_watched_works_alone() {
    let mut bench = Bench::new(2).warm();
    let all = Bits::full(2);
    let own = bench.asks_as(Asker { alone: true, ..asker(0, &all) }, 2);
    let others = bench.asks(1, &all, 8);
    assert_eq!(others.len(), 4, "nobody helps with the piece of a watched peer");
    assert!(pieces(&own).is_disjoint(&pieces(&others)));
}

#[test]
fn while_choked_only_what_is_allowed_is_asked_for() {
    let mut bench = Bench::new(10).warm();
    let all = Bits::full(10);
    let asked = bench.asks_as(Asker { only: Some(&[4, 9]), ..asker(0, &all) }, 100);
    assert_eq!(pieces(&asked), [4, 9].into());
}

#[test]
fn a_suggestion_is_taken() {
    let mut bench = Bench::new(10).warm();
    let all = Bits::full(10);
    assert_eq!(pieces(&bench.asks_as(Asker { suggested: &[6], ..asker(0, &all) }, 4)), [6].into());
}

#[test]
fn what_a_seed_suggests_and_nobody_has_comes_before_what_is_begun() {
    let mut bench = Bench::new(10).warm();
    let all = Bits::full(10);
    let some = bench.bits(&[0, 1, 2]);
    bench.picker.peer_joined(&all);
    bench.picker.peer_joined(&some);
    let begun = bench.asks(1, &some, 2)[0].0;
    bench.comes(&[(begun, 0)], 1);
    bench.picker.returned(1, begun, 1);
    let common = (0..3).find(|&piece| piece != begun).unwrap();
    assert_eq!(
        pieces(&bench.asks_as(Asker { suggested: &[common], ..asker(0, &all) }, 3)),
        [begun].into(),
        "another has what is suggested"
    );
    (1..4).for_each(|block| bench.picker.returned(0, begun, block));
    assert_eq!(pieces(&bench.asks_as(Asker { suggested: &[6], ..asker(0, &all) }, 4)), [6].into());
}

#[test]
fn what_is_lent_elsewhere_is_asked_of_nobody_until_it_is_given_back() {
    let mut bench = Bench::new(2).warm();
    let all = Bits::full(2);
    bench.picker.lend(0);
    assert_eq!(pieces(&bench.asks(0, &all, 100)), [1].into());
    bench.picker.give_back(0);
    assert_eq!(pieces(&bench.asks(0, &all, 100)), [0].into());
}

#[test]
fn a_flood_of_haves_over_a_hundred_thousand_pieces_is_cheap() {
    let pieces = 100_000;
    let mut bench = Bench::new(pieces).warm();
    let mut bits = Bits::new(pieces);
    for _ in 0..20 {
        bits = Bits::new(pieces);
        for piece in 0..pieces - 1 {
            bits.set(piece);
            bench.picker.peer_has(piece, &bits);
        }
    }
    let few = bench.bits(&[99_999, 77]);
    assert_eq!(pieces_of_first(&mut bench, &few), 99_999, "the one that nobody else has");
    bench.picker.peer_left(&bits);
    assert_eq!(bench.picker.rarest_copies(), 0);
}

fn pieces_of_first(bench: &mut Bench, bits: &Bits) -> u32 {
    bench.asks_as(Asker { slot: 0, ..asker(0, bits) }, 1)[0].0
}
