//! Torrents of version 2 and hybrids: those that libtorrent makes, our own, and those that nobody should make.

use std::sync::Arc;

use bytes::Bytes;
use hexad_bittorrent::wire::bencode::{self, Out, Strictness};
use hexad_bittorrent::wire::metainfo::{Info, Metainfo, MetainfoBuilder, Version, short};
use hexad_content::{
    ContentId, Digest, FileEntry, Layout, Magnet, PartVerdict, PiecesRootHasher, Proof, Sha1Digest, Sha256Digest, TreeProof,
};
use sha1::Digest as _;

use crate::vectors::hex;

const PIECE: u64 = 32 << 10;
const V2_FOLDER: &[u8] = include_bytes!("../../vectors/libtorrent_2.0.8_v2_folder.torrent");
const HYBRID_FOLDER: &[u8] = include_bytes!("../../vectors/libtorrent_2.0.8_hybrid_folder.torrent");
const V2_FILE: &[u8] = include_bytes!("../../vectors/libtorrent_2.0.8_v2_file.torrent");
const HYBRID_FILE: &[u8] = include_bytes!("../../vectors/libtorrent_2.0.8_hybrid_file.torrent");

/// Files of the vectors: path, length, salt.
const FOLDER: [(&[&str], u64, u64); 5] =
    [(&["a.bin"], 100_000, 1), (&["b.bin"], 16_384, 2), (&["c.bin"], 0, 3), (&["sub", "d.bin"], 65_536, 4), (&["z.bin"], 20_000, 5)];

fn payload(length: u64, salt: u64) -> Vec<u8> {
    (0..length).map(|at| ((at * 7 + (at >> 8) * 13 + salt) % 251) as u8).collect()
}

fn parse(bytes: &[u8]) -> Result<Metainfo, String> {
    Metainfo::parse(&Bytes::copy_from_slice(bytes)).map_err(|wrong| wrong.to_string())
}

fn tree(bytes: &[u8], piece_bytes: u64) -> TreeProof {
    let size = bytes.len() as u64;
    let hashes: Vec<_> = bytes.chunks(piece_bytes as usize).map(|part| TreeProof::hash_of_part(size, piece_bytes, part)).collect();
    TreeProof::of_layer(size, piece_bytes, hashes).unwrap()
}

/// What a program knows that has read all files: the layout, its bytes, the trees.
fn read_files(single: bool, files: &[(&[&str], u64, u64)], tail: bool) -> (Layout, Vec<u8>, Vec<TreeProof>) {
    let entry = |(path, length, _): &(&[&str], u64, u64)| FileEntry::plain(path.iter().map(|one| (*one).to_owned()).collect(), *length);
    let layout = match files {
        [only] if single => Layout::single_entry(only.0[0].to_owned(), entry(only)),
        _ => Layout::folder("d".into(), files.iter().map(entry).collect()),
    };
    let layout = layout.unwrap().aligned(PIECE, tail).unwrap();
    let mut all = Vec::new();
    let mut trees = Vec::new();
    let mut own = files.iter();
    for file in layout.files() {
        let bytes =
            if file.padding { vec![0; file.length as usize] } else { own.next().map(|(_, length, salt)| payload(*length, *salt)).unwrap() };
        if !file.padding && !bytes.is_empty() {
            trees.push(tree(&bytes, PIECE));
        }
        all.extend(bytes);
    }
    (layout, all, trees)
}

fn make(single: bool, files: &[(&[&str], u64, u64)], version: Version) -> Metainfo {
    let (layout, all, trees) = read_files(single, files, version == Version::Hybrid && !single);
    let pieces = all.chunks(PIECE as usize).map(|piece| Sha1Digest(sha1::Sha1::digest(piece).into()));
    let hashes = if version.has_v1() { pieces.collect() } else { Vec::new() };
    MetainfoBuilder::new(Arc::new(layout), PIECE, hashes).with_trees(trees, version).build().unwrap()
}

/// Every part is proven, and no part by other bytes.
fn check_proof(torrent: &Metainfo, all: &[u8]) {
    let proof = torrent.proof();
    assert!(proof.fits(&torrent.info.layout));
    assert_eq!(proof.part_count(), torrent.info.piece_count() as usize);
    for part in 0..proof.part_count() {
        let range = proof.part_range(part);
        let mut bytes = all[range.start as usize..range.end as usize].to_vec();
        assert_eq!(proof.judge(part, &bytes), PartVerdict::Good, "piece {part}");
        bytes[0] ^= 1;
        assert_eq!(proof.judge(part, &bytes), PartVerdict::Bad, "piece {part}");
    }
}

