//! Safe relative paths for the raw names of a layout.
//!
//! A publisher may name files as he likes: `..`, absolute, reserved, too long, colliding. Everything here yields paths that stay
//! inside the target folder, that every common file system can hold, and that differ from each other. What cannot keep its name
//! gets another one and is listed. The same layout yields the same paths on every run, or a download could not be resumed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use sha1::{Digest as _, Sha1};

use crate::Layout;

/// Longest element of a path in bytes, as file systems have it.
const ELEMENT_BYTES_MAX: usize = 255;
/// Longest path in bytes: what Linux takes, less some room for the folder it is in.
const PATH_BYTES_MAX: usize = 3_800;
/// Most elements of a path, the root included.
const DEPTH_MAX: usize = 100;
/// An extension longer than this, dot included, is not worth keeping.
const EXTENSION_BYTES_MAX: usize = 16;
/// The folder in which downloads are prepared; it stands beside the roots.
const WORKING_FOLDER: &str = ".hexad";

const BELOW: &str = "would lead out of its folder";
const EMPTY: &str = "is empty";
const CHARACTER: &str = "contains a character that names must not have";
const NO_TEXT: &str = "is not valid UTF-8";
const RESERVED: &str = "is reserved on Windows";
const TRAILING: &str = "ends in a dot or a space";
const LONG: &str = "is longer than 255 bytes";
const DEEP: &str = "is too deep or too long as a path";
const TAKEN: &str = "is taken by another file or folder";
const OURS: &str = "is the name of our working folder";

/// A path that had to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Index into [`Layout::files`]; the first file that is no padding where the root was renamed.
    pub file: usize,
    /// The raw path below the root, elements joined by `/`; the raw name where the root was renamed.
    pub from: String,
    /// The safe path below the root, elements joined by `/`; the root where the root was renamed.
    pub to: String,
    /// Why the old name cannot stay, as a fragment in lower case that continues "the name …".
    pub reason: &'static str,
}

/// Safe paths for every file of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeNames {
    /// For each file of the layout its safe path below the target folder; `None` for padding. The first element is [`Self::root`].
    pub paths: Vec<Option<Vec<String>>>,
    /// The first element of every path: the file's name for a single file, the folder's otherwise.
    pub root: String,
    /// What could not keep its name: the root first, then paths below it in the order of the files.
    pub renamed: Vec<Renamed>,
}

/// Safe paths for `layout`: relative, free of what leads elsewhere, and no two the same, not even where case is ignored.
///
/// Names that only differ from those of other files count in the order of the files: the first keeps its name.
#[must_use]
pub fn safe_names(layout: &Layout) -> SafeNames {
    let (mut root, mut reason) = safe_element(layout.name());
    if folded(&root) == WORKING_FOLDER {
        root = Cow::Owned(format!("_{root}"));
        reason = reason.or(Some(OURS));
    }
    let root = root.into_owned();
    let first = layout.files().iter().position(|file| !file.padding);
    let mut renamed = Vec::new();
    if let (Some(reason), Some(file)) = (reason, first) {
        renamed.push(Renamed { file, from: layout.name().to_owned(), to: root.clone(), reason });
    }
    let mut tree = Tree::new(&root);
    let paths = layout.files().iter().enumerate().map(|(index, file)| {
        if file.padding {
            return None;
        }
        if layout.is_single() {
            return Some(vec![root.clone()]);
        }
        let placed = tree.place(index, &file.path);
        if let Some(reason) = placed.reason {
            renamed.push(Renamed { file: index, from: file.path.join("/"), to: placed.path[1..].join("/"), reason });
        }
        Some(placed.path)
    });
    let paths = paths.collect();
    SafeNames { paths, root, renamed }
}

