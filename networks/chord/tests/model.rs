//! Every order of events in small rings, by stateright, over the shipping state machine (chord.md 11 and 12).

use hexad_chord::Rules;
use hexad_chord::model::{Action, Broken, World, search};
use stateright::{Checker, Model, Property};

struct Maintenance {
    start: World,
}

impl Model for Maintenance {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.start.clone()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(world.actions());
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.apply(&action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("R1 to R4", |_, world: &World| world.broken_shape().is_none()),
            Property::always("repairable", |_, world: &World| world.is_repairable()),
        ]
    }
}

/// Checks all worlds that a ring of `members` may come to; returns how many there are.
fn check(rules: Rules, r: usize, members: &[u32], outside: &[u32], fails: u8, worlds_max: usize) -> (usize, Vec<&'static str>) {
    let model = Maintenance { start: World::new(rules, r, members, outside, fails) };
    let checker = model.checker().threads(2).target_state_count(worlds_max).spawn_bfs().join();
    (checker.unique_state_count(), checker.discoveries().into_keys().collect())
}

#[test]
fn a_ring_of_three_survives_any_order_of_a_join_and_a_failure() {
    let (worlds, broken) = check(Rules::Corrected, 2, &[8, 24, 40], &[32], 1, 2_000_000);
    println!("{worlds} worlds");
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn a_ring_of_three_survives_two_joins_at_the_same_time_in_one_gap() {
    let (worlds, broken) = check(Rules::Corrected, 2, &[8, 24, 40], &[28, 32], 0, 300_000);
    println!("{worlds} worlds");
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn a_ring_of_four_survives_two_failures() {
    let (worlds, broken) = check(Rules::Corrected, 2, &[8, 24, 40, 56], &[], 2, 300_000);
    println!("{worlds} worlds");
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn the_published_rule_leads_to_a_ring_that_does_not_become_right() {
    let start = World::new(Rules::Published, 2, &[8, 24, 40], &[32], 1);
    let searched = search(&start, 300_000, true);
    let (broken, steps) = searched.broken.expect("a counter-example");
    println!("{} worlds, {broken:?} after {steps:?}", searched.worlds);
}

#[test]
fn a_newcomer_with_one_successor_is_lost_with_it() {
    let start = World::new(Rules::OneSuccessor, 2, &[8, 24, 40, 56], &[32], 1);
    let searched = search(&start, 300_000, false);
    let (broken, steps) = searched.broken.expect("a counter-example");
    println!("{} worlds, {broken:?} after {steps:?}", searched.worlds);
    assert_eq!(broken, Broken::Alone);
}
