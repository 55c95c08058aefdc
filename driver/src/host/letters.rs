//! Sockets for datagrams: one of our own, or one whose datagrams a proxy carries (SOCKS5 UDP ASSOCIATE, RFC 1928, section 7).
//!
//! The proxy relays as long as the connection stands over which it was asked to. When that ends, it is asked again, after a pause that grows; what is
//! sent meanwhile is lost, as datagrams may be.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use hexad_core::{Level, Name, Network};
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery};
use socket2::{SockRef, TcpKeepalive, Type};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

use super::conn::connect;
use super::doors::socket;
use super::stage::Stage;
use crate::proxy::{self, Proxy};

/// How long the proxy may take to say where it relays.
const ASSOCIATING: Duration = Duration::from_secs(10);
/// Before it is asked again, at first …
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// … and at most.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A proxy that is gone without a word is found out after a few of these.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A socket for datagrams.
pub(super) enum Letters {
    /// Our own, that sends by itself.
    Own(UdpSocket),
    /// One that sends to the proxy's relay, and hears nobody else.
    Led {
        /// Bound for the proxy's family.
        socket: UdpSocket,
        /// Where the proxy relays; `None` while it does not.
        relay: Cell<Option<SocketAddr>>,
    },
}

impl Letters {
    /// Where it is bound.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        match self {
            Self::Own(socket) | Self::Led { socket, .. } => socket,
        }
    }

    /// Whether an address is of a family that it sends to.
    pub(super) fn reaches(&self, to: SocketAddr) -> bool {
        match self {
            Self::Own(socket) => socket.local_addr().is_ok_and(|at| at.is_ipv4() == to.is_ipv4()),
            Self::Led { .. } => true,
        }
    }

    /// Whether names go through it as names.
    pub(super) const fn takes_names(&self) -> bool {
        matches!(self, Self::Led { .. })
    }

    /// Reads a datagram, if one is there, and tells from whom it is.
    pub(super) fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (length, from) = self.socket().try_recv_from(buffer)?;
        let Self::Led { relay, .. } = self else { return Ok((length, from)) };
        if relay.get() != Some(from) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not from the proxy's relay"));
        }
        let (from, head) =
            proxy::read_letter(&buffer[..length]).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no letter of SOCKS5"))?;
        buffer.copy_within(head..length, 0);
        Ok((length - head, from))
    }

    /// Sends a datagram past the runtime, which takes a socket for full until it has heard of it.
    pub(super) fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        match self {
            Self::Own(socket) => SockRef::from(socket).send_to(bytes, &to.into()).map(drop),
            Self::Led { .. } => self.send_by_relay(bytes, proxy::letter_to(to)),
        }
    }

    /// The same of one that routers may fragment: to IPv4 the system forbids them to otherwise, and learns nothing where they are silent about it. Over IPv6 none
    /// does, and the system fragments what it has heard to be too long.
    pub(super) fn send_in_fragments(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let socket = self.socket();
        let Ok(usual) = sockopt::ip_mtu_discover(socket) else { return self.send_to(bytes, to) };
        sockopt::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT)?;
        let sent = self.send_to(bytes, to);
        sockopt::set_ip_mtu_discover(socket, usual)?;
        sent
    }

    /// Sends a datagram to whom only the proxy knows by name.
    pub(super) fn send_to_name(&self, bytes: &[u8], to: &Name) -> io::Result<()> {
        self.send_by_relay(bytes, proxy::letter_to_name(&to.host, to.port)?)
    }

    fn send_by_relay(&self, bytes: &[u8], mut letter: Vec<u8>) -> io::Result<()> {
        let Self::Led { socket, relay } = self else { return Err(io::ErrorKind::Unsupported.into()) };
        let relay =
            relay.get().ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the proxy carries no datagrams at the moment"))?;
        letter.extend_from_slice(bytes);
        SockRef::from(socket).send_to(&letter, &relay.into()).map(drop)
    }
}

/// Has the proxy carry datagrams from here on. Returns the socket, and the connection that they depend on.
///
/// # Errors
/// When it does not.
pub(super) async fn lead<N: Network>(stage: &Stage<N>, proxy: &Proxy) -> io::Result<(Rc<Letters>, TcpStream)> {
    let (control, relay) = associate(stage, proxy).await?;
    let any: IpAddr = if relay.is_ipv4() { std::net::Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let at = SocketAddr::new(any, 0);
    let socket = socket(at, Type::DGRAM, stage.config.interface.as_deref())?;
    socket.bind(&at.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    Ok((Rc::new(Letters::Led { socket, relay: Cell::new(Some(relay)) }), control))
}

async fn associate<N: Network>(stage: &Stage<N>, proxy: &Proxy) -> io::Result<(TcpStream, SocketAddr)> {
    let asking = async {
        let mut control = connect(proxy.address(), None, stage.config.interface.as_deref()).await?;
        let relay = proxy.associate(&mut control).await?;
        let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
        SockRef::from(&control).set_tcp_keepalive(&keep_alive)?;
        Ok((control, relay))
    };
    timeout(ASSOCIATING, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Sees to it that the proxy goes on carrying datagrams, as long as the door is open.
pub(super) async fn keep<N: Network>(stage: Rc<Stage<N>>, proxy: Proxy, letters: Rc<Letters>, mut control: TcpStream) {
    let Letters::Led { relay, .. } = &*letters else { return };
    let mut unread = [0; 64];
    loop {
        // The proxy has nothing to say here but the end.
        while control.read(&mut unread).await.is_ok_and(|length| length > 0) {}
        relay.set(None);
        stage.note(Level::Info, "proxy_relay_ended", None, "");
        stage.settle();
        let mut pause = PAUSE_MIN;
        loop {
            sleep(pause).await;
            match associate(&stage, &proxy).await {
                Ok((again, at)) if letters.socket().local_addr().is_ok_and(|own| own.is_ipv4() == at.is_ipv4()) => {
                    control = again;
                    relay.set(Some(at));
                    stage.note(Level::Info, "proxy_relays_again", None, "");
                    stage.settle();
                    break;
                }
                Ok(_) => stage.note(Level::Debug, "proxy_does_not_relay", None, "its relay is of the other family"),
                Err(error) => stage.note(Level::Debug, "proxy_does_not_relay", None, error.to_string()),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}
