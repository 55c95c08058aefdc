//! One report of all that a folder holds: as a page, as Markdown, and its tables and curves as CSV and SVG.

use std::fs;
use std::path::{Path, PathBuf};

use super::stored::{Judged, Stored, read, read_claims, read_trials};
use super::{csv, html, markdown, svg};
use crate::comparison::{Comparison, compare};
use crate::outcome::{Plot, Table};

/// What a report says, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A part begins.
    Part(String),
    /// A paragraph.
    Words(String),
    /// Sentences, one below the other.
    List(Vec<String>),
    /// Figures.
    Table(Table),
    /// Curves, and by which runs they were made.
    Figure {
        /// The curves.
        plot: Plot,
        /// The name of its files.
        file: String,
        /// Seeds, digest and the line that repeats it.
        caption: String,
    },
    /// What was found about claims.
    Claims(Vec<Judged>),
    /// Lines to be typed.
    Lines(Vec<String>),
}

/// A report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What it is about.
    pub title: String,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// Tables with more rows than this stand in CSV files only.
const ROWS_MAX: usize = 200;
/// A table with more columns than this, and fewer rows than columns, is turned.
const COLUMNS_MAX: usize = 9;

/// Makes a report of what a folder holds (runs of `hexad lab compare`, `hexad lab run` and what `hexad lab claims` has left there) and writes it there.
/// Returns what was written, the page first.
///
/// # Errors
/// When the folder cannot be read or written, or holds nothing to report.
pub fn write_report(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let (runs, claims, trials) = (read(folder)?, read_claims(folder)?, read_trials(folder)?);
    if runs.is_empty() && claims.is_empty() {
        return Err(format!("{} holds no run and no claims", folder.display()));
    }
    let (compared, others): (Vec<Stored>, Vec<Stored>) = runs.into_iter().partition(|run| run.run.scenario.starts_with("compare/"));
    let comparison = compare(&compared);
    let report = Report::of(&comparison, &compared, &others, claims, &trials);
    let mut written = Vec::new();
    let mut put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|wrong| format!("{}: {wrong}", path.display()))?;
        written.push(path);
        Ok::<(), String>(())
    };
    put("report.html", html::page(&report))?;
    put("report.md", markdown::text(&report))?;
    for table in &comparison.tables {
        put(&format!("compare.{}.csv", table.name), csv::of_table(table))?;
    }
    for block in &report.blocks {
        match block {
            Block::Figure { plot, file, caption } => {
                put(&format!("{file}.csv"), csv::of_plot(plot))?;
                put(&format!("{file}.svg"), svg::draw(plot, caption))?;
            }
            Block::Claims(claims) => put("claims.csv", csv::of_table(&claims_table(claims)))?,
            _ => {}
        }
    }
    Ok(written)
}

/// A table as it fits on a page.
fn fitting(table: &Table) -> Block {
    let is_wide = table.columns.len() > COLUMNS_MAX && table.rows.len() < table.columns.len();
    Block::Table(if is_wide { table.turned() } else { table.clone() })
}

/// A number with a thin gap between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut words = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push('\u{202f}');
        }
        words.push(digit);
    }
    words
}

impl Report {
    fn of(comparison: &Comparison, compared: &[Stored], others: &[Stored], claims: Vec<Judged>, trials: &[Stored]) -> Self {
        let mut blocks = Vec::new();
        if comparison.runs > 0 {
            compared_blocks(comparison, compared, &mut blocks);
        }
        if !claims.is_empty() {
            claimed_blocks(claims, trials, &mut blocks);
        }
        for run in others {
            let name = run.run.scenario.replace('/', "-");
            blocks.push(Block::Part(format!("Scenario {}, seed {}", run.run.scenario, run.run.seed)));
            if !run.run.remarks.is_empty() {
                blocks.push(Block::List(run.run.remarks.clone()));
            }
            blocks.extend(run.tables.iter().filter(|table| table.rows.len() <= ROWS_MAX).map(fitting));
            blocks.extend(figures(name, run));
            blocks.push(Block::Lines(vec![format!("hexad lab replay '{}'", run.run.line)]));
        }
        if comparison.runs > 0 {
            blocks.push(Block::Part("Every run of the comparison".into()));
            blocks.push(Block::Words(
                "Each line runs one network once more and says whether it comes to the same digest; what is not written in it is the default.".into(),
            ));
            blocks.push(Block::Lines(comparison.lines.iter().map(|line| format!("hexad lab replay '{line}'")).collect()));
        }
        Self { title: "Peer-to-peer designs measured in one world".into(), blocks }
    }
}

