//! Frames over a connection: hostile lengths, floods, split streams, and a whole recorded connection.

use bytes::{Bytes, BytesMut};
use hexad_bittorrent::wire::{BlockRef, Handshake, HashSpan, Message, MetadataMessage, PeerCodec, Secrets, frames, reserved};
use hexad_content::Sha256Digest;
use hexad_core::{Codec as _, Cue, Dice, Malformed, Payload, Role};
use proptest::prelude::*;

/// The codec of a connection in clear, as a dialler has it.
pub fn codec() -> PeerCodec {
    PeerCodec::new(Role::Dialler, None, &Secrets::default(), &mut Dice::counter(1, 1))
}

/// A codec whose peer has not said anything, or one whose peer has shaken hands and wants `ut_metadata` under 1, `ut_pex` under 2 and
/// the others under the ids that we give them.
pub fn introduced(fresh: bool) -> PeerCodec {
    let mut codec = codec();
    if !fresh {
        let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05mnopqrstuvwxyz123456-XX0001-abcdefghijkl".to_vec();
        hello.extend_from_slice(b"\0\0\0\x59\x14\0d1:md11:lt_donthavei7e11:upload_onlyi3e12:ut_holepunchi4e11:ut_metadatai1e6:ut_pexi2eee");
        let length = u32::try_from(hello.len() - 72).unwrap();
        hello[68..72].copy_from_slice(&length.to_be_bytes());
        assert_eq!(said(&mut codec, &hello).unwrap().len(), 2);
    }
    codec
}

/// Everything that `bytes` say.
pub fn said(codec: &mut PeerCodec, bytes: &[u8]) -> Result<Vec<Message>, Malformed> {
    let mut input = BytesMut::from(bytes);
    said_more(codec, &mut input)
}

/// Everything that is in `input`; what is not whole stays there.
pub fn said_more(codec: &mut PeerCodec, input: &mut BytesMut) -> Result<Vec<Message>, Malformed> {
    let mut reply = BytesMut::new();
    let mut messages = Vec::new();
    while let Some(message) = codec.decode(Cue::Bytes, input, &mut reply)? {
        messages.push(message);
    }
    assert_eq!(reply, b""[..], "frames answer nothing by themselves");
    Ok(messages)
}

/// The bytes of a message.
pub fn say(codec: &mut PeerCodec, message: &Message) -> Vec<u8> {
    let mut out = BytesMut::new();
    codec.encode(message, 0, &mut out);
    codec.seal(&mut out);
    out.to_vec()
}

#[test]
fn another_protocol_is_refused_at_its_first_wrong_byte() {
    for start in [&b"GET / HTTP/1.1"[..], b"\x13BitTorrent protocoL", b"\x14"] {
        assert!(said(&mut codec(), start).is_err(), "{}", start.escape_ascii());
    }
    assert_eq!(said(&mut codec(), b"\x13BitTorrent proto").unwrap(), []);
}

#[test]
fn a_frame_that_is_too_long_is_refused_by_its_length_alone() {
    for (prefix, id) in [(0x0010_0001_u32, 5_u8), (u32::MAX, 20), (0x8000_0000, 7), (9 + 16384 + 1, 7), (0x0010_0000, 7)] {
        let mut bytes = prefix.to_be_bytes().to_vec();
        bytes.push(id);
        let mut input = BytesMut::from(&bytes[..]);
        assert!(said_more(&mut introduced(false), &mut input).is_err(), "length {prefix}, id {id}");
        assert!(input.capacity() < 4096, "nothing is reserved for what will not be read");
    }
    let mut longest = 0x0010_0000_u32.to_be_bytes().to_vec();
    longest.push(5);
    longest.resize(4 + frames::FRAME_BYTES_MAX, 0xff);
    assert!(matches!(&said(&mut introduced(false), &longest).unwrap()[..], [Message::Bitfield(bits)] if bits.len() == (1 << 20) - 1));
}

