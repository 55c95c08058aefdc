//! What two programs say to each other, without a server between them.
//!
//! The accepting side greets with `1`; then comes one command as text, which decides what the connection is for. Hexad's own command, `HEXAD`,
//! opens a stream of small frames in which a share is described with what proves it, and any range of it can be asked for.

use bytes::BytesMut;
use hexad_core::Payload;

use super::fields::{Counter, Field, Fields, Hertz, Quoted, Sink, Text, Word, Writer};

/// A file of a list that is asked for from program to program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// The owner's name for it.
    pub path: Quoted,
    /// Whatever stands for its content.
    pub hash: Word,
    /// Bytes.
    pub size: u64,
    /// Kilobits a second.
    pub bitrate: u32,
    /// Hertz.
    pub frequency: Hertz,
    /// How long it plays.
    pub seconds: u32,
}

/// A message on a data connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Peer {
    /// `1`: the accepting side is there.
    Greeting,
    /// `GET`: the connecting side wants a file from an offset on.
    Get {
        /// Who asks.
        nick: Word,
        /// The owner's name for it.
        path: Quoted,
        /// The first byte that is wanted.
        offset: u64,
    },
    /// `SEND`: the connecting side, which is firewalled, brings a file that was asked for.
    Send {
        /// Who brings it.
        nick: Word,
        /// His name for it; some send the last part of the path only.
        path: Quoted,
        /// Bytes of the whole file.
        size: u64,
    },
    /// `GETLIST`: the connecting side wants the list of files.
    GetList,
    /// `SENDLIST`: the connecting side brings its list.
    SendList {
        /// Whose list.
        nick: Word,
    },
    /// `HEXAD`: frames from here on. As a command of the connecting side, or as the answer to `SEND`.
    Hexad,
    /// A command that nobody knows.
    UnknownCommand(Text),
    /// The answer to `GET`: the size of the whole file. The data follow at once.
    Size(u64),
    /// The answer to `SEND`: from where on.
    Offset(u64),
    /// Instead of a number: why not.
    Refusal(Text),
    /// Bytes of the file.
    Data(Payload),
    /// First line of a list: whose.
    ListOwner(Word),
    /// One file of a list.
    ListFile(ListEntry),
    /// The empty line after it.
    ListEnd,
    /// Frame 1: describe the share that this path belongs to.
    Describe {
        /// The owner's name for a file of it, or `#` and a token.
        path: Text,
    },
    /// Frame 2: a part of a description.
    Described {
        /// Bytes of the whole description.
        total: u32,
        /// Where this part belongs.
        offset: u32,
        /// The part.
        part: Text,
    },
    /// Frame 3: send this range of the share.
    Request {
        /// First byte, in the layout that was described.
        start: u64,
        /// How many; at most [`BLOCK_BYTES_MAX`].
        length: u32,
    },
    /// Frame 4: the range that was asked for.
    Block {
        /// First byte.
        start: u64,
        /// The bytes.
        body: Payload,
    },
    /// Frame 5: not that range, or no such share.
    Refused {
        /// Which range; 0 when it was about the description.
        start: u64,
        /// Why.
        text: Text,
    },
    /// A frame that nobody knows.
    UnknownFrame {
        /// Its number.
        number: u16,
        /// What was in it.
        data: Text,
    },
}

/// Bytes of the greatest block.
pub const BLOCK_BYTES_MAX: u32 = 32 << 10;
/// Bytes of a description that go into one frame.
pub const PART_BYTES_MAX: usize = 16 << 10;

