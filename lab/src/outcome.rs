//! What a run came to: tables, plots, and findings about claims.

use std::borrow::Cow;

use hexad_core::{Network, Span, Time};
use serde::{Deserialize, Serialize};

use crate::Lab;
use crate::dice::mix;

/// What a scenario found out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// Nodes of the largest world that was run.
    pub nodes: u32,
    /// Events of all worlds.
    pub events: u64,
    /// Virtual time of all worlds, microseconds.
    pub virtual_us: u64,
    /// Hash over all events of all worlds.
    pub digest: u64,
    /// Figures.
    pub tables: Vec<Table>,
    /// Curves.
    pub plots: Vec<Plot>,
    /// What was found about claims.
    pub findings: Vec<Finding>,
    /// What a reader should know beside the figures: sentences.
    pub remarks: Vec<String>,
}

impl Outcome {
    /// Adds the events and the digest of a world that has been run. The order of worlds counts.
    pub fn absorb<N: Network>(&mut self, lab: &Lab<N>) {
        self.absorb_counts(lab.node_count(), lab.tally().events, lab.now().since(Time::ZERO), lab.digest());
    }

    /// As [`Self::absorb`], for a world that is known by its figures only.
    pub fn absorb_counts(&mut self, nodes: u32, events: u64, virtual_time: Span, digest: u64) {
        self.nodes = self.nodes.max(nodes);
        self.events += events;
        self.virtual_us += u64::try_from(virtual_time.as_micros()).unwrap_or(u64::MAX);
        self.digest = if self.digest == 0 { digest } else { mix(self.digest).wrapping_add(digest) };
    }

    /// Says what was found about a claim.
    pub fn find(&mut self, claim: &'static str, row: impl Into<String>, expected: Expected, measured: f64) {
        self.findings.push(Finding { claim: claim.into(), row: row.into(), expected, over: OverSeeds::Mean, measured });
    }

    /// Says what was found about a claim that is about the median of several runs, and not about their mean.
    pub fn find_median(&mut self, claim: &'static str, row: impl Into<String>, expected: Expected, measured: f64) {
        self.findings.push(Finding { claim: claim.into(), row: row.into(), expected, over: OverSeeds::Median, measured });
    }
}

/// One figure that a claim is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The claim's id.
    pub claim: Cow<'static, str>,
    /// Which of its figures, with its unit; the same for every seed.
    pub row: String,
    /// What it ought to be.
    pub expected: Expected,
    /// Which figure over all seeds that is.
    #[serde(default)]
    pub over: OverSeeds,
    /// What it is.
    #[serde(with = "any_number")]
    pub measured: f64,
}

/// What of several runs' figures is held against what is expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverSeeds {
    /// Their mean.
    #[default]
    Mean,
    /// The one in the middle.
    Median,
}

/// Numbers as JSON has them, and as words where it has none for them.
mod any_number {
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Word(String),
        Nothing,
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
    pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        if number.is_finite() { to.serialize_f64(*number) } else { to.collect_str(number) }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        match Written::deserialize(from)? {
            Written::Number(number) => Ok(number),
            Written::Word(word) => word.parse().map_err(serde::de::Error::custom),
            Written::Nothing => Ok(f64::NAN),
        }
    }
}

impl Finding {
    /// Whether it is as expected.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.expected.admits(self.measured)
    }
}

/// What a figure ought to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// About this, at most so much away.
    About {
        /// The figure.
        value: f64,
        /// How far away it may be.
        by: f64,
    },
    /// About this, at most so many percent of it away.
    AboutPercent {
        /// The figure.
        value: f64,
        /// How far away it may be, percent of `value`.
        percent: f64,
    },
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
    /// Between the two, both included.
    Between(f64, f64),
}

impl Expected {
    /// Exactly this.
    #[must_use]
    pub const fn exactly(value: f64) -> Self {
        Self::About { value, by: 0.0 }
    }

    /// Whether a figure is as expected.
    #[must_use]
    pub fn admits(&self, measured: f64) -> bool {
        match *self {
            Self::About { value, by } => (measured - value).abs() <= by,
            Self::AboutPercent { value, percent } => (measured - value).abs() <= value.abs() * percent / 100.0,
            Self::AtMost(most) => measured <= most,
            Self::AtLeast(least) => measured >= least,
            Self::Between(least, most) => (least..=most).contains(&measured),
        }
    }

    /// The figure, and the tolerance, for people.
    #[must_use]
    pub fn words(&self) -> (String, String) {
        match *self {
            Self::About { value, by: 0.0 } => (figure(value), "exact".into()),
            Self::About { value, by } => (figure(value), format!("±{}", figure(by))),
            Self::AboutPercent { value, percent } => (figure(value), format!("±{}%", figure(percent))),
            Self::AtMost(most) => (format!("≤ {}", figure(most)), String::new()),
            Self::AtLeast(least) => (format!("≥ {}", figure(least)), String::new()),
            Self::Between(least, most) => (format!("{} … {}", figure(least), figure(most)), String::new()),
        }
    }
}

