//! Where the node listens.
//!
//! A door is one or two sockets: an IPv6 socket never takes IPv4 along, since systems disagree about whether it would and such peers would carry
//! mapped addresses. Whoever listens at `0.0.0.0` means every address of the machine, so the same port is opened at `[::]` as well where that is
//! possible; where it is not (no IPv6, the port is taken there) the door is open for IPv4 alone. `[::]` by itself means IPv6 only.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use hexad_core::{Address as _, Bind, Door, Input, Level, Map, Network};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

use super::conn::{self, out_of_descriptors};
use super::handle::HostEvent;
use super::letters::{self, Letters};
use super::multicast::{self, Group};
use super::post;
use super::quic::{self, QuicDoor};
use super::stage::Stage;
use super::utp::{self, UtpDoor};
use crate::proxy::Proxy;

/// Connections that the system keeps until we accept them.
const BACKLOG: i32 = 1024;
/// How many of them are accepted before others get their turn.
const ACCEPTS_AT_A_TIME: usize = 64;
/// How long nothing is accepted when the process has no descriptors left.
const BREATH: Duration = Duration::from_millis(100);
/// What the system is asked to keep of datagrams until we read them; it may give less.
const DATAGRAM_BUFFER_BYTES: usize = 1 << 20;

/// The sockets of one door.
pub(super) enum Sockets {
    Streams,
    /// And the connections that go over them.
    Datagrams(Vec<Rc<Letters>>, Option<Rc<UtpDoor>>),
    Group(Rc<Group>),
    Quic(Rc<QuicDoor>),
    /// Not open yet.
    Opening,
}

/// An open door and the tasks that stand there.
pub(super) struct Doorway {
    pub(super) sockets: Sockets,
    pub(super) tasks: Vec<AbortHandle>,
}

impl Drop for Doorway {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// All open doors.
pub(super) struct Doors {
    open: Map<Door, Doorway>,
    /// Doors through which nobody comes any more, and whose connections go on.
    leaving: Vec<Rc<QuicDoor>>,
    /// The same of those for datagrams, whose connections go over their sockets.
    fading: Vec<Doorway>,
}

impl Doors {
    pub(super) const fn new() -> Self {
        Self { open: Map::new(), leaving: Vec::new(), fading: Vec::new() }
    }

    pub(super) fn close(&mut self, door: Door) {
        self.leaving.retain(|quic| !quic.is_deserted());
        self.fading.retain(|doorway| matches!(&doorway.sockets, Sockets::Datagrams(_, Some(utp)) if !utp.is_deserted()));
        let Some(doorway) = self.open.remove(&door) else { return };
        match &doorway.sockets {
            Sockets::Quic(quic) => {
                quic.close();
                self.leaving.push(quic.clone());
            }
            Sockets::Datagrams(_, Some(utp)) => {
                utp.close();
                if !utp.is_deserted() {
                    self.fading.push(doorway);
                }
            }
            _ => {}
        }
    }

    pub(super) fn close_all(&mut self) {
        while let Some(door) = self.open.keys().next().copied() {
            self.close(door);
        }
    }

    pub(super) fn sockets(&self, door: Door) -> Option<&Sockets> {
        self.open.get(&door).map(|doorway| &doorway.sockets)
    }

    /// The door through which we speak QUIC.
    pub(super) fn quic(&self) -> Option<Rc<QuicDoor>> {
        self.open.values().find_map(|doorway| match &doorway.sockets {
            Sockets::Quic(quic) => Some(quic.clone()),
            _ => None,
        })
    }

