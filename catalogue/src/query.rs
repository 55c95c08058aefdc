//! What is asked for, and how it is found.

use std::ops::RangeInclusive;

use roaring::RoaringBitmap;

use crate::catalogue::{Catalogue, OwnerId};
use crate::dictionary::WordId;
use crate::fuzzy;
use crate::postings::{Postings, each_of};
use crate::record::{File, Kind};

/// Words that one search looks up; more are not looked at.
const WORDS_MAX: usize = 16;
/// Similar words that stand in for one word.
const SIMILAR_MAX: usize = 8;
/// Numbers of the rarest word that are tried one by one, at most, before whole sets are intersected.
const PROBES_MAX: u64 = 1024;

/// What a file must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Bytes.
    pub size_bytes: RangeInclusive<u64>,
    /// Kilobits a second.
    pub bitrate_kbps: RangeInclusive<u32>,
    /// Hertz.
    pub frequency_hz: RangeInclusive<u32>,
    /// How long it plays.
    pub seconds: RangeInclusive<u32>,
    /// One of these kinds; `None` is any.
    pub kind: Option<Kind>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { size_bytes: 0..=u64::MAX, bitrate_kbps: 0..=u32::MAX, frequency_hz: 0..=u32::MAX, seconds: 0..=u32::MAX, kind: None }
    }
}

impl Filter {
    /// Whether a file is like that.
    #[must_use]
    pub fn admits(&self, file: &File<'_>) -> bool {
        self.size_bytes.contains(&file.size_bytes)
            && self.bitrate_kbps.contains(&file.bitrate_kbps)
            && self.frequency_hz.contains(&file.frequency_hz)
            && self.seconds.contains(&file.seconds)
            && self.kind.is_none_or(|kind| kind == file.kind)
    }
}

/// A question to the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// All of these must occur, in any order. As [`crate::words_of`] makes them.
    pub words: Vec<String>,
    /// None of these may occur.
    pub without: Vec<String>,
    /// Words with a typing error count too.
    pub fuzzy: bool,
    /// What else must hold.
    pub filter: Filter,
    /// How many answers are enough.
    pub wanted: usize,
    /// Where among the files to begin: any number. Different ones spread the load over those who have what everybody asks for.
    pub start: u32,
}

/// How a search went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many files were taken.
    pub taken: usize,
    /// How many files had all words and were looked at.
    pub examined: u32,
    /// The bound on work has ended the search; there may be more.
    pub cut: bool,
}

/// One word's files.
enum Leg<'a> {
    Word(&'a Postings),
    Similar(RoaringBitmap),
}

impl Leg<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Word(postings) => postings.len(),
            Self::Similar(bitmap) => bitmap.len(),
        }
    }

    fn contains(&self, entry: u32) -> bool {
        match self {
            Self::Word(postings) => postings.contains(entry),
            Self::Similar(bitmap) => bitmap.contains(entry),
        }
    }

    fn bitmap(&self) -> Option<&RoaringBitmap> {
        match self {
            Self::Word(Postings::Many(bitmap)) => Some(bitmap),
            Self::Word(_) => None,
            Self::Similar(bitmap) => Some(bitmap),
        }
    }

    fn each(&self, from: u32, until: Option<u32>, take: impl FnMut(u32) -> bool) -> bool {
        match self {
            Self::Word(postings) => postings.each(from, until, take),
            Self::Similar(bitmap) => each_of(bitmap, from, until, take),
        }
    }
}

