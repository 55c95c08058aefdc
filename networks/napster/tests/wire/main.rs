//! The bytes: golden messages, recordings of real programs, and what is not right.

mod data;
mod golden;
mod recordings;

use bytes::BytesMut;
use hexad_core::{Codec as _, Cue, Dial, Malformed, Role, Span, Transport};
use hexad_napster::wire::{Message, NapsterCodec, manner};

/// A codec of a connection that we have dialled.
pub fn dialled(manner: u8, expected_size: Option<u64>) -> NapsterCodec {
    let secret = expected_size.map(|size| size.to_be_bytes().to_vec()).unwrap_or_default().into();
    NapsterCodec::new(Role::Dialler, Some(&Dial { transport: Transport::Tcp, deadline: Span::from_secs(5), manner, secret }))
}

/// A codec of a connection to a server.
pub fn of_client() -> NapsterCodec {
    dialled(manner::SERVER, None)
}

/// A codec of a connection that came in.
pub fn accepted() -> NapsterCodec {
    NapsterCodec::new(Role::Acceptor, None)
}

/// All messages in `bytes`, handed over in chunks of `chunk` bytes; what is left behind, and what stopped it.
pub fn read(codec: &mut NapsterCodec, bytes: &[u8], chunk: usize) -> (Vec<Message>, BytesMut, Option<Malformed>) {
    let (mut input, mut reply, mut messages) = (BytesMut::new(), BytesMut::new(), Vec::new());
    for chunk in bytes.chunks(chunk.max(1)) {
        input.extend_from_slice(chunk);
        loop {
            match codec.decode(Cue::Bytes, &mut input, &mut reply) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(malformed) => return (messages, input, Some(malformed)),
            }
        }
    }
    assert!(reply.is_empty(), "the codec says nothing by itself");
    (messages, input, None)
}

/// What a codec makes of a message.
pub fn written(codec: &mut NapsterCodec, message: &Message) -> Vec<u8> {
    let mut out = BytesMut::new();
    codec.encode(message, 0, &mut out);
    out.to_vec()
}
