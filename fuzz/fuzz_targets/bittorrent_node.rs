//! See [`hexad_fuzz::bittorrent_node`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hexad_fuzz::bittorrent_node(bytes));
