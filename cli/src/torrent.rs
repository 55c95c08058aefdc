//! `hexad torrent`.

use std::io::IsTerminal as _;

use hexad_api::{CheckReport, CreateRequest, Problem, TorrentSummary, Torrents as _};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::args::{TorrentCommand, tiers};

/// Makes, shows or checks.
pub fn run(command: TorrentCommand) -> Result<(), Problem> {
    let desk = hexad_daemon::torrents();
    match command {
        TorrentCommand::Create(given) => {
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
            };
            let bar = bar();
            let summary = desk.create_torrent(request, &|done, total| advance(&bar, done, total));
            bar.finish_and_clear();
            let summary = summary?;
            if given.json {
                return print_json(&summary);
            }
            eprintln!("wrote {}: {} pieces of {}", given.out.display(), summary.pieces, HumanBytes(summary.piece_bytes));
            println!("{}", summary.magnet);
            Ok(())
        }
        TorrentCommand::Show { file, json } => {
            let summary = desk.show_torrent(&file)?;
            if json {
                return print_json(&summary);
            }
            print_summary(&summary);
            Ok(())
        }
        TorrentCommand::Check { file, data, json } => {
            let bar = bar();
            let report = desk.check_torrent(&file, &data, &|done, total| advance(&bar, done, total));
            bar.finish_and_clear();
            let report = report?;
            if json {
                print_json(&report)?;
            } else {
                print_report(&report);
            }
            if report.is_complete() {
                return Ok(());
            }
            Err(Problem::new(format!("{} of {} bytes match", report.good_bytes, report.total_bytes)).hint(format!(
                "hexad fetch {} --into {} brings the rest",
                file.display(),
                data.display()
            )))
        }
    }
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Problem> {
    let line = serde_json::to_string(value).map_err(|wrong| Problem::new(format!("cannot be written as JSON: {wrong}")))?;
    println!("{line}");
    Ok(())
}

fn print_summary(summary: &TorrentSummary) {
    println!("name        {}", summary.name);
    println!("info hash   {}", summary.info_hash);
    println!("size        {} ({} bytes)", HumanBytes(summary.total_bytes), summary.total_bytes);
    println!("pieces      {} of {}", summary.pieces, HumanBytes(summary.piece_bytes));
    for (tier, urls) in summary.tiers.iter().enumerate() {
        println!("tracker {:<3} {}", tier + 1, urls.join(", "));
    }
    for url in &summary.web_seeds {
        println!("web seed    {url}");
    }
    if summary.private {
        println!("private     yes");
    }
    let texts = [("comment", &summary.comment), ("source", &summary.source), ("created by", &summary.created_by)];
    for (label, text) in texts {
        if let Some(text) = text {
            println!("{label:<11} {text}");
        }
    }
    if let Some(when) = summary.creation_unix_s {
        println!("created     {when} (seconds since 1970)");
    }
    println!("magnet      {}", summary.magnet);
    println!("files       {}", summary.files.len());
    for file in &summary.files {
        println!("{:>7}  {:>12}  {}", file.index, HumanBytes(file.bytes).to_string(), file.path);
    }
}

fn print_report(report: &CheckReport) {
    println!("{}: {} of {} pieces match", report.name, report.good_pieces, report.pieces);
    for file in &report.incomplete {
        println!("incomplete  {}", file.path);
    }
}

fn bar() -> ProgressBar {
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
