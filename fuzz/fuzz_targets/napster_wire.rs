//! See [`hexad_fuzz::napster_wire`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::napster_wire(bytes));
