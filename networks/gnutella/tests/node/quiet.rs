//! What a node says when nobody wants anything.

use bytes::Bytes;
use hexad_core::{ConnId, Input, Outbound, Output, Via};
use hexad_gnutella::wire::ggep::Block;
use hexad_gnutella::wire::{Answer, Body, Guid, Headers, Message, Packet, Pong};
use hexad_gnutella::{Mode, Node, Settings};

use crate::stage::{Stage, bye, packets, query, settings};

/// Hops to go of the pings in what was said to somebody, with their ids.
fn pings(said: &[Outbound<Node>], to: ConnId) -> Vec<(Guid, u8)> {
    packets(said, to).iter().filter(|packet| matches!(packet.body, Body::Ping(_))).map(|packet| (packet.muid, packet.ttl)).collect()
}

/// What comes of so many seconds, in which one neighbour answers each ping at once and all others are mute.
fn answered(stage: &mut Stage, conn: ConnId, seconds: u64) -> Vec<(Guid, u8)> {
    let mut all = Vec::new();
    for _ in 0..seconds {
        let said = stage.passes(1);
        for (muid, ttl) in pings(&said, conn) {
            let pong = Pong { at: "198.51.100.1:6346".parse().unwrap(), files: 0, kib: 0, ext: Bytes::new() };
            stage.hears_packet(conn, Packet::new(muid, 1, Body::Pong(Box::new(pong))));
            all.push((muid, ttl));
        }
        assert_eq!(bye(&said, conn), None);
    }
    all
}

fn pong_of(number: u8) -> Packet {
    let pong = Pong { at: format!("8.8.{number}.8:6346").parse().unwrap(), files: 1, kib: 1, ext: Bytes::new() };
    Packet { muid: Guid([number; 16]), ttl: 1, hops: 3, body: Body::Pong(Box::new(pong)) }
}

#[test]
fn whoever_says_something_is_not_asked_whether_he_lives() {
    let mut stage = Stage::new(Settings { discover: false, ..settings(Mode::Ultrapeer) });
    let talker = stage.neighbour(Some(true));
    let mut said = Vec::new();
    for number in 0..60 {
        said.extend(stage.passes(10));
        stage.hears_packet(talker, query(number, 2, 1, "blue"));
    }
    assert_eq!(pings(&said, talker), []);
    let said = stage.passes(30);
    assert_eq!(pings(&said, talker).len(), 1, "he has fallen silent");
}

#[test]
fn a_silent_neighbour_is_asked_seldom_while_he_answers_and_often_when_he_does_not() {
    let mut stage = Stage::new(Settings { discover: false, ..settings(Mode::Ultrapeer) });
    let other = stage.neighbour(Some(true));
    let asked = answered(&mut stage, other, 600).len();
    assert!((20..=30).contains(&asked), "one ping in 20 to 30 seconds, not {asked}");
    // Now he is gone without a word.
    let mut gone_after = None;
    for second in 1..=200 {
        if bye(&stage.passes(1), other) == Some(406) {
            gone_after.get_or_insert(second);
        }
    }
    assert!(gone_after.is_some_and(|seconds| seconds <= 110), "{gone_after:?}");
}

#[test]
fn hosts_are_asked_for_while_few_are_known_and_ever_more_seldom() {
    let mut stage = Stage::new(Settings { flat_links: 1, ..settings(Mode::Flat) });
    let other = stage.neighbour(None);
    let far = |pings: &[(Guid, u8)]| pings.iter().filter(|(_, ttl)| *ttl > 1).count();
    let (first, later) = (answered(&mut stage, other, 300), answered(&mut stage, other, 600));
    assert!(far(&first) > far(&later) && far(&later) > 0, "{} and then {}", far(&first), far(&later));
    for number in 1..=60 {
        stage.hears_packet(other, pong_of(number));
    }
    assert_eq!(far(&answered(&mut stage, other, 500)), 0, "sixty are enough");
    assert!(far(&answered(&mut stage, other, 1000)) > 0, "they grow old");
}

#[test]
fn whoever_wants_hosts_packed_has_one_pong_and_others_have_one_for_each() {
    let mut stage = Stage::new(settings(Mode::Flat));
    let others: Vec<ConnId> = (0..3).map(|_| stage.neighbour(None)).collect();
    (1..=5).for_each(|number| {
        stage.hears_packet(others[1], pong_of(number));
    });
    let asks = |stage: &mut Stage, ext: Bytes| {
        stage.passes(5);
        let said = stage.hears_packet(others[0], Packet::new(Guid([9; 16]), 4, Body::Ping(ext)));
        let pongs = packets(&said, others[0]).into_iter().filter(|packet| packet.muid == Guid([9; 16]));
        pongs.map(|packet| if let Body::Pong(pong) = packet.body { (packet.hops, *pong) } else { panic!("{packet:?}") }).collect::<Vec<_>>()
    };
    let packed = asks(&mut stage, Block::default().with("SCP", Bytes::from_static(&[0])).bytes());
    assert_eq!(packed.len(), 1);
    let hosts = Block::read(&packed[0].1.ext).unwrap().0.find("IPP").map(Bytes::len);
    assert_eq!(hosts, Some(6 * 8), "three neighbours, and five of whom was told");
    let each = asks(&mut stage, Bytes::new());
    assert_eq!(each.len(), 1 + 5 + 2, "ours, those that came by, and our other neighbours");
    assert_eq!(each.iter().filter(|(hops, _)| *hops == 1).count(), 2);
    // Once they have grown old, the neighbours are still there.
    stage.passes(61);
    let late = asks(&mut stage, Bytes::new());
    assert_eq!(late.iter().filter(|(hops, _)| *hops == 1).count(), 2, "{late:?}");
}

/// Everybody whom the node dials is full; returns how many it was.
fn refuses(stage: &mut Stage, mut said: Vec<Outbound<Node>>) -> usize {
    let mut dials = 0;
    while let Some(output) = said.pop() {
        if let Output::Open(conn, peer, _) = output {
            dials += 1;
            stage.table.hears(Input::Opened { conn, peer, via: Via::Dialled });
            said.extend(stage.hears(conn, Message::Answer(Box::new(Answer::no(503, "Too many connections", Headers::new())))));
        }
    }
    dials
}

#[test]
fn where_all_are_full_others_are_tried_ever_more_seldom_until_there_is_room() {
    let full = |links: usize| {
        let mut stage = Stage::new(Settings { flat_links: 4, ping_every: hexad_core::Span::from_secs(3600), ..settings(Mode::Flat) });
        let others: Vec<ConnId> = (0..links).map(|_| stage.neighbour(None)).collect();
        for number in 1..=60 {
            stage.hears_packet(others[0], pong_of(number));
        }
        let mut second = || {
            let said = stage.passes(1);
            refuses(&mut stage, said)
        };
        let dials: Vec<usize> = (0..4).map(|_| (0..60).map(|_| second()).sum()).collect();
        (stage, others, dials)
    };
    let (mut stage, others, dials) = full(3);
    assert!(dials[0] > dials[1] && dials[1..].iter().all(|dials| (1..=2).contains(dials)), "one a minute, {dials:?}");
    let said = stage.closes(others[0]);
    assert_eq!(refuses(&mut stage, said), 61, "with two neighbours of four, all are tried at once, and whoever has gone");
    let (_, _, dials) = full(2);
    assert!(dials.iter().all(|dials| *dials >= 60), "each host is asked again after half a minute, {dials:?}");
}
