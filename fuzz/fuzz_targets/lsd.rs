//! See [`hexad_fuzz::lsd`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::lsd(bytes));
