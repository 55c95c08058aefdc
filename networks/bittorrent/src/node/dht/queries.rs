//! Our questions that wait for an answer. An answer counts only from the address that was asked.

use std::net::SocketAddr;

use hexad_core::{Dice, Span, Time};

use super::contacts::Spot;
use super::hosts::Hosts;

/// A question without an answer for this long has failed.
pub(super) const TIMEOUT: Span = Span::from_secs(10);
/// Questions out at a time; more are not put.
const QUERIES_MAX: usize = 2048;
/// Pings out at a time: strangers make us ping them, and must not fill the room of lookups.
const PINGS_MAX: usize = 128;

/// A node that gets 50 packets within ten seconds takes us for a flood, and hears us no more for minutes (libtorrent's `dos_blocker.cpp`). So many
/// questions of a lookup go to one node in that time ...
const LOOKUPS_PER_NODE_MAX: u32 = 25;
/// ... and so many of any kind.
const QUERIES_PER_NODE_MAX: u32 = 45;
const WINDOW: Span = Span::from_secs(10);
/// Questions that are read ahead.
const WARMED_MAX: usize = 8;
/// Nodes whose questions are counted at a time.
const COUNTED_MAX: usize = 4096;

/// Why a question was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To see who is there.
    Ping,
    /// For the job of that number.
    Job(u64),
    /// To announce a torrent, or to have a value stored.
    Announce,
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Who was asked.
    pub to: SocketAddr,
    /// Why.
    pub purpose: Purpose,
}

/// A question that is out.
#[derive(Debug)]
struct Open {
    asked: Asked,
    transaction: u16,
    deadline: Time,
}

/// All questions that are out.
#[derive(Debug)]
pub(super) struct Queries {
    /// By deadline, which is the order in which they were put. Few, mostly.
    open: Vec<Open>,
    /// Since when, and how many.
    counted: Hosts<(Time, u32)>,
    /// When those of whom it is long ago were last forgotten.
    swept: Time,
}

impl Queries {
    pub const fn new() -> Self {
        Self { open: Vec::new(), counted: Hosts::new(), swept: Time::ZERO }
    }

    /// Remembers a question and gives the transaction id to put it under; `None` when there is no room, when that address is being pinged
    /// already, or would take us for a flood.
    pub fn open(&mut self, asked: Asked, now: Time, dice: &mut Dice) -> Option<[u8; 2]> {
        let has_room = self.open.len() < QUERIES_MAX && (asked.purpose != Purpose::Ping || self.may_ping(asked.to));
        if !has_room || !self.may_ask(asked, now) {
            return None;
        }
        let mut transaction = u16::from_be_bytes(dice.bytes());
        while self.open.iter().any(|open| open.transaction == transaction) {
            transaction = transaction.wrapping_add(1);
        }
        self.open.push(Open { asked, transaction, deadline: now + TIMEOUT });
        Some(transaction.to_be_bytes())
    }

    /// Takes the question that `from` answers under that transaction id; `None` when it was asked none.
    pub fn close(&mut self, transaction: &[u8], from: SocketAddr) -> Option<Asked> {
        let transaction = u16::from_be_bytes(transaction.try_into().ok()?);
        let at = self.open.iter().position(|open| open.transaction == transaction && open.asked.to == from)?;
        Some(self.open.remove(at).asked)
    }

    /// Takes the questions that have waited too long.
    pub fn overdue(&mut self, now: Time) -> Vec<Asked> {
        let late = self.open.partition_point(|open| open.deadline <= now);
        let mut late: Vec<Open> = self.open.drain(..late).collect();
        late.sort_unstable_by_key(|open| (open.deadline, open.transaction));
        late.into_iter().map(|open| open.asked).collect()
    }

    /// When the next question will have waited too long.
    pub fn next_look(&self) -> Option<Time> {
        self.open.first().map(|open| open.deadline)
    }

    /// Reads it, see [`super::Dht::warm`].
    pub fn warm(&self, depth: u8) -> usize {
        if depth == 0 {
            self.open.len() ^ self.counted.len()
        } else {
            let counted = self.counted.warm();
            self.open.iter().take(WARMED_MAX).fold(counted, |sum, open| sum ^ usize::from(open.transaction))
        }
    }

    /// Whether that address is not being pinged already, and there is room for one more ping.
    fn may_ping(&self, to: SocketAddr) -> bool {
        let mut pings = self.open.iter().filter(|open| open.asked.purpose == Purpose::Ping);
        pings.clone().count() < PINGS_MAX && pings.all(|open| open.asked.to != to)
    }

    fn may_ask(&mut self, asked: Asked, now: Time) -> bool {
        if now.since(self.swept) >= WINDOW || self.counted.len() >= COUNTED_MAX {
            self.swept = now;
            self.counted.retain(|_, (since, _)| now.since(*since) < WINDOW);
        }
        let to = Spot::of(asked.to);
        let Some((since, count)) = self.counted.get_mut(to) else {
            if self.counted.len() < COUNTED_MAX {
                self.counted.insert(to, (now, 1));
            }
            return true;
        };
        if now.since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        let most = if matches!(asked.purpose, Purpose::Job(_)) { LOOKUPS_PER_NODE_MAX } else { QUERIES_PER_NODE_MAX };
        let may = *count < most;
        *count += u32::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn an_answer_counts_once_and_only_from_whom_was_asked() {
        let mut dice = Dice::counter(6, 1);
        let mut queries = Queries::new();
        let asked = Asked { to: host(1), purpose: Purpose::Job(7) };
        let transaction = queries.open(asked, Time::ZERO, &mut dice).unwrap();
        assert_eq!(queries.close(&transaction, host(2)), None);
        assert_eq!(queries.close(&transaction[..1], host(1)), None);
        assert_eq!(queries.close(&transaction, host(1)), Some(asked));
        assert_eq!(queries.close(&transaction, host(1)), None);
        assert_eq!(queries.next_look(), None);
    }

    #[test]
    fn questions_are_bounded_and_end_by_their_deadline() {
        let mut dice = Dice::counter(6, 2);
        let mut queries = Queries::new();
        let pings =
            (0..1000).filter(|&port| queries.open(Asked { to: host(port), purpose: Purpose::Ping }, Time::ZERO, &mut dice).is_some());
        assert_eq!(pings.count(), PINGS_MAX);
        let others =
            (0..5000).filter(|&port| queries.open(Asked { to: host(port), purpose: Purpose::Job(1) }, Time::ZERO, &mut dice).is_some());
        assert_eq!(others.count(), QUERIES_MAX - PINGS_MAX);
        assert!(queries.overdue(Time::ZERO + TIMEOUT / 2).is_empty());
        assert_eq!(queries.overdue(Time::ZERO + TIMEOUT).len(), QUERIES_MAX);
        assert!(queries.open(Asked { to: host(1), purpose: Purpose::Ping }, Time::ZERO, &mut dice).is_some());
    }

    #[test]
    fn no_node_is_asked_so_often_that_it_takes_us_for_a_flood() {
        let mut dice = Dice::counter(6, 3);
        let mut queries = Queries::new();
        let mut puts = |purpose, now| (0..100).filter(|_| queries.open(Asked { to: host(1), purpose }, now, &mut dice).is_some()).count();
        let now = Time::ZERO + Span::from_secs(50);
        assert_eq!(puts(Purpose::Job(1), now), 25);
        assert_eq!(puts(Purpose::Announce, now), 20);
        assert_eq!(puts(Purpose::Job(1), now), 0);
        assert_eq!(puts(Purpose::Job(1), now + WINDOW), 25);
    }
}
