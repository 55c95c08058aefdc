use hexad_content::{Digest, Digests, Magnet, MagnetError, Sha1Digest, Sha256Digest};
use proptest::prelude::*;

const HEX: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

fn read(text: &str) -> Magnet {
    text.parse().unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
}

fn refused(text: &str) -> MagnetError {
    text.parse::<Magnet>().expect_err(text)
}

fn v1() -> Digest {
    Digest::TorrentV1(Sha1Digest(data_encoding::HEXLOWER.decode(HEX.as_bytes()).unwrap().try_into().unwrap()))
}

#[test]
fn a_full_link_is_read_to_the_last_key() {
    let link = format!(
        "magnet:?xt=urn:btih:{HEX}&dn=Some+name%20%28x%29&xl=1024&tr=udp%3A%2F%2Ft.example%3A80%2Fa+b&tr=http://u/&ws=http%3A%2F%2Fw%2F\
         &x.pe=127.0.0.1:6881&x.pe=[::1]:6882&so=0,2,4,6-8&unknown=1&kt=words"
    );
    let magnet = read(&link);
    assert_eq!(magnet.digests, [v1()].into_iter().collect::<Digests>());
    assert_eq!(magnet.name.as_deref(), Some("Some name (x)"));
    assert_eq!(magnet.size_bytes, Some(1024));
    assert_eq!(magnet.trackers, ["udp://t.example:80/a+b", "http://u/"]);
    assert_eq!(magnet.web_seeds, ["http://w/"]);
    assert_eq!(magnet.peers, ["127.0.0.1:6881", "[::1]:6882"]);
    assert_eq!(magnet.selected, [0..=0, 2..=2, 4..=4, 6..=8]);
}

#[test]
fn the_written_link_has_the_names_first_and_only_plain_characters() {
    let magnet = Magnet {
        digests: [Digest::Sha1(Sha1Digest([0; 20])), v1()].into_iter().collect(),
        name: Some("a&b ü".into()),
        trackers: vec!["http://t/?a=b&c".into()],
        peers: vec!["[::1]:6881".into()],
        selected: vec![1..=1, 3..=5],
        ..Magnet::default()
    };
    assert_eq!(
        magnet.to_string(),
        format!(
            "magnet:?xt=urn:btih:{HEX}&xt=urn:sha1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&dn=a%26b%20%C3%BC&tr=http%3A%2F%2Ft%2F%3Fa%3Db%26c&x.pe=[::1]:6881&so=1,3-5"
        )
    );
}

#[test]
fn all_the_ways_to_write_a_name_are_understood() {
    let base32 = "YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKEK";
    for text in [
        format!("magnet:?xt=urn:btih:{base32}"),
        format!("magnet:?xt=urn:btih:{}", base32.to_lowercase()),
        format!("MAGNET:?XT=URN:BTIH:{}", HEX.to_uppercase()),
        format!("  magnet:?dn=x&amp;xt.1=urn%3Abtih%3A{HEX}\n"),
        format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{base32}&xt=urn:ed2k:31D6CFE0D16AE931B73C59D7E0C089C0"),
    ] {
        assert_eq!(read(&text).digests, [v1()].into_iter().collect(), "{text}");
    }
    let v2 = read(&format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32)));
    assert!(v2.digests.contains(&Digest::TorrentV2(Sha256Digest([0xab; 32]))));
    let tree = "A".repeat(39);
    let both = read(&format!("magnet:?xt=urn:bitprint:{base32}.{tree}"));
    assert_eq!(both, read(&format!("magnet:?xt=urn:sha1:{base32}&xt=urn:tree:tiger:{tree}")));
    assert!(both.digests.contains(&Digest::TigerTree([0; 24])));
}

