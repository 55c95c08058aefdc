//! GGEP: the extension block of Gnutella messages. Spec §10.
//!
//! A block is the magic byte, then extensions: flags, id, a length without zero bytes, data that may be deflated and COBS encoded.

use bytes::Bytes;
use hexad_core::Malformed;

use super::zlib;

/// Begins a block.
pub const MAGIC: u8 = 0xc3;
/// Extensions of one block; more is nothing that anybody sends.
const EXTENSIONS_MAX: usize = 48;
/// What the deflated extensions of one block may inflate to, together.
const INFLATED_BYTES_MAX: usize = 16 << 10;
/// The longest data that three bytes of length can tell.
pub const DATA_BYTES_MAX: usize = 262_143;

/// One extension, its data as it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// 1 to 15 bytes, case-sensitive.
    pub id: String,
    /// What it says.
    pub data: Bytes,
}

/// Extensions of one block, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block(pub Vec<Extension>);

impl Block {
    /// The data of the first extension of that id; a second one is distrusted.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Bytes> {
        self.0.iter().find(|extension| extension.id == id).map(|extension| &extension.data)
    }

    /// Adds an extension.
    #[must_use]
    pub fn with(mut self, id: &str, data: impl Into<Bytes>) -> Self {
        self.0.push(Extension { id: id.into(), data: data.into() });
        self
    }

    /// Reads the block that `bytes` begin with; also returns how long it is.
    ///
    /// # Errors
    /// When there is none, or it breaks a rule or a bound.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), Malformed> {
        let wrong = |at: usize, reason: &'static str| Malformed::at(at, reason);
        if bytes.first() != Some(&MAGIC) {
            return Err(wrong(0, "expected the magic byte of a GGEP block"));
        }
        let (mut at, mut extensions, mut inflated) = (1, Vec::new(), 0);
        loop {
            let flags = *bytes.get(at).ok_or_else(|| wrong(at, "unexpected end of a GGEP block"))?;
            at += 1;
            let id_bytes = usize::from(flags & 15);
            if id_bytes == 0 || flags & 0x10 != 0 {
                return Err(wrong(at, "expected GGEP flags with an id, and the reserved bit clear"));
            }
            let id = bytes.get(at..at + id_bytes).ok_or_else(|| wrong(at, "unexpected end of a GGEP id"))?;
            let id = std::str::from_utf8(id).ok().filter(|id| !id.contains('\0'));
            let id = id.ok_or_else(|| wrong(at, "a GGEP id is not text"))?.to_owned();
            at += id_bytes;
            let (length, length_bytes) = read_length(&bytes[at..]).ok_or_else(|| wrong(at, "expected a GGEP length of 1 to 3 bytes"))?;
            at += length_bytes;
            let raw = bytes.get(at..at + length).ok_or_else(|| wrong(at, "unexpected end of GGEP data"))?;
            let plain = if flags & 0x40 == 0 { raw.to_vec() } else { cobs_read(raw).ok_or_else(|| wrong(at, "not COBS"))? };
            let data = if flags & 0x20 == 0 || plain.is_empty() {
                plain
            } else {
                let data = zlib::inflate(&plain, INFLATED_BYTES_MAX - inflated)?;
                inflated += data.len();
                data
            };
            at += length;
            if extensions.len() >= EXTENSIONS_MAX {
                return Err(wrong(at, "too many GGEP extensions"));
            }
            extensions.push(Extension { id, data: data.into() });
            if flags & 0x80 != 0 {
                return Ok((Self(extensions), at));
            }
        }
    }

    /// Appends the block; nothing when it is empty. Where `no_nul` is set, data with zero bytes is COBS encoded.
    pub fn write(&self, no_nul: bool, out: &mut Vec<u8>) {
        let Some(last) = self.0.len().checked_sub(1) else { return };
        out.push(MAGIC);
        for (number, extension) in self.0.iter().enumerate() {
            let encoded = (no_nul && extension.data.contains(&0)).then(|| cobs_write(&extension.data));
            let data: &[u8] = encoded.as_deref().unwrap_or(&extension.data);
            let data = &data[..data.len().min(DATA_BYTES_MAX)];
            let id = &extension.id.as_bytes()[..extension.id.len().min(15)];
            let end = if number == last { 0x80 } else { 0 };
            let cobs = if encoded.is_some() { 0x40 } else { 0 };
            out.push(end | cobs | u8::try_from(id.len()).unwrap_or(15));
            out.extend_from_slice(id);
            write_length(data.len(), out);
            out.extend_from_slice(data);
        }
    }

    /// The same as bytes.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.write(false, &mut out);
        out.into()
    }
}

/// A length of up to three bytes, and how many bytes that took.
fn read_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (place, &byte) in bytes.iter().take(3).enumerate() {
        length = length << 6 | usize::from(byte & 0x3f);
        match byte >> 6 {
            1 => return Some((length, place + 1)),
            2 => {}
            _ => return None,
        }
    }
    None
}

/// Appends a length: six bits a byte, the highest first.
pub(crate) fn write_length(length: usize, out: &mut Vec<u8>) {
    let six = |shift: usize| u8::try_from(length >> shift & 0x3f).unwrap_or(0);
    if length >= 1 << 12 {
        out.push(0x80 | six(12));
    }
    if length >= 1 << 6 {
        out.push(0x80 | six(6));
    }
    out.push(0x40 | six(0));
}

/// Consistent overhead byte stuffing: the same without zero bytes.
#[must_use]
pub fn cobs_write(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    let mut code_at = 0;
    let mut full = false;
    for &byte in bytes {
        if full {
            (code_at, full) = (out.len(), false);
            out.push(0);
        }
        if byte == 0 {
            out[code_at] = u8::try_from(out.len() - code_at).unwrap_or(0xff);
            code_at = out.len();
            out.push(0);
        } else {
            out.push(byte);
            if out.len() - code_at == 0xff {
                out[code_at] = 0xff;
                full = true;
            }
        }
    }
    if !full {
        out[code_at] = u8::try_from(out.len() - code_at).unwrap_or(0xff);
    }
    out
}

/// What was stuffed; `None` when it was not.
#[must_use]
pub fn cobs_read(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&code, after)) = rest.split_first() {
        let count = usize::from(code.checked_sub(1)?);
        let (group, later) = after.split_at_checked(count)?;
        if group.contains(&0) {
            return None;
        }
        out.extend_from_slice(group);
        if code != 0xff && !later.is_empty() {
            out.push(0);
        }
        rest = later;
    }
    Some(out)
}

/// A number as `LF`, `CT`, `DU` have it: little-endian, without the zero bytes at its end.
#[must_use]
pub fn trimmed(number: u64) -> Bytes {
    let bytes = number.to_le_bytes();
    let length = 8 - usize::try_from(number.leading_zeros() / 8).unwrap_or(0);
    Bytes::copy_from_slice(&bytes[..length])
}

/// Reads such a number; `None` when it is longer than eight bytes.
#[must_use]
pub fn of_trimmed(bytes: &[u8]) -> Option<u64> {
    let mut whole = [0; 8];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(whole))
}
