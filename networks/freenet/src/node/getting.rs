//! Fetching: from a URI to a document, from a document to blocks, from blocks to bytes. Blocks are asked for in random order, data blocks first;
//! check blocks only where a data block is missed. What is not found is asked for again after a while.

use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, Layout, Proof, Ranges, sha1_lanes};
use hexad_core::{
    Answer, Ask, Context, CpuJob, CpuResult, Description, Failure, Hit, LeaseId, Level, OpId, Others, Output, Payload, Progress, Source,
    Span, Time, Verdict, What,
};

use super::download::{Download, Loss, Pick, cool_down};
use super::jobs::{Counts, Pace, Teller};
use super::walks::{Kind, Miss, Outcome, Whose};
use super::{Job, Node, Out, Pending, Reply, Timer, done, failure_of};
use crate::document::{BlockKey, Body, Document, Entry, Leaf};
use crate::keys::{Block, CHK_DATA_BYTES, ClientChk, NodeKey, RequestSsk, Uri, date_hints, hint_of};
use crate::place::Place;
use hexad_content::info;

/// Redirects, documents within documents and editions that one fetch follows.
const STEPS_MAX: u8 = 64;
/// Documents about content are no longer than this.
const DOCUMENT_BYTES_MAX: u64 = 64 << 20;
/// The session is to say what it wants of a description within this.
const LEASE_DEADLINE: Span = Span::from_secs(120);
/// Aliases that are tried for a digest: anybody can write under one.
pub const SLOTS: u8 = 4;
/// Restored blocks of one segment that are inserted again.
const HEALED_MAX: usize = 8;

/// What a fetch is for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// Bytes, no more than so many.
    Memory(u64),
    /// The session's transfer.
    Lease(LeaseId),
    /// Only whether a digest leads anywhere.
    Lookup,
    /// Only which edition is the newest.
    Newest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The block of the URI.
    Key,
    /// A hint about editions; so many were looked at.
    Hints(u8),
    /// A document that is larger than a block.
    Outer,
    /// Described; what is wanted is not known yet.
    Described,
    /// The content.
    Data,
    /// The host inflates it.
    Inflating,
}

/// One fetch.
#[derive(Clone, Debug)]
pub struct Get {
    pub(super) op: OpId,
    purpose: Purpose,
    uri: Uri,
    path: Vec<String>,
    steps: u8,
    stage: Stage,
    /// What the document has to prove, and which alias of it is tried.
    digest: Option<(Digest, u8)>,
    more_digests: Vec<Digest>,
    /// The newest edition found so far: its number and block.
    newest: Option<(u64, Bytes, bool)>,
    download: Option<Download>,
    leaf: Option<Leaf>,
    /// Content that was in memory before it was described.
    buffered: Option<Bytes>,
    /// What the session wants and has not judged.
    missing: Ranges,
    /// What of it other networks bring.
    others: Others,
    /// How often a key is asked for again that was not found.
    retries: u32,
    /// How often the one that is asked for was missed, and when it is asked for again.
    missed: u32,
    again: Option<Time>,
    /// By when the session is to have said what it wants.
    lease_until: Time,
    pub(super) pace: Pace,
    teller: Teller,
}

impl Get {
    /// Whether editions are looked for from the one on that is named.
    fn wants_newest(&self) -> bool {
        matches!(self.purpose, Purpose::Newest) || self.uri.edition.is_some_and(|edition| edition < 0)
    }
}

/// What to do with bytes that have come.
struct Ready(u64, Bytes);

