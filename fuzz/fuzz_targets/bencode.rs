//! See [`hexad_fuzz::bencode`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::bencode(bytes));
