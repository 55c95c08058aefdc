//! Safe relative paths for the raw names of a layout.

use crate::Layout;

/// A path that had to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Index into [`Layout::files`].
    pub file: usize,
    /// The raw path, elements joined by `/`.
    pub from: String,
    /// The safe path, elements joined by `/`.
    pub to: String,
    /// Why, as a fragment in lower case.
    pub reason: &'static str,
}

/// Safe paths for every file of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeNames {
    /// For each file of the layout its safe path below the target folder; `None` for padding. The first element is [`Self::root`].
    pub paths: Vec<Option<Vec<String>>>,
    /// The first element of every path: the file's name for a single file, the folder's otherwise.
    pub root: String,
    /// What could not keep its name, in the order of the files.
    pub renamed: Vec<Renamed>,
}

/// Safe names for a layout.
#[must_use]
pub fn safe_names(layout: &Layout) -> SafeNames {
    let _ = layout;
    SafeNames { paths: Vec::new(), root: String::new(), renamed: Vec::new() }
}
