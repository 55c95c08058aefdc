//! Questions about nodes that walk at random (`ProbeRequest` of FCP): whose question is where, how often a neighbour has asked, and what is known of
//! ourselves that may be told. Figures that could tell one node from others are blurred.

use hexad_core::{Context, Dice, Level, Map, OpId, Span, Time};

use super::rates::Rates;
use super::walks::Kind;
use super::{Node, Out, Reply, Timer, done};
use crate::keys::{CHK_DATA_BYTES, NodeKey};
use crate::place::Place;
use crate::wire::{CELL_BYTES, Finding, Inquire, Inquiry, LENGTHS_MAX, Message, Untold};

/// What programs take for the version of the node: build numbers of Hyphanet say what they may expect.
pub const BUILD: u32 = 1506;
/// The most steps that are believed.
pub const INQUIRY_HTL_MAX: u16 = 70;
/// Questions under way.
const UNDER_WAY_MAX: usize = 64;
/// So many of one neighbour are passed on within a minute.
const RATE_MAX: u16 = 20;
/// How long a question of ours may take, and one of somebody else.
const OWN_DEADLINE: Span = Span::from_secs(60);
/// The same.
const PASSED_DEADLINE: Span = Span::from_secs(50);
const TWO_DAYS: Span = Span::from_secs(2 * 86_400);
const WEEK: Span = Span::from_secs(7 * 86_400);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Asker<A> {
    Peer(A),
    User(OpId),
}

#[derive(Clone, Debug)]
struct UnderWay<A> {
    asker: Asker<A>,
    next: A,
}

/// All that is remembered of them.
#[derive(Clone, Debug)]
pub struct Inquiries<A> {
    under_way: Map<u64, UnderWay<A>>,
    rates: Rates<A>,
    /// When we became a member.
    since: Option<Time>,
    /// What we are called in answers.
    number: Option<u64>,
    /// Of CHK requests, SSK requests, CHK inserts, SSK inserts of others: how many have come, and how many of them were turned away.
    walks: [(u64, u64); 4],
}

impl<A: Place> Default for Inquiries<A> {
    fn default() -> Self {
        Self { under_way: Map::new(), rates: Rates::of(RATE_MAX), since: None, number: None, walks: [(0, 0); 4] }
    }
}

impl<A: Place> Inquiries<A> {
    /// We are a member from here on.
    pub(super) fn begins(&mut self, now: Time) {
        self.since.get_or_insert(now);
    }

    /// A walk of somebody has come.
    pub(super) fn count(&mut self, kind: Kind, key: &NodeKey, refused: bool) {
        let of = match (kind, key) {
            (Kind::Request, NodeKey::Chk(_)) => 0,
            (Kind::Request, NodeKey::Ssk { .. }) => 1,
            (Kind::Insert, NodeKey::Chk(_)) => 2,
            (Kind::Insert, NodeKey::Ssk { .. }) => 3,
            (Kind::Probe, _) => return,
        };
        self.walks[of].0 += 1;
        self.walks[of].1 += u64::from(refused);
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }
}

/// A figure with a blur of a twentieth, as Hyphanet has it: normally distributed, near enough.
fn blurred(figure: u64, dice: &mut Dice) -> u64 {
    let normal: f64 = (0..12).map(|_| dice.unit()).sum::<f64>() - 6.0;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a blurred figure, not below 0"
    )]
    let blurred = (figure as f64 * (1.0 + 0.05 * normal)).max(0.0) as u64;
    blurred
}

/// Percent of `whole`, at most 100.
fn percent(part: u64, whole: u64) -> u8 {
    u8::try_from(u128::from(part) * 100 / u128::from(whole.max(1))).unwrap_or(100).min(100)
}

