//! Links to torrents that their owner can change (BEP 46), and values in the DHT.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_content::{Magnet, MutableLink};
use hexad_core::{Failure, Input, Link, Operation, Output, Progress, Span, What};

use super::bench::*;
use crate::doors;
use crate::node::{Config, ItemName, Reply, Request, StoredItem};
use crate::wire::stored::{Signed, mutable_target, torrent_value};
use crate::wire::{Krpc, KrpcAnswer, KrpcBody, KrpcMore, KrpcQuery, Message, Samples};

const SECRET: [u8; 32] = [5; 32];

/// Where the DHT node of that number is.
fn node(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 200 + number], 7000))
}

fn hears_node(bench: &mut Bench, from: SocketAddr, transaction: Bytes, body: KrpcBody) -> Said {
    let packet = Krpc { transaction, body, seen_as: None, version: None };
    bench.hears(Input::Received(Link::Datagram(doors::DATAGRAMS, from.into()), packet.into()))
}

fn answers(bench: &mut Bench, transaction: Bytes, answer: KrpcAnswer) -> Said {
    answers_from(bench, node(0), transaction, answer)
}

fn answers_from(bench: &mut Bench, from: SocketAddr, transaction: Bytes, answer: KrpcAnswer) -> Said {
    let SocketAddr::V4(v4) = from else { panic!("{from}") };
    hears_node(bench, from, transaction, KrpcBody::Answer { id: [v4.ip().octets()[3]; 20], answer })
}

/// What nodes are asked, and which.
fn asked_of(said: &Said) -> Vec<(SocketAddr, Bytes, KrpcQuery)> {
    let query = |output: &hexad_core::Outbound<crate::node::Node>| match output {
        Output::Send(Link::Datagram(_, to), Message::Krpc(krpc)) => match &krpc.body {
            KrpcBody::Query { query, .. } => Some((to.socket()?, krpc.transaction.clone(), query.clone())),
            _ => None,
        },
        _ => None,
    };
    said.iter().filter_map(query).collect()
}

/// What the node is asked, where there is one.
fn asked(said: &Said) -> Vec<(Bytes, KrpcQuery)> {
    asked_of(said).into_iter().map(|(_, transaction, query)| (transaction, query)).collect()
}

/// A node whose DHT knows one other node.
fn bench() -> Bench {
    bench_among(1)
}

/// The same among so many, of which each is known.
fn bench_among(count: u8) -> Bench {
    let mut bench = Bench::joined(Config { dht: true, dht_one_per_site: false, ..config() }, 2);
    let mut said = Said::new();
    for number in 0..count {
        let body = KrpcBody::Query { id: [200 + number; 20], query: KrpcQuery::Ping, read_only: false };
        said.extend(hears_node(&mut bench, node(number), Bytes::from_static(b"xx"), body));
    }
    // They are pinged, and joined by.
    nothing_stored(&mut bench, said);
    bench
}

/// All nodes answer whatever they are asked with what `answer` says, until nobody is asked any more; returns all that was said on the way.
fn all_answer(bench: &mut Bench, mut said: Said, answer: impl Fn(&KrpcQuery) -> KrpcAnswer) -> Said {
    let mut all = Said::new();
    while !said.is_empty() {
        let questions = asked_of(&said);
        all.append(&mut said);
        for (from, transaction, query) in questions {
            said.extend(answers_from(bench, from, transaction, answer(&query)));
        }
    }
    all
}

fn token_for_get(query: &KrpcQuery) -> KrpcAnswer {
    let token = matches!(query, KrpcQuery::Get { .. }).then(|| Bytes::from_static(b"token"));
    KrpcAnswer { token, ..KrpcAnswer::default() }
}

fn nothing_stored(bench: &mut Bench, said: Said) -> Said {
    all_answer(bench, said, token_for_get)
}

