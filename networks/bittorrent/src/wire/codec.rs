//! One connection's bytes: MSE where it is spoken, the 68-byte handshake, then frames.

use bytes::{BufMut as _, BytesMut};
use hexad_core::{Codec, Cue, Dial, Dice, Malformed, Role};
use rc4::{Rc4, StreamCipher as _};

use super::frames::{self, PeerExtensions};
use super::message::{Handshake, Message};
use super::mse::{self, Accept, Secrets, manner};

const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";
const HANDSHAKE_BYTES: usize = 68;

enum Stage {
    /// Accepted: the first bytes tell whether the peer speaks MSE.
    Sniff(Box<mse::Handshake>, Accept),
    /// MSE is under way.
    Mse(Box<mse::Handshake>),
    /// The 68 bytes are awaited.
    Handshake,
    /// Frames.
    Frames,
}

/// The codec of peer connections.
pub struct PeerCodec {
    stage: Stage,
    decipher: Option<Rc4>,
    encipher: Option<Rc4>,
    /// Bytes at the front of the input that are deciphered already.
    clear_bytes: usize,
    obfuscated: bool,
    extensions: PeerExtensions,
}

impl PeerCodec {
    /// For one connection; see `hexad_core::Network::codec`.
    pub fn new(role: Role, dial: Option<&Dial>, secrets: &Secrets, dice: &mut Dice) -> Self {
        let stage = match (role, dial) {
            (Role::Dialler, Some(dial)) if dial.manner != manner::PLAIN => {
                let mut skey = [0; 20];
                let known = dial.secret.len().min(20);
                skey[..known].copy_from_slice(&dial.secret[..known]);
                Stage::Mse(Box::new(mse::Handshake::dialler(skey, dial.manner == manner::RC4_ONLY, dice)))
            }
            (Role::Acceptor, _) if secrets.accept != Accept::PlainOnly => {
                Stage::Sniff(Box::new(mse::Handshake::acceptor(secrets.clone(), dice)), secrets.accept)
            }
            _ => Stage::Handshake,
        };
        Self { stage, decipher: None, encipher: None, clear_bytes: 0, obfuscated: false, extensions: PeerExtensions::default() }
    }

    /// Lets MSE go as far as it can; true when the 68 bytes may be read.
    fn settle(&mut self, input: &mut BytesMut, reply: &mut BytesMut) -> Result<bool, Malformed> {
        if let Stage::Sniff(_, accept) = &self.stage {
            let seen = input.len().min(PROTOCOL.len());
            if input[..seen] != PROTOCOL[..seen] {
                let Stage::Sniff(handshake, _) = std::mem::replace(&mut self.stage, Stage::Handshake) else { return Ok(false) };
                self.stage = Stage::Mse(handshake);
            } else if seen < PROTOCOL.len() {
                return Ok(false);
            } else if *accept == Accept::Rc4Only {
                return Err(Malformed::at(0, "the peer speaks in clear, and encryption is required here"));
            } else if let Stage::Sniff(handshake, _) = std::mem::replace(&mut self.stage, Stage::Handshake) {
                reply.extend_from_slice(&handshake.early);
            }
        }
        if let Stage::Mse(handshake) = &mut self.stage {
            let Some(agreed) = handshake.advance(input, reply)? else { return Ok(false) };
            self.decipher = agreed.decipher;
            self.encipher = agreed.encipher;
            self.clear_bytes = agreed.clear_bytes;
            self.obfuscated = true;
            self.stage = Stage::Handshake;
        }
        Ok(true)
    }

    fn split(&mut self, input: &mut BytesMut, bytes: usize) -> BytesMut {
        self.clear_bytes = self.clear_bytes.saturating_sub(bytes);
        input.split_to(bytes)
    }

    fn read_handshake(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        let seen = input.len().min(PROTOCOL.len());
        if input[..seen] != PROTOCOL[..seen] {
            return Err(Malformed::at(0, "expected a BitTorrent handshake"));
        }
        if input.len() < HANDSHAKE_BYTES {
            return Ok(None);
        }
        let bytes = self.split(input, HANDSHAKE_BYTES);
        let mut handshake = Handshake { reserved: [0; 8], info_hash: [0; 20], peer_id: [0; 20], obfuscated: self.obfuscated };
        handshake.reserved.copy_from_slice(&bytes[20..28]);
        handshake.info_hash.copy_from_slice(&bytes[28..48]);
        handshake.peer_id.copy_from_slice(&bytes[48..68]);
        self.stage = Stage::Frames;
        Ok(Some(Message::Handshake(handshake)))
    }
}

