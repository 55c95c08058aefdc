//! A report as one page that needs nothing else: no script, no font, no picture from elsewhere.

use std::fmt::Write as _;

use super::report::{Block, Report, claims_table};
use super::svg;
use crate::outcome::{Cell, Table, figure};

const STYLE: &str = "\
body{font:16px/1.55 Georgia,'Times New Roman',serif;color:#222;background:#fff;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 1rem}h2{font-size:1.3rem;margin:2.6rem 0 .6rem;border-bottom:1px solid #ccc}
nav{font-size:.9rem;columns:2;margin:0 0 2rem}nav a{display:block;color:#0a4d8c}
.scroll{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font:13px/1.35 system-ui,sans-serif}
caption{text-align:left;font-weight:600;padding:.3rem 0}th,td{padding:.25rem .6rem;border-bottom:1px solid #e2e2e2;vertical-align:top;text-align:left}
thead th{border-bottom:2px solid #444}td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
tr.fails td{background:#fdeaea}tr.absent td{background:#f3f3f3;color:#555}
figure{margin:1.6rem 0}figure svg{width:100%;height:auto;border:1px solid #eee}figcaption{font:12px/1.4 system-ui,sans-serif;color:#555}
pre{font:12px/1.45 ui-monospace,monospace;background:#f6f6f6;padding:.8rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
code{font:.85em ui-monospace,monospace}
@media print{nav{display:none}body{margin:0}}";

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
                let _ = writeln!(page, "<p>{}</p>", safe(words));
            }
            Block::List(sentences) => {
                page += "<ul>\n";
                for sentence in sentences {
                    let _ = writeln!(page, "<li>{}</li>", safe(sentence));
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
                    "<figure>\n{}<figcaption>Figure {figure_number}. {} Across: {}. Upwards: {}. {}</figcaption>\n</figure>",
                    svg::draw(plot, caption),
                    safe(&plot.question),
                    safe(&svg::named(&plot.x)),
                    safe(&svg::named(&plot.y)),
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
    let _ = writeln!(page, "<div class=\"scroll\"><table>\n<caption>{}</caption>\n<thead><tr>", safe(&given.title));
    for column in &given.columns {
        let unit = if column.unit.is_empty() { String::new() } else { format!(" ({})", column.unit) };
        let _ = write!(page, "<th>{}{}</th>", safe(&column.name), safe(&unit));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &given.rows {
        let _ = write!(page, "<tr{}>", class(row));
        for cell in row {
            let _ = match cell {
                Cell::Count(count) => write!(page, "<td class=\"n\">{count}</td>"),
                Cell::Number(number) => write!(page, "<td class=\"n\">{}</td>", figure(*number)),
                Cell::Text(text) => write!(page, "<td{}>{}</td>", if is_figure(text) { " class=\"n\"" } else { "" }, safe(text)),
                Cell::Empty => write!(page, "<td class=\"n\">–</td>"),
            };
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

/// Whether a text is a number with its interval.
fn is_figure(text: &str) -> bool {
    text.chars().next().is_some_and(|first| first.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || " .±-e".contains(c))
}

pub(super) fn safe(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
