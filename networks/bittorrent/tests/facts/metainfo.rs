//! .torrent files: those that other programs make, those that nobody should make, and our own.

use std::sync::Arc;

use bytes::Bytes;
use hexad_bittorrent::wire::bencode::Out;
use hexad_bittorrent::wire::metainfo::{Info, METAINFO_BYTES_MAX, Metainfo, MetainfoBuilder};
use hexad_content::{Digest, FileEntry, Layout, Magnet, Sha1Digest, safe_names};
use proptest::prelude::*;

use crate::vectors::hex;

fn parse(bytes: &[u8]) -> Result<Metainfo, String> {
    Metainfo::parse(&Bytes::copy_from_slice(bytes)).map_err(|wrong| wrong.to_string())
}

fn files(torrent: &Metainfo) -> Vec<(String, u64, bool)> {
    torrent.info.layout.files().iter().map(|file| (file.path.join("/"), file.length, file.padding)).collect()
}

/// An info dictionary of one file, with `changed` in place of its own entries.
fn info(changed: &[(&str, Option<Out>)]) -> Vec<u8> {
    let mut entries = vec![
        ("length", Some(Out::Int(5))),
        ("name", Some(Out::text("n"))),
        ("piece length", Some(Out::Int(16384))),
        ("pieces", Some(Out::Bytes(vec![7; 20]))),
    ];
    for (key, value) in changed {
        entries.retain(|(known, _)| known != key);
        entries.push((key, value.clone()));
    }
    Out::dict(entries).encode()
}

fn read(changed: &[(&str, Option<Out>)]) -> Result<Info, String> {
    Info::parse(info(changed).into()).map_err(|wrong| wrong.to_string())
}

/// Several files of one byte each.
fn folder(paths: &[&[&str]]) -> Result<Info, String> {
    let file = |path: &&[&str]| {
        let path = Out::List(path.iter().map(|element| Out::text(element)).collect());
        Out::dict([("length", Some(Out::Int(1))), ("path", Some(path))])
    };
    read(&[("length", None), ("files", Some(Out::List(paths.iter().map(file).collect())))])
}

#[test]
fn torrents_of_foreign_programs_are_read() {
    let three = [("a.bin", 16_000), ("empty", 0), ("sub/b ü.txt", 1_000)];
    let plain = |names: &[(&str, u64)]| names.iter().map(|(name, length)| ((*name).to_owned(), *length, false)).collect::<Vec<_>>();

    let libtorrent = parse(include_bytes!("../../vectors/libtorrent_2.0.8_v1.torrent")).unwrap();
    assert_eq!(files(&libtorrent), plain(&three));
    assert_eq!(libtorrent.info.info_hash.to_vec(), hex("f24d7bb945db2faebec5965e3f98f0bc45db493f"));
    assert_eq!((libtorrent.info.layout.name(), libtorrent.info.piece_bytes, libtorrent.info.piece_count()), ("album", 16384, 2));

    let mktorrent = parse(include_bytes!("../../vectors/mktorrent_1.1.torrent")).unwrap();
    assert_eq!(files(&mktorrent), plain(&three));
    assert_eq!(mktorrent.info.info_hash.to_vec(), hex("ca97cb81c5c982dacc2f132614f2fb6bd7bbeb60"));
    assert_eq!((mktorrent.created_by.as_deref(), mktorrent.tiers.len()), (Some("mktorrent 1.1"), 1));

    let transmission = parse(include_bytes!("../../vectors/transmission_3.00.torrent")).unwrap();
    assert_eq!(files(&transmission), plain(&[three[0], three[2]]));
    assert_eq!(transmission.info.info_hash.to_vec(), hex("7086ad8339180bfe0bea2037e9f4b3ebde608248"));
    assert_eq!((transmission.info.private, transmission.creation_unix_s), (false, Some(1_795_709_263)));

    let hybrid = parse(include_bytes!("../../vectors/libtorrent_2.0.8_hybrid.torrent")).unwrap();
    assert_eq!(files(&hybrid).iter().filter(|(_, _, padding)| !padding).count(), 3);
    assert!(files(&hybrid).contains(&(".pad/384".to_owned(), 384, true)));
    for torrent in [libtorrent, mktorrent, transmission, hybrid] {
        assert_eq!(parse(&torrent.encode()), Ok(torrent));
    }
}

