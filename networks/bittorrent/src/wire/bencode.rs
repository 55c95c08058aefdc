//! Bencoding (BEP 3): a bounded parser that borrows from its input, and a writer.
//!
//! Outside peers write what they like, so nesting and the number of values are limited, nothing is allocated by a length that is only
//! claimed, and nothing here recurses over what came. A parsed input is a flat row of 12-byte tokens; [`Value`] is a place in it.

use std::ops::Range;

use hexad_core::Malformed;

/// Deepest nesting that is read.
pub const DEPTH_MAX: usize = 100;
/// Most values that are read from one input, keys not counted (libtorrent's `metadata_token_limit`).
pub const VALUES_MAX: usize = 2_500_000;
/// Longest input that is read.
pub const INPUT_BYTES_MAX: usize = 1 << 30;

/// What is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Keys may be unsorted; of duplicate keys the first counts. Numbers may have leading zeros.
    Lenient,
    /// Keys must ascend, and numbers be written the one way there is: encoding the values again gives the same bytes.
    Strict,
}

/// Where one value stands. Children follow their parent; keys are values too, before what they name.
#[derive(Clone, Copy, Debug)]
struct Token {
    /// First byte, the type letter or a length's first digit.
    start: u32,
    /// Behind the last byte.
    end: u32,
    /// Of a string: where its content begins. Of any other: the index of the token that follows it and all its children.
    aside: u32,
}

/// A parsed input.
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    input: &'a [u8],
    tokens: Vec<Token>,
}

/// One value of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Value<'t> {
    input: &'t [u8],
    tokens: &'t [Token],
    index: usize,
}

impl Tree<'_> {
    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { input: self.input, tokens: &self.tokens, index: 0 }
    }
}

impl<'t> Value<'t> {
    fn token(self) -> Token {
        self.tokens[self.index]
    }

    fn letter(self) -> u8 {
        self.input[self.token().start as usize]
    }

    fn after(self) -> usize {
        match self.letter() {
            b'l' | b'd' => self.token().aside as usize,
            _ => self.index + 1,
        }
    }

    /// Its place in the input, from type letter to end.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        self.token().start as usize..self.token().end as usize
    }

    /// Its own bencoding, as it came.
    #[must_use]
    pub fn raw(self) -> &'t [u8] {
        &self.input[self.span()]
    }

    /// The string; any bytes.
    #[must_use]
    pub fn bytes(self) -> Option<&'t [u8]> {
        self.letter().is_ascii_digit().then(|| &self.input[self.token().aside as usize..self.token().end as usize])
    }

    /// The string, when it has exactly `N` bytes.
    #[must_use]
    pub fn array<const N: usize>(self) -> Option<[u8; N]> {
        self.bytes()?.try_into().ok()
    }

    /// The string as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The string as text of at most `bytes_max` bytes; the rest is cut off.
    #[must_use]
    pub fn text_within(self, bytes_max: usize) -> Option<String> {
        self.bytes().map(|bytes| text_within(bytes, bytes_max))
    }

    /// The integer.
    #[must_use]
    pub fn int(self) -> Option<i64> {
        if self.letter() != b'i' {
            return None;
        }
        let digits = &self.input[self.token().start as usize + 1..self.token().end as usize - 1];
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// The integer, when it is in the range of `T`.
    #[must_use]
    pub fn number<T: TryFrom<i64>>(self) -> Option<T> {
        self.int().and_then(|int| T::try_from(int).ok())
    }

    /// The values of a list.
    #[must_use]
    pub fn list(self) -> Option<Values<'t>> {
        (self.letter() == b'l').then(|| self.children())
    }

    /// The keys and values of a dictionary, in the order in which they stand.
    #[must_use]
    pub fn entries(self) -> Option<impl Iterator<Item = (&'t [u8], Value<'t>)>> {
        if self.letter() != b'd' {
            return None;
        }
        let mut children = self.children();
        Some(std::iter::from_fn(move || {
            let key = children.next()?.bytes()?;
            Some((key, children.next()?))
        }))
    }

    /// The value under `key`, of a dictionary that has it.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Value<'t>> {
        self.entries()?.find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }

    fn children(self) -> Values<'t> {
        Values { next: Value { index: self.index + 1, ..self }, end: self.after() }
    }
}

/// The values of a list, in order.
#[derive(Clone, Debug)]
pub struct Values<'t> {
    next: Value<'t>,
    end: usize,
}

impl<'t> Iterator for Values<'t> {
    type Item = Value<'t>;

    fn next(&mut self) -> Option<Value<'t>> {
        if self.next.index >= self.end {
            return None;
        }
        let value = self.next;
        self.next.index = value.after();
        Some(value)
    }
}

/// Reads one value that takes all of `input`.
///
/// # Errors
/// When `input` is not exactly one value, or exceeds a limit.
pub fn parse(input: &[u8], strictness: Strictness) -> Result<Tree<'_>, Malformed> {
    let (tree, end) = parse_prefix(input, strictness)?;
    if end < input.len() {
        return Err(Malformed::at(end, format!("expected the end, came {} more bytes", input.len() - end)));
    }
    Ok(tree)
}

