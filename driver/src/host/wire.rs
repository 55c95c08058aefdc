//! What carries the bytes of a connection.

use std::io;
use std::task::{Context, Poll};

use bytes::{BufMut as _, BytesMut};
use tokio::net::TcpStream;

/// For what a wire is ready.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// A stream of bytes in both directions that never makes the caller wait.
pub(super) trait Wire {
    /// Waits until something can be read or written, whichever is asked for.
    fn poll_ready(&mut self, cx: &mut Context<'_>, read: bool, write: bool) -> Poll<Ready>;

    /// Reads into the free capacity of `into`, at most so many bytes; 0 at the end, `WouldBlock` when there is nothing yet.
    fn try_read(&mut self, into: &mut BytesMut, most: usize) -> io::Result<usize>;

    /// Writes what there is room for; `WouldBlock` when there is none.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether something that was taken by [`Self::try_write`] has not left yet, so that the wire must go on being asked whether it is ready to write.
    fn holds_back(&self) -> bool {
        false
    }

    /// Says that nothing more will be written.
    fn finish(&mut self);

    /// Waits, for a short while, until what was written has left. For wires that forget it when they are dropped.
    async fn linger(&mut self) {}
}

impl Wire for TcpStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>, read: bool, write: bool) -> Poll<Ready> {
        // An error makes it ready as well; reading or writing says which one.
        let ready = Ready { read: read && self.poll_read_ready(cx).is_ready(), write: write && self.poll_write_ready(cx).is_ready() };
        if ready.read || ready.write { Poll::Ready(ready) } else { Poll::Pending }
    }

    fn try_read(&mut self, into: &mut BytesMut, most: usize) -> io::Result<usize> {
        self.try_read_buf(&mut into.limit(most))
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::try_write(self, bytes)
    }

    fn finish(&mut self) {
        // The peer may have gone already.
        let _ = socket2::SockRef::from(&*self).shutdown(std::net::Shutdown::Write);
    }
}
