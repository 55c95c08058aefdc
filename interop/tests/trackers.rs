//! Meeting through a tracker, HTTP and UDP: `hexad serve tracker` and opentracker, each with every program on either side.

mod common;

use common::{Case, Payload, Via, together};
use hexad_interop::{Crypto, Link, Program};

const BYTES: Payload = Payload::Bytes(16 << 20);
const FOREIGN: [Program; 3] = [Program::Aria2, Program::Transmission, Program::Libtorrent];

fn through(via: fn(&'static str) -> Via, pair: impl Fn(Program) -> (Program, Program)) {
    let case = |foreign, scheme, link| {
        let (seed, leech) = pair(foreign);
        Case { seed: (seed, Crypto::Default), leech: (leech, Crypto::Default), link, via: via(scheme), payload: BYTES }
    };
    let cases = FOREIGN.map(|foreign| [case(foreign, "http", Link::File), case(foreign, "udp", Link::Magnet)]);
    together(cases.as_flattened());
}

#[test]
fn hexad_feeds_everybody_that_opentracker_names() {
    through(Via::Opentracker, |foreign| (Program::Hexad, foreign));
}

#[test]
fn everybody_that_opentracker_names_feeds_hexad() {
    through(Via::Opentracker, |foreign| (foreign, Program::Hexad));
}

#[test]
fn hexad_feeds_everybody_that_our_tracker_names() {
    through(Via::OurTracker, |foreign| (Program::Hexad, foreign));
}

#[test]
fn everybody_that_our_tracker_names_feeds_hexad() {
    through(Via::OurTracker, |foreign| (foreign, Program::Hexad));
}

#[test]
fn our_tracker_brings_foreign_programs_together() {
    let case = |seed, leech, scheme, link| Case {
        seed: (seed, Crypto::Default),
        leech: (leech, Crypto::Default),
        link,
        via: Via::OurTracker(scheme),
        payload: BYTES,
    };
    together(&[
        case(Program::Transmission, Program::Aria2, "http", Link::File),
        case(Program::Aria2, Program::Transmission, "udp", Link::File),
        case(Program::Libtorrent, Program::Transmission, "udp", Link::Magnet),
        case(Program::Transmission, Program::Libtorrent, "http", Link::Magnet),
    ]);
}
