//! How a host lives and ends.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::Instant;

use bytes::Bytes;
use hexad_core::{Input, Span, Why};
use hexad_driver::host::HostConfig;

use crate::puppet::{Message, Puppets, Request};
use crate::rig::{Machine, PATIENCE, pair};

#[test]
fn wakes_come_in_order_and_not_too_early() {
    let mut alice = Machine::<Puppets>::new();
    let start = Instant::now();
    alice.ask(Request::Wake(Span::from_millis(60), 3));
    alice.ask(Request::Wake(Span::from_millis(20), 1));
    alice.ask(Request::Wake(Span::from_millis(40), 2));
    for expected in 1..=3 {
        let timer = alice.hears("a wake", |heard| match heard {
            Input::Elapsed(timer) => Some(*timer),
            _ => None,
        });
        assert_eq!(timer, expected);
    }
    assert!(start.elapsed() >= Span::from_millis(60));
}

#[test]
fn what_is_queued_leaves_before_a_host_ends_in_order() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    let text = Message::Text(Bytes::from(vec![1; 2 << 20]));
    alice.send(to_bob, text.clone());
    alice.handle.shutdown();
    bob.receives(&text);
    assert_eq!(bob.closed(to_alice), Why::PeerClosed);
    alice.ends();
}

#[test]
fn a_host_ends_within_its_time_even_if_a_peer_reads_nothing() {
    let mut alice = Machine::<Puppets>::new();
    let at = alice.open_door();
    let _reader = TcpStream::connect(at).expect("somebody listens");
    let (conn, ..) = alice.opened();
    for _ in 0..15 {
        alice.send(conn, Message::Text(Bytes::from(vec![1; 1 << 20])));
    }
    let start = Instant::now();
    alice.handle.shutdown();
    assert!(start.elapsed() < Span::from_secs(2), "{:?}", start.elapsed());
    alice.ends();
}

#[test]
fn a_killed_host_leaves_nothing_open() {
    let mut alice = Machine::<Puppets>::new();
    let at = alice.open_door();
    let mut peer = TcpStream::connect(at).expect("somebody listens");
    peer.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    alice.opened();
    alice.handle.kill();
    assert!(!matches!(peer.read(&mut [0]), Ok(1..)));
    assert!(TcpStream::connect(at).is_err());
    alice.ends();
}

#[test]
fn a_host_whose_handles_are_gone_ends() {
    let (deliveries, shares) = (std::sync::Arc::new(crate::rig::Bin::default()), std::sync::Arc::new(crate::rig::Shelf::default()));
    let config = crate::puppet::Config::default();
    let (handle, mut events) = hexad_driver::host::Host::<Puppets>::start(config, HostConfig::default(), deliveries, shares);
    drop(handle);
    assert!(events.blocking_recv().is_none());
}

#[test]
fn a_panic_of_the_node_ends_the_events() {
    let mut alice = Machine::<Puppets>::new();
    alice.ask(Request::Panic);
    alice.ends();
}

#[test]
fn a_panic_over_a_peers_message_ends_the_events() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    alice.send(to_bob, Message::Ping(crate::puppet::DREADED));
    assert!(matches!(alice.closed(to_bob), Why::PeerClosed | Why::Broken));
    let _ = to_alice;
    bob.ends();
}
