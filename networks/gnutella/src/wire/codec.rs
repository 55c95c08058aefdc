//! The bytes of one connection. One port carries everything: the first bytes of who has dialled say what it is, and `GIV` turns it round.
//!
//! Handshakes are messages that the node decides on; here it is only seen what they agree on: from when on a direction is one zlib stream.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use hexad_core::{Codec as _, Cue, Malformed, Payload, Role};

use super::Message;
use super::handshake::{Answer, Connect};
use super::headers::{Headers, take_head};
use super::http::{Giv, Request, Response};
use super::packet::{Framed, PAYLOAD_BYTES_MAX, Packet};
use super::zlib::{Deflater, Inflater};

/// Requests whose answers are still to come.
const REQUESTS_MAX: usize = 64;
/// Bytes of a body that has no length, or comes in chunks.
const UNTOLD_BODY_BYTES_MAX: u64 = 4 << 20;

/// What is expected from the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Accepted: the first bytes decide. Dialled: our first message decides.
    Fresh,
    /// A greeting of theirs waits for our answer.
    Greeted,
    /// The answer to a greeting: theirs to ours, or the third block to our answer.
    Answer,
    /// We have been told yes, and confirm it.
    Confirming,
    /// Messages.
    Packets,
    /// Requests.
    Server,
    /// Heads of answers to requests.
    Client,
    /// So many bytes of a body.
    Body(u64),
    /// A body that ends with the connection; so many bytes may still come.
    Endless(u64),
    /// A body in chunks; so many bytes may still come.
    Chunks(u64),
    /// So many bytes of a chunk; so many of the body.
    Chunk(u64, u64),
    /// Nothing more.
    Deaf,
}

/// One connection's bytes.
#[derive(Debug)]
pub struct Codec {
    role: Role,
    phase: Phase,
    /// Whether each answer that is to come is to a `HEAD`.
    requests: VecDeque<bool>,
    /// The other end will deflate.
    hears_deflated: bool,
    inflater: Option<Box<Inflater>>,
    deflater: Option<Box<Deflater>>,
    plain: BytesMut,
}

fn deflates(headers: &Headers) -> bool {
    headers.lists("Content-Encoding", "deflate")
}