impl Peer {
    /// Its name, for counting.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Greeting => "1",
            Self::Get { .. } => "GET",
            Self::Send { .. } => "SEND",
            Self::GetList => "GETLIST",
            Self::SendList { .. } => "SENDLIST",
            Self::Hexad => "HEXAD",
            Self::UnknownCommand(_) => "unknown command",
            Self::Size(_) => "size",
            Self::Offset(_) => "offset",
            Self::Refusal(_) => "refusal",
            Self::Data(_) => "data",
            Self::ListOwner(_) => "list owner",
            Self::ListFile(_) => "list file",
            Self::ListEnd => "list end",
            Self::Describe { .. } => "describe",
            Self::Described { .. } => "described",
            Self::Request { .. } => "request",
            Self::Block { .. } => "block",
            Self::Refused { .. } => "refused",
            Self::UnknownFrame { .. } => "unknown frame",
        }
    }

    pub(super) fn wire_bytes(&self) -> u64 {
        let mut counter = Counter(0);
        self.put(0, &mut counter);
        counter.0
    }

    pub(super) fn with_body(self, payload: Payload) -> Self {
        match self {
            Self::Data(_) => Self::Data(payload),
            Self::Block { start, .. } => Self::Block { start, body: payload },
            other => other,
        }
    }

    pub(super) fn write(&self, body_bytes: u64, out: &mut BytesMut) {
        self.put(body_bytes, out);
    }

    /// Writes it; `body_bytes` of a share follow.
    fn put<S: Sink>(&self, body_bytes: u64, out: &mut S) {
        match self {
            Self::Greeting => out.put(b"1"),
            Self::Get { nick, path, offset } => {
                out.put(b"GET");
                fields(out, |out| (nick.write(out), path.write(out), offset.write(out)));
            }
            Self::Send { nick, path, size } => {
                out.put(b"SEND");
                fields(out, |out| (nick.write(out), path.write(out), size.write(out)));
            }
            Self::GetList => out.put(b"GETLIST\n"),
            Self::SendList { nick } => {
                out.put(b"SENDLIST ");
                fields(out, |out| nick.write(out));
                out.put(b"\n");
            }
            Self::Hexad => out.put(b"HEXAD\n"),
            Self::UnknownCommand(text) | Self::Refusal(text) => out.put(text.bytes()),
            Self::Size(number) | Self::Offset(number) => fields(out, |out| number.write(out)),
            Self::Data(payload) => body(payload, out),
            Self::ListOwner(nick) => {
                fields(out, |out| nick.write(out));
                out.put(b"\n");
            }
            Self::ListFile(ListEntry { path, hash, size, bitrate, frequency, seconds }) => {
                fields(out, |out| {
                    (path.write(out), hash.write(out), size.write(out), bitrate.write(out), frequency.write(out), seconds.write(out))
                });
                out.put(b"\n");
            }
            Self::ListEnd => out.put(b"\n"),
            Self::Describe { path } => frame(1, &[path.bytes()], 0, out),
            Self::Described { total, offset, part } => frame(2, &[&total.to_le_bytes(), &offset.to_le_bytes(), part.bytes()], 0, out),
            Self::Request { start, length } => frame(3, &[&start.to_le_bytes(), &length.to_le_bytes()], 0, out),
            Self::Block { start, body: payload } => {
                let own = if let Payload::Bytes(bytes) = payload { bytes.len() as u64 } else { 0 };
                frame(4, &[&start.to_le_bytes()], body_bytes + own, out);
                body(payload, out);
            }
            Self::Refused { start, text } => frame(5, &[&start.to_le_bytes(), text.bytes()], 0, out),
            Self::UnknownFrame { number, data } => frame(*number, &[data.bytes()], 0, out),
        }
    }

    /// Reads a frame.
    pub(super) fn read_frame(number: u16, data: &[u8]) -> Self {
        Self::known_frame(number, data).unwrap_or_else(|| Self::UnknownFrame { number, data: data.into() })
    }

    fn known_frame(number: u16, data: &[u8]) -> Option<Self> {
        let long = |data: &[u8]| data.split_first_chunk::<8>().map(|(number, rest)| (u64::from_le_bytes(*number), rest.to_vec()));
        let short = |data: &[u8]| data.split_first_chunk::<4>().map(|(number, rest)| (u32::from_le_bytes(*number), rest.to_vec()));
        match number {
            1 => Some(Self::Describe { path: data.into() }),
            2 => {
                let (total, rest) = short(data)?;
                let (offset, part) = short(&rest)?;
                Some(Self::Described { total, offset, part: part.into() })
            }
            3 => {
                let (start, rest) = long(data)?;
                let (length, rest) = short(&rest)?;
                rest.is_empty().then_some(Self::Request { start, length })
            }
            5 => long(data).map(|(start, text)| Self::Refused { start, text: text.into() }),
            _ => None,
        }
    }
}

fn fields<S: Sink, T>(out: &mut S, write: impl FnOnce(&mut Writer<'_, S>) -> T) {
    write(&mut Writer::new(out));
}

fn frame<S: Sink>(number: u16, parts: &[&[u8]], body_bytes: u64, out: &mut S) {
    let length = parts.iter().map(|part| part.len() as u64).sum::<u64>() + body_bytes;
    out.put(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    out.put(&number.to_le_bytes());
    for part in parts {
        out.put(part);
    }
}

fn body<S: Sink>(payload: &Payload, out: &mut S) {
    if let Payload::Bytes(bytes) = payload {
        out.put(bytes);
    }
}

impl ListEntry {
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(line);
        Some(Self {
            path: Field::read(&mut fields)?,
            hash: Field::read(&mut fields)?,
            size: Field::read(&mut fields)?,
            bitrate: Field::read(&mut fields)?,
            frequency: Field::read(&mut fields)?,
            seconds: Field::read(&mut fields)?,
        })
    }
}

/// Reads what follows `GET` or `SEND`: a nick, a quoted path and a number. `None` while it is not all there.
pub(super) fn read_request(text: &[u8]) -> Option<(Word, Quoted, u64)> {
    let mut fields = Fields::new(text);
    Some((Field::read(&mut fields)?, Field::read(&mut fields)?, Field::read(&mut fields)?))
}

/// Whether a request ends with something that its number cannot go on with.
pub(super) fn is_closed(text: &[u8]) -> bool {
    text.last().is_some_and(u8::is_ascii_whitespace)
}
