//! Who brings what of a download that several leases feed, so that nothing comes twice.
//!
//! Every range that is missing belongs to one lease, which asks for it in whatever order suits its network; the others are told that it is elsewhere. Who has
//! nothing left to ask for gets half of what the one with the longest way to go has not asked for yet, from its far end; where all is asked for, half of
//! what is under way at somebody (the endgame). Where an order is preferred, nobody owns more than the next few ranges of it.

use std::ops::Range;

use hexad_content::{Proof, Ranges};
use hexad_core::{LeaseId, Map, Set};

/// Whoever helps takes over at least so much of what is not under way.
const HELP_BYTES_MIN: u64 = 256 << 10;
/// So much is given away at a time where an order is preferred.
const ORDERED_BYTES: u64 = 256 << 10;
/// Nobody is sent further ahead of what is still missing in the preferred order: he brings that, though another was asked for it.
const AHEAD_BYTES_MAX: u64 = 16 << 20;

/// What one lease brings.
#[derive(Debug, Default)]
struct Field {
    /// Missing ranges that nobody else is to ask for.
    theirs: Ranges,
    /// Those of them that it has asked for.
    claimed: Ranges,
}

/// All leases of one download. Without fields while it is not divided.
#[derive(Debug, Default)]
pub(crate) struct Division {
    fields: Map<LeaseId, Field>,
    /// Missing ranges that nobody is to bring yet; only where an order is preferred.
    free: Ranges,
    /// What has come as a whole and has no verdict.
    arrived: Ranges,
    /// What comes before what follows, of each the front first; covers everything, or is empty.
    order: Vec<Ranges>,
}

