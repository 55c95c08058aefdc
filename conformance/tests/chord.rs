//! The suite for Chord.

use hexad_chord::Chord;

hexad_conformance::lab_suite!(Chord<u32>);
