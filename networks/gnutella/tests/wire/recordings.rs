//! What real programs said.

use bytes::BytesMut;
use hexad_core::{Codec as _, Cue, Role};
use hexad_gnutella::wire::qrp::{Receiver, hash};
use hexad_gnutella::wire::thex::read_thex;
use hexad_gnutella::wire::{Answer, Body, Codec, Connect, Headers, Message, Packet, Qrp, Request, read_all};

macro_rules! vector {
    ($name:expr) => {
        include_bytes!(concat!("../../vectors/", $name, ".bin")).as_slice()
    };
}

macro_rules! vectors {
    ($($name:literal)*) => {
        [$(($name, vector!($name))),*]
    };
}

macro_rules! conversations {
    ($($name:literal)*) => {
        [$(($name, vector!(concat!($name, ".c2s")), vector!(concat!($name, ".s2c")))),*]
    };
}

#[test]
fn every_message_is_written_as_it_was_read() {
    let mut kinds = std::collections::BTreeMap::new();
    for (name, bytes) in vectors!(
        "msg-0x00-ping-1" "msg-0x00-ping-2" "msg-0x00-ping-3" "msg-0x00-ping-4" "msg-0x01-pong-1" "msg-0x01-pong-2" "msg-0x01-pong-3"
        "msg-0x01-pong-4" "msg-0x01-pong-5" "msg-0x01-pong-6" "msg-0x01-pong-7" "msg-0x01-pong-8" "msg-0x01-pong-9" "msg-0x01-pong-10"
        "msg-0x01-pong-11" "msg-0x02-bye-1" "msg-0x02-bye-2" "msg-0x30-qrp-patch1bit-1" "msg-0x30-qrp-patch1bit-2" "msg-0x30-qrp-patch1bit-3"
        "msg-0x30-qrp-patch4bit-1" "msg-0x30-qrp-patch4bit-2" "msg-0x30-qrp-patch4bit-3" "msg-0x30-qrp-patch4bit-4" "msg-0x30-qrp-patch4bit-5"
        "msg-0x30-qrp-reset-1" "msg-0x30-qrp-reset-2" "msg-0x31-vendor-bear-12-1" "msg-0x31-vendor-gtkg-10-1" "msg-0x31-vendor-gtkg-9-1"
        "msg-0x31-vendor-lime-11-1" "msg-0x31-vendor-lime-12-1" "msg-0x31-vendor-null-0-1" "msg-0x31-vendor-null-10-1" "msg-0x40-push-1"
        "msg-0x40-push-2" "msg-0x40-push-3" "msg-0x80-query-1" "msg-0x80-query-2" "msg-0x80-query-3" "msg-0x80-query-4" "msg-0x80-query-5"
        "msg-0x80-query-6" "msg-0x80-query-7" "msg-0x80-query-8" "msg-0x81-queryhit-1" "msg-0x81-queryhit-2" "msg-0x81-queryhit-3"
        "msg-0x81-queryhit-4" "msg-0x81-queryhit-5" "msg-0x81-queryhit-6" "msg-0x81-queryhit-7" "msg-0x81-queryhit-8" "msg-0xcd-hsep-1"
        "msg-0xcd-hsep-2" "udp-leaf-ultra-01" "udp-leaf-ultra-02" "udp-leaf-ultra-03" "udp-leaf-ultra-04" "udp-leaf-ultra-05"
        "udp-leaf-ultra-06" "udp-pings-01" "udp-pings-02" "udp-pings-03" "udp-pings-04" "udp-pings-05" "udp-pings-06" "udp-pings-07"
        "udp-pings-08" "udp-pings-09" "udp-pings-10" "udp-pings-11" "udp-pings-12"
    ) {
        let packet = Packet::read(bytes).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        let mut again = BytesMut::new();
        packet.write(&mut again);
        assert_eq!(&again[..], bytes, "{name}");
        assert_eq!(packet.wire_bytes(), bytes.len(), "{name}");
        *kinds.entry(packet.body.kind()).or_insert(0) += 1;
        // The reliable layer around some datagrams is refused, and so is a message that is cut anywhere.
        for end in 0..bytes.len() {
            assert!(Packet::read(&bytes[..end]).is_err(), "{name} cut after {end}");
        }
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
    for (name, bytes) in vectors!("udp-oob-01" "udp-oob-02" "udp-oob-03" "udp-oob-04" "udp-oob-05" "udp-oob-06") {
        assert!(hexad_gnutella::wire::read_datagram(bytes).is_err(), "{name} is wrapped in a layer that we do not offer");
    }
}

#[test]
fn a_hit_of_gtk_gnutella_is_understood() {
    let Body::Hit(hit) = Packet::read(vector!("msg-0x81-queryhit-1")).unwrap().body else { panic!() };
    assert_eq!((hit.at.to_string().as_str(), hit.speed_kbps, hit.records.len()), ("198.51.100.11:16346", 6, 1));
    let record = &hit.records[0];
    assert_eq!((&record.name[..], record.index, record.size_bytes()), (&b"delta_lighthouse_vector.bin"[..], 1, 1_500_000));
    let urns: Vec<String> = record.extensions().digests().iter().map(hexad_gnutella::wire::urn_of).collect();
    assert!(urns.contains(&"urn:sha1:FGDTNWM77N5B6BJG3AM3WSDKJVEQST7D".to_owned()), "{urns:?}");
    assert!(urns.contains(&"urn:tree:tiger/:HP5MTYNNXORRSKCV3T6CTWVAUJYG3SRKEJFMLYI".to_owned()), "{urns:?}");
    let trailer = hit.trailer.as_ref().unwrap();
    assert!(!trailer.push() && &trailer.vendor == b"GTKG" && trailer.ggep().find("GTKGV").is_some());
    let Body::Hit(bun) = Packet::read(vector!("msg-0x81-queryhit-5")).unwrap().body else { panic!() };
    let urns: Vec<String> = bun.records[0].extensions().digests().iter().map(hexad_gnutella::wire::urn_of).collect();
    assert_eq!(urns, ["urn:sha1:2P6I27JGKPKLACT5UYLDKS4VST4U7JPT"]);
}

#[test]
fn tables_of_both_programs_have_the_words_of_their_files() {
    let table_of = |names: &[&[u8]], slots: u32| {
        let mut receiver = Receiver::default();
        receiver.take(&Qrp::Reset { slots, infinity: 2 }).unwrap();
        for bytes in names {
            let Body::Qrp(qrp) = Packet::read(bytes).unwrap().body else { panic!() };
            receiver.take(&qrp).unwrap();
        }
        receiver.table().cloned().unwrap()
    };
    let gtk = table_of(&[vector!("msg-0x30-qrp-patch4bit-1")], 1 << 14);
    assert_eq!(gtk.filled(), 20);
    for word in ["delta", "lighthouse", "vector"] {
        assert!(gtk.may_have(hash(word)), "{word}");
    }
    let one_bit = table_of(&[vector!("msg-0x30-qrp-patch1bit-1"), vector!("msg-0x30-qrp-patch1bit-2")], 1 << 14);
    assert_eq!(one_bit.filled(), 12);
    let bun = table_of(&[vector!("msg-0x30-qrp-patch1bit-3")], 1 << 16);
    for word in ["alpha", "bravo", "tower"] {
        assert!(bun.may_have(hash(word)), "{word}");
    }
}

/// Reads one direction whole and byte by byte; both must give the same.
fn both_ways(name: &str, role: Role, ours: &[Message], bytes: &[u8]) -> Vec<Message> {
    let whole = read_all(role, ours, bytes).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    let mut codec = Codec::new(role);
    let (mut input, mut nothing, mut single) = (BytesMut::new(), BytesMut::new(), Vec::new());
    let mut answers = ours.iter();
    if role == Role::Dialler {
        codec.encode(answers.next().unwrap(), 0, &mut nothing);
    }
    for &byte in bytes {
        input.extend_from_slice(&[byte]);
        while let Some(message) = codec.decode(Cue::Bytes, &mut input, &mut nothing).unwrap() {
            if matches!(message, Message::Connect(_) | Message::Answer(_))
                && let Some(answer) = answers.next()
            {
                codec.encode(answer, 0, &mut nothing);
            }
            single.push(message);
        }
    }
    assert_eq!(whole, single, "{name}");
    assert!(input.is_empty(), "{name}: {} bytes are left", input.len());
    whole
}

#[test]
fn every_link_is_read_in_both_directions() {
    let yes = || Message::Answer(Box::new(Answer::yes(Headers::new())));
    let connect = || Message::Connect(Box::new(Connect { classic: false, headers: Headers::new() }));
    let mut packets = 0;
    for (name, c2s, s2c) in conversations!(
        "bun-leaf-gtk-ultra-deflate" "bun-leaf-gtk-ultra-plain" "bun-ultra-gtk-leaf-deflate" "bun-ultra-gtk-leaf-plain"
        "bun-ultra-gtk-ultra-plain" "gtk-leaf-dials-leaf-refused" "gtk-leaf-sharing-4bit" "gtk-leaf-ultra-deflate"
        "gtk-leaf-ultra-oobflag-plain" "gtk-leaf-ultra-plain" "gtk-oob-searcher" "gtk-oob-sharer" "gtk-push-link-plain"
        "gtk-push-relay-searcher" "gtk-push-relay-sharer" "gtk-ultra-dials-leaf" "gtk-ultra-ultra-plain" "gtk-ultra-ultra-qrp-plain"
    ) {
        let refused = name.ends_with("refused");
        for (role, ours, bytes) in [(Role::Acceptor, vec![yes()], c2s), (Role::Dialler, vec![connect(), yes()], s2c)] {
            let messages = both_ways(name, role, &ours, bytes);
            let count = messages.iter().filter(|message| matches!(message, Message::Packet(_))).count();
            assert!(messages.iter().all(|message| !matches!(message, Message::Nonsense(_))), "{name}");
            assert_eq!(count == 0, refused, "{name} {role:?}: {messages:?}");
            packets += count;
        }
    }
    assert!(packets > 250, "{packets}");
}

#[test]
fn the_deflated_links_say_what_their_inflated_copies_say() {
    for (name, role, ours, bytes, inflated) in [
        ("leaf", Role::Acceptor, 1, vector!("gtk-leaf-ultra-deflate.c2s"), vector!("gtk-leaf-ultra-deflate.c2s.inflated")),
        ("ultrapeer", Role::Dialler, 2, vector!("gtk-leaf-ultra-deflate.s2c"), vector!("gtk-leaf-ultra-deflate.s2c.inflated")),
    ] {
        let yes = Message::Answer(Box::new(Answer::yes(Headers::new())));
        let connect = Message::Connect(Box::new(Connect { classic: false, headers: Headers::new() }));
        let ours = if ours == 1 { vec![yes] } else { vec![connect, yes] };
        let mut written = BytesMut::new();
        for message in read_all(role, &ours, bytes).unwrap() {
            if let Message::Packet(packet) = message {
                packet.write(&mut written);
            }
        }
        assert_eq!(&written[..], inflated, "{name}");
    }
}

#[test]
fn transfers_are_read_in_both_directions() {
    for (name, c2s, s2c) in conversations!(
        "bun-serves-gtk" "gtk-browse-bun" "gtk-download" "gtk-serves-bun" "http-404" "http-browse" "http-get-index" "http-head"
        "http-range-altloc" "http-range-beyond" "http-range" "http-thex"
    ) {
        let requests = read_all(Role::Acceptor, &[], c2s).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        let Some(Message::Request(first)) = requests.first().cloned() else { panic!("{name}: {requests:?}") };
        assert!(requests.iter().all(|message| matches!(message, Message::Request(_))), "{name}");
        let mut codec = Codec::new(Role::Dialler);
        codec.encode(&Message::Request(first.clone()), 0, &mut BytesMut::new());
        let mut input = BytesMut::from(s2c);
        let answer = codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()).unwrap();
        let Some(Message::Response(response)) = answer else { panic!("{name}: {answer:?}") };
        match name {
            "http-404" => assert_eq!(response.code, 404),
            "http-head" => assert!(first.head && response.code == 200),
            "http-range" | "http-range-altloc" => {
                let (range, total) = response.content_range().unwrap();
                assert_eq!((total, response.body_bytes()), (Some(1_500_000), Some(range.end - range.start)), "{name}");
                assert_eq!(first.range(1_500_000), Some(range), "{name}");
            }
            "gtk-download" => {
                assert_eq!(requests.len(), 3);
                assert_eq!(response.content_range(), Some((0..524_288, Some(1_500_000))), "less than was asked for");
                assert_eq!(first.range(1_500_000), Some(0..1_048_576));
            }
            _ => assert!(matches!(response.code, 200 | 206), "{name}: {}", response.code),
        }
    }
}

