//! See [`hexad_fuzz::gnutella_extensions`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::gnutella_extensions(bytes));
