//! A report as one page that needs nothing else: no script, no font, no picture from elsewhere.

use std::fmt::Write as _;

use super::report::{Block, Report, claims_table};
use super::svg;
use crate::outcome::{Cell, Table};

const STYLE: &str = "\
body{font:16px/1.55 Georgia,'Times New Roman',serif;color:#222;background:#fff;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 1rem}h2{font-size:1.3rem;margin:2.6rem 0 .6rem;border-bottom:1px solid #ccc}
nav{font-size:.9rem;columns:2;margin:0 0 2rem}nav a{display:block;color:#0a4d8c}
.scroll{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font:13px/1.35 system-ui,sans-serif}
caption,summary{text-align:left;font-weight:600;padding:.3rem 0}th,td{padding:.25rem .6rem;border-bottom:1px solid #e2e2e2;vertical-align:top;text-align:left}
thead th{border-bottom:2px solid #444}th.n{text-align:right}td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
tr.fails td{background:#fdeaea}tr.absent td{background:#f3f3f3;color:#555}
figure{margin:1.6rem 0}figure svg{width:100%;height:auto;border:1px solid #eee}figcaption{font:12px/1.4 system-ui,sans-serif;color:#555}
pre{font:12px/1.45 ui-monospace,monospace;background:#f6f6f6;padding:.8rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
code{font:.85em ui-monospace,monospace}
ul{padding-left:1.2rem}summary{font:600 13px/1.35 system-ui,sans-serif;cursor:pointer}figure svg{min-width:34rem}figure{overflow-x:auto}
@media(max-width:40rem){nav{columns:1}h1{font-size:1.5rem}body{margin:1rem auto}td:first-child,th:first-child{position:sticky;left:0;background:#fff;max-width:9rem}}
@media print{nav{display:none}body{margin:0}}
@media screen and (prefers-color-scheme:dark){:root{color-scheme:dark}body{color:#ddd;background:#181a1b}h2{border-color:#444}nav a{color:#8ab8e6}
th,td{border-color:#333}thead th{border-color:#999}td:first-child,th:first-child{background:#181a1b}tr.fails td{background:#4a2020}tr.absent td{background:#262829;color:#aaa}
figure svg{border-color:#333}figcaption{color:#aaa}pre{background:#222526}svg text{fill:#ddd}svg [fill=\"#ffffff\"]{fill:#181a1b}svg [fill=\"#000000\"]{fill:#eee}
svg [stroke=\"#000000\"]{stroke:#eee}svg [stroke=\"#e4e4e4\"]{stroke:#333}svg [stroke=\"#444444\"]{stroke:#999}svg [fill=\"#0072b2\"]{fill:#3d9be0}svg [stroke=\"#0072b2\"]{stroke:#3d9be0}}";

/// A table with more rows than this is folded until somebody opens it.
const ROWS_OPEN: usize = 40;

pub(super) fn page(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{}</h1>\n<nav>\n",
        safe(&report.title),
        safe(&report.title)
    );
    let parts = report.blocks.iter().filter_map(|block| if let Block::Part(part) = block { Some(part) } else { None });
    for (number, part) in parts.enumerate() {
        let _ = writeln!(page, "<a href=\"#part-{number}\">{}</a>", safe(part));
    }
    page += "</nav>\n";
    let mut part_number = 0;
    let mut figure_number = 0;
    for block in &report.blocks {
        match block {
            Block::Part(part) => {
                let _ = writeln!(page, "<h2 id=\"part-{part_number}\">{}</h2>", safe(part));
                part_number += 1;
            }
            Block::Words(words) => {
                let _ = writeln!(page, "<p>{}</p>", prose(words));
            }
            Block::List(sentences) => {
                page += "<ul>\n";
                for sentence in sentences {
                    let _ = writeln!(page, "<li>{}</li>", prose(sentence));
                }
                page += "</ul>\n";
            }
            Block::Table(given) => table(&mut page, given, |_| ""),
            Block::Claims(claims) => table(&mut page, &claims_table(claims), |row| match &row[5] {
                Cell::Text(word) if word == "FAILS" => " class=\"fails\"",
                Cell::Text(word) if word == "absent" => " class=\"absent\"",
                _ => "",
            }),
            Block::Figure { plot, caption, .. } => {
                figure_number += 1;
                let _ = writeln!(
                    page,
                    "<figure>\n{}<figcaption>Figure {figure_number}. {} {}</figcaption>\n</figure>",
                    svg::draw(plot, ""),
                    safe(&plot.question),
                    safe(caption)
                );
            }
            Block::Lines(lines) => {
                let _ = writeln!(page, "<pre>{}</pre>", safe(&lines.join("\n")));
            }
        }
    }
    page += "</body>\n</html>\n";
    page
}

fn table(page: &mut String, given: &Table, class: impl Fn(&[Cell]) -> &'static str) {
    let is_folded = given.rows.len() > ROWS_OPEN && given.name != "claims";
    if is_folded {
        let _ = writeln!(page, "<details><summary>{} ({} rows)</summary>", safe(&given.title), given.rows.len());
        page.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    } else {
        let _ = writeln!(page, "<div class=\"scroll\"><table>\n<caption>{}</caption>\n<thead><tr>", safe(&given.title));
    }
    // A column stands to the right when nothing in it is a word.
    let are_figures: Vec<bool> = (0..given.columns.len())
        .map(|at| given.rows.iter().all(|row| !matches!(row.get(at), Some(Cell::Text(text)) if !is_figure(text))))
        .collect();
    let class_of = |at: usize| if are_figures.get(at) == Some(&true) { " class=\"n\"" } else { "" };
    for (at, column) in given.columns.iter().enumerate() {
        let _ = write!(page, "<th{}>{}</th>", class_of(at), safe(&column.words()));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &given.rows {
        let _ = write!(page, "<tr{}>", class(row));
        for (at, cell) in row.iter().enumerate() {
            let class = if matches!(cell, Cell::Text(_)) { class_of(at) } else { " class=\"n\"" };
            let _ = write!(page, "<td{class}>{}</td>", safe(&cell.words()));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    if is_folded {
        page.push_str("</details>\n");
    }
}

/// A sentence, in which what stands between backticks is typed.
fn prose(words: &str) -> String {
    let mut parts = words.split('`');
    let mut text = safe(parts.next().unwrap_or_default());
    while let Some(typed) = parts.next() {
        match parts.next() {
            Some(after) => text += &format!("<code>{}</code>{}", safe(typed), safe(after)),
            None => text += &format!("`{}", safe(typed)),
        }
    }
    text
}

/// Whether a text is a number with its interval.
fn is_figure(text: &str) -> bool {
    text.chars().next().is_some_and(|first| first.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || " .±-e".contains(c))
}

pub(super) fn safe(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
