//! See [`hexad_fuzz::udp_tracker`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::udp_tracker(bytes));
