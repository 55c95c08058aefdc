//! Where a peer is reached.

use std::fmt::{self, Debug};
use std::net::{IpAddr, SocketAddr};

/// A host's name and port, not yet resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// DNS name, or an address written as text.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Whether a name is one of this machine or of a local network: one without a dot, or of a domain that is nobody's in public (RFC 6761, 6762 and 8375;
/// ICANN's `internal`; `lan` and `home` by custom).
#[must_use]
pub fn is_local_name(name: &str) -> bool {
    const DOMAINS: [&str; 6] = ["localhost", "local", "internal", "home.arpa", "lan", "home"];
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    !name.contains('.') || DOMAINS.iter().any(|domain| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
}

/// Where a peer is reached on real networks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// An address and port.
    Ip(SocketAddr),
    /// A name that the host resolves when it dials.
    Name(Name),
    /// A node of one of our own overlays: its Ed25519 public key, and where it was last seen.
    Key([u8; 32], SocketAddr),
}

impl Endpoint {
    /// The socket address, where one is known.
    #[must_use]
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(socket) | Self::Key(_, socket) => Some(*socket),
            Self::Name(_) => None,
        }
    }

    /// The IP address, where one is known.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.socket().map(|socket| socket.ip())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(socket: SocketAddr) -> Self {
        Self::Ip(socket)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(socket) => write!(f, "{socket}"),
            Self::Name(name) => write!(f, "{}:{}", name.host, name.port),
            Self::Key(key, socket) => {
                for byte in key {
                    write!(f, "{byte:02x}")?;
                }
                write!(f, "@{socket}")
            }
        }
    }
}

/// What a node may use as the address of a peer: small numbers in the lab, [`Endpoint`]s outside.
pub trait Address: Clone + Ord + Debug + Send + 'static {
    /// The address of the lab's node number `index`.
    fn of_lab_node(index: u32) -> Self;

    /// The lab's node at this address, if it is one of the lab's.
    fn lab_node(&self) -> Option<u32>;

    /// The same place for a socket; `None` for an address that exists in the lab only.
    fn endpoint(&self) -> Option<Endpoint>;

    /// The address of a peer that the driver met at `socket`; `None` for an address that exists in the lab only.
    fn of_socket(socket: SocketAddr) -> Option<Self>;

    /// The address of a peer that the driver met at `endpoint`, its key included where it has one.
    fn of_endpoint(endpoint: Endpoint) -> Option<Self> {
        Self::of_socket(endpoint.socket()?)
    }
}

impl Address for u32 {
    fn of_lab_node(index: u32) -> Self {
        index
    }

    fn lab_node(&self) -> Option<u32> {
        Some(*self)
    }

    fn endpoint(&self) -> Option<Endpoint> {
        None
    }

    fn of_socket(_: SocketAddr) -> Option<Self> {
        None
    }
}

/// Lab node `i` lives at 11.x.y.z port 6881, with `i` in the low 24 bits: a public range, so that rules about private addresses do not bite.
impl Address for Endpoint {
    fn of_lab_node(index: u32) -> Self {
        let [_, b, c, d] = index.to_be_bytes();
        Self::Ip(SocketAddr::from(([11, b, c, d], 6881)))
    }

    fn lab_node(&self) -> Option<u32> {
        match self.ip()? {
            IpAddr::V4(ip) if ip.octets()[0] == 11 => {
                let [_, b, c, d] = ip.octets();
                Some(u32::from_be_bytes([0, b, c, d]))
            }
            _ => None,
        }
    }

    fn endpoint(&self) -> Option<Endpoint> {
        Some(self.clone())
    }

    fn of_socket(socket: SocketAddr) -> Option<Self> {
        Some(Self::Ip(socket))
    }

    fn of_endpoint(endpoint: Endpoint) -> Option<Self> {
        Some(endpoint)
    }
}
