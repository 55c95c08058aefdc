//! Names looked up over one interface: the system's name servers, asked through sockets that are bound to it, so that no question goes another way.
//!
//! A name server on this machine itself (systemd-resolved, dnsmasq) would ask on by whichever way it likes, and is not asked; where systemd says whom
//! its own asks, those are.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{RuntimeProvider, TokioHandle, TokioTime};
use hickory_resolver::system_conf::parse_resolv_conf;
use socket2::Type;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Mutex;

use super::conn::connect;
use super::doors::socket;

/// Where systems say whom to ask; the second one where the first names nobody beyond this machine.
const TOLD_IN: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
/// Before a name server is asked again …
const PATIENCE: Duration = Duration::from_secs(3);
/// … and how often.
const ATTEMPTS: usize = 2;

/// Who looks names up over one interface.
pub(crate) struct NameServers {
    interface: Arc<str>,
    /// By what the system said when it was made; that changes with each network.
    known: Mutex<Option<(Vec<IpAddr>, Resolver<Over>)>>,
}

impl fmt::Debug for NameServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NameServers({})", self.interface)
    }
}

impl NameServers {
    pub(crate) fn over(interface: &str) -> Self {
        Self { interface: interface.into(), known: Mutex::default() }
    }

    /// All addresses of a name.
    ///
    /// # Errors
    /// When nobody can be asked over the interface, or nobody knows it.
    pub(crate) async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let servers = servers().await?;
        let mut known = self.known.lock().await;
        let resolver = match &*known {
            Some((before, resolver)) if *before == servers => resolver.clone(),
            _ => {
                let made = self.asking(servers.iter().map(|ip| NameServerConfig::udp_and_tcp(*ip)).collect())?;
                known.insert((servers, made)).1.clone()
            }
        };
        drop(known);
        ask(&resolver, host).await
    }

    /// Asks these.
    fn asking(&self, servers: Vec<NameServerConfig>) -> io::Result<Resolver<Over>> {
        let over = Over { interface: self.interface.clone(), handle: TokioHandle::default() };
        let mut builder = Resolver::builder_with_config(ResolverConfig::from_name_servers(servers), over);
        let mut options = ResolverOpts::default();
        options.timeout = PATIENCE;
        options.attempts = ATTEMPTS;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Always;
        *builder.options_mut() = options;
        builder.build().map_err(io::Error::other)
    }
}

async fn ask(resolver: &Resolver<Over>, host: &str) -> io::Result<Vec<IpAddr>> {
    // With a dot at its end a name is whole: no domain of the system's is tried behind it.
    let whole = if host.ends_with('.') { host.to_owned() } else { format!("{host}.") };
    let found = resolver.lookup_ip(whole).await.map_err(io::Error::other)?;
    Ok(found.iter().collect())
}

/// Whom the system asks that is not this machine itself.
async fn servers() -> io::Result<Vec<IpAddr>> {
    let mut wrong = io::Error::new(io::ErrorKind::NotFound, "the system names no name server");
    for path in TOLD_IN {
        let told = match tokio::fs::read(path).await {
            Ok(told) => told,
            Err(error) => {
                wrong = error;
                continue;
            }
        };
        // Without name servers it cannot be read.
        let Ok((config, _)) = parse_resolv_conf(&told) else { continue };
        let beyond: Vec<IpAddr> = config.name_servers().iter().map(|server| server.ip).filter(|ip| !ip.is_loopback()).collect();
        if !beyond.is_empty() {
            return Ok(beyond);
        }
        wrong = io::Error::new(io::ErrorKind::NotFound, format!("{path} names no name server beyond this machine"));
    }
    Err(wrong)
}

/// Sockets that are bound to an interface.
#[derive(Clone)]
struct Over {
    interface: Arc<str>,
    handle: TokioHandle,
}

type Opening<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

impl RuntimeProvider for Over {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = UdpSocket;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> TokioHandle {
        self.handle.clone()
    }

    fn connect_tcp(&self, server: SocketAddr, source: Option<SocketAddr>, patience: Option<Duration>) -> Opening<Self::Tcp> {
        let interface = self.interface.clone();
        Box::pin(async move {
            let connecting = connect(server, source.map(|source| source.ip()), Some(&interface));
            let connected = tokio::time::timeout(patience.unwrap_or(PATIENCE), connecting).await;
            connected.map_or_else(|_| Err(io::ErrorKind::TimedOut.into()), |stream| stream.map(AsyncIoTokioAsStd))
        })
    }

    fn bind_udp(&self, local: SocketAddr, _: SocketAddr) -> Opening<Self::Udp> {
        let interface = self.interface.clone();
        Box::pin(async move {
            let socket = socket(local, Type::DGRAM, Some(&interface))?;
            socket.bind(&local.into())?;
            UdpSocket::from_std(socket.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const HOST: &str = "peer.test";
    const THERE: [u8; 4] = [192, 0, 2, 7];

    /// A name server that knows one address, and tells that it was asked.
    fn little_name_server() -> (SocketAddr, Receiver<()>) {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let at = socket.local_addr().expect("an address");
        let (tell, asked) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                let _ = tell.send(());
                // Name, type and class of the one question; RFC 1035, 4.1.2.
                let end = 12 + buffer[12..].iter().position(|byte| *byte == 0).expect("a name with an end") + 5;
                let is_a = buffer[end - 4..end - 2] == [0, 1];
                let mut answer = [&buffer[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0], &buffer[12..end]].concat();
                if is_a {
                    answer.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                    answer.extend_from_slice(&THERE);
                }
                let _ = socket.send_to(&answer, from);
            }
        });
        (at, asked)
    }

    fn look_up(interface: &str, server: SocketAddr) -> io::Result<Vec<IpAddr>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut one = NameServerConfig::udp(server.ip());
            one.connections[0].port = server.port();
            ask(&NameServers::over(interface).asking(vec![one])?, HOST).await
        })
    }

    #[test]
    fn a_name_is_looked_up_over_the_interface_and_over_no_other() {
        let (server, asked) = little_name_server();
        assert_eq!(look_up("lo", server).expect("an address"), [IpAddr::from(THERE)]);
        assert!(asked.try_iter().count() > 0);
        assert!(look_up("hexad-none-0", server).is_err());
        assert_eq!(asked.try_iter().count(), 0, "nobody was asked");
    }
}
