//! Runs jobs, several at a time, keeps what they came to, and does not run again what is there already. What jobs are for is not known here:
//! comparisons and claims are made of the runs that are kept.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use crate::gauge::Silent;
use crate::line::Line;
use crate::outputs::{self, Stored};
use crate::run::replay;
use crate::scenario::{Params, Scenario};
use crate::scenarios::SCENARIOS;

/// One run that is to be made.
#[derive(Clone)]
pub struct Job {
    /// Which scenario.
    pub scenario: &'static Scenario,
    /// With what.
    pub params: Params,
    /// Where what it came to is kept: the name of a file without its end.
    pub name: String,
    /// About how much it takes, compared with others.
    pub weight: f64,
}

impl Job {
    /// The line that runs it, without a digest.
    #[must_use]
    pub fn line(&self) -> String {
        Line::of(self.scenario.name, &self.params, None).to_string()
    }
}

/// Carries out one job: what is kept of it, as the text of its file, or why it cannot be run.
pub type Carry<'a> = dyn Fn(&Job) -> Result<String, String> + Sync + 'a;

/// Carries out a job on the thread that asks for it.
///
/// # Errors
/// When the scenario cannot be run so.
pub fn here(job: &Job) -> Result<String, String> {
    outputs::text_of(&job.scenario.execute(&job.params, &mut Silent)?)
}

/// Carries out the job of a line, as [`here`]: for a process that was started for it.
///
/// # Errors
/// When the line cannot be read, or what it says cannot be run.
pub fn here_by_line(line: &str, threads: usize) -> Result<String, String> {
    outputs::text_of(&replay(&line.parse()?, SCENARIOS, threads, &mut Silent)?.run)
}

/// Brings jobs into the order in which they are run, the costly ones first: the same wherever it is asked for, so that shards fit together.
pub(crate) fn in_order(mut jobs: Vec<Job>) -> Vec<Job> {
    jobs.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.name.cmp(&b.name)));
    jobs
}

/// Every n-th job, beginning with the i-th.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Whether the job of that number, from 0, is in it.
    #[must_use]
    pub fn has(self, job: usize) -> bool {
        job % self.of.max(1) as usize + 1 == self.number as usize
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a part of a whole such as 1/4, came '{text}'");
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let shard = Self { number: number.parse().map_err(|_| wrong())?, of: of.parse().map_err(|_| wrong())? };
        if shard.number == 0 || shard.number > shard.of { Err(wrong()) } else { Ok(shard) }
    }
}

/// How a sweep goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The line of the job that has ended.
    pub line: String,
    /// It was there already.
    pub kept: bool,
    /// By the clock on the wall; 0 for what was there already.
    pub wall_s: f64,
    /// How many jobs have ended.
    pub done: usize,
    /// Of how many.
    pub of: usize,
    /// About how long the rest takes, seconds, once that can be said.
    pub left_s: Option<f64>,
}

/// What a sweep came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Swept {
    /// Runs that have ended, as they are kept; in no order.
    pub runs: Vec<Stored>,
    /// Runs that could not be run: the name of the scenario, and why.
    pub failed: Vec<(&'static str, String)>,
}

