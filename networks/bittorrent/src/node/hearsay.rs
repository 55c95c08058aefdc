//! Which addresses may be dialled because somebody names them: one rule for trackers, the DHT, peers and the local network.
//!
//! Whoever names peers could have a whole swarm knock at a host that is no peer. So nobody is dialled at a port where a system's own services are, and a host at no
//! more than a few ports (libtorrent's `no_connect_privileged_ports` and `allow_multiple_connections_per_ip`).

use std::net::{IpAddr, SocketAddr};

use super::dht::is_local;

/// Ports of one public host that a swarm knows by hearsay. Several peers may live behind one router; hundreds of them are an attack on whoever lives there.
pub const PORTS_OF_HOST_MAX: usize = 4;
/// The first port that needs no privileges.
const FIRST_PORT: u16 = 1024;

/// Whether a host may have this address, and anybody be reached at this port.
pub fn is_possible(address: SocketAddr) -> bool {
    let nowhere = match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
    };
    address.port() != 0 && !nowhere
}

/// Whether a peer may be dialled there. `by_neighbour`: who names it is of our own site, where ports may be what they like.
pub fn may_be_dialled(address: SocketAddr, by_neighbour: bool) -> bool {
    is_possible(address) && (address.port() >= FIRST_PORT || (by_neighbour && is_local(address.ip())))
}
