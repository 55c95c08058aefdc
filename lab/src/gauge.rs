//! Times a run: phases with their events, wall and CPU seconds, and the memory of the process.

use std::time::Instant;

use hexad_core::{Network, Span, Time};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::Lab;

/// Hears how a run goes.
pub trait Progress {
    /// A scenario begins, with a seed.
    fn on_scenario(&mut self, _name: &str, _seed: u64) {}

    /// A phase begins.
    fn on_phase(&mut self, name: &str);

    /// How much of the phase is done, `0.0..=1.0`, and how many events there were in it.
    fn on_step(&mut self, done: f64, events: u64);
}

/// Hears and says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn on_phase(&mut self, _: &str) {}

    fn on_step(&mut self, _: f64, _: u64) {}
}

/// What a phase of a run took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// Which.
    pub name: String,
    /// Events in it.
    pub events: u64,
    /// By the clock on the wall.
    pub wall_s: f64,
    /// Of all threads together.
    pub cpu_s: f64,
}

impl Phase {
    /// Events per CPU second; 0 where nothing was timed.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn events_per_cpu_s(&self) -> f64 {
        if self.cpu_s > 0.0 { self.events as f64 / self.cpu_s } else { 0.0 }
    }
}

/// Times the phases of a run and passes on how it goes.
pub struct Gauge<'a> {
    progress: &'a mut dyn Progress,
    phases: Vec<Phase>,
    began: Option<(Instant, f64)>,
    /// Peak memory is the process's; what it was before is of use to a reader.
    memory_before: u64,
}

/// Into how many steps [`Gauge::run_until`] cuts a run to tell how it goes.
const STEPS: u32 = 200;

impl<'a> Gauge<'a> {
    /// Nothing is timed yet.
    pub fn new(progress: &'a mut dyn Progress) -> Self {
        Self { progress, phases: Vec::new(), began: None, memory_before: memory_bytes() }
    }

    /// Ends the phase before, if any, and begins one.
    pub fn phase(&mut self, name: &str) {
        self.end();
        self.progress.on_phase(name);
        self.phases.push(Phase { name: name.into(), events: 0, wall_s: 0.0, cpu_s: 0.0 });
        self.began = Some((Instant::now(), cpu_s()));
    }

    /// Says how much of the phase is done, and how many events there were in it so far.
    pub fn step(&mut self, done: f64, events: u64) {
        if let Some(phase) = self.phases.last_mut() {
            phase.events = events;
        }
        self.progress.on_step(done, events);
    }

    /// Lets a world go on until a time, as one phase of that name, telling how it goes.
    pub fn run_until<N: Network>(&mut self, name: &str, lab: &mut Lab<N>, until: Time) {
        self.phase(name);
        let (start, before) = (lab.now(), lab.tally().events);
        let whole = until.since(start);
        for step in 1..=STEPS {
            lab.run_until(if step == STEPS { until } else { start + whole * step / STEPS });
            self.step(f64::from(step) / f64::from(STEPS), lab.tally().events - before);
        }
        self.end();
    }

    /// As [`Self::run_until`], for a length of time.
    pub fn run_for<N: Network>(&mut self, name: &str, lab: &mut Lab<N>, span: Span) {
        self.run_until(name, lab, lab.now() + span);
    }

    /// Ends the phase; what comes after is timed as no phase.
    pub fn end(&mut self) {
        if let (Some((began, cpu)), Some(phase)) = (self.began.take(), self.phases.last_mut()) {
            phase.wall_s = began.elapsed().as_secs_f64();
            phase.cpu_s = cpu_s() - cpu;
        }
    }

    /// The phases that have ended.
    #[must_use]
    pub fn phases(&self) -> &[Phase] {
        if self.began.is_some() { &self.phases[..self.phases.len() - 1] } else { &self.phases }
    }

    /// Memory of the process when the gauge was made, bytes.
    #[must_use]
    pub fn memory_before_bytes(&self) -> u64 {
        self.memory_before
    }
}

/// CPU seconds of this process so far, all threads.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "seconds of a process fit a double")]
pub fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Resident memory of this process, bytes; 0 where the system does not tell.
#[must_use]
pub fn memory_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// The most resident memory this process has had, bytes; 0 where the system does not tell.
#[must_use]
pub fn peak_memory_bytes() -> u64 {
    status_bytes("VmHWM:")
}

fn status_bytes(word: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(word));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) << 10
}
