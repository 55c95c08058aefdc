//! Connections between two programs.

use bytes::BytesMut;
use hexad_core::{Codec as _, Cue, Payload};
use hexad_napster::wire::peer::Peer;
use hexad_napster::wire::{Hertz, ListEntry, Message, NapsterCodec, manner};

/// Sends `message`, then reads `bytes`, with silence at the end.
fn after(codec: &mut NapsterCodec, message: Option<Peer>, bytes: &[u8], last: Cue) -> Vec<Peer> {
    if let Some(message) = message {
        crate::written(codec, &Message::Peer(message));
    }
    let (mut messages, mut rest, malformed) = crate::read(codec, bytes, 3);
    assert!(malformed.is_none(), "{malformed:?}");
    while let Some(message) = codec.decode(last, &mut rest, &mut BytesMut::new()).unwrap() {
        messages.push(message);
    }
    messages.into_iter().map(|message| if let Message::Peer(peer) = message { peer } else { panic!("{message:?}") }).collect()
}

fn get(nick: &str, path: &str, offset: u64) -> Peer {
    Peer::Get { nick: nick.into(), path: path.into(), offset }
}

/// The bytes of a file that came.
fn file(messages: &[Peer]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|message| if let Peer::Data(Payload::Bytes(bytes)) = message { bytes.to_vec() } else { panic!("{message:?}") })
        .collect()
}

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("../../vectors/", $name, ".bin")).as_slice()
    };
}

#[test]
fn requests_of_real_programs_are_read_when_they_fall_silent() {
    let check = |bytes: &[u8], expected: Peer| {
        let mut codec = crate::accepted();
        assert_eq!(after(&mut codec, Some(Peer::Greeting), bytes, Cue::Quiet), std::slice::from_ref(&expected));
        // TekNap does not wait for the greeting.
        assert_eq!(after(&mut crate::accepted(), None, bytes, Cue::Eof), [expected]);
    };
    check(vector!("data-perl-get-from-perl.c2s"), get("anna2", "Z:\\nap\\Desert Choir - Camel Song.mp3", 0));
    check(vector!("data-perl-get-from-raw.c2s"), get("anna2", "C:\\Music\\Copper Trio - Kettle.mp3", 4000));
    check(vector!("data-raw-get-byte-by-byte.c2s"), get("carl", "C:\\Music\\Copper Trio - Kettle.mp3", 9999));
    check(vector!("data-raw-get-one-segment.c2s"), get("carl", "C:\\Music\\Copper Trio - Kettle.mp3", 9000));
    check(vector!("ng-teknap-data-get-by-teknap.c2s"), get("tekla", "C:\\Music\\Copper Trio - Kettle.mp3", 0));
    check(vector!("ng-teknap-data-get-by-teknap-2.c2s"), Peer::GetList);
    check(vector!("data-raw-getlist.c2s"), Peer::GetList);
    check(vector!("data-err-perl-bad-word.c2s"), Peer::UnknownCommand("PUTcarl \"x\" 0".into()));
    check(b"GETLISTENER \"x y\" 7", get("LISTENER", "x y", 7));
    check(b"SENDLIST dora\n", Peer::SendList { nick: "dora".into() });
    check(b"HEXAD\n", Peer::Hexad);
}

#[test]
fn files_that_real_programs_sent_are_read() {
    let check = |answer: &[u8], size: u64, offset: u64| {
        let mut codec = crate::dialled(manner::PEER, Some(size));
        assert_eq!(after(&mut codec, None, &answer[..1], Cue::Bytes), [Peer::Greeting]);
        let messages = after(&mut codec, Some(get("me", "x", offset)), &answer[1..], Cue::Eof);
        assert_eq!(messages[0], Peer::Size(size));
        let digits = size.to_string().len();
        assert_eq!(file(&messages[1..]), answer[1 + digits..]);
    };
    check(vector!("data-perl-get-from-perl.s2c"), 8340, 0);
    check(vector!("data-perl-get-from-raw.s2c"), 10_008, 4000);
    check(vector!("data-raw-get-offset5000-from-perl.s2c"), 8340, 5000);
    check(vector!("ng-teknap-data-get-from-teknap.s2c"), 10_008, 0);
}

#[test]
fn a_file_that_begins_with_digits_is_told_from_its_size() {
    let mut codec = crate::dialled(manner::PEER, Some(12));
    after(&mut codec, None, b"1", Cue::Bytes);
    let messages = after(&mut codec, Some(get("me", "x", 0)), b"12345678901234", Cue::Eof);
    assert_eq!((messages[0].clone(), file(&messages[1..])), (Peer::Size(12), b"345678901234".to_vec()));
}

#[test]
fn another_size_than_expected_is_told_when_its_digits_end() {
    for (answer, last) in [(b"999\xff\xfb".as_slice(), Cue::Bytes), (b"999", Cue::Quiet)] {
        let mut codec = crate::dialled(manner::PEER, Some(12));
        after(&mut codec, None, b"1", Cue::Bytes);
        assert_eq!(after(&mut codec, Some(get("me", "x", 0)), answer, last)[0], Peer::Size(999));
    }
}

