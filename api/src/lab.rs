//! Words about the lab: scenarios under virtual time, and what runs of them come to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// Runs networks under virtual time; needs no network of its own.
pub trait Laboratory: Send + Sync {
    /// All scenarios.
    fn scenarios(&self) -> Vec<LabScenario>;

    /// Runs a scenario; `hear` learns how it goes.
    ///
    /// # Errors
    /// When there is no such scenario, a parameter cannot be used, or what is to be written cannot be written.
    fn run(&self, request: LabRequest, hear: &mut dyn FnMut(LabEvent)) -> Result<LabReport, Problem>;

    /// Repeats the run of a line. Whether it came to the same is said in [`LabReport::same`].
    ///
    /// # Errors
    /// As [`Self::run`], and when the line cannot be read.
    fn replay(&self, request: LabReplay, hear: &mut dyn FnMut(LabEvent)) -> Result<LabReport, Problem>;

    /// Tests the claims about a network; of a part of the runs, nothing is said.
    ///
    /// # Errors
    /// When there are none, or a run of theirs cannot be run.
    fn test_claims(&self, request: LabClaimsRequest, hear: &mut dyn FnMut(LabEvent)) -> Result<Vec<LabVerdict>, Problem>;

    /// Runs networks side by side in one world.
    ///
    /// # Errors
    /// When a network is not known, a parameter cannot be used, or what is to be written cannot be written.
    fn compare(&self, request: LabCompareRequest, hear: &mut dyn FnMut(LabEvent)) -> Result<LabComparison, Problem>;

    /// Writes one report of all that a folder holds; returns its files, the page first.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or holds nothing to report.
    fn report(&self, folder: &Path) -> Result<Vec<PathBuf>, Problem>;

    /// Copies the runs of shards into one folder; returns how many.
    ///
    /// # Errors
    /// When a folder cannot be read or written, or the same run came to different outcomes.
    fn merge(&self, from: &[PathBuf], into: &Path) -> Result<usize, Problem>;
}

/// A world worth running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LabScenario {
    /// What it is called.
    pub name: String,
    /// What it shows, in one sentence.
    pub about: String,
    /// What can be set, `nodes` and `seed` included.
    pub parameters: Vec<LabParameter>,
    /// Ids of the claims that it tests.
    pub claims: Vec<String>,
}

/// Something that can be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LabParameter {
    /// Its name.
    pub name: String,
    /// What holds when nobody says otherwise.
    pub default: String,
    /// What it does, with its unit.
    pub help: String,
}

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabRequest {
    /// Which scenario.
    pub scenario: String,
    /// Parameters by name.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// How many threads may run it; 0 and 1 are the same. Changes no outcome.
    #[serde(default)]
    pub threads: usize,
    /// Where JSON lines, CSV and SVG go.
    #[serde(default)]
    pub out: Option<PathBuf>,
}

/// One run from a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabReplay {
    /// As a run has printed it.
    pub line: String,
    /// How many threads may run it.
    #[serde(default)]
    pub threads: usize,
    /// Where JSON lines, CSV and SVG go.
    #[serde(default)]
    pub out: Option<PathBuf>,
}

/// The claims to be tested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabClaimsRequest {
    /// A network, a scenario, or `all`.
    pub about: String,
    /// As much as the figures need, and not only seconds.
    #[serde(default)]
    pub full: bool,
    /// How many seeds; what the scenario says when not given.
    #[serde(default)]
    pub seeds: Option<u32>,
    /// Only these claims; all when empty.
    #[serde(default)]
    pub only: Vec<String>,
    /// How many threads may run each run.
    #[serde(default)]
    pub threads: usize,
    /// How many runs at a time.
    #[serde(default)]
    pub jobs: usize,
    /// Only a part of the runs, such as `1/4`: they are kept, and nothing is judged by them alone.
    #[serde(default)]
    pub shard: Option<String>,
    /// Where runs are kept as they end, and found again, and what was found about claims.
    #[serde(default)]
    pub out: Option<PathBuf>,
}

/// Networks to be run side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabCompareRequest {
    /// The text of a file that asks a question; what stands in it takes the place of the next five.
    #[serde(default)]
    pub question: Option<String>,
    /// Which networks; all when empty.
    #[serde(default)]
    pub networks: Vec<String>,
    /// The largest number of users.
    #[serde(default)]
    pub nodes: Option<String>,
    /// Numbers of users; a ladder up to `nodes` when empty.
    #[serde(default)]
    pub sizes: Vec<String>,
    /// How many seeds.
    #[serde(default)]
    pub seeds: u32,
    /// Parameters by name, for all of them.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// How many runs at a time; 0 and 1 are the same. Changes no outcome.
    #[serde(default)]
    pub jobs: usize,
    /// Only a part of the runs, such as `1/4`.
    #[serde(default)]
    pub shard: Option<String>,
    /// Where runs are kept as they end, and found again, and where the report goes.
    #[serde(default)]
    pub out: Option<PathBuf>,
}

