//! A program that we started: what it says goes to files, it is waited for with a deadline, what it cost is read before it is
//! reaped, and it never outlives us.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a process has used up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// CPU seconds in user mode, of all its threads; in steps of 10 ms.
    pub user_s: f64,
    /// CPU seconds in the kernel, of all its threads; in steps of 10 ms.
    pub system_s: f64,
    /// The largest resident set that was seen, in bytes.
    pub rss_peak_bytes: u64,
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
    began: Instant,
    ended: Option<(ExitStatus, Duration)>,
    cost: Cost,
}

impl Process {
    /// Starts `command`; its stdout and stderr go to `NAME.out` and `NAME.err` in `folder`.
    ///
    /// # Errors
    /// When the files cannot be made or the program cannot be started.
    pub fn start(mut command: Command, folder: &Path, name: &str) -> Result<Self> {
        let (out, err) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.err")));
        command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&err)?);
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, out, err, began, ended: None, cost: Cost::default() })
    }

    /// All that it has said on stdout so far.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read(&self.out).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// All that it has said on stderr so far.
    #[must_use]
    pub fn complained(&self) -> String {
        std::fs::read(&self.err).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// How it ended and after what time since its start; `None` while it runs. Looking also notes its largest resident set, so
    /// who wants to know it looks often.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn ended(&mut self) -> Result<Option<(ExitStatus, Duration)>> {
        if self.ended.is_none() {
            self.note_cost();
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if waitid(WaitId::Pid(self.pid()?), options)?.is_some() {
                let taken = self.began.elapsed();
                self.note_cost();
                self.ended = Some((self.child.wait()?, taken));
            }
        }
        Ok(self.ended)
    }

    /// What it has used so far, or in all when it has ended. Peak memory is as of the last look.
    pub fn cost(&mut self) -> Cost {
        if self.ended.is_none() {
            self.note_cost();
        }
        self.cost
    }

    /// When it was started.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Waits until it ends with status 0.
    ///
    /// # Errors
    /// When it ends otherwise, or not within `limit`.
    pub fn finish(&mut self, limit: Duration) -> Result<Duration> {
        let name = self.name.clone();
        let (status, taken) = until(limit, &format!("{name} ends"), || self.ended())?;
        if !status.success() {
            bail!("{name}: {status}");
        }
        Ok(taken)
    }

    /// Waits until `look` finds something in what it says.
    ///
    /// # Errors
    /// When it ends before, or after `limit`.
    pub fn hear<T>(&mut self, limit: Duration, what: &str, mut look: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let name = self.name.clone();
        until(limit, &format!("{name}: {what}"), || {
            let over = self.ended()?;
            match (look(&self.said()), over) {
                (Some(found), _) => Ok(Some(found)),
                (None, Some((status, _))) => bail!("{name} ended with {status} before: {what}"),
                (None, None) => Ok(None),
            }
        })
    }

    /// Asks it to end, and kills it if it does not within five seconds.
    ///
    /// # Errors
    /// When the system refuses to tell how it ended.
    pub fn stop(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            let _ = kill_process(self.pid()?, Signal::TERM);
            if until(Duration::from_secs(5), "an end", || self.ended()).is_err() {
                self.child.kill()?;
                until(Duration::from_secs(5), "an end", || self.ended())?;
            }
        }
        Ok(())
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            self.child.kill()?;
            until(Duration::from_secs(5), "an end", || self.ended())?;
        }
        Ok(())
    }

    fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process id")
    }

    fn note_cost(&mut self) {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default();
        let stat = read("stat");
        // Fields 14 and 15; the name, field 2, is in brackets and may hold anything.
        let mut ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).filter_map(|word| word.parse::<f64>().ok());
        if let (Some(user), Some(system)) = (ticks.next(), ticks.next()) {
            (self.cost.user_s, self.cost.system_s) = (user / 100.0, system / 100.0);
        }
        let status = read("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        // exec starts a new count, so the shells in front of the program do not show.
        self.cost.rss_peak_bytes = peak.map_or(self.cost.rss_peak_bytes, |kib| kib * 1024);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Looks every few milliseconds until `look` finds something.
///
/// # Errors
/// What `look` fails with, or that `what` did not happen within `limit`.
pub fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s for: {what}", limit.as_secs_f64());
        }
        #[expect(clippy::disallowed_methods, reason = "the pause between two looks, under a deadline")]
        std::thread::sleep(Duration::from_millis(3));
    }
}
