//! Torrents of version 2 and hybrids (BEP 52).

use std::sync::Arc;

use hexad_content::{Digest, FileEntry, Layout, Magnet, Ranges, Sha1Digest, Sha256Digest, TreeLayers, TreeProof};
use hexad_core::{Ask, ConnId, Input, Level, Operation, Output, Progress, Span, Via, Why};

use super::bench::*;
use crate::doors;
use crate::node::Request;
use crate::wire::metainfo::{Metainfo, MetainfoBuilder, Version};
use crate::wire::{BlockRef, Handshake, HashSpan, Message, MetadataMessage, reserved};

/// Pieces of the long file.
const PARTS: u64 = 5;
/// Bytes of the last one.
const REST: u64 = 100;

/// A folder of a file of five pieces and a bit, and one of 5 bytes.
fn torrent(version: Version) -> Metainfo {
    let files = [("long", PARTS * PIECE + REST), ("short", 5)];
    let entries = files.map(|(name, length)| FileEntry::plain(vec![name.into()], length)).to_vec();
    let layout = Layout::folder("album".into(), entries).unwrap().aligned(PIECE, version.has_v1()).unwrap();
    let trees = files
        .map(|(_, length)| {
            let hashes: Vec<_> = (0..length.div_ceil(PIECE)).map(|part| Sha256Digest([part as u8 + 1; 32])).collect();
            TreeProof::of_layer(length, PIECE, hashes).unwrap()
        })
        .to_vec();
    let hashes = if version.has_v1() { (0..7).map(|piece| Sha1Digest([piece; 20])).collect() } else { Vec::new() };
    MetainfoBuilder::new(Arc::new(layout), PIECE, hashes).with_trees(trees, version).build().unwrap()
}

fn bench(version: Version) -> Bench {
    Bench::of(config(), torrent(version)).joins()
}

fn link(torrent: &Metainfo, names: impl Fn(&Digest) -> bool) -> hexad_core::What {
    let digests = torrent.magnet().digests.iter().filter(|digest| names(digest)).copied().collect();
    hexad_core::What::Magnet(Box::new(Magnet { digests, ..Magnet::default() }))
}

fn is_v2(digest: &Digest) -> bool {
    matches!(digest, Digest::TorrentV2(_))
}

/// Somebody connects, naming the torrent like that; returns our handshake as well.
fn meets(bench: &mut Bench, last: u8, info_hash: [u8; 20], offers_v2: bool) -> (ConnId, Option<Handshake>) {
    let conn = bench.talk.accepted();
    bench.hears(Input::Opened { conn, peer: peer(last), via: Via::Accepted(doors::PEERS) });
    let theirs = Handshake { reserved: reserved::ours(false, offers_v2), info_hash, peer_id: id(last), obfuscated: false };
    let said = bench.says(conn, Message::Handshake(theirs));
    let ours = told(conn, &said).into_iter().find_map(|message| if let Message::Handshake(ours) = message { Some(ours) } else { None });
    (conn, ours)
}

#[test]
fn nothing_beyond_the_end_of_a_file_is_asked_for() {
    for version in [Version::V2, Version::Hybrid] {
        let mut bench = bench(version).fetches();
        let (conn, said) = bench.meets_seed(1);
        let said = bench.gives_all(conn, &said);
        let mut blocks = delivered(&said);
        blocks.sort_unstable();
        let covered = blocks.iter().map(|&(at, bytes)| at..at + bytes).collect::<Ranges>();
        let expected: Ranges = [0..PARTS * PIECE + REST, (PARTS + 1) * PIECE..(PARTS + 1) * PIECE + 5].into_iter().collect();
        assert_eq!(covered, expected, "{version:?}");
        let proof = bench.torrent.proof();
        let mut last = Vec::new();
        for part in 0..7 {
            last = bench.hears(Input::Judged(LEASE, proof.part_range(part), hexad_core::Verdict::Good));
        }
        assert_eq!(reports(FETCH, &last), [&Progress::Done], "{version:?}");
    }
}