impl<A: Place> Node<A> {
    /// Begins a fetch; `digests` are names that lead to a URI, where that is not known.
    #[expect(clippy::too_many_arguments, reason = "what is fetched, and the host")]
    pub(super) fn start_fetching(
        &mut self,
        op: OpId,
        purpose: Purpose,
        uri: Option<Uri>,
        mut digests: Vec<Digest>,
        retries: u32,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let Some(job) = self.new_job(op, out) else { return };
        let digest = if uri.is_none() && !digests.is_empty() { Some((digests.remove(0), 0)) } else { None };
        let first = uri.or_else(|| digest.map(|(digest, slot)| super::verbs::alias(&digest, slot)));
        let Some(uri) = first else {
            return super::failed(op, Failure::Unusable("expected a URI or a digest".into()), out);
        };
        let get = Get {
            op,
            purpose,
            path: uri.path.clone(),
            uri,
            steps: 0,
            stage: Stage::Key,
            digest,
            more_digests: digests,
            newest: None,
            download: None,
            leaf: None,
            buffered: None,
            missing: Ranges::new(),
            others: Others::default(),
            retries,
            missed: 0,
            again: None,
            lease_until: Time::ZERO,
            pace: Pace::default(),
            teller: Teller::default(),
        };
        self.jobs.insert(job, Job::Get(Box::new(get)));
        self.ask_key(job, cx, out);
    }

    /// The fetch that feeds a lease.
    fn job_of(&self, lease: LeaseId) -> Option<u64> {
        let feeds = |job: &Job| matches!(job, Job::Get(get) if matches!(get.purpose, Purpose::Lease(of) if of == lease));
        self.jobs.iter().find(|(_, job)| feeds(job)).map(|(job, _)| *job)
    }

    fn get_of(&mut self, job: u64) -> Option<&mut Get> {
        if let Some(Job::Get(get)) = self.jobs.get_mut(&job) { Some(get) } else { None }
    }

    /// Asks for the block of the URI.
    fn ask_key(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        get.steps += 1;
        if get.steps > STEPS_MAX {
            return self.fail_job(job, Failure::Unusable("too many redirects".into()), out);
        }
        if get.wants_newest() && get.newest.is_none() && get.stage == Stage::Key {
            get.stage = Stage::Hints(0);
        }
        let wanted = match get.stage {
            Stage::Hints(number) => {
                let site = get.uri.name.clone().unwrap_or_default();
                let names = date_hints(&site, cx.unix_s());
                let name = names.iter().rev().nth(usize::from(number)).map(|hint| hint.name.clone()).unwrap_or_default();
                get.uri.request().map(|request| RequestSsk { name, ..request }.node_key())
            }
            _ => key_of(&get.uri),
        };
        match wanted {
            Ok(key) => {
                let htl = self.config.0.htl_max;
                self.begin(Kind::Request, key, htl, Whose::Job(job, 0), None, cx, out);
            }
            Err(why) => self.fail_job(job, Failure::Unusable(why.to_string()), out),
        }
    }

    pub(super) fn on_get_outcome(&mut self, job: u64, part: u32, outcome: Outcome, cx: &mut Context<'_>, out: &mut Out<A>) {
        if part != 0 {
            return self.on_part(job, part, outcome, cx, out);
        }
        let Some(get) = self.get_of(job) else { return };
        if let Stage::Hints(number) = get.stage {
            return self.on_hint(job, number, &outcome, cx, out);
        }
        let wants_newest = get.wants_newest();
        match outcome {
            Outcome::Block(block) => match open(&get.uri, &block) {
                Ok((bytes, control)) if wants_newest => {
                    let edition = get.uri.edition.unwrap_or(0).unsigned_abs();
                    get.newest = Some((edition, bytes, control));
                    get.uri.edition = Some(-i64::try_from(edition + 1).unwrap_or(i64::MAX));
                    self.ask_key(job, cx, out);
                }
                Ok((bytes, control)) => self.on_key(job, bytes, control, cx, out),
                Err(why) => self.fail_job(job, Failure::Unusable(why.to_string()), out),
            },
            Outcome::Missed(miss) => {
                if let Some((edition, bytes, control)) = get.newest.take() {
                    // The one before was the newest.
                    get.uri.edition = i64::try_from(edition).ok();
                    if matches!(get.purpose, Purpose::Newest) {
                        let op = get.op;
                        self.jobs.remove(&job);
                        return done(op, Reply::Edition(edition), out);
                    }
                    return self.on_key(job, bytes, control, cx, out);
                }
                if !self.tries_again(job, miss, cx, out) {
                    self.next_name(job, failure_of(miss), cx, out);
                }
            }
            Outcome::Stored | Outcome::Hops(_) => {}
        }
    }