#[test]
fn a_version_that_nobody_knows_is_refused_in_clear_words() {
    let later = read(&[("meta version", Some(Out::Int(3)))]).unwrap_err();
    assert!(later.starts_with("meta version 3 is more than the 2 that is known"), "{later}");
}

#[test]
fn what_contradicts_itself_is_refused_with_what_was_expected() {
    let int = |int| Some(Out::Int(int));
    let cases: &[(&str, Option<Out>, &str)] = &[
        ("pieces", Some(Out::Bytes(vec![7; 40])), "expected 1 piece hashes of 20 bytes, came 40 bytes"),
        ("pieces", Some(Out::Bytes(vec![7; 19])), "expected 1 piece hashes of 20 bytes, came 19 bytes"),
        ("pieces", Some(Out::Bytes(vec![])), "expected 1 piece hashes of 20 bytes, came 0 bytes"),
        ("pieces", None, "expected 'pieces'"),
        ("pieces", int(20), "expected 'pieces'"),
        ("length", int(16385), "expected 2 piece hashes"),
        ("length", int(0), "expected 0 piece hashes"),
        ("length", int(-1), "expected 'length' (0 or more)"),
        ("length", None, "expected 'length' (0 or more) or 'files'"),
        ("length", int(1 << 40), "more than 2097152 pieces"),
        ("length", int(i64::MAX), "file lengths add up to more than"),
        ("piece length", int(0), "expected a piece length from 1"),
        ("piece length", int(-16384), "expected 'piece length'"),
        ("piece length", int((2 << 30) + 1), "expected a piece length from 1"),
        ("piece length", None, "expected 'piece length'"),
        ("name", None, "expected 'name'"),
        ("files", Some(Out::List(vec![])), "expected either 'length' or 'files'"),
    ];
    for (key, value, expected) in cases {
        let wrong = read(&[(key, value.clone())]).unwrap_err();
        assert!(wrong.contains(expected), "{key} {value:?}: {wrong}");
    }
    assert!(read(&[]).is_ok());
    assert!(Info::parse(Bytes::from_static(b"le")).is_err() && Info::parse(Bytes::new()).is_err());
    assert!(parse(b"d4:infole").is_err() && parse(b"de").unwrap_err().contains("this is not a .torrent"));
    assert!(Metainfo::parse(&vec![b'l'; METAINFO_BYTES_MAX + 1].into()).is_err());
}

#[test]
fn files_that_cannot_be_are_refused() {
    let with = |file: Out| read(&[("length", None), ("files", Some(Out::List(vec![file])))]).unwrap_err();
    let path = || Some(Out::List(vec![Out::text("a")]));
    assert!(with(Out::dict([("path", path())])).contains("'length'"));
    assert!(with(Out::dict([("length", Some(Out::Int(-1))), ("path", path())])).contains("'length'"));
    assert!(with(Out::dict([("length", Some(Out::Int(1)))])).contains("'path'"));
    assert!(with(Out::dict([("length", Some(Out::Int(1))), ("path", Some(Out::List(vec![])))])).contains("at least one path element"));
    assert!(with(Out::dict([("length", Some(Out::Int(1))), ("path", Some(Out::List(vec![Out::Int(1)])))])).contains("strings"));
    assert!(with(Out::Int(1)).contains("'length'"));
    assert!(read(&[("length", None), ("files", Some(Out::List(vec![])))]).unwrap_err().contains("at least one file"));
    let huge = || Out::dict([("length", Some(Out::Int(i64::MAX))), ("path", path())]);
    assert!(read(&[("length", None), ("files", Some(Out::List(vec![huge(), huge(), huge()])))]).unwrap_err().contains("add up to more"));
}

#[test]
fn hostile_names_are_read_raw_and_made_safe_by_content() {
    let long = "x".repeat(300);
    let info =
        folder(&[&["..", "..", "etc", "passwd"], &["/etc/passwd"], &["CON"], &["a"], &["A"], &[&long], &["", "b"], &["x", "..", "y"]])
            .unwrap();
    let names = safe_names(&info.layout);
    let safe: Vec<String> = names.paths.iter().flatten().map(|path| path.join("/")).collect();
    assert_eq!(safe[..5], ["n/_/_/etc/passwd", "n/_etc_passwd", "n/_CON", "n/a", "n/A~4"]);
    assert!(safe[5].len() <= 2 + 255 && safe.iter().all(|path| path.split('/').all(|element| !element.is_empty() && element != "..")));
    assert_eq!(names.renamed.len(), 7, "all but 'a', and each is told");
    let root = read(&[("name", Some(Out::text("../..")))]).unwrap();
    assert_eq!(safe_names(&root.layout).root, ".._._");
}

