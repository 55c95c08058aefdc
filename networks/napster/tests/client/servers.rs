//! Servers: coming in, coming back, asking.

use std::net::SocketAddr;

use hexad_core::{Endpoint, Failure, Input, Operation, Progress, Query, ShareId, Span, What};
use hexad_napster::{ClientConfig, Locator, Request, doors};

use crate::stage::{SERVER, Stage, TOKEN, config};

fn join() -> Operation<Request> {
    Operation::Join { bootstrap: vec![Endpoint::Ip(SocketAddr::from(SERVER))] }
}

#[test]
fn a_client_opens_its_port_before_it_logs_in_and_tells_it() {
    let mut stage = Stage::new(config());
    let (op, said) = stage.start(join());
    assert_eq!(said, [(0, "listen 1".to_owned())]);
    let said = stage.hears(Input::Bound(doors::PEERS, Ok(SocketAddr::from(([127, 0, 0, 1], 6699)))));
    assert_eq!(said, [(1, "open 127.0.0.1:8888".to_owned())]);
    let login = format!("2 me guest 6699 \"Hexad {}\" 8 nobody@localhost", env!("CARGO_PKG_VERSION"));
    assert_eq!(stage.opens(1, SERVER), [(1, login)]);
    assert_eq!(stage.outcome(op), None);
    assert_eq!(stage.server_says(1, 3, "anon@localhost"), []);
    assert_eq!(stage.outcome(op), Some(&Progress::Done));
    // A server may say anything at any time.
    for (number, data) in
        [(621, ""), (214, "2 7 0"), (404, "duplicate file"), (627, "op hi"), (628, "op hi"), (401, "#room"), (999, "x"), (5, "upgrade")]
    {
        assert_eq!(stage.server_says(1, number, data), [], "{number}");
    }
    assert_eq!(stage.server_says(1, 751, "anna2"), [(1, "752 anna2".to_owned())]);
}

#[test]
fn without_a_data_port_a_client_is_firewalled() {
    let (mut stage, _) = Stage::joined(ClientConfig { listen: None, ..config() });
    let said = stage.start(Operation::Join { bootstrap: vec![Endpoint::Ip(SocketAddr::from(([127, 0, 0, 2], 8888)))] }).1;
    let conn = said[0].0;
    assert!(stage.opens(conn, ([127, 0, 0, 2], 8888))[0].1.starts_with("2 me guest 0 "));
}

