//! Style sheets of strangers: properties, functions and selectors that are known to be harmless. Everything is written anew from its tokens, so that
//! what is let through is what was understood. A comment becomes a space: without it, what was before it could run into what is after it.

use cssparser::{ParseError, Parser, ToCss as _, Token};

use super::links::{Way, follow};

/// How deep blocks may lie within each other.
const DEPTH_MAX: u8 = 6;
/// Bytes of a sheet, after which it ends.
const SHEET_BYTES_MAX: usize = 1 << 20;

const PROPERTIES: &str = " align-content align-items align-self animation background background-attachment background-clip background-color \
    background-image background-origin background-position background-repeat background-size border border-bottom border-bottom-color \
    border-bottom-left-radius border-bottom-right-radius border-bottom-style border-bottom-width border-collapse border-color border-left \
    border-left-color border-left-style border-left-width border-radius border-right border-right-color border-right-style border-right-width \
    border-spacing border-style border-top border-top-color border-top-left-radius border-top-right-radius border-top-style border-top-width \
    border-width bottom box-shadow box-sizing caption-side clear color column-count column-gap column-rule column-width columns content cursor \
    direction display empty-cells flex flex-basis flex-direction flex-flow flex-grow flex-shrink flex-wrap float font font-family font-size \
    font-style font-variant font-weight gap grid-area grid-column grid-gap grid-row grid-template-columns grid-template-rows height hyphens \
    justify-content justify-items left letter-spacing line-height list-style list-style-image list-style-position list-style-type margin \
    margin-bottom margin-left margin-right margin-top max-height max-width min-height min-width opacity order orphans outline outline-color \
    outline-style outline-width overflow overflow-wrap overflow-x overflow-y padding padding-bottom padding-left padding-right padding-top \
    position quotes right row-gap table-layout text-align text-decoration text-indent text-overflow text-shadow text-transform top unicode-bidi \
    vertical-align visibility white-space widows width word-break word-spacing word-wrap z-index ";
const FUNCTIONS: &str = " rgb rgba hsl hsla calc min max clamp linear-gradient radial-gradient repeat minmax fit-content ";
const PSEUDO_FUNCTIONS: &str = " not is where nth-child nth-last-child nth-of-type nth-last-of-type lang ";

fn among(list: &str, word: &str) -> bool {
    !word.contains(' ') && list.contains(&format!(" {} ", word.to_ascii_lowercase()))
}

/// A whole sheet.
pub(super) fn stylesheet(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(SHEET_BYTES_MAX)];
    let mut out = String::new();
    rules(&mut Parser::new(text), 0, &mut out);
    out
}

/// What a `style` attribute says.
pub(super) fn declarations(text: &str) -> String {
    declared(&mut Parser::new(text))
}

/// Something written from tokens, until one comes that is not let through.
struct Written {
    text: String,
    sound: bool,
}

impl Written {
    const fn new() -> Self {
        Self { text: String::new(), sound: true }
    }

    fn token(&mut self, token: &Token<'_>) {
        // `.5` is written as `0.5`, which must not run into a name before it.
        let is_number = matches!(token, Token::Number { .. } | Token::Percentage { .. } | Token::Dimension { .. });
        if is_number && self.text.ends_with(|letter: char| letter.is_alphanumeric() || !letter.is_ascii() || "._-#%\\".contains(letter)) {
            self.text.push(' ');
        }
        if token.to_css(&mut self.text).is_err() {
            self.sound = false;
        }
    }

    /// A block between two brackets.
    fn block(&mut self, parser: &mut Parser<'_>, depth: u8, brackets: (&str, char), each: Each) {
        if depth >= DEPTH_MAX {
            self.sound = false;
            return;
        }
        self.text.push_str(brackets.0);
        let read = parser.parse_nested_block(|inner| -> Result<(), ParseError<()>> {
            while let Ok(token) = inner.next_including_whitespace_and_comments().cloned() {
                each(self, &token, inner, depth + 1);
            }
            Ok(())
        });
        self.sound &= read.is_ok();
        self.text.push(brackets.1);
    }
}

type Each = fn(&mut Written, &Token<'_>, &mut Parser<'_>, u8);

fn rules(parser: &mut Parser<'_>, depth: u8, out: &mut String) {
    let mut prelude = Written::new();
    let mut at: Option<String> = None;
    while let Ok(token) = parser.next_including_whitespace_and_comments().cloned() {
        match &token {
            Token::CurlyBracketBlock => {
                let head = std::mem::replace(&mut prelude, Written::new());
                let text = head.text.trim();
                match at.take() {
                    None if head.sound && !text.is_empty() => {
                        let body = parser.parse_nested_block(|inner| -> Result<String, ParseError<()>> { Ok(declared(inner)) });
                        push_rule(text, &body.unwrap_or_default(), out);
                    }
                    Some(name) if name == "media" && head.sound && depth < DEPTH_MAX => {
                        let mut body = String::new();
                        let read = parser.parse_nested_block(|inner| -> Result<(), ParseError<()>> {
                            rules(inner, depth + 1, &mut body);
                            Ok(())
                        });
                        if read.is_ok() {
                            push_rule(&format!("@media {text}"), &body, out);
                        }
                    }
                    // What is not read is passed over as a whole.
                    _ => {}
                }
            }
            Token::Semicolon if at.is_some() => {
                at = None;
                prelude = Written::new();
            }
            Token::AtKeyword(name) if prelude.text.trim().is_empty() => at = Some(name.to_ascii_lowercase()),
            token if at.is_some() => media(&mut prelude, token, parser, depth),
            token => selector(&mut prelude, token, parser, depth),
        }
    }
}

