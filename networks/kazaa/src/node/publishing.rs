//! What we publish: a signed record for each share, known to all our supernodes, or in our own index while we are one.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use hexad_content::{Digest, Proof, Ranges, info};
use hexad_core::{Answer, Ask, ConnId, Context, CpuJob, CpuResult, Failure, Level, Map, OpId, Output, Progress, Set, Share, ShareId, Span};

use super::index::{Index, sum_of};
use super::lines::Kind;
use super::{Node, Out, Role, SIGN_TICKET, Timer, failed};
use crate::place::Place;
use crate::wire::{BATCH_MAX, Batch, DIGESTS_MAX, Media, Message, NAME_BYTES_MAX, Record};

/// What is published within so long of each other is signed together.
const GATHER: Span = Span::from_millis(10);
/// A host that could not sign is asked again after so long.
const SIGN_AGAIN: Span = Span::from_secs(5);
/// A publication that no supernode has taken by then has failed.
const PATIENCE: Span = Span::from_secs(60);
/// Numbers in one message.
const NUMBERS_MAX: usize = 512;

/// One share that is published.
#[derive(Debug)]
pub(super) struct Publishing {
    pub(super) share: ShareId,
    /// Proven since the share was put among ours.
    pub(super) held: Ranges,
    number: u32,
    done: bool,
    /// Supernodes that do not take it.
    refused: usize,
}

#[derive(Debug)]
struct Mine {
    op: OpId,
    record: Arc<Record>,
    hash: [u8; 32],
}

/// A batch as it is sent, and what of it is no longer offered.
#[derive(Debug)]
struct Signed {
    batch: Arc<Batch>,
    gone: Set<u32>,
}

/// All that we publish.
#[derive(Debug, Default)]
pub(super) struct Ours {
    publishings: Map<OpId, Publishing>,
    records: Map<u32, Mine>,
    by_digest: Map<Digest, u32>,
    next_number: u32,
    sequence: u64,
    unsigned: Set<u32>,
    signing: Option<Batch>,
    batches: Map<u64, Signed>,
    gathering: bool,
}

/// How far a supernode of ours is with what we publish.
#[derive(Debug, Default)]
pub(super) struct Sync {
    stage: Stage,
    /// Records from this number on were not in the sum about which it was asked.
    from: u32,
    todo: VecDeque<u64>,
    unacked: Set<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// It was asked whether it knows all still.
    #[default]
    Asked,
    /// It is told everything.
    Listing,
    /// It knows everything but what is on its way.
    Ready,
}

impl Sync {
    /// Whether it knows everything.
    pub(super) fn is_settled(&self) -> bool {
        self.stage == Stage::Ready && self.todo.is_empty() && self.unacked.is_empty()
    }
}

/// The digest that proves a share; `None` where its pieces are not hashed.
pub(super) fn proving(share: &Share) -> Option<Digest> {
    match &share.proof {
        Some(Proof::Tree(tree)) => Some(Digest::Content(tree.content())),
        _ => share.info().map(|bytes| Digest::TorrentV1(info::hash(&bytes))),
    }
}

fn record_of(number: u32, share: &Share) -> Option<Record> {
    let digest = proving(share)?;
    let others = share.digests.iter().filter(|other| **other != digest).take(DIGESTS_MAX).copied().collect();
    let name = share.layout.name();
    let name = name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned();
    let media = if share.layout.is_single() { Media::of_name(&name) } else { Media::Other };
    Some(Record { number, digest, others, size_bytes: share.layout.total_bytes(), media, name, tags: Vec::new() })
}

impl Ours {
    /// Puts all records into an index of our own.
    pub(super) fn file_all<A: Place>(&self, index: &mut Index<A>) {
        for mine in self.records.values() {
            let _ = index.add_own(&mine.record);
        }
    }

    /// The share of that digest that we publish.
    pub(super) fn share_of(&self, digest: &Digest) -> Option<ShareId> {
        let mine = self.records.get(self.by_digest.get(digest)?)?;
        self.publishings.get(&mine.op).map(|publishing| publishing.share)
    }

