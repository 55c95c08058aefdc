//! A network namespace of its own.

use crate::holder::Holder;
use anyhow::{Context, Result, ensure};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

const PREPARE: &str = "ip link set lo up && ip addr add 10.77.0.1/16 dev lo";

/// A network namespace with 10.77.0.0/16 on its loopback device and no way out.
#[derive(Debug)]
pub struct Net {
    holder: Holder,
    last: AtomicU8,
}

impl Net {
    /// Makes a namespace.
    ///
    /// # Errors
    /// Without root and without unprivileged user namespaces, or without iproute2 and util-linux.
    pub fn new() -> Result<Self> {
        let holder =
            Holder::of("--net", PREPARE).context("no network namespace: needs root or unprivileged user namespaces, and iproute2")?;
        Ok(Self { holder, last: AtomicU8::new(1) })
    }

    /// True when this machine lets us make one.
    #[must_use]
    pub fn possible() -> bool {
        static POSSIBLE: OnceLock<bool> = OnceLock::new();
        *POSSIBLE.get_or_init(|| Self::new().is_ok())
    }

    /// An address that nobody in this namespace has yet.
    ///
    /// # Panics
    /// After 250 of them.
    pub fn address(&self) -> Ipv4Addr {
        let host = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(host < 250, "out of addresses");
        Ipv4Addr::new(10, 77, 0, host)
    }

    /// `program`, to be started inside; killed with the thread that starts it.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--net").arg("--target").arg(self.holder.id());
        command.args(["setpriv", "--pdeathsig", "KILL", program]);
        command
    }

    /// Lays a cable called `name` to another namespace: we have `10.88.SUBNET.1` at this end, they `10.88.SUBNET.2` at the other. No IPv6, so that the
    /// system itself says nothing on it.
    ///
    /// # Errors
    /// Without root.
    pub fn link(&self, other: &Self, name: &str, subnet: u8) -> Result<()> {
        let holder = other.holder.id();
        self.run("ip", &["link", "add", name, "type", "veth", "peer", "name", name, "netns", &holder])?;
        for (net, host) in [(self, 1), (other, 2)] {
            net.run("sh", &["-c", &format!("echo 1 > /proc/sys/net/ipv6/conf/{name}/disable_ipv6")])?;
            net.run("ip", &["addr", "add", &format!("10.88.{subnet}.{host}/24"), "dev", name])?;
            net.run("ip", &["link", "set", name, "up"])?;
        }
        Ok(())
    }

    /// Runs a program inside to its end.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let output = self.command(program).args(arguments).output()?;
        ensure!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Packets that have left by a network device, of whatever kind.
    #[must_use]
    pub fn sent_packets(&self, device: &str) -> u64 {
        let table = self.proc("net/dev");
        let line = table.lines().find_map(|line| line.trim().strip_prefix(device)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().nth(9)?.parse().ok()).unwrap_or(0)
    }

    /// True when somebody inside listens on this TCP address, or on the same port of the unspecified address.
    #[must_use]
    pub fn listens(&self, address: SocketAddrV4) -> bool {
        let listening = "0A";
        self.sockets("tcp").iter().any(|(local, state)| is_at(*local, address) && state == listening)
    }

    /// True when a TCP connection is open that somebody inside has accepted, or made, at this address.
    #[must_use]
    pub fn is_connected(&self, address: SocketAddrV4) -> bool {
        let established = "01";
        self.sockets("tcp").iter().any(|(local, state)| is_at(*local, address) && state == established)
    }

    /// True when somebody inside has bound this UDP address, or the same port of the unspecified address.
    #[must_use]
    pub fn hears(&self, address: SocketAddrV4) -> bool {
        self.sockets("udp").iter().any(|(local, _)| is_at(*local, address))
    }

    /// Bytes that went over the loopback device, in all; packet headers count.
    #[must_use]
    pub fn moved_bytes(&self) -> u64 {
        let table = self.proc("net/dev");
        let received = table.lines().find_map(|line| line.trim().strip_prefix("lo:")?.split_whitespace().next()?.parse().ok());
        received.unwrap_or(0)
    }

    /// Datagrams of UDP that have been sent inside, in all.
    #[must_use]
    pub fn sent_datagrams(&self) -> u64 {
        let table = self.proc("net/snmp");
        let mut lines = table.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let (names, counts) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let sent = names.split(' ').zip(counts.split(' ')).find(|(name, _)| *name == "OutDatagrams");
        sent.and_then(|(_, count)| count.parse().ok()).unwrap_or(0)
    }

    /// The process that holds it, for programs that name a namespace so.
    pub(crate) fn holder(&self) -> String {
        self.holder.id()
    }

    /// What the kernel says of this namespace in a file below /proc/PID.
    pub(crate) fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.holder.id())).unwrap_or_default()
    }

    fn sockets(&self, protocol: &str) -> Vec<(SocketAddr, String)> {
        let read = |suffix: &str| self.proc(&format!("net/{protocol}{suffix}"));
        [read(""), read("6")].iter().flat_map(|table| table.lines().skip(1)).filter_map(socket).collect()
    }
}

/// Whether we may lay cables between namespaces.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn is_at(local: SocketAddr, wanted: SocketAddrV4) -> bool {
    let here = match local.ip() {
        std::net::IpAddr::V4(ip) => ip == *wanted.ip() || ip.is_unspecified(),
        std::net::IpAddr::V6(ip) => ip.is_unspecified() || ip.to_ipv4_mapped() == Some(*wanted.ip()),
    };
    here && local.port() == wanted.port()
}

/// One line of /proc/PID/net/tcp: address (in the machine's byte order, 32 bits at a time) and state.
fn socket(line: &str) -> Option<(SocketAddr, String)> {
    let mut words = line.split_whitespace().skip(1);
    let (ip, port) = words.next()?.split_once(':')?;
    let state = words.nth(1)?.to_owned();
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for chunk in ip.as_bytes().chunks(8) {
        bytes.extend(u32::from_str_radix(std::str::from_utf8(chunk).ok()?, 16).ok()?.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        16 => <[u8; 16]>::try_from(bytes).ok()?.into(),
        _ => return None,
    };
    Some((SocketAddr::new(ip, port), state))
}
