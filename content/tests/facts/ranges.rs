use std::collections::BTreeSet;
use std::ops::Range;

use hexad_content::Ranges;
use proptest::prelude::*;

/// Spans are sorted, not empty, and neither overlap nor touch.
fn assert_tidy(ranges: &Ranges) {
    let spans: Vec<Range<u64>> = ranges.iter().collect();
    assert!(spans.iter().all(|span| span.start < span.end), "{spans:?}");
    assert!(spans.windows(2).all(|pair| pair[0].end < pair[1].start), "{spans:?}");
    assert_eq!(spans.len(), ranges.span_count());
}

fn positions(ranges: &Ranges) -> BTreeSet<u64> {
    ranges.iter().flatten().collect()
}

fn spans() -> impl Strategy<Value = Range<u64>> {
    (0_u64..60, 0_u64..60).prop_map(|(start, end)| start..end)
}

#[test]
fn touching_ranges_become_one() {
    let ranges: Ranges = [0..5, 10..15, 5..10].into_iter().collect();
    assert_eq!(ranges, Ranges::of(0..15));
    assert_eq!((ranges.total(), ranges.span_count()), (15, 1));
}

#[test]
fn removing_from_the_middle_leaves_both_ends() {
    let mut ranges = Ranges::of(0..10);
    ranges.remove(3..7);
    assert_eq!(ranges.iter().collect::<Vec<_>>(), [0..3, 7..10]);
}

#[test]
fn ranges_reach_to_the_last_position() {
    let mut ranges = Ranges::of(0..u64::MAX);
    ranges.remove(5..6);
    assert_eq!(ranges.gaps(0..u64::MAX), Ranges::of(5..6));
    assert_eq!(ranges.total(), u64::MAX - 1);
}

proptest! {
    #[test]
    fn a_set_of_ranges_holds_what_a_set_of_positions_holds(
        steps in prop::collection::vec((any::<bool>(), spans()), 0..40),
        other in prop::collection::vec(spans(), 0..8),
        window in spans(),
        position in 0_u64..62,
    ) {
        let mut ranges = Ranges::new();
        let mut model = BTreeSet::new();
        for (add, span) in steps {
            if add {
                ranges.insert(span.clone());
                model.extend(span);
            } else {
                ranges.remove(span.clone());
                model.retain(|position| !span.contains(position));
            }
            assert_tidy(&ranges);
            prop_assert_eq!(positions(&ranges), model.clone());
        }
        let inside = |position: &u64| window.contains(position);
        prop_assert_eq!(ranges.is_empty(), model.is_empty());
        prop_assert_eq!(ranges.total(), model.len() as u64);
        prop_assert_eq!(ranges.contains(position), model.contains(&position));
        prop_assert_eq!(ranges.covers(window.clone()), window.clone().all(|position| model.contains(&position)));

        let within = ranges.within(window.clone());
        assert_tidy(&within);
        prop_assert_eq!(positions(&within), model.iter().copied().filter(inside).collect::<BTreeSet<_>>());

        let gaps = ranges.gaps(window.clone());
        assert_tidy(&gaps);
        prop_assert_eq!(positions(&gaps), window.filter(|position| !model.contains(position)).collect::<BTreeSet<_>>());

        let other: Ranges = other.into_iter().collect();
        let mut union = ranges.clone();
        union.insert_all(&other);
        assert_tidy(&union);
        prop_assert_eq!(positions(&union), model.union(&positions(&other)).copied().collect::<BTreeSet<_>>());

        let both = ranges.both(&other);
        assert_tidy(&both);
        prop_assert_eq!(positions(&both), model.intersection(&positions(&other)).copied().collect::<BTreeSet<_>>());

        let mut rest = ranges.clone();
        rest.remove_all(&other);
        assert_tidy(&rest);
        prop_assert_eq!(positions(&rest), model.difference(&positions(&other)).copied().collect::<BTreeSet<_>>());
    }
}