/// How many numbers of the rarest word are worth trying one by one: so many as bring what is wanted if words fall independently of each other,
/// and as many again; none when intersecting all of it is quicker.
fn probes_worth(rarest: u64, others: &[Leg<'_>], wanted: usize, entries: u32) -> u64 {
    let expected = others.iter().fold(wanted as u64, |tries, other| tries.saturating_mul(u64::from(entries)) / other.len().max(1));
    let probes = expected.saturating_mul(2);
    // One probe costs as much as intersecting eight numbers.
    if probes > PROBES_MAX || probes.saturating_mul(8) > rarest { 0 } else { probes }
}

/// Calls `walk` with the stretches of numbers from `from` around to just before `start`.
fn around(start: u32, from: u32, mut walk: impl FnMut(u32, Option<u32>) -> bool) {
    if from >= start {
        let _ = walk(from, None) && walk(0, Some(start));
    } else {
        walk(from, Some(start));
    }
}

impl Catalogue {
    /// Finds files. `take` says of each whether it counts as an answer; it is asked in a deterministic order, until enough are taken. Files of
    /// owners who are leaving are not among them.
    pub fn search(&self, query: &Query, mut take: impl FnMut(OwnerId, &File<'_>) -> bool) -> Outcome {
        let mut outcome = Outcome::default();
        let mut legs = Vec::with_capacity(query.words.len().min(WORDS_MAX));
        for word in query.words.iter().take(WORDS_MAX) {
            match self.leg(word, query.fuzzy) {
                Some(leg) => legs.push(leg),
                None => return outcome,
            }
        }
        legs.sort_by_key(Leg::len);
        let Some((rarest, others)) = legs.split_first() else { return outcome };
        let without: Vec<&Postings> =
            query.without.iter().take(WORDS_MAX).filter_map(|word| self.word(word)).map(|id| self.postings(id)).collect();
        let mut look = |entry: u32| {
            if without.iter().any(|postings| postings.contains(entry)) {
                return true;
            }
            let Some((owner, file)) = self.living(entry) else { return true };
            if outcome.examined >= self.config().examined_max {
                outcome.cut = true;
                return false;
            }
            outcome.examined += 1;
            if query.filter.admits(&file) && take(owner, &file) {
                outcome.taken += 1;
            }
            outcome.taken < query.wanted
        };
        if query.wanted == 0 {
            return outcome;
        }
        let start = if self.entry_count() == 0 { 0 } else { query.start % self.entry_count() };
        let sets: Option<Vec<&RoaringBitmap>> = others.iter().map(Leg::bitmap).collect();
        let (Some(first), Some(sets), false) = (rarest.bitmap(), sets, others.is_empty()) else {
            around(start, start, |from, until| {
                rarest.each(from, until, |entry| !others.iter().all(|other| other.contains(entry)) || look(entry))
            });
            return outcome;
        };
        // Words that many files have. When they meet often enough, what is asked for comes soon by trying one number after the other; if not, and
        // when that was wrong, whole sets are intersected at once.
        let (mut probes, probes_max) = (0, probes_worth(rarest.len(), others, query.wanted, self.entry_count()));
        let mut next = None;
        let mut enough = false;
        around(start, start, |from, until| {
            rarest.each(from, until, |entry| {
                if probes == probes_max {
                    next = Some(entry);
                    return false;
                }
                probes += 1;
                enough = others.iter().all(|other| other.contains(entry)) && !look(entry);
                !enough
            })
        });
        if let Some(next) = next.filter(|_| !enough) {
            let mut common = first & sets[0];
            for &set in &sets[1..] {
                common &= set;
            }
            around(start, next, |from, until| each_of(&common, from, until, &mut look));
        }
        outcome
    }

    fn leg(&self, word: &str, fuzzy: bool) -> Option<Leg<'_>> {
        if !fuzzy {
            return self.word(word).map(|id| Leg::Word(self.postings(id)));
        }
        let mut all = RoaringBitmap::new();
        let mut left = self.config().examined_max;
        let near: Vec<WordId> = fuzzy::near(self.dictionary(), word, SIMILAR_MAX);
        for id in self.word(word).into_iter().chain(near) {
            let postings = self.postings(id);
            if let Postings::Many(bitmap) = postings {
                all |= &**bitmap;
            } else {
                postings.each(0, None, |entry| {
                    all.insert(entry);
                    left = left.saturating_sub(1);
                    left > 0
                });
            }
        }
        (!all.is_empty()).then_some(Leg::Similar(all))
    }
}