impl Codec for PeerCodec {
    type Message = Message;

    fn decode(&mut self, cue: Cue, input: &mut BytesMut, reply: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        if cue == Cue::Opened {
            if let Stage::Mse(handshake) = &self.stage {
                handshake.open(reply);
            }
            return Ok(None);
        }
        if !matches!(self.stage, Stage::Handshake | Stage::Frames) && (input.is_empty() || !self.settle(input, reply)?) {
            return Ok(None);
        }
        if let Some(cipher) = &mut self.decipher
            && self.clear_bytes < input.len()
        {
            cipher.apply_keystream(&mut input[self.clear_bytes..]);
            self.clear_bytes = input.len();
        }
        if matches!(self.stage, Stage::Handshake) {
            return self.read_handshake(input);
        }
        let Some(length) = frames::frame_bytes(input)? else { return Ok(None) };
        if input.len() < 4 + length {
            return Ok(None);
        }
        let mut frame = self.split(input, 4 + length);
        let _ = frame.split_to(4);
        frames::decode(frame, &mut self.extensions).map(Some)
    }

    fn encode(&mut self, message: &Message, body_bytes: u64, out: &mut BytesMut) {
        // What is said while MSE is under way becomes its initial payload, or follows its last step.
        let out = match &mut self.stage {
            Stage::Mse(handshake) | Stage::Sniff(handshake, _) => &mut handshake.early,
            Stage::Handshake | Stage::Frames => out,
        };
        match message {
            Message::Handshake(handshake) => {
                out.put_slice(PROTOCOL);
                out.put_slice(&handshake.reserved);
                out.put_slice(&handshake.info_hash);
                out.put_slice(&handshake.peer_id);
            }
            other => frames::encode(other, body_bytes, &self.extensions, out),
        }
    }

    fn seal(&mut self, bytes: &mut [u8]) {
        if let Some(cipher) = &mut self.encipher {
            cipher.apply_keystream(bytes);
        }
    }
}

/// The bits of `Handshake::reserved` that we set and look for.
pub mod reserved {
    /// Extension protocol (BEP 10).
    #[must_use]
    pub fn extended(bits: &[u8; 8]) -> bool {
        bits[5] & 0x10 != 0
    }

    /// Fast extension (BEP 6).
    #[must_use]
    pub fn fast(bits: &[u8; 8]) -> bool {
        bits[7] & 0x04 != 0
    }

    /// DHT (BEP 5).
    #[must_use]
    pub fn dht(bits: &[u8; 8]) -> bool {
        bits[7] & 0x01 != 0
    }

    /// The sender of a hybrid's v1 info hash speaks version 2 as well (BEP 52).
    #[must_use]
    pub fn v2(bits: &[u8; 8]) -> bool {
        bits[7] & 0x10 != 0
    }

    /// What we set.
    #[must_use]
    pub fn ours(dht: bool, v2: bool) -> [u8; 8] {
        [0, 0, 0, 0, 0, 0x10, 0, 0x04 | u8::from(dht) | u8::from(v2) << 4]
    }
}

fn encoded_bytes(datagram: &Message) -> u64 {
    let mut out = BytesMut::new();
    super::encode_datagram(datagram, &mut out);
    out.len() as u64
}

/// The wire bytes of a message, for the lab's links.
pub(super) fn wire_bytes(message: &Message) -> u64 {
    match message {
        Message::Handshake(_) => HANDSHAKE_BYTES as u64,
        Message::Krpc(krpc) => super::krpc::plain_bytes(krpc).map_or_else(|| encoded_bytes(message), |bytes| bytes as u64),
        Message::Tracker(_) | Message::Lsd(_) => encoded_bytes(message),
        Message::Piece { .. } => 13,
        Message::Have(_) | Message::SuggestPiece(_) | Message::AllowedFast(_) => 9,
        Message::Request(_) | Message::Cancel(_) | Message::RejectRequest(_) => 17,
        other => {
            let mut out = BytesMut::new();
            let all = PeerExtensions { metadata: Some(1), pex: Some(2), dont_have: Some(3), upload_only: Some(4), hole_punch: Some(5) };
            frames::encode(other, 0, &all, &mut out);
            out.len() as u64
        }
    }
}