    /// Has a key asked for again later, if it was not asked for often enough. That nobody could answer is no answer, and is never the last word at once.
    fn tries_again(&mut self, job: u64, miss: Miss, cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
        let patience = u32::from(self.config.0.tries.saturating_sub(1));
        let Some(get) = self.get_of(job) else { return false };
        let retries = match miss {
            Miss::TimedOut | Miss::Overload if !matches!(get.purpose, Purpose::Lookup | Purpose::Newest) => get.retries.max(patience),
            _ => get.retries,
        };
        if get.missed >= retries {
            return false;
        }
        get.missed = get.missed.saturating_add(1);
        let at = cx.now + cool_down(get.missed, miss, cx.dice);
        get.again = Some(at);
        out.wake(at, Timer::Job(job));
        true
    }

    fn on_hint(&mut self, job: u64, number: u8, outcome: &Outcome, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        let mut hinted = None;
        if let Outcome::Block(block) = outcome
            && let Ok(request) = get.uri.request()
        {
            let site = get.uri.name.clone().unwrap_or_default();
            let names = date_hints(&site, cx.unix_s());
            let read = |hint: &crate::keys::DateHint| RequestSsk { name: hint.name.clone(), ..request.clone() }.decode(block).ok();
            hinted = names.iter().rev().nth(usize::from(number)).and_then(read).and_then(|(bytes, _)| hint_of(&bytes));
        }
        let from = get.uri.edition.unwrap_or(0).unsigned_abs();
        if let Some(edition) = hinted {
            // Editions are looked for from there on.
            get.uri.edition = i64::try_from(edition.max(from)).ok().map(|edition| -edition);
        }
        get.stage = if hinted.is_none() && number < 3 { Stage::Hints(number + 1) } else { Stage::Data };
        if get.stage == Stage::Data {
            get.stage = Stage::Key;
            // Not to ask for hints again.
            get.steps = get.steps.max(1);
            let key = key_of(&get.uri);
            return match key {
                Ok(key) => {
                    let htl = self.config.0.htl_max;
                    self.begin(Kind::Request, key, htl, Whose::Job(job, 0), None, cx, out);
                }
                Err(why) => self.fail_job(job, Failure::Unusable(why.to_string()), out),
            };
        }
        self.ask_key(job, cx, out);
    }

    /// A name leads nowhere: the next alias, or the next digest.
    fn next_name(&mut self, job: u64, failure: Failure, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        let next = match get.digest {
            // What is not there at all is not there under the next alias: they are filled in order.
            Some((digest, slot)) if slot + 1 < SLOTS && !matches!(failure, Failure::NotFound(_)) => Some((digest, slot + 1)),
            Some(_) if !get.more_digests.is_empty() => Some((get.more_digests.remove(0), 0)),
            _ => None,
        };
        let Some((digest, slot)) = next else {
            if matches!(get.purpose, Purpose::Lookup) && matches!(failure, Failure::NotFound(_) | Failure::Unusable(_)) {
                let op = get.op;
                self.jobs.remove(&job);
                return out.report(op, Progress::Done);
            }
            return self.fail_job(job, failure, out);
        };
        get.missed = 0;
        get.digest = Some((digest, slot));
        get.uri = super::verbs::alias(&digest, slot);
        get.path = Vec::new();
        get.stage = Stage::Key;
        self.ask_key(job, cx, out);
    }

    /// The content of the URI's block.
    fn on_key(&mut self, job: u64, bytes: Bytes, control: bool, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Some(get) = self.get_of(job) {
            get.missed = 0;
        }
        if control {
            return self.on_document_bytes(job, &bytes, cx, out);
        }
        let Some(get) = self.get_of(job) else { return };
        if get.digest.is_some() {
            return self.next_name(job, Failure::Unusable("what is there is not what the digest names".into()), cx, out);
        }
        get.leaf = Some(Leaf {
            mime: None,
            deflated: false,
            bytes: bytes.len() as u64,
            stored_bytes: bytes.len() as u64,
            body: Body::Inline(bytes.clone()),
        });
        self.on_bytes(job, bytes, cx, out);
    }