#[test]
fn torrents_of_libtorrent_are_read_proven_and_made_again_byte_by_byte() {
    let one: &[(&[&str], u64, u64)] = &[(&["one.bin"], 150_000, 9)];
    let cases = [
        (V2_FOLDER, false, &FOLDER[..], Version::V2, None, "7c31bb0d1b7602116c977aa9dca1c54014aa58ab9cbccfe5a86aa6fd8c7833e1"),
        (
            HYBRID_FOLDER,
            false,
            &FOLDER[..],
            Version::Hybrid,
            Some("90837447b2b25968a427e2570e4f9abeef67583d"),
            "733e2e3a6cca6ec3feab2414f37518a38859e7dc738469cc8505ea88f0c4306f",
        ),
        (V2_FILE, true, one, Version::V2, None, "5658f355c9ffc7795b25b58e356b3b6b9e1a7a7f6afbf4c49a455c92fa1f9568"),
        (
            HYBRID_FILE,
            true,
            one,
            Version::Hybrid,
            Some("87e3ddd921052dfcbdd023274dcb4cb5c9ccfe51"),
            "7ae693a5ca22ddbbe8de24972818298061aadb09c46b372fe253ac00cb84e926",
        ),
    ];
    for (bytes, single, files, version, v1, v2) in cases {
        let theirs = parse(bytes).unwrap();
        assert_eq!(theirs.info.version, version);
        assert_eq!(theirs.info.info_hash_v2.unwrap().to_string(), v2);
        match v1 {
            Some(v1) => assert_eq!(theirs.info.info_hash.to_vec(), hex(v1)),
            None => assert_eq!(theirs.info.info_hash.to_vec(), hex(&v2[..40])),
        }
        let ours = make(single, files, version);
        assert_eq!(ours.info.bytes, theirs.info.bytes, "{version:?} {single}");
        assert_eq!(ours.trees(), theirs.trees());
        assert_eq!(parse(&theirs.encode()), Ok(theirs.clone()));
        let (_, all, _) = read_files(single, files, true);
        check_proof(&theirs, &all);
        assert_eq!(theirs.magnet().to_string().parse(), Ok(theirs.magnet()));
        assert_eq!(theirs.info.layout.is_single(), single);
    }
    assert!(matches!(parse(V2_FILE).unwrap().proof(), Proof::Tree(_)));
}

#[test]
fn a_file_has_the_same_name_in_every_torrent_and_on_other_networks() {
    let mut hasher = PiecesRootHasher::new();
    hasher.update(&payload(150_000, 9));
    let content: ContentId = hasher.finish();
    for torrent in [V2_FILE, HYBRID_FILE].map(|bytes| parse(bytes).unwrap()) {
        assert_eq!(*torrent.info.contents, [content]);
        assert!(torrent.digests().contains(&Digest::Content(content)));
    }
    assert!(!parse(V2_FOLDER).unwrap().digests().iter().any(|digest| matches!(digest, Digest::Content(_))));
}

#[test]
fn a_link_of_a_hybrid_has_both_names_and_one_of_version_2_has_the_long_one() {
    let names = |bytes| parse(bytes).unwrap().magnet().to_string();
    assert!(names(HYBRID_FILE).starts_with(
        "magnet:?xt=urn:btih:87e3ddd921052dfcbdd023274dcb4cb5c9ccfe51&xt=urn:btmh:12207ae693a5ca22ddbbe8de24972818298061aadb09c46b372fe253ac00cb84e926"
    ));
    assert!(
        names(V2_FILE).starts_with("magnet:?xt=urn:btmh:12205658f355c9ffc7795b25b58e356b3b6b9e1a7a7f6afbf4c49a455c92fa1f9568&dn=one.bin")
    );
    let link: Magnet = names(V2_FILE).parse().unwrap();
    let info = parse(V2_FILE).unwrap().info;
    assert!(link.digests.contains(&Digest::TorrentV2(info.info_hash_v2.unwrap())));
    assert_eq!(info.info_hash_v2_short(), Some(short(&info.info_hash_v2.unwrap())));
}

