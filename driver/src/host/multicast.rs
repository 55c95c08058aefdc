//! Groups of the local network: which interfaces there are, joining on each, sending on each.
//!
//! A group is heard through a socket bound to the group's port, which all programs of this machine share. What is sent leaves from a socket with a
//! port of its own, on every joined interface; answers to it come back to that port and so to us alone.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use rustix::net::netdevice::name_to_index;
use socket2::{InterfaceIndexOrAddress, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::doors::socket;
use super::letters::Letters;

/// A joined group.
pub(super) struct Group {
    address: SocketAddr,
    hearing: Rc<Letters>,
    sending: Rc<Letters>,
    interfaces: Vec<u32>,
}

impl Group {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Both sockets: members speak to the group, and answer to where we speak from.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &Rc<Letters>> {
        [&self.hearing, &self.sending].into_iter()
    }

    /// Through which a member is answered.
    pub(super) fn sending(&self) -> &Rc<Letters> {
        &self.sending
    }

    /// Sends to the group, on every interface.
    ///
    /// # Errors
    /// The last one, when it could be sent on no interface.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let sending = self.sending.socket();
        let socket = SockRef::from(sending);
        let mut sent = Err(io::ErrorKind::NotConnected.into());
        for &interface in &self.interfaces {
            let leave = match self.address.ip() {
                IpAddr::V4(group) => {
                    rustix::net::sockopt::set_ip_multicast_if_with_ifindex(sending, &group, &Ipv4Addr::UNSPECIFIED, interface)
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

/// Joins a group on all interfaces of these names, or all that are up; on `only` and no other where that is named. Returns what went wrong on single interfaces as well.
///
/// # Errors
/// When it could be joined nowhere.
pub(super) fn join(group: SocketAddr, names: Option<&[String]>, only: Option<&str>) -> io::Result<(Group, Vec<String>)> {
    if !group.ip().is_multicast() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the address of a group"));
    }
    let everywhere: IpAddr = if group.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let hearing = socket(group, Type::DGRAM, only)?;
    hearing.set_reuse_address(true)?;
    hearing.set_reuse_port(true)?;
    // Bound to an IPv4 group, a socket hears that group only; an IPv6 group would need an interface in its address.
    let hear_at = if group.is_ipv4() { group } else { SocketAddr::new(everywhere, group.port()) };
    hearing.bind(&hear_at.into())?;
    let sending = socket(group, Type::DGRAM, only)?;
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
    for (index, name) in interfaces(&hearing, names).into_iter().filter(|(_, name)| only.is_none_or(|only| only == name)) {
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
    let [hearing, sending] =
        [hearing, sending].map(|socket| UdpSocket::from_std(socket.into()).map(|socket| Rc::new(Letters::Own(socket))));
    let (hearing, sending) = (hearing?, sending?);
    Ok((Group { address: group, hearing, sending, interfaces: joined }, complaints))
}

/// Indices and names of interfaces. One that is down or has no groups is found out by joining and sending.
fn interfaces(socket: &Socket, names: Option<&[String]>) -> Vec<(u32, String)> {
    // In contrast to `/sys`, this shows the interfaces of the process's own namespace.
    let Ok(table) = std::fs::read_to_string("/proc/self/net/dev") else {
        // Elsewhere the system chooses one.
        return vec![(0, "the system's choice".to_owned())];
    };
    let names = table
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim()))
        .filter(|name| names.is_none_or(|names| names.iter().any(|one| one == name)));
    let mut found: Vec<(u32, String)> = names.filter_map(|name| Some((name_to_index(socket, name).ok()?, name.to_owned()))).collect();
    found.sort_unstable();
    found
}