    fn on_document_bytes(&mut self, job: u64, bytes: &[u8], cx: &mut Context<'_>, out: &mut Out<A>) {
        match Document::read(bytes) {
            Ok(document) => self.on_document(job, document, cx, out),
            Err(wrong) => self.next_name(job, Failure::Unusable(format!("the document cannot be read: {wrong}")), cx, out),
        }
    }

    fn on_document(&mut self, job: u64, document: Document, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        match &document {
            Document::Redirect(text) => {
                let mut uri = match Uri::parse(text) {
                    Ok(uri) => uri,
                    Err(wrong) => return self.fail_job(job, Failure::Unusable(format!("a redirect leads nowhere: {wrong}")), out),
                };
                uri.path.append(&mut get.path);
                get.path.clone_from(&uri.path);
                get.uri = uri;
                get.stage = Stage::Key;
                return self.ask_key(job, cx, out);
            }
            Document::Outer(leaf) => {
                get.steps += 1;
                if leaf.stored_bytes > DOCUMENT_BYTES_MAX || leaf.deflated || get.steps > STEPS_MAX {
                    return self.fail_job(job, Failure::Unusable("a document is larger than any is here".into()), out);
                }
                get.stage = Stage::Outer;
                get.download = Some(Download::of([(0, leaf)], leaf.stored_bytes, true));
                return self.pump_get(job, cx, out);
            }
            Document::File { .. } | Document::Directory { .. } => {}
        }
        let whole = get.path.is_empty() || (matches!(document, Document::File { .. }) && get.path.len() == 1);
        let described = document.layout().filter(|_| whole);
        let name = described.as_ref().and_then(|(layout, proof)| digest_of(layout, proof));
        if let Some((digest, _)) = get.digest
            && name != Some(digest)
        {
            out.note(Level::Drop, "forged_alias", None, "a name leads to something else than it says");
            return self.next_name(job, Failure::Unusable("what is there is not what the digest names".into()), cx, out);
        }
        match (&get.purpose, described) {
            (Purpose::Lookup, Some((layout, _))) => {
                let (op, uri) = (get.op, get.uri.clone());
                self.jobs.remove(&job);
                let source = Source { what: What::Locator(uri.to_string()), peers: Vec::new() };
                let digests: Digests = name.into_iter().collect();
                let hit = Hit { name: layout.name().to_owned(), size_bytes: Some(layout.total_bytes()), digests, source };
                out.report(op, Progress::Hit(Box::new(hit)));
                out.report(op, Progress::Done);
            }
            (Purpose::Lease(_), Some((layout, proof))) => {
                let total = layout.total_bytes();
                let download = match &document {
                    Document::File { leaf, .. } if !leaf.deflated => Some(Download::of([(0, leaf)], total, false)),
                    Document::Directory { entries, .. } if !entries.iter().any(|(_, entry)| is_deflated(entry)) => {
                        let mut base = 0;
                        let mut leaves = Vec::new();
                        for (_, entry) in entries {
                            if let Entry::File(leaf, ..) = entry {
                                leaves.push((base, leaf));
                                base += leaf.bytes;
                            }
                        }
                        Some(Download::of(leaves, total, false))
                    }
                    _ => None,
                };
                let Some(download) = download else { return self.keep_in_memory(job, &document, cx, out) };
                get.download = Some(download);
                self.describe(job, layout, proof, name, cx, out);
            }
            _ => self.keep_in_memory(job, &document, cx, out),
        }
    }

