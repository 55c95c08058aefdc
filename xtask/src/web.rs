//! `cargo xtask web`: the page in `web/`. Types, tests, and that the committed output is what the sources build to; then what people do
//! with it, in Chromium against the mock. Needs node and npm of their own accord, since Debian's are too old for its tools.

use crate::foreign;
use crate::shell::{find, root, run};
use anyhow::{Context, Result, bail};
use std::process::Command;

#[derive(clap::Args)]
pub struct Arguments {
    /// Do not install Chromium; use what is here.
    #[arg(long)]
    pub no_install: bool,
}

/// Checks, tests and builds the page.
///
/// # Errors
/// When a step fails, or the build differs from what is committed; with CI=true also when npm or Chromium is missing.
pub fn run_all(arguments: &Arguments) -> Result<()> {
    if find("npm").is_none() {
        if foreign::ci() {
            bail!("npm is missing: the page cannot be tested (node 20.19 or later brings it)");
        }
        eprintln!("xtask: MISSING npm (node 20.19 or later brings it); the page is not tested");
        return Ok(());
    }
    run(&mut npm(&["ci", "--no-audit", "--no-fund"]))?;
    run(&mut npm(&["run", "check"]))?;
    run(&mut npm(&["test"]))?;
    run(&mut npm(&["run", "build"]))?;
    as_committed()?;
    if foreign::browser(!arguments.no_install) {
        return run(&mut npm(&["run", "e2e"]));
    }
    if foreign::ci() {
        bail!("chromium is missing: the page cannot be tried");
    }
    eprintln!("xtask: MISSING chromium; the page is tested and not tried");
    Ok(())
}

/// Gets what the page's scripts need, where that is not here yet.
///
/// # Errors
/// When npm does not get it.
pub fn have_tools() -> Result<()> {
    if root().join("web/node_modules/playwright-core").is_dir() {
        return Ok(());
    }
    run(&mut npm(&["ci", "--no-audit", "--no-fund"]))
}

/// npm in the page's folder.
pub fn npm(words: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(root().join("web")).args(words);
    npm
}

/// The daemon embeds what is committed, so that building it needs no node; a change of the page comes with its build.
fn as_committed() -> Result<()> {
    run(git().args(["diff", "--exit-code", "--stat", "--", "web/dist"]))
        .context("web/dist is not what web/ builds to: commit the build too (npm run build)")?;
    let strangers = git().args(["ls-files", "--others", "--exclude-standard", "--", "web/dist"]).output()?;
    if !strangers.stdout.is_empty() {
        bail!("files of the build are not committed: {}", String::from_utf8_lossy(&strangers.stdout).trim());
    }
    Ok(())
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.current_dir(root());
    git
}
