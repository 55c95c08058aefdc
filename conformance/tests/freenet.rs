//! The suite for Freenet: numbers for addresses in the lab, keys and sockets outside.

use hexad_core::Endpoint;
use hexad_freenet::Freenet;

hexad_conformance::lab_suite!(Freenet<u32>);
hexad_conformance::real_suite!(Freenet<Endpoint>);
