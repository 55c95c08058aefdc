//! The session's part at one machine: its shares, its downloads with their engine, its disk, and what it was told.

use std::ops::Range;

use bytes::Bytes;
use hexad_content::{Proof, Ranges, sha1_lanes};
use hexad_core::{
    Answer, Ask, AskFailure, Bucket, CpuJob, CpuResult, Description, Input, LeaseId, Map, Network, OpId, Operation, Payload, Progress,
    Share, ShareId, Shares, Source, Ticket, Time, Token, Verdict,
};
use hexad_transfer::{Action, Config, Engine, Finding, Job};

use crate::dice::mix;
use crate::event::{Addr, Event, In, Mouth, Reply, Step};
use crate::tally::Tally;

/// What a node reported, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Report<Y> {
    /// When.
    pub at: Time,
    /// On what.
    pub op: OpId,
    /// What.
    pub progress: Progress<Y>,
}

/// What a user of a lab node wants to have.
#[derive(Clone, Debug)]
pub struct FetchPlan {
    /// From where.
    pub source: Source,
    /// The number of the right content, see [`content_of`].
    pub content: u64,
    /// Whether to go on as a seed when complete.
    pub seed: bool,
}

/// The numbers of a fetch in the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchIds {
    /// The fetch.
    pub op: OpId,
    /// Under which bytes are delivered.
    pub lease: LeaseId,
    /// What they become.
    pub share: ShareId,
    /// Gives on what has come.
    pub publishing: OpId,
}

