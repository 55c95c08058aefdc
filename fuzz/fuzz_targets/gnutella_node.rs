//! See [`hexad_fuzz::gnutella_node`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::gnutella_node(bytes));