/// Reads one value at the beginning of `input`; returns it and where it ends.
///
/// # Errors
/// When `input` does not begin with a value, or exceeds a limit.
pub fn parse_prefix(input: &[u8], strictness: Strictness) -> Result<(Tree<'_>, usize), Malformed> {
    if input.len() > INPUT_BYTES_MAX {
        return Err(Malformed::at(0, format!("expected at most {INPUT_BYTES_MAX} bytes, came {}", input.len())));
    }
    let mut parser = Parser { input, at: 0, tokens: Vec::new(), strictness };
    parser.run()?;
    let end = parser.at;
    Ok((Tree { input, tokens: parser.tokens }, end))
}

/// A list or dictionary that has begun and not ended.
struct Open {
    token: usize,
    dict: bool,
    /// Of a dictionary: the key read last.
    key: Option<Range<usize>>,
}

struct Parser<'a> {
    input: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    strictness: Strictness,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Malformed> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            match open.last_mut() {
                Some(inner) if self.peek()? == b'e' => {
                    self.at += 1;
                    let behind = offset(self.tokens.len());
                    let token = &mut self.tokens[inner.token];
                    token.end = offset(self.at);
                    token.aside = behind;
                    open.pop();
                }
                Some(inner) if inner.dict => {
                    inner.key = Some(self.key(inner.key.take())?);
                    self.value(&mut open)?;
                }
                _ => self.value(&mut open)?,
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Reads a string or integer whole, and of a list or dictionary the first letter.
    fn value(&mut self, open: &mut Vec<Open>) -> Result<(), Malformed> {
        if self.tokens.len() >= 2 * VALUES_MAX {
            return Err(Malformed::at(self.at, format!("more than {VALUES_MAX} values")));
        }
        let start = self.at;
        match self.peek()? {
            b'i' => {
                self.at += 1;
                self.integer(b'e')?;
                self.put(start, self.tokens.len() + 1);
            }
            letter @ (b'l' | b'd') => {
                if open.len() >= DEPTH_MAX {
                    return Err(Malformed::at(self.at, format!("nested deeper than {DEPTH_MAX}")));
                }
                self.at += 1;
                open.push(Open { token: self.tokens.len(), dict: letter == b'd', key: None });
                self.put(start, 0);
            }
            b'0'..=b'9' => {
                let content = self.string()?;
                self.put(start, content.start);
            }
            other => return Err(Malformed::at(start, format!("expected a value, came byte {other:#04x}"))),
        }
        Ok(())
    }

    fn key(&mut self, last: Option<Range<usize>>) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        if !self.peek()?.is_ascii_digit() {
            return Err(Malformed::at(start, "expected a string as key"));
        }
        let key = self.string()?;
        if self.strictness == Strictness::Strict && last.is_some_and(|last| self.input[last] >= self.input[key.clone()]) {
            return Err(Malformed::at(start, "expected keys in ascending order"));
        }
        self.put(start, key.start);
        if self.peek()? == b'e' {
            return Err(Malformed::at(self.at, "expected a value behind a key"));
        }
        Ok(key)
    }

    fn put(&mut self, start: usize, aside: usize) {
        self.tokens.push(Token { start: offset(start), end: offset(self.at), aside: offset(aside) });
    }

    fn string(&mut self) -> Result<Range<usize>, Malformed> {
        let here = self.at;
        let length = self.integer(b':')?;
        let length = usize::try_from(length).map_err(|_| Malformed::at(here, "expected a length, came a negative number"))?;
        let left = self.input.len() - self.at;
        if length > left {
            return Err(Malformed::at(here, format!("expected a string of {length} bytes, only {left} follow")));
        }
        let content = self.at..self.at + length;
        self.at = content.end;
        Ok(content)
    }

    fn integer(&mut self, end: u8) -> Result<i64, Malformed> {
        let here = self.at;
        // 20 characters hold every 64-bit integer with its sign.
        let tail = &self.input[here..self.input.len().min(here + 21)];
        let Some(length) = tail.iter().position(|&byte| byte == end) else {
            return Err(if tail.len() < 21 && tail.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
                self.ended()
            } else {
                Malformed::at(here, format!("expected a number that ends with '{}'", end as char))
            });
        };
        let text = std::str::from_utf8(&tail[..length]).unwrap_or("");
        let digits = text.strip_prefix('-').unwrap_or(text);
        let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = (digits == "0" || !digits.starts_with('0')) && text != "-0";
        if !number || (self.strictness == Strictness::Strict && !canonical) {
            return Err(Malformed::at(here, "expected an integer without leading zeros"));
        }
        let int = text.parse().map_err(|_| Malformed::at(here, "expected an integer of 64 bits"))?;
        self.at = here + length + 1;
        Ok(int)
    }

    fn peek(&self) -> Result<u8, Malformed> {
        self.input.get(self.at).copied().ok_or_else(|| self.ended())
    }

    fn ended(&self) -> Malformed {
        Malformed::at(self.input.len(), format!("unexpected end after {} bytes", self.input.len()))
    }
}

/// Bytes as text of at most `bytes_max` bytes: what is not UTF-8 is replaced, and what is too long cut off between two characters.
#[must_use]
pub fn text_within(bytes: &[u8], bytes_max: usize) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(bytes_max)]).into_owned();
    // A replaced byte takes three.
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

/// An offset or token index; the input's length was checked, and no token is shorter than a byte.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A value to be written. Dictionaries are written with their keys sorted; a key must not occur twice.
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

    /// An integer; beyond 2^63 the highest there is.
    #[must_use]
    pub fn count(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
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
