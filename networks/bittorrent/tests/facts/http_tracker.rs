//! Announce and scrape over HTTP, as a client and as a tracker.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use hexad_bittorrent::wire::http_tracker::{
    AnnounceAnswer, PEERS_MAX, SCRAPE_MAX, announce_url, parse_announce, parse_scrape, read_announce, read_scrape, scrape_url,
    write_announce, write_scrape,
};
use hexad_bittorrent::wire::{ScrapeCounts, TrackerAnnounce, TrackerEvent};
use proptest::prelude::*;

use crate::krpc::{addresses, sorted_by_family};
use crate::udp_tracker::announces;

fn announce() -> TrackerAnnounce {
    TrackerAnnounce {
        info_hash: *b"\x124Vx\x9a\xbc\xde\xf1#Eg\x89\xab\xcd\xef\x124Vx\x9a",
        peer_id: *b"-HX0100-abc.def~0 +%",
        downloaded: 1,
        left: 2,
        uploaded: 3,
        event: TrackerEvent::Started,
        key: 0xabc,
        peers_wanted: Some(200),
        port: 6881,
        url_path: String::new(),
    }
}

#[test]
fn an_announce_is_asked_as_the_specification_says() {
    assert_eq!(
        announce_url("http://t.example:80/announce", &announce(), true, Some(b"id&1")),
        "http://t.example:80/announce?info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A&peer_id=-HX0100-abc.def~0%20%2B%25&port=6881\
         &uploaded=3&downloaded=1&left=2&key=00000ABC&event=started&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&trackerid=id%261"
    );
    let quiet = TrackerAnnounce { event: TrackerEvent::None, peers_wanted: None, ..announce() };
    let url = announce_url("http://t/x?passkey=1#top", &quiet, false, None);
    assert!(url.starts_with("http://t/x?passkey=1&info_hash=") && url.ends_with("&key=00000ABC&compact=1&no_peer_id=1"), "{url}");
}

#[test]
fn a_scrape_is_asked_where_the_url_allows_it() {
    let asked = |url: &str| scrape_url(url, &[[b'a'; 20], [0; 20]]);
    let hashes = format!("info_hash={}&info_hash={}", "a".repeat(20), "%00".repeat(20));
    for (tracker, scrape) in [
        ("http://e.com/announce", "http://e.com/scrape?"),
        ("http://e.com/x/announce", "http://e.com/x/scrape?"),
        ("http://e.com/announce.php", "http://e.com/scrape.php?"),
        ("http://e.com/announce?x2%0644", "http://e.com/scrape?x2%0644&"),
    ] {
        assert_eq!(asked(tracker), Some(format!("{scrape}{hashes}")));
    }
    for none in ["http://e.com/a", "http://e.com/a?x=/announce", "http://e.com/x%064announce", "announce"] {
        assert_eq!(asked(none), None, "{none}");
    }
}

#[test]
fn an_announce_without_its_parts_is_refused() {
    let (hash, id) = ("info_hash=aaaaaaaaaaaaaaaaaaaa", "peer_id=bbbbbbbbbbbbbbbbbbbb");
    for query in [
        String::new(),
        format!("{id}&port=1"),
        format!("{hash}&port=1"),
        format!("{hash}&{id}"),
        format!("{hash}&{id}&port=65536"),
        format!("{hash}&{id}&port=-1"),
        format!("{hash}&{hash}&{id}&port=1"),
        format!("{hash}a&{id}&port=1"),
        format!("{hash}&{id}%&port=1"),
        format!("info_hash=%zz{}&{id}&port=1", "a".repeat(19)),
        format!("info_hash={}&{id}&port=1", "%41".repeat(1_000_000)),
    ] {
        assert!(parse_announce(&query).is_err(), "{}", &query[..query.len().min(100)]);
    }
    let read =
        parse_announce(&format!("x&{hash}&{id}&port=1&left=x&numwant=-1&event=paused&compact=0&ip=::ffff:9.8.7.6&key=%00a&=")).unwrap();
    assert_eq!((read.left, read.peers_wanted, read.event, read.paused, read.compact), (u64::MAX, None, TrackerEvent::None, true, false));
    assert_eq!((read.ip, read.key), (Some(IpAddr::V4(Ipv4Addr::new(9, 8, 7, 6))), Some(Bytes::from_static(b"\0a"))));
}

#[test]
fn a_scrape_names_whole_hashes_and_not_too_many() {
    assert_eq!(parse_scrape("").unwrap(), [[0; 20]; 0]);
    assert_eq!(parse_scrape(&format!("x=1&info_hash={}", "%61".repeat(20))).unwrap(), [[b'a'; 20]]);
    assert!(parse_scrape("info_hash=abc").is_err());
    let many = |count: usize| "info_hash=aaaaaaaaaaaaaaaaaaaa&".repeat(count);
    assert_eq!(parse_scrape(&many(SCRAPE_MAX)).unwrap().len(), SCRAPE_MAX);
    assert!(parse_scrape(&many(SCRAPE_MAX + 1)).is_err());
}

