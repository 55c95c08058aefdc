//! Frames: four bytes of length, the version, the kind, the two virtual nodes, the query, and what only that kind has.
//!
//! A datagram holds one frame; a connection holds one after the other. All numbers are big-endian.

use std::marker::PhantomData;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hexad_content::{ContentId, Sha256Digest};
use hexad_core::{Cue, Malformed, Payload};

use super::item::{Item, narrow, read_digest, write_bytes, write_digest, write_text};
use super::message::{
    Block, Body, Body64, Differs, Get, HEAD_BYTES, Inventory, Items, Message, Reason, Route, Routed, SUMS, Step, Tree, Welcome,
};
use super::{Fields, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, VERSION};
use crate::id::Key;
use crate::place::{Contact as _, Place};

/// Most contacts in one message.
pub const CONTACTS_MAX: usize = 64;
/// Most items in one message.
pub const ITEMS_MAX: usize = 512;
/// Most names of items in one message.
pub const NAMES_MAX: usize = 2048;
/// Most words in a question, and most bytes of each.
const WORDS_MAX: usize = 16;
const WORD_BYTES_MAX: usize = 255;
/// Fewest bytes of a contact: no key, IPv4.
const CONTACT_BYTES_MIN: usize = 8;
/// Fewest bytes of an item.
const ITEM_BYTES_MIN: usize = 33;

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
        let Some(head) = input.first_chunk::<4>() else { return Ok(None) };
        let length = frame_bytes(*head)?;
        if input.len() < length {
            input.reserve(length - input.len());
            return Ok(None);
        }
        let mut frame = input.split_to(length);
        if frame.get(5) == Some(&0xa1) && length >= HEAD_BYTES + 8 {
            let (message, mut fields) = head_of::<A>(&frame)?;
            let offset = fields.u64()?;
            frame.advance(HEAD_BYTES + 8);
            let body = Body64(Payload::Bytes(frame.freeze()));
            return Ok(Some(Message { body: Body::Block(Box::new(Block { offset, body })), ..message }));
        }
        read(&frame).map(Some)
    }

    fn encode(&mut self, message: &Message<A>, body_bytes: u64, out: &mut BytesMut) {
        write(message, body_bytes, out);
    }

    fn seal(&mut self, _: &mut [u8]) {}
}

fn frame_bytes(head: [u8; 4]) -> Result<usize, Malformed> {
    let length = u32::from_be_bytes(head) as usize;
    if !(HEAD_BYTES..=MESSAGE_BYTES_MAX).contains(&length) {
        return Err(Malformed::at(0, format!("expected a frame of {HEAD_BYTES} to {MESSAGE_BYTES_MAX} bytes, came {length}")));
    }
    Ok(length)
}

/// Reads one datagram.
///
/// # Errors
/// When it is not exactly one frame.
pub fn read_datagram<A: Place>(bytes: &[u8]) -> Result<Message<A>, Malformed> {
    let head = bytes.first_chunk::<4>().ok_or_else(|| Malformed::at(bytes.len(), "expected a frame"))?;
    if frame_bytes(*head)? != bytes.len() {
        return Err(Malformed::at(0, format!("expected a frame of {} bytes", bytes.len())));
    }
    read(bytes)
}

fn head_of<A: Place>(frame: &[u8]) -> Result<(Message<A>, Fields<'_>), Malformed> {
    let mut fields = Fields::new(frame);
    fields.u32()?;
    let version = fields.u8()?;
    if version != VERSION {
        return Err(fields.wrong(format!("expected version {VERSION}, came {version}")));
    }
    let kind = fields.u8()?;
    let (from, to, query) = (fields.u8()?, fields.u8()?, fields.u32()?);
    Ok((Message { from, to, query, body: Body::Unknown(kind) }, fields))
}

