//! Puts and gets (C1, C4, C6): the owner is looked up, asked, and where it is silent the next ones are.

use bytes::Bytes;
use hexad_core::{Context, Failure, OpId, Progress, Span, Time};

use super::lookups::Purpose;
use super::queries::{About, same_host};
use super::{Found, Node, Out, Reply, failed};
use crate::id::Key;
use crate::place::{Contact as _, Place};
use crate::wire::{Body, Get, Item, Items, Reason, VALUE_BYTES_MAX, Value};

/// Between two attempts at what did not work.
const AGAIN: Span = Span::from_secs(1);

/// What is to be done at the owner of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Deed<A> {
    /// Store.
    Put(Box<Item<A>>),
    /// Ask for.
    Get(Box<Get>),
    /// Take back.
    Withdraw(Key, u64, u32),
    /// Give to its owner what we hold and nobody wants here.
    Hand(Box<Item<A>>),
}

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whom {
    /// A user's put or get.
    User(OpId),
    /// A share that is being published.
    Publishing(OpId),
    /// A word of a search: which, and whether it is only counted.
    Search(OpId, usize, bool),
    /// A fetch that looks for sources.
    Fetch(OpId),
    /// The store, which then lets the item go.
    HandOver(Key, u64),
    /// Nobody waits for it.
    Nobody,
}

/// One put or get under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Errand<A: Place> {
    pub(super) deed: Deed<A>,
    pub(super) whom: Whom,
    /// The owner, and who follows it; the first is asked.
    holders: Vec<A::Contact>,
    deadline: Time,
    /// Waits so long for another attempt.
    again: Option<Time>,
    /// Somebody has said that nothing is there.
    nothing: bool,
}

/// How an errand ended.
#[derive(Clone, Debug)]
pub enum Ended<A: Place> {
    /// Stored or withdrawn, in so many copies.
    Stored(u8),
    /// What was found, and who has told it.
    Found(Items<A>, A::Contact),
    /// Nothing is there.
    Nothing,
    /// Refused.
    Refused(Reason),
    /// Nobody answered.
    TimedOut,
}

impl<A: Place> Errand<A> {
    /// When it is looked at next if nothing happens.
    pub(super) fn due(&self) -> Time {
        self.again.map_or(self.deadline, |again| again.min(self.deadline))
    }

    /// Whether it takes something back.
    pub(super) fn withdraws(&self) -> bool {
        matches!(self.deed, Deed::Withdraw(..))
    }

    fn key(&self) -> Key {
        match &self.deed {
            Deed::Put(item) | Deed::Hand(item) => item.key,
            Deed::Get(get) => get.key,
            Deed::Withdraw(key, ..) => *key,
        }
    }

    fn body(&self) -> Body<A> {
        match &self.deed {
            Deed::Put(item) => Body::Put(item.clone()),
            Deed::Hand(item) => Body::Copy(vec![(**item).clone()]),
            Deed::Get(get) => Body::Get(get.clone()),
            Deed::Withdraw(key, slot, seq) => Body::Withdraw(Box::new((*key, *slot, *seq))),
        }
    }
}

impl<A: Place> Node<A> {
    pub(super) fn start_put(&mut self, op: OpId, name: Option<String>, value: Bytes, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(own) = self.addr.clone().filter(|_| self.is_member()) else {
            return failed(op, Failure::NotReady("not in a ring".into()), out);
        };
        if value.len() > VALUE_BYTES_MAX {
            return failed(op, Failure::Unusable(format!("expected at most {VALUE_BYTES_MAX} bytes, came {}", value.len())), out);
        }
        let (key, value) = match name {
            Some(name) => (Key::of_name(&name), Value::Named(own, value)),
            None => (Key::of_content(&value), Value::Content(value)),
        };
        let ttl_s = u32::try_from(self.config.0.value_ttl.as_secs()).unwrap_or(u32::MAX);
        let seq = u32::try_from(cx.unix_s()).unwrap_or(u32::MAX);
        self.start_errand(Deed::Put(Box::new(Item { key, ttl_s, seq, value })), Whom::User(op), cx, out);
    }

