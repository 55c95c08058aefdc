//! The server in a process of its own: the shipping state machine in the shipping host.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use hexad_core::{OpId, Operation, Progress};
use hexad_driver::Nothing;
use hexad_driver::host::{Host, HostConfig, HostEvent};
use hexad_napster::{Napster, Reply, Request, ServerConfig};

/// Serves on loopback until stdin ends. Says its address on stdout.
pub fn serve() {
    let server = ServerConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        connections_max: usize::MAX,
        address_connections_max: u32::MAX,
        searches_per_minute: 0,
        ..ServerConfig::default()
    };
    let host = HostConfig { connections_max: 20_000, ..HostConfig::default() };
    let (handle, mut events) = Host::<Napster>::start(server.into(), host, Arc::new(Nothing), Arc::new(Nothing));
    handle.start(OpId(1), Operation::Own(Request::Serve));
    while let Some(event) = events.blocking_recv() {
        match event {
            HostEvent::Report(_, Progress::Own(Reply::Serving(address))) => {
                println!("{address}");
                break;
            }
            HostEvent::Report(_, Progress::Failed(failure)) => {
                eprintln!("cannot serve: {failure}");
                std::process::exit(1);
            }
            _ => {}
        }
    }
    let _ = io::stdout().flush();
    // Whoever started us holds the other end.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    handle.kill();
}

/// The server's process.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts it, on one core when that is wanted.
    pub fn start(core: Option<&str>) -> io::Result<Self> {
        let own = std::env::current_exe()?;
        let mut command = match core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", core]).arg(own);
                command
            }
            None => Command::new(own),
        };
        let mut child = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let address = line.trim().parse().map_err(|_| io::Error::other("the server does not say where it is"))?;
        Ok(Self { child, address })
    }

    /// What of its memory is in RAM.
    pub fn resident_bytes(&self) -> io::Result<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<usize>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// CPU seconds of all its threads, in steps of 10 ms.
    pub fn cpu_s(&self) -> io::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Fields 14 and 15; the name, field 2, is in brackets.
        let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        Ok(ticks.filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
