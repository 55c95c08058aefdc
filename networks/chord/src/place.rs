//! Who stands where on the ring: an address and the number of a virtual node make a contact, and a contact has one id.
//!
//! In the lab a contact is four bytes and its id is computed when needed, so that a million nodes with all their tables fit. Outside it is a
//! public key and a socket, and the id is the hash of the key: who could choose a port could choose an id, and behind a translator nobody
//! knows his own address; a key is neither (C7).

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{BufMut as _, BytesMut};
use hexad_core::{Address, Endpoint, Malformed};

use crate::id::{Id160, Key, RingId};
use crate::wire::Fields;

/// One node on the ring, virtual nodes counted one by one.
pub trait Contact: Clone + Ord + Hash + Debug + Send + 'static {
    /// Its host's address.
    type Addr;
    /// Its place.
    type Id: RingId;

    /// Where it stands.
    fn id(&self) -> Self::Id;
    /// Where it is reached.
    fn addr(&self) -> Self::Addr;
    /// Which of its host's virtual nodes it is.
    fn vnode(&self) -> u8;
}

/// An address that can stand on a ring.
pub trait Place: Address + Hash + Sync {
    /// m.
    type Id: RingId;
    /// Who stands there.
    type Contact: Contact<Addr = Self, Id = Self::Id>;

    /// The contact of a host's virtual node; `None` for an address that has no place on the ring.
    fn contact(&self, vnode: u8) -> Option<Self::Contact>;
    /// What a user wrote as an address of this ring.
    fn of_user(endpoint: &Endpoint) -> Option<Self>;
    /// As users and other crates see it.
    fn to_endpoint(&self) -> Endpoint;
    /// What we are before anybody has told us: by our public key and the socket we listen at.
    fn own(identity: Option<[u8; 32]>, socket: SocketAddr) -> Option<Self>;
    /// Whether `told`, which a peer says is us, can be.
    fn may_be(told: &Self, identity: Option<[u8; 32]>) -> bool;
    /// Whether it can be a member of a ring whose members are known by their keys.
    fn fits(&self, keyed: bool) -> bool;
    /// The network it lies in (a /24 or a /48), where there is such a thing.
    fn neighbourhood(&self) -> Option<[u8; 6]>;
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

/// Bytes of an address with an IPv4 socket: in the lab the same, so that its traffic is that of the daemon.
const ADDRESS_BYTES: usize = 39;

/// A contact in the lab: the node's number below, the virtual node's above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packed(u32);

const NUMBER_BITS: u32 = 24;

impl Contact for Packed {
    type Addr = u32;
    type Id = u64;

    fn id(&self) -> u64 {
        // The finaliser of SplitMix64 (Steele, Lea, Flood 2014): one to one, so no two contacts have one id.
        let word = (u64::from(self.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn addr(&self) -> u32 {
        self.0 & ((1 << NUMBER_BITS) - 1)
    }

    fn vnode(&self) -> u8 {
        (self.0 >> NUMBER_BITS).to_le_bytes()[0]
    }
}

impl Place for u32 {
    type Id = u64;
    type Contact = Packed;

    fn contact(&self, vnode: u8) -> Option<Packed> {
        (*self < 1 << NUMBER_BITS).then(|| Packed(*self | u32::from(vnode) << NUMBER_BITS))
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
        *told < 1 << NUMBER_BITS
    }

    fn fits(&self, _: bool) -> bool {
        true
    }

    fn neighbourhood(&self) -> Option<[u8; 6]> {
        None
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
        let _: [u8; ADDRESS_BYTES - 4] = fields.array()?;
        if number >= 1 << NUMBER_BITS {
            return Err(fields.wrong("expected the number of a lab node"));
        }
        Ok(number)
    }
}

/// An address that is its own id on a ring of 64 places: for worked examples and for the model checker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Small(pub u32);

impl Address for Small {
    fn of_lab_node(index: u32) -> Self {
        Self(index)
    }

    fn lab_node(&self) -> Option<u32> {
        Some(self.0)
    }

    fn endpoint(&self) -> Option<Endpoint> {
        None
    }

    fn of_socket(_: SocketAddr) -> Option<Self> {
        None
    }
}

impl Contact for Small {
    type Addr = Self;
    type Id = u64;

    fn id(&self) -> u64 {
        u64::from(self.0) << 58
    }

    fn addr(&self) -> Self {
        *self
    }

    fn vnode(&self) -> u8 {
        0
    }
}

impl Place for Small {
    type Id = u64;
    type Contact = Self;

    fn contact(&self, vnode: u8) -> Option<Self> {
        (vnode == 0 && self.0 < 64).then_some(*self)
    }

    fn of_user(endpoint: &Endpoint) -> Option<Self> {
        endpoint.lab_node().map(Self)
    }

    fn to_endpoint(&self) -> Endpoint {
        Endpoint::of_lab_node(self.0)
    }

    fn own(_: Option<[u8; 32]>, _: SocketAddr) -> Option<Self> {
        None
    }

    fn may_be(told: &Self, _: Option<[u8; 32]>) -> bool {
        told.0 < 64
    }

    fn fits(&self, _: bool) -> bool {
        true
    }

    fn neighbourhood(&self) -> Option<[u8; 6]> {
        None
    }

    fn write(&self, out: &mut BytesMut) {
        self.0.write(out);
    }

    fn wire_bytes(&self) -> usize {
        ADDRESS_BYTES
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        u32::read(fields).map(Self)
    }
}

/// A contact on real networks. Its id is kept, since hashing a key for every comparison would cost more than the 20 bytes.
#[derive(Clone, Debug)]
pub struct Seat {
    id: Id160,
    vnode: u8,
    addr: Endpoint,
}

// Who it is, is said by the id: the same key seen at another socket is the same node.
impl PartialEq for Seat {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Seat {}

impl PartialOrd for Seat {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Seat {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

impl Hash for Seat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl Contact for Seat {
    type Addr = Endpoint;
    type Id = Id160;

    fn id(&self) -> Id160 {
        self.id
    }

    fn addr(&self) -> Endpoint {
        self.addr.clone()
    }

    fn vnode(&self) -> u8 {
        self.vnode
    }
}

/// A key and its socket; a socket alone is the Chord of the paper and of the lab, whose id is the hash of the address.
impl Place for Endpoint {
    type Id = Id160;
    type Contact = Seat;

    fn contact(&self, vnode: u8) -> Option<Seat> {
        let key = match self {
            Self::Key(key, _) => Key::hashed("node:", &[&key[..], &[vnode]].concat()),
            Self::Ip(socket) => Key::hashed("address:", format!("{socket}/{vnode}").as_bytes()),
            Self::Name(_) => return None,
        };
        Some(Seat { id: Id160::of_key(&key), vnode, addr: self.clone() })
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

    fn neighbourhood(&self) -> Option<[u8; 6]> {
        let mut net = [0; 6];
        match self.ip()? {
            // On one machine everybody lives in one network.
            ip if ip.is_loopback() => return None,
            IpAddr::V4(ip) => net[..3].copy_from_slice(&ip.octets()[..3]),
            IpAddr::V6(ip) => net.copy_from_slice(&ip.octets()[..6]),
        }
        Some(net)
    }

    fn write(&self, out: &mut BytesMut) {
        let (key, socket) = match self {
            Self::Key(key, socket) => (Some(key), *socket),
            Self::Ip(socket) => (None, *socket),
            // Never a contact, see `contact`.
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
