//! The buffers of a host's thread: one that is read into, and a few in which writes are put together.

use bytes::BytesMut;

/// How much is read at once.
pub(super) const READ_BYTES: usize = 1 << 20;
/// What a write is put together in: 64 blocks, their heads, and a block that begins just before the end.
pub(super) const WRITE_BYTES: usize = (1 << 20) + (128 << 10);
/// Buffers for writing that are kept while nobody needs them.
const WRITE_BUFFERS_KEPT: usize = 4;

/// Buffers that are lent and come back.
#[derive(Default)]
pub(super) struct Pool {
    read: Option<BytesMut>,
    write: Vec<Vec<u8>>,
}

impl Pool {
    /// An empty buffer with room for [`READ_BYTES`].
    ///
    /// What codecs have split off the buffer keeps its memory alive; once all of that is dropped, the same memory is lent again.
    pub(super) fn take_read(&mut self) -> BytesMut {
        let mut buffer = self.read.take().unwrap_or_default();
        buffer.clear();
        if buffer.capacity() < READ_BYTES && !buffer.try_reclaim(READ_BYTES) {
            buffer = BytesMut::with_capacity(READ_BYTES);
        }
        buffer
    }

    pub(super) fn give_read(&mut self, buffer: BytesMut) {
        if buffer.capacity() <= 2 * READ_BYTES {
            self.read = Some(buffer);
        }
    }

    /// A buffer of [`WRITE_BYTES`] initialised bytes or more, with anything in them.
    pub(super) fn take_write(&mut self) -> Vec<u8> {
        self.write.pop().unwrap_or_else(|| vec![0; WRITE_BYTES])
    }

    pub(super) fn give_write(&mut self, buffer: Vec<u8>) {
        if self.write.len() < WRITE_BUFFERS_KEPT && (WRITE_BYTES..=2 * WRITE_BYTES).contains(&buffer.len()) {
            self.write.push(buffer);
        }
    }
}
