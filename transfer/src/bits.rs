//! A fixed number of yes-or-no answers, 64 to a word.

/// A set of indices below a length given at the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    length: u32,
}

impl Bits {
    /// The empty set of indices below `length`.
    pub(crate) fn new(length: u32) -> Self {
        Self { words: vec![0; length.div_ceil(64) as usize], length }
    }

    /// Whether `index` is in the set; false beyond the length.
    pub(crate) fn contains(&self, index: u32) -> bool {
        self.words.get(index as usize / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Puts `index` in, when it is below the length.
    pub(crate) fn insert(&mut self, index: u32) {
        if index < self.length {
            self.words[index as usize / 64] |= 1 << (index % 64);
        }
    }

    /// All indices below the length.
    pub(crate) fn indices(&self) -> std::ops::Range<u32> {
        0..self.length
    }
}
