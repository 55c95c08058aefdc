//! A map of numbers that is mostly empty or has one entry: no larger than what is in it, which a tree of nodes for eleven would be.

/// A map from numbers, sorted by them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slots<V>(Vec<(u32, V)>);

impl<V> Default for Slots<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Slots<V> {
    fn find(&self, number: u32) -> Result<usize, usize> {
        match &self.0[..] {
            [] => Err(0),
            [(only, _)] if *only == number => Ok(0),
            all => all.binary_search_by_key(&number, |(other, _)| *other),
        }
    }

    /// Puts something under a number, in place of what was there.
    pub fn insert(&mut self, number: u32, value: V) {
        match self.find(number) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(self.0.len().max(1));
                }
                self.0.insert(at, (number, value));
            }
        }
    }

    /// Takes out what is under a number.
    pub fn remove(&mut self, number: &u32) -> Option<V> {
        self.find(*number).ok().map(|at| self.0.remove(at).1)
    }

    /// What is under a number.
    pub fn get(&self, number: &u32) -> Option<&V> {
        self.find(*number).ok().map(|at| &self.0[at].1)
    }

    /// What is under a number, to be changed.
    pub fn get_mut(&mut self, number: &u32) -> Option<&mut V> {
        self.find(*number).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether something is under a number.
    pub fn contains_key(&self, number: &u32) -> bool {
        self.find(*number).is_ok()
    }

    /// Everything, in the order of numbers.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// Keeps only what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&u32, &mut V) -> bool) {
        self.0.retain_mut(|(number, value)| keep(number, value));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }
}
