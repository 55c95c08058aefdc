//! What a scenario is: a world worth running, with a name, parameters and, where it reproduces something, the claims that it tests.

use hexad_core::Map;

use crate::gauge::Gauge;
use crate::outcome::Outcome;
use crate::value::{Preset, Value};

/// A world worth running. One line repeats a run of it, see [`crate::Line`].
pub struct Scenario {
    /// What it is called: `network` or `network/what`, lower case, without blanks.
    pub name: &'static str,
    /// What it shows, in one sentence.
    pub about: &'static str,
    /// How many nodes when nobody says it.
    pub nodes: u32,
    /// What can be set beside `nodes` and `seed`.
    pub parameters: &'static [Parameter],
    /// Which claims it tests; the findings of its outcome name them. Empty for a scenario that tests none.
    pub claims: &'static [Claim],
    /// What is set for the claims, `nodes` included, to be done in seconds in a debug build.
    pub small: &'static [(&'static str, &'static str)],
    /// What is set for the claims, `nodes` included, to reproduce the figures.
    pub full: &'static [(&'static str, &'static str)],
    /// How many seeds the claims are tested with: small, full.
    pub seeds: (u32, u32),
    /// Runs it. Whatever depends on chance depends on `Params::seed` only.
    pub run: fn(&Params, &mut Gauge<'_>) -> Result<Outcome, String>,
}

impl Scenario {
    /// What most scenarios have in common; for `..Scenario::PLAIN`.
    pub const PLAIN: Self = Self {
        name: "",
        about: "",
        nodes: 1000,
        parameters: &[],
        claims: &[],
        small: &[],
        full: &[],
        seeds: (1, 10),
        run: |_, _| Err("this scenario has nothing to run".into()),
    };

    /// The parameters of a run: what is `given`, and defaults for the rest.
    ///
    /// # Errors
    /// When a name is not known or a value cannot be read; says what would be right.
    pub fn params<'a>(&self, given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Params, String> {
        let mut values: Map<&'static str, Value> =
            self.parameters.iter().map(|parameter| (parameter.name, parameter.default.value())).collect();
        values.insert(NODES, Value::Count(self.nodes.into()));
        values.insert(SEED, Value::Count(1));
        for (name, text) in given {
            let Some((&name, value)) = values.get_key_value(name) else {
                let known: Vec<&str> = values.keys().copied().collect();
                return Err(format!("{} has no parameter '{name}'; it has {}", self.name, known.join(", ")));
            };
            let default = self.parameters.iter().find(|parameter| parameter.name == name).map(|parameter| parameter.default);
            let value = match default {
                Some(Preset::Choice(choices)) => Value::choice(text, choices),
                _ => value.like(text),
            };
            values.insert(name, value.map_err(|wrong| format!("{name}: {wrong}"))?);
        }
        let params = Params { values, threads: 1 };
        let nodes = params.count(NODES);
        if nodes == 0 || nodes > u64::from(NODES_MAX) {
            return Err(format!("{NODES}: expected 1 to {NODES_MAX}, came {nodes}"));
        }
        Ok(params)
    }

    /// The parameters for its claims.
    ///
    /// # Errors
    /// When what the scenario sets cannot be read.
    pub fn claim_params(&self, size: Size, seed: u64) -> Result<Params, String> {
        let set = match size {
            Size::Small => self.small,
            Size::Full => self.full,
        };
        let mut params = self.params(set.iter().copied())?;
        params.values.insert(SEED, Value::Count(seed));
        Ok(params)
    }
}

/// The parameter that every scenario has for its number of nodes.
pub(crate) const NODES: &str = "nodes";
/// The parameter that every scenario has for where all randomness comes from.
pub(crate) const SEED: &str = "seed";
/// As many as [`crate::NodeIndex`] and lab addresses take.
const NODES_MAX: u32 = 1 << 24;

/// Something that can be set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Lower case, without blanks.
    pub name: &'static str,
    /// What holds when nobody says otherwise; also says of what kind values are.
    pub default: Preset,
    /// What it does, with its unit.
    pub help: &'static str,
}

/// Something that somebody has said about a network, and that a scenario finds true or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name, such as `CH2`.
    pub id: &'static str,
    /// What is said, in one sentence.
    pub says: &'static str,
    /// Who says it.
    pub source: &'static str,
}

/// How much to spend on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Seconds: for tests.
    Small,
    /// As much as the figures need.
    Full,
}

/// What is set for one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    pub(crate) values: Map<&'static str, Value>,
    /// How many threads may run it. Changes no outcome, so it is no part of [`crate::Line`].
    pub threads: usize,
}

/// # Panics
/// All that take a name panic when the scenario has no parameter of that name and kind.
impl Params {
    /// How many nodes.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        u32::try_from(self.count(NODES)).unwrap_or(NODES_MAX)
    }

    /// Where all randomness comes from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.count(SEED)
    }

    /// The value of a [`Preset::Count`].
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Count(count) => *count,
            other => wrong_kind(name, other),
        }
    }

    /// The value of a [`Preset::Count`] as a `u32`, the largest where it is larger.
    #[must_use]
    pub fn small_count(&self, name: &str) -> u32 {
        u32::try_from(self.count(name)).unwrap_or(u32::MAX)
    }

    /// The value of a [`Preset::Number`].
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        match self.value(name) {
            Value::Number(number) => *number,
            other => wrong_kind(name, other),
        }
    }

    /// The value of a [`Preset::Seconds`].
    #[must_use]
    pub fn span(&self, name: &str) -> hexad_core::Span {
        match self.value(name) {
            Value::Span(span) => *span,
            other => wrong_kind(name, other),
        }
    }

    /// The value of a [`Preset::Switch`].
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        match self.value(name) {
            Value::Switch(on) => *on,
            other => wrong_kind(name, other),
        }
    }

    /// The value of a [`Preset::Choice`].
    #[must_use]
    pub fn choice(&self, name: &str) -> &'static str {
        match self.value(name) {
            Value::Choice(word) => word,
            other => wrong_kind(name, other),
        }
    }

    /// The value of a [`Preset::Counts`].
    #[must_use]
    pub fn counts(&self, name: &str) -> &[u64] {
        match self.value(name) {
            Value::Counts(counts) => counts,
            other => wrong_kind(name, other),
        }
    }

    /// The value of a [`Preset::Numbers`].
    #[must_use]
    pub fn numbers(&self, name: &str) -> &[f64] {
        match self.value(name) {
            Value::Numbers(numbers) => numbers,
            other => wrong_kind(name, other),
        }
    }

    /// All that is set, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(&name, value)| (name, value))
    }

    fn value(&self, name: &str) -> &Value {
        self.values.get(name).unwrap_or_else(|| panic!("the scenario declares no parameter '{name}'"))
    }
}

fn wrong_kind(name: &str, value: &Value) -> ! {
    panic!("the scenario declares '{name}' to be something else: {value:?}")
}
