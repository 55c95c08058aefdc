//! Which numbers belong to a word: most words have one or a few, some have a million.

use roaring::RoaringBitmap;

/// Beyond this many a bitmap takes less room, and finds faster.
const FEW_MAX: usize = 48;

/// A set of numbers, as small as it can be.
#[derive(Clone, Debug, Default)]
pub(crate) enum Postings {
    #[default]
    None,
    One(u32),
    /// Sorted.
    Few(Vec<u32>),
    Many(Box<RoaringBitmap>),
}

impl Postings {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Few(few) => few.len() as u64,
            Self::Many(many) => many.len(),
        }
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        match self {
            Self::None => false,
            Self::One(only) => *only == number,
            Self::Few(few) => few.binary_search(&number).is_ok(),
            Self::Many(many) => many.contains(number),
        }
    }

    pub(crate) fn insert(&mut self, number: u32) {
        match self {
            Self::None => *self = Self::One(number),
            Self::One(only) if *only == number => {}
            Self::One(only) => *self = Self::Few(vec![(*only).min(number), (*only).max(number)]),
            Self::Few(few) => {
                let Err(place) = few.binary_search(&number) else { return };
                if few.len() == FEW_MAX {
                    let mut many: RoaringBitmap = few.iter().copied().collect();
                    many.insert(number);
                    *self = Self::Many(Box::new(many));
                    return;
                }
                if few.len() == few.capacity() {
                    few.reserve_exact((few.len() / 2).max(2));
                }
                few.insert(place, number);
            }
            Self::Many(many) => {
                many.insert(number);
            }
        }
    }

    pub(crate) fn remove(&mut self, number: u32) {
        match self {
            Self::None => {}
            Self::One(only) => {
                if *only == number {
                    *self = Self::None;
                }
            }
            Self::Few(few) => {
                if let Ok(place) = few.binary_search(&number) {
                    few.remove(place);
                }
                if let [only] = few[..] {
                    *self = Self::One(only);
                }
            }
            Self::Many(many) => {
                many.remove(number);
                // Half of the bound, so that a number that comes and goes does not rebuild the set each time.
                if many.len() <= FEW_MAX as u64 / 2 {
                    *self = Self::Few(many.iter().collect());
                }
            }
        }
    }

    /// Calls `take` with the numbers from `from` up to (not including) `until`, ascending, until it returns `false`; then returns `false` too.
    pub(crate) fn each(&self, from: u32, until: Option<u32>, mut take: impl FnMut(u32) -> bool) -> bool {
        let inside = |number: u32| number >= from && until.is_none_or(|until| number < until);
        match self {
            Self::None => true,
            Self::One(only) => !inside(*only) || take(*only),
            Self::Few(few) => few.iter().copied().filter(|&number| inside(number)).all(take),
            Self::Many(many) => each_of(many, from, until, take),
        }
    }
}

/// As [`Postings::each`], of a bitmap.
pub(crate) fn each_of(many: &RoaringBitmap, from: u32, until: Option<u32>, mut take: impl FnMut(u32) -> bool) -> bool {
    let mut numbers = many.iter();
    numbers.advance_to(from);
    for number in numbers {
        if until.is_some_and(|until| number >= until) {
            return true;
        }
        if !take(number) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn postings_hold_what_a_set_holds(steps in proptest::collection::vec((any::<bool>(), 0_u32..200), 0..600)) {
            let (mut postings, mut set) = (Postings::default(), std::collections::BTreeSet::new());
            for (adds, number) in steps {
                if adds {
                    postings.insert(number);
                    set.insert(number);
                } else {
                    postings.remove(number);
                    set.remove(&number);
                }
                prop_assert_eq!(postings.len(), set.len() as u64);
                prop_assert_eq!(postings.contains(number), adds);
            }
            let mut all = Vec::new();
            postings.each(50, Some(150), |number| { all.push(number); true });
            prop_assert_eq!(all, set.range(50..150).copied().collect::<Vec<_>>());
        }
    }
}