    /// Fetches one file of a document into memory.
    fn keep_in_memory(&mut self, job: u64, document: &Document, cx: &mut Context<'_>, out: &mut Out<A>) {
        let max = self.config.0.memory_bytes_max;
        let Some(get) = self.get_of(job) else { return };
        let leaf = match document {
            Document::File { leaf, .. } if get.path.len() <= 1 => leaf.clone(),
            Document::File { .. } => return self.fail_job(job, Failure::Unusable("too many path components behind a file".into()), out),
            Document::Directory { entries, .. } => {
                let mut path = get.path.join("/");
                let entry = loop {
                    match entries.iter().find(|(name, _)| *name == path).map(|(_, entry)| entry) {
                        // The directory itself is one of its files.
                        Some(Entry::Elsewhere(target)) if target.starts_with("./") && target[2..] != path => path = target[2..].to_owned(),
                        entry => break entry,
                    }
                };
                match entry {
                    Some(Entry::File(leaf, ..)) => leaf.clone(),
                    Some(Entry::Elsewhere(target)) => {
                        get.path = Vec::new();
                        let redirect = Document::Redirect(target.clone());
                        return self.on_document(job, redirect, cx, out);
                    }
                    None if path.is_empty() => {
                        return self.fail_job(job, Failure::Unusable("not enough path components: this is a directory".into()), out);
                    }
                    None => return self.fail_job(job, Failure::NotFound(format!("can't find {path}")), out),
                }
            }
            Document::Redirect(_) | Document::Outer(_) => return,
        };
        let limit = if let Purpose::Memory(limit) = get.purpose { limit.min(max) } else { max };
        if leaf.bytes > limit || leaf.stored_bytes > limit {
            return self.fail_job(job, Failure::Unusable(format!("{} bytes are more than the {limit} asked for", leaf.bytes)), out);
        }
        get.stage = Stage::Data;
        get.download = Some(Download::of([(0, &leaf)], leaf.stored_bytes, true));
        get.leaf = Some(leaf);
        self.pump_get(job, cx, out);
    }

    /// Bytes of a file, as they are stored.
    fn on_stored_bytes(&mut self, job: u64, bytes: Bytes, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        if let Some(leaf) = get.leaf.as_ref().filter(|leaf| leaf.deflated) {
            let bytes_max = leaf.bytes;
            get.stage = Stage::Inflating;
            return self.ask(Pending::Job(job, 0), Ask::Work(CpuJob::Inflate { bytes, bytes_max }), out);
        }
        self.on_bytes(job, bytes, cx, out);
    }

    /// The file itself.
    fn on_bytes(&mut self, job: u64, bytes: Bytes, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        match get.purpose {
            Purpose::Memory(_) => {
                let (op, uri) = (get.op, get.uri.clone());
                let mime = get.leaf.as_ref().and_then(|leaf| leaf.mime.clone());
                if !get.teller.has_told() {
                    // All of it was in the block of the key.
                    get.teller.tell(op, Counts { total: 1, required: 1, succeeded: 1, failed: 0, is_final: true }, cx.now, out);
                }
                self.jobs.remove(&job);
                done(op, Reply::Got { uri, mime, bytes }, out);
            }
            Purpose::Lookup | Purpose::Newest => {
                let op = get.op;
                self.jobs.remove(&job);
                out.report(op, Progress::Done);
            }
            Purpose::Lease(_) => {
                let named = get.path.last().or(get.uri.name.as_ref()).filter(|name| !name.is_empty()).cloned();
                let name = named.unwrap_or_else(|| "file".to_owned());
                let piece_bytes = 256 << 10;
                let hashes = bytes.chunks(piece_bytes).map(sha1_lanes::sha1_one).collect();
                let proof = Proof::V1Pieces { piece_bytes: piece_bytes as u64, total_bytes: bytes.len() as u64, hashes };
                let Ok(layout) = Layout::single(name, bytes.len() as u64) else {
                    return self.fail_job(job, Failure::Unusable("the file has no usable name".into()), out);
                };
                get.buffered = Some(bytes);
                get.download = None;
                let name = digest_of(&layout, &proof);
                self.describe(job, layout, proof, name, cx, out);
            }
        }
    }

    fn describe(&mut self, job: u64, layout: Layout, proof: Proof, name: Option<Digest>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        get.stage = Stage::Described;
        let digests: Digests = name.into_iter().collect();
        let description = Description { layout: Arc::new(layout), proof: Some(proof), digests, torrent: Bytes::new(), private: false };
        out.report(get.op, Progress::Described(Box::new(description)));
        get.lease_until = cx.now + LEASE_DEADLINE;
        out.wake(get.lease_until, Timer::Job(job));
    }