#[test]
fn messages_of_fixed_length_have_that_length() {
    let fixed: &[(u8, usize)] =
        &[(0, 0), (1, 0), (2, 0), (3, 0), (4, 4), (6, 12), (8, 12), (9, 2), (13, 4), (14, 0), (15, 0), (16, 12), (17, 4)];
    for &(id, right) in fixed {
        for length in 0..40 {
            let mut frame = u32::try_from(1 + length).unwrap().to_be_bytes().to_vec();
            frame.push(id);
            frame.resize(5 + length, 0);
            assert_eq!(said(&mut introduced(false), &frame).is_ok(), length == right, "message {id} of {length} bytes");
        }
    }
    for length in 0..8 {
        let mut frame = u32::try_from(1 + length).unwrap().to_be_bytes().to_vec();
        frame.push(7);
        frame.resize(5 + length, 0);
        assert!(said(&mut introduced(false), &frame).is_err(), "a piece must name its place");
    }
    assert!(said(&mut introduced(false), b"\0\0\0\x01\x14").is_err(), "an extended message must name its id");
}

#[test]
fn a_million_empty_frames_take_no_memory() {
    let mut input = BytesMut::from(&vec![0; 4 << 20][..]);
    let mut reply = BytesMut::new();
    let mut codec = introduced(false);
    let mut count = 0;
    while let Some(message) = codec.decode(Cue::Bytes, &mut input, &mut reply).unwrap() {
        assert_eq!(message, Message::KeepAlive);
        count += 1;
    }
    assert_eq!((count, input.len(), reply.len()), (1 << 20, 0, 0));
}

#[test]
fn a_block_sent_from_a_share_is_counted_in_its_frame() {
    let mut out = BytesMut::new();
    let head = Message::Piece { piece: 3, begin: 16384, data: Payload::EMPTY };
    introduced(false).encode(&head, 5, &mut out);
    assert_eq!(out, b"\0\0\0\x0e\x07\0\0\0\x03\0\0\x40\0"[..]);
    out.extend_from_slice(b"block");
    let data = Payload::Bytes(Bytes::from_static(b"block"));
    assert_eq!(said(&mut introduced(false), &out).unwrap(), [Message::Piece { piece: 3, begin: 16384, data }]);
}

#[test]
fn our_reserved_bits_say_what_we_can() {
    let ours = reserved::ours(true, false);
    assert!(reserved::extended(&ours) && reserved::fast(&ours) && reserved::dht(&ours));
    assert!(!reserved::dht(&reserved::ours(false, false)));
    assert_eq!(ours, [0, 0, 0, 0, 0, 0x10, 0, 0x05]);
}

/// One whole connection between two libtorrents, a magnet's leecher and its seed, each direction read as its receiver would.
#[test]
fn a_recorded_connection_is_read_to_its_last_byte() {
    let leecher = said(&mut codec(), include_bytes!("../../vectors/libtorrent_2.0.8_leecher.bin")).unwrap();
    let block = |piece, length| Message::Request(BlockRef { piece, begin: 0, length });
    assert!(matches!(&leecher[0], Message::Handshake(Handshake { obfuscated: false, .. })));
    assert!(matches!(&leecher[1], Message::ExtendedHandshake(hello) if hello.requests_max == Some(2000)));
    // The two that are kept: libtorrent numbers what it sends by our `m`, and here the other libtorrent's stands in for ours.
    assert!(leecher[2..].contains(&Message::HaveNone) && leecher[2..].contains(&Message::Interested));
    assert!(leecher.contains(&block(0, 16384)) && leecher.contains(&block(1, 616)));
    assert!(leecher.ends_with(&[Message::Have(1), Message::Have(0)]));

    let seed = said(&mut codec(), include_bytes!("../../vectors/libtorrent_2.0.8_seed.bin")).unwrap();
    assert!(matches!(&seed[1], Message::ExtendedHandshake(hello) if hello.metadata_bytes == Some(196) && hello.upload_only == Some(true)));
    assert!(seed.contains(&Message::HaveAll) && seed.contains(&Message::Unchoke) && seed.contains(&Message::AllowedFast(1)));
    let byte = |at: u64| ((7 * at + at / 256) % 256) as u8;
    let mut bytes = 0;
    for message in &seed {
        if let Message::Piece { piece, begin, data: Payload::Bytes(data) } = message {
            let start = u64::from(*piece) * 16384 + u64::from(*begin);
            assert!(data.iter().zip(start..).all(|(&came, at)| came == byte(at)));
            bytes += data.len();
        }
    }
    assert_eq!(bytes, 17_000);
}

