//! Takes fields off the front of a message, and says where it went wrong.

use bytes::Bytes;
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
        let rest = self.all.get(self.at..).unwrap_or_default();
        if count > rest.len() {
            return Err(Malformed::at(self.all.len(), format!("unexpected end after {} of {} bytes", self.all.len(), self.at + count)));
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

    /// Two bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Bytes behind their number, of at most `max`.
    ///
    /// # Errors
    /// When there are more than may be, or fewer than said.
    pub fn bytes(&mut self, max: usize) -> Result<Bytes, Malformed> {
        let count = self.u32()? as usize;
        if count > max {
            return Err(self.wrong(format!("expected at most {max} bytes, came {count}")));
        }
        self.take(count).map(Bytes::copy_from_slice)
    }

    /// Text behind its length.
    ///
    /// # Errors
    /// When it is longer than may be, ends too soon, or is not UTF-8.
    pub fn text(&mut self, max: usize) -> Result<String, Malformed> {
        let count = usize::from(self.u16()?);
        if count > max {
            return Err(self.wrong(format!("expected at most {max} bytes of text, came {count}")));
        }
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| self.wrong("expected text in UTF-8"))
    }

    /// A number of things, of at most `max`, each of which takes at least `least` bytes.
    ///
    /// # Errors
    /// When there are more than may be, or than what is left can hold.
    pub fn count(&mut self, max: usize, least: usize) -> Result<usize, Malformed> {
        let count = usize::from(self.u16()?);
        if count > max {
            return Err(self.wrong(format!("expected at most {max}, came {count}")));
        }
        if count * least > self.all.len() - self.at {
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

    /// Whether something is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.all.len()
    }
}