    pub(super) fn start_get(&mut self, op: OpId, key: Key, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.is_member() {
            return failed(op, Failure::NotReady("not in a ring".into()), out);
        }
        let limit = self.config.0.answer_items_max;
        self.start_errand(Deed::Get(Box::new(Get { key, words: Vec::new(), limit })), Whom::User(op), cx, out);
    }

    /// Starts to do something at the owner of a key.
    pub(super) fn start_errand(&mut self, deed: Deed<A>, whom: Whom, cx: &mut Context<'_>, out: &mut Out<A>) {
        let config = self.config.clone();
        let deadline = cx.now + config.0.errand_deadline;
        let errand = Errand { deed, whom, holders: Vec::new(), deadline, again: None, nothing: false };
        let busy = self.busy();
        if busy.errands.len() >= config.0.errands_max {
            return self.report_errand(&errand, Ended::Refused(Reason::Full), cx, out);
        }
        let number = busy.fresh(cx.dice);
        let key = errand.key();
        busy.errands.insert(number, errand);
        self.look_by(deadline);
        self.start_lookup(Purpose::Errand(number), key, Vec::new(), cx, out);
    }

    /// Asks somebody whose answer to a count is known already, without another lookup.
    pub(super) fn start_errand_at(&mut self, holder: A::Contact, get: Get, whom: Whom, cx: &mut Context<'_>, out: &mut Out<A>) {
        let deadline = cx.now + self.config.0.errand_deadline;
        let errand = Errand { deed: Deed::Get(Box::new(get)), whom, holders: vec![holder], deadline, again: None, nothing: false };
        let busy = self.busy();
        let number = busy.fresh(cx.dice);
        busy.errands.insert(number, errand);
        self.look_by(deadline);
        self.run_errand(number, cx, out);
    }

    /// The owner is found.
    pub(super) fn on_errand_found(&mut self, number: u32, found: Option<Found<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let copies = usize::from(self.config.0.copies);
        let Some(errand) = self.busy().errands.get_mut(&number) else { return };
        match found {
            None => self.errand_later(number, cx),
            Some(found) => {
                errand.holders = vec![found.owner];
                if matches!(errand.deed, Deed::Get(_)) {
                    errand.holders.extend(distinct_hosts::<A>(&errand.holders[0].clone(), &found.following).take(copies - 1));
                }
                self.run_errand(number, cx, out);
            }
        }
    }

    fn run_errand(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let vnode = self.config.0.first_vnode;
        let Some(errand) = self.busy().errands.get_mut(&number) else { return };
        if errand.holders.is_empty() {
            if errand.nothing {
                return self.end_errand(number, Ended::Nothing, cx, out);
            }
            return self.errand_later(number, cx);
        }
        let to = errand.holders.remove(0);
        let body = errand.body();
        self.ask(vnode, &to, About::Errand(number), body, cx, out);
    }

    /// The owner, or one of those who have copies, has answered or has not.
    pub(super) fn on_errand_end(&mut self, number: u32, to: &A::Contact, body: Option<Body<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(errand) = self.busy().errands.get_mut(&number) else { return };
        match body {
            Some(Body::Stored(copies)) => self.end_errand(number, Ended::Stored(copies), cx, out),
            Some(Body::Copied(count)) if count > 0 => self.end_errand(number, Ended::Stored(1), cx, out),
            Some(Body::Withdrawn) => self.end_errand(number, Ended::Stored(0), cx, out),
            Some(Body::Items(mut found)) => {
                // Whatever does not belong under the key is not what was asked for.
                let key = errand.key();
                found.items.retain(|item| item.key == key && item.is_in_place());
                if found.total == 0 || (found.items.is_empty() && !matches!(errand.whom, Whom::Search(..))) {
                    errand.nothing = true;
                    return self.run_errand(number, cx, out);
                }
                self.end_errand(number, Ended::Found(*found, to.clone()), cx, out);
            }
            Some(Body::Refused(reason @ (Reason::Forged | Reason::TooLarge | Reason::Quota | Reason::TooCommon | Reason::Full))) => {
                self.end_errand(number, Ended::Refused(reason), cx, out);
            }
            _ if matches!(errand.deed, Deed::Get(_)) => self.run_errand(number, cx, out),
            _ => self.errand_later(number, cx),
        }
    }

