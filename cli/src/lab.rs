//! `hexad lab`: networks under virtual time.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::{Args, Subcommand};
use hexad_api::{
    LabCell, LabClaimsRequest, LabCompareRequest, LabComparison, LabEvent, LabReplay, LabReport, LabRequest, LabScenario, LabTable,
    LabVerdict, Laboratory as _, Problem, json_line,
};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::config::ConfigArgs;
use crate::out;

const RUN_EXAMPLES: &str = "\
Examples:
  hexad lab run bittorrent/swarm --nodes 500 --seed 7 --set free-riders=30
  hexad lab run lab/hops --nodes 1M --threads 2 --out plots
  hexad lab run my-question.toml --out answer

A file that ends in .toml asks a question of your own: which networks, in which world, what is to
be measured. Examples are in lab/examples/.";

const COMPARE_EXAMPLES: &str = "\
Examples:
  hexad lab compare --nodes 1000 --seeds 3 --out compared
  hexad lab compare --nodes 100k --networks chord,kazaa --jobs 2 --out compared
  parallel hexad lab compare --nodes 10k --seeds 8 --shard {}/4 --out part-{} ::: 1 2 3 4
  hexad lab merge part-1 part-2 part-3 part-4 --into compared && hexad lab report compared

What has ended is kept in the folder, and is not run again: a command that was stopped goes on
where it was. The page is compared/report.html.";

const CLAIMS_EXAMPLES: &str = "\
Examples:
  hexad lab claims chord
  hexad lab claims --full --jobs 2 --out claims
  parallel hexad lab claims --full --shard {}/4 --out part-{} ::: 1 2 3 4
  hexad lab merge part-1 part-2 part-3 part-4 --into claims && hexad lab claims --full --out claims

What has ended is kept in the folder, and is not run again: a command that was stopped goes on
where it was. A part is kept and not judged; the last line finds all parts there and judges them.";

const REPORT_EXAMPLES: &str = "\
Examples:
  hexad lab report compared
  hexad lab report compared --to-node
  hexad lab report compared --to-node --set state_dir=/var/lib/hexad

The page is report.html in the folder. With --to-node a node shows it at once: open the lab on its
page.";

const REPLAY_EXAMPLES: &str = "\
Example:
  hexad lab replay 'lab/hops nodes=1000 seed=7 #4f0c2b9d11a7e358'";

/// `hexad lab`.
#[derive(Debug, Args)]
pub struct LabArgs {
    /// What to do
    #[command(subcommand)]
    pub command: LabCommand,
}

/// What to do in the lab.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Say what can be run, and what can be set
    List {
        /// Only scenarios whose name begins so, with all their parameters
        name: Option<String>,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Run a scenario; the same parameters give the same digest on every machine
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Repeat a run from the line that it printed, and say whether it came to the same
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        /// The line, in quotes
        line: String,
        /// What only changes where the outcome goes and how fast it comes
        #[command(flatten)]
        how: HowArgs,
    },
    /// Test what is claimed about a network against its scenarios
    #[command(after_help = CLAIMS_EXAMPLES)]
    Claims(ClaimsArgs),
    /// Run networks side by side: one world, the same users, files, questions and failures
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Write one page, Markdown, CSV and SVG of all that a folder holds
    #[command(after_help = REPORT_EXAMPLES)]
    Report {
        /// A folder that compare, claims or run have written to
        folder: PathBuf,
        /// Put the page where the node of this configuration shows it, over the one that is there
        #[arg(long)]
        to_node: bool,
        /// Which node
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Copy the runs of shards into one folder
    Merge {
        /// The folders of the shards
        #[arg(required = true)]
        from: Vec<PathBuf>,
        /// Where they go
        #[arg(long, value_name = "DIR")]
        into: PathBuf,
    },
    /// Carry out one run of several and print what is kept of it; ends when stdin does. For `compare` and `claims`
    #[command(hide = true)]
    Carry(CarryArgs),
}

/// `hexad lab carry`.
#[derive(Debug, Args)]
pub struct CarryArgs {
    /// The line of a run
    pub line: String,
    /// On so many threads
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
}

