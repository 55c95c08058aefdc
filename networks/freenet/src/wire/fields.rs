//! Reads fields one after the other, and knows where it is when something is wrong.

use std::borrow::Cow;

use hexad_core::Malformed;

/// What is left to be read.
#[derive(Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// From the first byte on.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// Something is wrong here.
    pub fn wrong(&self, reason: impl Into<Cow<'static, str>>) -> Malformed {
        Malformed::at(self.at, reason)
    }

    /// Bytes that are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let Some((here, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.wrong(format!("expected {count} bytes, came {}", self.rest.len())));
        };
        self.rest = rest;
        self.at += count;
        Ok(here)
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

    /// One byte.
    ///
    /// # Errors
    /// When there is none.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A number of two bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number of four bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of eight bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A byte that is 0 or 1.
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

    /// A text of at most `bytes_max` bytes behind its length.
    ///
    /// # Errors
    /// When it is longer, cut off, or no UTF-8.
    pub fn text(&mut self, bytes_max: usize) -> Result<String, Malformed> {
        let length = usize::from(self.u16()?);
        if length > bytes_max {
            return Err(self.wrong(format!("expected at most {bytes_max} bytes of text, came {length}")));
        }
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| self.wrong("expected UTF-8"))
    }
}