    /// What has been proven of a share since it was put among ours.
    pub(super) fn held_since(&self, share: ShareId) -> impl Iterator<Item = &Ranges> {
        self.publishings.values().filter(move |publishing| publishing.share == share).map(|publishing| &publishing.held)
    }

    /// More of a share is proven.
    pub(super) fn proven(&mut self, share: ShareId, range: &Range<u64>) {
        for publishing in self.publishings.values_mut().filter(|publishing| publishing.share == share) {
            publishing.held.insert(range.clone());
        }
    }

    fn sum(&self) -> [u8; 32] {
        sum_of(self.records.iter().map(|(&number, mine)| (number, &mine.hash)))
    }

    pub(super) fn forget_parents(&mut self) {
        self.publishings.values_mut().for_each(|publishing| publishing.refused = 0);
    }
}

impl<A: Place> Node<A> {
    pub(super) fn start_publish(&mut self, op: OpId, share: ShareId, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member.is_none() {
            return failed(op, Failure::NotReady("not in the network".into()), out);
        }
        let Some(ours) = cx.shares.share(share) else {
            return failed(op, Failure::NotReady(format!("there is no share {}", share.0)), out);
        };
        if ours.is_private() {
            return failed(op, Failure::Unusable("a private torrent does not leave BitTorrent".into()), out);
        }
        if self.ours.publishings.len() >= self.config.0.publishings_max {
            return failed(op, Failure::Full("publications"), out);
        }
        let number = self.ours.next_number;
        let Some(record) = record_of(number, ours).map(Arc::new) else {
            return failed(op, Failure::Unusable("expected a share whose pieces are hashed, came one without".into()), out);
        };
        self.ours.next_number += 1;
        self.ours.publishings.insert(op, Publishing { share, held: Ranges::new(), number, done: false, refused: 0 });
        self.ours.by_digest.insert(record.digest, number);
        self.ours.records.insert(number, Mine { op, hash: record.hash(), record: record.clone() });
        self.ours.unsigned.insert(number);
        if let Some(index) = &mut self.index {
            if let Err(why) = index.add_own(&record) {
                self.withdraw(op, out);
                return failed(op, Failure::Refused(why.to_string()), out);
            }
            self.publication_is_known(op, out);
        } else {
            out.wake(cx.now + PATIENCE, Timer::Publish(op));
        }
        self.sign_soon(cx, out);
    }

    fn publication_is_known(&mut self, op: OpId, out: &mut Out<A>) {
        if let Some(publishing) = self.ours.publishings.get_mut(&op)
            && !std::mem::replace(&mut publishing.done, true)
        {
            out.report(op, Progress::Done);
        }
    }

    /// We are a supernode: what we publish is in our own index.
    pub(super) fn publications_are_ours(&mut self, out: &mut Out<A>) {
        let all: Vec<OpId> = self.ours.publishings.keys().copied().collect();
        all.into_iter().for_each(|op| self.publication_is_known(op, out));
    }

    fn sign_soon(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        // A supernode signs nothing: what it publishes is in its own index.
        if self.role == Role::Leaf && !self.ours.unsigned.is_empty() && !std::mem::replace(&mut self.ours.gathering, true) {
            out.wake(cx.now + GATHER, Timer::Sign);
        }
    }

