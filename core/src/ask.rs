//! Everything slow is one word: a node asks, the host answers.

use std::net::IpAddr;
use std::ops::Range;

use bytes::Bytes;
use thiserror::Error;

use crate::{IndexDeed, IndexHit, IndexOwner, IndexQuery, Name, Payload, ShareId, Span};

/// A named collection of keys in the node's own store.
pub type Bucket = &'static str;

/// A question to the host. The driver carries it out; the lab answers from memory, with faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Read what was stored under a key → [`Answer::Loaded`].
    Load(Bucket, Vec<u8>),
    /// Store durably, in place of what was there → [`Answer::Stored`].
    Store(Bucket, Vec<u8>, Payload),
    /// Delete → [`Answer::Stored`].
    Forget(Bucket, Vec<u8>),
    /// Read a range of a share into memory, for networks that store what they are given → [`Answer::Loaded`].
    Read(ShareId, Range<u64>),
    /// Look a host name up → [`Answer::Resolved`].
    Resolve(Name),
    /// Do one HTTP(S) exchange → [`Answer::Http`].
    Http(Box<HttpRequest>),
    /// Ask a catalogue that may be far away → [`Answer::Found`].
    Query(Box<IndexQuery>),
    /// Look up an owner in such a catalogue → [`Answer::Owner`].
    Owner(String),
    /// Change such a catalogue, all or nothing → [`Answer::Stored`].
    Index(Vec<IndexDeed>),
    /// What other machines have to tell us by such a catalogue; answered as soon as there is something, or empty after that span
    /// → [`Answer::Letters`].
    Letters(Span),
    /// Compute something heavy away from the node's thread → [`Answer::Worked`].
    Work(CpuJob),
}

/// What the host found. The kind fits the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What was stored, or `None`.
    Loaded(Option<Payload>),
    /// Stored, or deleted.
    Stored,
    /// The addresses of a name; never empty.
    Resolved(Vec<IpAddr>),
    /// An HTTP answer of any status.
    Http(Box<HttpResponse>),
    /// What the catalogue has.
    Found(Vec<IndexHit>),
    /// The owner, if there is one.
    Owner(Option<Box<IndexOwner>>),
    /// What was told, each once, and by which machine.
    Letters(Vec<(u64, Vec<u8>)>),
    /// The result of a computation.
    Worked(CpuResult),
    /// The host could not.
    Failed(AskFailure),
}

/// Why the host could not answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AskFailure {
    /// The deadline passed.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is larger than the question allowed.
    #[error("the answer is over {0} bytes")]
    TooLarge(u64),
    /// A switch of the user or a rule of ours forbids it (proxy, private addresses).
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// Anything else, in the host's words.
    #[error("{0}")]
    Other(String),
}

/// HTTP methods that networks use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
}

/// One HTTP(S) request. The host follows redirects, refuses those that lead from a public to a private address, accepts gzip and caps what it inflates to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Method.
    pub method: HttpMethod,
    /// Absolute URL, already percent-encoded.
    pub url: String,
    /// Bytes of the resource to ask for; the answer says by its status whether the server obeyed.
    pub range: Option<Range<u64>>,
    /// No answer body is read beyond this many bytes.
    pub answer_bytes_max: u64,
    /// For the whole exchange.
    pub deadline: Span,
}

/// One HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// `Retry-After` in seconds, when given as a number.
    pub retry_after_s: Option<u64>,
    /// The URL that answered, when redirects led elsewhere.
    pub moved_to: Option<String>,
    /// The body.
    pub body: Payload,
}

/// A computation that would hold up the node's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CpuJob {
    /// Argon2id of a password with default parameters → [`CpuResult::Bytes`], 32 bytes.
    Argon2 {
        /// The password.
        password: Vec<u8>,
        /// At least 8 bytes.
        salt: Vec<u8>,
    },
    /// Sign with the key by which peers of our own overlays know this node (Ed25519) → [`CpuResult::Bytes`], 64 bytes.
    Sign(Bytes),
    /// Deflate (zlib) → [`CpuResult::Bytes`].
    Deflate(Bytes),
    /// Inflate (zlib) → [`CpuResult::Bytes`], or a failure when the result would be over `bytes_max`.
    Inflate {
        /// What to inflate.
        bytes: Bytes,
        /// Refuse beyond this.
        bytes_max: u64,
    },
    /// Reed–Solomon: add `recovery` blocks to `blocks` of equal, even length → [`CpuResult::Blocks`].
    Encode {
        /// The originals.
        blocks: Vec<Bytes>,
        /// How many to add.
        recovery: usize,
    },
    /// Reed–Solomon: restore the missing ones of `blocks` (originals first, then recovery blocks) → [`CpuResult::Blocks`], the originals.
    Decode {
        /// What is there; `None` where a block is missing.
        blocks: Vec<Option<Bytes>>,
        /// How many of them are originals.
        originals: usize,
    },
}

/// The result of a [`CpuJob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CpuResult {
    /// One run of bytes.
    Bytes(Bytes),
    /// Several blocks.
    Blocks(Vec<Bytes>),
}
