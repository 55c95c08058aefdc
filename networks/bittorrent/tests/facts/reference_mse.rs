//! A second, straightforward reading of MSE (specs 12), which holds everything in hand and shares no code with ours: it knows both
//! private keys and both pads, so it can build any conversation in full and take any apart.

use num_bigint::BigUint;
use rc4::{KeyInit as _, Rc4, StreamCipher as _};
use sha1::{Digest as _, Sha1};

use crate::vectors::hex;

/// Both may be offered; one is chosen.
pub const CLEAR: u32 = 1;
/// See [`CLEAR`].
pub const RC4: u32 = 2;

fn prime() -> BigUint {
    BigUint::from_bytes_be(&hex(
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
         4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
    ))
}

fn to_96_bytes(number: &BigUint) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [vec![0; 96 - bytes.len()], bytes].concat()
}

fn sha1(parts: &[&[u8]]) -> Vec<u8> {
    Sha1::digest(parts.concat()).to_vec()
}

/// One direction's cipher, 1024 bytes in.
fn stream(label: &[u8], secret: &[u8], skey: &[u8]) -> Rc4 {
    let mut cipher = Rc4::new_from_slice(&sha1(&[label, secret, skey])).unwrap();
    cipher.apply_keystream(&mut [0; 1024]);
    cipher
}

/// The public key of a private one.
pub fn public(private: &[u8]) -> Vec<u8> {
    to_96_bytes(&BigUint::from(2_u8).modpow(&BigUint::from_bytes_be(private), &prime()))
}

/// A dialler's third step, read.
pub struct Offer {
    /// Length of pad A.
    pub pad_bytes: usize,
    /// What is offered.
    pub methods: u32,
    /// Pad C.
    pub pad_c: Vec<u8>,
    /// The initial payload.
    pub initial: Vec<u8>,
    /// What follows.
    pub rest: Vec<u8>,
}

/// What both sides of a conversation share once the keys are exchanged.
pub struct Shared {
    secret: Vec<u8>,
    skey: Vec<u8>,
    /// From dialler to acceptor.
    pub a: Rc4,
    /// From acceptor to dialler.
    pub b: Rc4,
}

impl Shared {
    /// From our private key and their public one.
    pub fn new(private: &[u8], their_public: &[u8], skey: &[u8]) -> Self {
        let secret = to_96_bytes(&BigUint::from_bytes_be(their_public).modpow(&BigUint::from_bytes_be(private), &prime()));
        let (a, b) = (stream(b"keyA", &secret, skey), stream(b"keyB", &secret, skey));
        Self { secret, skey: skey.to_vec(), a, b }
    }

    /// HASH("req1", S), which ends the dialler's pad.
    pub fn mark(&self) -> Vec<u8> {
        sha1(&[b"req1", &self.secret])
    }

    /// HASH("req2", SKEY) xor HASH("req3", S), which names the torrent.
    pub fn torrent(&self) -> Vec<u8> {
        let named = sha1(&[b"req2", &self.skey]);
        named.iter().zip(sha1(&[b"req3", &self.secret])).map(|(a, b)| a ^ b).collect()
    }

    /// The dialler's third step.
    pub fn offer(&mut self, methods: u32, pad: &[u8], initial: &[u8]) -> Vec<u8> {
        let (pad_length, initial_length) = (u16::try_from(pad.len()).unwrap(), u16::try_from(initial.len()).unwrap());
        let mut hidden =
            [&[0; 8][..], &methods.to_be_bytes(), &pad_length.to_be_bytes(), pad, &initial_length.to_be_bytes(), initial].concat();
        self.a.apply_keystream(&mut hidden);
        [self.mark(), self.torrent(), hidden].concat()
    }

    /// The acceptor's fourth step.
    pub fn choice(&mut self, method: u32, pad: &[u8]) -> Vec<u8> {
        let mut hidden = [&[0; 8][..], &method.to_be_bytes(), &u16::try_from(pad.len()).unwrap().to_be_bytes(), pad].concat();
        self.b.apply_keystream(&mut hidden);
        hidden
    }

    /// Takes the dialler's third step apart, pad A in front of it.
    pub fn read_offer(&mut self, bytes: &[u8]) -> Option<Offer> {
        let pad_bytes = bytes.windows(20).position(|window| window == self.mark())?;
        let rest = &bytes[pad_bytes + 20..];
        assert_eq!(rest[..20], self.torrent());
        let mut rest = rest[20..].to_vec();
        let mut plain = |length: usize| {
            let mut bytes: Vec<u8> = rest.drain(..length).collect();
            self.a.apply_keystream(&mut bytes);
            bytes
        };
        assert_eq!(plain(8), [0; 8]);
        let methods = u32::from_be_bytes(plain(4).try_into().unwrap());
        let length = u16::from_be_bytes(plain(2).try_into().unwrap());
        let pad_c = plain(length.into());
        let length = u16::from_be_bytes(plain(2).try_into().unwrap());
        let initial = plain(length.into());
        Some(Offer { pad_bytes, methods, pad_c, initial, rest })
    }

    /// Takes the acceptor's fourth step apart, pad B in front of it: the length of pad B, the method, pad D, and what follows.
    pub fn read_choice(&mut self, bytes: &[u8]) -> Option<(usize, u32, Vec<u8>, Vec<u8>)> {
        let mut mark = [0; 8];
        stream(b"keyB", &self.secret, &self.skey).apply_keystream(&mut mark);
        let pad_b = bytes.windows(8).position(|window| window == mark)?;
        let mut rest = bytes[pad_b..].to_vec();
        let mut plain = |length: usize| {
            let mut bytes: Vec<u8> = rest.drain(..length).collect();
            self.b.apply_keystream(&mut bytes);
            bytes
        };
        assert_eq!(plain(8), [0; 8]);
        let method = u32::from_be_bytes(plain(4).try_into().unwrap());
        let length = u16::from_be_bytes(plain(2).try_into().unwrap());
        let pad = plain(length.into());
        Some((pad_b, method, pad, rest))
    }
}
