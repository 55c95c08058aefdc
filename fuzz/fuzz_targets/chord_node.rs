//! See [`hexad_fuzz::chord_node`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::chord_node(bytes));
