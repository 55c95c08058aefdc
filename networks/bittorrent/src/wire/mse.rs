//! MSE/PE, "protocol encryption": the handshake that hides BitTorrent from traffic shapers. No authentication, no real secrecy.
//!
//! The exchange is described in `specs/bittorrent.md` section 12 (Vuze specification as libtorrent and Transmission implement it).

use std::sync::Arc;

use bytes::BytesMut;
use hexad_core::{Dice, Malformed, Map};
use num_bigint::BigUint;
use rc4::{KeyInit as _, Rc4, StreamCipher as _};
use sha1::{Digest as _, Sha1};

/// `Dial::manner`: how a dialler speaks.
pub mod manner {
    /// BitTorrent's own handshake at once.
    pub const PLAIN: u8 = 0;
    /// MSE, offering both clear text and RC4 for what follows.
    pub const OBFUSCATED: u8 = 1;
    /// MSE, offering RC4 only.
    pub const RC4_ONLY: u8 = 2;
}

/// What an acceptor takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// BitTorrent's own handshake only.
    PlainOnly,
    /// Both.
    #[default]
    Both,
    /// MSE with RC4 only.
    Rc4Only,
}

/// What the codec of an accepted connection must know of the node. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// What is taken.
    pub accept: Accept,
    /// HASH("req2", SKEY) → SKEY, for the info hashes that the node has.
    skeys: Arc<Map<[u8; 20], [u8; 20]>>,
}

impl Secrets {
    /// For a node that has the torrents of these info hashes.
    pub fn new(accept: Accept, info_hashes: impl IntoIterator<Item = [u8; 20]>) -> Self {
        Self { accept, skeys: Arc::new(info_hashes.into_iter().map(|skey| (hash(&[b"req2", &skey]), skey)).collect()) }
    }

    /// The node has one torrent more. Copies that were handed out stay as they are.
    pub(crate) fn add(&mut self, info_hash: [u8; 20]) {
        Arc::make_mut(&mut self.skeys).insert(hash(&[b"req2", &info_hash]), info_hash);
    }

    /// The node has one torrent less.
    pub(crate) fn remove(&mut self, info_hash: [u8; 20]) {
        Arc::make_mut(&mut self.skeys).remove(&hash(&[b"req2", &info_hash]));
    }
}

const PRIME: &[u8] = b"FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563";
const KEY_BYTES: usize = 96;
const PAD_MAX: usize = 512;
const VC: [u8; 8] = [0; 8];
const CLEAR: u32 = 1;
const RC4: u32 = 2;
/// Most bytes of initial payload that are read or sent; a BitTorrent handshake is 68.
const IA_MAX: usize = 4096;

/// What comes out of a finished handshake.
pub(super) struct Agreed {
    /// For what the peer sends; `None` when it goes on in clear.
    pub decipher: Option<Rc4>,
    /// For what we send.
    pub encipher: Option<Rc4>,
    /// How many bytes at the front of the input are deciphered already (the initial payload).
    pub clear_bytes: usize,
}

enum Step {
    /// Acceptor: the dialler's public key is awaited.
    AwaitKey,
    /// Acceptor: HASH("req1", S) is looked for behind the dialler's pad.
    Synchronise {
        secret: [u8; KEY_BYTES],
    },
    /// Acceptor: what the dialler offers, and how long its pad is.
    Offer {
        decipher: Rc4,
        encipher: Rc4,
    },
    /// Acceptor: pad C and the length of the initial payload.
    Payload {
        decipher: Rc4,
        encipher: Rc4,
        offered: u32,
        pad: usize,
    },
    /// Acceptor: the initial payload.
    Initial {
        decipher: Rc4,
        encipher: Rc4,
        offered: u32,
        initial: usize,
    },
    /// Dialler: the acceptor's public key is awaited.
    AwaitAnswer,
    /// Dialler: the enciphered VC is looked for behind the acceptor's pad.
    FindVerification {
        decipher: Rc4,
        encipher: Rc4,
        needle: [u8; 8],
    },
    /// Dialler: what was chosen, and how long the pad is.
    Choice {
        decipher: Rc4,
        encipher: Rc4,
    },
    /// Dialler: pad D.
    Pad {
        decipher: Rc4,
        encipher: Rc4,
        chosen: u32,
        pad: usize,
    },
    Over,
}