impl<A: Place> Node<A> {
    /// Asks somebody at the end of a random walk; ourselves, where it has no steps.
    pub(super) fn start_inquire(&mut self, op: OpId, what: Inquiry, htl: u16, cx: &mut Context<'_>, out: &mut Out<A>) {
        let told = |answer: Result<Finding, Untold>, out: &mut Out<A>| match answer {
            Ok(finding) => done(op, Reply::Told(Box::new(finding)), out),
            Err(why) => done(op, Reply::Untold(why), out),
        };
        if htl == 0 {
            return told(Ok(self.finding(what, cx)), out);
        }
        if self.inquiries.len() >= UNDER_WAY_MAX {
            return told(Err(Untold::Overload), out);
        }
        let Some(next) = self.random_neighbour(None, cx) else { return told(Err(Untold::CannotForward), out) };
        let uid = cx.dice.bits();
        let htl = htl.min(INQUIRY_HTL_MAX);
        self.pass_inquiry(Inquire { uid, htl, what }, next, Asker::User(op), OWN_DEADLINE, cx, out);
    }

    fn pass_inquiry(&mut self, inquire: Inquire, next: A, asker: Asker<A>, within: Span, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.inquiries.under_way.insert(inquire.uid, UnderWay { asker, next: next.clone() });
        out.wake(cx.now + within, Timer::Inquire(inquire.uid));
        if !self.send(&next, Message::Inquire(inquire), cx, out) {
            self.end_inquiry(inquire.uid, Err(Untold::Disconnected), cx, out);
        }
    }

    /// Anybody with whom there is a link, at random.
    pub(super) fn random_neighbour(&self, but: Option<&A>, cx: &mut Context<'_>) -> Option<A> {
        let all: Vec<&A> = self.links.open().map(|(addr, _)| addr).filter(|addr| Some(*addr) != but).collect();
        cx.dice.index(all.len()).map(|at| all[at].clone())
    }

    /// A neighbour passes a question on.
    pub(super) fn on_inquire(&mut self, from: &A, inquire: Inquire, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Inquire { uid, htl, what } = inquire;
        if self.location.is_none() || self.inquiries.len() >= UNDER_WAY_MAX || !self.inquiries.rates.may_ask(from, cx.now) {
            out.note(Level::Drop, "inquiry_refused", Some(from.clone()), "");
            self.send(from, Message::Untold(uid, Untold::Overload), cx, out);
            return;
        }
        // The last step is taken or not by a coin: nobody knows by it how near the end is.
        let (chance, of) = self.config.0.decrement_at_one;
        let left = match htl.min(INQUIRY_HTL_MAX) {
            0 => 0,
            1 => u16::from(!cx.dice.chance(chance, of)),
            more => more - 1,
        };
        // A walk that comes back ends where it has been, as one does that can go nowhere else.
        let goes_on = left > 0 && !self.inquiries.under_way.contains_key(&uid);
        if let Some(next) = self.random_neighbour(Some(from), cx).filter(|_| goes_on) {
            let asker = Asker::Peer(from.clone());
            return self.pass_inquiry(Inquire { uid, htl: left, what }, next, asker, PASSED_DEADLINE, cx, out);
        }
        let message = if self.config.0.answers_inquiries {
            Message::Told(uid, Box::new(self.finding(what, cx)))
        } else {
            Message::Untold(uid, Untold::Refused)
        };
        self.send(from, message, cx, out);
    }