/// The folders that safe paths need so far. A few words per folder and name, whatever its depth: layouts come from strangers.
struct Tree<'a> {
    folders: Vec<Folder>,
    /// Folder and raw name to the folder in it.
    inside: BTreeMap<(usize, &'a str), usize>,
    /// Safe names by folder, case folded.
    taken: BTreeSet<(usize, String)>,
    /// Where the previous file went: files of one folder mostly follow each other.
    recent: Option<(&'a [String], usize)>,
}

struct Folder {
    name: String,
    /// Itself in the root.
    parent: usize,
    /// Elements of its path, the root included.
    depth: usize,
    path_bytes: usize,
    /// Why this folder or one above it could not keep its name.
    reason: Option<&'static str>,
}

struct Placed {
    path: Vec<String>,
    reason: Option<&'static str>,
}

impl<'a> Tree<'a> {
    fn new(root: &str) -> Self {
        let root = Folder { name: root.to_owned(), parent: 0, depth: 1, path_bytes: root.len(), reason: None };
        Self { folders: vec![root], inside: BTreeMap::new(), taken: BTreeSet::new(), recent: None }
    }

    fn place(&mut self, file: usize, raw: &'a [String]) -> Placed {
        let (name, above) = match raw.split_last() {
            Some((name, above)) => (name.as_str(), above),
            None => ("", raw),
        };
        if let Some(folder) = self.folder(above) {
            let (safe, reason) = safe_element(name);
            if self.fits(folder, &safe) {
                return self.put(folder, file, safe, reason);
            }
        }
        // One step below the root, under a name that the whole path decides.
        let mut hash = Sha1::new();
        for element in raw {
            hash.update((element.len() as u64).to_be_bytes());
            hash.update(element);
        }
        let flat = tagged(&safe_element(name).0, &format!("~{}", short_hash(hash)));
        self.put(0, file, Cow::Owned(flat), Some(DEEP))
    }

    fn put(&mut self, folder: usize, file: usize, safe: Cow<'_, str>, reason: Option<&'static str>) -> Placed {
        let (safe, taken) = self.take(folder, safe, file);
        let mut path = vec![String::new(); self.folders[folder].depth + 1];
        let mut at = folder;
        for element in path.iter_mut().rev().skip(1) {
            element.clone_from(&self.folders[at].name);
            at = self.folders[at].parent;
        }
        path[self.folders[folder].depth] = safe.into_owned();
        Placed { path, reason: self.folders[folder].reason.or(reason).or(taken) }
    }

    /// The folder of the raw path `above`; `None` when that is too deep or too long.
    fn folder(&mut self, above: &'a [String]) -> Option<usize> {
        if let Some((path, folder)) = self.recent
            && path == above
        {
            return Some(folder);
        }
        if above.len() > DEPTH_MAX - 2 {
            return None;
        }
        let mut at = 0;
        for raw in above {
            at = match self.inside.get(&(at, raw.as_str())) {
                Some(&folder) => folder,
                None => self.make_folder(at, raw)?,
            };
        }
        self.recent = Some((above, at));
        Some(at)
    }

    fn make_folder(&mut self, parent: usize, raw: &'a str) -> Option<usize> {
        let number = self.folders.len();
        let (safe, reason) = safe_element(raw);
        if !self.fits(parent, &safe) {
            return None;
        }
        let (safe, taken) = self.take(parent, safe, number);
        let above = &self.folders[parent];
        let folder = Folder {
            parent,
            depth: above.depth + 1,
            path_bytes: above.path_bytes + 1 + safe.len(),
            reason: above.reason.or(reason).or(taken),
            name: safe.into_owned(),
        };
        self.inside.insert((parent, raw), number);
        self.folders.push(folder);
        Some(number)
    }

    /// Whether the path stays within bounds with `name` in it, and with what [`Self::take`] may add.
    fn fits(&self, folder: usize, name: &str) -> bool {
        const TAG_BYTES_MAX: usize = 42;
        self.folders[folder].path_bytes + 1 + ELEMENT_BYTES_MAX.min(name.len() + TAG_BYTES_MAX) <= PATH_BYTES_MAX
    }

    /// Takes `name` in `folder`, or one like it made distinct by `number`.
    fn take<'n>(&mut self, folder: usize, name: Cow<'n, str>, number: usize) -> (Cow<'n, str>, Option<&'static str>) {
        if self.taken.insert((folder, folded(&name))) {
            return (name, None);
        }
        let mut tag = format!("~{number}");
        // Every turn meets a name of its own in here, so all turns together are no more than the names of the layout.
        for turn in 1_u64.. {
            let other = tagged(&name, &tag);
            if self.taken.insert((folder, folded(&other))) {
                return (Cow::Owned(other), Some(TAKEN));
            }
            tag = format!("~{number}.{turn}");
        }
        unreachable!("there are more numbers than names")
    }
}