/// Has the jobs of a shard carried out, `workers` at a time. Where there is a folder, what a job came to is kept there in a file of its own as soon as it
/// has ended, and a job whose file is there is not run again; a file that is only half written has another name.
///
/// # Errors
/// When a file cannot be written or read; what has ended by then is kept.
pub fn sweep(
    jobs: &[Job],
    shard: Shard,
    folder: Option<&Path>,
    workers: usize,
    carry: &Carry<'_>,
    mut hear: impl FnMut(Done),
) -> Result<Swept, String> {
    let mine: Vec<&Job> = jobs.iter().enumerate().filter(|(number, _)| shard.has(*number)).map(|(_, job)| job).collect();
    let next = AtomicUsize::new(0);
    let (ended, hearing) = mpsc::channel();
    let began = Instant::now();
    let (mut weight_done, mut weight_left) = (0.0, mine.iter().map(|job| job.weight).sum::<f64>());
    let (mut swept, mut wrong) = (Swept::default(), None);
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, WORKERS_MAX).min(mine.len()) {
            let (ended, mine, next) = (ended.clone(), &mine, &next);
            scope.spawn(move || {
                while let Some(&job) = mine.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if ended.send((job, run(job, folder, carry))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(ended);
        for (job, came) in hearing {
            let kept = matches!(came, Ok(Came::Kept(_)));
            weight_left -= job.weight;
            weight_done += if kept { 0.0 } else { job.weight };
            let (mut line, mut wall_s) = (job.line(), 0.0);
            match came {
                Err(why) => {
                    wrong.get_or_insert(format!("{}: {why}", job.name));
                    // Nobody begins another one.
                    next.store(mine.len(), Ordering::Relaxed);
                    continue;
                }
                Ok(Came::Failed(why)) => swept.failed.push((job.scenario.name, format!("{} cannot be run: {why}", job.line()))),
                Ok(Came::Kept(stored)) => {
                    line.clone_from(&stored.run.line);
                    swept.runs.push(*stored);
                }
                Ok(Came::Ran(stored)) => {
                    line.clone_from(&stored.run.line);
                    wall_s = stored.run.wall_s;
                    swept.runs.push(*stored);
                }
            }
            let left_s = (weight_done > 0.0).then(|| began.elapsed().as_secs_f64() * weight_left.max(0.0) / weight_done);
            hear(Done { line, kept, wall_s, done: swept.runs.len() + swept.failed.len(), of: mine.len(), left_s });
        }
    });
    wrong.map_or(Ok(swept), Err)
}

/// More are of no use.
const WORKERS_MAX: usize = 256;

/// What became of a job.
enum Came {
    /// It was there already.
    Kept(Box<Stored>),
    /// It has been run.
    Ran(Box<Stored>),
    /// The scenario says why it cannot be run.
    Failed(String),
}

fn run(job: &Job, folder: Option<&Path>, carry: &Carry<'_>) -> Result<Came, String> {
    let file = folder.map(|folder| folder.join(format!("{}.jsonl", job.name)));
    if let Some(file) = &file
        && let Some(stored) = outputs::read_file(file)?
        && stored.run.line.split(" #").next() == Some(job.line().as_str())
    {
        return Ok(Came::Kept(Box::new(stored)));
    }
    let text = match carry(job) {
        Ok(text) => text,
        Err(why) => return Ok(Came::Failed(why)),
    };
    let stored = outputs::of_text(&text)?;
    if let (Some(folder), Some(file)) = (folder, &file) {
        let told = |wrong: std::io::Error| format!("{}: {wrong}", file.display());
        fs::create_dir_all(folder).map_err(told)?;
        let half = folder.join(format!("{}.half", job.name));
        fs::write(&half, &text).map_err(told)?;
        fs::rename(&half, file).map_err(told)?;
    }
    Ok(Came::Ran(Box::new(stored)))
}

/// Copies the runs of folders into one; a run that is there already stays. Returns how many were copied.
///
/// # Errors
/// When a folder cannot be read or written, or two folders have different outcomes of the same run.
pub fn merge(from: &[std::path::PathBuf], into: &Path) -> Result<usize, String> {
    let told = |path: &Path, wrong: std::io::Error| format!("{}: {wrong}", path.display());
    fs::create_dir_all(into).map_err(|wrong| told(into, wrong))?;
    let mut copied = 0;
    for folder in from {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(|wrong| told(folder, wrong))? {
            paths.push(entry.map_err(|wrong| told(folder, wrong))?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
        paths.sort();
        for path in paths {
            let Some(name) = path.file_name() else { continue };
            let target = into.join(name);
            if let (Some(here), Some(there)) = (outputs::read_file(&path)?, outputs::read_file(&target)?)
                && here.run.line != there.run.line
            {
                return Err(format!("{} and {} differ: '{}', '{}'", path.display(), target.display(), here.run.line, there.run.line));
            }
            if !target.exists() {
                fs::copy(&path, &target).map_err(|wrong| told(&target, wrong))?;
                copied += 1;
            }
        }
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_every_job_once() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].iter().map(|text| text.parse().unwrap()).collect();
        for job in 0..10 {
            assert_eq!(shards.iter().filter(|shard| shard.has(job)).count(), 1);
        }
        for wrong in ["", "0/3", "4/3", "a/b", "3"] {
            assert!(wrong.parse::<Shard>().is_err());
        }
    }
}
