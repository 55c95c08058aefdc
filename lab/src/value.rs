//! The values of a scenario's parameters, and how they are written in one word.

use std::fmt;

use hexad_core::Span;

/// What a parameter is when nobody says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Preset {
    /// A whole number.
    Count(u64),
    /// A number.
    Number(f64),
    /// A length of time, in seconds.
    Seconds(f64),
    /// `on` or `off`.
    Switch(bool),
    /// One of these words; the first when nobody says it.
    Choice(&'static [&'static str]),
    /// Whole numbers.
    Counts(&'static [u64]),
    /// Numbers.
    Numbers(&'static [f64]),
}

impl Preset {
    /// The value.
    #[must_use]
    pub fn value(self) -> Value {
        match self {
            Self::Count(count) => Value::Count(count),
            Self::Number(number) => Value::Number(number),
            Self::Seconds(seconds) => Value::Span(Span::from_secs_f64(seconds)),
            Self::Switch(on) => Value::Switch(on),
            Self::Choice(words) => Value::Choice(words.first().copied().unwrap_or_default()),
            Self::Counts(counts) => Value::Counts(counts.to_vec()),
            Self::Numbers(numbers) => Value::Numbers(numbers.to_vec()),
        }
    }
}

/// What a parameter is set to. `Display` writes it in one word that [`Value::like`] reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `1000`, `1k`, `1M`.
    Count(u64),
    /// `0.25`.
    Number(f64),
    /// `90s`, `100ms`, `5min`, `1h`.
    Span(Span),
    /// `on`, `off`.
    Switch(bool),
    /// One of several words.
    Choice(&'static str),
    /// `64,256,1024`.
    Counts(Vec<u64>),
    /// `0,0.1,0.2`.
    Numbers(Vec<f64>),
}

impl Value {
    /// Reads a value of the same kind as this one.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn like(&self, text: &str) -> Result<Self, String> {
        match self {
            Self::Count(_) => count(text).map(Self::Count),
            Self::Number(_) => number(text).map(Self::Number),
            Self::Span(_) => span(text).map(Self::Span),
            Self::Switch(_) => match text {
                "on" | "true" | "yes" => Ok(Self::Switch(true)),
                "off" | "false" | "no" => Ok(Self::Switch(false)),
                _ => Err(format!("expected on or off, came '{text}'")),
            },
            Self::Choice(word) => Self::choice(text, &[word]),
            Self::Counts(_) => parts(text).map(count).collect::<Result<_, _>>().map(Self::Counts),
            Self::Numbers(_) => parts(text).map(number).collect::<Result<_, _>>().map(Self::Numbers),
        }
    }

    /// Reads one of several words.
    ///
    /// # Errors
    /// Names them all.
    pub fn choice(text: &str, choices: &[&'static str]) -> Result<Self, String> {
        let found = choices.iter().find(|&&choice| choice == text);
        found.map(|choice| Self::Choice(choice)).ok_or_else(|| format!("expected {}, came '{text}'", choices.join(" or ")))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Span(span) => match span.as_micros() {
                micros if micros % 1_000_000 == 0 => write!(f, "{}s", micros / 1_000_000),
                micros if micros % 1000 == 0 => write!(f, "{}ms", micros / 1000),
                micros => write!(f, "{micros}us"),
            },
            Self::Switch(on) => f.write_str(if *on { "on" } else { "off" }),
            Self::Choice(word) => f.write_str(word),
            Self::Counts(counts) => joined(counts, f),
            Self::Numbers(numbers) => joined(numbers, f),
        }
    }
}

/// What stands between commas; nothing where nothing stands.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(move |_| !text.is_empty())
}

fn joined<T: fmt::Display>(values: &[T], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (number, value) in values.iter().enumerate() {
        write!(f, "{}{value}", if number == 0 { "" } else { "," })?;
    }
    Ok(())
}

fn count(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a whole number such as 1000, 10k or 1M, came '{text}'");
    let (digits, factor) = match text.strip_suffix('k') {
        Some(digits) => (digits, 1000),
        None => text.strip_suffix('M').map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    digits.parse::<u64>().ok().and_then(|count| count.checked_mul(factor)).ok_or_else(wrong)
}

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| format!("expected a number such as 0.25, came '{text}'"))
}

fn span(text: &str) -> Result<Span, String> {
    let wrong = || format!("expected a length of time such as 90s, 100ms, 5min or 1h, came '{text}'");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (digits, unit) = text.split_at(split);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number = digits.parse::<f64>().map_err(|_| wrong())?;
    // To the microsecond, which is what the lab's time can tell apart.
    let micros = (number * seconds * 1e6).round();
    if micros > 1e15 {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "digits and a point are not negative, and the bound is above"
    )]
    Ok(Span::from_micros(micros as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Value, text: &str, written: &str) {
        let value = kind.like(text).unwrap();
        assert_eq!(value.to_string(), written);
        assert_eq!(kind.like(written), Ok(value));
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        check(Value::Count(0), "10k", "10000");
        check(Value::Count(0), "2M", "2000000");
        check(Value::Number(0.0), "0.05", "0.05");
        check(Value::Span(Span::ZERO), "5min", "300s");
        check(Value::Span(Span::ZERO), "1.5s", "1500ms");
        check(Value::Span(Span::ZERO), "7us", "7us");
        check(Value::Switch(false), "yes", "on");
        check(Value::Counts(Vec::new()), "1k,2,3", "1000,2,3");
        check(Value::Numbers(Vec::new()), "0,0.1", "0,0.1");
        check(Value::Numbers(vec![1.0]), "", "");
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (kind, text) in
            [(Value::Count(0), "-1"), (Value::Number(0.0), "inf"), (Value::Span(Span::ZERO), "5"), (Value::Span(Span::ZERO), "9999999999h")]
        {
            assert!(kind.like(text).unwrap_err().contains(text));
        }
    }
}
