//! Signed subspaces and keyword keys, with Ed25519 and AES-256-CTR where Hyphanet has DSA and Rijndael-PCFB. Algorithm 4 in the extra bytes.

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use hexad_core::Payload;

use super::block::signed;
use super::{Block, NodeKey, SSK_DATA_BYTES, Stream, Unreadable, hmac, pad, sha256};

/// Number of the algorithm in URIs and keys.
pub const SSK_ALGORITHM: u8 = 4;

/// What finds and reads a block of a subspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSsk {
    /// The hash of the public key.
    pub owner: [u8; 32],
    /// The subspace's cipher key.
    pub crypto: [u8; 32],
    /// The document's name.
    pub name: String,
}

/// What writes a block of a subspace.
#[derive(Clone, PartialEq, Eq)]
pub struct InsertSsk {
    /// From which the key pair is made.
    pub seed: [u8; 32],
    /// The subspace's cipher key.
    pub crypto: [u8; 32],
    /// The document's name.
    pub name: String,
}

// A private key does not get into logs.
impl std::fmt::Debug for InsertSsk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InsertSsk").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A subspace of one's own.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// From which the key pair is made.
    pub seed: [u8; 32],
    /// The subspace's cipher key.
    pub crypto: [u8; 32],
}

impl RequestSsk {
    /// What the network calls it.
    #[must_use]
    pub fn node_key(&self) -> NodeKey {
        NodeKey::Ssk { ehd: hidden_name(&self.crypto, &self.name), owner: self.owner }
    }

    /// The content of a block, and whether it is about content.
    ///
    /// # Errors
    /// When it is not the block of this key, or was not made with this cipher key.
    pub fn decode(&self, block: &Block) -> Result<(Bytes, bool), Unreadable> {
        let NodeKey::Ssk { ehd, .. } = self.node_key() else { return Err(Unreadable::Nonsense) };
        if block.key != self.node_key() || !block.is_genuine() {
            return Err(Unreadable::Forged);
        }
        let Payload::Bytes(data) = &block.data else { return Err(Unreadable::Nonsense) };
        let mut sealed = *block.header[32..].first_chunk::<36>().ok_or(Unreadable::Nonsense)?;
        Stream::new(&header_key(&self.crypto, &ehd, data), &[0; 16]).apply(&mut sealed);
        let hash = sealed.first_chunk::<32>().ok_or(Unreadable::Nonsense)?;
        let mut plain = data.to_vec();
        Stream::new(&data_key(&self.crypto, hash), &[0; 16]).apply(&mut plain);
        if content_hash(&plain, &sealed[32..]) != *hash {
            return Err(Unreadable::WrongCipherKey);
        }
        let word = u16::from_be_bytes([sealed[32], sealed[33]]);
        let codec = i16::from_be_bytes([sealed[34], sealed[35]]);
        if codec != -1 {
            return Err(Unreadable::UnknownCodec(codec));
        }
        let (control, length) = (word & 0x8000 != 0, usize::from(word & 0x7fff));
        if length > plain.len() {
            return Err(Unreadable::Nonsense);
        }
        plain.truncate(length);
        Ok((plain.into(), control))
    }
}

impl InsertSsk {
    /// What reads what this writes.
    #[must_use]
    pub fn request(&self) -> RequestSsk {
        RequestSsk { owner: owner_of(&self.seed), crypto: self.crypto, name: self.name.clone() }
    }

    /// Makes a block; `None` when there is more data than a block takes.
    #[must_use]
    pub fn encode(&self, data: &[u8], control: bool) -> Option<Block> {
        let length = u16::try_from(data.len()).ok().filter(|_| data.len() <= SSK_DATA_BYTES)?;
        let key = self.request().node_key();
        let NodeKey::Ssk { ehd, .. } = key else { return None };
        let mut plain = pad(data, SSK_DATA_BYTES);
        let word = length | if control { 0x8000 } else { 0 };
        let mut sealed = [0; 36];
        sealed[32..34].copy_from_slice(&word.to_be_bytes());
        sealed[34..].copy_from_slice(&(-1_i16).to_be_bytes());
        let hash = content_hash(&plain, &sealed[32..]);
        sealed[..32].copy_from_slice(&hash);
        Stream::new(&data_key(&self.crypto, &hash), &[0; 16]).apply(&mut plain);
        Stream::new(&header_key(&self.crypto, &ehd, &plain), &[0; 16]).apply(&mut sealed);
        let pair = SigningKey::from_bytes(&self.seed);
        let signature = pair.sign(&signed(&ehd, &sealed, &plain)).to_bytes();
        let header = [&pair.verifying_key().to_bytes()[..], &sealed, &signature].concat();
        Some(Block { key, header: header.into(), data: Payload::Bytes(plain.into()) })
    }
}

impl KeyPair {
    /// The hash of the public key.
    #[must_use]
    pub fn owner(&self) -> [u8; 32] {
        owner_of(&self.seed)
    }

    /// The key of one document.
    #[must_use]
    pub fn insert(&self, name: &str) -> InsertSsk {
        InsertSsk { seed: self.seed, crypto: self.crypto, name: name.to_owned() }
    }
}

/// The key that everybody can make who knows the words: anyone can write under it, and who is first keeps it.
#[must_use]
pub fn ksk(words: &str) -> InsertSsk {
    InsertSsk { seed: sha256(&[b"hexad ksk 4", words.as_bytes()]), crypto: sha256(&[words.as_bytes()]), name: words.to_owned() }
}

fn owner_of(seed: &[u8; 32]) -> [u8; 32] {
    sha256(&[&SigningKey::from_bytes(seed).verifying_key().to_bytes()])
}

/// Who does not know the cipher key cannot guess names.
fn hidden_name(crypto: &[u8; 32], name: &str) -> [u8; 32] {
    hmac(crypto, &[b"name", name.as_bytes()])
}

// Another content has other key streams; with fixed ones two versions under one name would give away their difference.
fn header_key(crypto: &[u8; 32], ehd: &[u8; 32], sealed_data: &[u8]) -> [u8; 32] {
    hmac(crypto, &[b"header", ehd, &sha256(&[sealed_data])])
}

fn data_key(crypto: &[u8; 32], hash: &[u8; 32]) -> [u8; 32] {
    hmac(crypto, &[b"data", hash])
}

fn content_hash(plain: &[u8], word: &[u8]) -> [u8; 32] {
    sha256(&[plain, word])
}
