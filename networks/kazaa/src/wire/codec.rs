//! Frames: the kind, three bytes of length, and what only that kind has. A datagram holds one frame; a connection one after the other.

use std::marker::PhantomData;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hexad_content::{ContentId, Sha256Digest};
use hexad_core::{Cue, Malformed, Payload, Role};

use super::fasttrack::{Fast, Session, looks_native};
use super::fields::{put_bytes, put_number};
use super::message::{
    Block, Body, Card, Entry, FLOOD_HOPS_MAX, Flood, Group, HEAD_BYTES, LIST_MAX, Looked, Message, Purpose, Reason, SHORTS_MAX,
    SOURCES_MAX, Sourced, Status, Tree, WORD_BYTES_MAX, WORDS_MAX,
};
use super::record::{Batch, DIGESTS_MAX, NAME_BYTES_MAX, read_digest, write_digest};
use super::{Fields, MESSAGE_BYTES_MAX, VERSION};
use crate::place::{ADDRESS_BYTES_MIN, Place};

/// What a `Hello` begins with.
const MAGIC: [u8; 2] = *b"KZ";
const BLOCK: u8 = 0xc2;
/// Most contents in one answer.
const GROUPS_MAX: usize = 256;

/// The bytes of one connection. Who has opened it speaks our own protocol; who has come is known by his first bytes.
#[derive(Debug)]
pub struct Codec<A> {
    side: Side,
    of: PhantomData<A>,
}

#[derive(Debug)]
enum Side {
    /// Nothing has come yet.
    Unknown,
    Native,
    /// A leaf that speaks FastTrack's own wire.
    Fast(Box<Session>),
}

impl<A> Codec<A> {
    /// For one end of a connection.
    #[must_use]
    pub fn new(role: Role) -> Self {
        let side = match role {
            Role::Dialler => Side::Native,
            Role::Acceptor => Side::Unknown,
        };
        Self { side, of: PhantomData }
    }
}

impl<A: Place> hexad_core::Codec for Codec<A> {
    type Message = Message<A>;

    fn decode(&mut self, _: Cue, input: &mut BytesMut, reply: &mut BytesMut) -> Result<Option<Message<A>>, Malformed> {
        if matches!(self.side, Side::Unknown) {
            match looks_native(input) {
                None => return Ok(None),
                Some(true) => self.side = Side::Native,
                Some(false) => self.side = Side::Fast(Box::default()),
            }
        }
        match &mut self.side {
            Side::Fast(session) => Ok(session.decode(input, reply)?.map(|message| Message::Fast(Box::new(Fast::From(message))))),
            Side::Native | Side::Unknown => decode_frame(input),
        }
    }

    fn encode(&mut self, message: &Message<A>, body_bytes: u64, out: &mut BytesMut) {
        match (&mut self.side, message) {
            (Side::Fast(session), Message::Fast(fast)) => session.encode(fast, out),
            // Nothing of ours is understood there, nor anything of theirs here.
            (Side::Fast(_), _) | (_, Message::Fast(_)) => {}
            _ => write(message, body_bytes, out),
        }
    }

    fn seal(&mut self, bytes: &mut [u8]) {
        if let Side::Fast(session) = &mut self.side {
            session.seal(bytes);
        }
    }
}

fn decode_frame<A: Place>(input: &mut BytesMut) -> Result<Option<Message<A>>, Malformed> {
    let Some(head) = input.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let length = frame_bytes(*head)?;
    if input.len() < length {
        input.reserve(length - input.len());
        return Ok(None);
    }
    let mut frame = input.split_to(length);
    if frame[0] == BLOCK {
        // Bulk is split off and not copied.
        let mut fields = Fields::new(&frame[HEAD_BYTES..]);
        let offset = fields.number()?;
        let body_at = length - fields.rest().len();
        frame.advance(body_at);
        return Ok(Some(Message::Block(Box::new(Block { offset, body: Body(Payload::Bytes(frame.freeze())) }))));
    }
    read(&frame).map(Some)
}

