//! Bencoding (BEP 3): a bounded parser that borrows from its input, and a writer.
//!
//! Outside peers write what they like, so nesting and the number of values are limited, and nothing is allocated by a length that is
//! only claimed. [`Strictness::Lenient`] forgives what deployed software sends (unsorted keys); whatever is hashed or signed is read
//! as [`Strictness::Strict`] or hashed over its span.

use std::ops::Range;

use hexad_core::Malformed;

/// Deepest nesting that is read.
pub const DEPTH_MAX: usize = 100;
/// Most values that are read from one input (libtorrent's `metadata_token_limit`).
pub const VALUES_MAX: usize = 2_500_000;

/// What is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Keys may be unsorted; of duplicate keys the first counts.
    Lenient,
    /// Keys must ascend.
    Strict,
}

/// One value, and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// Its bytes in the input, from type letter to end.
    pub span: Range<usize>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A string; any bytes.
    Bytes(&'a [u8]),
    /// An integer that fits 64 bits; others are refused.
    Int(i64),
    /// A list.
    List(Vec<Value<'a>>),
    /// A dictionary in the order in which it stood.
    Dict(Vec<(&'a [u8], Value<'a>)>),
}

impl<'a> Value<'a> {
    /// The string.
    #[must_use]
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self.kind {
            Kind::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The string as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The integer.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        match self.kind {
            Kind::Int(int) => Some(int),
            _ => None,
        }
    }

    /// The integer, when it is in the range of `T`.
    #[must_use]
    pub fn number<T: TryFrom<i64>>(&self) -> Option<T> {
        self.int().and_then(|int| T::try_from(int).ok())
    }

    /// The list.
    #[must_use]
    pub fn list(&self) -> Option<&[Value<'a>]> {
        match &self.kind {
            Kind::List(values) => Some(values),
            _ => None,
        }
    }

    /// The entries of the dictionary.
    #[must_use]
    pub fn entries(&self) -> Option<&[(&'a [u8], Value<'a>)]> {
        match &self.kind {
            Kind::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value under `key`, of a dictionary that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.entries()?.iter().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }
}

/// Reads one value that takes all of `input`.
///
/// # Errors
/// When `input` is not exactly one value, or exceeds a limit.
pub fn parse(input: &[u8], strictness: Strictness) -> Result<Value<'_>, Malformed> {
    let (value, end) = parse_prefix(input, strictness)?;
    if end < input.len() {
        return Err(Malformed::at(end, format!("expected the end, came {} more bytes", input.len() - end)));
    }
    Ok(value)
}

/// Reads one value at the beginning of `input`; returns it and where it ends.
///
/// # Errors
/// When `input` does not begin with a value, or exceeds a limit.
pub fn parse_prefix(input: &[u8], strictness: Strictness) -> Result<(Value<'_>, usize), Malformed> {
    let mut parser = Parser { input, at: 0, values: 0, strictness };
    let value = parser.value(0)?;
    Ok((value, parser.at))
}

struct Parser<'a> {
    input: &'a [u8],
    at: usize,
    values: usize,
    strictness: Strictness,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(Malformed::at(self.at, format!("more than {VALUES_MAX} values")));
        }
        if depth > DEPTH_MAX {
            return Err(Malformed::at(self.at, format!("nested deeper than {DEPTH_MAX}")));
        }
        let start = self.at;
        let kind = match self.peek()? {
            b'i' => {
                self.at += 1;
                let int = self.integer(b'e')?;
                Kind::Int(int)
            }
            b'l' => {
                self.at += 1;
                let mut values = Vec::new();
                while self.peek()? != b'e' {
                    values.push(self.value(depth + 1)?);
                }
                self.at += 1;
                Kind::List(values)
            }
            b'd' => {
                self.at += 1;
                Kind::Dict(self.entries(depth)?)
            }
            b'0'..=b'9' => Kind::Bytes(self.string()?),
            other => return Err(Malformed::at(self.at, format!("expected a value, came byte {other:#04x}"))),
        };
        Ok(Value { kind, span: start..self.at })
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<(&'a [u8], Value<'a>)>, Malformed> {
        let mut entries: Vec<(&'a [u8], Value<'a>)> = Vec::new();
        while self.peek()? != b'e' {
            let here = self.at;
            if !self.peek()?.is_ascii_digit() {
                return Err(Malformed::at(here, "expected a string as key"));
            }
            let key = self.string()?;
            if self.strictness == Strictness::Strict && entries.last().is_some_and(|(last, _)| *last >= key) {
                return Err(Malformed::at(here, "expected keys in ascending order"));
            }
            let value = self.value(depth + 1)?;
            entries.push((key, value));
        }
        self.at += 1;
        Ok(entries)
    }

    fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let here = self.at;
        let length = self.integer(b':')?;
        let length = usize::try_from(length).map_err(|_| Malformed::at(here, "expected a length, came a negative number"))?;
        let left = self.input.len() - self.at;
        if length > left {
            return Err(Malformed::at(here, format!("expected a string of {length} bytes, only {left} follow")));
        }
        let bytes = &self.input[self.at..self.at + length];
        self.at += length;
        Ok(bytes)
    }

    fn integer(&mut self, end: u8) -> Result<i64, Malformed> {
        let here = self.at;
        // 20 characters hold every 64-bit integer with its sign.
        let tail = &self.input[here..self.input.len().min(here + 21)];
        let length = tail.iter().position(|&byte| byte == end).ok_or_else(|| Malformed::at(here, format!("expected a number that ends with '{}'", end as char)))?;
        let text = std::str::from_utf8(&tail[..length]).unwrap_or("");
        let digits = text.strip_prefix('-').unwrap_or(text);
        let canonical = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0')) && text != "-0";
        let int = canonical.then(|| text.parse().ok()).flatten().ok_or_else(|| Malformed::at(here, "expected an integer without leading zeros"))?;
        self.at = here + length + 1;
        Ok(int)
    }

    fn peek(&self) -> Result<u8, Malformed> {
        self.input.get(self.at).copied().ok_or_else(|| Malformed::at(self.at, format!("unexpected end after {} bytes", self.input.len())))
    }
}

/// A value to be written. Dictionaries are written with their keys sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// A string.
    Bytes(Vec<u8>),
    /// An integer.
    Int(i64),
    /// A list.
    List(Vec<Out>),
    /// A dictionary.
    Dict(Vec<(Vec<u8>, Out)>),
    /// Bytes that are bencoded already.
    Raw(Vec<u8>),
}

impl Out {
    /// A string.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    /// A dictionary of the entries that are there.
    pub fn dict<'k>(entries: impl IntoIterator<Item = (&'k str, Option<Out>)>) -> Self {
        Self::Dict(entries.into_iter().filter_map(|(key, value)| Some((key.as_bytes().to_vec(), value?))).collect())
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Appends the bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => write_bytes(bytes, out),
            Self::Int(int) => out.extend_from_slice(format!("i{int}e").as_bytes()),
            Self::List(values) => {
                out.push(b'l');
                values.iter().for_each(|value| value.write(out));
                out.push(b'e');
            }
            Self::Dict(entries) => {
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                out.push(b'd');
                for (key, value) in sorted {
                    write_bytes(key, out);
                    value.write(out);
                }
                out.push(b'e');
            }
            Self::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }
}

impl From<i64> for Out {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<&[u8]> for Out {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Out {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
}
