//! Any network on real sockets, clocks and disks.
//!
//! `host` runs one network's node with its sockets on one thread. `transfers` carries out what the transfer engine wants:
//! hashing, writing and journalling on a few workers, reading for uploads. The traits here are all that the two know of each other.

pub mod host;
pub mod http;
pub mod limits;
mod locked;
pub mod mapping;
mod nothing;
pub mod proxy;
pub mod transfers;
pub mod wall;

use std::fmt::Debug;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::pin::Pin;

use hexad_content::Ranges;
use hexad_core::{AskFailure, IndexDeed, IndexHit, IndexOwner, IndexQuery, LeaseId, Payload, ShareId, Span, Verdict};

pub use self::locked::Locked;
pub use self::nothing::Nothing;

/// Where a host hands the bytes that its node delivers. Called on the host's thread: must not block.
pub trait Deliveries: Send + Sync {
    /// Bytes of a lease, at an offset of its layout. Copied before this returns.
    fn deliver(&self, lease: LeaseId, offset: u64, payload: &Payload);

    /// As `hexad_core::Output::Claim`; nothing where nobody divides downloads.
    fn claim(&self, _lease: LeaseId, _ranges: &Ranges) {}

    /// Whether so much waits for hashing and disk that the host should stop reading from sockets for a moment;
    /// `LeaseSink::relieved` says when to go on.
    fn congested(&self) -> bool;
}

/// Where the engine's news about a lease go: a host's handle. Called on any thread: must not block.
pub trait LeaseSink: Send + Sync {
    /// As `hexad_core::Input::Leased`.
    fn leased(&self, lease: LeaseId, ranges: Ranges);

    /// As `hexad_core::Input::Elsewhere`.
    fn elsewhere(&self, lease: LeaseId, ranges: Ranges);

    /// As `hexad_core::Input::Judged`.
    fn judged(&self, lease: LeaseId, range: Range<u64>, verdict: Verdict);

    /// `Deliveries::congested` is false again.
    fn relieved(&self);
}

/// Where a host reads what it sends from shares.
pub trait ReadShare: Send + Sync {
    /// Fills `parts` one after the other with the bytes of `share` from `offset` of its layout on, with as few system calls as possible.
    /// Only from what is in the page cache when `cached_only`; then fails with `WouldBlock` where it is not.
    ///
    /// # Errors
    /// When the share is not known, or the files cannot be read or are too short.
    fn read(&self, share: ShareId, offset: u64, parts: &mut [IoSliceMut<'_>], cached_only: bool) -> io::Result<()>;
}

/// What a catalogue answers, in a while.
pub type Finding<T> = Pin<Box<dyn Future<Output = Result<T, AskFailure>> + Send>>;

/// Where a host looks up what nodes ask by `Ask::Query` and its like: an index that several machines share, in a database far away. Called on the
/// host's thread inside its tokio runtime, so it must not block but may spawn; one catalogue belongs to one host.
pub trait Catalogue: Debug + Send + Sync {
    /// Begins to look. The future is dropped at the query's deadline.
    fn find(&self, query: &IndexQuery) -> Finding<Vec<IndexHit>>;

    /// Begins to look for an owner, on any machine.
    fn owner(&self, name: &str) -> Finding<Option<Box<IndexOwner>>>;

    /// Begins to change what this machine has there: all of it, in that order, or nothing.
    fn change(&self, deeds: Vec<IndexDeed>) -> Finding<()>;

    /// Waits for something that other machines tell this one, for so long at most.
    fn letters(&self, patience: Span) -> Finding<Vec<(u64, Vec<u8>)>>;
}
