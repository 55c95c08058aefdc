//! The binary messages: a header of 23 bytes and a payload. Spec §1 and §2.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hexad_core::Malformed;

use super::guid::Guid;
use super::hit::QueryHit;
use super::qrp::Qrp;
use super::query::Query;
use super::reader::Reader;

/// Bytes of the header.
pub const HEAD_BYTES: usize = 23;
/// A longer payload means that the two ends no longer agree on where messages begin.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Longest text of a `Bye`.
const BYE_BYTES_MAX: usize = 4096;

/// One message with its header.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Its id; an answer carries the id of what it answers.
    pub muid: Guid,
    /// Hops it may still travel.
    pub ttl: u8,
    /// Hops it has travelled.
    pub hops: u8,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// 0x00: who is there? With a GGEP block, or nothing.
    Ping(Bytes),
    /// 0x01: I am here, or somebody is.
    Pong(Box<Pong>),
    /// 0x02: I go, and why.
    Bye(Box<Bye>),
    /// 0x30: what words somebody has.
    Qrp(Box<Qrp>),
    /// 0x31, 0x32: what only some programs know.
    Vendor(Box<Vendor>),
    /// 0x40: connect to somebody who cannot connect to you.
    Push(Box<Push>),
    /// 0x80: who has this? Shared, since it goes to many.
    Query(Arc<Query>),
    /// 0x81: I have.
    Hit(Arc<QueryHit>),
    /// Whatever else: kept as it is.
    Unknown(u8, Bytes),
}

/// 0x01.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong {
    /// Where the host listens.
    pub at: SocketAddrV4,
    /// Files that it shares.
    pub files: u32,
    /// KiB of these.
    pub kib: u32,
    /// GGEP, or nothing.
    pub ext: Bytes,
}

/// 0x02.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// As in spec §15.
    pub code: u16,
    /// Why, with the NUL at its end if it had one.
    pub text: Bytes,
}

/// 0x40.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Who is to connect.
    pub servent: Guid,
    /// To give which file.
    pub index: u32,
    /// To whom.
    pub to: SocketAddrV4,
    /// GGEP, or nothing.
    pub ext: Bytes,
}

/// 0x31 and 0x32. Spec §14.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    /// 0x32 in place of 0x31.
    pub standard: bool,
    /// Four letters.
    pub vendor: [u8; 4],
    /// Which of that vendor's messages.
    pub selector: u16,
    /// Which version of it.
    pub version: u16,
    /// What it says.
    pub data: Bytes,
}

impl Vendor {
    /// A message of the kind 0x31.
    #[must_use]
    pub fn new(vendor: [u8; 4], selector: u16, version: u16, data: impl Into<Bytes>) -> Self {
        Self { standard: false, vendor, selector, version, data: data.into() }
    }
}

pub(crate) fn put_address(at: SocketAddrV4, out: &mut BytesMut) {
    out.put_u16_le(at.port());
    out.put_slice(&at.ip().octets());
}

fn copied(bytes: &[u8]) -> Bytes {
    if bytes.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(bytes) }
}

impl Body {
    /// The function byte of the header.
    #[must_use]
    pub fn function(&self) -> u8 {
        match self {
            Self::Ping(_) => 0x00,
            Self::Pong(_) => 0x01,
            Self::Bye(_) => 0x02,
            Self::Qrp(_) => 0x30,
            Self::Vendor(vendor) => 0x31 + u8::from(vendor.standard),
            Self::Push(_) => 0x40,
            Self::Query(_) => 0x80,
            Self::Hit(_) => 0x81,
            Self::Unknown(function, _) => *function,
        }
    }

