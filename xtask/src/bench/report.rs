//! Medians and ratios, as Markdown tables, and whether what is required of us holds.

use super::{Player, Row};
use hexad_interop::Cost;
use std::fmt::Write;

/// What one run of one row took.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// From the start of the process that is measured to its success.
    pub wall_s: f64,
    /// The part of it in which payload moved: without start-up timers and meeting.
    pub moving_s: Option<f64>,
    /// CPU and memory of the process that is measured; of a swarm, CPU of all leechers and memory of the largest.
    pub cost: Cost,
    /// CPU of the seed meanwhile, and its memory.
    pub seed: Option<Cost>,
    /// Why there is nothing to report.
    pub failure: Option<String>,
}

impl Sample {
    /// A run that failed.
    pub fn failed(error: &anyhow::Error) -> Self {
        Self { failure: Some(format!("{error:#}")), ..Self::default() }
    }

    /// The run in a line.
    pub fn spell(&self) -> String {
        match &self.failure {
            Some(failure) => format!("FAILED: {failure}"),
            None => format!(
                "{:.3} s, CPU {:.2} s{}, {:.0} MB",
                self.wall_s,
                cpu(&self.cost),
                self.seed.map(|seed| format!(" + seed {:.2} s", cpu(&seed))).unwrap_or_default(),
                mb(&self.cost)
            ),
        }
    }
}

type Belongs = fn(&Row) -> bool;
type Of = fn(&Sample) -> Option<f64>;
type Measured = (Row, Vec<Sample>);

/// All tables.
pub fn page(measured: &[Measured], size: u64, reps: usize) -> String {
    let mut page = format!("# BitTorrent on this machine: {} MiB, pieces of 1 MiB, {reps} rounds\n\n", size >> 20);
    let _ = writeln!(page, "{}. Medians; `times` is the row's wall over the first row's.\n", machine());
    let sections: [(&str, Belongs); 5] = [
        ("One seed, one leecher", |row| matches!(row, Row::Pair(..))),
        ("One seed, four leechers of the same program, a quarter of the size", |row| matches!(row, Row::Swarm(_))),
        ("One seed, one leecher of the same program, 50 ms away each way, an eighth of the size", |row| matches!(row, Row::Delayed(..))),
        ("Re-check", |row| matches!(row, Row::Check(_))),
        ("Creation", |row| matches!(row, Row::Create(_))),
    ];
    for (title, belongs) in sections {
        let rows: Vec<&Measured> = measured.iter().filter(|(row, _)| belongs(row)).collect();
        if !rows.is_empty() {
            table(&mut page, title, &rows);
        }
    }
    required(&mut page, measured);
    page
}

fn table(page: &mut String, title: &str, rows: &[&Measured]) {
    let _ = writeln!(
        page,
        "## {title}\n\n| | wall s | all runs | times | payload moving s | CPU s user+sys | seed CPU s | RSS MB | seed RSS MB |"
    );
    let _ = writeln!(page, "|---|---|---|---|---|---|---|---|---|");
    let first = rows.first().and_then(|(_, samples)| median(samples, |sample| Some(sample.wall_s)));
    for (row, samples) in rows {
        let show = |value: Option<f64>, digits: usize| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"));
        let wall = median(samples, |sample| Some(sample.wall_s));
        let runs: Vec<String> = samples
            .iter()
            .map(|sample| if sample.failure.is_some() { "failed".to_owned() } else { format!("{:.2}", sample.wall_s) })
            .collect();
        let times = wall.zip(first).map(|(wall, first)| wall / first);
        let user_system = format!(
            "{}+{}",
            show(median(samples, |sample| Some(sample.cost.user_s)), 2),
            show(median(samples, |sample| Some(sample.cost.system_s)), 2)
        );
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {user_system} | {} | {} | {} |",
            row.name(),
            show(wall, 3),
            runs.join(" "),
            show(times, 2),
            show(median(samples, |sample| sample.moving_s), 3),
            show(median(samples, |sample| sample.seed.map(|seed| cpu(&seed))), 2),
            show(median(samples, |sample| Some(mb(&sample.cost))), 0),
            show(median(samples, |sample| sample.seed.map(|seed| mb(&seed))), 0),
        );
    }
    page.push('\n');
}

/// What the project promises, each with its figure: by wall, and for transfers by the time in which payload moved as well, which
/// leaves out interpreters, start-up timers and meeting.
fn required(page: &mut String, measured: &[Measured]) {
    use Player::{Hexad, Libtorrent, LibtorrentTuned};
    let fastest = |of: Of, belongs: Belongs| {
        let values = measured.iter().filter(|(row, _)| belongs(row)).filter_map(|(_, samples)| median(samples, of));
        values.min_by(f64::total_cmp)
    };
    let claims: [(&str, f64, Belongs, Belongs); 5] = [
        (
            "our pair, against the fastest pair of theirs",
            1.5,
            |row| matches!(row, Row::Pair(..)) && foreign(row),
            |row| *row == Row::Pair(Hexad, Hexad),
        ),
        (
            "from a libtorrent seed, against libtorrent from one",
            1.3,
            |row| matches!(row, Row::Pair(Libtorrent | LibtorrentTuned, Libtorrent | LibtorrentTuned)),
            |row| matches!(row, Row::Pair(Libtorrent | LibtorrentTuned, Hexad)),
        ),
        ("re-check, against the fastest", 1.5, |row| matches!(row, Row::Check(_)) && foreign(row), |row| *row == Row::Check(Hexad)),
        ("creation, against the fastest", 1.5, |row| matches!(row, Row::Create(_)) && foreign(row), |row| *row == Row::Create(Some(Hexad))),
        ("four leechers, against the fastest", 1.0, |row| matches!(row, Row::Swarm(_)) && foreign(row), |row| *row == Row::Swarm(Hexad)),
    ];
    let _ = writeln!(page, "## What is required\n\n| | times as fast, at least | by wall | | by payload moving |\n|---|---|---|---|---|");
    for (what, least, theirs, ours) in claims {
        let times = |of: Of| Some(fastest(of, theirs)? / fastest(of, ours)?);
        if let Some(wall) = times(|sample| Some(sample.wall_s)) {
            let moving = times(|sample| sample.moving_s).map_or_else(|| "–".to_owned(), |times| format!("{times:.2}"));
            let _ = writeln!(page, "| {what} | {least:.1} | {wall:.2} | {} | {moving} |", if wall >= least { "holds" } else { "MISSED" });
        }
    }
    let ours = |row: &Row| matches!(row, Row::Pair(_, Hexad) | Row::Swarm(Hexad));
    let memory =
        measured.iter().filter(|(row, _)| ours(row)).flat_map(|(_, samples)| samples).map(|sample| mb(&sample.cost)).reduce(f64::max);
    if let Some(memory) = memory {
        let _ = writeln!(
            page,
            "\nMemory of our leecher, the largest seen: {memory:.0} MB; required is below 100 MB: {}.",
            if memory < 100.0 { "holds" } else { "MISSED" }
        );
    }
}

fn foreign(row: &Row) -> bool {
    !row.players().contains(&Player::Hexad)
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = samples.iter().filter(|sample| sample.failure.is_none()).filter_map(of).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

fn cpu(cost: &Cost) -> f64 {
    cost.user_s + cost.system_s
}

fn mb(cost: &Cost) -> f64 {
    cost.rss_peak_bytes as f64 / 1e6
}

fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let model = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.trim_start_matches([' ', '\t', ':']).to_owned()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores, {}", model.unwrap_or_else(|| "an unnamed processor".to_owned()), read("/proc/sys/kernel/osrelease").trim())
}
