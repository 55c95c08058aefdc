//! Whether nodes can be reached, and what is done for those who cannot.

use bytes::Bytes;
use hexad_content::{Digest, Magnet};
use hexad_core::{Input, LeaseId, Link, Operation, Output, Payload, ShareId, Source, Via, What, Why};
use hexad_kazaa::Settings;
use hexad_kazaa::wire::{Block, Body, Card, Group, Message, Purpose, Reason, Sourced};

use crate::stage::{Stage, US, batch, card, closed, noted, opened, query, record, sent, share};

/// Lets time go by until a call is asked of `caller` about somebody.
fn call_asked(stage: &mut Stage, caller: hexad_core::ConnId) -> (u32, u64) {
    for _ in 0..40 {
        let said = stage.pass(1000);
        for message in sent(&said, caller) {
            if let Message::CallBack(who, nonce) = message {
                return (*who, *nonce);
            }
        }
    }
    panic!("no call was asked for");
}

#[test]
fn a_leaf_is_called_back_by_a_third_node_and_told_what_came_of_it() {
    let mut stage = Stage::founder(Settings::default());
    let leaf = stage.leaf_comes(5);
    let third = stage.peer_comes(7);
    let (who, nonce) = call_asked(&mut stage, third);
    assert_eq!(who, 5);
    // Only the answer to that question counts.
    assert!(sent(&stage.says(third, Message::Called(nonce ^ 1, true)), leaf).is_empty());
    let said = stage.says(third, Message::Called(nonce, true));
    assert_eq!(sent(&said, leaf), [&Message::Tested(true)]);
}

#[test]
fn who_is_asked_to_call_does_so_and_tells() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    let said = stage.says(parents[0], Message::CallBack(42, 7));
    let [(conn, 42)] = opened(&said)[..] else { panic!("{said:?}") };
    let said = stage.hears(Input::Opened { conn, peer: 42, via: Via::Dialled });
    assert_eq!(sent(&said, conn), [&Message::Hello(42, Purpose::CallBack(7))]);
    let said = stage.says(conn, Message::Heard(7, true));
    assert_eq!(sent(&said, parents[0]), [&Message::Called(7, true)]);
    assert!(closed(&said, conn));
    // One that cannot be reached.
    let said = stage.says(parents[0], Message::CallBack(43, 8));
    let [(conn, 43)] = opened(&said)[..] else { panic!("{said:?}") };
    let said = stage.hears(Input::Closed(conn, Why::TimedOut));
    assert_eq!(sent(&said, parents[0]), [&Message::Called(8, false)]);
    // Whom we know already proves nothing.
    assert_eq!(noted(&stage.says(parents[0], Message::CallBack(10, 9))), ["call_refused"]);
}

#[test]
fn a_leaf_is_told_to_push_only_to_who_asks_for_it() {
    let mut stage = Stage::founder(Settings::default());
    let leaf = stage.leaf_comes(5);
    let said = stage.datagram(30, Message::Push(5, US, 30, 77));
    assert_eq!(sent(&said, leaf), [&Message::PushOrder(30, 77)]);
    let said = stage.datagram(30, Message::Push(5, US, 31, 77));
    assert!(sent(&said, leaf).is_empty());
    assert_eq!(noted(&said), ["push_for_another"]);
}

#[test]
fn a_relay_passes_on_what_belongs_to_a_transfer_and_ends_with_either_end() {
    let mut stage = Stage::founder(Settings::default());
    let leaf = stage.leaf_comes(5);
    let digest = *share("a").digests.iter().next().expect("it has one");
    let (asker, said) = stage.comes(30, Purpose::Relay(5));
    let [Message::RelayOrder(token)] = sent(&said, leaf)[..] else { panic!("{said:?}") };
    let token = *token;
    stage.says(asker, Message::Describe(digest));
    // Nobody else can take the leaf's place.
    let (stranger, said) = stage.comes(31, Purpose::RelayGive(token));
    assert!(closed(&said, stranger));
    let (giver, said) = stage.comes(5, Purpose::RelayGive(token));
    assert_eq!(sent(&said, giver), [&Message::Describe(digest)]);
    let block = Message::Block(Box::new(Block { offset: 3, body: Body(Payload::Bytes(Bytes::from_static(b"bytes"))) }));
    assert_eq!(sent(&stage.says(giver, block.clone()), asker), [&block]);
    assert_eq!(noted(&stage.says(giver, Message::Promote)), ["unexpected_message"]);
    assert_eq!(stage.node.node.standing(stage.node.now).relays, 1);
    let said = stage.hears(Input::Closed(asker, Why::PeerClosed));
    assert!(closed(&said, giver));
    assert_eq!(stage.node.node.standing(stage.node.now).relays, 0);
}

#[test]
fn relays_are_few() {
    let mut stage = Stage::founder(Settings { relays_max: 1, ..Settings::default() });
    stage.leaf_comes(5);
    stage.comes(30, Purpose::Relay(5));
    let (late, said) = stage.comes(31, Purpose::Relay(5));
    assert!(matches!(sent(&said, late)[..], [Message::Refused(Reason::TooMany, _)]), "{said:?}");
}

