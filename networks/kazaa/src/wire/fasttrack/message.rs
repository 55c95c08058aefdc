//! What a leaf and its supernode say to each other on FastTrack's wire.

use std::net::{Ipv4Addr, SocketAddrV4};

use bytes::{BufMut as _, BytesMut};
use hexad_core::Malformed;

use crate::wire::Fields;

/// Most tags of a record.
const TAGS_MAX: u64 = 32;
/// Most bytes of a tag, of a name, of a term.
const TEXT_BYTES_MAX: u64 = 1024;
/// Most terms of a search.
const TERMS_MAX: u64 = 16;

/// A tag: its number and its bytes (Latin-1 text, or packed numbers).
pub type Tag = (u32, Vec<u8>);

/// A file that a leaf offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// 1 audio, 2 video, 3 image, 4 document, 5 software.
    pub media: u8,
    /// MD5 of the first 300 KiB and four bytes more: a hint, see `specs/supernodes.md` §2.
    pub uuhash: [u8; 20],
    /// The leaf's own number for it.
    pub id: u64,
    /// Bytes.
    pub size: u64,
    /// What else is said of it.
    pub tags: Vec<Tag>,
}

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// The answer repeats it.
    pub id: u16,
    /// How many results are enough.
    pub max: u16,
    /// A1 audio, A2 video, A3 image, A4 document, A5 software, BF all.
    pub realm: u8,
    /// All of these must hold.
    pub terms: Vec<Term>,
}

/// One condition of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// 0 equal, 2 at most, 3 about, 4 at least, 5 substring.
    pub compare: u8,
    /// A tag's number; 0 is any, 3 the hash.
    pub field: u32,
    /// What it is compared with.
    pub text: Vec<u8>,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the sharer is.
    pub at: SocketAddrV4,
    /// Of its uplink.
    pub bandwidth: u8,
    /// Its name.
    pub user: Vec<u8>,
    /// What it offers; the media class is not sent.
    pub offer: Offer,
}

/// From a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromLeaf {
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
    /// 02, who it is.
    Info {
        /// Where it is, as far as it knows.
        at: SocketAddrV4,
        /// Of its uplink: 14 × log2 of kilobits a second, and 59.
        bandwidth: u8,
        /// Its name.
        user: Vec<u8>,
    },
    /// 22, a file.
    Publish(Offer),
    /// 05, no longer this file; the media class is not sent.
    Withdraw(Offer),
    /// 06, a search.
    Search(Sought),
    /// 0D, let that leaf open a connection to me.
    Push {
        /// Which the leaf repeats in `GIVE`.
        id: u32,
        /// Where to.
        me: SocketAddrV4,
        /// Which leaf.
        target: SocketAddrV4,
        /// Its supernode.
        supernode: SocketAddrV4,
        /// Its name.
        user: Vec<u8>,
    },
    /// 1D, the network's name.
    Network(Vec<u8>),
    /// Anything else: type and bytes.
    Other(u16, Vec<u8>),
}

/// To a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToLeaf {
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
    /// 00, supernodes: where, minutes since they were seen, load in percent.
    Supernodes(Vec<(SocketAddrV4, u8, u8)>),
    /// 07, results.
    Results {
        /// The supernode that answers.
        by: SocketAddrV4,
        /// Of the search.
        id: u16,
        /// They.
        found: Vec<Found>,
    },
    /// 08, nothing more will come.
    SearchEnd(u16),
    /// 09, users, files, gigabytes.
    Statistics(u32, u32, u16),
    /// 0D, open a connection there and say `GIVE`.
    PushOrder(u32, SocketAddrV4),
    /// 1D, the network's name.
    Network(Vec<u8>),
    /// 2C, your address as we see it.
    Outside(Ipv4Addr),
}