#[test]
fn padding_is_given_to_those_who_ask_for_it() {
    let mut bench = bench(Version::Hybrid).seeds();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::Interested);
    let block = BlockRef { piece: 5, begin: 0, length: 16 << 10 };
    let said = bench.says(conn, Message::Request(block));
    let start = PARTS * PIECE;
    assert!(
        said.iter().any(|output| matches!(output, Output::SendShare(_, _, SHARE, range) if *range == (start..start + (16 << 10)))),
        "{said:?}"
    );
    // libtorrent asks for whole blocks even behind the last file.
    let mut unpadded = self::bench(Version::V2).seeds();
    let (other, _) = unpadded.meets(1, true);
    unpadded.says(other, Message::Interested);
    let last = BlockRef { piece: 6, begin: 0, length: 16 << 10 };
    let said = unpadded.says(other, Message::Request(last));
    let start = (PARTS + 1) * PIECE;
    assert!(
        said.iter().any(|output| matches!(output, Output::SendShare(_, _, SHARE, range) if *range == (start..start + (16 << 10)))),
        "{said:?}"
    );
    let beyond = BlockRef { piece: 6, begin: 0, length: (16 << 10) + 1 };
    assert_eq!(closed(conn, &bench.says(conn, Message::Request(beyond))).as_deref(), Some("request_bad"));
}

#[test]
fn both_names_of_a_hybrid_lead_to_one_swarm() {
    let torrent = torrent(Version::Hybrid);
    let (v1, v2) = (torrent.info.info_hash, torrent.info.info_hash_v2_short().unwrap());
    let mut bench = bench(Version::Hybrid).seeds();
    for (last, named, offers_v2, answered) in [(1, v1, false, v1), (2, v2, false, v2), (3, v1, true, v2)] {
        let (_, ours) = meets(&mut bench, last, named, offers_v2);
        assert_eq!(ours.unwrap().info_hash, answered, "{last}");
    }
    // What belongs to version 2 alone costs the connection where it was not agreed on.
    let (conn, _) = meets(&mut bench, 4, v1, false);
    let said = bench.says(conn, Message::HashRequest(Box::new(whole_span(&torrent))));
    assert_eq!(closed(conn, &said).as_deref(), Some("hashes_not_agreed"));
    // It is the torrent of version 2 only that has no other name.
    let (_, ours) = meets(&mut self::bench(Version::V2).seeds(), 5, self::torrent(Version::V2).info.info_hash, true);
    assert!(ours.is_some());
}

#[test]
fn a_hybrid_is_dialled_by_its_first_name_and_by_the_other_where_that_fails() {
    let torrent = torrent(Version::Hybrid);
    let (v1, v2) = (torrent.info.info_hash, torrent.info.info_hash_v2_short().unwrap());
    let mut bench = bench(Version::Hybrid);
    let said = bench.starts_fetch(hexad_core::What::Torrent(torrent.encode().into()), vec![peer(1)]);
    let (conn, ..) = dialled(&said)[0];
    let said = bench.hears(Input::Opened { conn, peer: peer(1), via: Via::Dialled });
    let [Message::Handshake(first)] = &told(conn, &said)[..] else { panic!("{said:?}") };
    assert_eq!((first.info_hash, reserved::v2(&first.reserved)), (v1, true));
    bench.hears(Input::Closed(conn, Why::PeerClosed));
    let said = bench.pass(Span::from_secs(30));
    let (conn, ..) = dialled(&said)[0];
    let said = bench.hears(Input::Opened { conn, peer: peer(1), via: Via::Dialled });
    let [Message::Handshake(second)] = &told(conn, &said)[..] else { panic!("{said:?}") };
    assert_eq!((second.info_hash, reserved::v2(&second.reserved)), (v2, false));
    let theirs = Handshake { reserved: reserved::ours(false, false), info_hash: v2, peer_id: id(1), obfuscated: false };
    let said = bench.says(conn, Message::Handshake(theirs));
    assert_eq!(closed(conn, &said), None);
    let foreign = Handshake { reserved: reserved::ours(false, false), info_hash: [9; 20], peer_id: id(2), obfuscated: false };
    let said = bench.hears(Input::Start(hexad_core::OpId(9), Operation::Own(Request::AddPeers(SHARE, vec![peer(2)]))));
    let (conn, ..) = dialled(&said)[0];
    bench.hears(Input::Opened { conn, peer: peer(2), via: Via::Dialled });
    assert_eq!(closed(conn, &bench.says(conn, Message::Handshake(foreign))).as_deref(), Some("handshake_other_torrent"));
}

