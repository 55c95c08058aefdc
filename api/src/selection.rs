//! Which files of a torrent are wanted: by index, by range of indices, by glob.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which files of a torrent are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Indices (`3`, `2-5`, `0,4-6`; zero based) and globs over the path inside the torrent (`*.flac`, `disc1/*`). Empty: all.
    pub patterns: Vec<String>,
}

/// Why a selection cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionError(pub String);

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SelectionError {}

impl Selection {
    /// One flag per file: whether it is selected. Paths are relative to the torrent, elements joined by `/`; `None` stands for padding, which
    /// nobody can select.
    ///
    /// # Errors
    /// When a pattern cannot be read, or selects nothing.
    pub fn mask(&self, paths: &[Option<String>]) -> Result<Vec<bool>, SelectionError> {
        if self.patterns.is_empty() {
            return Ok(paths.iter().map(Option::is_some).collect());
        }
        let mut mask = vec![false; paths.len()];
        for pattern in &self.patterns {
            let selects = Pattern::read(pattern)?;
            let mut matched = false;
            for (index, path) in paths.iter().enumerate().filter_map(|(index, path)| Some((index, path.as_ref()?))) {
                if selects.takes(index, path) {
                    mask[index] = true;
                    matched = true;
                }
            }
            if !matched {
                let files = paths.iter().flatten().count();
                return Err(SelectionError(format!(
                    "'{pattern}' selects none of the {files} {}",
                    if files == 1 { "file" } else { "files" }
                )));
            }
        }
        Ok(mask)
    }
}

enum Pattern<'a> {
    Indices(Vec<(usize, usize)>),
    Glob(&'a str, glob::Pattern),
}

impl<'a> Pattern<'a> {
    fn read(text: &'a str) -> Result<Self, SelectionError> {
        // A name may contain commas: only a list of nothing but indices is one.
        if let Some(ranges) = text.split(',').map(|part| index_range(part.trim())).collect() {
            return Ok(Self::Indices(ranges));
        }
        let glob = glob::Pattern::new(text);
        glob.map(|glob| Self::Glob(text, glob))
            .map_err(|wrong| SelectionError(format!("expected an index, a range like 2-5 or a glob, came '{text}': {wrong}")))
    }

    fn takes(&self, index: usize, path: &str) -> bool {
        match self {
            Self::Indices(ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&index)),
            Self::Glob(text, glob) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                // Names with brackets and stars in them are meant literally as well.
                *text == path || *text == name || glob.matches(path) || (!text.contains('/') && glob.matches(name))
            }
        }
    }
}

fn index_range(text: &str) -> Option<(usize, usize)> {
    match text.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some((first, last))
        }
        None => text.parse().ok().map(|index| (index, index)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that `patterns` select of a small album whose fourth entry is padding.
    fn check(patterns: &[&str], expected: Result<&[&str], &str>) {
        let files = [Some("a.flac"), Some("cd 1/b.flac"), Some("cd 1/c, d.txt"), None, Some("cd 2/[e].txt")];
        let paths: Vec<Option<String>> = files.iter().map(|file| file.map(str::to_owned)).collect();
        let selection = Selection { patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect() };
        let found = selection.mask(&paths).map(|mask| {
            files.iter().zip(mask).filter(|(_, on)| *on).map(|(file, _)| file.expect("padding is never selected")).collect::<Vec<_>>()
        });
        assert_eq!(found.as_deref().map_err(ToString::to_string), expected.map_err(str::to_owned));
    }

    #[test]
    fn without_patterns_all_files_are_wanted() {
        check(&[], Ok(&["a.flac", "cd 1/b.flac", "cd 1/c, d.txt", "cd 2/[e].txt"]));
    }

    #[test]
    fn files_are_selected_by_index_range_and_list() {
        check(&["1"], Ok(&["cd 1/b.flac"]));
        check(&["1-4"], Ok(&["cd 1/b.flac", "cd 1/c, d.txt", "cd 2/[e].txt"]));
        check(&["0, 2-2"], Ok(&["a.flac", "cd 1/c, d.txt"]));
        check(&["4-100"], Ok(&["cd 2/[e].txt"]));
    }

    #[test]
    fn files_are_selected_by_glob_over_the_path_or_the_name() {
        check(&["*.flac"], Ok(&["a.flac", "cd 1/b.flac"]));
        check(&["cd 1/*"], Ok(&["cd 1/b.flac", "cd 1/c, d.txt"]));
        check(&["b.*"], Ok(&["cd 1/b.flac"]));
        check(&["a.flac", "*.txt"], Ok(&["a.flac", "cd 1/c, d.txt", "cd 2/[e].txt"]));
    }

    #[test]
    fn names_with_commas_and_brackets_can_be_given_as_they_are() {
        check(&["c, d.txt"], Ok(&["cd 1/c, d.txt"]));
        check(&["cd 2/[e].txt"], Ok(&["cd 2/[e].txt"]));
    }

    #[test]
    fn what_selects_nothing_is_an_error() {
        check(&["*.mp3"], Err("'*.mp3' selects none of the 4 files"));
        check(&["a.flac", "9"], Err("'9' selects none of the 4 files"));
        check(&["3"], Err("'3' selects none of the 4 files"));
        check(&["5-2"], Err("'5-2' selects none of the 4 files"));
        check(
            &["[a"],
            Err("expected an index, a range like 2-5 or a glob, came '[a': Pattern syntax error near position 0: invalid range pattern"),
        );
    }
}