fn compared_blocks(comparison: &Comparison, compared: &[Stored], blocks: &mut Vec<Block>) {
    let list = |mut numbers: Vec<u64>| {
        numbers.sort_unstable();
        numbers.dedup();
        numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
    };
    let seeds = list(compared.iter().map(|run| run.run.seed).collect());
    let events: u64 = compared.iter().map(|run| run.run.events).sum();
    let wall: f64 = compared.iter().map(|run| run.run.wall_s).sum();
    let largest = compared.iter().map(|run| run.run.nodes).max().unwrap_or(0);
    blocks.push(Block::Part("What was done".into()));
    blocks.push(Block::Words(format!(
        "Networks of different designs were put into one world, and were asked the same questions in it. What runs is the code that ships: the same state \
         machines that `hexad join` runs on sockets, under virtual time. {} runs with seeds {seeds}, of at most {} nodes, came to {} events and \
         took {wall:.0} s of computing; the digest over all of them is `{:016x}`. A figure with ± is a mean over seeds, with what the true mean is away from \
         it at most with 95 %; without ±, there is one seed, or all seeds came to the same.",
        comparison.runs,
        grouped(largest.into()),
        grouped(events),
        comparison.digest
    )));
    blocks.push(Block::Part("How each network is put into the world".into()));
    blocks.push(Block::List(comparison.remarks.clone()));
    blocks.push(Block::Part("Figures side by side".into()));
    blocks.extend(comparison.tables.iter().filter(|table| table.rows.len() <= ROWS_MAX && table.name != "figures").map(fitting));
    blocks.push(Block::Part("Questions".into()));
    blocks.push(Block::Words(
        "Points are means over seeds; where seeds differ, the line through a point says where the true mean is with 95 %. Where curves coincide, the earlier in the legend is drawn wider, so that it shows beneath the later."
            .into(),
    ));
    let caption = format!("seeds {seeds} · digest {:016x} · {}", comparison.digest, repeats(compared));
    for plot in &comparison.plots {
        blocks.push(Block::Figure { plot: plot.clone(), file: format!("compare.{}", plot.name), caption: caption.clone() });
    }
}

/// The command that repeats a comparison, as far as it can be read off its runs: what differs from defaults stands in the lines of the runs.
fn repeats(compared: &[Stored]) -> String {
    let mut sizes: Vec<String> = Vec::new();
    let mut seeds: Vec<u64> = compared.iter().map(|run| run.run.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    for run in compared {
        let size = run.run.line.split(' ').find_map(|word| word.strip_prefix("nodes=")).unwrap_or_default().to_owned();
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    sizes.sort_by_key(|size| size.parse::<u64>().unwrap_or(0));
    format!("hexad lab compare --sizes {} --seeds {} (each run's own line is at the end of the report)", sizes.join(","), seeds.len())
}

/// The curves of a run.
fn figures(name: String, run: &Stored) -> impl Iterator<Item = Block> {
    run.plots.iter().map(move |plot| {
        let file = format!("{name}-{}.{}", run.run.seed, plot.name);
        Block::Figure { plot: plot.clone(), file, caption: run.run.line.clone() }
    })
}

fn claimed_blocks(claims: Vec<Judged>, trials: &[Stored], blocks: &mut Vec<Block>) {
    let count = |verdict: &str| claims.iter().filter(|claim| claim.verdict == verdict).count();
    blocks.push(Block::Part("Claims of documents and papers".into()));
    blocks.push(Block::Words(format!(
        "{} figures hold, {} do not, and {} claims are measured by no scenario. A tolerance is never widened to make a figure hold. Figures marked † are \
         from memory of a paper: targets, and no more.",
        count("holds"),
        count("FAILS"),
        count("absent")
    )));
    let mut remarks: Vec<String> = claims.iter().flat_map(|claim| claim.remarks.clone()).collect();
    remarks.dedup();
    let is_told: Vec<String> = claims.iter().map(|claim| claim.line.clone()).collect();
    let mut lines: Vec<String> =
        claims.iter().filter(|claim| !claim.line.is_empty()).map(|claim| format!("hexad lab replay '{}'", claim.line)).collect();
    lines.dedup();
    blocks.push(Block::Claims(claims));
    if !remarks.is_empty() {
        blocks.push(Block::List(remarks));
    }
    blocks.push(Block::Lines(lines));
    // Of each scenario the run with the first seed; one with a line of a verdict, where small and full ones are kept.
    let mut drawn: Vec<&Stored> = trials.iter().filter(|trial| is_told.contains(&trial.run.line) && !trial.plots.is_empty()).collect();
    drawn.sort_by(|one, other| one.run.scenario.cmp(&other.run.scenario));
    if !drawn.is_empty() {
        blocks.push(Block::Part("What the runs behind the claims draw".into()));
        blocks.extend(drawn.into_iter().flat_map(|run| figures(format!("claims-{}", run.run.scenario.replace('/', "-")), run)));
    }
}

/// Claims as rows.
pub(super) fn claims_table(claims: &[Judged]) -> Table {
    let columns = [
        ("claim", ""),
        ("figure", ""),
        ("expected", ""),
        ("measured", ""),
        ("tolerance", ""),
        ("verdict", ""),
        ("seeds", ""),
        ("source", ""),
    ];
    let mut table = Table::new("claims", "Expected and measured", &columns);
    for claim in claims {
        let measured = claim.measured.map_or_else(|| "–".into(), crate::outcome::figure);
        let measured = if claim.interval > 0.0 { format!("{measured} ±{}", crate::outcome::figure(claim.interval)) } else { measured };
        let id = if claim.from_memory { format!("{} †", claim.claim) } else { claim.claim.clone() };
        let row = if claim.measured.is_none() { claim.says.clone() } else { claim.row.clone() };
        table.row([
            id.into(),
            row.into(),
            claim.expected.as_str().into(),
            measured.into(),
            claim.tolerance.as_str().into(),
            claim.verdict.as_str().into(),
            claim.seeds.into(),
            claim.source.as_str().into(),
        ]);
    }
    table
}
