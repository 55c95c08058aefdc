//! Strangers who send anything: nothing breaks, nothing grows without bound, nothing is amplified.

use bytes::BytesMut;
use hexad_core::{Dice, Span, Time};
use hexad_utp::wire::{Header, Kind, is_utp};
use hexad_utp::{Config, End, Hub, Seq};
use proptest::prelude::*;

use super::line::{Carries as _, Line, Manner, address, bytes};

fn header(kind: Kind, conn: u16, seq: u16, ack: u16) -> Header {
    Header { kind, conn, stamp_us: 1, lag_us: 2, window_bytes: 100_000, seq: Seq(seq), ack: Seq(ack), sack: Vec::new(), filler_bytes: 0 }
}

fn packet(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    header.encode(&mut out);
    out.extend_from_slice(payload);
    out.to_vec()
}

fn answers(hub: &mut Hub, now: Time) -> Vec<Vec<u8>> {
    let mut leaving = Vec::new();
    hub.transmit(now, |datagram| leaving.push(datagram.bytes.to_vec()));
    leaving
}

#[test]
fn a_flood_of_openings_is_bounded_and_passes() {
    let config = Config { half_open_max: 50, ..Config::default() };
    let mut hub = Hub::new(config, Dice::counter(1, 1));
    let mut said = 0;
    for number in 0..10_000_u16 {
        let from = format!("198.51.100.{}:{}", number % 250, number / 250 + 1).parse().unwrap();
        let opening = packet(&header(Kind::Syn, number, 7, 0), &[]);
        let heard = hub.hear(from, &opening, Time::ZERO);
        assert_eq!(heard.is_ok(), number < 50, "{heard:?}");
        for answer in answers(&mut hub, Time::ZERO) {
            assert!(answer.len() <= opening.len(), "no answer is longer than its question");
            said += 1;
        }
    }
    assert_eq!((said, hub.connections()), (50, 50));
    assert_eq!(hub.accept(), None, "nobody has shown that it gets our answers");
    let later = Time::ZERO + Span::from_secs(11);
    answers(&mut hub, later);
    assert_eq!(hub.connections(), 0);
    assert_eq!(hub.hear(address(0), &packet(&header(Kind::Syn, 1, 7, 0), &[]), later), Ok(()));
}

#[test]
fn resets_to_strangers_are_few() {
    let mut hub = Hub::new(Config::default(), Dice::counter(1, 1));
    let mut said = 0;
    for number in 0..5_000_u16 {
        assert_eq!(hub.hear(address(0), &packet(&header(Kind::Data, number, 7, 0), b"?"), Time::ZERO), Err("utp_unknown"));
        said += answers(&mut hub, Time::ZERO).len();
    }
    assert_eq!(said, 100);
    assert_eq!(hub.hear(address(0), &packet(&header(Kind::Reset, 5, 7, 0), &[]), Time::ZERO), Err("utp_unknown"));
    assert!(answers(&mut hub, Time::ZERO).is_empty(), "a reset is not answered");
}