/// One end of the handshake.
pub(super) struct Handshake {
    step: Step,
    private: BigUint,
    skey: [u8; 20],
    offer: u32,
    secrets: Secrets,
    /// Bytes of our own pads, drawn when the connection began.
    pads: [Vec<u8>; 2],
    /// What the node said before the handshake was over: goes as initial payload, or behind the last step.
    pub early: BytesMut,
}

impl Handshake {
    /// A dialler's end, for the torrent `skey`.
    pub fn dialler(skey: [u8; 20], rc4_only: bool, dice: &mut Dice) -> Self {
        let offer = if rc4_only { RC4 } else { CLEAR | RC4 };
        Self::new(Step::AwaitAnswer, skey, offer, Secrets::default(), dice)
    }

    /// An acceptor's end.
    pub fn acceptor(secrets: Secrets, dice: &mut Dice) -> Self {
        let take = if secrets.accept == Accept::Rc4Only { RC4 } else { CLEAR | RC4 };
        Self::new(Step::AwaitKey, [0; 20], take, secrets, dice)
    }

    fn new(step: Step, skey: [u8; 20], offer: u32, secrets: Secrets, dice: &mut Dice) -> Self {
        let private = BigUint::from_bytes_be(&dice.bytes::<20>());
        let mut pad = || {
            let mut pad = vec![0; usize::try_from(dice.below(PAD_MAX as u64 + 1)).unwrap_or(0)];
            dice.fill(&mut pad);
            pad
        };
        let pads = [pad(), pad()];
        Self { step, private, skey, offer, secrets, pads, early: BytesMut::new() }
    }

    /// The dialler's first bytes.
    pub fn open(&self, reply: &mut BytesMut) {
        if matches!(self.step, Step::AwaitAnswer) {
            self.say_key(reply);
        }
    }

    /// Computed only when it is said: most who connect in clear never ask for it.
    fn say_key(&self, reply: &mut BytesMut) {
        reply.extend_from_slice(&power(&BigUint::from(2_u8), &self.private));
        reply.extend_from_slice(&self.pads[0]);
    }

    /// Goes as far as `input` allows; `Some` when the handshake is over.
    ///
    /// # Errors
    /// When the peer does not speak MSE, or asks for what we do not give.
    pub fn advance(&mut self, input: &mut BytesMut, reply: &mut BytesMut) -> Result<Option<Agreed>, Malformed> {
        loop {
            let step = std::mem::replace(&mut self.step, Step::Over);
            let kind = std::mem::discriminant(&step);
            let (step, agreed) = self.take(step, input, reply)?;
            let waits = std::mem::discriminant(&step) == kind;
            self.step = step;
            if agreed.is_some() || waits {
                return Ok(agreed);
            }
        }
    }