fn frame_bytes([_, high, middle, low]: [u8; HEAD_BYTES]) -> Result<usize, Malformed> {
    let length = HEAD_BYTES + u32::from_be_bytes([0, high, middle, low]) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(Malformed::at(1, format!("expected a frame of at most {MESSAGE_BYTES_MAX} bytes, came {length}")));
    }
    Ok(length)
}

/// Reads one datagram.
///
/// # Errors
/// When it is not exactly one frame.
pub fn read_datagram<A: Place>(bytes: &[u8]) -> Result<Message<A>, Malformed> {
    let head = bytes.first_chunk::<HEAD_BYTES>().ok_or_else(|| Malformed::at(bytes.len(), "expected a frame"))?;
    if frame_bytes(*head)? != bytes.len() {
        return Err(Malformed::at(0, format!("expected one frame in {} bytes", bytes.len())));
    }
    read(bytes)
}

fn read<A: Place>(frame: &[u8]) -> Result<Message<A>, Malformed> {
    let mut fields = Fields::new(&frame[HEAD_BYTES..]);
    let f = &mut fields;
    let message = match frame[0] {
        0x01 => {
            if f.array()? != MAGIC {
                return Err(f.wrong("expected a greeting of this network"));
            }
            let version = f.u8()?;
            if version != VERSION {
                return Err(f.wrong(format!("expected version {VERSION}, came {version}")));
            }
            Message::Hello(A::read(f)?, purpose(f)?)
        }
        0x81 => Message::Welcome(A::read(f)?, status(f)?, list(f)?),
        0x82 => {
            let number = f.u8()?;
            let reason = Reason::ALL.get(usize::from(number)).copied();
            Message::Refused(reason.ok_or_else(|| f.wrong(format!("expected a reason of number 0 to 6, came {number}")))?, list(f)?)
        }
        0x02 => Message::Ping(f.u32()?),
        0x83 => Message::Pong(f.u32()?, status(f)?, list(f)?),
        0x03 => Message::AskList,
        0x84 => Message::List(list(f)?),
        0x04 => Message::Leave(list(f)?),
        0x05 => Message::Move(list(f)?),
        0x06 => Message::CallBack(A::read(f)?, f.u64()?),
        0x86 => Message::Called(f.u64()?, f.flag()?),
        0x87 => Message::Heard(f.u64()?, f.flag()?),
        0x07 => Message::Tested(f.flag()?),
        0x08 => Message::Promote,
        0x88 => Message::Promoted(f.flag()?),
        0x09 => Message::Load(status(f)?),
        0x10 => Message::Begin(f.small()?, f.array()?),
        0x90 => Message::Resume(f.flag()?),
        0x11 => Message::Publish(Box::new(Batch::read(f)?)),
        0x91 => Message::Published(f.number()?, shorts(f)?),
        0x12 => Message::End,
        0x13 => Message::Withdraw(shorts(f)?),
        0x20 => Message::Query(Box::new(flood(f)?)),
        0xa0 => {
            let id = f.array()?;
            let count = f.count(GROUPS_MAX, 24)?;
            Message::Results(id, (0..count).map(|_| group(f)).collect::<Result<_, _>>()?)
        }
        0xa1 => Message::QueryEnd(f.array()?, shorts(f)?),
        0x21 => Message::QueryStop(f.array()?),
        0x30 => Message::Push(A::read(f)?, A::read(f)?, A::read(f)?, f.u64()?),
        0x31 => Message::PushOrder(A::read(f)?, f.u64()?),
        0x32 => Message::RelayOrder(f.u64()?),
        0x40 => Message::Describe(read_digest(f)?),
        0xc0 => Message::Description(Bytes::copy_from_slice(f.rest())),
        0xc1 => {
            let root = Sha256Digest(f.array()?);
            let content = ContentId { root, size: f.number()? };
            let (part_bytes, name) = (f.number()?, f.text(NAME_BYTES_MAX)?);
            let hashes = f.rest();
            if !hashes.len().is_multiple_of(32) {
                return Err(f.wrong("expected hashes of 32 bytes"));
            }
            let hashes = hashes.chunks_exact(32).filter_map(|hash| hash.try_into().ok().map(Sha256Digest)).collect();
            Message::Tree(Box::new(Tree { content, part_bytes, name, hashes }))
        }
        0x41 => Message::Request(f.number()?, f.small()?),
        BLOCK => {
            let offset = f.number()?;
            Message::Block(Box::new(Block { offset, body: Body(Payload::Bytes(Bytes::copy_from_slice(f.rest()))) }))
        }
        0xc3 => Message::Gone(f.number()?, f.small()?),
        other => {
            f.rest();
            Message::Unknown(other)
        }
    };
    if !fields.is_empty() {
        return Err(fields.wrong("expected the end of the frame"));
    }
    Ok(message)
}

