//! Connections: opening, ending, and what goes over them.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hexad_core::{Bind, Endpoint, Input, LeaseId, Name, Output, Payload, ShareId, Via, Why};
use hexad_driver::LeaseSink as _;
use hexad_driver::host::HostConfig;

use crate::puppet::{Config, Message, Mimes, Puppets, Request, Shy, sealed, tcp};
use crate::rig::{CALLS, Machine, PATIENCE, Shelf, loopback, noise, pair, short};

const SHARE: ShareId = ShareId(1);
const BLOCK: u64 = 16 << 10;

fn seed(bytes: Vec<u8>, host: HostConfig) -> Machine {
    let config = Config { serves: Some(SHARE), lease: Some(LeaseId(1)), ..Config::default() };
    Machine::with(config, host, Shelf { bytes, ..Shelf::default() })
}

#[test]
fn a_dialled_peer_answers() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    alice.send(to_bob, Message::Ping(1));
    bob.receives(&Message::Ping(1));
    alice.receives(&Message::Pong(1));
    bob.send(to_alice, Message::Ping(2));
    bob.receives(&Message::Pong(2));
}

#[test]
fn what_is_sent_before_a_connection_is_open_arrives_first() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let at = bob.open_door();
    let conn = alice.dial(at);
    for number in 0..100 {
        alice.send(conn, Message::Ping(number));
    }
    for number in 0..100 {
        let first = bob.hears("pings in order", |heard| match heard {
            Input::Received(_, Message::Ping(number)) => Some(*number),
            _ => None,
        });
        assert_eq!(first, number);
    }
}

#[test]
fn shares_cross_in_both_directions_byte_by_byte() {
    let length = 8 << 20;
    let (left, right) = (noise(1, length), noise(2, length));
    let mut alice = seed(left.clone(), HostConfig::default());
    let mut bob = seed(right.clone(), HostConfig::default());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    for offset in (0..length as u64).step_by(BLOCK as usize) {
        alice.send(to_bob, Message::Get(offset, BLOCK));
        bob.send(to_alice, Message::Get(offset, BLOCK));
    }
    assert!(alice.bin.wait(length as u64) == right, "what came from bob differs");
    assert!(bob.bin.wait(length as u64) == left, "what came from alice differs");
    let blocks = length as u64 / BLOCK;
    let reads = alice.shelf.reads.load(Ordering::Relaxed);
    assert!(reads < blocks / 4, "{reads} reads for {blocks} blocks that lie side by side");
}

#[test]
fn a_range_longer_than_any_buffer_crosses_whole() {
    let bytes = noise(3, 5_000_001);
    let mut alice = seed(bytes.clone(), HostConfig::default());
    let mut bob = seed(Vec::new(), HostConfig::default());
    let (_, to_alice) = pair(&mut alice, &mut bob);
    bob.send(to_alice, Message::Get(0, bytes.len() as u64));
    bob.send(to_alice, Message::Ping(1));
    assert!(bob.bin.wait(bytes.len() as u64) == bytes);
    bob.receives(&Message::Pong(1));
    let mut sent = 0;
    while sent < bytes.len() as u64 {
        sent += alice.hears("what was sent", |heard| match heard {
            Input::Sent(_, bytes) => Some(*bytes),
            _ => None,
        });
    }
    assert_eq!(sent, bytes.len() as u64, "only bytes of shares are counted");
}

#[test]
fn messages_longer_than_the_read_buffer_cross_whole() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, _) = pair(&mut alice, &mut bob);
    let texts: Vec<Message> = (1..4).map(|number| Message::Text(noise(number, 3 << 20).into())).collect();
    for text in &texts {
        alice.send(to_bob, text.clone());
    }
    for text in &texts {
        bob.receives(text);
    }
}

