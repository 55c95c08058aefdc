use hexad_core::{Bind, Failure, Input, Operation, Output, Progress};

use super::bench::*;
use crate::doors;

#[test]
fn with_port_0_the_datagrams_take_the_port_that_the_system_chose_for_peers() {
    let mut bench = Bench::new(crate::node::Config { listen: Some(([127, 0, 0, 1], 0).into()), ..config() }, 1);
    let said = bench.hears(Input::Start(JOIN, Operation::Join { bootstrap: Vec::new() }));
    assert_eq!(said, [Output::Listen(doors::PEERS, Bind::Stream(([127, 0, 0, 1], 0).into()))]);
    let at = ([127, 0, 0, 1], 4242).into();
    let said = bench.hears(Input::Bound(doors::PEERS, Ok(at)));
    assert_eq!(said, [Output::Listen(doors::DATAGRAMS, Bind::Datagram(at))]);
    // Somebody else has that UDP port: another pair is tried.
    let said = bench.hears(Input::Bound(doors::DATAGRAMS, Err("in use".into())));
    assert!(said.contains(&Output::Listen(doors::PEERS, Bind::Stream(([127, 0, 0, 1], 0).into()))), "{said:?}");
    let at = ([127, 0, 0, 1], 4243).into();
    bench.hears(Input::Bound(doors::PEERS, Ok(at)));
    assert_eq!(bench.hears(Input::Bound(doors::DATAGRAMS, Ok(at))), [Output::Report(JOIN, Progress::Done)]);
}

#[test]
fn a_port_that_is_taken_fails_the_join_in_words() {
    let mut bench = Bench::new(config(), 1);
    bench.hears(Input::Start(JOIN, Operation::Join { bootstrap: Vec::new() }));
    let said = bench.hears(Input::Bound(doors::PEERS, Err("address in use".into())));
    let [Progress::Failed(Failure::Host(why))] = reports(JOIN, &said)[..] else { panic!("{said:?}") };
    assert_eq!(why, "cannot listen for peers (TCP) at 0.0.0.0:6881: address in use");
}

#[test]
fn nothing_is_done_before_the_join() {
    let mut bench = Bench::new(config(), 1);
    let what = bench.link();
    let said = bench.starts_fetch(what, Vec::new());
    assert!(matches!(reports(FETCH, &said)[..], [Progress::Failed(Failure::NotReady(_))]));
}

#[test]
fn who_leaves_ends_all_that_goes_on() {
    let mut bench = Bench::joined(config(), 2).seeds();
    let (conn, _) = bench.meets(7, true);
    let said = bench.hears(Input::Cancel(JOIN));
    assert_eq!(reports(PUBLISH, &said), [&Progress::Ended]);
    assert_eq!(reports(JOIN, &said), [&Progress::Ended]);
    assert_eq!(closed(conn, &said).as_deref(), Some("swarm_left"));
    assert!(said.contains(&Output::Unlisten(doors::PEERS)));
}

#[test]
fn a_search_without_anybody_to_ask_is_answered_at_once() {
    let mut bench = Bench::joined(config(), 1);
    let digest = *bench.torrent.digests().iter().next().unwrap();
    let query = hexad_core::Query::Digest { digest, wanted: 10 };
    let said = bench.hears(Input::Start(FETCH, Operation::Search { query }));
    assert_eq!(reports(FETCH, &said), [&Progress::Done]);
    let words = hexad_core::Query::Words { words: vec!["blue".into()], wanted: 1 };
    let said = bench.hears(Input::Start(FETCH, Operation::Search { query: words }));
    assert!(matches!(reports(FETCH, &said)[..], [Progress::Failed(Failure::Unusable(_))]));
}