impl Codec {
    /// The codec of a connection that has just been opened.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self {
            role,
            phase: Phase::Fresh,
            requests: VecDeque::new(),
            hears_deflated: false,
            inflater: None,
            deflater: None,
            plain: BytesMut::new(),
        }
    }

    /// What an accepted connection is, by its first bytes.
    fn sniff(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        const BEGINNINGS: [&[u8]; 4] = [b"GNUTELLA ", b"GET ", b"HEAD ", b"GIV "];
        let may_be = |begin: &&&[u8]| input.iter().zip(begin.iter()).all(|(came, expected)| came == expected);
        let Some(begin) = BEGINNINGS.iter().find(may_be) else {
            return Err(Malformed::at(0, "expected a greeting, a request or GIV"));
        };
        if input.len() < begin.len() {
            return Ok(None);
        }
        match begin[1] {
            b'N' => {
                let Some((first, headers)) = take_head(input)? else { return Ok(None) };
                self.phase = Phase::Greeted;
                Ok(Some(Message::Connect(Box::new(Connect::read(&first, headers)?))))
            }
            b'I' => {
                let Some((first, _)) = take_head(input)? else { return Ok(None) };
                self.phase = Phase::Client;
                Ok(Some(Message::Giv(Box::new(Giv::read(&first)?))))
            }
            _ => {
                self.phase = Phase::Server;
                self.request(input)
            }
        }
    }

    fn request(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        // Between requests some send an empty line more.
        while let Some(b"\r\n") = input.first_chunk::<2>() {
            bytes::Buf::advance(input, 2);
        }
        let Some((first, headers)) = take_head(input)? else { return Ok(None) };
        Ok(Some(Message::Request(Box::new(Request::read(&first, headers)?))))
    }

    fn answer(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        let Some((first, headers)) = take_head(input)? else { return Ok(None) };
        let answer = Answer::read(&first, headers)?;
        self.phase = match self.role {
            _ if !answer.is_yes() => Phase::Deaf,
            Role::Acceptor => Phase::Packets,
            Role::Dialler if answer.classic => Phase::Packets,
            Role::Dialler => Phase::Confirming,
        };
        self.hears_deflated = deflates(&answer.headers);
        if self.phase == Phase::Packets && self.hears_deflated {
            self.inflater = Some(Box::new(Inflater::new()));
        }
        Ok(Some(Message::Answer(Box::new(answer))))
    }

    fn packet(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        let framed = match &mut self.inflater {
            None => Packet::take(input)?,
            Some(inflater) => loop {
                if let Some(framed) = Packet::take(&mut self.plain)? {
                    break Some(framed);
                }
                let before = self.plain.len();
                let taken = inflater.step(input, &mut self.plain)?;
                bytes::Buf::advance(input, taken);
                if taken == 0 && self.plain.len() == before {
                    break None;
                }
                debug_assert!(self.plain.len() <= 2 * PAYLOAD_BYTES_MAX, "a message is taken before another is inflated");
            },
        };
        Ok(framed.map(|framed| match framed {
            Framed::Packet(packet) => Message::Packet(packet),
            Framed::Nonsense(function, _) => Message::Nonsense(function),
        }))
    }

    fn response(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        if self.requests.is_empty() && !input.is_empty() {
            return Err(Malformed::at(0, "an answer that nobody asked for"));
        }
        let Some((first, headers)) = take_head(input)? else { return Ok(None) };
        let response = Response::read(&first, headers)?;
        let to_head = self.requests.pop_front().unwrap_or(false);
        let chunked = response.headers.lists("Transfer-Encoding", "chunked");
        self.phase = match response.body_bytes() {
            _ if to_head || response.code < 200 || matches!(response.code, 204 | 304) => Phase::Client,
            _ if chunked => Phase::Chunks(UNTOLD_BODY_BYTES_MAX),
            Some(bytes) => Phase::Body(bytes),
            None if response.code < 300 => Phase::Endless(UNTOLD_BODY_BYTES_MAX),
            // gtk-gnutella's 404 has neither a length nor a body.
            None => Phase::Client,
        };
        if self.phase == Phase::Body(0) {
            self.phase = Phase::Client;
        }
        Ok(Some(Message::Response(Box::new(response))))
    }

    fn body(input: &mut BytesMut, bytes_max: u64) -> Option<Bytes> {
        let take = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(input.len());
        (take > 0).then(|| input.split_to(take).freeze())
    }

    fn chunk_line(&mut self, input: &mut BytesMut, left: u64) -> Result<bool, Malformed> {
        const LINE_BYTES_MAX: usize = 64;
        while let Some(b"\r\n") = input.first_chunk::<2>() {
            bytes::Buf::advance(input, 2);
        }
        let Some(end) = input.iter().take(LINE_BYTES_MAX).position(|&byte| byte == b'\n') else {
            return if input.len() < LINE_BYTES_MAX { Ok(false) } else { Err(Malformed::at(0, "expected the size of a chunk")) };
        };
        let line = input.split_to(end + 1);
        let text = std::str::from_utf8(&line).ok().and_then(|text| text.trim().split(';').next()).unwrap_or_default();
        let size = u64::from_str_radix(text.trim(), 16).map_err(|_| Malformed::at(0, "expected the size of a chunk"))?;
        if size > left {
            return Err(Malformed::at(0, "a body in chunks without end"));
        }
        self.phase = if size == 0 { Phase::Client } else { Phase::Chunk(size, left - size) };
        Ok(true)
    }
}

impl hexad_core::Codec for Codec {
    type Message = Message;

