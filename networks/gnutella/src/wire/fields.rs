//! Metadata as LimeWire's schemas have it: `<audios …><audio title="…" bitrate="128"/></audios>`, in queries and behind the files of a hit. Spec §8, §9.
//!
//! Of XML only that is read which such documents need: elements with attributes, the five entities and numbered characters. A declaration of
//! anything else ends the reading, so nothing expands.

use std::fmt::Write as _;

use super::extensions::Extensions;
use super::media::Media;

/// Bytes of a document that is read.
pub const XML_BYTES_MAX: usize = 16 << 10;
/// Elements that are read, attributes of each, and bytes of a value.
const ELEMENTS_MAX: usize = 255;
const ATTRIBUTES_MAX: usize = 32;
const VALUE_BYTES_MAX: usize = 512;
/// Fields that are numbers; all others are words.
const NUMBERS: [&str; 8] = ["bitrate", "seconds", "year", "track", "minutes", "size", "price", "index"];

/// What kind of file a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// `audio.xsd`.
    Audio,
    /// `video.xsd`.
    Video,
    /// `document.xsd`.
    Document,
    /// `image.xsd`.
    Image,
    /// `application.xsd`.
    Application,
}

impl Schema {
    const ALL: [Self; 5] = [Self::Audio, Self::Video, Self::Document, Self::Image, Self::Application];

    fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "document",
            Self::Image => "image",
            Self::Application => "application",
        }
    }

    /// The kinds of files that have such a document.
    #[must_use]
    pub fn media(self) -> Media {
        match self {
            Self::Audio => Media::AUDIO,
            Self::Video => Media::VIDEO,
            Self::Document => Media::DOCUMENT,
            Self::Image => Media::IMAGE,
            Self::Application => Media::PROGRAM,
        }
    }
}

/// What is said of one file, or asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// By which schema.
    pub schema: Schema,
    /// Names and values, in order.
    pub values: Vec<(String, String)>,
}

impl Fields {
    /// Nothing yet.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        Self { schema, values: Vec::new() }
    }

    /// With a field more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.values.push((name.into(), value.into()));
        self
    }

    /// The first value of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A number of that name; 0 where it says none.
    #[must_use]
    pub fn number(&self, name: &str) -> u32 {
        self.find(name).and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    /// What a query asks for, where it is structured.
    #[must_use]
    pub fn wanted(extensions: &Extensions) -> Option<Self> {
        extensions.texts.iter().filter(|text| text.starts_with('<')).find_map(|text| Self::read(text).into_iter().next())
    }

    /// The values that are words, with a space between.
    #[must_use]
    pub fn words(&self) -> String {
        let words: Vec<&str> =
            self.values.iter().filter(|(name, _)| !NUMBERS.contains(&name.as_str())).map(|(_, value)| value.as_str()).collect();
        words.join(" ")
    }

    /// Whether a file of that name, of which `known` says numbers, is as these fields ask: of the kind of the schema, each number equal or within
    /// `from-to`. A number that is not known does not fit; words are looked for by the index.
    #[must_use]
    pub fn admits(&self, name: &[u8], known: impl Fn(&str) -> Option<u32>) -> bool {
        let fits = |(name, value): &(String, String)| {
            if !NUMBERS.contains(&name.as_str()) {
                return true;
            }
            let number = |text: &str, otherwise: u32| if text.trim().is_empty() { Some(otherwise) } else { text.trim().parse().ok() };
            let (from, to) = value.split_once('-').unwrap_or((value, value));
            let bounds = number(from, 0).zip(number(to, u32::MAX));
            known(name).zip(bounds).is_some_and(|(known, (from, to))| (from..=to).contains(&known))
        };
        self.schema.media().takes(name) && self.values.iter().all(fits)
    }

    /// All elements of a document; what cannot be read ends it, and what stands before holds.
    #[must_use]
    pub fn read(xml: &str) -> Vec<Self> {
        let mut found = Vec::new();
        let mut rest = xml.get(..xml.len().min(XML_BYTES_MAX)).unwrap_or_default();
        while let Some((_, after)) = rest.split_once('<').filter(|_| found.len() < ELEMENTS_MAX) {
            let skipped = match after.as_bytes().first() {
                Some(b'?') => after.split_once("?>").map(|(_, rest)| rest),
                Some(b'/') => after.split_once('>').map(|(_, rest)| rest),
                // Neither declarations nor comments are in any of these documents.
                Some(b'!') | None => None,
                Some(_) => element(after).map(|(fields, rest)| {
                    found.extend(fields);
                    rest
                }),
            };
            let Some(next) = skipped else { break };
            rest = next;
        }
        found
    }

    /// A document of these, all of the schema of the first; the place of each in a hit is told where there is one.
    #[must_use]
    pub fn write(all: &[(Option<usize>, Self)]) -> String {
        let Some((_, first)) = all.first() else { return String::new() };
        let name = first.schema.name();
        let mut out =
            format!("<?xml version=\"1.0\"?><{name}s xsi:noNamespaceSchemaLocation=\"http://www.limewire.com/schemas/{name}.xsd\">");
        for (place, fields) in all.iter().filter(|(_, fields)| fields.schema == first.schema) {
            let _ = write!(out, "<{name}");
            for (name, value) in &fields.values {
                let _ = write!(out, " {name}=\"{}\"", escaped(value));
            }
            if let Some(place) = place {
                let _ = write!(out, " index=\"{place}\"");
            }
            out.push_str("/>");
        }
        let _ = write!(out, "</{name}s>");
        out
    }
}

fn escaped(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace(['\0', '\x1c'], " ")
}

/// One start tag after its `<`: the fields in it where it is one of a schema, and what follows it.
fn element(text: &str) -> Option<(Option<Fields>, &str)> {
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>')?;
    let (name, mut rest) = text.split_at(end);
    let schema = Schema::ALL.into_iter().find(|schema| schema.name() == name);
    let mut values = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("/>").or_else(|| rest.strip_prefix('>')) {
            return Some((schema.map(|schema| Fields { schema, values }), after));
        }
        let (name, after) = rest.split_once('=')?;
        let name = name.trim();
        let quote = after.trim_start().chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = after.trim_start().get(1..)?.split_once(quote)?;
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':' | b'.'));
        if !plain || name.is_empty() || name.len() > 64 || values.len() >= ATTRIBUTES_MAX || value.contains('<') {
            return None;
        }
        if value.len() <= VALUE_BYTES_MAX {
            values.push((name.to_owned(), unescaped(value)?));
        }
        rest = after;
    }
}

fn unescaped(value: &str) -> Option<String> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';')?;
        out.push_str(before);
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let code = number.strip_prefix('x').map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())?;
                char::from_u32(code).filter(|c| *c != '\0')?
            }
        });
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}
