//! See [`hexad_fuzz::freenet_fcp`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::freenet_fcp(bytes));
