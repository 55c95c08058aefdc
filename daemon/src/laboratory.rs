//! The lab in the session's words.

use std::path::{Path, PathBuf};

use hexad_api::{
    LabCell, LabClaimsRequest, LabColumn, LabCompareRequest, LabComparison, LabEvent, LabParameter, LabPhase, LabReplay, LabReport,
    LabRequest, LabScenario, LabTable, LabVerdict, Laboratory, Problem,
};
use hexad_lab::comparison::{self, Plan, Question};
use hexad_lab::scenarios::{SCENARIOS, claims_of};
use hexad_lab::sweep::{self, Done, Job, Shard, Swept};
use hexad_lab::{Cell, Finding, Line, Run, Scenario, Size, Table, Verdict, claims};

/// Has a run of several carried out elsewhere: the line that repeats it and how many threads it may have, for what [`carry_out`] gives.
pub type Apart = dyn Fn(&str, usize) -> Result<String, String> + Send + Sync;

/// Runs the scenarios that the lab names.
#[derive(Default)]
pub struct Lab {
    /// Where there are several runs, who carries each of them out; threads of this process where nobody does.
    pub apart: Option<Box<Apart>>,
}

impl Lab {
    fn sweep(
        &self,
        jobs: &[Job],
        shard: Shard,
        out: Option<&Path>,
        workers: usize,
        hear: &mut dyn FnMut(LabEvent),
    ) -> Result<Swept, Problem> {
        let carry = |job: &Job| self.apart.as_ref().map_or_else(|| sweep::here(job), |apart| apart(&job.line(), job.params.threads));
        sweep::sweep(jobs, shard, out, workers, &carry, |done| hear(job_done(done))).map_err(halted)
    }
}

/// Carries out the run of a line on so many threads, and returns what is kept of it where there are several.
///
/// # Errors
/// When the line cannot be read, or what it says cannot be run.
pub fn carry_out(line: &str, threads: usize) -> Result<String, Problem> {
    sweep::here_by_line(line, threads).map_err(|wrong| Problem::new(wrong).hint("give the line of a run, in quotes"))
}

impl Laboratory for Lab {
    fn scenarios(&self) -> Vec<LabScenario> {
        SCENARIOS.iter().map(|scenario| described(scenario)).collect()
    }

    fn run(&self, request: LabRequest, hear: &mut dyn FnMut(LabEvent)) -> Result<LabReport, Problem> {
        let scenario = find(&request.scenario)?;
        let given = request.set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut params = scenario.params(given).map_err(|wrong| no_params(scenario, wrong))?;
        params.threads = request.threads.max(1);
        let run = scenario.execute(&params, &mut Ear(hear)).map_err(Problem::new)?;
        finish(run, request.out.as_deref(), None)
    }

    fn replay(&self, request: LabReplay, hear: &mut dyn FnMut(LabEvent)) -> Result<LabReport, Problem> {
        let line: Line = request
            .line
            .parse()
            .map_err(|wrong: String| Problem::new(wrong).hint("give the line as `hexad lab run` printed it, in quotes"))?;
        let scenario = find(&line.scenario)?;
        scenario.params(line.given()).map_err(|wrong| no_params(scenario, wrong))?;
        let replay = hexad_lab::replay(&line, SCENARIOS, request.threads.max(1), &mut Ear(hear)).map_err(Problem::new)?;
        let same = replay.expected.map(|_| replay.is_same());
        finish(replay.run, request.out.as_deref(), same)
    }

