//! The bytes of one connection.
//!
//! A connection that we dial is told by its manner what it is; one that comes in is told by its first bytes, or by the greeting that the node
//! sends on it: a frame of a client never begins with two capital letters, since that would be a length of over 16,000 bytes, and the commands
//! between programs always do.

use bytes::{Buf as _, Bytes, BytesMut};
use hexad_core::{Codec, Cue, Dial, Malformed, Payload, Role};

use super::message::{HEAD_BYTES, ToClient, ToServer};
use super::peer::{BLOCK_BYTES_MAX, ListEntry, PART_BYTES_MAX, Peer, is_closed, read_request};
use super::{Message, Word};

/// What a dialled connection is for, `Dial::manner`.
pub mod manner {
    /// To a server.
    pub const SERVER: u8 = 0;
    /// To another program. `Dial::secret` may be the size of the file that is expected, 8 bytes, big-endian.
    pub const PEER: u8 = 1;
}

/// Data of a client's message. OpenNap's own bound is 2048; a directory share may be longer.
pub const DATA_BYTES_MAX: usize = 4096;
/// Data of a server's message.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Text of a command between programs.
const COMMAND_BYTES_MAX: usize = 2048;
/// Text of a refusal.
const REFUSAL_BYTES_MAX: usize = 256;
/// One line of a list.
const LINE_BYTES_MAX: usize = 4096;
/// A frame between Hexad's programs: a block or a part, and its head.
const FRAME_BYTES_MAX: usize = BLOCK_BYTES_MAX as usize + 64;
const _: () = assert!(PART_BYTES_MAX + 64 <= FRAME_BYTES_MAX);

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Accepted, and nothing heard yet.
    Unknown,
    /// Messages of a client.
    FromClient,
    /// Messages of a server.
    FromServer,
    /// `1`.
    Greeting,
    /// A command.
    Command,
    /// We have asked for a file: its size.
    Size,
    /// We bring a file: from where on.
    Offset,
    /// Bytes of a file.
    Data,
    /// A list; `true` once its owner is known.
    List(bool),
    /// Frames.
    Frames,
    /// Nothing that means anything.
    Deaf,
}

/// Turns the bytes of one connection into messages and back.
#[derive(Debug)]
pub struct NapsterCodec {
    phase: Phase,
    expected_size: Option<u64>,
}

impl NapsterCodec {
    /// The codec of a connection that we have dialled or accepted.
    #[must_use]
    pub fn new(role: Role, dial: Option<&Dial>) -> Self {
        let expected_size = dial.and_then(|dial| dial.secret.as_ref().try_into().ok()).map(u64::from_be_bytes);
        let phase = match (role, dial) {
            (Role::Dialler, Some(dial)) if dial.manner == manner::PEER => Phase::Greeting,
            (Role::Dialler, _) => Phase::FromServer,
            (Role::Acceptor, _) => Phase::Unknown,
        };
        Self { phase, expected_size }
    }

    fn framed(input: &mut BytesMut, max: usize) -> Result<Option<(u16, Bytes)>, Malformed> {
        let Some(&[a, b, c, d]) = input.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let length = usize::from(u16::from_le_bytes([a, b]));
        if length > max {
            return Err(Malformed::at(0, format!("expected at most {max} bytes of data, came {length}")));
        }
        if input.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        let mut frame = input.split_to(HEAD_BYTES + length);
        frame.advance(HEAD_BYTES);
        Ok(Some((u16::from_le_bytes([c, d]), frame.freeze())))
    }

