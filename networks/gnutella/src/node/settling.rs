//! Publishes that are not in effect yet: ultrapeers are still to read our table.
//!
//! A leaf has one table on its way at a time, and tells no more than one a second: what changes meanwhile goes with the next, however many shares
//! are published in one go.

use bytes::Bytes;
use hexad_core::{ConnId, Context, OpId, Progress, Span, Time};

use super::settings::Kind;
use super::{Node, Out, Timer};
use crate::wire::{Body, Guid, Packet};

/// From one table to the next.
const TELL_EVERY: Span = Span::from_secs(1);
/// How long ultrapeers are waited for.
const SETTLE_WITHIN: Span = Span::from_secs(3);

/// What waits for tables.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    /// Publishes that the next table tells of.
    waiting: Vec<OpId>,
    /// The table that is on its way.
    round: Option<Round>,
    /// When a table was sent last.
    told: Option<Time>,
    /// Whether [`Timer::Tell`] is to come.
    wakes: bool,
}

/// A table on its way, with a ping behind it.
#[derive(Debug)]
struct Round {
    ping: Guid,
    ops: Vec<OpId>,
    /// Ultrapeers that have not answered the ping.
    left: usize,
    since: Time,
}

impl Settling {
    /// Whether something is waited for.
    fn is_busy(&self) -> bool {
        self.round.is_some() || !self.waiting.is_empty()
    }

    /// A publish is no more.
    pub(crate) fn forget(&mut self, op: OpId) {
        self.waiting.retain(|waiting| *waiting != op);
        if let Some(round) = &mut self.round {
            round.ops.retain(|settling| *settling != op);
        }
    }
}

impl Node {
    /// Says that a publish is in effect: for a leaf once its ultrapeers have read its table, which the answer to a ping behind it shows; for others
    /// at once, since queries come to them anyhow.
    pub(crate) fn settle(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        self.settling.waiting.push(op);
        self.tables_changed(cx, out);
    }

    /// What we offer, or our leaves do, has changed: a leaf tells as soon as it may, an ultrapeer at the next tick.
    pub(crate) fn tables_changed(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        self.tables_stale = true;
        match self.kind {
            Kind::Leaf => self.tell(cx, out),
            Kind::Flat => self.waited(out),
            Kind::Ultrapeer => {
                self.waited(out);
                self.tick_later(cx, out);
            }
        }
    }

    /// Sends the table where something has changed, unless one is on its way.
    pub(crate) fn tell(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        if self.kind != Kind::Leaf {
            self.waited(out);
            return self.refresh_tables(cx, out);
        }
        let ultrapeers: Vec<ConnId> = self.links.of(Kind::Ultrapeer).map(|(conn, _)| conn).collect();
        if ultrapeers.is_empty() {
            return self.waited(out);
        }
        if !self.tables_stale {
            return;
        }
        if self.settling.round.is_some() || self.settling.told.is_some_and(|told| cx.now.since(told) < TELL_EVERY) {
            return self.tell_later(cx, out);
        }
        self.settling.told = Some(cx.now);
        self.refresh_tables(cx, out);
        let ops = std::mem::take(&mut self.settling.waiting);
        if ops.is_empty() {
            return;
        }
        let ping = Guid::fresh(cx.dice);
        self.settling.round = Some(Round { ping, ops, left: ultrapeers.len(), since: cx.now });
        for conn in ultrapeers {
            self.say(conn, Packet::new(ping, 1, Body::Ping(Bytes::new())), cx, out);
        }
        self.tell_later(cx, out);
    }

    /// Time to tell what could not be told before.
    pub(crate) fn on_tell(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        self.settling.wakes = false;
        self.settle_late(cx.now, out);
        self.tell(cx, out);
        if self.settling.is_busy() {
            self.tell_later(cx, out);
        }
    }

    fn tell_later(&mut self, cx: &Context<'_>, out: &mut Out) {
        if !std::mem::replace(&mut self.settling.wakes, true) {
            out.wake(cx.now + TELL_EVERY, Timer::Tell);
        }
    }

    /// An ultrapeer has answered a ping.
    pub(crate) fn on_settled(&mut self, ping: &Guid, cx: &mut Context<'_>, out: &mut Out) {
        let Some(round) = self.settling.round.as_mut().filter(|round| round.ping == *ping) else { return };
        round.left = round.left.saturating_sub(1);
        if round.left == 0 {
            self.end_round(out);
            self.tell(cx, out);
        }
    }

    /// Who does not answer is waited for no longer.
    fn settle_late(&mut self, now: Time, out: &mut Out) {
        if self.settling.round.as_ref().is_some_and(|round| now.since(round.since) >= SETTLE_WITHIN) {
            self.end_round(out);
        }
    }

    fn end_round(&mut self, out: &mut Out) {
        for op in self.settling.round.take().into_iter().flat_map(|round| round.ops) {
            out.report(op, Progress::Done);
        }
    }

    /// What waits for a table waits no longer: nobody is told by one.
    fn waited(&mut self, out: &mut Out) {
        for op in std::mem::take(&mut self.settling.waiting) {
            out.report(op, Progress::Done);
        }
    }
}
