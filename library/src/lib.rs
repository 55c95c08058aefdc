//! What we have: files and folders that are to be shared, laid out, hashed and checked. Knows no network.

mod bench;
mod error;
mod pieces;
mod reader;
mod scan;
mod sound;

pub use error::ShareError;
pub use pieces::{
    FileNames, PIECE_BYTES_MAX, PIECES_MAX, Work, check_pieces, check_pieces_with, hash_names, hash_pieces, hash_pieces_with, hash_tree,
    hash_trees, piece_bytes_for,
};
pub use scan::{Scanned, Skipped, scan};
pub use sound::{Sound, sound_of};
