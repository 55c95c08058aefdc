//! `cargo xtask mission`: for every point of the mission's document, where it is in the code and what shows it, from the tables of ARCHITECTURE.md and
//! of the networks' READMEs. A point that no row shows, and a path, test, scenario or claim that does not exist, fail the task.
//!
//! A table counts when its first column is headed *point*. A row names its points there (`N1`, `M-N1`), code in the second column, and what shows it
//! in the third. What stands in backquotes is looked for: a path, a scenario, or the name of a test; commands with blanks are taken as words. Claims are words
//! such as NA1.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::root;
use anyhow::{Context, Result, bail};

/// Points by letter: how many there are, and who has their table.
const POINTS: [(char, u32, &str); 7] = [
    ('G', 8, "ARCHITECTURE.md"),
    ('N', 10, "networks/napster/README.md"),
    ('Q', 12, "networks/gnutella/README.md"),
    ('K', 9, "networks/kazaa/README.md"),
    ('B', 17, "networks/bittorrent/README.md"),
    ('F', 27, "networks/freenet/README.md"),
    ('C', 20, "networks/chord/README.md"),
];

/// What is shorter is a word of the code, and no name of a test.
const NAME_OF_TEST: usize = 14;

/// What stands in the tree.
struct Tree {
    /// Paths of files and folders, from the root.
    paths: Vec<String>,
    /// Names of functions, in all Rust files.
    functions: BTreeSet<String>,
    /// Words of a crate's or any Rust file.
    words: BTreeSet<String>,
    /// Names of scenarios and ids of claims.
    scenarios: BTreeSet<String>,
    claims: BTreeSet<String>,
}

/// One row of a table.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    points: Vec<String>,
    code: String,
    shown: String,
}

/// Prints the table.
///
/// # Errors
/// When a point is not shown, or what is said to show it does not exist.
pub fn run() -> Result<()> {
    let tree = Tree::read(&root())?;
    let (mut missing, mut wrong, mut all) = (Vec::new(), Vec::new(), 0);
    for (letter, count, file) in POINTS {
        let text = fs::read_to_string(root().join(file)).with_context(|| file.to_owned())?;
        let rows = rows_of(&text);
        let mut by_point: BTreeMap<u32, Vec<&Row>> = BTreeMap::new();
        for row in &rows {
            for point in row.points.iter().filter(|point| point.starts_with(letter)) {
                by_point.entry(point[1..].parse().unwrap_or(0)).or_default().push(row);
            }
        }
        let home = file.strip_suffix("README.md").unwrap_or("");
        for number in 1..=count {
            all += 1;
            let point = format!("{letter}{number}");
            let rows = by_point.remove(&number).unwrap_or_default();
            let mut shown = 0;
            for row in &rows {
                for (cell, shows) in [(&row.code, false), (&row.shown, true)] {
                    for word in quoted(cell) {
                        match tree.look(&word, home, shows) {
                            Found::Evidence => shown += 1,
                            Found::Code if shows => shown += 1,
                            Found::Code | Found::Words => {}
                            Found::Nothing => wrong.push(format!("{point}: `{word}` ({file}) does not exist")),
                        }
                    }
                }
                shown += claims_in(&row.shown).filter(|claim| tree.claims.contains(claim)).count();
            }
            let cell = |of: fn(&Row) -> &String| {
                rows.iter().map(|row| of(row).as_str()).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
            };
            if shown == 0 {
                println!("{point:<4} MISSING  {}", cell(|row| &row.code));
                missing.push(point);
            } else {
                println!("{point:<4} {}  →  {}", cell(|row| &row.code), cell(|row| &row.shown));
            }
        }
        let beyond = by_point.keys().map(|number| format!("{letter}{number}: there is no such point ({file})"));
        wrong.extend(beyond);
    }
    println!("{} of {all} points are shown", all - missing.len());
    wrong.sort();
    wrong.dedup();
    for told in &wrong {
        eprintln!("{told}");
    }
    if !missing.is_empty() || !wrong.is_empty() {
        bail!(
            "not shown: {}; {} pieces of evidence do not exist",
            if missing.is_empty() { "none".into() } else { missing.join(" ") },
            wrong.len()
        );
    }
    Ok(())
}

/// What a word in backquotes leads to.
#[derive(Debug, PartialEq)]
enum Found {
    /// A test, a scenario, or a file of tests.
    Evidence,
    /// Code.
    Code,
    /// Nothing that is looked for.
    Words,
    /// It ought to exist, and does not.
    Nothing,
}