fn purpose<A: Place>(f: &mut Fields<'_>) -> Result<Purpose<A>, Malformed> {
    Ok(match f.u8()? {
        0 => Purpose::Leaf(Card { willing: f.flag()?, uplink_kbps: f.small()?, uptime_s: f.small()? }),
        1 => Purpose::Supernode(status(f)?),
        2 => Purpose::Fetch,
        3 => Purpose::CallBack(f.u64()?),
        4 => Purpose::Give(f.u64()?),
        5 => Purpose::Relay(A::read(f)?),
        6 => Purpose::RelayGive(f.u64()?),
        other => return Err(f.wrong(format!("expected a purpose of number 0 to 6, came {other}"))),
    })
}

fn status(f: &mut Fields<'_>) -> Result<Status, Malformed> {
    Ok(Status { supernode: f.flag()?, leaves: f.small()?, leaves_max: f.small()?, links: f.small()?, uptime_s: f.small()? })
}

fn list<A: Place>(f: &mut Fields<'_>) -> Result<Vec<Entry<A>>, Malformed> {
    let count = f.count(LIST_MAX, ADDRESS_BYTES_MIN + 3)?;
    let entry = |f: &mut Fields<'_>| {
        let addr = A::read(f)?;
        let load = f.u8()?;
        if load > 100 {
            return Err(f.wrong(format!("expected a load of at most 100, came {load}")));
        }
        let age_min = u16::try_from(f.upto(u16::MAX.into())?).unwrap_or(u16::MAX);
        Ok(Entry { addr, load, age_min, heir: f.flag()? })
    };
    (0..count).map(|_| entry(f)).collect()
}

fn shorts(f: &mut Fields<'_>) -> Result<Vec<u32>, Malformed> {
    let count = f.count(SHORTS_MAX, 4)?;
    (0..count).map(|_| f.u32()).collect()
}

fn flood(f: &mut Fields<'_>) -> Result<Flood, Malformed> {
    let (id, hops, fan_out) = (f.array()?, f.u8()?, f.u8()?);
    if hops > FLOOD_HOPS_MAX {
        return Err(f.wrong(format!("expected at most {FLOOD_HOPS_MAX} hops, came {hops}")));
    }
    let wanted = u16::try_from(f.upto(u16::MAX.into())?).unwrap_or(u16::MAX);
    let deadline_ms = f.small()?;
    let what = match f.u8()? {
        0 => {
            let count = f.count(WORDS_MAX, 1)?;
            Looked::Words((0..count).map(|_| f.text(WORD_BYTES_MAX)).collect::<Result<_, _>>()?)
        }
        1 => Looked::Digest(read_digest(f)?),
        other => return Err(f.wrong(format!("expected a question of kind 0 or 1, came {other}"))),
    };
    Ok(Flood { id, hops, fan_out, wanted, deadline_ms, what, skip: shorts(f)? })
}

fn group<A: Place>(f: &mut Fields<'_>) -> Result<Group<A>, Malformed> {
    let digest = read_digest(f)?;
    let count = f.count(DIGESTS_MAX, 17)?;
    let others = (0..count).map(|_| read_digest(f)).collect::<Result<_, _>>()?;
    let (size_bytes, name) = (f.number()?, f.text(NAME_BYTES_MAX)?);
    let count = f.count(SOURCES_MAX, 2 * ADDRESS_BYTES_MIN + 1)?;
    let sources =
        (0..count).map(|_| Ok(Sourced { addr: A::read(f)?, via: A::read(f)?, reachable: f.flag()? })).collect::<Result<_, _>>()?;
    Ok(Group { digest, others, size_bytes, name, sources })
}

