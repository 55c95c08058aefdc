//! Bytes ↔ messages, one object per connection.

use std::borrow::Cow;

use bytes::BytesMut;
use thiserror::Error;

/// Which end of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We opened it.
    Dialler,
    /// The peer opened it.
    Acceptor,
}

/// Why a codec is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// The connection is open; `input` is empty. Whoever has to speak first below the messages (an MSE dialler) does so here.
    Opened,
    /// More bytes may have been added to the end of `input`.
    Bytes,
    /// No byte came for a while: for protocols in which a number ends by silence.
    Quiet,
    /// The peer will send no more.
    Eof,
}

/// Bytes that no honest peer sends.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason} (at byte {offset})")]
pub struct Malformed {
    /// Where in the message or the text it went wrong.
    pub offset: usize,
    /// What was expected and what came, in lower case.
    pub reason: Cow<'static, str>,
}

impl Malformed {
    /// At `offset`, because of `reason`.
    pub fn at(offset: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { offset, reason: reason.into() }
    }
}

/// Turns the bytes of one connection into messages and back. Sees both directions, so that a handshake can be its own.
///
/// What only transforms bytes (framing, ciphers, compression) belongs here; what the node decides on is a message.
pub trait Codec {
    /// What it reads and writes.
    type Message;

    /// The next message, or `None` when more bytes are needed. Called again until `None`.
    ///
    /// `input` holds everything that was received and not yet consumed; consumed bytes are split off its front. A codec that
    /// deciphers does so in place and remembers how far it got. Large payloads are split off and frozen, not copied; small
    /// ones are copied, since a frozen slice keeps the whole receive buffer alive.
    ///
    /// Whatever is appended to `reply` goes out as it is, before anything encoded later.
    ///
    /// # Errors
    /// When the bytes cannot be what this protocol sends. The connection is of no more use then.
    fn decode(&mut self, cue: Cue, input: &mut BytesMut, reply: &mut BytesMut) -> Result<Option<Self::Message>, Malformed>;

    /// Appends `message` to `out`, in clear. When `body_bytes` is not 0, the host appends that many bytes of a share right behind it,
    /// so the frame's length must include them.
    ///
    /// While a handshake of the codec's own is under way, it keeps the message and lets `decode` put it into `reply`.
    fn encode(&mut self, message: &Self::Message, body_bytes: u64, out: &mut BytesMut);

    /// Enciphers in place what `encode` and the host have put together, in the order in which it is sent; called once per write.
    fn seal(&mut self, bytes: &mut [u8]);

    /// Appends what must go out at the end of a write (a compressor's flush); called once per write, before [`Self::seal`].
    fn flush(&mut self, _out: &mut BytesMut) {}
}
