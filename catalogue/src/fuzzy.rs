//! Words that are nearly the same: candidates share three letters in a row, and an edit distance decides.

use std::collections::BTreeMap;

use crate::dictionary::{Dictionary, WordId};
use crate::postings::Postings;

/// Words that are looked at for one three-letter run; more are left out.
const RUN_WORDS_MAX: usize = 2048;
/// Candidates whose distance is computed.
const CANDIDATES_MAX: usize = 4096;
/// Shorter words have too many neighbours to be useful.
const FUZZY_BYTES_MIN: usize = 4;

/// Which words contain three bytes in a row; a word begins and ends with a zero.
#[derive(Debug, Default)]
pub(crate) struct Trigrams {
    words: BTreeMap<[u8; 3], Postings>,
}

impl Trigrams {
    pub(crate) fn add(&mut self, text: &str, id: WordId) {
        for run in runs(text) {
            self.words.entry(run).or_default().insert(id);
        }
    }

    pub(crate) fn remove(&mut self, text: &str, id: WordId) {
        for run in runs(text) {
            if let Some(postings) = self.words.get_mut(&run) {
                postings.remove(id);
                if postings.len() == 0 {
                    self.words.remove(&run);
                }
            }
        }
    }
}

fn runs(text: &str) -> impl Iterator<Item = [u8; 3]> {
    let bytes = text.as_bytes();
    let at = |place: usize| if place == 0 { 0 } else { bytes.get(place - 1).copied().unwrap_or(0) };
    let count = if bytes.len() < FUZZY_BYTES_MIN { 0 } else { bytes.len() };
    (0..count).map(move |place| [at(place), at(place + 1), at(place + 2)])
}

/// The words within one typing error of `text` (two from eight letters on), nearest first, at most `wanted` of them. Bounded work.
pub(crate) fn near(dictionary: &Dictionary, text: &str, wanted: usize) -> Vec<WordId> {
    let allowed = if text.chars().count() >= 8 { 2 } else { 1 };
    let trigrams = dictionary.trigrams();
    let mut lists: Vec<&Postings> = runs(text).filter_map(|run| trigrams.words.get(&run)).collect();
    // What few words have tells more.
    lists.sort_by_key(|list| list.len());
    let mut candidates = Vec::new();
    for list in lists {
        let mut left = RUN_WORDS_MAX.min((CANDIDATES_MAX * 2).saturating_sub(candidates.len()));
        list.each(0, None, |id| {
            candidates.push(id);
            left = left.saturating_sub(1);
            left > 0
        });
    }
    candidates.sort_unstable();
    candidates.dedup();
    candidates.truncate(CANDIDATES_MAX);
    let mut near: Vec<(usize, WordId)> =
        candidates.into_iter().filter_map(|id| distance(dictionary.text(id), text, allowed).map(|distance| (distance, id))).collect();
    near.sort_unstable();
    near.truncate(wanted);
    near.into_iter().map(|(_, id)| id).collect()
}

/// How many letters must be put in, left out, changed or swapped with their neighbour to make `a` into `b`; `None` beyond `allowed`.
fn distance(a: &str, b: &str, allowed: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > allowed * 4 {
        return None;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > allowed {
        return None;
    }
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        if row.iter().min().is_some_and(|&least| least > allowed) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|&distance| distance <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: &[&str]) {
        let mut dictionary = Dictionary::new(3);
        for (number, word) in ["kettle", "kettles", "settle", "mortar", "metallica", "the", "then", "björk"].into_iter().enumerate() {
            dictionary.add(word, u32::try_from(number).unwrap());
        }
        let found: Vec<&str> = near(&dictionary, written, 8).into_iter().map(|id| dictionary.text(id)).collect();
        assert_eq!(found, expected, "near {written}");
    }

    #[test]
    fn one_typing_error_is_forgiven() {
        check("ketle", &["kettle"]);
        check("kettel", &["kettle"]);
        check("bjork", &["björk"]);
        check("kettle", &["kettle", "kettles", "settle"]);
    }

    #[test]
    fn two_are_forgiven_in_long_words_only() {
        check("metalica", &["metallica"]);
        check("matalica", &["metallica"]);
        check("morxxr", &[]);
    }

    #[test]
    fn very_short_words_are_taken_by_the_letter() {
        check("thx", &[]);
    }
}