#[test]
fn what_cannot_be_used_is_refused_with_what_was_expected() {
    assert_eq!(refused("http://x/"), MagnetError::NotMagnet("http://x/".into()));
    assert_eq!(refused("magnet:?dn=x"), MagnetError::NoDigest);
    assert_eq!(refused("magnet:?xt=urn:ed2k:31D6CFE0D16AE931B73C59D7E0C089C0"), MagnetError::NoDigest);
    assert_eq!(refused("magnet:?xt=urn:btih:12345").to_string(), "expected 40 hex or 32 base32 digits after urn:btih:, came \"12345\"");
    assert!(matches!(refused(&format!("magnet:?xt=urn:btmh:1120{}", "ab".repeat(32))), MagnetError::BadDigest { urn: "urn:btmh:", .. }));
    assert!(matches!(refused("magnet:?xt=urn:bitprint:AAAA"), MagnetError::BadDigest { .. }));
    assert_eq!(refused(&format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{}", "0".repeat(40))), MagnetError::Contradiction("urn:btih:"));
    for list in ["x", "3-1", "1,,2", "1-", "-1", "4294967296"] {
        assert!(matches!(refused(&format!("magnet:?xt=urn:btih:{HEX}&so={list}")), MagnetError::BadSelection(_)), "{list}");
    }
    assert!(matches!(refused(&format!("magnet:?xt=urn:btih:{HEX}&dn={}", "x".repeat(Magnet::TEXT_BYTES_MAX))), MagnetError::TooLong(_)));
}

#[test]
fn lists_of_addresses_are_bounded() {
    let magnet = read(&format!("magnet:?xt=urn:btih:{HEX}{}", "&tr=t".repeat(2_000)));
    assert_eq!(magnet.trackers.len(), Magnet::ADDRESSES_MAX);
}

#[test]
fn broken_percent_signs_and_foreign_bytes_do_no_harm() {
    let magnet = read(&format!("magnet:?xt=urn:btih:{HEX}&dn=100%&tr=%zz%4&ws=%ff%41"));
    assert_eq!(magnet.name.as_deref(), Some("100%"));
    assert_eq!(magnet.trackers, ["%zz%4"]);
    assert_eq!(magnet.web_seeds, ["\u{fffd}A"]);
}

prop_compose! {
    fn magnets()(
        v1: [u8; 20],
        others in (any::<Option<[u8; 32]>>(), any::<Option<[u8; 20]>>(), any::<Option<[u8; 24]>>()),
        name in prop::option::of(".{1,40}"),
        size_bytes: Option<u64>,
        lists in prop::array::uniform3(prop::collection::vec(".{1,40}", 0..4)),
        selected in prop::collection::vec((any::<u32>(), any::<u32>()).prop_map(|(a, b)| a.min(b)..=a.max(b)), 0..5),
    ) -> Magnet {
        let [trackers, web_seeds, peers] = lists;
        let digests = [
            Some(Digest::TorrentV1(Sha1Digest(v1))),
            others.0.map(|hash| Digest::TorrentV2(Sha256Digest(hash))),
            others.1.map(|hash| Digest::Sha1(Sha1Digest(hash))),
            others.2.map(Digest::TigerTree),
        ];
        Magnet { digests: digests.into_iter().flatten().collect(), name, size_bytes, trackers, web_seeds, peers, selected, mutable: None }
    }
}

proptest! {
    #[test]
    fn a_written_link_reads_back_as_it_was(magnet in magnets()) {
        prop_assert_eq!(magnet.to_string().parse(), Ok(magnet));
    }

    #[test]
    fn no_text_makes_the_reader_fall_over(text in "(magnet:\\?)?(xt=urn:(btih|btmh|sha1|tree:tiger|bitprint):[0-9a-zA-Z%.]{0,70})?.{0,200}") {
        let _ = text.parse::<Magnet>();
    }
}

/// The links of BEP 46.
#[test]
fn a_torrent_that_can_be_changed_has_its_owner_for_a_name() {
    let key = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
    for (text, salt) in [
        (format!("magnet:?xs=urn:btpk:{key}"), ""),
        (format!("magnet:?xs=urn:btpk:{key}&s=6e"), "n"),
        (format!("magnet:?s=6E&xs=urn:btpk:{key}"), "n"),
    ] {
        let magnet = read(&text);
        let mutable = magnet.mutable.clone().expect("an owner");
        assert_eq!((mutable.key[..2].to_vec(), mutable.salt.as_slice()), (vec![0x85, 0x43], salt.as_bytes()));
        assert_eq!(read(&magnet.to_string()), magnet);
    }
    for wrong in ["magnet:?xs=urn:btpk:8543", "magnet:?xs=http://example.org/it.torrent", "magnet:?s=6e"] {
        assert!(wrong.parse::<Magnet>().is_err(), "{wrong}");
    }
    for salt in ["xyz".to_owned(), "00".repeat(65)] {
        assert!(format!("magnet:?xs=urn:btpk:{key}&s={salt}").parse::<Magnet>().is_err(), "{salt}");
    }
}
