//! Keys against their golden text (`vectors/keys.txt`), URIs as people write them, and blocks that were tampered with.

use bytes::Bytes;
use hexad_core::Payload;
use hexad_freenet::keys::{ClientChk, KeyPair, Kind, Unreadable, Uri, UriError, ksk};
use proptest::prelude::*;

const VECTORS: &str = include_str!("../vectors/keys.txt");
const CHK: &str = "CHK@BXnPvLK4WXpzGqHQKxfScOiYu5Xdi5SW7hy5Im1B8jg,KTtcT7sqCgpsrYllB4VP5beAun51ZrMjMiIdhM68ldA,AAMA--8";

fn content(words: &[&str]) -> Vec<u8> {
    let length = words.get(1).map_or(0, |length| length.parse().expect("a length"));
    match words[0] {
        "empty" => Vec::new(),
        "hello" => b"hello world\n".to_vec(),
        "bytes" => (0..length).map(|index: usize| index.to_le_bytes()[0]).collect(),
        "pattern" => (0..length).map(|index: usize| (index % 251).to_le_bytes()[0]).collect(),
        other => panic!("no content is called {other}"),
    }
}

#[test]
fn content_has_the_key_that_hyphanet_gives_it() {
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let words: Vec<&str> = columns[0].split(' ').collect();
        let data = content(&words);
        let control = words.contains(&"control");
        let (key, block) = if words.contains(&"zero-key") {
            ClientChk::encode_with(&data, [0; 32], control).expect("it fits a block")
        } else {
            ClientChk::encode(&data, control).expect("it fits a block")
        };
        assert_eq!(Uri::of_chk(&key, Vec::new()).to_string(), columns[1]);
        assert_eq!(Uri::parse(columns[1]).expect("a URI").chk(), Ok(key));
        assert!(block.is_genuine());
        assert_eq!(key.decode(&block), Ok(Bytes::from(data)));
        if !columns[2].is_empty() {
            let location: f64 = columns[2].parse().expect("a location");
            assert!((key.node_key().location().unit() - location).abs() < 1e-12, "{line}");
        }
    }
}

#[test]
fn hello_is_enciphered_as_hyphanet_does_it() {
    let (_, block) = ClientChk::encode(b"hello world\n", false).expect("it fits a block");
    let hex: String = block.header.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "0001cb0937dd643b5e00ddb13280df528447c3d2a64c87516db1c96a25840b0a6120a293");
    let Payload::Bytes(data) = &block.data else { panic!("real bytes") };
    assert_eq!(data[..16], [0xe2, 0x85, 0x9e, 0x0d, 0x7a, 0x4a, 0xbc, 0x6d, 0x5f, 0x2c, 0x9c, 0xb5, 0x5c, 0xa8, 0xd8, 0xb6]);
}

#[test]
fn uris_are_read_as_people_write_them() {
    let check = |text: &str, written: &str| assert_eq!(Uri::parse(text).expect(text).to_string(), written, "{text}");
    check(CHK, CHK);
    for prefix in ["freenet:", "hyphanet:", "hypha:", "web+freenet:", "ext+freenet:", "http://127.0.0.1:8888/", "https://host/freenet:"] {
        check(&format!("{prefix}{CHK}"), CHK);
    }
    check(&CHK.replace("CHK@", "chk@"), CHK);
    check(&format!("{CHK}.txt"), CHK);
    check(&format!("{CHK}/a%20b/c?type=text/plain"), &format!("{CHK}/a%20b/c"));
    check("CHK@", "CHK@");
    check("KSK@foo%2fbar/baz", "KSK@foo%2fbar/baz");
    assert_eq!(Uri::parse("KSK@foo%2fbar/baz").expect("a URI").name.as_deref(), Some("foo/bar"));
    let usk = format!("USK@{},AQACAAE/site/-3/a/b.html", &CHK[4..CHK.len() - 8]);
    check(&usk, &usk);
    assert_eq!(Uri::parse(&usk).expect("a URI").edition, Some(-3));
    for wrong in ["", "CHK", "XYZ@a", "CHK@a,b,c,d", "CHK@++", "KSK@", "KSK@%zz", "SSK@AAAA", "USK@AAAA/site", "USK@AAAA/site/x"] {
        assert!(matches!(Uri::parse(wrong), Err(UriError::Malformed(_))), "{wrong}");
    }
}

