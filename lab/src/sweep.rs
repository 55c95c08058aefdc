//! Runs jobs, several at a time, keeps what they came to, and does not run again what is there already.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use super::jobs::{Job, Shard};
use crate::gauge::Silent;
use crate::outputs::{self, Stored};

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

/// Runs jobs on `workers` threads, one thread each. Where there is a folder, what a job came to is kept there in a file of its own as soon as it
/// has ended, and a job whose file is there is not run again; a file that is only half written has another name.
///
/// # Errors
/// When a job cannot be run, or a file cannot be written or read; what has ended by then is kept.
pub fn sweep(jobs: &[Job], shard: Shard, folder: Option<&Path>, workers: usize, mut hear: impl FnMut(Done)) -> Result<Vec<Stored>, String> {
    let mine: Vec<&Job> = jobs.iter().enumerate().filter(|(number, _)| shard.has(*number)).map(|(_, job)| job).collect();
    let next = AtomicUsize::new(0);
    let (ended, hearing) = mpsc::channel();
    let began = Instant::now();
    let (mut weight_done, mut weight_left) = (0.0, mine.iter().map(|job| job.weight).sum::<f64>());
    let (mut results, mut wrong) = (Vec::new(), None);
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, WORKERS_MAX).min(mine.len()) {
            let (ended, mine, next) = (ended.clone(), &mine, &next);
            scope.spawn(move || {
                while let Some(&job) = mine.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if ended.send((job, run(job, folder))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(ended);
        for (job, came) in hearing {
            match came {
                Err(why) => {
                    wrong.get_or_insert(format!("{}: {why}", job.name));
                    // Nobody begins another one.
                    next.store(mine.len(), Ordering::Relaxed);
                }
                Ok((stored, kept)) => {
                    weight_left -= job.weight;
                    weight_done += if kept { 0.0 } else { job.weight };
                    let left_s = (weight_done > 0.0).then(|| began.elapsed().as_secs_f64() * weight_left.max(0.0) / weight_done);
                    let wall_s = if kept { 0.0 } else { stored.run.wall_s };
                    results.push(stored.clone());
                    hear(Done { line: stored.run.line, kept, wall_s, done: results.len(), of: mine.len(), left_s });
                }
            }
        }
    });
    wrong.map_or(Ok(results), Err)
}

/// More are of no use.
const WORKERS_MAX: usize = 256;

fn run(job: &Job, folder: Option<&Path>) -> Result<(Stored, bool), String> {
    let file = folder.map(|folder| folder.join(format!("{}.jsonl", job.name)));
    if let Some(file) = &file
        && let Some(stored) = outputs::read_file(file)?
        && stored.run.line.split(" #").next() == Some(job.line().as_str())
    {
        return Ok((stored, true));
    }
    let run = job.scenario.execute(&job.params, &mut Silent)?;
    let text = outputs::json_lines(&run).map_err(|wrong| wrong.to_string())?;
    if let (Some(folder), Some(file)) = (folder, &file) {
        let told = |wrong: std::io::Error| format!("{}: {wrong}", file.display());
        fs::create_dir_all(folder).map_err(told)?;
        let half = folder.join(format!("{}.half", job.name));
        fs::write(&half, &text).map_err(told)?;
        fs::rename(&half, file).map_err(told)?;
    }
    let stored = outputs::parse(&text)?.ok_or("a run has no first line")?;
    Ok((stored, false))
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