    /// The specification's word for it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::Bye(_) => "bye",
            Self::Qrp(_) => "qrp",
            Self::Vendor(_) => "vendor",
            Self::Push(_) => "push",
            Self::Query(_) => "query",
            Self::Hit(_) => "query hit",
            Self::Unknown(..) => "unknown",
        }
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Ping(ext) | Self::Unknown(_, ext) => ext.len(),
            Self::Pong(pong) => 14 + pong.ext.len(),
            Self::Bye(bye) => 2 + bye.text.len(),
            Self::Qrp(qrp) => qrp.bytes(),
            Self::Vendor(vendor) => 8 + vendor.data.len(),
            Self::Push(push) => 26 + push.ext.len(),
            Self::Query(query) => query.bytes(),
            Self::Hit(hit) => hit.bytes(),
        }
    }

    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Ping(ext) | Self::Unknown(_, ext) => out.put_slice(ext),
            Self::Pong(pong) => {
                put_address(pong.at, out);
                out.put_u32_le(pong.files);
                out.put_u32_le(pong.kib);
                out.put_slice(&pong.ext);
            }
            Self::Bye(bye) => {
                out.put_u16_le(bye.code);
                out.put_slice(&bye.text);
            }
            Self::Qrp(qrp) => qrp.write(out),
            Self::Vendor(vendor) => {
                out.put_slice(&vendor.vendor);
                out.put_u16_le(vendor.selector);
                out.put_u16_le(vendor.version);
                out.put_slice(&vendor.data);
            }
            Self::Push(push) => {
                out.put_slice(&push.servent.0);
                out.put_u32_le(push.index);
                // Here the address stands before the port.
                out.put_slice(&push.to.ip().octets());
                out.put_u16_le(push.to.port());
                out.put_slice(&push.ext);
            }
            Self::Query(query) => query.write(out),
            Self::Hit(hit) => hit.write(out),
        }
    }

    fn read(function: u8, payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        Ok(match function {
            0x00 => Self::Ping(copied(payload)),
            0x01 => {
                let (port, ip) = (reader.u16_le()?, reader.ip()?);
                let (files, kib) = (reader.u32_le()?, reader.u32_le()?);
                Self::Pong(Box::new(Pong { at: SocketAddrV4::new(ip, port), files, kib, ext: copied(reader.rest()) }))
            }
            0x02 => {
                if payload.len() > BYE_BYTES_MAX {
                    return Err(reader.wrong("expected a shorter farewell"));
                }
                Self::Bye(Box::new(Bye { code: reader.u16_le()?, text: copied(reader.rest()) }))
            }
            0x30 => Self::Qrp(Box::new(Qrp::read(&mut reader)?)),
            0x31 | 0x32 => Self::Vendor(Box::new(Vendor {
                standard: function == 0x32,
                vendor: reader.array()?,
                selector: reader.u16_le()?,
                version: reader.u16_le()?,
                data: copied(reader.rest()),
            })),
            0x40 => {
                let (servent, index) = (reader.guid()?, reader.u32_le()?);
                let (ip, port): (Ipv4Addr, u16) = (reader.ip()?, reader.u16_le()?);
                Self::Push(Box::new(Push { servent, index, to: SocketAddrV4::new(ip, port), ext: copied(reader.rest()) }))
            }
            0x80 => Self::Query(Arc::new(Query::read(&mut reader)?)),
            0x81 => Self::Hit(Arc::new(QueryHit::read(&mut reader)?)),
            _ => Self::Unknown(function, copied(payload)),
        })
    }
}

/// A message that was framed, and whether its payload made sense.
pub(crate) enum Framed {
    Packet(Packet),
    /// The frame is intact, the payload is not: one message less, and no reason to end the link.
    Nonsense(u8, Malformed),
}

impl Packet {
    /// A message that begins its way.
    #[must_use]
    pub const fn new(muid: Guid, ttl: u8, body: Body) -> Self {
        Self { muid, ttl, hops: 0, body }
    }

    /// Bytes with the header.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        HEAD_BYTES + self.body.bytes()
    }

    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.reserve(self.wire_bytes());
        out.put_slice(&self.muid.0);
        out.put_u8(self.body.function());
        out.put_u8(self.ttl);
        out.put_u8(self.hops);
        out.put_u32_le(u32::try_from(self.body.bytes()).unwrap_or(u32::MAX));
        self.body.write(out);
    }

    /// The message at the front of `input`, taken off it; `None` when more bytes are needed.
    pub(crate) fn take(input: &mut BytesMut) -> Result<Option<Framed>, Malformed> {
        let Some(head) = input.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes([head[19], head[20], head[21], head[22]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > PAYLOAD_BYTES_MAX {
            return Err(Malformed::at(19, format!("expected a payload of at most {PAYLOAD_BYTES_MAX} bytes, came {length}")));
        }
        if input.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        let (mut muid, function, ttl, hops) = (Guid::default(), head[16], head[17], head[18]);
        muid.0.copy_from_slice(&head[..16]);
        let body = Body::read(function, &input[HEAD_BYTES..HEAD_BYTES + length]);
        input.advance(HEAD_BYTES + length);
        Ok(Some(match body {
            Ok(body) => Framed::Packet(Self { muid, ttl, hops, body }),
            Err(wrong) => Framed::Nonsense(function, wrong),
        }))
    }

    /// Reads one whole message, as a datagram or a file has it.
    ///
    /// # Errors
    /// When it is none, or something stands behind it.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = BytesMut::from(bytes);
        match Self::take(&mut input)? {
            Some(Framed::Packet(packet)) if input.is_empty() => Ok(packet),
            Some(Framed::Packet(_)) => Err(Malformed::at(bytes.len() - input.len(), "bytes behind a message")),
            Some(Framed::Nonsense(_, wrong)) => Err(Malformed::at(wrong.offset + HEAD_BYTES, wrong.reason)),
            None => Err(Malformed::at(bytes.len(), format!("unexpected end of a message after {} bytes", bytes.len()))),
        }
    }
}
