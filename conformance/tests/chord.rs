//! The suite for Chord: numbers for addresses in the lab, keys and sockets outside.

use hexad_chord::Chord;
use hexad_core::Endpoint;

hexad_conformance::lab_suite!(Chord<u32>);
hexad_conformance::real_suite!(Chord<Endpoint>);
