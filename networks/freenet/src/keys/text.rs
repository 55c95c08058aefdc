//! Base64 as Freenet writes it: `~` for `+`, `-` for `/`, no padding.

use data_encoding::BASE64_NOPAD;
use hexad_content::percent_decoded;

/// Writes bytes.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    BASE64_NOPAD.encode(bytes).replace('+', "~").replace('/', "-")
}

/// Reads bytes; `None` when there is a character that does not belong there.
#[must_use]
pub fn of_base64(text: &str) -> Option<Vec<u8>> {
    if text.contains(['+', '/']) {
        return None;
    }
    BASE64_NOPAD.decode(text.replace('~', "+").replace('-', "/").as_bytes()).ok()
}

/// Undoes percent encoding; `None` when what follows a percent sign is no hex, or the result is no UTF-8.
pub(crate) fn unescape(text: &str) -> Option<String> {
    String::from_utf8(percent_decoded(text)?).ok()
}

/// Escapes what would end or split an element of a path.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '/' | '%' | '?' | '#' | ' ' | '"' | '<' | '>') || character.is_control() {
            let mut utf8 = [0; 4];
            for byte in character.encode_utf8(&mut utf8).bytes() {
                escaped.push_str(&format!("%{byte:02x}"));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_freenets() {
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "~--~");
        assert_eq!(of_base64("~--~"), Some(vec![0xfb, 0xff, 0xfe]));
        assert_eq!(of_base64("+//+"), None);
    }

    #[test]
    fn what_splits_a_path_is_escaped_and_comes_back() {
        assert_eq!(escape("a/b c%ü"), "a%2fb%20c%25ü");
        assert_eq!(unescape("a%2fb%20c%25ü"), Some("a/b c%ü".into()));
        assert_eq!(unescape("%zz"), None);
        assert_eq!(unescape("%2"), None);
    }
}
