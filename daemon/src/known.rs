//! Where files of a fetch may stand on this machine already, and what is said when they do.

use std::fmt;
use std::sync::Arc;

use hexad_content::Layout;
use hexad_driver::transfers::{Brought, Elsewhere, Way};

/// Candidates, by their places in a layout.
pub(crate) type Candidates = Vec<(usize, Vec<Elsewhere>)>;

/// Says where the files of a layout that are wanted may stand.
type Knows = dyn Fn(&Layout, &[bool]) -> Candidates + Send + Sync;

/// Whoever knows such files; nobody does by default.
#[derive(Clone, Default)]
pub(crate) struct Known(Option<Arc<Knows>>);

impl Known {
    pub(crate) fn new(knows: impl Fn(&Layout, &[bool]) -> Candidates + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(knows)))
    }

    /// Those of a layout that are wanted. May read what is kept on a disk.
    pub(crate) fn of(&self, layout: &Layout, wanted: &[bool]) -> Candidates {
        self.0.as_ref().map(|knows| knows(layout, wanted)).unwrap_or_default()
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

/// What is said of a file that was not fetched.
pub(crate) fn sentence(layout: &Layout, brought: &Brought) -> String {
    let name = layout.files()[brought.file].path.join("/");
    let how = match brought.way {
        Way::Reference => "and takes no room, since the file system shares its blocks",
        Way::Name => "and is the same file under a second name",
        Way::Copy => "and was copied, so that it takes its room twice",
    };
    format!("'{name}' was not fetched: it stands on this machine already, at {}, {how}", brought.from.display())
}
