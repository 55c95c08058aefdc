//! Every message against its golden bytes (`vectors/messages.txt`), round trips, and what is cut off or too long.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_chord::wire::{
    Block, Body, Body64, Codec, Differs, Get, Inventory, Item, Items, Message, Reason, Record, Route, Routed, Step, Tree, Value, Welcome,
    read_datagram, write,
};
use hexad_chord::{Key, Place as _};
use hexad_content::{ContentId, Digest, Sha1Digest, Sha256Digest};
use hexad_core::{Codec as _, Cue, Endpoint, Message as _, Payload};
use proptest::prelude::*;

const VECTORS: &str = include_str!("../vectors/messages.txt");

fn peer(number: u8) -> Endpoint {
    Endpoint::Key([number; 32], SocketAddr::from(([192, 0, 2, number], 6400 + u16::from(number))))
}

fn contact(number: u8) -> <Endpoint as hexad_chord::Place>::Contact {
    peer(number).contact(number).expect("a key has a place")
}

fn key(number: u8) -> Key {
    Key([number; 20])
}

fn record() -> Record<Endpoint> {
    let digests = vec![
        Digest::TorrentV1(Sha1Digest([1; 20])),
        Digest::Content(ContentId { size: 3_000_000, root: Sha256Digest([2; 32]) }),
        Digest::TigerTree([3; 24]),
    ];
    Record { publisher: peer(9), digests, size_bytes: 3_000_000, name: "größe.ogg".into() }
}

fn item(value: Value<Endpoint>) -> Item<Endpoint> {
    Item { key: key(7), ttl_s: 3600, seq: 5, value }
}

/// One of each kind.
fn bodies() -> Vec<(&'static str, Body<Endpoint>)> {
    let reference = item(Value::Reference(Arc::new(record())));
    let six = Endpoint::Key([6; 32], "[2001:db8::6]:6406".parse().expect("an address"));
    vec![
        ("hello", Body::Hello(six)),
        ("welcome", Body::Welcome(Box::new(Welcome { you: peer(1), nursery: true, members: vec![contact(2), contact(3)] }))),
        ("ping", Body::Ping),
        ("pong", Body::Pong),
        ("find_next", Body::FindNext { key: key(4), claimed: true }),
        ("next", Body::Next(Step::Closer, vec![contact(4), contact(5)])),
        ("get_state", Body::GetState),
        ("state", Body::State(Some(contact(1)), vec![contact(2)].into())),
        ("state", Body::State(None, Box::default())),
        ("notify", Body::Notify),
        ("route", Body::Route(Box::new(Route { key: key(5), origin: contact(1), query: 77, hops: 3, claimed: false }))),
        ("got", Body::Got),
        ("routed", Body::Routed(Box::new(Routed { hops: 4, holders: vec![contact(8)] }))),
        ("put", Body::Put(Box::new(item(Value::Content(Bytes::from_static(b"bytes")))))),
        ("put", Body::Put(Box::new(item(Value::Named(peer(2), Bytes::from_static(b"value")))))),
        ("put", Body::Put(Box::new(reference.clone()))),
        ("stored", Body::Stored(2)),
        ("get", Body::Get(Box::new(Get { key: key(6), words: vec!["blue".into(), "größe".into()], limit: 200 }))),
        ("items", Body::Items(Box::new(Items { total: 70_000, items: vec![reference.clone()] }))),
        ("copy", Body::Copy(vec![item(Value::Content(Bytes::new())), reference])),
        ("copied", Body::Copied(2)),
        ("inventory", Body::Inventory(Box::new(Inventory { after: key(1), upto: key(2), sums: std::array::from_fn(|part| part as u64) }))),
        ("differs", Body::Differs(Box::new(Differs { parts: 0x8001, held: vec![(key(3), 4, 5)], more: true }))),
        ("take", Body::Take(vec![(key(3), 4), (key(5), 6)])),
        ("leave", Body::Leave),
        ("withdraw", Body::Withdraw(Box::new((key(3), 4, 5)))),
        ("withdrawn", Body::Withdrawn),
        ("get_fingers", Body::GetFingers),
        ("fingers", Body::Fingers(vec![contact(1)].into())),
        ("set_finger", Body::SetFinger(63, contact(2))),
        ("nearer", Body::Nearer),
        ("describe", Body::Describe(Box::new(Digest::TorrentV1(Sha1Digest([1; 20]))))),
        ("description", Body::Description(Bytes::from_static(b"d6:lengthi1e4:name1:ae"))),
        ("request", Body::Request(1 << 20, 1 << 14)),
        ("block", Body::Block(Box::new(Block { offset: 1 << 20, body: Body64(Payload::Bytes(Bytes::from_static(b"block"))) }))),
        ("gone", Body::Gone(1 << 20, 1 << 14)),
        (
            "tree",
            Body::Tree(Box::new(Tree {
                content: ContentId { size: 100_000, root: Sha256Digest([2; 32]) },
                part_bytes: 65_536,
                name: "a".into(),
                hashes: vec![Sha256Digest([4; 32]), Sha256Digest([5; 32])],
            })),
        ),
        ("refused", Body::Refused(Reason::Elsewhere)),
    ]
}

