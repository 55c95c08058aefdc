//! Where the files of a torrent stand in a folder: under the names that a fetch gives them, or under those that the torrent gives them.
//!
//! The two differ for names that not every system can hold (`CON`, `Vol.`, `README` beside `Readme`); whoever made the torrent has them as they are.

use std::fs;
use std::path::{Path, PathBuf};

use hexad_content::{Layout, safe_names};

/// What was found of a layout in a folder.
pub(crate) struct Places {
    /// For each file where it stands, or where a fetch would put it; `None` for padding.
    pub(crate) paths: Vec<Option<PathBuf>>,
    /// Whether there is anything of the torrent's name.
    pub(crate) found: bool,
}

/// Looks for the files of `layout` below `data`.
pub(crate) fn places(layout: &Layout, data: &Path) -> Places {
    let names = safe_names(layout);
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    let raw_root = below(data, &[layout.name()]);
    let paths = layout.files().iter().zip(&names.paths).map(|(file, safe)| {
        let safe = data.join(safe.as_ref()?.iter().collect::<PathBuf>());
        let is_whole = |path: &Path| fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == file.length);
        let elements: Vec<&str> = std::iter::once(layout.name()).chain(file.path.iter().map(String::as_str)).collect();
        let elements = if layout.is_single() { &elements[..1] } else { &elements[..] };
        match below(data, elements) {
            Some(raw) if raw != safe && !is_whole(&safe) && is_there(&raw) => Some(raw),
            _ => Some(safe),
        }
    });
    Places { paths: paths.collect(), found: is_there(&data.join(&names.root)) || raw_root.is_some_and(|root| is_there(&root)) }
}

/// The path of these names below `folder`; `None` when one of them would lead elsewhere.
fn below(folder: &Path, elements: &[&str]) -> Option<PathBuf> {
    let leads_on = |element: &&str| !matches!(*element, "" | "." | "..") && !element.contains(['/', '\0']);
    elements.iter().all(leads_on).then(|| folder.join(elements.iter().collect::<PathBuf>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_not_followed() {
        let folder = Path::new("data");
        assert_eq!(below(folder, &["Vol.", "CON"]), Some(PathBuf::from("data/Vol./CON")));
        for bad in [&["a", ".."][..], &["/etc", "passwd"], &["a/../.."], &["."], &[""], &["a\0b"]] {
            assert_eq!(below(folder, bad), None, "{bad:?}");
        }
    }
}
