//! See [`hexad_fuzz::extended`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::extended(bytes));
