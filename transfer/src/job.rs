//! What the engine wants done, and what it hears back.

use std::ops::Range;

use hexad_content::sha1_lanes::sha1_many;
use hexad_content::{Ranges, Sha1Digest};
use hexad_core::{LeaseId, ShareId, Verdict};

use crate::Buffer;

/// Blocks in which wrong parts are compared with right ones, as swarms ask for them.
pub const BLOCK_BYTES: usize = 16 << 10;

/// Digests of the blocks of a part, or of a stretch of it that begins where a block does.
#[must_use]
pub fn block_digests(bytes: &[u8]) -> Vec<Sha1Digest> {
    sha1_many(&bytes.chunks(BLOCK_BYTES).collect::<Vec<_>>())
}

/// One job. Made by the engine, never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// What an engine wants of its host.
#[derive(Debug)]
pub enum Action {
    /// Do this and answer with [`crate::Engine::job_done`]. Jobs may be done in any order and at the same time.
    Job(JobId, Job),
    /// The lease covers these ranges, in place of what it covered before.
    Leased(LeaseId, Ranges),
    /// Other leases of the same download bring these ranges, in place of what they brought before. Said before [`Self::Leased`] where there are others.
    Elsewhere(LeaseId, Ranges),
    /// A range of the lease was judged.
    Judged(LeaseId, Range<u64>, Verdict),
    /// [`crate::Engine::congested`] is false again.
    Relieved,
    /// Every wanted byte of the share is good. Said again when more was wanted meanwhile.
    Complete(ShareId),
    /// A job could not read or write, in the host's words. The share is paused until [`crate::Engine::resume`]; what was good stays good.
    Failed(ShareId, String),
}

/// Work on memory and disk. All of one share.
#[derive(Debug)]
pub enum Job {
    /// Hash each part, compare it with the proof and write it when it is right. One [`Finding`] per part.
    VerifyAndWrite {
        /// Whose.
        share: ShareId,
        /// Whole parts, at least one, in no particular order.
        parts: Vec<WholePart>,
    },
    /// Write bytes in place that nothing proves yet, because memory is short or the part is too big for it. One [`Finding`] per run:
    /// [`Finding::Good`] when written.
    Spill {
        /// Whose.
        share: ShareId,
        /// What, at least one.
        runs: Vec<Run>,
    },
    /// Read each part back from disk, hash it and compare it with the proof. One [`Finding`] per part: [`Finding::Looked`] of those that are wrong, and of
    /// those in `looked`.
    ReadBack {
        /// Whose.
        share: ShareId,
        /// Indices into the proof, at least one.
        parts: Vec<u32>,
        /// Those of them that were wrong before: of these it is to be seen which blocks differ.
        looked: Vec<u32>,
    },
}

impl Job {
    /// Whose job it is.
    #[must_use]
    pub fn share(&self) -> ShareId {
        match self {
            Self::VerifyAndWrite { share, .. } | Self::Spill { share, .. } | Self::ReadBack { share, .. } => *share,
        }
    }

    /// How many findings answer it.
    #[must_use]
    pub fn findings(&self) -> usize {
        match self {
            Self::VerifyAndWrite { parts, .. } => parts.len(),
            Self::Spill { runs, .. } => runs.len(),
            Self::ReadBack { parts, .. } => parts.len(),
        }
    }
}

/// All bytes of one part.
#[derive(Debug)]
pub struct WholePart {
    /// Its index in the proof.
    pub part: u32,
    /// Where it begins in the layout.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Buffer,
}

/// Some bytes of one part.
#[derive(Debug)]
pub struct Run {
    /// The part's index in the proof.
    pub part: u32,
    /// Where `bytes` begins in the layout.
    pub offset: u64,
    /// Memory of which only `ranges` is to be written.
    pub bytes: Buffer,
    /// Positions in `bytes`, counted from its start.
    pub ranges: Ranges,
}

/// What a host found about one part or run of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Right, and written.
    Good,
    /// Not what the proof says. Nothing of it was written by [`Job::VerifyAndWrite`].
    Bad,
    /// The same of a part that was read back, with what its blocks look like.
    Looked {
        /// [`Self::Good`] or [`Self::Bad`].
        right: bool,
        /// [`block_digests`] of all of it.
        blocks: Vec<Sha1Digest>,
    },
    /// Could not be written or read back, and why.
    Unwritten(String),
}
