//! FastTrack's own wire against conversations that giFT-FastTrack 0.8.9 had with a supernode (`vectors/fasttrack/`), and old leaves at our door.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use bytes::BytesMut;
use hexad_core::transcript::Transcript;
use hexad_core::{Codec as _, ConnId, Cue, Endpoint, Input, Link, OpId, Operation, Outbound, Output, Role, Span, Via};
use hexad_kazaa::wire::fasttrack::{Fast, Found, FromLeaf, Keystream, Offer, Session, Sought, Term, ToLeaf};
use hexad_kazaa::wire::{Codec, Message};
use hexad_kazaa::{Config, Node, Settings, doors};

const SEED0: (&[u8], &[u8]) =
    (include_bytes!("../vectors/fasttrack/ft-gift-seed0.c2s.bin"), include_bytes!("../vectors/fasttrack/ft-gift-seed0.c2s.plain.bin"));
const SEED0_BACK: (&[u8], &[u8]) =
    (include_bytes!("../vectors/fasttrack/ft-gift-seed0.s2c.bin"), include_bytes!("../vectors/fasttrack/ft-gift-seed0.s2c.plain.bin"));
const SEED1_PLAIN: &[u8] = include_bytes!("../vectors/fasttrack/ft-gift-seed1.c2s.plain.bin");

/// What our codec reads of a leaf's bytes, that come in steps, and what it answers by itself.
fn heard(bytes: &[u8], step: usize) -> (Vec<FromLeaf>, BytesMut) {
    let (mut codec, mut input, mut reply, mut messages) =
        (Codec::<Endpoint>::new(Role::Acceptor), BytesMut::new(), BytesMut::new(), Vec::new());
    for part in bytes.chunks(step) {
        input.extend_from_slice(part);
        while let Some(message) = codec.decode(Cue::Bytes, &mut input, &mut reply).expect("giFT speaks FastTrack") {
            let Message::Fast(fast) = message else { panic!("{message:?}") };
            let Fast::From(message) = *fast else { panic!("{fast:?}") };
            messages.push(message);
        }
    }
    assert!(input.is_empty(), "everything is read");
    (messages, reply)
}

#[test]
fn a_recorded_session_is_read_whatever_steps_it_comes_in_and_written_the_same() {
    let (wire, plain) = SEED0;
    let (messages, reply) = heard(wire, wire.len());
    for step in [1, 2, 7, 19, 100] {
        assert_eq!(heard(wire, step), (messages.clone(), reply.clone()), "steps of {step}");
    }
    // Our handshake and name are those of the supernode of the recording.
    assert_eq!(reply[..], SEED0_BACK.0[..14]);
    let mut session = Session::default();
    let mut written = BytesMut::from(&b"KaZaA\0"[..]);
    messages.iter().for_each(|message| session.encode(&Fast::From(message.clone()), &mut written));
    assert_eq!(&written[..], plain);
    // What the listing beside the recording says of it.
    let at = SocketAddrV4::new(Ipv4Addr::new(44, 1, 1, 1), 1299);
    assert_eq!(messages[0], FromLeaf::Info { at, bandwidth: 0x60, user: b"giFTed".to_vec() });
    let FromLeaf::Publish(offer) = &messages[1] else { panic!("{:?}", messages[1]) };
    assert_eq!((offer.media, offer.id, offer.size), (1, 5145, 12_510));
    assert_eq!(offer.tags[0], (2, b"Desert Choir - Slow Sand.mp3".to_vec()));
    assert_eq!(offer.tags[1], (0x15, vec![0x81, 0]));
    let searches: Vec<&Sought> =
        messages.iter().filter_map(|message| if let FromLeaf::Search(sought) = message { Some(sought) } else { None }).collect();
    assert_eq!((searches[0].id, searches[0].max, searches[0].realm), (0, 1000, 0xbf));
    assert_eq!(searches[0].terms, [Term { compare: 5, field: 0, text: b"proof song".to_vec() }]);
    assert_eq!(searches[4].terms[0].text, b"b\xe4nd");
}

