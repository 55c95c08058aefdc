//! Queries and hits: what is passed on, to whom, and what is not.

use std::sync::Arc;

use bytes::Bytes;
use hexad_core::{Link, Operation, Output, Progress, Query as Wanted, What};
use hexad_gnutella::wire::{Body, Guid, Message, Packet, Query, QueryHit, Record};
use hexad_gnutella::{Locator, Mode, Settings};

use crate::stage::{Stage, bye, drops, packets, queries, query, settings};

fn hit(servent: u8, name: &str) -> Arc<QueryHit> {
    let record = Record { index: 1, size: 1000, name: Bytes::copy_from_slice(name.as_bytes()), ext: Bytes::new() };
    Arc::new(QueryHit {
        at: "198.51.100.99:6346".parse().unwrap(),
        speed_kbps: 1,
        records: vec![record],
        trailer: None,
        servent: Guid([servent; 16]),
    })
}

#[test]
fn a_query_is_passed_on_once_to_all_equals_but_its_sender() {
    let mut stage = Stage::new(settings(Mode::Flat));
    let [a, b, c] = [(); 3].map(|()| stage.neighbour(None));
    let said = stage.hears_packet(a, query(1, 7, 0, "blue song"));
    assert_eq!(queries(&said), [(b, 6, 1), (c, 6, 1)]);
    let said = stage.hears_packet(b, query(1, 6, 1, "blue song"));
    assert_eq!(queries(&said), [], "a duplicate");
    let said = stage.hears_packet(b, query(2, 1, 6, "blue song"));
    assert_eq!(queries(&said), [], "its hops are used up");
    assert_eq!(stage.table.node.counts().duplicates, 1);
}

#[test]
fn a_hit_goes_back_the_way_of_its_query() {
    let mut stage = Stage::new(settings(Mode::Flat));
    let [a, b, c] = [(); 3].map(|()| stage.neighbour(None));
    stage.hears_packet(a, query(1, 7, 0, "blue song"));
    let answer = Packet { muid: Guid([1; 16]), ttl: 1, hops: 3, body: Body::Hit(hit(8, "blue song.ogg")) };
    let said = stage.hears_packet(b, answer.clone());
    assert_eq!(packets(&said, a), [Packet { ttl: 1, hops: 4, ..answer.clone() }], "even with one hop too few");
    assert_eq!(packets(&said, c), []);
    let said = stage.hears_packet(b, Packet { muid: Guid([2; 16]), ..answer.clone() });
    assert_eq!(drops(&said), ["way_back_unknown"]);
    // A push for who has answered takes the way of the hit.
    let push = hexad_gnutella::wire::Push { servent: Guid([8; 16]), index: 1, to: "198.51.100.1:6346".parse().unwrap(), ext: Bytes::new() };
    let said = stage.hears_packet(a, Packet::new(Guid([3; 16]), 4, Body::Push(Box::new(push.clone()))));
    assert!(matches!(&packets(&said, b)[..], [Packet { ttl: 3, hops: 1, body: Body::Push(passed), .. }] if **passed == push));
}

#[test]
fn what_is_offered_is_answered_and_a_stopping_node_passes_nothing_on() {
    for stops in [false, true] {
        let mut stage = Stage::new(Settings { stop_at_answer: stops, ..settings(Mode::Flat) });
        let [a, b] = [(); 2].map(|()| stage.neighbour(None));
        stage.offers("A Blue Song.ogg");
        let said = stage.hears_packet(a, query(1, 7, 2, "song blue"));
        let hits = packets(&said, a);
        assert!(
            matches!(&hits[..], [Packet { hops: 0, ttl: 5, body: Body::Hit(hit), .. }] if &hit.records[0].name[..] == b"A Blue Song.ogg")
        );
        assert_eq!(queries(&said), if stops { vec![] } else { vec![(b, 6, 3)] });
        let said = stage.hears_packet(a, query(2, 7, 2, "song green"));
        assert_eq!(packets(&said, a), []);
    }
}

#[test]
fn a_searcher_can_want_some_kinds_of_files_only() {
    let mut stage = Stage::new(settings(Mode::Flat));
    let [a, _b] = [(); 2].map(|()| stage.neighbour(None));
    stage.offers("A Blue Song.ogg");
    // GGEP `M`: sounds, pictures, sounds or pictures in two bytes, and a kind that nobody knows, which narrows nothing.
    let cases: [(&[u8], usize); 4] = [(&[0x04], 1), (&[0x20], 0), (&[0x24, 0x00], 1), (&[0x00, 0x02], 1)];
    for (number, (mask, hits)) in (1..).zip(cases) {
        let mut packet = query(number, 7, 2, "blue song");
        let Body::Query(asked) = &packet.body else { panic!("a query") };
        let block = hexad_gnutella::wire::ggep::Block::default().with("M", Bytes::copy_from_slice(mask));
        let ext = hexad_gnutella::wire::Extensions { ggep: block, ..Default::default() }.bytes();
        packet.body = Body::Query(Query { ext, ..(**asked).clone() }.into());
        let said = stage.hears_packet(a, packet);
        assert_eq!(packets(&said, a).len(), hits, "{mask:?}");
        assert!(!queries(&said).is_empty(), "it is passed on in any case");
    }
}