#[test]
fn what_is_not_in_memory_is_read_elsewhere_and_arrives_in_order() {
    let bytes = noise(4, 1 << 20);
    let mut alice = seed(bytes.clone(), HostConfig::default());
    alice.shelf.cold.store(true, Ordering::Relaxed);
    let mut bob = seed(Vec::new(), HostConfig::default());
    let (_, to_alice) = pair(&mut alice, &mut bob);
    for offset in (0..1 << 20).step_by(BLOCK as usize) {
        bob.send(to_alice, Message::Get(offset, BLOCK));
        bob.send(to_alice, Message::Ping(offset));
    }
    assert!(bob.bin.wait(1 << 20) == bytes);
    for offset in (0..1 << 20).step_by(BLOCK as usize) {
        bob.receives(&Message::Pong(offset));
    }
    assert_eq!(alice.shelf.reads.load(Ordering::Relaxed), 0);
    assert!(alice.shelf.cold_reads.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_share_that_cannot_be_read_closes_its_connection_with_a_reason() {
    let mut alice = seed(noise(5, 1000), HostConfig::default());
    let mut bob = seed(Vec::new(), HostConfig::default());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    bob.send(to_alice, Message::Get(500, 1000));
    let why = alice.closed(to_bob);
    assert!(matches!(&why, Why::Ours(reason) if reason.contains("share unreadable")), "{why:?}");
    alice.notes("share_unreadable");
    assert_eq!(bob.closed(to_alice), Why::PeerClosed);
    assert_eq!(bob.bin.bytes(), 0);
}

/// A peer that speaks through a socket of the test's own.
fn stranger(machine: &mut Machine) -> (TcpStream, hexad_core::ConnId) {
    let at = machine.open_door();
    let stream = TcpStream::connect(at).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    let (conn, peer, _) = machine.opened();
    assert_eq!(peer, Endpoint::Ip(stream.local_addr().expect("an address")));
    (stream, conn)
}

#[test]
fn a_slow_reader_leaves_no_room_until_it_reads() {
    let mut alice = Machine::<Puppets>::new();
    let (mut reader, conn) = stranger(&mut alice);
    let full = alice.room(conn);
    assert_eq!(full, HostConfig::default().send_queue_mark_bytes);
    let text = Message::Text(Bytes::from(vec![7; 1 << 20]));
    let mut sent = 0_u64;
    while alice.room(conn) > 0 {
        alice.send(conn, text.clone());
        sent += hexad_core::Message::wire_bytes(&text);
        assert!(sent < 64 << 20, "a socket took 64 MiB that nobody reads");
    }
    let mut came = vec![0; usize::try_from(sent).expect("small")];
    reader.read_exact(&mut came).expect("all that was sent");
    alice.hears("that there is room", |heard| (*heard == Input::Room(conn)).then_some(()));
    assert_eq!(alice.room(conn), full);
}

#[test]
fn a_queue_that_nobody_reads_ends_its_connection() {
    let mut alice = Machine::<Puppets>::new();
    let (_reader, conn) = stranger(&mut alice);
    let text = Message::Text(Bytes::from(vec![7; 1 << 20]));
    for _ in 0..64 {
        alice.send(conn, text.clone());
    }
    assert_eq!(alice.closed(conn), Why::Overrun);
    assert_eq!(alice.room(conn), 0);
}

#[test]
fn ranges_that_have_not_begun_to_leave_can_be_taken_back() {
    let bytes = noise(6, 1 << 20);
    let mut alice = seed(bytes, HostConfig::default());
    let (mut reader, conn) = stranger(&mut alice);
    // More than any socket takes at once; ranges take no memory.
    for _ in 0..32 {
        for offset in (0..1 << 20).step_by(BLOCK as usize) {
            alice.say(Output::SendShare(conn, Message::Block(offset, Payload::EMPTY), SHARE, offset..offset + BLOCK));
        }
    }
    assert_eq!(alice.room(conn), 0);
    alice.say(Output::Unsend(conn));
    alice.hears("that there is room", |heard| (*heard == Input::Room(conn)).then_some(()));
    alice.send(conn, Message::Ping(9));
    let mut came = Vec::new();
    let tail = loop {
        let mut some = vec![0; 1 << 20];
        let length = reader.read(&mut some).expect("more");
        assert_ne!(length, 0, "the end came before the last message");
        came.extend_from_slice(&some[..length]);
        // Whole frames of blocks, then the message.
        let frame = (13 + BLOCK) as usize;
        if came.len() % frame == 13 {
            break came.split_off(came.len() - 13);
        }
    };
    assert!((came.len() as u64) < 32 << 20, "nothing was taken back");
    let mut cipher = u8::try_from(came.len() % 256).expect("a byte");
    assert_eq!(tail, sealed(&Message::Ping(9), &mut cipher));
}

#[test]
fn nobody_home_is_unreachable() {
    let mut alice = Machine::<Puppets>::new();
    let free = TcpListener::bind(loopback()).expect("a port").local_addr().expect("an address");
    let conn = alice.dial(free);
    assert_eq!(alice.closed(conn), Why::Unreachable);
}

#[test]
fn a_host_that_does_not_answer_times_out() {
    // A listener whose backlog is full lets further calls hang.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    listener.bind(&loopback().into()).expect("a port");
    listener.listen(0).expect("to listen");
    let at = listener.local_addr().expect("an address").as_socket().expect("an IP address");
    let _callers: Vec<_> = (0..4)
        .map(|_| {
            let caller = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
            caller.set_nonblocking(true).expect("an option");
            let _ = caller.connect(&at.into());
            caller
        })
        .collect();
    let mut alice = Machine::<Puppets>::new();
    let conn = alice.dial_with(at.into(), short(100));
    assert_eq!(alice.closed(conn), Why::TimedOut);
}

#[test]
fn a_dial_can_be_given_up() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    listener.bind(&loopback().into()).expect("a port");
    listener.listen(1).expect("to listen");
    let at = listener.local_addr().expect("an address").as_socket().expect("an IP address");
    let mut alice = Machine::<Puppets>::new();
    let conn = alice.dial(at);
    alice.say(Output::Close(conn, "as the test wishes".into()));
    alice.ask(Request::Room(conn));
    let (mut bob, mut carol) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    pair(&mut bob, &mut carol);
    assert!(!alice.has_heard(|heard| matches!(heard, Input::Closed(..))), "nothing more is heard of what the node closed");
}

#[test]
fn dials_wait_for_their_turn() {
    let mut bob = Machine::<Puppets>::new();
    let at = bob.open_door();
    let host = HostConfig { half_open_max: 1, ..HostConfig::default() };
    let mut alice = Machine::<Puppets>::with(Config::default(), host, Shelf::default());
    for _ in 0..20 {
        alice.dial(at);
    }
    for _ in 0..20 {
        alice.opened();
    }
}

#[test]
fn names_are_looked_up() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let port = bob.open_door().port();
    let named = |host: &str| Endpoint::Name(Name { host: host.to_owned(), port });
    alice.dial_with(named("localhost"), tcp());
    let (_, peer, _) = alice.opened();
    assert_eq!(peer, Endpoint::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
    alice.dial_with(named("127.0.0.1"), tcp());
    alice.opened();
    // Reserved so that it never exists (RFC 6761).
    let conn = alice.dial_with(named("nobody.invalid"), tcp());
    assert_eq!(alice.closed(conn), Why::NoSuchName);
}

#[test]
fn last_words_arrive() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let (to_bob, to_alice) = pair(&mut alice, &mut bob);
    alice.send(to_bob, Message::Text(Bytes::from_static(b"that is all")));
    alice.say(Output::Close(to_bob, "done".into()));
    bob.receives(&Message::Text(Bytes::from_static(b"that is all")));
    assert_eq!(bob.closed(to_alice), Why::PeerClosed);
    assert!(!alice.has_heard(|heard| matches!(heard, Input::Closed(..))));
}

