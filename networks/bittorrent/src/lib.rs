//! BitTorrent as a pure state machine.
//!
//! `wire` turns bytes into messages and back; `node` decides. Roles are variants inside the one node: peer, and tracker.

pub mod node;
pub mod wire;

pub use node::{
    Config, DhtScrape, Encryption, IpFilter, ItemName, Node, Order, Picking, Reply, Request, SeedChoking, Sources, StoredItem, SwarmStatus,
    Timer, TrackerConfig, TrackerStatus, Utp, WebSeedStatus,
};
pub use wire::Message;

use bytes::BytesMut;
use hexad_core::{Abilities, Dial, Dice, Door, Malformed, Network, Role};

/// BitTorrent, as hosts know it.
pub enum BitTorrent {}

impl Network for BitTorrent {
    const NAME: &'static str = "bittorrent";
    const ABILITIES: Abilities = Abilities { publish: true, search_words: false, search_digest: true, fetch: true, many_sources: true };
    const UTP: bool = true;

    type Config = Config;
    type Node = Node;
    type Codec = wire::PeerCodec;
    type Secrets = wire::Secrets;

    fn node(config: Config, dice: &mut Dice) -> Node {
        Node::new(config, dice)
    }

    fn secrets(node: &Node) -> wire::Secrets {
        node.secrets()
    }

    fn codec(role: Role, dial: Option<&Dial>, secrets: &wire::Secrets, dice: &mut Dice) -> wire::PeerCodec {
        wire::PeerCodec::new(role, dial, secrets, dice)
    }

    fn encode_datagram(message: &Message, out: &mut BytesMut) {
        wire::encode_datagram(message, out);
    }

    fn decode_datagram(door: Door, bytes: &[u8]) -> Result<Message, Malformed> {
        wire::decode_datagram(door, bytes)
    }
}

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
