//! Chord as a pure state machine: a ring of nodes, what is stored on it, and who has what.
//!
//! `id` and `place` say who stands where, `wire` turns bytes into messages and back, `node` decides.

pub mod id;
pub mod node;
pub mod place;
pub mod wire;
pub mod words;

use std::marker::PhantomData;

use bytes::BytesMut;
use hexad_core::{Abilities, Dial, Dice, Door, Malformed, Network, Role};

pub use id::{Key, RingId};
pub use node::model;
pub use node::{Config, Fill, Found, Node, Reply, Request, Ring, Rules, Settings, Stage, Status, Style, Table, Timer, doors};
pub use place::{Contact, Packed, Place, Small};
pub use wire::Message;

/// Chord, as hosts know it: with [`hexad_core::Endpoint`]s on real networks, with numbers in the lab.
pub struct Chord<A>(PhantomData<A>);

impl<A: Place> Network for Chord<A> {
    const NAME: &'static str = "chord";
    const ABILITIES: Abilities = Abilities { publish: true, search_words: true, search_digest: true, fetch: true, many_sources: true };

    type Config = Config;
    type Node = Node<A>;
    type Codec = wire::Codec<A>;
    type Secrets = ();

    fn node(config: Config, _: &mut Dice) -> Node<A> {
        Node::new(config)
    }

    fn secrets(_: &Node<A>) {}

    fn codec(_: Role, _: Option<&Dial>, (): &(), _: &mut Dice) -> wire::Codec<A> {
        wire::Codec::default()
    }

    fn encode_datagram(message: &Message<A>, out: &mut BytesMut) {
        wire::write(message, 0, out);
    }

    fn decode_datagram(_: Door, bytes: &[u8]) -> Result<Message<A>, Malformed> {
        wire::read_datagram(bytes)
    }
}
