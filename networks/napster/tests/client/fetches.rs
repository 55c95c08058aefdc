//! Getting: from programs like ours, and from others.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_content::Ranges;
use hexad_core::{Endpoint, Failure, Input, LeaseId, Payload, Progress, ShareId, Span, Verdict};
use hexad_napster::wire::peer::Peer;
use hexad_napster::wire::{Shape, Text};
use hexad_napster::{ClientConfig, Locator};

use crate::stage::{SERVER, Stage, TOKEN, config, share};

const PATH: &str = "Z:\\nap\\Desert Choir - Camel Song.mp3";

fn locator(hash: &str) -> Locator {
    Locator {
        server: Some(Endpoint::Ip(SocketAddr::from(SERVER))),
        nick: "bert".into(),
        path: PATH.into(),
        size_bytes: Some(8340),
        hash: hash.into(),
        sound: (0, 0),
    }
}

fn shape(name: &str, bytes: u64) -> Vec<u8> {
    let share = share(name, bytes);
    Shape { layout: share.layout, proof: share.proof, digests: share.digests }.write()
}

fn described(bytes: &[u8]) -> Peer {
    Peer::Described { total: u32::try_from(bytes.len()).unwrap(), offset: 0, part: bytes.into() }
}

#[test]
fn a_file_of_another_program_is_described_without_proof_and_got_when_somebody_lends_it() {
    let (mut stage, conn) = Stage::joined(config());
    let (op, said) = stage.fetch(&locator("20b0d1fb39e212e658be5217dee6b6d9"), Vec::new());
    assert_eq!(said, [(conn, format!("203 bert \"{PATH}\""))]);
    let said = stage.server_says(conn, 204, format!("bert 16777343 6701 \"{PATH}\" 20b0d1fb39e212e658be5217dee6b6d9 8"));
    let [(peer, open)] = &said[..] else { panic!("{said:?}") };
    let peer = *peer;
    assert_eq!(open, "open 127.0.0.1:6701");
    assert_eq!(stage.peer_says(peer, Peer::Greeting), [], "nothing is asked for that nobody takes");
    let Some(Progress::Described(description)) = stage.outcome(op) else { panic!("{:?}", stage.reports) };
    assert_eq!((description.layout.total_bytes(), &description.proof), (8340, &None));
    let said = stage.hears(Input::Leased(LeaseId(7), Ranges::of(4000..8340)));
    assert_eq!(said, [(peer, format!("peer GETme \"{PATH}\" 4000")), (conn, "218".to_owned())]);
    stage.peer_says(peer, Peer::Size(8340));
    stage.peer_says(peer, Peer::Data(Payload::Bytes(Bytes::from(vec![0; 4000]))));
    let said = stage.peer_says(peer, Peer::Data(Payload::Bytes(Bytes::from(vec![0; 340]))));
    assert_eq!(said, [(conn, "219".to_owned()), (peer, "close".to_owned())]);
    assert_eq!(stage.delivered, [(4000, 4000), (8000, 340)]);
    stage.hears(Input::Judged(LeaseId(7), 4000..8340, Verdict::Good));
    assert_eq!(stage.outcome(op), Some(&Progress::Done));
}

#[test]
fn what_nothing_proves_and_nobody_lends_ends_with_a_word_about_it() {
    let (mut stage, conn) = Stage::joined(config());
    let (op, _) = stage.fetch(&locator("20b0d1fb39e212e658be5217dee6b6d9"), Vec::new());
    let said = stage.server_says(conn, 204, format!("bert 16777343 6701 \"{PATH}\" 20b0d1fb39e212e658be5217dee6b6d9 8"));
    stage.peer_says(said[0].0, Peer::Greeting);
    stage.pass(Span::from_secs(100));
    let Some(Progress::Failed(Failure::Unusable(why))) = stage.outcome(op) else { panic!("{:?}", stage.outcome(op)) };
    assert!(why.starts_with("nothing proves"));
}

