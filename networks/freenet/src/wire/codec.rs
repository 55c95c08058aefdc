//! Frames: `cell u8 · kind u8 · length u16 · body · zeros`, as long as the cell says. Numbers are big-endian.

use std::marker::PhantomData;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hexad_core::{Cue, Malformed, Payload};

use super::Fields;
use super::inquiry::{self, Inquire, Inquiry, Untold};
use super::message::{
    Announce, Bid, CELL_BYTES, Decline, Found, Hello, Message, NEIGHBOURS_MAX, Reason, Reveal, SHARES_MAX, Settle, Swap, Walking,
};
use crate::keys::{Block, Location, NodeKey};
use crate::place::Place;

/// Bytes before the body.
const HEAD_BYTES: usize = 4;

/// The bytes of one connection.
#[derive(Debug)]
pub struct Codec<A>(PhantomData<A>);

impl<A> Default for Codec<A> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<A: Place> hexad_core::Codec for Codec<A> {
    type Message = Message<A>;

    fn decode(&mut self, _: Cue, input: &mut BytesMut, _: &mut BytesMut) -> Result<Option<Message<A>>, Malformed> {
        let Some(&cell) = input.first() else { return Ok(None) };
        let length = cell_bytes(cell)?;
        if input.len() < length {
            input.reserve(length - input.len());
            return Ok(None);
        }
        if length > CELL_BYTES[1] {
            // A block is kept for long: it must not hold a whole receive buffer with it.
            return read_shared(&input.split_to(length)).map(Some);
        }
        let message = read(&input[..length]);
        input.advance(length);
        message.map(Some)
    }

    fn encode(&mut self, message: &Message<A>, _: u64, out: &mut BytesMut) {
        write(message, out);
    }

    fn seal(&mut self, _: &mut [u8]) {}
}

fn cell_bytes(cell: u8) -> Result<usize, Malformed> {
    CELL_BYTES.get(usize::from(cell)).copied().ok_or_else(|| Malformed::at(0, format!("expected a cell of size 0 to 2, came {cell}")))
}

/// Reads one whole frame.
///
/// # Errors
/// When it is none.
pub fn read<A: Place>(frame: &[u8]) -> Result<Message<A>, Malformed> {
    read_shared(frame)
}

fn read_shared<A: Place>(frame: &[u8]) -> Result<Message<A>, Malformed> {
    let mut head = Fields::new(frame);
    let cell = head.u8()?;
    if cell_bytes(cell)? != frame.len() {
        return Err(head.wrong("expected a frame as long as its cell"));
    }
    let kind = head.u8()?;
    let length = usize::from(head.u16()?);
    if length > frame.len() - HEAD_BYTES {
        return Err(head.wrong(format!("expected a body of at most {} bytes, came {length}", frame.len() - HEAD_BYTES)));
    }
    let (body, padding) = frame[HEAD_BYTES..].split_at(length);
    // Whatever is not zero there could carry what nobody sees.
    if padding.iter().any(|&byte| byte != 0) {
        return Err(Malformed::at(HEAD_BYTES + length, "expected zeros"));
    }
    let mut fields = Fields::new(body);
    let f = &mut fields;
    let message = match kind {
        0x01 => Message::Hello(Box::new(Hello { you: A::read(f)?, location: if f.flag()? { Some(Location(f.u64()?)) } else { None } })),
        0x02 => Message::Announce(Box::new(Announce { uid: f.u64()?, htl: f.u16()?, who: A::read(f)?, commits: read_shares(f)? })),
        0x03 => {
            let (uid, shares) = (f.u64()?, read_shares(f)?);
            let count = usize::from(f.u8()?);
            if count > SHARES_MAX {
                return Err(f.wrong(format!("expected at most {SHARES_MAX} members, came {count}")));
            }
            let members = (0..count).map(|_| A::read(f)).collect::<Result<_, _>>()?;
            Message::Reveal(Box::new(Reveal { uid, shares, members }))
        }
        0x04 => Message::Settle(Box::new(Settle { uid: f.u64()?, shares: read_shares(f)? })),
        0x05 => Message::Introduce(f.array()?),
        0x06 => Message::Welcome,
        0x07 => Message::Declined(one_of(&Decline::ALL, f)?),
        0x10 => Message::Request(Box::new(read_walking(f)?)),
        0x11 => Message::Probe(Box::new(read_walking(f)?)),
        0x12 => Message::Insert(Box::new(read_walking(f)?)),
        0x13 => Message::Inquire(Inquire { uid: f.u64()?, htl: f.u16()?, what: one_of(&Inquiry::ALL, f)? }),
        0x20 => Message::Accepted(f.u64()?),
        0x21 => {
            let uid = f.u64()?;
            let reason = if f.flag()? { Reason::Overload } else { Reason::Loop };
            Message::Rejected(uid, reason)
        }
        0x22 => Message::NotFound(f.u64()?),
        0x23 => Message::RouteNotFound(f.u64()?, f.u16()?),
        0x24 => Message::RecentlyFailed(f.u64()?, f.u16()?),
        0x25 => Message::Found(Box::new(read_found(f)?)),
        0x26 => Message::Probed(f.u64()?, f.u16()?),
        0x27 => Message::Told(f.u64()?, Box::new(inquiry::read(f)?)),
        0x28 => Message::Untold(f.u64()?, one_of(&Untold::ALL, f)?),
        0x30 => Message::AllClear(f.u64()?),
        0x31 => Message::InsertData(Box::new(read_found(f)?)),
        0x32 => Message::Inserted(f.u64()?),
        0x40 => Message::Offer(Box::new(read_key(f)?)),
        0x50 => Message::SwapRequest(Box::new(Swap { uid: f.u64()?, htl: f.u16()?, hash: f.array()? })),
        0x51 => Message::SwapReply(f.u64()?, Box::new(f.array()?)),
        0x52 => Message::SwapCommit(f.u64()?, Box::new(read_bid(f)?)),
        0x53 => Message::SwapComplete(f.u64()?, Box::new(read_bid(f)?)),
        0x54 => Message::SwapRejected(f.u64()?),
        other => {
            f.take(f.left())?;
            Message::Unknown(other)
        }
    };
    if !fields.is_empty() {
        return Err(fields.wrong("expected the end of the body"));
    }
    if !matches!(message, Message::Unknown(_)) && message.cell() != usize::from(cell) {
        return Err(Malformed::at(0, format!("expected a cell of size {}, came {cell}", message.cell())));
    }
    Ok(message)
}