/// `hexad lab compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// How many users at most: 1000, 10k, 1M
    #[arg(long, value_name = "N")]
    pub nodes: Option<String>,
    /// Numbers of users, with commas between [default: a ladder up to N]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub sizes: Vec<String>,
    /// Which networks, with commas between [default: all six]
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub networks: Vec<String>,
    /// How many seeds
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub seeds: u32,
    /// Set a parameter of the world; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// How runs are carried out
    #[command(flatten)]
    pub sweep: SweepArgs,
    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// How many runs are carried out; changes no outcome.
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// So many runs at a time, each in a process of its own [default: as many as there are cores]
    #[arg(long, value_name = "K")]
    pub jobs: Option<usize>,
    /// Only this part of the runs, for several machines or processes
    #[arg(long, value_name = "I/N", requires = "out")]
    pub shard: Option<String>,
    /// Keep every run here as it ends, find it again, and write here what they come to
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl SweepArgs {
    fn jobs(&self) -> usize {
        self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
    }
}

/// `hexad lab run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which scenario
    pub name: String,
    /// How many nodes: 1000, 10k, 1M
    #[arg(long, value_name = "N")]
    pub nodes: Option<String>,
    /// Where all randomness comes from
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Set a parameter; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// Of a question: only this part of the runs, for several machines or processes
    #[arg(long, value_name = "I/N", requires = "out")]
    pub shard: Option<String>,
    /// What only changes where the outcome goes and how fast it comes
    #[command(flatten)]
    pub how: HowArgs,
}

