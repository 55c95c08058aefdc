//! Bytes ↔ messages.

mod codec;
mod extensions;
mod fields;
pub mod ggep;
mod guid;
mod handshake;
mod headers;
mod hit;
mod http;
mod media;
mod packet;
pub mod qrp;
mod query;
mod reader;
pub mod thex;
mod urn;
pub mod zlib;

pub use codec::{Codec, read_all};
pub use extensions::Extensions;
pub use fields::{Fields, Schema};
pub use guid::Guid;
pub use handshake::{Answer, Connect};
pub use headers::Headers;
pub use hit::{QueryHit, Record, Trailer, bits};
pub use http::{Giv, Request, Response};
pub use media::Media;
pub use packet::{Body, Bye, HEAD_BYTES, PAYLOAD_BYTES_MAX, Packet, Pong, Push, Vendor};
pub use qrp::Qrp;
pub use query::{BYTES_MAX as QUERY_BYTES_MAX, FORWARD_BYTES_MAX, Query, flags};
pub use urn::{digests_of, urn_of};

use bytes::BytesMut;
use hexad_core::{Malformed, Payload};

/// What goes over connections; datagrams carry [`Message::Packet`] only.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The first block of a handshake.
    Connect(Box<Connect>),
    /// The second or third.
    Answer(Box<Answer>),
    /// A binary message.
    Packet(Packet),
    /// A frame of that function whose payload makes no sense.
    Nonsense(u8),
    /// Whoever was pushed.
    Giv(Box<Giv>),
    /// An HTTP request.
    Request(Box<Request>),
    /// The head of an HTTP answer.
    Response(Box<Response>),
    /// A part of its body.
    Data(Payload),
}

impl From<Packet> for Message {
    fn from(packet: Packet) -> Self {
        Self::Packet(packet)
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(Box::new(request))
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(Box::new(response))
    }
}

impl hexad_core::Message for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Answer(_) => "answer",
            Self::Packet(packet) => packet.body.kind(),
            Self::Nonsense(_) => "nonsense",
            Self::Giv(_) => "giv",
            Self::Request(_) => "request",
            Self::Response(_) => "response",
            Self::Data(_) => "data",
        }
    }

    fn wire_bytes(&self) -> u64 {
        let mut out = BytesMut::new();
        match self {
            Self::Packet(packet) => return packet.wire_bytes() as u64,
            Self::Data(Payload::Bytes(bytes)) => return bytes.len() as u64,
            Self::Data(Payload::Token(_)) | Self::Nonsense(_) => return 0,
            Self::Connect(connect) => connect.write(&mut out),
            Self::Answer(answer) => answer.write(&mut out),
            Self::Giv(giv) => giv.write(&mut out),
            Self::Request(request) => return request.text().len() as u64,
            Self::Response(response) => return response.text().len() as u64,
        }
        out.len() as u64
    }

    fn with_body(self, body: Payload) -> Self {
        match self {
            Self::Data(_) => Self::Data(body),
            other => other,
        }
    }
}

/// Reads one datagram.
///
/// # Errors
/// When it is no message of this network.
pub fn read_datagram(bytes: &[u8]) -> Result<Message, Malformed> {
    if bytes.starts_with(b"GTA") || bytes.starts_with(b"GND") {
        // gtk-gnutella's reliable layer; we do not offer it, so nobody has a reason to use it.
        return Err(Malformed::at(0, "the semi-reliable layer is not spoken here"));
    }
    Packet::read(bytes).map(Message::Packet)
}
