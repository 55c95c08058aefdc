//! A private torrent's peers come from its tracker, and from nowhere else. BEP 27.

use hexad_bittorrent::wire::metainfo::Metainfo;
use hexad_bittorrent::wire::{
    ExtendedHandshake, Krpc, KrpcAnswer, KrpcBody, KrpcQuery, LsdAnnounce, MetadataMessage, Pex, PexPeer, reserved,
};
use hexad_bittorrent::{Config, Message, doors};
use hexad_content::{Digest, Magnet, Sha1Digest};
use hexad_core::{
    Answer, Ask, HttpResponse, Input, LeaseId, Link, Operation, Output, Payload, Progress, ShareId, Source, Span, Via, What, Why,
};

use super::{Bench, address};

const TRACKER: &str = "http://t.example/announce";

/// Where the info hash was told, other than to peers and the tracker.
fn leaks(bench: &Bench, info_hash: [u8; 20]) -> Vec<&'static str> {
    let leak = |message: &Message| match message {
        Message::Krpc(krpc) => match &krpc.body {
            KrpcBody::Query {
                query: KrpcQuery::GetPeers { info_hash: asked, .. } | KrpcQuery::AnnouncePeer { info_hash: asked, .. },
                ..
            } => (*asked == info_hash).then_some("dht"),
            _ => None,
        },
        Message::Lsd(announce) => announce.info_hashes.contains(&info_hash).then_some("lsd"),
        Message::Pex(_) => Some("pex"),
        _ => None,
    };
    let told = bench.said.iter().filter_map(|output| match output {
        Output::Send(_, message) => leak(message),
        _ => None,
    });
    let mut told: Vec<&str> = told.collect();
    told.sort_unstable();
    told.dedup();
    told
}

/// A quarter of an hour in a swarm, with two peers that connect, a DHT node that answers, and a neighbour that speaks of the same torrent.
fn lives(private: bool) -> (Bench, [u8; 20], hexad_core::ConnId) {
    let mut bench = Bench::joined(Config::default());
    let info_hash = bench.publishes(private, &[TRACKER]);
    let first = bench.is_met_by("203.0.113.5:40000", info_hash, 5);
    bench.is_met_by("203.0.113.6:40000", info_hash, 6);
    let pex = Pex { added: vec![PexPeer { address: address("203.0.113.77:7777"), flags: 0 }], dropped: Vec::new() };
    bench.is_told(first, Message::Pex(pex));
    bench.is_told(first, Message::Port(9999));
    let neighbour = LsdAnnounce { port: 8888, info_hashes: vec![info_hash], cookie: None };
    bench.hears(Input::Received(Link::Datagram(doors::LSD_V4, address("192.0.2.88:6771").into()), neighbour.into()));
    for _ in 0..15 {
        let mut answers = Vec::new();
        for output in &bench.said {
            if let Output::Send(Link::Datagram(door, to), Message::Krpc(krpc)) = output
                && matches!(krpc.body, KrpcBody::Query { .. })
            {
                let answer = KrpcAnswer {
                    nodes: Vec::new(),
                    peers: vec![address("203.0.113.99:9999")],
                    token: Some("t".into()),
                    ..KrpcAnswer::default()
                };
                let body = KrpcBody::Answer { id: [0x99; 20], answer };
                let packet = Krpc { transaction: krpc.transaction.clone(), body, seen_as: None, version: None };
                answers.push(Input::Received(Link::Datagram(*door, to.clone()), packet.into()));
            }
        }
        for answer in answers {
            bench.hears(answer);
        }
        bench.passes(Span::from_secs(60));
    }
    (bench, info_hash, first)
}

#[test]
fn a_private_torrent_is_told_to_its_tracker_and_to_nobody_else() {
    let (bench, info_hash, peer) = lives(true);
    assert_eq!(leaks(&bench, info_hash), [""; 0]);
    assert!(bench.asks().iter().any(|(_, ask)| matches!(ask, Ask::Http(request) if request.url.starts_with(TRACKER))));
    let heard = bench.heard_by(peer);
    let Some(Message::Handshake(handshake)) = heard.first() else { panic!("{heard:?}") };
    assert!(!reserved::dht(&handshake.reserved));
    let extended = heard.iter().find_map(|message| match message {
        Message::ExtendedHandshake(extended) => Some(extended),
        _ => None,
    });
    assert!(!extended.unwrap().extensions.contains_key("ut_pex"));
    assert!(!heard.iter().any(|message| matches!(message, Message::Port(_))));
    let met = |peer: &std::net::SocketAddr| peer.port() == 7000;
    assert!(bench.dialled().iter().all(met), "neither hearsay nor the local network nor the DHT leads to its peers: {:?}", bench.dialled());
    assert!(bench.noted().contains(&"pex_unwanted"));
}

