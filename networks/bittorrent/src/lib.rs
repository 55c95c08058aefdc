//! BitTorrent as a pure state machine.
//!
//! `wire` turns bytes into messages and back; `node` decides. Roles are variants inside the one node: peer, and tracker.

pub mod node;
pub mod wire;

pub use node::{Config, Encryption, Node, Reply, Request, SwarmStatus, Timer, TrackerConfig};
pub use wire::Message;

/// The doors of a node.
pub mod doors {
    use hexad_core::Door;

    /// Where peers connect to us, TCP.
    pub const PEERS: Door = Door(0);
    /// UDP, same port as [`PEERS`]: DHT, and our questions to UDP trackers.
    pub const DATAGRAMS: Door = Door(1);
    /// Local service discovery over IPv4 multicast.
    pub const LSD_V4: Door = Door(2);
    /// Local service discovery over IPv6 multicast.
    pub const LSD_V6: Door = Door(3);
    /// Where we serve as a UDP tracker.
    pub const TRACKER: Door = Door(4);
}
