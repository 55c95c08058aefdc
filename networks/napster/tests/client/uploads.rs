//! Giving: what the recorded programs ask for is given to them.

use hexad_core::{ConnId, Input, Operation, ShareId, Span};
use hexad_napster::ClientConfig;
use hexad_napster::wire::peer::Peer;

use crate::stage::{Stage, TOKEN, config};

/// With one file of 100,000 bytes published.
fn stage(client: ClientConfig) -> (Stage, u64) {
    let (mut stage, conn) = Stage::joined(client);
    stage.has(1, "Copper Trio - Kettle.mp3", 100_000);
    stage.start(Operation::Publish { share: ShareId(1) });
    (stage, conn)
}

fn get(path: &str, offset: u64) -> Peer {
    Peer::Get { nick: "anna2".into(), path: path.into(), offset }
}

#[test]
fn a_request_is_accepted_when_the_file_is_there() {
    let (mut stage, conn) = stage(config());
    let kettle = "anna2 \"Copper Trio - Kettle.mp3\"";
    assert_eq!(stage.server_says(conn, 607, kettle), [(conn, format!("608 {kettle}"))]);
    assert_eq!(stage.server_says(conn, 607, "anna2 \"no such.mp3\""), [(conn, "609 anna2 \"no such.mp3\"".to_owned())]);
    let (mut stage, conn) = self::stage(ClientConfig { uploads_max: 0, ..config() });
    assert_eq!(stage.server_says(conn, 607, kettle), [(conn, format!("619 {kettle} 0"))]);
}

#[test]
fn a_file_is_sent_from_where_it_is_wanted_and_then_the_connection_closed() {
    let (mut stage, server) = stage(config());
    let (peer, said) = stage.accepts();
    assert_eq!(said, [(peer, "peer 1".to_owned())]);
    let said = stage.peer_says(peer, get("Copper Trio - Kettle.mp3", 4000));
    assert_eq!(said, [(peer, "peer 100000".to_owned()), (server, "220".to_owned())]);
    let sent: u64 = stage.sent_shares.iter().map(|(_, _, range)| range.end - range.start).sum();
    assert_eq!((sent, stage.sent_shares[0].2.start), (96_000, 4000));
    assert_eq!(stage.hears(Input::Sent(ConnId(peer), 50_000)), []);
    assert_eq!(stage.hears(Input::Sent(ConnId(peer), 46_000)), [(server, "221".to_owned()), (peer, "close".to_owned())]);
}

#[test]
fn what_is_not_shared_is_refused_and_silence_ends() {
    let (mut stage, _) = stage(config());
    for (request, answer) in [
        (get("no such.mp3", 0), "peer FILE NOT SHARED"),
        (get("Copper Trio - Kettle.mp3", 100_001), "peer INVALID REQUEST"),
        (Peer::UnknownCommand("PUTcarl".into()), "peer INVALID REQUEST"),
        (Peer::Send { nick: "eve".into(), path: "x".into(), size: 7 }, "peer INVALID REQUEST"),
    ] {
        let (peer, _) = stage.accepts();
        assert_eq!(stage.peer_says(peer, request), [(peer, answer.to_owned()), (peer, "close".to_owned())]);
    }
    let (peer, _) = stage.accepts();
    assert_eq!(stage.pass(Span::from_secs(21)), [(peer, "close".to_owned())]);
}

#[test]
fn the_list_is_given_from_program_to_program() {
    let (mut stage, server) = stage(config());
    let (peer, _) = stage.accepts();
    let line = format!("peer \"Copper Trio - Kettle.mp3\" {TOKEN} 100000 0 0 0");
    assert_eq!(
        stage.peer_says(peer, Peer::GetList),
        [(peer, "peer me".to_owned()), (peer, line), (peer, "peer".to_owned()), (peer, "close".to_owned())]
    );
    assert_eq!(stage.server_says(server, 640, "carol"), [(server, "641 carol".to_owned())]);
    assert_eq!(stage.server_says(server, 640, "carol 16777343 7003").last().unwrap().1, "open 127.0.0.1:7003");
}

#[test]
fn a_firewalled_client_connects_to_whom_the_server_says() {
    let (mut stage, conn) = stage(ClientConfig { listen: None, ..config() });
    let order = format!("anna2 16777343 6702 \"Copper Trio - Kettle.mp3\" {TOKEN} 8");
    let said = stage.server_says(conn, 501, order);
    let [(peer, open)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(open, "open 127.0.0.1:6702");
    let peer = *peer;
    assert_eq!(stage.peer_says(peer, Peer::Greeting), [(peer, "peer SENDme \"Copper Trio - Kettle.mp3\" 100000".to_owned())]);
    stage.peer_says(peer, Peer::Offset(99_000));
    assert_eq!(stage.sent_shares, [(ConnId(peer), ShareId(1), 99_000..100_000)]);
}

#[test]
fn a_program_like_ours_is_served_ranges_and_no_more_than_it_may_ask_for() {
    let (mut stage, _) = stage(config());
    let (peer, _) = stage.accepts();
    assert_eq!(stage.peer_says(peer, Peer::Hexad), []);
    assert_eq!(stage.peer_says(peer, Peer::Describe { path: "no such".into() }).len(), 1);
    let said = stage.peer_says(peer, Peer::Describe { path: format!("#{TOKEN}").as_str().into() });
    assert!(said[0].1.contains("HX1"), "{said:?}");
    for (start, length, served) in
        [(0, 16_384, true), (99_999, 1, true), (99_999, 2, false), (0, 0, false), (0, 1 << 20, false), (u64::MAX, 7, false)]
    {
        let before = stage.sent_shares.len();
        stage.peer_says(peer, Peer::Request { start, length });
        assert_eq!(stage.sent_shares.len() > before, served, "{start} {length}");
    }
    // Somebody who asks without taking is not followed for ever.
    for _ in 0..1000 {
        stage.peer_says(peer, Peer::Request { start: 0, length: 32 << 10 });
    }
    assert!(stage.sent_shares.len() < 20);
}