fn read<A: Place>(frame: &[u8]) -> Result<Message<A>, Malformed> {
    let (mut message, mut fields) = head_of::<A>(frame)?;
    let f = &mut fields;
    let kind = frame[5];
    message.body = match kind {
        0x01 => Body::Hello(A::read(f)?),
        0x81 => Body::Welcome(Box::new(Welcome { you: A::read(f)?, nursery: flag(f)?, members: contacts::<A>(f)? })),
        0x02 => Body::Ping,
        0x82 => Body::Pong,
        0x03 => Body::FindNext { key: Key(f.array()?), claimed: flag(f)? },
        0x83 => {
            let step = match f.u8()? {
                0 => Step::Mine,
                1 => Step::Successor,
                2 => Step::Closer,
                3 => Step::Before,
                other => return Err(f.wrong(format!("expected a step of kind 0 to 3, came {other}"))),
            };
            Body::Next(step, contacts::<A>(f)?)
        }
        0x04 => Body::GetState,
        0x84 => {
            let prdc = if flag(f)? { Some(contact::<A>(f)?) } else { None };
            Body::State(prdc, contacts::<A>(f)?.into())
        }
        0x05 => Body::Notify,
        0x06 => Body::Route(Box::new(Route {
            key: Key(f.array()?),
            origin: contact::<A>(f)?,
            query: f.u32()?,
            hops: f.u8()?,
            claimed: flag(f)?,
        })),
        0x86 => Body::Got,
        0x87 => Body::Routed(Box::new(Routed { hops: f.u8()?, holders: contacts::<A>(f)? })),
        0x08 => Body::Put(Box::new(Item::read(f)?)),
        0x88 => Body::Stored(f.u8()?),
        0x09 => {
            let (key, limit) = (Key(f.array()?), f.u16()?);
            let count = f.count(WORDS_MAX, 2)?;
            let words = (0..count).map(|_| f.text(WORD_BYTES_MAX)).collect::<Result<_, _>>()?;
            Body::Get(Box::new(Get { key, words, limit }))
        }
        0x89 => Body::Items(Box::new(Items { total: f.u32()?, items: items(f)? })),
        0x0a => Body::Copy(items(f)?),
        0x8a => Body::Copied(f.u16()?),
        0x0b => {
            let (after, upto) = (Key(f.array()?), Key(f.array()?));
            let mut sums = [0; SUMS];
            for sum in &mut sums {
                *sum = f.u64()?;
            }
            Body::Inventory(Box::new(Inventory { after, upto, sums }))
        }
        0x8b => {
            let (parts, more) = (f.u16()?, flag(f)?);
            let count = f.count(NAMES_MAX, 32)?;
            let held = (0..count).map(|_| Ok((Key(f.array()?), f.u64()?, f.u32()?))).collect::<Result<_, _>>()?;
            Body::Differs(Box::new(Differs { parts, held, more }))
        }
        0x0c => {
            let count = f.count(NAMES_MAX, 28)?;
            Body::Take((0..count).map(|_| Ok((Key(f.array()?), f.u64()?))).collect::<Result<_, _>>()?)
        }
        0x0d => Body::Leave,
        0x0e => Body::Withdraw(Box::new((Key(f.array()?), f.u64()?, f.u32()?))),
        0x8e => Body::Withdrawn,
        0x0f => Body::GetFingers,
        0x8f => Body::Fingers(contacts::<A>(f)?.into()),
        0x10 => Body::SetFinger(f.u8()?, contact::<A>(f)?),
        0x11 => Body::Nearer,
        0x20 => Body::Describe(Box::new(read_digest(f)?)),
        0xa0 => Body::Description(f.bytes(MESSAGE_BYTES_MAX)?),
        0xa3 => {
            let root = Sha256Digest(f.array()?);
            let content = ContentId { root, size: f.u64()? };
            let (part_bytes, name) = (f.u64()?, f.text(NAME_BYTES_MAX)?);
            let hashes = f.bytes(MESSAGE_BYTES_MAX)?;
            if hashes.len() % 32 != 0 {
                return Err(f.wrong("expected hashes of 32 bytes"));
            }
            let hashes = hashes.chunks_exact(32).filter_map(|hash| hash.try_into().ok().map(Sha256Digest)).collect();
            Body::Tree(Box::new(Tree { content, part_bytes, name, hashes }))
        }
        0x21 => Body::Request(f.u64()?, f.u32()?),
        0xa1 => {
            let offset = f.u64()?;
            let body = Body64(Payload::Bytes(Bytes::copy_from_slice(f.rest())));
            Body::Block(Box::new(Block { offset, body }))
        }
        0xa2 => Body::Gone(f.u64()?, f.u32()?),
        0xff => {
            let number = f.u8()?;
            let reason = Reason::ALL.get(usize::from(number)).copied();
            Body::Refused(reason.ok_or_else(|| f.wrong(format!("expected a reason of number 0 to 7, came {number}")))?)
        }
        other => {
            f.rest();
            Body::Unknown(other)
        }
    };
    if !fields.is_empty() {
        return Err(fields.wrong("expected the end of the frame"));
    }
    Ok(message)
}

