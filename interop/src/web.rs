//! A plain web server with ranges, which knows nothing of BitTorrent: `web.py` beside this file.

use crate::{Net, Process};
use anyhow::Result;
use std::net::SocketAddrV4;
use std::path::Path;
use std::time::Duration;

const SCRIPT: &str = include_str!("web.py");

/// A web server for one folder.
#[derive(Debug)]
pub struct Web {
    process: Process,
}

impl Web {
    /// Serves `folder` at `at`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn serve(net: &Net, at: SocketAddrV4, folder: &Path, logs: &Path) -> Result<Self> {
        let mut command = net.command("python3");
        command.args(["-c", SCRIPT, &at.ip().to_string(), &at.port().to_string()]).arg(folder);
        let mut process = Process::start(command, logs, "web")?;
        process.hear(Duration::from_secs(20), "ready", |said| said.starts_with("ready").then_some(()))?;
        Ok(Self { process })
    }

    /// Bytes of files in the answers that were taken whole: to those who wanted a part, and to those who wanted it all.
    #[must_use]
    pub fn sent_bytes(&self) -> (u64, u64) {
        let bytes = |status: &str| {
            let said = self.process.said();
            said.lines().filter_map(|line| line.strip_prefix(status)?.trim().parse::<u64>().ok()).sum()
        };
        (bytes("206"), bytes("200"))
    }
}
