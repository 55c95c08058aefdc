//! `cargo xtask bench napster`: what one index server carries, by a load generator of our own over real sockets: the server on one core, all its
//! users on another.

use crate::shell::{cargo, find, root, run};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::process::Command;

#[derive(Args)]
pub struct Wishes {
    /// Users, each with a connection.
    #[arg(long, default_value_t = 10_000)]
    users: usize,
    /// Files of all users together.
    #[arg(long, default_value_t = 1_000_000)]
    files: usize,
    /// Users who search at the same time.
    #[arg(long, default_value_t = 128)]
    searchers: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// The server's core.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the users.
    #[arg(long, default_value_t = 1)]
    users_core: usize,
    /// Leave it to the system what runs where.
    #[arg(long)]
    any_core: bool,
}

/// Builds the load generator for release and runs it.
///
/// # Errors
/// When it does not build, or the server does not bear the load.
pub fn run_napster(wishes: &Wishes) -> Result<()> {
    run(cargo().args(["build", "--release", "--package", "hexad-conformance", "--example", "napster_load"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join("release").join("examples").join("napster_load");
    let pins = !wishes.any_core && find("taskset").is_some();
    let mut command = if pins {
        let mut command = Command::new("taskset");
        command.args(["-c", &wishes.users_core.to_string()]).arg(program).args(["--server-core", &wishes.server_core.to_string()]);
        command
    } else {
        eprintln!("xtask: the system decides what runs where");
        Command::new(program)
    };
    command.args(["--users", &wishes.users.to_string(), "--files", &wishes.files.to_string()]);
    command.args(["--searchers", &wishes.searchers.to_string(), "--seconds", &wishes.seconds.to_string()]);
    run(&mut command)
}