#[test]
fn a_push_is_read_as_recorded() {
    // The supernode of the recording had another seed; with ours the same words would be enciphered like this.
    let mut plain = SEED1_PLAIN.to_vec();
    Keystream::new(0xfacb_1238).apply(&mut plain);
    let wire = [&[0xfa, 0x00, 0xb6, 0x2b, 0xfa, 0xcb, 0x12, 0x38, 0x32, 0x09, 0xd2, 0x32][..], &plain].concat();
    let (messages, _) = heard(&wire, 50);
    let push = messages.iter().find(|message| matches!(message, FromLeaf::Push { .. })).expect("there is one");
    let socket = |ip: [u8; 4], port| SocketAddrV4::new(ip.into(), port);
    let expected = FromLeaf::Push {
        id: 1,
        me: socket([44, 1, 1, 1], 1299),
        target: socket([192, 168, 1, 7], 2345),
        supernode: socket([44, 1, 1, 1], 1214),
        user: b"second".to_vec(),
    };
    assert_eq!(*push, expected);
}

#[test]
fn what_a_supernode_says_has_the_bytes_of_the_recording() {
    let by = SocketAddrV4::new(Ipv4Addr::new(44, 1, 1, 1), 1214);
    let text = |text: &str| text.as_bytes().to_vec();
    let builtin = Found {
        at: by,
        bandwidth: 0x60,
        user: text("builtin"),
        offer: Offer {
            media: 0,
            uuhash: std::array::from_fn(|at| u8::try_from(at).unwrap_or(0)),
            id: 4711,
            size: 1_234_567,
            tags: vec![(2, text("Proof Band - Proof Song.mp3")), (4, text("Proof Song")), (6, text("Proof Band"))],
        },
    };
    let mut session = Session::default();
    let mut written = BytesMut::from(&b"KaZaA\0"[..]);
    for message in [
        ToLeaf::Network(text("KaZaA")),
        ToLeaf::Outside(Ipv4Addr::new(44, 1, 1, 1)),
        ToLeaf::Statistics(2_000_000, 900_000_000, 6000),
        ToLeaf::Results { by, id: 0, found: vec![builtin] },
        ToLeaf::SearchEnd(0),
    ] {
        session.encode(&Fast::To(message), &mut written);
    }
    assert_eq!(written[..], SEED0_BACK.1[..written.len()]);
}

#[test]
fn what_no_leaf_sends_is_refused_and_nothing_long_is_made_of_it() {
    for (kind, data) in [(0x22, &[0, 1, 0, 0][..]), (0x06, &[0, 1, 0, 1, 0, 1, 1, 0xbf, 0xff, 0x7f]), (0x02, &[1, 2, 3]), (0x0d, &[0; 20])]
    {
        assert!(FromLeaf::read(kind, data).is_err(), "{kind:02x}");
    }
    let mut codec = Codec::<Endpoint>::new(Role::Acceptor);
    let mut input = BytesMut::from(&[7; 200][..]);
    assert!(codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()).is_err(), "no name comes within 64 bytes");
}

/// A supernode with its door open.
struct Stage(Transcript<Node<Endpoint>>);

fn from(ip: [u8; 4]) -> Endpoint {
    Endpoint::Ip(SocketAddr::from((ip, 50_000)))
}

impl Stage {
    fn new() -> Self {
        let fasttrack = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
        let settings = Settings { identity: Some([9; 32]), fasttrack, fasttrack_leaves_max: 3, leaf_records_max: 5, ..Settings::default() };
        let mut stage = Self(Transcript::new(Node::new(Config::from(settings)), 1));
        stage.0.hears(Input::Start(OpId(1), Operation::Join { bootstrap: Vec::new() }));
        let said = stage.0.hears(Input::Bound(doors::KAZAA, Ok(SocketAddr::from(([44, 9, 9, 9], 6400)))));
        assert!(said.iter().any(|output| matches!(output, Output::Listen(doors::FASTTRACK, _))), "{said:?}");
        stage.0.hears(Input::Bound(doors::FASTTRACK, Ok(SocketAddr::from(([0, 0, 0, 0], 1214)))));
        stage
    }

