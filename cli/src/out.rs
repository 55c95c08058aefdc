//! What is written to stdout, and how names from outside are shown on a terminal.

use std::io::Write as _;

use hexad_api::Problem;

/// Writes one line of data.
///
/// # Errors
/// When stdout is closed or full.
pub fn line(text: &str) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|wrong| {
        Problem::new(format!("stdout cannot be written to: {}", wrong.kind())).hint("is the program that reads it still there?")
    })
}

/// Writes bytes of data as they are.
///
/// # Errors
/// When stdout is closed or full.
pub fn bytes(bytes: &[u8]) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|wrong| {
        Problem::new(format!("stdout cannot be written to: {}", wrong.kind())).hint("is the program that reads it still there?")
    })
}

/// A text that somebody else wrote, such that it moves no cursor, changes no colour and turns no line around.
pub fn tame(text: &str) -> String {
    let is_wild =
        |letter: char| letter.is_control() || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|letter| if is_wild(letter) { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::tame;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(tame("größe 大きさ.txt"), "größe 大きさ.txt");
        assert_eq!(tame("a\u{1b}[2Jb\r\n\u{202e}c"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c");
    }
}
