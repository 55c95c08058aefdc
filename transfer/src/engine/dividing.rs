//! Leases of one download are told of each other: what others bring, and what is left for them.

use hexad_content::Ranges;
use hexad_core::{LeaseId, ShareId, Verdict};

use super::Engine;
use crate::download::{Alone, Download, Stage};
use crate::job::Action;

/// So often somebody who was refused a part that one alone may give says that he has nothing left to ask for, before it is his.
const HUNGER_MAX: u32 = 5;

impl Engine {
    /// Takes note that a lease has asked for these ranges, so that no other is sent there. Empty: it has nothing left to ask for, and is given something that
    /// others would have asked for later; where everything is under way, something of that.
    pub fn claim(&mut self, lease: LeaseId, ranges: &Ranges) {
        let Some(share) = self.leases.get(&lease).map(|lent| lent.share) else { return };
        if ranges.is_empty() {
            self.hear_the_hungry(share, lease);
        }
        let Some(download) = self.downloads.get_mut(&share).filter(|download| !download.paused) else { return };
        let Download { division, proof, .. } = download;
        let told: Vec<LeaseId> = if ranges.is_empty() {
            division.grant(lease, proof).map_or_else(Vec::new, |from| from.into_iter().chain([lease]).collect())
        } else {
            division.claim(lease, ranges)
        };
        self.tell_elsewhere(share, &told);
    }

    /// Gives a lease that has nothing left to ask for the parts that it was refused because another alone may give them, and does not: at the end of a download
    /// nothing else comes by which his patience could be measured.
    fn hear_the_hungry(&mut self, share: ShareId, lease: LeaseId) {
        let now = self.deliveries;
        let Some(download) = self.downloads.get_mut(&share) else { return };
        let mut theirs = Vec::new();
        for (&part, alone) in &mut download.alone {
            let settled = download.open.get(&part).is_none_or(|open| open.spills == 0 && open.stage == Stage::Filling);
            let Some(hunger) = alone.turned_away.get_mut(&lease) else { continue };
            *hunger = hunger.saturating_add(1);
            if *hunger >= HUNGER_MAX && settled {
                *alone = Alone::of(lease, now);
                theirs.push(part);
            }
        }
        for &part in &theirs {
            self.close(share, part);
            let Some(download) = self.downloads.get_mut(&share) else { return };
            let range = download.part_range(part);
            download.division.bad(&range, Some(lease));
            let judged = download.leases.iter().map(|&lease| Action::Judged(lease, range.clone(), Verdict::Mixed));
            self.actions.extend(judged);
        }
        if let Some(all) =
            self.downloads.get(&share).filter(|_| !theirs.is_empty()).map(|download| download.leases.iter().copied().collect::<Vec<_>>())
        {
            self.tell_elsewhere(share, &all);
        }
    }

    /// Has what is missing come in an order: the first of these sets before the second, and so on, of each the front first; then all else. An empty list: as
    /// the sources like.
    pub fn prefer(&mut self, share: ShareId, mut order: Vec<Ranges>) {
        let Some(download) = self.downloads.get_mut(&share) else { return };
        if !order.is_empty() {
            order.push(Ranges::of(0..download.total_bytes));
        }
        download.division.prefer(order);
        let leases: Vec<LeaseId> = download.leases.iter().copied().collect();
        let was = download.division.is_divided();
        self.divide(share, None);
        if !was && !self.downloads.get(&share).is_some_and(|download| download.division.is_divided()) {
            return;
        }
        if let Some(Download { division, proof, .. }) = self.downloads.get_mut(&share) {
            for &lease in &leases {
                division.grant(lease, proof);
            }
        }
        self.tell_elsewhere(share, &leases);
    }

    /// Sees to it that what is missing is divided among the leases of a download, where there are several; `fresh` has joined them.
    pub(super) fn divide(&mut self, share: ShareId, fresh: Option<LeaseId>) {
        let Some(download) = self.downloads.get_mut(&share).filter(|download| !download.paused) else { return };
        let before = download.division.is_divided();
        if !download.division.is_wanted(download.leases.len()) {
            download.division.dissolve();
            let last: Vec<LeaseId> = download.leases.iter().copied().filter(|_| before).collect();
            return self.tell_elsewhere(share, &last);
        }
        let open = download.open.iter().filter(|(_, open)| open.stage != Stage::Filling);
        let arrived = open.map(|(&part, _)| download.part_range(part)).collect();
        let missing = download.missing_ranges();
        let Download { division, proof, leases, .. } = download;
        division.settle(&missing, arrived, leases, fresh);
        if let Some(fresh) = fresh {
            division.grant(fresh, proof);
        }
        let all: Vec<LeaseId> = leases.iter().copied().collect();
        self.tell_elsewhere(share, &all);
    }

    pub(super) fn tell_elsewhere(&mut self, share: ShareId, leases: &[LeaseId]) {
        let Some(download) = self.downloads.get(&share) else { return };
        for &lease in leases.iter().filter(|lease| download.leases.contains(lease)) {
            self.actions.push_back(Action::Elsewhere(lease, download.division.elsewhere(lease)));
        }
    }
}
