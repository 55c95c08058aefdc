//! The fields of a message: separated by blanks, quoted where they may contain some, without any escape.
//!
//! No charset is declared, so a text is bytes; it is shown as UTF-8 where it is that, and as Latin-1 otherwise.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use hexad_catalogue::text_of;

/// Bytes that are meant to be read by people.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<[u8]>);

impl Text {
    /// The bytes as they came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// For people.
    #[must_use]
    pub fn shown(&self) -> Cow<'_, str> {
        text_of(&self.0)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Arc::from([].as_slice()))
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::from(bytes))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Arc::from(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Arc::from(text.into_bytes()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Text);

        impl $name {
            /// The bytes as they came.
            #[must_use]
            pub fn bytes(&self) -> &[u8] {
                self.0.bytes()
            }
        }

        impl<T: Into<Text>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(text.into())
            }
        }
    )*};
}

texts! {
    /// A field that is written without quotes, unless it needs them.
    Word
    /// A field that is always written in quotes.
    Quoted
    /// Everything up to the end of the message.
    Line
}

/// An address as a number: its four bytes in network order, read as little-endian. 127.0.0.1 is 16777343.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ip(pub Ipv4Addr);

impl Ip {
    /// No address: of somebody who has none that fits.
    pub const NONE: Self = Self(Ipv4Addr::UNSPECIFIED);
}

/// A sampling frequency. Some write `44.1` for 44,100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hertz(pub u32);

/// Where fields are written: a buffer, or a counter.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for bytes::BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts what would be written.
pub(crate) struct Counter(pub(crate) u64);

impl Sink for Counter {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
}

/// Writes fields with a blank between them.
pub(crate) struct Writer<'a, S> {
    out: &'a mut S,
    first: bool,
}

impl<'a, S: Sink> Writer<'a, S> {
    pub(crate) fn new(out: &'a mut S) -> Self {
        Self { out, first: true }
    }

    fn part(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.put(b" ");
        }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.part();
        self.out.put(bytes);
    }

    fn quoted(&mut self, bytes: &[u8]) {
        self.part();
        self.out.put(b"\"");
        // There is no escape, so a quote cannot be sent.
        for (index, run) in bytes.split(|&byte| byte == b'"').enumerate() {
            if index > 0 {
                self.out.put(b"'");
            }
            self.out.put(run);
        }
        self.out.put(b"\"");
    }

    fn number(&mut self, number: u64) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.raw(&digits[at..]);
    }
}

/// Reads fields one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    first: bool,
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

impl<'a> Fields<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { rest: data, first: true }
    }

    /// The next field; `None` when there is none, or its closing quote is missing.
    pub(crate) fn next(&mut self) -> Option<&'a [u8]> {
        self.first = false;
        let start = self.rest.iter().position(|&byte| !is_blank(byte))?;
        let rest = &self.rest[start..];
        if let Some(inside) = rest.strip_prefix(b"\"") {
            let end = inside.iter().position(|&byte| byte == b'"')?;
            self.rest = &inside[end + 1..];
            return Some(&inside[..end]);
        }
        let end = rest.iter().position(|&byte| is_blank(byte)).unwrap_or(rest.len());
        self.rest = &rest[end..];
        Some(&rest[..end])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.iter().all(|&byte| is_blank(byte))
    }

    /// All that is left, without the one blank in front of it.
    pub(crate) fn line(&mut self) -> &'a [u8] {
        let line = if self.first { self.rest } else { self.rest.strip_prefix(b" ").unwrap_or(self.rest) };
        self.first = false;
        self.rest = &[];
        line
    }
}

/// A number in decimal; a sign in front of it is one of an old program's 32 bits. Too large is as large as can be.
pub(crate) fn number(field: &[u8]) -> Option<u64> {
    let (negative, digits) = match field.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, field),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0_u64, |number, &digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    match negative {
        false => Some(number),
        true => u32::try_from(number).ok().map(|number| number.wrapping_neg().into()),
    }
}

/// One field (or more) of a message.
pub(crate) trait Field: Sized {
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
    fn write<S: Sink>(&self, out: &mut Writer<'_, S>);
}

impl Field for Word {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.next().map(Self::from)
    }

    fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
        let bytes = self.bytes();
        if bytes.is_empty() || bytes[0] == b'"' || bytes.iter().any(|&byte| is_blank(byte)) { out.quoted(bytes) } else { out.raw(bytes) }
    }
}

impl Field for Quoted {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.next().map(Self::from)
    }

    fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
        out.quoted(self.bytes());
    }
}

impl Field for Line {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self::from(fields.line()))
    }

    fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
        out.raw(self.bytes());
    }
}

impl Field for u64 {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        number(fields.next()?)
    }

    fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
        out.number(*self);
    }
}

macro_rules! small_numbers {
    ($($type:ty)*) => {$(
        impl Field for $type {
            fn read(fields: &mut Fields<'_>) -> Option<Self> {
                number(fields.next()?).map(|number| Self::try_from(number).unwrap_or(Self::MAX))
            }

            fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
                out.number(u64::from(*self));
            }
        }
    )*};
}
small_numbers!(u16 u32);

impl Field for Ip {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let number = u32::try_from(number(fields.next()?)?).ok()?;
        Some(Self(Ipv4Addr::from(number.to_le_bytes())))
    }

    fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
        out.number(u32::from_le_bytes(self.0.octets()).into());
    }
}

impl Field for Hertz {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let field = fields.next()?;
        let Some(dot) = field.iter().position(|&byte| byte == b'.') else {
            return number(field).map(|number| Self(u32::try_from(number).unwrap_or(u32::MAX)));
        };
        let (kilo, parts) = (number(&field[..dot])?, &field[dot + 1..]);
        let mut hertz = kilo.saturating_mul(1000);
        for (&digit, worth) in parts.iter().zip([100, 10, 1]) {
            hertz = hertz.saturating_add(u64::from(digit.checked_sub(b'0').filter(|&digit| digit < 10)?) * worth);
        }
        Some(Self(u32::try_from(hertz).unwrap_or(u32::MAX)))
    }

    fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
        out.number(self.0.into());
    }
}

/// A field at the end that may be missing.
impl<T: Field> Field for Option<T> {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(if fields.is_empty() { None } else { T::read(fields) })
    }

    fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
        if let Some(field) = self {
            field.write(out);
        }
    }
}

/// As many as there are.
impl<T: Field> Field for Vec<T> {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mut all = Self::new();
        while !fields.is_empty() {
            all.push(T::read(fields)?);
        }
        Some(all)
    }

    fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
        for field in self {
            field.write(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(data: &str) -> Vec<&str> {
        let mut fields = Fields::new(data.as_bytes());
        std::iter::from_fn(|| fields.next()).map(|field| std::str::from_utf8(field).unwrap()).collect()
    }

    #[test]
    fn fields_are_separated_by_runs_of_blanks_and_quotes_hold_them_together() {
        assert_eq!(all("a  b\t\"c d\"\r\n\"\" e"), ["a", "b", "c d", "", "e"]);
        assert_eq!(all("a \"never closed"), ["a"]);
        assert_eq!(all("  "), [""; 0]);
    }

    #[test]
    fn a_line_is_taken_as_it_is() {
        let mut fields = Fields::new(b"ralf  two \"blanks\" ");
        assert_eq!((fields.next(), fields.line()), (Some(b"ralf".as_slice()), b" two \"blanks\" ".as_slice()));
    }

    #[test]
    fn addresses_are_little_endian_and_may_be_signed() {
        let read = |text: &str| Ip::read(&mut Fields::new(text.as_bytes()));
        assert_eq!(read("16777343"), Some(Ip(Ipv4Addr::LOCALHOST)));
        assert_eq!(read("-1062731776"), Some(Ip(Ipv4Addr::from((1062731776_u32.wrapping_neg()).to_le_bytes()))));
        assert_eq!(read("4294967296"), None);
    }

    #[test]
    fn a_frequency_may_have_a_dot() {
        let read = |text: &str| Hertz::read(&mut Fields::new(text.as_bytes())).map(|hertz| hertz.0);
        assert_eq!((read("44.1"), read("22.05"), read("44100"), read("44.x")), (Some(44_100), Some(22_050), Some(44_100), None));
    }

    #[test]
    fn a_quote_inside_a_field_is_replaced() {
        let mut out = Vec::new();
        Quoted::from("say \"hi\"").write(&mut Writer::new(&mut out));
        assert_eq!(out, b"\"say 'hi'\"");
    }
}