    pub(super) fn on_get_timer(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        if get.stage == Stage::Described {
            if cx.now >= get.lease_until {
                self.fail_job(job, Failure::TimedOut(LEASE_DEADLINE.as_secs()), out);
            }
            return;
        }
        if get.again.take_if(|at| *at <= cx.now).is_some() {
            return self.ask_key(job, cx, out);
        }
        if let Some(download) = &mut get.download {
            download.take_up(cx.now);
            self.pump_get(job, cx, out);
        }
    }

    /// What the session wants.
    pub(super) fn on_leased(&mut self, lease: LeaseId, ranges: Ranges, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(job) = self.job_of(lease) else { return };
        let Some(get) = self.get_of(job) else { return };
        if ranges.is_empty() {
            let op = get.op;
            self.jobs.remove(&job);
            return out.report(op, Progress::Done);
        }
        if !matches!(get.stage, Stage::Described | Stage::Data) {
            return;
        }
        get.stage = Stage::Data;
        get.missing = ranges.clone();
        if let Some(bytes) = &get.buffered {
            let total = bytes.len() as u64;
            for range in ranges.within(0..total).iter() {
                let (start, end) = (usize::try_from(range.start).unwrap_or(0), usize::try_from(range.end).unwrap_or(0));
                out.push(Output::Deliver(lease, range.start, Payload::Bytes(bytes.slice(start..end))));
            }
            return;
        }
        let Some(download) = &mut get.download else { return };
        // What was delivered and is not judged yet is on its way.
        download.wanted = ranges;
        download.wanted.remove_all(&download.delivered);
        for (base, bytes) in download.inline.clone() {
            self.ready_bytes(job, &Ready(base, bytes), out);
        }
        self.pump_get(job, cx, out);
    }

    /// Other networks bring some of it.
    pub(super) fn on_elsewhere(&mut self, lease: LeaseId, ranges: Ranges, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(job) = self.job_of(lease) else { return };
        let Some(get) = self.get_of(job) else { return };
        if get.others.bring(ranges) {
            let under_way = get.download.as_ref().map(Download::under_way).unwrap_or_default();
            get.others.claim(lease, under_way, out);
        }
        if get.stage == Stage::Data {
            self.pump_get(job, cx, out);
        }
    }

    pub(super) fn on_judged(
        &mut self,
        lease: LeaseId,
        range: std::ops::Range<u64>,
        verdict: Verdict,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let Some(job) = self.job_of(lease) else { return };
        if verdict == Verdict::Bad {
            // Every block was what its key says: whoever made the document did not tell the truth in it.
            return self.fail_job(job, Failure::Unusable("the publisher's own hashes do not fit what was published".into()), out);
        }
        if matches!(verdict, Verdict::Mixed | Verdict::Lie) {
            // What came from here was what its keys say; whoever else has it can bring the rest.
            return;
        }
        let Some(get) = self.get_of(job).filter(|get| !get.missing.is_empty()) else { return };
        get.missing.remove(range.clone());
        if get.missing.is_empty() {
            let op = get.op;
            self.jobs.remove(&job);
            return out.report(op, Progress::Done);
        }
        if let Some(download) = get.download.as_mut().filter(|_| !get.others.is_empty()) {
            download.came_elsewhere(range);
            get.others.look_again();
            self.pump_get(job, cx, out);
        }
    }

    /// Bytes of the layout that are known: into memory, or to the session where it wants them.
    fn ready_bytes(&mut self, job: u64, ready: &Ready, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        let Some(download) = &mut get.download else { return };
        let Ready(base, bytes) = ready;
        let range = *base..*base + bytes.len() as u64;
        if let Some(memory) = &mut download.memory {
            let (start, end) = (usize::try_from(range.start).unwrap_or(usize::MAX), usize::try_from(range.end).unwrap_or(usize::MAX));
            if let Some(place) = memory.get_mut(start..end) {
                place.copy_from_slice(bytes);
            }
            download.delivered.insert(range);
            return;
        }
        let Purpose::Lease(lease) = get.purpose else { return };
        for part in download.wanted.within(range).iter() {
            let (start, end) = (usize::try_from(part.start - base).unwrap_or(0), usize::try_from(part.end - base).unwrap_or(0));
            out.push(Output::Deliver(lease, part.start, Payload::Bytes(bytes.slice(start..end))));
            download.delivered.insert(part.clone());
            download.wanted.remove(part);
        }
    }

