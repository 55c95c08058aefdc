//! Copies on the next successors (C14): made at a put, compared now and then and whenever the neighbours change, handed over at joins and leaves.

use hexad_core::{Context, Level, Span, Time};

use super::errands::{Deed, Whom, distinct_hosts};
use super::queries::{About, same_host};
use super::{Node, Out, Stage, Timer};
use crate::id::{Key, RingId as _, owns};
use crate::place::{Contact as _, Place};
use crate::wire::{Body, Differs, Get, Inventory, Item, Items, Message, NAMES_MAX, Reason};

/// Neighbours that change often are given so long to settle.
const REPAIR_SOON: Span = Span::from_secs(1);
/// Copies in one message, by bytes, so that no message is near the bound of frames.
const BATCH_BYTES: usize = 64 << 10;
/// Items that are handed over at the same time, because nobody wants them here.
const HAND_OVERS: usize = 32;
/// How many nodes may stand between an owner and the last one who is to have a copy, by estimate, before that is refused.
const SLACK: f64 = 16.0;

/// A put that waits for its copies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write<A: Place> {
    /// Whom to answer, from which virtual node, to which question.
    to: A,
    question: (u8, u8, u32),
    copies: u8,
    waiting: u8,
    answered: bool,
}

/// Whether a key lies behind `after` and up to `upto`.
fn within<A: Place>(after: Key, upto: Key) -> impl Fn(&Key) -> bool {
    let (after, upto) = (A::Id::of_key(&after), A::Id::of_key(&upto));
    move |key| owns(after, A::Id::of_key(key), upto)
}

