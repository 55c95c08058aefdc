//! Links to torrents that their owner can change (BEP 46), and values in the DHT.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_content::{Magnet, MutableLink};
use hexad_core::{Failure, Input, Link, Operation, Output, Progress, Span, What};

use super::bench::*;
use crate::doors;
use crate::node::{Config, ItemName, Reply, Request, StoredItem};
use crate::wire::stored::{Signed, torrent_value};
use crate::wire::{Krpc, KrpcAnswer, KrpcBody, KrpcMore, KrpcQuery, Message};

const SECRET: [u8; 32] = [5; 32];
const NODE: ([u8; 4], u16) = ([192, 0, 2, 99], 7000);

fn hears_node(bench: &mut Bench, transaction: Bytes, body: KrpcBody) -> Said {
    let packet = Krpc { transaction, body, seen_as: None, version: None };
    bench.hears(Input::Received(Link::Datagram(doors::DATAGRAMS, SocketAddr::from(NODE).into()), packet.into()))
}

fn answers(bench: &mut Bench, transaction: Bytes, answer: KrpcAnswer) -> Said {
    hears_node(bench, transaction, KrpcBody::Answer { id: [0x77; 20], answer })
}

/// What the node is asked.
fn asked(said: &Said) -> Vec<(Bytes, KrpcQuery)> {
    let query = |output: &hexad_core::Outbound<crate::node::Node>| match output {
        Output::Send(Link::Datagram(..), Message::Krpc(krpc)) => match &krpc.body {
            KrpcBody::Query { query, .. } => Some((krpc.transaction.clone(), query.clone())),
            _ => None,
        },
        _ => None,
    };
    said.iter().filter_map(query).collect()
}

/// A node whose DHT knows one other node.
fn bench() -> Bench {
    let mut bench = Bench::joined(Config { dht: true, ..config() }, 2);
    let body = KrpcBody::Query { id: [0x77; 20], query: KrpcQuery::Ping, read_only: false };
    let mut said = hears_node(&mut bench, Bytes::from_static(b"xx"), body);
    // It is pinged, and joined by.
    for _ in 0..4 {
        for (transaction, _) in asked(&std::mem::take(&mut said)) {
            said.extend(answers(&mut bench, transaction, KrpcAnswer::default()));
        }
    }
    bench
}

fn stored(seq: i64, value: &Bytes) -> KrpcAnswer {
    let signed = Signed::new(&SECRET, Bytes::new(), seq, value);
    let more = KrpcMore {
        value: Some(value.clone()),
        seq: Some(seq),
        signed: Some(Box::new((signed.key, signed.signature))),
        ..KrpcMore::default()
    };
    KrpcAnswer { token: Some(Bytes::from_static(b"token")), more: Some(Box::new(more)), ..KrpcAnswer::default() }
}

fn link() -> What {
    let key = Signed::new(&SECRET, Bytes::new(), 0, b"").key;
    What::Magnet(Box::new(Magnet { mutable: Some(MutableLink { key, salt: Vec::new() }), ..Magnet::default() }))
}

#[test]
fn a_mutable_link_leads_to_the_torrent_that_its_owner_has_named() {
    let mut bench = bench();
    let info_hash = bench.torrent.info.info_hash;
    let said = bench.starts_fetch(link(), vec![peer(1)]);
    let [(transaction, KrpcQuery::Get { .. })] = &asked(&said)[..] else { panic!("{said:?}") };
    assert_eq!(dialled(&said).len(), 0, "nobody knows yet what to ask a peer for");
    let said = answers(&mut bench, transaction.clone(), stored(4, &torrent_value(&info_hash)));
    assert!(
        asked(&said).iter().any(|(_, query)| matches!(query, KrpcQuery::GetPeers { info_hash: of, .. } if *of == info_hash)),
        "{said:?}"
    );
    assert_eq!(dialled(&said).len(), 1);
    assert!(reports(FETCH, &said).iter().all(|report| !matches!(report, Progress::Failed(_))));
}

#[test]
fn where_nobody_knows_or_it_names_no_torrent_the_fetch_fails() {
    for (answer, found) in [(KrpcAnswer::default(), false), (stored(1, &Bytes::from_static(b"i1e")), true)] {
        let mut bench = bench();
        let said = bench.starts_fetch(link(), Vec::new());
        let [(transaction, _)] = &asked(&said)[..] else { panic!("{said:?}") };
        let said = answers(&mut bench, transaction.clone(), answer);
        let [Progress::Failed(failure)] = reports(FETCH, &said)[..] else { panic!("{said:?}") };
        assert_eq!(matches!(failure, Failure::Unusable(_)), found, "{failure}");
    }
    let mut alone = Bench::joined(Config { dht: true, ..config() }, 2);
    alone.starts_fetch(link(), Vec::new());
    let said = alone.pass(Span::from_secs(30));
    assert!(matches!(reports(FETCH, &said)[..], [Progress::Failed(Failure::NotFound(_))]), "{said:?}");
    let said = Bench::joined(config(), 2).starts_fetch(link(), Vec::new());
    assert!(matches!(reports(FETCH, &said)[..], [Progress::Failed(Failure::NotReady(_))]), "{said:?}");
}

#[test]
fn a_value_is_put_with_the_token_that_was_given_and_can_be_cancelled() {
    let mut bench = bench();
    let value = Bytes::from_static(b"5:hello");
    let item = StoredItem { value: value.clone(), signed: None };
    let said = bench.hears(Input::Start(FETCH, Operation::Own(Request::PutItem(item.clone(), None))));
    let [(transaction, KrpcQuery::Get { .. })] = &asked(&said)[..] else { panic!("{said:?}") };
    let said = answers(&mut bench, transaction.clone(), KrpcAnswer { token: Some(Bytes::from_static(b"token")), ..KrpcAnswer::default() });
    let [(_, KrpcQuery::Put { token, value: put, .. })] = &asked(&said)[..] else { panic!("{said:?}") };
    assert_eq!((&token[..], put), (&b"token"[..], &value));
    assert!(matches!(reports(FETCH, &said)[..], [Progress::Own(Reply::Stored(1)), Progress::Done]));

    let said = bench.hears(Input::Start(FETCH, Operation::Own(Request::GetItem(ItemName::Hash(item.target())))));
    let [(transaction, _)] = &asked(&said)[..] else { panic!("{said:?}") };
    let said = bench.hears(Input::Cancel(FETCH));
    assert!(matches!(reports(FETCH, &said)[..], [Progress::Ended]));
    let said = answers(&mut bench, transaction.clone(), KrpcAnswer::default());
    assert_eq!(reports(FETCH, &said).len(), 0);
}