    /// Asks for as many blocks as may be under way.
    pub(super) fn pump_get(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let htl = self.config.0.htl_max;
        loop {
            let Some(get) = self.get_of(job) else { return };
            let Some(download) = &mut get.download else { return };
            if download.memory.is_some() && !download.inline.is_empty() {
                for (base, bytes) in std::mem::take(&mut download.inline) {
                    self.ready_bytes(job, &Ready(base, bytes), out);
                }
                continue;
            }
            if download.is_busy() {
                return;
            }
            if !get.pace.may_go(job, cx.now, out) {
                return;
            }
            let Some(Pick { part, key, data }) = download.pick(&get.others, cx.dice) else {
                if let Purpose::Lease(lease) = get.purpose
                    && download.memory.is_none()
                    && !download.wanted.is_empty()
                {
                    get.others.starve(lease, out);
                }
                break;
            };
            if let Purpose::Lease(lease) = get.purpose
                && let Some(range) = data
            {
                get.others.claim(lease, Ranges::of(range), out);
            }
            get.pace.goes();
            let key = NodeKey::Chk(key.routing);
            self.begin(Kind::Request, key, htl, Whose::Job(job, part), None, cx, out);
        }
        self.look_whether_whole(job, cx, out);
    }

    fn look_whether_whole(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        let Some(download) = &mut get.download else { return };
        if download.memory.is_none() || !download.delivered.covers(0..download.total) {
            return;
        }
        let bytes = Bytes::from(download.memory.take().unwrap_or_default());
        let outer = get.stage == Stage::Outer;
        get.download = None;
        if outer { self.on_document_bytes(job, &bytes, cx, out) } else { self.on_stored_bytes(job, bytes, cx, out) }
    }

    /// A block of the content has come, or has not.
    fn on_part(&mut self, job: u64, part: u32, outcome: Outcome, cx: &mut Context<'_>, out: &mut Out<A>) {
        let settings = self.config.clone();
        let Some(get) = self.get_of(job) else { return };
        let Some(download) = &mut get.download else { return };
        let Some((number, index)) = download.answered(part) else { return };
        let segment = &download.segments[number];
        let (block, miss) = match outcome {
            Outcome::Block(block) => (Some(block), Miss::NotFound),
            Outcome::Missed(miss) => (None, miss),
            Outcome::Stored | Outcome::Hops(_) => (None, Miss::NotFound),
        };
        let range = segment.range(index);
        let plain = block.and_then(|block| ClientChk::from(segment.keys[index]).decode(&block).ok()).filter(|plain| {
            let length = if index < segment.shape.data { range.end - range.start } else { CHK_DATA_BYTES as u64 };
            plain.len() as u64 == length
        });
        let Some(plain) = plain else {
            let tries_max = get.retries.saturating_add(1).max(settings.0.tries.into());
            match download.lose(number, index, miss, tries_max, cx.now, cx.dice) {
                Loss::Again(at) => out.wake(at, Timer::Job(job)),
                Loss::Spared => {}
                Loss::Fatal => {
                    let lost = "blocks of the file are lost, more than its check blocks can restore";
                    return self.fail_job(job, Failure::NotFound(lost.into()), out);
                }
            }
            self.tell_get(job, cx, out);
            return self.pump_get(job, cx, out);
        };
        let data = segment.shape.data;
        let base = range.start;
        download.gain(number, index, plain.clone(), settings.0.window_max);
        self.tell_get(job, cx, out);
        if index < data {
            self.ready_bytes(job, &Ready(base, plain), out);
        }
        self.tend_segment(job, number, out);
        self.pump_get(job, cx, out);
    }

    /// Says how far a fetch into memory is.
    fn tell_get(&mut self, job: u64, cx: &Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        if let (Purpose::Memory(_), Stage::Data, Some(download)) = (&get.purpose, get.stage, &get.download) {
            get.teller.tell(get.op, download.counts(), cx.now, out);
        }
    }