#[test]
fn both_names_of_a_hybrid_are_announced() {
    let mut torrent = torrent(Version::Hybrid);
    torrent.tiers = vec![vec!["http://192.0.2.9/announce".into()]];
    let mut bench = Bench::of(config(), torrent.clone()).joins();
    let share = bench.share(Ranges::of(0..bench.total()));
    bench.talk.shares = bench.talk.shares.with(SHARE, share);
    let said = bench.hears(Input::Start(PUBLISH, Operation::Publish { share: SHARE }));
    let asked: Vec<String> = said
        .iter()
        .filter_map(|output| if let Output::Ask(_, Ask::Http(request)) = output { Some(request.url.clone()) } else { None })
        .collect();
    assert_eq!(asked.len(), 2, "{said:?}");
    for hash in [torrent.info.info_hash, torrent.info.info_hash_v2_short().unwrap()] {
        let written = |url: &str| {
            let query = url.split_once("info_hash=").map(|(_, query)| query.split('&').next().unwrap_or_default().to_owned());
            query.is_some_and(|query| unescaped(&query) == hash)
        };
        assert!(asked.iter().any(|url| written(url)), "{asked:?}");
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).unwrap_or(0) as u8;
        bytes.push(if byte == b'%' { digit() * 16 + digit() } else { byte });
    }
    bytes
}

/// All hashes of the piece layer of the long file.
fn whole_span(torrent: &Metainfo) -> HashSpan {
    HashSpan { root: torrent.info.contents[0].root, base_layer: 1, index: 0, length: 8, proof_layers: 2 }
}

fn hashes_of(torrent: &Metainfo, span: &HashSpan) -> Vec<Sha256Digest> {
    let layers = TreeLayers::of(&torrent.trees().unwrap()[0]);
    layers.span(u32::from(span.base_layer) - 1, span.index.into(), span.length.into(), span.proof_layers.into()).unwrap()
}

#[test]
fn hashes_are_given_with_what_proves_them() {
    let torrent = torrent(Version::V2);
    let mut bench = bench(Version::V2).seeds();
    let (conn, _) = bench.meets(1, true);
    let some = HashSpan { index: 4, length: 2, ..whole_span(&torrent) };
    for span in [whole_span(&torrent), some] {
        let said = bench.says(conn, Message::HashRequest(Box::new(span.clone())));
        let hashes = hashes_of(&torrent, &span);
        assert_eq!(told(conn, &said), [Message::Hashes(Box::new(span), hashes)]);
    }
    let whole = whole_span(&torrent);
    let unknown = HashSpan { root: Sha256Digest([9; 32]), ..whole.clone() };
    let beyond = HashSpan { index: 8, ..whole.clone() };
    let too_far = HashSpan { proof_layers: 9, ..whole };
    for span in [unknown, beyond, too_far] {
        let span = Box::new(span);
        let said = bench.says(conn, Message::HashRequest(span.clone()));
        assert_eq!(told(conn, &said), [Message::HashReject(span)]);
    }
    let told_so: usize = (0..400).map(|_| told(conn, &bench.says(conn, Message::HashRequest(Box::new(whole_span(&torrent))))).len()).sum();
    assert_eq!(told_so, 400, "all are answered, those beyond what may be asked at once with no");
}

