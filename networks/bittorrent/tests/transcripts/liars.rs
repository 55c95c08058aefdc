//! Trackers and DHT nodes that lie: nobody is dialled who should not be, and nothing grows.

use std::collections::BTreeSet;

use bytes::Bytes;
use hexad_bittorrent::wire::{Krpc, KrpcAnswer, KrpcBody, KrpcQuery, TrackerDatagram};
use hexad_bittorrent::{Config, Message, Reply, Request, doors};
use hexad_core::{Answer, Ask, HttpResponse, Input, Link, Output, Payload, Progress, Span, Ticket};

use super::{Bench, address};

fn quiet() -> Config {
    Config { dht: false, pex: false, lsd: false, ..Config::default() }
}

fn http(body: Vec<u8>) -> Answer {
    Answer::Http(Box::new(HttpResponse { status: 200, retry_after_s: None, moved_to: None, body: Payload::Bytes(body.into()) }))
}

/// The tickets of announces that have no answer yet.
fn announces(bench: &Bench, answered: &BTreeSet<Ticket>) -> Vec<Ticket> {
    let open = bench.asks().into_iter().filter(|(ticket, ask)| matches!(ask, Ask::Http(_)) && !answered.contains(ticket));
    open.map(|(ticket, _)| ticket).collect()
}

fn peers_known(bench: &mut Bench) -> usize {
    let op = bench.starts(hexad_core::Operation::Own(Request::Swarms));
    let known = bench.said.iter().rev().find_map(|output| match output {
        Output::Report(of, Progress::Own(Reply::Swarms(swarms))) if *of == op => Some(swarms[0].peers_known),
        _ => None,
    });
    known.unwrap()
}

#[test]
fn whatever_a_tracker_says_its_failure_is_noted_and_it_is_asked_again() {
    let nonsense: [&[u8]; 8] = [
        b"",
        b"<html>welcome</html>",
        b"d8:intervali-5e5:peersi7ee",
        b"d14:failure reason9:no thanksee",
        b"d5:peers4:abcde",
        &[b'l'; 100_000],
        b"d8:intervali99999999999999999999999999ee",
        b"d5:peers99999999999:e",
    ];
    let mut bench = Bench::joined(quiet());
    bench.publishes(false, &["http://t.example/announce"]);
    let mut answered = BTreeSet::new();
    for body in nonsense {
        bench.passes(Span::from_secs(3600));
        let open = announces(&bench, &answered);
        assert!(!open.is_empty(), "it is asked again");
        for ticket in open {
            answered.insert(ticket);
            bench.hears(Input::Answered(ticket, http(body.to_vec())));
        }
    }
    assert!(bench.noted().iter().filter(|code| **code == "tracker_failed").count() >= 6, "{:?}", bench.noted());
    assert_eq!(bench.dialled(), []);
}

#[test]
fn peers_that_a_tracker_invents_are_bounded_and_ourselves_and_our_services_are_not_among_them() {
    let mut bench = Bench::joined(quiet());
    bench.publishes(false, &["http://t.example/announce"]);
    let mut answered = BTreeSet::new();
    for round in 0..5_u8 {
        let mut peers = vec![192, 0, 2, 1, 0x1a, 0xe1, 127, 0, 0, 1, 0, 22, 0, 0, 0, 0, 1, 1, 224, 0, 0, 1, 1, 1, 198, 51, 100, 9, 0, 0];
        for n in 0..5000_u16 {
            peers.extend([100 + round, 1, n.to_be_bytes()[0], n.to_be_bytes()[1], 0x1a, 0xe1]);
        }
        let mut body = format!("d8:intervali1e8:completei-1e10:incompletei4294967295e5:peers{}:", peers.len()).into_bytes();
        body.extend(peers);
        body.push(b'e');
        bench.passes(Span::from_secs(3600));
        for ticket in announces(&bench, &answered) {
            answered.insert(ticket);
            bench.hears(Input::Answered(ticket, http(body.clone())));
        }
    }
    let dialled = bench.dialled();
    assert!(!dialled.is_empty());
    assert!(dialled.iter().all(|peer| peer.ip().to_string().starts_with("10")), "{dialled:?}");
    assert!(peers_known(&mut bench) <= Config::default().swarm_peers_max);
    let hour = bench.passes(Span::from_secs(60));
    let asked = hour.iter().filter(|output| matches!(output, Output::Ask(..))).count();
    assert!(asked <= 2, "an interval of one second is not believed: asked {asked} times in a minute");
}

