//! See [`hexad_fuzz::freenet_node`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::freenet_node(bytes));