    fn command(&mut self, cue: Cue, input: &mut BytesMut) -> Result<Option<Peer>, Malformed> {
        let over = cue != Cue::Bytes;
        let bounded = |input: &BytesMut| match input.len() > COMMAND_BYTES_MAX {
            true => Err(Malformed::at(COMMAND_BYTES_MAX, "a command without end")),
            false => Ok(None),
        };
        if input.is_empty() {
            return Ok(None);
        }
        let line_end = input.iter().position(|&byte| byte == b'\n');
        let line = &input[..line_end.unwrap_or(input.len())];
        let complete = over || line_end.is_some();
        let trimmed = line.trim_ascii_end();
        // `GET` of somebody whose name begins with LIST has a quote and a number behind it.
        let (message, taken) = if trimmed == b"GETLIST" && complete {
            (Peer::GetList, line_end.map_or(input.len(), |end| end + 1))
        } else if trimmed == b"HEXAD" && complete {
            self.phase = Phase::Frames;
            return Ok(Some(Self::took(input, line_end.map_or(input.len(), |end| end + 1), Peer::Hexad)));
        } else if let Some(nick) = trimmed.strip_prefix(b"SENDLIST ").filter(|nick| complete && !nick.contains(&b'"')) {
            self.phase = Phase::List(false);
            let nick = Word::from(nick.trim_ascii());
            return Ok(Some(Self::took(input, line_end.map_or(input.len(), |end| end + 1), Peer::SendList { nick })));
        } else if let Some(text) = input.strip_prefix(b"GET") {
            match read_request(text).filter(|_| over || is_closed(text)) {
                Some((nick, path, offset)) => (Peer::Get { nick, path, offset }, input.len()),
                None if over => (Peer::UnknownCommand(input[..].into()), input.len()),
                None => return bounded(input),
            }
        } else if let Some(text) = input.strip_prefix(b"SEND") {
            match read_request(text).filter(|_| over || is_closed(text)) {
                Some((nick, path, size)) => (Peer::Send { nick, path, size }, input.len()),
                None if over => (Peer::UnknownCommand(input[..].into()), input.len()),
                None => return bounded(input),
            }
        } else if over {
            (Peer::UnknownCommand(input[..].into()), input.len())
        } else {
            return bounded(input);
        };
        // What follows is decided by our answer.
        self.phase = Phase::Deaf;
        Ok(Some(Self::took(input, taken, message)))
    }

    fn took(input: &mut BytesMut, count: usize, message: Peer) -> Peer {
        input.advance(count.min(input.len()));
        message
    }

    /// The answer to `GET` or `SEND`: a number without an end, or a text that says why not.
    fn number(&mut self, cue: Cue, input: &mut BytesMut) -> Result<Option<Peer>, Malformed> {
        let over = cue != Cue::Bytes;
        if input.is_empty() {
            return Ok(None);
        }
        let wants_size = self.phase == Phase::Size;
        if !over && input.strip_prefix(b"0").is_some_and(|rest| b"FILE".starts_with(rest)) {
            // `0FILE NOT FOUND`, or an empty file.
            return Ok(None);
        }
        if wants_size && let Some(size) = self.expected_size {
            // The file itself may begin with a digit; what we expect tells where the number ends.
            let expected = size.to_string();
            if input.starts_with(expected.as_bytes()) && !input.starts_with(b"0FILE") {
                self.phase = Phase::Data;
                return Ok(Some(Self::took(input, expected.len(), Peer::Size(size))));
            }
            if !over && expected.as_bytes().starts_with(input) {
                return Ok(None);
            }
        }
        let digits = input.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let ended = over || digits < input.len();
        if digits > 0 && digits <= 20 && !input[digits..].starts_with(b"FILE") {
            if !ended {
                return Ok(None);
            }
            let number = super::fields::number(&input[..digits]).unwrap_or(u64::MAX);
            self.phase = if wants_size { Phase::Data } else { Phase::Deaf };
            return Ok(Some(Self::took(input, digits, if wants_size { Peer::Size(number) } else { Peer::Offset(number) })));
        }
        if !wants_size && let Some(end) = input.strip_prefix(b"HEXAD").map(|rest| 5 + usize::from(rest.starts_with(b"\n"))) {
            if end == 5 && !over {
                return Ok(None);
            }
            self.phase = Phase::Frames;
            return Ok(Some(Self::took(input, end, Peer::Hexad)));
        }
        if over || input.len() >= REFUSAL_BYTES_MAX {
            self.phase = Phase::Deaf;
            let text = input[..input.len().min(REFUSAL_BYTES_MAX)].into();
            input.clear();
            return Ok(Some(Peer::Refusal(text)));
        }
        Ok(None)
    }