    fn decode(&mut self, cue: Cue, input: &mut BytesMut, _: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        if cue == Cue::Opened {
            return Ok(None);
        }
        loop {
            return match self.phase {
                Phase::Fresh if self.role == Role::Acceptor && !input.is_empty() => self.sniff(input),
                Phase::Fresh | Phase::Greeted | Phase::Confirming => {
                    if input.len() > PAYLOAD_BYTES_MAX {
                        return Err(Malformed::at(0, "bytes that nobody asked for"));
                    }
                    Ok(None)
                }
                Phase::Answer => self.answer(input),
                Phase::Packets => self.packet(input),
                Phase::Server => self.request(input),
                Phase::Client => self.response(input),
                Phase::Body(left) => Ok(Self::body(input, left).map(|bytes| {
                    let left = left - bytes.len() as u64;
                    self.phase = if left == 0 { Phase::Client } else { Phase::Body(left) };
                    Message::Data(Payload::Bytes(bytes))
                })),
                Phase::Endless(left) => match Self::body(input, left) {
                    Some(bytes) => {
                        self.phase = Phase::Endless(left - bytes.len() as u64);
                        Ok(Some(Message::Data(Payload::Bytes(bytes))))
                    }
                    None if left == 0 && !input.is_empty() => Err(Malformed::at(0, "a body without end")),
                    None => Ok(None),
                },
                Phase::Chunks(left) => {
                    if self.chunk_line(input, left)? && self.phase != Phase::Client {
                        continue;
                    }
                    Ok(None)
                }
                Phase::Chunk(size, left) => Ok(Self::body(input, size).map(|bytes| {
                    let size = size - bytes.len() as u64;
                    self.phase = if size == 0 { Phase::Chunks(left) } else { Phase::Chunk(size, left) };
                    Message::Data(Payload::Bytes(bytes))
                })),
                Phase::Deaf => {
                    input.clear();
                    Ok(None)
                }
            };
        }
    }

    fn encode(&mut self, message: &Message, _: u64, out: &mut BytesMut) {
        match message {
            Message::Connect(connect) => {
                connect.write(out);
                self.phase = Phase::Answer;
            }
            Message::Answer(answer) => {
                answer.write(out);
                self.phase = match self.role {
                    _ if !answer.is_yes() => Phase::Deaf,
                    Role::Acceptor if !answer.classic => Phase::Answer,
                    _ => Phase::Packets,
                };
                if answer.is_yes() && deflates(&answer.headers) {
                    self.deflater = Some(Box::new(Deflater::new()));
                }
                if self.phase == Phase::Packets && self.hears_deflated {
                    self.inflater = Some(Box::new(Inflater::new()));
                }
            }
            Message::Packet(packet) => match &mut self.deflater {
                Some(deflater) => packet.write(deflater.plain()),
                None => packet.write(out),
            },
            Message::Giv(giv) => {
                giv.write(out);
                self.phase = Phase::Server;
            }
            Message::Request(request) => {
                out.extend_from_slice(request.text().as_bytes());
                if self.requests.len() < REQUESTS_MAX {
                    self.requests.push_back(request.head);
                }
                if self.phase == Phase::Fresh {
                    self.phase = Phase::Client;
                }
            }
            Message::Response(response) => out.extend_from_slice(response.text().as_bytes()),
            Message::Data(Payload::Bytes(bytes)) => out.extend_from_slice(bytes),
            // What is only heard, and what the host adds itself.
            Message::Nonsense(_) | Message::Data(Payload::Token(_)) => {}
        }
    }

    fn seal(&mut self, _: &mut [u8]) {}

    fn flush(&mut self, out: &mut BytesMut) {
        if let Some(deflater) = &mut self.deflater {
            deflater.flush(out);
        }
    }
}

/// Reads everything that one end of a recorded connection has said, given what the other end says at the beginning. For tests and tools.
///
/// # Errors
/// When something cannot be read.
pub fn read_all(role: Role, first: &[Message], bytes: &[u8]) -> Result<Vec<Message>, Malformed> {
    let mut codec = Codec::new(role);
    let (mut input, mut nothing, mut messages) = (BytesMut::from(bytes), BytesMut::new(), Vec::new());
    let mut ours = first.iter();
    if role == Role::Dialler
        && let Some(message) = ours.next()
    {
        codec.encode(message, 0, &mut nothing);
    }
    loop {
        match codec.decode(Cue::Bytes, &mut input, &mut nothing)? {
            Some(message) => {
                let answered = matches!(message, Message::Connect(_) | Message::Answer(_) | Message::Giv(_));
                messages.push(message);
                if answered && let Some(message) = ours.next() {
                    codec.encode(message, 0, &mut nothing);
                }
            }
            None => return Ok(messages),
        }
    }
}