/// What changes no outcome.
#[derive(Debug, Args)]
pub struct HowArgs {
    /// Run on so many threads; the outcome is the same
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub threads: usize,
    /// Write JSON lines, CSV tables and SVG plots into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// `hexad lab claims`.
#[derive(Debug, Args)]
pub struct ClaimsArgs {
    /// A network, a scenario, or all
    #[arg(default_value = "all")]
    pub about: String,
    /// As much as the figures need, and not only seconds
    #[arg(long)]
    pub full: bool,
    /// How many seeds, in place of what the scenario says
    #[arg(long, value_name = "COUNT")]
    pub seeds: Option<u32>,
    /// Only this claim; may be repeated
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Each run on so many threads; the outcome is the same
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub threads: usize,
    /// How runs are carried out
    #[command(flatten)]
    pub sweep: SweepArgs,
    /// One JSON object per line on stdout
    #[arg(long)]
    pub json: bool,
}

/// Does what was asked of the lab.
///
/// # Errors
/// When it cannot be done, a replay comes to something else, or a claim does not hold.
pub fn run(command: LabCommand) -> Result<(), Problem> {
    if runs_something(&command) {
        ask_for_large_pages();
    }
    let laboratory = hexad_daemon::laboratory_apart(Box::new(carry_apart));
    match command {
        LabCommand::List { name, json } => list(&laboratory.scenarios(), name.as_deref(), json),
        LabCommand::Run(given) if is_question(&given.name) => {
            let text = std::fs::read_to_string(&given.name)
                .map_err(|wrong| Problem::new(format!("{}: {wrong}", given.name)).hint("give the path of a question's file"))?;
            if given.nodes.is_some() || given.seed.is_some() || !given.set.is_empty() {
                return Err(Problem::new("a question says all that is set in its file").hint("change the file"));
            }
            let (HowArgs { threads, out, json }, shard) = (given.how, given.shard);
            compare(
                &laboratory,
                LabCompareRequest { question: Some(text), jobs: threads, shard, out, ..LabCompareRequest::default() },
                json,
            )
        }
        LabCommand::Compare(given) => {
            let CompareArgs { nodes, sizes, networks, seeds, set, sweep, json } = given;
            let (set, jobs, SweepArgs { shard, out, .. }) = (set.into_iter().collect(), sweep.jobs(), sweep);
            compare(&laboratory, LabCompareRequest { question: None, networks, nodes, sizes, seeds, set, jobs, shard, out }, json)
        }
        LabCommand::Report { folder, to_node, config } => {
            // A configuration that cannot be read is said before anything is written.
            let shown_at = if to_node { Some(place_at_node(&config)?) } else { None };
            let written = laboratory.report(&folder)?;
            for path in &written {
                out::line(&path.display().to_string())?;
            }
            if let (Some(place), Some(page)) = (shown_at, written.first()) {
                copy_whole(page, &place)?;
                out::line(&place.display().to_string())?;
            }
            Ok(())
        }
        LabCommand::Merge { from, into } => {
            let copied = laboratory.merge(&from, &into)?;
            eprintln!("copied {copied} files into {}", into.display());
            Ok(())
        }
        LabCommand::Run(RunArgs { shard: Some(_), name, .. }) => Err(Problem::new(format!("{name} is one run, and has no parts"))
            .hint("a question in a .toml file has, and compare and claims have")),
        LabCommand::Run(given) => {
            let mut set: BTreeMap<String, String> = given.set.into_iter().collect();
            set.extend(given.nodes.map(|nodes| ("nodes".into(), nodes)));
            set.extend(given.seed.map(|seed| ("seed".into(), seed.to_string())));
            let HowArgs { threads, out, json } = given.how;
            let mut screen = Screen::new();
            let report = laboratory.run(LabRequest { scenario: given.name, set, threads, out }, &mut |event| screen.show(&event));
            screen.close();
            show(&report?, json)
        }
        LabCommand::Replay { line, how: HowArgs { threads, out, json } } => {
            let mut screen = Screen::new();
            let report = laboratory.replay(LabReplay { line: line.clone(), threads, out }, &mut |event| screen.show(&event));
            screen.close();
            let report = report?;
            show(&report, json)?;
            match report.same {
                Some(true) => eprintln!("the same digest: {}", report.digest),
                None => eprintln!("the line has no digest to compare with"),
                Some(false) => return Err(changed(&line, &report)),
            }
            Ok(())
        }
        LabCommand::Carry(given) => carry(&given),
        LabCommand::Claims(given) => {
            let ClaimsArgs { about, full, seeds, only, threads, sweep, json } = given;
            let (jobs, SweepArgs { shard, out, .. }) = (sweep.jobs(), sweep);
            let is_part = shard.is_some();
            let request = LabClaimsRequest { about, full, seeds, only, threads, jobs, shard, out };
            let mut screen = Screen::new();
            let verdicts = laboratory.test_claims(request, &mut |event| screen.show(&event));
            screen.close();
            if is_part {
                // Nothing is judged by a part of the seeds.
                return verdicts.map(drop);
            }
            show_verdicts(&verdicts?, json)
        }
    }
}

fn runs_something(command: &LabCommand) -> bool {
    match command {
        LabCommand::Run(_) | LabCommand::Replay { .. } | LabCommand::Claims(_) | LabCommand::Compare(_) | LabCommand::Carry(_) => true,
        LabCommand::List { .. } | LabCommand::Report { .. } | LabCommand::Merge { .. } => false,
    }
}

/// What glibc hears its wishes by.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// The program that runs: by its path, or, where another was put there since, as it is in memory.
fn this_program() -> PathBuf {
    std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| "/proc/self/exe".into())
}

/// Begins this process anew so that its memory comes in large pages: a large world is read all over, and finding each page takes as long as reading
/// it. Whoever has wishes of his own keeps them; where it cannot be done, it goes on as it is.
fn ask_for_large_pages() {
    if std::env::var_os(TUNABLES).is_none() {
        // Comes back only where it has failed.
        let _ = Command::new(this_program()).args(std::env::args_os().skip(1)).env(TUNABLES, "glibc.malloc.hugetlb=1").exec();
    }
}