/// `raw` made fit to stand as one element of a path, and what was wrong with it.
fn safe_element(raw: &str) -> (Cow<'_, str>, Option<&'static str>) {
    let (mut safe, mut reason) = match raw {
        "" => (Cow::Borrowed("_"), Some(EMPTY)),
        "." | ".." => (Cow::Borrowed("_"), Some(BELOW)),
        // What a name has in place of bytes that are no text.
        _ if raw.contains(char::REPLACEMENT_CHARACTER) => (Cow::Owned(raw.replace(unreadable, "_")), Some(NO_TEXT)),
        _ if raw.contains(forbidden) => (Cow::Owned(raw.replace(forbidden, "_")), Some(CHARACTER)),
        _ => (Cow::Borrowed(raw), None),
    };
    if safe.ends_with(['.', ' ']) {
        let mut ended = safe.into_owned();
        ended.pop();
        ended.push('_');
        (safe, reason) = (Cow::Owned(ended), reason.or(Some(TRAILING)));
    }
    if reserved(&safe) {
        (safe, reason) = (Cow::Owned(format!("_{safe}")), reason.or(Some(RESERVED)));
    }
    if safe.len() > ELEMENT_BYTES_MAX {
        let tag = format!("~{}", short_hash(Sha1::new_with_prefix(raw)));
        (safe, reason) = (Cow::Owned(tagged(&safe, &tag)), reason.or(Some(LONG)));
    }
    (safe, reason)
}

fn unreadable(character: char) -> bool {
    character == char::REPLACEMENT_CHARACTER || forbidden(character)
}

/// Separators anywhere, control characters, and on Windows what its file systems refuse or read as a stream or a drive.
fn forbidden(character: char) -> bool {
    matches!(character, '/' | '\\')
        || character.is_control()
        || (cfg!(windows) && matches!(character, '<' | '>' | ':' | '"' | '|' | '?' | '*'))
}

/// Whether Windows takes `name` for a device, whatever its extension.
fn reserved(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or(name).trim_end_matches(' ');
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].iter().any(|device| base.eq_ignore_ascii_case(device)) {
        return true;
    }
    let mut numbered = base.chars();
    let number = numbered.next_back();
    let device = numbered.as_str();
    (device.eq_ignore_ascii_case("COM") || device.eq_ignore_ascii_case("LPT"))
        && number.is_some_and(|digit| "0123456789¹²³".contains(digit))
}

/// `name` with `tag` before its extension, its stem shortened so that the whole fits.
fn tagged(name: &str, tag: &str) -> String {
    let dot = name.rfind('.').filter(|&dot| dot > 0 && name.len() - dot <= EXTENSION_BYTES_MAX);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let room = ELEMENT_BYTES_MAX.saturating_sub(tag.len() + extension.len());
    let stem = &stem[..stem.floor_char_boundary(room)];
    format!("{stem}{tag}{extension}")
}

/// Eight hex digits.
fn short_hash(hash: Sha1) -> String {
    data_encoding::HEXLOWER.encode(&hash.finalize()[..4])
}

/// The same text for names that a file system may take for one. Goes by single characters, upwards and down again, which also
/// joins ß with ss and the two small sigmas.
fn folded(name: &str) -> String {
    if name.is_ascii() {
        name.to_ascii_lowercase()
    } else {
        name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
    }
}
