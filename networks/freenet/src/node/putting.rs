//! Inserting: files into blocks, blocks into the network in random order, and documents that say where they are.

use bytes::Bytes;
use hexad_content::Digest;
use hexad_core::{Answer, Ask, Context, CpuJob, CpuResult, Failure, Map, OpId, Payload, Progress, Time};

use super::download::cool_down;
use super::getting::SLOTS;
use super::jobs::{Counts, Pace, Teller};
use super::plan::{Origin, Plan, Shelf};
use super::verbs::alias;
use super::walks::{Kind, Outcome, Whose};
use super::{Job, Node, Out, Pending, Reply, Timer, failure_of};
use crate::document::{Document, Entry, INLINE_BYTES_MAX, Pieces};
use crate::keys::{Block, CHK_DATA_BYTES, ClientChk, InsertSsk, Kind as KeyKind, SSK_DATA_BYTES, Uri, date_hints, hint_text, padded};
use crate::place::Place;

/// Segments that are read or encoded at the same time, and blocks that may wait for their turn while another one begins.
const UNITS_ACTIVE: usize = 2;
/// See [`UNITS_ACTIVE`].
const POOL_FEW: usize = 128;
/// Part numbers of what is not content.
const TOP: u32 = 0;
/// Editions that an insert of a site tries.
const EDITIONS_TRIED: u16 = 200;
/// Fewer bytes than this are not worth deflating.
const DEFLATE_MIN: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The host deflates the files, one by one.
    Deflating(usize),
    /// Content, and documents that are larger than a block.
    Blocks,
    /// The last document, under its CHK.
    Top,
    /// The key that the user wants it under.
    Key,
    /// Names for the digests of a share: which digest, which alias.
    Aliases(usize, u8),
}

/// How something is inserted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// It stays in effect until it is taken back.
    pub(super) publishing: bool,
    /// Only its key is wanted.
    pub(super) key_only: bool,
    /// A document of no more bytes is handed out in place of being inserted.
    pub(super) metadata_max: usize,
}

/// One insertion.
#[derive(Clone, Debug)]
pub struct Put {
    pub(super) op: OpId,
    target: Uri,
    key_only: bool,
    metadata_max: usize,
    plans: Vec<Plan>,
    shelf: Shelf,
    pieces: Option<Pieces>,
    digests: Vec<Digest>,
    publishing: bool,
    stage: Stage,
    /// Segments that have not begun: file and number. The last file is the document, while that is inserted.
    units: Vec<(usize, usize)>,
    /// Segments being read or encoded: question → file, number, data blocks.
    reading: Map<u32, (usize, usize, Vec<Bytes>)>,
    last_question: u32,
    /// Blocks that wait for their turn: file, segment, index, what is in them.
    pool: Vec<(usize, usize, usize, Bytes)>,
    parts: Map<u32, (Block, u8)>,
    /// Blocks that did not get in, how often, and when they are sent again.
    cooling: Vec<(Time, Block, u8)>,
    last_part: u32,
    window: usize,
    /// Which of the plans are content; the document's follow.
    content: usize,
    top: Option<(Bytes, bool)>,
    chk: Option<ClientChk>,
    tries: u16,
    /// When the document, or what stands under the key, is sent again.
    again: Option<Time>,
    /// Blocks of content and documents that are in.
    succeeded: u64,
    pub(super) pace: Pace,
    teller: Teller,
}

impl Put {
    /// How far it is; the document, or the only block, counts as one.
    fn counts(&self, top: bool) -> Counts {
        let blocks: usize = self.plans.iter().flat_map(|plan| &plan.keys).map(Vec::len).sum();
        let total = blocks as u64 + 1;
        Counts { total, required: total, succeeded: self.succeeded + u64::from(top), failed: 0, is_final: self.stage != Stage::Blocks }
    }
}

