//! Peer connections: frames, extended messages, and MSE at either end.

use bytes::{Bytes, BytesMut};
use hexad_bittorrent::wire::{Accept, Handshake, Message, PeerCodec, Pex, Secrets, frames, manner};
use hexad_core::{Codec as _, Cue, Dial, Dice, Malformed, Payload, Role, Span, Transport};

const SKEY: [u8; 20] = [7; 20];
/// A handshake, and an extended one that wants every extension under the id that we give it.
const HELLO: &[u8] =
    b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07-XX0001-abcdefghijkl\
      \0\0\0\x59\x14\0d1:md11:lt_donthavei7e11:upload_onlyi3e12:ut_holepunchi4e11:ut_metadatai1e6:ut_pexi2eee";

struct End {
    codec: PeerCodec,
    input: BytesMut,
    out: BytesMut,
    heard: Vec<Message>,
}

impl End {
    fn new(role: Role, manner: u8, accept: Accept, seed: u64) -> Self {
        let dial = Dial { transport: Transport::Tcp, deadline: Span::from_secs(1), manner, secret: Bytes::from_static(&SKEY) };
        let dial = (role == Role::Dialler).then_some(&dial);
        let codec = PeerCodec::new(role, dial, &Secrets::new(accept, [SKEY]), &mut Dice::counter(seed, 1));
        let mut end = Self { codec, input: BytesMut::new(), out: BytesMut::new(), heard: Vec::new() };
        let _ = end.codec.decode(Cue::Opened, &mut end.input, &mut end.out);
        end
    }

    fn introduced() -> Self {
        let mut end = Self::new(Role::Dialler, manner::PLAIN, Accept::Both, 1);
        end.feed(HELLO).expect("a good beginning");
        assert_eq!(end.heard.len(), 2);
        end.heard.clear();
        end
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.input.extend_from_slice(bytes);
        while let Some(message) = self.codec.decode(Cue::Bytes, &mut self.input, &mut self.out)? {
            self.heard.push(message);
        }
        assert!(self.input.len() <= 4 + frames::FRAME_BYTES_MAX, "more is kept than the longest frame");
        Ok(())
    }

    fn say(&mut self, message: &Message) {
        let mut bytes = BytesMut::new();
        self.codec.encode(message, 0, &mut bytes);
        self.codec.seal(&mut bytes);
        self.out.extend_from_slice(&bytes);
    }
}

/// Feeds in steps of `step` bytes; what was said before an error counts.
fn feed_in_steps(end: &mut End, bytes: &[u8], step: usize) -> Result<(), Malformed> {
    bytes.chunks(step.max(1)).try_for_each(|part| end.feed(part))
}

/// A connection: the first byte chooses who speaks how, the second in what steps the bytes arrive, the rest is what arrives.
pub fn peer_wire(bytes: &[u8]) {
    let [kind, step, rest @ ..] = bytes else { return };
    let step = usize::from(*step);
    match kind % 8 {
        0 | 1 => frames_are_stable(rest, step),
        2 => hostile(End::new(Role::Dialler, manner::PLAIN, Accept::Both, 1), rest, step),
        3 => hostile(End::new(Role::Acceptor, manner::PLAIN, Accept::Both, 1), rest, step),
        4 => hostile(End::new(Role::Acceptor, manner::PLAIN, Accept::Rc4Only, 1), rest, step),
        5 => hostile(End::new(Role::Dialler, manner::RC4_ONLY, Accept::Both, 1), rest, step),
        6 => two_ends(manner::OBFUSCATED, rest, step),
        _ => two_ends(manner::RC4_ONLY, rest, step),
    }
}

/// The stream says the same however it is cut, and what it said can be said again.
fn frames_are_stable(bytes: &[u8], step: usize) {
    let (mut whole, mut parts) = (End::introduced(), End::introduced());
    let ended = whole.feed(bytes);
    assert_eq!(feed_in_steps(&mut parts, bytes, step).is_ok(), ended.is_ok());
    assert_eq!(parts.heard, whole.heard);
    if ended.is_ok() {
        assert_eq!(parts.input, whole.input);
    }
    for message in &whole.heard {
        said_again(message);
    }
}