#[test]
fn a_hybrid_whose_layers_are_not_known_is_proven_by_sha1() {
    let whole = parse(HYBRID_FOLDER).unwrap();
    let bare = Metainfo::of_info(whole.info.clone(), None, Vec::new(), Vec::new()).unwrap();
    assert!(matches!(bare.proof(), Proof::V1Pieces { .. }) && bare.trees().is_none());
    assert_eq!(parse(&bare.encode()), Ok(bare));
    let again = Metainfo::of_info(whole.info.clone(), whole.trees().cloned(), Vec::new(), Vec::new()).unwrap();
    assert_eq!(again.proof(), whole.proof());
    let v2 = parse(V2_FOLDER).unwrap();
    assert!(Metainfo::of_info(v2.info.clone(), None, Vec::new(), Vec::new()).is_err());
    // Files of one piece or less need no layers.
    let small = make(false, &[(&["a"], 5, 1), (&["b"], PIECE, 2)], Version::V2);
    assert!(Metainfo::of_info(small.info, None, Vec::new(), Vec::new()).is_ok());
}

/// A dictionary with other values for some keys; `None` takes one away.
fn changed(bytes: &[u8], changes: &[(&str, Option<Out>)]) -> Vec<u8> {
    let tree = bencode::parse(bytes, Strictness::Lenient).unwrap();
    let kept = tree.root().entries().unwrap().filter(|(key, _)| !changes.iter().any(|(changed, _)| changed.as_bytes() == *key));
    let mut entries: Vec<(Vec<u8>, Out)> = kept.map(|(key, value)| (key.to_vec(), Out::Raw(value.raw().to_vec()))).collect();
    entries.extend(changes.iter().filter_map(|(key, value)| Some((key.as_bytes().to_vec(), value.clone()?))));
    Out::Dict(entries).encode()
}

fn info_of(torrent: &[u8]) -> Vec<u8> {
    parse(torrent).unwrap().info.bytes.to_vec()
}

#[test]
fn layers_that_are_not_the_roots_are_refused() {
    let theirs = parse(V2_FILE).unwrap();
    let root = theirs.info.contents[0].root;
    let hashes: Vec<u8> = theirs.trees().unwrap()[0].hashes().iter().flat_map(|hash| hash.0).collect();
    let with = |layer: Option<Vec<u8>>| {
        let layers = Out::Dict(layer.into_iter().map(|layer| (root.0.to_vec(), Out::Bytes(layer))).collect());
        parse(&changed(V2_FILE, &[("piece layers", Some(layers))]))
    };
    assert!(with(Some(hashes.clone())).is_ok());
    let mut bent = hashes.clone();
    bent[40] ^= 1;
    for (layer, expected) in [
        (Some(bent), "the hashes do not belong to the content"),
        (Some(hashes[32..].to_vec()), "expected 5 hashes, came 4"),
        (Some(hashes[1..].to_vec()), "missing"),
        (Some(Vec::new()), "expected 5 hashes, came 0"),
        (None, "missing"),
    ] {
        let wrong = with(layer).unwrap_err();
        assert!(wrong.contains(expected), "{expected}: {wrong}");
    }
    assert!(parse(&changed(V2_FILE, &[("piece layers", None)])).unwrap_err().contains("missing"));
}

