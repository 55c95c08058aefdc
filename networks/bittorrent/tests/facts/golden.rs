//! Every message once, in bytes: golden vectors of frames and datagrams.

use bytes::BytesMut;
use hexad_bittorrent::wire::{self, Message, lsd};
use hexad_bittorrent::{doors, wire::http_tracker};
use hexad_core::{Malformed, Message as _};

use crate::connections::{introduced, said, say};
use crate::vectors::{check_messages, check_readings, vectors};

fn datagram(message: &Message) -> Vec<u8> {
    let mut out = BytesMut::new();
    wire::encode_datagram(message, &mut out);
    assert_eq!(message.wire_bytes(), out.len() as u64);
    out.to_vec()
}

#[test]
fn frames_are_read_and_written_as_the_vectors_say() {
    for text in [include_str!("../../vectors/peer_wire.txt"), include_str!("../../vectors/extended.txt")] {
        check_readings(
            |vector| {
                let messages = said(&mut introduced(vector.bytes[0] == 19), &vector.bytes).unwrap();
                assert_eq!(messages.len(), 1, "{}", vector.name);
                format!("{:?}", messages[0])
            },
            text,
        );
        for vector in vectors(text) {
            let handshake = vector.bytes[0] == 19;
            let message = said(&mut introduced(handshake), &vector.bytes).unwrap().remove(0);
            let written = say(&mut introduced(handshake), &message);
            assert_eq!(said(&mut introduced(handshake), &written).unwrap(), std::slice::from_ref(&message), "{}", vector.name);
            if vector.canonical {
                assert_eq!(written.escape_ascii().to_string(), vector.bytes.escape_ascii().to_string(), "{}", vector.name);
                let body = if let Message::Piece { data, .. } = &message { data.len() } else { 0 };
                assert_eq!(message.wire_bytes() + body, written.len() as u64, "{}", vector.name);
            }
            for length in 0..vector.bytes.len() {
                assert_eq!(said(&mut introduced(handshake), &vector.bytes[..length]).unwrap(), [], "{} cut at {length}", vector.name);
            }
        }
    }
}

#[test]
fn packets_of_the_dht_are_read_and_written_as_the_vectors_say() {
    let text = include_str!("../../vectors/krpc.txt");
    let decode = |bytes: &[u8]| wire::decode_datagram(doors::DATAGRAMS, bytes);
    check_messages(text, decode, datagram);
    cut_off_is_refused(text, decode);
}

#[test]
fn packets_of_udp_trackers_are_read_and_written_as_the_vectors_say() {
    let requests = include_str!("../../vectors/udp_requests.txt");
    check_messages(requests, |bytes| wire::decode_datagram(doors::TRACKER, bytes), datagram);
    check_messages(include_str!("../../vectors/udp_answers.txt"), |bytes| wire::decode_datagram(doors::DATAGRAMS, bytes), datagram);
}

#[test]
fn local_announces_are_read_and_written_as_the_vectors_say() {
    for door in [doors::LSD_V4, doors::LSD_V6] {
        check_messages(include_str!("../../vectors/lsd.txt"), |bytes| wire::decode_datagram(door, bytes), datagram);
    }
    assert_eq!(lsd::GROUP_V4.0.to_string(), "239.192.152.143");
    assert_eq!(lsd::GROUP_V6.0.to_string(), "ff15::efc0:988f");
}

#[test]
fn announces_of_foreign_programs_are_read_as_the_vectors_say() {
    check_readings(
        |vector| format!("{:?}", http_tracker::parse_announce(std::str::from_utf8(&vector.bytes).unwrap()).unwrap()),
        include_str!("../../vectors/http_announces.txt"),
    );
}

#[test]
fn answers_of_http_trackers_are_read_and_written_as_the_vectors_say() {
    let (announces, scrapes) = (include_str!("../../vectors/http_answers.txt"), include_str!("../../vectors/http_scrapes.txt"));
    check_messages(announces, http_tracker::read_announce, |answer| http_tracker::write_announce(answer, true));
    check_messages(scrapes, http_tracker::read_scrape, |files| http_tracker::write_scrape(files));
    cut_off_is_refused(announces, http_tracker::read_announce);
    cut_off_is_refused(scrapes, http_tracker::read_scrape);
}

#[test]
fn nothing_is_spoken_at_other_doors() {
    assert!(wire::decode_datagram(hexad_core::Door(9), b"d1:y1:qe").is_err());
    assert!(wire::decode_datagram(doors::PEERS, b"d1:y1:qe").is_err());
}

/// A bencoded message tells where it ends, so no shorter part of it means anything.
fn cut_off_is_refused<M: std::fmt::Debug>(text: &str, decode: impl Fn(&[u8]) -> Result<M, Malformed>) {
    for vector in vectors(text) {
        for length in 0..vector.bytes.len() {
            assert!(decode(&vector.bytes[..length]).is_err(), "{} cut at {length}", vector.name);
        }
    }
}
