//! A server, in this process or in one of its own that can be killed, and a bare client.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hexad_core::{OpId, Operation, Progress};
use hexad_driver::Nothing;
use hexad_driver::host::{Handle, Host, HostConfig, HostEvent};
use hexad_napster::{Config, Napster, Reply, Request, ServerConfig};
use rustix::net::{AddressFamily, SocketType};

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Names the folder in which the child keeps its state.
pub const CHILD: &str = "HEXAD_TEST_NAPSTER_SERVER";
/// Says where it listens.
const LISTEN: &str = "HEXAD_TEST_NAPSTER_LISTEN";

pub fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A server in this process.
pub struct House {
    pub handle: Handle<Napster>,
    pub address: SocketAddr,
}

impl House {
    pub fn new(server: ServerConfig, host: HostConfig) -> Self {
        let config = Config::from(server);
        let (handle, mut events) = Host::<Napster>::start(config, host, Arc::new(Nothing), Arc::new(Nothing));
        handle.start(OpId(1), Operation::Own(Request::Serve));
        let address = loop {
            match events.blocking_recv() {
                Some(HostEvent::Report(_, Progress::Own(Reply::Serving(address)))) => break address,
                Some(HostEvent::Report(_, Progress::Failed(failure))) => panic!("cannot serve: {failure}"),
                Some(_) => {}
                None => panic!("the host has ended"),
            }
        };
        Self { handle, address }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.handle.kill();
    }
}

/// What the child does: serves until its stdin ends, or it is killed.
#[test]
#[ignore = "run by the tests of this file, as a process of its own"]
fn child() {
    let Some(home) = std::env::var_os(CHILD) else { return };
    let host = HostConfig { state_dir: Some(home.into()), connections_max: usize::MAX, ..HostConfig::default() };
    let listen = std::env::var(LISTEN).unwrap().parse().unwrap();
    let server = ServerConfig { listen, address_connections_max: u32::MAX, motd: vec!["welcome".into()], ..ServerConfig::default() };
    let house = House::new(server, host);
    println!("serving at {}", house.address);
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

/// A server in a process of its own.
pub struct Neighbour {
    child: Child,
    _stdin: ChildStdin,
    pub address: SocketAddr,
}

impl Neighbour {
    pub fn start(home: &Path) -> Self {
        Self::start_at(home, loopback())
    }

    pub fn start_at(home: &Path, listen: SocketAddr) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "house::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(CHILD, home)
            .env(LISTEN, listen.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().split_once("serving at ")?.1.parse().ok()).expect("the child serves");
        let stdin = child.stdin.take().unwrap();
        Self { child, _stdin: stdin, address }
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What of its memory is in RAM.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client that says numbers and text.
pub struct Bare {
    pub stream: TcpStream,
}

impl Bare {
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    /// From another address of this machine.
    pub fn connect_from(last: u8, address: SocketAddr) -> Self {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0)).unwrap();
        rustix::net::connect(&socket, &address).unwrap();
        Self::of(socket.into())
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    pub fn joined(address: SocketAddr, nick: &str) -> Self {
        let mut bare = Self::connect(address);
        bare.say(2, format!("{nick} guest 6699 \"bare 1\" 4"));
        bare.hears(3);
        bare
    }

    pub fn say(&mut self, number: u16, data: impl AsRef<[u8]>) {
        self.stream.write_all(&framed(number, data.as_ref())).unwrap();
    }

    /// The next message; `None` when the connection is over.
    pub fn hear(&mut self) -> Option<(u16, String)> {
        let mut head = [0; 4];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => return None,
            Err(error) => panic!("{error}"),
        }
        let mut data = vec![0; usize::from(u16::from_le_bytes([head[0], head[1]]))];
        self.stream.read_exact(&mut data).ok()?;
        Some((u16::from_le_bytes([head[2], head[3]]), String::from_utf8_lossy(&data).into_owned()))
    }

    /// The first message of that number.
    pub fn hears(&mut self, number: u16) -> String {
        loop {
            let (came, data) = self.hear().unwrap_or_else(|| panic!("the connection ended before a {number} came"));
            if came == number {
                return data;
            }
        }
    }

    /// Everything until the server closes.
    pub fn hears_out(&mut self) -> Vec<(u16, String)> {
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// Whether the server answers.
    pub fn is_served(&mut self) -> bool {
        self.say(750, "");
        !self.hears(750).is_empty()
    }
}

pub fn framed(number: u16, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 4);
    out.extend_from_slice(&u16::try_from(data.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(data);
    out
}
