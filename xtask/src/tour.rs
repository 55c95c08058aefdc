//! `cargo xtask tour`: two real nodes and their pages in Chromium. A file is shared at one, found and fetched from the other, which is killed and
//! started again. What happens is in `web/e2e/nodes.test.mjs`; here are the program and the browser.

use crate::foreign;
use crate::shell::{cargo, find, root, run};
use crate::web;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// Do not install Chromium; use what is here.
    #[arg(long)]
    pub no_install: bool,
    /// Take the debug build as it is.
    #[arg(long)]
    pub no_build: bool,
}

/// Takes the tour.
///
/// # Errors
/// When the program does not build or something is not as it should be; with CI=true also when npm or Chromium is missing.
pub fn take(arguments: &Arguments) -> Result<()> {
    let missing = if find("npm").is_none() {
        Some("npm (node 20.19 or later brings it)")
    } else if !foreign::browser(!arguments.no_install) {
        Some("chromium")
    } else {
        None
    };
    if let Some(missing) = missing {
        if foreign::ci() {
            bail!("{missing} is missing: two nodes cannot be tried");
        }
        eprintln!("xtask: MISSING {missing}; two nodes are not tried");
        return Ok(());
    }
    if !arguments.no_build {
        run(cargo().args(["build", "--package", "hexad-cli", "--bin", "hexad"]))?;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join("debug").join("hexad");
    let program = program.canonicalize().with_context(|| format!("{} is not built", program.display()))?;
    web::have_tools()?;
    run(web::npm(&["run", "tour"]).env("HEXAD_BIN", program))
}
