//! One connection of a FastTrack leaf to us: handshake, the two key streams, and frames.

use bytes::{Buf as _, BufMut as _, BytesMut};
use hexad_core::Malformed;

use super::cipher::Keystream;
use super::message::{FromLeaf, ToLeaf};

/// What a leaf begins with: four random bytes, its seed, and the cipher that it would like.
const GREETING_BYTES: usize = 12;
/// Our seed. With this one the mask over the cipher's type is known (giFT-FastTrack prints it); for others it takes the cipher of type 02.
const SEED: u32 = 0;
/// The mask of that seed.
const MASK: u32 = 0x48a0_0a33;
/// The cipher that we speak.
const CIPHER: u32 = 0x01;
const PING: u8 = 0x50;
const PONG: u8 = 0x52;
const MESSAGE: u8 = 0x4b;
/// Both ends' network, with which the enciphered part begins.
const NETWORK: &[u8] = b"KaZaA\0";
/// A leaf's network has a name of at most so many bytes.
const NETWORK_BYTES_MAX: usize = 64;

/// A message of that wire. Also what goes the other way, for tests that play the leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fast {
    /// From a leaf.
    From(FromLeaf),
    /// To a leaf.
    To(ToLeaf),
}

impl Fast {
    /// Its kind in our words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::From(FromLeaf::Info { .. }) => "fasttrack_info",
            Self::From(FromLeaf::Publish(_)) => "fasttrack_publish",
            Self::From(FromLeaf::Withdraw(_)) => "fasttrack_withdraw",
            Self::From(FromLeaf::Search(_)) => "fasttrack_search",
            Self::From(FromLeaf::Push { .. }) => "fasttrack_push",
            Self::To(ToLeaf::Results { .. }) => "fasttrack_results",
            Self::To(ToLeaf::SearchEnd(_)) => "fasttrack_search_end",
            Self::To(ToLeaf::Supernodes(_)) => "fasttrack_supernodes",
            Self::To(ToLeaf::Statistics(..)) => "fasttrack_statistics",
            Self::To(ToLeaf::PushOrder(..)) => "fasttrack_push_order",
            Self::From(_) | Self::To(_) => "fasttrack_other",
        }
    }

    fn data(&self) -> Option<(u16, BytesMut)> {
        match self {
            Self::From(message) => message.data(),
            Self::To(message) => message.data(),
        }
    }

    /// Bytes on the wire.
    #[must_use]
    pub fn wire_bytes(&self) -> u64 {
        self.data().map_or(1, |(_, data)| 5 + data.len() as u64)
    }

    /// Appends it in clear; `order` decides in which order the head's bytes stand.
    fn write(&self, order: &mut u32, out: &mut BytesMut) {
        let Some((kind, data)) = self.data() else {
            let ping = matches!(self, Self::From(FromLeaf::Ping) | Self::To(ToLeaf::Ping));
            return out.put_u8(if ping { PING } else { PONG });
        };
        let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
        let ([th, tl], [lh, ll]) = (kind.to_be_bytes(), length.to_be_bytes());
        out.put_u8(MESSAGE);
        out.put_slice(&match *order % 3 {
            0 => [tl, th, lh, ll],
            1 => [th, lh, tl, ll],
            _ => [th, ll, lh, tl],
        });
        out.put_slice(&data[..usize::from(length)]);
        turn(order, kind, length);
    }
}

/// The order of the next head.
fn turn(order: &mut u32, kind: u16, length: u16) {
    *order ^= !(u32::from(length) + u32::from(kind));
}

/// Whether what a stranger says first is a `Hello` of ours; `None` while that cannot be told.
#[must_use]
pub fn looks_native(first: &[u8]) -> Option<bool> {
    const HELLO: &[(usize, u8)] = &[(0, 0x01), (1, 0), (4, b'K'), (5, b'Z')];
    for &(at, byte) in HELLO {
        match first.get(at) {
            None => return None,
            Some(other) if *other != byte => return Some(false),
            Some(_) => {}
        }
    }
    Some(true)
}

