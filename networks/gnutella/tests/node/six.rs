//! IPv6: what is said of ourselves where we have no other address, and what others say of themselves. Specification §2, §10.

use std::sync::Arc;

use bytes::Bytes;
use hexad_core::{Endpoint, Input, Link, Operation, Outbound, Output, Progress, Query as Wanted};
use hexad_gnutella::wire::ggep::Block;
use hexad_gnutella::wire::{Body, Guid, Message, Packet, Pong, Push, QueryHit, Record, Trailer};
use hexad_gnutella::{Mode, Node, Settings, doors};

use crate::stage::{Stage, packets, query, settings};

const OWN6: &str = "[2001:db8::1]:6346";
const SIX: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

fn six_only() -> Stage {
    Stage::new(Settings { listen: Some(OWN6.parse().unwrap()), ..settings(Mode::Ultrapeer) })
}

fn six() -> Block {
    Block::default().with("6", Bytes::copy_from_slice(&SIX))
}

fn dials(said: &[Outbound<Node>]) -> Vec<String> {
    said.iter().filter_map(|output| if let Output::Open(_, peer, _) = output { Some(peer.to_string()) } else { None }).collect()
}

#[test]
fn a_node_without_ipv4_says_so_in_pongs_hits_and_pushes() {
    let mut stage = six_only();
    stage.offers("blue.ogg");
    let up = stage.neighbour(Some(true));
    let own = |block: &Block| block.find("6").map(|ip| ip.to_vec());
    let expected = Some("2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec());
    let said = stage.hears_packet(up, Packet::new(Guid([2; 16]), 1, Body::Ping(Bytes::new())));
    let pongs = packets(&said, up);
    let [Packet { body: Body::Pong(pong), .. }] = &pongs[..] else { panic!("{pongs:?}") };
    assert_eq!((pong.at.to_string().as_str(), own(&Block::read(&pong.ext).unwrap().0)), ("127.0.0.0:6346", expected.clone()));
    let said = stage.hears_packet(up, query(7, 1, 1, "blue"));
    let hits = packets(&said, up);
    let [Packet { body: Body::Hit(hit), .. }] = &hits[..] else { panic!("{hits:?}") };
    let trailer = hit.trailer.as_ref().unwrap();
    assert_eq!((hit.at.to_string().as_str(), own(&trailer.ggep()), trailer.push()), ("127.0.0.0:6346", expected, false));
}

#[test]
fn hosts_are_learnt_from_pongs_and_told_to_whoever_wants_them() {
    let mut stage = six_only();
    let up = stage.neighbour(Some(true));
    let ext = six()
        .with("IPP6", Bytes::from([&[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0xca, 0x18]].concat()))
        .bytes();
    let pong = Pong { at: "127.0.0.0:6346".parse().unwrap(), files: 0, kib: 0, ext };
    stage.hears_packet(up, Packet { muid: Guid([3; 16]), ttl: 1, hops: 2, body: Body::Pong(Box::new(pong)) });
    let told = |stage: &mut Stage, flags: u8| {
        let from = Endpoint::Ip("198.51.100.200:6346".parse().unwrap());
        let ext = Block::default().with("SCP", Bytes::copy_from_slice(&[flags])).bytes();
        let ping = Message::Packet(Packet::new(Guid([4; 16]), 1, Body::Ping(ext)));
        let said = stage.table.hears(Input::Received(Link::Datagram(doors::DATAGRAM, from), ping));
        said.iter().find_map(|output| match output {
            Output::Send(_, Message::Packet(Packet { body: Body::Pong(pong), .. })) => {
                Block::read(&pong.ext).unwrap().0.find("IPP6").map(Bytes::len)
            }
            _ => None,
        })
    };
    assert_eq!(told(&mut stage, 5), Some(36));
    assert_eq!(told(&mut stage, 1), None);
    let said = stage.passes(10);
    assert_eq!(dials(&said), ["[2001:db8::9]:6346", "[2001:db8::7]:6346"]);
}

#[test]
fn a_source_with_ipv6_only_is_found_and_one_that_wants_a_push_there_is_dialled() {
    let mut stage = six_only();
    let up = stage.neighbour(Some(true));
    let (op, said) = stage.starts(Operation::Search { query: Wanted::Words { words: vec!["blue".into()], wanted: 1 } });
    let muid = packets(&said, up)[0].muid;
    let hit = QueryHit {
        at: "127.0.0.0:6350".parse().unwrap(),
        speed_kbps: 1,
        records: vec![Record { index: 1, size: 10, name: Bytes::from_static(b"blue.ogg"), ext: Bytes::new() }],
        trailer: Some(Trailer::new(*b"GTKG", false, false, &six())),
        servent: Guid([8; 16]),
    };
    let said = stage.hears_packet(up, Packet { muid, ttl: 2, hops: 1, body: Body::Hit(Arc::new(hit)) });
    let peers = said.iter().find_map(|output| match output {
        Output::Report(of, Progress::Hit(hit)) if *of == op => Some(hit.source.peers.clone()),
        _ => None,
    });
    assert_eq!(peers, Some(vec![Endpoint::Ip("[2001:db8::7]:6350".parse().unwrap())]));
    let servent = stage.table.node.guid();
    let push = Push { servent, index: 1, to: "127.0.0.0:6351".parse().unwrap(), ext: six().bytes() };
    let said = stage.hears_packet(up, Packet { muid: Guid([3; 16]), ttl: 1, hops: 2, body: Body::Push(Box::new(push)) });
    assert_eq!(dials(&said), ["[2001:db8::7]:6351"]);
}