impl Tree {
    fn read(root: &Path) -> Result<Self> {
        let mut tree = Self {
            paths: Vec::new(),
            functions: BTreeSet::new(),
            words: BTreeSet::new(),
            scenarios: BTreeSet::new(),
            claims: BTreeSet::new(),
        };
        let mut folders: Vec<PathBuf> = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name.starts_with('.') || name == "target" || name == "node_modules" || path.is_symlink() {
                    continue;
                }
                let short = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if name.ends_with(".rs") {
                    let text = fs::read_to_string(&path).with_context(|| short.clone())?;
                    tree.learn(&text, short.starts_with("lab/src"));
                }
                tree.paths.push(short);
            }
        }
        Ok(tree)
    }

    fn learn(&mut self, text: &str, is_lab: bool) {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut before = "";
        for word in text.split(|c| !is_word(c)).filter(|word| !word.is_empty()) {
            if before == "fn" {
                self.functions.insert(word.to_owned());
            }
            before = word;
            self.words.insert(word.to_owned());
        }
        if is_lab {
            for literal in text.split('"').skip(1).step_by(2) {
                let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '-');
                if literal.split_once('/').is_some_and(|(family, name)| is_name(family) && is_name(name)) {
                    self.scenarios.insert(literal.to_owned());
                }
                if is_claim(literal) {
                    self.claims.insert(literal.to_owned());
                }
            }
        }
    }

    fn look(&self, word: &str, home: &str, shows: bool) -> Found {
        if word.contains([' ', '|', '<']) {
            return Found::Words;
        }
        if self.scenarios.contains(word) {
            return Found::Evidence;
        }
        let file = word.trim_end_matches('/');
        if word.contains('/') || word.ends_with(".rs") || word.ends_with(".md") {
            // From the root, or however deep in the network's own folder.
            let near = format!("/{file}");
            let found = self.paths.iter().find(|path| *path == file || (path.starts_with(home) && path.ends_with(&near)));
            return match found {
                None => Found::Nothing,
                Some(path) if shows || path.contains("tests") => Found::Evidence,
                Some(_) => Found::Code,
            };
        }
        let name = word.rsplit("::").next().unwrap_or(word).trim_end_matches("()");
        if shows && self.functions.contains(name) {
            Found::Evidence
        } else if !self.words.contains(name) {
            Found::Nothing
        } else if !shows {
            Found::Code
        } else if name.len() < NAME_OF_TEST {
            Found::Words
        } else {
            Found::Nothing
        }
    }
}

/// Two or three capitals and a number.
fn is_claim(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
    (2..=3).contains(&(word.len() - digits.len())) && !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
}

fn claims_in(cell: &str) -> impl Iterator<Item = String> {
    cell.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_claim(word)).map(str::to_owned)
}

/// What stands in backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Rows of the tables whose first column is headed *point*.
fn rows_of(text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let Some(line) = line.strip_prefix('|') else {
            inside = false;
            continue;
        };
        let cells: Vec<&str> = line.trim_end().trim_end_matches('|').split('|').map(str::trim).collect();
        let first = cells.first().copied().unwrap_or_default();
        if first.eq_ignore_ascii_case("point") {
            inside = true;
        } else if inside && !first.starts_with("---") {
            let points =
                first.split([' ', ',']).map(|word| word.trim_start_matches("M-")).take_while(|word| word.is_empty() || is_point(word));
            let cell = |at: usize| cells.get(at).copied().unwrap_or_default().to_owned();
            rows.push(Row { points: points.filter(|word| !word.is_empty()).map(str::to_owned).collect(), code: cell(1), shown: cell(2) });
        }
    }
    rows
}

fn is_point(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|letter| POINTS.iter().any(|point| point.0 == letter)) && {
        let digits = letters.as_str();
        !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_tables_of_points_only() {
        let text = "| claim | a | b |\n|---|---|---|\n| N1 | x | y |\n\n| Point | where | shown |\n|---|---|---|\n| M-N1, N2 join | `a.rs` | `b` |\n| N3 | | |\n";
        let rows = rows_of(text);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].points, ["N1", "N2"]);
        assert_eq!((rows[0].code.as_str(), rows[0].shown.as_str()), ("`a.rs`", "`b`"));
        assert_eq!(rows[1].points, ["N3"]);
    }

    #[test]
    fn evidence_that_does_not_exist_is_found_out() {
        let mut tree = Tree {
            paths: vec!["networks/x/src/node/a.rs".into(), "networks/x/tests/b.rs".into()],
            functions: BTreeSet::new(),
            words: BTreeSet::new(),
            scenarios: BTreeSet::new(),
            claims: BTreeSet::new(),
        };
        tree.learn("#[test] fn a_file_that_is_there_is_found() { start_join() } \"x/scale\" \"NA1\"", true);
        let look = |word, shows| tree.look(word, "networks/x/", shows);
        assert_eq!(look("node/a.rs", false), Found::Code);
        assert_eq!(look("tests/b.rs", true), Found::Evidence);
        assert_eq!(look("a_file_that_is_there_is_found", true), Found::Evidence);
        assert_eq!(look("a_file_that_is_not_there_is_found", true), Found::Nothing);
        assert_eq!(look("x/scale", true), Found::Evidence);
        assert_eq!(look("x/growth", true), Found::Nothing);
        assert_eq!(look("hexad demo", true), Found::Words);
        assert!(tree.claims.contains("NA1") && claims_in("NA1: two, R² of CH2").eq(["NA1", "CH2"]));
    }
}