    fn test_claims(&self, request: LabClaimsRequest, hear: &mut dyn FnMut(LabEvent)) -> Result<Vec<LabVerdict>, Problem> {
        let wanted = |id: &str| request.only.is_empty() || request.only.iter().any(|only| only.eq_ignore_ascii_case(id));
        let mut scenarios = claims_of(&request.about);
        scenarios.retain(|scenario| scenario.claims.iter().any(|claim| wanted(claim.id)));
        let tested = claims_of("all");
        let is_tested = |id: &str| tested.iter().any(|scenario| scenario.claims.iter().any(|claim| claim.id == id));
        let about = |claim: &&claims::Known| request.about == "all" || request.about == claim.network;
        let absent: Vec<_> = claims::CLAIMS.iter().filter(about).filter(|claim| wanted(claim.id) && !is_tested(claim.id)).collect();
        if scenarios.is_empty() && absent.is_empty() {
            let known: Vec<&str> = tested.iter().flat_map(|scenario| scenario.claims).map(|claim| claim.id).collect();
            let known = if known.is_empty() { "no claim is registered".into() } else { format!("registered are {}", known.join(", ")) };
            return Err(Problem::new(format!("there is no claim to test about '{}'", request.about)).hint(known));
        }
        let size = if request.full { Size::Full } else { Size::Small };
        let shard = shard_of(request.shard.as_deref())?;
        let jobs = hexad_lab::claim_jobs(&scenarios, size, request.seeds, request.threads.max(1)).map_err(Problem::new)?;
        let swept = self.sweep(&jobs, shard, request.out.as_deref(), request.jobs, hear)?;
        if shard != Shard::WHOLE {
            return swept.failed.into_iter().next().map_or(Ok(Vec::new()), |(_, why)| Err(halted(why)));
        }
        let (mut verdicts, mut kept) = (Vec::new(), Vec::new());
        for scenario in scenarios {
            let source = |id: &str| scenario.claims.iter().find(|claim| claim.id == id).map_or("", |claim| claim.source);
            let first = verdicts.len();
            let mut line = String::new();
            let failed = swept.failed.iter().find(|(name, _)| *name == scenario.name);
            match failed.map_or_else(|| hexad_lab::judge(scenario, &swept.runs), |(_, why)| Err(why.clone())) {
                Ok(report) => {
                    let spoken = report.verdicts.iter().filter(|verdict| wanted(verdict.claim));
                    verdicts.extend(spoken.map(|verdict| judged(verdict, source(verdict.claim))));
                    for remark in report.remarks {
                        // A remark begins with the claim that it is about.
                        let about = |verdict: &&mut LabVerdict| remark.starts_with(&format!("{}:", verdict.claim));
                        if let Some(verdict) = verdicts[first..].iter_mut().find(about) {
                            verdict.remarks.push(remark);
                        }
                    }
                    let silent = report.silent.iter().filter(|id| wanted(id));
                    verdicts.extend(silent.map(|id| unmeasured(id, source(id), "the scenario found nothing about it".into(), false)));
                    line = report.lines.into_iter().next().unwrap_or_default();
                }
                Err(why) => {
                    let ids = scenario.claims.iter().filter(|claim| wanted(claim.id));
                    verdicts.extend(ids.map(|claim| unmeasured(claim.id, claim.source, why.clone(), false)));
                }
            }
            kept.extend(verdicts[first..].iter().map(|verdict| kept_verdict(verdict, &line)));
        }
        for claim in absent {
            let why = match claim.shown_by {
                Some(test) => format!("no scenario measures it, a test shows it ({test}): {}", claim.says),
                None => format!("no scenario measures it: {}", claim.says),
            };
            let verdict = unmeasured(claim.id, claim.source, why, true);
            let verdict = LabVerdict { expected: claim.expected.into(), ..verdict };
            kept.push(kept_verdict(&verdict, ""));
            verdicts.push(verdict);
        }
        if let Some(folder) = &request.out {
            hexad_lab::outputs::write_claims(folder, &kept).map_err(unwritable)?;
        }
        Ok(verdicts)
    }