/// What a node answers that stores `value`.
fn answer_with(query: &KrpcQuery, seq: i64, value: &Bytes) -> KrpcAnswer {
    if matches!(query, KrpcQuery::Get { .. }) { stored(seq, value) } else { KrpcAnswer::default() }
}

/// What was put, by its sequence number, and at how many nodes.
fn puts(said: &Said) -> Vec<i64> {
    let seq = |query| if let KrpcQuery::Put { signed: Some(signed), .. } = query { Some(signed.seq) } else { None };
    asked_of(said).into_iter().filter_map(|(.., query)| seq(query)).collect()
}

/// Sequence numbers of the values that are told.
fn news(said: &Said) -> Vec<i64> {
    let seq = |report: &&Progress<Reply>| match report {
        Progress::Own(Reply::Item(Some(item))) => item.signed.as_ref().map(|signed| signed.seq),
        _ => None,
    };
    reports(FETCH, said).iter().filter_map(seq).collect()
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

fn owner() -> [u8; 32] {
    Signed::new(&SECRET, Bytes::new(), 0, b"").key
}

fn link() -> What {
    let key = owner();
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
    assert!(matches!(reports(FETCH, &said)[..], [Progress::Own(Reply::Stored { nodes: 1, .. }), Progress::Done]));

    let said = bench.hears(Input::Start(FETCH, Operation::Own(Request::GetItem(ItemName::Hash(item.target())))));
    let [(transaction, _)] = &asked(&said)[..] else { panic!("{said:?}") };
    let said = bench.hears(Input::Cancel(FETCH));
    assert!(matches!(reports(FETCH, &said)[..], [Progress::Ended]));
    let said = answers(&mut bench, transaction.clone(), KrpcAnswer::default());
    assert_eq!(reports(FETCH, &said).len(), 0);
}

fn target() -> [u8; 20] {
    mutable_target(&owner(), b"")
}

fn follows(bench: &mut Bench, known: Option<StoredItem>) -> Said {
    let request = Request::FollowItem(ItemName::Owner(owner(), Bytes::new()), known);
    bench.hears(Input::Start(FETCH, Operation::Own(request)))
}

/// So many seconds go by, in which all nodes answer so.
fn passes(bench: &mut Bench, seconds: u64, answer: impl Fn(&KrpcQuery) -> KrpcAnswer) -> Said {
    let mut all = Said::new();
    for _ in 0..seconds / 2 {
        let said = bench.pass(Span::from_secs(2));
        all.extend(all_answer(bench, said, &answer));
    }
    all
}

/// Whether a value is asked for.
fn asks(said: &Said) -> bool {
    asked(said).iter().any(|(_, query)| matches!(query, KrpcQuery::Get { .. }))
}

#[test]
fn who_follows_a_value_hears_of_newer_ones_within_the_hour_and_keeps_it_alive() {
    let mut bench = bench_among(12);
    let have = |seq: i64| move |query: &KrpcQuery| answer_with(query, seq, &torrent_value(&[u8::try_from(seq).unwrap(); 20]));
    let said = follows(&mut bench, None);
    let said = all_answer(&mut bench, said, have(4));
    assert_eq!((news(&said), puts(&said)), (vec![4], vec![4; 8]), "told, and put at the eight nearest");
    assert!(reports(FETCH, &said).contains(&&Progress::Own(Reply::Stored { target: target(), nodes: 8 })));
    // It is not asked for all the time, and what is no news is put again all the same: it would be forgotten after two hours.
    for (there, told, put) in [(4, vec![], 4), (7, vec![7], 7), (7, vec![], 7), (6, vec![], 7)] {
        let mut waited_s = 0;
        let said = loop {
            let said = passes(&mut bench, 2, have(there));
            waited_s += 2;
            if asks(&said) {
                break said;
            }
        };
        assert!((54 * 60 - 2..=3602).contains(&waited_s), "{waited_s}");
        assert_eq!(news(&said), told);
        assert!(puts(&said).len() >= 8 && puts(&said).iter().all(|seq| *seq == put), "{:?}", puts(&said));
    }
    let said = bench.hears(Input::Cancel(FETCH));
    assert!(matches!(reports(FETCH, &said)[..], [Progress::Ended]));
    let said = passes(&mut bench, 3 * 3600, have(9));
    assert!(!asks(&said), "nobody is asked for what nobody follows");
}

#[test]
fn an_owner_has_his_value_stored_at_once_and_nobody_elses() {
    let mut bench = bench_among(12);
    let value = torrent_value(&[1; 20]);
    let item = StoredItem { value: value.clone(), signed: Some(Box::new(Signed::new(&SECRET, Bytes::new(), 9, &value))) };
    let said = follows(&mut bench, Some(item.clone()));
    let said = nothing_stored(&mut bench, said);
    assert_eq!((news(&said), puts(&said)), (vec![], vec![9; 8]));

    for wrong in [
        StoredItem { value: torrent_value(&[2; 20]), ..item.clone() },
        StoredItem { signed: Some(Box::new(Signed::new(&[6; 32], Bytes::new(), 9, &value))), value: value.clone() },
        StoredItem { signed: Some(Box::new(Signed::new(&SECRET, Bytes::from_static(b"x"), 9, &value))), value: value.clone() },
        StoredItem { signed: None, value: value.clone() },
    ] {
        let said = follows(&mut Bench::joined(Config { dht: true, ..config() }, 2), Some(wrong));
        assert!(matches!(reports(FETCH, &said)[..], [Progress::Failed(Failure::Unusable(_))]), "{said:?}");
    }
}

#[test]
fn where_hardly_anybody_stores_a_value_it_is_tried_again_soon_and_then_more_rarely() {
    let mut bench = bench();
    let value = torrent_value(&[1; 20]);
    let item = StoredItem { value: value.clone(), signed: Some(Box::new(Signed::new(&SECRET, Bytes::new(), 9, &value))) };
    let said = follows(&mut bench, Some(item));
    assert_eq!(puts(&nothing_stored(&mut bench, said)), [9]);
    let counts: Vec<usize> = (0..4).map(|_| puts(&passes(&mut bench, 3600, token_for_get)).len()).collect();
    assert!((8..=12).contains(&counts[0]) && counts[1..].iter().all(|count| (1..=2).contains(count)), "{counts:?}");
}

#[test]
fn torrents_that_nodes_know_are_told_once_each_and_no_more_than_are_wanted() {
    for (wanted, told) in [(5, 5), (100, 7)] {
        let mut bench = bench_among(12);
        let samples = |query: &KrpcQuery| {
            let is_asked = matches!(query, KrpcQuery::SampleInfohashes { .. });
            let samples = Samples { interval_s: 60, known: 7, info_hashes: (0..7).map(|number| [number; 20]).collect() };
            let more = is_asked.then(|| Box::new(KrpcMore { samples: Some(samples), ..KrpcMore::default() }));
            KrpcAnswer { more, ..KrpcAnswer::default() }
        };
        let said = bench.hears(Input::Start(FETCH, Operation::Own(Request::SampleDht(wanted))));
        let said = all_answer(&mut bench, said, samples);
        let heard: Vec<[u8; 20]> = reports(FETCH, &said)
            .into_iter()
            .filter_map(|report| if let Progress::Own(Reply::Samples(hashes)) = report { Some(hashes.clone()) } else { None })
            .flatten()
            .collect();
        assert_eq!(heard.len(), told);
        assert_eq!(reports(FETCH, &said).last(), Some(&&Progress::Done));
        let asked = asked(&said).iter().filter(|(_, query)| matches!(query, KrpcQuery::SampleInfohashes { .. })).count();
        assert!((8..=12).contains(&asked), "nobody is asked twice: {asked}");
    }
}
