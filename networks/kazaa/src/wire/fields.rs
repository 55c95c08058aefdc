//! Takes fields off the front of a message, and says where it went wrong.
//!
//! Numbers are varints: seven bits a byte, the lowest first, the high bit on all but the last, never longer than needed.

use bytes::{BufMut as _, BytesMut};
use hexad_core::Malformed;

/// What is left of a message.
#[derive(Debug)]
pub struct Fields<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// All of it.
    #[must_use]
    pub fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    /// Something is wrong with what was read last.
    #[must_use]
    pub fn wrong(&self, reason: impl Into<std::borrow::Cow<'static, str>>) -> Malformed {
        Malformed::at(self.at, reason)
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let rest = &self.all[self.at..];
        if count > rest.len() {
            let wanted = self.at.saturating_add(count);
            return Err(Malformed::at(self.all.len(), format!("unexpected end after {} of {wanted} bytes", self.all.len())));
        }
        self.at += count;
        Ok(&rest[..count])
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A byte.
    ///
    /// # Errors
    /// At the end.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes, the higher first.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes, the highest first.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes, the highest first.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number.
    ///
    /// # Errors
    /// When it ends too soon, is longer than it has to be, or does not fit.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.wrong("expected a number below 2^64"));
            }
            number |= bits << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(self.wrong("expected the shortest form of a number"));
                }
                return Ok(number);
            }
        }
        Err(self.wrong("expected a number of at most ten bytes"))
    }

    /// A number of at most `max`.
    ///
    /// # Errors
    /// As [`Self::number`], and when it is larger.
    pub fn upto(&mut self, max: u64) -> Result<u64, Malformed> {
        let number = self.number()?;
        if number > max {
            return Err(self.wrong(format!("expected at most {max}, came {number}")));
        }
        Ok(number)
    }

    /// A number that fits 32 bits.
    ///
    /// # Errors
    /// As [`Self::upto`].
    pub fn small(&mut self) -> Result<u32, Malformed> {
        self.upto(u32::MAX.into()).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// 0 or 1.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.wrong(format!("expected 0 or 1, came {other}"))),
        }
    }

    /// Bytes behind their number, of at most `max`.
    ///
    /// # Errors
    /// When there are more than may be, or fewer than said.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let count = self.upto(max as u64)?;
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Text behind its length in bytes.
    ///
    /// # Errors
    /// When it is longer than may be, ends too soon, or is not UTF-8.
    pub fn text(&mut self, max: usize) -> Result<String, Malformed> {
        let bytes = self.bytes(max)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| self.wrong("expected text in UTF-8"))
    }

    /// A number of things, of at most `max`, each of which takes at least `least` bytes.
    ///
    /// # Errors
    /// When there are more than may be, or than what is left can hold.
    pub fn count(&mut self, max: usize, least: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.upto(max as u64)?).unwrap_or(usize::MAX);
        if count.saturating_mul(least) > self.all.len() - self.at {
            return Err(self.wrong(format!("expected {count} things, and there is no room for them")));
        }
        Ok(count)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.all[self.at..];
        self.at = self.all.len();
        rest
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.all.len()
    }
}

/// Appends a number.
pub fn put_number(mut number: u64, out: &mut BytesMut) {
    while number >= 0x80 {
        out.put_u8(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.put_u8(u8::try_from(number).unwrap_or(0));
}

/// Appends bytes behind their number.
pub fn put_bytes(bytes: &[u8], out: &mut BytesMut) {
    put_number(bytes.len() as u64, out);
    out.put_slice(bytes);
}

/// How many bytes a number takes.
#[must_use]
pub fn number_bytes(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// How many bytes a text takes, or anything else that stands behind its number of bytes.
#[must_use]
pub fn sized_bytes(length: usize) -> usize {
    number_bytes(length as u64) + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form_and_are_read_back() {
        for number in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = BytesMut::new();
            put_number(number, &mut out);
            assert_eq!(out.len(), number_bytes(number));
            let mut fields = Fields::new(&out);
            assert_eq!(fields.number(), Ok(number));
            assert!(fields.is_empty());
        }
        for wrong in [&[0x80, 0][..], &[0x80], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]] {
            assert!(Fields::new(wrong).number().is_err(), "{wrong:?}");
        }
    }
}