#[test]
fn what_a_peer_said_before_it_hung_up_is_heard() {
    let mut alice = Machine::<Puppets>::new();
    let (mut stream, conn) = stranger(&mut alice);
    let mut place = 0;
    let mut bytes = sealed(&Message::Text(Bytes::from_static(b"bye")), &mut place);
    bytes.extend(sealed(&Message::Ping(3), &mut place).iter().take(6));
    stream.write_all(&bytes).expect("to write");
    drop(stream);
    alice.receives(&Message::Text(Bytes::from_static(b"bye")));
    alice.hears("what was cut off", |heard| matches!(heard, Input::Received(_, Message::Rest(rest)) if rest.len() == 6).then_some(()));
    assert!(matches!(alice.closed(conn), Why::PeerClosed | Why::Broken));
}

#[test]
fn nonsense_ends_a_connection() {
    let mut alice = Machine::<Puppets>::new();
    let (mut stream, conn) = stranger(&mut alice);
    stream.write_all(&[0xff; 64]).expect("to write");
    let why = alice.closed(conn);
    assert!(matches!(why, Why::Malformed(_)), "{why:?}");
    let mut rest = Vec::new();
    // Reset or closed: it is over.
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
}

#[test]
fn silence_ends_a_word() {
    let mut mime = Machine::<Mimes>::new();
    let at = mime.open_door();
    let mut stream = TcpStream::connect(at).expect("somebody listens");
    let mut place = 0;
    let bytes = sealed(&Message::Ping(3), &mut place);
    stream.write_all(&bytes[..7]).expect("to write");
    mime.hears("a word", |heard| matches!(heard, Input::Received(_, Message::Silence(word)) if word.len() == 7).then_some(()));
}

