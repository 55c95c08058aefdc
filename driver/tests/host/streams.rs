//! What holds of every wire that carries a stream over datagrams, whatever the two machines have met by.

use bytes::Bytes;
use hexad_core::{ConnId, Input, LeaseId, Output, Payload, ShareId, Why};
use hexad_driver::host::HostConfig;

use crate::puppet::{Config, Message, Puppets};
use crate::rig::{Machine, Shelf, noise};

const SHARE: ShareId = ShareId(1);

/// Lets two machines meet: the connection as the first knows it, who has dialled, and as the second does.
pub type Pair = fn(&mut Machine, &mut Machine) -> (ConnId, ConnId);

pub fn shares_cross_in_both_directions_byte_by_byte(pair: Pair) {
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

pub fn a_slow_reader_leaves_no_room_until_it_reads(pair: Pair) {
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

pub fn last_words_arrive(pair: Pair) {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    let text = Message::Text(Bytes::from(vec![7; 200_000]));
    alice.send(to_bob, text.clone());
    alice.say(Output::Close(to_bob, "done".into()));
    bob.receives(&text);
    assert_eq!(bob.closed(to_alice), Why::PeerClosed);
}

pub fn what_is_queued_leaves_before_a_host_ends_in_order(pair: Pair) {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    let text = Message::Text(Bytes::from(vec![7; 1 << 20]));
    alice.send(to_bob, text.clone());
    alice.handle.shutdown();
    bob.receives(&text);
    assert_eq!(bob.closed(to_alice), Why::PeerClosed);
    alice.ends();
}