#[test]
fn attributes_and_legacy_keys_are_understood() {
    let file = |entries: Vec<(&'static str, Option<Out>)>| Out::dict(entries);
    let path = |name: &str| Some(Out::List(vec![Out::text(name)]));
    let list = vec![
        file(vec![("attr", Some(Out::text("hx"))), ("length", Some(Out::Int(5))), ("path", path("run"))]),
        file(vec![("attr", Some(Out::text("p"))), ("length", Some(Out::Int(9))), ("path", path("9"))]),
        file(vec![("attr", Some(Out::text("l"))), ("path", path("link")), ("symlink path", path("run"))]),
        file(vec![("length", Some(Out::Int(0))), ("path", Some(Out::List(vec![Out::Bytes(b"\xfc".to_vec())]))), ("path.utf-8", path("ü"))]),
        file(vec![("length", Some(Out::Int(0))), ("path", Some(Out::List(vec![Out::Bytes(b"\xfc".to_vec())])))]),
    ];
    let legacy =
        read(&[("length", None), ("files", Some(Out::List(list))), ("name.utf-8", Some(Out::text("ñ"))), ("private", Some(Out::Int(1)))]);
    let legacy = legacy.unwrap();
    let entry = |path: &str, length, padding, executable| FileEntry { path: vec![path.to_owned()], length, padding, executable };
    assert_eq!(
        legacy.layout.files(),
        [
            entry("run", 5, false, true),
            entry("9", 9, true, false),
            entry("link", 0, false, false),
            entry("ü", 0, false, false),
            entry("\u{fffd}", 0, false, false),
        ]
    );
    assert_eq!((legacy.layout.name(), legacy.private), ("ñ", true));
    assert!(!read(&[("private", Some(Out::Int(0)))]).unwrap().private);
}

#[test]
fn the_info_hash_is_over_the_bytes_as_they_came() {
    // Unsorted, with a number that is written oddly: a re-encoding would give another hash.
    let odd = b"d4:name1:n6:lengthi05e12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let torrent = parse(&[b"d4:info".as_slice(), odd, b"1:z0:e"].concat()).unwrap();
    assert_eq!((&torrent.info.bytes[..], torrent.info.layout.total_bytes()), (&odd[..], 5));
    assert_eq!(torrent.info.info_hash, Info::parse(Bytes::from_static(odd)).unwrap().info_hash);
    assert_eq!(parse(&torrent.encode()).unwrap().info, torrent.info);
}

#[test]
fn trackers_web_seeds_and_nodes_are_read_and_bounded() {
    let head =
        |head: &str, tail: &str| parse(&[b"d".as_slice(), head.as_bytes(), b"4:info", &info(&[]), tail.as_bytes(), b"e"].concat()).unwrap();
    let tiers = head("8:announce1:x13:announce-listll1:a0:1:bel1:celei1ee7:comment2:hi", "8:url-list1:u");
    assert_eq!(tiers.tiers, [vec!["a", "b"], vec!["c"]]);
    assert_eq!((tiers.web_seeds, tiers.comment.as_deref()), (vec!["u".to_owned()], Some("hi")));
    let one = head("8:announce1:x13:announce-listle", "5:nodesll1:hi6881eel1:hi65536eel1:hei1ee8:url-listl1:u0:1:ve");
    assert_eq!(one.tiers, [["x"]]);
    assert_eq!((one.nodes, one.web_seeds), (vec![("h".to_owned(), 6881)], vec!["u".to_owned(), "v".to_owned()]));
    let many =
        head(&format!("13:announce-listl{}e", format!("l{}e", "1:t".repeat(90)).repeat(5)), &format!("8:url-listl{}e", "1:u".repeat(900)));
    assert_eq!((many.tiers.iter().map(Vec::len).sum::<usize>(), many.web_seeds.len()), (200, 200));
    assert_eq!(head("", "").tiers, Vec::<Vec<String>>::new());
}

#[test]
fn nesting_and_cutting_make_nothing_fall_over() {
    for bomb in [b"l".repeat(200_000), b"d1:a".repeat(50_000), [b"d4:info".as_slice(), &b"d1:a".repeat(50_000)].concat()] {
        assert!(parse(&bomb).is_err());
    }
    let whole = include_bytes!("../../vectors/libtorrent_2.0.8_hybrid.torrent");
    for length in 0..whole.len() {
        assert!(parse(&whole[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn a_fresh_torrent_is_the_same_each_time_and_says_what_it_was_told() {
    let build = || {
        let layout = Layout::folder("näme".into(), vec![FileEntry::plain(vec!["d".into(), "f".into()], 40_000)]).unwrap();
        MetainfoBuilder {
            private: true,
            source: Some("S".into()),
            tiers: vec![vec!["udp://a".into()], vec!["http://b".into(), "http://c".into()]],
            web_seeds: vec!["http://w/".into()],
            comment: Some("hi".into()),
            creation_unix_s: Some(7),
            nodes: vec![("router".into(), 6881)],
            ..MetainfoBuilder::new(Arc::new(layout), 16384, vec![Sha1Digest([1; 20]); 3])
        }
        .build()
        .unwrap()
    };
    let torrent = build();
    assert_eq!(torrent.encode(), build().encode());
    assert_eq!(parse(&torrent.encode()), Ok(torrent.clone()));
    assert!(torrent.created_by.as_deref().is_some_and(|by| by.starts_with("Hexad ")));
    let magnet = torrent.magnet();
    assert_eq!(magnet.trackers, ["udp://a", "http://b", "http://c"]);
    assert!(magnet.digests.contains(&Digest::TorrentV1(Sha1Digest(torrent.info.info_hash))));
    assert_eq!(magnet.to_string().parse::<Magnet>(), Ok(magnet));
    assert!(torrent.description().private && torrent.description().torrent == torrent.encode());

    let layout = Arc::new(Layout::single("n".into(), 5).unwrap());
    assert!(MetainfoBuilder::new(layout.clone(), 16384, vec![]).build().is_err());
    assert!(MetainfoBuilder::new(layout.clone(), 0, vec![Sha1Digest([1; 20])]).build().is_err());
    // A tier without a tracker hides none of the others.
    let info = MetainfoBuilder::new(layout, 16384, vec![Sha1Digest([1; 20])]).build().unwrap().info;
    let lone = Metainfo::of_info(info, None, vec![vec![], vec!["http://t".into()]], vec![]).unwrap();
    assert_eq!(parse(&lone.encode()).unwrap().tiers, [["http://t"]]);
}

proptest! {
    #[test]
    fn a_torrent_reads_back_as_it_was(
        name in ".{1,20}", single: bool, lengths in prop::collection::vec((prop::collection::vec(".{1,10}", 1..4), 0_u64..50_000, any::<[bool; 2]>()), 1..6),
        tiers in prop::collection::vec(prop::collection::vec("[a-z]{1,9}", 1..4), 0..4), texts in any::<[Option<String>; 2]>(), unix_s: Option<i64>,
    ) {
        let mut files: Vec<FileEntry> =
            lengths.into_iter().map(|(path, length, [padding, executable])| FileEntry { path, length, padding, executable }).collect();
        let layout = if single {
            let file = FileEntry { path: vec![name.clone()], padding: false, ..files.remove(0) };
            Layout::single_entry(name, file)
        } else {
            Layout::folder(name, files)
        }
        .unwrap();
        let hashes = (0..layout.total_bytes().div_ceil(16384)).map(|piece| Sha1Digest([piece as u8; 20])).collect();
        let [source, comment] = texts;
        let builder = MetainfoBuilder { source, comment, tiers, creation_unix_s: unix_s, ..MetainfoBuilder::new(Arc::new(layout.clone()), 16384, hashes) };
        let torrent = builder.build().unwrap();
        prop_assert_eq!(&*torrent.info.layout, &layout);
        prop_assert_eq!(parse(&torrent.encode()), Ok(torrent));
    }

    #[test]
    fn a_damaged_torrent_is_refused_or_read_as_one_that_can_be_written(which: bool, at: prop::sample::Index, byte: u8) {
        let mut bytes = if which {
            include_bytes!("../../vectors/libtorrent_2.0.8_hybrid.torrent").to_vec()
        } else {
            include_bytes!("../../vectors/transmission_3.00.torrent").to_vec()
        };
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(torrent) = parse(&bytes) {
            prop_assert_eq!(parse(&torrent.encode()), Ok(torrent));
        }
    }
}