/// What networks side by side came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabComparison {
    /// How many runs it is made of.
    pub runs: usize,
    /// Hash over all of them, 16 hex digits.
    pub digest: String,
    /// Figures.
    pub tables: Vec<LabTable>,
    /// What a reader should know beside the figures.
    pub remarks: Vec<String>,
    /// The line that repeats each run.
    pub lines: Vec<String>,
    /// Files that were written.
    pub written: Vec<PathBuf>,
}

/// How a run goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LabEvent {
    /// A scenario begins, or begins again with another seed.
    Scenario {
        /// Its name, and the seed where several are run.
        name: String,
    },
    /// A phase begins.
    Phase {
        /// Which.
        name: String,
    },
    /// One of many runs has ended.
    Job {
        /// Its line.
        line: String,
        /// It was there already.
        kept: bool,
        /// By the clock on the wall.
        wall_s: f64,
        /// How many have ended.
        done: usize,
        /// Of how many.
        of: usize,
        /// About how long the rest takes, seconds.
        left_s: Option<f64>,
    },
    /// It goes on.
    Step {
        /// How much of the phase is done, 0 to 1.
        done: f64,
        /// Events in it so far.
        events: u64,
    },
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LabReport {
    /// The line that repeats it.
    pub line: String,
    /// Which scenario.
    pub scenario: String,
    /// Where all randomness came from.
    pub seed: u64,
    /// Nodes of the largest world.
    pub nodes: u32,
    /// Events in all.
    pub events: u64,
    /// Virtual time, seconds.
    pub virtual_s: f64,
    /// By the clock on the wall.
    pub wall_s: f64,
    /// Of all threads.
    pub cpu_s: f64,
    /// Events per CPU second over the whole run.
    pub events_per_cpu_s: f64,
    /// The most memory that the process had.
    pub peak_memory_bytes: u64,
    /// What of it the process had before.
    pub memory_before_bytes: u64,
    /// Hash over all events, 16 hex digits.
    pub digest: String,
    /// What took how long.
    pub phases: Vec<LabPhase>,
    /// Figures.
    pub tables: Vec<LabTable>,
    /// Figures that claims are about, as this run has them.
    pub findings: Vec<LabVerdict>,
    /// What a reader should know beside the figures.
    pub remarks: Vec<String>,
    /// Files that were written.
    #[schema(value_type = Vec<String>)]
    pub written: Vec<PathBuf>,
    /// Whether the digest is the one of the line; only of a run from a line that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same: Option<bool>,
}

/// What a phase of a run took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LabPhase {
    /// Which.
    pub name: String,
    /// Events in it.
    pub events: u64,
    /// By the clock on the wall.
    pub wall_s: f64,
    /// Of all threads.
    pub cpu_s: f64,
    /// Events per CPU second.
    pub events_per_cpu_s: f64,
}

/// Figures in rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LabTable {
    /// Of what.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// Names of columns, with units.
    pub columns: Vec<LabColumn>,
    /// As many cells as columns each.
    pub rows: Vec<Vec<LabCell>>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LabColumn {
    /// What stands in it.
    pub name: String,
    /// In which unit; may be empty.
    pub unit: String,
}

/// One figure or word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum LabCell {
    /// A whole number.
    Count(u64),
    /// A number.
    Number(f64),
    /// A word.
    Text(String),
    /// Nothing.
    Empty,
}

/// What was found about a figure of a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LabVerdict {
    /// The claim's id.
    pub claim: String,
    /// Who says it, where that is known here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Which figure.
    pub row: String,
    /// What it ought to be.
    pub expected: String,
    /// How far away it may be.
    pub tolerance: String,
    /// The mean over seeds, or their median where the claim is about that; nothing where the scenario said nothing about the claim.
    pub measured: Option<f64>,
    /// The least of all seeds.
    pub least: Option<f64>,
    /// The most of all seeds.
    pub most: Option<f64>,
    /// With 95 % the true mean is at most so far from the measured one.
    pub interval: f64,
    /// How many seeds.
    pub seeds: usize,
    /// Whether that is as expected.
    pub holds: bool,
    /// No scenario measures it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// The figure is from memory of a paper: a target, and no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_memory: bool,
    /// What a reader should know about the claim beside its figures; with its first figure only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// A run to be begun beside a node that runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLabRun {
    /// Which scenario.
    pub scenario: String,
    /// Parameters by name.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LabRunState {
    /// It goes on.
    Running,
    /// It came to something.
    Done,
    /// It came to nothing.
    Failed,
}

/// A run beside a node that runs on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LabRun {
    /// Its number.
    pub id: u64,
    /// How it stands.
    pub state: LabRunState,
    /// What is being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// How much of the phase is done, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// What it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<LabReport>,
    /// Why it came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}
