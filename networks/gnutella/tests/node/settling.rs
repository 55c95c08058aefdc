//! When a leaf tells its ultrapeers what it offers.

use bytes::Bytes;
use hexad_core::{ConnId, Endpoint, Input, OpId, Operation, Outbound, Output, Progress, Via};
use hexad_gnutella::wire::{Answer, Body, Message, Packet, Pong, Qrp};
use hexad_gnutella::{Mode, Node, Request};

use crate::stage::{Stage, headers, packets, settings};

/// A leaf and its ultrapeer.
fn leaf() -> (Stage, ConnId) {
    let mut stage = Stage::new(settings(Mode::Leaf));
    let peer = Endpoint::Ip("198.51.100.77:6346".parse().unwrap());
    let (_, said) = stage.starts(Operation::Own(Request::Connect(peer.clone())));
    let conn = said.iter().find_map(|output| if let Output::Open(conn, ..) = output { Some(*conn) } else { None }).unwrap();
    stage.table.hears(Input::Opened { conn, peer, via: Via::Dialled });
    stage.hears(conn, Message::Answer(Box::new(Answer::yes(headers(Some(true))))));
    (stage, conn)
}

fn tables(said: &[Outbound<Node>], to: ConnId) -> usize {
    packets(said, to)
        .iter()
        .filter(|packet| matches!(&packet.body, Body::Qrp(qrp) if matches!(**qrp, Qrp::Patch { number: 1, .. })))
        .count()
}

/// The pings in what was said, answered; returns what that brings.
fn answers(stage: &mut Stage, conn: ConnId, said: &[Outbound<Node>]) -> Vec<Outbound<Node>> {
    let pings = packets(said, conn).into_iter().filter(|packet| matches!(packet.body, Body::Ping(_)));
    let pong = |muid| {
        Packet::new(muid, 1, Body::Pong(Box::new(Pong { at: "198.51.100.77:6346".parse().unwrap(), files: 0, kib: 0, ext: Bytes::new() })))
    };
    pings.flat_map(|ping| stage.hears_packet(conn, pong(ping.muid))).collect()
}

fn done(said: &[Outbound<Node>]) -> Vec<OpId> {
    said.iter().filter_map(|output| if let Output::Report(op, Progress::Done) = output { Some(*op) } else { None }).collect()
}

#[test]
fn a_thousand_shares_are_told_of_in_two_tables() {
    let (mut stage, conn) = leaf();
    let mut said: Vec<Outbound<Node>> = (0..1000).flat_map(|number| stage.publishes(&format!("song {number}.ogg")).1).collect();
    assert_eq!((tables(&said, conn), done(&said).len()), (1, 0), "the first is told at once, and the others wait");
    let first = answers(&mut stage, conn, &said);
    assert_eq!((done(&first).len(), tables(&first, conn)), (1, 0), "the next table comes a second later");
    said = stage.passes(2);
    assert_eq!((tables(&said, conn), done(&said).len()), (1, 0));
    let rest = answers(&mut stage, conn, &said);
    assert_eq!(done(&rest).len(), 999, "all that wait are in effect by it");
    assert_eq!(tables(&stage.passes(5), conn), 0);
}

#[test]
fn who_does_not_answer_is_not_waited_for() {
    let (mut stage, conn) = leaf();
    let said = stage.publishes("blue.ogg").1;
    assert_eq!((tables(&said, conn), done(&said).len()), (1, 0));
    assert_eq!(done(&stage.passes(5)).len(), 1);
}
