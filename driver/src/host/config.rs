//! Bounds and switches of a host.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::key::NodeKey;
use crate::Catalogue;
use crate::limits::Limits;
use crate::proxy::Proxy;
use crate::wall::Wall;

/// Bounds and switches of a host.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Where the node's own state is kept, below a folder named after its network; `None` keeps it in memory.
    pub state_dir: Option<PathBuf>,
    /// Whether anything but this machine and private networks may be reached.
    pub outside: bool,
    /// Whence connections and HTTP requests go out to hosts of the same family; the system's choice without one. A tracker takes the address that it
    /// hears from for the one that we listen at, so where that is one of several, this should be the same.
    pub source: Option<IpAddr>,
    /// The one interface by name that every socket is bound to: what cannot go over it goes nowhere. Names are looked up over it as well.
    pub interface: Option<String>,
    /// The proxy through which every connection and HTTP exchange goes, and every datagram where it speaks SOCKS5. With one, no other door is opened,
    /// and no name is looked up.
    pub proxy: Option<Proxy>,
    /// Interfaces by name on which multicast groups are joined; `None` is all that are up.
    pub multicast_interfaces: Option<Vec<String>>,
    /// Connections at a time, those being dialled included. At most half of the descriptors that the system allows.
    pub connections_max: usize,
    /// Dials at a time; others wait for their turn.
    pub half_open_max: usize,
    /// Bytes of messages that wait on one connection; beyond this it is closed with `Why::Overrun`. Ranges of shares count only
    /// as what they take in memory.
    pub send_queue_bytes_max: u64,
    /// Bytes, those of ranges included, that may wait on one connection before `Context::room` says that there is no room.
    pub send_queue_mark_bytes: u64,
    /// Questions of the node that are being answered at a time; more are answered with a failure at once.
    pub asks_max: usize,
    /// HTTP exchanges at a time; others wait for their turn.
    pub http_exchanges_max: usize,
    /// Threads for what blocks: cold reads of shares, names, the node's state, computations.
    pub blocking_threads_max: usize,
    /// As which program we ask HTTP servers.
    pub user_agent: String,
    /// Certificates (DER) of authorities that HTTPS trusts beside the system's.
    pub extra_root_certificates: Vec<Vec<u8>>,
    /// The key pair by which a node of our own overlays is known. Without one, the pair in the node's state is taken, or made.
    pub key: Option<NodeKey>,
    /// How fast bytes may come and go; hosts of one session share it.
    pub limits: Arc<Limits>,
    /// Who answers `Ask::Query`, `Owner`, `Index` and `Letters`; without one, such questions fail.
    pub catalogue: Option<Arc<dyn Catalogue>>,
    /// The calendar of the node's dates.
    pub wall: Wall,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            state_dir: None,
            outside: true,
            source: None,
            interface: None,
            proxy: None,
            multicast_interfaces: None,
            connections_max: 2000,
            half_open_max: 100,
            send_queue_bytes_max: 16 << 20,
            send_queue_mark_bytes: 4 << 20,
            asks_max: 1024,
            http_exchanges_max: 32,
            blocking_threads_max: 16,
            user_agent: concat!("Hexad/", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_root_certificates: Vec::new(),
            key: None,
            limits: Arc::default(),
            catalogue: None,
            wall: Wall::default(),
        }
    }
}