    /// What we say of ourselves.
    fn finding(&mut self, what: Inquiry, cx: &mut Context<'_>) -> Finding {
        let settings = &self.config.0;
        let up = self.inquiries.since.map_or(Span::ZERO, |since| cx.now.since(since));
        let part = |location: u64| u16::try_from(location >> 48).unwrap_or(0);
        match what {
            Inquiry::Bandwidth => Finding::Bandwidth(blurred(settings.up_bytes_per_s, cx.dice)),
            Inquiry::Build => Finding::Build(BUILD),
            Inquiry::Identifier => {
                let number = *self.inquiries.number.get_or_insert_with(|| cx.dice.bits());
                Finding::Identifier(number, percent(up.as_secs(), WEEK.as_secs()))
            }
            Inquiry::LinkLengths => {
                let here = self.location.unwrap_or_default();
                let places = self.links.open().filter_map(|(_, peer)| peer.location);
                Finding::LinkLengths(places.map(|place| part(here.distance(place))).take(LENGTHS_MAX).collect())
            }
            Inquiry::Location => Finding::Location(part(self.location.unwrap_or_default().0)),
            Inquiry::StoreSize => {
                let blocks = (settings.store_blocks + settings.cache_blocks) as u64;
                Finding::StoreSize(blurred(blocks.saturating_mul(CHK_DATA_BYTES as u64), cx.dice))
            }
            Inquiry::Uptime48h => Finding::Uptime(percent(up.as_secs(), TWO_DAYS.as_secs())),
            Inquiry::Uptime7d => Finding::Uptime(percent(up.as_secs(), WEEK.as_secs())),
            Inquiry::RejectStats => {
                let of = |(came, refused): (u64, u64)| if came == 0 { u8::MAX } else { percent(refused, came) };
                Finding::RejectStats(self.inquiries.walks.map(of))
            }
            Inquiry::CapacityUsage => {
                let promised = (self.walks.len() as u64).saturating_mul(CELL_BYTES[2] as u64);
                Finding::CapacityUsage(percent(promised, settings.up_bytes_per_s.saturating_mul(settings.liability.as_secs())))
            }
        }
    }

    /// An answer comes back.
    pub(super) fn on_inquiry_answer(
        &mut self,
        from: &A,
        uid: u64,
        answer: Result<Finding, Untold>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        if self.inquiries.under_way.get(&uid).is_none_or(|under_way| under_way.next != *from) {
            return out.note(Level::Drop, "unasked_answer", Some(from.clone()), "");
        }
        self.end_inquiry(uid, answer, cx, out);
    }

    fn end_inquiry(&mut self, uid: u64, answer: Result<Finding, Untold>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(UnderWay { asker, .. }) = self.inquiries.under_way.remove(&uid) else { return };
        match (asker, answer) {
            (Asker::Peer(from), answer) => {
                let message = match answer {
                    Ok(finding) => Message::Told(uid, Box::new(finding)),
                    Err(why) => Message::Untold(uid, why),
                };
                self.send(&from, message, cx, out);
            }
            (Asker::User(op), Ok(finding)) => done(op, Reply::Told(Box::new(finding)), out),
            (Asker::User(op), Err(why)) => done(op, Reply::Untold(why), out),
        }
    }

    pub(super) fn on_inquiry_timer(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Some(under_way) = self.inquiries.under_way.get(&uid) {
            out.note(Level::Drop, "inquiry_timed_out", Some(under_way.next.clone()), "");
            self.end_inquiry(uid, Err(Untold::Timeout), cx, out);
        }
    }

    /// A neighbour is no more: what it was asked is not answered, and what it has asked need not be.
    pub(super) fn on_inquirer_gone(&mut self, addr: &A, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.inquiries.under_way.retain(|_, under_way| under_way.asker != Asker::Peer(addr.clone()));
        let lost = self.inquiries.under_way.iter().filter(|(_, under_way)| under_way.next == *addr);
        for uid in lost.map(|(uid, _)| *uid).collect::<Vec<_>>() {
            self.end_inquiry(uid, Err(Untold::Disconnected), cx, out);
        }
    }

    /// A user no longer wants to know.
    pub(super) fn cancel_inquiry(&mut self, op: OpId) {
        self.inquiries.under_way.retain(|_, under_way| under_way.asker != Asker::User(op));
    }

    /// We leave: nobody answers any more.
    pub(super) fn fail_inquiries(&mut self, out: &mut Out<A>) {
        for UnderWay { asker, .. } in std::mem::take(&mut self.inquiries.under_way).into_values() {
            if let Asker::User(op) = asker {
                done(op, Reply::Untold(Untold::Disconnected), out);
            }
        }
    }
}
