//! What leaves publish, and what becomes of it.

use hexad_core::{Input, Progress, Why};
use hexad_kazaa::Settings;
use hexad_kazaa::wire::{Message, Purpose, Reason};

use crate::stage::{Stage, batch, card, closed, noted, query, record, reported, sent};

#[test]
fn what_a_leaf_has_signed_is_found_by_others_and_not_by_itself() {
    let mut stage = Stage::founder(Settings::default());
    let (alice, bob) = (stage.leaf_comes(5), stage.leaf_comes(6));
    let said = stage.says(alice, batch(5, 1, vec![record(0, "Blue Train.ogg"), record(1, "Giant Steps.ogg")]));
    assert_eq!(sent(&said, alice), [&Message::Published(1, Vec::new())]);
    let said = stage.says(bob, Message::Query(Box::new(query(1, &["train", "blue"]))));
    let [Message::Results(id, groups), Message::QueryEnd(ended, reached)] = sent(&said, bob)[..] else { panic!("{said:?}") };
    assert_eq!((id, ended, &reached[..]), (&[1; 16], &[1; 16], &[crate::stage::US][..]));
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].name.as_str(), groups[0].sources[0].addr), ("Blue Train.ogg", 5));
    let said = stage.says(alice, Message::Query(Box::new(query(2, &["blue"]))));
    assert!(matches!(sent(&said, alice)[..], [Message::QueryEnd(..)]), "{said:?}");
}

#[test]
fn the_same_content_of_several_leaves_is_one_group_with_several_sources() {
    let mut stage = Stage::founder(Settings::default());
    for leaf in 5..9 {
        let conn = stage.leaf_comes(leaf);
        stage.says(conn, batch(leaf, 1, vec![record(0, "blue.ogg")]));
    }
    let asker = stage.leaf_comes(20);
    let said = stage.says(asker, Message::Query(Box::new(query(1, &["blue"]))));
    let Message::Results(_, groups) = sent(&said, asker)[0] else { panic!("{said:?}") };
    let mut sources: Vec<u32> = groups[0].sources.iter().map(|source| source.addr).collect();
    sources.sort_unstable();
    assert_eq!((groups.len(), sources), (1, vec![5, 6, 7, 8]));
}

#[test]
fn records_that_somebody_else_has_signed_end_the_link() {
    let mut stage = Stage::founder(Settings::default());
    let leaf = stage.leaf_comes(5);
    let said = stage.says(leaf, batch(6, 1, vec![record(0, "blue.ogg")]));
    assert!(closed(&said, leaf));
    assert_eq!(noted(&said), ["forged_batch"]);
    assert_eq!(stage.node.node.index().map(hexad_kazaa::node::Index::len), Some(0));
}

#[test]
fn a_leaf_with_a_million_records_has_as_many_as_it_may() {
    let mut stage = Stage::founder(Settings { leaf_records_max: 300, ..Settings::default() });
    let leaf = stage.leaf_comes(5);
    let mut refused = 0;
    for sequence in 0..10_u32 {
        let records = (0..256).map(|at| record(sequence * 256 + at, "spam.ogg")).collect();
        let said = stage.says(leaf, batch(5, sequence.into(), records));
        let [Message::Published(_, some)] = sent(&said, leaf)[..] else { panic!("{said:?}") };
        refused += some.len();
        assert_eq!(noted(&said).len(), some.len(), "every drop is counted");
    }
    assert_eq!((refused, stage.node.node.index().map(hexad_kazaa::node::Index::len)), (10 * 256 - 300, Some(300)));
}

#[test]
fn publishing_again_changes_nothing_and_withdrawing_does() {
    let mut stage = Stage::founder(Settings::default());
    let leaf = stage.leaf_comes(5);
    let records = || stage_records();
    stage.says(leaf, batch(5, 1, records()));
    stage.says(leaf, batch(5, 1, records()));
    let count = |stage: &Stage| stage.node.node.index().map_or(0, hexad_kazaa::node::Index::len);
    assert_eq!(count(&stage), 3);
    stage.says(leaf, Message::Withdraw(vec![1, 77]));
    assert_eq!(count(&stage), 2);
    // A list that names one record leaves that one.
    assert_eq!(sent(&stage.says(leaf, Message::Begin(1, [0; 32])), leaf), [&Message::Resume(false)]);
    stage.says(leaf, batch(5, 2, vec![record(2, "c.ogg")]));
    stage.says(leaf, Message::End);
    assert_eq!(count(&stage), 1);
}