    fn take(&mut self, step: Step, input: &mut BytesMut, reply: &mut BytesMut) -> Result<(Step, Option<Agreed>), Malformed> {
        Ok(match step {
            Step::AwaitKey if input.len() >= KEY_BYTES => {
                let secret = self.secret(&input.split_to(KEY_BYTES))?;
                self.say_key(reply);
                (Step::Synchronise { secret }, None)
            }
            Step::Synchronise { secret } => (self.synchronise(secret, input)?, None),
            Step::Offer { mut decipher, encipher } if input.len() >= 14 => {
                let head = &mut input.split_to(14)[..];
                decipher.apply_keystream(head);
                if head[..8] != VC {
                    return Err(Malformed::at(0, "expected the verification constant of the encryption handshake"));
                }
                let offered = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
                let pad = pad_length([head[12], head[13]])?;
                (Step::Payload { decipher, encipher, offered, pad }, None)
            }
            Step::Payload { mut decipher, encipher, offered, pad } if input.len() >= pad + 2 => {
                let head = &mut input.split_to(pad + 2)[..];
                decipher.apply_keystream(head);
                let initial = usize::from(u16::from_be_bytes([head[pad], head[pad + 1]]));
                if initial > IA_MAX {
                    return Err(Malformed::at(0, format!("expected at most {IA_MAX} bytes of initial payload, came {initial}")));
                }
                (Step::Initial { decipher, encipher, offered, initial }, None)
            }
            Step::Initial { mut decipher, encipher, offered, initial } if input.len() >= initial => {
                decipher.apply_keystream(&mut input[..initial]);
                (Step::Over, Some(self.choose(offered, decipher, encipher, initial, reply)?))
            }
            Step::AwaitAnswer if input.len() >= KEY_BYTES => {
                let secret = self.secret(&input.split_to(KEY_BYTES))?;
                (self.offer(&secret, reply), None)
            }
            Step::FindVerification { mut decipher, encipher, needle } => match find(&input[..], &needle, PAD_MAX + 8)? {
                None => (Step::FindVerification { decipher, encipher, needle }, None),
                Some(at) => {
                    let _ = input.split_to(at);
                    decipher.apply_keystream(&mut input.split_to(8));
                    (Step::Choice { decipher, encipher }, None)
                }
            },
            Step::Choice { mut decipher, encipher } if input.len() >= 6 => {
                let head = &mut input.split_to(6)[..];
                decipher.apply_keystream(head);
                let chosen = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
                if !(chosen == CLEAR || chosen == RC4) || chosen & self.offer == 0 {
                    return Err(Malformed::at(0, format!("expected one of the offered methods {:#x}, came {chosen:#x}", self.offer)));
                }
                (Step::Pad { decipher, encipher, chosen, pad: pad_length([head[4], head[5]])? }, None)
            }
            Step::Pad { mut decipher, encipher, chosen, pad } if input.len() >= pad => {
                decipher.apply_keystream(&mut input.split_to(pad));
                (Step::Over, Some(self.agree(chosen, decipher, encipher, 0, reply)))
            }
            waiting => (waiting, None),
        })
    }

    fn secret(&self, theirs: &[u8]) -> Result<[u8; KEY_BYTES], Malformed> {
        let theirs = BigUint::from_bytes_be(theirs);
        let two = BigUint::from(2_u8);
        if theirs < two || theirs > prime() - two {
            return Err(Malformed::at(0, "expected a public key between 2 and P - 2"));
        }
        Ok(power(&theirs, &self.private))
    }

    /// Acceptor: the 40 bytes that tell where the pad ends, and which torrent is meant.
    fn synchronise(&mut self, secret: [u8; KEY_BYTES], input: &mut BytesMut) -> Result<Step, Malformed> {
        let needle = hash(&[b"req1", &secret]);
        let Some(at) = find(&input[..], &needle, PAD_MAX + 20)? else {
            return Ok(Step::Synchronise { secret });
        };
        if input.len() < at + 40 {
            return Ok(Step::Synchronise { secret });
        }
        let _ = input.split_to(at + 20);
        let hidden = input.split_to(20);
        let mask = hash(&[b"req3", &secret]);
        let mut wanted = [0; 20];
        for (byte, (hidden, mask)) in wanted.iter_mut().zip(hidden.iter().zip(mask)) {
            *byte = hidden ^ mask;
        }
        self.skey = *self.secrets.skeys.get(&wanted).ok_or_else(|| Malformed::at(0, "the peer asks for a torrent that is not here"))?;
        let (decipher, encipher) = (cipher(b"keyA", &secret, &self.skey), cipher(b"keyB", &secret, &self.skey));
        Ok(Step::Offer { decipher, encipher })
    }

    /// Acceptor: picks a method and says so. Clear text where both allow it: the point is the handshake, and RC4 costs time.
    fn choose(
        &mut self,
        offered: u32,
        decipher: Rc4,
        mut encipher: Rc4,
        initial: usize,
        reply: &mut BytesMut,
    ) -> Result<Agreed, Malformed> {
        let common = offered & self.offer;
        let chosen = match (common & CLEAR != 0, common & RC4 != 0) {
            (true, _) => CLEAR,
            (false, true) => RC4,
            (false, false) => {
                return Err(Malformed::at(0, format!("expected an offer of the methods {:#x}, came {offered:#x}", self.offer)));
            }
        };
        let mut answer = Vec::with_capacity(14 + self.pads[1].len());
        answer.extend_from_slice(&VC);
        answer.extend_from_slice(&chosen.to_be_bytes());
        answer.extend_from_slice(&length_of(&self.pads[1]));
        answer.extend_from_slice(&self.pads[1]);
        encipher.apply_keystream(&mut answer);
        reply.extend_from_slice(&answer);
        Ok(self.agree(chosen, decipher, encipher, initial, reply))
    }