#[test]
fn more_connections_than_allowed_are_closed_and_counted() {
    let host = HostConfig { connections_max: 2, ..HostConfig::default() };
    let mut alice = Machine::<Puppets>::with(Config::default(), host, Shelf::default());
    let at = alice.open_door();
    let _first = TcpStream::connect(at).expect("somebody listens");
    let _second = TcpStream::connect(at).expect("somebody listens");
    alice.opened();
    alice.opened();
    let mut third = TcpStream::connect(at).expect("somebody listens");
    assert!(!matches!(third.read(&mut [0]), Ok(1..)));
    alice.notes("no_room_for_connection");
    assert_eq!(alice.handle.note_counts()["no_room_for_connection"], 1);
    let conn = alice.dial(at);
    assert_eq!(alice.closed(conn), Why::NoRoom);
}

#[test]
fn a_door_that_cannot_be_opened_says_why() {
    let mut alice = Machine::<Puppets>::new();
    let taken = TcpListener::bind(loopback()).expect("a port");
    let at = taken.local_addr().expect("an address");
    let sentence = alice.listen(CALLS, Bind::Stream(at)).expect_err("the port is taken");
    assert!(sentence.starts_with(&format!("{at} cannot be listened at for connections: ")), "{sentence}");
}

#[test]
fn a_door_at_all_addresses_is_open_for_both_families() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let at = bob.listen(CALLS, Bind::Stream(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))).expect("a port");
    assert_eq!(at.ip(), Ipv4Addr::UNSPECIFIED);
    alice.dial(SocketAddr::from((Ipv4Addr::LOCALHOST, at.port())));
    let (_, peer, via) = bob.opened();
    assert_eq!((peer.ip().expect("an address").is_ipv4(), via), (true, Via::Accepted(CALLS)));
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return eprintln!("skipped the half about IPv6: this machine has none");
    }
    alice.dial(SocketAddr::from((Ipv6Addr::LOCALHOST, at.port())));
    let (_, peer, via) = bob.opened();
    assert_eq!((peer.ip().expect("an address").is_ipv6(), via), (true, Via::Accepted(CALLS)));
}