fn flag(fields: &mut Fields<'_>) -> Result<bool, Malformed> {
    match fields.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(fields.wrong(format!("expected 0 or 1, came {other}"))),
    }
}

fn contact<A: Place>(fields: &mut Fields<'_>) -> Result<A::Contact, Malformed> {
    let vnode = fields.u8()?;
    let addr = A::read(fields)?;
    addr.contact(vnode).ok_or_else(|| fields.wrong("expected a contact that has a place on the ring"))
}

fn contacts<A: Place>(fields: &mut Fields<'_>) -> Result<Vec<A::Contact>, Malformed> {
    let count = fields.count(CONTACTS_MAX, CONTACT_BYTES_MIN)?;
    (0..count).map(|_| contact::<A>(fields)).collect()
}

fn items<A: Place>(fields: &mut Fields<'_>) -> Result<Vec<Item<A>>, Malformed> {
    let count = fields.count(ITEMS_MAX, ITEM_BYTES_MIN)?;
    (0..count).map(|_| Item::read(fields)).collect()
}

fn put_contact<A: Place>(contact: &A::Contact, out: &mut BytesMut) {
    out.put_u8(contact.vnode());
    contact.addr().write(out);
}

fn put_contacts<A: Place>(contacts: &[A::Contact], out: &mut BytesMut) {
    out.put_u16(narrow(contacts.len()));
    contacts.iter().for_each(|contact| put_contact::<A>(contact, out));
}

fn put_items<A: Place>(items: &[Item<A>], out: &mut BytesMut) {
    out.put_u16(narrow(items.len()));
    items.iter().for_each(|item| item.write(out));
}

