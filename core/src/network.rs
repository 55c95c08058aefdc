//! One network as a whole: what a host must know to run its nodes.

use bytes::BytesMut;

use crate::{Codec, Dial, Dice, Door, Malformed, Node, Role};

/// What a network can do by nature. A conformance scenario skips what is not here, and says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// `Publish` has an effect that others can see.
    pub publish: bool,
    /// `Search` by words.
    pub search_words: bool,
    /// `Search` by digest.
    pub search_digest: bool,
    /// `Fetch`.
    pub fetch: bool,
    /// Several sources serve one fetch at the same time.
    pub many_sources: bool,
}

/// Ties a node to its bytes. Implemented by a type without values.
pub trait Network: Sized + 'static {
    /// Its name in commands, logs and metrics.
    const NAME: &'static str;
    /// What it can do.
    const ABILITIES: Abilities;
    /// The codec wants [`Cue::Quiet`](crate::Cue::Quiet) when a connection has been silent for 100 ms.
    const WANTS_QUIET: bool = false;
    /// Connections come by uTP (BEP 29) through its datagram doors, and may be dialled through them.
    const UTP: bool = false;

    /// Bounds and switches.
    type Config: Clone + Default + Send + Sync + 'static;
    /// The state machine.
    type Node: Node + Send + 'static;
    /// The bytes of connections.
    type Codec: Codec<Message = <Self::Node as Node>::Message> + Send + 'static;
    /// What the codec of an accepted connection must know of the node (MSE: the info hashes we have). Cheap to clone.
    type Secrets: Clone + Send + 'static;

    /// A node that has joined nothing.
    fn node(config: Self::Config, dice: &mut Dice) -> Self::Node;

    /// What codecs must know at this moment.
    fn secrets(node: &Self::Node) -> Self::Secrets;

    /// The codec of one connection; `dial` is there when we opened it.
    fn codec(role: Role, dial: Option<&Dial>, secrets: &Self::Secrets, dice: &mut Dice) -> Self::Codec;

    /// Appends `message` to `out` as one datagram. A message that does not go by datagram appends nothing.
    fn encode_datagram(message: &<Self::Node as Node>::Message, out: &mut BytesMut);

    /// Reads one datagram that came in through `door`.
    ///
    /// # Errors
    /// When it is not what this network sends.
    fn decode_datagram(door: Door, bytes: &[u8]) -> Result<<Self::Node as Node>::Message, Malformed>;
}