/// Has a run carried out by a process of its own: what it takes it gives back, and one that is killed for want of memory takes no other with it.
fn carry_apart(line: &str, threads: usize) -> Result<String, String> {
    let carried = || -> io::Result<_> {
        let mut child = Command::new(this_program())
            .args(["lab", "carry", "--threads", &threads.to_string(), line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // It lives as long as this end is open, so that it ends with us, whatever ends us.
        let stdin = child.stdin.take();
        let output = child.wait_with_output();
        drop(stdin);
        output
    };
    let output = carried().map_err(|wrong| format!("no process can be started for it: {wrong}"))?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(|_| "its process said what is no text".into());
    }
    if let Some(signal) = output.status.signal() {
        return Err(format!("its process was ended by signal {signal}; 9 mostly stands for want of memory"));
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let said = told.lines().find_map(|line| line.strip_prefix("error: ")).or_else(|| told.lines().last());
    Err(said.unwrap_or("its process failed and said nothing").to_owned())
}

/// Carries out a run for the process at the other end of stdin, as long as that is there.
fn carry(given: &CarryArgs) -> Result<(), Problem> {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(1);
    });
    out::bytes(hexad_daemon::carry_out(&given.line, given.threads.max(1))?.as_bytes())
}

/// Where the node of a configuration looks for the page that it shows.
fn place_at_node(config: &ConfigArgs) -> Result<PathBuf, Problem> {
    config
        .read()?
        .lab_report()
        .ok_or_else(|| Problem::new("there is no folder for what a node keeps: HOME is not set").hint("name one with --set state_dir=DIR"))
}

/// Copies a page beside its place and moves it there, so that who looks meanwhile sees the old one or the new one and never a half.
fn copy_whole(page: &Path, place: &Path) -> Result<(), Problem> {
    let folder = place.parent().unwrap_or(Path::new("."));
    let copied = || -> std::io::Result<()> {
        // As private as the node makes it.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // What a umask leaves of this: the node may be another user's.
        let readable = std::fs::Permissions::from_mode(0o666);
        let mut half = tempfile::Builder::new().prefix(".index-").permissions(readable).tempfile_in(folder)?;
        std::io::copy(&mut std::fs::File::open(page)?, &mut half)?;
        half.persist(place).map(drop).map_err(|wrong| wrong.error)
    };
    copied().map_err(|wrong| {
        Problem::new(format!("{} cannot be written: {wrong}", place.display()))
            .hint(format!("see who may write to {}, or name another with --set state_dir=DIR", folder.display()))
    })
}

fn is_question(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"))
}

fn compare(laboratory: &impl hexad_api::Laboratory, request: LabCompareRequest, json: bool) -> Result<(), Problem> {
    let mut screen = Screen::new();
    let compared = laboratory.compare(request, &mut |event| screen.show(&event));
    screen.close();
    show_comparison(&compared?, json)
}

fn show_comparison(compared: &LabComparison, json: bool) -> Result<(), Problem> {
    if json {
        return out::line(&json_line(compared)?);
    }
    for table in compared.tables.iter().filter(|table| table.name != "figures") {
        show_table(table)?;
    }
    for remark in &compared.remarks {
        out::line(remark)?;
    }
    for path in &compared.written {
        eprintln!("wrote {}", path.display());
    }
    out::line(&format!("{} runs · digest {}", compared.runs, compared.digest))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("expected KEY=VALUE, came '{text}'"))?;
    Ok((name.into(), value.into()))
}

fn changed(line: &str, report: &LabReport) -> Problem {
    let said = line.rsplit_once('#').map_or("", |(_, digest)| digest.trim());
    Problem::new(format!("THE RUN HAS CHANGED: the line says digest {said}, this run came to {}", report.digest))
        .hint("the program has changed since the line was printed; what depends on it has to be measured again")
}

