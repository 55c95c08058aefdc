//! The papers' worked examples (chord.md 15), on a ring of 64 places.

use std::net::SocketAddr;

use hexad_chord::id::RingId as _;
use hexad_chord::{Config, Contact as _, Key, Node, Ring, Settings, Small, Stage, doors};
use hexad_core::transcript::Transcript;
use hexad_core::{Input, Link, OpId, Operation, Output, Span};

const NODES: [u32; 10] = [1, 8, 14, 21, 32, 38, 42, 48, 51, 56];

/// A place of the ring of 64 as a key.
fn key(place: u32) -> Key {
    Small(place).id().to_key()
}

fn owner(place: u32) -> u32 {
    NODES.into_iter().find(|&node| node >= place % 64).unwrap_or(NODES[0])
}

/// The ring of a node as the papers draw it, with `successors` successors.
fn ring(at: u32, successors: usize) -> Ring<Small> {
    let place = NODES.iter().position(|&node| node == at).expect("one of the nodes");
    let mut ring = Ring::new(Small(at), Stage::Member);
    ring.nursery = false;
    ring.succ = (1..=successors).map(|step| Small(NODES[(place + step) % 10])).collect();
    ring.prdc = Some(Small(NODES[(place + 9) % 10]));
    for bit in 0..6 {
        ring.set_finger(58 + bit, &Small(owner(at + (1 << bit))));
    }
    ring
}

#[test]
fn fingers_of_node_8_are_those_of_the_paper() {
    let ring = ring(8, 1);
    let fingers: Vec<u32> = (0..6).map(|bit| ring.finger(58 + bit).expect("a finger").0).collect();
    assert_eq!(fingers, [14, 14, 14, 21, 32, 42]);
    assert_eq!(ring.distinct_fingers(), 4);
}

#[test]
fn keys_lie_where_the_paper_says() {
    for (place, node) in [(10, 14), (24, 32), (30, 32), (38, 38), (54, 56)] {
        let owners: Vec<u32> = NODES.into_iter().filter(|&at| ring(at, 1).owns(Small(place).id())).collect();
        assert_eq!(owners, [node], "key {place}");
    }
}

fn node(at: u32) -> Transcript<Node<Small>> {
    let settings = Settings { successors: 1, copies: 1, owner_distance_max: 0, ..Settings::default() };
    let mut table = Transcript::new(Node::new(Config::from(settings)), 1);
    table.touch(|node, context, out| node.adopt(Small(at), vec![ring(at, 1)], context, out));
    table.hears(Input::Bound(doors::RING, Ok(SocketAddr::from(([127, 0, 0, 1], 1)))));
    table
}

#[test]
fn the_lookup_of_54_from_8_goes_by_42_and_51_to_56() {
    let mut nodes: Vec<(u32, Transcript<Node<Small>>)> = NODES.into_iter().map(|at| (at, node(at))).collect();
    let mut way = Vec::new();
    let mut post: Vec<(u32, u32, hexad_chord::Message<Small>)> = Vec::new();
    let start = nodes.iter_mut().find(|(at, _)| *at == 8).expect("node 8");
    let request = hexad_chord::Request::Lookup(key(54));
    let mut said: Vec<(u32, Vec<_>)> = vec![(8, start.1.hears(Input::Start(OpId(1), Operation::Own(request))))];
    let mut reported = None;
    for _ in 0..40 {
        for (from, outputs) in said.drain(..) {
            for output in outputs {
                match output {
                    Output::Send(Link::Datagram(_, to), message) => post.push((from, to.0, message)),
                    Output::Report(_, hexad_core::Progress::Own(hexad_chord::Reply::Owner(found))) => reported = Some(found),
                    _ => {}
                }
            }
        }
        let Some((from, to, message)) = post.pop() else { break };
        if from == 8 {
            way.push(to);
        }
        let (at, node) = nodes.iter_mut().find(|(at, _)| *at == to).expect("one of the nodes");
        said.push((*at, node.hears(Input::Received(Link::Datagram(doors::RING, Small(from)), message))));
    }
    assert_eq!(way, [42, 51, 56]);
    let found = reported.expect("an owner");
    assert_eq!((found.owner, found.hops, found.timeouts, found.took), (Small(56), 3, 0, Span::ZERO));
}
