//! A run in one line: `chord/lookups nodes=1000 seed=7 … #0123456789abcdef`.

use std::fmt;
use std::str::FromStr;

use crate::scenario::Params;

/// All that is needed to repeat a run, and the digest that must come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The scenario's name.
    pub scenario: String,
    /// Parameters, in the order in which they were written.
    pub set: Vec<(String, String)>,
    /// What came out, where it is known.
    pub digest: Option<u64>,
}

impl Line {
    /// The line of a run.
    #[must_use]
    pub fn of(scenario: &str, params: &Params, digest: Option<u64>) -> Self {
        let set = params.iter().map(|(name, value)| (name.into(), value.to_string())).collect();
        Self { scenario: scenario.into(), set, digest }
    }

    /// What is set, as [`crate::Scenario::params`] takes it.
    pub fn given(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scenario)?;
        for (name, value) in &self.set {
            write!(f, " {name}={value}")?;
        }
        match self.digest {
            Some(digest) => write!(f, " #{digest:016x}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let scenario = words.next().ok_or("expected a scenario's name, came nothing")?.to_owned();
        let mut line = Self { scenario, set: Vec::new(), digest: None };
        for word in words {
            if let Some(digest) = word.strip_prefix('#') {
                let digest = u64::from_str_radix(digest, 16).map_err(|_| format!("expected # and 16 hex digits, came '{word}'"))?;
                line.digest = Some(digest);
            } else {
                let (name, value) = word.split_once('=').ok_or_else(|| format!("expected name=value or #digest, came '{word}'"))?;
                line.set.push((name.into(), value.into()));
            }
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        assert_eq!(text.parse::<Line>().unwrap().to_string(), text);
    }

    #[test]
    fn a_line_is_read_as_it_is_written() {
        check("chord/lookups nodes=1000 seed=7 churn=0.05 #00000000deadbeef");
        check("chord");
    }

    #[test]
    fn a_line_that_says_nothing_is_refused() {
        for text in ["", "chord nonsense", "chord #xyz"] {
            assert!(text.parse::<Line>().is_err(), "{text}");
        }
    }
}