/// Our end.
#[derive(Debug)]
pub struct Session {
    ciphers: Option<(Keystream, Keystream)>,
    /// The leaf has named its network.
    named: bool,
    /// So much of what has come is deciphered.
    deciphered: usize,
    order_in: u32,
    order_out: u32,
}

/// With which the order of heads begins.
const ORDER: u32 = 0x51;

impl Default for Session {
    fn default() -> Self {
        Self { ciphers: None, named: false, deciphered: 0, order_in: ORDER, order_out: ORDER }
    }
}

impl Session {
    /// The next message of the leaf, if it is there.
    ///
    /// # Errors
    /// When it is not what a leaf sends.
    pub fn decode(&mut self, input: &mut BytesMut, reply: &mut BytesMut) -> Result<Option<FromLeaf>, Malformed> {
        if self.ciphers.is_none() {
            let Some(greeting) = input.first_chunk::<GREETING_BYTES>() else { return Ok(None) };
            let seed = u32::from_be_bytes([greeting[4], greeting[5], greeting[6], greeting[7]]);
            input.advance(GREETING_BYTES);
            let (mut sending, receiving) = (Keystream::new(SEED), Keystream::new(seed ^ SEED));
            reply.put_u32(SEED);
            reply.put_u32(CIPHER ^ MASK);
            let mut name = NETWORK.to_vec();
            sending.apply(&mut name);
            reply.put_slice(&name);
            self.ciphers = Some((sending, receiving));
        }
        if let Some((_, receiving)) = &mut self.ciphers {
            receiving.apply(&mut input[self.deciphered..]);
            self.deciphered = input.len();
        }
        if !self.named {
            let end = input.iter().position(|byte| *byte == 0);
            if end.unwrap_or(input.len()) > NETWORK_BYTES_MAX {
                return Err(Malformed::at(0, "expected the name of a network"));
            }
            let Some(end) = end else { return Ok(None) };
            self.take(input, end + 1);
            self.named = true;
        }
        self.message(input)
    }

    fn take(&mut self, input: &mut BytesMut, count: usize) {
        input.advance(count);
        self.deciphered -= count;
    }

    fn message(&mut self, input: &mut BytesMut) -> Result<Option<FromLeaf>, Malformed> {
        match input.first() {
            None => Ok(None),
            Some(&PING) => {
                self.take(input, 1);
                Ok(Some(FromLeaf::Ping))
            }
            Some(&PONG) => {
                self.take(input, 1);
                Ok(Some(FromLeaf::Pong))
            }
            Some(&MESSAGE) => {
                let Some(&[_, a, b, c, d]) = input.first_chunk::<5>() else { return Ok(None) };
                let (kind, length) = match self.order_in % 3 {
                    0 => ([b, a], [c, d]),
                    1 => ([a, c], [b, d]),
                    _ => ([a, d], [c, b]),
                };
                let (kind, length) = (u16::from_be_bytes(kind), u16::from_be_bytes(length));
                let whole = 5 + usize::from(length);
                if input.len() < whole {
                    return Ok(None);
                }
                let message = FromLeaf::read(kind, &input[5..whole])?;
                turn(&mut self.order_in, kind, length);
                self.take(input, whole);
                Ok(Some(message))
            }
            Some(other) => Err(Malformed::at(0, format!("expected a frame that begins with 4b, 50 or 52, came {other:02x}"))),
        }
    }

    /// Appends a message to the leaf, in clear.
    pub fn encode(&mut self, message: &Fast, out: &mut BytesMut) {
        message.write(&mut self.order_out, out);
    }

    /// Enciphers what is to be sent.
    pub fn seal(&mut self, bytes: &mut [u8]) {
        if let Some((sending, _)) = &mut self.ciphers {
            sending.apply(bytes);
        }
    }
}
