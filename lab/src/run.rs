//! Runs scenarios: once, again from a line, and over seeds for claims.

use serde::Serialize;

use crate::gauge::{Gauge, Phase, Progress, cpu_s, peak_memory_bytes};
use crate::line::Line;
use crate::outcome::{Expected, Outcome};
use crate::scenario::{Claim, Params, Scenario, Size};

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// The line that repeats it.
    pub line: String,
    /// The scenario's name.
    pub scenario: String,
    /// Where all randomness came from.
    pub seed: u64,
    /// What it came to.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// By the clock on the wall, all of it.
    pub wall_s: f64,
    /// Of all threads, all of it.
    pub cpu_s: f64,
    /// The most memory that the process had.
    pub peak_memory_bytes: u64,
    /// What of it the process had before.
    pub memory_before_bytes: u64,
    /// What took how long.
    pub phases: Vec<Phase>,
}

impl Run {
    /// Events per CPU second over the whole run, set-up included.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn events_per_cpu_s(&self) -> f64 {
        if self.cpu_s > 0.0 { self.outcome.events as f64 / self.cpu_s } else { 0.0 }
    }
}

impl Scenario {
    /// Runs it and times it.
    ///
    /// # Errors
    /// When the scenario cannot be run with these parameters.
    pub fn execute(&self, params: &Params, progress: &mut dyn Progress) -> Result<Run, String> {
        let (began, cpu) = (std::time::Instant::now(), cpu_s());
        let mut gauge = Gauge::new(progress);
        let outcome = (self.run)(params, &mut gauge)?;
        gauge.end();
        Ok(Run {
            line: Line::of(self.name, params, Some(outcome.digest)).to_string(),
            scenario: self.name.into(),
            seed: params.seed(),
            wall_s: began.elapsed().as_secs_f64(),
            cpu_s: cpu_s() - cpu,
            peak_memory_bytes: peak_memory_bytes(),
            memory_before_bytes: gauge.memory_before_bytes(),
            phases: gauge.phases().to_vec(),
            outcome,
        })
    }
}

/// A run from a line, and whether it came to the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The run.
    pub run: Run,
    /// What the line says that the digest is.
    pub expected: Option<u64>,
}

impl Replay {
    /// Whether the digest is the one of the line; true where the line has none.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.expected.is_none_or(|expected| expected == self.run.outcome.digest)
    }
}

/// Repeats the run of a line.
///
/// # Errors
/// When there is no such scenario, or it cannot be run so.
pub fn replay(line: &Line, scenarios: &[&Scenario], threads: usize, progress: &mut dyn Progress) -> Result<Replay, String> {
    let scenario = find(scenarios, &line.scenario)?;
    let mut params = scenario.params(line.given())?;
    params.threads = threads;
    Ok(Replay { run: scenario.execute(&params, progress)?, expected: line.digest })
}

/// The scenario of a name.
///
/// # Errors
/// When there is none; names what is near.
pub fn find<'a>(scenarios: &[&'a Scenario], name: &str) -> Result<&'a Scenario, String> {
    scenarios.iter().find(|scenario| scenario.name == name).copied().ok_or_else(|| {
        let family = name.split('/').next().unwrap_or(name);
        let near: Vec<&str> = scenarios.iter().map(|scenario| scenario.name).filter(|known| known.starts_with(family)).collect();
        if near.is_empty() {
            format!("there is no scenario '{name}'")
        } else {
            format!("there is no scenario '{name}'; there is {}", near.join(", "))
        }
    })
}

/// What was found about one figure of a claim, over all seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The claim's id.
    pub claim: &'static str,
    /// Which of its figures.
    pub row: String,
    /// What it ought to be.
    pub expected: Expected,
    /// The mean over seeds.
    pub mean: f64,
    /// The least of all seeds.
    pub least: f64,
    /// The most of all seeds.
    pub most: f64,
    /// With 95 % the true mean is at most so far away; 0 for one seed.
    pub interval: f64,
    /// How many seeds.
    pub seeds: usize,
    /// Whether the mean is as expected.
    pub holds: bool,
}

/// What was found about the claims of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimReport {
    /// The scenario's name.
    pub scenario: &'static str,
    /// One for each figure, in the order in which the scenario says them.
    pub verdicts: Vec<Verdict>,
    /// Claims of which the scenario said nothing: not proven, whatever the verdicts.
    pub silent: Vec<&'static str>,
    /// Sentences of all seeds, each once.
    pub remarks: Vec<String>,
    /// The runs' lines.
    pub lines: Vec<String>,
    /// By the clock on the wall.
    pub wall_s: f64,
}

impl ClaimReport {
    /// Whether all figures are as expected and no claim was left out.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.silent.is_empty() && self.verdicts.iter().all(|verdict| verdict.holds)
    }
}

/// Tests the claims of a scenario over its seeds. `seeds` overrides how many.
///
/// # Errors
/// When a run cannot be run, or seeds differ in which figures they have.
pub fn test_claims(
    scenario: &Scenario,
    size: Size,
    seeds: Option<u32>,
    threads: usize,
    progress: &mut dyn Progress,
) -> Result<ClaimReport, String> {
    let began = std::time::Instant::now();
    let seeds = seeds.unwrap_or(match size {
        Size::Small => scenario.seeds.0,
        Size::Full => scenario.seeds.1,
    });
    let mut rows: Vec<(&'static str, String, Expected, Vec<f64>)> = Vec::new();
    let (mut remarks, mut lines): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for seed in 1..=u64::from(seeds.max(1)) {
        progress.on_scenario(scenario.name, seed);
        let mut params = scenario.claim_params(size, seed)?;
        params.threads = threads;
        let run = scenario.execute(&params, progress)?;
        for finding in run.outcome.findings {
            match rows.iter_mut().find(|row| row.0 == finding.claim && row.1 == finding.row) {
                Some(row) => row.3.push(finding.measured),
                None => rows.push((finding.claim, finding.row, finding.expected, vec![finding.measured])),
            }
        }
        for remark in run.outcome.remarks {
            if !remarks.contains(&remark) {
                remarks.push(remark);
            }
        }
        lines.push(run.line);
    }
    let said = |claim: &&Claim| rows.iter().any(|row| row.0 == claim.id);
    let silent = scenario.claims.iter().filter(|claim| !said(claim)).map(|claim| claim.id).collect();
    let verdicts = rows.into_iter().map(|(claim, row, expected, values)| judge(claim, row, expected, &values)).collect();
    Ok(ClaimReport { scenario: scenario.name, verdicts, silent, remarks, lines, wall_s: began.elapsed().as_secs_f64() })
}

#[expect(clippy::cast_precision_loss, reason = "a number of seeds")]
fn judge(claim: &'static str, row: String, expected: Expected, values: &[f64]) -> Verdict {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    Verdict {
        claim,
        row,
        expected,
        mean,
        least: values.iter().copied().fold(f64::INFINITY, f64::min),
        most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        interval: student(values.len()) * (variance / count).sqrt(),
        seeds: values.len(),
        holds: expected.admits(mean),
    }
}

/// Student's t for 95 % on both sides, by the number of values.
pub(crate) fn student(values: usize) -> f64 {
    const T: [f64; 20] = [
        0.0, 0.0, 12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
        2.101,
    ];
    T.get(values).copied().unwrap_or(2.0)
}
