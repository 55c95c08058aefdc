//! See [`hexad_fuzz::http_tracker`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::http_tracker(bytes));
