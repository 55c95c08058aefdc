//! Every message against its golden bytes (`vectors/messages.txt`), round trips, and what is cut off or too long.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use hexad_content::{ContentId, Digest, Sha1Digest, Sha256Digest};
use hexad_core::{Codec as _, Cue, Endpoint, Message as _, Payload, Role};
use hexad_kazaa::wire::{
    Batch, Block, Body, Card, Codec, Entry, Flood, Group, Looked, Media, Message, Purpose, Reason, Record, Sourced, Status, Tree,
    merkle_root, read_datagram, write,
};
use proptest::prelude::*;

const VECTORS: &str = include_str!("../vectors/messages.txt");

fn peer(number: u8) -> Endpoint {
    Endpoint::Key([number; 32], SocketAddr::from(([192, 0, 2, number], 6400 + u16::from(number))))
}

fn status() -> Status {
    Status { supernode: true, leaves: 90, leaves_max: 150, links: 40, uptime_s: 3600 }
}

fn list() -> Vec<Entry<Endpoint>> {
    vec![Entry { addr: peer(2), load: 60, age_min: 200, heir: false }, Entry { addr: peer(3), load: 0, age_min: 0, heir: true }]
}

fn content() -> Digest {
    Digest::Content(ContentId { size: 3_000_000, root: Sha256Digest([2; 32]) })
}

fn record() -> Record {
    Record {
        number: 300,
        digest: content(),
        others: vec![Digest::TigerTree([3; 24])],
        size_bytes: 3_000_000,
        media: Media::Audio,
        name: "größe.ogg".into(),
        tags: vec![(6, "artist".into())],
    }
}

/// One of each kind.
fn messages() -> Vec<(&'static str, Message<Endpoint>)> {
    let six = Endpoint::Key([6; 32], "[2001:db8::6]:6406".parse().expect("an address"));
    let batch = Batch { sequence: 7, unix_s: 1_800_000_000, signature: [9; 64], records: vec![record()] };
    let words = Flood {
        id: [1; 16],
        hops: 2,
        fan_out: 8,
        wanted: 50,
        deadline_ms: 10_000,
        what: Looked::Words(vec!["blue".into(), "größe".into()]),
        skip: vec![1, 0xffff_ffff],
    };
    let lookup = Flood { what: Looked::Digest(Digest::TorrentV1(Sha1Digest([5; 20]))), skip: Vec::new(), ..words.clone() };
    let group = Group {
        digest: content(),
        others: vec![Digest::Sha1(Sha1Digest([4; 20]))],
        size_bytes: 3_000_000,
        name: "größe.ogg".into(),
        sources: vec![Sourced { addr: peer(4), via: peer(5), reachable: true }],
    };
    let tree = Tree {
        content: ContentId { size: 100_000, root: Sha256Digest([2; 32]) },
        part_bytes: 65_536,
        name: "a".into(),
        hashes: vec![Sha256Digest([4; 32]), Sha256Digest([5; 32])],
    };
    vec![
        ("hello", Message::Hello(six, Purpose::Leaf(Card { willing: true, uplink_kbps: 10_000, uptime_s: 60 }))),
        ("hello", Message::Hello(peer(1), Purpose::Supernode(status()))),
        ("hello", Message::Hello(peer(1), Purpose::Fetch)),
        ("hello", Message::Hello(peer(1), Purpose::CallBack(77))),
        ("hello", Message::Hello(peer(1), Purpose::Give(78))),
        ("hello", Message::Hello(peer(1), Purpose::Relay(peer(2)))),
        ("hello", Message::Hello(peer(1), Purpose::RelayGive(79))),
        ("welcome", Message::Welcome(peer(1), status(), list())),
        ("refused", Message::Refused(Reason::Full, list())),
        ("ping", Message::Ping(0x0102_0304)),
        ("pong", Message::Pong(0x0102_0304, Status::default(), Vec::new())),
        ("ask_list", Message::AskList),
        ("list", Message::List(list())),
        ("leave", Message::Leave(list())),
        ("move", Message::Move(list())),
        ("call_back", Message::CallBack(peer(1), 77)),
        ("called", Message::Called(77, true)),
        ("heard", Message::Heard(77, false)),
        ("tested", Message::Tested(true)),
        ("promote", Message::Promote),
        ("promoted", Message::Promoted(true)),
        ("load", Message::Load(status())),
        ("begin", Message::Begin(500, [8; 32])),
        ("resume", Message::Resume(false)),
        ("publish", Message::Publish(Box::new(batch))),
        ("published", Message::Published(7, vec![300])),
        ("end", Message::End),
        ("withdraw", Message::Withdraw(vec![300, 301])),
        ("query", Message::Query(Box::new(words))),
        ("query", Message::Query(Box::new(lookup))),
        ("results", Message::Results([1; 16], vec![group])),
        ("query_end", Message::QueryEnd([1; 16], vec![5])),
        ("query_stop", Message::QueryStop([1; 16])),
        ("push", Message::Push(peer(1), peer(2), peer(3), 80)),
        ("push_order", Message::PushOrder(peer(3), 80)),
        ("relay_order", Message::RelayOrder(81)),
        ("describe", Message::Describe(content())),
        ("description", Message::Description(Bytes::from_static(b"d6:lengthi1e4:name1:ae"))),
        ("tree", Message::Tree(Box::new(tree))),
        ("request", Message::Request(1 << 20, 1 << 14)),
        ("block", Message::Block(Box::new(Block { offset: 1 << 20, body: Body(Payload::Bytes(Bytes::from_static(b"block"))) }))),
        ("gone", Message::Gone(1 << 20, 1 << 14)),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encoded(message: &Message<Endpoint>) -> BytesMut {
    let mut out = BytesMut::new();
    write(message, 0, &mut out);
    out
}

fn frame(kind: u8, rest: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(rest.len()).expect("a small number").to_be_bytes();
    [&[kind, high, middle, low], rest].concat()
}

#[test]
fn every_message_is_written_and_read_as_its_vector_says() {
    let golden: Vec<&str> = VECTORS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let all: Vec<String> = messages().into_iter().map(|(name, message)| format!("{name} {}", hex(&encoded(&message)))).collect();
    assert_eq!(all.len(), golden.len(), "one line for each:\n{}", all.join("\n"));
    for (ours, golden) in all.iter().zip(golden) {
        assert_eq!(ours, golden);
    }
    for (name, message) in messages() {
        assert_eq!(message.kind(), name);
        let bytes = encoded(&message);
        assert_eq!(bytes.len() as u64, message.wire_bytes(), "{name}");
        assert_eq!(read_datagram(&bytes), Ok(message.clone()), "{name}");
        let mut input = bytes.clone();
        input.extend_from_slice(&bytes);
        let mut codec = Codec::new(Role::Dialler);
        for _ in 0..2 {
            assert_eq!(codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()), Ok(Some(message.clone())), "{name}");
        }
        assert_eq!(codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()), Ok(None));
    }
}

