//! Napster as a pure state machine, on the OpenNap wire: one central index that knows who has what, and files that go from peer to peer.
//!
//! `wire` turns bytes into messages and back; `node` decides. Roles are variants inside the one node: client of any number of servers, and server.

pub mod node;
pub mod wire;

pub use hexad_catalogue::Config as CatalogueConfig;
pub use node::{
    Audio, ClientConfig, Config, Level, Locator, Node, Reply, Request, ServerConfig, ServerStatus, SharedConfig, Timer, digests_of,
    token_of,
};
pub use wire::Message;

use bytes::BytesMut;
use hexad_core::{Abilities, Dial, Dice, Door, Malformed, Network, Role};

/// Napster, as hosts know it.
pub enum Napster {}

impl Network for Napster {
    const NAME: &'static str = "napster";
    const ABILITIES: Abilities = Abilities { publish: true, search_words: true, search_digest: true, fetch: true, many_sources: true };
    /// The numbers and requests between two programs have no end but silence.
    const WANTS_QUIET: bool = true;

    type Config = Config;
    type Node = Node;
    type Codec = wire::NapsterCodec;
    type Secrets = ();

    fn node(config: Config, dice: &mut Dice) -> Node {
        Node::new(config, dice)
    }

    fn secrets(_: &Node) {}

    fn codec(role: Role, dial: Option<&Dial>, (): &(), _: &mut Dice) -> wire::NapsterCodec {
        wire::NapsterCodec::new(role, dial)
    }

    fn encode_datagram(_: &Message, _: &mut BytesMut) {}

    fn decode_datagram(_: Door, _: &[u8]) -> Result<Message, Malformed> {
        Err(Malformed::at(0, "this network has no datagrams"))
    }
}

/// The doors of a node.
pub mod doors {
    use hexad_core::Door;

    /// Where clients connect to our server.
    pub const SERVER: Door = Door(0);
    /// Where peers connect to us for files: the data port.
    pub const PEERS: Door = Door(1);
}