fn packed(f: &mut Fields<'_>) -> Result<u64, Malformed> {
    let mut number = 0_u64;
    for _ in 0..10 {
        let byte = f.u8()?;
        number = number.checked_mul(128).ok_or_else(|| f.wrong("expected a packed number below 2^64"))? | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(f.wrong("expected a packed number of at most ten bytes"))
}

fn packed_upto(f: &mut Fields<'_>, max: u64) -> Result<usize, Malformed> {
    let number = packed(f)?;
    if number > max {
        return Err(f.wrong(format!("expected at most {max}, came {number}")));
    }
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

fn put_packed(number: u64, out: &mut BytesMut) {
    let groups = (64 - (number | 1).leading_zeros()).div_ceil(7);
    for group in (0..groups).rev() {
        let bits = u8::try_from((number >> (7 * group)) & 0x7f).unwrap_or(0);
        out.put_u8(if group > 0 { bits | 0x80 } else { bits });
    }
}

fn socket(f: &mut Fields<'_>) -> Result<SocketAddrV4, Malformed> {
    Ok(SocketAddrV4::new(Ipv4Addr::from(f.array::<4>()?), f.u16()?))
}

fn put_socket(at: SocketAddrV4, out: &mut BytesMut) {
    out.put_slice(&at.ip().octets());
    out.put_u16(at.port());
}

fn tags(f: &mut Fields<'_>) -> Result<Vec<Tag>, Malformed> {
    let count = packed_upto(f, TAGS_MAX)?;
    let tag = |f: &mut Fields<'_>| {
        let number = u32::try_from(packed_upto(f, u32::MAX.into())?).unwrap_or(u32::MAX);
        let length = packed_upto(f, TEXT_BYTES_MAX)?;
        Ok((number, f.take(length)?.to_vec()))
    };
    (0..count).map(|_| tag(f)).collect()
}

fn put_tags(tags: &[Tag], out: &mut BytesMut) {
    put_packed(tags.len() as u64, out);
    for (number, bytes) in tags {
        put_packed((*number).into(), out);
        put_packed(bytes.len() as u64, out);
        out.put_slice(bytes);
    }
}

fn offer(f: &mut Fields<'_>, media: u8) -> Result<Offer, Malformed> {
    Ok(Offer { media, uuhash: f.array()?, id: packed(f)?, size: packed(f)?, tags: tags(f)? })
}

fn put_offer(offer: &Offer, out: &mut BytesMut) {
    out.put_slice(&offer.uuhash);
    put_packed(offer.id, out);
    put_packed(offer.size, out);
    put_tags(&offer.tags, out);
}

fn rest(f: &mut Fields<'_>) -> Result<Vec<u8>, Malformed> {
    let rest = f.rest();
    if rest.len() as u64 > TEXT_BYTES_MAX {
        return Err(f.wrong("expected a shorter name"));
    }
    Ok(rest.to_vec())
}

impl FromLeaf {
    /// Reads the data of a message of that type.
    ///
    /// # Errors
    /// When it is not what a leaf sends.
    pub fn read(kind: u16, data: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(data);
        let f = &mut fields;
        let message = match kind {
            0x02 => {
                let (at, bandwidth) = (socket(f)?, f.u8()?);
                f.u8()?;
                Self::Info { at, bandwidth, user: rest(f)? }
            }
            0x22 => {
                let [_, media, _, _] = f.array()?;
                Self::Publish(offer(f, media)?)
            }
            0x05 => Self::Withdraw(offer(f, 0)?),
            0x06 => {
                f.u16()?;
                let (max, id) = (f.u16()?, f.u16()?);
                f.u8()?;
                let realm = f.u8()?;
                let count = packed_upto(f, TERMS_MAX)?;
                let term = |f: &mut Fields<'_>| {
                    let compare = f.u8()?;
                    let field = u32::try_from(packed_upto(f, u32::MAX.into())?).unwrap_or(u32::MAX);
                    let length = packed_upto(f, TEXT_BYTES_MAX)?;
                    Ok(Term { compare, field, text: f.take(length)?.to_vec() })
                };
                let terms = (0..count).map(|_| term(f)).collect::<Result<_, _>>()?;
                Self::Search(Sought { id, max, realm, terms })
            }
            0x0d => Self::Push { id: f.u32()?, me: socket(f)?, target: socket(f)?, supernode: socket(f)?, user: rest(f)? },
            0x1d => Self::Network(rest(f)?),
            other => {
                let bytes = f.rest().to_vec();
                Self::Other(other, bytes)
            }
        };
        // Some send more behind what is known of a message; it is passed over.
        Ok(message)
    }

    /// Its data as a leaf writes it: type, and bytes. `None` for pings, which have none.
    #[must_use]
    pub fn data(&self) -> Option<(u16, BytesMut)> {
        let mut out = BytesMut::new();
        let kind = match self {
            Self::Ping | Self::Pong => return None,
            Self::Info { at, bandwidth, user } => {
                put_socket(*at, &mut out);
                out.put_slice(&[*bandwidth, 0]);
                out.put_slice(user);
                0x02
            }
            Self::Publish(offer) => {
                out.put_slice(&[0, offer.media, 0, 0]);
                put_offer(offer, &mut out);
                0x22
            }
            Self::Withdraw(offer) => {
                put_offer(offer, &mut out);
                0x05
            }
            Self::Search(sought) => {
                out.put_u16(1);
                out.put_u16(sought.max);
                out.put_u16(sought.id);
                out.put_slice(&[1, sought.realm]);
                put_packed(sought.terms.len() as u64, &mut out);
                for term in &sought.terms {
                    out.put_u8(term.compare);
                    put_packed(term.field.into(), &mut out);
                    put_packed(term.text.len() as u64, &mut out);
                    out.put_slice(&term.text);
                }
                0x06
            }
            Self::Push { id, me, target, supernode, user } => {
                out.put_u32(*id);
                [me, target, supernode].into_iter().for_each(|at| put_socket(*at, &mut out));
                out.put_slice(user);
                0x0d
            }
            Self::Network(name) => {
                out.put_slice(name);
                0x1d
            }
            Self::Other(kind, bytes) => {
                out.put_slice(bytes);
                *kind
            }
        };
        Some((kind, out))
    }
}

