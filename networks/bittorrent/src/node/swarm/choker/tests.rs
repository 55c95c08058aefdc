use super::*;

fn candidate(slot: Slot, rate: u64) -> Candidate {
    Candidate {
        slot,
        interested: true,
        snubbed: false,
        new: false,
        amid: false,
        rate,
        unchoked_since: None,
        taken: 0,
        claimed: 0,
        given: 0,
        waiting_since: Time::ZERO,
    }
}

fn at(s: u64) -> Time {
    Time::ZERO + Span::from_secs(s)
}

fn leeching() -> Round {
    Round { slots: 4, seeding: None, total: 1000, rotate: true, optimistic: None, now: at(1000) }
}

fn chosen(candidates: &[Candidate], round: &Round) -> Decision {
    let mut decision = choose(candidates, round, &mut Dice::counter(7, 7));
    decision.unchoked.sort_unstable();
    decision
}

#[test]
fn a_leecher_gives_to_the_four_who_give_most_and_to_one_by_chance() {
    let candidates: Vec<Candidate> = (0..10).map(|slot| candidate(slot, u64::from(slot) * 1000)).collect();
    let decision = chosen(&candidates, &leeching());
    assert_eq!(decision.unchoked.len(), 5);
    for best in [6, 7, 8, 9] {
        assert!(decision.unchoked.contains(&best));
    }
    assert!(decision.optimistic.is_some_and(|slot| slot < 6 && decision.unchoked.contains(&slot)));
}

#[test]
fn who_wants_nothing_takes_no_slot_but_is_unchoked_when_better() {
    let mut candidates: Vec<Candidate> = (0..6).map(|slot| candidate(slot, u64::from(slot) * 1000)).collect();
    candidates[5].interested = false;
    let decision = chosen(&candidates, &leeching());
    assert_eq!(decision.unchoked, [0, 1, 2, 3, 4, 5], "five, four of them by merit, and one of them waits for an interest");
}

#[test]
fn who_snubs_us_gets_nothing_unless_by_chance() {
    let mut candidates: Vec<Candidate> = (0..8).map(|slot| candidate(slot, 1000)).collect();
    candidates[0].rate = 1_000_000;
    candidates[0].snubbed = true;
    for seed in 0..50 {
        let decision = choose(&candidates, &leeching(), &mut Dice::counter(seed, 0));
        assert!(!decision.unchoked.contains(&0) || decision.optimistic == Some(0));
    }
}

#[test]
fn the_optimistic_one_keeps_its_place_until_the_rotation() {
    let candidates: Vec<Candidate> = (0..20).map(|slot| candidate(slot, if slot < 4 { 1000 } else { 0 })).collect();
    for seed in 0..50 {
        let dice = &mut Dice::counter(seed, 0);
        let kept = choose(&candidates, &Round { rotate: false, optimistic: Some(11), ..leeching() }, dice);
        assert_eq!(kept.optimistic, Some(11));
        let moved = choose(&candidates, &Round { rotate: true, optimistic: Some(11), ..leeching() }, dice);
        assert!(moved.optimistic.is_some_and(|slot| slot != 11));
    }
}

