//! Why a path cannot be shared.

use std::io;
use std::path::PathBuf;

use hexad_content::Contradiction;
use thiserror::Error;

/// Why a path cannot be shared, hashed or checked.
#[derive(Debug, Error)]
pub enum ShareError {
    /// There is nothing at that path.
    #[error("{}: no such file or folder", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A symbolic link, a socket, a device: neither file nor folder.
    #[error("{}: expected a file or a folder, came {found}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What stands there.
        found: &'static str,
    },
    /// The path has no name that a share could go by.
    #[error("{}: expected a path with a name in UTF-8", path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// A folder without any file.
    #[error("{}: expected at least one file, came none", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// Files that add up beyond what a layout can hold.
    #[error("{}: {reason}", path.display())]
    TooLong {
        /// The file or folder.
        path: PathBuf,
        /// What the limit is.
        reason: String,
    },
    /// A file that is shorter than it was when it was scanned.
    #[error("{}: expected {expected} bytes, came {found}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Length in bytes when it was scanned.
        expected: u64,
        /// Its length in bytes.
        found: u64,
    },
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A piece length that cannot be worked with.
    #[error("expected pieces of 1 byte to 1 GiB, came {piece_bytes} bytes")]
    PieceLength {
        /// The piece length that was asked for.
        piece_bytes: u64,
    },
    /// More pieces than we can keep.
    #[error("expected at most {max} pieces, came {count}", max = crate::PIECES_MAX)]
    TooManyPieces {
        /// How many there would be.
        count: usize,
    },
    /// The paths, or the proof, do not belong to the layout.
    #[error("expected {expected} {what}, came {found}")]
    Mismatch {
        /// What was counted.
        what: &'static str,
        /// How many the layout needs.
        expected: u64,
        /// How many came.
        found: u64,
    },
    /// What is there shows that the proof is wrong.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// The caller asked to stop.
    #[error("stopped")]
    Cancelled,
}

impl ShareError {
    /// Something the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => Some("check the path for a typing mistake"),
            Self::NotAFile { .. } => Some("name the real file or folder; links are not followed"),
            Self::NoName { .. } => Some("rename it so that its name is valid UTF-8"),
            Self::Empty { .. } => Some("put a file into it"),
            Self::TooLong { .. } => Some("share fewer files at once"),
            Self::Changed { .. } => Some("wait until nothing writes to the file, then try again"),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Some("check who may read it"),
            Self::PieceLength { .. } => Some("choose a power of two from 16 KiB to 16 MiB"),
            Self::TooManyPieces { .. } => Some("choose longer pieces"),
            Self::Contradiction(_) => Some(Contradiction::HINT),
            Self::Io { .. } | Self::Mismatch { .. } | Self::Cancelled => None,
        }
    }
}
