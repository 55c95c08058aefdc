//! Questions on their way through a supernode: answered from its own index, passed on to some others at a time until there is enough, answers
//! handed back the way the question came.

use std::collections::VecDeque;

use hexad_core::{ConnId, Context, Level, Map, Set, Span, Time};

use super::lines::Kind;
use super::{Node, Out, Role, Timer};
use crate::place::Place;
use crate::wire::{FLOOD_HOPS_MAX, Flood, Group, Looked, Message, SHORTS_MAX};

/// Nobody asks so many at a time.
const FAN_OUT_MAX: u8 = 16;
/// What is left of the time for an answer when it is passed on: somebody further away has less.
const HASTE: Span = Span::from_millis(300);
/// Names of one message are at most so many.
const GROUPS_EACH: usize = 25;

/// Who wants the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Somebody else.
    Line(ConnId),
    /// A search of ours.
    Us,
}

/// One question under way.
#[derive(Debug)]
struct Under {
    flood: Flood,
    origin: Origin,
    /// We are the first supernode: we ask others again and again until there is enough.
    first: bool,
    deadline: Time,
    wave: u16,
    got: usize,
    waiting: Set<ConnId>,
    asked: Set<ConnId>,
    reached: Set<u32>,
}

/// All of them, and the names of those that are over.
#[derive(Debug, Default)]
pub(super) struct Floods {
    under: Map<[u8; 16], Under>,
    seen: Set<[u8; 16]>,
    /// The same in the order in which they came, and until when they are remembered.
    order: VecDeque<([u8; 16], Time)>,
}

impl Floods {
    pub(super) fn len(&self) -> usize {
        self.under.len()
    }

    /// Forgets what is long over.
    pub(super) fn sweep(&mut self, now: Time) {
        while self.order.front().is_some_and(|(_, until)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((id, _)) = self.order.pop_front() {
            self.seen.remove(&id);
        }
    }

    /// Remembers a question; the oldest is forgotten for it where there are too many.
    fn remember(&mut self, id: [u8; 16], until: Time, max: usize) {
        if self.seen.len() >= max {
            self.forget_oldest();
        }
        if self.seen.insert(id) {
            self.order.push_back((id, until));
        }
    }
}

impl<A: Place> Node<A> {
    /// Somebody asks. `leaf` says that it is a leaf of ours: its question begins with us.
    pub(super) fn on_query(&mut self, conn: ConnId, peer: &A, flood: Flood, leaf: bool, cx: &mut Context<'_>, out: &mut Out<A>) {
        let (per_s, burst) = (self.config.0.queries_per_s, self.config.0.queries_burst);
        let many = if leaf { 1 } else { 4 };
        if leaf {
            self.test_soon(conn, cx.now);
        }
        let Some(bucket) = self.lines.bucket_mut(conn) else { return };
        if !bucket.take(per_s * many, burst * many, cx.now) {
            out.note(Level::Drop, "query_flood", Some(peer.clone()), "");
            return out.send_to(conn, Message::QueryEnd(flood.id, Vec::new()));
        }
        if !self.begin_flood(flood.clone(), Origin::Line(conn), leaf, cx, out) {
            out.send_to(conn, Message::QueryEnd(flood.id, Vec::new()));
        }
    }

    /// A search of ours, while we are a supernode.
    pub(super) fn flood_own(&mut self, flood: Flood, cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
        self.begin_flood(flood, Origin::Us, true, cx, out)
    }

    /// `false` when it is not looked at: it was before, or as many are under way as may be.
    fn begin_flood(&mut self, mut flood: Flood, origin: Origin, first: bool, cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
        let settings = self.settings();
        if self.floods.seen.contains(&flood.id) || self.floods.under.contains_key(&flood.id) {
            return false;
        }
        if self.floods.under.len() >= settings.floods_max {
            out.note(Level::Drop, "too_many_questions", None, "");
            return false;
        }
        let id = flood.id;
        self.floods.remember(id, cx.now + settings.seen_for, settings.seen_max);
        flood.hops = flood.hops.min(FLOOD_HOPS_MAX);
        flood.fan_out = flood.fan_out.clamp(1, FAN_OUT_MAX);
        let wait = Span::from_millis(flood.deadline_ms.into()).min(settings.search_deadline);
        let under = Under {
            origin,
            first,
            deadline: cx.now + wait,
            wave: 0,
            got: 0,
            waiting: Set::new(),
            asked: Set::new(),
            reached: Set::new(),
            flood,
        };
        self.floods.under.insert(id, under);
        self.look_here(&id, cx, out);
        self.next_wave(&id, cx, out);
        true
    }

