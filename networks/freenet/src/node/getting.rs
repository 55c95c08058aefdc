//! A fetch, and how far it is. `finding.rs` goes from a URI to a document, `gathering.rs` from a document to bytes. What is not found is asked for
//! again after a while.

use bytes::Bytes;
use hexad_content::{Digest, Layout, Proof, Ranges, info};
use hexad_core::{Context, Failure, LeaseId, OpId, Others, Span, Time};

use super::download::Download;
use super::jobs::{Pace, Teller};
use super::{Job, Node, Out};
use crate::document::Leaf;
use crate::keys::Uri;
use crate::place::Place;

/// The session is to say what it wants of a description within this.
pub(super) const LEASE_DEADLINE: Span = Span::from_secs(120);
/// Aliases that are tried for a digest: anybody can write under one.
pub const SLOTS: u8 = 4;

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
pub(super) enum Stage {
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
    pub(super) purpose: Purpose,
    pub(super) uri: Uri,
    pub(super) path: Vec<String>,
    pub(super) steps: u8,
    pub(super) stage: Stage,
    /// What the document has to prove, and which alias of it is tried.
    pub(super) digest: Option<(Digest, u8)>,
    pub(super) more_digests: Vec<Digest>,
    /// The newest edition found so far: its number and block.
    pub(super) newest: Option<(u64, Bytes, bool)>,
    pub(super) download: Option<Download>,
    pub(super) leaf: Option<Leaf>,
    /// Content that was in memory before it was described.
    pub(super) buffered: Option<Bytes>,
    /// What the session wants and has not judged.
    pub(super) missing: Ranges,
    /// What of it other networks bring.
    pub(super) others: Others,
    /// How often a key is asked for again that was not found.
    pub(super) retries: u32,
    /// How often the one that is asked for was missed, and when it is asked for again.
    pub(super) missed: u32,
    pub(super) again: Option<Time>,
    /// By when the session is to have said what it wants.
    pub(super) lease_until: Time,
    pub(super) pace: Pace,
    pub(super) teller: Teller,
}

impl Get {
    /// Whether editions are looked for from the one on that is named.
    pub(super) fn wants_newest(&self) -> bool {
        matches!(self.purpose, Purpose::Newest) || self.uri.edition.is_some_and(|edition| edition < 0)
    }
}

/// What to do with bytes that have come.
pub(super) struct Ready(pub(super) u64, pub(super) Bytes);

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
    pub(super) fn job_of(&self, lease: LeaseId) -> Option<u64> {
        let feeds = |job: &Job| matches!(job, Job::Get(get) if matches!(get.purpose, Purpose::Lease(of) if of == lease));
        self.jobs.iter().find(|(_, job)| feeds(job)).map(|(job, _)| *job)
    }

    pub(super) fn get_of(&mut self, job: u64) -> Option<&mut Get> {
        if let Some(Job::Get(get)) = self.jobs.get_mut(&job) { Some(get) } else { None }
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
