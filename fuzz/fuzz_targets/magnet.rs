//! See [`hexad_fuzz::magnet`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::magnet(bytes));