    fn says(&mut self, conn: ConnId, message: FromLeaf) -> Vec<Outbound<Node<Endpoint>>> {
        self.0.hears(Input::Received(Link::Conn(conn), Message::Fast(Box::new(Fast::From(message)))))
    }

    fn comes(&mut self, ip: [u8; 4], user: &str) -> ConnId {
        let conn = self.0.accepted();
        self.0.hears(Input::Opened { conn, peer: from(ip), via: Via::Accepted(doors::FASTTRACK) });
        // It does not know its outside address; we see it.
        let at = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 1299);
        let said = self.says(conn, FromLeaf::Info { at, bandwidth: 0x60, user: user.as_bytes().to_vec() });
        let [ToLeaf::Network(_), ToLeaf::Outside(seen), ToLeaf::Statistics(users, ..), ToLeaf::Supernodes(us)] = &told(&said, conn)[..]
        else {
            panic!("{said:?}")
        };
        assert_eq!((*seen, *users), (ip.into(), 100_000));
        assert_eq!(us[0].0, SocketAddrV4::new(Ipv4Addr::new(44, 9, 9, 9), 1214));
        conn
    }
}

fn told(said: &[Outbound<Node<Endpoint>>], over: ConnId) -> Vec<ToLeaf> {
    said.iter()
        .filter_map(|output| match output {
            Output::Send(Link::Conn(conn), Message::Fast(fast)) if *conn == over => match &**fast {
                Fast::To(message) => Some(message.clone()),
                Fast::From(_) => None,
            },
            _ => None,
        })
        .collect()
}

fn offer(number: u8, name: &str) -> Offer {
    Offer {
        media: 1,
        uuhash: [number; 20],
        id: number.into(),
        size: 1000,
        tags: vec![(2, name.as_bytes().to_vec()), (0x15, vec![0x81, 0])],
    }
}

fn sought(terms: Vec<Term>, realm: u8) -> FromLeaf {
    FromLeaf::Search(Sought { id: 7, max: 50, realm, terms })
}

fn any(text: &str) -> Term {
    Term { compare: 5, field: 0, text: text.as_bytes().to_vec() }
}

fn results(said: &[Outbound<Node<Endpoint>>], over: ConnId) -> Vec<Found> {
    let told = told(said, over);
    assert_eq!(told.last(), Some(&ToLeaf::SearchEnd(7)));
    told.into_iter().flat_map(|message| if let ToLeaf::Results { found, .. } = message { found } else { Vec::new() }).collect()
}