    /// Looks whether a segment is over, or can be restored.
    fn tend_segment(&mut self, job: u64, number: usize, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        let Some(segment) = get.download.as_mut().and_then(|download| download.segments.get_mut(number)) else { return };
        if !segment.tend() {
            return;
        }
        let block = |index: usize| {
            let plain = segment.got.get(&index)?;
            Some(if plain.len() == CHK_DATA_BYTES { plain.clone() } else { crate::keys::padded(plain).into() })
        };
        let blocks = (0..segment.keys.len()).map(block).collect();
        let originals = segment.shape.data;
        let question = u32::try_from(number).unwrap_or(u32::MAX - 1) + 1;
        self.ask(Pending::Job(job, question), Ask::Work(CpuJob::Decode { blocks, originals }), out);
    }

    pub(super) fn on_get_answer(&mut self, job: u64, question: u32, answer: Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        if question == 0 {
            return match answer {
                Answer::Worked(CpuResult::Bytes(bytes)) => self.on_bytes(job, bytes, cx, out),
                _ => self.fail_job(job, Failure::Unusable("the file cannot be inflated".into()), out),
            };
        }
        let number = question as usize - 1;
        let Some(get) = self.get_of(job) else { return };
        let Some(segment) = get.download.as_mut().and_then(|download| download.segments.get_mut(number)) else { return };
        let Answer::Worked(CpuResult::Blocks(blocks)) = answer else {
            return self.fail_job(job, Failure::Unusable("a segment cannot be restored".into()), out);
        };
        segment.over = true;
        let restored: Vec<(usize, u64, Bytes)> = blocks
            .into_iter()
            .enumerate()
            .take(segment.shape.data)
            .filter(|(index, _)| !segment.got.contains_key(index))
            .map(|(index, block)| {
                let range = segment.range(index);
                let length = usize::try_from(range.end - range.start).unwrap_or(0).min(block.len());
                (index, range.start, block.slice(..length))
            })
            .collect();
        segment.got.clear();
        let keys: Vec<BlockKey> = restored.iter().map(|(index, ..)| segment.keys[*index]).collect();
        let htl = self.config.0.htl_max;
        for (healed, ((_, base, bytes), key)) in restored.into_iter().zip(keys).enumerate() {
            // What was lost is inserted again, which looks like any other insert.
            if healed < HEALED_MAX
                && let Some((made, block)) = ClientChk::encode(&bytes, false)
                && made.routing == key.routing
            {
                self.begin(Kind::Insert, block.key, htl, Whose::Wanting, Some(block), cx, out);
            }
            self.ready_bytes(job, &Ready(base, bytes), out);
        }
        self.pump_get(job, cx, out);
    }
}

fn is_deflated(entry: &Entry) -> bool {
    matches!(entry, Entry::File(leaf, ..) if leaf.deflated)
}

/// The name that files have by what proves them.
pub(super) fn digest_of(layout: &Layout, proof: &Proof) -> Option<Digest> {
    match proof {
        Proof::V1Pieces { piece_bytes, hashes, .. } => Some(Digest::TorrentV1(info::hash(&info::write(layout, *piece_bytes, hashes)))),
        Proof::Tree(tree) => Some(Digest::Content(tree.content())),
        Proof::Tiger(tree) => Some(Digest::TigerTree(tree.root())),
        Proof::Forest(_) | Proof::Whole { .. } | Proof::Unproven { .. } => None,
    }
}

fn key_of(uri: &Uri) -> Result<NodeKey, crate::keys::UriError> {
    if uri.kind == crate::keys::Kind::Chk { uri.chk().map(|key| key.node_key()) } else { uri.request().map(|key| key.node_key()) }
}

/// Reads the block of a URI; whether it is about content.
fn open(uri: &Uri, block: &Block) -> Result<(Bytes, bool), Box<dyn std::error::Error>> {
    if uri.kind == crate::keys::Kind::Chk {
        let key = uri.chk()?;
        Ok((key.decode(block)?, key.control))
    } else {
        Ok(uri.request()?.decode(block)?)
    }
}