#[test]
fn only_leaves_that_may_have_it_are_asked() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let up = stage.neighbour(Some(true));
    let blue = stage.leaf_with(&["blue", "song"]);
    let _green = stage.leaf_with(&["green", "song"]);
    let _silent = stage.neighbour(Some(false));
    let said = stage.hears_packet(up, query(1, 1, 2, "blue song"));
    assert_eq!(queries(&said), [(blue, 1, 3)], "the last hop is no reason to pass leaves over");
    let said = stage.hears_packet(up, query(2, 3, 1, "red song"));
    assert_eq!(queries(&said), []);
}

#[test]
fn on_the_last_hop_only_ultrapeers_that_may_have_it_are_asked() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let [a, b, c] = [(); 3].map(|()| stage.neighbour(Some(true)));
    let mut table = hexad_gnutella::wire::qrp::Table::new(1 << 14);
    table.insert(hexad_gnutella::wire::qrp::hash("green"));
    for message in table.messages(None) {
        stage.hears_packet(c, Packet::new(Guid([9; 16]), 1, Body::Qrp(Box::new(message))));
    }
    let said = stage.hears_packet(a, query(1, 2, 1, "blue"));
    assert_eq!(queries(&said), [(b, 1, 2)]);
    let said = stage.hears_packet(a, query(2, 3, 1, "blue"));
    assert_eq!(queries(&said), [(b, 2, 2), (c, 2, 2)]);
}

#[test]
fn a_leafs_query_is_led_step_by_step_until_there_are_enough_hits() {
    let mut stage = Stage::new(Settings { leaf_results: 2, ..settings(Mode::Ultrapeer) });
    let ups: Vec<_> = (0..5).map(|_| stage.neighbour(Some(true))).collect();
    let leaf = stage.leaf_with(&[]);
    let said = stage.hears_packet(leaf, query(1, 4, 0, "blue song"));
    let probes = queries(&said);
    assert_eq!(probes.len(), 3, "a probe");
    assert!(probes.iter().all(|(_, ttl, hops)| (*ttl, *hops) == (2, 1)), "it has travelled from the leaf to us");
    let said = stage.passes(5);
    assert_eq!(queries(&said).len(), 1, "one link after the other");
    let answer = |number: u8| Packet { muid: Guid([1; 16]), ttl: 3, hops: 1, body: Body::Hit(hit(number, "blue song.ogg")) };
    let mut said = stage.hears_packet(ups[0], answer(50));
    said.extend(stage.hears_packet(ups[1], answer(51)));
    assert_eq!(packets(&said, leaf).len(), 2, "hits go to the leaf");
    let said = stage.passes(60);
    assert_eq!(queries(&said), [], "two were enough");
}

#[test]
fn a_leaf_that_relays_and_a_neighbour_that_abuses_hops_are_sent_away() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let leaf = stage.neighbour(Some(false));
    let said = stage.hears_packet(leaf, query(1, 3, 1, "blue song"));
    assert_eq!(bye(&said, leaf), Some(414));
    let up = stage.neighbour(Some(true));
    let mut last = Vec::new();
    for id in 10..15 {
        last = stage.hears_packet(up, query(id, 200, 100, "blue song"));
        assert!(drops(&last).contains(&"too_many_hops"));
        assert_eq!(queries(&last), []);
    }
    assert_eq!(bye(&last, up), Some(402));
    let up = stage.neighbour(Some(true));
    for (packet, code) in [(query(20, 0, 1, "blue"), "hops_used_up"), (query(21, 1, 255, "blue"), "hops_used_up")] {
        assert!(drops(&stage.hears_packet(up, packet)).contains(&code));
    }
}

#[test]
fn replays_and_floods_are_dropped_and_in_the_end_answered_with_goodbye() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let [a, b] = [(); 2].map(|()| stage.neighbour(Some(true)));
    let mut gone = None;
    for _ in 0..100 {
        let said = stage.hears_packet(a, query(1, 3, 1, "blue song"));
        gone = gone.or_else(|| bye(&said, a));
    }
    assert_eq!(gone, Some(401));
    let leaf = stage.neighbour(Some(false));
    let mut passed = 0;
    for id in 0..2000_u16 {
        let mut packet = query(7, 3, 0, "blue song");
        packet.muid.0[..2].copy_from_slice(&id.to_le_bytes());
        passed += queries(&stage.hears_packet(leaf, packet)).iter().filter(|(to, ..)| *to == b).count();
    }
    assert!((1..=60).contains(&passed), "{passed}");
    assert_eq!(stage.table.node.status().leaves, 0, "who floods without end is sent away");
}

