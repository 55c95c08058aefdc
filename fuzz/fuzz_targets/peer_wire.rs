//! See [`hexad_fuzz::peer_wire`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::peer_wire(bytes));
