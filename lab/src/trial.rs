//! Claims on trial: which runs test them, and what is found by what those runs came to.

use serde::Serialize;

use crate::claims;
use crate::fit::median;
use crate::gauge::Progress;
use crate::outcome::{Expected, Finding, OverSeeds};
use crate::outputs::{self, Stored};
use crate::scenario::{Claim, Scenario, Size};
use crate::sweep::{Job, in_order};

/// What was found about one figure of a claim, over all seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The claim's id.
    pub claim: &'static str,
    /// Which of its figures.
    pub row: String,
    /// What it ought to be.
    pub expected: Expected,
    /// The mean over seeds, or their median where the claim is about that.
    pub measured: f64,
    /// The least of all seeds.
    pub least: f64,
    /// The most of all seeds.
    pub most: f64,
    /// With 95 % the true mean is at most so far away; 0 for one seed, and for a median.
    pub interval: f64,
    /// How many seeds.
    pub seeds: usize,
    /// Whether what was measured is as expected.
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
    /// The runs' lines, by seed.
    pub lines: Vec<String>,
}

impl ClaimReport {
    /// Whether all figures are as expected and no claim was left out.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.silent.is_empty() && self.verdicts.iter().all(|verdict| verdict.holds)
    }
}

impl Scenario {
    /// Seeds that its claims are tested with, where nobody says how many.
    fn claim_seeds(&self, size: Size, seeds: Option<u32>) -> std::ops::RangeInclusive<u64> {
        let seeds = seeds.unwrap_or(match size {
            Size::Small => self.seeds.0,
            Size::Full => self.seeds.1,
        });
        1..=u64::from(seeds.max(1))
    }
}

/// Before the names of the files of runs that were made for claims.
pub(crate) const PREFIX: &str = "claims-";

/// The runs that test the claims of scenarios, each on so many threads: one for each scenario and seed. `seeds` overrides how many.
///
/// # Errors
/// When what a scenario sets for its claims cannot be read.
pub fn claim_jobs(scenarios: &[&'static Scenario], size: Size, seeds: Option<u32>, threads: usize) -> Result<Vec<Job>, String> {
    let word = match size {
        Size::Small => "small",
        Size::Full => "full",
    };
    let mut jobs = Vec::new();
    for &scenario in scenarios {
        for seed in scenario.claim_seeds(size, seeds) {
            let mut params = scenario.claim_params(size, seed)?;
            params.threads = threads;
            let name = format!("{PREFIX}{word}-{}-s{seed}", scenario.name.replace('/', "-"));
            let weight = f64::from(params.nodes());
            jobs.push(Job { scenario, params, name, weight });
        }
    }
    Ok(in_order(jobs))
}

/// Judges the claims of a scenario by its runs, in whatever order they are; runs of other scenarios are left out.
///
/// # Errors
/// When a run says something about a claim that nobody knows.
pub fn judge(scenario: &Scenario, runs: &[Stored]) -> Result<ClaimReport, String> {
    let mut runs: Vec<&Stored> = runs.iter().filter(|run| run.run.scenario == scenario.name).collect();
    runs.sort_by_key(|run| run.run.seed);
    let mut rows: Vec<(&'static str, &Finding, Vec<f64>)> = Vec::new();
    let mut remarks: Vec<String> = Vec::new();
    for run in &runs {
        for finding in &run.findings {
            match rows.iter_mut().find(|row| row.0 == finding.claim && row.1.row == finding.row) {
                Some(row) => row.2.push(finding.measured),
                None => {
                    let declared = scenario.claims.iter().find(|claim| finding.claim == claim.id).map(|claim| claim.id);
                    let claim = declared.or_else(|| claims::find(&finding.claim).map(|known| known.id));
                    let claim = claim.ok_or_else(|| format!("{} speaks of {}, which nobody claims", scenario.name, finding.claim))?;
                    rows.push((claim, finding, vec![finding.measured]));
                }
            }
        }
        for remark in &run.run.remarks {
            if !remarks.contains(remark) {
                remarks.push(remark.clone());
            }
        }
    }
    let said = |claim: &&Claim| rows.iter().any(|row| row.0 == claim.id);
    let silent = scenario.claims.iter().filter(|claim| !said(claim)).map(|claim| claim.id).collect();
    let verdicts = rows.into_iter().map(|(claim, finding, values)| verdict(claim, finding, &values)).collect();
    Ok(ClaimReport { scenario: scenario.name, verdicts, silent, remarks, lines: runs.iter().map(|run| run.run.line.clone()).collect() })
}

/// Tests the claims of a scenario over its seeds, one after the other. `seeds` overrides how many.
///
/// # Errors
/// When a run cannot be run.
pub fn test_claims(
    scenario: &'static Scenario,
    size: Size,
    seeds: Option<u32>,
    threads: usize,
    progress: &mut dyn Progress,
) -> Result<ClaimReport, String> {
    let mut runs = Vec::new();
    for job in claim_jobs(&[scenario], size, seeds, threads)? {
        progress.on_scenario(scenario.name, job.params.seed());
        runs.push(outputs::of_text(&outputs::text_of(&scenario.execute(&job.params, progress)?)?)?);
    }
    judge(scenario, &runs)
}

#[expect(clippy::cast_precision_loss, reason = "a number of seeds")]
fn verdict(claim: &'static str, finding: &Finding, values: &[f64]) -> Verdict {
    let count = values.len() as f64;
    let (measured, interval) = match finding.over {
        OverSeeds::Mean => {
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
            (mean, student(values.len()) * (variance / count).sqrt())
        }
        OverSeeds::Median => (median(values), 0.0),
    };
    Verdict {
        claim,
        row: finding.row.clone(),
        expected: finding.expected,
        measured,
        least: values.iter().copied().fold(f64::INFINITY, f64::min),
        most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        interval,
        seeds: values.len(),
        holds: finding.expected.admits(measured),
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