impl<A: Place> Node<A> {
    /// Begins an insertion.
    #[expect(clippy::too_many_arguments, reason = "what is inserted, and the host")]
    pub(super) fn start_putting(
        &mut self,
        op: OpId,
        target: Uri,
        mut plans: Vec<Plan>,
        shelf: Shelf,
        pieces: Option<Pieces>,
        digests: Vec<Digest>,
        manner: Manner,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let Some(job) = self.new_job(op, out) else { return };
        let Manner { publishing, key_only, metadata_max } = manner;
        if matches!(shelf, Shelf::Directory(..)) {
            for plan in &mut plans {
                if let Origin::Bytes(bytes) = &plan.origin
                    && bytes.len() <= INLINE_BYTES_MAX
                {
                    plan.inline = Some(bytes.clone());
                }
            }
        }
        let content = plans.len();
        let put = Put {
            op,
            target,
            key_only,
            metadata_max,
            plans,
            shelf,
            pieces,
            digests,
            publishing,
            stage: Stage::Deflating(0),
            units: Vec::new(),
            reading: Map::new(),
            last_question: 0,
            pool: Vec::new(),
            parts: Map::new(),
            cooling: Vec::new(),
            last_part: 0,
            window: 16,
            content,
            top: None,
            chk: None,
            tries: 0,
            again: None,
            succeeded: 0,
            pace: Pace::default(),
            teller: Teller::default(),
        };
        self.jobs.insert(job, Job::Put(Box::new(put)));
        self.deflate_next(job, cx, out);
    }

    fn put_of(&mut self, job: u64) -> Option<&mut Put> {
        if let Some(Job::Put(put)) = self.jobs.get_mut(&job) { Some(put) } else { None }
    }

    /// Has the host deflate the next file that it may be worth for.
    fn deflate_next(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(put) = self.put_of(job) else { return };
        let Stage::Deflating(mut at) = put.stage else { return };
        while let Some(plan) = put.plans.get(at) {
            if let Origin::Bytes(bytes) = &plan.origin
                && plan.inline.is_none()
                && plan.redirect.is_none()
                && bytes.len() >= DEFLATE_MIN
            {
                put.stage = Stage::Deflating(at);
                out.report(put.op, Progress::Own(Reply::Compressing));
                let ask = Ask::Work(CpuJob::Deflate(bytes.clone()));
                return self.ask(Pending::Job(job, 0), ask, out);
            }
            at += 1;
        }
        put.stage = Stage::Blocks;
        let content = put.content;
        for file in 0..content {
            let plan = &mut put.plans[file];
            if plan.inline.is_none() && plan.redirect.is_none() {
                let shapes = plan.shapes();
                plan.keys = shapes.iter().map(|shape| vec![None; shape.data + shape.check]).collect();
                put.units.extend((0..shapes.len()).map(|segment| (file, segment)));
            }
        }
        put.units.reverse();
        self.pump_put(job, cx, out);
    }

    /// Sends as many blocks as may be under way, and has more made.
    pub(super) fn pump_put(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let htl = self.config.0.htl_max;
        loop {
            let Some(put) = self.put_of(job).filter(|put| put.stage == Stage::Blocks) else { return };
            if put.pool.len() < POOL_FEW
                && put.reading.len() < UNITS_ACTIVE
                && let Some((file, segment)) = put.units.pop()
            {
                self.read_unit(job, file, segment, out);
                continue;
            }
            if put.parts.len() >= put.window || (!put.pool.is_empty() && !put.key_only && !put.pace.may_go(job, cx.now, out)) {
                return;
            }
            let Some(at) = cx.dice.index(put.pool.len()) else { break };
            put.pace.goes();
            let (file, segment, index, plain) = put.pool.swap_remove(at);
            let Some((key, block)) = ClientChk::encode(&plain, false) else { continue };
            put.plans[file].keys[segment][index] = Some(key.into());
            if put.key_only {
                continue;
            }
            put.last_part += 1;
            let part = put.last_part;
            put.parts.insert(part, (block.clone(), 0));
            self.begin(Kind::Insert, block.key, htl, Whose::Job(job, part), Some(block), cx, out);
        }
        let Some(put) = self.put_of(job) else { return };
        if put.parts.is_empty() && put.cooling.is_empty() && put.reading.is_empty() && put.units.is_empty() && put.pool.is_empty() {
            self.blocks_are_in(job, cx, out);
        }
    }

