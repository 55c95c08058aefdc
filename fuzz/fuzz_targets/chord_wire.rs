//! See [`hexad_fuzz::chord_wire`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::chord_wire(bytes));
