//! See [`hexad_fuzz::krpc`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::krpc(bytes));
