//! Connections over uTP, at the socket of a datagram door.

use std::net::SocketAddr;

use hexad_core::{Bind, ConnId, Dial, Endpoint, Link, Output, Span, Transport, Via, Why};

use crate::puppet::{Message, Puppets, tcp};
use crate::rig::{Machine, POST, loopback};
use crate::streams;

fn utp() -> Dial {
    Dial { transport: Transport::Utp(POST), ..tcp() }
}

fn open(machine: &mut Machine) -> SocketAddr {
    machine.listen(POST, Bind::Datagram(loopback())).expect("a port")
}

/// Two machines that have met: the dialler first.
fn pair(alice: &mut Machine, bob: &mut Machine) -> (ConnId, ConnId) {
    let (alices, bobs) = (open(alice), open(bob));
    let conn = alice.dial_with(Endpoint::Ip(bobs), utp());
    assert_eq!(alice.opened(), (conn, Endpoint::Ip(bobs), Via::Dialled));
    let (accepted, peer, via) = bob.opened();
    assert_eq!((peer, via), (Endpoint::Ip(alices), Via::Accepted(POST)));
    (conn, accepted)
}

#[test]
fn either_may_speak_first_and_datagrams_pass_beside_connections() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    bob.send(to_alice, Message::Ping(1));
    bob.receives(&Message::Pong(1));
    alice.send(to_bob, Message::Ping(2));
    assert_eq!(alice.receives(&Message::Pong(2)), Link::Conn(to_bob));
    let bobs = bob.listen(POST, Bind::Datagram(loopback())).expect("another port");
    alice.say(Output::Send(Link::Datagram(POST, Endpoint::Ip(bobs)), Message::Ping(3)));
    assert_eq!(alice.receives(&Message::Pong(3)), Link::Datagram(POST, Endpoint::Ip(bobs)));
    alice.send(to_bob, Message::Ping(4));
    assert_eq!(alice.receives(&Message::Pong(4)), Link::Conn(to_bob), "it goes over the door that was closed");
}

#[test]
fn shares_cross_in_both_directions_byte_by_byte() {
    streams::shares_cross_in_both_directions_byte_by_byte(pair);
}

#[test]
fn a_slow_reader_leaves_no_room_until_it_reads() {
    streams::a_slow_reader_leaves_no_room_until_it_reads(pair);
}

#[test]
fn last_words_arrive() {
    streams::last_words_arrive(pair);
}

#[test]
fn what_is_queued_leaves_before_a_host_ends_in_order() {
    streams::what_is_queued_leaves_before_a_host_ends_in_order(pair);
}

#[test]
fn nobody_home_times_out_and_no_door_is_unreachable() {
    let mut alice = Machine::<Puppets>::new();
    let silent = std::net::UdpSocket::bind(loopback()).expect("a port");
    let nobody = Endpoint::Ip(silent.local_addr().expect("an address"));
    let conn = alice.dial_with(nobody.clone(), utp());
    assert_eq!(alice.closed(conn), Why::Unreachable);
    open(&mut alice);
    let conn = alice.dial_with(nobody, Dial { deadline: Span::from_millis(100), ..utp() });
    assert_eq!(alice.closed(conn), Why::TimedOut);
}
