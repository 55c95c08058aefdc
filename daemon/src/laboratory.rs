//! The lab in the session's words.

use std::path::Path;

use hexad_api::{
    LabCell, LabClaimsRequest, LabColumn, LabEvent, LabParameter, LabPhase, LabReplay, LabReport, LabRequest, LabScenario, LabTable,
    LabVerdict, Laboratory, Problem,
};
use hexad_lab::scenarios::{SCENARIOS, claims_of};
use hexad_lab::{Cell, Finding, Line, Run, Scenario, Size, Table, Verdict};

/// Runs the scenarios that the lab names.
pub struct Lab;

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
        if scenarios.is_empty() {
            let known: Vec<&str> = claims_of("all").iter().flat_map(|scenario| scenario.claims).map(|claim| claim.id).collect();
            let known = if known.is_empty() { "no claim is registered".into() } else { format!("registered are {}", known.join(", ")) };
            return Err(Problem::new(format!("there is no claim to test about '{}'", request.about)).hint(known));
        }
        let size = if request.full { Size::Full } else { Size::Small };
        let mut verdicts = Vec::new();
        for scenario in scenarios {
            let report = hexad_lab::test_claims(scenario, size, request.seeds, request.threads.max(1), &mut Ear(hear))
                .map_err(|wrong| Problem::new(format!("{}: {wrong}", scenario.name)))?;
            let source = |id: &str| scenario.claims.iter().find(|claim| claim.id == id).map_or("", |claim| claim.source);
            let spoken = report.verdicts.iter().filter(|verdict| wanted(verdict.claim));
            let first = verdicts.len();
            verdicts.extend(spoken.map(|verdict| judged(verdict, source(verdict.claim))));
            for remark in report.remarks {
                // A remark begins with the claim that it is about.
                let about = |verdict: &&mut LabVerdict| remark.starts_with(&format!("{}:", verdict.claim));
                if let Some(verdict) = verdicts[first..].iter_mut().find(about) {
                    verdict.remarks.push(remark);
                }
            }
            verdicts.extend(report.silent.iter().filter(|id| wanted(id)).map(|id| silence(id, source(id))));
        }
        Ok(verdicts)
    }
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
        claim: finding.claim.into(),
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
        measured: Some(verdict.mean),
        least: Some(verdict.least),
        most: Some(verdict.most),
        interval: verdict.interval,
        seeds: verdict.seeds,
        holds: verdict.holds,
        remarks: Vec::new(),
    }
}

/// A claim of which its scenario said nothing is not shown.
fn silence(id: &str, source: &str) -> LabVerdict {
    LabVerdict {
        claim: id.into(),
        source: source.into(),
        row: "the scenario found nothing about it".into(),
        expected: String::new(),
        tolerance: String::new(),
        measured: None,
        least: None,
        most: None,
        interval: 0.0,
        seeds: 0,
        holds: false,
        remarks: Vec::new(),
    }
}
