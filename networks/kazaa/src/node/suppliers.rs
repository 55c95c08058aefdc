//! Those from whom one fetch takes: what each was asked for and is still to give, and the ways in which one can be reached.

use std::collections::VecDeque;

use hexad_content::Ranges;
use hexad_core::{ConnId, Map, Time};

use crate::place::Place;

/// How somebody is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// We open a connection to him.
    Direct,
    /// His supernode tells him to open one to us.
    Push,
    /// Over his supernode.
    Relay,
}

/// One who may have what is fetched.
#[derive(Clone, Debug)]
pub(super) struct Candidate<A> {
    pub(super) addr: A,
    /// His supernode, where it is known.
    pub(super) via: Option<A>,
    pub(super) way: Way,
}

impl<A: Place> Candidate<A> {
    /// By the best way that is open.
    pub(super) fn new(addr: A, via: Option<A>, reachable: bool, we_are: bool) -> Self {
        let way = match (&via, reachable) {
            (Some(_), false) if we_are => Way::Push,
            (Some(_), false) => Way::Relay,
            _ => Way::Direct,
        };
        Self { addr, via, way }
    }

    /// The next way, after this one did not work.
    pub(super) fn otherwise(&self, we_are: bool) -> Option<Self> {
        let way = match self.way {
            Way::Direct if we_are => Way::Push,
            Way::Direct | Way::Push => Way::Relay,
            Way::Relay => return None,
        };
        self.via.is_some().then(|| Self { way, ..self.clone() })
    }
}

/// One who gives.
#[derive(Debug)]
pub(super) struct Supplier<A> {
    pub(super) candidate: Candidate<A>,
    pub(super) described: bool,
    /// What it is to give, and has not been asked for yet.
    pub(super) assigned: Ranges,
    /// What it was asked for.
    pub(super) asked: VecDeque<(u64, u32)>,
    /// When it last gave something, or was first asked.
    pub(super) active: Time,
    /// It lacked what it was asked for; not to be asked before then.
    pub(super) rests_until: Time,
    /// When it was first asked, and what it has given since.
    pub(super) since: Time,
    pub(super) given_bytes: u64,
}

impl<A> Supplier<A> {
    pub(super) fn new(candidate: Candidate<A>, now: Time) -> Self {
        Self {
            candidate,
            described: false,
            assigned: Ranges::new(),
            asked: VecDeque::new(),
            active: now,
            rests_until: Time::ZERO,
            since: now,
            given_bytes: 0,
        }
    }

    /// Everything that it still owes.
    pub(super) fn owed(&self) -> Ranges {
        let mut owed = self.assigned.clone();
        self.asked.iter().for_each(|&(offset, bytes)| owed.insert(offset..offset + u64::from(bytes)));
        owed
    }

    fn owed_bytes(&self) -> u64 {
        self.assigned.total() + self.asked.iter().map(|(_, bytes)| u64::from(*bytes)).sum::<u64>()
    }

    /// Bytes a second so far; at least one.
    fn rate(&self, now: Time) -> u64 {
        let millis = u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX).max(1);
        (self.given_bytes.saturating_mul(1000) / millis).max(1)
    }

    /// What it does not give any more goes back to what nobody is to give.
    pub(super) fn give_back(&mut self, wanted: &mut Ranges) {
        wanted.insert_all(&std::mem::take(&mut self.assigned));
        for (offset, bytes) in self.asked.drain(..) {
            wanted.insert(offset..offset + u64::from(bytes));
        }
    }
}

/// Gives half of what the source with the longest way to go has not been asked for to one that has nothing to do. Whether there was something.
pub(super) fn split<A: Place>(suppliers: &mut Map<ConnId, Supplier<A>>, idle: ConnId, block: u64, now: Time) -> bool {
    let longest = suppliers
        .iter()
        .filter(|(conn, supplier)| **conn != idle && supplier.assigned.total() > block)
        .max_by_key(|(conn, supplier)| (supplier.owed_bytes() * 1000 / supplier.rate(now), **conn))
        .map(|(conn, supplier)| (*conn, supplier.owed_bytes() * 1000 / supplier.rate(now)));
    let Some((slow, left_ms)) = longest else { return false };
    // Whoever is done in a moment need not be helped.
    if left_ms < 200 {
        return false;
    }
    let Some(supplier) = suppliers.get_mut(&slow) else { return false };
    let Some(last) = supplier.assigned.iter().next_back() else { return false };
    let middle = last.start + (last.end - last.start) / 2;
    let middle = (middle - middle % block).max(last.start);
    supplier.assigned.remove(middle..last.end);
    if let Some(helper) = suppliers.get_mut(&idle) {
        helper.assigned.insert(middle..last.end);
    }
    true
}

/// What the source that has been silent for longest was asked for, to be asked of another one as well; its first request only.
pub(super) fn late<A: Place>(
    suppliers: &Map<ConnId, Supplier<A>>,
    idle: ConnId,
    patience: hexad_core::Span,
    now: Time,
) -> Option<(u64, u32)> {
    let asked_already = |request: &(u64, u32)| suppliers.get(&idle).is_none_or(|supplier| supplier.asked.contains(request));
    suppliers
        .iter()
        .filter(|(conn, supplier)| **conn != idle && now.since(supplier.active) >= patience)
        .flat_map(|(_, supplier)| supplier.asked.iter())
        .find(|request| !asked_already(request) && suppliers.values().filter(|supplier| supplier.asked.contains(request)).count() < 2)
        .copied()
}
