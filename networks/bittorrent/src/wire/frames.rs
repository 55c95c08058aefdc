//! Length-prefixed messages after the handshake (BEP 3, 6, 10, 52).

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hexad_core::{Malformed, Payload};

use super::extended;
use super::hashes;
use super::message::{BlockRef, Message};

/// Longest block that is asked for, and the longest that is taken.
pub const BLOCK_BYTES: u32 = 16 << 10;
/// Longest frame that is read: a bitfield of 2^21 pieces is 256 KiB, an extended message at most 1 MiB.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Length field of a `piece` without its block.
const PIECE_HEAD: u32 = 9;

/// The ids under which the peer wants extended messages, as its handshake said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerExtensions {
    pub metadata: Option<u8>,
    pub pex: Option<u8>,
    pub dont_have: Option<u8>,
    pub upload_only: Option<u8>,
    pub hole_punch: Option<u8>,
}

/// The next frame's length without its prefix, when at least the prefix is there.
pub(super) fn frame_bytes(input: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(prefix) = input.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*prefix) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(Malformed::at(0, format!("expected a message of at most {FRAME_BYTES_MAX} bytes, came {length}")));
    }
    // A piece is refused by its length before it is buffered.
    if input.get(4) == Some(&7) && length > (PIECE_HEAD + BLOCK_BYTES) as usize {
        return Err(Malformed::at(0, format!("expected a block of at most {BLOCK_BYTES} bytes, came {}", length.saturating_sub(9))));
    }
    Ok(Some(length))
}

/// Reads one whole frame, its prefix taken off already.
pub(super) fn decode(mut frame: BytesMut, extensions: &mut PeerExtensions) -> Result<Message, Malformed> {
    if frame.is_empty() {
        return Ok(Message::KeepAlive);
    }
    let id = frame.get_u8();
    let length = frame.len();
    let exactly = |expected: usize| {
        if length == expected {
            Ok(())
        } else {
            Err(Malformed::at(1, format!("expected message {id} to have {expected} bytes, came {length}")))
        }
    };
    let block = |frame: &mut BytesMut| BlockRef { piece: frame.get_u32(), begin: frame.get_u32(), length: frame.get_u32() };
    Ok(match id {
        0..=3 | 14 | 15 => {
            exactly(0)?;
            match id {
                0 => Message::Choke,
                1 => Message::Unchoke,
                2 => Message::Interested,
                3 => Message::NotInterested,
                14 => Message::HaveAll,
                _ => Message::HaveNone,
            }
        }
        4 | 13 | 17 => {
            exactly(4)?;
            let piece = frame.get_u32();
            match id {
                4 => Message::Have(piece),
                13 => Message::SuggestPiece(piece),
                _ => Message::AllowedFast(piece),
            }
        }
        5 => Message::Bitfield(Bytes::copy_from_slice(&frame)),
        6 | 8 | 16 => {
            exactly(12)?;
            let block = block(&mut frame);
            match id {
                6 => Message::Request(block),
                8 => Message::Cancel(block),
                _ => Message::RejectRequest(block),
            }
        }
        7 => {
            if length < 8 {
                return Err(Malformed::at(1, format!("expected a piece of at least 8 bytes, came {length}")));
            }
            let (piece, begin) = (frame.get_u32(), frame.get_u32());
            Message::Piece { piece, begin, data: Payload::Bytes(frame.freeze()) }
        }
        9 => {
            exactly(2)?;
            Message::Port(frame.get_u16())
        }
        20 => extended::decode(&frame, extensions)?,
        21 | 23 => {
            exactly(hashes::HEAD_BYTES)?;
            let span = Box::new(hashes::read_head(&mut frame)?);
            if id == 21 { Message::HashRequest(span) } else { Message::HashReject(span) }
        }
        22 => {
            let span = Box::new(hashes::read_head(&mut frame)?);
            let found = hashes::read_hashes(&frame, &span)?;
            Message::Hashes(span, found)
        }
        _ => Message::Unknown(id, Bytes::copy_from_slice(&frame)),
    })
}

/// Appends a frame; `body_bytes` of a block follow it from elsewhere.
pub(super) fn encode(message: &Message, body_bytes: u64, extensions: &PeerExtensions, out: &mut BytesMut) {
    let bare = |id: u8, out: &mut BytesMut| {
        out.put_u32(1);
        out.put_u8(id);
    };
    let number = |id: u8, number: u32, out: &mut BytesMut| {
        out.put_u32(5);
        out.put_u8(id);
        out.put_u32(number);
    };
    let block = |id: u8, block: &BlockRef, out: &mut BytesMut| {
        out.put_u32(13);
        out.put_u8(id);
        out.put_u32(block.piece);
        out.put_u32(block.begin);
        out.put_u32(block.length);
    };
    match message {
        Message::KeepAlive => out.put_u32(0),
        Message::Choke => bare(0, out),
        Message::Unchoke => bare(1, out),
        Message::Interested => bare(2, out),
        Message::NotInterested => bare(3, out),
        Message::Have(piece) => number(4, *piece, out),
        Message::Bitfield(bits) => {
            out.put_u32(1 + u32::try_from(bits.len()).unwrap_or(u32::MAX));
            out.put_u8(5);
            out.put_slice(bits);
        }
        Message::Request(wanted) => block(6, wanted, out),
        Message::Piece { piece, begin, data } => {
            let own: &[u8] = match data {
                Payload::Bytes(bytes) => bytes,
                Payload::Token(_) => &[],
            };
            let body = u32::try_from(body_bytes).unwrap_or(u32::MAX) + u32::try_from(own.len()).unwrap_or(u32::MAX);
            out.put_u32(PIECE_HEAD + body);
            out.put_u8(7);
            out.put_u32(*piece);
            out.put_u32(*begin);
            out.put_slice(own);
        }
        Message::Cancel(wanted) => block(8, wanted, out),
        Message::Port(port) => {
            out.put_u32(3);
            out.put_u8(9);
            out.put_u16(*port);
        }
        Message::SuggestPiece(piece) => number(13, *piece, out),
        Message::HaveAll => bare(14, out),
        Message::HaveNone => bare(15, out),
        Message::RejectRequest(wanted) => block(16, wanted, out),
        Message::AllowedFast(piece) => number(17, *piece, out),
        Message::ExtendedHandshake(_)
        | Message::Metadata(_)
        | Message::Pex(_)
        | Message::DontHave(_)
        | Message::UploadOnly(_)
        | Message::HolePunch(_) => extended::encode(message, extensions, out),
        Message::HashRequest(span) => hashes::write(21, span, &[], out),
        Message::Hashes(span, found) => hashes::write(22, span, found, out),
        Message::HashReject(span) => hashes::write(23, span, &[], out),
        Message::Unknown(id, payload) => {
            out.put_u32(1 + u32::try_from(payload.len()).unwrap_or(u32::MAX));
            out.put_u8(*id);
            out.put_slice(payload);
        }
        // Not for connections, or written by the codec itself.
        Message::Handshake(_) | Message::Krpc(_) | Message::Tracker(_) | Message::Lsd(_) => {}
    }
}