fn push_rule(head: &str, body: &str, out: &mut String) {
    // A string or an escape can hold what would end a style element.
    if !body.is_empty() && !head.contains('<') && !body.contains('<') {
        out.push_str(head);
        out.push('{');
        out.push_str(body);
        out.push_str("}\n");
    }
}

fn selector(out: &mut Written, token: &Token<'_>, parser: &mut Parser<'_>, depth: u8) {
    match token {
        Token::WhiteSpace(_) | Token::Comment(_) => out.text.push(' '),
        Token::Ident(_)
        | Token::IDHash(_)
        | Token::Hash(_)
        | Token::Colon
        | Token::Comma
        | Token::Delim('.' | '*' | '>' | '+' | '~' | '-')
        | Token::Number { .. }
        | Token::Dimension { .. } => out.token(token),
        Token::SquareBracketBlock => out.block(parser, depth, ("[", ']'), attribute),
        Token::Function(name) if among(PSEUDO_FUNCTIONS, name) => {
            let open = format!("{}(", name.to_ascii_lowercase());
            out.block(parser, depth, (&open, ')'), selector);
        }
        _ => out.sound = false,
    }
}

fn attribute(out: &mut Written, token: &Token<'_>, _: &mut Parser<'_>, _: u8) {
    match token {
        Token::WhiteSpace(_) | Token::Comment(_) => out.text.push(' '),
        Token::Ident(_)
        | Token::QuotedString(_)
        | Token::Delim('=')
        | Token::IncludeMatch
        | Token::DashMatch
        | Token::PrefixMatch
        | Token::SuffixMatch
        | Token::SubstringMatch => out.token(token),
        _ => out.sound = false,
    }
}

fn media(out: &mut Written, token: &Token<'_>, parser: &mut Parser<'_>, depth: u8) {
    match token {
        Token::WhiteSpace(_) | Token::Comment(_) => out.text.push(' '),
        Token::Ident(_) | Token::Comma | Token::Colon | Token::Number { .. } | Token::Dimension { .. } | Token::Delim('/') => {
            out.token(token)
        }
        Token::ParenthesisBlock => out.block(parser, depth, ("(", ')'), media),
        _ => out.sound = false,
    }
}

/// Declarations one after the other; those that are not let through are left out.
fn declared(parser: &mut Parser<'_>) -> String {
    let mut out = String::new();
    let mut name: Option<String> = None;
    let mut written = Written::new();
    let mut colon = false;
    loop {
        let token = parser.next_including_whitespace_and_comments().cloned();
        match token {
            Err(_) | Ok(Token::Semicolon) => {
                let value = std::mem::replace(&mut written, Written::new());
                let named = name.take().filter(|name| colon && among(PROPERTIES, name));
                if let Some(name) = named.filter(|_| value.sound && !value.text.trim().is_empty()) {
                    out.push_str(&name);
                    out.push(':');
                    out.push_str(value.text.trim());
                    out.push(';');
                }
                colon = false;
                if token.is_err() {
                    return out;
                }
            }
            Ok(token) if colon => value(&mut written, &token, parser, 0),
            Ok(Token::WhiteSpace(_) | Token::Comment(_)) => {}
            Ok(Token::Ident(word)) if name.is_none() => name = Some(word.to_ascii_lowercase()),
            Ok(Token::Colon) if name.is_some() => colon = true,
            Ok(_) => written.sound = false,
        }
    }
}

fn value(out: &mut Written, token: &Token<'_>, parser: &mut Parser<'_>, depth: u8) {
    match token {
        Token::WhiteSpace(_) | Token::Comment(_) => out.text.push(' '),
        Token::Ident(_)
        | Token::IDHash(_)
        | Token::Hash(_)
        | Token::QuotedString(_)
        | Token::Number { .. }
        | Token::Percentage { .. }
        | Token::Dimension { .. }
        | Token::Comma
        | Token::Delim('/' | '!' | '+' | '-' | '*') => out.token(token),
        Token::ParenthesisBlock if depth > 0 => out.block(parser, depth, ("(", ')'), value),
        Token::Function(name) if among(FUNCTIONS, name) => {
            let open = format!("{}(", name.to_ascii_lowercase());
            out.block(parser, depth, (&open, ')'), value);
        }
        Token::UnquotedUrl(to) => picture(out, to),
        Token::Function(name) if name.eq_ignore_ascii_case("url") => {
            let read =
                parser.parse_nested_block(|inner| -> Result<String, ParseError<()>> { Ok(inner.expect_string_cloned()?.to_string()) });
            match read {
                Ok(to) => picture(out, &to),
                Err(_) => out.sound = false,
            }
        }
        _ => out.sound = false,
    }
}

/// A picture of the gateway.
fn picture(out: &mut Written, to: &str) {
    match follow(to) {
        Way::Inside(to) => {
            out.text.push_str("url(");
            out.token(&Token::QuotedString(to.as_str().into()));
            out.text.push(')');
        }
        Way::Outside(_) | Way::Nowhere => out.sound = false,
    }
}