#[test]
fn one_that_is_not_private_is_found_in_every_way() {
    let (bench, info_hash, peer) = lives(false);
    assert_eq!(leaks(&bench, info_hash), ["dht", "lsd", "pex"]);
    let heard = bench.heard_by(peer);
    let Some(Message::Handshake(handshake)) = heard.first() else { panic!("{heard:?}") };
    assert!(reserved::dht(&handshake.reserved));
    assert!(heard.contains(&Message::Port(6881)));
    let dialled = bench.dialled();
    for peer in ["203.0.113.77:7777", "192.0.2.88:8888", "203.0.113.99:9999"] {
        assert!(dialled.contains(&address(peer)), "{peer} of {dialled:?}");
    }
}

#[test]
fn its_tracker_leads_to_its_peers() {
    let mut bench = Bench::joined(Config::default());
    bench.publishes(true, &[TRACKER]);
    let asked = bench.asks().into_iter().find(|(_, ask)| matches!(ask, Ask::Http(_))).unwrap();
    let body = Payload::Bytes(bytes::Bytes::from_static(b"d8:intervali1800e5:peers6:\xcb\x00\x71\x05\x1a\xe1e"));
    let answer = HttpResponse { status: 200, retry_after_s: None, moved_to: None, body };
    bench.hears(Input::Answered(asked.0, Answer::Http(Box::new(answer))));
    assert_eq!(bench.dialled(), [address("203.0.113.5:6881")]);
}

#[test]
fn a_link_that_turns_out_to_be_private_is_told_to_nobody_from_then_on() {
    let mut bench = Bench::joined(Config::default());
    let (share, info_hash) = super::share(true, &[TRACKER]);
    let metainfo = Metainfo::parse(&share.torrent).unwrap();
    let digests = [Digest::TorrentV1(Sha1Digest(info_hash))].into_iter().collect();
    let magnet = Magnet { digests, trackers: vec![TRACKER.into()], ..Magnet::default() };
    let given = address("203.0.113.5:6881");
    let source = Source { what: What::Magnet(Box::new(magnet)), peers: vec![given.into()] };
    let op = bench.starts(Operation::Fetch { source, lease: LeaseId(1), share: ShareId(7) });
    let Some(conn) = bench.said.iter().find_map(|output| match output {
        Output::Open(conn, ..) => Some(*conn),
        _ => None,
    }) else {
        panic!("{:?}", bench.said)
    };
    bench.hears(Input::Opened { conn, peer: given.into(), via: Via::Dialled });
    bench.is_told(conn, super::handshake(info_hash, 5));
    let pex = Pex { added: vec![PexPeer { address: address("203.0.113.77:7777"), flags: 0 }], dropped: Vec::new() };
    bench.is_told(conn, Message::Pex(pex));
    let hearsay = bench.said.iter().find_map(|output| match output {
        Output::Open(conn, to, _) if to.socket() == Some(address("203.0.113.77:7777")) => Some(*conn),
        _ => None,
    });
    bench.hears(Input::Closed(hearsay.expect("nobody can know yet"), Why::Unreachable));
    let bytes = metainfo.info.bytes.clone();
    let total_bytes = u32::try_from(bytes.len()).unwrap();
    let extensions = [("ut_pex".to_owned(), 2), ("ut_metadata".to_owned(), 3)].into_iter().collect();
    let extended = ExtendedHandshake { extensions, metadata_bytes: Some(total_bytes), ..ExtendedHandshake::default() };
    bench.is_told(conn, extended.into());
    assert!(bench.heard_by(conn).contains(&Message::Metadata(MetadataMessage::Request { piece: 0 })));
    bench.said.clear();
    bench.is_told(conn, Message::Metadata(MetadataMessage::Data { piece: 0, total_bytes, data: bytes }));
    let described = bench.said.iter().any(|output| match output {
        Output::Report(of, Progress::Described(description)) => *of == op && description.private,
        _ => false,
    });
    assert!(described, "{:?}", bench.said);
    bench.passes(Span::from_secs(1800));
    assert_eq!(leaks(&bench, info_hash), [""; 0]);
    assert!(!bench.dialled().contains(&address("203.0.113.77:7777")), "whom hearsay named is not dialled again");
}
