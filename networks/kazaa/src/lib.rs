//! Kazaa as a pure state machine: supernodes that elect themselves, leaves that publish to them, floods among supernodes, and transfers.
//!
//! `place` says who is who, `wire` turns bytes into messages and back, `node` decides. FastTrack's own wire is closed and dead; this is a
//! protocol of ours with the same behaviour. A supernode can have a door for leaves that speak the old wire.

pub mod node;
pub mod place;
pub mod wire;

use std::marker::PhantomData;

use bytes::BytesMut;
use hexad_core::{Abilities, Dial, Dice, Door, Malformed, Message as _, Network, Role};

pub use node::{Config, Node, Reply, Request, Settings, Standing, Switch, Timer, doors};
pub use place::Place;
pub use wire::Message;

/// Kazaa, as hosts know it: with [`hexad_core::Endpoint`]s on real networks, with numbers in the lab.
pub struct Kazaa<A>(PhantomData<A>);

impl<A: Place> Network for Kazaa<A> {
    const NAME: &'static str = "kazaa";
    const ABILITIES: Abilities = Abilities { publish: true, search_words: true, search_digest: true, fetch: true, many_sources: true };

    type Config = Config;
    type Node = Node<A>;
    type Codec = wire::Codec<A>;
    type Secrets = ();

    fn node(config: Config, _: &mut Dice) -> Node<A> {
        Node::new(config)
    }

    fn secrets(_: &Node<A>) {}

    fn codec(role: Role, _: Option<&Dial>, (): &(), _: &mut Dice) -> wire::Codec<A> {
        wire::Codec::new(role)
    }

    fn encode_datagram(message: &Message<A>, out: &mut BytesMut) {
        if message.wire_bytes() <= wire::DATAGRAM_BYTES_MAX && !matches!(message, Message::Fast(_)) {
            wire::write(message, 0, out);
        }
    }

    fn decode_datagram(_: Door, bytes: &[u8]) -> Result<Message<A>, Malformed> {
        wire::read_datagram(bytes)
    }
}