    /// Answers from our own index.
    fn look_here(&mut self, id: &[u8; 16], cx: &mut Context<'_>, out: &mut Out<A>) {
        let settings = self.settings();
        let (Some(under), Some(index)) = (self.floods.under.get_mut(id), &self.index) else { return };
        let Some(us) = self.addr.clone().or_else(|| (under.origin == Origin::Us).then(|| A::of_lab_node(0))) else { return };
        let short = us.short();
        if under.flood.skip.contains(&short) {
            return;
        }
        under.reached.insert(short);
        let wanted = usize::from(under.flood.wanted).min(settings.answer_groups_max);
        let start = u32::try_from(cx.dice.bits() >> 32).unwrap_or(0);
        let mut groups = index.find(&under.flood.what, wanted, settings.answer_sources_max, &us, start);
        if let Origin::Line(conn) = under.origin
            && let Some(line) = self.lines.get(conn)
            && under.first
        {
            // Nobody has to be told what he offers himself.
            let asker = line.peer.name();
            groups.iter_mut().for_each(|group| group.sources.retain(|source| source.addr.name() != asker));
            groups.retain(|group| !group.sources.is_empty());
        }
        for source in groups.iter().flat_map(|group| &group.sources) {
            if let Some(conn) = self.lines.leaf_named(&source.addr.name()) {
                self.test_soon(conn, cx.now);
            }
        }
        self.answer(id, groups, cx, out);
    }

    /// Hands contents to who has asked.
    fn answer(&mut self, id: &[u8; 16], groups: Vec<Group<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(under) = self.floods.under.get_mut(id) else { return };
        if groups.is_empty() {
            return;
        }
        under.got += groups.len();
        match under.origin {
            Origin::Us => self.on_own_results(id, groups, cx, out),
            Origin::Line(conn) => {
                for some in groups.chunks(GROUPS_EACH) {
                    out.send_to(conn, Message::Results(*id, some.to_vec()));
                }
            }
        }
    }

    /// Asks the next few supernodes, or says that it is over.
    fn next_wave(&mut self, id: &[u8; 16], cx: &mut Context<'_>, out: &mut Out<A>) {
        let settings = self.settings();
        let Some(under) = self.floods.under.get(id) else { return };
        let left = under.deadline.since(cx.now);
        let enough = under.got >= usize::from(under.flood.wanted) && matches!(under.flood.what, Looked::Words(_));
        let last = !under.first && under.wave > 0;
        if under.flood.hops == 0 || enough || last || left <= HASTE {
            return self.end_flood(id, cx, out);
        }
        let from = match under.origin {
            Origin::Line(conn) => Some(conn),
            Origin::Us => None,
        };
        // Those whose index was looked at in an earlier search come last; among the others it is chance.
        let mut fresh: Vec<(bool, u64, ConnId)> = self
            .lines
            .iter()
            .filter(|(conn, line)| matches!(line.kind, Kind::Peer(_)) && Some(*conn) != from && !under.asked.contains(conn))
            .map(|(conn, line)| (under.flood.skip.contains(&line.peer.short()), 0, conn))
            .collect();
        if fresh.is_empty() {
            return self.end_flood(id, cx, out);
        }
        fresh.iter_mut().for_each(|entry| entry.1 = cx.dice.bits());
        fresh.sort_unstable();
        fresh.truncate(under.flood.fan_out.into());
        let Some(under) = self.floods.under.get_mut(id) else { return };
        under.wave += 1;
        let wave = under.wave;
        let wanted = usize::from(under.flood.wanted).saturating_sub(under.got).max(1);
        let further = Flood {
            hops: under.flood.hops - 1,
            wanted: u16::try_from(wanted).unwrap_or(u16::MAX),
            deadline_ms: u32::try_from((left - HASTE).as_millis()).unwrap_or(u32::MAX),
            ..under.flood.clone()
        };
        for (_, _, conn) in fresh {
            under.waiting.insert(conn);
            under.asked.insert(conn);
            out.send_to(conn, Message::Query(Box::new(further.clone())));
        }
        // Who asks again after this wave waits for some time only; who does not waits as long as there is.
        let patience = if under.first { left.min(settings.wave_patience) } else { left };
        out.wake(cx.now + patience, Timer::Wave(*id, wave));
    }