/// Whoever asks no faster than hashes are given loses nothing; who goes on though it is told no is a flood.
#[test]
fn a_flood_of_requests_for_hashes_costs_the_connection() {
    let torrent = torrent(Version::V2);
    let mut bench = bench(Version::V2).seeds();
    let (patient, _) = bench.meets(1, true);
    for _ in 0..60 {
        for _ in 0..60 {
            let said = bench.says(patient, Message::HashRequest(Box::new(whole_span(&torrent))));
            assert!(matches!(told(patient, &said)[..], [Message::Hashes(..)]), "{said:?}");
        }
        bench.pass(hexad_core::Span::from_secs(1));
    }
    // Whether they could be given or not, and whether it is choked or not.
    for (last, root) in [(2, None), (3, Some(Sha256Digest([9; 32])))] {
        let (conn, _) = bench.meets(last, true);
        let whole = whole_span(&torrent);
        let span = HashSpan { root: root.unwrap_or(whole.root), ..whole };
        let mut answers = 0;
        let end = (0..5000).find_map(|count| {
            let said = bench.says(conn, Message::HashRequest(Box::new(span.clone())));
            answers += told(conn, &said).iter().filter(|message| matches!(message, Message::Hashes(..))).count();
            closed(conn, &said).map(|why| (count, why))
        });
        let (count, why) = end.expect("a flood has an end");
        assert!((256..1000).contains(&count) && answers <= 256, "{count} requests, {answers} answers");
        assert_eq!(why, "nonsense");
    }
}

/// A peer that hands out the info dictionary when it is asked; returns what it is told then.
fn tells_info(bench: &mut Bench, conn: ConnId) -> Said {
    let info = bench.torrent.info.bytes.clone();
    let size = u32::try_from(info.len()).unwrap();
    bench.says(conn, Message::HaveAll);
    let said = bench.says(conn, bench.extended(Some(size)));
    assert!(told(conn, &said).contains(&Message::Metadata(MetadataMessage::Request { piece: 0 })), "{said:?}");
    bench.says(conn, Message::Metadata(MetadataMessage::Data { piece: 0, total_bytes: size, data: info }))
}

fn hash_requests(conn: ConnId, said: &Said) -> Vec<HashSpan> {
    let span = |message| if let Message::HashRequest(span) = message { Some(*span) } else { None };
    told(conn, said).into_iter().filter_map(span).collect()
}

#[test]
fn a_link_to_version_2_brings_metadata_and_then_the_layers() {
    let mut bench = bench(Version::V2);
    let torrent = bench.torrent.clone();
    let what = link(&torrent, is_v2);
    bench.starts_fetch(what, Vec::new());
    let (liar, _) = bench.meets(1, true);
    let said = tells_info(&mut bench, liar);
    assert_eq!(reports(FETCH, &said), [] as [&Progress<_>; 0]);
    let [span] = &hash_requests(liar, &said)[..] else { panic!("{said:?}") };
    assert_eq!(*span, whole_span(&torrent));
    let mut wrong = hashes_of(&torrent, span);
    wrong[7] = Sha256Digest([1; 32]);
    let said = bench.says(liar, Message::Hashes(Box::new(span.clone()), wrong));
    assert_eq!(notes(Level::Ban, &said), ["wrong_hashes"]);

    // Whoever rejects, and whoever says nothing, is not waited for.
    let (unwilling, _) = bench.meets(2, true);
    let said = bench.pass(Span::from_secs(1));
    let [span] = &hash_requests(unwilling, &said)[..] else { panic!("{said:?}") };
    let (silent, _) = bench.meets(3, true);
    let said = bench.says(unwilling, Message::HashReject(Box::new(span.clone())));
    assert_eq!(hash_requests(silent, &said), std::slice::from_ref(span));
    let (honest, _) = bench.meets(4, true);
    bench.says(honest, Message::HaveAll);
    let said = bench.pass(Span::from_secs(11));
    let [span] = &hash_requests(honest, &said)[..] else { panic!("{said:?}") };
    let late = bench.says(silent, Message::Hashes(Box::new(span.clone()), hashes_of(&torrent, span)));
    assert_eq!(notes(Level::Drop, &late), ["hashes_unasked"]);
    let said = bench.says(honest, Message::Hashes(Box::new(span.clone()), hashes_of(&torrent, span)));
    let [Progress::Described(description)] = reports(FETCH, &said)[..] else { panic!("{said:?}") };
    assert_eq!((&description.layout, &description.proof), (&torrent.info.layout, &Some(torrent.proof())));
    assert!(told(honest, &said).contains(&Message::Interested));
}

