//! Packets of UDP trackers: short ones, strange ones, and options.

use bytes::{Bytes, BytesMut};
use hexad_bittorrent::wire::udp_tracker::{self, SCRAPE_MAX, URL_DATA_MAX};
use hexad_bittorrent::wire::{ScrapeCounts, TrackerAnnounce, TrackerDatagram, TrackerEvent};
use proptest::prelude::*;

use crate::vectors::vectors;

fn written(datagram: &TrackerDatagram) -> BytesMut {
    let mut out = BytesMut::new();
    udp_tracker::encode(datagram, &mut out);
    out
}

#[test]
fn a_request_shorter_than_its_fields_is_refused() {
    for vector in vectors(include_str!("../../vectors/udp_requests.txt")) {
        let fields = match vector.bytes[11] {
            0 => 16,
            1 => 98,
            _ => 36,
        };
        for length in 0..fields {
            let wrong = udp_tracker::decode_request(&vector.bytes[..length]).expect_err(&vector.name);
            assert!(wrong.offset <= length, "{}: {wrong}", vector.name);
        }
    }
    assert_eq!(udp_tracker::decode_request(&[0; 5]).unwrap_err().to_string(), "unexpected end after 5 of 8 bytes (at byte 5)");
}

#[test]
fn an_answer_shorter_than_its_fields_is_refused() {
    for (vector, fields) in vectors(include_str!("../../vectors/udp_answers.txt")).iter().zip([16, 20, 20, 8, 8]) {
        for length in 0..fields {
            assert!(udp_tracker::decode_answer(&vector.bytes[..length]).is_err(), "{} cut at {length}", vector.name);
        }
    }
}

#[test]
fn strange_actions_and_a_wrong_magic_number_are_refused() {
    let request = |connection: u64, action: u32| [&connection.to_be_bytes()[..], &action.to_be_bytes(), &[0; 100]].concat();
    assert!(udp_tracker::decode_request(&request(udp_tracker::MAGIC, 0)).is_ok());
    assert!(udp_tracker::decode_request(&request(udp_tracker::MAGIC + 1, 0)).is_err());
    for action in [3, 4, u32::MAX] {
        assert!(udp_tracker::decode_request(&request(1, action)).is_err());
    }
    assert!(udp_tracker::decode_answer(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0]).is_err());
}

#[test]
fn longer_packets_than_expected_are_read() {
    for vector in vectors(include_str!("../../vectors/udp_requests.txt")) {
        let longer = [&vector.bytes[..], &[0; 3]].concat();
        assert_eq!(udp_tracker::decode_request(&longer), udp_tracker::decode_request(&vector.bytes), "{}", vector.name);
    }
}

#[test]
fn lists_are_bounded_both_ways() {
    let many = TrackerDatagram::ScrapeRequest { connection: 1, transaction: 2, info_hashes: vec![[7; 20]; 200] };
    assert_eq!(written(&many).len(), 16 + 20 * SCRAPE_MAX);
    let bytes = [&written(&many)[..16], &[7; 4000]].concat();
    assert!(
        matches!(udp_tracker::decode_request(&bytes), Ok(TrackerDatagram::ScrapeRequest { info_hashes, .. }) if info_hashes.len() == SCRAPE_MAX)
    );
    let bytes = [&[0, 0, 0, 2, 0, 0, 0, 0][..], &[7; 4000]].concat();
    assert!(matches!(udp_tracker::decode_answer(&bytes), Ok(TrackerDatagram::ScrapeAnswer { counts, .. }) if counts.len() == SCRAPE_MAX));
    let bytes = [&[0, 0, 0, 3, 0, 0, 0, 0][..], &[0xff; 4000]].concat();
    assert!(matches!(udp_tracker::decode_answer(&bytes), Ok(TrackerDatagram::Error { message, .. }) if message.len() <= 1000));
}

#[test]
fn url_data_is_cut_between_characters() {
    let announce = announce("é".repeat(URL_DATA_MAX));
    let Ok(TrackerDatagram::AnnounceRequest { announce: read, .. }) = udp_tracker::decode_request(&written(&announce)) else { panic!() };
    assert_eq!(read.url_path, "é".repeat(URL_DATA_MAX / 2));
}

fn announce(url_path: String) -> TrackerDatagram {
    let announce = TrackerAnnounce {
        info_hash: [1; 20],
        peer_id: [2; 20],
        downloaded: 3,
        left: 4,
        uploaded: 5,
        event: TrackerEvent::None,
        key: 6,
        peers_wanted: None,
        port: 7,
        url_path,
    };
    TrackerDatagram::AnnounceRequest { connection: 1, transaction: 2, announce }
}

pub fn events() -> impl Strategy<Value = TrackerEvent> {
    prop::sample::select(vec![TrackerEvent::None, TrackerEvent::Completed, TrackerEvent::Started, TrackerEvent::Stopped])
}

pub fn announces() -> impl Strategy<Value = TrackerAnnounce> {
    let wanted = prop::option::of(0..=i32::MAX.unsigned_abs());
    (any::<[[u8; 20]; 2]>(), any::<[u64; 3]>(), events(), any::<u32>(), wanted, any::<u16>(), "/.{0,400}|").prop_map(
        |([info_hash, peer_id], [downloaded, left, uploaded], event, key, peers_wanted, port, url_path)| TrackerAnnounce {
            info_hash,
            peer_id,
            downloaded,
            left,
            uploaded,
            event,
            key,
            peers_wanted,
            port,
            url_path,
        },
    )
}

proptest! {
    #[test]
    fn requests_read_back_as_they_were(
        connection: u64, transaction: u32, announce in announces(), info_hashes in prop::collection::vec(any::<[u8; 20]>(), 1..=SCRAPE_MAX),
    ) {
        for request in [
            TrackerDatagram::ConnectRequest { transaction },
            TrackerDatagram::AnnounceRequest { connection, transaction, announce },
            TrackerDatagram::ScrapeRequest { connection, transaction, info_hashes },
        ] {
            prop_assert_eq!(udp_tracker::decode_request(&written(&request)), Ok(request));
        }
    }

    #[test]
    fn answers_read_back_as_they_were(
        transaction: u32, connection: u64, figures: [u32; 3], peers in prop::collection::vec(any::<u8>(), 0..400),
        counts in prop::collection::vec(any::<[u32; 3]>(), 0..=SCRAPE_MAX), message in ".{0,200}",
    ) {
        let [interval_s, leechers, seeders] = figures;
        let counts = counts.into_iter().map(|[seeders, completed, leechers]| ScrapeCounts { seeders, completed, leechers }).collect();
        for answer in [
            TrackerDatagram::ConnectAnswer { transaction, connection },
            TrackerDatagram::AnnounceAnswer { transaction, interval_s, leechers, seeders, peers: Bytes::from(peers) },
            TrackerDatagram::ScrapeAnswer { transaction, counts },
            TrackerDatagram::Error { transaction, message },
        ] {
            prop_assert_eq!(udp_tracker::decode_answer(&written(&answer)), Ok(answer));
        }
    }

    #[test]
    fn no_packet_makes_the_reader_fall_over(head in 0_u32..5, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let answer = [&head.to_be_bytes()[..], &bytes].concat();
        if let Ok(read) = udp_tracker::decode_answer(&answer) {
            prop_assert_eq!(udp_tracker::decode_answer(&written(&read)), Ok(read));
        }
        let request = [&[1; 8][..], &answer].concat();
        if let Ok(read) = udp_tracker::decode_request(&request) {
            prop_assert_eq!(udp_tracker::decode_request(&written(&read)), Ok(read));
        }
    }
}