/// BT3.
#[test]
fn new_connections_are_three_times_as_likely_to_be_the_optimistic_one() {
    let mut candidates: Vec<Candidate> = (0..4).map(|slot| candidate(slot, 1000)).collect();
    candidates.extend((4..8).map(|slot| Candidate { new: slot < 6, ..candidate(slot, 0) }));
    let (mut new, mut old) = (0, 0);
    for seed in 0..4000 {
        match choose(&candidates, &leeching(), &mut Dice::counter(seed, 3)).optimistic {
            Some(4 | 5) => new += 1,
            Some(6 | 7) => old += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!((26 * old..34 * old).contains(&(new * 10)), "{new} against {old}");
}

#[test]
fn who_is_being_given_its_first_piece_is_not_choked_before_it_has_it() {
    let mut candidates: Vec<Candidate> = (0..12).map(|slot| candidate(slot, if slot < 6 { 1000 } else { 0 })).collect();
    candidates[8].amid = true;
    for seed in 0..50 {
        let decision = choose(&candidates, &leeching(), &mut Dice::counter(seed, 0));
        assert!(decision.unchoked.contains(&8), "{decision:?}");
        let by_merit = decision.unchoked.iter().filter(|&&slot| slot < 6 && Some(slot) != decision.optimistic).count();
        assert_eq!(by_merit, 3, "merit has the rest: {decision:?}");
    }
}

#[test]
fn a_seed_gives_to_those_who_take_fastest_and_by_turns_among_equals() {
    let seeding = Round { seeding: Some(SeedChoking::RoundRobin), ..leeching() };
    let mut candidates: Vec<Candidate> = (0..10).map(|slot| candidate(slot, 0)).collect();
    candidates[7].rate = 1 << 20;
    for (slot, one) in candidates.iter_mut().enumerate() {
        one.waiting_since = at(900 - slot as u64);
    }
    let decision = chosen(&candidates, &seeding);
    for who in [7, 9, 8, 6] {
        assert!(decision.unchoked.contains(&who), "{who} takes fastest, or has waited longest: {decision:?}");
    }
}

#[test]
fn a_seed_ends_the_turn_of_who_has_taken_much_for_long() {
    let seeding = Round { seeding: Some(SeedChoking::RoundRobin), ..leeching() };
    let mut candidates: Vec<Candidate> = (0..6).map(|slot| candidate(slot, 1000)).collect();
    candidates[2] = Candidate { rate: 1 << 20, unchoked_since: Some(at(900)), taken: 100 << 20, ..candidates[2] };
    let decision = chosen(&candidates, &seeding);
    assert!(!decision.unchoked.contains(&2) || decision.optimistic == Some(2));
}

/// In which order each algorithm gives places by merit to peers of (rate, claimed, given, seconds of waiting).
#[test]
fn each_way_of_seeding_gives_to_those_whom_it_is_for() {
    // Has taken much for long; takes a little more slowly; has waited longest; has half; pretends to have nothing; is nearly done.
    let table =
        [(4000, 300, 300, 0), (3900, 300, 300, 0), (0, 300, 300, 900), (0, 500, 0, 10), (0, 0, 500, 10), (0, 960, 0, 10), (0, 30, 0, 10)];
    let candidates: Vec<Candidate> = (0..)
        .zip(table)
        .map(|(slot, (rate, claimed, given, waited))| Candidate {
            claimed,
            given,
            waiting_since: at(1000 - waited),
            ..candidate(slot, rate)
        })
        .map(|one| if one.slot == 0 { Candidate { unchoked_since: Some(at(900)), taken: 100 << 20, ..one } } else { one })
        .collect();
    for (algorithm, expected) in [
        (SeedChoking::RoundRobin, [1, 2, 3, 4, 5, 6, 0]),
        (SeedChoking::FastestUpload, [0, 1, 2, 3, 4, 5, 6]),
        (SeedChoking::AntiLeech, [6, 5, 2, 0, 1, 3, 4]),
    ] {
        for seed in 0..20 {
            let mut served = Vec::new();
            for slots in 1..=expected.len() {
                let round = Round { slots, seeding: Some(algorithm), ..leeching() };
                let decision = choose(&candidates, &round, &mut Dice::counter(seed, 0));
                let by_merit = decision.unchoked.into_iter().filter(|&slot| Some(slot) != decision.optimistic);
                let next: Vec<Slot> = by_merit.filter(|slot| !served.contains(slot)).collect();
                served.extend(next);
            }
            // Who has the same claim and has waited as long is served in any order.
            let claim = |slot: &Slot| match (algorithm, slot) {
                (SeedChoking::AntiLeech, 0 | 1) => 100,
                (SeedChoking::AntiLeech, 3 | 4) => 101,
                (SeedChoking::RoundRobin | SeedChoking::FastestUpload, 3..=6) => 102,
                (_, &slot) => slot,
            };
            assert_eq!(served.iter().map(claim).collect::<Vec<_>>(), expected.iter().map(claim).collect::<Vec<_>>(), "{algorithm:?}");
        }
    }
}

#[test]
fn nobody_is_unchoked_where_nobody_wants_anything() {
    let candidates: Vec<Candidate> = (0..6).map(|slot| Candidate { interested: false, ..candidate(slot, 0) }).collect();
    assert_eq!(choose(&candidates, &leeching(), &mut Dice::counter(1, 1)), Decision::default());
}