#[test]
fn routes_are_bounded_whatever_is_sent() {
    let mut stage = Stage::new(Settings { routes_max: 1000, link_queries_per_s: 0, ..settings(Mode::Flat) });
    let a = stage.neighbour(None);
    for id in 0..20_000_u32 {
        let mut packet = query(7, 3, 1, "blue song");
        packet.muid.0[..4].copy_from_slice(&id.to_le_bytes());
        stage.hears_packet(a, packet);
        assert!(stage.table.node.status().routes <= 1000 + 1000 / 4);
    }
}

#[test]
fn a_slow_neighbour_gets_the_most_important_first_and_the_rest_is_dropped() {
    let mut stage = Stage::new(Settings { backlog_bytes_max: 2000, ..settings(Mode::Flat) });
    let [a, b] = [(); 2].map(|()| stage.neighbour(None));
    stage.hears_packet(b, query(99, 3, 1, "blue song"));
    stage.table.room = 0;
    let mut dropped = 0;
    for id in 0..100 {
        dropped += drops(&stage.hears_packet(a, query(id, 3, 1, "some words of a query"))).len();
    }
    assert!(dropped > 50, "{dropped}");
    stage.hears_packet(a, Packet { muid: Guid([99; 16]), ttl: 3, hops: 1, body: Body::Hit(hit(8, "blue song.ogg")) });
    stage.table.room = 1 << 20;
    let said = stage.table.hears(hexad_core::Input::Room(b));
    let sent = packets(&said, b);
    assert!(matches!(sent.first().map(|packet| &packet.body), Some(Body::Hit(_))), "a hit comes before queries");
    assert!(sent.len() > 10 && sent.iter().map(Packet::wire_bytes).sum::<usize>() <= 2000);
}

#[test]
fn a_search_ends_with_what_was_found_and_advertisements_are_no_hits() {
    let mut stage = Stage::new(settings(Mode::Flat));
    let [a, b] = [(); 2].map(|()| stage.neighbour(None));
    let (op, said) = stage.starts(Operation::Search { query: Wanted::Words { words: vec!["blue".into(), "song".into()], wanted: 2 } });
    let asked: Vec<_> = said
        .iter()
        .filter_map(|output| match output {
            Output::Send(Link::Conn(conn), Message::Packet(packet)) if matches!(packet.body, Body::Query(_)) => {
                Some((*conn, packet.clone()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(asked.iter().map(|(conn, _)| *conn).collect::<Vec<_>>(), [a, b]);
    let muid = asked[0].1.muid;
    let answer = |servent, name| Packet { muid, ttl: 3, hops: 1, body: Body::Hit(hit(servent, name)) };
    let said = stage.hears_packet(a, answer(20, "buy this now.exe"));
    assert_eq!(drops(&said), ["hit_not_asked_for"]);
    let said = stage.hears_packet(a, answer(21, "Blue songs.ogg"));
    let found = said.iter().find_map(|output| match output {
        Output::Report(of, Progress::Hit(hit)) if *of == op => Some((**hit).clone()),
        _ => None,
    });
    let found = found.expect("a hit");
    let What::Locator(text) = &found.source.what else { panic!("{found:?}") };
    let locator = Locator::read(text).unwrap();
    assert_eq!((locator.servent, locator.index, locator.push), (Some(Guid([21; 16])), 1, false));
    assert_eq!(found.source.peers[0].to_string(), "198.51.100.99:6346");
    assert_eq!(stage.hears_packet(b, answer(21, "Blue songs.ogg")).len(), 0, "the same file again");
    let said = stage.hears_packet(b, answer(22, "blue song (live).ogg"));
    assert!(said.iter().any(|output| matches!(output, Output::Report(of, Progress::Done) if *of == op)));
    let said = stage.hears_packet(b, answer(23, "blue song 3.ogg"));
    assert!(said.iter().all(|output| !matches!(output, Output::Report(..))), "it is over");
    // A search that finds nothing ends too.
    let (op, _) = stage.starts(Operation::Search { query: Wanted::Words { words: vec!["nothing".into()], wanted: 2 } });
    let said = stage.passes(30);
    assert!(said.iter().any(|output| matches!(output, Output::Report(of, Progress::Done) if *of == op)));
}

#[test]
fn an_oversized_query_and_one_for_nothing_go_nowhere() {
    let mut stage = Stage::new(settings(Mode::Flat));
    let [a, _b] = [(); 2].map(|()| stage.neighbour(None));
    let long = Query { flags: 0x8000, text: "blue ".repeat(60), ext: Bytes::new() };
    let said = stage.hears_packet(a, Packet::new(Guid([1; 16]), 3, Body::Query(Arc::new(long))));
    assert_eq!((queries(&said), drops(&said)), (vec![], vec!["query_too_long"]));
    let said = stage.hears_packet(a, query(2, 3, 0, " "));
    assert_eq!((queries(&said), drops(&said)), (vec![], vec!["query_for_nothing"]));
}
