//! See [`hexad_fuzz::kazaa_wire`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::kazaa_wire(bytes));
