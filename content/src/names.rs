//! (being written by the owner of content)
/// A path that had to be changed.
pub struct Renamed;
/// Safe paths.
pub struct SafeNames;
/// Safe names for a layout.
pub fn safe_names(_layout: &crate::Layout) -> SafeNames { SafeNames }
