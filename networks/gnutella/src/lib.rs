//! Gnutella as a pure state machine: queries that flood among neighbours, flat as in 0.4 or with ultrapeers and leaves as in 0.6.
//!
//! `wire` turns bytes into messages and back; `node` decides.

pub mod locator;
pub mod node;
pub mod wire;

pub use locator::Locator;
pub use node::{Audio, Config, Kind, Mode, Node, Reply, Request, Settings, Status, Strategy, Timer};
pub use wire::Message;

use bytes::BytesMut;
use hexad_core::{Abilities, Dial, Dice, Door, Malformed, Network, Role};

/// Gnutella, as hosts know it.
pub enum Gnutella {}

impl Network for Gnutella {
    const NAME: &'static str = "gnutella";
    const ABILITIES: Abilities = Abilities { publish: true, search_words: true, search_digest: true, fetch: true, many_sources: true };

    type Config = Config;
    type Node = Node;
    type Codec = wire::Codec;
    type Secrets = ();

    fn node(config: Config, dice: &mut Dice) -> Node {
        Node::new(config, dice)
    }

    fn secrets(_: &Node) {}

    fn codec(role: Role, _: Option<&Dial>, (): &(), _: &mut Dice) -> wire::Codec {
        wire::Codec::new(role)
    }

    fn encode_datagram(message: &Message, out: &mut BytesMut) {
        if let Message::Packet(packet) = message {
            packet.write(out);
        }
    }

    fn decode_datagram(_: Door, bytes: &[u8]) -> Result<Message, Malformed> {
        wire::read_datagram(bytes)
    }
}

/// The doors of a node.
pub mod doors {
    use hexad_core::Door;

    /// Links and transfers: everything that dials us.
    pub const STREAM: Door = Door(0);
    /// Datagrams, at the same port.
    pub const DATAGRAM: Door = Door(1);
}
