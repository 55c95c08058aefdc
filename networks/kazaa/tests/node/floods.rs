//! Questions among supernodes, and searches of our own.

use hexad_core::{Input, Operation, Progress, Query, Why};
use hexad_kazaa::wire::{Flood, Group, Message, Sourced};
use hexad_kazaa::{Request, Settings};

use crate::stage::{Stage, batch, noted, query, record, reported, sent};

fn group(number: u32, source: u32) -> Group<u32> {
    let record = record(number, "blue.ogg");
    Group {
        digest: record.digest,
        others: Vec::new(),
        size_bytes: 1000,
        name: record.name,
        sources: vec![Sourced { addr: source, via: 7, reachable: true }],
    }
}

#[test]
fn a_question_goes_on_to_other_supernodes_and_the_answers_come_back_the_way_it_came() {
    let mut stage = Stage::founder(Settings::default());
    let (leaf, one, two) = (stage.leaf_comes(5), stage.peer_comes(7), stage.peer_comes(8));
    let said = stage.says(leaf, Message::Query(Box::new(query(1, &["blue"]))));
    assert!(sent(&said, leaf).is_empty(), "nothing is found here, and it is not over");
    for peer in [one, two] {
        let [Message::Query(further)] = sent(&said, peer)[..] else { panic!("{said:?}") };
        assert_eq!((further.id, further.hops), ([1; 16], 1));
        assert!(further.deadline_ms < 10_000);
    }
    let said = stage.says(one, Message::Results([1; 16], vec![group(1, 30)]));
    assert_eq!(sent(&said, leaf), [&Message::Results([1; 16], vec![group(1, 30)])]);
    let said = stage.says(one, Message::QueryEnd([1; 16], vec![7]));
    assert!(sent(&said, leaf).is_empty());
    let said = stage.says(two, Message::QueryEnd([1; 16], vec![8, 9]));
    assert_eq!(sent(&said, leaf), [&Message::QueryEnd([1; 16], vec![7, 8, 9, crate::stage::US])]);
    // Answers that come after the end, or to what was never asked, go nowhere.
    let said = stage.says(two, Message::Results([1; 16], vec![group(2, 31)]));
    assert!(sent(&said, leaf).is_empty());
}

#[test]
fn a_question_is_looked_at_once_and_never_goes_back() {
    let mut stage = Stage::founder(Settings::default());
    let (one, two) = (stage.peer_comes(7), stage.peer_comes(8));
    let asked = Flood { hops: 1, ..query(1, &["blue"]) };
    let said = stage.says(one, Message::Query(Box::new(asked.clone())));
    assert!(sent(&said, one).is_empty());
    assert!(matches!(sent(&said, two)[..], [Message::Query(further)] if further.hops == 0));
    let said = stage.says(two, Message::Query(Box::new(asked)));
    assert_eq!(sent(&said, two), [&Message::QueryEnd([1; 16], Vec::new())]);
    assert!(sent(&said, one).is_empty());
}

#[test]
fn a_question_without_hops_stays_here() {
    let mut stage = Stage::founder(Settings::default());
    let (one, two) = (stage.peer_comes(7), stage.peer_comes(8));
    let said = stage.says(one, Message::Query(Box::new(Flood { hops: 0, ..query(1, &["blue"]) })));
    assert!(matches!(sent(&said, one)[..], [Message::QueryEnd(..)]));
    assert!(sent(&said, two).is_empty());
}

#[test]
fn supernodes_are_asked_a_few_at_a_time_until_there_is_enough() {
    let mut stage = Stage::founder(Settings::default());
    let leaf = stage.leaf_comes(5);
    let peers: Vec<_> = (10..20).map(|peer| stage.peer_comes(peer)).collect();
    let asked = Flood { fan_out: 4, wanted: 2, ..query(1, &["blue"]) };
    let said = stage.says(leaf, Message::Query(Box::new(asked)));
    let first: Vec<_> = peers.iter().copied().filter(|&peer| !sent(&said, peer).is_empty()).collect();
    assert_eq!(first.len(), 4);
    let mut second = Vec::new();
    for &peer in &first {
        second = stage.says(peer, Message::QueryEnd([1; 16], Vec::new()));
    }
    let next: Vec<_> = peers.iter().copied().filter(|&peer| !sent(&second, peer).is_empty()).collect();
    assert_eq!(next.len(), 4);
    assert!(next.iter().all(|peer| !first.contains(peer)));
    stage.says(next[0], Message::Results([1; 16], vec![group(1, 30), group(2, 31)]));
    let mut last = Vec::new();
    for &peer in &next {
        last = stage.says(peer, Message::QueryEnd([1; 16], Vec::new()));
    }
    assert!(matches!(sent(&last, leaf)[..], [Message::QueryEnd(..)]), "two are enough: the last two are not asked");
}

#[test]
fn supernodes_that_answer_nothing_are_passed_over_in_time() {
    let mut stage = Stage::founder(Settings::default());
    let leaf = stage.leaf_comes(5);
    let silent = stage.peer_comes(7);
    stage.says(leaf, Message::Query(Box::new(query(1, &["blue"]))));
    let said = stage.pass(3500);
    assert!(matches!(sent(&said, leaf)[..], [Message::QueryEnd(..)]), "{said:?}");
    assert_eq!(stage.node.node.sizes()[1], 0, "nothing of it is left");
    let said = stage.says(silent, Message::QueryEnd([1; 16], vec![7]));
    assert!(sent(&said, leaf).is_empty());
}

