//! What a run leaves on disk: JSON lines with everything, a CSV for each table, a CSV and an SVG for each plot.

mod csv;
mod html;
mod markdown;
mod report;
mod stored;
mod svg;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::outcome::{Finding, Plot, Table};
use crate::run::Run;

pub use report::{Block, Report, write_report};
pub(crate) use stored::read_file;
pub use stored::{Judged, Stored, StoredRun, read, read_claims, write_claims};

/// Writes a run into a folder, which is made if need be. Files are named after the scenario and the seed and take the place of those of a
/// run before. Returns what was written.
///
/// # Errors
/// When something cannot be written.
pub fn write(folder: &Path, run: &Run) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let name = format!("{}-{}", run.scenario.replace('/', "-"), run.seed);
    let mut written = Vec::new();
    let mut put = |end: &str, text: String| {
        let path = folder.join(format!("{name}{end}"));
        fs::write(&path, text)?;
        written.push(path);
        io::Result::Ok(())
    };
    put(".jsonl", json_lines(run)?)?;
    for table in &run.outcome.tables {
        put(&format!(".{}.csv", table.name), csv::of_table(table))?;
    }
    for plot in &run.outcome.plots {
        put(&format!(".{}.csv", plot.name), csv::of_plot(plot))?;
        put(&format!(".{}.svg", plot.name), svg::draw(plot, &run.line))?;
    }
    Ok(written)
}

/// One line of a run's JSON.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Said<'a> {
    Run(Box<Run>),
    Table(&'a Table),
    Plot(&'a Plot),
    Finding {
        holds: bool,
        #[serde(flatten)]
        finding: &'a Finding,
    },
}

/// A run as JSON: one line for what it was, and one for each table, curve and finding.
fn json_lines(run: &Run) -> io::Result<String> {
    let mut alone = run.clone();
    alone.outcome.tables.clear();
    alone.outcome.plots.clear();
    alone.outcome.findings.clear();
    let all = std::iter::once(Said::Run(Box::new(alone)))
        .chain(run.outcome.tables.iter().map(Said::Table))
        .chain(run.outcome.plots.iter().map(Said::Plot))
        .chain(run.outcome.findings.iter().map(|finding| Said::Finding { holds: finding.holds(), finding }));
    let mut text = String::new();
    for said in all {
        text += &serde_json::to_string(&said)?;
        text.push('\n');
    }
    Ok(text)
}

/// What the text of a run's file says.
pub(crate) fn of_text(text: &str) -> Result<Stored, String> {
    stored::parse(text)?.ok_or_else(|| "a run has no first line".into())
}

/// A run as its file has it.
pub(crate) fn text_of(run: &Run) -> Result<String, String> {
    json_lines(run).map_err(|wrong| wrong.to_string())
}

#[cfg(test)]
mod tests;
