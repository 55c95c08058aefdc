//! lt_donthave (BEP 54), upload_only (BEP 21), ut_holepunch (BEP 55), and lists of addresses.

use std::net::SocketAddr;
use std::sync::Arc;

use hexad_core::{ConnId, Input, Level, Output, Transport, Via, Why};

use super::bench::*;
use crate::doors;
use crate::node::{Config, IpFilter, Utp};
use crate::wire::{ExtendedHandshake, HolePunch, HolePunchKind, Message, Pex, PexPeer};

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 6881))
}

/// A peer that takes all extensions.
fn modern(bench: &mut Bench, last: u8) -> ConnId {
    let (conn, _) = bench.meets(last, true);
    let extensions = crate::wire::extended::our_extensions(true, true);
    let listen_port = Some(6881);
    bench.says(conn, Message::from(ExtendedHandshake { extensions, listen_port, ..ExtendedHandshake::default() }));
    conn
}

fn punched(conn: ConnId, said: &Said) -> Vec<HolePunch> {
    told(conn, said)
        .into_iter()
        .filter_map(|message| match message {
            Message::HolePunch(told) => Some(told),
            _ => None,
        })
        .collect()
}

fn punching() -> Config {
    Config { utp: Utp::AfterTcp, pex: true, ..config() }
}

#[test]
fn a_piece_that_a_peer_has_no_longer_is_not_asked_of_it() {
    let mut bench = Bench::joined(config(), 2).fetches();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::HaveAll);
    bench.says(conn, Message::DontHave(0));
    let said = bench.says(conn, Message::Unchoke);
    assert!(requests(conn, &said).iter().all(|block| block.piece == 1), "{said:?}");
    let said = bench.says(conn, Message::DontHave(1));
    assert!(told(conn, &said).contains(&Message::NotInterested), "nothing is left to be had: {said:?}");
    let said = bench.says(conn, Message::Have(0));
    assert!(told(conn, &said).contains(&Message::Interested));
    let said = bench.says(conn, Message::DontHave(2));
    assert_eq!(closed(conn, &said).as_deref(), Some("dont_have_out_of_range"));
}

#[test]
fn without_the_fast_extension_what_was_asked_for_is_asked_of_others() {
    let mut bench = Bench::joined(config(), 1).fetches();
    let (old, _) = bench.meets(1, false);
    bench.says(old, Message::Bitfield(vec![0x80].into()));
    let said = bench.says(old, Message::Unchoke);
    assert_eq!(requests(old, &said).len() as u32, BLOCKS);
    bench.says(old, Message::DontHave(0));
    let (other, said) = bench.meets_seed(2);
    assert_eq!(requests(other, &said).len() as u32, BLOCKS);
}

#[test]
fn a_peer_that_takes_nothing_any_more_is_let_go_by_a_seed() {
    let mut bench = Bench::joined(config(), 2).seeds();
    let conn = modern(&mut bench, 1);
    bench.says(conn, Message::Bitfield(vec![0x80].into()));
    let said = bench.says(conn, Message::UploadOnly(true));
    assert_eq!(closed(conn, &said).as_deref(), Some("both_complete"));
}

#[test]
fn two_peers_who_ask_for_it_are_introduced_to_each_other() {
    let mut bench = Bench::joined(punching(), 2).seeds();
    let (one, other) = (modern(&mut bench, 1), modern(&mut bench, 2));
    let said = bench.says(one, Message::HolePunch(HolePunch { kind: HolePunchKind::Rendezvous, at: address(2) }));
    assert_eq!(punched(one, &said), [HolePunch { kind: HolePunchKind::Connect, at: address(2) }]);
    assert_eq!(punched(other, &said), [HolePunch { kind: HolePunchKind::Connect, at: address(1) }]);
}

#[test]
fn over_tcp_it_is_the_port_where_a_peer_listens_that_datagrams_are_sent_to() {
    let mut bench = Bench::joined(punching(), 2).seeds();
    let one = modern(&mut bench, 1);
    let handshake = bench.handshake(2, true);
    for (door, port) in [(doors::PEERS, 6881), (doors::DATAGRAMS, 40_000)] {
        let other = bench.talk.accepted();
        let remote = hexad_core::Endpoint::Ip(SocketAddr::new(address(2).ip(), 40_000));
        bench.hears(Input::Opened { conn: other, peer: remote, via: Via::Accepted(door) });
        bench.says(other, handshake.clone());
        let extensions = crate::wire::extended::our_extensions(true, true);
        bench.says(other, Message::from(ExtendedHandshake { extensions, listen_port: Some(6881), ..ExtendedHandshake::default() }));
        let said = bench.says(one, Message::HolePunch(HolePunch { kind: HolePunchKind::Rendezvous, at: address(2) }));
        let at = SocketAddr::new(address(2).ip(), port);
        assert_eq!(punched(one, &said), [HolePunch { kind: HolePunchKind::Connect, at }]);
        assert_eq!(punched(other, &said), [HolePunch { kind: HolePunchKind::Connect, at: address(1) }]);
        bench.hears(Input::Closed(other, Why::PeerClosed));
    }
}

