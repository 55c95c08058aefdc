//! Addresses as this network writes them: numbers in the lab, public keys with sockets outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{BufMut as _, BytesMut};
use hexad_core::{Address, Endpoint, Malformed};

use crate::wire::Fields;

/// An address of this network.
pub trait Place: Address + Sync {
    /// What a user wrote; `None` when this network reaches nobody by it.
    fn of_user(endpoint: &Endpoint) -> Option<Self>;
    /// What we are before anybody has told us: by our public key and the socket we listen at.
    fn own(identity: Option<[u8; 32]>, socket: SocketAddr) -> Option<Self>;
    /// Whether `told`, which a peer says is us, can be.
    fn may_be(told: &Self, identity: Option<[u8; 32]>) -> bool;
    /// The public key by which it is known, where it has one.
    fn key(&self) -> Option<[u8; 32]>;
    /// As users write it.
    fn to_user(&self) -> Option<Endpoint>;
    /// The host that it is at.
    fn host(&self) -> IpAddr;
    /// Appends it.
    fn write(&self, out: &mut BytesMut);
    /// Reads it.
    ///
    /// # Errors
    /// When there is no such address.
    fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed>;
}

impl Place for u32 {
    fn of_user(endpoint: &Endpoint) -> Option<Self> {
        endpoint.lab_node()
    }

    fn own(_: Option<[u8; 32]>, _: SocketAddr) -> Option<Self> {
        None
    }

    fn may_be(_: &Self, _: Option<[u8; 32]>) -> bool {
        true
    }

    fn key(&self) -> Option<[u8; 32]> {
        let mut key = [0; 32];
        key[28..].copy_from_slice(&self.to_be_bytes());
        Some(key)
    }

    fn to_user(&self) -> Option<Endpoint> {
        Some(Endpoint::Key(self.key()?, Endpoint::of_lab_node(*self).socket()?))
    }

    fn host(&self) -> IpAddr {
        Ipv4Addr::from(*self).into()
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_u8(0);
        out.put_u32(*self);
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        match fields.u8()? {
            0 => fields.u32(),
            _ => Err(fields.wrong("expected the number of a lab node")),
        }
    }
}

impl Place for Endpoint {
    fn of_user(endpoint: &Endpoint) -> Option<Self> {
        matches!(endpoint, Self::Key(..)).then(|| endpoint.clone())
    }

    fn own(identity: Option<[u8; 32]>, socket: SocketAddr) -> Option<Self> {
        identity.filter(|_| !socket.ip().is_unspecified()).map(|key| Self::Key(key, socket))
    }

    fn may_be(told: &Self, identity: Option<[u8; 32]>) -> bool {
        matches!(told, Self::Key(key, _) if Some(*key) == identity)
    }

    fn key(&self) -> Option<[u8; 32]> {
        if let Self::Key(key, _) = self { Some(*key) } else { None }
    }

    fn to_user(&self) -> Option<Endpoint> {
        Some(self.clone())
    }

    fn host(&self) -> IpAddr {
        self.ip().unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }

    fn write(&self, out: &mut BytesMut) {
        // Only what has a key is ever told to others.
        let (key, socket) = match self {
            Self::Key(key, socket) => (*key, *socket),
            Self::Ip(socket) => ([0; 32], *socket),
            Self::Name(_) => ([0; 32], SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
        };
        match socket.ip() {
            IpAddr::V4(ip) => {
                out.put_u8(4);
                out.put_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.put_u8(6);
                out.put_slice(&ip.octets());
            }
        }
        out.put_u16(socket.port());
        out.put_slice(&key);
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let ip = match fields.u8()? {
            4 => IpAddr::from(Ipv4Addr::from(fields.array::<4>()?)),
            6 => IpAddr::from(Ipv6Addr::from(fields.array::<16>()?)),
            other => return Err(fields.wrong(format!("expected an address of family 4 or 6, came {other}"))),
        };
        let port = fields.u16()?;
        Ok(Self::Key(fields.array()?, SocketAddr::new(ip, port)))
    }
}
