//! The tokeniser: what of a name can be searched for.
//!
//! A word is a run of letters and digits, lower-cased by Unicode's rules. Apostrophes and combining marks vanish ("Don't" is `dont`).
//! Ideographs and kana, which are written without blanks, are a word each. The same bytes give the same words everywhere.

use std::borrow::Cow;

/// A longer word is cut: nobody types it, and everybody would pay for it.
pub const WORD_BYTES_MAX: usize = 40;

/// A name as text: UTF-8 where the bytes are that, Latin-1 otherwise, which every byte string is.
#[must_use]
pub fn text_of(name: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(name) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(name.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// Calls `take` with every word of `name` in order, doubles included, until it says that it has enough by returning `false`.
pub fn words_of(name: &[u8], mut take: impl FnMut(&str) -> bool) {
    let mut word = String::with_capacity(WORD_BYTES_MAX + 8);
    for letter in text_of(name).chars() {
        if vanishes(letter) {
            continue;
        }
        if !letter.is_alphanumeric() || stands_alone(letter) {
            if !word.is_empty() && !take(&word) {
                return;
            }
            word.clear();
        }
        if stands_alone(letter) {
            if !take(letter.encode_utf8(&mut [0; 4])) {
                return;
            }
        } else if letter.is_ascii_alphanumeric() {
            push(&mut word, letter.to_ascii_lowercase());
        } else if letter.is_alphanumeric() {
            for lower in letter.to_lowercase().filter(|&lower| !vanishes(lower)) {
                push(&mut word, lower);
            }
        }
    }
    if !word.is_empty() {
        take(&word);
    }
}

fn push(word: &mut String, letter: char) {
    if word.len() + letter.len_utf8() <= WORD_BYTES_MAX {
        word.push(letter);
    }
}

fn vanishes(letter: char) -> bool {
    matches!(letter, '\'' | '\u{2019}' | '\u{300}'..='\u{36f}')
}

fn stands_alone(letter: char) -> bool {
    matches!(letter, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: impl AsRef<[u8]>, expected: &[&str]) {
        let mut words = Vec::new();
        words_of(name.as_ref(), |word| {
            words.push(word.to_owned());
            true
        });
        assert_eq!(words, expected);
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        check(
            "C:\\Music\\Some Band\\Some Band - First Song (live).mp3",
            &["c", "music", "some", "band", "some", "band", "first", "song", "live", "mp3"],
        );
        check("AC/DC_Back.In.Black-320kbps", &["ac", "dc", "back", "in", "black", "320kbps"]);
    }

    #[test]
    fn apostrophes_and_combining_marks_vanish() {
        check("Don't stop", &["dont", "stop"]);
        check("Don\u{2019}t", &["dont"]);
        check("cafe\u{301}", &["cafe"]);
    }

    #[test]
    fn other_scripts_are_lower_cased_too() {
        check("ÄRZTE Größe ΜΟΥΣΙΚΉ Кино", &["ärzte", "größe", "μουσική", "кино"]);
    }

    #[test]
    fn ideographs_are_words_by_themselves() {
        check("東京 live", &["東", "京", "live"]);
    }

    #[test]
    fn bytes_that_are_no_utf8_are_read_as_latin_1() {
        check(b"Bj\xf6rk - J\xf3ga", &["björk", "jóga"]);
    }

    #[test]
    fn a_word_has_a_greatest_length_and_never_ends_inside_a_letter() {
        check("x".repeat(300), &[&*"x".repeat(WORD_BYTES_MAX)]);
        check("ä".repeat(300), &[&*"ä".repeat(WORD_BYTES_MAX / 2)]);
    }

    #[test]
    fn names_without_a_letter_have_no_words() {
        check("", &[]);
        check(" - _ \\ / .", &[]);
    }
}
