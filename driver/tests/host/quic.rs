//! Our own overlays: keys, streams and datagrams over QUIC.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use hexad_core::{Answer, Ask, AskFailure, Bind, ConnId, Dial, Endpoint, Input, Link, Output, Payload, Span, Transport, Via, Why};
use hexad_driver::host::{HostConfig, NodeKey};

use crate::puppet::{Config, Message, Mimes, Puppets, tcp};
use crate::rig::{CALLS, Machine, POST, Shelf, loopback, noise};
use crate::streams;

fn quic() -> Dial {
    Dial { transport: Transport::Quic, ..tcp() }
}

/// Opens a door; how the machine is reached through it.
fn open(machine: &mut Machine) -> Endpoint {
    let at = machine.listen(CALLS, Bind::Quic(loopback())).expect("a port");
    Endpoint::Key(machine.handle.public_key().expect("a bound door has a key"), at)
}

fn at(endpoint: &Endpoint) -> SocketAddr {
    endpoint.socket().expect("an address")
}

/// Two machines that have met: the dialler first.
fn pair(alice: &mut Machine, bob: &mut Machine) -> (ConnId, ConnId) {
    let (alices, bobs) = (open(alice), open(bob));
    let conn = alice.dial_with(bobs.clone(), quic());
    assert_eq!(alice.opened(), (conn, bobs, Via::Dialled));
    let (accepted, peer, via) = bob.opened();
    assert_eq!((peer, via), (alices, Via::Accepted(CALLS)));
    (conn, accepted)
}

#[test]
fn peers_are_known_by_their_keys_and_either_may_speak_first() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    bob.send(to_alice, Message::Ping(1));
    bob.receives(&Message::Pong(1));
    alice.send(to_bob, Message::Ping(2));
    alice.receives(&Message::Pong(2));
}

#[test]
fn a_second_stream_shares_the_connection_and_goes_either_way() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (first, _) = pair(&mut alice, &mut bob);
    let bobs = Endpoint::Key(bob.handle.public_key().expect("a key"), SocketAddr::from(([127, 0, 0, 1], 1)));
    // The address is wrong, but the connection is there.
    let second = alice.dial_with(bobs, quic());
    assert_eq!(alice.opened().0, second);
    bob.opened();
    let alices = Endpoint::Key(alice.handle.public_key().expect("a key"), SocketAddr::from(([127, 0, 0, 1], 1)));
    let back = bob.dial_with(alices, quic());
    assert_eq!(bob.opened().0, back);
    alice.opened();
    for (number, conn) in [first, second].into_iter().enumerate() {
        alice.send(conn, Message::Ping(number as u64));
        assert_eq!(alice.receives(&Message::Pong(number as u64)), Link::Conn(conn));
    }
}

#[test]
fn dials_at_the_same_time_share_one_connection() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    open(&mut alice);
    let bobs = open(&mut bob);
    let conns: Vec<ConnId> = (0..50).map(|_| alice.dial_with(bobs.clone(), quic())).collect();
    for _ in &conns {
        alice.opened();
        bob.opened();
    }
    for conn in conns {
        alice.send(conn, Message::Ping(conn.0));
        assert_eq!(alice.receives(&Message::Pong(conn.0)), Link::Conn(conn));
    }
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
fn a_peer_with_another_key_is_refused() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    open(&mut alice);
    let bobs = open(&mut bob);
    let somebody = NodeKey::generate().expect("a key").public();
    let conn = alice.dial_with(Endpoint::Key(somebody, at(&bobs)), quic());
    assert_eq!(alice.closed(conn), Why::Ours("the peer has another key".into()));
    bob.notes("quic_handshake_failed");
    assert!(!bob.has_heard(|heard| matches!(heard, Input::Opened { .. })));
}

#[test]
fn networks_do_not_mix() {
    let mut alice = Machine::<Puppets>::new();
    let mut mime = Machine::<Mimes>::new();
    open(&mut alice);
    let mimes = mime.listen(CALLS, Bind::Quic(loopback())).expect("a port");
    let key = mime.handle.public_key().expect("a key");
    let conn = alice.dial_with(Endpoint::Key(key, mimes), quic());
    assert_eq!(alice.closed(conn), Why::Unreachable);
    mime.notes("quic_handshake_failed");
}

