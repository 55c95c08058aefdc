//! See [`hexad_fuzz::gnutella_wire`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::gnutella_wire(bytes));
