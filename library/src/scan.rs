//! A path becomes a layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hexad_content::Layout;

use crate::ShareError;

/// What stands at a path.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The files, laid end to end in the order of their path elements, byte by byte.
    pub layout: Arc<Layout>,
    /// Where each file of the layout stands on disk.
    pub paths: Vec<Option<PathBuf>>,
    /// What was found and left out.
    pub skipped: Vec<Skipped>,
}

/// Something inside a folder that is not shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it stands.
    pub path: PathBuf,
    /// Why, as a fragment in lower case.
    pub reason: &'static str,
}

/// Lays out the file or folder at `path`.
///
/// # Errors
/// When there is nothing to share at that path.
pub fn scan(path: &Path) -> Result<Scanned, ShareError> {
    Err(ShareError::Missing { path: path.to_owned() })
}