fn read_shares(f: &mut Fields<'_>) -> Result<Vec<[u8; 32]>, Malformed> {
    let count = usize::from(f.u8()?);
    if count > SHARES_MAX {
        return Err(f.wrong(format!("expected at most {SHARES_MAX} shares, came {count}")));
    }
    (0..count).map(|_| f.array()).collect()
}

/// A word that is written as its place among all that it can be.
fn one_of<T: Copy>(all: &[T], f: &mut Fields<'_>) -> Result<T, Malformed> {
    let number = f.u8()?;
    all.get(usize::from(number)).copied().ok_or_else(|| f.wrong(format!("expected a number below {}, came {number}", all.len())))
}

fn place_in<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|other| other == one).and_then(|place| u8::try_from(place).ok()).unwrap_or(0)
}

fn read_bid(f: &mut Fields<'_>) -> Result<Bid, Malformed> {
    let (random, location) = (f.array()?, Location(f.u64()?));
    let count = usize::from(f.u8()?);
    if count > NEIGHBOURS_MAX {
        return Err(f.wrong(format!("expected at most {NEIGHBOURS_MAX} neighbours, came {count}")));
    }
    let neighbours = (0..count).map(|_| f.u64().map(Location)).collect::<Result<_, _>>()?;
    Ok(Bid { random, location, neighbours })
}

fn put_bid(bid: &Bid, out: &mut BytesMut) {
    out.put_slice(&bid.random);
    out.put_u64(bid.location.0);
    let neighbours = &bid.neighbours[..bid.neighbours.len().min(NEIGHBOURS_MAX)];
    out.put_u8(u8::try_from(neighbours.len()).unwrap_or(0));
    neighbours.iter().for_each(|place| out.put_u64(place.0));
}

fn read_walking(f: &mut Fields<'_>) -> Result<Walking, Malformed> {
    Ok(Walking { uid: f.u64()?, htl: f.u16()?, key: read_key(f)? })
}

fn read_key(f: &mut Fields<'_>) -> Result<NodeKey, Malformed> {
    match (f.u8()?, f.u8()?) {
        (1, crate::keys::CHK_ALGORITHM) => Ok(NodeKey::Chk(f.array()?)),
        (2, crate::keys::SSK_ALGORITHM) => Ok(NodeKey::Ssk { ehd: f.array()?, owner: f.array()? }),
        (kind, algorithm) => Err(f.wrong(format!("expected a key of a known type, came {kind} {algorithm}"))),
    }
}

fn read_found<A: Place>(f: &mut Fields<'_>) -> Result<Found<A>, Malformed> {
    let uid = f.u64()?;
    let source = if f.flag()? { Some(A::read(f)?) } else { None };
    let key = read_key(f)?;
    let (header_bytes, data_bytes) = Block::lengths(&key);
    let header = Bytes::copy_from_slice(f.take(header_bytes)?);
    let data = Payload::Bytes(Bytes::copy_from_slice(f.take(data_bytes)?));
    Ok(Found { uid, source, block: Block { key, header, data } })
}

