//! What we have: files and folders that are to be shared, laid out, hashed and checked. Knows no network.

mod error;
mod pieces;
mod scan;

pub use error::ShareError;
pub use pieces::{Work, check_pieces, check_pieces_with, hash_pieces, hash_pieces_with, piece_bytes_for};
pub use scan::{Scanned, Skipped, scan};
