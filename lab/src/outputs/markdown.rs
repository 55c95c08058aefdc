//! A report as Markdown, with its curves as links to their pictures.

use std::fmt::Write as _;

use super::report::{Block, Report, claims_table};
use crate::outcome::{Cell, Column, Table};

pub(super) fn text(report: &Report) -> String {
    let mut text = format!("# {}\n", report.title);
    for block in &report.blocks {
        text.push('\n');
        match block {
            Block::Part(part) => {
                let _ = writeln!(text, "## {part}");
            }
            Block::Words(words) => {
                let _ = writeln!(text, "{words}");
            }
            Block::List(sentences) => {
                for sentence in sentences {
                    let _ = writeln!(text, "- {sentence}");
                }
            }
            Block::Table(given) => table(&mut text, given),
            Block::Claims(claims) => table(&mut text, &claims_table(claims)),
            Block::Figure { plot, file, caption } => {
                let _ = writeln!(text, "![{}]({file}.svg)\n\n*{}* `{caption}` ([points]({file}.csv))", plot.question, plot.question);
            }
            Block::Lines(lines) => {
                let _ = writeln!(text, "```sh\n{}\n```", lines.join("\n"));
            }
        }
    }
    text
}

fn table(text: &mut String, given: &Table) {
    let _ = writeln!(text, "**{}**\n", given.title);
    row(text, given.columns.iter().map(Column::words));
    row(text, given.columns.iter().map(|_| "---".into()));
    for cells in &given.rows {
        row(text, cells.iter().map(Cell::words));
    }
}

fn row(text: &mut String, cells: impl Iterator<Item = String>) {
    text.push('|');
    for cell in cells {
        let _ = write!(text, " {} |", cell.replace('|', "\\|").replace('\n', " "));
    }
    text.push('\n');
}