/// The number by which the lab calls a content: the same for all who prove it by the same digests.
#[must_use]
pub fn content_of(proof: &Proof) -> u64 {
    let words = |number: u64, &byte: &u8| (number ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    mix(proof.identity().iter().fold(0, words))
}

/// What stands behind a share.
struct Content {
    number: u64,
    held: Ranges,
    lies: Ranges,
}

struct Fetch {
    ids: FetchIds,
    plan: FetchPlan,
    described: bool,
    completed_at: Option<Time>,
}

/// One machine's desk.
pub(crate) struct Desk<N: Network> {
    pub(crate) shares: Shares,
    contents: Map<ShareId, Content>,
    fetches: Map<OpId, Fetch>,
    engine: Option<Box<Engine>>,
    /// Verified ranges of downloads by content: what a journal keeps.
    disk: Map<u64, Ranges>,
    store: Map<(Bucket, Vec<u8>), Payload>,
    reports: Vec<Report<Reply<N>>>,
}

impl<N: Network> Desk<N> {
    pub(crate) const fn new() -> Self {
        Self {
            shares: Shares::new(),
            contents: Map::new(),
            fetches: Map::new(),
            engine: None,
            disk: Map::new(),
            store: Map::new(),
            reports: Vec::new(),
        }
    }

    pub(crate) fn set_share(&mut self, id: ShareId, share: Share, content: u64) {
        let held = share.held.clone();
        self.shares = self.shares.with(id, share);
        self.contents.insert(id, Content { number: content, held, lies: Ranges::new() });
    }

    pub(crate) fn remove_share(&mut self, id: ShareId) {
        self.shares = self.shares.without(id);
        self.contents.remove(&id);
    }

    /// Makes what is sent of these ranges of a share wrong.
    pub(crate) fn lie(&mut self, share: ShareId, ranges: Ranges) {
        if let Some(content) = self.contents.get_mut(&share) {
            content.lies = ranges;
        }
    }

    pub(crate) fn expect(&mut self, ids: FetchIds, plan: FetchPlan) {
        self.fetches.insert(ids.op, Fetch { ids, plan, described: false, completed_at: None });
    }

    pub(crate) fn reports(&self) -> &[Report<Reply<N>>] {
        &self.reports
    }

    pub(crate) fn completed_at(&self, op: OpId) -> Option<Time> {
        self.fetches.get(&op)?.completed_at
    }

    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.engine.as_deref()
    }

    pub(crate) fn held(&self, share: ShareId) -> Option<&Ranges> {
        self.contents.get(&share).map(|content| &content.held)
    }

    pub(crate) fn on_disk(&self, content: u64) -> Option<&Ranges> {
        self.disk.get(&content)
    }

    /// How many fetches there are that the engine knows.
    pub(crate) fn downloads(&self) -> usize {
        self.fetches.values().filter(|fetch| fetch.described).count()
    }

    /// The stand-in for a range of a share.
    pub(crate) fn token(&self, share: ShareId, range: Range<u64>, tally: &mut Tally) -> Token {
        let Some(content) = self.contents.get(&share) else {
            tally.unheld += 1;
            return Token { content: u64::MAX, range, honest: false };
        };
        let held = content.held.covers(range.clone());
        let lie = !content.lies.is_empty() && !content.lies.within(range.clone()).is_empty();
        tally.unheld += u64::from(!held);
        tally.fired.lied += u64::from(lie);
        Token { content: content.number, range, honest: held && !lie }
    }

    /// The process has ended; what is on the disk stays, if `kept`.
    pub(crate) fn die(&mut self, kept: bool) {
        let fetches = std::mem::take(&mut self.fetches);
        for fetch in fetches.values() {
            self.remove_share(fetch.ids.share);
        }
        self.engine = None;
        if !kept {
            *self = Self { reports: std::mem::take(&mut self.reports), ..Self::new() };
        }
    }

    /// Keeps what the node reports.
    pub(crate) fn keep(&mut self, report: Report<Reply<N>>) {
        self.reports.push(report);
    }

    /// A fetch is described: the engine takes it on, and what comes is given on.
    pub(crate) fn on_described(&mut self, op: OpId, description: &Description, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let Some(fetch) = self.fetches.get_mut(&op).filter(|fetch| !fetch.described) else { return };
        let Some(proof) = description.proof.clone() else { return };
        let (ids, number) = (fetch.ids, fetch.plan.content);
        let held = self.disk.get(&number).cloned().unwrap_or_default();
        let engine = self.engine.get_or_insert_with(|| Box::new(Engine::new(Config::default())));
        let all = Ranges::of(0..description.layout.total_bytes());
        if engine.add(ids.share, &description.layout, proof, all, &held).is_err() {
            return;
        }
        engine.expect_content(ids.share, number);
        engine.lend(ids.lease, ids.share);
        fetch.described = true;
        let share = Share {
            layout: description.layout.clone(),
            digests: description.digests.clone(),
            proof: description.proof.clone(),
            held,
            torrent: description.torrent.clone(),
        };
        self.set_share(ids.share, share, number);
        mouth.emit_here(step, step.now, Event::Start { op: ids.publishing, operation: Box::new(Operation::Publish { share: ids.share }) });
        self.settle(mouth, step);
    }

    /// Takes what the node delivers.
    pub(crate) fn deliver(&mut self, lease: LeaseId, offset: u64, payload: &Payload, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let expected = self.fetches.values().find(|fetch| fetch.ids.lease == lease).map(|fetch| fetch.plan.content);
        // Who has read a share in the lab has real bytes of it; the engine knows them by the token that they stand for.
        let known = match (payload, expected) {
            (Payload::Bytes(bytes), Some(content)) => {
                let range = offset..offset + bytes.len() as u64;
                (pretended(content, range.clone()) == bytes[..]).then_some(Payload::Token(Token { content, range, honest: true }))
            }
            _ => None,
        };
        if let Some(engine) = &mut self.engine {
            engine.deliver(lease, offset, known.as_ref().unwrap_or(payload));
            engine.flush();
            self.settle(mouth, step);
        }
    }

    /// The node says what it asks for, because others have a part in the download.
    pub(crate) fn claim(&mut self, lease: LeaseId, ranges: &Ranges, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        if let Some(engine) = &mut self.engine {
            engine.claim(lease, ranges);
            self.settle(mouth, step);
        }
    }

    /// A fetch is no longer wanted: its lease ends, and what it gave on is withdrawn.
    pub(crate) fn on_cancel(&mut self, op: OpId, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let Some(fetch) = self.fetches.remove(&op) else { return };
        if let Some(engine) = &mut self.engine {
            engine.end(fetch.ids.lease);
            engine.remove(fetch.ids.share);
        }
        if fetch.described {
            self.remove_share(fetch.ids.share);
            mouth.emit_here(step, step.now, Event::Cancel { op: fetch.ids.publishing });
        }
    }

    /// Carries out what the engine wants.
    fn settle(&mut self, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let at = step.now + step.world.config.verify_delay;
        while let Some((engine, action)) = self.engine.as_mut().and_then(|engine| engine.next_action().map(|action| (engine, action))) {
            let input: In<N> = match action {
                Action::Job(id, job) => {
                    let findings = check(&job, self.fetches.values(), &self.shares);
                    engine.job_done(id, job, findings);
                    engine.flush();
                    continue;
                }
                Action::Leased(lease, ranges) => Input::Leased(lease, ranges),
                Action::Elsewhere(lease, ranges) => Input::Elsewhere(lease, ranges),
                Action::Judged(lease, range, verdict) => {
                    if verdict == Verdict::Good {
                        self.on_good(lease, range.clone());
                    }
                    Input::Judged(lease, range, verdict)
                }
                Action::Complete(share) => {
                    let Some(fetch) = self.fetches.values_mut().find(|fetch| fetch.ids.share == share) else { continue };
                    fetch.completed_at.get_or_insert(step.now);
                    if !fetch.plan.seed {
                        mouth.emit_here(step, at, Event::Cancel { op: fetch.ids.publishing });
                    }
                    continue;
                }
                Action::Relieved | Action::Failed(..) => continue,
            };
            mouth.emit_here(step, at, Event::Host { life: mouth.life, input: Box::new(input) });
        }
    }

    fn on_good(&mut self, lease: LeaseId, range: Range<u64>) {
        let Some(fetch) = self.fetches.values().find(|fetch| fetch.ids.lease == lease) else { return };
        if let Some(content) = self.contents.get_mut(&fetch.ids.share) {
            content.held.insert(range.clone());
        }
        self.disk.entry(fetch.plan.content).or_default().insert(range);
    }

    /// Answers a question of the node, after a while.
    pub(crate) fn on_ask(&mut self, ticket: Ticket, ask: Ask, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let answer = match step.world.ask_fails(mouth.index, mouth.next(), &mut step.tally.fired) {
            Some(failure) => Answer::Failed(failure),
            None => self.answer(ask, mouth.index, step),
        };
        mouth.emit_here(
            step,
            step.now + step.world.config.ask_delay,
            Event::Host { life: mouth.life, input: Box::new(Input::Answered(ticket, answer)) },
        );
    }

    fn answer(&mut self, ask: Ask, node: u32, step: &mut Step<'_, N>) -> Answer {
        let unable = |what: &str| Answer::Failed(AskFailure::Other(format!("the lab does not {what}")));
        match ask {
            Ask::Load(bucket, key) => Answer::Loaded(self.store.get(&(bucket, key)).cloned()),
            Ask::Store(bucket, key, value) => {
                self.store.insert((bucket, key), value);
                Answer::Stored
            }
            Ask::Forget(bucket, key) => {
                self.store.remove(&(bucket, key));
                Answer::Stored
            }
            Ask::Resolve(name) => match step.world.resolve::<Addr<N>>(&name) {
                Some(ip) => Answer::Resolved(vec![ip]),
                None => Answer::Failed(AskFailure::Other(format!("no such name in the lab: {}", name.host))),
            },
            Ask::Http(request) => match &step.world.http {
                Some(hook) => hook(node, &request, step.now),
                None => unable("speak HTTP"),
            },
            Ask::Query(_) | Ask::Owner(_) | Ask::Index(_) | Ask::Letters(_) => unable("keep a catalogue"),
            Ask::Read(share, range) => {
                let token = self.token(share, range.clone(), step.tally);
                let mut bytes = pretended(token.content, range);
                if !token.honest {
                    bytes.iter_mut().for_each(|byte| *byte = !*byte);
                }
                Answer::Loaded(Some(Payload::Bytes(bytes.into())))
            }
            Ask::Work(CpuJob::Encode { blocks, recovery }) => match reed_solomon_simd::encode(blocks.len(), recovery, &blocks) {
                Ok(added) => Answer::Worked(CpuResult::Blocks(added.into_iter().map(Bytes::from).collect())),
                Err(wrong) => Answer::Failed(AskFailure::Other(wrong.to_string())),
            },
            Ask::Work(CpuJob::Decode { blocks, originals }) => match decode(&blocks, originals) {
                Some(blocks) => Answer::Worked(CpuResult::Blocks(blocks)),
                None => Answer::Failed(AskFailure::Other("too few blocks".into())),
            },
            Ask::Work(_) => unable("compute that"),
        }
    }
}

