//! Freenet as a pure state machine: keys that only their holders can read, a network that routes by them, caches and forgets.
//!
//! `keys` says what content is called, `document` what a key's content is made of, `wire` turns bytes into messages and back, `node` decides.

pub mod document;
pub mod fcp;
pub mod gateway;
pub mod invitation;
pub mod keys;
pub mod node;
pub mod place;
pub mod splitfile;
pub mod wire;

use std::marker::PhantomData;

use bytes::BytesMut;
use hexad_core::{Abilities, Dial, Dice, Door, Malformed, Network, Role};

pub use invitation::Invitation;
pub use node::{
    Config, Counts, FriendChange, FriendOf, FriendWords, Given, InvitationWanted, Mode, Neighbour, Node, PutFile, Reply, Request, Settings,
    Status, Timer, Trust, Tuning, Visibility, doors,
};
pub use place::Place;
pub use wire::Message;

/// Freenet, as hosts know it: with [`hexad_core::Endpoint`]s on real networks, with numbers in the lab.
pub struct Freenet<A>(PhantomData<A>);

impl<A: Place> Network for Freenet<A> {
    const NAME: &'static str = "freenet";
    const ABILITIES: Abilities = Abilities { publish: true, search_words: false, search_digest: true, fetch: true, many_sources: false };

    type Config = Config;
    type Node = Node<A>;
    type Codec = wire::Codec<A>;
    type Secrets = ();

    fn node(config: Config, dice: &mut Dice) -> Node<A> {
        Node::new(config, dice)
    }

    fn secrets(_: &Node<A>) {}

    fn codec(_: Role, _: Option<&Dial>, (): &(), _: &mut Dice) -> wire::Codec<A> {
        wire::Codec::default()
    }

    fn encode_datagram(_: &Message<A>, _: &mut BytesMut) {}

    fn decode_datagram(_: Door, _: &[u8]) -> Result<Message<A>, Malformed> {
        Err(Malformed::at(0, "expected no datagram"))
    }
}
