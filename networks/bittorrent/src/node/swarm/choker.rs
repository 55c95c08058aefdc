//! Whom to give: the choking algorithm of BEP 3, as a function over those who could be given to.

use std::cmp::Reverse;

use hexad_core::{Dice, Span, Time};

use super::picker::Slot;
use crate::node::config::SeedChoking;

/// New connections are that much more likely to become the optimistic one (BEP 3).
const NEW_WEIGHT: u64 = 3;
/// A seed gives a turn of at least so long …
const TURN: Span = Span::from_secs(60);
/// … and so many bytes before the peer stands behind those who wait (libtorrent's `seeding_piece_quota` of 20 pieces, for pieces of 256 KiB).
const TURN_BYTES: u64 = 20 * (256 << 10);

/// One who could be unchoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) slot: Slot,
    /// It wants something of us.
    pub(crate) interested: bool,
    /// It gave nothing for long though it was asked: it is not given anything in return, unless by optimism.
    pub(crate) snubbed: bool,
    /// Has come within the last rounds.
    pub(crate) new: bool,
    /// It has nothing yet that it could give, and is being given its first piece: choked before it has that, it would have nothing to pass on, and what
    /// it was given would lie idle. Who is so was unchoked by chance or had a free place, so that merit is never left with less than it would give away.
    pub(crate) amid: bool,
    /// As long as we leech: bytes a second that it gives us. As a seed: that it takes.
    pub(crate) rate: u64,
    /// Since when it has been unchoked.
    pub(crate) unchoked_since: Option<Time>,
    /// Bytes it has taken since.
    pub(crate) taken: u64,
    /// Bytes that it says it has, and that we have given it.
    pub(crate) claimed: u64,
    pub(crate) given: u64,
    /// When it was last choked, or connected.
    pub(crate) waiting_since: Time,
}

/// How choking is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// Unchoked by merit.
    pub(crate) slots: usize,
    /// How we choose when we have everything.
    pub(crate) seeding: Option<SeedChoking>,
    /// Bytes of the torrent.
    pub(crate) total: u64,
    /// The optimistic unchoke moves on.
    pub(crate) rotate: bool,
    /// Who it is.
    pub(crate) optimistic: Option<Slot>,
    pub(crate) now: Time,
}

/// Who is unchoked from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) unchoked: Vec<Slot>,
    /// The one of them that is unchoked by chance and not by merit.
    pub(crate) optimistic: Option<Slot>,
}

/// Chooses: the best by rate, and one by chance.
pub(crate) fn choose(candidates: &[Candidate], round: &Round, dice: &mut Dice) -> Decision {
    let mut order: Vec<Candidate> = candidates.to_vec();
    // Random among equals.
    dice.shuffle(&mut order);
    match round.seeding {
        Some(SeedChoking::RoundRobin) => order.sort_by_key(|candidate| {
            let served = candidate.taken > TURN_BYTES && candidate.unchoked_since.is_some_and(|since| round.now.since(since) > TURN);
            // Equal are those who take about as much; whoever has waited longest comes first among them.
            (served, Reverse(candidate.rate.checked_ilog2()), candidate.waiting_since)
        }),
        Some(SeedChoking::FastestUpload) => order.sort_by_key(|candidate| (Reverse(candidate.rate), candidate.waiting_since)),
        Some(SeedChoking::AntiLeech) => {
            order.sort_by_key(|candidate| (Reverse(from_half(candidate, round.total)), candidate.waiting_since));
        }
        None => {
            order.retain(|candidate| !candidate.snubbed || Some(candidate.slot) == round.optimistic);
            order.sort_by_key(|candidate| (candidate.snubbed, !candidate.amid, Reverse(candidate.rate)));
        }
    }
    let mut decision = Decision::default();
    let mut kept = round.optimistic.filter(|slot| !round.rotate && candidates.iter().any(|one| one.slot == *slot && one.interested));
    let mut taken = 0;
    for candidate in &order {
        if taken >= round.slots {
            break;
        }
        // Whoever is unchoked by chance keeps that place, unless merit has earned it another one.
        if kept == Some(candidate.slot) {
            if candidate.rate == 0 {
                continue;
            }
            kept = None;
        }
        if candidate.interested {
            taken += 1;
            decision.unchoked.push(candidate.slot);
        } else if candidate.rate > 0 && round.seeding.is_none() {
            // Better than some that are unchoked, only not interested: should it become so, it takes its place at the next round (BEP 3).
            decision.unchoked.push(candidate.slot);
        }
    }
    decision.optimistic = kept.or_else(|| by_chance(candidates, &decision.unchoked, round, dice));
    decision.unchoked.extend(decision.optimistic);
    decision
}

/// How far a peer is from having half of all, in thousandths of that half. What it was given counts as far as the half: beyond that only its own word
/// brings it back into favour, and a lie of that kind leaves it nothing to ask for.
fn from_half(candidate: &Candidate, total: u64) -> u64 {
    let half = total / 2;
    let has = candidate.claimed.max(candidate.given.min(half));
    u64::try_from(u128::from(has.abs_diff(half)) * 2000 / u128::from(total.max(1))).unwrap_or(u64::MAX)
}

fn by_chance(candidates: &[Candidate], unchoked: &[Slot], round: &Round, dice: &mut Dice) -> Option<Slot> {
    let eligible = |but: Option<Slot>| {
        candidates.iter().filter(move |one| one.interested && !unchoked.contains(&one.slot) && Some(one.slot) != but).copied()
    };
    let others: Vec<Candidate> = eligible(round.optimistic).collect();
    let pool = if others.is_empty() { eligible(None).collect() } else { others };
    let weight = |one: &Candidate| if one.new { NEW_WEIGHT } else { 1 };
    let mut ticket = dice.below(pool.iter().map(weight).sum());
    for one in &pool {
        let weight = weight(one);
        if ticket < weight {
            return Some(one.slot);
        }
        ticket -= weight;
    }
    None
}

#[cfg(test)]
mod tests;