#[test]
fn an_answer_that_is_no_dictionary_is_refused() {
    for body in [&b""[..], b"<html>", b"le", b"i1e", b"d", &b"l".repeat(200_000), &b"d1:a".repeat(50_000)] {
        assert!(read_announce(body).is_err() && read_scrape(body).is_err());
    }
    assert!(read_scrape(b"de").is_err());
    assert!(read_scrape(b"d14:failure reason2:noe").unwrap_err().to_string().contains("refused: no"));
    assert_eq!(read_announce(b"de\r\n").unwrap(), AnnounceAnswer::default());
}

#[test]
fn of_long_answers_a_part_is_taken() {
    let compact = [b"d5:peers60000:".as_slice(), &[9; 60_000], b"6:peers636000:", &[9; 36_000], b"e"].concat();
    assert_eq!(read_announce(&compact).unwrap().peers.len(), PEERS_MAX);
    let list = format!("d5:peersl{}ee", "d2:ip7:1.2.3.44:porti80ee".repeat(5000));
    assert_eq!(read_announce(list.as_bytes()).unwrap().peers.len(), PEERS_MAX);
    let words = format!("d14:failure reason5000:{}e", "é".repeat(2500));
    assert_eq!(read_announce(words.as_bytes()).unwrap().failure.unwrap(), "é".repeat(500));
    let files: String = (0..3000).map(|n| format!("20:{n:020}de")).collect();
    assert_eq!(read_scrape(format!("d5:filesd{files}ee").as_bytes()).unwrap().len(), SCRAPE_MAX);
}

#[test]
fn a_mapped_address_is_an_ipv4_one() {
    let answer =
        read_announce(b"d11:external ip16:\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x045:peersld2:ip14:::ffff:1.2.3.44:porti80eeee")
            .unwrap();
    assert_eq!((answer.external_ip, answer.peers), (Some("1.2.3.4".parse().unwrap()), vec!["1.2.3.4:80".parse().unwrap()]));
}

fn answers() -> impl Strategy<Value = AnnounceAnswer> {
    let good = (
        any::<[Option<u32>; 3]>(),
        prop::array::uniform2(prop::option::of(0..=i64::MAX.unsigned_abs())),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        prop::option::of(".{0,100}"),
        prop::collection::vec(addresses(), 0..40),
        prop::option::of(addresses()),
    )
        .prop_map(|([seeders, leechers, completed], [interval_s, interval_min_s], tracker_id, warning, peers, external)| {
            AnnounceAnswer {
                warning,
                interval_s,
                interval_min_s,
                tracker_id: tracker_id.map(Bytes::from),
                seeders,
                leechers,
                completed,
                peers: sorted_by_family(peers),
                external_ip: external.map(|address| address.ip()),
                ..AnnounceAnswer::default()
            }
        });
    let retry = prop_oneof![Just(None), Just(Some(u64::MAX)), (0_u64..100_000).prop_map(|minutes| Some(60 * minutes))];
    let refused = (".{0,100}", retry).prop_map(|(failure, retry_in_s)| AnnounceAnswer {
        failure: Some(failure),
        retry_in_s,
        ..AnnounceAnswer::default()
    });
    prop_oneof![4 => good, 1 => refused]
}

proptest! {
    #[test]
    fn an_answer_reads_back_as_it_was(answer in answers()) {
        for compact in [true, false] {
            let body = write_announce(&answer, compact);
            prop_assert_eq!(read_announce(&body), Ok(answer.clone()));
            for length in 0..body.len() {
                prop_assert!(read_announce(&body[..length]).is_err());
            }
        }
    }

    #[test]
    fn counts_read_back_as_they_were(files in prop::collection::btree_map(any::<[u8; 20]>(), any::<[u32; 3]>(), 0..20)) {
        let counts = |[seeders, completed, leechers]: [u32; 3]| ScrapeCounts { seeders, completed, leechers };
        let files: Vec<_> = files.into_iter().map(|(hash, figures)| (hash, counts(figures))).collect();
        prop_assert_eq!(read_scrape(&write_scrape(&files)), Ok(files));
    }

    #[test]
    fn a_tracker_reads_what_a_client_asks(announce in announces()) {
        let url = announce_url("http://t/announce", &announce, true, Some(b"x"));
        let read = parse_announce(url.split_once('?').unwrap().1).unwrap();
        prop_assert_eq!((read.info_hash, read.peer_id, read.port), (announce.info_hash, announce.peer_id, announce.port));
        prop_assert_eq!((read.uploaded, read.downloaded, read.left), (announce.uploaded, announce.downloaded, announce.left));
        prop_assert_eq!((read.event, read.peers_wanted, read.compact), (announce.event, announce.peers_wanted, true));
        let hashes = [announce.info_hash, announce.peer_id];
        let url = scrape_url("http://t/announce", &hashes).unwrap();
        prop_assert_eq!(parse_scrape(url.split_once('?').unwrap().1), Ok(hashes.to_vec()));
    }

    #[test]
    fn no_query_makes_the_reader_fall_over(query in "((info_hash|peer_id|port|left|ip|key|event)?=?(%[0-9a-fA-F]{0,2}|.){0,25}&){0,8}") {
        let _ = parse_announce(&query);
        let _ = parse_scrape(&query);
    }
}