    /// The handshake is over: what the node has said in the meantime goes out, and the ciphers stay where they are wanted.
    fn agree(&mut self, chosen: u32, decipher: Rc4, mut encipher: Rc4, clear_bytes: usize, reply: &mut BytesMut) -> Agreed {
        let mut early = self.early.split();
        if chosen == RC4 {
            encipher.apply_keystream(&mut early);
            reply.extend_from_slice(&early);
            return Agreed { decipher: Some(decipher), encipher: Some(encipher), clear_bytes };
        }
        reply.extend_from_slice(&early);
        Agreed { decipher: None, encipher: None, clear_bytes }
    }

    /// Dialler: which torrent, what is offered, and what the node had to say already.
    fn offer(&mut self, secret: &[u8; KEY_BYTES], reply: &mut BytesMut) -> Step {
        let mut encipher = cipher(b"keyA", secret, &self.skey);
        let decipher = cipher(b"keyB", secret, &self.skey);
        reply.extend_from_slice(&hash(&[b"req1", secret]));
        let mask = hash(&[b"req3", secret]);
        let named = hash(&[b"req2", &self.skey]);
        reply.extend(named.iter().zip(mask).map(|(named, mask)| named ^ mask));
        let early = self.early.split_to(self.early.len().min(IA_MAX));
        let mut offer = Vec::with_capacity(16 + self.pads[1].len() + early.len());
        offer.extend_from_slice(&VC);
        offer.extend_from_slice(&self.offer.to_be_bytes());
        offer.extend_from_slice(&length_of(&self.pads[1]));
        offer.extend_from_slice(&self.pads[1]);
        offer.extend_from_slice(&length_of(&early));
        offer.extend_from_slice(&early);
        encipher.apply_keystream(&mut offer);
        reply.extend_from_slice(&offer);
        // A second cipher at the same place tells what the acceptor's VC looks like.
        let mut needle = VC;
        cipher(b"keyB", secret, &self.skey).apply_keystream(&mut needle);
        Step::FindVerification { decipher, encipher, needle }
    }
}

/// Where `needle` begins; an error when it is not within the first `window` bytes although they are there.
fn find(input: &[u8], needle: &[u8], window: usize) -> Result<Option<usize>, Malformed> {
    let end = input.len().min(window);
    if let Some(at) = input[..end].windows(needle.len()).position(|bytes| bytes == needle) {
        return Ok(Some(at));
    }
    if input.len() >= window {
        return Err(Malformed::at(window, "expected the encryption handshake to go on after at most 512 bytes of padding"));
    }
    Ok(None)
}

fn pad_length(bytes: [u8; 2]) -> Result<usize, Malformed> {
    let length = usize::from(u16::from_be_bytes(bytes));
    if length > PAD_MAX {
        return Err(Malformed::at(0, format!("expected at most {PAD_MAX} bytes of padding, came {length}")));
    }
    Ok(length)
}

fn length_of(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}

fn cipher(label: &[u8], secret: &[u8], skey: &[u8]) -> Rc4 {
    // A 20-byte key is within what RC4 takes, 1 to 256 bytes.
    let key = hash(&[label, secret, skey]);
    let mut cipher = Rc4::new_from_slice(&key).unwrap_or_else(|_| Rc4::new(&[0; 32].into()));
    cipher.apply_keystream(&mut [0; 1024]);
    cipher
}

fn hash(parts: &[&[u8]]) -> [u8; 20] {
    let mut sha1 = Sha1::new();
    parts.iter().for_each(|part| sha1.update(part));
    sha1.finalize().into()
}

fn prime() -> BigUint {
    BigUint::parse_bytes(PRIME, 16).unwrap_or_default()
}

fn power(base: &BigUint, exponent: &BigUint) -> [u8; KEY_BYTES] {
    let value = base.modpow(exponent, &prime()).to_bytes_be();
    let mut padded = [0; KEY_BYTES];
    padded[KEY_BYTES - value.len()..].copy_from_slice(&value);
    padded
}
