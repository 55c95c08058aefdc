//! The stage itself: foreign programs with each other, so that a failure in the other tests is ours.

mod common;

use common::{Case, Payload, Via, together};
use hexad_interop::{Crypto, Link, Program};

const BYTES: Payload = Payload::Bytes(4 << 20);

fn case(seed: (Program, Crypto), leech: (Program, Crypto), link: Link, via: Via) -> Case {
    Case { seed, leech, link, via, payload: BYTES }
}

#[test]
fn libtorrent_feeds_aria2_and_transmission() {
    let mut cases = Vec::new();
    for leech in [Program::Aria2, Program::Transmission, Program::Libtorrent] {
        for (crypto, link) in [(Crypto::Plain, Link::File), (Crypto::Required, Link::Magnet)] {
            cases.push(case((Program::Libtorrent, Crypto::Default), (leech, crypto), link, Via::Dialling));
        }
    }
    together(&cases);
}

#[test]
fn aria2_and_transmission_feed_libtorrent() {
    let mut cases = Vec::new();
    for seed in [Program::Aria2, Program::Transmission] {
        for (crypto, link) in [(Crypto::Plain, Link::Magnet), (Crypto::Required, Link::File)] {
            cases.push(case((seed, crypto), (Program::Libtorrent, Crypto::Default), link, Via::Dialling));
        }
    }
    together(&cases);
}

#[test]
fn a_folder_with_odd_names_goes_around() {
    let case = |seed, leech| Case {
        seed: (seed, Crypto::Default),
        leech: (leech, Crypto::Default),
        link: Link::File,
        via: Via::Dialling,
        payload: Payload::Folder,
    };
    together(&[
        case(Program::Libtorrent, Program::Aria2),
        case(Program::Libtorrent, Program::Transmission),
        case(Program::Aria2, Program::Libtorrent),
        case(Program::Transmission, Program::Libtorrent),
    ]);
}

#[test]
fn opentracker_brings_foreign_programs_together() {
    together(&[
        case((Program::Transmission, Crypto::Default), (Program::Aria2, Crypto::Default), Link::File, Via::Opentracker("http")),
        case((Program::Libtorrent, Crypto::Default), (Program::Transmission, Crypto::Default), Link::Magnet, Via::Opentracker("udp")),
        case((Program::Libtorrent, Crypto::Default), (Program::Aria2, Crypto::Default), Link::File, Via::Opentracker("udp")),
    ]);
}