#[test]
fn what_is_cut_off_is_refused_and_never_read_as_something_else() {
    for (name, message) in messages() {
        let bytes = encoded(&message);
        for cut in 0..bytes.len() {
            assert!(read_datagram::<Endpoint>(&bytes[..cut]).is_err(), "{name} cut at {cut}");
            // The same with a length that claims to be right. What ends with bytes of any number may be shorter; that is seen elsewhere.
            if cut >= 4 {
                let read = read_datagram::<Endpoint>(&frame(bytes[0], &bytes[4..cut]));
                let open = matches!(name, "block" | "description" | "tree");
                assert!(open || read.is_err(), "{name} cut at {cut}: {read:?}");
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
    refused(&frame(0x84, &[0xff, 0xff, 0x03]), "expected at most 200");
    refused(&frame(0x84, &[100]), "expected 100 things");
    refused(&frame(0x01, b"XY"), "expected a greeting");
    refused(&frame(0x01, b"KZ\x09"), "expected version 1, came 9");
    refused(&frame(0x01, b"KZ\x01\x05"), "expected an address");
    refused(&frame(0x82, &[99]), "expected a reason");
    refused(&frame(0x03, &[0]), "expected the end");
    refused(&frame(0x07, &[2]), "expected 0 or 1");
    refused(&frame(0x41, &[0x80, 0x00, 0x01]), "expected the shortest form");
    refused(&frame(0x20, &[[0; 16].as_slice(), &[9, 0]].concat()), "expected at most 3 hops");
    let mut huge = BytesMut::from(&[0x84, 0xff, 0xff, 0xff, 1, 2][..]);
    assert!(Codec::<Endpoint>::new(Role::Dialler).decode(Cue::Bytes, &mut huge, &mut BytesMut::new()).is_err());
    // What a later version may say is read as unknown, so that it can be ignored.
    assert_eq!(read_datagram::<Endpoint>(&frame(0x55, b"whatever")), Ok(Message::Unknown(0x55)));
}

#[test]
fn a_record_that_proves_nothing_is_refused() {
    let mut batch = Batch { sequence: 1, unix_s: 1, signature: [0; 64], records: vec![record()] };
    batch.records[0].digest = Digest::Md5Prefix([1; 16]);
    let bytes = encoded(&Message::Publish(Box::new(batch)));
    let error = read_datagram::<Endpoint>(&bytes).expect_err("it is refused");
    assert!(error.reason.starts_with("expected a digest that proves"), "{error}");
}

#[test]
fn a_signature_covers_every_record_of_its_batch_and_their_order() {
    let batch = |names: &[&str]| {
        let records = names.iter().map(|name| Record { name: (*name).into(), ..record() }).collect();
        Batch { sequence: 1, unix_s: 2, signature: [0; 64], records }.signed_bytes()
    };
    let three = batch(&["a", "b", "c"]);
    for other in [batch(&["a", "b"]), batch(&["a", "c", "b"]), batch(&["a", "b", "d"]), batch(&["a", "b", "c", "c"])] {
        assert_ne!(three, other);
    }
    assert_eq!(merkle_root(Vec::new()), [0; 32]);
    assert_eq!(merkle_root(vec![[7; 32]]), [7; 32]);
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in any::<u8>()) {
        let frame = frame(kind, &bytes);
        if let Ok(message) = read_datagram::<Endpoint>(&frame)
            && !matches!(message, Message::Unknown(_)) {
                let mut out = BytesMut::new();
                write(&message, 0, &mut out);
                prop_assert_eq!(&out[..], &frame[..]);
                prop_assert_eq!(message.wire_bytes(), out.len() as u64);
            }
        let _ = read_datagram::<u32>(&frame);
    }
}
