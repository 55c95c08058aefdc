//! The web cache at our port, as its clients see it.

use hexad_core::{ConnId, Output, Payload};
use hexad_gnutella::wire::{Headers, Message, Request};
use hexad_gnutella::{Mode, Settings};

use crate::stage::{Stage, drops, settings};

fn asks(stage: &mut Stage, conn: ConnId, query: &str) -> String {
    let said = stage.hears(conn, Request::get(format!("/gwc?{query}"), Headers::new()).into());
    let body = said.iter().filter_map(|output| match output {
        Output::Send(_, Message::Data(Payload::Bytes(bytes))) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    body.collect()
}

#[test]
fn hosts_are_told_in_both_versions_and_whoever_tells_of_himself_is_one_of_them() {
    // Who is told of is not tried, so that it stays as it was told.
    let mut stage = Stage::new(Settings { discover: false, ..settings(Mode::Ultrapeer) });
    let conn = stage.dialled_by_somebody();
    assert!(asks(&mut stage, conn, "ping=1&client=TEST&version=1").starts_with("PONG Hexad"));
    assert_eq!(asks(&mut stage, conn, "ip=198.51.100.1:6346&client=TEST"), "OK\r\n");
    assert_eq!(asks(&mut stage, conn, "ip=198.51.100.1:6347&client=TEST"), "ERROR: not taken\r\n", "once an hour");
    assert_eq!(asks(&mut stage, conn, "hostfile=1"), "203.0.113.1:6346\r\n198.51.100.1:6346\r\n");
    stage.passes(60);
    let conn = stage.dialled_by_somebody();
    let second = asks(&mut stage, conn, "get=1&update=1&net=gnutella&client=TEST&version=1&ping=1&ip=198.51.100.2%3A6346");
    let lines: Vec<&str> = second.lines().collect();
    assert!(lines[0].starts_with("I|pong|Hexad"));
    assert_eq!(lines[1..3], ["I|update|OK", "H|203.0.113.1:6346|0"]);
    assert!(lines.contains(&"H|198.51.100.2:6346|0") && lines.contains(&"H|198.51.100.1:6346|60"), "{second}");
    assert_eq!(asks(&mut stage, conn, "get=1&net=gnutella2"), "I|net-not-supported\r\n");
}

#[test]
fn nobody_tells_of_another_and_a_leaf_is_no_cache() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let conn = stage.dialled_by_somebody();
    let said = stage.hears(conn, Request::get("/gwc?ip=192.0.2.9:80", Headers::new()).into());
    assert_eq!(drops(&said), ["web_cache_told_of_another"]);
    assert_eq!(asks(&mut stage, conn, "hostfile=1"), "203.0.113.1:6346\r\n");
    let mut leaf = Stage::new(settings(Mode::Leaf));
    let conn = leaf.dialled_by_somebody();
    assert_eq!(asks(&mut leaf, conn, "hostfile=1"), "");
}
