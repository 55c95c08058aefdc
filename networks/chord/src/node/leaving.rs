//! Leaving in order: what we own is handed over, what we have published is taken back, the neighbours are told, and then we are silent.

use hexad_core::{Context, OpId, Progress, Span};

use super::errands::distinct_hosts;
use super::queries::About;
use super::{Node, Out, Stage, Timer};
use crate::id::RingId as _;
use crate::place::{Contact as _, Place};
use crate::wire::{Body, Item, Value};

/// Handing over may take so long.
const FAREWELL_DEADLINE: Span = Span::from_secs(10);

impl<A: Place> Node<A> {
    /// Hands everything over, and leaves when that is done or has taken too long.
    pub(super) fn start_leave(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.member = None;
        let deadline = cx.now + FAREWELL_DEADLINE;
        self.busy().leaving = Some((op, deadline));
        out.wake(deadline, Timer::Leave);
        let copies = usize::from(self.config.0.copies.max(1));
        let own = self.addr.clone();
        // Nobody could fetch from us any more.
        let is_ours = |item: &Item<A>| matches!(&item.value, Value::Reference(record) if Some(&record.publisher) == own.as_ref());
        for at in 0..self.rings.len() {
            let ring = &self.rings[at];
            if ring.stage != Stage::Member {
                continue;
            }
            let (vnode, me) = (ring.me.vnode(), ring.me.clone());
            let owns = |key: &crate::id::Key| ring.owns(A::Id::of_key(key));
            // Without us the copies stand one node further on: the last of these has none so far.
            let heirs: Vec<A::Contact> = distinct_hosts::<A>(&me, &ring.succ).filter(|heir| !self.is_gone(heir)).take(copies).collect();
            let Some(busy) = &self.busy else { continue };
            let held = busy.store.names(owns).filter_map(|(key, slot, _)| busy.store.item(&(key, slot), cx.now));
            let items: Vec<_> = held.filter(|item| !is_ours(item)).collect();
            for heir in heirs {
                for batch in super::replicas::batches(items.clone()) {
                    self.ask(vnode, &heir, About::Farewell { op }, Body::Copy(batch), cx, out);
                }
            }
        }
        self.on_farewell_end(op, cx, out);
    }

    /// A publication has been taken back from one of those who held it.
    pub(super) fn on_withdrawn(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Some((op, _)) = self.busy().leaving {
            self.on_farewell_end(op, cx, out);
        }
    }

    /// Some of what we own has been taken over, or has not.
    pub(super) fn on_farewell_end(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let busy = self.busy();
        let waiting = busy.queries.values().any(|query| query.about == About::Farewell { op })
            || busy.errands.values().any(super::errands::Errand::withdraws);
        if !waiting && self.busy().leaving.is_some_and(|(leaving, _)| leaving == op) {
            self.leave(op, cx, out);
        }
    }

    pub(super) fn on_leave_late(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        match self.busy.as_ref().and_then(|busy| busy.leaving) {
            Some((op, deadline)) if cx.now >= deadline => self.leave(op, cx, out),
            Some(_) => {}
            None => self.hello_again(cx, out),
        }
    }

    fn leave(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.busy().leaving = None;
        let neighbours: Vec<(u8, A::Contact)> = self
            .rings
            .iter()
            .filter(|ring| ring.stage == Stage::Member)
            .flat_map(|ring| {
                let told = if ring.nursery { ring.succ.len() } else { 1 };
                ring.prdc.iter().chain(ring.succ.iter().take(told)).map(|contact| (ring.me.vnode(), contact.clone())).collect::<Vec<_>>()
            })
            .collect();
        for (vnode, neighbour) in neighbours {
            if self.rings.iter().all(|ring| ring.me != neighbour) {
                self.tell(vnode, &neighbour, Body::Leave, cx, out);
            }
        }
        self.be_nobody(out);
        out.report(op, Progress::Ended);
    }
}
