//! `cargo xtask test`: the one test command. Gets the foreign programs, builds the program under test, runs every test.

use crate::foreign;
use crate::shell;
use anyhow::Result;

#[derive(clap::Args)]
pub struct Arguments {
    /// Do not install foreign programs; use what is here.
    #[arg(long)]
    pub no_install: bool,
    /// Passed on to `cargo test --workspace`, for example a test's name or `-p hexad-core`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// Runs every test.
///
/// # Errors
/// When something does not build or a test fails.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.no_install {
        foreign::say_missing(&foreign::missing());
    } else {
        foreign::install();
    }
    let names_packages = arguments.arguments.iter().any(|word| word == "-p" || word.starts_with("--package"));
    if names_packages {
        shell::run(shell::cargo().args(["build", "--package", "hexad-cli", "--bin", "hexad"]))?;
    } else {
        // With the tests of the program comes the program. Building it by itself would build some dependencies twice, as tests want more of them.
        shell::run(shell::cargo().args(["test", "--workspace", "--no-run"]))?;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell::root().join("target"), Into::into);
    let mut test = shell::cargo();
    // The whole workspace in one `cargo test`, not nextest: several tests share a world that takes seconds to play, once per process.
    test.env("HEXAD_BIN", target.join("debug").join("hexad")).arg("test");
    if !names_packages {
        test.arg("--workspace");
    }
    shell::run(test.args(&arguments.arguments))
}
