//! Packets of the DHT: what is refused, what is left out, and that the rest goes through unchanged.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use hexad_bittorrent::wire::bloom::Filter;
use hexad_bittorrent::wire::stored::Signed;
use hexad_bittorrent::wire::{Krpc, KrpcAnswer, KrpcBody, KrpcMore, KrpcQuery, NodeContact, Samples, Want, krpc};
use proptest::prelude::*;

fn written(packet: &Krpc) -> BytesMut {
    let mut out = BytesMut::new();
    krpc::encode(packet, &mut out);
    out
}

fn refused(packet: &str) -> String {
    krpc::decode(packet.as_bytes()).expect_err(packet).to_string()
}

#[test]
fn what_says_too_little_is_refused_with_what_was_expected() {
    let id = "2:id20:abcdefghij0123456789";
    assert!(refused("d1:y1:qe").contains("transaction"));
    assert!(refused("d1:t2:aae").contains("'y'"));
    assert!(refused("d1:t2:aa1:y1:xe").contains("'y'"));
    assert!(refused("d1:t2:aa1:y1:qe").contains("'q'"));
    assert!(refused("d1:q4:ping1:t2:aa1:y1:qe").contains("'a'"));
    assert!(refused("d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe").contains("'id' of 20 bytes"));
    assert!(refused(&format!("d1:ad{id}e1:q9:find_node1:t2:aa1:y1:qe")).contains("'target'"));
    assert!(refused(&format!("d1:ad{id}e1:q9:get_peers1:t2:aa1:y1:qe")).contains("'info_hash'"));
    let hash = "9:info_hash20:abcdefghij0123456789";
    assert!(refused(&format!("d1:ad{id}{hash}5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe")).contains("'port'"));
    assert!(refused(&format!("d1:ad{id}{hash}4:porti65536e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe")).contains("'port'"));
    assert!(refused(&format!("d1:ad{id}{hash}4:porti1ee1:q13:announce_peer1:t2:aa1:y1:qe")).contains("'token'"));
    let put = |rest: &str| refused(&format!("d1:ad{id}{rest}e1:q3:put1:t2:aa1:y1:qe"));
    assert!(put("5:token1:x").contains("'v'") && put("1:vi1e").contains("'token'"));
    assert!(put("1:k3:abc3:seqi1e5:token1:x1:vi1e").contains("'k' of 32 bytes"));
    let key = "k".repeat(32);
    assert!(put(&format!("1:k32:{key}3:seqi1e5:token1:x1:vi1e")).contains("'sig'"));
    assert!(put(&format!("1:k32:{key}3:sig64:{key}{key}5:token1:x1:vi1e")).contains("'seq'"));
    assert!(refused(&format!("d1:ad{id}e1:q3:get1:t2:aa1:y1:qe")).contains("'target'"));
    assert!(refused(&format!("d1:ad{id}e1:q17:sample_infohashes1:t2:aa1:y1:qe")).contains("'target'"));
    assert!(refused("d1:t2:aa1:y1:re").contains("'r'"));
    assert!(refused("d1:rde1:t2:aa1:y1:re").contains("'id'"));
    assert!(refused(&format!("d1:t65:{}1:y1:qe", "a".repeat(65))).contains("at most 64 bytes"));
    assert!(refused(&format!("d1:t2:aa1:y1:q1:z5000:{}e", "z".repeat(5000))).contains("at most 4096 bytes"));
    for bomb in ["l".repeat(4096), "d1:a".repeat(1024)] {
        assert!(krpc::decode(bomb.as_bytes()).is_err());
    }
}

#[test]
fn unsorted_keys_and_bytes_behind_the_end_are_forgiven() {
    let packet = krpc::decode(b"d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:abcdefghij0123456789ee\0\0").unwrap();
    assert_eq!(packet.body, KrpcBody::Query { id: *b"abcdefghij0123456789", query: KrpcQuery::Ping, read_only: false });
}

#[test]
fn long_lists_of_contacts_are_cut() {
    let nodes = [b"5:nodes2600:".as_slice(), &[7; 2600], b"5:token0:6:valuesl", &b"6:abcdef".repeat(400), b"e"].concat();
    let packet = [b"d1:rd2:id20:abcdefghij0123456789".as_slice(), &nodes[..2600 + 12], b"e1:t2:aa1:y1:re"].concat();
    let KrpcBody::Answer { answer, .. } = krpc::decode(&packet).unwrap().body else { panic!() };
    assert_eq!(answer.nodes.len(), 32);
    let packet = [b"d1:rd2:id20:abcdefghij0123456789".as_slice(), &nodes[2612..], b"e1:t2:aa1:y1:re"].concat();
    let KrpcBody::Answer { answer, .. } = krpc::decode(&packet).unwrap().body else { panic!() };
    assert_eq!((answer.peers.len(), answer.token), (300, Some(Bytes::new())));
}

#[test]
fn contacts_of_odd_size_or_in_a_foreign_list_are_left_out() {
    let mapped = [&[0; 10][..], &[0xff, 0xff, 1, 2, 3, 4, 0, 80]].concat();
    let packet = [
        b"d1:rd2:id20:abcdefghij01234567895:nodes27:mnopqrstuvwxyz123456\x7f\0\0\x01\x1a\xe1x6:nodes638:mnopqrstuvwxyz123456".as_slice(),
        &mapped,
        b"6:valuesl3:abci5e6:abcdefee1:t2:aa1:y1:re",
    ]
    .concat();
    let KrpcBody::Answer { answer, .. } = krpc::decode(&packet).unwrap().body else { panic!() };
    assert_eq!(answer.nodes, [NodeContact { id: *b"mnopqrstuvwxyz123456", address: "127.0.0.1:6881".parse().unwrap() }]);
    assert_eq!(answer.peers, ["97.98.99.100:25958".parse().unwrap()]);
}

