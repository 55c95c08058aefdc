//! Extended messages: what is taken over from a handshake, from PEX and from ut_metadata, and how much of it.

use bytes::BytesMut;
use hexad_bittorrent::wire::extended::{LT_DONTHAVE, UPLOAD_ONLY, UT_HOLEPUNCH, UT_METADATA, UT_PEX, our_extensions};
use hexad_bittorrent::wire::{ExtendedHandshake, Message, MetadataMessage, Pex, PexPeer};
use hexad_core::{Codec as _, Malformed, Map};
use proptest::prelude::*;

use crate::connections::{introduced, said, say};
use crate::krpc::{addresses, sorted_by_family};

fn frame(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(2 + payload.len()).unwrap();
    [&length.to_be_bytes()[..], &[20, id], payload].concat()
}

fn read(id: u8, payload: &[u8]) -> Result<Message, Malformed> {
    said(&mut introduced(false), &frame(id, payload)).map(|mut messages| messages.remove(0))
}

fn hello(payload: &[u8]) -> ExtendedHandshake {
    match read(0, payload) {
        Ok(Message::ExtendedHandshake(hello)) => *hello,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_does_not_begin_with_a_dictionary_is_refused() {
    for payload in [&b""[..], b"i1e", b"le", b"4:spam", b"d1:a", b"x"] {
        for id in [0, UT_METADATA, UT_PEX] {
            assert!(read(id, payload).is_err(), "{id} {}", payload.escape_ascii());
        }
    }
    for bomb in [b"l".repeat(200_000), b"d1:a".repeat(50_000)] {
        assert!(read(0, &bomb).is_err());
    }
}

#[test]
fn keys_of_another_kind_count_as_not_said() {
    let strange = hello(b"d1:e1:x1:mi1e13:metadata_sizei-1e1:pi65536e4:reqqi-1e11:upload_onlyle1:vi1e6:yourip3:abce");
    assert_eq!(strange, ExtendedHandshake::default());
    assert_eq!(hello(b"d13:metadata_sizei4294967296ee").metadata_bytes, None);
    assert_eq!(hello(b"d1:md6:ut_pexi256eee").extensions, Map::new());
}

#[test]
fn a_handshake_is_taken_over_only_so_far() {
    let many: String = (0..1000).map(|n| format!("5:x{n:04}i1e")).collect();
    assert_eq!(hello(format!("d1:md{many}ee").as_bytes()).extensions.len(), 64);
    let long = format!("d1:md{}:{}i1e6:ut_pexi2eee", 900_000, "x".repeat(900_000));
    assert_eq!(hello(long.as_bytes()).extensions, Map::from([("ut_pex".to_owned(), 2)]));
    let name = format!("d1:v{}:{}e", 50_000, "\u{1b}[31mé\n".repeat(6250));
    let client = hello(name.as_bytes()).client.unwrap();
    assert!(client.chars().count() <= 100 && client.starts_with("[31mé[31mé"), "{client}");
}

#[test]
fn of_two_equal_names_the_first_counts() {
    assert_eq!(hello(b"d1:md6:ut_pexi3e6:ut_pexi4eee").extensions, Map::from([("ut_pex".to_owned(), 3)]));
}

#[test]
fn bytes_behind_the_dictionary_are_forgiven() {
    assert_eq!(hello(b"d1:pi6881eexyz").listen_port, Some(6881));
}

#[test]
fn messages_go_under_the_ids_that_the_peer_named_last() {
    let request = Message::Metadata(MetadataMessage::Request { piece: 0 });
    let pex = Message::Pex(Pex::default());
    let mut codec = introduced(false);
    let ids = |codec: &mut _| [&request, &pex].map(|message| say(codec, message).get(5).copied());
    assert_eq!(ids(&mut codec), [Some(1), Some(2)]);
    said(&mut codec, &frame(0, b"d1:md11:ut_metadatai77eee")).unwrap();
    assert_eq!(ids(&mut codec), [Some(77), Some(2)], "m is additive");
    said(&mut codec, &frame(0, b"d1:md11:ut_metadatai0eee")).unwrap();
    assert_eq!(ids(&mut codec), [None, Some(2)], "0 switches off, and nothing is sent then");
}

#[test]
fn we_offer_pex_only_where_it_is_on() {
    let named = |names: &[(&str, u8)]| names.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect::<Map<_, _>>();
    let always = [("ut_metadata", UT_METADATA), ("lt_donthave", LT_DONTHAVE), ("upload_only", UPLOAD_ONLY)];
    assert_eq!(our_extensions(false, false), named(&always));
    let all = [&always[..], &[("ut_pex", UT_PEX), ("ut_holepunch", UT_HOLEPUNCH)]].concat();
    assert_eq!(our_extensions(true, true), named(&all));
}

#[test]
fn a_block_of_metadata_is_at_most_16_kib_and_says_where_it_belongs() {
    let data = |bytes: usize| [&b"d8:msg_typei1e5:piecei0e10:total_sizei99999ee"[..], &vec![b'x'; bytes]].concat();
    assert!(matches!(read(1, &data(16384)), Ok(Message::Metadata(MetadataMessage::Data { data, .. })) if data.len() == 16384));
    assert!(read(1, &data(16385)).is_err());
    for short in [
        &b"d8:msg_typei1e5:piecei0eexxxx"[..],
        b"d8:msg_typei0ee",
        b"d8:msg_typei2e5:piecei-1ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei-5ee",
    ] {
        assert!(read(1, short).is_err(), "{}", short.escape_ascii());
    }
    assert!(matches!(read(1, b"de"), Ok(Message::Unknown(20, _))));
}

#[test]
fn of_very_many_peers_in_pex_two_hundred_are_taken() {
    let many =
        [b"d5:added60000:".as_slice(), &[9; 60_000], b"6:added618000:", &[9; 18_000], b"7:dropped60000:", &[9; 60_000], b"e"].concat();
    let Ok(Message::Pex(pex)) = read(2, &many) else { panic!() };
    assert_eq!((pex.added.len(), pex.dropped.len()), (200, 200));
    let Ok(Message::Pex(odd)) = read(2, b"d5:added7:\x01\x02\x03\x04\0\x50x7:added.fi3e7:dropped5:abcdee") else { panic!() };
    assert_eq!(odd, Pex { added: vec![PexPeer { address: "1.2.3.4:80".parse().unwrap(), flags: 0 }], dropped: vec![] });
}

fn hellos() -> impl Strategy<Value = ExtendedHandshake> {
    let extensions = prop::collection::btree_map("[a-z_]{1,20}", any::<u8>(), 0..10);
    let ip = prop::option::of(addresses().prop_map(|address| address.ip()));
    (
        extensions,
        prop::option::of("\\PC{0,100}"),
        any::<(Option<u16>, Option<u32>, Option<u32>)>(),
        ip,
        any::<(Option<bool>, Option<bool>, Option<[u8; 16]>)>(),
    )
        .prop_map(
            |(extensions, client, (listen_port, requests_max, metadata_bytes), your_ip, (upload_only, prefers_obfuscation, ipv6))| {
                let ipv6 = ipv6.map(Into::into);
                ExtendedHandshake {
                    extensions,
                    client,
                    listen_port,
                    your_ip,
                    ipv6,
                    requests_max,
                    metadata_bytes,
                    upload_only,
                    prefers_obfuscation,
                }
            },
        )
}

proptest! {
    #[test]
    fn handshakes_read_back_as_they_were(hello in hellos()) {
        let message = Message::from(hello);
        let bytes = say(&mut introduced(false), &message);
        prop_assert_eq!(said(&mut introduced(false), &bytes), Ok(vec![message]));
    }

    #[test]
    fn pex_reads_back_as_it_was(
        added in prop::collection::vec(addresses(), 0..60), flags: [u8; 60], dropped in prop::collection::vec(addresses(), 0..60),
    ) {
        let added = sorted_by_family(added).into_iter().zip(flags).map(|(address, flags)| PexPeer { address, flags }).collect();
        let message = Message::Pex(Pex { added, dropped: sorted_by_family(dropped) });
        let bytes = say(&mut introduced(false), &message);
        prop_assert_eq!(said(&mut introduced(false), &bytes), Ok(vec![message]));
    }

    #[test]
    fn a_damaged_message_is_refused_or_read_as_one_that_can_be_written(hello in hellos(), at: prop::sample::Index, byte: u8) {
        let mut bytes = say(&mut introduced(false), &Message::from(hello));
        let at = 6 + at.index(bytes.len() - 6);
        bytes[at] = byte;
        if let Ok(messages) = said(&mut introduced(false), &bytes) {
            let mut out = BytesMut::new();
            introduced(false).encode(&messages[0], 0, &mut out);
            prop_assert_eq!(said(&mut introduced(false), &out), Ok(messages));
        }
    }
}