fn stage_records() -> Vec<hexad_kazaa::wire::Record> {
    vec![record(0, "a.ogg"), record(1, "b.ogg"), record(2, "c.ogg")]
}

#[test]
fn what_a_lost_leaf_offers_is_kept_for_a_minute_and_is_its_own_when_it_comes_back() {
    let mut stage = Stage::founder(Settings::default());
    let leaf = stage.leaf_comes(5);
    stage.says(leaf, batch(5, 1, stage_records()));
    stage.hears(Input::Closed(leaf, Why::Broken));
    stage.pass(30_000);
    let again = stage.leaf_comes(5);
    let sum = {
        let hashes: Vec<(u32, [u8; 32])> = stage_records().iter().map(|record| (record.number, record.hash())).collect();
        sum(&hashes)
    };
    assert_eq!(sent(&stage.says(again, Message::Begin(3, sum)), again), [&Message::Resume(true)]);
    stage.hears(Input::Closed(again, Why::Broken));
    stage.pass(70_000);
    assert_eq!(stage.node.node.index().map(hexad_kazaa::node::Index::len), Some(0));
    let late = stage.leaf_comes(5);
    assert_eq!(sent(&stage.says(late, Message::Begin(3, sum)), late), [&Message::Resume(false)]);
    // Who says that he leaves is forgotten at once.
    stage.says(late, batch(5, 2, stage_records()));
    stage.says(late, Message::Leave(Vec::new()));
    assert_eq!(stage.node.node.index().map(hexad_kazaa::node::Index::len), Some(0));
}

fn sum(records: &[(u32, [u8; 32])]) -> [u8; 32] {
    use sha2::Digest as _;
    let mut sum = sha2::Sha256::new();
    for (number, hash) in records {
        sum.update(number.to_be_bytes());
        sum.update(hash);
    }
    sum.finalize().into()
}

#[test]
fn a_full_supernode_names_others() {
    let mut stage = Stage::founder(Settings { leaves_max: 1, ..Settings::default() });
    stage.peer_comes(7);
    stage.leaf_comes(5);
    let (conn, said) = stage.comes(6, Purpose::Leaf(card()));
    let [Message::Refused(Reason::Full, others)] = sent(&said, conn)[..] else { panic!("{said:?}") };
    assert_eq!(others.iter().map(|entry| entry.addr).collect::<Vec<_>>(), [7]);
}

#[test]
fn a_leaf_publishes_to_all_its_supernodes_and_everything_to_one_that_knows_nothing() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10, 11]);
    stage.says(parents[0], Message::Resume(true));
    let (op, said) = stage.publishes("blue train.ogg");
    let [Message::Publish(batch)] = sent(&said, parents[0])[..] else { panic!("{said:?}") };
    assert_eq!((batch.records.len(), batch.records[0].name.as_str()), (1, "blue train.ogg"));
    assert!(hexad_kazaa::Place::has_signed(&crate::stage::US, &batch.signed_bytes(), &batch.signature));
    assert!(sent(&said, parents[1]).is_empty(), "it has not said what it knows");
    let said = stage.says(parents[1], Message::Resume(false));
    assert!(matches!(sent(&said, parents[1])[..], [Message::Publish(_), Message::End]), "{said:?}");
    assert!(reported(&said, op).is_empty(), "nobody has taken it yet");
    let said = stage.says(parents[0], Message::Published(1, Vec::new()));
    assert_eq!(reported(&said, op), [&Progress::Done]);
    assert!(reported(&stage.says(parents[1], Message::Published(1, Vec::new())), op).is_empty(), "once");
    let said = stage.hears(Input::Cancel(op));
    for parent in parents {
        assert_eq!(sent(&said, parent), [&Message::Withdraw(vec![0])]);
    }
    assert_eq!(reported(&said, op), [&Progress::Ended]);
}