/// Appends a message, behind which `body_bytes` of a share follow.
pub fn write<A: Place>(message: &Message<A>, body_bytes: u64, out: &mut BytesMut) {
    let start = out.len();
    out.put_u32(0);
    write_content(message, out);
    let length = (out.len() - start - HEAD_BYTES) as u64 + body_bytes;
    let [_, high, middle, low] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    out[start..start + HEAD_BYTES].copy_from_slice(&[kind_of(message), high, middle, low]);
}

fn put_status(status: &Status, out: &mut BytesMut) {
    out.put_u8(status.supernode.into());
    for number in [status.leaves, status.leaves_max, status.links, status.uptime_s] {
        put_number(number.into(), out);
    }
}

fn put_list<A: Place>(entries: &[Entry<A>], out: &mut BytesMut) {
    put_number(entries.len() as u64, out);
    for entry in entries {
        entry.addr.write(out);
        out.put_u8(entry.load);
        put_number(entry.age_min.into(), out);
        out.put_u8(entry.heir.into());
    }
}

fn put_shorts(shorts: &[u32], out: &mut BytesMut) {
    put_number(shorts.len() as u64, out);
    shorts.iter().for_each(|&short| out.put_u32(short));
}

fn put_purpose<A: Place>(purpose: &Purpose<A>, out: &mut BytesMut) {
    match purpose {
        Purpose::Leaf(card) => {
            out.put_slice(&[0, card.willing.into()]);
            put_number(card.uplink_kbps.into(), out);
            put_number(card.uptime_s.into(), out);
        }
        Purpose::Supernode(status) => {
            out.put_u8(1);
            put_status(status, out);
        }
        Purpose::Fetch => out.put_u8(2),
        Purpose::CallBack(nonce) => {
            out.put_u8(3);
            out.put_u64(*nonce);
        }
        Purpose::Give(token) => {
            out.put_u8(4);
            out.put_u64(*token);
        }
        Purpose::Relay(target) => {
            out.put_u8(5);
            target.write(out);
        }
        Purpose::RelayGive(token) => {
            out.put_u8(6);
            out.put_u64(*token);
        }
    }
}

fn put_group<A: Place>(group: &Group<A>, out: &mut BytesMut) {
    write_digest(&group.digest, out);
    put_number(group.others.len() as u64, out);
    group.others.iter().for_each(|digest| write_digest(digest, out));
    put_number(group.size_bytes, out);
    put_bytes(group.name.as_bytes(), out);
    put_number(group.sources.len() as u64, out);
    for source in &group.sources {
        source.addr.write(out);
        source.via.write(out);
        out.put_u8(source.reachable.into());
    }
}

