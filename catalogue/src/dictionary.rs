//! All words, each once, with what they lead to.
//!
//! An open table of word numbers over a keyed hash: peers choose the words, so they must not be able to choose where they fall.

use crate::fuzzy::Trigrams;
use crate::postings::Postings;

/// Number of a word.
pub(crate) type WordId = u32;

#[derive(Debug, Default)]
struct Word {
    text: Box<str>,
    postings: Postings,
}

/// All words that some file has.
#[derive(Debug)]
pub(crate) struct Dictionary {
    seed: u64,
    /// A word's number plus 1; 0 is empty. The length is a power of two, and at most three quarters are taken.
    table: Vec<u32>,
    words: Vec<Word>,
    free: Vec<WordId>,
    trigrams: Trigrams,
}

impl Dictionary {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, table: vec![0; 64], words: Vec::new(), free: Vec::new(), trigrams: Trigrams::default() }
    }

    /// How many words there are.
    pub(crate) fn len(&self) -> usize {
        self.words.len() - self.free.len()
    }

    pub(crate) fn find(&self, text: &str) -> Option<WordId> {
        let mut place = self.home(text);
        loop {
            let id = self.table[place].checked_sub(1)?;
            if *self.words[id as usize].text == *text {
                return Some(id);
            }
            place = self.next(place);
        }
    }

    pub(crate) fn postings(&self, id: WordId) -> &Postings {
        &self.words[id as usize].postings
    }

    pub(crate) fn text(&self, id: WordId) -> &str {
        &self.words[id as usize].text
    }

    pub(crate) fn trigrams(&self) -> &Trigrams {
        &self.trigrams
    }

    /// Adds `entry` to a word, which is made if there is none.
    pub(crate) fn add(&mut self, text: &str, entry: u32) {
        let id = self.find(text).unwrap_or_else(|| self.make(text));
        self.words[id as usize].postings.insert(entry);
    }

    /// Takes `entry` from a word; a word that leads nowhere goes.
    pub(crate) fn remove(&mut self, text: &str, entry: u32) {
        let Some(id) = self.find(text) else { return };
        let word = &mut self.words[id as usize];
        word.postings.remove(entry);
        if word.postings.len() > 0 {
            return;
        }
        self.unlink(id);
        self.trigrams.remove(text, id);
        self.words[id as usize] = Word::default();
        self.free.push(id);
    }

    fn make(&mut self, text: &str) -> WordId {
        if (self.len() + 1) * 4 > self.table.len() * 3 {
            self.grow();
        }
        let word = Word { text: text.into(), postings: Postings::default() };
        let id = match self.free.pop() {
            Some(id) => {
                self.words[id as usize] = word;
                id
            }
            None => {
                self.words.push(word);
                u32::try_from(self.words.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.link(id);
        self.trigrams.add(text, id);
        id
    }

    fn link(&mut self, id: WordId) {
        let mut place = self.home(&self.words[id as usize].text);
        while self.table[place] != 0 {
            place = self.next(place);
        }
        self.table[place] = id + 1;
    }

    /// Takes a word out of the table and moves up what was pushed away by it, so that no search ends too early.
    fn unlink(&mut self, id: WordId) {
        let mut hole = self.home(&self.words[id as usize].text);
        while self.table[hole] != id + 1 {
            if self.table[hole] == 0 {
                return;
            }
            hole = self.next(hole);
        }
        let mask = self.table.len() - 1;
        let mut place = self.next(hole);
        while let Some(other) = self.table[place].checked_sub(1) {
            let home = self.home(&self.words[other as usize].text);
            // The other may stand in the hole when its home does not lie between the hole and where it stands.
            if (place.wrapping_sub(home) & mask) >= (place.wrapping_sub(hole) & mask) {
                self.table[hole] = other + 1;
                hole = place;
            }
            place = self.next(place);
        }
        self.table[hole] = 0;
    }

    fn grow(&mut self) {
        let ids: Vec<u32> = self.table.iter().copied().filter(|&word| word != 0).collect();
        self.table = vec![0; self.table.len() * 2];
        for word in ids {
            self.link(word - 1);
        }
    }

    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.table.len() - 1)
    }

    fn home(&self, text: &str) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the table's mask cuts it anyway")]
        let hash = hash(self.seed, text.as_bytes()) as usize;
        hash & (self.table.len() - 1)
    }
}

/// A keyed hash: eight bytes at a time, folded 128-bit products.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let halves = (product as u64) ^ ((product >> 64) as u64);
        halves
    };
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15 ^ (bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = fold(state ^ u64::from_le_bytes(word), seed | 0x2545_f491_4f6c_dd1d);
    }
    fold(state ^ 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_come_and_go_and_the_rest_stays(steps in proptest::collection::vec((any::<bool>(), 0_u32..120), 0..500)) {
            let mut dictionary = Dictionary::new(7);
            let mut there = std::collections::BTreeSet::new();
            for (adds, number) in steps {
                let text = format!("word{}", number / 2);
                if adds {
                    dictionary.add(&text, number);
                    there.insert(number);
                } else {
                    dictionary.remove(&text, number);
                    there.remove(&number);
                }
                for number in 0..120 {
                    let found = dictionary.find(&format!("word{}", number / 2)).is_some_and(|id| dictionary.postings(id).contains(number));
                    prop_assert_eq!(found, there.contains(&number));
                }
            }
            let words: std::collections::BTreeSet<u32> = there.iter().map(|number| number / 2).collect();
            prop_assert_eq!(dictionary.len(), words.len());
        }
    }
}
