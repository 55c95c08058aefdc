//! 0x80, who has this? Spec §8.

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::Malformed;

use super::extensions::Extensions;
use super::reader::Reader;

/// The first word of a query, big-endian. Where [`flags::MARK`] is clear it is the minimum speed of the classic query.
pub mod flags {
    /// The word is flags.
    pub const MARK: u16 = 0x8000;
    /// The searcher accepts no connections.
    pub const FIREWALLED: u16 = 0x4000;
    /// XML metadata is welcome.
    pub const XML: u16 = 0x2000;
    /// The leaf tells how many hits it has kept.
    pub const LEAF_GUIDED: u16 = 0x1000;
    /// GGEP `H` is understood in hits.
    pub const GGEP_H: u16 = 0x0800;
    /// Hits are wanted by UDP, at the address in the MUID.
    pub const OUT_OF_BAND: u16 = 0x0400;
    /// How many hits are wanted; 0 is no limit.
    pub const WANTED: u16 = 0x00ff;
}

/// Payloads beyond this are dropped, not passed on. Spec §8.
pub const FORWARD_BYTES_MAX: usize = 256;
/// Whoever sends more than this is not one of us.
pub const BYTES_MAX: usize = 1024;

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// See [`flags`].
    pub flags: u16,
    /// What is looked for.
    pub text: String,
    /// What stands behind the text's NUL, as it came.
    pub ext: Bytes,
}

impl Query {
    /// Bytes of the payload.
    #[must_use]
    pub fn bytes(&self) -> usize {
        2 + self.text.len() + 1 + self.ext.len()
    }

    /// What stands behind the text.
    #[must_use]
    pub fn extensions(&self) -> Extensions {
        Extensions::read(&self.ext)
    }

    /// Whether a modern flag is set.
    #[must_use]
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flags::MARK != 0 && self.flags & flag != 0
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        out.put_u16(self.flags);
        out.put_slice(self.text.as_bytes());
        out.put_u8(0);
        out.put_slice(&self.ext);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if reader.left() > BYTES_MAX {
            return Err(reader.wrong(format!("expected a query of at most {BYTES_MAX} bytes, came {}", reader.left())));
        }
        let flags = reader.u16_be()?;
        let text = std::str::from_utf8(reader.until_nul()?).map_err(|_| Malformed::at(2, "the text of a query is not UTF-8"))?.to_owned();
        let rest = reader.rest();
        let ext = if rest.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(rest) };
        Ok(Self { flags, text, ext })
    }
}
