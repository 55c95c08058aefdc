//! The built `hexad` against aria2, Transmission and libtorrent: as seed and as leecher, plain and with encryption required on their
//! side, from a .torrent and from a magnet link, at 16 MiB; once at 2 GiB.

mod common;

use common::{Case, PATIENCE, Payload, Via, together};
use hexad_interop::{Crypto, Link, Program, Scene, have};

const BYTES: Payload = Payload::Bytes(16 << 20);

fn matrix(of: impl Fn(Crypto, Link) -> Case) {
    let ways =
        [(Crypto::Plain, Link::File), (Crypto::Plain, Link::Magnet), (Crypto::Required, Link::File), (Crypto::Required, Link::Magnet)];
    together(&ways.map(|(crypto, link)| of(crypto, link)));
}

/// libtorrent alone refuses the other kind of connection, so with it we are left to find out; the others would take what we
/// offer, so we offer plain where plain is to be seen.
fn ours(foreign: Program, theirs: Crypto) -> Crypto {
    if theirs == Crypto::Plain && foreign != Program::Libtorrent { Crypto::Plain } else { Crypto::Default }
}

fn hexad_feeds(foreign: Program) {
    matrix(|crypto, link| Case {
        seed: (Program::Hexad, ours(foreign, crypto)),
        leech: (foreign, crypto),
        link,
        via: Via::Dialling,
        payload: BYTES,
    });
}

fn feeds_hexad(foreign: Program) {
    matrix(|crypto, link| Case {
        seed: (foreign, crypto),
        leech: (Program::Hexad, ours(foreign, crypto)),
        link,
        via: Via::Dialling,
        payload: BYTES,
    });
}

#[test]
fn hexad_feeds_aria2() {
    hexad_feeds(Program::Aria2);
}

#[test]
fn hexad_feeds_transmission() {
    hexad_feeds(Program::Transmission);
}

#[test]
fn hexad_feeds_libtorrent() {
    hexad_feeds(Program::Libtorrent);
}

#[test]
fn aria2_feeds_hexad() {
    feeds_hexad(Program::Aria2);
}

#[test]
fn transmission_feeds_hexad() {
    feeds_hexad(Program::Transmission);
}

#[test]
fn libtorrent_feeds_hexad() {
    feeds_hexad(Program::Libtorrent);
}

#[test]
fn libtorrent_dials_hexad() {
    let case = |crypto| Case {
        seed: (Program::Hexad, Crypto::Default),
        leech: (Program::Libtorrent, crypto),
        link: Link::Magnet,
        via: Via::Dialling,
        payload: BYTES,
    };
    together(&[case(Crypto::Plain), case(Crypto::Default), case(Crypto::Required)]);
}

#[test]
fn a_folder_with_odd_names_goes_to_everybody_and_back() {
    let case = |seed, leech| Case {
        seed: (seed, Crypto::Default),
        leech: (leech, Crypto::Default),
        link: Link::File,
        via: Via::Dialling,
        payload: Payload::Folder,
    };
    let cases = [Program::Aria2, Program::Transmission, Program::Libtorrent]
        .map(|foreign| [case(Program::Hexad, foreign), case(foreign, Program::Hexad)]);
    together(cases.as_flattened());
}

#[test]
fn two_gibibytes_go_from_hexad_to_libtorrent_and_back() {
    if !have(&[Program::Libtorrent.needs(), Program::Hexad.needs()].concat()) {
        return;
    }
    let scene = Scene::new().expect("a stage");
    let outcome = (|| {
        let torrent = scene.torrent(2 << 30, 1 << 20, &[])?;
        let seed = scene.seed(&torrent);
        let _seed = Program::Hexad.seed(&seed)?;
        let mut there = scene.leech("there", &torrent);
        there.peers = vec![seed.at];
        Program::Libtorrent.leech(&there)?.complete(PATIENCE * 2)?;
        scene.arrived(&torrent, &there)?;
        drop(_seed);
        let mut source = scene.seed(&torrent);
        source.name = "source".to_owned();
        source.folder.clone_from(&there.folder);
        let _source = Program::Libtorrent.seed(&source)?;
        let mut back = scene.leech("back", &torrent);
        back.peers = vec![source.at];
        Program::Hexad.leech(&back)?.complete(PATIENCE * 2)?;
        scene.arrived(&torrent, &back)
    })();
    scene.explain(outcome).expect("2 GiB arrive");
}

#[test]
fn files_come_over_utp_from_libtorrent_and_from_hexad() {
    if !have(&[Program::Libtorrent.needs(), Program::Hexad.needs()].concat()) {
        return;
    }
    // libtorrent speaks nothing else here; hexad as it does by itself, or uTP first.
    for (from, to, crypto, first) in [
        (Program::Libtorrent, Program::Hexad, Crypto::Default, true),
        (Program::Libtorrent, Program::Hexad, Crypto::Required, true),
        (Program::Hexad, Program::Hexad, Crypto::Default, true),
        (Program::Hexad, Program::Libtorrent, Crypto::Default, false),
        (Program::Hexad, Program::Libtorrent, Crypto::Default, true),
    ] {
        let scene = Scene::new().expect("a stage");
        let outcome = (|| {
            let torrent = scene.torrent(24 << 20, 256 << 10, &[])?;
            let (mut seed, mut leech) = (scene.seed(&torrent), scene.leech("leech", &torrent));
            leech.peers = vec![seed.at];
            for (job, program) in [(&mut seed, from), (&mut leech, to)] {
                (job.ways.utp, job.crypto) = (first || program == Program::Libtorrent, crypto);
            }
            let _seed = from.seed(&seed)?;
            let taken = to.leech(&leech)?.complete(PATIENCE)?;
            scene.arrived(&torrent, &leech)?;
            eprintln!("{:5.1} s  {from} -> {to} over uTP, {crypto:?}{}", taken.as_secs_f64(), if first { ", first" } else { "" });
            Ok(())
        })();
        scene.explain(outcome).unwrap_or_else(|error| panic!("{from} -> {to}, {crypto:?}: {error:#}"));
    }
}

/// Transmission would take TCP as well: that it was uTP the kernel's count of datagrams shows.
#[test]
fn files_go_over_utp_to_transmission_and_back() {
    if !have(&[Program::Transmission.needs(), Program::Hexad.needs()].concat()) {
        return;
    }
    for hexad_seeds in [true, false] {
        let scene = Scene::new().expect("a stage");
        let outcome = (|| -> anyhow::Result<()> {
            let bytes = 16 << 20;
            let torrent = scene.torrent(bytes, 256 << 10, &[])?;
            let (mut seed, mut leech) = (scene.seed(&torrent), scene.leech("leech", &torrent));
            (seed.ways.utp, leech.ways.utp) = (true, true);
            // Ours is the one that can be told whom to dial.
            if hexad_seeds {
                let mut leecher = Program::Transmission.leech(&leech)?;
                seed.peers = vec![leech.at];
                let _seed = Program::Hexad.seed(&seed)?;
                leecher.complete(PATIENCE)?;
            } else {
                let _seed = Program::Transmission.seed(&seed)?;
                leech.peers = vec![seed.at];
                Program::Hexad.leech(&leech)?.complete(PATIENCE)?;
            }
            scene.arrived(&torrent, &leech)?;
            let (sent, needed) = (scene.net.sent_datagrams(), bytes / 1_500);
            anyhow::ensure!(sent >= needed, "only {sent} datagrams, where {needed} at least would carry it");
            Ok(())
        })();
        scene.explain(outcome).unwrap_or_else(|error| panic!("hexad seeds: {hexad_seeds}: {error:#}"));
    }
}
