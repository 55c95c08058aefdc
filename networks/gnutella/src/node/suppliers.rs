//! One source of a fetch: how it is reached, what it was asked for, and what it gives.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::ops::Range;

use hexad_content::Ranges;
use hexad_core::{ConnId, Endpoint, Map, Set, Time};

use crate::wire::Guid;

/// How we stand with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Not connected; not to be tried before then.
    Idle(Time),
    /// Dialled, or open.
    Conn(ConnId),
    /// Told to connect; it has to until then.
    Pushed(Time),
}

/// What a source was asked for, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The description of the share.
    Shape,
    /// The Tiger tree of the file.
    Tree,
    /// Only how large it is.
    Head,
    /// Bytes.
    Bytes(Range<u64>),
}

/// What is coming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    /// A description, and how long it is.
    Shape(Vec<u8>, u64),
    /// A Tiger tree, and how long it is.
    Tree(Vec<u8>, u64),
    /// Bytes, from there to there.
    Bytes(Range<u64>),
    /// So many bytes of no use.
    Nothing(u64),
}

/// One source.
#[derive(Debug)]
pub(crate) struct Supplier {
    pub(crate) at: Option<Endpoint>,
    pub(crate) servent: Option<Guid>,
    pub(crate) index: u32,
    pub(crate) proxies: Vec<SocketAddrV4>,
    /// It cannot be dialled.
    pub(crate) push: bool,
    /// A program like ours: it describes the share.
    pub(crate) ours: bool,
    /// What it is asked for.
    pub(crate) target: String,
    pub(crate) way: Way,
    pub(crate) open: bool,
    pub(crate) described: bool,
    /// It was asked for the Tiger tree, once.
    pub(crate) tree_asked: bool,
    /// Where it has the tree, by its own account.
    pub(crate) tree_at: Option<String>,
    pub(crate) asked: VecDeque<Question>,
    pub(crate) coming: Option<Coming>,
    /// What it is to give and was not asked for yet.
    pub(crate) assigned: Ranges,
    /// What it has, where that is not everything.
    pub(crate) available: Option<Ranges>,
    pub(crate) failures: u8,
    pub(crate) heard: Time,
    pub(crate) rests_until: Time,
}

impl Supplier {
    /// Everything that it was to give: to be given to others.
    pub(crate) fn give_back(&mut self) -> Ranges {
        let back = self.owed();
        self.assigned = Ranges::new();
        self.asked.clear();
        self.coming = None;
        back
    }

    /// Everything that it is to give.
    pub(crate) fn owed(&self) -> Ranges {
        let mut owed = self.assigned.clone();
        for question in &self.asked {
            if let Question::Bytes(range) = question {
                owed.insert(range.clone());
            }
        }
        if let Some(Coming::Bytes(range)) = &self.coming {
            owed.insert(range.clone());
        }
        owed
    }

    /// Whether it may still give the tree that others could not.
    pub(crate) fn may_give_tree(&self) -> bool {
        let coming = self.asked.contains(&Question::Tree) || matches!(self.coming, Some(Coming::Tree(..)));
        coming || !self.tree_asked && !matches!(self.way, Way::Idle(_))
    }

    /// Whether something is awaited of it.
    pub(crate) fn is_busy(&self) -> bool {
        !self.asked.is_empty() || self.coming.is_some()
    }
}

/// Who has given what, until it is judged.
#[derive(Debug, Default)]
pub(crate) struct Given(Map<u64, (u64, u32)>);

/// Entries are not joined across multiples of this.
const GRAIN: u64 = 256 << 10;

impl Given {
    pub(crate) fn add(&mut self, range: Range<u64>, supplier: u32) {
        if !range.start.is_multiple_of(GRAIN)
            && let Some((_, (end, by))) = self.0.range_mut(..range.start).next_back()
            && *end == range.start
            && *by == supplier
        {
            *end = range.end;
            return;
        }
        self.0.insert(range.start, (range.end, supplier));
    }

    /// Takes a range out; returns who has given something of it.
    pub(crate) fn take(&mut self, range: &Range<u64>) -> Set<u32> {
        let mut givers = Set::new();
        let first = self.0.range(..range.start).next_back().filter(|(_, (end, _))| *end > range.start).map(|(&start, _)| start);
        let starts: Vec<u64> = first.into_iter().chain(self.0.range(range.clone()).map(|(&start, _)| start)).collect();
        for start in starts {
            let Some((end, by)) = self.0.remove(&start) else { continue };
            givers.insert(by);
            if start < range.start {
                self.0.insert(start, (range.start, by));
            }
            if end > range.end {
                self.0.insert(range.end, (end, by));
            }
        }
        givers
    }

    /// All that waits to be judged.
    pub(crate) fn ranges(&self) -> Ranges {
        let mut all = Ranges::new();
        self.0.iter().for_each(|(&start, &(end, _))| all.insert(start..end));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_given_a_part_is_known() {
        let mut given = Given::default();
        given.add(0..10, 1);
        given.add(10..20, 1);
        given.add(20..30, 2);
        assert_eq!(given.ranges(), Ranges::of(0..30));
        assert_eq!(given.take(&(5..15)), Set::from([1]));
        assert_eq!(given.take(&(15..25)), Set::from([1, 2]));
        assert_eq!(given.take(&(5..25)), Set::new());
        assert_eq!(given.ranges().total(), 10);
    }
}