#[test]
fn a_file_tree_that_cannot_be_is_refused() {
    let read = |tree: Out| {
        let info = changed(&info_of(V2_FILE), &[("file tree", Some(tree))]);
        Info::parse(info.into()).map_err(|wrong| wrong.to_string())
    };
    let file = |entries: &[(&str, Out)]| Out::dict([("", Some(Out::dict(entries.iter().map(|(key, value)| (*key, Some(value.clone()))))))]);
    let dict = |name: &str, node: Out| Out::dict([(name, Some(node))]);
    let root = || ("pieces root", Out::Bytes(vec![1; 32]));
    let good = || file(&[("length", Out::Int(5)), root()]);
    assert!(read(dict("a", good())).unwrap().layout.is_single());
    assert!(!read(dict("a", dict("b", good()))).unwrap().layout.is_single());
    assert!(read(dict("a", file(&[("length", Out::Int(0))]))).unwrap().contents.is_empty());
    let deep = (0..200).fold(good(), |node, _| dict("a", node));
    for (tree, expected) in [
        (Out::Int(1), "dictionaries"),
        (Out::dict([]), "at least one file"),
        (dict("a", Out::dict([])), "at least one file"),
        (dict("a", Out::Int(1)), "dictionaries"),
        (good(), "stand alone"),
        (dict("a", Out::dict([("", Some(Out::dict([("length", Some(Out::Int(0)))]))), ("b", Some(good()))])), "stand alone"),
        (dict("a", file(&[("length", Out::Int(5))])), "'pieces root'"),
        (dict("a", file(&[("length", Out::Int(5)), ("pieces root", Out::Bytes(vec![1; 31]))])), "'pieces root'"),
        (dict("a", file(&[("length", Out::Int(-1)), root()])), "'length'"),
        (dict("a", file(&[root()])), "'length'"),
        (dict("a", file(&[("length", Out::Int(5)), root(), ("attr", Out::text("p"))])), "no padding"),
        (dict("a", file(&[("length", Out::Int(i64::MAX)), root()])), "add up to more"),
        (dict("a", file(&[("length", Out::Int(1 << 40)), root()])), "more than 2097152 pieces"),
        (deep, ""),
    ] {
        let wrong = read(tree).unwrap_err();
        assert!(wrong.contains(expected), "{expected}: {wrong}");
    }
    for piece_bytes in [8192, 40_000] {
        let info = changed(&info_of(V2_FILE), &[("piece length", Some(Out::Int(piece_bytes)))]);
        let wrong = Info::parse(info.into()).unwrap_err().to_string();
        assert!(wrong.contains("a power of two from 16384"), "{wrong}");
    }
    let info = changed(&info_of(V2_FILE), &[("file tree", None)]);
    assert!(Info::parse(info.into()).unwrap_err().to_string().contains("expected 'file tree'"));
}

#[test]
fn a_hybrid_whose_halves_describe_different_files_is_refused() {
    let hybrid = info_of(HYBRID_FOLDER);
    let read = |changes: &[(&str, Option<Out>)]| Info::parse(changed(&hybrid, changes).into()).map_err(|wrong| wrong.to_string());
    let own = bencode::parse(&hybrid, Strictness::Lenient).unwrap();
    let files: Vec<Out> = own.root().get("files").unwrap().list().unwrap().map(|file| Out::Raw(file.raw().to_vec())).collect();
    assert!(read(&[]).is_ok());
    // The padding after the last file may be missing, with the zeros at the end of the last piece.
    let with = |files: Vec<Out>| read(&[("files", Some(Out::List(files)))]);
    assert!(with(files[..7].to_vec()).is_ok());
    let mut swapped = files.clone();
    swapped.swap(4, 6);
    let mut unpadded = files.clone();
    unpadded.remove(1);
    let renamed = |name: &str, length: i64| {
        let path = Some(Out::List(vec![Out::text(name)]));
        let file = Out::dict([("length", Some(Out::Int(length))), ("path", path)]);
        [&[file][..], &files[1..]].concat()
    };
    assert!(with(renamed("a.bin", 100_000)).is_ok());
    for wrong in [swapped, unpadded, files[2..].to_vec(), files[..6].to_vec(), renamed("A.bin", 100_000), renamed("a.bin", 99_999)] {
        let wrong = with(wrong).unwrap_err();
        assert!(wrong.contains("do not describe the same files"), "{wrong}");
    }
}

#[test]
fn a_torrent_whose_values_contradict_each_other_is_not_made() {
    let (layout, _, trees) = read_files(false, &FOLDER, false);
    let build = |layout: &Layout, trees: &[TreeProof]| {
        let builder = MetainfoBuilder::new(Arc::new(layout.clone()), PIECE, Vec::new());
        builder.with_trees(trees.to_vec(), Version::V2).build().map_err(|wrong| wrong.to_string())
    };
    assert!(build(&layout, &trees).is_ok());
    assert!(build(&layout, &trees[1..]).unwrap_err().contains("expected the tree of 'a.bin'"));
    let unordered: Vec<FileEntry> = [3, 0].iter().map(|&file| layout.files()[file].clone()).filter(|file| !file.padding).collect();
    let unordered = Layout::folder("d".into(), [unordered, vec![layout.files()[0].clone()]].concat()).unwrap();
    assert!(build(&unordered.aligned(PIECE, false).unwrap(), &trees).is_err());
    let other = [Sha256Digest([1; 32])];
    let wrong_tree = TreeProof::of_layer(7, PIECE, other).unwrap();
    assert!(build(&layout, &[&[wrong_tree], &trees[1..]].concat()).is_err());
}