fn list(scenarios: &[LabScenario], name: Option<&str>, json: bool) -> Result<(), Problem> {
    let shown: Vec<&LabScenario> = scenarios.iter().filter(|scenario| scenario.name.starts_with(name.unwrap_or(""))).collect();
    if shown.is_empty() {
        return Err(Problem::new(format!("there is no scenario whose name begins with '{}'", name.unwrap_or("")))
            .hint("`hexad lab list` names them all"));
    }
    for scenario in shown {
        if json {
            out::line(&json_line(scenario)?)?;
            continue;
        }
        let claims = if scenario.claims.is_empty() { String::new() } else { format!(" [{}]", scenario.claims.join(" ")) };
        out::line(&format!("{:<20} {}{claims}", scenario.name, scenario.about))?;
        if name.is_some() {
            let rows: Vec<Vec<String>> = scenario
                .parameters
                .iter()
                .map(|parameter| vec![format!("  {}", parameter.name), parameter.default.clone(), parameter.help.clone()])
                .collect();
            lines(&["  set", "default", "what it does"], &rows)?;
        }
    }
    Ok(())
}

fn show(report: &LabReport, json: bool) -> Result<(), Problem> {
    if json {
        return out::line(&json_line(report)?);
    }
    for table in &report.tables {
        show_table(table)?;
    }
    for remark in &report.remarks {
        out::line(remark)?;
    }
    if !report.findings.is_empty() {
        verdict_lines(&report.findings)?;
    }
    let phases: Vec<Vec<String>> = report
        .phases
        .iter()
        .map(|phase| {
            let rate = if phase.events == 0 { String::new() } else { format!("{:.0}", phase.events_per_cpu_s) };
            vec![phase.name.clone(), phase.events.to_string(), format!("{:.2}", phase.wall_s), format!("{:.2}", phase.cpu_s), rate]
        })
        .collect();
    lines(&["phase", "events", "wall (s)", "CPU (s)", "events per CPU second"], &phases)?;
    out::line(&format!(
        "seed {} · {} nodes · {} events · {:.1} s of virtual time · {:.0} events per CPU second in all",
        report.seed,
        HumanCount(report.nodes.into()),
        HumanCount(report.events),
        report.virtual_s,
        report.events_per_cpu_s
    ))?;
    out::line(&format!(
        "{:.2} s on the wall · {:.2} s of CPU · {} at most, {} of it before the run",
        report.wall_s,
        report.cpu_s,
        HumanBytes(report.peak_memory_bytes),
        HumanBytes(report.memory_before_bytes)
    ))?;
    for path in &report.written {
        eprintln!("wrote {}", path.display());
    }
    out::line(&report.line)
}

fn show_table(table: &LabTable) -> Result<(), Problem> {
    let heads: Vec<String> = table
        .columns
        .iter()
        .map(|column| if column.unit.is_empty() { column.name.clone() } else { format!("{} ({})", column.name, column.unit) })
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let rows: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(written).collect()).collect();
    out::line(&format!("{}:", table.title))?;
    lines(&heads, &rows)?;
    out::line("")
}

fn written(cell: &LabCell) -> String {
    match cell {
        LabCell::Count(count) => count.to_string(),
        LabCell::Number(number) => figure(*number),
        LabCell::Text(text) => text.clone(),
        LabCell::Empty => "–".into(),
    }
}

/// A number with as many digits as a reader wants.
fn figure(number: f64) -> String {
    let digits = match number.abs() {
        0.0 => 0,
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.001 => 4,
        _ => return format!("{number:.2e}"),
    };
    format!("{number:.digits$}")
}

fn show_verdicts(verdicts: &[LabVerdict], json: bool) -> Result<(), Problem> {
    if json {
        for verdict in verdicts {
            out::line(&json_line(verdict)?)?;
        }
    } else {
        verdict_lines(verdicts)?;
        for remark in verdicts.iter().flat_map(|verdict| &verdict.remarks) {
            out::line(remark)?;
        }
    }
    let absent = verdicts.iter().filter(|verdict| verdict.absent).count();
    if absent > 0 {
        eprintln!("{absent} claims are measured by no scenario");
    }
    let failed: Vec<&str> =
        verdicts.iter().filter(|verdict| !verdict.holds && !verdict.absent).map(|verdict| verdict.claim.as_str()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Problem::new(format!("{} of {} figures are not as claimed: {}", failed.len(), verdicts.len() - absent, failed.join(" ")))
        .hint("`hexad lab list` says which scenario tests which claim"))
}

