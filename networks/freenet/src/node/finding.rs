//! From a URI or a digest to what is described there: redirects, editions and hints about them, aliases, documents and their files.

use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, Layout, Proof, sha1_lanes};
use hexad_core::{Ask, Context, CpuJob, Description, Failure, Hit, Level, Progress, Source, What};

use super::download::{Download, cool_down};
use super::getting::{LEASE_DEADLINE, Purpose, SLOTS, Stage, digest_of};
use super::jobs::Counts;
use super::walks::{Kind, Miss, Outcome, Whose};
use super::{Node, Out, Pending, Reply, Timer, done, failure_of};
use crate::document::{Body, Document, Entry, Leaf};
use crate::keys::{Block, NodeKey, RequestSsk, Uri, date_hints, hint_of};
use crate::place::Place;

/// Redirects, documents within documents and editions that one fetch follows.
const STEPS_MAX: u8 = 64;
/// Documents about content are no longer than this.
const DOCUMENT_BYTES_MAX: u64 = 64 << 20;
impl<A: Place> Node<A> {
    /// Asks for the block of the URI.
    pub(super) fn ask_key(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
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
    pub(super) fn tries_again(&mut self, job: u64, miss: Miss, cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
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
        if matches!(get.purpose, Purpose::Memory(_)) {
            let wakes_ms = (cx.epoch_unix_s * 1000).saturating_add(at.as_micros() / 1000);
            out.report(get.op, Progress::Own(Reply::Rests(wakes_ms)));
        }
        out.wake(at, Timer::Job(job));
        true
    }

    pub(super) fn on_hint(&mut self, job: u64, number: u8, outcome: &Outcome, cx: &mut Context<'_>, out: &mut Out<A>) {
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
    pub(super) fn next_name(&mut self, job: u64, failure: Failure, cx: &mut Context<'_>, out: &mut Out<A>) {
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
    pub(super) fn on_key(&mut self, job: u64, bytes: Bytes, control: bool, cx: &mut Context<'_>, out: &mut Out<A>) {
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

    pub(super) fn on_document_bytes(&mut self, job: u64, bytes: &[u8], cx: &mut Context<'_>, out: &mut Out<A>) {
        match Document::read(bytes) {
            Ok(document) => self.on_document(job, document, cx, out),
            Err(wrong) => self.next_name(job, Failure::Unusable(format!("the document cannot be read: {wrong}")), cx, out),
        }
    }

    pub(super) fn on_document(&mut self, job: u64, document: Document, cx: &mut Context<'_>, out: &mut Out<A>) {
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
    pub(super) fn keep_in_memory(&mut self, job: u64, document: &Document, cx: &mut Context<'_>, out: &mut Out<A>) {
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
        if matches!(get.purpose, Purpose::Memory(_)) {
            out.report(get.op, Progress::Own(Reply::Expected { mime: leaf.mime.clone(), bytes: leaf.bytes }));
        }
        get.download = Some(Download::of([(0, &leaf)], leaf.stored_bytes, true));
        get.leaf = Some(leaf);
        self.pump_get(job, cx, out);
    }

    /// Bytes of a file, as they are stored.
    pub(super) fn on_stored_bytes(&mut self, job: u64, bytes: Bytes, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        if let Some(leaf) = get.leaf.as_ref().filter(|leaf| leaf.deflated) {
            let bytes_max = leaf.bytes;
            get.stage = Stage::Inflating;
            return self.ask(Pending::Job(job, 0), Ask::Work(CpuJob::Inflate { bytes, bytes_max }), out);
        }
        self.on_bytes(job, bytes, cx, out);
    }

    /// The file itself.
    pub(super) fn on_bytes(&mut self, job: u64, bytes: Bytes, cx: &mut Context<'_>, out: &mut Out<A>) {
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

    pub(super) fn describe(
        &mut self,
        job: u64,
        layout: Layout,
        proof: Proof,
        name: Option<Digest>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let Some(get) = self.get_of(job) else { return };
        get.stage = Stage::Described;
        let digests: Digests = name.into_iter().collect();
        let description = Description { layout: Arc::new(layout), proof: Some(proof), digests, torrent: Bytes::new(), private: false };
        out.report(get.op, Progress::Described(Box::new(description)));
        get.lease_until = cx.now + LEASE_DEADLINE;
        out.wake(get.lease_until, Timer::Job(job));
    }
}

fn is_deflated(entry: &Entry) -> bool {
    matches!(entry, Entry::File(leaf, ..) if leaf.deflated)
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