pub fn addresses() -> impl Strategy<Value = SocketAddr> {
    let v6 = (any::<[u16; 8]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((ip, port)));
    let v4 = (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((ip, port)));
    prop_oneof![v4, v6.prop_filter("an IPv4 address is written as one", |address| address.ip().to_canonical() == address.ip())]
}

/// IPv4 first, as they come out of a packet.
pub fn sorted_by_family(mut all: Vec<SocketAddr>) -> Vec<SocketAddr> {
    all.sort_by_key(SocketAddr::is_ipv6);
    all
}

fn id() -> impl Strategy<Value = [u8; 20]> {
    any::<[u8; 20]>()
}

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=max).prop_map(Bytes::from)
}

/// A bencoded value.
fn value() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        any::<i64>().prop_map(|int| format!("i{int}e").into()),
        "[a-z]{0,300}".prop_map(|text| format!("{}:{text}", text.len()).into())
    ]
}

fn signed() -> impl Strategy<Value = Box<Signed>> {
    (any::<[u8; 32]>(), bytes(64), any::<i64>(), any::<[u8; 32]>()).prop_map(|(key, salt, seq, half)| {
        let signature = [half, half].concat().try_into().expect("64 bytes");
        Box::new(Signed { key, salt, seq, signature })
    })
}

fn more() -> impl Strategy<Value = Option<Box<KrpcMore>>> {
    let filter = || any::<[u8; 32]>().prop_map(|part| Filter(part.repeat(8).try_into().expect("256 bytes")));
    let scrape = prop::option::of((filter(), filter()).prop_map(Box::new));
    let samples = (any::<u32>(), any::<u32>(), prop::collection::vec(id(), 0..20));
    let samples = samples.prop_map(|(interval_s, known, info_hashes)| Samples { interval_s, known, info_hashes });
    let parts = (prop::option::of(value()), any::<Option<i64>>(), prop::option::of(signed()), scrape, prop::option::of(samples));
    parts.prop_map(|(value, seq, signed, scrape, samples)| {
        let signed = signed.map(|signed| Box::new((signed.key, signed.signature)));
        let more = KrpcMore { value, seq, signed, scrape, samples };
        (more != KrpcMore::default()).then(|| Box::new(more))
    })
}

fn packets() -> impl Strategy<Value = Krpc> {
    let want =
        prop::option::of(prop::sample::select(vec![(true, false), (false, true), (true, true)]).prop_map(|(v4, v6)| Want { v4, v6 }));
    let query =
        prop_oneof![
            Just(KrpcQuery::Ping),
            (id(), want.clone()).prop_map(|(target, want)| KrpcQuery::FindNode { target, want }),
            (id(), want.clone(), any::<bool>(), any::<bool>()).prop_map(|(info_hash, want, no_seeds, scrape)| KrpcQuery::GetPeers {
                info_hash,
                want,
                no_seeds,
                scrape
            }),
            (id(), want.clone(), any::<Option<i64>>()).prop_map(|(target, want, seq)| KrpcQuery::Get { target, want, seq }),
            (bytes(256), value(), prop::option::of(signed()), any::<Option<i64>>())
                .prop_map(|(token, value, signed, cas)| KrpcQuery::Put { token, value, signed, cas }),
            (id(), want).prop_map(|(target, want)| KrpcQuery::SampleInfohashes { target, want }),
            (id(), any::<(u16, bool, bool)>(), bytes(256)).prop_map(|(info_hash, (port, implied_port, seed), token)| {
                KrpcQuery::AnnouncePeer { info_hash, port, implied_port, token, seed }
            }),
            ("[a-z]{1,3}[A-Z]", prop::option::of(id())).prop_map(|(method, target)| KrpcQuery::Unknown { method: method.into(), target }),
        ];
    let node = (id(), addresses()).prop_map(|(id, address)| NodeContact { id, address });
    let answer = (prop::collection::vec(node, 0..30), prop::collection::vec(addresses(), 0..40), prop::option::of(bytes(256)), more());
    let body = prop_oneof![
        (id(), query, any::<bool>()).prop_map(|(id, query, read_only)| KrpcBody::Query { id, query, read_only }),
        (id(), answer).prop_map(|(id, (mut nodes, peers, token, more))| {
            nodes.sort_by_key(|node| node.address.is_ipv6());
            KrpcBody::Answer { id, answer: KrpcAnswer { nodes, peers, token, more } }
        }),
        (any::<i64>(), ".{0,60}").prop_map(|(code, text)| KrpcBody::Error { code, text }),
    ];
    (bytes(64), body, prop::option::of(addresses()), prop::option::of(bytes(20))).prop_map(|(transaction, body, seen_as, version)| Krpc {
        transaction,
        body,
        seen_as,
        version,
    })
}

proptest! {
    #[test]
    fn a_packet_reads_back_as_it_was(packet in packets()) {
        let bytes = written(&packet);
        prop_assert_eq!(krpc::decode(&bytes), Ok(packet));
        for length in 0..bytes.len() {
            prop_assert!(krpc::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn a_damaged_packet_is_refused_or_read_as_one_that_can_be_written(packet in packets(), at: prop::sample::Index, byte: u8) {
        let mut bytes = written(&packet);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = krpc::decode(&bytes) {
            prop_assert_eq!(krpc::decode(&written(&read)), Ok(read));
        }
    }
}
