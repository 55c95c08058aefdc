//! The four verbs, and how a node reports on them.

use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, Layout, Magnet, Proof};
use thiserror::Error;

use crate::{Endpoint, LeaseId, ShareId};

/// What a user asks of a network. `R` is what only this network can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation<R> {
    /// Become part of the network. `Done` when in effect; `Cancel` leaves, then `Ended`.
    Join {
        /// Where to begin; what it means is the network's (anchor nodes, a server, DHT nodes).
        bootstrap: Vec<Endpoint>,
    },
    /// Offer a share. `Done` when in effect; `Cancel` withdraws, then `Ended`.
    Publish {
        /// What to offer; must be in `Context::shares`. May still be downloading.
        share: ShareId,
    },
    /// Find. Any number of `Hit`s, then exactly one `Done` or `Failed`.
    Search {
        /// What to look for.
        query: Query,
    },
    /// Get. `Described` once it is known what the source holds, then exactly one `Done` or `Failed`.
    Fetch {
        /// From whom or where.
        source: Source,
        /// Under which bytes are delivered. After `Described`, the session answers with `Input::Leased`.
        lease: LeaseId,
        /// Under which what has arrived may be given on at once; it enters `Context::shares` before `Input::Leased`.
        share: ShareId,
    },
    /// What only this network can do.
    Own(R),
}

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// By words, all of which must occur.
    Words {
        /// Lower-cased words.
        words: Vec<String>,
        /// How many hits are enough.
        wanted: usize,
    },
    /// By the name of one content: a *lookup*.
    Digest {
        /// That name.
        digest: Digest,
        /// How many hits are enough.
        wanted: usize,
    },
}

/// Where something can be got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What is to be got.
    pub what: What,
    /// Peers known to have it, to be asked at once.
    pub peers: Vec<Endpoint>,
}

/// How a source names what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A whole .torrent.
    Torrent(Bytes),
    /// Names only.
    Magnet(Box<Magnet>),
    /// A network's own words: a path at a peer, a Freenet URI.
    Locator(String),
}

/// One answer to a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Name of the file or folder as the publisher gave it; empty when the network does not say.
    pub name: String,
    /// Size in bytes, when the network says it.
    pub size_bytes: Option<u64>,
    /// All names of the content that came with the answer.
    pub digests: Digests,
    /// How to fetch it.
    pub source: Source,
}

/// What a fetch turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The files.
    pub layout: Arc<Layout>,
    /// What proves their ranges.
    pub proof: Option<Proof>,
    /// All names known.
    pub digests: Digests,
    /// The .torrent (or as much of it as is known) that describes the layout; empty outside BitTorrent.
    pub torrent: Bytes,
    /// A private torrent (BEP 27): never leaves BitTorrent.
    pub private: bool,
}

/// How an operation stands. `R` is the network's own reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<R> {
    /// In effect (join, publish), or complete (search, fetch, own).
    Done,
    /// Not possible, and nothing more will be reported.
    Failed(Failure),
    /// Over after a cancel; nothing more will be reported.
    Ended,
    /// One answer of a search.
    Hit(Box<Hit>),
    /// What is being fetched.
    Described(Box<Description>),
    /// The network's own.
    Own(R),
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// Nothing answered before the deadline.
    #[error("no answer within {0} s")]
    TimedOut(u64),
    /// Nobody has it.
    #[error("not found: {0}")]
    NotFound(String),
    /// What was given cannot be used: what was expected, and what came.
    #[error("{0}")]
    Unusable(String),
    /// The network refuses, in its words.
    #[error("refused: {0}")]
    Refused(String),
    /// Something the operation needs is not there (not joined, no such share).
    #[error("{0}")]
    NotReady(String),
    /// A bound of ours is reached.
    #[error("too many {0} at once")]
    Full(&'static str),
    /// The host could not do it (bind a port, read a file).
    #[error("{0}")]
    Host(String),
}
