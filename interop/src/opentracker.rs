//! opentracker, as Debian builds it: it serves only the info hashes of its whitelist, and wants root so that it can give it up.

use crate::{Net, Process, until};
use anyhow::{Result, ensure};
use std::net::SocketAddrV4;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Starts it at `at`, HTTP and UDP, for these info hashes (hex).
///
/// # Errors
/// When it does not come up.
pub fn start(net: &Net, at: SocketAddrV4, info_hashes: &[&str], logs: &Path) -> Result<Process> {
    let jail = logs.join("opentracker");
    std::fs::create_dir_all(&jail)?;
    std::fs::set_permissions(&jail, std::fs::Permissions::from_mode(0o755))?;
    let whitelist = jail.join("whitelist");
    std::fs::write(&whitelist, info_hashes.iter().map(|hash| format!("{hash}\n")).collect::<String>())?;
    std::fs::set_permissions(&whitelist, std::fs::Permissions::from_mode(0o644))?;
    let (ip, port) = (at.ip().to_string(), at.port().to_string());
    let mut command = net.command("opentracker");
    // The whitelist's name is read after the change of root.
    command.args(["-i", &ip, "-p", &port, "-P", &port, "-w", "/whitelist", "-d"]).arg(&jail);
    let mut process = Process::start(command, logs, "tracker")?;
    await_doors(net, at, &mut process)?;
    Ok(process)
}

/// Waits until the tracker at `at` knows a seed of this info hash (hex).
///
/// # Errors
/// When it does not within `limit`.
pub fn await_seed(net: &Net, at: SocketAddrV4, info_hash: &str, limit: Duration) -> Result<()> {
    let escaped: String = info_hash.as_bytes().chunks(2).map(|pair| format!("%{}", String::from_utf8_lossy(pair))).collect();
    let ask =
        format!("exec 3<>/dev/tcp/{}/{}; printf '%s\\r\\n' 'GET /scrape?info_hash={escaped} HTTP/1.0' '' >&3; cat <&3", at.ip(), at.port());
    until(limit, "the tracker knows a seed", || {
        let said = net.command("bash").args(["-c", &ask]).output()?.stdout;
        Ok((!String::from_utf8_lossy(&said).contains("8:completei0e") && !said.is_empty()).then_some(()))
    })
}

/// Waits until a tracker answers at `at`, both HTTP and UDP.
pub(crate) fn await_doors(net: &Net, at: SocketAddrV4, process: &mut Process) -> Result<()> {
    until(Duration::from_secs(10), "the tracker listens", || {
        ensure!(process.ended()?.is_none(), "the tracker ended");
        Ok((net.listens(at) && net.hears(at)).then_some(()))
    })
}