#[test]
fn whoever_was_pushed_says_who_he_is() {
    let giv = vector!("gtk-push-giv-download.c2s");
    let mut codec = Codec::new(Role::Acceptor);
    let mut input = BytesMut::from(giv);
    let first = codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()).unwrap();
    let Some(Message::Giv(giv)) = first else { panic!("{first:?}") };
    assert_eq!((giv.servent.to_string().as_str(), giv.name.as_str()), ("d5513102a4870e855a7db844926b2015", "file"));
    // From here on we are the ones who ask.
    codec.encode(&Message::Request(Box::new(Request::get("/get/1/x", Headers::new()))), 0, &mut BytesMut::new());
    let next = codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()).unwrap();
    assert!(matches!(&next, Some(Message::Response(response)) if response.code == 206), "{next:?}");
    let requests = read_all(Role::Acceptor, &[], vector!("gtk-push-giv-download.s2c")).unwrap();
    assert_eq!(requests.len(), 3);
}

#[test]
fn the_tree_of_gtk_gnutella_is_read() {
    let bytes = vector!("http-thex.s2c");
    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let digests = read_thex(&bytes[body..]).unwrap();
    assert_eq!(digests.len(), 12);
    assert_eq!(data_encoding::BASE32_NOPAD.encode(&digests[0]), "HP5MTYNNXORRSKCV3T6CTWVAUJYG3SRKEJFMLYI");
    // Its nodes fold to its root, so levels are cut and hashed as there.
    let tree = hexad_content::TigerProof::of_levels(digests[0], 1_500_000, &digests).unwrap();
    assert_eq!((tree.part_bytes(), tree.hashes().len()), (256 << 10, 6));
    assert_eq!(tree.levels().concat(), digests);
}
