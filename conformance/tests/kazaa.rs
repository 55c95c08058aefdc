//! The suite for Kazaa: numbers for addresses in the lab, keys and sockets outside.

use hexad_core::Endpoint;
use hexad_kazaa::Kazaa;

hexad_conformance::lab_suite!(Kazaa<u32>);
hexad_conformance::real_suite!(Kazaa<Endpoint>);