    fn compare(&self, request: LabCompareRequest, hear: &mut dyn FnMut(LabEvent)) -> Result<LabComparison, Problem> {
        let question = request.question.as_deref().map(Question::read).transpose();
        let question = question.map_err(|wrong| Problem::new(wrong).hint("lab/examples/ has files that can be read"))?;
        let plan = question.as_ref().map_or_else(
            || Plan {
                networks: request.networks,
                nodes: request.nodes,
                sizes: request.sizes,
                seeds: request.seeds,
                first_seed: 1,
                set: request.set.into_iter().collect(),
            },
            |question| question.plan.clone(),
        );
        let jobs = plan.jobs().map_err(|wrong| Problem::new(wrong).hint("`hexad lab list compare/chord` says what can be set"))?;
        let shard = shard_of(request.shard.as_deref())?;
        let swept = self.sweep(&jobs, shard, request.out.as_deref(), request.jobs, hear)?;
        if let Some((_, why)) = swept.failed.into_iter().next() {
            return Err(halted(why));
        }
        let mut comparison = comparison::compare(&swept.runs);
        if let Some(question) = &question {
            comparison = question.show(comparison);
        }
        // A shard alone has nothing to report; whoever merges them has.
        let written = match &request.out {
            Some(folder) if shard == Shard::WHOLE => hexad_lab::outputs::write_report(folder).map_err(unwritable)?,
            _ => Vec::new(),
        };
        Ok(LabComparison {
            runs: comparison.runs,
            digest: format!("{:016x}", comparison.digest),
            tables: comparison.tables.into_iter().map(tabled).collect(),
            remarks: comparison.remarks,
            lines: comparison.lines,
            written,
        })
    }

    fn report(&self, folder: &Path) -> Result<Vec<PathBuf>, Problem> {
        hexad_lab::outputs::write_report(folder).map_err(|wrong| {
            Problem::new(wrong).hint("give a folder that `hexad lab compare --out` or `hexad lab claims --out` has written")
        })
    }

    fn merge(&self, from: &[PathBuf], into: &Path) -> Result<usize, Problem> {
        sweep::merge(from, into).map_err(|wrong| Problem::new(wrong).hint("give the folders that shards have written"))
    }
}

fn shard_of(given: Option<&str>) -> Result<Shard, Problem> {
    let shard = given.map_or(Ok(Shard::WHOLE), str::parse);
    shard.map_err(|wrong: String| Problem::new(wrong).hint("of four parts write 1/4, 2/4, 3/4 and 4/4"))
}

fn job_done(Done { line, kept, wall_s, done, of, left_s }: Done) -> LabEvent {
    LabEvent::Job { line, kept, wall_s, done, of, left_s }
}

fn halted(wrong: String) -> Problem {
    Problem::new(wrong).hint("what had ended by then is kept where --out was given; the same command goes on from there")
}

fn unwritable(wrong: String) -> Problem {
    Problem::new(wrong).hint("choose a folder that can be written to")
}

/// A verdict as a report finds it.
fn kept_verdict(verdict: &LabVerdict, line: &str) -> hexad_lab::outputs::Judged {
    hexad_lab::outputs::Judged {
        claim: verdict.claim.clone(),
        says: claims::find(&verdict.claim).map_or_else(|| verdict.row.clone(), |known| known.says.into()),
        source: verdict.source.clone(),
        from_memory: verdict.from_memory,
        row: verdict.row.clone(),
        expected: verdict.expected.clone(),
        tolerance: verdict.tolerance.clone(),
        measured: verdict.measured,
        interval: verdict.interval,
        seeds: verdict.seeds,
        verdict: if verdict.absent {
            "absent"
        } else if verdict.holds {
            "holds"
        } else {
            "FAILS"
        }
        .into(),
        line: line.into(),
        remarks: verdict.remarks.clone(),
    }
}

fn is_from_memory(id: &str) -> bool {
    claims::find(id).is_some_and(|claim| claim.from_memory)
}

/// Passes on how a run goes.
struct Ear<'a>(&'a mut dyn FnMut(LabEvent));

impl hexad_lab::Progress for Ear<'_> {
    fn on_scenario(&mut self, name: &str, seed: u64) {
        (self.0)(LabEvent::Scenario { name: format!("{name}, seed {seed}") });
    }

    fn on_phase(&mut self, name: &str) {
        (self.0)(LabEvent::Phase { name: name.into() });
    }

    fn on_step(&mut self, done: f64, events: u64) {
        (self.0)(LabEvent::Step { done, events });
    }
}

fn find(name: &str) -> Result<&'static Scenario, Problem> {
    hexad_lab::find(SCENARIOS, name).map_err(|wrong| Problem::new(wrong).hint("`hexad lab list` names them all"))
}

fn no_params(scenario: &Scenario, wrong: String) -> Problem {
    Problem::new(wrong).hint(format!("`hexad lab list {}` says what can be set", scenario.name))
}

