//! BitTorrent v2 and hybrid torrents (BEP 52) against libtorrent: made, fed and fetched, by .torrent and by link.

mod common;

use anyhow::ensure;
use common::{Case, PATIENCE, Payload, Via, together};
use hexad_interop::{Crypto, Hexad, Link, Program, Scene, Torrent, Version, have};
use std::os::unix::fs::FileExt as _;
use std::process::Command;

const BYTES: u64 = (16 << 20) + 4711;
/// Of 256 blocks, and too long to be kept in memory until it is judged.
const LONG_PIECE: u64 = 4 << 20;
const PAYLOADS: [Payload; 4] = [
    Payload::BytesFor(Version::V2, BYTES),
    Payload::FolderFor(Version::V2),
    Payload::BytesFor(Version::Hybrid, BYTES),
    Payload::FolderFor(Version::Hybrid),
];

fn between(seed: Program, leech: Program, link: Link) {
    let case = |payload| Case { seed: (seed, Crypto::Default), leech: (leech, Crypto::Default), link, via: Via::Dialling, payload };
    together(&PAYLOADS.map(case));
}

#[test]
fn hexad_feeds_libtorrent() {
    between(Program::Hexad, Program::Libtorrent, Link::File);
}

#[test]
fn libtorrent_feeds_hexad() {
    between(Program::Libtorrent, Program::Hexad, Link::File);
}

#[test]
fn hexad_feeds_libtorrent_that_has_a_link() {
    between(Program::Hexad, Program::Libtorrent, Link::Magnet);
}

#[test]
fn libtorrent_feeds_hexad_that_has_a_link() {
    between(Program::Libtorrent, Program::Hexad, Link::Magnet);
}

#[test]
fn hexad_feeds_itself_by_link() {
    between(Program::Hexad, Program::Hexad, Link::Magnet);
}

/// aria2 1.36 and Transmission 3.00 cannot be asked: the one computes another info hash of a hybrid, the other calls it corrupt (both stumble over
/// the empty keys of `file tree`).
#[test]
fn a_hybrid_is_found_by_either_of_its_names() {
    if !have(&[Program::Libtorrent.needs(), Program::Hexad.needs()].concat()) {
        return;
    }
    for (seed, leech) in [(Program::Hexad, Program::Libtorrent), (Program::Libtorrent, Program::Hexad), (Program::Hexad, Program::Hexad)] {
        for v1 in [true, false] {
            let scene = Scene::new().expect("a stage");
            let outcome = (|| {
                let data = scene.folder(256 << 10)?;
                let torrent = Torrent::make_v2(&data, &scene.path("payload.torrent"), 256 << 10, &[], Version::Hybrid)?;
                let named = match v1 {
                    true => Torrent { info_hash_v2: None, ..torrent.clone() },
                    false => Torrent { info_hash: String::new(), ..torrent.clone() },
                };
                let source = scene.seed(&torrent);
                let _source = seed.seed(&source)?;
                let mut job = scene.leech("leech", &named);
                job.link = Link::Magnet;
                job.peers = vec![source.at];
                leech.leech(&job)?.complete(PATIENCE)?;
                scene.arrived(&torrent, &job)
            })();
            scene.explain(outcome).unwrap_or_else(|wrong| panic!("{seed} to {leech}, {}: {wrong:#}", if v1 { "v1" } else { "v2" }));
        }
    }
}

#[test]
fn a_swarm_of_version_2_is_found_by_its_tracker() {
    let case = |(seed, leech), payload| Case {
        seed: (seed, Crypto::Default),
        leech: (leech, Crypto::Default),
        link: Link::Magnet,
        via: Via::OurTracker("http"),
        payload,
    };
    let ways = [(Program::Hexad, Program::Libtorrent), (Program::Libtorrent, Program::Hexad)];
    let cases = ways.map(|way| [case(way, PAYLOADS[0]), case(way, PAYLOADS[2])]);
    together(cases.as_flattened());
}

#[test]
fn both_programs_give_the_same_files_the_same_names() {
    if !have(&[Program::Libtorrent.needs(), Program::Hexad.needs()].concat()) {
        return;
    }
    let scene = Scene::new().expect("a stage");
    let outcome = (|| {
        for data in [scene.file(BYTES)?, scene.folder(256 << 10)?] {
            for (version, flag) in [(Version::V2, "--v2"), (Version::Hybrid, "--hybrid")] {
                let theirs = Torrent::make_v2(&data, &scene.path("theirs.torrent"), 256 << 10, &[], version)?;
                let ours = scene.path("ours.torrent");
                let create = ["torrent", "create", "--force", flag, "--piece-length", "256KiB", "--json", "-o"];
                let output = Command::new(Hexad::binary()?).args(create).arg(&ours).arg(&data).output()?;
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                let v2 = theirs.info_hash_v2.clone().unwrap_or_default();
                anyhow::ensure!(
                    said.contains(&v2) && said.contains(&theirs.info_hash),
                    "{version:?}: {said} where libtorrent has {theirs:?}"
                );
            }
        }
        Ok(())
    })();
    scene.explain(outcome).expect("the same names");
}

/// One of two seeds has a wrong byte in each piece, on the disk behind its back. What of a long piece is right is kept: the hashes of its blocks, which
/// only the honest seed can prove, tell the one that is not.
#[test]
fn of_a_long_piece_that_was_wrong_all_but_one_block_is_kept() {
    if !have(&[Program::Libtorrent.needs(), Program::Hexad.needs()].concat()) {
        return;
    }
    let scene = Scene::new().expect("a stage");
    let outcome = (|| {
        let data = scene.file(2 * LONG_PIECE)?;
        let torrent = Torrent::make_v2(&data, &scene.path("payload.torrent"), LONG_PIECE, &[], Version::V2)?;
        let lies = scene.path("lies");
        std::fs::create_dir(&lies)?;
        std::fs::copy(&data, lies.join(torrent.name()))?;
        let mut liar = scene.seed(&torrent);
        (liar.name, liar.folder) = ("liar".into(), lies.clone());
        let _liar = Program::Hexad.seed(&liar)?;
        let file = std::fs::OpenOptions::new().read(true).write(true).open(lies.join(torrent.name()))?;
        for at in [LONG_PIECE / 2 + 5, LONG_PIECE + 17] {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            file.write_all_at(&[byte[0] ^ 1], at)?;
        }
        let mut slow = scene.seed(&torrent);
        // The other one is needed.
        slow.rate_max = Some(1 << 20);
        let _source = Program::Hexad.seed(&slow)?;
        let mut job = scene.leech("leech", &torrent);
        job.peers = vec![slow.at, liar.at];
        let mut leecher = Program::Hexad.leech(&job)?;
        leecher.complete(PATIENCE)?;
        scene.arrived(&torrent, &job)?;
        let said = leecher.process().complained();
        ensure!(said.contains("255 of 256 blocks are right"), "nothing was kept: {said}");
        Ok(())
    })();
    scene.explain(outcome).unwrap_or_else(|wrong| panic!("{wrong:#}"));
}