#[test]
fn old_leaves_find_what_others_of_them_offer() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.comes([44, 1, 1, 1], "alice"), stage.comes([44, 1, 1, 2], "bob"));
    for _ in 0..2 {
        // giFT publishes everything twice.
        stage.says(alice, FromLeaf::Publish(offer(1, "Desert Choir - Slow Sand.mp3")));
        stage.says(alice, FromLeaf::Publish(offer(2, "Desert Choir - Camel Song.mp3")));
    }
    assert_eq!(stage.0.node.old_leaves(), (2, 2));
    let found = results(&stage.says(bob, sought(vec![any("slow choir")], 0xbf)), bob);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].user.as_slice(), found[0].at), (&b"alice"[..], SocketAddrV4::new(Ipv4Addr::new(44, 1, 1, 1), 1299)));
    // By hash, by realm, by a condition, and never one's own.
    let hash = Term { compare: 0, field: 3, text: vec![2; 20] };
    assert_eq!(results(&stage.says(bob, sought(vec![hash], 0xa1)), bob).len(), 1);
    assert_eq!(results(&stage.says(bob, sought(vec![any("choir")], 0xa2)), bob).len(), 0);
    let at_least = |kbps: u8| Term { compare: 4, field: 0x15, text: vec![0x81, kbps] };
    assert_eq!(results(&stage.says(bob, sought(vec![any("choir"), at_least(0)], 0xbf)), bob).len(), 2);
    assert_eq!(results(&stage.says(bob, sought(vec![any("choir"), at_least(1)], 0xbf)), bob).len(), 0);
    assert_eq!(results(&stage.says(alice, sought(vec![any("choir")], 0xbf)), alice).len(), 0);
    stage.says(alice, FromLeaf::Withdraw(offer(1, "")));
    assert_eq!(results(&stage.says(bob, sought(vec![any("choir")], 0xbf)), bob).len(), 1);
    stage.0.hears(Input::Closed(alice, hexad_core::Why::PeerClosed));
    assert_eq!(results(&stage.says(bob, sought(vec![any("choir")], 0xbf)), bob).len(), 0);
}

#[test]
fn what_they_offer_is_never_among_what_is_proven() {
    let mut stage = Stage::new();
    let alice = stage.comes([44, 1, 1, 1], "alice");
    stage.says(alice, FromLeaf::Publish(offer(1, "blue.mp3")));
    let query = hexad_core::Query::Words { words: vec!["blue".into()], wanted: 5 };
    let said = stage.0.hears(Input::Start(OpId(2), Operation::Search { query }));
    assert!(!said.iter().any(|output| matches!(output, Output::Report(_, hexad_core::Progress::Hit(_)))), "{said:?}");
}

#[test]
fn old_leaves_and_their_files_are_bounded() {
    let mut stage = Stage::new();
    let alice = stage.comes([44, 1, 1, 1], "alice");
    for number in 0..20 {
        stage.says(alice, FromLeaf::Publish(offer(number, "spam.mp3")));
    }
    assert_eq!(stage.0.node.old_leaves(), (1, 5));
    stage.comes([44, 1, 1, 2], "bob");
    stage.comes([44, 1, 1, 3], "carol");
    let late = stage.0.accepted();
    let said = stage.0.hears(Input::Opened { conn: late, peer: from([44, 1, 1, 4]), via: Via::Accepted(doors::FASTTRACK) });
    assert!(said.iter().any(|output| matches!(output, Output::Close(conn, _) if *conn == late)), "{said:?}");
}

#[test]
fn a_push_goes_to_the_leaf_that_is_named_and_back_to_where_the_asker_is_seen() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.comes([44, 1, 1, 1], "alice"), stage.comes([44, 1, 1, 2], "bob"));
    let socket = |ip: [u8; 4], port| SocketAddrV4::new(ip.into(), port);
    let us = socket([44, 9, 9, 9], 1214);
    let push = |me| FromLeaf::Push { id: 5, me, target: socket([44, 1, 1, 1], 1299), supernode: us, user: b"alice".to_vec() };
    let said = stage.says(bob, push(socket([99, 99, 99, 99], 1300)));
    assert_eq!(told(&said, alice), [ToLeaf::PushOrder(5, socket([44, 1, 1, 2], 1300))]);
}

#[test]
fn an_old_leaf_that_is_silent_is_asked_and_then_dropped() {
    let mut stage = Stage::new();
    let alice = stage.comes([44, 1, 1, 1], "alice");
    let said = stage.0.pass(Span::from_secs(125));
    assert!(told(&said, alice).contains(&ToLeaf::Ping));
    stage.says(alice, FromLeaf::Pong);
    let said = stage.0.pass(Span::from_secs(160));
    assert!(said.iter().any(|output| matches!(output, Output::Close(conn, _) if *conn == alice)));
    assert_eq!(stage.0.node.old_leaves(), (0, 0));
}
