//! What we publish (C4): a reference under each digest of a share and under each word of its name, renewed until it is taken back.

use std::sync::Arc;

use hexad_content::{Digest, Proof, Ranges};
use hexad_core::{Context, Failure, OpId, Progress, Share, ShareId, Span};

use super::errands::{Deed, Ended, Whom};
use super::{Node, Out, Timer, failed};
use crate::id::Key;
use crate::place::Place;
use crate::wire::{DIGESTS_MAX, Item, NAME_BYTES_MAX, Record, Value, key_of_digest};
use crate::words::words_of;
use hexad_content::info;

/// Puts of one publication under way at the same time.
const AT_ONCE: usize = 8;

/// One share that is being published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publishing {
    pub(super) share: ShareId,
    /// Proven since the share was put among ours.
    pub(super) held: Ranges,
    /// Where it still has to be put in this round.
    todo: Vec<Key>,
    /// Puts that are not yet answered.
    waiting: usize,
    /// Puts of this round that worked.
    stored: usize,
    done: bool,
    seq: u32,
}

impl std::hash::Hash for Publishing {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.share, &self.todo, self.waiting, self.stored, self.done, self.seq).hash(state);
    }
}

/// The digests of a share as a reference names them: the one that proves it first.
pub(super) fn digests_of(share: &Share) -> Option<Vec<Digest>> {
    let proving = match &share.proof {
        Some(Proof::Tree(tree)) => Digest::Content(tree.content()),
        _ => Digest::TorrentV1(info::hash(&share.info()?)),
    };
    let others = share.digests.iter().filter(|digest| **digest != proving).copied();
    Some(std::iter::once(proving).chain(others).take(DIGESTS_MAX).collect())
}

/// The reference to a share.
fn record_of<A: Place>(share: &Share, own: &A) -> Option<Record<A>> {
    let name = share.layout.name();
    let name = name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned();
    Some(Record { publisher: own.clone(), digests: digests_of(share)?, size_bytes: share.layout.total_bytes(), name })
}

fn keys_of<A>(record: &Record<A>) -> Vec<Key> {
    let mut keys: Vec<Key> = record.digests.iter().map(key_of_digest).collect();
    keys.extend(words_of(&record.name).map(|word| Key::of_word(&word)));
    // Neighbours on the ring are reached one after the other.
    keys.sort_unstable();
    keys.dedup();
    keys
}

impl<A: Place> Node<A> {
    pub(super) fn start_publish(&mut self, op: OpId, share: ShareId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(own) = self.addr.clone().filter(|_| self.is_member()) else {
            return failed(op, Failure::NotReady("not in a ring".into()), out);
        };
        let Some(ours) = cx.shares.share(share) else {
            return failed(op, Failure::NotReady(format!("there is no share {}", share.0)), out);
        };
        if ours.is_private() {
            return failed(op, Failure::Unusable("a private torrent does not leave BitTorrent".into()), out);
        }
        let Some(record) = record_of(ours, &own) else {
            return failed(op, Failure::Unusable("expected a share whose pieces are hashed, came one without".into()), out);
        };
        let todo = keys_of(&record);
        let publishing = Publishing { share, held: Ranges::new(), todo, waiting: 0, stored: 0, done: false, seq: 0 };
        self.busy().publishings.insert(op, publishing);
        self.publish_more(op, cx, out);
    }

    /// Puts the reference where it still has to be put.
    fn publish_more(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let ttl_s = u32::try_from(self.config.0.reference_ttl.as_secs()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(cx.unix_s()).unwrap_or(u32::MAX);
        let Some(own) = self.addr.clone() else { return };
        loop {
            // Whoever publishes ten thousand files leaves room for what somebody waits for.
            let is_crowded = self.busy().errands.len() >= self.config.0.errands_max / 2;
            let Some(publishing) = self.busy().publishings.get_mut(&op) else { return };
            if publishing.waiting >= AT_ONCE {
                return;
            }
            if is_crowded && !publishing.todo.is_empty() {
                self.busy().waiting.insert(op);
                return;
            }
            let Some(record) = cx.shares.share(publishing.share).and_then(|share| record_of(share, &own)) else {
                publishing.todo.clear();
                break;
            };
            let Some(key) = publishing.todo.pop() else { break };
            publishing.waiting += 1;
            publishing.seq = publishing.seq.max(seconds);
            let seq = publishing.seq;
            let item = Item { key, ttl_s, seq, value: Value::Reference(Arc::new(record)) };
            self.start_errand(Deed::Put(Box::new(item)), Whom::Publishing(op), cx, out);
        }
        self.publish_ends(op, cx, out);
    }

    /// Something is done: publications that have waited for that go on, as far as there is room.
    pub(super) fn publish_those_who_wait(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        while self.busy.as_ref().is_some_and(|busy| busy.errands.len() < self.config.0.errands_max / 2)
            && let Some(op) = self.busy().waiting.pop_first()
        {
            self.publish_more(op, cx, out);
        }
    }

    /// One put was answered.
    pub(super) fn on_published(&mut self, op: OpId, _: Key, ended: &Ended<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(publishing) = self.busy().publishings.get_mut(&op) else { return };
        publishing.waiting -= 1;
        publishing.stored += usize::from(matches!(ended, Ended::Stored(_)));
        self.publish_more(op, cx, out);
    }

    /// A round is over: the publication is in effect, and is renewed in time.
    fn publish_ends(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let every = u64::try_from(self.config.0.republish_every.as_micros()).unwrap_or(u64::MAX);
        let Some(publishing) = self.busy().publishings.get_mut(&op) else { return };
        if publishing.waiting > 0 || !publishing.todo.is_empty() {
            return;
        }
        if !publishing.done && publishing.stored == 0 {
            self.busy().publishings.remove(&op);
            return failed(op, Failure::TimedOut(self.config.0.errand_deadline.as_secs()), out);
        }
        // Ten thousand publications rest at a time.
        publishing.todo = Vec::new();
        if !std::mem::replace(&mut publishing.done, true) {
            out.report(op, Progress::Done);
        }
        // A fifth more or less, so that not all publishers come at the same time.
        let wait = every / 5 * 4 + cx.dice.below((every / 5 * 2).max(1));
        out.wake(cx.now + Span::from_micros(wait), Timer::Publishing(op));
    }

    pub(super) fn on_republish(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(own) = self.addr.clone() else { return };
        let Some(publishing) = self.busy.as_mut().and_then(|busy| busy.publishings.get_mut(&op)) else { return };
        let Some(record) = cx.shares.share(publishing.share).and_then(|share| record_of(share, &own)) else { return };
        if publishing.waiting == 0 && publishing.todo.is_empty() {
            publishing.todo = keys_of(&record);
            publishing.stored = 0;
            publishing.seq += 1;
            self.publish_more(op, cx, out);
        }
    }

    /// Takes a publication back, wherever it was put.
    pub(super) fn cancel_publish(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(own) = self.addr.clone() else { return };
        let Some(publishing) = self.busy().publishings.remove(&op) else { return };
        if let Some(record) = cx.shares.share(publishing.share).and_then(|share| record_of(share, &own)) {
            for key in keys_of(&record) {
                let value = Value::Reference(Arc::new(record.clone()));
                let slot = Item { key, ttl_s: 0, seq: 0, value }.slot();
                self.start_errand(Deed::Withdraw(key, slot, publishing.seq), Whom::Nobody, cx, out);
            }
        }
        out.report(op, Progress::Ended);
    }
}