/// Appends a message, behind which `body_bytes` of a share follow.
pub fn write<A: Place>(message: &Message<A>, body_bytes: u64, out: &mut BytesMut) {
    let start = out.len();
    out.put_u32(0);
    out.put_u8(VERSION);
    out.put_u8(kind_of(&message.body));
    out.put_u8(message.from);
    out.put_u8(message.to);
    out.put_u32(message.query);
    write_body(&message.body, out);
    let length = (out.len() - start) as u64 + body_bytes;
    out[start..start + 4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn write_body<A: Place>(body: &Body<A>, out: &mut BytesMut) {
    match body {
        Body::Hello(to) => to.write(out),
        Body::Welcome(welcome) => {
            welcome.you.write(out);
            out.put_u8(welcome.nursery.into());
            put_contacts::<A>(&welcome.members, out);
        }
        Body::FindNext { key, claimed } => {
            out.put_slice(&key.0);
            out.put_u8((*claimed).into());
        }
        Body::Next(step, contacts) => {
            out.put_u8(match step {
                Step::Mine => 0,
                Step::Successor => 1,
                Step::Closer => 2,
                Step::Before => 3,
            });
            put_contacts::<A>(contacts, out);
        }
        Body::State(prdc, succ) => {
            out.put_u8(prdc.is_some().into());
            if let Some(prdc) = prdc {
                put_contact::<A>(prdc, out);
            }
            put_contacts::<A>(succ, out);
        }
        Body::Route(route) => {
            out.put_slice(&route.key.0);
            put_contact::<A>(&route.origin, out);
            out.put_u32(route.query);
            out.put_u8(route.hops);
            out.put_u8(route.claimed.into());
        }
        Body::Routed(routed) => {
            out.put_u8(routed.hops);
            put_contacts::<A>(&routed.holders, out);
        }
        Body::Put(item) => item.write(out),
        Body::Stored(copies) => out.put_u8(*copies),
        Body::Get(get) => {
            out.put_slice(&get.key.0);
            out.put_u16(get.limit);
            out.put_u16(narrow(get.words.len()));
            get.words.iter().for_each(|word| write_text(word, out));
        }
        Body::Items(found) => {
            out.put_u32(found.total);
            put_items(&found.items, out);
        }
        Body::Copy(copies) => put_items(copies, out),
        Body::Copied(count) => out.put_u16(*count),
        Body::Inventory(inventory) => {
            out.put_slice(&inventory.after.0);
            out.put_slice(&inventory.upto.0);
            inventory.sums.iter().for_each(|&sum| out.put_u64(sum));
        }
        Body::Differs(differs) => {
            out.put_u16(differs.parts);
            out.put_u8(differs.more.into());
            out.put_u16(narrow(differs.held.len()));
            for (key, slot, seq) in &differs.held {
                put_name(key, *slot, out);
                out.put_u32(*seq);
            }
        }
        Body::Take(wanted) => {
            out.put_u16(narrow(wanted.len()));
            wanted.iter().for_each(|(key, slot)| put_name(key, *slot, out));
        }
        Body::Withdraw(gone) => {
            put_name(&gone.0, gone.1, out);
            out.put_u32(gone.2);
        }
        Body::Fingers(contacts) => put_contacts::<A>(contacts, out),
        Body::SetFinger(bit, contact) => {
            out.put_u8(*bit);
            put_contact::<A>(contact, out);
        }
        Body::Describe(digest) => write_digest(digest, out),
        Body::Description(info) => write_bytes(info, out),
        Body::Tree(tree) => {
            out.put_slice(&tree.content.root.0);
            out.put_u64(tree.content.size);
            out.put_u64(tree.part_bytes);
            write_text(&tree.name, out);
            out.put_u32(u32::try_from(32 * tree.hashes.len()).unwrap_or(u32::MAX));
            tree.hashes.iter().for_each(|hash| out.put_slice(&hash.0));
        }
        Body::Request(offset, bytes) | Body::Gone(offset, bytes) => {
            out.put_u64(*offset);
            out.put_u32(*bytes);
        }
        Body::Block(block) => {
            out.put_u64(block.offset);
            if let Payload::Bytes(bytes) = &block.body.0 {
                out.put_slice(bytes);
            }
        }
        Body::Refused(reason) => {
            out.put_u8(Reason::ALL.iter().position(|other| other == reason).map_or(0, |at| narrow(at).to_le_bytes()[0]))
        }
        Body::Ping
        | Body::Pong
        | Body::GetState
        | Body::Notify
        | Body::Got
        | Body::Leave
        | Body::Nearer
        | Body::Withdrawn
        | Body::GetFingers
        | Body::Unknown(_) => {}
    }
}

fn put_name(key: &Key, slot: u64, out: &mut BytesMut) {
    out.put_slice(&key.0);
    out.put_u64(slot);
}

fn kind_of<A: Place>(body: &Body<A>) -> u8 {
    match body {
        Body::Hello(_) => 0x01,
        Body::Welcome(_) => 0x81,
        Body::Ping => 0x02,
        Body::Pong => 0x82,
        Body::FindNext { .. } => 0x03,
        Body::Next(..) => 0x83,
        Body::GetState => 0x04,
        Body::State(..) => 0x84,
        Body::Notify => 0x05,
        Body::Route(_) => 0x06,
        Body::Got => 0x86,
        Body::Routed(_) => 0x87,
        Body::Put(_) => 0x08,
        Body::Stored(_) => 0x88,
        Body::Get(_) => 0x09,
        Body::Items(_) => 0x89,
        Body::Copy(_) => 0x0a,
        Body::Copied(_) => 0x8a,
        Body::Inventory(_) => 0x0b,
        Body::Differs(_) => 0x8b,
        Body::Take(_) => 0x0c,
        Body::Leave => 0x0d,
        Body::Nearer => 0x11,
        Body::Withdraw(_) => 0x0e,
        Body::Withdrawn => 0x8e,
        Body::GetFingers => 0x0f,
        Body::Fingers(_) => 0x8f,
        Body::SetFinger(..) => 0x10,
        Body::Describe(_) => 0x20,
        Body::Description(_) => 0xa0,
        Body::Tree(_) => 0xa3,
        Body::Request(..) => 0x21,
        Body::Block(_) => 0xa1,
        Body::Gone(..) => 0xa2,
        Body::Refused(_) => 0xff,
        Body::Unknown(kind) => *kind,
    }
}