#[test]
fn who_cannot_be_reached_is_asked_to_push_and_may_call_the_file_by_its_last_part() {
    let (mut stage, conn) = Stage::joined(config());
    let (op, _) = stage.fetch(&locator("20b0d1fb39e212e658be5217dee6b6d9"), Vec::new());
    let said = stage.server_says(conn, 204, format!("bert 16777343 0 \"{PATH}\" 00000000000000000000000000000000 8"));
    assert_eq!(said, [(conn, format!("500 bert \"{PATH}\""))]);
    let (peer, _) = stage.accepts();
    let said = stage.peer_says(peer, Peer::Send { nick: "bert".into(), path: "Desert Choir - Camel Song.mp3".into(), size: 8340 });
    assert_eq!(said, []);
    assert!(matches!(stage.outcome(op), Some(Progress::Described(_))));
    let said = stage.hears(Input::Leased(LeaseId(7), Ranges::of(6000..8340)));
    assert_eq!(said[0], (peer, "peer 6000".to_owned()));
    stage.peer_says(peer, Peer::Data(Payload::Bytes(Bytes::from(vec![0; 2340]))));
    stage.hears(Input::Judged(LeaseId(7), 6000..8340, Verdict::Good));
    assert_eq!(stage.outcome(op), Some(&Progress::Done));
}

#[test]
fn two_who_cannot_be_reached_are_told_so() {
    let (mut stage, conn) = Stage::joined(ClientConfig { listen: None, ..config() });
    let (op, _) = stage.fetch(&locator("20b0d1fb39e212e658be5217dee6b6d9"), Vec::new());
    stage.server_says(conn, 204, format!("bert 16777343 0 \"{PATH}\" 00000000000000000000000000000000 8"));
    assert!(matches!(stage.outcome(op), Some(Progress::Failed(Failure::Refused(_)))));
}

#[test]
fn who_does_not_have_it_any_longer_and_who_is_busy_are_told_apart() {
    let (mut stage, conn) = Stage::joined(config());
    let (op, _) = stage.fetch(&locator("x"), Vec::new());
    stage.server_says(conn, 620, format!("bert \"{PATH}\" 8340 3"));
    assert_eq!(stage.outcome(op), None);
    let said = stage.pass(Span::from_secs(30));
    assert!(said.contains(&(conn, format!("203 bert \"{PATH}\""))), "asked again: {said:?}");
    stage.server_says(conn, 206, format!("bert \"{PATH}\""));
    assert!(matches!(stage.outcome(op), Some(Progress::Failed(Failure::NotFound(_)))));
}

#[test]
fn a_file_of_a_program_like_ours_comes_with_its_proof_and_part_by_part() {
    let (mut stage, conn) = Stage::joined(config());
    let (op, said) = stage.fetch(&Locator { size_bytes: Some(100_000), ..locator(TOKEN) }, Vec::new());
    assert_eq!(said, [(conn, format!("203 bert \"{PATH}\"")), (conn, format!("215 {TOKEN} 0"))]);
    let said = stage.server_says(conn, 204, format!("bert 16777343 6701 \"{PATH}\" {TOKEN} 8"));
    let peer = said[0].0;
    let said = stage.peer_says(peer, Peer::Greeting);
    assert_eq!(said[0].1, "peer HEXAD");
    assert!(said[1].1.ends_with(PATH));
    stage.peer_says(peer, described(&shape("Camel Song.mp3", 100_000)));
    let Some(Progress::Described(description)) = stage.outcome(op) else { panic!("{:?}", stage.reports) };
    assert!(description.proof.is_some());
    let said = stage.hears(Input::Leased(LeaseId(7), Ranges::of(0..100_000)));
    assert_eq!(said.len(), 2, "the first part of 65,536 bytes in two blocks");
    let mut at = 0;
    while at < 100_000_u64 {
        let length = (100_000 - at).min(32 << 10);
        stage.peer_says(peer, Peer::Block { start: at, body: Payload::Bytes(vec![0; usize::try_from(length).unwrap()].into()) });
        at += length;
    }
    assert_eq!(stage.delivered.iter().map(|(_, bytes)| bytes).sum::<u64>(), 100_000);
    stage.hears(Input::Judged(LeaseId(7), 0..65_536, Verdict::Good));
    assert_eq!(stage.hears(Input::Judged(LeaseId(7), 65_536..100_000, Verdict::Good)), [(peer, "close".to_owned())]);
    assert_eq!(stage.outcome(op), Some(&Progress::Done));
    assert_eq!(stage.table.shares.share(ShareId(77)).map(|_| ()), None);
}