#[test]
fn a_stream_says_the_same_however_it_is_cut() {
    let stream = include_bytes!("../../vectors/libtorrent_2.0.8_seed.bin");
    let whole = said(&mut codec(), stream).unwrap();
    for step in [1, 3, 67, 68, 69, 1000] {
        let (mut codec, mut input, mut parts) = (codec(), BytesMut::new(), Vec::new());
        for part in stream.chunks(step) {
            input.extend_from_slice(part);
            parts.extend(said_more(&mut codec, &mut input).unwrap());
        }
        assert_eq!(parts, whole, "in steps of {step}");
    }
}

fn hash_span() -> impl Strategy<Value = HashSpan> {
    (any::<[u8; 32]>(), 0..=HashSpan::LAYERS_MAX, 0_u32..1000, 1_u32..10, 0..=HashSpan::LAYERS_MAX).prop_map(
        |(root, base_layer, place, power, proof_layers)| {
            let length = 1 << power;
            HashSpan { root: Sha256Digest(root), base_layer, index: place * length, length, proof_layers }
        },
    )
}

pub fn frame() -> impl Strategy<Value = Message> {
    let block = || any::<[u32; 3]>().prop_map(|[piece, begin, length]| BlockRef { piece, begin, length });
    let bytes = |max: usize| prop::collection::vec(any::<u8>(), 0..=max).prop_map(Bytes::from);
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        any::<u32>().prop_map(Message::Have),
        bytes(300).prop_map(Message::Bitfield),
        block().prop_map(Message::Request),
        (any::<u32>(), any::<u32>(), bytes(16384)).prop_map(|(piece, begin, data)| Message::Piece { piece, begin, data: data.into() }),
        block().prop_map(Message::Cancel),
        any::<u16>().prop_map(Message::Port),
        any::<u32>().prop_map(Message::SuggestPiece),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        block().prop_map(Message::RejectRequest),
        any::<u32>().prop_map(Message::AllowedFast),
        any::<u32>().prop_map(|piece| Message::Metadata(MetadataMessage::Request { piece })),
        any::<u32>().prop_map(|piece| Message::Metadata(MetadataMessage::Reject { piece })),
        (any::<[u32; 2]>(), bytes(16384)).prop_map(|([piece, total_bytes], data)| Message::Metadata(MetadataMessage::Data {
            piece,
            total_bytes,
            data
        })),
        (24_u8.., bytes(300)).prop_map(|(id, payload)| Message::Unknown(id, payload)),
        (hash_span(), 0_u8..2).prop_map(|(span, id)| {
            let span = Box::new(span);
            if id == 0 { Message::HashRequest(span) } else { Message::HashReject(span) }
        }),
        (hash_span(), 0_usize..40).prop_map(|(span, uncles)| {
            let hashes = vec![Sha256Digest([7; 32]); span.length as usize + uncles];
            Message::Hashes(Box::new(span), hashes)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn frames_read_back_as_they_were_and_cut_ones_say_only_what_is_whole(
        messages in prop::collection::vec(frame(), 0..10), cut: prop::sample::Index,
    ) {
        let mut stream = Vec::new();
        let mut ends = Vec::new();
        for message in &messages {
            stream.extend(say(&mut introduced(false), message));
            ends.push(stream.len());
        }
        prop_assert_eq!(&said(&mut introduced(false), &stream).unwrap(), &messages);
        let cut = cut.index(stream.len() + 1);
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        prop_assert_eq!(&said(&mut introduced(false), &stream[..cut]).unwrap()[..], &messages[..whole]);
    }

    #[test]
    fn no_bytes_make_the_reader_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = said(&mut introduced(false), &bytes);
        let _ = said(&mut introduced(true), &bytes);
    }
}
