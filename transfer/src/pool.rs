//! The memory that delivered bytes are collected in: buffers that are used again, and never more of them than allowed.

use std::ops::{Deref, DerefMut};

use hexad_core::Map;

/// Memory for one segment of a part. What it held before is still in it until it is written over.
///
/// Made by the engine, lent out with a job, and given back with [`crate::Engine::job_done`]; one that is dropped on the way stays counted.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    used: usize,
}

impl Buffer {
    /// How much memory it takes, used or not.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.used]
    }
}

/// All buffers, lent and idle.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Idle buffers by their size; the one used last is on top, for its memory may still be in the cache.
    idle: Map<usize, Vec<Vec<u8>>>,
    idle_bytes: u64,
    lent_bytes: u64,
    bytes_max: u64,
}

impl Pool {
    /// No buffers yet, and never more than `bytes_max` bytes of them.
    pub(crate) const fn new(bytes_max: u64) -> Self {
        Self { idle: Map::new(), idle_bytes: 0, lent_bytes: 0, bytes_max }
    }

    /// A buffer of `used` bytes in memory of `size` (at least `used`); `None` when too much is lent.
    pub(crate) fn take(&mut self, size: usize, used: usize) -> Option<Buffer> {
        if let Some(bytes) = self.idle.get_mut(&size).and_then(Vec::pop) {
            self.idle_bytes -= size as u64;
            self.lent_bytes += size as u64;
            return Some(Buffer { bytes, used });
        }
        if self.lent_bytes + size as u64 > self.bytes_max {
            return None;
        }
        while self.lent_bytes + self.idle_bytes + size as u64 > self.bytes_max {
            let mut largest = self.idle.last_entry()?;
            match largest.get_mut().pop() {
                Some(bytes) => self.idle_bytes -= bytes.len() as u64,
                None => drop(largest.remove()),
            }
        }
        self.lent_bytes += size as u64;
        Some(Buffer { bytes: vec![0; size], used })
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, buffer: Buffer) {
        let size = buffer.bytes.len();
        self.lent_bytes = self.lent_bytes.saturating_sub(size as u64);
        self.idle_bytes += size as u64;
        self.idle.entry(size).or_default().push(buffer.bytes);
    }

    /// Lets idle memory go.
    pub(crate) fn shrink(&mut self) {
        self.idle.clear();
        self.idle_bytes = 0;
    }

    /// Bytes of all buffers that are lent.
    pub(crate) fn lent_bytes(&self) -> u64 {
        self.lent_bytes
    }

    /// Bytes of all buffers.
    pub(crate) fn bytes(&self) -> u64 {
        self.lent_bytes + self.idle_bytes
    }
}
