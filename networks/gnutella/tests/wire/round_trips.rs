//! Whatever we can say is read as what was said, and nothing that is read does harm.

use std::net::SocketAddrV4;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_core::{Codec as _, Cue, Message as _, Role};
use hexad_gnutella::wire::ggep::Block;
use hexad_gnutella::wire::{
    Answer, Body, Bye, Codec, Connect, Extensions, Guid, Headers, Message, Packet, Pong, Push, Qrp, Query, QueryHit, Record, Trailer,
    Vendor, read_all,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn no_nul(min: usize, max: usize) -> impl Strategy<Value = Bytes> {
    vec(1_u8.., min..max).prop_map(Bytes::from)
}

fn address() -> impl Strategy<Value = SocketAddrV4> {
    (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port))
}

fn guid() -> impl Strategy<Value = Guid> {
    any::<[u8; 16]>().prop_filter("not blank", |bytes| *bytes != [0; 16]).prop_map(Guid)
}

fn body() -> impl Strategy<Value = Body> {
    let record =
        (any::<u32>(), any::<u32>(), no_nul(1, 40), no_nul(0, 40)).prop_map(|(index, size, name, ext)| Record { index, size, name, ext });
    let trailer = (any::<[u8; 4]>(), bytes(5), bytes(40)).prop_map(|(vendor, open, private)| Trailer { vendor, open, private });
    prop_oneof![
        bytes(40).prop_map(Body::Ping),
        (address(), any::<u32>(), any::<u32>(), bytes(40)).prop_map(|(at, files, kib, ext)| Body::Pong(Box::new(Pong {
            at,
            files,
            kib,
            ext
        }))),
        (any::<u16>(), bytes(40)).prop_map(|(code, text)| Body::Bye(Box::new(Bye { code, text }))),
        (3_u32..21, 1_u8..).prop_map(|(log2, infinity)| Body::Qrp(Box::new(Qrp::Reset { slots: 1 << log2, infinity }))),
        (1_u8..9, 0_u8..2, prop_oneof![Just(1_u8), Just(4), Just(8)], bytes(90)).prop_map(|(number, compressor, entry_bits, data)| {
            Body::Qrp(Box::new(Qrp::Patch { number, of: 9, compressor, entry_bits, data }))
        }),
        (any::<bool>(), any::<[u8; 4]>(), any::<u16>(), any::<u16>(), bytes(40)).prop_map(|(standard, vendor, selector, version, data)| {
            Body::Vendor(Box::new(Vendor { standard, vendor, selector, version, data }))
        }),
        (guid(), any::<u32>(), address(), bytes(40)).prop_map(|(servent, index, to, ext)| Body::Push(Box::new(Push {
            servent,
            index,
            to,
            ext
        }))),
        (any::<u16>(), "[^\0]{0,40}", bytes(40)).prop_map(|(flags, text, ext)| Body::Query(Arc::new(Query { flags, text, ext }))),
        (address(), any::<u32>(), vec(record, 1..4), proptest::option::of(trailer), guid()).prop_map(
            |(at, speed_kbps, records, trailer, servent)| Body::Hit(Arc::new(QueryHit { at, speed_kbps, records, trailer, servent }))
        ),
        (0xa0_u8.., bytes(40)).prop_map(|(function, data)| Body::Unknown(function, data)),
    ]
}

fn packet() -> impl Strategy<Value = Packet> {
    (any::<[u8; 16]>(), any::<u8>(), any::<u8>(), body()).prop_map(|(muid, ttl, hops, body)| Packet { muid: Guid(muid), ttl, hops, body })
}

proptest! {
    #[test]
    fn a_message_is_read_as_what_was_written(packet in packet()) {
        let mut out = BytesMut::new();
        packet.write(&mut out);
        prop_assert_eq!(out.len() as u64, Message::Packet(packet.clone()).wire_bytes());
        prop_assert_eq!(Packet::read(&out), Ok(packet));
    }

    #[test]
    fn a_deflated_link_says_what_was_said(packets in vec(packet(), 1..20), every in 1_usize..7, step in 1_usize..300) {
        let (mut ours, mut theirs) = (Codec::new(Role::Dialler), Codec::new(Role::Acceptor));
        let (mut nothing, mut wire) = (BytesMut::new(), BytesMut::new());
        let plain = Message::Answer(Box::new(Answer::yes(Headers::new())));
        let deflated = Message::Answer(Box::new(Answer::yes(Headers::new().with("Content-Encoding", "deflate"))));
        // The acceptor hears the handshake and then what we deflate.
        let connect = Message::Connect(Box::new(Connect { classic: false, headers: Headers::new().with("User-Agent", "x") }));
        ours.encode(&connect, 0, &mut wire);
        ours.flush(&mut wire);
        prop_assert_eq!(theirs.decode(Cue::Bytes, &mut wire, &mut nothing).unwrap(), Some(connect));
        theirs.encode(&plain, 0, &mut wire);
        prop_assert_eq!(ours.decode(Cue::Bytes, &mut wire, &mut nothing).unwrap(), Some(plain));
        ours.encode(&deflated, 0, &mut wire);
        for (number, packet) in packets.iter().enumerate() {
            ours.encode(&Message::Packet(packet.clone()), 0, &mut wire);
            if number % every == 0 {
                ours.flush(&mut wire);
            }
        }
        ours.flush(&mut wire);
        let (mut input, mut heard) = (BytesMut::new(), Vec::new());
        for part in wire.chunks(step) {
            input.extend_from_slice(part);
            while let Some(message) = theirs.decode(Cue::Bytes, &mut input, &mut nothing).unwrap() {
                heard.push(message);
            }
        }
        let mut said = vec![deflated];
        said.extend(packets.into_iter().map(Message::Packet));
        prop_assert_eq!(heard, said);
    }

    #[test]
    fn extensions_are_read_as_what_was_written(urns in vec("urn:[a-z0-9:]{1,20}", 0..3), data in vec(("[A-Z]{1,15}", bytes(80)), 0..5)) {
        let mut ggep = Block::default();
        for (id, data) in data {
            ggep = ggep.with(&id, data);
        }
        let extensions = Extensions { urns, texts: Vec::new(), ggep, broken: false };
        let written = extensions.bytes();
        prop_assert!(!written.contains(&0));
        prop_assert_eq!(Extensions::read(&written), extensions);
    }

    #[test]
    fn nonsense_is_refused_without_harm(junk in bytes(200), kind in 0_usize..5) {
        let first: &[u8] = [&b"GNUTELLA CONNECT/0.6\r\n"[..], b"GET /", b"GIV 0:", b"", b"GNUTELLA CONNECT/0.6\r\n\r\nGNUTELLA/0.6 200 OK\r\n\r\n"][kind];
        let yes = Message::Answer(Box::new(Answer::yes(Headers::new().with("Content-Encoding", "deflate"))));
        let _ = read_all(Role::Acceptor, &[yes], &[first, &junk].concat());
        let _ = Block::read(&[&[0xc3][..], &junk].concat());
        let _ = Packet::read(&junk);
        let _ = hexad_gnutella::wire::thex::read_thex(&junk);
        let _ = hexad_gnutella::wire::Fields::read(&String::from_utf8_lossy(&junk));
        let _ = Extensions::read(&junk);
    }
}
