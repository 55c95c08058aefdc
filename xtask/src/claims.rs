//! `cargo xtask claims`: tests what is claimed about networks in the lab and prints expected, measured, tolerance, verdict and seeds.

use crate::bench::release;
use crate::shell::run;
use anyhow::Result;
use clap::ValueEnum;
use std::process::Command;

#[derive(clap::Args)]
pub struct Arguments {
    /// A network, a scenario, or all.
    #[arg(default_value = "all")]
    about: String,
    /// How much to spend.
    #[arg(long, value_enum, default_value_t = Size::Small)]
    size: Size,
    /// Only this claim; may be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// How many seeds, in place of what scenarios say.
    #[arg(long)]
    seeds: Option<u32>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Size {
    /// Seconds.
    Small,
    /// As much as the figures need.
    Full,
}

/// Tests the claims with the release build.
///
/// # Errors
/// When the build fails or a claim does not hold.
pub fn run_claims(arguments: &Arguments) -> Result<()> {
    let mut command = Command::new(release()?);
    command.args(["lab", "claims", &arguments.about, "--threads", &arguments.threads.to_string()]);
    if arguments.size == Size::Full {
        command.arg("--full");
    }
    command.args(arguments.only.iter().flat_map(|id| ["--only", id]));
    if let Some(seeds) = arguments.seeds {
        command.args(["--seeds", &seeds.to_string()]);
    }
    run(&mut command)
}
