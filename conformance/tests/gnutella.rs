//! The suite for Gnutella.

use hexad_gnutella::Gnutella;

hexad_conformance::suite!(Gnutella);
