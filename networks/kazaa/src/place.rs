//! Who is who: a number in the lab, a public key and a socket outside.
//!
//! A peer is known by its key alone, wherever it is met. What somebody signs is checked against that key; in the lab, where nobody has one, a
//! hash over number and message takes its place, so that what is forged is found out there too.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{BufMut as _, BytesMut};
use ed25519_dalek::{Signature, VerifyingKey};
use hexad_core::{Address, Endpoint, Malformed};
use sha2::{Digest as _, Sha256};

use crate::wire::Fields;

/// An address of this network.
pub trait Place: Address + Sync {
    /// Who it is, wherever it is.
    type Name: Copy + Ord + Debug + Send + 'static;

    /// Who it is.
    fn name(&self) -> Self::Name;
    /// A short number for it, by which it can be told from most others.
    fn short(&self) -> u32;
    /// What a user wrote as an address of this network.
    fn of_user(endpoint: &Endpoint) -> Option<Self>;
    /// As users and other crates see it.
    fn to_endpoint(&self) -> Endpoint;
    /// What we are before anybody has told us: by our public key and the socket we listen at.
    fn own(identity: Option<[u8; 32]>, socket: SocketAddr) -> Option<Self>;
    /// Whether `told`, which a peer says is us, can be.
    fn may_be(told: &Self, identity: Option<[u8; 32]>) -> bool;
    /// Whether it can be a member of a network whose members are known by their keys.
    fn fits(&self, keyed: bool) -> bool;
    /// The signature of the node at this address, where nobody has keys.
    fn pretend(&self, message: &[u8]) -> Option<[u8; 64]>;
    /// Whether the node at this address has signed that.
    fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool;
    /// Appends it.
    fn write(&self, out: &mut BytesMut);
    /// How many bytes that takes.
    fn wire_bytes(&self) -> usize;
    /// Reads it.
    ///
    /// # Errors
    /// When there is no such address.
    fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed>;
}

/// Fewest bytes of an address: no key, IPv4.
pub(crate) const ADDRESS_BYTES_MIN: usize = 7;
/// Bytes of a key and an IPv4 socket: in the lab the same, so that its traffic is that of the daemon.
const ADDRESS_BYTES: usize = 39;
const LAB_NODES: u32 = 1 << 24;

impl Place for u32 {
    type Name = Self;

    fn name(&self) -> Self {
        *self
    }

    fn short(&self) -> u32 {
        *self
    }

    fn of_user(endpoint: &Endpoint) -> Option<Self> {
        endpoint.lab_node()
    }

    fn to_endpoint(&self) -> Endpoint {
        Endpoint::of_lab_node(*self)
    }

    fn own(_: Option<[u8; 32]>, _: SocketAddr) -> Option<Self> {
        None
    }

    fn may_be(told: &Self, _: Option<[u8; 32]>) -> bool {
        *told < LAB_NODES
    }

    fn fits(&self, _: bool) -> bool {
        true
    }

    fn pretend(&self, message: &[u8]) -> Option<[u8; 64]> {
        let half: [u8; 32] = Sha256::new().chain_update(self.to_be_bytes()).chain_update(message).finalize().into();
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&half);
        signature[32..].copy_from_slice(&half);
        Some(signature)
    }

    fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.pretend(message).as_ref() == Some(signature)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_u32(*self);
        out.put_bytes(0, ADDRESS_BYTES - 4);
    }

    fn wire_bytes(&self) -> usize {
        ADDRESS_BYTES
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let number = fields.u32()?;
        let rest: [u8; ADDRESS_BYTES - 4] = fields.array()?;
        if number >= LAB_NODES || rest != [0; ADDRESS_BYTES - 4] {
            return Err(fields.wrong("expected the number of a lab node"));
        }
        Ok(number)
    }
}

/// A key and its socket; a socket alone is a node of the lab.
impl Place for Endpoint {
    type Name = [u8; 32];

    fn name(&self) -> [u8; 32] {
        let mut name = [0; 32];
        match self {
            Self::Key(key, _) => name = *key,
            Self::Ip(socket) => {
                match socket.ip() {
                    IpAddr::V4(ip) => name[..4].copy_from_slice(&ip.octets()),
                    IpAddr::V6(ip) => name[..16].copy_from_slice(&ip.octets()),
                }
                name[16..18].copy_from_slice(&socket.port().to_be_bytes());
            }
            // Never a peer, see `of_user`.
            Self::Name(_) => {}
        }
        name
    }

    fn short(&self) -> u32 {
        let hash: [u8; 32] = Sha256::digest(self.name()).into();
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    }

    fn of_user(endpoint: &Endpoint) -> Option<Self> {
        matches!(endpoint, Self::Key(..) | Self::Ip(_)).then(|| endpoint.clone())
    }

    fn to_endpoint(&self) -> Endpoint {
        self.clone()
    }

    fn own(identity: Option<[u8; 32]>, socket: SocketAddr) -> Option<Self> {
        let known = !socket.ip().is_unspecified();
        identity.filter(|_| known).map(|key| Self::Key(key, socket))
    }

    fn may_be(told: &Self, identity: Option<[u8; 32]>) -> bool {
        match told {
            Self::Key(key, _) => identity.as_ref() == Some(key),
            Self::Ip(_) => identity.is_none(),
            Self::Name(_) => false,
        }
    }

    fn fits(&self, keyed: bool) -> bool {
        matches!(self, Self::Key(..)) == keyed
    }

    fn pretend(&self, message: &[u8]) -> Option<[u8; 64]> {
        matches!(self, Self::Ip(_)).then(|| self.lab_node()?.pretend(message)).flatten()
    }

    fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        match self {
            Self::Key(key, _) => VerifyingKey::from_bytes(key)
                .is_ok_and(|verifying| verifying.verify_strict(message, &Signature::from_bytes(signature)).is_ok()),
            _ => self.pretend(message).as_ref() == Some(signature),
        }
    }

    fn write(&self, out: &mut BytesMut) {
        let (key, socket) = match self {
            Self::Key(key, socket) => (Some(key), *socket),
            Self::Ip(socket) => (None, *socket),
            // Never a peer, see `of_user`.
            Self::Name(_) => (None, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
        };
        let keyed = if key.is_some() { 0 } else { 0x10 };
        match socket.ip() {
            IpAddr::V4(ip) => {
                out.put_u8(4 | keyed);
                out.put_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.put_u8(6 | keyed);
                out.put_slice(&ip.octets());
            }
        }
        out.put_u16(socket.port());
        if let Some(key) = key {
            out.put_slice(key);
        }
    }

    fn wire_bytes(&self) -> usize {
        let ip = if self.ip().is_some_and(|ip| ip.is_ipv6()) { 16 } else { 4 };
        3 + ip + if matches!(self, Self::Key(..)) { 32 } else { 0 }
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let family = fields.u8()?;
        let ip = match family & 0x0f {
            4 => IpAddr::from(Ipv4Addr::from(fields.array::<4>()?)),
            6 => IpAddr::from(Ipv6Addr::from(fields.array::<16>()?)),
            _ => return Err(fields.wrong("expected an address of family 4 or 6")),
        };
        let socket = SocketAddr::new(ip, fields.u16()?);
        match family >> 4 {
            0 => Ok(Self::Key(fields.array()?, socket)),
            1 => Ok(Self::Ip(socket)),
            _ => Err(fields.wrong("expected an address with or without a key")),
        }
    }
}