impl ToLeaf {
    /// Its type and data; `None` for pings, which have none.
    #[must_use]
    pub fn data(&self) -> Option<(u16, BytesMut)> {
        let mut out = BytesMut::new();
        let kind = match self {
            Self::Ping | Self::Pong => return None,
            Self::Supernodes(all) => {
                for (at, seen_min, load) in all {
                    put_socket(*at, &mut out);
                    out.put_slice(&[*seen_min, *load]);
                }
                0x00
            }
            Self::Results { by, id, found } => {
                put_socket(*by, &mut out);
                out.put_u16(*id);
                out.put_u16(u16::try_from(found.len()).unwrap_or(u16::MAX));
                for result in found {
                    put_socket(result.at, &mut out);
                    out.put_u8(result.bandwidth);
                    out.put_slice(&result.user);
                    out.put_slice(b"\x01KaZaA\0");
                    put_offer(&result.offer, &mut out);
                }
                0x07
            }
            Self::SearchEnd(id) => {
                out.put_u16(*id);
                0x08
            }
            Self::Statistics(users, files, gigabytes) => {
                out.put_u32(*users);
                out.put_u32(*files);
                out.put_u16(*gigabytes);
                // The unit is a gigabyte: mantissa shifted right by 30 less the exponent.
                out.put_u16(30);
                for _ in 0..6 {
                    out.put_u32(1);
                    out.put_u16(1);
                    out.put_u16(30);
                }
                0x09
            }
            Self::PushOrder(id, at) => {
                out.put_u32(*id);
                put_socket(*at, &mut out);
                0x0d
            }
            Self::Network(name) => {
                out.put_slice(name);
                0x1d
            }
            Self::Outside(ip) => {
                out.put_slice(&ip.octets());
                0x2c
            }
        };
        Some((kind, out))
    }
}