    pub(super) fn on_flood_results(
        &mut self,
        conn: ConnId,
        id: &[u8; 16],
        mut groups: Vec<Group<A>>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let max = self.config.0.answer_groups_max;
        let Some(under) = self.floods.under.get(id).filter(|under| under.asked.contains(&conn)) else {
            return out.note(Level::Debug, "results_late", None, "");
        };
        // Nobody answers with more than was asked for, many times over.
        let room = max.max(usize::from(under.flood.wanted)).saturating_mul(4).saturating_sub(under.got);
        if groups.len() > room {
            out.note(Level::Drop, "too_many_results", self.lines.get(conn).map(|line| line.peer.clone()), "");
            groups.truncate(room);
        }
        self.answer(id, groups, cx, out);
    }

    pub(super) fn on_flood_end(&mut self, conn: ConnId, id: &[u8; 16], reached: &[u32], cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(under) = self.floods.under.get_mut(id) else { return };
        if !under.waiting.remove(&conn) {
            return;
        }
        for short in reached {
            if under.reached.len() < SHORTS_MAX {
                under.reached.insert(*short);
            }
        }
        if under.waiting.is_empty() {
            self.next_wave(id, cx, out);
        }
    }

    pub(super) fn on_wave_over(&mut self, id: &[u8; 16], wave: u16, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(under) = self.floods.under.get_mut(id).filter(|under| under.wave == wave) else { return };
        under.waiting.clear();
        self.next_wave(id, cx, out);
    }

    fn end_flood(&mut self, id: &[u8; 16], cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(under) = self.floods.under.remove(id) else { return };
        let reached: Vec<u32> = under.reached.into_iter().take(SHORTS_MAX).collect();
        match under.origin {
            Origin::Us => self.on_own_end(id, &reached, cx, out),
            Origin::Line(conn) => out.send_to(conn, Message::QueryEnd(*id, reached)),
        }
    }

    /// Nobody wants the answer any more.
    pub(super) fn on_query_stop(&mut self, conn: ConnId, id: &[u8; 16], out: &mut Out<A>) {
        let Some(under) = self.floods.under.get(id).filter(|under| under.origin == Origin::Line(conn)) else { return };
        for &asked in &under.waiting {
            out.send_to(asked, Message::QueryStop(*id));
        }
        self.floods.under.remove(id);
    }

    pub(super) fn stop_own_flood(&mut self, id: &[u8; 16], out: &mut Out<A>) {
        let Some(under) = self.floods.under.remove(id) else { return };
        for asked in under.waiting {
            out.send_to(asked, Message::QueryStop(*id));
        }
    }

    /// Whoever asked over this connection is gone.
    pub(super) fn floods_of(&mut self, conn: ConnId, out: &mut Out<A>) {
        let gone: Vec<[u8; 16]> =
            self.floods.under.iter().filter(|(_, under)| under.origin == Origin::Line(conn)).map(|(id, _)| *id).collect();
        gone.iter().for_each(|id| self.stop_own_flood(id, out));
    }

    /// A supernode that was asked is gone: nothing more will come of it.
    pub(super) fn on_asked_supernode_lost(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let asked: Vec<[u8; 16]> = self.floods.under.iter().filter(|(_, under)| under.waiting.contains(&conn)).map(|(id, _)| *id).collect();
        for id in asked {
            self.on_flood_end(conn, &id, &[], cx, out);
        }
    }

    /// We are no supernode any more.
    pub(super) fn end_floods(&mut self, out: &mut Out<A>) {
        debug_assert_eq!(self.role, Role::Leaf);
        let own: Vec<[u8; 16]> = self.floods.under.iter().filter(|(_, under)| under.origin == Origin::Us).map(|(id, _)| *id).collect();
        self.floods = Floods::default();
        self.searches_go_elsewhere(&own, out);
    }
}