pub(crate) fn said_again(message: &Message) {
    let mut speaker = End::introduced();
    speaker.say(message);
    let mut listener = End::introduced();
    let ended = listener.feed(&speaker.out);
    assert_eq!((ended, &listener.heard[..], listener.input.len()), (Ok(()), std::slice::from_ref(message), 0));
    match message {
        Message::Piece { data: Payload::Bytes(data), .. } => assert!(data.len() <= frames::BLOCK_BYTES as usize),
        Message::Pex(Pex { added, dropped }) => assert!(added.len() <= 200 && dropped.len() <= 200),
        Message::ExtendedHandshake(hello) => {
            assert!(hello.extensions.len() <= 64 && hello.client.as_ref().is_none_or(|client| client.len() <= 400));
        }
        _ => {}
    }
}

/// Bytes of a stranger before any handshake: an end that hears nothing keeps little.
fn hostile(mut end: End, bytes: &[u8], step: usize) {
    let before = end.out.len();
    let ended = feed_in_steps(&mut end, bytes, step);
    if end.heard.is_empty() && ended.is_ok() {
        assert!(end.input.len() < 4096 + 1024, "a handshake keeps little");
    }
    assert!(end.out.len() - before <= 4096, "a handshake answers little");
}

/// Two of our ends, with one byte of the talk spoiled when the first bytes say so.
fn two_ends(dials: u8, bytes: &[u8], step: usize) {
    let [spoil_at, spoil_by, seed, talk @ ..] = bytes else { return };
    let (mut a, mut b) = (End::new(Role::Dialler, dials, Accept::Both, u64::from(*seed)), End::new(Role::Acceptor, 0, Accept::Both, 77));
    let hello = Message::Handshake(Handshake { reserved: [0; 8], info_hash: SKEY, peer_id: [1; 20], obfuscated: true });
    let said: Vec<Message> =
        talk.chunks(600).map(|part| Message::Piece { piece: 0, begin: 0, data: Payload::Bytes(Bytes::copy_from_slice(part)) }).collect();
    a.say(&hello);
    b.say(&hello);
    said.iter().take(3).for_each(|message| a.say(message));
    let (mut at, spoil_at) = (0, usize::from(*spoil_at) * 4);
    let mut ended = Ok(());
    for turn in 0.. {
        let mut bytes = a.out.split_to(a.out.len().min(step.max(1)));
        if let Some(byte) = bytes.get_mut(spoil_at.wrapping_sub(at)) {
            *byte ^= spoil_by;
        }
        at += bytes.len();
        ended = ended.and_then(|()| b.feed(&bytes));
        let bytes = b.out.split_to(b.out.len().min(step.max(1)));
        ended = ended.and_then(|()| a.feed(&bytes));
        if turn == 40 {
            said.iter().skip(3).for_each(|message| a.say(message));
        }
        if ended.is_err() || (turn > 40 && a.out.is_empty() && b.out.is_empty()) {
            break;
        }
    }
    if *spoil_by == 0 {
        assert_eq!(ended, Ok(()));
        assert_eq!((&b.heard[0], &b.heard[1..]), (&hello, &said[..]));
        assert_eq!(a.heard, [hello]);
    }
}

/// An extended message: the first byte is its id, the rest its payload.
pub fn extended(bytes: &[u8]) {
    let length = u32::try_from(1 + bytes.len()).unwrap_or(u32::MAX);
    if length as usize > frames::FRAME_BYTES_MAX {
        return;
    }
    let mut end = End::introduced();
    let frame = [&length.to_be_bytes()[..], &[20], bytes].concat();
    if end.feed(&frame).is_ok() {
        assert_eq!(end.heard.len(), 1);
        said_again(&end.heard[0]);
    }
}
