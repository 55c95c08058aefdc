//! See [`hexad_fuzz::kazaa_node`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::kazaa_node(bytes));