/// A number with as many digits as a reader wants.
#[must_use]
pub fn figure(number: f64) -> String {
    let size = number.abs();
    let text = match size {
        _ if number == number.trunc() && size < 1e15 => return format!("{number:.0}"),
        _ if size >= 1000.0 => format!("{number:.0}"),
        _ if size >= 100.0 => format!("{number:.1}"),
        _ if size >= 1.0 => format!("{number:.2}"),
        _ if size >= 0.001 => format!("{number:.4}"),
        _ => return format!("{number:.2e}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Figures in rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Of what, lower case, for a file's name: `hops-by-size`.
    pub name: String,
    /// What it shows, for people.
    pub title: String,
    /// What stands in which column.
    pub columns: Vec<Column>,
    /// As many cells as columns each.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows; columns are names with their units.
    #[must_use]
    pub fn new(name: &str, title: &str, columns: &[(&str, &str)]) -> Self {
        let columns = columns.iter().map(|&(name, unit)| Column { name: name.into(), unit: unit.into() }).collect();
        Self { name: name.into(), title: title.into(), columns, rows: Vec::new() }
    }

    /// The same with rows for columns: what was the first column is the head.
    pub(crate) fn turned(&self) -> Self {
        let heads = std::iter::once(String::new()).chain(self.rows.iter().filter_map(|row| row.first().map(Cell::words)));
        let columns = heads.map(|name| Column { name, unit: String::new() }).collect();
        let rows = self.columns.iter().enumerate().skip(1).map(|(at, column)| {
            let cells = self.rows.iter().map(|row| row.get(at).cloned().unwrap_or(Cell::Empty));
            std::iter::once(Cell::Text(column.words())).chain(cells).collect()
        });
        Self { name: self.name.clone(), title: self.title.clone(), columns, rows: rows.collect() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len(), "{}", self.name);
        self.rows.push(cells.into());
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// What stands in it.
    pub name: String,
    /// In which unit; empty for words and plain counts.
    pub unit: String,
}

impl Column {
    /// Its name, with its unit.
    pub(crate) fn words(&self) -> String {
        with_unit(&self.name, &self.unit)
    }
}

fn with_unit(name: &str, unit: &str) -> String {
    if unit.is_empty() { name.to_owned() } else { format!("{name} ({unit})") }
}

/// One figure or word of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A whole number.
    Count(u64),
    /// A number.
    Number(f64),
    /// A word.
    Text(String),
    /// Nothing to be said here.
    Empty,
}

impl Cell {
    /// For people: as many digits as a reader wants, and a dash where nothing is to be said.
    pub(crate) fn words(&self) -> String {
        self.written(figure, "–")
    }

    /// For programs: all digits, and nothing for nothing.
    pub(crate) fn exact(&self) -> String {
        self.written(|number| number.to_string(), "")
    }

    fn written(&self, number: impl Fn(f64) -> String, nothing: &str) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Number(given) => number(*given),
            Self::Text(text) => text.clone(),
            Self::Empty => nothing.into(),
        }
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<u32> for Cell {
    fn from(count: u32) -> Self {
        Self::Count(count.into())
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Curves over one axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    /// Of what, lower case, for a file's name.
    pub name: String,
    /// What the picture answers, as a question.
    pub question: String,
    /// From left to right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// The curves.
    pub series: Vec<Series>,
}

/// What an axis means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// What is measured.
    pub label: String,
    /// In which unit; empty for counts and shares.
    pub unit: String,
    /// In powers of ten (or two); only values above zero are shown.
    pub logarithmic: bool,
    /// What stands at 1, 2, 3 … where that is no number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl Axis {
    /// Its words, with its unit.
    pub(crate) fn words(&self) -> String {
        with_unit(&self.label, &self.unit)
    }

    /// An axis in equal steps.
    #[must_use]
    pub fn linear(label: &str, unit: &str) -> Self {
        Self { label: label.into(), unit: unit.into(), logarithmic: false, names: Vec::new() }
    }

    /// An axis on which things stand side by side, the first at 1.
    #[must_use]
    pub fn of_names<'a>(label: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { names: names.into_iter().map(str::to_owned).collect(), ..Self::linear(label, "") }
    }

    /// An axis in powers.
    #[must_use]
    pub fn logarithmic(label: &str, unit: &str) -> Self {
        Self { label: label.into(), unit: unit.into(), logarithmic: true, names: Vec::new() }
    }
}

/// One curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it shows.
    pub name: String,
    /// How it is drawn.
    pub style: Style,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// How far the true value of each point may be away, across and up, with 95 %; as many as points, or none where there is one seed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<(f64, f64)>,
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// A line through marked points: what was measured.
    Line,
    /// Marked points only.
    Points,
    /// A dashed line: what theory or somebody else says.
    Reference,
    /// Upright bars from zero.
    Bars,
}

impl Plot {
    /// A plot without curves.
    #[must_use]
    pub fn new(name: &str, question: &str, x: Axis, y: Axis) -> Self {
        Self { name: name.into(), question: question.into(), x, y, series: Vec::new() }
    }

    /// Adds a curve; points that are not finite are left out.
    pub fn add(&mut self, name: impl Into<String>, style: Style, points: impl IntoIterator<Item = (f64, f64)>) {
        self.add_spread(name, style, points.into_iter().map(|point| (point, (0.0, 0.0))));
    }

    /// The same with points and how far away from them the true values may be, across and up.
    pub fn add_spread(&mut self, name: impl Into<String>, style: Style, points: impl IntoIterator<Item = ((f64, f64), (f64, f64))>) {
        let finite = points.into_iter().filter(|((x, y), _)| x.is_finite() && y.is_finite());
        let (points, mut spread): (Vec<_>, Vec<_>) = finite.unzip();
        if spread.iter().all(|&away| away == (0.0, 0.0)) {
            spread.clear();
        }
        self.series.push(Series { name: name.into(), style, points, spread });
    }
}
