//! `cargo xtask ci`: every stage of CI, in the order of how soon it tells something, with the time that each took. A failing stage
//! does not hide what the later ones have to say.

use crate::shell::{cargo, find, root, run, succeeds};
use crate::web;
use crate::{test, tour};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Old enough releases stumble over this workspace's lock file or edition, so the one that is known to read it is named.
const CARGO_DENY: &str = "0.20.2";

#[derive(clap::Args)]
pub struct Arguments {
    /// Do not install foreign programs; use what is here.
    #[arg(long)]
    no_install: bool,
}

/// Runs all stages.
///
/// # Errors
/// When at least one of them failed; names them.
pub fn run_all(arguments: &Arguments) -> Result<()> {
    let tests = test::Arguments { no_install: arguments.no_install, arguments: vec!["--no-fail-fast".to_owned()] };
    let page = web::Arguments { no_install: arguments.no_install };
    // The tests have built the program.
    let nodes = tour::Arguments { no_install: arguments.no_install, no_build: true };
    let stages: [(&str, &dyn Fn() -> Result<()>); 7] = [
        ("fmt", &|| run(cargo().args(["fmt", "--all", "--check"]))),
        ("clippy", &|| run(cargo().args(["clippy", "--workspace", "--all-targets", "--keep-going", "--", "-D", "warnings"]))),
        ("install cargo-deny", &|| cargo_deny().map(drop)),
        ("deny", &|| run(Command::new(cargo_deny()?).current_dir(root()).args(["check", "licenses", "bans", "sources"]))),
        ("web", &|| web::run_all(&page)),
        ("test", &|| test::run(&tests)),
        ("tour", &|| tour::take(&nodes)),
    ];
    let mut taken: Vec<(&str, Duration, bool)> = Vec::new();
    for (name, stage) in stages {
        eprintln!("xtask: ── {name}");
        let began = Instant::now();
        let outcome = stage();
        if let Err(error) = &outcome {
            eprintln!("xtask: {name} failed: {error:#}");
        }
        taken.push((name, began.elapsed(), outcome.is_ok()));
    }
    eprintln!("xtask: ── time taken");
    for (name, time, ok) in &taken {
        eprintln!("xtask: {:>7.1} s  {name}{}", time.as_secs_f64(), if *ok { "" } else { "  FAILED" });
    }
    eprintln!("xtask: {:>7.1} s  all", taken.iter().map(|(_, time, _)| time.as_secs_f64()).sum::<f64>());
    let failed: Vec<&str> = taken.iter().filter(|(_, _, ok)| !ok).map(|(name, ..)| *name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// The cargo-deny to use: ours in `target/tools`, or the one on PATH if it is of that release, or built from crates.io without
/// optimisation (a minute on two cores; the check itself takes two seconds either way).
fn cargo_deny() -> Result<PathBuf> {
    let tools = root().join("target").join("tools");
    let ours = tools.join("bin").join("cargo-deny");
    if ours.is_file() && is_wanted(&ours) {
        return Ok(ours);
    }
    if let Some(found) = find("cargo-deny").filter(is_wanted) {
        return Ok(found);
    }
    let build = tools.join("build");
    let mut install = cargo();
    install
        .envs([
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
            ("CARGO_PROFILE_RELEASE_LTO", "off"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256"),
            ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
        ])
        .args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--no-default-features", "--force", "--root"])
        .arg(&tools)
        .arg("--target-dir")
        .arg(&build);
    run(&mut install)?;
    let _ = std::fs::remove_dir_all(&build);
    Ok(ours)
}

fn is_wanted(program: &PathBuf) -> bool {
    let script = format!("test \"$(\"$0\" --version)\" = 'cargo-deny {CARGO_DENY}'");
    succeeds(Command::new("sh").arg("-c").arg(script).arg(program))
}
