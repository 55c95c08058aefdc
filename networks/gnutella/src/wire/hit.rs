//! 0x81, I have. Spec §9.

use std::net::SocketAddrV4;

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::Malformed;

use super::extensions::Extensions;
use super::fields::{Fields, XML_BYTES_MAX};
use super::ggep::{self, Block};
use super::guid::Guid;
use super::packet::put_address;
use super::reader::Reader;
use super::zlib;

/// Bits of the trailer's open data.
pub mod bits {
    /// The servent accepts no connections: push. Alone of all it stands in the first byte with its value and in the second as defined.
    pub const PUSH: u8 = 0x01;
    /// No slot is free.
    pub const BUSY: u8 = 0x04;
    /// Somebody has got something there already.
    pub const UPLOADED: u8 = 0x08;
    /// The speed is measured.
    pub const MEASURED: u8 = 0x10;
    /// GGEP stands in the private data.
    pub const GGEP: u8 = 0x20;
}

/// 0x81.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryHit {
    /// Where the servent listens.
    pub at: SocketAddrV4,
    /// Kilobits a second, by its own account.
    pub speed_kbps: u32,
    /// At least one file.
    pub records: Vec<Record>,
    /// What stands behind the files.
    pub trailer: Option<Trailer>,
    /// Who has them.
    pub servent: Guid,
}

/// One file of a hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The servent's number for it.
    pub index: u32,
    /// Bytes; `u32::MAX` where GGEP `LF` says more.
    pub size: u32,
    /// Its name.
    pub name: Bytes,
    /// Extensions, without NUL.
    pub ext: Bytes,
}

/// The "query hit descriptor".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Four letters.
    pub vendor: [u8; 4],
    /// Two or four bytes as a rule, see [`bits`].
    pub open: Bytes,
    /// GGEP, XML, what the vendor likes.
    pub private: Bytes,
}

impl Record {
    /// Its extensions.
    #[must_use]
    pub fn extensions(&self) -> Extensions {
        Extensions::read(&self.ext)
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let large = || self.extensions().ggep.find("LF").and_then(|data| ggep::of_trimmed(data)).filter(|&size| size > 0);
        if self.size == u32::MAX { large().unwrap_or(u64::from(u32::MAX)) } else { self.size.into() }
    }
}

impl Trailer {
    /// A trailer with these facts; `ggep` goes into the private data.
    #[must_use]
    pub fn new(vendor: [u8; 4], push: bool, busy: bool, ggep: &Block) -> Self {
        let has_ggep = if ggep.0.is_empty() { 0 } else { bits::GGEP };
        let values = if push { bits::PUSH } else { 0 } | if busy { bits::BUSY } else { 0 } | has_ggep;
        // Bit 0 has its value in the first byte and is declared in the second; all others the other way round.
        let first = values & bits::PUSH | bits::BUSY | bits::UPLOADED | bits::MEASURED | bits::GGEP;
        let second = values & !bits::PUSH | bits::PUSH;
        Self { vendor, open: Bytes::copy_from_slice(&[first, second]), private: ggep.bytes() }
    }

    fn both(&self, bit: u8) -> bool {
        matches!(self.open[..], [first, second, ..] if first & second & bit != 0)
    }

    /// The servent accepts no connections.
    #[must_use]
    pub fn push(&self) -> bool {
        self.both(bits::PUSH)
    }

    /// No slot is free.
    #[must_use]
    pub fn busy(&self) -> bool {
        self.both(bits::BUSY)
    }

    /// The GGEP block in the private data.
    #[must_use]
    pub fn ggep(&self) -> Block {
        let before = self.private.len() - self.xml_bytes();
        let start = self.private[..before].iter().position(|&byte| byte == ggep::MAGIC).unwrap_or(before);
        Block::read(&self.private[start..before]).map(|(block, _)| block).unwrap_or_default()
    }

    /// Bytes of the document at the end of the private data, with its NUL.
    fn xml_bytes(&self) -> usize {
        match self.open[..] {
            [_, _, low, high, ..] => usize::from(u16::from_le_bytes([low, high])).min(self.private.len()),
            _ => 0,
        }
    }

