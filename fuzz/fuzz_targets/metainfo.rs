//! See [`hexad_fuzz::metainfo`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::metainfo(bytes));