#[test]
fn refusals_are_read_as_they_are() {
    for text in ["INVALID REQUEST", "FILE NOT SHARED", "0FILE NOT FOUND"] {
        for size in [None, Some(0), Some(8340)] {
            let mut codec = crate::dialled(manner::PEER, size);
            after(&mut codec, None, b"1", Cue::Bytes);
            assert_eq!(after(&mut codec, Some(get("me", "x", 0)), text.as_bytes(), Cue::Eof), [Peer::Refusal(text.into())]);
        }
    }
}

#[test]
fn files_that_real_programs_pushed_are_read() {
    let check = |said: &[u8], head: usize, offset: u64| {
        let mut codec = crate::accepted();
        let send = after(&mut codec, Some(Peer::Greeting), &said[..head], Cue::Quiet);
        assert_eq!(send, [Peer::Send { nick: "dora".into(), path: "Brick Quartet - Mortar.mp3".into(), size: 10_008 }]);
        let messages = after(&mut codec, Some(Peer::Offset(offset)), &said[head..], Cue::Eof);
        let bytes = file(&messages);
        assert_eq!((bytes.len() as u64, &*bytes), (10_008 - offset, &said[head..]));
    };
    check(vector!("data-push-to-raw.c2s"), 43, 0);
    check(vector!("data-push-to-perl.c2s"), 43, 0);
    check(vector!("data-push-resume-to-perl.c2s"), 43, 5000);
    check(vector!("data-push-offset6000-to-raw.c2s"), 43, 6000);
}

#[test]
fn answers_to_a_push_are_read() {
    for (answer, expected) in [
        (vector!("data-push-resume-to-perl.s2c"), Peer::Offset(5000)),
        (b"1HEXAD\n", Peer::Hexad),
        (b"1INVALID REQUEST", Peer::Refusal("INVALID REQUEST".into())),
    ] {
        let mut codec = crate::dialled(manner::PEER, None);
        after(&mut codec, None, &answer[..1], Cue::Bytes);
        let send = Peer::Send { nick: "dora".into(), path: "x".into(), size: 10_008 };
        assert_eq!(after(&mut codec, Some(send), &answer[1..], Cue::Quiet), [expected]);
    }
}

#[test]
fn lists_of_real_programs_are_read() {
    let mut codec = crate::dialled(manner::PEER, None);
    let answer = vector!("ng-teknap-data-get-by-teknap-2.s2c");
    after(&mut codec, None, &answer[..1], Cue::Bytes);
    let entry = ListEntry {
        path: "C:\\Music\\Copper Trio - Kettle.mp3".into(),
        hash: "3c4dab0bab8dbf2ea2d0bbe91e4433a1".into(),
        size: 10_008,
        bitrate: 128,
        frequency: Hertz(44_100),
        seconds: 180,
    };
    assert_eq!(
        after(&mut codec, Some(Peer::GetList), &answer[1..], Cue::Eof),
        [Peer::ListOwner("lena".into()), Peer::ListFile(entry), Peer::ListEnd]
    );
}

#[test]
fn hexads_own_frames_are_read_as_what_was_written() {
    let frames = [
        Peer::Describe { path: "album\\größe.ogg".into() },
        Peer::Described { total: 7, offset: 3, part: "part".into() },
        Peer::Request { start: 1 << 40, length: 16 << 10 },
        Peer::Block { start: 5, body: Payload::Bytes(vec![7; 32 << 10].into()) },
        Peer::Refused { start: 9, text: "no such share".into() },
        Peer::UnknownFrame { number: 77, data: "later".into() },
    ];
    let mut here = crate::dialled(manner::PEER, None);
    after(&mut here, None, b"1", Cue::Bytes);
    let mut bytes = crate::written(&mut here, &Message::Peer(Peer::Hexad));
    for frame in &frames {
        let one = crate::written(&mut here, &Message::Peer(frame.clone()));
        assert_eq!(hexad_core::Message::wire_bytes(&Message::Peer(frame.clone())), one.len() as u64);
        bytes.extend(one);
    }
    let read = after(&mut crate::accepted(), None, &bytes, Cue::Bytes);
    assert_eq!((&read[0], &read[1..]), (&Peer::Hexad, &frames[..]));
}

#[test]
fn what_has_no_end_ends_the_connection() {
    for bytes in ["GET ".to_owned() + &"x".repeat(5000), "X".repeat(5000)] {
        let mut codec = crate::accepted();
        crate::written(&mut codec, &Message::Peer(Peer::Greeting));
        assert!(crate::read(&mut codec, bytes.as_bytes(), 100).2.is_some());
    }
    let mut codec = crate::dialled(manner::PEER, None);
    assert!(crate::read(&mut codec, b"HTTP/1.0 400", 100).2.is_some(), "nobody greets like that");
}
