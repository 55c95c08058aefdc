//! `cargo xtask bench lab`: what the lab costs at 10^4, 10^5 and 10^6 nodes, each in a process of its own so that memory is its own.

use crate::shell::{cargo, root, run};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is timed when nobody says which, as far as the program has it.
const PREFERRED: [&str; 2] = ["chord", "lab/hops"];

#[derive(Args)]
pub struct Wishes {
    /// Which scenarios; Chord and the lab's own toy when not given.
    #[arg(long)]
    scenario: Vec<String>,
    /// How many nodes; may be repeated.
    #[arg(long, default_values_t = [10_000, 100_000, 1_000_000])]
    nodes: Vec<u32>,
    /// Parameters passed on, KEY=VALUE; may be repeated.
    #[arg(long)]
    set: Vec<String>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// Builds the program for release; returns where it is.
pub fn release() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--package", "hexad-cli", "--bin", "hexad"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release").join("hexad"))
}

/// Times the lab and prints a table.
///
/// # Errors
/// When the release build or a run fails.
pub fn run_lab(wishes: &Wishes) -> Result<()> {
    let hexad = release()?;
    let scenarios = if wishes.scenario.is_empty() { preferred(&hexad)? } else { wishes.scenario.clone() };
    println!("| scenario | nodes | set-up s | steady events | events per CPU second | peak MiB | bytes per node | digest |");
    println!("|---|---:|---:|---:|---:|---:|---:|---|");
    for scenario in &scenarios {
        for nodes in &wishes.nodes {
            let mut command = Command::new(&hexad);
            command.args(["lab", "run", scenario, "--json", "--nodes", &nodes.to_string(), "--threads", &wishes.threads.to_string()]);
            command.args(wishes.set.iter().flat_map(|set| ["--set", set]));
            let report = read(&mut command)?;
            println!("{}", row(scenario, *nodes, &report)?);
        }
    }
    Ok(())
}

/// The scenarios of [`PREFERRED`] that this program has.
fn preferred(hexad: &Path) -> Result<Vec<String>> {
    let listed = Command::new(hexad).args(["lab", "list", "--json"]).output().context("hexad lab list")?;
    let names: Vec<String> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?.get("name")?.as_str().map(str::to_owned))
        .collect();
    let found = PREFERRED.iter().filter(|name| names.iter().any(|known| known == *name)).map(|&name| name.to_owned()).collect();
    Ok(found)
}

fn read(command: &mut Command) -> Result<Value> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start hexad")?;
    if !output.status.success() {
        bail!("hexad lab run: {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("hexad lab run --json")
}

fn row(scenario: &str, nodes: u32, report: &Value) -> Result<String> {
    let phases = report["phases"].as_array().context("a report has phases")?;
    let number = |value: &Value, name: &str| value[name].as_f64().unwrap_or(0.0);
    // The steady phase is the one with the most events; what comes before it is set-up.
    let events = |phase: &Value| phase["events"].as_u64().unwrap_or(0);
    let steady = (0..phases.len()).max_by_key(|&index| events(&phases[index])).context("a report has a phase")?;
    let setup: f64 = phases[..steady].iter().map(|phase| number(phase, "wall_s")).sum();
    let peak = number(report, "peak_memory_bytes");
    let each = (peak - number(report, "memory_before_bytes")) / f64::from(nodes);
    Ok(format!(
        "| {scenario} | {nodes} | {setup:.2} | {} | {:.0} | {:.0} | {each:.0} | {} |",
        events(&phases[steady]),
        number(&phases[steady], "events_per_cpu_s"),
        peak / f64::from(1 << 20),
        report["digest"].as_str().unwrap_or("?")
    ))
}
