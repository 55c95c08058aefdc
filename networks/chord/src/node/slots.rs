//! A map of numbers that mostly is empty or has one entry, which then is where the map is: an answer that comes in finds what it is about
//! without following pointers.

/// A map from numbers, sorted by them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Slots<V> {
    /// At most one.
    One(Option<(u32, V)>),
    /// Several, or what is left of them.
    Many(Vec<(u32, V)>),
}

impl<V> Default for Slots<V> {
    fn default() -> Self {
        Self::One(None)
    }
}

impl<V> Slots<V> {
    fn all(&self) -> &[(u32, V)] {
        match self {
            Self::One(one) => one.as_slice(),
            Self::Many(all) => all,
        }
    }

    /// Reads it, see `hexad_core::Node::warm`.
    pub fn warm(&self) -> usize {
        match self {
            Self::One(one) => one.as_ref().map_or(0, |(number, _)| *number as usize),
            Self::Many(all) => all.len(),
        }
    }

    fn find(all: &[(u32, V)], number: u32) -> Result<usize, usize> {
        all.binary_search_by_key(&number, |(other, _)| *other)
    }

    /// Puts something under a number, in place of what was there.
    pub fn insert(&mut self, number: u32, value: V) {
        match self {
            Self::One(one) if one.as_ref().is_none_or(|(other, _)| *other == number) => *one = Some((number, value)),
            Self::One(one) => {
                let mut all: Vec<(u32, V)> = one.take().into_iter().chain([(number, value)]).collect();
                all.sort_unstable_by_key(|(number, _)| *number);
                *self = Self::Many(all);
            }
            Self::Many(all) => match Self::find(all, number) {
                Ok(at) => all[at].1 = value,
                Err(at) => all.insert(at, (number, value)),
            },
        }
    }

    /// Takes out what is under a number.
    pub fn remove(&mut self, number: &u32) -> Option<V> {
        match self {
            Self::One(one) => one.take_if(|(other, _)| other == number).map(|(_, value)| value),
            Self::Many(all) => {
                let taken = Self::find(all, *number).ok().map(|at| all.remove(at).1);
                if all.is_empty() {
                    *self = Self::One(None);
                }
                taken
            }
        }
    }

    /// What is under a number.
    pub fn get(&self, number: &u32) -> Option<&V> {
        let all = self.all();
        Self::find(all, *number).ok().map(|at| &all[at].1)
    }

    /// What is under a number, to be changed.
    pub fn get_mut(&mut self, number: &u32) -> Option<&mut V> {
        match self {
            Self::One(one) => one.as_mut().filter(|(other, _)| other == number).map(|(_, value)| value),
            Self::Many(all) => Self::find(all, *number).ok().map(|at| &mut all[at].1),
        }
    }

    /// Whether something is under a number.
    pub fn contains_key(&self, number: &u32) -> bool {
        self.get(number).is_some()
    }

    /// Everything, in the order of numbers.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.all().iter().map(|(_, value)| value)
    }

    /// Everything with its number, in the order of numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        self.all().iter().map(|(number, value)| (*number, value))
    }

    /// Keeps only what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&u32, &mut V) -> bool) {
        match self {
            Self::One(one) => {
                if one.as_mut().is_some_and(|(number, value)| !keep(number, value)) {
                    *one = None;
                }
            }
            Self::Many(all) => all.retain_mut(|(number, value)| keep(number, value)),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        *self = Self::One(None);
    }
}

#[cfg(test)]
mod tests {
    use hexad_core::{Dice, Map};

    use super::Slots;

    #[test]
    fn it_is_the_map_that_it_stands_for() {
        let (mut slots, mut map, mut dice) = (Slots::default(), Map::new(), Dice::counter(1, 2));
        for step in 0..5000_u64 {
            let number = u32::try_from(dice.below(6)).expect("a small number");
            match dice.below(4) {
                0 | 1 => {
                    slots.insert(number, step);
                    map.insert(number, step);
                }
                2 => assert_eq!(slots.remove(&number), map.remove(&number)),
                _ => {
                    slots.retain(|other, _| *other != number);
                    map.retain(|other, _| *other != number);
                }
            }
            assert_eq!(slots.get(&number), map.get(&number));
            assert_eq!(slots.get_mut(&number), map.get_mut(&number));
            assert_eq!((slots.len(), slots.is_empty()), (map.len(), map.is_empty()));
            assert!(slots.values().eq(map.values()));
        }
    }
}
