//! Local service discovery: what is refused, and that packets stay small.

use bytes::BytesMut;
use hexad_bittorrent::wire::{LsdAnnounce, lsd};
use proptest::prelude::*;

fn written(announce: &LsdAnnounce) -> BytesMut {
    let mut out = BytesMut::new();
    lsd::encode(announce, &mut out);
    out
}

#[test]
fn what_is_no_announce_is_refused() {
    let hash = "ab".repeat(20);
    for text in [
        String::new(),
        "HTTP/1.1 200 OK\r\n\r\n".into(),
        format!("BT-SEARCH * HTTP/1.1\r\nInfohash: {hash}\r\n\r\n"),
        "BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\n\r\n".into(),
        format!("BT-SEARCH * HTTP/1.1\r\nPort: 0\r\nInfohash: {hash}\r\n\r\n"),
        format!("BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\nInfohash: {hash}\r\n\r\n"),
        format!("BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\nInfohash: {}\r\n\r\n", &hash[1..]),
        format!("BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\nInfohash: {hash}zz\r\n\r\n"),
        format!("BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\n\r\nInfohash: {hash}\r\n"),
        format!("BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\nInfohash: {hash}\r\nX: {}\r\n\r\n", "x".repeat(1400)),
    ] {
        assert!(lsd::decode(text.as_bytes()).is_err(), "{text}");
    }
    assert!(lsd::decode(&[b"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: \xff".as_slice(), &[b'a'; 39]].concat()).is_err());
}

#[test]
fn a_packet_never_grows_beyond_what_is_read() {
    let announce = LsdAnnounce { port: 65535, info_hashes: vec![[0xab; 20]; 100], cookie: Some("é\r\nPort: 1\r\n".repeat(40)) };
    let bytes = written(&announce);
    assert!(bytes.len() <= lsd::PACKET_BYTES_MAX);
    let read = lsd::decode(&bytes).unwrap();
    assert_eq!((read.port, read.info_hashes.len()), (65535, lsd::INFO_HASHES_MAX));
    assert!(read.cookie.is_some_and(|cookie| cookie.len() <= 64 && cookie.starts_with("éPort: 1é")));
}

proptest! {
    #[test]
    fn an_announce_reads_back_as_it_was(
        port in 1_u16.., info_hashes in prop::collection::vec(any::<[u8; 20]>(), 1..=lsd::INFO_HASHES_MAX), cookie in "([!-~]([ -~]{0,20}[!-~])?)?",
    ) {
        for cookie in [None, Some(cookie)] {
            let announce = LsdAnnounce { port, info_hashes: info_hashes.clone(), cookie };
            prop_assert_eq!(lsd::decode(&written(&announce)), Ok(announce));
        }
    }

    #[test]
    fn no_text_makes_the_reader_fall_over(lines in "((BT-SEARCH \\* HTTP/1.1|Port: [0-9]{0,6}|Infohash: [0-9a-f]{38,41}|cookie:.{0,70}|.{0,20})\r?\n){0,12}") {
        if let Ok(read) = lsd::decode(lines.as_bytes()) {
            prop_assert_eq!(lsd::decode(&written(&read)), Ok(read));
        }
    }
}
