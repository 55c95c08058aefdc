//! The grammar of a search (200).
//!
//! Clauses in any order, keywords in any case, numbers quoted or bare. What old servers did not understand either (`WMA-FILE`, a quote inside a
//! quote) is no search.

use std::ops::RangeInclusive;

use hexad_catalogue::Kind;

use super::fields::{Field, Fields, Sink, Text, Writer, number};

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `AT LEAST`.
    AtLeast,
    /// `AT BEST`: at most.
    AtBest,
    /// `EQUAL TO`.
    EqualTo,
}

impl Compare {
    const ALL: [(Self, &'static [u8]); 3] = [(Self::AtLeast, b"AT LEAST"), (Self::AtBest, b"AT BEST"), (Self::EqualTo, b"EQUAL TO")];

    /// What of a range is as asked.
    #[must_use]
    pub fn narrowed<T: Ord + Copy>(self, range: &RangeInclusive<T>, asked: T) -> RangeInclusive<T> {
        let (low, high) = (*range.start(), *range.end());
        match self {
            Self::AtLeast => low.max(asked)..=high,
            Self::AtBest => low..=high.min(asked),
            Self::EqualTo => low.max(asked)..=high.min(asked),
        }
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Link type of the sharer.
    LineSpeed,
    /// Kilobits a second.
    Bitrate,
    /// Hertz.
    Freq,
    /// Bytes.
    Size,
    /// Seconds.
    Duration,
}

impl Measure {
    const ALL: [(Self, &'static [u8]); 5] = [
        (Self::LineSpeed, b"LINESPEED"),
        (Self::Bitrate, b"BITRATE"),
        (Self::Freq, b"FREQ"),
        (Self::Size, b"SIZE"),
        (Self::Duration, b"DURATION"),
    ];
}

/// One clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clause {
    /// `FILENAME CONTAINS "words"`: all of them; those with a dash in front are excluded.
    Contains(Text),
    /// `FILENAME EXCLUDES "words"`: none of them.
    Excludes(Text),
    /// `MAX_RESULTS n`.
    MaxResults(u32),
    /// `SIZE "AT LEAST" n` and its like.
    Measured(Measure, Compare, u64),
    /// `TYPE video`; `None` is `any`.
    Type(Option<Kind>),
    /// `LOCAL_ONLY`: not on linked servers.
    LocalOnly,
}

/// A search as it was written: its clauses in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The clauses.
    pub clauses: Vec<Clause>,
}

impl Search {
    /// For files whose name has all of these words; of any kind, and as many as the server gives.
    #[must_use]
    pub fn of_words(words: &[String]) -> Self {
        Self { clauses: vec![Clause::Contains(words.join(" ").replace('"', "'").into()), Clause::Type(None)] }
    }

    /// The same, and this must hold as well.
    #[must_use]
    pub fn and(mut self, measure: Measure, compare: Compare, number: u64) -> Self {
        self.clauses.push(Clause::Measured(measure, compare, number));
        self
    }

    /// The links that sharers may have.
    #[must_use]
    pub fn speeds(&self) -> RangeInclusive<u32> {
        self.clauses.iter().fold(0..=u32::MAX, |range, clause| match clause {
            Clause::Measured(Measure::LineSpeed, compare, number) => compare.narrowed(&range, u32::try_from(*number).unwrap_or(u32::MAX)),
            _ => range,
        })
    }
}

/// The word for a kind of file (TYPE, 10300).
#[must_use]
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Mp3 => "mp3",
        Kind::Audio => "audio",
        Kind::Video => "video",
        Kind::Text => "text",
        Kind::Image => "image",
        Kind::Application => "application",
    }
}

/// The kind of file of that word.
#[must_use]
pub fn kind_of(word: &[u8]) -> Option<Kind> {
    Kind::ALL.into_iter().find(|&kind| word.eq_ignore_ascii_case(kind_word(kind).as_bytes()))
}

fn one_of<T: Copy>(all: &[(T, &[u8])], word: &[u8]) -> Option<T> {
    all.iter().find(|(_, name)| word.eq_ignore_ascii_case(name)).map(|&(value, _)| value)
}

/// `AT LEAST`, in one quoted field or in two bare ones.
fn compare(fields: &mut Fields<'_>) -> Option<Compare> {
    let first = fields.next()?;
    one_of(&Compare::ALL, first).or_else(|| {
        let whole = [first, b" ", fields.next()?].concat();
        one_of(&Compare::ALL, &whole)
    })
}

/// No message has room for more.
const CLAUSES_MAX: usize = 64;

