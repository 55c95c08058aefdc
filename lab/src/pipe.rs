//! Codec on: the bytes of one end of a connection.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use hexad_core::{Codec, Cue, Malformed, Message, Network, Payload, Token};

use crate::event::{Coded, Msg};
use crate::tally::Tally;

/// One end's codec, and what it has not yet made sense of.
pub(crate) struct Pipe<N: Network> {
    codec: N::Codec,
    input: BytesMut,
    /// What the bytes under way ought to be read as, in order.
    expected: VecDeque<(Msg<N>, Option<Token>)>,
}

impl<N: Network> Pipe<N> {
    pub(crate) fn new(codec: N::Codec) -> Self {
        Self { codec, input: BytesMut::new(), expected: VecDeque::new() }
    }

    /// What must be said below the messages as soon as the connection is open.
    pub(crate) fn open(&mut self) -> Result<Bytes, Malformed> {
        let mut reply = BytesMut::new();
        self.codec.decode(Cue::Opened, &mut self.input, &mut reply)?;
        Ok(reply.freeze())
    }

    /// A message as bytes, with zeros for its body.
    pub(crate) fn encode(&mut self, message: Msg<N>, body: Option<Token>, head_bytes: u64, tally: &mut Tally) -> Coded<Msg<N>> {
        let body_bytes = body.as_ref().map_or(0, |token| token.range.end - token.range.start);
        let mut bytes = BytesMut::new();
        self.codec.encode(&message, body_bytes, &mut bytes);
        tally.codec_differences += u64::from(!bytes.is_empty() && bytes.len() as u64 != head_bytes);
        bytes.resize(bytes.len() + usize::try_from(body_bytes).unwrap_or(0), 0);
        self.codec.flush(&mut bytes);
        self.codec.seal(&mut bytes);
        Coded { original: Some(message), body, bytes: bytes.freeze() }
    }

    /// Reads what came: messages, and what the codec answers by itself.
    pub(crate) fn decode(&mut self, coded: Coded<Msg<N>>, tally: &mut Tally) -> Result<(Vec<Msg<N>>, Bytes), Malformed> {
        if let Some(original) = coded.original {
            self.expected.push_back((original, coded.body));
        }
        self.input.extend_from_slice(&coded.bytes);
        let mut reply = BytesMut::new();
        let mut messages = Vec::new();
        while let Some(message) = self.codec.decode(Cue::Bytes, &mut self.input, &mut reply)? {
            messages.push(match self.expected.pop_front() {
                Some((original, body)) => match_up(message, original, body, tally),
                None => {
                    tally.codec_differences += 1;
                    message
                }
            });
        }
        Ok((messages, reply.freeze()))
    }
}

/// What was read, its body put back; counts it when it is not what was sent.
pub(crate) fn match_up<M: Message>(read: M, original: M, body: Option<Token>, tally: &mut Tally) -> M {
    let (read, original) = match body {
        Some(token) => (read.with_body(Payload::Token(token.clone())), original.with_body(Payload::Token(token))),
        None => (read, original),
    };
    tally.codec_differences += u64::from(read != original);
    read
}