/// Appends a message as one frame.
pub fn write<A: Place>(message: &Message<A>, out: &mut BytesMut) {
    let start = out.len();
    let cell = message.cell();
    out.put_u8(u8::try_from(cell).unwrap_or(0));
    out.put_u8(message.number());
    out.put_u16(0);
    write_body(message, out);
    let length = out.len() - start - HEAD_BYTES;
    out[start + 2..start + 4].copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    out.resize(start + CELL_BYTES[cell].max(length + HEAD_BYTES), 0);
}

fn write_body<A: Place>(message: &Message<A>, out: &mut BytesMut) {
    match message {
        Message::Hello(hello) => {
            hello.you.write(out);
            out.put_u8(hello.location.is_some().into());
            if let Some(location) = hello.location {
                out.put_u64(location.0);
            }
        }
        Message::Announce(announce) => {
            out.put_u64(announce.uid);
            out.put_u16(announce.htl);
            announce.who.write(out);
            put_shares(&announce.commits, out);
        }
        Message::Reveal(reveal) => {
            out.put_u64(reveal.uid);
            put_shares(&reveal.shares, out);
            let members = &reveal.members[..reveal.members.len().min(SHARES_MAX)];
            out.put_u8(u8::try_from(members.len()).unwrap_or(0));
            members.iter().for_each(|member| member.write(out));
        }
        Message::Settle(settle) => {
            out.put_u64(settle.uid);
            put_shares(&settle.shares, out);
        }
        Message::Introduce(token) => out.put_slice(token),
        Message::Declined(why) => out.put_u8(place_in(&Decline::ALL, why)),
        Message::Inquire(inquire) => {
            out.put_u64(inquire.uid);
            out.put_u16(inquire.htl);
            out.put_u8(place_in(&Inquiry::ALL, &inquire.what));
        }
        Message::Told(uid, finding) => {
            out.put_u64(*uid);
            inquiry::write(finding, out);
        }
        Message::Untold(uid, why) => {
            out.put_u64(*uid);
            out.put_u8(place_in(&Untold::ALL, why));
        }
        Message::SwapRequest(swap) => {
            out.put_u64(swap.uid);
            out.put_u16(swap.htl);
            out.put_slice(&swap.hash);
        }
        Message::SwapReply(uid, hash) => {
            out.put_u64(*uid);
            out.put_slice(&**hash);
        }
        Message::SwapCommit(uid, bid) | Message::SwapComplete(uid, bid) => {
            out.put_u64(*uid);
            put_bid(bid, out);
        }
        Message::Request(walking) | Message::Probe(walking) | Message::Insert(walking) => {
            out.put_u64(walking.uid);
            out.put_u16(walking.htl);
            put_key(&walking.key, out);
        }
        Message::Accepted(uid) | Message::NotFound(uid) | Message::AllClear(uid) | Message::Inserted(uid) | Message::SwapRejected(uid) => {
            out.put_u64(*uid);
        }
        Message::Rejected(uid, reason) => {
            out.put_u64(*uid);
            out.put_u8((*reason == Reason::Overload).into());
        }
        Message::RouteNotFound(uid, number) | Message::RecentlyFailed(uid, number) | Message::Probed(uid, number) => {
            out.put_u64(*uid);
            out.put_u16(*number);
        }
        Message::Found(found) | Message::InsertData(found) => {
            out.put_u64(found.uid);
            out.put_u8(found.source.is_some().into());
            if let Some(source) = &found.source {
                source.write(out);
            }
            put_key(&found.block.key, out);
            out.put_slice(&found.block.header);
            if let Payload::Bytes(bytes) = &found.block.data {
                out.put_slice(bytes);
            }
        }
        Message::Offer(key) => put_key(key, out),
        Message::Welcome | Message::Unknown(_) => {}
    }
}

fn put_shares(shares: &[[u8; 32]], out: &mut BytesMut) {
    let shares = &shares[..shares.len().min(SHARES_MAX)];
    out.put_u8(u8::try_from(shares.len()).unwrap_or(0));
    shares.iter().for_each(|share| out.put_slice(share));
}

pub(crate) fn put_key(key: &NodeKey, out: &mut BytesMut) {
    match key {
        NodeKey::Chk(routing) => {
            out.put_slice(&[1, crate::keys::CHK_ALGORITHM]);
            out.put_slice(routing);
        }
        NodeKey::Ssk { ehd, owner } => {
            out.put_slice(&[2, crate::keys::SSK_ALGORITHM]);
            out.put_slice(ehd);
            out.put_slice(owner);
        }
    }
}