fn described(scenario: &Scenario) -> LabScenario {
    let set = |name: &str, default: String, help: &str| LabParameter { name: name.into(), default, help: help.into() };
    let mut parameters =
        vec![set("nodes", scenario.nodes.to_string(), "how many nodes"), set("seed", "1".into(), "where all randomness comes from")];
    parameters.extend(scenario.parameters.iter().map(|given| set(given.name, given.default.value().to_string(), given.help)));
    LabScenario {
        name: scenario.name.into(),
        about: scenario.about.into(),
        parameters,
        claims: scenario.claims.iter().map(|claim| claim.id.into()).collect(),
    }
}

fn finish(run: Run, out: Option<&Path>, same: Option<bool>) -> Result<LabReport, Problem> {
    let written = match out {
        Some(folder) => hexad_lab::outputs::write(folder, &run)
            .map_err(|wrong| Problem::new(format!("{}: {wrong}", folder.display())).hint("choose a folder that can be written to"))?,
        None => Vec::new(),
    };
    let events_per_cpu_s = run.events_per_cpu_s();
    let phase = |phase: &hexad_lab::Phase| LabPhase {
        name: phase.name.clone(),
        events: phase.events,
        wall_s: phase.wall_s,
        cpu_s: phase.cpu_s,
        events_per_cpu_s: phase.events_per_cpu_s(),
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    let virtual_s = run.outcome.virtual_us as f64 / 1e6;
    Ok(LabReport {
        line: run.line,
        scenario: run.scenario,
        seed: run.seed,
        nodes: run.outcome.nodes,
        events: run.outcome.events,
        virtual_s,
        wall_s: run.wall_s,
        cpu_s: run.cpu_s,
        events_per_cpu_s,
        peak_memory_bytes: run.peak_memory_bytes,
        memory_before_bytes: run.memory_before_bytes,
        digest: format!("{:016x}", run.outcome.digest),
        phases: run.phases.iter().map(phase).collect(),
        tables: run.outcome.tables.into_iter().map(tabled).collect(),
        findings: run.outcome.findings.iter().map(found).collect(),
        remarks: run.outcome.remarks,
        written,
        same,
    })
}

fn tabled(table: Table) -> LabTable {
    let cell = |cell| match cell {
        Cell::Count(count) => LabCell::Count(count),
        Cell::Number(number) => LabCell::Number(number),
        Cell::Text(text) => LabCell::Text(text),
        Cell::Empty => LabCell::Empty,
    };
    LabTable {
        name: table.name,
        title: table.title,
        columns: table.columns.into_iter().map(|column| LabColumn { name: column.name, unit: column.unit }).collect(),
        rows: table.rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect(),
    }
}

fn found(finding: &Finding) -> LabVerdict {
    let (expected, tolerance) = finding.expected.words();
    LabVerdict {
        claim: finding.claim.to_string(),
        source: String::new(),
        row: finding.row.clone(),
        expected,
        tolerance,
        measured: Some(finding.measured),
        least: None,
        most: None,
        interval: 0.0,
        seeds: 1,
        holds: finding.holds(),
        absent: false,
        from_memory: is_from_memory(&finding.claim),
        remarks: Vec::new(),
    }
}

fn judged(verdict: &Verdict, source: &str) -> LabVerdict {
    let (expected, tolerance) = verdict.expected.words();
    LabVerdict {
        claim: verdict.claim.into(),
        source: source.into(),
        row: verdict.row.clone(),
        expected,
        tolerance,
        measured: Some(verdict.measured),
        least: Some(verdict.least),
        most: Some(verdict.most),
        interval: verdict.interval,
        seeds: verdict.seeds,
        holds: verdict.holds,
        absent: false,
        from_memory: is_from_memory(verdict.claim),
        remarks: Vec::new(),
    }
}

/// A claim of which nothing was measured is shown all the same.
fn unmeasured(id: &str, source: &str, why: String, absent: bool) -> LabVerdict {
    LabVerdict {
        claim: id.into(),
        source: source.into(),
        row: why,
        expected: String::new(),
        tolerance: String::new(),
        measured: None,
        least: None,
        most: None,
        interval: 0.0,
        seeds: 0,
        holds: false,
        absent,
        from_memory: is_from_memory(id),
        remarks: Vec::new(),
    }
}
