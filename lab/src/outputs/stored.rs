//! Reads back what runs have left on disk.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::outcome::{Finding, Plot, Table};
use crate::trial;

/// A run, as its file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// What it was.
    pub run: StoredRun,
    /// Its figures.
    pub tables: Vec<Table>,
    /// Its curves.
    pub plots: Vec<Plot>,
    /// What it found about claims.
    pub findings: Vec<Finding>,
}

/// The first line of a run's file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct StoredRun {
    /// The line that repeats it, with its digest.
    pub line: String,
    /// The scenario's name.
    pub scenario: String,
    /// Where all randomness came from.
    pub seed: u64,
    /// Nodes of the largest world.
    pub nodes: u32,
    /// Events of all worlds.
    pub events: u64,
    /// Hash over all events.
    pub digest: u64,
    /// By the clock on the wall.
    pub wall_s: f64,
    /// What a reader should know.
    pub remarks: Vec<String>,
}

/// What was found about one figure of a claim, with all that a reader needs to judge it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The claim's id.
    pub claim: String,
    /// What is claimed.
    pub says: String,
    /// Who says it.
    pub source: String,
    /// The figure is from memory of a paper: a target, and no more.
    pub from_memory: bool,
    /// Which figure.
    pub row: String,
    /// What it ought to be.
    pub expected: String,
    /// How far away it may be.
    pub tolerance: String,
    /// The mean over seeds, or their median where the claim is about that; nothing where no scenario measures it.
    pub measured: Option<f64>,
    /// With 95 % the true mean is at most so far away.
    pub interval: f64,
    /// How many seeds.
    pub seeds: usize,
    /// `holds`, `FAILS` or `absent`.
    pub verdict: String,
    /// The line of the first seed's run.
    pub line: String,
    /// What a reader should know beside the figure.
    pub remarks: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Run(StoredRun),
    Table(Table),
    Plot(Plot),
    Finding(Finding),
    Claim(serde::de::IgnoredAny),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ClaimLine {
    Claim(Judged),
}

/// A run from the text of its file; `None` where the text holds no run.
///
/// # Errors
/// Says which line cannot be read.
pub(crate) fn parse(text: &str) -> Result<Option<Stored>, String> {
    let mut stored: Option<Stored> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line: Line = serde_json::from_str(line).map_err(|wrong| format!("line {number}: {wrong}"))?;
        match (line, &mut stored) {
            (Line::Run(run), None) => stored = Some(Stored { run, tables: Vec::new(), plots: Vec::new(), findings: Vec::new() }),
            (Line::Table(table), Some(stored)) => stored.tables.push(table),
            (Line::Plot(plot), Some(stored)) => stored.plots.push(plot),
            (Line::Finding(finding), Some(stored)) => stored.findings.push(finding),
            _ => {}
        }
    }
    Ok(stored)
}

/// A run from its file; `None` where there is no such file, or no run in it.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_file(path: &Path) -> Result<Option<Stored>, String> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text).map_err(|wrong| format!("{}: {wrong}", path.display())),
        Err(wrong) if wrong.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(wrong) => Err(format!("{}: {wrong}", path.display())),
    }
}

/// All runs of a folder but those that were made for claims, in the order of their files' names.
///
/// # Errors
/// When the folder or a file of it cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Stored>, String> {
    read_those(folder, |name| !name.starts_with(trial::PREFIX))
}

/// The runs of a folder that were made for claims, in the order of their files' names.
///
/// # Errors
/// As [`read`].
pub(super) fn read_trials(folder: &Path) -> Result<Vec<Stored>, String> {
    read_those(folder, |name| name.starts_with(trial::PREFIX))
}

fn read_those(folder: &Path, which: impl Fn(&str) -> bool) -> Result<Vec<Stored>, String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|wrong| format!("{}: {wrong}", folder.display()))? {
        paths.push(entry.map_err(|wrong| format!("{}: {wrong}", folder.display()))?.path());
    }
    paths.retain(|path| {
        path.extension().is_some_and(|end| end == "jsonl") && path.file_stem().is_some_and(|name| which(&name.to_string_lossy()))
    });
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        all.extend(read_file(&path)?);
    }
    Ok(all)
}

/// Where a folder keeps what was found about claims.
const CLAIMS: &str = "claims.jsonl";

/// Keeps what was found about claims, in place of what was kept before.
///
/// # Errors
/// When it cannot be written.
pub fn write_claims(folder: &Path, claims: &[Judged]) -> Result<std::path::PathBuf, String> {
    let path = folder.join(CLAIMS);
    let told = |wrong: std::io::Error| format!("{}: {wrong}", path.display());
    fs::create_dir_all(folder).map_err(told)?;
    let mut text = String::new();
    for claim in claims {
        text += &serde_json::to_string(&ClaimLine::Claim(claim.clone())).map_err(|wrong| wrong.to_string())?;
        text.push('\n');
    }
    fs::write(&path, text).map_err(told)?;
    Ok(path)
}

/// What a folder keeps about claims; nothing where it keeps none.
///
/// # Errors
/// When it cannot be read.
pub fn read_claims(folder: &Path) -> Result<Vec<Judged>, String> {
    let path = folder.join(CLAIMS);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(wrong) if wrong.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(wrong) => return Err(format!("{}: {wrong}", path.display())),
    };
    let mut all = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let ClaimLine::Claim(claim) = serde_json::from_str(line).map_err(|wrong| format!("{}, line {number}: {wrong}", path.display()))?;
        all.push(claim);
    }
    Ok(all)
}