#[test]
fn a_hybrid_is_described_without_layers_where_nobody_tells_them() {
    let torrent = torrent(Version::Hybrid);
    let (v1, v2) = (torrent.info.info_hash, torrent.info.info_hash_v2_short().unwrap());
    let mut bench = bench(Version::Hybrid);
    bench.starts_fetch(link(&torrent, |digest| !is_v2(digest)), Vec::new());
    let (conn, _) = meets(&mut bench, 1, v1, false);
    let said = tells_info(&mut bench, conn);
    let [Progress::Described(description)] = reports(FETCH, &said)[..] else { panic!("{said:?}") };
    assert!(matches!(description.proof, Some(hexad_content::Proof::V1Pieces { .. })));

    let mut bench = self::bench(Version::Hybrid);
    bench.starts_fetch(link(&torrent, |_| true), Vec::new());
    let (conn, _) = meets(&mut bench, 1, v2, false);
    let said = tells_info(&mut bench, conn);
    assert_eq!(hash_requests(conn, &said), [whole_span(&torrent)]);
    assert_eq!(reports(FETCH, &said), [] as [&Progress<_>; 0]);
    let said = bench.pass(Span::from_secs(20));
    let [Progress::Described(description)] = reports(FETCH, &said)[..] else { panic!("{said:?}") };
    assert!(matches!(description.proof, Some(hexad_content::Proof::V1Pieces { .. })));
}

#[test]
fn a_hybrid_that_was_found_by_sha_1_is_met_anew_by_its_other_name_where_peers_offer_that() {
    let torrent = torrent(Version::Hybrid);
    let (v1, v2) = (torrent.info.info_hash, torrent.info.info_hash_v2_short().unwrap());
    let mut bench = bench(Version::Hybrid);
    bench.starts_fetch(link(&torrent, |digest| !is_v2(digest)), Vec::new());
    let (conn, ours) = meets(&mut bench, 1, v1, true);
    assert_eq!(ours.map(|ours| ours.info_hash), Some(v1), "the other name is not known yet");
    bench.says(conn, Message::from(crate::wire::ExtendedHandshake { listen_port: Some(6881), ..Default::default() }));
    let said = tells_info(&mut bench, conn);
    assert_eq!((closed(conn, &said).as_deref(), reports(FETCH, &said).len()), (Some("upgrades_to_v2"), 0));
    let (conn, to, _) = dialled(&said).remove(0);
    assert_eq!(to, peer(1));
    let said = bench.hears(Input::Opened { conn, peer: peer(1), via: Via::Dialled });
    assert!(matches!(&told(conn, &said)[..], [Message::Handshake(ours)] if ours.info_hash == v2), "{said:?}");
    let theirs = Handshake { reserved: reserved::ours(false, false), info_hash: v2, peer_id: id(1), obfuscated: false };
    bench.says(conn, Message::Handshake(theirs));
    bench.says(conn, Message::HaveAll);
    let said = bench.pass(Span::from_secs(1));
    let [span] = &hash_requests(conn, &said)[..] else { panic!("{said:?}") };
    let said = bench.says(conn, Message::Hashes(Box::new(span.clone()), hashes_of(&torrent, span)));
    let [Progress::Described(description)] = reports(FETCH, &said)[..] else { panic!("{said:?}") };
    assert_eq!(description.proof, Some(torrent.proof()));
}

#[test]
fn a_link_whose_names_belong_to_different_torrents_fails() {
    let torrent = torrent(Version::Hybrid);
    let mut bench = bench(Version::Hybrid);
    let digests = [Digest::TorrentV1(Sha1Digest(torrent.info.info_hash)), Digest::TorrentV2(Sha256Digest([7; 32]))].into_iter().collect();
    bench.starts_fetch(hexad_core::What::Magnet(Box::new(Magnet { digests, ..Magnet::default() })), Vec::new());
    let (conn, _) = meets(&mut bench, 1, torrent.info.info_hash, false);
    let said = tells_info(&mut bench, conn);
    assert!(matches!(reports(FETCH, &said)[..], [Progress::Failed(_)]), "{said:?}");
}
