//! Content hash keys, exactly as Hyphanet's algorithm 3 makes them (AES-256-CTR, SHA-256): the same bytes give the same URI.

use bytes::Bytes;
use hexad_core::Payload;

use super::{Block, CHK_DATA_BYTES, NodeKey, Stream, Unreadable, hmac, pad, sha256};

/// Number of the algorithm in URIs and keys.
pub const CHK_ALGORITHM: u8 = 3;

/// What finds and reads one block of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientChk {
    /// What the network calls it.
    pub routing: [u8; 32],
    /// What reads it.
    pub crypto: [u8; 32],
    /// It is about content, and not content.
    pub control: bool,
    /// How the content was compressed before; -1 for not at all.
    pub codec: i16,
}

impl ClientChk {
    /// Makes a block of at most 32 KiB and its key; equal data gives an equal key. `None` when there is more data than a block takes.
    #[must_use]
    pub fn encode(data: &[u8], control: bool) -> Option<(Self, Block)> {
        (data.len() <= CHK_DATA_BYTES).then(|| {
            let padded = pad(data, CHK_DATA_BYTES);
            let crypto = sha256(&[&padded]);
            Self::seal(padded, data.len(), crypto, control)
        })
    }

    /// The same with a cipher key that is given, as splitfiles of Hyphanet have one for all their blocks.
    #[must_use]
    pub fn encode_with(data: &[u8], crypto: [u8; 32], control: bool) -> Option<(Self, Block)> {
        (data.len() <= CHK_DATA_BYTES).then(|| Self::seal(pad(data, CHK_DATA_BYTES), data.len(), crypto, control))
    }

    fn seal(mut padded: Vec<u8>, length: usize, crypto: [u8; 32], control: bool) -> (Self, Block) {
        let mut sealed_length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        let hash = hmac(&crypto, &[&padded, &sealed_length]);
        let mut stream = Stream::new(&crypto, &iv(&hash));
        stream.apply(&mut padded);
        stream.apply(&mut sealed_length);
        let header = [&[0, 1], &hash[..], &sealed_length].concat();
        let routing = sha256(&[&header, &padded]);
        let block = Block { key: NodeKey::Chk(routing), header: header.into(), data: Payload::Bytes(padded.into()) };
        (Self { routing, crypto, control, codec: -1 }, block)
    }

    /// What the network calls it.
    #[must_use]
    pub const fn node_key(&self) -> NodeKey {
        NodeKey::Chk(self.routing)
    }

    /// The content of a block.
    ///
    /// # Errors
    /// When it is not the block of this key, or was not made with this cipher key.
    pub fn decode(&self, block: &Block) -> Result<Bytes, Unreadable> {
        if block.key != self.node_key() || !block.is_genuine() {
            return Err(Unreadable::Forged);
        }
        if self.codec != -1 {
            return Err(Unreadable::UnknownCodec(self.codec));
        }
        let Payload::Bytes(data) = &block.data else { return Err(Unreadable::Nonsense) };
        let hash = block.header[2..34].first_chunk::<32>().ok_or(Unreadable::Nonsense)?;
        let mut length = *block.header[34..].first_chunk::<2>().ok_or(Unreadable::Nonsense)?;
        let mut plain = data.to_vec();
        let mut stream = Stream::new(&self.crypto, &iv(hash));
        stream.apply(&mut plain);
        stream.apply(&mut length);
        if hmac(&self.crypto, &[&plain, &length]) != *hash {
            return Err(Unreadable::WrongCipherKey);
        }
        let length = usize::from(u16::from_be_bytes(length));
        if length > plain.len() {
            return Err(Unreadable::Nonsense);
        }
        plain.truncate(length);
        Ok(plain.into())
    }

    /// The extra bytes of its URI.
    #[must_use]
    pub fn extra(&self) -> [u8; 5] {
        let [high, low] = self.codec.to_be_bytes();
        [0, CHK_ALGORITHM, if self.control { 2 } else { 0 }, high, low]
    }
}

fn iv(hash: &[u8; 32]) -> [u8; 16] {
    let mut iv = [0; 16];
    iv.copy_from_slice(&hash[..16]);
    iv
}