impl Division {
    /// Whether leases are told of each other.
    pub(crate) fn is_divided(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Whether this many leases have to be told of each other.
    pub(crate) fn is_wanted(&self, leases: usize) -> bool {
        leases > 1 || !self.order.is_empty()
    }

    /// What others than that lease bring.
    pub(crate) fn elsewhere(&self, lease: LeaseId) -> Ranges {
        if !self.is_divided() {
            return Ranges::new();
        }
        let mut ranges = self.free.clone();
        ranges.insert_all(&self.arrived);
        self.fields.iter().filter(|(other, _)| **other != lease).for_each(|(_, field)| ranges.insert_all(&field.theirs));
        ranges
    }

    /// Takes note of what is missing and of who there is. What nobody has goes to whoever has least; `fresh` has to ask for it.
    pub(crate) fn settle(&mut self, missing: &Ranges, arrived: Ranges, leases: &Set<LeaseId>, fresh: Option<LeaseId>) {
        self.fields.retain(|lease, _| leases.contains(lease));
        for &lease in leases {
            self.fields.entry(lease).or_default();
        }
        self.arrived = arrived;
        let mut orphans = missing.clone();
        orphans.remove_all(&self.arrived);
        self.free = self.free.both(&orphans);
        for field in self.fields.values_mut() {
            field.theirs = field.theirs.both(&orphans);
            field.claimed = field.claimed.both(&field.theirs);
        }
        orphans.remove_all(&self.free);
        self.fields.values().for_each(|field| orphans.remove_all(&field.theirs));
        if !self.order.is_empty() {
            self.free.insert_all(&orphans);
            return;
        }
        orphans.insert_all(&std::mem::take(&mut self.free));
        let heirs = self.fields.iter_mut().filter(|(lease, _)| Some(**lease) != fresh || leases.len() == 1);
        if let Some((_, heir)) = heirs.min_by_key(|(_, field)| field.theirs.total()) {
            heir.theirs.insert_all(&orphans);
        }
    }

    /// Another order is preferred, or none. What is under way stays with whoever has asked for it.
    pub(crate) fn prefer(&mut self, order: Vec<Ranges>) {
        self.order = order;
        if self.order.is_empty() {
            return;
        }
        for field in self.fields.values_mut() {
            let mut back = std::mem::take(&mut field.theirs);
            back.remove_all(&field.claimed);
            self.free.insert_all(&back);
            field.theirs = field.claimed.clone();
        }
    }

    /// Nobody is told of others any more.
    pub(crate) fn dissolve(&mut self) {
        self.fields.clear();
        self.free = Ranges::new();
        self.arrived = Ranges::new();
    }

    /// A part has come as a whole.
    pub(crate) fn arrived(&mut self, part: &Range<u64>) {
        if self.is_divided() {
            self.forget(part);
            self.arrived.insert(part.clone());
        }
    }

    /// A part is good.
    pub(crate) fn good(&mut self, part: &Range<u64>) {
        if self.is_divided() {
            self.forget(part);
            self.arrived.remove(part.clone());
        }
    }

    /// A part has to come again; from that lease, where it still is one.
    pub(crate) fn bad(&mut self, part: &Range<u64>, from: Option<LeaseId>) {
        self.good(part);
        if let Some(field) = from.and_then(|lease| self.fields.get_mut(&lease)) {
            field.theirs.insert(part.clone());
        }
    }

    fn forget(&mut self, part: &Range<u64>) {
        self.free.remove(part.clone());
        for field in self.fields.values_mut() {
            field.theirs.remove(part.clone());
            field.claimed.remove(part.clone());
        }
    }

    /// A lease has asked for these ranges. What others have not asked for is its own by that; returns who has to be told, where anything has
    /// changed hands.
    pub(crate) fn claim(&mut self, lease: LeaseId, ranges: &Ranges) -> Vec<LeaseId> {
        let mut taken = self.free.both(ranges);
        self.free.remove_all(ranges);
        let mut concerned = Vec::new();
        for (&other, field) in self.fields.iter_mut().filter(|(other, _)| **other != lease) {
            let mut lost = field.theirs.both(ranges);
            lost.remove_all(&field.claimed);
            if !lost.is_empty() {
                field.theirs.remove_all(&lost);
                taken.insert_all(&lost);
                concerned.push(other);
            }
        }
        if let Some(field) = self.fields.get_mut(&lease) {
            field.theirs.insert_all(&taken);
            field.claimed.insert_all(&field.theirs.both(ranges));
        }
        if !taken.is_empty() {
            concerned.push(lease);
        }
        concerned
    }

    /// Gives a lease something more to ask for; returns from whom it was taken. `None` where there is nothing.
    pub(crate) fn grant(&mut self, lease: LeaseId, proof: &Proof) -> Option<Option<LeaseId>> {
        if !self.fields.contains_key(&lease) {
            return None;
        }
        let (from, taken) = match self.next_in_order(lease, proof) {
            Some(next) => next,
            None => self.half_of_another(lease, proof)?,
        };
        match from.and_then(|from| self.fields.get_mut(&from)) {
            Some(loser) => {
                loser.theirs.remove_all(&taken);
                loser.claimed.remove_all(&taken);
            }
            None => self.free.remove_all(&taken),
        }
        self.fields.entry(lease).or_default().theirs.insert_all(&taken);
        Some(from)
    }

    /// What comes next in the preferred order.
    fn next_in_order(&self, lease: LeaseId, proof: &Proof) -> Option<(Option<LeaseId>, Ranges)> {
        for class in &self.order {
            let free = self.free.both(class);
            let Some(next) = free.iter().next() else { continue };
            let others = self.fields.iter().filter(|(other, _)| **other != lease);
            let heads = others.filter_map(|(other, field)| Some((field.theirs.both(class).iter().next()?, *other)));
            let head = heads.min_by_key(|(head, _)| head.start);
            if let Some((head, other)) = head.filter(|(head, _)| next.start > head.start.saturating_add(AHEAD_BYTES_MAX)) {
                let part = proof.part_range(proof.part_at(head.start));
                return Some((Some(other), Ranges::of(head.start..head.end.min(part.end.max(head.start + 1)))));
            }
            return Some((None, first(&free, ORDERED_BYTES, proof)));
        }
        None
    }

    /// Half of what the lease with the longest way to go has not asked for; of what is under way, where everything is.
    fn half_of_another(&self, lease: LeaseId, proof: &Proof) -> Option<(Option<LeaseId>, Ranges)> {
        let others = || self.fields.iter().filter(|(other, _)| **other != lease);
        let unasked = |field: &Field| {
            let mut ranges = field.theirs.clone();
            ranges.remove_all(&field.claimed);
            ranges
        };
        let most = |of: &dyn Fn(&Field) -> Ranges| {
            let all = others().map(|(other, field)| (*other, of(field)));
            all.filter(|(_, ranges)| !ranges.is_empty()).max_by_key(|(_, ranges)| ranges.total())
        };
        if let Some((other, ranges)) = most(&unasked) {
            let bytes = (ranges.total() / 2).max(HELP_BYTES_MIN);
            return Some((Some(other), last(&ranges, bytes, proof)));
        }
        let (other, ranges) = most(&|field| field.claimed.clone())?;
        Some((Some(other), last(&ranges, ranges.total() / 2, proof)))
    }
}

/// The first parts of a set, about so many bytes and at least one part.
fn first(of: &Ranges, bytes: u64, proof: &Proof) -> Ranges {
    let (mut taken, mut left) = (Ranges::new(), bytes);
    for span in of.iter() {
        let mut at = span.start;
        while at < span.end && (left > 0 || taken.is_empty()) {
            let end = proof.part_range(proof.part_at(at)).end.clamp(at + 1, span.end);
            taken.insert(at..end);
            left = left.saturating_sub(end - at);
            at = end;
        }
        if left == 0 {
            break;
        }
    }
    taken
}

/// The last parts of a set, about so many bytes and at least one part.
fn last(of: &Ranges, bytes: u64, proof: &Proof) -> Ranges {
    let (mut taken, mut left) = (Ranges::new(), bytes.max(1));
    for span in of.iter().rev() {
        let length = span.end - span.start;
        if length > left {
            let start = proof.part_range(proof.part_at(span.end - left)).start.clamp(span.start, span.end - 1);
            taken.insert(start..span.end);
            break;
        }
        taken.insert(span);
        left -= length;
        if left == 0 {
            break;
        }
    }
    taken
}
