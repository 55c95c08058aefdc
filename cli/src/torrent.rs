//! `hexad torrent`.

use std::io::IsTerminal as _;
use std::path::Path;

use hexad_api::{CheckReport, CreateRequest, Problem, TorrentSummary, TorrentVersion, Torrents as _, json_line};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::args::{CreateArgs, TorrentCommand, tiers};
use crate::out::{self, tame};

/// Makes, shows or checks.
///
/// # Errors
/// When it cannot, or a check finds anything missing.
pub fn run(command: TorrentCommand) -> Result<(), Problem> {
    let desk = hexad_daemon::torrents();
    match command {
        TorrentCommand::Create(given) => create(given),
        TorrentCommand::Show { file, json } => {
            let summary = desk.show_torrent(&file)?;
            if json { out::line(&json_line(&summary)?) } else { show(&summary) }
        }
        TorrentCommand::Check { file, data, json } => {
            let bar = bar();
            let report = desk.check_torrent(&file, &data, &|done, total| advance(&bar, done, total));
            bar.finish_and_clear();
            let report = report?;
            if json {
                out::line(&json_line(&report)?)?;
            } else {
                show_report(&report)?;
            }
            if report.is_complete() {
                return Ok(());
            }
            Err(incomplete(&report, &file, &data))
        }
    }
}

fn create(given: CreateArgs) -> Result<(), Problem> {
    let request = CreateRequest {
        path: given.path,
        out: given.out.clone(),
        piece_bytes: given.piece_length,
        tiers: tiers(&given.trackers),
        web_seeds: given.web_seeds,
        private: given.private,
        comment: given.comment,
        source: given.source,
        force: given.force,
        version: match (given.v2, given.hybrid) {
            (true, _) => TorrentVersion::V2,
            (_, true) => TorrentVersion::Hybrid,
            _ => TorrentVersion::V1,
        },
    };
    let bar = bar();
    let summary = hexad_daemon::torrents().create_torrent(request, &|done, total| advance(&bar, done, total));
    bar.finish_and_clear();
    let summary = summary?;
    for left_out in &summary.left_out {
        eprintln!("warning: left out {}", tame(left_out));
    }
    if given.json {
        return out::line(&json_line(&summary)?);
    }
    eprintln!("wrote {}: {} pieces of {}", given.out.display(), summary.pieces, HumanBytes(summary.piece_bytes));
    out::line(&summary.magnet)
}

/// What a check that found something missing ends with.
fn incomplete(report: &CheckReport, file: &Path, data: &Path) -> Problem {
    let name = tame(&report.name);
    if !report.found {
        return Problem::new(format!("there is no '{name}' in {}", data.display()))
            .hint(format!("--data is the folder in which '{name}' stands"));
    }
    if report.good_bytes == report.total_bytes {
        return Problem::new("all bytes match, but not all files are of the right length").hint("the files that differ are listed above");
    }
    Problem::new(format!("{} of {} bytes match", report.good_bytes, report.total_bytes)).hint(format!(
        "hexad fetch {} --into {} brings the rest",
        file.display(),
        data.display()
    ))
}

fn show(summary: &TorrentSummary) -> Result<(), Problem> {
    let mut lines = vec![
        format!("name        {}", tame(&summary.name)),
        format!("info hash   {}", summary.info_hash),
        format!("size        {} ({} bytes)", HumanBytes(summary.total_bytes), summary.total_bytes),
        format!("pieces      {} of {}", summary.pieces, HumanBytes(summary.piece_bytes)),
    ];
    match (summary.version, &summary.info_hash_v2) {
        (TorrentVersion::V1, _) => {}
        (TorrentVersion::V2, _) => lines.push("version     2".to_owned()),
        (TorrentVersion::Hybrid, hash) => {
            lines.insert(2, format!("            {} (v2)", hash.as_deref().unwrap_or_default()));
            lines.push("version     1 and 2 (hybrid)".to_owned());
        }
    }
    for (tier, urls) in summary.tiers.iter().enumerate() {
        lines.push(format!("tracker {:<3} {}", tier + 1, tame(&urls.join(", "))));
    }
    lines.extend(summary.web_seeds.iter().map(|url| format!("web seed    {}", tame(url))));
    if summary.private {
        lines.push("private     yes".to_owned());
    }
    let texts = [("comment", &summary.comment), ("source", &summary.source), ("created by", &summary.created_by)];
    lines.extend(texts.iter().filter_map(|(label, text)| Some(format!("{label:<11} {}", tame(text.as_ref()?)))));
    if let Some(when) = summary.creation_unix_s {
        lines.push(format!("created     {when} (seconds since 1970)"));
    }
    lines.push(format!("magnet      {}", summary.magnet));
    lines.push(format!("files       {}", summary.files.len()));
    for file in &summary.files {
        lines.push(format!("{:>7}  {:>12}  {}", file.index, HumanBytes(file.bytes).to_string(), tame(&file.path)));
    }
    out::line(&lines.join("\n"))
}

fn show_report(report: &CheckReport) -> Result<(), Problem> {
    let mut lines = vec![format!("{}: {} of {} pieces match", tame(&report.name), report.good_pieces, report.pieces)];
    lines.extend(report.incomplete.iter().map(|file| format!("incomplete  {}", tame(&file.path))));
    out::line(&lines.join("\n"))
}

/// One of bytes, for whoever looks at a terminal.
pub fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}") {
        bar.set_style(style);
    }
    bar
}

fn advance(bar: &ProgressBar, done: u64, total: u64) {
    bar.set_length(total);
    bar.set_position(done);
}