    /// Has the next batch signed.
    pub(super) fn sign_more(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.ours.gathering = false;
        loop {
            let Some(own) = self.addr.clone().filter(|_| self.role == Role::Leaf) else { return };
            let ours = &mut self.ours;
            if ours.signing.is_some() || ours.unsigned.is_empty() {
                return;
            }
            let numbers: Vec<u32> = ours.unsigned.iter().take(BATCH_MAX).copied().collect();
            let records = numbers.iter().filter_map(|number| ours.records.get(number).map(|mine| (*mine.record).clone())).collect();
            numbers.iter().for_each(|number| {
                ours.unsigned.remove(number);
            });
            ours.sequence += 1;
            let batch = Batch { sequence: ours.sequence, unix_s: cx.unix_s(), signature: [0; 64], records };
            let message = batch.signed_bytes();
            match own.pretend(&message) {
                Some(signature) => self.batch_is_signed(Batch { signature, ..batch }, cx, out),
                None => {
                    ours.signing = Some(batch);
                    return out.push(Output::Ask(SIGN_TICKET, Ask::Work(CpuJob::Sign(message.into()))));
                }
            }
        }
    }

    /// The host has signed a batch, or could not.
    pub(super) fn on_signed(&mut self, answer: Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(batch) = self.ours.signing.take() else { return };
        let signature = match answer {
            Answer::Worked(CpuResult::Bytes(bytes)) => bytes[..].try_into().ok(),
            _ => None,
        };
        match signature {
            Some(signature) => self.batch_is_signed(Batch { signature, ..batch }, cx, out),
            None => {
                out.note(Level::Warn, "not_signed", None, "the host does not sign what is published");
                let there = batch.records.iter().map(|record| record.number).filter(|number| self.ours.records.contains_key(number));
                self.ours.unsigned.extend(there.collect::<Vec<_>>());
                self.ours.gathering = true;
                return out.wake(cx.now + SIGN_AGAIN, Timer::Sign);
            }
        }
        self.sign_more(cx, out);
    }

    fn batch_is_signed(&mut self, batch: Batch, cx: &mut Context<'_>, out: &mut Out<A>) {
        let gone: Set<u32> =
            batch.records.iter().map(|record| record.number).filter(|number| !self.ours.records.contains_key(number)).collect();
        let sequence = batch.sequence;
        self.ours.batches.insert(sequence, Signed { batch: Arc::new(batch), gone });
        for conn in self.lines.of(|kind| matches!(kind, Kind::Parent(_))) {
            if let Some(parent) = self.lines.parent_mut(conn)
                && parent.sync.stage != Stage::Asked
            {
                parent.sync.todo.push_back(sequence);
            }
            self.publish_more(conn, cx, out);
        }
    }

    /// A supernode has taken us: it is asked whether it knows what we offer.
    pub(super) fn begin_publishing(&mut self, conn: ConnId, out: &mut Out<A>) {
        let (count, sum) = (u32::try_from(self.ours.records.len()).unwrap_or(u32::MAX), self.ours.sum());
        let Some(parent) = self.lines.parent_mut(conn) else { return };
        parent.sync = Sync { from: self.ours.next_number, ..Sync::default() };
        out.send_to(conn, Message::Begin(count, sum));
    }

    pub(super) fn on_resume(&mut self, conn: ConnId, known: bool, cx: &mut Context<'_>, out: &mut Out<A>) {
        let all: Vec<u64> = self.ours.batches.keys().copied().collect();
        let Some(parent) = self.lines.parent_mut(conn) else { return };
        if parent.sync.stage != Stage::Asked {
            return;
        }
        if known {
            // What was published while the question was on its way is still to be told.
            let from = parent.sync.from;
            let has_later = |signed: &Signed| signed.batch.records.iter().any(|record| record.number >= from);
            parent.sync.stage = Stage::Ready;
            parent.sync.todo = self.ours.batches.iter().filter(|(_, signed)| has_later(signed)).map(|(&sequence, _)| sequence).collect();
            let ops: Vec<OpId> =
                self.ours.publishings.iter().filter(|(_, publishing)| publishing.number < from).map(|(&op, _)| op).collect();
            ops.into_iter().for_each(|op| self.publication_is_known(op, out));
            return self.publish_more(conn, cx, out);
        }
        parent.sync.stage = Stage::Listing;
        parent.sync.todo = all.into();
        self.publish_more(conn, cx, out);
        self.sign_soon(cx, out);
    }