impl Field for Search {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mut clauses = Vec::new();
        while !fields.is_empty() {
            let word = fields.next()?.to_ascii_uppercase();
            let clause = match &*word {
                b"FILENAME" => match &*fields.next()?.to_ascii_uppercase() {
                    b"CONTAINS" => Clause::Contains(fields.next()?.into()),
                    b"EXCLUDES" => Clause::Excludes(fields.next()?.into()),
                    _ => return None,
                },
                b"MAX_RESULTS" => Clause::MaxResults(u32::read(fields)?),
                b"TYPE" => match fields.next()? {
                    any if any.eq_ignore_ascii_case(b"any") => Clause::Type(None),
                    word => Clause::Type(Some(kind_of(word)?)),
                },
                b"LOCAL_ONLY" => Clause::LocalOnly,
                word => Clause::Measured(one_of(&Measure::ALL, word)?, compare(fields)?, number(fields.next()?)?),
            };
            if clauses.len() == CLAUSES_MAX {
                return None;
            }
            clauses.push(clause);
        }
        Some(Self { clauses })
    }

    fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
        for clause in &self.clauses {
            match clause {
                Clause::Contains(text) | Clause::Excludes(text) => {
                    out.raw(b"FILENAME");
                    out.raw(if matches!(clause, Clause::Contains(_)) { b"CONTAINS" } else { b"EXCLUDES" });
                    super::fields::Quoted(text.clone()).write(out);
                }
                Clause::MaxResults(count) => {
                    out.raw(b"MAX_RESULTS");
                    count.write(out);
                }
                Clause::Measured(measure, compare, number) => {
                    let name = |all: &'static [u8]| all;
                    if let Some((_, word)) = Measure::ALL.iter().find(|(other, _)| other == measure) {
                        out.raw(name(word));
                    }
                    if let Some((_, word)) = Compare::ALL.iter().find(|(other, _)| other == compare) {
                        super::fields::Quoted::from(name(word)).write(out);
                    }
                    super::fields::Quoted::from(number.to_string()).write(out);
                }
                Clause::Type(kind) => {
                    out.raw(b"TYPE");
                    out.raw(kind.map_or("any", kind_word).as_bytes());
                }
                Clause::LocalOnly => out.raw(b"LOCAL_ONLY"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: Option<&[Clause]>) {
        let mut fields = Fields::new(written.as_bytes());
        let read = Search::read(&mut fields);
        assert_eq!(read.as_ref().map(|search| &*search.clauses), expected, "{written}");
        if let Some(search) = read {
            let mut out = Vec::new();
            search.write(&mut Writer::new(&mut out));
            assert_eq!(Search::read(&mut Fields::new(&out)), Some(search), "{written} is written as what it was read as");
        }
    }

    #[test]
    fn every_clause_is_read_in_any_order_and_case() {
        check("FILENAME CONTAINS \"song\" MAX_RESULTS 10", Some(&[Clause::Contains("song".into()), Clause::MaxResults(10)]));
        check("max_results \"100\" filename contains \"camel\" ", Some(&[Clause::MaxResults(100), Clause::Contains("camel".into())]));
        check(
            "FILENAME CONTAINS \"choir\" MAX_RESULTS 5 FILENAME CONTAINS \"sand\" LINESPEED \"AT LEAST\" \"3\" BITRATE \"AT LEAST\" 64",
            Some(&[
                Clause::Contains("choir".into()),
                Clause::MaxResults(5),
                Clause::Contains("sand".into()),
                Clause::Measured(Measure::LineSpeed, Compare::AtLeast, 3),
                Clause::Measured(Measure::Bitrate, Compare::AtLeast, 64),
            ]),
        );
        check(
            "FREQ \"AT BEST\" \"44100\" SIZE EQUAL TO 17 DURATION \"EQUAL TO\" 9 FILENAME EXCLUDES \"two\" LOCAL_ONLY TYPE video TYPE any",
            Some(&[
                Clause::Measured(Measure::Freq, Compare::AtBest, 44_100),
                Clause::Measured(Measure::Size, Compare::EqualTo, 17),
                Clause::Measured(Measure::Duration, Compare::EqualTo, 9),
                Clause::Excludes("two".into()),
                Clause::LocalOnly,
                Clause::Type(Some(Kind::Video)),
                Clause::Type(None),
            ]),
        );
        check("", Some(&[]));
        check("FILENAME CONTAINS \"\" MAX_RESULTS 10", Some(&[Clause::Contains("".into()), Clause::MaxResults(10)]));
    }

    #[test]
    fn what_is_no_search_is_refused() {
        for written in [
            "FILENAME CONTAINS \"some \"song\" x\" MAX_RESULTS 10",
            "FILENAME CONTAINS \"song\" MAX_RESULTS 10 WMA-FILE",
            "FILENAME CONTAINS \"song",
            "FILENAME LIKE \"song\"",
            "FILENAME CONTAINS",
            "BITRATE \"NEARLY\" 3",
            "BITRATE \"AT LEAST\" many",
            "TYPE movie",
            "MAX_RESULTS",
        ] {
            check(written, None);
        }
    }
}