    fn list(&mut self, owner_known: bool, cue: Cue, input: &mut BytesMut) -> Result<Option<Peer>, Malformed> {
        loop {
            let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
                if input.len() > LINE_BYTES_MAX {
                    return Err(Malformed::at(LINE_BYTES_MAX, "a line of a list without end"));
                }
                if cue == Cue::Eof && !input.is_empty() {
                    input.extend_from_slice(b"\n");
                    continue;
                }
                return Ok(None);
            };
            let line = input.split_to(end + 1);
            let line = line.trim_ascii();
            if line.is_empty() {
                if !owner_known {
                    continue;
                }
                self.phase = Phase::Deaf;
                return Ok(Some(Peer::ListEnd));
            }
            if !owner_known {
                self.phase = Phase::List(true);
                return Ok(Some(Peer::ListOwner(line.into())));
            }
            // A line that cannot be read is one file less, and no reason to lose the rest.
            if let Some(entry) = ListEntry::read(line) {
                return Ok(Some(Peer::ListFile(entry)));
            }
        }
    }

    fn frames(input: &mut BytesMut) -> Result<Option<Peer>, Malformed> {
        let Some((number, mut data)) = Self::framed(input, FRAME_BYTES_MAX)? else { return Ok(None) };
        if number == 4 && data.len() >= 8 {
            return Ok(Some(Peer::Block { start: data.get_u64_le(), body: Payload::Bytes(data) }));
        }
        Ok(Some(Peer::read_frame(number, &data)))
    }
}

impl Codec for NapsterCodec {
    type Message = Message;

    fn decode(&mut self, cue: Cue, input: &mut BytesMut, _: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        if self.phase == Phase::Unknown {
            match input.first_chunk::<2>() {
                Some(first) if first.iter().all(u8::is_ascii_uppercase) => self.phase = Phase::Command,
                Some(_) => self.phase = Phase::FromClient,
                None => return Ok(None),
            }
        }
        let peer = match self.phase {
            Phase::Unknown => return Ok(None),
            Phase::FromClient => {
                let framed = Self::framed(input, DATA_BYTES_MAX)?;
                return Ok(framed.map(|(number, data)| Message::ToServer(ToServer::read(number, &data))));
            }
            Phase::FromServer => {
                let framed = Self::framed(input, ANSWER_BYTES_MAX)?;
                return Ok(framed.map(|(number, data)| Message::ToClient(ToClient::read(number, &data))));
            }
            Phase::Greeting => match input.first() {
                None => None,
                Some(b'1') => {
                    self.phase = Phase::Deaf;
                    Some(Self::took(input, 1, Peer::Greeting))
                }
                Some(other) => return Err(Malformed::at(0, format!("expected the greeting 1, came {}", other.escape_ascii()))),
            },
            Phase::Command => self.command(cue, input)?,
            Phase::Size | Phase::Offset => self.number(cue, input)?,
            Phase::Data => (!input.is_empty()).then(|| Peer::Data(Payload::Bytes(input.split().freeze()))),
            Phase::List(owner_known) => self.list(owner_known, cue, input)?,
            Phase::Frames => Self::frames(input)?,
            Phase::Deaf => {
                // Nothing is awaited before the node has answered; what comes is kept for then, within bounds.
                if input.len() > COMMAND_BYTES_MAX {
                    return Err(Malformed::at(COMMAND_BYTES_MAX, "bytes that nobody asked for"));
                }
                None
            }
        };
        Ok(peer.map(Message::Peer))
    }

    fn encode(&mut self, message: &Message, body_bytes: u64, out: &mut BytesMut) {
        let peer = match message {
            Message::ToServer(message) => return message.write(out),
            Message::ToClient(message) => {
                self.phase = Phase::FromClient;
                return message.write(out);
            }
            Message::Peer(peer) => peer,
        };
        peer.write(body_bytes, out);
        match peer {
            Peer::Greeting if self.phase == Phase::Unknown => self.phase = Phase::Command,
            Peer::Get { .. } => self.phase = Phase::Size,
            Peer::Send { .. } => self.phase = Phase::Offset,
            Peer::GetList => self.phase = Phase::List(false),
            Peer::Offset(_) => self.phase = Phase::Data,
            Peer::Hexad => self.phase = Phase::Frames,
            _ => {}
        }
    }

    fn seal(&mut self, _: &mut [u8]) {}
}