    /// The same with a document about the files.
    #[must_use]
    pub fn with_xml(self, xml: &str) -> Self {
        let private = [&self.private[..], b"{plaintext}", xml.as_bytes(), b"\0"].concat();
        let Ok(length) = u16::try_from(private.len() - self.private.len()) else { return self };
        let open = [self.open.get(..2).unwrap_or_default(), &length.to_le_bytes()].concat();
        Self { vendor: self.vendor, open: open.into(), private: private.into() }
    }

    /// What a document at the end of the private data says of the files, with the place of each.
    #[must_use]
    pub fn fields(&self) -> Vec<(usize, Fields)> {
        let xml = &self.private[self.private.len() - self.xml_bytes()..];
        let xml = xml.strip_suffix(b"\0").unwrap_or(xml);
        let plain = match xml.strip_prefix(b"{deflate}") {
            Some(deflated) => zlib::inflate(deflated, XML_BYTES_MAX).unwrap_or_default(),
            None => xml.strip_prefix(b"{plaintext}").or_else(|| xml.strip_prefix(b"{}")).unwrap_or(xml).to_vec(),
        };
        let Ok(text) = std::str::from_utf8(&plain) else { return Vec::new() };
        let placed = |fields: Fields| Some((fields.find("index")?.trim().parse().ok()?, fields));
        Fields::read(text).into_iter().filter_map(placed).collect()
    }
}

impl QueryHit {
    /// Bytes of the payload.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let records: usize = self.records.iter().map(|record| 8 + record.name.len() + 1 + record.ext.len() + 1).sum();
        let trailer = self.trailer.as_ref().map_or(0, |trailer| 5 + trailer.open.len() + trailer.private.len());
        11 + records + trailer + 16
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        out.put_u8(u8::try_from(self.records.len()).unwrap_or(u8::MAX));
        put_address(self.at, out);
        out.put_u32_le(self.speed_kbps);
        for record in self.records.iter().take(usize::from(u8::MAX)) {
            out.put_u32_le(record.index);
            out.put_u32_le(record.size);
            out.put_slice(&record.name);
            out.put_u8(0);
            out.put_slice(&record.ext);
            out.put_u8(0);
        }
        if let Some(trailer) = &self.trailer {
            out.put_slice(&trailer.vendor);
            out.put_u8(u8::try_from(trailer.open.len()).unwrap_or(u8::MAX));
            out.put_slice(&trailer.open);
            out.put_slice(&trailer.private);
        }
        out.put_slice(&self.servent.0);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let copied = |bytes: &[u8]| if bytes.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(bytes) };
        let count = reader.u8()?;
        if count == 0 {
            return Err(reader.wrong("a hit without a file"));
        }
        let (port, ip, speed_kbps) = (reader.u16_le()?, reader.ip()?, reader.u32_le()?);
        let mut records = Vec::with_capacity(usize::from(count).min(reader.left() / 10));
        for _ in 0..count {
            let (index, size) = (reader.u32_le()?, reader.u32_le()?);
            let (name, ext) = (copied(reader.until_nul()?), copied(reader.until_nul()?));
            if name.is_empty() {
                return Err(reader.wrong("a file without a name"));
            }
            records.push(Record { index, size, name, ext });
        }
        let Some(trailer_bytes) = reader.left().checked_sub(16) else { return Err(reader.wrong("expected the id of a servent")) };
        let trailer = if trailer_bytes == 0 {
            None
        } else {
            let mut trailer = Reader::new(reader.take(trailer_bytes)?);
            let vendor = trailer.array()?;
            let length = usize::from(trailer.u8()?);
            Some(Trailer { vendor, open: copied(trailer.take(length)?), private: copied(trailer.rest()) })
        };
        let servent = reader.guid()?;
        if servent.is_blank() {
            return Err(reader.wrong("a servent without an id"));
        }
        Ok(Self { at: SocketAddrV4::new(ip, port), speed_kbps, records, trailer, servent })
    }
}
