//! What ends because it has lasted too long, with one wake for all of it.

use std::net::SocketAddr;

use hexad_chord::wire::{Body, Reason, Step};
use hexad_chord::{Config, Contact as _, Key, Message, Node, Request, Ring, RingId as _, Settings, Small, Stage, doors};
use hexad_core::transcript::Transcript;
use hexad_core::{Failure, Input, Link, OpId, Operation, Output, Progress, Span, Time};

const OP: OpId = OpId(7);

/// Node 8 of a ring of those at all even places, that never stabilises.
fn node() -> Transcript<Node<Small>> {
    let settings = Settings { successors: 2, copies: 1, owner_distance_max: 0, stabilise_every: Span::ZERO, ..Settings::default() };
    let mut ring = Ring::new(Small(8), Stage::Member);
    ring.nursery = false;
    (ring.succ, ring.prdc) = (vec![Small(10), Small(12)], Some(Small(6)));
    let mut table = Transcript::new(Node::new(Config::from(settings)), 1);
    table.touch(|node, context, out| node.adopt(Small(8), vec![ring], context, out));
    table.hears(Input::Bound(doors::RING, Ok(SocketAddr::from(([127, 0, 0, 1], 1)))));
    table
}

/// The others answer by `answer`, each after `delay`, until the operation has ended: how and when, and how many questions there were.
fn life(
    node: &mut Transcript<Node<Small>>,
    request: Request,
    delay: Span,
    mut answer: impl FnMut(Small, &Body<Small>) -> Option<Body<Small>>,
) -> (Failure, Time, Vec<Body<Small>>) {
    const STEP: Span = Span::from_millis(10);
    let mut post: Vec<(Time, Small, Message<Small>)> = Vec::new();
    let mut asked = Vec::new();
    let mut said = node.hears(Input::Start(OP, Operation::Own(request)));
    for _ in 0..10_000 {
        for output in said.drain(..) {
            match output {
                Output::Send(Link::Datagram(_, to), message) => {
                    if let Some(body) = answer(to, &message.body) {
                        post.push((node.now + delay, to, Message { from: 0, to: 0, query: message.query, body }));
                    }
                    asked.push(message.body);
                }
                Output::Report(_, Progress::Failed(failure)) => return (failure, node.now, asked),
                _ => {}
            }
        }
        said = node.pass(STEP);
        while let Some(at) = post.iter().position(|(at, ..)| *at <= node.now) {
            let (_, from, message) = post.remove(at);
            said.extend(node.hears(Input::Received(Link::Datagram(doors::RING, from), message)));
        }
    }
    panic!("it never ends");
}

#[test]
fn a_lookup_that_gets_nearer_but_slowly_ends_at_its_deadline() {
    let key: Key = Small(5).id().to_key();
    let mut node = node();
    let (failure, ended, asked) = life(&mut node, Request::Lookup(key), Span::from_millis(800), |to, _| {
        let next = Small((to.0 + 2) % 64);
        Some(Body::Next(Step::Closer, vec![next]))
    });
    assert_eq!(failure, Failure::TimedOut(15));
    assert_eq!(ended.since(Time::ZERO).as_secs(), 15);
    assert!((15..20).contains(&asked.len()), "{} questions", asked.len());
    assert_eq!(node.node.questions(), 0);
}

#[test]
fn a_put_that_its_owner_is_not_ready_for_is_tried_again_each_second_until_its_deadline() {
    let mut node = node();
    let request = Request::Put { name: Some("a name".into()), value: bytes::Bytes::from_static(b"a value") };
    let (failure, ended, asked) = life(&mut node, request, Span::from_millis(20), |to, body| match body {
        Body::FindNext { .. } => Some(Body::Next(Step::Mine, vec![to])),
        _ => Some(Body::Refused(Reason::NotReady)),
    });
    assert_eq!(failure, Failure::TimedOut(30));
    assert_eq!(ended.since(Time::ZERO).as_secs(), 30);
    let puts = asked.iter().filter(|body| matches!(body, Body::Put(_))).count();
    assert!((26..31).contains(&puts), "{puts} puts");
    assert_eq!(node.node.questions(), 0);
}

#[test]
fn who_never_answers_is_asked_three_times_each_time_longer_and_then_counts_as_gone() {
    let mut node = node();
    let key: Key = Small(11).id().to_key();
    let (failure, ended, asked) = life(&mut node, Request::Lookup(key), Span::ZERO, |_, _| None);
    assert_eq!(failure, Failure::TimedOut(15));
    // 1, 2 and 3 seconds for each of two, one after the other.
    assert_eq!(asked.len(), 6);
    assert_eq!(ended.since(Time::ZERO).as_secs(), 12);
    assert_eq!(node.node.gone().count(), 2);
    // Who counts as gone is asked once.
    let (_, again, asked) = life(&mut node, Request::Lookup(key), Span::ZERO, |_, _| None);
    assert!(asked.len() <= 2 && again.since(ended) <= Span::from_secs(6), "{} questions in {:?}", asked.len(), again.since(ended));
}
