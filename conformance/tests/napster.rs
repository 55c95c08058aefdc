//! The suite for Napster.

use hexad_napster::Napster;

hexad_conformance::suite!(Napster);
