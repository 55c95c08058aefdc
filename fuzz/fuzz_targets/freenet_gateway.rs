//! See [`hexad_fuzz::freenet_gateway`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::freenet_gateway(bytes));