#[test]
fn a_closed_door_lets_nobody_in() {
    let (mut alice, mut bob) = (Machine::<Puppets>::new(), Machine::<Puppets>::new());
    let at = bob.open_door();
    bob.say(Output::Unlisten(CALLS));
    // The answer shows that the door has been closed.
    bob.room(hexad_core::ConnId(1));
    // Its task may still have to let go of the socket: whoever gets through is not accepted.
    let conn = alice.dial(at);
    let end = alice.closed(conn);
    assert!(matches!(end, Why::Unreachable | Why::Broken | Why::PeerClosed), "{end:?}");
    assert!(!bob.has_heard(|heard| matches!(heard, Input::Opened { .. })));
}

#[test]
fn nothing_is_read_while_the_transfers_are_congested() {
    let bytes = noise(7, 8 << 20);
    let mut alice = seed(bytes.clone(), HostConfig::default());
    let mut bob = seed(Vec::new(), HostConfig::default());
    bob.bin.congested_at.store(BLOCK, Ordering::Relaxed);
    let (_, to_alice) = pair(&mut alice, &mut bob);
    for offset in (0..bytes.len() as u64).step_by(BLOCK as usize) {
        bob.send(to_alice, Message::Get(offset, BLOCK));
    }
    bob.bin.wait(BLOCK);
    // The node still answers its session, and what it has read is at most one buffer and what came before it noticed.
    bob.room(to_alice);
    let held = bob.bin.bytes();
    bob.room(to_alice);
    assert_eq!(bob.bin.bytes(), held, "something was read in spite of congestion");
    assert!(held < bytes.len() as u64);
    bob.bin.congested.store(false, Ordering::Relaxed);
    bob.handle.relieved();
    assert!(bob.bin.wait(bytes.len() as u64) == bytes);
}

#[test]
fn a_codec_greets_before_the_node_speaks() {
    let (mut alice, mut bob) = (Machine::<Shy>::new(), Machine::<Shy>::new());
    let at = bob.open_door();
    let conn = alice.dial(at);
    for number in 0..100 {
        alice.send(conn, Message::Ping(number));
    }
    let (back, ..) = bob.opened();
    bob.send(back, Message::Text(Bytes::from_static(b"welcome")));
    alice.receives(&Message::Text(Bytes::from_static(b"welcome")));
    for number in 0..100 {
        alice.receives(&Message::Pong(number));
    }
}

#[test]
fn many_slow_readers_get_all_that_was_queued() {
    let mut alice = seed(noise(8, 1 << 20), HostConfig::default());
    let at = alice.open_door();
    let mut readers = Vec::new();
    for _ in 0..20 {
        readers.push(TcpStream::connect(at).expect("somebody listens"));
        let (conn, ..) = alice.opened();
        for round in 0..8_u64 {
            for offset in (0..1 << 20).step_by(BLOCK as usize) {
                alice.say(Output::SendShare(conn, Message::Block((round << 20) + offset, Payload::EMPTY), SHARE, offset..offset + BLOCK));
            }
        }
    }
    let mut expected = Vec::new();
    let mut place = 0_usize;
    for round in 0..8_u64 {
        for offset in (0..1 << 20).step_by(BLOCK as usize) {
            let mut frame = u32::try_from(9 + BLOCK).expect("short").to_be_bytes().to_vec();
            frame.push(3);
            frame.extend(((round << 20) + offset).to_be_bytes());
            frame.extend(&alice.shelf.bytes[offset as usize..][..BLOCK as usize]);
            frame.iter_mut().enumerate().for_each(|(at, byte)| *byte ^= u8::try_from((place + at) % 256).expect("a byte"));
            place += frame.len();
            expected.extend(frame);
        }
    }
    for mut reader in readers {
        reader.set_read_timeout(Some(PATIENCE)).expect("an option");
        let mut came = vec![0; expected.len()];
        reader.read_exact(&mut came).expect("all that was queued");
        assert!(came == expected);
    }
}