impl<A: Place> Node<A> {
    /// Somebody publishes something here.
    pub(super) fn on_put(&mut self, from: &A, message: &Message<A>, item: Item<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let config = self.config.clone();
        let refuse = |reason: Reason, node: &mut Self, cx: &mut Context<'_>, out: &mut Out<A>| {
            out.note(Level::Drop, "put_refused", Some(from.clone()), reason.words());
            node.answer(from, message, Body::Refused(reason), cx, out);
        };
        if !self.is_ours(message.to, &item.key) {
            return refuse(Reason::Elsewhere, self, cx, out);
        }
        if item.publisher().is_some_and(|publisher| !same_host(publisher, from)) {
            return refuse(Reason::Forged, self, cx, out);
        }
        let full = self.busy.as_ref().is_some_and(|busy| busy.queries.len() >= config.0.queries_max);
        let stored = if full { Err(Reason::Full) } else { self.busy().store.put(item.clone(), Some(from), cx.now, &config.0) };
        if let Err(reason) = stored {
            return refuse(reason, self, cx, out);
        }
        let holders = self.copy_holders(message.to);
        if holders.is_empty() {
            return self.answer(from, message, Body::Stored(1), cx, out);
        }
        let busy = self.busy();
        let number = busy.fresh(cx.dice);
        let waiting = u8::try_from(holders.len()).unwrap_or(u8::MAX);
        let question = (message.from, message.to, message.query);
        busy.writes.insert(number, Write { to: from.clone(), question, copies: 1, waiting, answered: false });
        for holder in holders {
            self.ask(message.to, &holder, About::Copy { write: number }, Body::Copy(vec![item.clone()]), cx, out);
        }
    }

    /// One of those who are to have a copy has it, or has not.
    pub(super) fn on_copy_end(&mut self, number: u32, has_it: bool, cx: &mut Context<'_>, out: &mut Out<A>) {
        let enough = self.config.0.copies_acked;
        let Some(write) = self.busy().writes.get_mut(&number) else { return };
        write.copies += u8::from(has_it);
        write.waiting -= 1;
        let over = write.waiting == 0;
        if (over || write.copies >= enough) && !write.answered {
            write.answered = true;
            let (to, (asker, own, query), copies) = (write.to.clone(), write.question, write.copies);
            self.send(&to, Message { from: own, to: asker, query, body: Body::Stored(copies) }, cx, out);
        }
        if over {
            self.busy().writes.remove(&number);
        }
    }

    /// Whether a key is ours to answer for, as far as we know; where our predecessor is gone, what it owned is.
    pub(super) fn is_ours(&self, vnode: u8, key: &Key) -> bool {
        let place = A::Id::of_key(key);
        let Some(ring) = self.ring(vnode) else { return false };
        ring.owns(place) || ring.prdc.as_ref().is_none_or(|prdc| self.is_gone(prdc))
    }

    /// The next hosts, which hold copies of what we own.
    fn copy_holders(&self, vnode: u8) -> Vec<A::Contact> {
        let copies = usize::from(self.config.0.copies.max(1)) - 1;
        let Some(ring) = self.ring(vnode) else { return Vec::new() };
        let usable: Vec<A::Contact> = ring.succ.iter().filter(|contact| !self.is_gone(contact)).cloned().collect();
        distinct_hosts::<A>(&ring.me, &usable).take(copies).collect()
    }

    pub(super) fn on_get(&self, get: &Get, now: Time) -> Body<A> {
        let limit = usize::from(get.limit.min(self.config.0.answer_items_max));
        let (total, items) = self.busy.as_ref().map_or((0, Vec::new()), |busy| busy.store.get(&get.key, &get.words, limit, now));
        Body::Items(Box::new(Items { total: u32::try_from(total).unwrap_or(u32::MAX), items: fitting(items) }))
    }

    /// Copies of what somebody else owns, or of what we own and lacked.
    pub(super) fn on_copy(
        &mut self,
        vnode: u8,
        sender: &A::Contact,
        items: Vec<Item<A>>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) -> Body<A> {
        let config = self.config.clone();
        let mut taken = 0_u16;
        for item in items {
            if !self.may_hold(vnode, sender, &item.key) {
                out.note(Level::Drop, "copy_refused", Some(sender.addr()), Reason::Elsewhere.words());
                continue;
            }
            match self.busy().store.put(item, None, cx.now, &config.0) {
                Ok(()) => taken += 1,
                Err(reason) => out.note(Level::Drop, "copy_refused", Some(sender.addr()), reason.words()),
            }
        }
        Body::Copied(taken)
    }

    /// Whether it makes sense that we hold a key: we own it, or its owner stands only a few nodes before us.
    fn may_hold(&self, vnode: u8, sender: &A::Contact, key: &Key) -> bool {
        let Some(ring) = self.ring(vnode) else { return false };
        let place = A::Id::of_key(key);
        if ring.nursery || ring.owns(place) || ring.prdc.is_none() {
            return true;
        }
        let _ = sender;
        let spaces = place.distance(ring.id()).share() * ring.size_estimate();
        spaces <= f64::from(self.config.0.copies) * SLACK
    }

    /// The neighbours may have changed: if so, the copies are to be looked at soon.
    pub(super) fn neighbours_changed(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.config.0.copies < 2 {
            return;
        }
        let neighbours = self.fingerprint();
        if self.neighbours != neighbours {
            self.neighbours = neighbours;
            if self.busy().repair_at.is_none() {
                self.busy().repair_at = Some(cx.now + REPAIR_SOON);
                out.wake(cx.now + REPAIR_SOON, Timer::Repair);
            }
        }
    }

    /// A number for who our neighbours are, as far as copies go.
    pub(super) fn fingerprint(&self) -> u64 {
        let copies = usize::from(self.config.0.copies);
        let mut sum = 1_u64;
        for ring in &*self.rings {
            for contact in ring.prdc.iter().chain(ring.succ.iter().take(copies)) {
                let key = contact.id().to_key();
                sum = key.0[..8].iter().fold(sum, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
            }
        }
        sum
    }

    pub(super) fn on_repair(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = self.busy.as_mut().and_then(|busy| busy.seldom()) else { return };
        if busy.repair_at.is_some_and(|at| at <= cx.now) {
            busy.repair_at = None;
            self.repair(cx, out);
        }
    }

    /// What comes round for the store: items end, copies are compared, and what nobody wants here goes where it belongs.
    pub(super) fn tend_store(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let every = self.config.0.repair_every;
        let Some(busy) = self.busy.as_mut().and_then(|busy| busy.seldom()) else { return };
        busy.store.expire(cx.now);
        if busy.store.is_empty() || every.is_zero() || cx.now.since(busy.repaired) < every {
            return;
        }
        self.repair(cx, out);
        self.hand_over_unwanted(cx, out);
    }

    /// Compares what we own with those who are to have copies of it.
    fn repair(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.busy().repaired = cx.now;
        for at in 0..self.rings.len() {
            let ring = &self.rings[at];
            let (Some((after, upto)), Stage::Member, vnode) = (ring.arc(), ring.stage, ring.me.vnode()) else { continue };
            let holders = self.copy_holders(vnode);
            let inside = within::<A>(after, upto);
            let store = &mut self.busy().store;
            store.want(&inside, cx.now);
            let sums = store.sums(&inside);
            for holder in holders {
                let body = Body::Inventory(Box::new(Inventory { after, upto, sums }));
                self.ask(vnode, &holder, About::Inventory { vnode, arc: Box::new((after, upto)) }, body, cx, out);
            }
        }
    }

    /// An owner compares its arc with what we hold of it.
    pub(super) fn on_inventory(&mut self, theirs: &Inventory, now: Time) -> Body<A> {
        let inside = within::<A>(theirs.after, theirs.upto);
        let Some(busy) = &mut self.busy else {
            let parts = theirs.sums.iter().enumerate().filter(|(_, sum)| **sum != 0).fold(0, |parts, (part, _)| parts | 1 << part);
            return Body::Differs(Box::new(Differs { parts, held: Vec::new(), more: false }));
        };
        busy.store.want(&inside, now);
        let sums = busy.store.sums(&inside);
        let differs = |part: usize| sums[part] != theirs.sums[part];
        let parts = (0..sums.len()).filter(|&part| differs(part)).fold(0_u16, |parts, part| parts | 1 << part);
        let mut held: Vec<_> = busy.store.names(&inside).filter(|(key, slot, _)| differs(super::store::part_of(key, *slot))).collect();
        let more = held.len() > NAMES_MAX;
        held.truncate(NAMES_MAX);
        Body::Differs(Box::new(Differs { parts, held, more }))
    }

    /// One who is to have copies has told what it has: it is sent what it lacks, and asked for what we lack.
    pub(super) fn on_inventory_end(
        &mut self,
        vnode: u8,
        to: &A::Contact,
        (after, upto): (Key, Key),
        body: Option<Body<A>>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let Some(Body::Differs(differs)) = body else { return };
        if differs.parts == 0 {
            return;
        }
        let inside = within::<A>(after, upto);
        let concerned = |key: &Key, slot: u64| differs.parts & 1 << super::store::part_of(key, slot) != 0;
        let theirs: hexad_core::Map<(Key, u64), u32> = differs.held.iter().map(|&(key, slot, seq)| ((key, slot), seq)).collect();
        let now = cx.now;
        let store = &self.busy().store;
        let mut lacking = Vec::new();
        let mut ours = hexad_core::Set::new();
        for (key, slot, seq) in store.names(&inside).filter(|(key, slot, _)| concerned(key, *slot)) {
            ours.insert((key, slot));
            if theirs.get(&(key, slot)).is_none_or(|&their| their < seq)
                && let Some(item) = store.item(&(key, slot), now)
            {
                lacking.push(item);
            }
        }
        let mut wanted: Vec<(Key, u64)> = theirs.keys().filter(|name| inside(&name.0) && !ours.contains(name)).copied().collect();
        wanted.truncate(NAMES_MAX);
        for batch in batches(lacking) {
            self.ask(vnode, to, About::Push, Body::Copy(batch), cx, out);
        }
        if !wanted.is_empty() {
            self.ask(vnode, to, About::Pull, Body::Take(wanted), cx, out);
        }
    }

    pub(super) fn on_take(&self, wanted: &[(Key, u64)], now: Time) -> Body<A> {
        let items = self.busy.iter().flat_map(|busy| wanted.iter().filter_map(move |name| busy.store.item(name, now)));
        let items = fitting(items.collect());
        Body::Items(Box::new(Items { total: u32::try_from(items.len()).unwrap_or(u32::MAX), items }))
    }

    /// What we lacked has come.
    pub(super) fn on_pulled(&mut self, to: &A::Contact, body: Option<Body<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(Body::Items(found)) = body else { return };
        let config = self.config.clone();
        let mut stored = false;
        for item in found.items {
            let ours = self.rings.iter().any(|ring| self.may_hold(ring.me.vnode(), to, &item.key));
            if !ours {
                out.note(Level::Drop, "copy_refused", Some(to.addr()), Reason::Elsewhere.words());
            } else if let Err(reason) = self.busy().store.put(item, None, cx.now, &config.0) {
                out.note(Level::Drop, "copy_refused", Some(to.addr()), reason.words());
            } else {
                stored = true;
            }
        }
        if stored && self.busy().repair_at.is_none() {
            // The others who are to have copies may lack them as well, and there may be more than one answer holds.
            self.busy().repair_at = Some(cx.now + REPAIR_SOON);
            out.wake(cx.now + REPAIR_SOON, Timer::Repair);
        }
    }

    /// Whatever no owner has asked about for long is given to who owns it, and then dropped.
    fn hand_over_unwanted(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let long = self.config.0.repair_every * 5 / 2;
        let now = cx.now;
        let since = Time::from_micros(now.as_micros().saturating_sub(u64::try_from(long.as_micros()).unwrap_or(u64::MAX)));
        if since == Time::ZERO {
            return;
        }
        let store = &mut self.busy().store;
        let names = store.unwanted(since, HAND_OVERS);
        for name in names {
            if let Some(item) = self.busy().store.item(&name, now) {
                self.busy().store.keep(&name, now);
                self.start_errand(Deed::Hand(Box::new(item)), Whom::HandOver(name.0, name.1), cx, out);
            }
        }
    }

    pub(super) fn on_handed_over(&mut self, name: &(Key, u64), taken: bool) {
        let ours = self.rings.iter().any(|ring| ring.owns(A::Id::of_key(&name.0)));
        if taken && !ours {
            self.busy().store.remove(name);
        }
    }

    /// A publisher takes something back; those who hold copies are told.
    #[expect(clippy::too_many_arguments, reason = "what a withdrawal says, and the host")]
    pub(super) fn on_withdraw(
        &mut self,
        vnode: u8,
        from: &A,
        key: &Key,
        slot: u64,
        seq: u32,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) -> Body<A> {
        let config = self.config.clone();
        let name = (*key, slot);
        let store = &mut self.busy().store;
        let Some(publisher) = store.publisher(&name).cloned() else { return Body::Withdrawn };
        let is_owner_of_it = !same_host(&publisher, from);
        let from_owner = is_owner_of_it && self.ring(vnode).is_some_and(|ring| !ring.owns(A::Id::of_key(key)));
        if is_owner_of_it && !from_owner {
            out.note(Level::Drop, "withdrawal_by_another", Some(from.clone()), "");
            return Body::Refused(Reason::Forged);
        }
        self.busy().store.withdraw(name, seq, cx.now, &config.0);
        if !from_owner {
            for holder in self.copy_holders(vnode) {
                self.ask(vnode, &holder, About::Push, Body::Withdraw(Box::new((*key, slot, seq))), cx, out);
            }
        }
        Body::Withdrawn
    }
}

/// As many items as one answer carries.
fn fitting<A: Place>(items: Vec<Item<A>>) -> Vec<Item<A>> {
    let mut bytes = 0;
    items
        .into_iter()
        .take(crate::wire::ITEMS_MAX)
        .take_while(|item| {
            bytes += item.wire_bytes();
            bytes <= 1 << 20
        })
        .collect()
}

/// Items in messages of bearable size.
pub(super) fn batches<A: Place>(items: Vec<Item<A>>) -> Vec<Vec<Item<A>>> {
    let mut batches: Vec<Vec<Item<A>>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let more = item.wire_bytes();
        match batches.last_mut() {
            Some(batch) if bytes + more <= BATCH_BYTES && batch.len() < crate::wire::ITEMS_MAX => {
                bytes += more;
                batch.push(item);
            }
            _ => {
                bytes = more;
                batches.push(vec![item]);
            }
        }
    }
    batches
}