fn verdict_lines(verdicts: &[LabVerdict]) -> Result<(), Problem> {
    let rows: Vec<Vec<String>> = verdicts
        .iter()
        .map(|verdict| {
            let spread = match (verdict.least, verdict.most) {
                (Some(least), Some(most)) if verdict.seeds > 1 => format!("{} … {}", figure(least), figure(most)),
                _ => String::new(),
            };
            let measured = verdict.measured.map_or_else(|| "–".into(), figure);
            let measured = if verdict.interval > 0.0 { format!("{measured} ±{}", figure(verdict.interval)) } else { measured };
            let holds = match (verdict.holds, verdict.absent) {
                (true, _) => "holds",
                (_, true) => "absent",
                _ => "FAILS",
            };
            vec![
                // A dagger stands for a figure from memory of a paper.
                format!("{}{}", verdict.claim, if verdict.from_memory { " †" } else { "" }),
                verdict.row.clone(),
                verdict.expected.clone(),
                measured,
                verdict.tolerance.clone(),
                holds.into(),
                verdict.seeds.to_string(),
                spread,
            ]
        })
        .collect();
    lines(&["claim", "figure", "expected", "measured", "tolerance", "verdict", "seeds", "of seeds"], &rows)
}

/// Columns side by side, as wide as their widest; numbers to the right.
pub fn lines(heads: &[&str], rows: &[Vec<String>]) -> Result<(), Problem> {
    let letters = |text: &str| text.chars().count();
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(column, head)| cells(column).map(|cell| letters(cell)).max().unwrap_or(0).max(letters(head)))
        .collect();
    let is_number = |cell: &String| cell.is_empty() || cell == "–" || cell.parse::<f64>().is_ok();
    let right: Vec<bool> =
        (0..heads.len()).map(|column| rows.iter().any(|row| !row[column].is_empty()) && cells(column).all(is_number)).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let pad = " ".repeat(widths[column].saturating_sub(letters(cell)));
            if right[column] { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    out::line(&line(heads.to_vec()))?;
    for row in rows {
        out::line(&line(row.iter().map(String::as_str).collect()))?;
    }
    Ok(())
}

/// How a run goes, on a terminal: a bar for each phase. Elsewhere nothing but the scenarios of several.
struct Screen {
    bar: Option<ProgressBar>,
    phase: String,
    scenario: String,
}

impl Screen {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent}% {elapsed}\n{msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Self { bar, phase: String::new(), scenario: String::new() }
    }

    fn show(&mut self, event: &LabEvent) {
        let message = match event {
            LabEvent::Scenario { name } => {
                self.scenario = format!("{name} · ");
                if self.bar.is_none() {
                    eprintln!("{name}");
                }
                return;
            }
            LabEvent::Job { line, kept, wall_s, done, of, left_s } => {
                let name: Vec<&str> = line
                    .split(' ')
                    .filter(|word| !word.contains(['=', '#']) || word.starts_with("nodes=") || word.starts_with("seed="))
                    .collect();
                let how = if *kept { "was there".into() } else { format!("{wall_s:.1} s") };
                let left = left_s.filter(|_| done < of).map_or_else(String::new, |left| format!(", about {:.0} s left", left.ceil()));
                let told = format!("[{done}/{of}] {}: {how}{left}", name.join(" "));
                match &self.bar {
                    Some(bar) => bar.println(told),
                    None => eprintln!("{told}"),
                }
                return;
            }
            LabEvent::Phase { name } => {
                self.phase.clone_from(name);
                if let Some(bar) = &self.bar {
                    bar.reset();
                }
                format!("{}{name}", self.scenario)
            }
            LabEvent::Step { done, events } => {
                let thousandths = (done.clamp(0.0, 1.0) * 1000.0).round();
                if let Some(bar) = &self.bar {
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
                    bar.set_position(thousandths as u64);
                }
                format!("{}{} · {} events", self.scenario, self.phase, HumanCount(*events))
            }
        };
        if let Some(bar) = &self.bar {
            bar.set_message(message);
        }
    }

    fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
