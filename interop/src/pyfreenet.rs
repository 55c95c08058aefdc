//! pyFreenet3, which speaks FCP: `pyfreenet.py` beside this file puts at one node and gets at another. It is on PyPI only, and lives in a folder
//! of its own below `target`, where `cargo xtask test` puts it.

use crate::{Net, Process};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

const SCRIPT: &str = include_str!("pyfreenet.py");

/// pyFreenet3 at work.
#[derive(Debug)]
pub struct PyFreenet;

impl PyFreenet {
    /// The Python that sees it; `None` when it is not here.
    #[must_use]
    pub fn python() -> Option<PathBuf> {
        let own = std::env::current_exe().ok()?;
        let mut folders = own.ancestors().map(|folder| folder.join("pyfreenet/bin/python"));
        folders.find(|python| python.is_file())
    }

    /// Puts at the node whose FCP port is the first, and gets at the other. It ends with status 0 when all came as it was put.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(net: &Net, ports: [u16; 2], logs: &Path) -> Result<Process> {
        let python = Self::python().context("pyFreenet3 is not here")?;
        let mut command = net.command(&python.to_string_lossy());
        command.args(["-c", SCRIPT]).args(ports.map(|port| port.to_string())).env("HOME", logs);
        Process::start(command, logs, "pyfreenet")
    }
}
