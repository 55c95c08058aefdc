//! `cargo xtask bench freenet`: five nodes of the release build, and a program that puts and gets by FCP.

use super::lab::release;
use crate::shell::{cargo, run};
use anyhow::Result;

/// Builds program and load for release and runs them.
///
/// # Errors
/// When one does not build, or what is put does not come back.
pub fn run_freenet() -> Result<()> {
    let hexad = release()?;
    run(cargo().args(["run", "--release", "--package", "hexad-daemon", "--example", "freenet_load", "--"]).arg(hexad))
}