#[test]
fn a_supernode_that_answers_with_far_more_than_was_asked_for_is_cut_short() {
    let mut stage = Stage::founder(Settings { answer_groups_max: 2, ..Settings::default() });
    let leaf = stage.leaf_comes(5);
    let liar = stage.peer_comes(7);
    stage.says(leaf, Message::Query(Box::new(Flood { wanted: 2, ..query(1, &["blue"]) })));
    let said = stage.says(liar, Message::Results([1; 16], (0..100).map(|number| group(number, 30)).collect()));
    let passed: usize =
        sent(&said, leaf).iter().map(|message| if let Message::Results(_, groups) = message { groups.len() } else { 0 }).sum();
    assert_eq!((passed, noted(&said)), (8, vec!["too_many_results"]));
}

#[test]
fn a_flood_of_questions_is_dropped_and_counted() {
    let settings = Settings { queries_per_s: 2, queries_burst: 5, ..Settings::default() };
    let mut stage = Stage::founder(settings);
    let leaf = stage.leaf_comes(5);
    let other = stage.peer_comes(7);
    let (mut asked, mut dropped) = (0, 0);
    for id in 0..50 {
        let said = stage.says(leaf, Message::Query(Box::new(query(id, &["blue"]))));
        asked += sent(&said, other).len();
        dropped += noted(&said).iter().filter(|code| **code == "query_flood").count();
    }
    assert_eq!((asked, dropped), (5, 45));
}

#[test]
fn questions_of_who_is_gone_are_stopped() {
    let mut stage = Stage::founder(Settings::default());
    let leaf = stage.leaf_comes(5);
    let other = stage.peer_comes(7);
    stage.says(leaf, Message::Query(Box::new(query(1, &["blue"]))));
    let said = stage.says(leaf, Message::QueryStop([1; 16]));
    assert_eq!(sent(&said, other), [&Message::QueryStop([1; 16])]);
    assert_eq!(stage.node.node.sizes()[1], 0);
}

#[test]
fn a_search_goes_to_another_supernode_when_the_one_that_was_asked_is_lost() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10, 11]);
    let words = Operation::Search { query: Query::Words { words: vec!["blue".into()], wanted: 5 } };
    let (op, said) = stage.start(words);
    let asked = *parents.iter().find(|&&parent| !sent(&said, parent).is_empty()).expect("one of them is asked");
    let other = *parents.iter().find(|&&parent| parent != asked).expect("there are two");
    assert!(sent(&said, other).is_empty(), "one message to one supernode");
    let said = stage.hears(Input::Closed(asked, Why::Broken));
    let [Message::Query(flood)] = sent(&said, other)[..] else { panic!("{said:?}") };
    let id = flood.id;
    let said = stage.says(other, Message::Results(id, vec![group(1, 30), group(1, 31), group(2, crate::stage::US)]));
    let hits = reported(&said, op);
    assert!(matches!(hits[..], [Progress::Hit(first), Progress::Hit(_)] if first.source.peers.len() == 1), "{hits:?}");
    let said = stage.says(other, Message::QueryEnd(id, vec![11]));
    assert_eq!(reported(&said, op), [&Progress::Done]);
}

#[test]
fn a_search_that_nobody_answers_fails_in_time() {
    let (mut stage, _) = Stage::leaf(Settings { ping_every: hexad_core::Span::from_secs(60), ..Settings::default() }, &[10]);
    let (op, _) = stage.start(Operation::Search { query: Query::Words { words: vec!["blue".into()], wanted: 5 } });
    let said = stage.pass(13_000);
    assert!(matches!(reported(&said, op)[..], [Progress::Failed(_)]), "{said:?}");
}

#[test]
fn searching_for_more_says_where_was_looked_before() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    let (op, said) = stage.start(Operation::Search { query: Query::Words { words: vec!["blue".into()], wanted: 5 } });
    let [Message::Query(flood)] = sent(&said, parents[0])[..] else { panic!("{said:?}") };
    assert!(flood.skip.is_empty());
    let said = stage.says(parents[0], Message::QueryEnd(flood.id, vec![10, 11, 12]));
    assert_eq!(reported(&said, op), [&Progress::Done]);
    let (_, said) = stage.start(Operation::Own(Request::SearchMore { words: vec!["blue".into()], wanted: 5 }));
    let [Message::Query(flood)] = sent(&said, parents[0])[..] else { panic!("{said:?}") };
    assert_eq!(flood.skip, [10, 11, 12]);
    // Whoever was looked at passes it on all the same.
    let mut passing = Stage::founder(Settings::default());
    let leaf = passing.leaf_comes(5);
    passing.says(leaf, batch(5, 1, vec![record(0, "blue.ogg")]));
    let (asker, seen, fresh) = (passing.leaf_comes(6), passing.peer_comes(7), passing.peer_comes(8));
    let more = Flood { skip: vec![crate::stage::US, 7], fan_out: 1, ..query(1, &["blue"]) };
    let said = passing.says(asker, Message::Query(Box::new(more)));
    assert!(sent(&said, asker).is_empty() && sent(&said, seen).is_empty());
    assert_eq!(sent(&said, fresh).len(), 1);
}
