//! Who is let in, as what, and what is said of others.

use hexad_core::{Endpoint, Input, Link, Operation, Output, Progress, Via};
use hexad_gnutella::wire::{Answer, Body, Connect, Headers, Message, Packet};
use hexad_gnutella::{Kind, Mode, Settings};

use crate::stage::{OWN, Stage, bye, headers, packets, settings};

#[test]
fn an_ultrapeer_says_what_gtk_gnutella_insists_on() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let (_, answer) = stage.greeted(headers(Some(false)).with("Accept-Encoding", "deflate"));
    assert!(answer.is_yes());
    let said = &answer.headers;
    assert_eq!(said.truth("X-Ultrapeer"), Some(true));
    assert!(said.number("X-Degree").unwrap() >= 16);
    assert!(said.find("X-Dynamic-Querying").is_some());
    assert!(said.lists("Accept-Encoding", "deflate") && said.lists("Content-Encoding", "deflate"));
    assert_eq!(said.find("Listen-IP"), Some(OWN));
    let (_, plain) = stage.greeted(headers(Some(false)));
    assert_eq!(plain.headers.find("Content-Encoding"), None, "nothing is deflated for who has not asked");
}

#[test]
fn a_leaf_is_shielded_and_names_ultrapeers() {
    let mut stage = Stage::new(settings(Mode::Leaf));
    let (_, said) = stage.starts(Operation::Own(hexad_gnutella::Request::Connect(Endpoint::Ip("198.51.100.77:6346".parse().unwrap()))));
    let conn = said.iter().find_map(|output| if let Output::Open(conn, ..) = output { Some(*conn) } else { None }).unwrap();
    let peer = Endpoint::Ip("198.51.100.77:6346".parse().unwrap());
    let said = stage.table.hears(Input::Opened { conn, peer, via: Via::Dialled });
    let greeting = said.iter().find_map(|output| match output {
        Output::Send(Link::Conn(_), Message::Connect(connect)) => Some(connect.headers.clone()),
        _ => None,
    });
    let greeting = greeting.expect("it greets");
    assert_eq!(greeting.truth("X-Ultrapeer"), Some(false));
    assert!(greeting.lists("Accept-Encoding", "deflate"), "or gtk-gnutella's ultrapeers refuse us");
    let said = stage.hears(conn, Message::Answer(Box::new(Answer::yes(headers(Some(true)).with("Accept-Encoding", "deflate")))));
    assert!(said.iter().any(|output| matches!(output, Output::Report(_, Progress::Done))), "it has joined");
    let third = said.iter().find_map(|output| match output {
        Output::Send(_, Message::Answer(answer)) => Some(answer.headers.clone()),
        _ => None,
    });
    assert!(third.unwrap().lists("Content-Encoding", "deflate"));
    let tables = packets(&said, conn).iter().filter(|packet| matches!(packet.body, Body::Qrp(_))).count();
    assert_eq!(tables, 2, "a reset and a patch come at once, or nothing would be sent to us");
    let (_, answer) = stage.greeted(headers(Some(false)));
    assert_eq!((answer.code, answer.headers.find("X-Try-Ultrapeers")), (204, Some("198.51.100.77:6346")));
}

#[test]
fn whoever_is_too_many_is_sent_elsewhere() {
    let mut stage = Stage::new(Settings { leaves_max: 2, ..settings(Mode::Ultrapeer) });
    stage.neighbour(Some(true));
    stage.neighbour(Some(false));
    stage.neighbour(Some(false));
    let (_, answer) = stage.greeted(headers(Some(false)));
    assert_eq!(answer.code, 503);
    assert_eq!(answer.headers.find("X-Try-Ultrapeers"), Some("198.51.100.1:6346"));
    let (_, answer) = stage.greeted(headers(None));
    assert_eq!(answer.code, 403, "no equals among ultrapeers");
    let (_, answer) = stage.greeted(headers(Some(true)).with("GUID", hexad_gnutella::wire::Guid([1; 16]).to_string()));
    assert_eq!(answer.code, 409, "one link to one servent");
}

#[test]
fn a_full_ultrapeer_guides_another_to_be_its_leaf() {
    let mut stage = Stage::new(Settings { ultrapeer_links_max: 1, ..settings(Mode::Ultrapeer) });
    stage.neighbour(Some(true));
    let (conn, answer) = stage.greeted(headers(Some(true)));
    assert!(answer.is_yes());
    assert_eq!(answer.headers.truth("X-Ultrapeer-Needed"), Some(false));
    stage.hears(conn, Message::Answer(Box::new(Answer::yes(Headers::new().with("X-Ultrapeer", "False")))));
    assert_eq!(stage.table.node.status().leaves, 1);
    let (conn, _) = stage.greeted(headers(Some(true)));
    let said = stage.hears(conn, Message::Answer(Box::new(Answer::yes(Headers::new()))));
    assert_eq!(bye(&said, conn), Some(503), "who does not listen is sent away");
}