    /// The doors that have been closed and may still have connections.
    pub(super) fn take_leaving(&mut self) -> Vec<Rc<QuicDoor>> {
        std::mem::take(&mut self.leaving)
    }
}

/// Opens a door and lets node and session know where it is, or the node why it is not.
pub(super) fn listen<N: Network>(stage: &Rc<Stage<N>>, door: Door, bind: &Bind) {
    stage.doors.borrow_mut().close(door);
    // Whoever listens beside the proxy is found beside it.
    if let Some(proxy) = &stage.config.proxy {
        if let (Bind::Datagram(_), true) = (bind, proxy.may_carry_datagrams()) {
            let (for_task, bind, proxy) = (stage.clone(), bind.clone(), proxy.clone());
            let opening = stage.spawn(async move {
                let opened = led(&for_task, door, &proxy).await;
                bound(&for_task, door, &bind, opened);
                for_task.settle();
            });
            let doorway = Doorway { sockets: Sockets::Opening, tasks: vec![opening.abort_handle()] };
            stage.doors.borrow_mut().open.insert(door, doorway);
            return;
        }
        let shut = io::Error::other(format!("everything goes through {proxy}, which lets nobody in"));
        return bound(stage, door, bind, Err(shut));
    }
    let opened = match *bind {
        Bind::Stream(at) => streams(stage, door, at),
        Bind::Datagram(at) => datagrams(stage, door, at),
        Bind::Multicast(group) => self::group(stage, door, group),
        Bind::Quic(at) => {
            // The key may have to be read first.
            let (for_task, bind) = (stage.clone(), bind.clone());
            let opening = stage.spawn(async move {
                let opened = quic::listen(&for_task, door, at).await;
                bound(&for_task, door, &bind, opened);
            });
            let doorway = Doorway { sockets: Sockets::Opening, tasks: vec![opening.abort_handle()] };
            stage.doors.borrow_mut().open.insert(door, doorway);
            return;
        }
    };
    bound(stage, door, bind, opened);
}

fn bound<N: Network>(stage: &Stage<N>, door: Door, bind: &Bind, opened: io::Result<(SocketAddr, Doorway)>) {
    let bound = match opened {
        Ok((at, doorway)) => {
            stage.doors.borrow_mut().open.insert(door, doorway);
            stage.teller.tell(HostEvent::Bound(door, at));
            Ok(at)
        }
        Err(error) => {
            stage.doors.borrow_mut().close(door);
            let (Bind::Stream(at) | Bind::Datagram(at) | Bind::Multicast(at) | Bind::Quic(at)) = *bind;
            let what = match bind {
                Bind::Stream(_) => "connections",
                Bind::Datagram(_) => "datagrams",
                Bind::Multicast(_) => "the group's datagrams",
                Bind::Quic(_) => "QUIC",
            };
            Err(format!("{at} cannot be listened at for {what}: {error}"))
        }
    };
    stage.hear_soon(Input::Bound(door, bound));
}

fn streams<N: Network>(stage: &Rc<Stage<N>>, door: Door, at: SocketAddr) -> io::Result<(SocketAddr, Doorway)> {
    let (bound, sockets) = both_families(at, |at| {
        let socket = socket(at, Type::STREAM, stage.config.interface.as_deref())?;
        // A port whose last connections have not quite ended can be listened at again.
        socket.set_reuse_address(true)?;
        socket.bind(&at.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    })?;
    let tasks = sockets.into_iter().map(|listener| stage.spawn(accept_all(stage.clone(), door, listener)).abort_handle()).collect();
    Ok((bound, Doorway { sockets: Sockets::Streams, tasks }))
}

async fn accept_all<N: Network>(stage: Rc<Stage<N>>, door: Door, listener: TcpListener) {
    let mut at_a_time = 0;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Not all systems know the option; the connection is good without it.
                let _ = stream.set_nodelay(true);
                if stage.config.outside || super::reach::is_private(peer.ip()) {
                    conn::accept(&stage, door, stream, peer);
                } else {
                    let peer = <N::Node as hexad_core::Node>::Addr::of_socket(peer);
                    stage.note(Level::Drop, "outside_not_allowed", peer, "");
                }
                at_a_time += 1;
                if at_a_time == ACCEPTS_AT_A_TIME {
                    at_a_time = 0;
                    tokio::task::yield_now().await;
                }
            }
            Err(error) => {
                stage.note(Level::Drop, "not_accepted", None, error.to_string());
                if out_of_descriptors(&error) {
                    tokio::time::sleep(BREATH).await;
                } else {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

fn datagrams<N: Network>(stage: &Rc<Stage<N>>, door: Door, at: SocketAddr) -> io::Result<(SocketAddr, Doorway)> {
    let (bound, sockets) = both_families(at, |at| {
        let socket = socket(at, Type::DGRAM, stage.config.interface.as_deref())?;
        let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER_BYTES);
        socket.bind(&at.into())?;
        UdpSocket::from_std(socket.into())
    })?;
    let sockets = sockets.into_iter().map(|socket| Rc::new(Letters::Own(socket))).collect();
    Ok((bound, attend(stage, door, sockets)))
}

/// Whoever reads from these sockets.
fn attend<N: Network>(stage: &Rc<Stage<N>>, door: Door, sockets: Vec<Rc<Letters>>) -> Doorway {
    let utp = N::UTP.then(|| Rc::new(UtpDoor::new(door, sockets.clone(), stage.secret_dice())));
    let mut tasks: Vec<_> = sockets
        .iter()
        .map(|socket| stage.spawn(post::receive_all(stage.clone(), door, socket.clone(), utp.clone())).abort_handle())
        .collect();
    tasks.extend(utp.clone().map(|utp| stage.spawn(utp::tend(utp)).abort_handle()));
    Doorway { sockets: Sockets::Datagrams(sockets, utp), tasks }
}

/// A door for datagrams that the proxy carries. Nobody is told its address but those to whom something is sent.
async fn led<N: Network>(stage: &Rc<Stage<N>>, door: Door, proxy: &Proxy) -> io::Result<(SocketAddr, Doorway)> {
    let (socket, control) = letters::lead(stage, proxy).await?;
    let port = socket.local_addr()?.port();
    let mut doorway = attend(stage, door, vec![socket.clone()]);
    doorway.tasks.push(stage.spawn(letters::keep(stage.clone(), proxy.clone(), socket, control)).abort_handle());
    // The proxy reaches both families, whichever its own is.
    Ok((SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), doorway))
}

fn group<N: Network>(stage: &Rc<Stage<N>>, door: Door, group: SocketAddr) -> io::Result<(SocketAddr, Doorway)> {
    let (group, complaints) = multicast::join(group, stage.config.multicast_interfaces.as_deref(), stage.config.interface.as_deref())?;
    for complaint in complaints {
        stage.note(Level::Debug, "group_not_joined", None, complaint);
    }
    let group = Rc::new(group);
    let tasks =
        group.sockets().map(|socket| stage.spawn(post::receive_all(stage.clone(), door, socket.clone(), None)).abort_handle()).collect();
    Ok((group.address(), Doorway { sockets: Sockets::Group(group), tasks }))
}

/// A socket that is not bound to an address yet, and to `interface` where one is named.
pub(crate) fn socket(at: SocketAddr, kind: Type, interface: Option<&str>) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(at), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(interface.map(str::as_bytes))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Opens `at`, and the same port of all addresses of the other family when `at` is all addresses of one, where the system has it.
pub(super) fn both_families<S: LocalAddress>(
    at: SocketAddr,
    open: impl Fn(SocketAddr) -> io::Result<S>,
) -> io::Result<(SocketAddr, Vec<S>)> {
    let first = open(at)?;
    let bound = first.local_address()?;
    let mut sockets = vec![first];
    if at.ip().is_unspecified() {
        let other: IpAddr = if at.is_ipv4() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        match open(SocketAddr::new(other, bound.port())) {
            Ok(second) => sockets.push(second),
            Err(error) => tracing::debug!(%bound, %error, "not open for the other family"),
        }
    }
    Ok((bound, sockets))
}

pub(super) trait LocalAddress {
    fn local_address(&self) -> io::Result<SocketAddr>;
}

impl LocalAddress for TcpListener {
    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl LocalAddress for UdpSocket {
    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl LocalAddress for (SocketAddr, quinn::Endpoint) {
    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.0)
    }
}