#[test]
fn keys_of_unknown_algorithms_can_be_read_and_are_refused_when_used() {
    let old = Uri::parse(&CHK.replace("AAMA", "AAIA")).expect("a URI");
    assert!(matches!(old.chk(), Err(UriError::Unusable(_))));
    let hyphanets = "SSK@YZSGVb5oI0SjOUKpiSKHi0PtVQMckFjLQmrW73fSxzA,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8,AQACAAE/site-0";
    let uri = Uri::parse(hyphanets).expect("a URI");
    assert_eq!(uri.to_string(), hyphanets);
    assert!(matches!(uri.request(), Err(UriError::Unusable(_))));
    let private = Uri::of_pair(&KeyPair { seed: [1; 32], crypto: [2; 32] }, "x", true);
    assert!(matches!(private.request(), Err(UriError::Unusable(_))), "a private key is none to ask with");
}

#[test]
fn what_the_owner_of_a_subspace_writes_others_read() {
    let pair = KeyPair { seed: [7; 32], crypto: [9; 32] };
    let insert = pair.insert("größe");
    let block = insert.encode(b"first", true).expect("it fits a block");
    assert!(block.is_genuine());
    let public = Uri::of_pair(&pair, "größe", true).public().expect("a private key of ours");
    assert!(!public.is_insert());
    assert_eq!(Uri::parse(&public.to_string()), Ok(public.clone()));
    let request = public.request().expect("a key that reads");
    assert_eq!(request.node_key(), block.key);
    assert_eq!(request.decode(&block), Ok((Bytes::from_static(b"first"), true)));
    let other = hexad_freenet::keys::RequestSsk { crypto: [8; 32], ..request.clone() };
    assert_eq!(other.decode(&block), Err(Unreadable::Forged), "another cipher key is another name");
    assert!(insert.encode(&[0; 1025], false).is_none());
    // Two versions under one name have one key, and share no key stream.
    let second = insert.encode(b"other", true).expect("it fits a block");
    assert_eq!(second.key, block.key);
    assert_ne!(second.header[32..64], block.header[32..64]);
    assert_eq!(Uri::of_pair(&pair, "s", true).kind, Kind::Ssk);
}

#[test]
fn whoever_knows_the_words_can_read_and_write_under_them() {
    let block = ksk("sample.txt").encode(b"text", false).expect("it fits a block");
    let request = Uri::parse("KSK@sample.txt").expect("a URI").request().expect("a key");
    assert_eq!(request.decode(&block), Ok((Bytes::from_static(b"text"), false)));
    // Computed apart from this crate, with Python's hashlib and cryptography.
    let hex: String = request.node_key().routing().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "d80f9c681758190985fbbdcbdd389d5cfc91c2a8f1cc8806430821d63031789e");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_content_comes_back_and_any_change_is_seen(
        data in proptest::collection::vec(any::<u8>(), 0..2000),
        at in any::<proptest::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let (key, block) = ClientChk::encode(&data, false).expect("it fits a block");
        prop_assert_eq!(key.decode(&block), Ok(Bytes::from(data.clone())));
        let Payload::Bytes(bytes) = &block.data else { panic!("real bytes") };
        let mut forged = block.clone();
        let mut bytes = bytes.to_vec();
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        forged.data = Payload::Bytes(bytes.into());
        prop_assert!(!forged.is_genuine());
        prop_assert_eq!(key.decode(&forged), Err(Unreadable::Forged));

        let insert = ksk("words");
        let data = &data[..data.len().min(1024)];
        let block = insert.encode(data, false).expect("it fits a block");
        prop_assert!(block.is_genuine());
        let mut forged = block.clone();
        let mut header = block.header.to_vec();
        let place = at.index(header.len());
        header[place] ^= 1 << bit;
        forged.header = header.into();
        prop_assert!(!forged.is_genuine());
    }

    #[test]
    fn no_text_makes_the_reader_stumble(text in "(freenet:)?(CHK|SSK|USK|KSK|x)@[A-Za-z0-9~,/%.?-]{0,160}") {
        if let Ok(uri) = Uri::parse(&text) {
            prop_assert_eq!(Uri::parse(&uri.to_string()), Ok(uri));
        }
    }
}
