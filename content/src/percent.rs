//! Percent-encoding (RFC 3986, section 2.1), as links and paths have it.

use std::fmt::{self, Write as _};

/// What a byte of encoded text is.
enum Byte {
    Plain(u8),
    /// A percent sign and two hex digits.
    Encoded(u8),
    /// A percent sign that begins no such pair.
    Stray,
}

fn bytes_of(text: &str) -> impl Iterator<Item = Byte> {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        Some(match (byte, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                rest = &after[2..];
                Byte::Encoded((high * 16 + low) as u8)
            }
            (b'%', ..) => Byte::Stray,
            _ => Byte::Plain(byte),
        })
    })
}

/// Undoes percent-encoding; `None` when a percent sign begins no pair of hex digits.
#[must_use]
pub fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let plain = |byte| match byte {
        Byte::Plain(byte) | Byte::Encoded(byte) => Some(byte),
        Byte::Stray => None,
    };
    bytes_of(text).map(plain).collect()
}

/// The same of what people may have written: a percent sign that begins no pair of hex digits stands for itself, bytes that are not UTF-8 are
/// replaced.
#[must_use]
pub fn percent_decoded_leniently(text: &str) -> String {
    let plain = |byte| match byte {
        Byte::Plain(byte) | Byte::Encoded(byte) => byte,
        Byte::Stray => b'%',
    };
    let bytes: Vec<u8> = bytes_of(text).map(plain).collect();
    String::from_utf8(bytes).unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into_owned())
}

/// Shows a text percent-encoded, all but RFC 3986's unreserved characters and those of the second text.
#[derive(Clone, Copy, Debug)]
pub struct PercentEncoded<'a>(pub &'a str, pub &'static str);

impl fmt::Display for PercentEncoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || self.1.as_bytes().contains(&byte) {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_read_and_what_was_not_is_none_or_stands_for_itself() {
        assert_eq!(percent_decoded("a%2fb%C3%BC"), Some("a/bü".into()));
        for broken in ["%", "%4", "%zz", "a%+1"] {
            assert_eq!(percent_decoded(broken), None, "{broken}");
            assert_eq!(percent_decoded_leniently(broken), broken);
        }
        assert_eq!(percent_decoded_leniently("%zz%41%ff"), "%zzA\u{fffd}");
        assert_eq!(PercentEncoded("a/b:ü ~", "/").to_string(), "a/b%3A%C3%BC%20~");
    }
}
