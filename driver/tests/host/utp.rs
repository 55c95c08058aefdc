//! Connections over uTP, at the socket of a datagram door.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_core::{Bind, ConnId, Dial, Endpoint, Input, LeaseId, Link, Output, Payload, ShareId, Span, Transport, Via, Why};
use hexad_driver::host::HostConfig;

use crate::puppet::{Config, Message, Puppets, tcp};
use crate::rig::{Machine, POST, Shelf, loopback, noise};

const SHARE: ShareId = ShareId(1);

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
    let length = 4 << 20;
    let (left, right) = (noise(1, length), noise(2, length));
    let seed = |bytes: &[u8]| {
        let config = Config { serves: Some(SHARE), lease: Some(LeaseId(1)), ..Config::default() };
        Machine::<Puppets>::with(config, HostConfig::default(), Shelf { bytes: bytes.to_vec(), ..Shelf::default() })
    };
    let (mut alice, mut bob) = (seed(&left), seed(&right));
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    let block = 16 << 10;
    for offset in (0..length as u64).step_by(block) {
        alice.send(to_bob, Message::Get(offset, block as u64));
        bob.send(to_alice, Message::Get(offset, block as u64));
    }
    assert!(alice.bin.wait(length as u64) == right, "what came from bob differs");
    assert!(bob.bin.wait(length as u64) == left, "what came from alice differs");
}

#[test]
fn a_slow_reader_leaves_no_room_until_it_reads() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    bob.bin.congested_at.store(1, std::sync::atomic::Ordering::Relaxed);
    // Something to deliver makes bob stop reading.
    bob.say(Output::Deliver(LeaseId(1), 0, Payload::Bytes(Bytes::from_static(b"enough"))));
    bob.bin.wait(6);
    bob.room(to_alice);
    let text = Message::Text(Bytes::from(vec![7; 1 << 20]));
    let mut sent = 0;
    while alice.room(to_bob) > 0 {
        alice.send(to_bob, text.clone());
        sent += 1;
        assert!(sent < 64, "a stream took 64 MiB that nobody reads");
    }
    bob.bin.congested.store(false, std::sync::atomic::Ordering::Relaxed);
    for _ in 0..sent {
        bob.receives(&text);
    }
    alice.hears("that there is room", |heard| (*heard == Input::Room(to_bob)).then_some(()));
}

#[test]
fn last_words_arrive() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    let text = Message::Text(Bytes::from(vec![7; 200_000]));
    alice.send(to_bob, text.clone());
    alice.say(Output::Close(to_bob, "done".into()));
    bob.receives(&text);
    assert_eq!(bob.closed(to_alice), Why::PeerClosed);
}

#[test]
fn what_is_queued_leaves_before_a_host_ends_in_order() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    let text = Message::Text(Bytes::from(vec![7; 1 << 20]));
    alice.send(to_bob, text.clone());
    alice.handle.shutdown();
    bob.receives(&text);
    assert_eq!(bob.closed(to_alice), Why::PeerClosed);
    alice.ends();
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