#[test]
fn a_source_that_describes_something_else_or_sends_wrong_bytes_is_left() {
    let peers: Vec<Endpoint> = [1, 2].map(|host| Endpoint::Ip(SocketAddr::from(([127, 0, 1, host], 6699)))).to_vec();
    let mut stage = Stage::new(ClientConfig { listen: None, ..config() });
    let (op, said) = stage.fetch(&Locator { hash: TOKEN.into(), ..Locator::default() }, peers);
    let [(first, _), (second, _)] = said[..] else { panic!("{said:?}") };
    for peer in [first, second] {
        stage.peer_says(peer, Peer::Greeting);
    }
    let mut other = share("x", 100_000);
    other.digests = hexad_content::Digests::new();
    let other = Shape { layout: other.layout, proof: other.proof, digests: other.digests }.write();
    assert_eq!(stage.peer_says(first, described(&other)), [(first, "close".to_owned())]);
    assert_eq!(stage.notes, ["description_of_something_else"]);
    stage.peer_says(second, described(&shape("x", 100_000)));
    stage.hears(Input::Leased(LeaseId(7), Ranges::of(0..65_536)));
    for start in [0, 32 << 10] {
        stage.peer_says(second, Peer::Block { start, body: Payload::Bytes(vec![0; 32 << 10].into()) });
    }
    // What nobody has asked for is not taken.
    stage.peer_says(second, Peer::Block { start: 0, body: Payload::Bytes(vec![0; 32 << 10].into()) });
    assert_eq!(stage.delivered.len(), 2);
    stage.notes.clear();
    let said = stage.hears(Input::Judged(LeaseId(7), 0..65_536, Verdict::Bad));
    assert_eq!((said, &stage.notes[..]), (vec![(second, "close".to_owned())], ["wrong_bytes"].as_slice()));
    stage.pass(Span::from_secs(120));
    assert!(matches!(stage.outcome(op), Some(Progress::Failed(Failure::TimedOut(_)))));
}

#[test]
fn a_description_beyond_all_bounds_is_not_collected() {
    let peers = vec![Endpoint::Ip(SocketAddr::from(([127, 0, 1, 1], 6699)))];
    for (total, offset) in [(u32::MAX, 0), (100, 50), (2, 0)] {
        let mut stage = Stage::new(ClientConfig { listen: None, ..config() });
        let (_, said) = stage.fetch(&Locator { hash: TOKEN.into(), ..Locator::default() }, peers.clone());
        let peer = said[0].0;
        stage.peer_says(peer, Peer::Greeting);
        assert_eq!(stage.peer_says(peer, Peer::Described { total, offset, part: Text::from("part") }), [(peer, "close".to_owned())]);
    }
}

#[test]
fn what_is_no_locator_fails_at_once() {
    use hexad_core::{Operation, Source, What};
    let (mut stage, _) = Stage::joined(config());
    for what in [What::Locator("gopher://x".into()), What::Torrent(Bytes::new()), What::Locator("napster:path=x".into())] {
        let source = Source { what, peers: Vec::new() };
        let (op, _) = stage.start(Operation::Fetch { source, lease: LeaseId(1), share: ShareId(1) });
        assert!(matches!(stage.outcome(op), Some(Progress::Failed(Failure::Unusable(_)))));
    }
}
