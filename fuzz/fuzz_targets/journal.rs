//! See [`hexad_fuzz::journal`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::journal(bytes));