    /// Reads a segment.
    fn read_unit(&mut self, job: u64, file: usize, segment: usize, out: &mut Out<A>) {
        let Some(put) = self.put_of(job) else { return };
        let plan = &put.plans[file];
        let shapes = plan.shapes();
        let first: usize = shapes[..segment].iter().map(|shape| shape.data).sum();
        let start = first as u64 * CHK_DATA_BYTES as u64;
        let end = (start + shapes[segment].data as u64 * CHK_DATA_BYTES as u64).min(plan.stored_bytes);
        put.last_question += 1;
        let question = put.last_question;
        match &plan.origin {
            Origin::Bytes(bytes) => {
                let bytes = bytes.slice(usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0));
                put.reading.insert(question, (file, segment, Vec::new()));
                self.on_unit_read(job, question, &bytes, out);
            }
            Origin::Share(share, base) => {
                let ask = Ask::Read(*share, base + start..base + end);
                put.reading.insert(question, (file, segment, Vec::new()));
                self.ask(Pending::Job(job, question), ask, out);
            }
        }
    }

    fn on_unit_read(&mut self, job: u64, question: u32, bytes: &Bytes, out: &mut Out<A>) {
        let Some(put) = self.put_of(job) else { return };
        let Some((file, segment, _)) = put.reading.remove(&question) else { return };
        let blocks: Vec<Bytes> =
            (0..bytes.len()).step_by(CHK_DATA_BYTES).map(|at| bytes.slice(at..bytes.len().min(at + CHK_DATA_BYTES))).collect();
        if blocks.len() != put.plans[file].shapes()[segment].data {
            // A share that has changed meanwhile.
            return self.fail_job(
                job,
                Failure::Host(format!("expected another length of what is to be inserted, came {} bytes", bytes.len())),
                out,
            );
        }
        let check = put.plans[file].keys[segment].len().saturating_sub(blocks.len());
        if check == 0 {
            put.pool.extend(blocks.into_iter().enumerate().map(|(index, block)| (file, segment, index, block)));
            return;
        }
        let whole = |block: &Bytes| if block.len() == CHK_DATA_BYTES { block.clone() } else { padded(block).into() };
        let job_of_host = CpuJob::Encode { blocks: blocks.iter().map(whole).collect(), recovery: check };
        put.last_question += 1;
        let question = put.last_question;
        put.reading.insert(question, (file, segment, blocks));
        self.ask(Pending::Job(job, question), Ask::Work(job_of_host), out);
    }

    pub(super) fn on_put_answer(&mut self, job: u64, question: u32, answer: Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(put) = self.put_of(job) else { return };
        if let Stage::Deflating(at) = put.stage {
            let plan = &mut put.plans[at];
            // Nine tenths, or it is not worth it. A host that cannot deflate leaves the file as it is.
            let before = plan.bytes;
            if let Answer::Worked(CpuResult::Bytes(bytes)) = answer
                && (bytes.len() as u64) < plan.bytes - plan.bytes / 10
            {
                plan.stored_bytes = bytes.len() as u64;
                plan.deflated = true;
                plan.origin = Origin::Bytes(bytes);
            }
            let compressed = Reply::Compressed { from: before, to: plan.stored_bytes, is_kept: plan.deflated };
            put.stage = Stage::Deflating(at + 1);
            out.report(put.op, Progress::Own(compressed));
            return self.deflate_next(job, cx, out);
        }
        match answer {
            Answer::Loaded(Some(Payload::Bytes(bytes))) => self.on_unit_read(job, question, &bytes, out),
            Answer::Worked(CpuResult::Blocks(check)) => {
                let Some((file, segment, data)) = put.reading.remove(&question) else { return };
                if data.len() + check.len() != put.plans[file].keys[segment].len() {
                    let why = format!("expected check blocks for {} blocks, came {}", data.len(), check.len());
                    return self.fail_job(job, Failure::Host(why), out);
                }
                put.pool.extend(data.into_iter().chain(check).enumerate().map(|(index, block)| (file, segment, index, block)));
            }
            Answer::Failed(why) => return self.fail_job(job, Failure::Host(format!("what is to be inserted cannot be read: {why}")), out),
            _ => return self.fail_job(job, Failure::Host("what is to be inserted cannot be read".into()), out),
        }
        self.pump_put(job, cx, out);
    }

    pub(super) fn on_put_outcome(&mut self, job: u64, part: u32, outcome: Outcome, cx: &mut Context<'_>, out: &mut Out<A>) {
        let (tries_max, window_max) = (self.config.0.tries, self.config.0.window_max);
        let Some(put) = self.put_of(job) else { return };
        if part == TOP {
            return self.on_top(job, outcome, cx, out);
        }
        let Some((block, tries)) = put.parts.remove(&part) else { return };
        match outcome {
            Outcome::Missed(miss) => {
                put.window = (put.window / 2).max(4);
                if tries + 1 >= tries_max {
                    return self.fail_job(job, failure_of(miss), out);
                }
                let at = cx.now + cool_down(u32::from(tries) + 1, miss, cx.dice);
                put.cooling.push((at, block, tries + 1));
                out.wake(at, Timer::Job(job));
            }
            Outcome::Stored | Outcome::Block(_) | Outcome::Hops(_) => {
                put.window = (put.window + 1).min(window_max);
                put.succeeded += 1;
            }
        }
        self.tell_put(job, false, cx, out);
        self.pump_put(job, cx, out);
    }

    /// Says how far an insertion from memory is.
    fn tell_put(&mut self, job: u64, top: bool, cx: &Context<'_>, out: &mut Out<A>) {
        if let Some(put) = self.put_of(job).filter(|put| !put.publishing && !put.key_only) {
            let counts = put.counts(top);
            put.teller.tell(put.op, counts, cx.now, out);
        }
    }

    /// Something has waited for long enough.
    pub(super) fn on_put_timer(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let htl = self.config.0.htl_max;
        let Some(put) = self.put_of(job) else { return };
        if put.again.take_if(|at| *at <= cx.now).is_some() {
            return match put.stage {
                Stage::Top => self.insert_top(job, cx, out),
                Stage::Key => self.insert_key(job, cx, out),
                _ => self.insert_alias(job, cx, out),
            };
        }
        while let Some(put) = self.put_of(job)
            && let Some(due) = put.cooling.iter().position(|(at, ..)| *at <= cx.now)
        {
            let (_, block, tries) = put.cooling.swap_remove(due);
            put.last_part += 1;
            let part = put.last_part;
            put.parts.insert(part, (block.clone(), tries));
            self.begin(Kind::Insert, block.key, htl, Whose::Job(job, part), Some(block), cx, out);
        }
    }

    /// All blocks of the files, or of a document, are in.
    fn blocks_are_in(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(put) = self.put_of(job) else { return };
        let content = put.plans.len() == put.content;
        let document = if content { document_of(put) } else { put.plans.last().map(|plan| Document::Outer(plan.leaf())) };
        // A file of one block with nothing to be said about it is its block.
        if content
            && let (Shelf::Single(None), [plan]) = (&put.shelf, &put.plans[..])
            && let Origin::Bytes(bytes) = &plan.origin
            && plan.mime.is_none()
            && plan.redirect.is_none()
            && !plan.deflated
            && bytes.len() <= CHK_DATA_BYTES
        {
            put.top = Some((bytes.clone(), false));
            return self.insert_top(job, cx, out);
        }
        let Some(document) = document else { return self.fail_job(job, Failure::Unusable("there is nothing to insert".into()), out) };
        let bytes = document.write();
        if put.target.kind == KeyKind::Chk && bytes.len() <= put.metadata_max {
            let op = put.op;
            self.jobs.remove(&job);
            return super::done(op, Reply::Metadata(bytes), out);
        }
        if bytes.len() <= CHK_DATA_BYTES {
            put.top = Some((bytes, true));
            return self.insert_top(job, cx, out);
        }
        let length = bytes.len() as u64;
        let mut plan = Plan::new(String::new(), None, Origin::Bytes(bytes), length);
        let shapes = plan.shapes();
        plan.keys = shapes.iter().map(|shape| vec![None; shape.data + shape.check]).collect();
        if put.plans.len() > put.content {
            put.plans.pop();
        }
        put.plans.push(plan);
        let file = put.plans.len() - 1;
        put.units = (0..shapes.len()).rev().map(|segment| (file, segment)).collect();
        self.pump_put(job, cx, out);
    }

    /// The document, or the only block, goes under its CHK; small ones that are wanted under another key go there at once.
    fn insert_top(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let htl = self.config.0.htl_max;
        let Some(put) = self.put_of(job) else { return };
        let Some((bytes, control)) = put.top.clone() else { return };
        if put.target.kind != KeyKind::Chk && bytes.len() <= SSK_DATA_BYTES {
            return self.insert_key(job, cx, out);
        }
        let Some((key, block)) = ClientChk::encode(&bytes, control) else { return };
        put.chk = Some(key);
        put.stage = Stage::Top;
        if put.key_only {
            return self.on_top(job, Outcome::Stored, cx, out);
        }
        self.begin(Kind::Insert, block.key, htl, Whose::Job(job, TOP), Some(block), cx, out);
    }

    /// What stands under the key that the user wants: the document itself, or where it is.
    fn under_key(put: &Put) -> Option<(Bytes, bool)> {
        match (&put.top, &put.chk) {
            (_, Some(chk)) => Some((Document::Redirect(Uri::of_chk(chk, Vec::new()).to_string()).write(), true)),
            (top, None) => top.clone(),
        }
    }

    fn insert_key(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let htl = self.config.0.htl_max;
        let Some(put) = self.put_of(job) else { return };
        put.stage = Stage::Key;
        let block =
            put.target.insert().ok().and_then(|insert| Self::under_key(put).and_then(|(bytes, control)| insert.encode(&bytes, control)));
        let Some(block) = block else { return self.fail_job(job, Failure::Unusable("the key cannot be written to".into()), out) };
        if put.key_only {
            return self.on_top(job, Outcome::Stored, cx, out);
        }
        self.begin(Kind::Insert, block.key, htl, Whose::Job(job, TOP), Some(block), cx, out);
    }

    fn on_top(&mut self, job: u64, outcome: Outcome, cx: &mut Context<'_>, out: &mut Out<A>) {
        let tries_max = u16::from(self.config.0.tries);
        let Some(put) = self.put_of(job) else { return };
        if let Outcome::Missed(miss) = outcome {
            put.tries += 1;
            if put.tries >= tries_max {
                return self.fail_job(job, failure_of(miss), out);
            }
            let at = cx.now + cool_down(put.tries.into(), miss, cx.dice);
            put.again = Some(at);
            return out.wake(at, Timer::Job(job));
        }
        match put.stage {
            Stage::Top if put.target.kind != KeyKind::Chk => {
                put.tries = 0;
                self.insert_key(job, cx, out);
            }
            Stage::Top | Stage::Key => {
                if let (Outcome::Block(there), Stage::Key) = (&outcome, put.stage) {
                    let wanted = Self::under_key(put);
                    let same = put.target.insert().ok().and_then(|insert| insert.request().decode(there).ok()) == wanted;
                    if !same {
                        return self.on_collision(job, cx, out);
                    }
                }
                self.on_keyed(job, cx, out);
            }
            Stage::Aliases(which, slot) => {
                let wanted = alias_document(put);
                let taken = match (&outcome, put.digests.get(which)) {
                    (Outcome::Block(there), Some(digest)) => {
                        alias(digest, slot).request().ok().and_then(|request| request.decode(there).ok())
                            != wanted.map(|bytes| (bytes, true))
                    }
                    _ => false,
                };
                put.stage = if taken && slot + 1 < SLOTS { Stage::Aliases(which, slot + 1) } else { Stage::Aliases(which + 1, 0) };
                put.tries = 0;
                self.insert_alias(job, cx, out);
            }
            Stage::Deflating(_) | Stage::Blocks => {}
        }
    }

    /// Something else is there already.
    fn on_collision(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(put) = self.put_of(job) else { return };
        put.tries += 1;
        if let (KeyKind::Usk, Some(edition)) = (put.target.kind, put.target.edition)
            && put.tries < EDITIONS_TRIED
        {
            put.target = put.target.at_edition(edition.unsigned_abs() + 1);
            return self.insert_key(job, cx, out);
        }
        self.fail_job(job, Failure::Refused("collision: something else is there already".into()), out);
    }

    /// The user's key leads to the files.
    fn on_keyed(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let htl = self.config.0.htl_max;
        let now = cx.unix_s();
        let Some(put) = self.put_of(job) else { return };
        let op = put.op;
        let mut hints = Vec::new();
        let uri = match (put.target.kind, &put.chk) {
            (KeyKind::Chk, Some(chk)) => Uri::of_chk(chk, put.target.path.clone()),
            _ => put.target.public().unwrap_or_else(|_| put.target.clone()),
        };
        if let (KeyKind::Usk, Some(edition), Some(site), Ok(insert), false) =
            (put.target.kind, put.target.edition, &put.target.name, put.target.insert(), put.key_only)
        {
            let text = hint_text(edition.unsigned_abs(), now);
            let hint = |name: String| InsertSsk { name, ..insert.clone() }.encode(text.as_bytes(), false);
            hints = date_hints(site, now).into_iter().filter_map(|name| hint(name.name)).collect();
        }
        let publishing = put.publishing;
        self.tell_put(job, true, cx, out);
        let Some(put) = self.put_of(job) else { return };
        put.stage = Stage::Aliases(0, 0);
        put.tries = 0;
        for block in hints {
            // Whoever was first on that day has the hint; editions are looked for from it upward, so that an older one does no harm.
            self.begin(Kind::Insert, block.key, htl, Whose::Wanting, Some(block), cx, out);
        }
        out.report(op, Progress::Own(Reply::Put(uri)));
        if publishing {
            return self.insert_alias(job, cx, out);
        }
        self.jobs.remove(&job);
        out.report(op, Progress::Done);
    }

    /// Makes digests lead to the files, one after the other.
    fn insert_alias(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let htl = self.config.0.htl_max;
        let Some(put) = self.put_of(job) else { return };
        let Stage::Aliases(which, slot) = put.stage else { return };
        let block = put.digests.get(which).and_then(|digest| {
            let insert = alias(digest, slot).insert().ok()?;
            insert.encode(&alias_document(put)?, true)
        });
        match block {
            Some(block) => self.begin(Kind::Insert, block.key, htl, Whose::Job(job, TOP), Some(block), cx, out),
            None => {
                let op = put.op;
                self.jobs.remove(&job);
                self.published.insert(op);
                out.report(op, Progress::Done);
            }
        }
    }
}

fn alias_document(put: &Put) -> Option<Bytes> {
    Some(Document::Redirect(Uri::of_chk(put.chk.as_ref()?, Vec::new()).to_string()).write())
}

fn document_of(put: &Put) -> Option<Document> {
    let pieces = put.pieces.clone();
    match &put.shelf {
        Shelf::Single(name) => {
            let plan = put.plans.first()?;
            if let Some(uri) = &plan.redirect {
                return Some(Document::Redirect(uri.clone()));
            }
            Some(Document::File { name: name.clone(), leaf: plan.leaf(), pieces })
        }
        Shelf::Directory(name, default) => {
            let mut entries: Vec<(String, Entry)> = Vec::new();
            if let Some(default) = default {
                entries.push((String::new(), Entry::Elsewhere(format!("./{default}"))));
            }
            for plan in &put.plans[..put.content] {
                let entry = match &plan.redirect {
                    Some(uri) => Entry::Elsewhere(uri.clone()),
                    None => Entry::File(plan.leaf(), plan.flags.0, plan.flags.1),
                };
                entries.push((plan.path.clone(), entry));
            }
            Some(Document::Directory { name: name.clone(), entries, pieces })
        }
    }
}