#[test]
fn what_is_published_while_a_supernode_is_asked_what_it_knows_is_told_afterwards() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    let (op, said) = stage.publishes("blue.ogg");
    assert!(sent(&said, parents[0]).is_empty(), "it has not said what it knows");
    // It knows all that there was when it was asked: nothing.
    let said = stage.says(parents[0], Message::Resume(true));
    assert!(matches!(sent(&said, parents[0])[..], [Message::Publish(_)]), "{said:?}");
    assert!(reported(&said, op).is_empty(), "nobody has taken it yet");
    let said = stage.says(parents[0], Message::Published(1, Vec::new()));
    assert_eq!(reported(&said, op), [&Progress::Done]);
}

#[test]
fn a_publication_that_no_supernode_takes_has_failed() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    stage.says(parents[0], Message::Resume(false));
    let (op, said) = stage.publishes("blue.ogg");
    let Some(Message::Publish(batch)) = sent(&said, parents[0]).into_iter().find(|message| matches!(message, Message::Publish(_))) else {
        panic!("{said:?}")
    };
    let said = stage.says(parents[0], Message::Published(batch.sequence, vec![batch.records[0].number]));
    assert!(matches!(reported(&said, op)[..], [Progress::Failed(_)]), "{said:?}");
}

#[test]
fn a_supernode_that_says_nothing_is_not_the_only_one_that_is_asked() {
    use hexad_core::{Operation, Query};
    use hexad_kazaa::wire::{Group, Sourced};
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10, 11]);
    let query = Query::Words { words: vec!["blue".into()], wanted: 10 };
    let (op, said) = stage.start(Operation::Search { query });
    let question = |said: &crate::stage::Said, over| {
        sent(said, over).into_iter().find_map(|message| match message {
            Message::Query(flood) => Some(flood.id),
            _ => None,
        })
    };
    let asked: Vec<_> = parents.iter().filter_map(|&parent| Some((parent, question(&said, parent)?))).collect();
    let [(first, id)] = asked[..] else { panic!("{said:?}") };
    let second = *parents.iter().find(|&&parent| parent != first).unwrap();
    assert_eq!(question(&stage.pass(1900), second), None, "there is time");
    let again = question(&stage.pass(200), second).expect("the other is asked too");
    assert_ne!(again, id, "each supernode hears of it under a name of its own");
    // The first one has only been slow.
    let of = record(0, "blue.ogg");
    let sources = vec![Sourced { addr: 5, via: 10, reachable: true }];
    let group = Group { digest: of.digest, others: Vec::new(), size_bytes: 1000, name: "blue.ogg".into(), sources };
    let said = stage.says(first, Message::Results(id, vec![group]));
    assert!(matches!(reported(&said, op)[..], [Progress::Hit(_)]), "{said:?}");
    let said = stage.says(second, Message::QueryEnd(again, vec![11]));
    assert_eq!(reported(&said, op), [&Progress::Done]);
    assert_eq!(sent(&said, first), [&Message::QueryStop(id)]);
}

#[test]
fn a_leaf_goes_to_the_nearest_of_the_supernodes_that_answer() {
    use hexad_core::{Address as _, Endpoint, Link, Operation, Output};
    for (near, far) in [(10, 11), (11, 10)] {
        let mut stage = Stage::new(Settings { parents: 1, ..Settings::default() });
        let bootstrap = vec![Endpoint::of_lab_node(10), Endpoint::of_lab_node(11)];
        stage.hears(Input::Start(crate::stage::JOIN, Operation::Join { bootstrap }));
        let bound = Ok(std::net::SocketAddr::from(([0, 0, 0, 0], 6881)));
        let said = stage.hears(Input::Bound(hexad_kazaa::doors::KAZAA, bound));
        let nonce_of = |whom: u32| {
            said.iter().find_map(|output| match output {
                Output::Send(Link::Datagram(_, to), Message::Ping(nonce)) if *to == whom => Some(*nonce),
                _ => None,
            })
        };
        let (to_near, to_far) = (nonce_of(near).expect("both are asked"), nonce_of(far).expect("both are asked"));
        stage.pass(20);
        let said = stage.datagram(near, Message::Pong(to_near, crate::stage::supernode(), Vec::new()));
        assert!(crate::stage::opened(&said).is_empty(), "the other may still answer");
        stage.pass(280);
        let said = stage.datagram(far, Message::Pong(to_far, crate::stage::supernode(), Vec::new()));
        let dialled: Vec<u32> = crate::stage::opened(&said).into_iter().map(|(_, peer)| peer).collect();
        assert_eq!(dialled, [near]);
    }
}
