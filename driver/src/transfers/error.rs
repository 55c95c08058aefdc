//! Why files cannot be used, in words for the user.

use std::io;
use std::path::{Path, PathBuf};

use hexad_content::Contradiction;
use thiserror::Error;

/// A target folder, or files to seed, cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Something else stands where a file is to be written.
    #[error("{path} is in the way: {reason}")]
    InTheWay {
        /// What stands there.
        path: PathBuf,
        /// Why it is not taken for a part of the download.
        reason: &'static str,
    },
    /// A link in the target folder leads out of it.
    #[error("{path} leads outside of the target folder")]
    Outside {
        /// The path that was to be written.
        path: PathBuf,
    },
    /// Another process downloads the same thing to the same place.
    #[error("another process is downloading this into {path}")]
    Busy {
        /// The target folder.
        path: PathBuf,
    },
    /// The disk, or the user's share of it, is full.
    #[error("no space is left for {path}")]
    Full {
        /// What was to be written.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{path} cannot be {action}: {error}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What was to be done with it, as a participle.
        action: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// What is there shows that the proof is wrong.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// Names, files and proof do not belong together.
    #[error("{0}")]
    Misfit(&'static str),
}

impl StoreError {
    /// Something the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::InTheWay { path, .. } => format!("move {} away, or choose another folder with --into", path.display()),
            Self::Outside { .. } => "remove the symbolic link, or choose another folder with --into".to_owned(),
            Self::Busy { .. } => "wait for it to end, or choose another folder with --into".to_owned(),
            Self::Full { .. } => "make room and run the same command again; what is verified stays".to_owned(),
            Self::Io { path, error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                format!("check who may write to {}, or choose another folder with --into", path.parent().unwrap_or(path).display())
            }
            Self::Contradiction(_) => Contradiction::HINT.to_owned(),
            Self::Io { .. } | Self::Misfit(_) => return None,
        };
        Some(hint)
    }

    /// `error` as it befell `path`; `action` is what was to be done with it, as a participle.
    pub(crate) fn io(path: &Path, action: &'static str, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            // cap-std's word for a path that escapes; the system's own refusals carry a number.
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => Self::Outside { path },
            io::ErrorKind::NotADirectory => Self::InTheWay { path, reason: "a file stands where a folder must be" },
            io::ErrorKind::IsADirectory => Self::InTheWay { path, reason: "it is a folder" },
            _ => Self::Io { path, action, error },
        }
    }

    /// The error as hosts see it when they read.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io { error, .. } if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::WouldBlock => error,
            other => io::Error::other(other),
        }
    }
}
