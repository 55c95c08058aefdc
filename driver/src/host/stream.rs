//! A bidirectional QUIC stream as the wire of a connection.

use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, WriteError};

use super::wire::{Ready, Wire};

/// How much of a stream is taken at once.
const CHUNK_BYTES: usize = 64 << 10;
/// QUIC says that it can send again only to who has bytes to send: these wait in its front garden.
const HELD_BYTES: usize = 16 << 10;
/// How long last words may take to be acknowledged.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A stream in both directions.
pub(super) struct Stream {
    send: SendStream,
    recv: RecvStream,
    /// What has been taken from the connection and not been read yet.
    came: Bytes,
    /// How reading has ended.
    over: Option<Result<(), io::ErrorKind>>,
    held: Bytes,
    /// Counts the streams of the connection.
    _one_of: Rc<()>,
}

impl Stream {
    pub(super) fn new(send: SendStream, recv: RecvStream, one_of: Rc<()>) -> Self {
        Self { send, recv, came: Bytes::new(), over: None, held: Bytes::new(), _one_of: one_of }
    }

    /// The first byte; `None` when the stream ends before it.
    pub(super) async fn first_byte(&mut self) -> Option<u8> {
        std::future::poll_fn(|cx| self.poll_come(cx)).await;
        self.came.try_get_u8().ok()
    }

    /// Takes what has come; ready when there is something, or nothing more will come.
    fn poll_come(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.came.is_empty() || self.over.is_some() {
            return Poll::Ready(());
        }
        match pin!(self.recv.read_chunk(CHUNK_BYTES, true)).poll(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(Some(chunk))) => self.came = chunk.bytes,
            // A peer that ends its connection in order has ended all its streams.
            Poll::Ready(Ok(None) | Err(ReadError::ConnectionLost(ConnectionError::ApplicationClosed(_)))) => self.over = Some(Ok(())),
            Poll::Ready(Err(ReadError::Reset(_))) => self.over = Some(Err(io::ErrorKind::ConnectionReset)),
            Poll::Ready(Err(_)) => self.over = Some(Err(io::ErrorKind::BrokenPipe)),
        }
        Poll::Ready(())
    }

    /// Passes on what is held; ready when nothing is.
    fn poll_pass(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            match Pin::new(&mut self.send).poll_write(cx, &self.held) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(length)) => self.held.advance(length),
                Poll::Ready(Err(error)) => {
                    self.held.clear();
                    return Poll::Ready(Err(broken(&error)));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(_: &WriteError) -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

impl Wire for Stream {
    fn poll_ready(&mut self, cx: &mut Context<'_>, read: bool, write: bool) -> Poll<Ready> {
        // An error makes it ready: writing meets it again.
        let ready = Ready { read: read && self.poll_come(cx).is_ready(), write: write && self.poll_pass(cx).is_ready() };
        if ready.read || ready.write { Poll::Ready(ready) } else { Poll::Pending }
    }

    fn try_read(&mut self, into: &mut BytesMut, most: usize) -> io::Result<usize> {
        let mut nobody = Context::from_waker(Waker::noop());
        if self.poll_come(&mut nobody).is_pending() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = self.came.len().min(into.capacity() - into.len()).min(most);
        into.extend_from_slice(&self.came[..length]);
        self.came.advance(length);
        match self.over {
            Some(Err(kind)) if length == 0 => Err(kind.into()),
            _ => Ok(length),
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut nobody = Context::from_waker(Waker::noop());
        match self.poll_pass(&mut nobody) {
            Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
            Poll::Ready(passed) => passed?,
        }
        match Pin::new(&mut self.send).poll_write(&mut nobody, bytes) {
            Poll::Ready(Ok(length)) => Ok(length),
            Poll::Ready(Err(error)) => Err(broken(&error)),
            Poll::Pending => {
                self.held = Bytes::copy_from_slice(&bytes[..bytes.len().min(HELD_BYTES)]);
                Ok(self.held.len())
            }
        }
    }

    fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    fn finish(&mut self) {}

    async fn linger(&mut self) {
        let leave = async {
            if std::future::poll_fn(|cx| self.poll_pass(cx)).await.is_ok() && self.send.finish().is_ok() {
                // Acknowledged, or not wanted: either way it need not be kept.
                let _ = self.send.stopped().await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, leave).await;
    }
}