#[test]
fn a_leaf_that_would_be_no_supernode_is_tested_when_it_matters() {
    let mut stage = Stage::founder(Settings::default());
    let unwilling = Purpose::Leaf(Card { willing: false, ..card() });
    let leaves: Vec<_> = (20..24).map(|leaf| stage.comes(leaf, unwilling.clone()).0).collect();
    stage.says(leaves[1], batch(21, 1, vec![record(0, "blue.ogg")]));
    // Who is tested in so many seconds; all can be reached.
    let tested = |stage: &mut Stage, seconds: u32| -> Vec<u32> {
        let mut tested = Vec::new();
        for second in 0..seconds {
            let said = stage.pass(1000);
            for (&caller, message) in leaves.iter().flat_map(|leaf| sent(&said, *leaf).into_iter().map(move |message| (leaf, message))) {
                if let Message::CallBack(who, nonce) = message {
                    tested.push(*who);
                    stage.says(caller, Message::Called(*nonce, true));
                }
            }
            if second % 60 == 0 {
                leaves.iter().for_each(|&leaf| drop(stage.says(leaf, Message::Ping(1))));
            }
        }
        tested
    };
    assert_eq!(tested(&mut stage, 60), []);
    stage.says(leaves[0], Message::Query(Box::new(query(1, &["green"]))));
    assert_eq!(tested(&mut stage, 20), [20], "who searches");
    stage.says(leaves[0], Message::Query(Box::new(query(2, &["blue"]))));
    assert_eq!(tested(&mut stage, 20), [21], "who is found");
    assert_eq!(tested(&mut stage, 490), []);
    let mut others = tested(&mut stage, 40);
    others.sort_unstable();
    assert_eq!(others, [22, 23]);
    stage.leaf_comes(30);
    assert_eq!(tested(&mut stage, 5), [30], "it may be an heir");
}

/// Starts a fetch whose only source is behind a translator; returns what follows when that is known.
fn fetch_from_behind(stage: &mut Stage, parent: hexad_core::ConnId) -> Vec<hexad_core::Outbound<hexad_kazaa::Node<u32>>> {
    let digests = share("blue.ogg").digests;
    let digest: Digest = *digests.iter().next().expect("it has one");
    let what = What::Magnet(Box::new(Magnet { digests, ..Magnet::default() }));
    let operation = Operation::Fetch { source: Source { what, peers: Vec::new() }, lease: LeaseId(1), share: ShareId(1) };
    let (_, said) = stage.start(operation);
    let [Message::Query(flood)] = sent(&said, parent)[..] else { panic!("{said:?}") };
    let source = Sourced { addr: 20, via: 21, reachable: false };
    let group = Group { digest, others: Vec::new(), size_bytes: 40_000, name: "blue.ogg".into(), sources: vec![source] };
    stage.says(parent, Message::Results(flood.id, vec![group]))
}

#[test]
fn a_source_that_cannot_be_reached_is_told_to_come() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    let said = fetch_from_behind(&mut stage, parents[0]);
    let push = said.iter().find_map(|output| match output {
        Output::Send(Link::Datagram(_, 21), Message::Push(20, 21, US, token)) => Some(*token),
        _ => None,
    });
    let token = push.expect("its supernode is asked");
    // Not anybody with that token, but the source.
    let (stranger, said) = stage.comes(33, Purpose::Give(token));
    assert!(closed(&said, stranger));
    let (conn, said) = stage.comes(20, Purpose::Give(token));
    assert!(matches!(sent(&said, conn)[..], [Message::Describe(_)]), "{said:?}");
}

#[test]
fn what_does_not_come_is_fetched_over_its_supernode() {
    let (mut stage, parents) = Stage::leaf(Settings { ping_every: hexad_core::Span::from_secs(60), ..Settings::default() }, &[10]);
    fetch_from_behind(&mut stage, parents[0]);
    let said = stage.pass(8000);
    let [(conn, 21)] = opened(&said)[..] else { panic!("{said:?}") };
    let said = stage.hears(Input::Opened { conn, peer: 21, via: Via::Dialled });
    assert!(matches!(sent(&said, conn)[..], [Message::Hello(21, Purpose::Relay(20)), Message::Describe(_)]), "{said:?}");
}

#[test]
fn who_cannot_be_reached_itself_begins_with_the_relay() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    stage.says(parents[0], Message::Tested(false));
    let said = fetch_from_behind(&mut stage, parents[0]);
    assert!(matches!(opened(&said)[..], [(_, 21)]), "{said:?}");
}

#[test]
fn a_leaf_opens_what_its_supernode_orders() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    let said = stage.says(parents[0], Message::PushOrder(30, 5));
    let [(conn, 30)] = opened(&said)[..] else { panic!("{said:?}") };
    let said = stage.hears(Input::Opened { conn, peer: 30, via: Via::Dialled });
    assert_eq!(sent(&said, conn), [&Message::Hello(30, Purpose::Give(5))]);
    let said = stage.says(parents[0], Message::RelayOrder(6));
    assert!(matches!(opened(&said)[..], [(_, 10)]), "{said:?}");
}
