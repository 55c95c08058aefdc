//! How we get more: one engine for all downloads, fed by any number of sources, without I/O.
//!
//! A source borrows a *lease* on what is missing and delivers bytes under it, in any order. The engine collects them into *parts* (what one
//! digest of the proof covers), asks its host to verify and write whole ones, and tells every lease what was found. It runs on real disks
//! under the driver and on pretended bytes in the lab. [`journal`] is how a download survives its process.

mod bits;
mod division;
mod download;
mod engine;
mod job;
pub mod journal;
mod pool;

pub use engine::{Config, Counters, Engine, Misfit, Progress};
pub use job::{Action, BLOCK_BYTES, Finding, Job, JobId, Run, WholePart, block_digests};
pub use pool::Buffer;
