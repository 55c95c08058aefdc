//! A set of byte positions, kept as sorted, disjoint, non-touching ranges.
//!
//! Used wherever "which bytes" is the question: what is verified, what is missing, what a source was lent.

use std::ops::Range;

/// A set of `u64` positions, stored as sorted half-open ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    spans: Vec<Range<u64>>,
}

impl Ranges {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { spans: Vec::new() }
    }

    /// The set of all positions of `range`.
    #[must_use]
    pub fn of(range: Range<u64>) -> Self {
        let mut all = Self::new();
        all.insert(range);
        all
    }

    /// Whether no position is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many positions are in the set.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.spans.iter().map(|span| span.end - span.start).sum()
    }

    /// How many separate spans the set has; what memory it takes follows from this.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.spans.len()
    }

    /// The spans in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.spans.iter().cloned()
    }

    /// Adds all positions of `range`; an empty range changes nothing.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let first = self.spans.partition_point(|span| span.end < range.start);
        let after = self.spans.partition_point(|span| span.start <= range.end);
        if first == after {
            self.spans.insert(first, range);
            return;
        }
        let start = self.spans[first].start.min(range.start);
        let end = self.spans[after - 1].end.max(range.end);
        self.spans.splice(first..after, std::iter::once(start..end));
    }

    /// Takes all positions of `range` out; an empty range changes nothing.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let first = self.spans.partition_point(|span| span.end <= range.start);
        let after = self.spans.partition_point(|span| span.start < range.end);
        if first >= after {
            return;
        }
        let head = self.spans[first].start..range.start;
        let tail = range.end..self.spans[after - 1].end;
        let kept = [head, tail].into_iter().filter(|span| span.start < span.end);
        self.spans.splice(first..after, kept);
    }

    /// Adds every position of `other`.
    pub fn insert_all(&mut self, other: &Self) {
        for span in &other.spans {
            self.insert(span.clone());
        }
    }

    /// Takes every position of `other` out.
    pub fn remove_all(&mut self, other: &Self) {
        for span in &other.spans {
            self.remove(span.clone());
        }
    }

    /// Whether `position` is in the set.
    #[must_use]
    pub fn contains(&self, position: u64) -> bool {
        let index = self.spans.partition_point(|span| span.end <= position);
        self.spans.get(index).is_some_and(|span| span.start <= position)
    }

    /// Whether every position of `range` is in the set; true for an empty range.
    #[must_use]
    pub fn covers(&self, range: Range<u64>) -> bool {
        if range.start >= range.end {
            return true;
        }
        let index = self.spans.partition_point(|span| span.end <= range.start);
        self.spans.get(index).is_some_and(|span| span.start <= range.start && span.end >= range.end)
    }

    /// The part of the set that lies in `range`.
    #[must_use]
    pub fn within(&self, range: Range<u64>) -> Self {
        let first = self.spans.partition_point(|span| span.end <= range.start);
        let spans = self.spans[first..]
            .iter()
            .take_while(|span| span.start < range.end)
            .map(|span| span.start.max(range.start)..span.end.min(range.end))
            .filter(|span| span.start < span.end)
            .collect();
        Self { spans }
    }

    /// The positions that are in this set and in `other`.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        self.iter().flat_map(|span| other.within(span).spans).collect()
    }

    /// The positions of `range` that are not in the set.
    #[must_use]
    pub fn gaps(&self, range: Range<u64>) -> Self {
        let mut rest = Self::of(range.clone());
        rest.remove_all(&self.within(range));
        rest
    }
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut all = Self::new();
        for range in ranges {
            all.insert(range);
        }
        all
    }
}