#[test]
fn a_lost_server_is_joined_again_and_told_everything_again() {
    let (mut stage, conn) = Stage::joined(config());
    stage.has(1, "blue.mp3", 100);
    let (op, said) = stage.start(Operation::Publish { share: ShareId(1) });
    let shared = format!("100 \"blue.mp3\" {TOKEN} 100 0 0 0");
    assert_eq!(said, [(conn, shared.clone()), (conn, "750".to_owned())]);
    assert_eq!(stage.outcome(op), None, "nothing says yet that the server has it");
    stage.server_says(conn, 750, "localhost ");
    assert_eq!(stage.outcome(op), Some(&Progress::Done));
    assert_eq!(stage.closes(conn), []);
    let said = stage.pass(Span::from_secs(10));
    let [(again, open)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(open, "open 127.0.0.1:8888");
    let again = *again;
    stage.opens(again, SERVER);
    assert_eq!(stage.server_says(again, 3, "anon@localhost"), []);
    assert_eq!(stage.server_says(again, 621, "VERSION opennap 0.36"), [(again, shared)]);
    assert_eq!(stage.start(Operation::Publish { share: ShareId(1) }).1, []);
    stage.hears(Input::Cancel(op));
    assert_eq!(stage.outcome(op), Some(&Progress::Ended));
}

#[test]
fn pauses_grow_while_a_server_is_away_and_a_join_that_never_succeeds_fails() {
    let mut stage = Stage::new(ClientConfig { listen: None, ..config() });
    let (op, said) = stage.start(join());
    let mut conn = said[0].0;
    let mut tries = 0;
    for _ in 0..60 {
        stage.closes(conn);
        let said = stage.pass(Span::from_secs(1));
        if let Some((next, _)) = said.iter().find(|(_, what)| what.starts_with("open")) {
            conn = *next;
            tries += 1;
        }
    }
    assert!((3..=6).contains(&tries), "{tries} tries in a minute");
    assert_eq!(stage.outcome(op), Some(&Progress::Failed(Failure::TimedOut(45))));
    assert_eq!(stage.pass(Span::from_secs(1000)), []);
}

#[test]
fn a_refusal_is_told_and_an_invented_name_is_changed() {
    let mut stage = Stage::new(ClientConfig { listen: None, ..config() });
    let (op, said) = stage.start(join());
    stage.opens(said[0].0, SERVER);
    assert_eq!(stage.server_says(said[0].0, 0, "Invalid Password"), [(said[0].0, "close".to_owned())]);
    stage.pass(Span::from_secs(60));
    assert!(matches!(stage.outcome(op), Some(Progress::Failed(_))));
    let mut stage = Stage::new(ClientConfig { listen: None, nick: String::new(), ..config() });
    let said = stage.start(join()).1;
    let login = |said: &[(u64, String)]| said[0].1.split(' ').nth(1).unwrap().to_owned();
    let first = login(&stage.opens(said[0].0, SERVER));
    stage.server_says(said[0].0, 0, format!("{first} is already active"));
    let said = stage.pass(Span::from_secs(10));
    let second = login(&stage.opens(said[0].0, SERVER));
    assert!(first.starts_with("hexad-") && second.starts_with("hexad-") && first != second);
}

#[test]
fn a_search_asks_one_thing_at_a_time_and_tells_hits() {
    let (mut stage, conn) = Stage::joined(config());
    let search = |words: &[&str]| Operation::Search {
        query: Query::Words { words: words.iter().map(|word| (*word).to_owned()).collect(), wanted: 10 },
    };
    let (first, said) = stage.start(search(&["camel", "song"]));
    assert_eq!(said, [(conn, "200 FILENAME CONTAINS \"camel song\" MAX_RESULTS 10 TYPE any".to_owned())]);
    let (second, said) = stage.start(search(&["zzqq"]));
    assert_eq!(said, [], "answers carry no number, so the second waits");
    let result = "\"Z:\\nap\\Desert Choir - Camel Song.mp3\" 20b0d1fb39e212e658be5217dee6b6d9 8340 128 44100 0 bert 16777343 8";
    stage.server_says(conn, 201, result);
    assert_eq!(stage.server_says(conn, 202, ""), [(conn, "200 FILENAME CONTAINS \"zzqq\" MAX_RESULTS 10 TYPE any".to_owned())]);
    assert_eq!(stage.outcome(first), Some(&Progress::Done));
    stage.server_says(conn, 202, "");
    assert_eq!(stage.outcome(second), Some(&Progress::Done));
    let hits: Vec<_> =
        stage.reports.iter().filter_map(|(_, progress)| if let Progress::Hit(hit) = progress { Some(hit) } else { None }).collect();
    let [hit] = &hits[..] else { panic!("{hits:?}") };
    assert_eq!((&*hit.name, hit.size_bytes, hit.source.peers.len()), ("Desert Choir - Camel Song.mp3", Some(8340), 0));
    assert!(hit.digests.iter().all(|digest| digest.strength() == hexad_content::Strength::Hint), "a hash of the beginning proves nothing");
    let What::Locator(locator) = &hit.source.what else { panic!("a locator") };
    let locator = Locator::read(locator).unwrap();
    assert_eq!((locator.nick.bytes(), locator.path.bytes()), (b"bert".as_slice(), b"Z:\\nap\\Desert Choir - Camel Song.mp3".as_slice()));
}

#[test]
fn a_server_that_does_not_know_type_any_is_asked_without() {
    let (mut stage, conn) = Stage::joined(config());
    let (op, _) = stage.start(Operation::Search { query: Query::Words { words: vec!["holiday".into()], wanted: 10 } });
    stage.server_says(conn, 404, "any: invalid type for search");
    assert_eq!(stage.server_says(conn, 202, ""), [(conn, "200 FILENAME CONTAINS \"holiday\" MAX_RESULTS 10".to_owned())]);
    assert_eq!(stage.outcome(op), None);
    stage.server_says(conn, 202, "");
    assert_eq!(stage.outcome(op), Some(&Progress::Done));
}

#[test]
fn a_search_ends_though_a_server_never_answers() {
    let (mut stage, _) = Stage::joined(config());
    let (op, _) = stage.start(Operation::Search { query: Query::Words { words: vec!["x".into()], wanted: 10 } });
    stage.pass(Span::from_secs(21));
    assert_eq!(stage.outcome(op), Some(&Progress::Done));
    let mut stage = Stage::new(config());
    let (op, _) = stage.start(Operation::Search { query: Query::Words { words: vec!["x".into()], wanted: 10 } });
    assert!(matches!(stage.outcome(op), Some(Progress::Failed(Failure::NotReady(_)))));
}

#[test]
fn whois_and_browse_are_answered() {
    let (mut stage, conn) = Stage::joined(config());
    let (op, said) = stage.start(Operation::Own(Request::Whois("bert".into())));
    assert_eq!(said, [(conn, "603 bert".to_owned())]);
    stage.server_says(conn, 604, "bert \"User\" 17 \" \" \"Active\" 2 0 0 8 \"v2.0\"");
    assert_eq!(stage.outcome(op), Some(&Progress::Done));
    let (op, _) = stage.start(Operation::Own(Request::Whois("nonesuch".into())));
    stage.server_says(conn, 404, "user nonesuch is not a known user");
    assert!(matches!(stage.outcome(op), Some(Progress::Failed(Failure::NotFound(_)))));
    let (op, said) = stage.start(Operation::Own(Request::Browse("bert".into())));
    assert_eq!(said, [(conn, "211 bert".to_owned())]);
    stage.server_says(conn, 212, "bert \"Z:\\nap\\Desert Choir - Slow Sand.mp3\" 9eeac7f7b8f670c655ccef44193f0fea 12510 128 44100 0");
    stage.server_says(conn, 213, "bert 16777343");
    assert_eq!(stage.outcome(op), Some(&Progress::Done));
    assert!(stage.reports.iter().any(|(of, progress)| *of == op && matches!(progress, Progress::Hit(_))));
}

#[test]
fn several_servers_are_asked_at_once() {
    let (mut stage, conn) = Stage::joined(config());
    let said = stage.start(Operation::Join { bootstrap: vec![Endpoint::Ip(SocketAddr::from(([127, 0, 0, 2], 7777)))] }).1;
    let other = said[0].0;
    stage.opens(other, ([127, 0, 0, 2], 7777));
    stage.server_says(other, 3, "anon@other");
    let (op, said) = stage.start(Operation::Search { query: Query::Words { words: vec!["x".into()], wanted: 1 } });
    assert_eq!(said.iter().map(|(conn, _)| *conn).collect::<Vec<_>>(), [conn, other]);
    stage.server_says(conn, 202, "");
    assert_eq!(stage.outcome(op), None);
    stage.server_says(other, 201, "\"x\" b 1 2 3 4 bob 16777343 4");
    assert_eq!(stage.outcome(op), Some(&Progress::Done), "as many as were wanted have come");
}