    /// Sends a supernode what it does not know, while there is room.
    pub(super) fn publish_more(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(parent) = self.lines.parent_mut(conn) else { return };
        let sync = &mut parent.sync;
        let mut room = cx.room(conn);
        while let Some(sequence) = sync.todo.front().copied() {
            // Up to over the mark: only then does the host say when there is room again.
            if room == 0 {
                return;
            }
            sync.todo.pop_front();
            let Some(signed) = self.ours.batches.get(&sequence) else { continue };
            let message = Message::Publish(Box::new((*signed.batch).clone()));
            room = room.saturating_sub(hexad_core::Message::wire_bytes(&message));
            sync.unacked.insert(sequence);
            out.send_to(conn, message);
        }
        if sync.stage == Stage::Listing && self.ours.unsigned.is_empty() && self.ours.signing.is_none() {
            sync.stage = Stage::Ready;
            out.send_to(conn, Message::End);
            let gone: Vec<u32> = self.ours.batches.values().flat_map(|signed| signed.gone.iter().copied()).collect();
            for numbers in gone.chunks(NUMBERS_MAX) {
                out.send_to(conn, Message::Withdraw(numbers.to_vec()));
            }
        }
    }

    /// A supernode has taken a batch, or some of it.
    pub(super) fn on_published(&mut self, conn: ConnId, sequence: u64, refused: &[u32], out: &mut Out<A>) {
        let Some(parent) = self.lines.parent_mut(conn) else { return };
        if !parent.sync.unacked.remove(&sequence) {
            return;
        }
        let Some(batch) = self.ours.batches.get(&sequence).map(|signed| signed.batch.clone()) else { return };
        let parents = self.lines.parents();
        for record in &batch.records {
            let Some(op) = self.ours.records.get(&record.number).map(|mine| mine.op) else { continue };
            if !refused.contains(&record.number) {
                self.publication_is_known(op, out);
                continue;
            }
            let Some(publishing) = self.ours.publishings.get_mut(&op) else { continue };
            publishing.refused += 1;
            if !publishing.done && publishing.refused >= parents {
                self.withdraw(op, out);
                failed(op, Failure::Refused("the supernodes take no more of our files".into()), out);
            }
        }
    }

    pub(super) fn on_publish_late(&mut self, op: OpId, out: &mut Out<A>) {
        if self.ours.publishings.get(&op).is_some_and(|publishing| !publishing.done) {
            self.withdraw(op, out);
            failed(op, Failure::TimedOut(PATIENCE.as_secs()), out);
        }
    }

    pub(super) fn cancel_publish(&mut self, op: OpId, out: &mut Out<A>) {
        if self.withdraw(op, out) {
            out.report(op, Progress::Ended);
        }
    }

    /// Takes a publication back, wherever it is known.
    fn withdraw(&mut self, op: OpId, out: &mut Out<A>) -> bool {
        let Some(publishing) = self.ours.publishings.remove(&op) else { return false };
        let number = publishing.number;
        self.ours.unsigned.remove(&number);
        if let Some(mine) = self.ours.records.remove(&number)
            && self.ours.by_digest.get(&mine.record.digest) == Some(&number)
        {
            self.ours.by_digest.remove(&mine.record.digest);
            let same = self.ours.records.iter().find(|(_, other)| other.record.digest == mine.record.digest).map(|(number, _)| *number);
            if let Some(same) = same {
                self.ours.by_digest.insert(mine.record.digest, same);
            }
        }
        self.ours.batches.retain(|_, signed| {
            if signed.batch.records.iter().any(|record| record.number == number) {
                signed.gone.insert(number);
            }
            signed.gone.len() < signed.batch.records.len()
        });
        if let Some(index) = &mut self.index {
            index.remove_own(number);
        }
        for conn in self.lines.of(|kind| matches!(kind, Kind::Parent(parent) if parent.sync.stage != Stage::Asked)) {
            out.send_to(conn, Message::Withdraw(vec![number]));
        }
        true
    }
}