    fn errand_later(&mut self, number: u32, cx: &mut Context<'_>) {
        if let Some(errand) = self.busy().errands.get_mut(&number) {
            errand.again = Some(cx.now + AGAIN);
            let due = errand.due();
            self.look_by(due);
        }
    }

    /// It has lasted too long, or is to be tried again.
    pub(super) fn on_errand_due(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(errand) = self.busy.as_mut().and_then(|busy| busy.errands.get_mut(&number)) else { return };
        if cx.now >= errand.deadline {
            let ended = if errand.nothing { Ended::Nothing } else { Ended::TimedOut };
            return self.end_errand(number, ended, cx, out);
        }
        if errand.again.take().is_some() {
            let key = errand.key();
            self.start_lookup(Purpose::Errand(number), key, Vec::new(), cx, out);
        }
    }

    fn end_errand(&mut self, number: u32, ended: Ended<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(errand) = self.busy().errands.remove(&number) else { return };
        self.report_errand(&errand, ended, cx, out);
        self.publish_those_who_wait(cx, out);
    }

    fn report_errand(&mut self, errand: &Errand<A>, ended: Ended<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match errand.whom {
            Whom::User(op) => {
                let reply = match ended {
                    Ended::Stored(copies) => Ok(Reply::Put { key: errand.key(), copies }),
                    Ended::Found(found, _) => Ok(Reply::Got(found.items)),
                    Ended::Nothing => Err(Failure::NotFound(errand.key().to_string())),
                    Ended::Refused(Reason::Full) if errand.holders.is_empty() => Err(Failure::Full("puts and gets")),
                    Ended::Refused(reason) => Err(Failure::Refused(reason.words().into())),
                    Ended::TimedOut => Err(Failure::TimedOut(self.config.0.errand_deadline.as_secs())),
                };
                match reply {
                    Ok(reply) => {
                        out.report(op, Progress::Own(reply));
                        out.report(op, Progress::Done);
                    }
                    Err(failure) => failed(op, failure, out),
                }
            }
            Whom::Publishing(op) => self.on_published(op, errand.key(), &ended, cx, out),
            Whom::Search(op, word, counted) => self.on_searched(op, word, counted, ended, cx, out),
            Whom::Fetch(op) => self.on_sources(op, ended, cx, out),
            Whom::HandOver(key, slot) => self.on_handed_over(&(key, slot), matches!(ended, Ended::Stored(_))),
            Whom::Nobody => self.on_withdrawn(cx, out),
        }
    }

    /// A user's put or get is no longer wanted.
    pub(super) fn cancel_errand(&mut self, op: OpId, out: &mut Out<A>) {
        let Some(busy) = &mut self.busy else { return };
        let before = busy.errands.len();
        busy.errands.retain(|_, errand| errand.whom != Whom::User(op));
        if busy.errands.len() < before {
            out.report(op, Progress::Ended);
        }
    }
}

/// Nodes of other hosts than `first`, and each host once: copies on one machine die together.
pub fn distinct_hosts<'a, A: Place>(first: &A::Contact, following: &'a [A::Contact]) -> impl Iterator<Item = A::Contact> + 'a {
    let mut hosts: Vec<A> = vec![first.addr()];
    following.iter().filter_map(move |contact| {
        let addr = contact.addr();
        if hosts.iter().any(|host| same_host(host, &addr)) {
            return None;
        }
        hosts.push(addr);
        Some(contact.clone())
    })
}
