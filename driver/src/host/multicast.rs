//! Groups of the local network: which interfaces there are, joining on each, sending on each.
//!
//! A group is heard through a socket bound to the group's port, which all programs of this machine share. What is sent leaves from a socket with a
//! port of its own, on every joined interface; answers to it come back to that port and so to us alone.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use socket2::{InterfaceIndexOrAddress, SockRef, Type};
use tokio::net::UdpSocket;

use super::doors::socket;

/// Interface flags of Linux (`if.h`).
const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;
const IFF_MULTICAST: u32 = 0x1000;

/// A joined group.
pub(super) struct Group {
    address: SocketAddr,
    hearing: Rc<UdpSocket>,
    sending: Rc<UdpSocket>,
    interfaces: Vec<u32>,
}

impl Group {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Both sockets: members speak to the group, and answer to where we speak from.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &Rc<UdpSocket>> {
        [&self.hearing, &self.sending].into_iter()
    }

    /// Through which a member is answered.
    pub(super) fn sending(&self) -> &Rc<UdpSocket> {
        &self.sending
    }

    /// Sends to the group, on every interface.
    ///
    /// # Errors
    /// The last one, when it could be sent on no interface.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let socket = SockRef::from(&*self.sending);
        let mut sent = Err(io::ErrorKind::NotConnected.into());
        for &interface in &self.interfaces {
            let leave = match self.address.ip() {
                IpAddr::V4(group) => {
                    rustix::net::sockopt::set_ip_multicast_if_with_ifindex(&*self.sending, &group, &Ipv4Addr::UNSPECIFIED, interface)
                        .map_err(io::Error::from)
                }
                IpAddr::V6(_) => socket.set_multicast_if_v6(interface),
            };
            match leave.and_then(|()| socket.send_to(bytes, &self.address.into())) {
                Ok(_) => sent = Ok(()),
                Err(error) if sent.is_err() => sent = Err(error),
                Err(_) => {}
            }
        }
        sent
    }
}

/// Joins a group on all interfaces of these names, or all that are up. Returns what went wrong on single interfaces as well.
///
/// # Errors
/// When it could be joined nowhere.
pub(super) fn join(group: SocketAddr, names: Option<&[String]>) -> io::Result<(Group, Vec<String>)> {
    if !group.ip().is_multicast() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the address of a group"));
    }
    let everywhere: IpAddr = if group.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let hearing = socket(group, Type::DGRAM)?;
    hearing.set_reuse_address(true)?;
    hearing.set_reuse_port(true)?;
    // Bound to an IPv4 group, a socket hears that group only; an IPv6 group would need an interface in its address.
    let hear_at = if group.is_ipv4() { group } else { SocketAddr::new(everywhere, group.port()) };
    hearing.bind(&hear_at.into())?;
    let sending = socket(group, Type::DGRAM)?;
    sending.bind(&SocketAddr::new(everywhere, 0).into())?;
    match group.ip() {
        IpAddr::V4(_) => {
            sending.set_multicast_loop_v4(true)?;
            sending.set_multicast_ttl_v4(1)?;
        }
        IpAddr::V6(_) => {
            sending.set_multicast_loop_v6(true)?;
            sending.set_multicast_hops_v6(1)?;
        }
    }
    let (mut joined, mut complaints) = (Vec::new(), Vec::new());
    for (index, name) in interfaces(names) {
        let join = match group.ip() {
            IpAddr::V4(group) => hearing.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index)),
            IpAddr::V6(group) => hearing.join_multicast_v6(&group, index),
        };
        match join {
            Ok(()) => joined.push(index),
            Err(error) => complaints.push(format!("{name}: {error}")),
        }
    }
    if joined.is_empty() {
        let why = if complaints.is_empty() { "no interface is up that it may be joined on".to_owned() } else { complaints.join(", ") };
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    let hearing = Rc::new(UdpSocket::from_std(hearing.into())?);
    let sending = Rc::new(UdpSocket::from_std(sending.into())?);
    Ok((Group { address: group, hearing, sending, interfaces: joined }, complaints))
}

/// Indices and names of interfaces that are up and can multicast; the one to this machine itself always can.
fn interfaces(names: Option<&[String]>) -> Vec<(u32, String)> {
    let Ok(entries) = std::fs::read_dir("/sys/class/net") else {
        // Elsewhere the system chooses one.
        return vec![(0, "the system's choice".to_owned())];
    };
    let mut found: Vec<(u32, String)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let read = |what: &str| std::fs::read_to_string(entry.path().join(what)).ok();
            let index = read("ifindex")?.trim().parse().ok()?;
            let flags = u32::from_str_radix(read("flags")?.trim().trim_start_matches("0x"), 16).ok()?;
            let usable = flags & IFF_UP != 0 && flags & (IFF_MULTICAST | IFF_LOOPBACK) != 0;
            let allowed = names.is_none_or(|names| names.contains(&name));
            (usable && allowed).then_some((index, name))
        })
        .collect();
    found.sort_unstable();
    found
}
