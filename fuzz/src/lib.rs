//! Fuzz targets: one function for each codec and each node, with what must hold for any bytes.
//!
//! A target panics when something does not hold. `tests/replay.rs` plays the committed corpus and seeded mutations of it;
//! `fuzz_targets/` are the same functions for `cargo fuzz` (see the README).

mod bencode;
mod bittorrent_node;
mod chord;
mod datagrams;
mod freenet;
mod gnutella;
mod journal;
mod kazaa;
mod mutate;
mod napster;
mod peer_wire;
mod texts;
mod torrent;

pub use bencode::bencode;
pub use bittorrent_node::bittorrent_node;
pub use chord::{chord_node, chord_wire};
pub use datagrams::{krpc, lsd, udp_tracker};
pub use freenet::{freenet_fcp, freenet_gateway, freenet_node, freenet_texts, freenet_wire};
pub use gnutella::{gnutella_extensions, gnutella_node, gnutella_wire};
pub use journal::journal;
pub use kazaa::{kazaa_node, kazaa_wire};
pub use mutate::Mutator;
pub use napster::{napster_node, napster_search, napster_wire};
pub use peer_wire::{extended, peer_wire};
pub use texts::{http_tracker, magnet};
pub use torrent::metainfo;

/// A target: any bytes may be fed to it.
pub type Target = fn(&[u8]);

/// All targets by name; each has a folder of this name in `corpus/`, and a file in `fuzz_targets/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("bencode", bencode),
    ("bittorrent_node", bittorrent_node),
    ("chord_node", chord_node),
    ("chord_wire", chord_wire),
    ("extended", extended),
    ("freenet_fcp", freenet_fcp),
    ("freenet_gateway", freenet_gateway),
    ("freenet_node", freenet_node),
    ("freenet_texts", freenet_texts),
    ("freenet_wire", freenet_wire),
    ("gnutella_extensions", gnutella_extensions),
    ("gnutella_node", gnutella_node),
    ("gnutella_wire", gnutella_wire),
    ("http_tracker", http_tracker),
    ("journal", journal),
    ("kazaa_node", kazaa_node),
    ("kazaa_wire", kazaa_wire),
    ("krpc", krpc),
    ("lsd", lsd),
    ("magnet", magnet),
    ("metainfo", metainfo),
    ("napster_node", napster_node),
    ("napster_search", napster_search),
    ("napster_wire", napster_wire),
    ("peer_wire", peer_wire),
    ("udp_tracker", udp_tracker),
];