#[test]
fn a_udp_tracker_is_believed_only_from_where_it_was_asked_and_what_it_was_asked() {
    let mut bench = Bench::joined(quiet());
    bench.publishes(false, &["udp://203.0.113.1:6969/announce"]);
    let Some(TrackerDatagram::ConnectRequest { transaction }) = bench.said.iter().rev().find_map(|output| match output {
        Output::Send(Link::Datagram(doors::DATAGRAMS, _), Message::Tracker(datagram)) => Some((**datagram).clone()),
        _ => None,
    }) else {
        panic!("{:?}", bench.said)
    };
    let peers = Bytes::from_static(&[203, 0, 113, 50, 0x1a, 0xe1]);
    let lies = [
        ("203.0.113.2:6969", TrackerDatagram::ConnectAnswer { transaction, connection: 1 }),
        ("203.0.113.1:6970", TrackerDatagram::ConnectAnswer { transaction, connection: 1 }),
        ("203.0.113.1:6969", TrackerDatagram::ConnectAnswer { transaction: transaction ^ 1, connection: 1 }),
        ("203.0.113.1:6969", TrackerDatagram::AnnounceAnswer { transaction, interval_s: 1, leechers: 0, seeders: 0, peers: peers.clone() }),
        ("203.0.113.1:6969", TrackerDatagram::ScrapeAnswer { transaction, counts: Vec::new() }),
    ];
    let mut unasked = 0;
    for (from, lie) in lies {
        let said = bench.hears(Input::Received(Link::Datagram(doors::DATAGRAMS, address(from).into()), lie.into()));
        unasked += said.iter().filter(|output| matches!(output, Output::Note(_))).count();
        assert!(!said.iter().any(|output| matches!(output, Output::Open(..))));
    }
    assert!(unasked >= 3, "{unasked} of the lies are noted");
    assert_eq!(bench.dialled(), []);
}

#[test]
fn a_dht_node_that_lies_leads_nowhere_and_fills_nothing() {
    let mut bench = Bench::joined(Config { pex: false, lsd: false, ..Config::default() });
    let info_hash = bench.publishes(false, &[]);
    let mut at = 0;
    let mut questions = 0;
    for round in 0..200_u32 {
        // Whoever is asked names thirty others, next to what is looked for, and a hundred peers where nobody should knock.
        let mut answers = Vec::new();
        for output in &bench.said[at..] {
            let Output::Send(Link::Datagram(_, to), Message::Krpc(krpc)) = output else { continue };
            let KrpcBody::Query { query, .. } = &krpc.body else { continue };
            questions += 1;
            let mut id = match query {
                KrpcQuery::GetPeers { info_hash, .. } => *info_hash,
                KrpcQuery::FindNode { target, .. } => *target,
                _ => [1; 20],
            };
            id[16..].copy_from_slice(&round.to_be_bytes());
            let nodes = (0..30_u8).map(|n| {
                let mut id = id;
                id[15] ^= n + 1;
                let [_, _, a, b] = (round * 30 + u32::from(n)).to_be_bytes();
                hexad_bittorrent::wire::NodeContact { id, address: ([198, a, b, n], 6881).into() }
            });
            let peers =
                ["127.0.0.1:22", "10.0.0.1:80", "192.168.1.1:80", "0.0.0.0:1", "224.0.0.1:1", "203.0.113.4:0"].map(address).to_vec();
            let answer = KrpcAnswer { nodes: nodes.collect(), peers, token: Some(Bytes::from_static(&[7; 200])), ..KrpcAnswer::default() };
            let body = KrpcBody::Answer { id, answer };
            let packet = Krpc { transaction: krpc.transaction.clone(), body, seen_as: Some(address("203.0.113.66:1")), version: None };
            answers.push((to.clone(), packet));
        }
        at = bench.said.len();
        for (from, packet) in answers {
            bench.hears(Input::Received(Link::Datagram(doors::DATAGRAMS, from), packet.into()));
        }
        bench.passes(Span::from_millis(100));
    }
    assert_eq!(bench.dialled(), [], "no address of our own site is dialled because somebody elsewhere names it");
    assert!(questions < 2000, "{questions} questions in twenty seconds");
    // The node still serves its peers.
    let peer = bench.is_met_by("203.0.113.5:40000", info_hash, 5);
    assert!(bench.heard_by(peer).iter().any(|message| matches!(message, Message::HaveAll)));
    assert_eq!(bench.closed(peer), None);
}

#[test]
fn a_tracker_that_tells_no_counts_is_asked_for_them_when_somebody_looks() {
    let mut bench = Bench::joined(quiet());
    let info_hash = bench.publishes(false, &["http://t.example/announce"]);
    let announce = announces(&bench, &BTreeSet::new())[0];
    bench.hears(Input::Answered(announce, http(b"d8:intervali1800e5:peers0:e".to_vec())));
    peers_known(&mut bench);
    let scrape = bench.asks().into_iter().find_map(|(ticket, ask)| match ask {
        Ask::Http(request) if request.url.starts_with("http://t.example/scrape?info_hash=") => Some(ticket),
        _ => None,
    });
    let mut body = b"d5:filesd20:".to_vec();
    body.extend(info_hash);
    body.extend(b"d8:completei3e10:downloadedi9e10:incompletei4eeee");
    bench.hears(Input::Answered(scrape.expect("a scrape"), http(body)));
    let asked = bench.asks().len();
    peers_known(&mut bench);
    assert_eq!(bench.asks().len(), asked, "once is enough");
    let counts = bench.said.iter().rev().find_map(|output| match output {
        Output::Report(_, Progress::Own(Reply::Swarms(swarms))) => Some((swarms[0].tracker_seeds, swarms[0].tracker_leechers)),
        _ => None,
    });
    assert_eq!(counts, Some((Some(3), Some(4))));
}