#[test]
fn an_automatic_ultrapeer_that_is_not_needed_becomes_a_leaf() {
    let mut stage = Stage::new(settings(Mode::Auto));
    assert_eq!(stage.table.node.status().kind, Kind::Ultrapeer, "the first of all");
    let other = Endpoint::Ip("198.51.100.77:6346".parse().unwrap());
    let (_, said) = stage.starts(Operation::Own(hexad_gnutella::Request::Connect(other.clone())));
    let conn = said.iter().find_map(|output| if let Output::Open(conn, ..) = output { Some(*conn) } else { None }).unwrap();
    stage.table.hears(Input::Opened { conn, peer: other, via: Via::Dialled });
    let answer = Answer::yes(headers(Some(true)).with("X-Ultrapeer-Needed", "False"));
    let said = stage.hears(conn, Message::Answer(Box::new(answer)));
    let third = said.iter().find_map(|output| match output {
        Output::Send(_, Message::Answer(answer)) => answer.headers.truth("X-Ultrapeer"),
        _ => None,
    });
    assert_eq!(third, Some(false));
    let status = stage.table.node.status();
    assert_eq!((status.kind, status.ultrapeers), (Kind::Leaf, 1));
}

#[test]
fn equals_greet_in_the_classic_manner_where_that_is_wanted() {
    let mut stage = Stage::new(Settings { classic: true, ..settings(Mode::Flat) });
    let conn = stage.dialled_by_somebody();
    let said = stage.hears(conn, Message::Connect(Box::new(Connect { classic: true, headers: Headers::new() })));
    assert!(said.iter().any(|output| matches!(output, Output::Send(_, Message::Answer(answer)) if answer.classic)));
    assert_eq!(stage.table.node.status().flats, 1);
    let mut modern = Stage::new(settings(Mode::Ultrapeer));
    let conn = modern.dialled_by_somebody();
    let said = modern.hears(conn, Message::Connect(Box::new(Connect { classic: true, headers: Headers::new() })));
    assert!(said.iter().all(|output| !matches!(output, Output::Send(..))), "gtk-gnutella says nothing either");
    assert!(said.iter().any(|output| matches!(output, Output::Close(..))));
}

#[test]
fn the_worse_connected_a_newcomer_is_the_likelier_it_is_let_in() {
    let admitted = |links: u64| {
        let mut stage = Stage::new(Settings { balance: true, flat_links: 10, flat_links_max: 10_000, ..settings(Mode::Flat) });
        // Nobody is turned away while links are missing but for the dice; from here on there are enough.
        for _ in 0..10 {
            stage.neighbour(None);
        }
        (0..100).filter(|_| stage.greeted(headers(None).with("X-Hexad-Links", links.to_string())).1.is_yes()).count()
    };
    let counts = [0, 3, 6, 9, 10].map(admitted);
    assert_eq!(counts[0], 100, "who has nobody is always let in");
    assert!(counts.windows(2).all(|pair| pair[0] > pair[1]), "{counts:?}");
    assert_eq!(counts[4], 0, "who has enough needs none of ours");
}

#[test]
fn alive_pings_are_answered_and_whoever_does_not_answer_ours_is_sent_away() {
    let mut stage = Stage::new(Settings { discover: false, ..settings(Mode::Ultrapeer) });
    let other = stage.neighbour(Some(true));
    let ping = Packet::new(hexad_gnutella::wire::Guid([5; 16]), 1, Body::Ping(bytes::Bytes::new()));
    let said = stage.hears_packet(other, ping.clone());
    let pongs = packets(&said, other);
    assert!(
        matches!(&pongs[..], [Packet { muid, hops: 0, body: Body::Pong(pong), .. }] if *muid == ping.muid && pong.at.to_string() == OWN)
    );
    let mut sent_away = None;
    for _ in 0..40 {
        let said = stage.passes(5);
        sent_away = sent_away.or_else(|| bye(&said, other));
    }
    assert_eq!(sent_away, Some(406));
}

#[test]
fn private_addresses_of_public_hosts_are_not_believed() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let other = stage.neighbour(Some(true));
    let before = stage.table.node.status().hosts;
    for at in ["192.168.0.1:6346", "127.0.0.1:6346", "8.8.8.8:0", "0.0.0.0:6346", "224.0.0.1:6346", "10.1.1.1:6346"] {
        let pong = hexad_gnutella::wire::Pong { at: at.parse().unwrap(), files: 1, kib: 1, ext: bytes::Bytes::new() };
        stage.hears_packet(other, Packet { muid: hexad_gnutella::wire::Guid([6; 16]), ttl: 1, hops: 1, body: Body::Pong(Box::new(pong)) });
    }
    assert_eq!(stage.table.node.status().hosts, before);
    let pong = hexad_gnutella::wire::Pong { at: "8.8.8.8:6346".parse().unwrap(), files: 1, kib: 1, ext: bytes::Bytes::new() };
    stage.hears_packet(other, Packet { muid: hexad_gnutella::wire::Guid([6; 16]), ttl: 1, hops: 1, body: Body::Pong(Box::new(pong)) });
    assert_eq!(stage.table.node.status().hosts, before + 1);
}