fn write_content<A: Place>(message: &Message<A>, out: &mut BytesMut) {
    match message {
        Message::Hello(to, purpose) => {
            out.put_slice(&MAGIC);
            out.put_u8(VERSION);
            to.write(out);
            put_purpose(purpose, out);
        }
        Message::Welcome(you, status, others) => {
            you.write(out);
            put_status(status, out);
            put_list(others, out);
        }
        Message::Refused(reason, others) => {
            out.put_u8(Reason::ALL.iter().position(|other| other == reason).map_or(0, |at| at.to_le_bytes()[0]));
            put_list(others, out);
        }
        Message::Ping(nonce) => out.put_u32(*nonce),
        Message::Pong(nonce, status, others) => {
            out.put_u32(*nonce);
            put_status(status, out);
            put_list(others, out);
        }
        Message::List(others) | Message::Leave(others) | Message::Move(others) => put_list(others, out),
        Message::CallBack(who, nonce) => {
            who.write(out);
            out.put_u64(*nonce);
        }
        Message::Called(nonce, yes) | Message::Heard(nonce, yes) => {
            out.put_u64(*nonce);
            out.put_u8((*yes).into());
        }
        Message::Tested(yes) | Message::Promoted(yes) | Message::Resume(yes) => out.put_u8((*yes).into()),
        Message::Load(status) => put_status(status, out),
        Message::Begin(count, sum) => {
            put_number((*count).into(), out);
            out.put_slice(sum);
        }
        Message::Publish(batch) => batch.write(out),
        Message::Published(sequence, refused) => {
            put_number(*sequence, out);
            put_shorts(refused, out);
        }
        Message::Withdraw(numbers) => put_shorts(numbers, out),
        Message::Query(flood) => {
            out.put_slice(&flood.id);
            out.put_slice(&[flood.hops, flood.fan_out]);
            put_number(flood.wanted.into(), out);
            put_number(flood.deadline_ms.into(), out);
            match &flood.what {
                Looked::Words(words) => {
                    out.put_u8(0);
                    put_number(words.len() as u64, out);
                    words.iter().for_each(|word| put_bytes(word.as_bytes(), out));
                }
                Looked::Digest(digest) => {
                    out.put_u8(1);
                    write_digest(digest, out);
                }
            }
            put_shorts(&flood.skip, out);
        }
        Message::Results(id, groups) => {
            out.put_slice(id);
            put_number(groups.len() as u64, out);
            groups.iter().for_each(|group| put_group(group, out));
        }
        Message::QueryEnd(id, reached) => {
            out.put_slice(id);
            put_shorts(reached, out);
        }
        Message::QueryStop(id) => out.put_slice(id),
        Message::Push(target, via, asker, token) => {
            target.write(out);
            via.write(out);
            asker.write(out);
            out.put_u64(*token);
        }
        Message::PushOrder(asker, token) => {
            asker.write(out);
            out.put_u64(*token);
        }
        Message::RelayOrder(token) => out.put_u64(*token),
        Message::Describe(digest) => write_digest(digest, out),
        Message::Description(info) => out.put_slice(info),
        Message::Tree(tree) => {
            out.put_slice(&tree.content.root.0);
            put_number(tree.content.size, out);
            put_number(tree.part_bytes, out);
            put_bytes(tree.name.as_bytes(), out);
            tree.hashes.iter().for_each(|hash| out.put_slice(&hash.0));
        }
        Message::Request(offset, bytes) | Message::Gone(offset, bytes) => {
            put_number(*offset, out);
            put_number((*bytes).into(), out);
        }
        Message::Block(block) => {
            put_number(block.offset, out);
            if let Payload::Bytes(bytes) = &block.body.0 {
                out.put_slice(bytes);
            }
        }
        Message::AskList | Message::Promote | Message::End | Message::Unknown(_) | Message::Fast(_) => {}
    }
}

fn kind_of<A: Place>(message: &Message<A>) -> u8 {
    match message {
        Message::Hello(..) => 0x01,
        Message::Welcome(..) => 0x81,
        Message::Refused(..) => 0x82,
        Message::Ping(_) => 0x02,
        Message::Pong(..) => 0x83,
        Message::AskList => 0x03,
        Message::List(_) => 0x84,
        Message::Leave(_) => 0x04,
        Message::Move(_) => 0x05,
        Message::CallBack(..) => 0x06,
        Message::Called(..) => 0x86,
        Message::Heard(..) => 0x87,
        Message::Tested(_) => 0x07,
        Message::Promote => 0x08,
        Message::Promoted(_) => 0x88,
        Message::Load(_) => 0x09,
        Message::Begin(..) => 0x10,
        Message::Resume(_) => 0x90,
        Message::Publish(_) => 0x11,
        Message::Published(..) => 0x91,
        Message::End => 0x12,
        Message::Withdraw(_) => 0x13,
        Message::Query(_) => 0x20,
        Message::Results(..) => 0xa0,
        Message::QueryEnd(..) => 0xa1,
        Message::QueryStop(_) => 0x21,
        Message::Push(..) => 0x30,
        Message::PushOrder(..) => 0x31,
        Message::RelayOrder(_) => 0x32,
        Message::Describe(_) => 0x40,
        Message::Description(_) => 0xc0,
        Message::Tree(_) => 0xc1,
        Message::Request(..) => 0x41,
        Message::Block(_) => BLOCK,
        Message::Gone(..) => 0xc3,
        Message::Unknown(kind) => *kind,
        // Never written as a frame, see `Codec::encode`.
        Message::Fast(_) => 0,
    }
}