#[test]
fn who_only_guesses_opens_nothing() {
    let mut hub = Hub::new(Config::default(), Dice::counter(1, 1));
    hub.hear(address(0), &packet(&header(Kind::Syn, 9, 7, 0), &[]), Time::ZERO).unwrap();
    let answer = answers(&mut hub, Time::ZERO).remove(0);
    let (told, _) = Header::parse(&answer).unwrap();
    assert_eq!((told.kind, told.conn, told.ack), (Kind::State, 9, Seq(7)));
    let guess = header(Kind::Data, 10, 8, told.seq.0.wrapping_add(5));
    assert_eq!(hub.hear(address(0), &packet(&guess, b"x"), Time::ZERO), Err("utp_ack_of_nothing"));
    assert_eq!(hub.accept(), None);
    let true_one = header(Kind::Data, 10, 8, told.seq.minus(1).0);
    assert_eq!(hub.hear(address(0), &packet(&true_one, b"x"), Time::ZERO), Ok(()));
    assert!(hub.accept().is_some());
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_changes_nothing() {
    let mut line = Line::new(Manner::default(), &Config::default(), 1);
    let pair = line.connect();
    line.carry(pair, &bytes(5_000), Span::from_secs(5));
    let until = line.after(Span::from_secs(1));
    while line.step(until) {}
    let window = line.hubs[0].connection(pair.0).unwrap().window_bytes();
    let mut refused = 0;
    for conn in 0..=u16::MAX {
        let lie = Header { sack: vec![0xff; 252], ..header(Kind::State, conn, 1, conn.wrapping_mul(31)) };
        let now = line.now;
        refused += u32::from(line.hubs[0].hear(address(1), &packet(&lie, &[]), now).is_err());
    }
    assert!(refused >= u32::from(u16::MAX), "{refused}");
    assert_eq!(line.hubs[0].connection(pair.0).unwrap().window_bytes(), window);
    line.carry(pair, &bytes(5_000), Span::from_secs(5));
}

#[test]
fn a_reset_by_either_number_ends_a_connection() {
    for step in [0, 1] {
        let mut hub = Hub::new(Config::default(), Dice::counter(1, 1));
        let key = hub.connect(address(1), Time::ZERO).unwrap();
        let (syn, _) = Header::parse(&answers(&mut hub, Time::ZERO)[0]).map(|(header, rest)| (header, rest.len())).unwrap();
        let reset = header(Kind::Reset, syn.conn.wrapping_add(step), 1, syn.seq.0);
        assert_eq!(hub.hear(address(1), &packet(&reset, &[]), Time::ZERO), Ok(()));
        assert_eq!(hub.connection(key).unwrap().end(), Some(End::Reset));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        kind in prop_oneof![Just(Kind::Data), Just(Kind::Fin), Just(Kind::State), Just(Kind::Reset), Just(Kind::Syn)],
        numbers in any::<[u32; 3]>(),
        words in any::<[u16; 3]>(),
        sack in proptest::collection::vec(any::<[u8; 4]>(), 0..=63),
        payload in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let header = Header {
            kind,
            conn: words[0],
            stamp_us: numbers[0],
            lag_us: numbers[1],
            window_bytes: numbers[2],
            seq: Seq(words[1]),
            ack: Seq(words[2]),
            sack: sack.concat(),
            filler_bytes: 0,
        };
        let bytes = packet(&header, &payload);
        prop_assert!(is_utp(&bytes));
        let (read, rest) = Header::parse(&bytes).unwrap();
        prop_assert_eq!((read, rest), (header, payload.as_slice()));
    }

    #[test]
    fn anything_may_come(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..60), seed in any::<u64>()) {
        let mut line = Line::new(Manner::default(), &Config::default(), seed);
        let pair = line.connect();
        for (number, mut datagram) in datagrams.into_iter().enumerate() {
            // Half of them look like uTP, of this connection.
            if number % 2 == 0 && datagram.len() >= 20 {
                datagram[0] = (datagram[0] % 3) << 4 | 1;
                datagram[1] %= 3;
            }
            let now = line.now;
            let _ = line.hubs[number % 4 / 2].hear(address(1 - number % 4 / 2), &datagram, now);
            line.flush();
        }
        prop_assert!(line.hubs[1].connections() <= Config::default().connections_max);
        let _ = line.hubs[0].connection(pair.0);
    }
}

/// A recorded opening, data and its acknowledgement, byte by byte as BEP 29 draws them.
#[test]
fn packets_are_as_the_specification_draws_them() {
    let syn = packet(&Header { sack: Vec::new(), ..header(Kind::Syn, 0x1234, 1, 0) }, &[]);
    assert_eq!(syn, [0x41, 0, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0x86, 0xa0, 0, 1, 0, 0]);
    let state = packet(&Header { sack: vec![5, 0, 0, 0], ..header(Kind::State, 0x1234, 2, 1) }, &[]);
    assert_eq!(state[..2], [0x21, 1]);
    assert_eq!(state[20..], [0, 4, 5, 0, 0, 0]);
    // Extension 2 is an old one: skipped; 3 is why a connection was closed.
    let mut odd = syn[..20].to_vec();
    odd[0] = 0x01;
    odd[1] = 2;
    odd.extend([3, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 9, b'h', b'i']);
    let (read, payload) = Header::parse(&odd).unwrap();
    assert_eq!((read.kind, payload), (Kind::Data, b"hi".as_slice()));
    for bad in [&odd[..25], &[0x41; 19], &[0x51; 20], &[0x42; 20]] {
        assert!(Header::parse(bad).is_err());
    }
}

/// What libtorrent 2.0 sends when more than a hundred packets have come behind those that are missing, as it was seen on the wire. Whoever does not
/// read it hears nothing from libtorrent any more, and the connection stalls for good.
#[test]
fn a_selective_acknowledgement_that_libtorrent_has_cut_is_read() {
    let mut seen =
        vec![0x01, 0x01, 0x6a, 0x9b, 0xeb, 0x20, 0x10, 0xb2, 0xe6, 0xea, 0xfe, 0x63, 0x00, 0x0d, 0xf4, 0xd0, 0x0b, 0x71, 0xd6, 0x7f];
    seen.extend([0, 13, 0, 0, 0, 0xfe]);
    seen.extend([0xff; 9]);
    seen.extend([0; 4]);
    let (read, payload) = Header::parse(&seen).unwrap();
    assert_eq!((read.kind, read.seq, read.ack), (Kind::Data, Seq(0x0b71), Seq(0xd67f)));
    assert_eq!((read.sack.len(), &read.sack[..4], payload), (13, &[0, 0, 0, 0xfe][..], &[0; 4][..]));
}