#[test]
fn nobody_home_times_out_and_no_door_is_unreachable() {
    let mut alice = Machine::<Puppets>::new();
    let silent = std::net::UdpSocket::bind(loopback()).expect("a port");
    let nobody = Endpoint::Key(NodeKey::generate().expect("a key").public(), silent.local_addr().expect("an address"));
    let conn = alice.dial_with(nobody.clone(), quic());
    assert_eq!(alice.closed(conn), Why::Unreachable);
    open(&mut alice);
    let hasty = Dial { deadline: Span::from_millis(100), ..quic() };
    let conn = alice.dial_with(nobody, hasty);
    assert_eq!(alice.closed(conn), Why::TimedOut);
    let conn = alice.dial_with(Endpoint::Ip(silent.local_addr().expect("an address")), quic());
    assert_eq!(alice.closed(conn), Why::Unreachable);
}

#[test]
fn small_messages_go_as_datagrams_with_or_without_a_connection() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (alices, bobs) = (open(&mut alice), open(&mut bob));
    for number in 0..10 {
        alice.say(Output::Send(Link::Datagram(CALLS, bobs.clone()), Message::Ping(number)));
        assert_eq!(bob.receives(&Message::Ping(number)), Link::Datagram(CALLS, alices.clone()));
        assert_eq!(alice.receives(&Message::Pong(number)), Link::Datagram(CALLS, bobs.clone()));
    }
    alice.say(Output::Send(Link::Datagram(CALLS, bobs), Message::Text(Bytes::from(vec![0; 10_000]))));
    assert_eq!(alice.notes("datagram_dropped").detail, "it is too long");
    alice.say(Output::Send(Link::Datagram(CALLS, at(&alices).into()), Message::Ping(1)));
    assert_eq!(alice.notes("datagram_dropped").detail, "over QUIC only peers with a key are reached");
    alice.say(Output::Send(Link::Datagram(POST, alices), Message::Ping(1)));
    assert_eq!(alice.notes("datagram_dropped").detail, "the door is not open");
}

#[test]
fn what_is_said_just_before_the_end_is_heard() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (alices, bobs) = (open(&mut alice), open(&mut bob));
    alice.say(Output::Send(Link::Datagram(CALLS, bobs.clone()), Message::Ping(0)));
    alice.receives(&Message::Pong(0));
    for number in 1..20 {
        alice.say(Output::Send(Link::Datagram(CALLS, bobs.clone()), Message::Ping(number)));
    }
    alice.handle.shutdown();
    for number in 0..20 {
        assert_eq!(bob.receives(&Message::Ping(number)), Link::Datagram(CALLS, alices.clone()));
    }
}

fn own_key(machine: &mut Machine) -> Bytes {
    match machine.answer(Ask::Load("host", b"public-key".to_vec())) {
        Answer::Loaded(Some(Payload::Bytes(key))) => key,
        other => panic!("expected a key, came {other:?}"),
    }
}

#[test]
fn a_key_outlives_its_process_and_a_node_learns_the_public_half_alone() {
    let home = tempfile::tempdir().expect("a folder");
    let start = |key| {
        let host = HostConfig { state_dir: Some(home.path().to_owned()), key, ..HostConfig::default() };
        Machine::<Puppets>::with(Config::default(), host, Shelf::default())
    };
    let mut alice = start(None);
    let key = own_key(&mut alice);
    assert_eq!(alice.handle.public_key().expect("a key")[..], key[..]);
    let secret = alice.answer(Ask::Load("host", b"ed25519-seed".to_vec()));
    assert_eq!(secret, Answer::Failed(AskFailure::Forbidden("the bucket 'host' is the host's own".into())));
    alice.handle.shutdown();
    drop(alice);
    let mut alice = start(None);
    assert_eq!(own_key(&mut alice), key);
    alice.handle.shutdown();
    drop(alice);
    let given = NodeKey::generate().expect("a key");
    let mut alice = start(Some(given.clone()));
    assert_eq!(own_key(&mut alice)[..], given.public()[..]);
    let at = alice.listen(CALLS, Bind::Quic(loopback())).expect("a port");
    assert_eq!(alice.handle.public_key(), Some(given.public()));
    assert_ne!(at.port(), 0);
}

#[test]
fn strangers_without_a_key_and_noise_get_nowhere() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let bobs = open(&mut bob);
    let stranger = std::net::UdpSocket::bind(loopback()).expect("a port");
    for seed in 0..200 {
        let mut packet = BytesMut::from(&noise(seed, 1200)[..]);
        packet[0] |= 0xc0;
        stranger.send_to(&packet, at(&bobs)).expect("to send");
    }
    open(&mut alice);
    alice.dial_with(bobs, quic());
    alice.opened();
    bob.opened();
}