/// The bytes that a content of that number has in the lab, for who wants to read them.
fn pretended(content: u64, range: Range<u64>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
    let mut at = range.start;
    while at < range.end {
        let word = mix(content ^ mix(at / 8)).to_le_bytes();
        let from = usize::try_from(at % 8).unwrap_or(0);
        let take = (8 - from).min(usize::try_from(range.end - at).unwrap_or(8));
        bytes.extend_from_slice(&word[from..from + take]);
        at += take as u64;
    }
    bytes
}

/// The originals of blocks, some of which are missing.
fn decode(blocks: &[Option<Bytes>], originals: usize) -> Option<Vec<Bytes>> {
    let (first, recovery) = blocks.split_at_checked(originals)?;
    let there = |blocks: &[Option<Bytes>]| -> Vec<(usize, Bytes)> {
        blocks.iter().enumerate().filter_map(|(index, block)| Some((index, block.clone()?))).collect()
    };
    if first.iter().all(Option::is_some) {
        return Some(first.iter().flatten().cloned().collect());
    }
    let mut restored = reed_solomon_simd::decode(originals, recovery.len(), there(first), there(recovery)).ok()?;
    first.iter().enumerate().map(|(index, block)| block.clone().or_else(|| restored.remove(&index).map(Bytes::from))).collect()
}

/// What is found about real bytes: in the lab, only that they are what the proof says.
fn check<'a>(job: &Job, mut fetches: impl Iterator<Item = &'a Fetch>, shares: &Shares) -> Vec<Finding> {
    let nowhere = || (0..job.findings()).map(|_| Finding::Unwritten("the lab has no disk for bytes".into())).collect();
    let Job::VerifyAndWrite { share, parts } = job else { return nowhere() };
    let fetch = fetches.find(|fetch| fetch.ids.share == *share);
    let Some(proof) = fetch.and_then(|fetch| shares.share(fetch.ids.share)).and_then(|share| share.proof.clone()) else { return nowhere() };
    let right = |part: &hexad_transfer::WholePart| proof.sha1(part.part as usize) == Some(sha1_lanes::sha1_one(&part.bytes));
    parts.iter().map(|part| if right(part) { Finding::Good } else { Finding::Bad }).collect()
}
