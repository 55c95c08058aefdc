//! Contacts in compact form: an address and a port in 6 or 18 bytes, in the DHT behind a node id. BEP 5, 7, 11, 23, 32.

use std::net::{IpAddr, SocketAddr};

use super::NodeContact;

/// Which address family compact bytes are of: the stride follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4: 6 bytes a peer, 26 a node.
    V4,
    /// IPv6: 18 bytes a peer, 38 a node.
    V6,
}

impl Family {
    /// The family of an address. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if ip.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bytes of one peer.
    #[must_use]
    pub const fn peer_bytes(self) -> usize {
        match self {
            Self::V4 => 6,
            Self::V6 => 18,
        }
    }
}

/// The peers of `bytes`; a rest that is no whole peer is ignored, and so is an IPv4 address that is mapped into IPv6: it belongs into the
/// other list.
pub fn peers(bytes: &[u8], family: Family) -> impl Iterator<Item = SocketAddr> + '_ {
    bytes.chunks_exact(family.peer_bytes()).filter_map(peer).filter(move |peer| Family::of(peer.ip()) == family)
}

/// The peer of 6 or 18 bytes.
#[must_use]
pub fn peer(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    Some(SocketAddr::new(self::ip(ip)?, u16::from_be_bytes(*port)))
}

/// The address of 4 or 16 bytes. An IPv4 address mapped into IPv6 is read as IPv4.
#[must_use]
pub fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(octets));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::from(octets).to_canonical())
}

/// The DHT nodes of `bytes`; a rest that is no whole node is ignored, and so is an IPv4 address that is mapped into IPv6.
pub fn nodes(bytes: &[u8], family: Family) -> impl Iterator<Item = NodeContact> + '_ {
    bytes.chunks_exact(20 + family.peer_bytes()).filter_map(move |node| {
        let (id, address) = node.split_first_chunk::<20>()?;
        let address = peer(address).filter(|address| Family::of(address.ip()) == family)?;
        Some(NodeContact { id: *id, address })
    })
}

/// Appends 6 or 18 bytes. An IPv4 address mapped into IPv6 is written as IPv4.
pub fn write_peer(address: SocketAddr, out: &mut Vec<u8>) {
    write_ip(address.ip(), out);
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// Appends 4 or 16 bytes. An IPv4 address mapped into IPv6 is written as IPv4.
pub fn write_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

/// The peers of `family` in compact form; the others are left out.
pub fn write_peers<'a>(peers: impl IntoIterator<Item = &'a SocketAddr>, family: Family) -> Vec<u8> {
    let mut out = Vec::new();
    for &peer in peers {
        if Family::of(peer.ip()) == family {
            write_peer(peer, &mut out);
        }
    }
    out
}

/// The DHT nodes of `family` in compact form; the others are left out.
pub fn write_nodes<'a>(nodes: impl IntoIterator<Item = &'a NodeContact>, family: Family) -> Vec<u8> {
    let mut out = Vec::new();
    for node in nodes {
        if Family::of(node.address.ip()) == family {
            out.extend_from_slice(&node.id);
            write_peer(node.address, &mut out);
        }
    }
    out
}
