//! Heads in the manner of HTTP: a first line and headers, for handshakes and transfers alike. Spec §5 and §18.

use std::borrow::Cow;

use bytes::{Buf as _, BytesMut};
use hexad_core::Malformed;

/// A head that is longer is refused.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// Headers of one head.
const HEADERS_MAX: usize = 64;

/// Header lines, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, Cow<'static, str>)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No headers yet, and room for so many.
    #[must_use]
    pub fn with_room(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.add(name, value);
        self
    }

    /// Adds a header.
    pub fn add(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        let mut value: Cow<'static, str> = value.into();
        // What we write is one line, whatever went into it.
        if value.contains(char::is_control) {
            value = Cow::Owned(value.replace(char::is_control, " "));
        }
        if value.trim().len() < value.len() {
            value = Cow::Owned(value.trim().to_owned());
        }
        self.0.push((Cow::Borrowed(name), value));
    }

    /// The first value of that name, in whatever case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of that name: repeated headers count as one list.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// All items of comma-separated values of that name.
    pub fn list<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty())
    }

    /// Whether a list of that name has an item, in whatever case.
    #[must_use]
    pub fn lists(&self, name: &str, item: &str) -> bool {
        self.list(name).any(|other| other.eq_ignore_ascii_case(item))
    }

    /// The value as a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.find(name)?.trim().parse().ok()
    }

    /// `True` or `False`.
    #[must_use]
    pub fn truth(&self, name: &str) -> Option<bool> {
        let value = self.find(name)?;
        if value.eq_ignore_ascii_case("true") {
            Some(true)
        } else if value.eq_ignore_ascii_case("false") {
            Some(false)
        } else {
            None
        }
    }

    /// All headers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    pub(crate) fn write(&self, out: &mut String) {
        for (name, value) in &self.0 {
            out.push_str(name);
            out.push_str(": ");
            out.push_str(value);
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
    }

    /// Reads the lines below the first one.
    fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Self, Malformed> {
        let mut headers: Vec<(Cow<'static, str>, Cow<'static, str>)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    let value = value.to_mut();
                    value.push(' ');
                    value.push_str(line.trim());
                }
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| Malformed::at(0, format!("expected a header, came {line:?}")))?;
            if headers.len() >= HEADERS_MAX {
                return Err(Malformed::at(0, format!("expected at most {HEADERS_MAX} headers")));
            }
            headers.push((Cow::Owned(name.trim().to_owned()), Cow::Owned(value.trim().to_owned())));
        }
        Ok(Self(headers))
    }
}

/// A head with its first line, taken off the front of `input`; `None` when its empty line has not come yet.
pub(crate) fn take_head(input: &mut BytesMut) -> Result<Option<(String, Headers)>, Malformed> {
    let Some(end) = end_of_head(&input[..input.len().min(HEAD_BYTES_MAX)]) else {
        if input.len() >= HEAD_BYTES_MAX {
            return Err(Malformed::at(HEAD_BYTES_MAX, "a head without end"));
        }
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&input[..end]).into_owned();
    input.advance(end);
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().to_owned();
    Ok(Some((first, Headers::read(lines)?)))
}

/// Where the head ends: behind the first empty line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = at + bytes[at..].iter().position(|&byte| byte == b'\n')?;
        if matches!(bytes[at..end], [] | [b'\r']) {
            return Some(end + 1);
        }
        at = end + 1;
    }
}
