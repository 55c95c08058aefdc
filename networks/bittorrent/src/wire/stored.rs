//! What the DHT stores beside peers: values under their own hash, and values under a key that whoever has it can change. BEP 44, 46.

use bytes::Bytes;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha1::{Digest as _, Sha1};

use super::bencode::{self, Strictness, Value};

/// Longest value, as it is bencoded. BEP 44.
pub const VALUE_BYTES_MAX: usize = 1000;
/// Longest salt. BEP 44.
pub const SALT_BYTES_MAX: usize = 64;

/// Under what a value is stored that can be changed, and the word of its owner for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The owner's public key (ed25519).
    pub key: [u8; 32],
    /// Tells several values of one key apart; mostly empty.
    pub salt: Bytes,
    /// Grows with every change.
    pub seq: i64,
    /// Over salt, sequence number and value.
    pub signature: [u8; 64],
}

impl Signed {
    /// The owner's word for a value.
    #[must_use]
    pub fn new(secret: &[u8; 32], salt: Bytes, seq: i64, value: &[u8]) -> Self {
        let key = SigningKey::from_bytes(secret);
        let signature = key.sign(&signed_bytes(&salt, seq, value)).to_bytes();
        Self { key: key.verifying_key().to_bytes(), salt, seq, signature }
    }

    /// Whether this is the owner's word for `value`, which is bencoded.
    #[must_use]
    pub fn holds(&self, value: &[u8]) -> bool {
        let signature = Signature::from_bytes(&self.signature);
        VerifyingKey::from_bytes(&self.key)
            .is_ok_and(|key| key.verify_strict(&signed_bytes(&self.salt, self.seq, value), &signature).is_ok())
    }
}

/// What is signed. BEP 44 wants it written just so.
fn signed_bytes(salt: &[u8], seq: i64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + salt.len() + 40);
    if !salt.is_empty() {
        bytes.extend_from_slice(format!("4:salt{}:", salt.len()).as_bytes());
        bytes.extend_from_slice(salt);
    }
    bytes.extend_from_slice(format!("3:seqi{seq}e1:v").as_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// Where a value is looked for that cannot be changed: at its own hash.
#[must_use]
pub fn immutable_target(value: &[u8]) -> [u8; 20] {
    Sha1::digest(value).into()
}

/// Where a value is looked for that its owner can change.
#[must_use]
pub fn mutable_target(key: &[u8; 32], salt: &[u8]) -> [u8; 20] {
    Sha1::new().chain_update(key).chain_update(salt).finalize().into()
}

/// Whether these bytes are one value, written as bencoding wants it: what is hashed and signed must not be written in two ways.
#[must_use]
pub fn is_value(bytes: &[u8]) -> bool {
    bencode::parse(bytes, Strictness::Strict).is_ok()
}

/// The info hash that a mutable torrent has at this time (BEP 46): `{"ih": 20 bytes}`.
#[must_use]
pub fn torrent_of(value: &[u8]) -> Option<[u8; 20]> {
    bencode::parse(value, Strictness::Lenient).ok()?.root().get("ih").and_then(Value::array)
}

/// A value that says so.
#[must_use]
pub fn torrent_value(info_hash: &[u8; 20]) -> Bytes {
    [&b"d2:ih20:"[..], info_hash, b"e"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    const KEY: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
    const VALUE: &[u8] = b"12:Hello World!";

    /// The vectors of BEP 44.
    #[test]
    fn the_vectors_of_the_bep_hold() {
        let plain = Signed {
            key: hex(KEY),
            salt: Bytes::new(),
            seq: 1,
            signature: hex(
                "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
            ),
        };
        assert!(plain.holds(VALUE));
        assert_eq!(mutable_target(&plain.key, b""), hex::<20>("4a533d47ec9c7d95b1ad75f576cffc641853b750"));
        let salted = Signed {
            salt: Bytes::from_static(b"foobar"),
            signature: hex(
                "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
            ),
            ..plain.clone()
        };
        assert!(salted.holds(VALUE));
        assert_eq!(mutable_target(&salted.key, &salted.salt), hex::<20>("411eba73b6f087ca51a3795d9c8c938d365e32c1"));
        assert_eq!(immutable_target(VALUE), hex::<20>("e5f96f6f38320f0f33959cb4d3d656452117aadb"));
        for wrong in [
            Signed { seq: 2, ..plain.clone() },
            Signed { salt: Bytes::from_static(b"x"), ..plain.clone() },
            Signed { key: [0; 32], ..plain.clone() },
        ] {
            assert!(!wrong.holds(VALUE), "{wrong:?}");
        }
        assert!(!plain.holds(b"12:Hello World?"));
    }

    /// The vectors of BEP 46.
    #[test]
    fn a_mutable_torrent_is_looked_for_where_the_bep_says() {
        let key = hex("8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e");
        assert_eq!(mutable_target(&key, b""), hex::<20>("cc3f9d90b572172053626f9980ce261a850d050b"));
        assert_eq!(mutable_target(&key, b"n"), hex::<20>("59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f"));
        assert_eq!(torrent_of(&torrent_value(&[7; 20])), Some([7; 20]));
        assert!(is_value(&torrent_value(&[7; 20])));
        for none in [&b"d2:ih19:aaaaaaaaaaaaaaaaaaae"[..], b"de", b"i1e", b"", b"d2:ih", b"d2:ihi7ee"] {
            assert_eq!(torrent_of(none), None);
        }
    }

    #[test]
    fn what_is_signed_here_holds_and_is_written_in_one_way_only() {
        let signed = Signed::new(&[7; 32], Bytes::from_static(b"salt"), -3, VALUE);
        assert!(signed.holds(VALUE));
        assert!([&b"i01e"[..], b"d1:b0:1:a0:e", b"1:ab", b"", b"l"].iter().all(|value| !is_value(value)) && is_value(VALUE));
    }
}
