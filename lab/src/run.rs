//! Runs scenarios: once, and again from a line.

use serde::Serialize;

use crate::gauge::{Gauge, Phase, Progress, cpu_s, peak_memory_bytes};
use crate::line::Line;
use crate::outcome::Outcome;
use crate::scenario::{Params, Scenario};

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