fn message(body: Body<Endpoint>) -> Message<Endpoint> {
    Message { from: 1, to: 2, query: 0x0102_0304, body }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encoded(message: &Message<Endpoint>) -> BytesMut {
    let mut out = BytesMut::new();
    write(message, 0, &mut out);
    out
}

#[test]
fn every_message_is_written_and_read_as_its_vector_says() {
    let golden: Vec<&str> = VECTORS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let all: Vec<String> = bodies().into_iter().map(|(name, body)| format!("{name} {}", hex(&encoded(&message(body))))).collect();
    assert_eq!(all.len(), golden.len(), "one line for each:\n{}", all.join("\n"));
    for (ours, golden) in all.iter().zip(golden) {
        assert_eq!(ours, golden);
    }
    for (name, body) in bodies() {
        let message = message(body);
        assert_eq!(message.kind(), name);
        let bytes = encoded(&message);
        assert_eq!(bytes.len() as u64, message.wire_bytes(), "{name}");
        assert_eq!(read_datagram(&bytes), Ok(message.clone()), "{name}");
        let mut input = bytes.clone();
        input.extend_from_slice(&bytes);
        let mut codec = Codec::default();
        for _ in 0..2 {
            assert_eq!(codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()), Ok(Some(message.clone())), "{name}");
        }
        assert_eq!(codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()), Ok(None));
    }
}

#[test]
fn what_is_cut_off_is_refused_and_never_read_as_something_else() {
    for (name, body) in bodies() {
        let bytes = encoded(&message(body));
        for cut in 0..bytes.len() {
            assert!(read_datagram::<Endpoint>(&bytes[..cut]).is_err(), "{name} cut at {cut}");
            // The same with a length that claims to be right.
            if cut >= 12 {
                let mut short = bytes[..cut].to_vec();
                short[..4].copy_from_slice(&u32::try_from(cut).expect("a small number").to_be_bytes());
                let read = read_datagram::<Endpoint>(&short);
                let block = name == "block" && cut >= 20;
                assert!(block || read.is_err(), "{name} cut at {cut}: {read:?}");
            }
        }
    }
}

#[test]
fn lengths_are_checked_before_anything_is_made_of_them() {
    let refused = |bytes: &[u8], reason: &str| {
        let error = read_datagram::<Endpoint>(bytes).expect_err("it is refused");
        assert!(error.reason.starts_with(reason), "{error}");
    };
    let frame = |kind: u8, rest: &[u8]| {
        let mut bytes = u32::try_from(12 + rest.len()).expect("a small number").to_be_bytes().to_vec();
        bytes.extend_from_slice(&[1, kind, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(rest);
        bytes
    };
    refused(&frame(0x83, &[0, 0xff, 0xff]), "expected at most 64");
    refused(&frame(0x83, &[0, 0, 64]), "expected 64 things");
    refused(&frame(0x83, &[9, 0, 0]), "expected a step");
    refused(&frame(0x0a, &[2, 1]), "expected at most 512");
    refused(&frame(0x01, &[5]), "expected an address");
    refused(&frame(0xff, &[99]), "expected a reason");
    refused(&frame(0x02, &[0]), "expected the end");
    refused(&frame(0xa0, &[0xff, 0xff, 0xff, 0xff]), "expected at most");
    let mut old = frame(0x02, &[]);
    old[4] = 9;
    refused(&old, "expected version 1, came 9");
    let mut huge = BytesMut::from(&[0x7f, 0xff, 0xff, 0xff, 1, 2][..]);
    assert!(Codec::<Endpoint>::default().decode(Cue::Bytes, &mut huge, &mut BytesMut::new()).is_err());
    // What a later version may say is read as unknown, so that it can be ignored.
    let unknown = read_datagram::<Endpoint>(&frame(0x55, b"whatever")).expect("it is read");
    assert_eq!(unknown.body, Body::Unknown(0x55));
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in any::<u8>()) {
        let mut frame = u32::try_from(12 + bytes.len()).expect("a small number").to_be_bytes().to_vec();
        frame.extend_from_slice(&[1, kind, 0, 0, 0, 0, 0, 0]);
        frame.extend_from_slice(&bytes);
        if let Ok(message) = read_datagram::<Endpoint>(&frame)
            && !matches!(message.body, Body::Unknown(_)) {
                let mut out = BytesMut::new();
                write(&message, 0, &mut out);
                prop_assert_eq!(&out[..], &frame[..]);
                prop_assert_eq!(message.wire_bytes(), out.len() as u64);
            }
        let _ = read_datagram::<u32>(&frame);
    }
}
