//! Which addresses may be reached, and how names become addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::name_servers::NameServers;

/// How long looking up a name may take.
pub(crate) const RESOLVE_DEADLINE: Duration = Duration::from_secs(10);

/// Whether an address lies on this machine or in a network that is not reachable from everywhere.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

/// The same place, an IPv4 address in IPv6 clothes as IPv4. The interface of a link-local address stays with it.
pub(crate) fn canonical(socket: SocketAddr) -> SocketAddr {
    match socket.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, socket.port()),
        IpAddr::V6(_) => socket,
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    // 100.64/10 is what providers hand out behind their own translators (RFC 6598).
    let shared = a == 100 && (64..128).contains(&b);
    ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_broadcast() || a == 0 || shared
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local()
}

/// Who looks names up.
#[derive(Clone, Debug)]
enum Who {
    /// The system: each name takes a blocking thread, and some must be left for reading from disks.
    System,
    /// Name servers, over one interface.
    Servers(Arc<NameServers>),
}

/// Looks names up, a few at a time.
#[derive(Clone, Debug)]
pub(crate) struct Names(Option<(Arc<Semaphore>, Who)>);

impl Names {
    /// Over `interface`, where one is named.
    pub(crate) fn new(at_a_time: usize, interface: Option<&str>) -> Self {
        let who = interface.map_or(Who::System, |interface| Who::Servers(Arc::new(NameServers::over(interface))));
        Self(Some((Arc::new(Semaphore::new(at_a_time.clamp(1, Semaphore::MAX_PERMITS))), who)))
    }

    /// Looks none up: a proxy does that.
    pub(crate) const fn by_proxy() -> Self {
        Self(None)
    }

    /// Whether it finds addresses of a host by itself.
    pub(crate) fn looks_up(&self, host: &str) -> bool {
        self.0.is_some() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    }

    /// All addresses of a host, at a port. Addresses written as text are taken as they are.
    ///
    /// # Errors
    /// When the name is not known.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let Some((turns, who)) = &self.0 else { return Err(io::Error::other("only the proxy looks up names")) };
        let _turn = turns.acquire().await.map_err(io::Error::other)?;
        look_up(who, host, port).await
    }
}

async fn look_up(who: &Who, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let looking = async {
        let found: Vec<SocketAddr> = match who {
            Who::System => tokio::net::lookup_host((host, port)).await?.collect(),
            Who::Servers(servers) => servers.look_up(host).await?.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(),
        };
        io::Result::Ok(found)
    };
    let found: Vec<SocketAddr> = match tokio::time::timeout(RESOLVE_DEADLINE, looking).await {
        Ok(found) => found?,
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    };
    if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
}