#[test]
fn who_cannot_be_introduced_is_told_why() {
    let mut bench = Bench::joined(punching(), 2).seeds();
    let one = modern(&mut bench, 1);
    let (_plain, _) = bench.meets(3, true);
    let us = SocketAddr::from(([0, 0, 0, 0], 6881));
    for (at, kind) in [
        (address(9), HolePunchKind::NO_SUCH_PEER),
        (address(3), HolePunchKind::NO_SUPPORT),
        (address(1), HolePunchKind::NO_SELF),
        (us, HolePunchKind::NO_SELF),
    ] {
        let said = bench.says(one, Message::HolePunch(HolePunch { kind: HolePunchKind::Rendezvous, at }));
        assert_eq!(punched(one, &said), [HolePunch { kind, at }]);
    }
    let said = bench.says(one, Message::HolePunch(HolePunch { kind: HolePunchKind::Rendezvous, at: address(9) }));
    assert_eq!(notes(Level::Drop, &said), ["holepunch_flood"], "so many in a second are enough");
}

#[test]
fn whoever_is_introduced_dials_over_utp_at_once() {
    let mut bench = Bench::joined(punching(), 2).fetches();
    let relay = modern(&mut bench, 1);
    let said = bench.says(relay, Message::HolePunch(HolePunch { kind: HolePunchKind::Connect, at: address(2) }));
    let utp: Vec<_> = said
        .iter()
        .filter_map(|output| match output {
            Output::Open(_, peer, dial) => Some((peer.clone(), dial.transport)),
            _ => None,
        })
        .collect();
    assert_eq!(utp, [(peer(2), Transport::Utp(doors::DATAGRAMS))]);
    let said = bench.says(relay, Message::HolePunch(HolePunch { kind: HolePunchKind::Connect, at: address(1) }));
    assert_eq!(dialled(&said), [], "who is connected already is not dialled");
}

#[test]
fn where_nobody_answers_whoever_named_that_peer_is_asked_for_an_introduction() {
    let mut bench = Bench::joined(punching(), 2).fetches();
    let relay = modern(&mut bench, 1);
    let named = PexPeer { address: address(7), flags: 0x08 };
    let said = bench.says(relay, Message::Pex(Pex { added: vec![named], dropped: Vec::new() }));
    let first = dialled(&said)[0].0;
    let said = bench.hears(Input::Closed(first, Why::TimedOut));
    let second = dialled(&said)[0].0;
    assert_eq!(punched(relay, &said), [], "uTP is tried first");
    let said = bench.hears(Input::Closed(second, Why::TimedOut));
    assert_eq!(punched(relay, &said), [HolePunch { kind: HolePunchKind::Rendezvous, at: address(7) }]);
}

#[test]
fn in_a_private_torrent_nobody_is_introduced() {
    let mut bench = Bench::of(punching(), torrent(2, true)).joins().seeds();
    let (one, two) = (modern(&mut bench, 1), modern(&mut bench, 2));
    let said = bench.says(one, Message::HolePunch(HolePunch { kind: HolePunchKind::Rendezvous, at: address(2) }));
    assert_eq!((punched(one, &said), punched(two, &said)), (vec![], vec![]));
    assert_eq!(notes(Level::Drop, &said), ["holepunch_unwanted"]);
}

#[test]
fn an_address_of_the_users_list_is_neither_dialled_nor_let_in() {
    let blocked = Arc::new(IpFilter::read("bad:192.0.2.7-192.0.2.9"));
    let mut bench = Bench::joined(Config { blocked, ..config() }, 2);
    let what = hexad_core::What::Torrent(bench.torrent.encode().into());
    let said = bench.starts_fetch(what, vec![peer(6), peer(7), peer(9), peer(10)]);
    let mut called: Vec<_> = dialled(&said).into_iter().map(|(_, peer, _)| peer).collect();
    called.sort();
    assert_eq!(called, [peer(6), peer(10)]);
    let conn = bench.talk.accepted();
    let said = bench.hears(Input::Opened { conn, peer: peer(8), via: Via::Accepted(doors::PEERS) });
    assert_eq!((closed(conn, &said).as_deref(), notes(Level::Drop, &said)), (Some("address_blocked"), vec!["address_blocked"]));
}

#[test]
fn equals_are_dialled_by_the_priority_that_both_ends_compute() {
    let mut bench = Bench::joined(Config { half_open_max: 1, ..config() }, 2);
    let what = hexad_core::What::Torrent(bench.torrent.encode().into());
    bench.starts_fetch(what, Vec::new());
    let own = SocketAddr::from(([198, 51, 100, 1], 6881));
    for last in 1..=3 {
        let (conn, _) = bench.meets(last, true);
        bench.says(conn, Message::from(ExtendedHandshake { your_ip: Some(own.ip()), ..ExtendedHandshake::default() }));
    }
    let mut others: Vec<SocketAddr> = (50..60).map(|last| SocketAddr::from(([203, 0, 113 - last, last], 6881))).collect();
    let peers = others.iter().map(|at| hexad_core::Endpoint::Ip(*at)).collect();
    let mut said = bench.hears(Input::Start(hexad_core::OpId(9), hexad_core::Operation::Own(crate::node::Request::AddPeers(SHARE, peers))));
    others.sort_by_key(|at| std::cmp::Reverse(crate::node::priority::priority(own, *at)));
    for expected in others.iter().take(5) {
        let (conn, peer, _) = dialled(&said)[0].clone();
        assert_eq!(peer, hexad_core::Endpoint::Ip(*expected));
        said = bench.hears(Input::Closed(conn, Why::TimedOut));
    }
}
